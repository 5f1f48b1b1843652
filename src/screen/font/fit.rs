//! Glyphs of the 8x16 font in cells of another size.
//!
//! Terminus Font has every size; Unifont, which has the rest of the Basic Multilingual Plane, is drawn for 8x16 only.
//! Instead of a second and third copy of its 50,000 bitmaps in the binary, the one copy is read through a [`Fit`].

use crate::geometry::Size;

/// How the rows of a bitmap become the rows of a glyph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Fit {
    /// As they are.
    #[default]
    Exact,
    /// With this many blank pixels to the left and above: a small character in a larger cell.
    Centred {
        /// Blank columns.
        left: u16,
        /// Blank rows.
        top: u16,
    },
    /// Every pixel is two by two.
    Doubled,
    /// Four pixels become three, along and across. The middle one has the ink of two, so that no stroke is lost.
    Shrunk,
}

/// The width of what [`Fit::Shrunk`] reads in one step, and of what it makes of it.
const SHRINK: (usize, usize) = (4, 3);

impl Fit {
    /// How a narrow or wide glyph for cells of `from` is drawn in cells of `to`.
    pub(super) fn new(from: Size, to: Size, wide: bool) -> Self {
        if from == to {
            Self::Exact
        } else if to.width >= 2 * from.width && to.height >= 2 * from.height {
            Self::Doubled
        } else if to.width >= from.width && to.height >= from.height {
            let left = ((to.width - from.width) << u16::from(wide)) / 2;
            Self::Centred { left, top: (to.height - from.height) / 2 }
        } else {
            Self::Shrunk
        }
    }

    /// Row `y` of the glyph; `source` gives the rows of the bitmap, the leftmost pixel in the most significant bit,
    /// and 0 for rows that it does not have.
    pub(super) fn row(self, y: usize, source: impl Fn(usize) -> u32) -> u32 {
        match self {
            Self::Exact => source(y),
            Self::Centred { left, top } => y.checked_sub(top.into()).map_or(0, source) >> left,
            Self::Doubled => double(source(y / 2)),
            Self::Shrunk => {
                let (step, place) = (y / SHRINK.1, y % SHRINK.1);
                let first = step * SHRINK.0;
                shrink(match place {
                    0 => source(first),
                    1 => source(first + 1) | source(first + 2),
                    _ => source(first + 3),
                })
            }
        }
    }
}

/// Each of the 16 upper bits twice.
fn double(row: u32) -> u32 {
    (0..16).filter(|x| row << x & 0x8000_0000 != 0).fold(0, |wide, x| wide | 0xc000_0000 >> (2 * x))
}

/// Three bits for each four.
fn shrink(row: u32) -> u32 {
    (0..8).fold(0, |narrow, step| {
        let four = row << (4 * step) >> 28;
        let three = four >> 1 & 0b100 | (four >> 1 | four) & 0b010 | four & 0b001;
        narrow | three << 29 >> (3 * step)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: Size = Size::new(8, 16);

    #[test]
    fn each_size_has_its_way() {
        let fit = |width, height, wide| Fit::new(FROM, Size::new(width, height), wide);
        assert_eq!(fit(8, 16, true), Fit::Exact);
        assert_eq!(fit(6, 12, false), Fit::Shrunk);
        assert_eq!(fit(10, 20, false), Fit::Centred { left: 1, top: 2 });
        assert_eq!(fit(12, 24, true), Fit::Centred { left: 4, top: 4 });
        assert_eq!(fit(16, 32, false), Fit::Doubled);
    }

    #[test]
    fn no_ink_is_lost() {
        let source =
            |y: usize| if y < 16 { 0x8421_0000_u32.rotate_left(u32::try_from(y).unwrap()) } else { 0 };
        assert_eq!(double(0b1010_0000 << 24), 0b1100_1100 << 24);
        assert_eq!(shrink(0b1000_0100_0010_0001 << 16), 0b100_010_010_001 << 20);
        for (width, height) in [(6, 12), (10, 20), (12, 24), (16, 32)] {
            let fit = Fit::new(FROM, Size::new(width, height), true);
            let ink: u32 = (0..usize::from(height)).map(|y| fit.row(y, source).count_ones()).sum();
            assert!(ink > 0);
            for y in 0..usize::from(height) {
                let row = fit.row(y, |y| if y < 16 { 0xffff_0000 } else { 0 });
                let right = u32::from(2 * width);
                assert_eq!(
                    row & (u32::MAX.checked_shr(right).unwrap_or(0)),
                    0,
                    "{width}x{height} {y}: {row:x}"
                );
            }
        }
        // A stroke in any row or column is still there.
        for at in 0..16 {
            assert!((0..12).any(|y| Fit::Shrunk.row(y, |y| if y == at { 0x8000_0000 } else { 0 }) != 0));
            assert_ne!(shrink(0x8000_0000 >> at), 0);
        }
    }
}
