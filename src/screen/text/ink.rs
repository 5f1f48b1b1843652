//! One terminal cell as a bitmap: the glyph made to fit, combining marks, lines, and the cursor's outline.

use crate::screen::font::{Font, Glyph, MAX_CELL_HEIGHT};
use crate::terminal::{Cluster, CursorShape, Style};

/// Which part of a character a cell shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// All of a character of one column.
    Whole,
    /// The left half of a wide character.
    Left,
    /// The right half of a wide character.
    Right,
}

/// The ink of one cell; 1 is drawn in the foreground.
pub(super) enum Ink<'a> {
    /// None.
    Blank,
    /// A glyph as the font has it. The cell's row `y` starts at byte `first + y * step`.
    Glyph {
        /// The font's bytes.
        bits: &'a [u8],
        /// The byte of row 0.
        first: usize,
        /// Bytes from one row to the next.
        step: usize,
    },
    /// Anything else: what [`ink`] drew into the rows that it was given.
    Drawn,
}

/// The rows of a cell that was drawn, the leftmost pixel in the most significant bit.
pub(super) type Rows = [u32; MAX_CELL_HEIGHT];

impl Ink<'_> {
    /// The cell's pixels in row `y`, the leftmost in the most significant bit. The lower bits beyond the cell's width
    /// are 0.
    pub(super) fn row(&self, rows: &Rows, y: usize, width: u32) -> u32 {
        let row = match self {
            Self::Blank => 0,
            Self::Glyph { bits, first, step } => {
                let start = first + y * step;
                let high = bits.get(start).copied().unwrap_or(0);
                let low = if width > 8 { bits.get(start + 1).copied().unwrap_or(0) } else { 0 };
                u32::from(high) << 24 | u32::from(low) << 16
            }
            Self::Drawn => rows.get(y).copied().unwrap_or(0),
        };
        row & left_mask(width)
    }
}

/// The `width` most significant bits.
pub(super) fn left_mask(width: u32) -> u32 {
    if width == 0 { 0 } else { u32::MAX << (32 - width.min(32)) }
}

/// Draws a cell. `cursor` is an outline to draw with the foreground's ink; a block is not ink but an exchange of
/// colours, hence ignored here. What is not just a glyph is drawn into `rows`.
pub(super) fn ink<'a>(
    font: &'a Font,
    cluster: Cluster<'_>,
    style: Style,
    part: Part,
    cursor: Option<CursorShape>,
    rows: &mut Rows,
) -> Ink<'a> {
    let lines =
        style.underline || style.strike || matches!(cursor, Some(CursorShape::Underline | CursorShape::Bar));
    let wide = part != Part::Whole;
    if cluster.marks.is_empty() && !lines {
        // Most cells end here: blanks, and glyphs as they are.
        if cluster.base == ' ' {
            return Ink::Blank;
        }
        let glyph = font.glyph(cluster.base, style.bold);
        let half_bytes = if part == Part::Right { glyph.row_bytes / 2 } else { 0 };
        let halves_on_bytes = !wide || font.cell().width.is_multiple_of(8);
        if glyph.wide == wide && glyph.is_exact() && !glyph.embolden && !style.italic && halves_on_bytes {
            return Ink::Glyph { bits: glyph.bits, first: half_bytes, step: glyph.row_bytes };
        }
    }
    *rows = draw(font, cluster, style, part, cursor);
    Ink::Drawn
}

/// The general case of [`ink`].
fn draw(font: &Font, cluster: Cluster<'_>, style: Style, part: Part, cursor: Option<CursorShape>) -> Rows {
    let wide = part != Part::Whole;
    let cell_width = u32::from(font.cell().width);
    let width = if wide { 2 * cell_width } else { cell_width };
    let height = usize::from(font.cell().height).min(MAX_CELL_HEIGHT);
    let mut rows = [0; MAX_CELL_HEIGHT];
    for c in std::iter::once(&cluster.base).chain(cluster.marks) {
        let mut glyph = font.glyph(*c, style.bold);
        if wide && !glyph.wide && !font.has(*c) {
            glyph = font.replacement(true);
        }
        for (y, row) in rows.iter_mut().enumerate().take(height) {
            *row |= fitted_row(glyph, y, wide, cell_width, style.italic && y < height / 2);
        }
    }
    // Lines cross the whole cell; their places are those of a PC's 16-line text cell, scaled.
    let thickness = (height / 16).max(1);
    let mut line = |sixteenths: usize, thickness: usize| {
        let first = height * sixteenths / 16;
        rows.iter_mut().take(height).skip(first).take(thickness).for_each(|row| *row = u32::MAX);
    };
    if style.strike {
        line(8, thickness);
    }
    if style.underline {
        line(13, thickness);
    }
    if style.double_underline {
        line(15, thickness);
    }
    if cursor == Some(CursorShape::Underline) {
        line(14, 2 * thickness);
    }
    if cursor == Some(CursorShape::Bar) && part != Part::Right {
        let bar = left_mask((cell_width / 4).max(1));
        rows.iter_mut().take(height).for_each(|row| *row |= bar);
    }
    for row in &mut rows {
        *row &= left_mask(width);
        if part == Part::Right {
            *row <<= cell_width;
        }
        *row &= left_mask(cell_width);
    }
    rows
}

