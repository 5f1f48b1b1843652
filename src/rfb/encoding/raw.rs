//! Raw encoding (RFC 6143 §7.7.1): every pixel, row by row.

use super::DecodeError;
use super::canvas::Canvas;
use super::pixels::{Pixels, with_pixels};
use crate::geometry::Rect;
use crate::rfb::pixel_format::Translator;
use crate::rfb::tile::{TileBuf, TileSource};
use crate::rfb::wire::{Reader, Stop};

/// About how many pixels are asked of a source at once: large enough to make a question worth its price, small
/// enough for the answer to stay in the cache.
const BAND_PIXELS: u32 = 16 * 1024;

/// Appends the pixels of `rect`.
pub fn encode(
    source: &dyn TileSource,
    rect: Rect,
    translator: &Translator,
    buf: &mut TileBuf,
    out: &mut Vec<u8>,
) {
    with_pixels!(translator, |pixels| {
        for band in bands(rect) {
            let tile = source.tile(band, buf);
            pixels.expand(&tile, usize::from(band.width), usize::from(band.height), out);
        }
    });
}

/// `rect` in bands of about [`BAND_PIXELS`].
pub(super) fn bands(rect: Rect) -> impl Iterator<Item = Rect> {
    let rows = u16::try_from(BAND_PIXELS / u32::from(rect.width.max(1))).unwrap_or(u16::MAX).max(1);
    (0..rect.height).step_by(usize::from(rows)).map(move |y| Rect {
        y: rect.y + y,
        height: rows.min(rect.height - y),
        ..rect
    })
}

/// Decodes one rectangle; goes on where it stopped when data comes in pieces.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The rows that are complete, and the pixels of the next one.
    y: u16,
    x: u16,
}

impl Decoder {
    /// Paints as much of a rectangle as there is data for. On [`Stop::NeedMore`] the reader has consumed the pixels that
    /// are complete; call again with the same `rect` and what follows them.
    ///
    /// # Errors
    /// [`DecodeError::Outside`].
    pub fn decode(
        &mut self,
        reader: &mut Reader<'_>,
        rect: Rect,
        translator: &Translator,
        canvas: &mut Canvas,
    ) -> Result<(), Stop<DecodeError>> {
        canvas.check(rect).map_err(Stop::Failed)?;
        if rect.is_empty() {
            return Ok(());
        }
        with_pixels!(translator, |pixels| self.decode_rows(reader, rect, pixels, canvas))
    }

    fn decode_rows<const N: usize>(
        &mut self,
        reader: &mut Reader<'_>,
        rect: Rect,
        pixels: Pixels<'_, N>,
        canvas: &mut Canvas,
    ) -> Result<(), Stop<DecodeError>> {
        while self.y < rect.height {
            let missing = usize::from(rect.width - self.x);
            let count = missing.min(reader.rest().len() / N);
            let bytes = reader.bytes(count * N)?;
            pixels.paint(bytes, canvas.row_mut(rect.x + self.x, rect.y + self.y, count));
            if count < missing {
                self.x += u16::try_from(count).unwrap_or(0);
                return Err(Stop::NeedMore);
            }
            (self.x, self.y) = (0, self.y + 1);
        }
        Ok(())
    }
}
