//! Hextile encoding (RFC 6143 §7.7.4): tiles of 16 by 16 pixels, each a background with subrectangles on it, or raw.
//! No state survives the rectangle.
//!
//! Colours are carried over from tile to tile as the specification says, but never across a raw tile and never a
//! foreground across a tile of coloured subrectangles: there implementations differ.

use super::canvas::Canvas;
use super::pixels::{Pixels, with_pixels};
use super::work::{Form, PALETTE, Work};
use super::{DecodeError, tile_at, tiles};
use crate::geometry::{Rect, Size};
use crate::rfb::pixel_format::Translator;
use crate::rfb::tile::{Colour, Tile, TileBuf, TileSource};
use crate::rfb::wire::{Reader, Stop, Writer};

/// The side of a tile in pixels.
pub const TILE: u16 = 16;

/// The pixels of a whole tile.
const TILE_PIXELS: usize = 256;

/// The most subrectangles of a tile; their count is a byte.
const SUBRECTS: usize = 255;

const RAW: u8 = 1;
const BACKGROUND: u8 = 2;
const FOREGROUND: u8 = 4;
const ANY_SUBRECTS: u8 = 8;
const COLOURED: u8 = 16;

/// Appends the body of `rect`.
pub(super) fn encode(
    source: &dyn TileSource,
    rect: Rect,
    translator: &Translator,
    buf: &mut TileBuf,
    work: &mut Work,
    out: &mut Vec<u8>,
) {
    with_pixels!(translator, |pixels| {
        let mut carried = Carried::default();
        for area in tiles(rect, TILE) {
            let tile = source.tile(area, buf);
            carried.encode_tile(&tile, area.size(), pixels, work, out);
        }
    });
}

/// A subrectangle: position and size in its tile, 1 to 16 each, and an index into the palette.
#[derive(Clone, Copy, Default)]
struct Subrect {
    x: u8,
    y: u8,
    width: u8,
    height: u8,
    index: u8,
}

impl Subrect {
    fn put(self, out: &mut Vec<u8>) {
        out.put(&[self.x << 4 | self.y, (self.width - 1) << 4 | (self.height - 1)]);
    }
}

/// The wire values of the colours that the next tile may use without naming them.
#[derive(Default)]
struct Carried {
    background: Option<u32>,
    foreground: Option<u32>,
}

impl Carried {
    fn encode_tile<const N: usize>(
        &mut self,
        tile: &Tile<'_>,
        size: Size,
        pixels: Pixels<'_, N>,
        work: &mut Work,
        out: &mut Vec<u8>,
    ) {
        let (width, height) = (usize::from(size.width), usize::from(size.height));
        match *tile {
            Tile::Solid(colour) => return self.put_solid::<N>(pixels.value(colour), out),
            Tile::TwoColour { bg, fg, bits } => {
                let rows = bit_rows(bits, width);
                if self.put_two_colours::<N>([pixels.value(bg), pixels.value(fg)], rows, size, out) {
                    return;
                }
            }
            Tile::Indexed { palette, indices } => {
                work.values.clear();
                let colour = |index: &u8| palette.get(usize::from(*index)).copied().unwrap_or_default();
                work.values.extend(indices.iter().map(|index| pixels.value(colour(index))));
                if self.put_values::<N>(size, work, out) {
                    return;
                }
            }
            Tile::Pixels(colours) => {
                work.values.clear();
                work.values.extend(colours.iter().map(|colour| pixels.value(*colour)));
                if self.put_values::<N>(size, work, out) {
                    return;
                }
            }
        }
        out.put_u8(RAW);
        pixels.expand(tile, width, height, out);
        *self = Self::default();
    }

    /// The flags and colours of a tile with this background.
    fn put_background<const N: usize>(&mut self, value: u32, flags: u8, out: &mut Vec<u8>) {
        if self.background == Some(value) {
            out.put_u8(flags);
        } else {
            out.put_u8(flags | BACKGROUND);
            out.put(&Pixels::<N>::bytes(value));
            self.background = Some(value);
        }
    }

    fn put_solid<const N: usize>(&mut self, value: u32, out: &mut Vec<u8>) {
        self.put_background::<N>(value, 0, out);
    }

