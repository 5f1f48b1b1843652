//! ZRLE encoding (RFC 6143 §7.7.6): tiles of 64 by 64 pixels, each in the shortest of five forms, through one zlib
//! stream that lasts as long as the connection.
//!
//! A two-colour tile's bits are ZRLE's packed palette already: they go into the stream as they are.

use super::canvas::Canvas;
use super::pixels::{Pixels, with_compressed_pixels};
use super::unpacked::Unpacked;
use super::work::{Form, PALETTE, Work, count_changes, runs};
use super::{DecodeError, tile_at, tiles};
use crate::geometry::Rect;
use crate::rfb::deflate::{Compressor, Decompressor};
use crate::rfb::pixel_format::Translator;
use crate::rfb::tile::{Colour, Tile, TileBuf, TileSource};
use crate::rfb::wire::{NeedMore, Reader, Stop, Writer};

/// The side of a tile in pixels.
pub const TILE: u16 = 64;

/// Subencoding 0: every pixel.
const RAW: u8 = 0;
/// Subencoding 1: one colour. 2 to 16: a packed palette of so many colours.
const SOLID: u8 = 1;
/// The most colours of a packed palette.
const PACKED: usize = 16;
/// Subencoding 127, TRLE only: as a packed palette, with the palette of an earlier tile.
const PACKED_AGAIN: u8 = 127;
/// Subencoding 129, TRLE only: runs of indices into the palette of an earlier tile.
const RLE_AGAIN: u8 = 129;
/// Subencoding 128: runs of colours.
const PLAIN_RLE: u8 = 128;
/// Subencoding 128 + n, n from 2 to 127: runs of indices into a palette of n colours.
const PALETTE_RLE: u8 = 128;
/// In a run's first byte in palette RLE: the run is longer than one pixel, its length follows.
const LONG_RUN: u8 = 128;

/// Encoded tiles are handed to the compressor in portions of at least so many bytes.
const PORTION: usize = 8 * 1024;

/// The encoder's side of a viewer's ZRLE stream. Lives as long as the connection, because its zlib stream does.
pub struct Encoder {
    stream: Compressor,
}

impl Encoder {
    /// The beginning of a connection's stream, at one of zlib's compression levels.
    pub(super) fn new(level: u8) -> Self {
        Self { stream: Compressor::with_level(level) }
    }

    /// Goes on at another level.
    pub(super) fn set_level(&mut self, level: u8) {
        self.stream.set_level(level);
    }

    /// Appends the body of `rect`.
    pub(super) fn encode(
        &mut self,
        source: &dyn TileSource,
        rect: Rect,
        translator: &Translator,
        buf: &mut TileBuf,
        work: &mut Work,
        out: &mut Vec<u8>,
    ) {
        let start = out.len();
        out.put_u32(0);
        work.packed.clear();
        with_compressed_pixels!(translator, |pixels| {
            for area in tiles(rect, TILE) {
                let tile = source.tile(area, buf);
                encode_tile(&tile, usize::from(area.width), usize::from(area.height), pixels, work);
                if work.packed.len() >= PORTION {
                    self.stream.write(&work.packed, out);
                    work.packed.clear();
                }
            }
        });
        self.stream.write(&work.packed, out);
        self.stream.flush(out);
        let length = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }
}

/// Appends a tile to `work.packed` in its shortest form.
pub(super) fn encode_tile<const N: usize>(
    tile: &Tile<'_>,
    width: usize,
    height: usize,
    pixels: Pixels<'_, N>,
    work: &mut Work,
) {
    match *tile {
        Tile::Solid(colour) => solid::<N>(pixels.value(colour), &mut work.packed),
        Tile::TwoColour { bg, fg, bits } => {
            let palette = [pixels.value(bg), pixels.value(fg)];
            two_colours::<N>(palette, bits, width, height, &mut work.packed);
        }
        Tile::Indexed { palette, indices } if (2..=PALETTE).contains(&palette.len()) => {
            work.palette.clear();
            work.palette.extend(palette.iter().map(|colour| pixels.value(*colour)));
            few_colours::<N>(&work.palette, indices, width, &mut work.packed);
        }
        Tile::Indexed { palette, indices } => {
            work.values.clear();
            let colour = |index: &u8| palette.get(usize::from(*index)).copied().unwrap_or_default();
            work.values.extend(indices.iter().map(|index| pixels.value(colour(index))));
            any_colours::<N>(width, work);
        }
        Tile::Pixels(colours) => {
            pixels.values(colours, &mut work.values);
            any_colours::<N>(width, work);
        }
    }
}

