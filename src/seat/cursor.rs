//! The pointer over text: what a viewer shows once a display in the guest has given it another shape and it is back on a
//! console. RFB knows no "your own again".

use crate::geometry::{Point, Size};
use crate::rfb::server::CursorImage;
use crate::rfb::tile::Colour;

/// The picture: `#` is black, `.` white, the rest shows what is below. The tip is the upper left corner.
const ARROW: [&str; 16] = [
    "#          ",
    "##         ",
    "#.#        ",
    "#..#       ",
    "#...#      ",
    "#....#     ",
    "#.....#    ",
    "#......#   ",
    "#.......#  ",
    "#........# ",
    "#.....#####",
    "#..#..#    ",
    "#.# #..#   ",
    "##  #..#   ",
    "#    #..#  ",
    "     ###   ",
];

/// An arrow, as on most desktops.
pub(super) fn arrow() -> CursorImage {
    let width = ARROW[0].len();
    let pixel = |c: &u8| if *c == b'.' { Colour::WHITE } else { Colour::BLACK };
    let mask_row = |row: &&str| {
        let mut bytes = vec![0_u8; width.div_ceil(8)];
        for (x, _) in row.bytes().enumerate().filter(|(_, c)| *c != b' ') {
            if let Some(byte) = bytes.get_mut(x / 8) {
                *byte |= 0x80 >> (x % 8);
            }
        }
        bytes
    };
    CursorImage {
        size: Size::new(11, 16),
        hotspot: Point { x: 0, y: 0 },
        pixels: ARROW.iter().flat_map(|row| row.as_bytes().iter().map(pixel)).collect(),
        mask: ARROW.iter().flat_map(mask_row).collect(),
        alpha: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_parts_fit_together() {
        let arrow = arrow();
        assert_eq!(arrow.pixels.len(), arrow.size.area() as usize);
        assert_eq!(arrow.mask.len(), 2 * 16);
        assert_eq!((arrow.mask[0], arrow.mask[1]), (0x80, 0));
        assert_eq!((arrow.mask[20], arrow.mask[21]), (0xff, 0xe0));
    }
}