    /// One foreground on a background; `rows` has a bit a pixel, the leftmost most significant. False when raw is
    /// shorter; nothing has been appended then.
    fn put_two_colours<const N: usize>(
        &mut self,
        values: [u32; 2],
        mut rows: [u16; 16],
        size: Size,
        out: &mut Vec<u8>,
    ) -> bool {
        let used = u16::MAX << (16 - size.width);
        let height = usize::from(size.height);
        rows[height..].fill(0);
        rows[..height].iter_mut().for_each(|row| *row &= used);
        let ones: u32 = rows.iter().map(|row| row.count_ones()).sum();
        if ones == 0 || values[0] == values[1] {
            self.put_solid::<N>(values[0], out);
            return true;
        }
        let [mut background, mut foreground] = values;
        if ones * 2 > size.area() {
            (background, foreground) = (foreground, background);
            rows[..height].iter_mut().for_each(|row| *row = !*row & used);
            if ones == size.area() {
                self.put_solid::<N>(background, out);
                return true;
            }
        }
        let mut subrects = [Subrect::default(); SUBRECTS];
        let Some(count) = find_mono(rows, height, &mut subrects) else { return false };
        // Without the byte of flags, which both forms have.
        let raw = N * usize::try_from(size.area()).unwrap_or(TILE_PIXELS);
        if 1 + 2 * N + 2 * count >= raw {
            return false;
        }
        let new = self.foreground != Some(foreground);
        self.put_background::<N>(background, ANY_SUBRECTS | if new { FOREGROUND } else { 0 }, out);
        if new {
            out.put(&Pixels::<N>::bytes(foreground));
            self.foreground = Some(foreground);
        }
        out.put_u8(u8::try_from(count).unwrap_or(u8::MAX));
        subrects[..count].iter().for_each(|subrect| subrect.put(out));
        true
    }

    /// Any tile, by its wire values in `work.values`. False when raw is shorter; nothing has been appended then.
    fn put_values<const N: usize>(&mut self, size: Size, work: &mut Work, out: &mut Vec<u8>) -> bool {
        let width = usize::from(size.width);
        match work.classify(width, PALETTE) {
            Form::Many => return false,
            Form::Solid(value) => {
                self.put_solid::<N>(value, out);
                return true;
            }
            Form::Two(values) => {
                return self.put_two_colours::<N>(values, bit_rows(&work.bits, width), size, out);
            }
            Form::Few => {}
        }
        let mut counts = [0u16; PALETTE];
        work.indices.iter().for_each(|index| counts[usize::from(*index)] += 1);
        let most = counts.iter().enumerate().max_by_key(|(_, count)| **count).map_or(0, |(index, _)| index);
        let raw = 1 + N * work.values.len();
        let limit = (raw.saturating_sub(2 + N) / (N + 2)).min(SUBRECTS);
        let mut subrects = [Subrect::default(); SUBRECTS];
        let background = u8::try_from(most).unwrap_or(0);
        let Some(count) = find_coloured(&mut work.indices, width, background, &mut subrects[..limit]) else {
            return false;
        };
        self.put_background::<N>(work.palette[most], ANY_SUBRECTS | COLOURED, out);
        self.foreground = None;
        out.put_u8(u8::try_from(count).unwrap_or(u8::MAX));
        for subrect in &subrects[..count] {
            out.put(&Pixels::<N>::bytes(work.palette[usize::from(subrect.index)]));
            subrect.put(out);
        }
        true
    }
}

/// Rows of bits, each starting on a byte, as numbers.
fn bit_rows(bits: &[u8], width: usize) -> [u16; 16] {
    let mut rows = [0; 16];
    for (row, bytes) in rows.iter_mut().zip(bits.chunks_exact(width.div_ceil(8).max(1))) {
        *row = u16::from_be_bytes([bytes[0], bytes.get(1).copied().unwrap_or(0)]);
    }
    rows
}

/// Covers the set bits by rectangles: each run of a row, as far down as the rows below have it too. `None` when
/// there are more than fit.
fn find_mono(mut rows: [u16; 16], height: usize, found: &mut [Subrect]) -> Option<usize> {
    let mut count = 0;
    for y in 0..height {
        while rows[y] != 0 {
            let x = rows[y].leading_zeros();
            let width = (rows[y] << x).leading_ones();
            let mask = (u16::MAX << (16 - width)) >> x;
            let below = rows[y..height].iter().take_while(|row| **row & mask == mask).count();
            rows[y..y + below].iter_mut().for_each(|row| *row &= !mask);
            let small = |n: u32| u8::try_from(n).unwrap_or(0);
            *found.get_mut(count)? = Subrect {
                x: small(x),
                y: u8::try_from(y).unwrap_or(0),
                width: small(width),
                height: u8::try_from(below).unwrap_or(0),
                index: 0,
            };
            count += 1;
        }
    }
    Some(count)
}

