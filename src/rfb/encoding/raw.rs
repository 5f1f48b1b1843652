//! Raw encoding (RFC 6143 §7.7.1): every pixel, row by row.

use super::DecodeError;
use super::canvas::Canvas;
use super::pixels::{Pixels, with_pixels};
use crate::geometry::Rect;
use crate::rfb::pixel_format::Translator;
use crate::rfb::tile::{Colour, TileBuf, TileSource};
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

/// Paints a rectangle.
///
/// # Errors
/// [`DecodeError::Outside`].
pub fn decode(
    reader: &mut Reader<'_>,
    rect: Rect,
    translator: &Translator,
    canvas: &mut Canvas,
) -> Result<(), Stop<DecodeError>> {
    canvas.check(rect).map_err(Stop::Failed)?;
    with_pixels!(translator, |pixels| decode_rows(reader, rect, pixels, canvas))
}

fn decode_rows<const N: usize>(
    reader: &mut Reader<'_>,
    rect: Rect,
    pixels: Pixels<'_, N>,
    canvas: &mut Canvas,
) -> Result<(), Stop<DecodeError>> {
    let width = usize::from(rect.width);
    let mut data = Reader::new(reader.bytes(width * usize::from(rect.height) * N)?);
    let mut row: Vec<Colour> = Vec::with_capacity(width);
    for y in 0..rect.height {
        row.clear();
        for _ in 0..width {
            row.push(pixels.read(&mut data)?);
        }
        canvas.put(Rect::new(rect.x, rect.y + y, rect.width, 1), &row);
    }
    Ok(())
}
