//! Bitmap fonts for text screens.
//!
//! A font is one blob, compiled in and read where it lies: pages of it are loaded by the kernel when a glyph on them
//! is first drawn, and all screens of the process share them. `scripts/fonts` builds the blobs from Terminus Font (the
//! first choice, regular and bold, in every size) and GNU Unifont (the rest of the Basic Multilingual Plane, in 8x16;
//! other sizes read it through `fit`). Box drawing, blocks, braille and sextants are drawn by code instead, so that
//! they join without gaps at any cell size.
//!
//! One bit a pixel and no anti-aliasing is a decision, not a shortage: text then has two colours, and every encoding
//! of RFB has a cheap form for two colours.

mod blob;
mod drawn;
mod fit;
mod lines;

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use crate::geometry::Size;
use blob::{Blob, Face};
use drawn::Drawn;
use fit::Fit;

/// The largest height of a cell in any font, in pixels.
pub const MAX_CELL_HEIGHT: usize = 32;

/// The largest width of a (narrow) cell in any font, in pixels; a wide glyph has twice that.
pub const MAX_CELL_WIDTH: usize = 16;

/// The sizes in which a built-in font exists, named by their cell in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
#[non_exhaustive]
pub enum FontSize {
    /// Small: 80x25 characters make 480x300 pixels.
    Size6x12,
    /// 80x25 characters make 640x400 pixels, as on a PC's text screen.
    #[default]
    Size8x16,
    /// 80x25 characters make 800x500 pixels.
    Size10x20,
    /// 80x25 characters make 960x600 pixels.
    Size12x24,
    /// For screens with tiny pixels: 80x25 characters make 1280x800.
    Size16x32,
}

impl FontSize {
    /// Every size, the smallest first.
    pub const ALL: [Self; 5] =
        [Self::Size6x12, Self::Size8x16, Self::Size10x20, Self::Size12x24, Self::Size16x32];

    /// The largest in which a screen of this many characters fits into `space`; the smallest when none does.
    #[must_use]
    pub fn fitting(columns: u16, rows: u16, space: Size) -> Self {
        let fits = |size: &Self| {
            let cell = Font::builtin(*size).cell();
            u32::from(columns) * u32::from(cell.width) <= space.width.into()
                && u32::from(rows) * u32::from(cell.height) <= space.height.into()
        };
        Self::ALL.into_iter().rev().find(fits).unwrap_or(Self::Size6x12)
    }

    const fn blob(self) -> &'static [u8] {
        match self {
            Self::Size6x12 => include_bytes!("data/console-6x12.font"),
            Self::Size8x16 => include_bytes!("data/console-8x16.font"),
            Self::Size10x20 => include_bytes!("data/console-10x20.font"),
            Self::Size12x24 => include_bytes!("data/console-12x24.font"),
            Self::Size16x32 => include_bytes!("data/console-16x32.font"),
        }
    }
}

impl fmt::Display for FontSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cell = Font::builtin(*self).cell();
        write!(f, "{}x{}", cell.width, cell.height)
    }
}

/// A text that names no font size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no font {found:?}: want 6x12, 8x16, 10x20, 12x24 or 16x32")]
pub struct BadFontSize {
    /// The text that was given.
    pub found: String,
}

impl FromStr for FontSize {
    type Err = BadFontSize;

    fn from_str(text: &str) -> Result<Self, BadFontSize> {
        let mut all = Self::ALL.into_iter();
        all.find(|size| size.to_string() == text).ok_or_else(|| BadFontSize { found: text.to_owned() })
    }
}

/// The size of a font's cell and its glyphs.
pub struct Font {
    cell: Size,
    blob: Blob<'static>,
    /// Where characters are looked for that the blob does not have: the 8x16 font.
    fallback: Option<Blob<'static>>,
    drawn: Drawn,
}

