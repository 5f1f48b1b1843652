//! CopyRect encoding (RFC 6143 §7.7.2): the pixels are on the viewer's screen already, somewhere else.

use super::DecodeError;
use super::canvas::Canvas;
use crate::geometry::{Point, Rect};
use crate::rfb::wire::{Reader, Stop, Writer};

/// Appends the body: where the pixels are.
pub fn encode(source: Point, out: &mut Vec<u8>) {
    out.put_u16(source.x);
    out.put_u16(source.y);
}

/// Copies a rectangle. Returns where the pixels were.
///
/// # Errors
/// [`DecodeError::Outside`] for source and destination.
pub fn decode(reader: &mut Reader<'_>, rect: Rect, canvas: &mut Canvas) -> Result<Point, Stop<DecodeError>> {
    // Both or none: what a reader has consumed does not come again.
    let mut place = Reader::new(reader.bytes(4)?);
    let source = Point { x: place.u16()?, y: place.u16()? };
    canvas.check(rect).map_err(Stop::Failed)?;
    canvas.check(Rect { x: source.x, y: source.y, ..rect }).map_err(Stop::Failed)?;
    canvas.copy(rect, source);
    Ok(source)
}
