//! RRE encoding (RFC 6143 §7.7.3): a background with subrectangles on it. No state survives the rectangle. CoRRE (the
//! community's RFB specification) is the same with places of 8 bits a number instead of 16.
//!
//! It has no form for what is not made of areas: a noisy rectangle takes up to 12 bytes a pixel.

use super::DecodeError;
use super::canvas::Canvas;
use super::pixels::{Pixels, with_pixels};
use super::work::{PALETTE, Work};
use crate::geometry::Rect;
use crate::rfb::pixel_format::Translator;
use crate::rfb::tile::{Colour, Tile, TileBuf, TileSource};
use crate::rfb::wire::{Reader, Stop, Writer};

/// The bytes of a subrectangle's position and size.
const PLACE_BYTES: usize = 8;
/// The same in CoRRE.
const COMPACT_PLACE_BYTES: usize = 4;

/// Appends the body of `rect`; in CoRRE (`compact`) it has at most 255 columns and rows.
pub(super) fn encode(
    source: &dyn TileSource,
    rect: Rect,
    compact: bool,
    translator: &Translator,
    buf: &mut TileBuf,
    work: &mut Work,
    out: &mut Vec<u8>,
) {
    with_pixels!(translator, |pixels| {
        let (width, height) = (usize::from(rect.width), usize::from(rect.height));
        work.values.clear();
        // Every form is taken as pixels: RRE is for viewers that know nothing better.
        work.packed.clear();
        let tile: Tile<'_> = source.tile(rect, buf);
        pixels.expand(&tile, width, height, &mut work.packed);
        put_rects(width, compact, pixels, work, out);
    });
}

/// Appends the subrectangles of `work.packed`.
fn put_rects<const N: usize>(
    width: usize,
    compact: bool,
    _: Pixels<'_, N>,
    work: &mut Work,
    out: &mut Vec<u8>,
) {
    let Work { packed, values, .. } = work;
    values.extend(packed.as_chunks::<N>().0.iter().map(|bytes| {
        let mut all = [0; 4];
        all[..N].copy_from_slice(bytes);
        u32::from_le_bytes(all)
    }));
    // The background is the most frequent colour, where there are few of them.
    let mut background = work.values.first().copied().unwrap_or(0);
    if work.find_palette(PALETTE) {
        let mut counts = [0u32; PALETTE];
        work.indices.iter().for_each(|index| counts[usize::from(*index)] += 1);
        let most = counts.iter().zip(&work.palette).max_by_key(|(count, _)| **count);
        background = most.map_or(background, |(_, value)| *value);
    }
    let start = out.len();
    out.put_u32(0);
    out.put(&Pixels::<N>::bytes(background));
    let values = &mut work.values;
    let height = values.len() / width.max(1);
    let mut count = 0u32;
    for at in 0..values.len() {
        let value = values[at];
        if value == background {
            continue;
        }
        let (x, y) = (at % width, at / width);
        let across = values[at..(y + 1) * width].iter().take_while(|other| **other == value).count();
        let down = (y..height)
            .take_while(|row| values[row * width + x..][..across].iter().all(|other| *other == value))
            .count();
        for row in y..y + down {
            values[row * width + x..][..across].fill(background);
        }
        out.put(&Pixels::<N>::bytes(value));
        for number in [x, y, across, down] {
            if compact {
                out.put_u8(u8::try_from(number).unwrap_or(0));
            } else {
                out.put_u16(u16::try_from(number).unwrap_or(0));
            }
        }
        count += 1;
    }
    out[start..start + 4].copy_from_slice(&count.to_be_bytes());
}

/// Subrectangles may lie upon each other, and a few bytes can paint all of the rectangle; not more often than this.
const LAYERS: u64 = 64;

/// Decodes one rectangle; goes on where it stopped when data comes in pieces.
#[derive(Debug, Default)]
pub struct Decoder {
    /// How many subrectangles are to come; unknown before the background.
    left: Option<u32>,
    compact: bool,
    /// The pixels that its subrectangles have painted.
    painted: u64,
}

impl Decoder {
    /// A decoder for a rectangle in CoRRE.
    #[must_use]
    pub fn compact() -> Self {
        Self { compact: true, ..Self::default() }
    }

    /// Paints as much of a rectangle as there is data for. On [`Stop::NeedMore`] the reader has consumed the
    /// subrectangles that are complete; call again with the same `rect` and what follows them.
    ///
    /// # Errors
    /// [`DecodeError::Outside`], [`DecodeError::SubrectOutside`] and [`DecodeError::Overpainted`].
    pub fn decode(
        &mut self,
        reader: &mut Reader<'_>,
        rect: Rect,
        translator: &Translator,
        canvas: &mut Canvas,
    ) -> Result<(), Stop<DecodeError>> {
        canvas.check(rect).map_err(Stop::Failed)?;
        with_pixels!(translator, |pixels| self.decode_rects(reader, rect, pixels, canvas))
    }

    fn decode_rects<const N: usize>(
        &mut self,
        reader: &mut Reader<'_>,
        area: Rect,
        pixels: Pixels<'_, N>,
        canvas: &mut Canvas,
    ) -> Result<(), Stop<DecodeError>> {
        let mut left = match self.left {
            Some(left) => left,
            None => {
                let mut head = Reader::new(reader.bytes(4 + N)?);
                let left = head.u32()?;
                canvas.fill(area, pixels.read(&mut head)?);
                self.left = Some(left);
                left
            }
        };
        while left > 0 {
            let place = if self.compact { COMPACT_PLACE_BYTES } else { PLACE_BYTES };
            let mut subrect = Reader::new(reader.bytes(N + place)?);
            let colour: Colour = pixels.read(&mut subrect)?;
            let rect = if self.compact {
                let [x, y, width, height] = subrect.array::<COMPACT_PLACE_BYTES>()?.map(u16::from);
                Rect::new(x, y, width, height)
            } else {
                Rect::new(subrect.u16()?, subrect.u16()?, subrect.u16()?, subrect.u16()?)
            };
            if !area.size().rect().contains(rect) {
                return Err(Stop::Failed(DecodeError::SubrectOutside { rect, size: area.size() }));
            }
            self.painted += u64::from(rect.area());
            if self.painted > LAYERS * u64::from(area.area()) {
                return Err(Stop::Failed(DecodeError::Overpainted(area)));
            }
            // Only an empty one can be so far away that this saturates.
            let (x, y) = (area.x.saturating_add(rect.x), area.y.saturating_add(rect.y));
            canvas.fill(Rect { x, y, ..rect }, colour);
            left -= 1;
            self.left = Some(left);
        }
        Ok(())
    }
}
