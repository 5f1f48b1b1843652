//! Characters that are drawn by code: lines, blocks, shades, braille and sextants must touch their neighbours at any
//! cell size, which no scaled or hand-drawn bitmap does.

use super::lines;
use crate::geometry::Size;

/// The first and last character of each drawn range, in the order in which [`Drawn`] keeps them.
const RANGES: [(char, char); 4] = [
    ('\u{2500}', '\u{257f}'),
    ('\u{2580}', '\u{259f}'),
    ('\u{2800}', '\u{28ff}'),
    ('\u{1fb00}', '\u{1fb3b}'),
];

/// The drawn glyphs of one cell size: a few kilobytes a font.
pub(super) struct Drawn {
    glyphs: Vec<u8>,
    glyph_bytes: usize,
    replacement: Vec<u8>,
    wide_replacement: Vec<u8>,
}

impl Drawn {
    pub(super) fn new(cell: Size) -> Self {
        let mut glyphs = Vec::new();
        for (first, last) in RANGES {
            for c in first..=last {
                glyphs.append(&mut draw(c, cell).bits);
            }
        }
        let replacement = outline(cell).bits;
        let glyph_bytes = replacement.len();
        let wide_replacement = outline(Size::new(2 * cell.width, cell.height)).bits;
        Self { glyphs, glyph_bytes, replacement, wide_replacement }
    }

    /// The rows of `c` when it is one of ours.
    #[inline]
    pub(super) fn glyph(&self, c: char) -> Option<&[u8]> {
        if c < RANGES[0].0 {
            return None;
        }
        let mut before = 0;
        for (first, last) in RANGES {
            if (first..=last).contains(&c) {
                let start = (before + (c as usize - first as usize)) * self.glyph_bytes;
                return self.glyphs.get(start..start + self.glyph_bytes);
            }
            before += last as usize - first as usize + 1;
        }
        None
    }

    /// The rows of the box for missing characters.
    pub(super) fn replacement(&self, wide: bool) -> &[u8] {
        if wide { &self.wide_replacement } else { &self.replacement }
    }
}

/// A bitmap under construction. Coordinates outside are ignored.
pub(super) struct Canvas {
    pub(super) width: i32,
    pub(super) height: i32,
    bits: Vec<u8>,
}

impl Canvas {
    pub(super) fn new(size: Size) -> Self {
        let bits = vec![0; usize::from(size.width).div_ceil(8) * usize::from(size.height)];
        Self { width: size.width.into(), height: size.height.into(), bits }
    }

    /// Sets one pixel.
    pub(super) fn set(&mut self, x: i32, y: i32) {
        if (0..self.width).contains(&x) && (0..self.height).contains(&y) {
            let (Ok(column), Ok(row), Ok(width)) =
                (usize::try_from(x), usize::try_from(y), usize::try_from(self.width))
            else {
                return;
            };
            if let Some(byte) = self.bits.get_mut(row * width.div_ceil(8) + column / 8) {
                *byte |= 0x80 >> (column % 8);
            }
        }
    }

    /// Sets the pixels of columns `left..right` in rows `top..bottom`.
    pub(super) fn fill(&mut self, left: i32, top: i32, right: i32, bottom: i32) {
        self.fill_where(left, top, right, bottom, |_, _| true);
    }

    fn fill_where(&mut self, left: i32, top: i32, right: i32, bottom: i32, ink: impl Fn(i32, i32) -> bool) {
        for y in top.max(0)..bottom.min(self.height) {
            for x in left.max(0)..right.min(self.width) {
                if ink(x, y) {
                    self.set(x, y);
                }
            }
        }
    }
}

fn draw(c: char, cell: Size) -> Canvas {
    let mut canvas = Canvas::new(cell);
    let code = u32::from(c);
    match code {
        0x2500..=0x257f => lines::draw(&mut canvas, code),
        0x2580..=0x259f => block(&mut canvas, code),
        0x2800..=0x28ff => braille(&mut canvas, code - 0x2800),
        _ => sextant(&mut canvas, code.saturating_sub(0x1fb00)),
    }
    canvas
}

/// Block elements, The Unicode Standard, chart U+2580.
fn block(canvas: &mut Canvas, code: u32) {
    let (w, h) = (canvas.width, canvas.height);
    // Eighths count from 1 to 8; neighbours that share an edge share the rounding.
    let eighth = |length: i32, n: u32| length * i32::try_from(n).unwrap_or(0) / 8;
    match code {
        0x2580 => canvas.fill(0, 0, w, h / 2),
        0x2581..=0x2588 => canvas.fill(0, h - eighth(h, code - 0x2580), w, h),
        0x2589..=0x258f => canvas.fill(0, 0, eighth(w, 0x2590 - code).max(1), h),
        0x2590 => canvas.fill(w / 2, 0, w, h),
        0x2591 => canvas.fill_where(0, 0, w, h, |x, y| x % 2 == 0 && y % 2 == 0),
        0x2592 => canvas.fill_where(0, 0, w, h, |x, y| (x + y) % 2 == 0),
        0x2593 => canvas.fill_where(0, 0, w, h, |x, y| x % 2 == 1 || y % 2 == 1),
        0x2594 => canvas.fill(0, 0, w, eighth(h, 1).max(1)),
        0x2595 => canvas.fill(w - eighth(w, 1).max(1), 0, w, h),
        _ => {
            // Quadrants: 1 upper left, 2 upper right, 4 lower left, 8 lower right.
            const QUADRANTS: [u8; 10] = [4, 8, 1, 13, 9, 7, 11, 2, 6, 14];
            let set =
                usize::try_from(code - 0x2596).ok().and_then(|at| QUADRANTS.get(at)).copied().unwrap_or(0);
            mosaic(canvas, set.into(), 2);
        }
    }
}