impl Font {
    /// The built-in font of this size. The first call reads a header and draws a few hundred small glyphs; all later
    /// ones are free.
    #[must_use]
    pub fn builtin(size: FontSize) -> &'static Self {
        static FONTS: [OnceLock<Font>; FontSize::ALL.len()] =
            [const { OnceLock::new() }; FontSize::ALL.len()];
        let fallback = (size != FontSize::Size8x16).then(|| Self::builtin(FontSize::Size8x16).blob);
        FONTS[size as usize].get_or_init(|| Self::from_blob(size.blob(), fallback))
    }

    /// Reads a blob. A damaged one, which the tests exclude, gives a font of replacement boxes rather than a panic.
    fn from_blob(bytes: &'static [u8], fallback: Option<Blob<'static>>) -> Self {
        let blob = Blob::read(bytes).unwrap_or_default();
        let cell = blob.cell();
        Self { cell, blob, fallback, drawn: Drawn::new(cell) }
    }

    /// The size of a narrow cell in pixels.
    #[must_use]
    pub const fn cell(&self) -> Size {
        self.cell
    }

    /// The glyph of `c`; a visible box when the font has none.
    ///
    /// The glyph may be twice as wide as a cell, whatever the terminal thinks of the character's width: whoever draws
    /// it makes it fit. Where there is no bold drawing of a character the regular one is returned with
    /// [`Glyph::embolden`] set.
    #[must_use]
    pub fn glyph(&self, c: char, bold: bool) -> Glyph<'_> {
        if let Some(bits) = self.drawn.glyph(c) {
            let (row_bytes, fit) = (self.blob.row_bytes(false), Fit::Exact);
            return Glyph { wide: false, row_bytes, bits, embolden: false, fit };
        }
        if bold && let Some(glyph) = self.blob.glyph(Face::Bold, c) {
            return glyph;
        }
        if let Some(glyph) = self.blob.glyph(Face::Regular, c) {
            return Glyph { embolden: bold, ..glyph };
        }
        if let Some(fallback) = &self.fallback
            && let Some(glyph) = fallback.glyph(Face::Regular, c)
        {
            return Glyph { embolden: bold, fit: Fit::new(fallback.cell(), self.cell, glyph.wide), ..glyph };
        }
        self.replacement(false)
    }

    /// True when the font can draw `c`.
    #[must_use]
    pub fn has(&self, c: char) -> bool {
        let in_blob = |blob: &Blob<'_>| blob.glyph(Face::Regular, c).is_some();
        self.drawn.glyph(c).is_some() || in_blob(&self.blob) || self.fallback.as_ref().is_some_and(in_blob)
    }

    /// The box that stands for a character that the font does not have, one or two cells wide.
    #[must_use]
    pub fn replacement(&self, wide: bool) -> Glyph<'_> {
        let bits = self.drawn.replacement(wide);
        Glyph { wide, row_bytes: self.blob.row_bytes(wide), bits, embolden: false, fit: Fit::Exact }
    }
}

impl std::fmt::Debug for Font {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Font({}x{})", self.cell.width, self.cell.height)
    }
}

/// The picture of one character: one bit a pixel, 1 for ink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glyph<'a> {
    /// Twice as wide as a cell.
    pub wide: bool,
    /// Bytes a row: the width in pixels divided by eight, rounded up.
    pub row_bytes: usize,
    /// The rows from the top, as many as the cell is high; the leftmost pixel is the most significant bit, padding
    /// bits are 0.
    pub bits: &'a [u8],
    /// Bold was asked for and this is the regular drawing: strike it twice, one pixel apart.
    pub embolden: bool,
    /// How its rows are made of `bits`.
    fit: Fit,
}