/// Covers the pixels that are not background by rectangles of one colour; what is covered becomes background in
/// `indices`. `None` when there are more than fit.
fn find_coloured(indices: &mut [u8], width: usize, background: u8, found: &mut [Subrect]) -> Option<usize> {
    let mut count = 0;
    let height = indices.len() / width;
    for at in 0..indices.len() {
        let index = indices[at];
        if index == background {
            continue;
        }
        let (x, y) = (at % width, at / width);
        let across = indices[at..(y + 1) * width].iter().take_while(|i| **i == index).count();
        let down = (y..height)
            .take_while(|row| indices[row * width + x..][..across].iter().all(|i| *i == index))
            .count();
        for row in y..y + down {
            indices[row * width + x..][..across].fill(background);
        }
        let [x, y, width, height] = [x, y, across, down].map(|n| u8::try_from(n).unwrap_or(0));
        *found.get_mut(count)? = Subrect { x, y, width, height, index };
        count += 1;
    }
    Some(count)
}

/// Decodes one rectangle; goes on where it stopped when data comes in pieces.
#[derive(Debug, Default)]
pub struct Decoder {
    done: usize,
    background: Colour,
    foreground: Colour,
}

impl Decoder {
    /// Paints as much of a rectangle as there is data for. On [`Stop::NeedMore`] the reader has consumed the tiles
    /// that are complete; call again with the same `rect` and what follows them.
    ///
    /// # Errors
    /// [`DecodeError::Outside`] and [`DecodeError::SubrectOutside`].
    pub fn decode(
        &mut self,
        reader: &mut Reader<'_>,
        rect: Rect,
        translator: &Translator,
        canvas: &mut Canvas,
    ) -> Result<(), Stop<DecodeError>> {
        canvas.check(rect).map_err(Stop::Failed)?;
        with_pixels!(translator, |pixels| {
            while let Some(area) = tile_at(rect, TILE, self.done) {
                let mut attempt = *reader;
                self.decode_tile(&mut attempt, area, pixels, canvas)?;
                *reader = attempt;
                self.done += 1;
            }
        });
        Ok(())
    }

    fn decode_tile<const N: usize>(
        &mut self,
        reader: &mut Reader<'_>,
        area: Rect,
        pixels: Pixels<'_, N>,
        canvas: &mut Canvas,
    ) -> Result<(), Stop<DecodeError>> {
        let flags = reader.u8()?;
        if flags & RAW != 0 {
            let count = usize::try_from(area.area()).unwrap_or(0);
            let mut data = Reader::new(reader.bytes(count * N)?);
            let mut colours = [Colour::BLACK; TILE_PIXELS];
            for colour in &mut colours[..count] {
                *colour = pixels.read(&mut data)?;
            }
            canvas.put(area, &colours[..count]);
            return Ok(());
        }
        let background = if flags & BACKGROUND != 0 { pixels.read(reader)? } else { self.background };
        let foreground = if flags & FOREGROUND != 0 { pixels.read(reader)? } else { self.foreground };
        let count = if flags & ANY_SUBRECTS != 0 { usize::from(reader.u8()?) } else { 0 };
        let coloured = flags & COLOURED != 0;
        let mut data = Reader::new(reader.bytes(count * if coloured { N + 2 } else { 2 })?);
        canvas.fill(area, background);
        for _ in 0..count {
            let colour = if coloured { pixels.read(&mut data)? } else { foreground };
            let (at, size) = (u16::from(data.u8()?), u16::from(data.u8()?));
            let rect = Rect::new(at >> 4, at & 15, (size >> 4) + 1, (size & 15) + 1);
            if !area.size().rect().contains(rect) {
                return Err(Stop::Failed(DecodeError::SubrectOutside { rect, size: area.size() }));
            }
            canvas.fill(Rect { x: area.x + rect.x, y: area.y + rect.y, ..rect }, colour);
        }
        (self.background, self.foreground) = (background, foreground);
        Ok(())
    }
}