fn solid<const N: usize>(value: u32, out: &mut Vec<u8>) {
    out.put_u8(SOLID);
    out.put(&Pixels::<N>::bytes(value));
}

fn put_palette<const N: usize>(first: u8, palette: &[u32], out: &mut Vec<u8>) {
    // A palette has at most 127 colours here.
    out.put_u8(first + u8::try_from(palette.len()).unwrap_or(0));
    for value in palette {
        out.put(&Pixels::<N>::bytes(*value));
    }
}

/// Appends the length of a run: one less, in as many bytes of 255 as it takes, and the rest.
fn put_run_length(length: usize, out: &mut Vec<u8>) {
    let mut left = length.saturating_sub(1);
    while left >= 255 {
        out.put_u8(255);
        left -= 255;
    }
    out.put_u8(u8::try_from(left).unwrap_or(0));
}

fn put_palette_run(index: u8, length: usize, out: &mut Vec<u8>) {
    if length == 1 {
        out.put_u8(index);
    } else {
        out.put_u8(index | LONG_RUN);
        put_run_length(length, out);
    }
}

/// One row of bits of a tile, leftmost pixel most significant.
fn row_bits(bytes: &[u8]) -> u64 {
    let mut all = [0; 8];
    let count = bytes.len().min(8);
    all[..count].copy_from_slice(&bytes[..count]);
    u64::from_be_bytes(all)
}

/// Packed bits, or runs where the tile is nearly empty.
fn two_colours<const N: usize>(
    palette: [u32; 2],
    bits: &[u8],
    width: usize,
    height: usize,
    out: &mut Vec<u8>,
) {
    let stride = width.div_ceil(8);
    let used = u64::MAX << (64 - width.clamp(1, 64));
    let rows = || bits.chunks_exact(stride).take(height).map(|row| row_bits(row) & used);
    let (mut changes, mut any, mut all) = (0usize, 0, u64::MAX);
    let mut last = u64::from(bits.first().is_some_and(|byte| byte & 0x80 != 0));
    for row in rows() {
        // A bit of `change` is set where a pixel differs from the one before it, in the row above at the left edge.
        let change = (row ^ (row >> 1 | last << 63)) & used;
        changes += usize::try_from(change.count_ones()).unwrap_or(0);
        any |= row;
        all &= row | !used;
        last = row >> (64 - width.clamp(1, 64)) & 1;
    }
    if palette[0] == palette[1] || any == 0 {
        return solid::<N>(palette[0], out);
    }
    if all == u64::MAX {
        return solid::<N>(palette[1], out);
    }
    // Every run takes a byte for its colour and one for its length; the lengths over 255 take some more.
    let as_runs = 2 * (changes + 1) + width * height / 255;
    if as_runs >= height * stride {
        put_palette::<N>(0, &palette, out);
        out.put(&bits[..(height * stride).min(bits.len())]);
        return;
    }
    put_palette::<N>(PALETTE_RLE, &palette, out);
    let (mut colour, mut length) = (u8::from(bits[0] & 0x80 != 0), 0);
    for row in rows() {
        let (mut row, mut left) = (row, width);
        while left > 0 {
            // How many pixels from here on have the run's colour.
            let same = if colour == 0 { row.leading_zeros() } else { row.leading_ones() };
            let same = usize::try_from(same).unwrap_or(0).min(left);
            length += same;
            left -= same;
            if left > 0 {
                put_palette_run(colour, length, out);
                (colour, length) = (colour ^ 1, 0);
                row = if same < 64 { row << same } else { 0 };
            }
        }
    }
    put_palette_run(colour, length, out);
}

/// About how many bytes `indices` take as runs: one for a pixel that stands alone, two and one more for every 255 pixels for
/// others.
fn run_bytes(indices: &[u8]) -> usize {
    let (changes, alone) = count_changes(indices);
    2 * (changes + 1) - alone + indices.len() / 255
}

/// Appends a row of indices, so many a byte, the first one in the most significant bits.
fn pack<const A_BYTE: usize>(row: &[u8], out: &mut Vec<u8>) {
    let bits = 8 / A_BYTE;
    let whole = |group: &[u8]| group.iter().fold(0, |byte, index| byte << bits | index);
    let (groups, rest) = row.as_chunks::<A_BYTE>();
    out.extend(groups.iter().map(|group| whole(group)));
    if !rest.is_empty() {
        out.put_u8(whole(rest) << (8 - bits * rest.len()));
    }
}

