//! The glyph blob's format: `scripts/fonts/README.md` describes it, `scripts/fonts/build` writes it.

use super::fit::Fit;
use super::{Glyph, MAX_CELL_HEIGHT, MAX_CELL_WIDTH};
use crate::geometry::Size;

const MAGIC: &[u8; 8] = b"XVFONT1\0";

/// Length of the header in bytes.
const HEADER_BYTES: usize = 48;

/// Code points that one page of the second level covers.
const PAGE: usize = 256;

/// One drawing of the characters.
#[derive(Debug, Clone, Copy)]
pub(super) enum Face {
    Regular,
    Bold,
}

/// A blob cut into its parts; nothing is copied.
#[derive(Debug, Clone, Copy)]
pub(super) struct Blob<'a> {
    cell: Size,
    regular: &'a [u8],
    bold: &'a [u8],
    pages: &'a [u8],
    narrow: &'a [u8],
    wide: &'a [u8],
    /// Number of narrow glyphs.
    narrow_count: usize,
}

/// A font of no glyphs with cells of 8x16 pixels.
impl Default for Blob<'_> {
    fn default() -> Self {
        Self {
            cell: Size::new(8, 16),
            regular: &[],
            bold: &[],
            pages: &[],
            narrow: &[],
            wide: &[],
            narrow_count: 0,
        }
    }
}

impl<'a> Blob<'a> {
    /// Reads the header; `None` when these bytes are no blob of a size that we can draw.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        if bytes.get(..8)? != MAGIC {
            return None;
        }
        let (width, height) = (*bytes.get(8)?, *bytes.get(9)?);
        let fits =
            (1..=MAX_CELL_WIDTH).contains(&width.into()) && (1..=MAX_CELL_HEIGHT).contains(&height.into());
        let strides_agree = usize::from(*bytes.get(10)?) == usize::from(width).div_ceil(8)
            && usize::from(*bytes.get(11)?) == (2 * usize::from(width)).div_ceil(8);
        if !fits || !strides_agree {
            return None;
        }
        let part = |from: usize, to: usize| -> Option<&'a [u8]> {
            let offset = |at| usize::try_from(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?)).ok();
            let (from, to) = (offset(from)?, offset(to)?);
            if from < HEADER_BYTES { None } else { bytes.get(from..to) }
        };
        let narrow = part(36, 40)?;
        Some(Self {
            cell: Size::new(width.into(), height.into()),
            regular: part(24, 28)?,
            bold: part(28, 32)?,
            pages: part(32, 36)?,
            narrow,
            wide: part(40, 44)?,
            narrow_count: narrow.len() / (usize::from(height) * usize::from(width).div_ceil(8)),
        })
    }

    /// The size of a narrow cell in pixels.
    pub(super) const fn cell(&self) -> Size {
        self.cell
    }

    /// Bytes that one row of a narrow or wide glyph takes.
    pub(super) fn row_bytes(&self, wide: bool) -> usize {
        (usize::from(self.cell.width) << usize::from(wide)).div_ceil(8)
    }

    /// The glyph of `c` in this face.
    #[inline]
    pub(super) fn glyph(&self, face: Face, c: char) -> Option<Glyph<'a>> {
        let index = match face {
            Face::Regular => self.regular,
            Face::Bold => self.bold,
        };
        let code = usize::try_from(u32::from(c)).ok()?;
        let page = number(index, code / PAGE)?;
        let entry = number(self.pages, page * PAGE + code % PAGE)?.checked_sub(1)?;
        let height = usize::from(self.cell.height);
        let (wide, table, place) = if entry < self.narrow_count {
            (false, self.narrow, entry)
        } else {
            (true, self.wide, entry - self.narrow_count)
        };
        let row_bytes = self.row_bytes(wide);
        let start = place * height * row_bytes;
        let bits = table.get(start..start + height * row_bytes)?;
        Some(Glyph { wide, row_bytes, bits, embolden: false, fit: Fit::Exact })
    }
}

/// The 16-bit number at `place` of a table.
#[inline]
fn number(table: &[u8], place: usize) -> Option<usize> {
    Some(u16::from_le_bytes(*table.get(2 * place..)?.first_chunk()?).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_blobs_are_refused_or_give_no_glyphs() {
        let whole = include_bytes!("data/console-8x16.font");
        assert!(Blob::read(whole).is_some());
        for length in (0..HEADER_BYTES).chain([100, 1000, 200_000, whole.len() - 1]) {
            assert!(Blob::read(&whole[..length]).is_none(), "{length} bytes");
        }
        for at in 0..HEADER_BYTES {
            let mut damaged = whole.to_vec();
            damaged[at] ^= 0xff;
            if let Some(blob) = Blob::read(&damaged) {
                for c in ('\0'..='\u{ffff}').step_by(7) {
                    let _ = blob.glyph(Face::Regular, c);
                    let _ = blob.glyph(Face::Bold, c);
                }
            }
        }
    }
}
