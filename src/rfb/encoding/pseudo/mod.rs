//! Pseudo-encodings (RFC 6143 §7.8 and the community's RFB specification): rectangles that carry something else
//! than a picture. Each function appends or reads a body; what stands in the header is said with it.
//!
//! | encoding | header's x, y | width, height | body |
//! |---|---|---|---|
//! | DesktopSize | 0, 0 | new size | none |
//! | ExtendedDesktopSize | reason, status | new size | screens |
//! | LastRect | 0, 0 | 0, 0 | none |
//! | DesktopName | 0, 0 | 0, 0 | the name behind its length |
//! | Cursor | hotspot | size | pixels, mask |
//! | XCursor | hotspot | size | two colours, bits, mask |
//! | CursorWithAlpha | hotspot | size | an encoding's number, pixels with alpha |
//! | VMware cursor | hotspot | size | type, then two pictures or pixels with alpha |
//! | VMware cursor position | position | 0, 0 | none |
//! | QEMU LED state, VMware LED state | 0, 0 | 0, 0 | bits, 1 or 4 bytes |
//! | QEMU extended key, ExtendedMouseButtons | 0, 0 | 0, 0 | none |

mod cursor;

pub use cursor::{
    CURSOR_SIDE, CursorImage, decode_alpha_cursor, decode_cursor, decode_vmware_cursor, decode_x_cursor,
    encode_alpha_cursor, encode_cursor, encode_vmware_cursor, encode_x_cursor,
};

use crate::geometry::{Point, Rect, Size};
use crate::rfb::message::handshake::{NAME_BYTES, bounded_text};
use crate::rfb::message::{RectHeader, Screen};
use crate::rfb::wire::{NeedMore, Reader, Stop, Writer};

use super::Encoding;

/// Appends a rectangle whose fields are all 0 and that has no body: LastRect, and the acknowledgements of client
/// abilities.
pub fn encode_bare(encoding: Encoding, out: &mut Vec<u8>) {
    RectHeader { rect: Rect::default(), encoding }.encode(out);
}

/// Appends a DesktopSize rectangle (RFC 6143 §7.8.2).
pub fn encode_desktop_size(size: Size, out: &mut Vec<u8>) {
    RectHeader { rect: size.rect(), encoding: Encoding::DESKTOP_SIZE }.encode(out);
}

/// Why a server sends an ExtendedDesktopSize rectangle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayoutReason {
    /// 0: the server's own doing, 1: this viewer asked for it, 2: another viewer did.
    pub by: u16,
    /// For 1: 0 for done, otherwise why not: 1 prohibited, 2 out of resources, 3 invalid layout.
    pub status: u16,
}

impl LayoutReason {
    /// The server's own doing.
    pub const SERVER: Self = Self { by: 0, status: 0 };
    /// This viewer asked for it.
    pub const VIEWER: u16 = 1;
}

/// Appends an ExtendedDesktopSize rectangle. Screens beyond 255 are left out.
pub fn encode_extended_desktop_size(reason: LayoutReason, size: Size, screens: &[Screen], out: &mut Vec<u8>) {
    let rect = Rect { x: reason.by, y: reason.status, ..size.rect() };
    RectHeader { rect, encoding: Encoding::EXTENDED_DESKTOP_SIZE }.encode(out);
    let count = u8::try_from(screens.len()).unwrap_or(u8::MAX);
    out.put(&[count, 0, 0, 0]);
    for screen in &screens[..usize::from(count)] {
        screen.encode(out);
    }
}

/// Reads the body of an ExtendedDesktopSize rectangle.
///
/// # Errors
/// [`NeedMore`] when it is not complete.
pub fn decode_screens(reader: &mut Reader<'_>) -> Result<Vec<Screen>, NeedMore> {
    let count = reader.u8()?;
    reader.skip(3)?;
    (0..count).map(|_| Screen::decode(reader)).collect()
}

/// Appends a DesktopName rectangle; the name is cut at [`NAME_BYTES`].
pub fn encode_desktop_name(name: &str, out: &mut Vec<u8>) {
    encode_bare(Encoding::DESKTOP_NAME, out);
    out.put_counted(bounded_text(name).as_bytes());
}

/// What is wrong with a pseudo-encoding's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PseudoError {
    /// The name is too long.
    #[error("a desktop name of {0} bytes; at most {NAME_BYTES} wanted")]
    NameTooLong(u32),
    /// The cursor is too large.
    #[error("a cursor of {0:?}; at most {CURSOR_SIDE} a side wanted")]
    CursorTooLarge(Size),
    /// The cursor's pixels come in an encoding that has no place for alpha, or that nobody uses for it.
    #[error("a cursor with alpha in encoding {}; 0 wanted", .0.0)]
    CursorEncoding(Encoding),
    /// The cursor is of no known type.
    #[error("a vmware cursor of type {0}; 0 or 1 wanted")]
    CursorType(u8),
}

