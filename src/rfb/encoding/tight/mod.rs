//! Tight encoding (the community's RFB specification, "Tight Encoding"): a rectangle as one colour, as bits or
//! indices behind a palette, or as plain pixels, the latter three through zlib streams that last as long as the
//! connection.
//!
//! The encoder uses the streams 0 for pixels, 1 for bits and 2 for indices, so that each sees one kind of data. A
//! screen of pixels is cut as [`plan`](crate::rfb::plan) says; photographic parts go as JPEG when the viewer asks for a
//! level of quality. It sends no gradients, which cost time, and compresses always. The decoder takes all of it, also rows
//! without compression where that was asked for (the specification's "basic compression without zlib").
//! A two-colour tile's bits are Tight's bits already: they go into the stream as they are.

mod decoder;
mod encoder;
pub mod extent;
mod gather;
mod gradient;
mod png;

pub use decoder::{Decoder, Images};
pub use encoder::Encoder;

use crate::rfb::pixel_format::{Channel, ColourModel, PixelFormat};

/// The widest rectangle that a viewer must take, in pixels.
pub const MAX_WIDTH: u16 = 2048;

/// The most pixels of a rectangle that [`Encoder`] takes: uncompressible ones of 32 bits stay well below the longest
/// data that a length can tell, 4 MiB.
pub const MAX_PIXELS: u32 = 512 * 1024;

/// Control byte: the rectangle has one colour.
const FILL: u8 = 0x80;
/// Control byte: a JPEG file behind its length.
const JPEG: u8 = 0x90;
/// Control byte of TightPNG: a PNG file behind its length.
const PNG: u8 = 0xa0;
/// Control byte: rows behind their length as they are, not compressed; [`EXPLICIT_FILTER`] may be set besides.
const WITHOUT_ZLIB: u8 = 0xa0;
/// Control byte: a filter's number follows. The two bits below it tell the stream; the four lowest bits tell which
/// streams begin anew.
const EXPLICIT_FILTER: u8 = 0x40;
/// Pixels as they are; what is meant when no filter is named.
const FILTER_COPY: u8 = 0;
/// A palette, then bits (two colours) or bytes.
const FILTER_PALETTE: u8 = 1;
/// Differences to what the neighbours predict.
const FILTER_GRADIENT: u8 = 2;

/// Data of fewer bytes is not compressed and has no length in front.
const BARE_BYTES: usize = 12;

/// A format whose wire values have red, green and blue as their first three bytes: Tight's own pixels (TPIXEL).
const RED_GREEN_BLUE: ColourModel = ColourModel::TrueColour {
    red: Channel { max: 255, shift: 0 },
    green: Channel { max: 255, shift: 8 },
    blue: Channel { max: 255, shift: 16 },
};

/// True when pixels of `format` travel as three bytes red, green and blue, whatever their order in the format: 32
/// bits a pixel, a depth of 24, and 8 bits a channel.
fn is_three_bytes(format: &PixelFormat) -> bool {
    let ColourModel::TrueColour { red, green, blue } = format.model() else { return false };
    format.bytes_per_pixel() == 4 && format.depth() == 24 && [red, green, blue].iter().all(|c| c.max == 255)
}

/// Calls `$body` with `$pixels` bound to the `Pixels` for Tight's pixels (TPIXEL) of the translator's format; `$rgb`
/// is the translator to [`RED_GREEN_BLUE`].
macro_rules! with_tight_pixels {
    ($translator:expr, $rgb:expr, |$pixels:ident| $body:expr) => {{
        if crate::rfb::encoding::tight::is_three_bytes($translator.format()) {
            let $pixels = crate::rfb::encoding::pixels::Pixels::<3>::new($rgb, 0);
            $body
        } else {
            crate::rfb::encoding::pixels::with_pixels!($translator, |$pixels| $body)
        }
    }};
}
use with_tight_pixels;

/// The translator to [`RED_GREEN_BLUE`].
pub(super) fn red_green_blue() -> crate::rfb::pixel_format::Translator {
    let format = PixelFormat::new(32, 24, false, RED_GREEN_BLUE).unwrap_or_default();
    crate::rfb::pixel_format::Translator::new(format)
}
