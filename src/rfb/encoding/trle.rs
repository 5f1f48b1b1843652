//! TRLE encoding (RFC 6143 §7.7.5): ZRLE's tile forms in tiles of 16 by 16 pixels, without compression. No state
//! survives the rectangle.
//!
//! The encoder names every palette anew; the decoder also knows the forms that go on with the last one.

use super::canvas::Canvas;
use super::pixels::with_compressed_pixels;
use super::work::Work;
use super::zrle::{Palette, decode_tile, encode_tile};
use super::{DecodeError, tile_at, tiles};
use crate::geometry::Rect;
use crate::rfb::pixel_format::Translator;
use crate::rfb::tile::{Colour, TileBuf, TileSource};
use crate::rfb::wire::{Reader, Stop, Writer};

/// The side of a tile in pixels.
pub const TILE: u16 = 16;

/// Appends the body of `rect`.
pub(super) fn encode(
    source: &dyn TileSource,
    rect: Rect,
    translator: &Translator,
    buf: &mut TileBuf,
    work: &mut Work,
    out: &mut Vec<u8>,
) {
    with_compressed_pixels!(translator, |pixels| {
        for area in tiles(rect, TILE) {
            work.packed.clear();
            let tile = source.tile(area, buf);
            encode_tile(&tile, usize::from(area.width), usize::from(area.height), pixels, work);
            out.put(&work.packed);
        }
    });
}

/// Decodes one rectangle; goes on where it stopped when data comes in pieces.
#[derive(Default)]
pub struct Decoder {
    done: usize,
    palette: Palette,
    row: Vec<Colour>,
}

impl Decoder {
    /// Paints as much of a rectangle as there is data for. On [`Stop::NeedMore`] the reader has consumed the tiles
    /// that are complete; call again with the same `rect` and what follows them.
    ///
    /// # Errors
    /// See [`DecodeError`].
    pub fn decode(
        &mut self,
        reader: &mut Reader<'_>,
        rect: Rect,
        translator: &Translator,
        canvas: &mut Canvas,
    ) -> Result<(), Stop<DecodeError>> {
        canvas.check(rect).map_err(Stop::Failed)?;
        with_compressed_pixels!(translator, |pixels| {
            while let Some(area) = tile_at(rect, TILE, self.done) {
                let mut attempt = *reader;
                let mut palette = self.palette;
                decode_tile(&mut attempt, area, pixels, &mut self.row, canvas, Some(&mut palette))?;
                self.palette = palette;
                *reader = attempt;
                self.done += 1;
            }
        });
        Ok(())
    }
}