/// Packed indices or runs of indices, whichever is shorter, for a palette of 2 to 127 colours.
fn few_colours<const N: usize>(palette: &[u32], indices: &[u8], width: usize, out: &mut Vec<u8>) {
    let height = indices.len() / width.max(1);
    let bits = match palette.len() {
        2 => 1,
        3..=4 => 2,
        _ => 4,
    };
    let packed = height * (width * bits).div_ceil(8);
    let raw = indices.len() * N;
    let as_runs = run_bytes(indices);
    let palette_bytes = palette.len() * N;
    if palette.len() <= PACKED && packed <= as_runs && packed + palette_bytes < raw {
        put_palette::<N>(0, palette, out);
        for row in indices.chunks_exact(width) {
            match bits {
                1 => pack::<8>(row, out),
                2 => pack::<4>(row, out),
                _ => pack::<2>(row, out),
            }
        }
    } else if as_runs + palette_bytes < raw {
        put_palette::<N>(PALETTE_RLE, palette, out);
        for (index, length) in runs(indices) {
            put_palette_run(index, length, out);
        }
    } else {
        out.put_u8(RAW);
        for index in indices {
            out.put(&Pixels::<N>::bytes(palette[usize::from(*index)]));
        }
    }
}

/// The shortest form for `work.values`.
fn any_colours<const N: usize>(width: usize, work: &mut Work) {
    match work.classify(width, PALETTE) {
        Form::Solid(value) => return solid::<N>(value, &mut work.packed),
        Form::Two(palette) => {
            let height = work.values.len() / width.max(1);
            return two_colours::<N>(palette, &work.bits, width, height, &mut work.packed);
        }
        Form::Few => return few_colours::<N>(&work.palette, &work.indices, width, &mut work.packed),
        Form::Many => {}
    }
    // A run takes its pixel and a byte, and one more for every 255 pixels.
    let next = work.values.get(1..).unwrap_or_default();
    let changes: u32 = work.values.iter().zip(next).map(|(a, b)| u32::from(a != b)).sum();
    let changes = usize::try_from(changes).unwrap_or(usize::MAX);
    let as_runs = (changes + 1) * (N + 1) + work.values.len() / 255;
    if as_runs < work.values.len() * N {
        work.packed.put_u8(PLAIN_RLE);
        for (value, length) in runs(&work.values) {
            work.packed.put(&Pixels::<N>::bytes(value));
            put_run_length(length, &mut work.packed);
        }
    } else {
        work.packed.put_u8(RAW);
        Pixels::<N>::put_values(&work.values, &mut work.packed);
    }
}

/// The decoder's side of a server's ZRLE stream.
#[derive(Default)]
pub struct Decoder {
    stream: Decompressor,
    unpacked: Unpacked,
    /// The compressed bytes of the rectangle under way that are to come.
    left: Option<usize>,
    /// Its tiles that are painted.
    done: usize,
    row: Vec<Colour>,
}

impl Decoder {
    /// Paints as much of a rectangle as there is data for. On [`Stop::NeedMore`] the reader has consumed what could be
    /// used; call again with the same `rect` and what follows.
    ///
    /// # Errors
    /// See [`DecodeError`]; the stream is lost after each of them.
    pub fn decode(
        &mut self,
        reader: &mut Reader<'_>,
        rect: Rect,
        translator: &Translator,
        canvas: &mut Canvas,
    ) -> Result<(), Stop<DecodeError>> {
        canvas.check(rect).map_err(Stop::Failed)?;
        let Self { stream, unpacked, left, done, row } = self;
        if left.is_none() {
            *left = Some(usize::try_from(reader.u32()?).unwrap_or(usize::MAX));
            *done = 0;
        }
        unpacked.unpack(stream, reader, left, rect, |reader| {
            with_compressed_pixels!(translator, |pixels| {
                while let Some(area) = tile_at(rect, TILE, *done) {
                    let mut attempt = *reader;
                    decode_tile(&mut attempt, area, pixels, row, canvas, None)?;
                    *reader = attempt;
                    *done += 1;
                }
            });
            Ok(())
        })
    }
}