/// Row `y` of a glyph made to fit one or two cells: a wide glyph in a narrow cell is squeezed, a narrow one in a wide
/// cell is centred. Bold without a bold drawing is struck twice, italic is the upper half moved right by one pixel.
fn fitted_row(glyph: Glyph<'_>, y: usize, wide: bool, cell_width: u32, slant: bool) -> u32 {
    let mut row = glyph.row(y);
    match (glyph.wide, wide) {
        (true, false) => row = squeeze(row, cell_width),
        (false, true) => row >>= cell_width / 2,
        _ => {}
    }
    if glyph.embolden {
        row |= row >> 1;
    }
    if slant { row >> 1 } else { row }
}

/// Half as many pixels: each is set where either of the two that it stands for was.
fn squeeze(row: u32, cell_width: u32) -> u32 {
    let mut narrow = 0;
    for x in 0..cell_width.min(16) {
        if row << (2 * x) & 0xc000_0000 != 0 {
            narrow |= 0x8000_0000 >> x;
        }
    }
    narrow
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screen::FontSize;

    fn drawn(base: char, marks: &[char], style: Style, part: Part, cursor: Option<CursorShape>) -> Vec<u8> {
        let mut rows = Rows::default();
        let font = Font::builtin(FontSize::Size8x16);
        let ink = ink(font, Cluster { base, marks }, style, part, cursor, &mut rows);
        (0..16).map(|y| ink.row(&rows, y, 8).to_be_bytes()[0]).collect()
    }

    fn font_rows(c: char, half: usize) -> Vec<u8> {
        let glyph = Font::builtin(FontSize::Size8x16).glyph(c, false);
        glyph.bits.iter().skip(half).step_by(glyph.row_bytes).copied().collect()
    }

    #[test]
    fn plain_cells_are_the_fonts_bytes() {
        assert_eq!(drawn('A', &[], Style::default(), Part::Whole, None), font_rows('A', 0));
        assert_eq!(drawn('漢', &[], Style::default(), Part::Left, None), font_rows('漢', 0));
        assert_eq!(drawn('漢', &[], Style::default(), Part::Right, None), font_rows('漢', 1));
        assert_eq!(drawn(' ', &[], Style::default(), Part::Whole, None), [0; 16]);
    }

    #[test]
    fn marks_lie_over_their_base() {
        let with = drawn('e', &['\u{301}'], Style::default(), Part::Whole, None);
        let (base, mark) = (font_rows('e', 0), font_rows('\u{301}', 0));
        assert!(mark.iter().any(|row| *row != 0));
        let both: Vec<u8> = base.iter().zip(&mark).map(|(a, b)| a | b).collect();
        assert_eq!(with, both);
    }

    #[test]
    fn lines_cross_the_cell_even_when_blank() {
        let style = Style { underline: true, strike: true, double_underline: true, ..Style::default() };
        let cell = drawn(' ', &[], style, Part::Whole, None);
        let lines: Vec<usize> = (0..16).filter(|y| cell[*y] == 0xff).collect();
        assert_eq!(lines, [8, 13, 15]);
        assert!(cell.iter().all(|row| [0, 0xff].contains(row)));
    }

    #[test]
    fn cursors_are_drawn_with_ink_unless_they_are_blocks() {
        let cell = |shape, part| drawn(' ', &[], Style::default(), part, Some(shape));
        assert_eq!(cell(CursorShape::Block, Part::Whole), [0; 16]);
        assert_eq!(cell(CursorShape::Underline, Part::Whole)[13..], [0, 0xff, 0xff]);
        assert_eq!(cell(CursorShape::Bar, Part::Whole), [0xc0; 16]);
        assert_eq!(cell(CursorShape::Bar, Part::Right), [0; 16]);
    }

    #[test]
    fn glyphs_of_another_width_are_made_to_fit() {
        // U+2603 is 16 pixels wide in the font, one column wide for a terminal.
        assert!(Font::builtin(FontSize::Size8x16).glyph('☃', false).wide);
        let squeezed = drawn('☃', &[], Style::default(), Part::Whole, None);
        let (left, right) = (font_rows('☃', 0), font_rows('☃', 1));
        for y in 0..16 {
            assert_eq!(squeezed[y] == 0, left[y] == 0 && right[y] == 0);
        }
        // A narrow glyph is centred in two cells.
        let (left, right) = (
            drawn('A', &[], Style::default(), Part::Left, None),
            drawn('A', &[], Style::default(), Part::Right, None),
        );
        let whole = font_rows('A', 0);
        for y in 0..16 {
            assert_eq!(u16::from_be_bytes([left[y], right[y]]), u16::from(whole[y]) << 4);
        }
        // A missing one is a box of the width that was asked for.
        let (left, right) = (
            drawn('\u{e000}', &[], Style::default(), Part::Left, None),
            drawn('\u{e000}', &[], Style::default(), Part::Right, None),
        );
        assert_eq!((left[2], right[2]), (0x7f, 0xfe));
    }

    #[test]
    fn bold_and_italic_change_the_drawing() {
        let bold = Style { bold: true, ..Style::default() };
        let chinese = drawn('漢', &[], bold, Part::Left, None);
        assert_eq!(chinese[0], font_rows('漢', 0)[0] | font_rows('漢', 0)[0] >> 1);
        let italic = drawn('l', &[], Style { italic: true, ..Style::default() }, Part::Whole, None);
        let upright = font_rows('l', 0);
        assert_eq!(italic[4], upright[4] >> 1);
        assert_eq!(italic[9], upright[9]);
    }
}
