//! All decoders of one server's pictures.

use super::canvas::Canvas;
use super::tight::Images;
use super::{DecodeError, Encoding, copyrect, hextile, jpeg, raw, rre, tight, trle, zlib, zrle};
use crate::geometry::{Point, Rect};
use crate::rfb::pixel_format::Translator;
use crate::rfb::wire::{Reader, Stop};

/// Everything that decoding for one server needs from rectangle to rectangle, the counterpart of
/// [`Encoder`](super::Encoder). Made with the connection and kept for its whole life, because its compressed streams
/// are; what an encoding needs is allocated when it is first used: about 80 KiB for ZRLE or Zlib, 32 KiB and 48 KiB a
/// stream for Tight.
#[derive(Default)]
pub struct Decoder {
    images: Images,
    zlib: Option<Box<zlib::Decoder>>,
    zrle: Option<Box<zrle::Decoder>>,
    tight: Option<Box<tight::Decoder>>,
    tight_png: Option<Box<tight::Decoder>>,
    jpeg: Option<Box<jpeg::Decoder>>,
    current: Current,
}

/// The rectangle under way, where its decoder has nothing that survives it.
#[derive(Default)]
enum Current {
    #[default]
    None,
    Raw(raw::Decoder),
    CopyRect,
    Rre(rre::Decoder),
    Hextile(hextile::Decoder),
    Trle(Box<trle::Decoder>),
    Zlib,
    Zrle,
    Tight,
    TightPng,
    Jpeg,
}

impl Decoder {
    /// A decoder that takes JPEG in Tight rectangles or does not.
    #[must_use]
    pub fn new(jpeg: bool) -> Self {
        Self { images: Images { jpeg, ..Images::default() }, ..Self::default() }
    }

    /// The same, and it takes Tight rectangles that are not compressed
    /// ([`Encoding::TIGHT_WITHOUT_ZLIB`]).
    #[must_use]
    pub fn without_zlib(mut self) -> Self {
        self.images.without_zlib = true;
        self
    }

    /// Begins a rectangle in `encoding`. One that is under way is forgotten.
    ///
    /// # Errors
    /// [`DecodeError::UnknownEncoding`].
    pub fn begin(&mut self, encoding: Encoding) -> Result<(), DecodeError> {
        self.current = match encoding {
            Encoding::RAW => Current::Raw(raw::Decoder::default()),
            Encoding::COPY_RECT => Current::CopyRect,
            Encoding::RRE => Current::Rre(rre::Decoder::default()),
            Encoding::CORRE => Current::Rre(rre::Decoder::compact()),
            Encoding::HEXTILE => Current::Hextile(hextile::Decoder::default()),
            Encoding::TRLE => Current::Trle(Box::default()),
            Encoding::ZLIB => Current::Zlib,
            Encoding::ZRLE => Current::Zrle,
            Encoding::TIGHT => Current::Tight,
            Encoding::TIGHT_PNG => Current::TightPng,
            Encoding::JPEG => {
                self.jpeg.get_or_insert_default().begin();
                Current::Jpeg
            }
            other => return Err(DecodeError::UnknownEncoding(other)),
        };
        Ok(())
    }

    /// Paints as much of the rectangle as there is data for; for CopyRect returns where its pixels were. On
    /// [`Stop::NeedMore`] the reader has consumed what could be used; call again with the same `rect` and what follows.
    ///
    /// # Errors
    /// See [`DecodeError`]; compressed streams are lost after each of them.
    pub fn decode(
        &mut self,
        reader: &mut Reader<'_>,
        rect: Rect,
        translator: &Translator,
        canvas: &mut Canvas,
    ) -> Result<Option<Point>, Stop<DecodeError>> {
        let images = self.images;
        match &mut self.current {
            Current::None => {}
            Current::CopyRect => return copyrect::decode(reader, rect, canvas).map(Some),
            Current::Raw(decoder) => decoder.decode(reader, rect, translator, canvas)?,
            Current::Rre(decoder) => decoder.decode(reader, rect, translator, canvas)?,
            Current::Hextile(decoder) => decoder.decode(reader, rect, translator, canvas)?,
            Current::Trle(decoder) => decoder.decode(reader, rect, translator, canvas)?,
            Current::Zlib => self.zlib.get_or_insert_default().decode(reader, rect, translator, canvas)?,
            Current::Zrle => self.zrle.get_or_insert_default().decode(reader, rect, translator, canvas)?,
            Current::Tight => {
                let tight = self.tight.get_or_insert_with(|| Box::new(tight::Decoder::new(images)));
                tight.decode(reader, rect, translator, canvas)?;
            }
            Current::Jpeg => self.jpeg.get_or_insert_default().decode(reader, rect, canvas)?,
            Current::TightPng => {
                let images = Images { png: true, ..images };
                let tight = self.tight_png.get_or_insert_with(|| Box::new(tight::Decoder::new(images)));
                tight.decode(reader, rect, translator, canvas)?;
            }
        }
        Ok(None)
    }
}