/// Reads the length of a run where `left` pixels are left.
fn run_length(reader: &mut Reader<'_>, left: usize) -> Result<usize, Stop<DecodeError>> {
    let mut run = 1;
    loop {
        let byte = reader.u8()?;
        run += usize::from(byte);
        // Told at once, so that a run without end does not pile up.
        if run > left {
            return Err(Stop::Failed(DecodeError::RunTooLong { run, left }));
        }
        if byte != 255 {
            return Ok(run);
        }
    }
}

fn pick(palette: &[Colour], index: usize) -> Result<Colour, Stop<DecodeError>> {
    let colour = palette.get(index).copied();
    colour.ok_or(Stop::Failed(DecodeError::PaletteIndex { index, length: palette.len() }))
}

/// Paints rows of indices of so many bits into a packed palette. Returns the largest index, which may be one that the
/// palette does not have.
fn unpack<'a, const BITS: usize>(
    reader: &mut Reader<'_>,
    palette: &[Colour],
    rows: impl Iterator<Item = &'a mut [Colour]>,
) -> Result<usize, NeedMore> {
    let mut inks = [Colour::BLACK; PACKED];
    inks.iter_mut().zip(palette).for_each(|(ink, colour)| *ink = *colour);
    let mut most = 0;
    for row in rows {
        let bytes = reader.bytes((row.len() * BITS).div_ceil(8))?;
        for (group, byte) in row.chunks_mut(8 / BITS).zip(bytes) {
            for (at, to) in group.iter_mut().enumerate() {
                let index = usize::from(byte >> (8 - BITS - at * BITS)) & ((1 << BITS) - 1);
                most = most.max(index);
                *to = inks[index];
            }
        }
    }
    Ok(most)
}

/// The palette of a tile.
#[derive(Clone, Copy)]
pub(super) struct Palette {
    colours: [Colour; PALETTE],
    length: usize,
}

impl Default for Palette {
    fn default() -> Self {
        Self { colours: [Colour::BLACK; PALETTE], length: 0 }
    }
}

/// Paints a tile. `last` is the palette of an earlier tile where such a one may be used again (TRLE), and gets that of
/// this one.
pub(super) fn decode_tile<const N: usize>(
    reader: &mut Reader<'_>,
    area: Rect,
    pixels: Pixels<'_, N>,
    colours: &mut Vec<Colour>,
    canvas: &mut Canvas,
    last: Option<&mut Palette>,
) -> Result<(), Stop<DecodeError>> {
    let (width, height) = (usize::from(area.width), usize::from(area.height));
    let all = width * height;
    colours.clear();
    let kind = reader.u8()?;
    let mut palette = Palette::default();
    match (kind, &last) {
        (2..=16 | 130..=255, _) => {
            palette.length = usize::from(kind & 127);
            for colour in &mut palette.colours[..palette.length] {
                *colour = pixels.read(reader)?;
            }
        }
        (RAW | SOLID | PLAIN_RLE, _) => {}
        (PACKED_AGAIN, Some(last)) if (2..=PACKED).contains(&last.length) => palette = **last,
        (RLE_AGAIN, Some(last)) if last.length >= 2 => palette = **last,
        _ => return Err(Stop::Failed(DecodeError::UnknownTile(kind))),
    }
    if let Some(last) = last
        && palette.length > 0
    {
        *last = palette;
    }
    let palette = &palette.colours[..palette.length];
    match kind {
        RAW => {
            colours.resize(all, Colour::BLACK);
            pixels.paint(reader.bytes(all * N)?, colours);
        }
        SOLID => {
            canvas.fill(area, pixels.read(reader)?);
            return Ok(());
        }
        2..=16 | PACKED_AGAIN => {
            colours.resize(all, Colour::BLACK);
            let rows = colours.chunks_exact_mut(width);
            let most = match palette.len() {
                2 => unpack::<1>(reader, palette, rows)?,
                3..=4 => unpack::<2>(reader, palette, rows)?,
                _ => unpack::<4>(reader, palette, rows)?,
            };
            pick(palette, most)?;
        }
        PLAIN_RLE => {
            while colours.len() < all {
                let colour = pixels.read(reader)?;
                let run = run_length(reader, all - colours.len())?;
                colours.resize(colours.len() + run, colour);
            }
        }
        _ => {
            while colours.len() < all {
                let first = reader.u8()?;
                let colour = pick(palette, usize::from(first & !LONG_RUN))?;
                let left = all - colours.len();
                let run = if first & LONG_RUN == 0 { 1 } else { run_length(reader, left)? };
                colours.resize(colours.len() + run, colour);
            }
        }
    }
    canvas.put(area, colours);
    Ok(())
}
