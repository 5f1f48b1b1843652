//! Zlib encoding (the community's RFB specification, "Zlib Encoding"): raw pixels through one zlib stream that lasts
//! as long as the connection.

use super::DecodeError;
use super::canvas::Canvas;
use super::raw;
use super::unpacked::Unpacked;
use crate::geometry::Rect;
use crate::rfb::deflate::{Compressor, Decompressor};
use crate::rfb::pixel_format::Translator;
use crate::rfb::tile::{TileBuf, TileSource};
use crate::rfb::wire::{Reader, Stop, Writer};

/// The encoder's side of a viewer's Zlib stream. Lives as long as the connection, because its zlib stream does.
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

    /// Appends the body of `rect`; `portion` is memory to work in.
    pub(super) fn encode(
        &mut self,
        source: &dyn TileSource,
        rect: Rect,
        translator: &Translator,
        buf: &mut TileBuf,
        portion: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) {
        let start = out.len();
        out.put_u32(0);
        for band in raw::bands(rect) {
            portion.clear();
            raw::encode(source, band, translator, buf, portion);
            self.stream.write(portion, out);
        }
        self.stream.flush(out);
        let length = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }
}

/// The decoder's side of a server's Zlib stream.
#[derive(Default)]
pub struct Decoder {
    stream: Decompressor,
    unpacked: Unpacked,
    /// The compressed bytes of the rectangle under way that are to come.
    left: Option<usize>,
    pixels: raw::Decoder,
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
        let Self { stream, unpacked, left, pixels } = self;
        if left.is_none() {
            *left = Some(usize::try_from(reader.u32()?).unwrap_or(usize::MAX));
            *pixels = raw::Decoder::default();
        }
        unpacked.unpack(stream, reader, left, rect, |reader| pixels.decode(reader, rect, translator, canvas))
    }
}
