//! The viewer's side of Tight.

use super::{
    BARE_BYTES, EXPLICIT_FILTER, FILL, FILTER_COPY, FILTER_PALETTE, red_green_blue, with_tight_pixels,
};
use crate::geometry::Rect;
use crate::rfb::deflate::Decompressor;
use crate::rfb::encoding::DecodeError;
use crate::rfb::encoding::canvas::Canvas;
use crate::rfb::encoding::pixels::Pixels;
use crate::rfb::pixel_format::Translator;
use crate::rfb::tile::Colour;
use crate::rfb::wire::{NeedMore, Reader, Stop};

/// The decoder's side of a server's Tight streams.
pub struct Decoder {
    streams: [Option<Decompressor>; 4],
    rgb: Translator,
    unpacked: Vec<u8>,
    row: Vec<Colour>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            streams: [None, None, None, None],
            rgb: red_green_blue(),
            unpacked: Vec::new(),
            row: Vec::new(),
        }
    }
}

impl Decoder {
    /// Paints a rectangle. The memory that it takes is bounded by the rectangle, which is inside of the canvas.
    ///
    /// # Errors
    /// See [`DecodeError`]; the streams are lost after each of them.
    pub fn decode(
        &mut self,
        reader: &mut Reader<'_>,
        rect: Rect,
        translator: &Translator,
        canvas: &mut Canvas,
    ) -> Result<(), Stop<DecodeError>> {
        canvas.check(rect).map_err(Stop::Failed)?;
        let Self { streams, rgb, unpacked, row } = self;
        with_tight_pixels!(translator, rgb, |pixels| {
            decode(reader, rect, pixels, &mut State { streams, unpacked, row }, canvas)
        })
    }
}

/// A decoder's parts beside its translator.
struct State<'a> {
    streams: &'a mut [Option<Decompressor>; 4],
    unpacked: &'a mut Vec<u8>,
    row: &'a mut Vec<Colour>,
}

fn decode<const N: usize>(
    reader: &mut Reader<'_>,
    rect: Rect,
    pixels: Pixels<'_, N>,
    state: &mut State<'_>,
    canvas: &mut Canvas,
) -> Result<(), Stop<DecodeError>> {
    let (width, height) = (usize::from(rect.width), usize::from(rect.height));
    let control = reader.u8()?;
    let renewed = control & 0x0f;
    let form = control & 0xf0;
    if form == FILL {
        canvas.fill(rect, pixels.read(reader)?);
        renew(state.streams, renewed);
        return Ok(());
    }
    if form >= FILL {
        return Err(Stop::Failed(DecodeError::TightControl(control)));
    }
    let filter = if form & EXPLICIT_FILTER == 0 { FILTER_COPY } else { reader.u8()? };
    let mut palette = Vec::new();
    if filter == FILTER_PALETTE {
        for _ in 0..=reader.u8()? {
            palette.push(pixels.read(reader)?);
        }
    } else if filter != FILTER_COPY {
        return Err(Stop::Failed(DecodeError::TightFilter(filter)));
    }
    // One colour may stand behind a palette, too; it has bits like two.
    let row_bytes = match palette.len() {
        0 => width * N,
        1 | 2 => width.div_ceil(8),
        _ => width,
    };
    let length = row_bytes * height;
    let data = if length < BARE_BYTES {
        let data = reader.bytes(length)?;
        renew(state.streams, renewed);
        data
    } else {
        let packed = read_length(reader)?;
        let packed = reader.bytes(packed)?;
        renew(state.streams, renewed);
        let stream = state.streams[usize::from(form >> 4 & 3)].get_or_insert_default();
        state.unpacked.clear();
        stream.read(packed, length, state.unpacked).map_err(|error| Stop::Failed(error.into()))?;
        if state.unpacked.len() < length {
            return Err(Stop::Failed(DecodeError::Short(rect)));
        }
        &state.unpacked[..]
    };
    for (y, bytes) in (rect.y..).zip(data.chunks_exact(row_bytes.max(1))) {
        state.row.clear();
        let mut bytes = Reader::new(bytes);
        for x in 0..width {
            let index = match palette.len() {
                0 => {
                    state.row.push(pixels.read(&mut bytes)?);
                    continue;
                }
                1 | 2 => bytes.rest()[x / 8] >> (7 - x % 8) & 1,
                _ => bytes.rest()[x],
            };
            let index = usize::from(index);
            let colour = palette.get(index).copied();
            let wrong = DecodeError::PaletteIndex { index, length: palette.len() };
            state.row.push(colour.ok_or(Stop::Failed(wrong))?);
        }
        canvas.put(Rect { y, height: 1, ..rect }, state.row);
    }
    Ok(())
}

/// Forgets the streams whose bits are set: they begin anew.
fn renew(streams: &mut [Option<Decompressor>; 4], bits: u8) {
    for (at, stream) in streams.iter_mut().enumerate() {
        if bits >> at & 1 == 1 {
            *stream = None;
        }
    }
}

/// A length of one to three bytes, below 2^22.
fn read_length(reader: &mut Reader<'_>) -> Result<usize, NeedMore> {
    let mut length = 0;
    for (shift, mask) in [(0, 0x7f), (7, 0x7f), (14, 0xff)] {
        let byte = reader.u8()?;
        length |= usize::from(byte & mask) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    Ok(length)
}