/// Sextants, chart U+1FB00: 2 by 3 parts; the patterns that are half blocks or full have no code here.
fn sextant(canvas: &mut Canvas, place: u32) {
    let set = place + 1;
    let set = if set >= 0b01_0101 { set + 1 } else { set };
    let set = if set >= 0b10_1010 { set + 1 } else { set };
    mosaic(canvas, set, 3);
}

/// Two columns of `rows` parts; bit 0 of `set` is the upper left one, bit 1 its right neighbour.
fn mosaic(canvas: &mut Canvas, set: u32, rows: i32) {
    let (w, h) = (canvas.width, canvas.height);
    for row in 0..rows {
        for column in 0..2 {
            if set >> (2 * row + column) & 1 == 1 {
                canvas.fill(column * (w / 2), row * h / rows, (w / 2).max(column * w), (row + 1) * h / rows);
            }
        }
    }
}

/// Braille patterns, chart U+2800: dots 1 to 8 are bits 0 to 7.
fn braille(canvas: &mut Canvas, dots: u32) {
    const PLACES: [(i32, i32); 8] = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)];
    let (w, h) = (canvas.width, canvas.height);
    let side = ((w / 2).min(h / 4) / 2).max(1);
    for (dot, (column, row)) in PLACES.iter().enumerate() {
        if dots >> dot & 1 == 1 {
            let left = column * w / 2 + (w / 2 - side) / 2;
            let top = row * h / 4 + (h / 4 - side) / 2;
            canvas.fill(left, top, left + side, top + side);
        }
    }
}

/// The box for missing characters: an outline that leaves a pixel to its neighbours.
fn outline(size: Size) -> Canvas {
    let mut canvas = Canvas::new(size);
    let (left, right) = (1, canvas.width - 1);
    let (top, bottom) = (canvas.height / 8, canvas.height - canvas.height / 8);
    canvas.fill(left, top, right, top + 1);
    canvas.fill(left, bottom - 1, right, bottom);
    canvas.fill(left, top, left + 1, bottom);
    canvas.fill(right - 1, top, right, bottom);
    canvas
}

/// Whether a pixel is set.
#[cfg(test)]
pub(super) fn pixel(canvas: &Canvas, x: i32, y: i32) -> bool {
    let stride = usize::try_from(canvas.width).unwrap().div_ceil(8);
    let (x, y) = (usize::try_from(x).unwrap(), usize::try_from(y).unwrap());
    canvas.bits[y * stride + x / 8] >> (7 - x % 8) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: [Size; 5] =
        [Size::new(6, 12), Size::new(8, 16), Size::new(10, 20), Size::new(12, 24), Size::new(16, 32)];

    fn ink(canvas: &Canvas) -> i32 {
        i32::try_from(canvas.bits.iter().map(|byte| byte.count_ones()).sum::<u32>()).unwrap()
    }

    #[test]
    fn halves_and_quadrants_make_a_whole_at_every_size() {
        for size in SIZES {
            let area = i32::try_from(size.area()).unwrap();
            assert_eq!(ink(&draw('█', size)), area);
            for (a, b) in [
                ('▀', '▄'),
                ('▌', '▐'),
                ('▘', '▟'),
                ('▝', '▙'),
                ('▖', '▜'),
                ('▗', '▛'),
                ('▚', '▞'),
                ('░', '▓'),
            ] {
                let (a, b) = (draw(a, size), draw(b, size));
                assert_eq!(ink(&a) + ink(&b), area);
                for y in 0..a.height {
                    for x in 0..a.width {
                        assert_ne!(pixel(&a, x, y), pixel(&b, x, y), "{size:?} {x},{y}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_last_sextant_lacks_only_the_upper_left_part() {
        let canvas = draw('\u{1fb3b}', Size::new(8, 16));
        assert!(
            !pixel(&canvas, 0, 0) && !pixel(&canvas, 3, 4) && pixel(&canvas, 4, 0) && pixel(&canvas, 0, 5)
        );
        assert_eq!(ink(&canvas), 128 - 4 * 5);
        // Parts 3 and 5 of six are the last before the left half block, which has its own code.
        assert_eq!(ink(&draw('\u{1fb13}', Size::new(8, 16))), 4 * (5 + 6));
    }

    #[test]
    fn braille_has_a_dot_a_bit() {
        for size in SIZES {
            let all = ink(&draw('\u{28ff}', size));
            for bits in 0u8..=255 {
                let c = char::from_u32(0x2800 + u32::from(bits)).unwrap();
                assert_eq!(ink(&draw(c, size)) * 8, all * i32::try_from(bits.count_ones()).unwrap());
            }
        }
    }
}