/// Appends a VMware cursor position rectangle: the server has moved the pointer there.
pub fn encode_cursor_position(at: Point, out: &mut Vec<u8>) {
    let rect = Rect { x: at.x, y: at.y, ..Rect::default() };
    RectHeader { rect, encoding: Encoding::VMWARE_CURSOR_POSITION }.encode(out);
}

/// Which lamps of a keyboard are lit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct LedState {
    /// Bit 0.
    pub scroll_lock: bool,
    /// Bit 1.
    pub num_lock: bool,
    /// Bit 2.
    pub caps_lock: bool,
}

impl LedState {
    fn from_bits(bits: u32) -> Self {
        let lit = |bit: u32| bits >> bit & 1 == 1;
        Self { scroll_lock: lit(0), num_lock: lit(1), caps_lock: lit(2) }
    }

    fn bits(self) -> u8 {
        u8::from(self.scroll_lock) | u8::from(self.num_lock) << 1 | u8::from(self.caps_lock) << 2
    }
}

/// Appends the lamps in one of their two rectangles: [`Encoding::QEMU_LED_STATE`] has a byte, and
/// [`Encoding::VMWARE_LED_STATE`] four.
pub fn encode_leds(encoding: Encoding, leds: LedState, out: &mut Vec<u8>) {
    encode_bare(encoding, out);
    if encoding == Encoding::VMWARE_LED_STATE {
        out.put(&[0; 3]);
    }
    out.put_u8(leds.bits());
}

/// Reads the body of one of the two rectangles.
///
/// # Errors
/// [`NeedMore`] when it is not complete.
pub fn decode_leds(encoding: Encoding, reader: &mut Reader<'_>) -> Result<LedState, NeedMore> {
    let bits = if encoding == Encoding::VMWARE_LED_STATE { reader.u32()? } else { u32::from(reader.u8()?) };
    Ok(LedState::from_bits(bits))
}

/// Reads the body of a DesktopName rectangle.
///
/// # Errors
/// [`PseudoError::NameTooLong`].
pub fn decode_desktop_name(reader: &mut Reader<'_>) -> Result<String, Stop<PseudoError>> {
    let length = reader.u32()?;
    match usize::try_from(length) {
        Ok(bytes) if bytes <= NAME_BYTES => Ok(String::from_utf8_lossy(reader.bytes(bytes)?).into_owned()),
        _ => Err(Stop::Failed(PseudoError::NameTooLong(length))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extended_desktop_size_has_its_layout() {
        let screen = Screen { id: 1, area: Rect::new(0, 0, 640, 400), flags: 0 };
        let mut out = Vec::new();
        encode_extended_desktop_size(
            LayoutReason { by: 1, status: 3 },
            Size::new(640, 400),
            &[screen],
            &mut out,
        );
        let wanted = [
            0, 1, 0, 3, 2, 128, 1, 144, 0xff, 0xff, 0xfe, 0xcc, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 2, 128,
            1, 144, 0, 0, 0, 0,
        ];
        assert_eq!(out, wanted);
        assert_eq!(decode_screens(&mut Reader::new(&out[12..])), Ok(vec![screen]));
        assert_eq!(decode_screens(&mut Reader::new(&out[12..31])), Err(NeedMore));
    }

    #[test]
    fn lamps_have_one_byte_or_four() {
        let leds = LedState { scroll_lock: true, num_lock: false, caps_lock: true };
        for (encoding, wanted) in [
            (Encoding::QEMU_LED_STATE, &[0xff, 0xff, 0xfe, 0xfb, 5][..]),
            (Encoding::VMWARE_LED_STATE, &[0x57, 0x4d, 0x56, 0x68, 0, 0, 0, 5]),
        ] {
            let mut out = Vec::new();
            encode_leds(encoding, leds, &mut out);
            assert_eq!(out[8..], *wanted);
            assert_eq!(decode_leds(encoding, &mut Reader::new(&out[12..])), Ok(leds));
            assert_eq!(decode_leds(encoding, &mut Reader::new(&out[12..out.len() - 1])), Err(NeedMore));
        }
        // Bits that are not known are ignored.
        assert_eq!(decode_leds(Encoding::QEMU_LED_STATE, &mut Reader::new(&[0xfd])), Ok(leds));
    }

    #[test]
    fn names_are_bounded_both_ways() {
        let mut out = Vec::new();
        encode_desktop_name(&"x".repeat(5000), &mut out);
        assert_eq!(out.len(), 12 + 4 + NAME_BYTES);
        let name = decode_desktop_name(&mut Reader::new(&out[12..]));
        assert!(matches!(name, Ok(name) if name.len() == NAME_BYTES));
        assert_eq!(
            decode_desktop_name(&mut Reader::new(&[0xff; 4])),
            Err(Stop::Failed(PseudoError::NameTooLong(u32::MAX)))
        );
    }
}
