//! Colours as `N` bytes on the wire, and the plain expansion of a tile into them.

use crate::rfb::pixel_format::Translator;
use crate::rfb::tile::{Colour, Tile};
use crate::rfb::wire::{NeedMore, Reader};

/// Writes pixels of `N` bytes each.
#[derive(Clone, Copy)]
pub(super) struct Pixels<'a, const N: usize> {
    translator: &'a Translator,
    /// How far a pixel's wire value is shifted right so that the bytes to send are its first.
    shift: u32,
}

impl<'a, const N: usize> Pixels<'a, N> {
    /// `N` and `shift` must be those of the translator: its `bytes()` and 0, or its `compressed()`.
    pub(super) fn new(translator: &'a Translator, shift: u32) -> Self {
        Self { translator, shift }
    }

    /// The value whose first `N` little-endian bytes are the pixel.
    #[inline]
    pub(super) fn value(&self, colour: Colour) -> u32 {
        self.translator.wire(colour) >> self.shift
    }

    /// The bytes of a value.
    #[inline]
    pub(super) fn bytes(value: u32) -> [u8; N] {
        let all = value.to_le_bytes();
        let mut bytes = [0; N];
        bytes.copy_from_slice(&all[..N]);
        bytes
    }

    /// The bytes of a colour.
    #[inline]
    pub(super) fn pixel(&self, colour: Colour) -> [u8; N] {
        Self::bytes(self.value(colour))
    }

    /// Reads a pixel.
    #[inline]
    pub(super) fn read(&self, reader: &mut Reader<'_>) -> Result<Colour, NeedMore> {
        Ok(self.colour(reader.array()?))
    }

    /// Paints `row` with pixels from `bytes`, as many as both have.
    #[inline]
    pub(super) fn paint(&self, bytes: &[u8], row: &mut [Colour]) {
        let pixels = bytes.as_chunks::<N>().0;
        if N == 4 && self.shift == 0 && self.translator.is_plain() {
            // The common case is written so that it becomes a copy with a mask.
            for (to, from) in row.iter_mut().zip(bytes.as_chunks::<4>().0) {
                *to = Colour(u32::from_le_bytes(*from) & 0x00ff_ffff);
            }
            return;
        }
        for (to, from) in row.iter_mut().zip(pixels) {
            *to = self.colour(*from);
        }
    }

    /// The colour of a pixel.
    #[inline]
    pub(super) fn colour(&self, bytes: [u8; N]) -> Colour {
        self.translator.colour(Self::number(bytes) << self.shift)
    }

    /// The number that a pixel's bytes are, the first one least significant.
    #[inline]
    pub(super) fn number(bytes: [u8; N]) -> u32 {
        let mut all = [0; 4];
        all[..N].copy_from_slice(&bytes);
        u32::from_le_bytes(all)
    }

    /// The translator that it is for.
    pub(super) fn translator(&self) -> &'a Translator {
        self.translator
    }

    /// Appends every pixel of a tile of `width` by `height` pixels, row by row.
    pub(super) fn expand(&self, tile: &Tile<'_>, width: usize, height: usize, out: &mut Vec<u8>) {
        let start = out.len();
        out.resize(start + width * height * N, 0);
        let pixels = out[start..].as_chunks_mut::<N>().0;
        match *tile {
            Tile::Solid(colour) => pixels.fill(self.pixel(colour)),
            Tile::TwoColour { bg, fg, bits } => {
                let inks = [self.pixel(bg), self.pixel(fg)];
                let stride = width.div_ceil(8);
                for (row, bits) in pixels.chunks_exact_mut(width).zip(bits.chunks_exact(stride)) {
                    for (eight, byte) in row.chunks_mut(8).zip(bits) {
                        for (at, pixel) in eight.iter_mut().enumerate() {
                            *pixel = inks[usize::from(byte >> (7 - at) & 1)];
                        }
                    }
                }
            }
            Tile::Indexed { palette, indices } => {
                let mut inks = [[0; N]; 256];
                for (ink, colour) in inks.iter_mut().zip(palette) {
                    *ink = self.pixel(*colour);
                }
                for (pixel, index) in pixels.iter_mut().zip(indices) {
                    *pixel = inks[usize::from(*index)];
                }
            }
            Tile::Pixels(colours) => self.translate(colours, pixels),
        }
    }

    /// Writes as many colours as there is room for.
    fn translate(&self, colours: &[Colour], pixels: &mut [[u8; N]]) {
        if self.translator.is_plain() {
            // The common case has no tables and no questions in its loop.
            for (pixel, colour) in pixels.iter_mut().zip(colours) {
                *pixel = Self::bytes((colour.0 & 0x00ff_ffff) >> self.shift);
            }
        } else if self.translator.is_reversed() {
            for (pixel, colour) in pixels.iter_mut().zip(colours) {
                *pixel = Self::bytes((colour.0 << 8).swap_bytes() >> self.shift);
            }
        } else {
            for (pixel, colour) in pixels.iter_mut().zip(colours) {
                *pixel = self.pixel(*colour);
            }
        }
    }

    /// Appends colours.
    pub(super) fn put(&self, colours: &[Colour], out: &mut Vec<u8>) {
        let start = out.len();
        out.resize(start + colours.len() * N, 0);
        self.translate(colours, out[start..].as_chunks_mut::<N>().0);
    }

    /// Makes `values` those of the colours.
    pub(super) fn values(&self, colours: &[Colour], values: &mut Vec<u32>) {
        values.clear();
        if self.translator.is_plain() {
            values.extend(colours.iter().map(|colour| (colour.0 & 0x00ff_ffff) >> self.shift));
        } else {
            values.extend(colours.iter().map(|colour| self.value(*colour)));
        }
    }

    /// Appends values.
    pub(super) fn put_values(values: &[u32], out: &mut Vec<u8>) {
        let start = out.len();
        out.resize(start + values.len() * N, 0);
        for (pixel, value) in out[start..].as_chunks_mut::<N>().0.iter_mut().zip(values) {
            *pixel = Self::bytes(*value);
        }
    }
}

/// Calls `$body` with `$pixels` bound to the [`Pixels`] for whole pixels of the translator's format.
macro_rules! with_pixels {
    ($translator:expr, |$pixels:ident| $body:expr) => {{
        use crate::rfb::encoding::pixels::Pixels;
        let translator = $translator;
        match translator.bytes() {
            1 => {
                let $pixels = Pixels::<1>::new(translator, 0);
                $body
            }
            2 => {
                let $pixels = Pixels::<2>::new(translator, 0);
                $body
            }
            _ => {
                let $pixels = Pixels::<4>::new(translator, 0);
                $body
            }
        }
    }};
}

/// Calls `$body` with `$pixels` bound to the [`Pixels`] for compressed pixels (CPIXEL) of the translator's format.
macro_rules! with_compressed_pixels {
    ($translator:expr, |$pixels:ident| $body:expr) => {{
        use crate::rfb::encoding::pixels::Pixels;
        let translator = $translator;
        let (bytes, shift) = translator.compressed();
        match bytes {
            1 => {
                let $pixels = Pixels::<1>::new(translator, shift);
                $body
            }
            2 => {
                let $pixels = Pixels::<2>::new(translator, shift);
                $body
            }
            3 => {
                let $pixels = Pixels::<3>::new(translator, shift);
                $body
            }
            _ => {
                let $pixels = Pixels::<4>::new(translator, shift);
                $body
            }
        }
    }};
}

pub(super) use {with_compressed_pixels, with_pixels};