impl Glyph<'_> {
    /// The pixels of row `y`, the leftmost in the most significant bit; 0 below the glyph.
    #[must_use]
    pub fn row(&self, y: usize) -> u32 {
        self.fit.row(y, |y| {
            let start = y * self.row_bytes;
            let bytes = self.bits.get(start..start + self.row_bytes).unwrap_or_default();
            bytes.iter().zip([24, 16, 8, 0]).fold(0, |row, (byte, shift)| row | u32::from(*byte) << shift)
        })
    }

    /// True when `bits` are the glyph's rows as they stand, not a bitmap that [`row`](Self::row) makes fit.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.fit == Fit::Exact
    }

    /// True when it has no ink.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.bits.iter().all(|byte| *byte == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(glyph: Glyph<'_>, width: usize) -> Vec<String> {
        (0..glyph.bits.len() / glyph.row_bytes)
            .map(|y| (0..width).map(|x| if glyph.row(y) << x >> 31 == 1 { '#' } else { '.' }).collect())
            .collect()
    }

    #[test]
    fn a_letter_is_drawn_regular_and_bold() {
        let font = Font::builtin(FontSize::Size8x16);
        assert_eq!(font.cell(), Size::new(8, 16));
        let regular = lines(font.glyph('g', false), 8);
        assert_eq!(
            regular[5..15],
            [
                "..#####.", ".#....#.", ".#....#.", ".#....#.", ".#....#.", ".#....#.", "..#####.",
                "......#.", "......#.", "..####..",
            ]
        );
        let bold = lines(font.glyph('g', true), 8);
        assert_eq!(bold[5..8], [".######.", "##...##.", "##...##."]);
        assert!(!font.glyph('g', true).embolden);
    }

    #[test]
    fn a_chinese_character_is_wide_and_emboldened_by_the_drawer() {
        let font = Font::builtin(FontSize::Size8x16);
        let glyph = font.glyph('漢', true);
        assert!(glyph.wide && glyph.embolden && !glyph.is_blank());
        assert_eq!((glyph.row_bytes, glyph.bits.len()), (2, 32));
    }

    #[test]
    fn a_character_without_a_glyph_is_a_box() {
        let font = Font::builtin(FontSize::Size8x16);
        for c in ['\u{e000}', '\u{10ffff}', '\u{fffe}', '\u{1f600}'] {
            assert!(!font.has(c), "{c:?}");
            assert_eq!(font.glyph(c, false), font.replacement(false));
        }
        assert!(!font.replacement(false).is_blank() && !font.replacement(true).is_blank());
        assert_eq!(font.replacement(true).bits.len(), 32);
    }

    #[test]
    fn every_script_of_the_bmp_is_there() {
        let font = Font::builtin(FontSize::Size8x16);
        for c in "Aß€Ω Жשع ไทย अ 한글 漢字 かな ☃ ⣿ ─ █ \u{301} \u{1fb00} ﬁ →".chars()
        {
            assert!(font.has(c), "{c:?}");
        }
        let missing = ('\u{20}'..='\u{d7ff}').filter(|c| !c.is_control() && !font.has(*c)).count();
        assert!(missing < 400, "{missing} characters below U+D800 have no glyph");
    }

    #[test]
    fn every_size_is_there_and_is_named_by_its_cell() {
        for size in FontSize::ALL {
            assert_eq!(size.to_string().parse(), Ok(size));
            let font = Font::builtin(size);
            for c in "AgЖש漢한☃│█⣿\u{1fb00}".chars() {
                assert!(font.has(c), "{c:?} in {size}");
            }
            for c in "Agß€ΩЖ".chars() {
                assert!([false, true].iter().all(|bold| font.glyph(c, *bold).is_exact()), "{c:?} in {size}");
            }
        }
        assert!("7x14".parse::<FontSize>().unwrap_err().to_string().contains("10x20"));
    }

    #[test]
    fn the_largest_that_fits_is_chosen() {
        let fitting = |width, height| FontSize::fitting(80, 25, Size::new(width, height)).to_string();
        assert_eq!(fitting(640, 400), "8x16");
        assert_eq!(fitting(799, 2000), "8x16");
        assert_eq!(fitting(2000, 499), "8x16");
        assert_eq!(fitting(800, 500), "10x20");
        assert_eq!(fitting(u16::MAX, u16::MAX), "16x32");
        assert_eq!(fitting(1, 1), "6x12");
    }

    #[test]
    fn no_glyph_of_any_size_leaves_its_cell() {
        for size in FontSize::ALL {
            let font = Font::builtin(size);
            for c in ('\0'..='\u{1fbff}').step_by(3) {
                let glyph = font.glyph(c, false);
                let width = u32::from(font.cell().width) << u32::from(glyph.wide);
                for y in 0..MAX_CELL_HEIGHT + 1 {
                    let beyond = if y < font.cell().height.into() { width } else { 0 };
                    assert_eq!(glyph.row(y).checked_shl(beyond).unwrap_or(0), 0, "{c:?} in {size}, row {y}");
                }
                let blank = (0..MAX_CELL_HEIGHT).all(|y| glyph.row(y) == 0);
                assert_eq!(blank, glyph.is_blank(), "{c:?} in {size} lost its ink");
            }
        }
    }

    #[test]
    fn every_character_gives_a_glyph_of_the_right_size() {
        let font = Font::builtin(FontSize::Size8x16);
        for c in '\0'..=char::MAX {
            for bold in [false, true] {
                let glyph = font.glyph(c, bold);
                let bytes = if glyph.wide { 2 } else { 1 };
                assert_eq!((glyph.row_bytes, glyph.bits.len()), (bytes, 16 * bytes), "{c:?}");
            }
        }
    }
}
