//! Where a rectangle ends, without decoding it, for those who pass rectangles on as they are.

use super::tight::extent;
use super::{DecodeError, Encoding};
use crate::geometry::{Point, Rect, Size};
use crate::rfb::pixel_format::PixelFormat;
use crate::rfb::wire::{Reader, Stop};

/// The most bytes that a pixel can take in ZRLE: four of its own and one in front of it, in data that does not compress.
const ZRLE_PIXEL_BYTES: usize = 5;

/// What the rest of ZRLE can take: tile types, and what the compressed stream adds.
const ZRLE_SPARE_BYTES: usize = 4096;

/// True for the encodings that [`skip_body`] knows.
#[must_use]
pub fn is_known(encoding: Encoding) -> bool {
    matches!(encoding, Encoding::COPY_RECT | Encoding::TIGHT | Encoding::ZRLE)
}

/// Skips the body of the rectangle `rect` of a framebuffer of `size`. What is compressed in it is not looked at. On
/// [`Stop::NeedMore`] call again with all of it and what follows.
///
/// # Errors
/// [`DecodeError::Outside`], [`DecodeError::Oversized`], [`DecodeError::UnknownEncoding`], and what
/// [`extent::skip`] says.
pub fn skip_body(
    reader: &mut Reader<'_>,
    encoding: Encoding,
    rect: Rect,
    size: Size,
    format: &PixelFormat,
    jpeg: bool,
) -> Result<(), Stop<DecodeError>> {
    check(rect, size)?;
    match encoding {
        Encoding::COPY_RECT => {
            let source = Point { x: reader.u16()?, y: reader.u16()? };
            check(Rect { x: source.x, y: source.y, ..rect }, size)
        }
        Encoding::TIGHT => extent::skip(reader, rect, format, jpeg),
        Encoding::ZRLE => {
            let bytes = usize::try_from(reader.u32()?).unwrap_or(usize::MAX);
            let pixels = usize::from(rect.width) * usize::from(rect.height);
            if bytes > pixels * ZRLE_PIXEL_BYTES + ZRLE_SPARE_BYTES {
                return Err(Stop::Failed(DecodeError::Oversized { bytes, rect }));
            }
            Ok(reader.skip(bytes)?)
        }
        other => Err(Stop::Failed(DecodeError::UnknownEncoding(other))),
    }
}

fn check(rect: Rect, size: Size) -> Result<(), Stop<DecodeError>> {
    if size.rect().contains(rect) { Ok(()) } else { Err(Stop::Failed(DecodeError::Outside { rect, size })) }
}
