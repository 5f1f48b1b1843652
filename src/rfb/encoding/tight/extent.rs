//! Where a Tight rectangle ends, without decoding it.

use super::decoder::read_length;
use super::{
    BARE_BYTES, EXPLICIT_FILTER, FILL, FILTER_COPY, FILTER_GRADIENT, FILTER_PALETTE, JPEG, is_three_bytes,
};
use crate::geometry::Rect;
use crate::rfb::encoding::DecodeError;
use crate::rfb::pixel_format::PixelFormat;
use crate::rfb::wire::{Reader, Stop};

/// The four lowest bits of a rectangle's first byte: all streams begin anew.
pub const RENEW_ALL: u8 = 0x0f;

/// Skips the body of `rect`. JPEG files are let through if `jpeg`. On [`Stop::NeedMore`] call again with all of it and
/// what follows.
///
/// # Errors
/// [`DecodeError::TightControl`], [`DecodeError::TightFilter`].
pub fn skip(
    reader: &mut Reader<'_>,
    rect: Rect,
    format: &PixelFormat,
    jpeg: bool,
) -> Result<(), Stop<DecodeError>> {
    let pixel = if is_three_bytes(format) { 3 } else { format.bytes_per_pixel() };
    let control = reader.u8()?;
    let form = control & 0xf0;
    let length = match form {
        FILL => pixel,
        JPEG if jpeg => read_length(reader)?,
        0..FILL => {
            let filter = if form & EXPLICIT_FILTER == 0 { FILTER_COPY } else { reader.u8()? };
            let width = usize::from(rect.width);
            let row = match filter {
                FILTER_COPY | FILTER_GRADIENT => width * pixel,
                FILTER_PALETTE => {
                    let colours = usize::from(reader.u8()?) + 1;
                    reader.skip(colours * pixel)?;
                    if colours > 2 { width } else { width.div_ceil(8) }
                }
                _ => return Err(Stop::Failed(DecodeError::TightFilter(filter))),
            };
            let length = row * usize::from(rect.height);
            if length < BARE_BYTES { length } else { read_length(reader)? }
        }
        _ => return Err(Stop::Failed(DecodeError::TightControl(control))),
    };
    Ok(reader.skip(length)?)
}
