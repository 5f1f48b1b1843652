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
//! | QEMU extended key, ExtendedMouseButtons | 0, 0 | 0, 0 | none |

use super::pixels::with_pixels;
use crate::geometry::{Point, Rect, Size};
use crate::rfb::message::handshake::{NAME_BYTES, bounded_text};
use crate::rfb::message::{RectHeader, Screen};
use crate::rfb::pixel_format::Translator;
use crate::rfb::tile::{Colour, Tile};
use crate::rfb::wire::{NeedMore, Reader, Stop, Writer};

use super::Encoding;

/// The largest side of a cursor, in pixels. Those of desktops have 16 to 128.
pub const CURSOR_SIDE: u16 = 256;

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

/// A cursor that the viewer draws.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CursorImage {
    /// Its size, at most [`CURSOR_SIDE`] a side.
    pub size: Size,
    /// The pixel of it that is at the pointer's position.
    pub hotspot: Point,
    /// `size.area()` colours, row by row.
    pub pixels: Vec<Colour>,
    /// One bit a pixel, 1 where it is opaque; the leftmost pixel is the most significant bit, rows are padded to
    /// bytes.
    pub mask: Vec<u8>,
}

impl CursorImage {
    /// The bytes of its mask.
    fn mask_bytes(size: Size) -> usize {
        usize::from(size.width).div_ceil(8) * usize::from(size.height)
    }

    /// True when the parts have the lengths that its size says.
    fn is_whole(&self) -> bool {
        let (width, height) = (self.size.width, self.size.height);
        width <= CURSOR_SIDE
            && height <= CURSOR_SIDE
            && u32::try_from(self.pixels.len()) == Ok(self.size.area())
            && self.mask.len() == Self::mask_bytes(self.size)
    }
}

/// Appends a Cursor rectangle (RFC 6143 §7.8.1). `None`, and an image whose parts do not fit together, hide the
/// cursor.
pub fn encode_cursor(cursor: Option<&CursorImage>, translator: &Translator, out: &mut Vec<u8>) {
    let Some(cursor) = cursor.filter(|cursor| cursor.is_whole()) else {
        return encode_bare(Encoding::CURSOR, out);
    };
    let rect = Rect { x: cursor.hotspot.x, y: cursor.hotspot.y, ..cursor.size.rect() };
    RectHeader { rect, encoding: Encoding::CURSOR }.encode(out);
    let (width, height) = (usize::from(cursor.size.width), usize::from(cursor.size.height));
    with_pixels!(translator, |pixels| pixels.expand(&Tile::Pixels(&cursor.pixels), width, height, out));
    out.put(&cursor.mask);
}

/// Reads the body of a Cursor rectangle.
///
/// # Errors
/// [`PseudoError::CursorTooLarge`].
pub fn decode_cursor(
    reader: &mut Reader<'_>,
    rect: Rect,
    translator: &Translator,
) -> Result<CursorImage, Stop<PseudoError>> {
    let size = rect.size();
    if size.width > CURSOR_SIDE || size.height > CURSOR_SIDE {
        return Err(Stop::Failed(PseudoError::CursorTooLarge(size)));
    }
    let count = usize::try_from(size.area()).unwrap_or(0);
    let mut data = Reader::new(reader.bytes(count * translator.bytes())?);
    let mask = reader.bytes(CursorImage::mask_bytes(size))?.to_vec();
    let pixels = with_pixels!(translator, |pixels| {
        (0..count).map(|_| pixels.read(&mut data)).collect::<Result<Vec<_>, _>>()
    })?;
    Ok(CursorImage { size, hotspot: rect.origin(), pixels, mask })
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
    fn a_cursor_comes_back() {
        let translator = Translator::new(Default::default());
        let cursor = CursorImage {
            size: Size::new(9, 2),
            hotspot: Point { x: 3, y: 1 },
            pixels: (0..18).map(Colour).collect(),
            mask: vec![0xff, 0x80, 0x01, 0],
        };
        let mut out = Vec::new();
        encode_cursor(Some(&cursor), &translator, &mut out);
        let mut reader = Reader::new(&out);
        let header = RectHeader::decode(&mut reader).expect("whole");
        assert_eq!(decode_cursor(&mut reader, header.rect, &translator), Ok(cursor.clone()));
        assert!(reader.rest().is_empty());
        // An image that lies about its size is not sent.
        out.clear();
        encode_cursor(Some(&CursorImage { size: Size::new(9, 3), ..cursor }), &translator, &mut out);
        assert_eq!(out, [0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0x11]);
        let huge = Rect::new(0, 0, 257, 1);
        assert!(matches!(decode_cursor(&mut Reader::new(&[]), huge, &translator), Err(Stop::Failed(_))));
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
