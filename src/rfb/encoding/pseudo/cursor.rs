//! The cursor as a viewer draws it, and the four rectangles that carry one: Cursor (RFC 6143 §7.8.1), and from the
//! community's RFB specification XCursor, CursorWithAlpha and VMware's cursor.

use super::{PseudoError, encode_bare};
use crate::geometry::{Point, Rect, Size};
use crate::rfb::encoding::Encoding;
use crate::rfb::encoding::pixels::with_pixels;
use crate::rfb::message::RectHeader;
use crate::rfb::pixel_format::Translator;
use crate::rfb::tile::{Colour, Tile};
use crate::rfb::wire::{Reader, Stop, Writer};

/// The largest side of a cursor, in pixels. Those of desktops have 16 to 128; QEMU passes on what a guest sets, up to
/// this.
pub const CURSOR_SIDE: u16 = 512;

/// From this opacity on a pixel counts as opaque where there is only yes or no.
const OPAQUE: u8 = 128;

/// VMware's cursor type: a picture to keep of the screen, and one to invert.
const VMWARE_CLASSIC: u8 = 0;
/// VMware's cursor type: pixels with alpha.
const VMWARE_ALPHA: u8 = 1;

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
    /// The opacity of each pixel, 0 to 255, where more is known than the mask says.
    pub alpha: Option<Vec<u8>>,
}

impl CursorImage {
    /// The bytes of its mask.
    fn mask_bytes(size: Size) -> usize {
        usize::from(size.width).div_ceil(8) * usize::from(size.height)
    }

    /// True when the parts have the lengths that its size says.
    fn is_whole(&self) -> bool {
        let (width, height) = (self.size.width, self.size.height);
        let area = |length: usize| u32::try_from(length) == Ok(self.size.area());
        width <= CURSOR_SIDE
            && height <= CURSOR_SIDE
            && area(self.pixels.len())
            && self.alpha.as_ref().is_none_or(|alpha| area(alpha.len()))
            && self.mask.len() == Self::mask_bytes(self.size)
    }

    /// The cursor of these pixels: red, green, blue, alpha each, colours multiplied by alpha, `size.area()` of them.
    fn from_rgba(size: Size, hotspot: Point, rgba: &[u8]) -> Self {
        let whole = |level: u8, alpha: u8| {
            let level = (u32::from(level) * 255 + u32::from(alpha) / 2).checked_div(u32::from(alpha));
            u8::try_from(level.unwrap_or(0)).unwrap_or(u8::MAX)
        };
        let rgba = rgba.as_chunks::<4>().0;
        let pixels = rgba.iter().map(|&[r, g, b, a]| Colour::rgb(whole(r, a), whole(g, a), whole(b, a)));
        let alpha: Vec<u8> = rgba.iter().map(|pixel| pixel[3]).collect();
        let mask = mask(size, |at| alpha.get(at).is_some_and(|alpha| *alpha >= OPAQUE));
        Self { size, hotspot, pixels: pixels.collect(), mask, alpha: Some(alpha) }
    }

    /// The other way.
    fn put_rgba(&self, out: &mut Vec<u8>) {
        let part = |level: u8, alpha: u8| {
            u8::try_from((u32::from(level) * u32::from(alpha) + 127) / 255).unwrap_or(u8::MAX)
        };
        for (at, colour) in self.pixels.iter().enumerate() {
            let alpha = self.opacity(at);
            out.put(&[
                part(colour.red(), alpha),
                part(colour.green(), alpha),
                part(colour.blue(), alpha),
                alpha,
            ]);
        }
    }

    /// How opaque each pixel is, 0 to 255, row by row.
    #[must_use]
    pub fn opacities(&self) -> Vec<u8> {
        (0..self.pixels.len()).map(|at| self.opacity(at)).collect()
    }

    /// How opaque pixel `at` is; without opacities the mask decides.
    fn opacity(&self, at: usize) -> u8 {
        match &self.alpha {
            Some(alpha) => alpha.get(at).copied().unwrap_or(0),
            None => u8::from(self.is_opaque(at)) * u8::MAX,
        }
    }

    /// What the mask says of pixel `at`.
    fn is_opaque(&self, at: usize) -> bool {
        let width = usize::from(self.size.width.max(1));
        let (x, y) = (at % width, at / width);
        self.mask.get(y * width.div_ceil(8) + x / 8).is_some_and(|byte| byte >> (7 - x % 8) & 1 == 1)
    }

    /// The header's rectangle.
    fn rect(&self) -> Rect {
        Rect { x: self.hotspot.x, y: self.hotspot.y, ..self.size.rect() }
    }
}

/// The bits of the pixels for which `is_set`, row by row.
fn mask(size: Size, is_set: impl Fn(usize) -> bool) -> Vec<u8> {
    let (width, stride) = (usize::from(size.width), usize::from(size.width).div_ceil(8));
    let mut bits = vec![0; CursorImage::mask_bytes(size)];
    for (y, row) in bits.chunks_mut(stride.max(1)).enumerate() {
        for x in (0..width).filter(|x| is_set(y * width + x)) {
            row[x / 8] |= 0x80 >> (x % 8);
        }
    }
    bits
}

/// The number of a cursor's pixels.
///
/// # Errors
/// [`PseudoError::CursorTooLarge`].
fn count(size: Size) -> Result<usize, Stop<PseudoError>> {
    if size.width > CURSOR_SIDE || size.height > CURSOR_SIDE {
        return Err(Stop::Failed(PseudoError::CursorTooLarge(size)));
    }
    Ok(usize::from(size.width) * usize::from(size.height))
}

/// Appends the header of `encoding`'s rectangle. False, with an empty rectangle, for `None` and for an image whose parts
/// do not fit together: both hide the cursor.
fn put_header<'a>(
    cursor: Option<&'a CursorImage>,
    encoding: Encoding,
    out: &mut Vec<u8>,
) -> Option<&'a CursorImage> {
    let whole = cursor.filter(|cursor| cursor.is_whole() && !cursor.size.rect().is_empty());
    match whole {
        Some(cursor) => RectHeader { rect: cursor.rect(), encoding }.encode(out),
        None => encode_bare(encoding, out),
    }
    whole
}

/// Appends a Cursor rectangle. `None`, and an image whose parts do not fit together, hide the cursor, here and in the
/// functions below.
pub fn encode_cursor(cursor: Option<&CursorImage>, translator: &Translator, out: &mut Vec<u8>) {
    let Some(cursor) = put_header(cursor, Encoding::CURSOR, out) else { return };
    let (width, height) = (usize::from(cursor.size.width), usize::from(cursor.size.height));
    with_pixels!(translator, |pixels| pixels.expand(&Tile::Pixels(&cursor.pixels), width, height, out));
    out.put(&cursor.mask);
}

/// Reads the body of a Cursor rectangle: a pixel for each, then the mask.
///
/// # Errors
/// [`PseudoError::CursorTooLarge`].
pub fn decode_cursor(
    reader: &mut Reader<'_>,
    rect: Rect,
    translator: &Translator,
) -> Result<CursorImage, Stop<PseudoError>> {
    let size = rect.size();
    let count = count(size)?;
    let data = reader.bytes(count * translator.bytes())?;
    let mask = reader.bytes(CursorImage::mask_bytes(size))?.to_vec();
    let pixels = decode_pixels(data, translator)?;
    Ok(CursorImage { size, hotspot: rect.origin(), pixels, mask, alpha: None })
}

fn decode_pixels(data: &[u8], translator: &Translator) -> Result<Vec<Colour>, Stop<PseudoError>> {
    let mut data = Reader::new(data);
    let count = data.rest().len() / translator.bytes();
    let pixels = with_pixels!(translator, |pixels| {
        (0..count).map(|_| pixels.read(&mut data)).collect::<Result<Vec<_>, _>>()
    })?;
    Ok(pixels)
}

/// Appends an XCursor rectangle. A cursor of one or two colours keeps them; of any other, what is brighter than half becomes
/// white and the rest black.
pub fn encode_x_cursor(cursor: Option<&CursorImage>, out: &mut Vec<u8>) {
    let Some(cursor) = put_header(cursor, Encoding::X_CURSOR, out) else { return };
    let own = few_colours(cursor);
    let [primary, secondary] = match own {
        Some([Some(a), Some(b)]) if brightness(a) < brightness(b) => [b, a],
        Some([Some(a), Some(b)]) => [a, b],
        Some([Some(one), None]) if is_bright(one) => [one, Colour::BLACK],
        Some([Some(one), None]) => [Colour::WHITE, one],
        _ => [Colour::WHITE, Colour::BLACK],
    };
    for colour in [primary, secondary] {
        out.put(&[colour.red(), colour.green(), colour.blue()]);
    }
    let is_primary = |colour: &Colour| if own.is_some() { *colour == primary } else { is_bright(*colour) };
    out.put(&mask(cursor.size, |at| cursor.pixels.get(at).is_some_and(is_primary)));
    out.put(&cursor.mask);
}

/// The colours of a cursor's opaque pixels; `None` for more than two.
fn few_colours(cursor: &CursorImage) -> Option<[Option<Colour>; 2]> {
    let mut own = [None; 2];
    for (_, colour) in cursor.pixels.iter().enumerate().filter(|(at, _)| cursor.is_opaque(*at)) {
        let place = own.iter_mut().find(|place| place.is_none_or(|known| known == *colour))?;
        *place = Some(*colour);
    }
    Some(own)
}

/// By the weights of ITU-R BT.601, in thousandths of a level.
fn brightness(colour: Colour) -> u32 {
    299 * u32::from(colour.red()) + 587 * u32::from(colour.green()) + 114 * u32::from(colour.blue())
}

fn is_bright(colour: Colour) -> bool {
    brightness(colour) >= 127_500
}

/// Reads the body of an XCursor rectangle: the colours of set and clear bits as red, green, blue, then the bits, then the
/// mask. An empty one has no body.
///
/// # Errors
/// [`PseudoError::CursorTooLarge`].
pub fn decode_x_cursor(reader: &mut Reader<'_>, rect: Rect) -> Result<CursorImage, Stop<PseudoError>> {
    let (size, hotspot) = (rect.size(), rect.origin());
    let count = count(size)?;
    if count == 0 {
        return Ok(CursorImage { size, hotspot, pixels: Vec::new(), mask: Vec::new(), alpha: None });
    }
    let [primary, secondary] =
        [reader.array()?, reader.array()?].map(|[red, green, blue]: [u8; 3]| Colour::rgb(red, green, blue));
    let bits = reader.bytes(CursorImage::mask_bytes(size))?.to_vec();
    let mask = reader.bytes(CursorImage::mask_bytes(size))?.to_vec();
    let picture = CursorImage { size, hotspot, pixels: Vec::new(), mask: bits, alpha: None };
    let pixels = (0..count).map(|at| if picture.is_opaque(at) { primary } else { secondary }).collect();
    Ok(CursorImage { pixels, mask, ..picture })
}

/// Appends a CursorWithAlpha rectangle, its pixels in Raw.
pub fn encode_alpha_cursor(cursor: Option<&CursorImage>, out: &mut Vec<u8>) {
    let cursor = put_header(cursor, Encoding::CURSOR_WITH_ALPHA, out);
    out.put_i32(Encoding::RAW.0);
    cursor.into_iter().for_each(|cursor| cursor.put_rgba(out));
}

/// Reads the body of a CursorWithAlpha rectangle: an encoding's number, then red, green, blue and alpha of each pixel,
/// colours multiplied by alpha. Only Raw is taken, which is what every known server sends.
///
/// # Errors
/// [`PseudoError::CursorTooLarge`] and [`PseudoError::CursorEncoding`].
pub fn decode_alpha_cursor(reader: &mut Reader<'_>, rect: Rect) -> Result<CursorImage, Stop<PseudoError>> {
    let count = count(rect.size())?;
    let encoding = Encoding(reader.i32()?);
    if encoding != Encoding::RAW {
        return Err(Stop::Failed(PseudoError::CursorEncoding(encoding)));
    }
    Ok(CursorImage::from_rgba(rect.size(), rect.origin(), reader.bytes(count * 4)?))
}

/// Appends a VMware cursor rectangle of the type with alpha.
pub fn encode_vmware_cursor(cursor: Option<&CursorImage>, out: &mut Vec<u8>) {
    let cursor = put_header(cursor, Encoding::VMWARE_CURSOR, out);
    out.put(&[VMWARE_ALPHA, 0]);
    cursor.into_iter().for_each(|cursor| cursor.put_rgba(out));
}

/// Reads the body of a VMware cursor rectangle: its type and a byte of padding, then either red, green, blue and alpha of
/// each pixel, or two pictures in the connection's pixel format. Of these a pixel that leaves the screen as it is becomes
/// transparent, and one that inverts it black, because no other cursor can do that.
///
/// # Errors
/// [`PseudoError::CursorTooLarge`] and [`PseudoError::CursorType`].
pub fn decode_vmware_cursor(
    reader: &mut Reader<'_>,
    rect: Rect,
    translator: &Translator,
) -> Result<CursorImage, Stop<PseudoError>> {
    let (size, hotspot) = (rect.size(), rect.origin());
    let count = count(size)?;
    let [kind, _] = reader.array()?;
    match kind {
        VMWARE_ALPHA => Ok(CursorImage::from_rgba(size, hotspot, reader.bytes(count * 4)?)),
        VMWARE_CLASSIC => {
            let keep = decode_pixels(reader.bytes(count * translator.bytes())?, translator)?;
            let invert = decode_pixels(reader.bytes(count * translator.bytes())?, translator)?;
            let opaque =
                |at: usize| keep.get(at) == Some(&Colour::BLACK) || invert.get(at) != Some(&Colour::BLACK);
            let colour = |(keep, invert): (&Colour, &Colour)| {
                if *keep == Colour::BLACK { *invert } else { Colour::BLACK }
            };
            let pixels = keep.iter().zip(&invert).map(colour).collect();
            Ok(CursorImage { size, hotspot, pixels, mask: mask(size, opaque), alpha: None })
        }
        other => Err(Stop::Failed(PseudoError::CursorType(other))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor() -> CursorImage {
        CursorImage {
            size: Size::new(9, 2),
            hotspot: Point { x: 3, y: 1 },
            pixels: (0..18).map(Colour).collect(),
            mask: vec![0xff, 0x80, 0x01, 0],
            alpha: None,
        }
    }

    type Decode<'a> = dyn Fn(&mut Reader<'_>, Rect) -> Result<CursorImage, Stop<PseudoError>> + 'a;

    /// What comes out of a rectangle; every prefix of its body asks for more.
    fn decoded(bytes: &[u8], decode: &Decode<'_>) -> CursorImage {
        let mut reader = Reader::new(bytes);
        let header = RectHeader::decode(&mut reader).expect("whole");
        for end in 12..bytes.len() {
            assert_eq!(decode(&mut Reader::new(&bytes[12..end]), header.rect), Err(Stop::NeedMore));
        }
        let cursor = decode(&mut reader, header.rect).expect("a cursor");
        assert!(reader.rest().is_empty());
        cursor
    }

    #[test]
    fn a_cursor_comes_back() {
        let translator = Translator::new(Default::default());
        let mut out = Vec::new();
        encode_cursor(Some(&cursor()), &translator, &mut out);
        assert_eq!(decoded(&out, &|reader, rect| decode_cursor(reader, rect, &translator)), cursor());
        // An image that lies about its size is not sent.
        out.clear();
        encode_cursor(Some(&CursorImage { size: Size::new(9, 3), ..cursor() }), &translator, &mut out);
        assert_eq!(out, [0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0x11]);
    }

    #[test]
    fn alpha_is_kept_to_the_last_bit() {
        let rgba: Vec<u8> = (0..=255u8).flat_map(|alpha| [alpha, alpha / 2, alpha / 3, alpha]).collect();
        let size = Size::new(128, 2);
        let image = CursorImage::from_rgba(size, Point { x: 1, y: 2 }, &rgba);
        assert_eq!((image.pixels[0], image.pixels[255]), (Colour::BLACK, Colour::rgb(255, 127, 85)));
        assert_eq!(image.mask, [[0; 16], [0xff; 16]].concat());
        let mut out = Vec::new();
        encode_alpha_cursor(Some(&image), &mut out);
        assert_eq!(out[..16], [0, 1, 0, 2, 0, 128, 0, 2, 0xff, 0xff, 0xfe, 0xc6, 0, 0, 0, 0]);
        assert_eq!(out[16..], rgba);
        assert_eq!(decoded(&out, &decode_alpha_cursor), image);
        out.clear();
        encode_vmware_cursor(Some(&image), &mut out);
        assert_eq!(out[8..14], [0x57, 0x4d, 0x56, 0x64, 1, 0]);
        let translator = Translator::new(Default::default());
        assert_eq!(decoded(&out, &|reader, rect| decode_vmware_cursor(reader, rect, &translator)), image);
        // Without opacities the mask decides.
        out.clear();
        encode_alpha_cursor(Some(&cursor()), &mut out);
        assert_eq!(out[16 + 8 * 4..][..8], [0, 0, 8, 255, 0, 0, 0, 0]);
    }

    #[test]
    fn an_x_cursor_has_two_colours() {
        let wanted = CursorImage {
            size: Size::new(3, 2),
            hotspot: Point { x: 0, y: 0 },
            pixels: [1, 0, 1, 0, 0, 1]
                .map(|bit| if bit == 1 { Colour::WHITE } else { Colour::BLACK })
                .to_vec(),
            mask: vec![0xe0, 0x40],
            alpha: None,
        };
        let mut out = Vec::new();
        encode_x_cursor(Some(&wanted), &mut out);
        let body = [255, 255, 255, 0, 0, 0, 0xa0, 0x20, 0xe0, 0x40];
        assert_eq!(out[12..], body);
        assert_eq!(decoded(&out, &decode_x_cursor), wanted);
        out.clear();
        // Colours of its own are kept, if there are not more of them.
        for (colours, wanted) in [
            ([0x00ff_0000, 0x00ff_0000], [0xff, 0xff, 0xff, 0xff, 0, 0]),
            ([0x0000_0040, 0x0000_2000], [0, 0x20, 0, 0, 0, 0x40]),
            ([0x0000_ff00, 0x00ff_ff00], [0xff, 0xff, 0, 0, 0xff, 0]),
        ] {
            let pixels = colours.map(Colour).to_vec();
            let size = Size::new(2, 1);
            let cursor =
                CursorImage { size, hotspot: Point::default(), pixels, mask: vec![0xc0], alpha: None };
            out.clear();
            encode_x_cursor(Some(&cursor), &mut out);
            assert_eq!(out[12..18], wanted);
            assert_eq!(decoded(&out, &decode_x_cursor), cursor);
        }
        out.clear();
        encode_x_cursor(None, &mut out);
        assert_eq!(out.len(), 12);
        assert_eq!(decoded(&out, &decode_x_cursor).size, Size::default());
    }

    #[test]
    fn a_classic_vmware_cursor_keeps_inverts_and_paints() {
        let translator = Translator::new(Default::default());
        let keep = [[0xff; 4], [0xff; 4], [0; 4]].concat();
        let invert = [[0; 4], [0xff; 4], [3, 2, 1, 0]].concat();
        let bytes = [&[0, 0][..], &keep, &invert].concat();
        let image = decode_vmware_cursor(&mut Reader::new(&bytes), Rect::new(0, 0, 3, 1), &translator);
        let image = image.expect("a cursor");
        assert_eq!(image.pixels[1..], [Colour::BLACK, Colour(0x0001_0203)]);
        assert_eq!(image.mask, [0b0110_0000]);
        let other = decode_vmware_cursor(&mut Reader::new(&[2, 0]), Rect::new(0, 0, 3, 1), &translator);
        assert_eq!(other, Err(Stop::Failed(PseudoError::CursorType(2))));
    }

    #[test]
    fn cursors_are_bounded_before_their_body_comes() {
        let translator = Translator::new(Default::default());
        let longest = Rect::new(0, 0, CURSOR_SIDE, CURSOR_SIDE);
        let mut empty = Reader::new(&[]);
        assert_eq!(decode_cursor(&mut empty, longest, &translator), Err(Stop::NeedMore));
        for rect in [Rect::new(0, 0, CURSOR_SIDE + 1, 0), Rect::new(0, 0, 1, u16::MAX)] {
            let wanted = Err(Stop::Failed(PseudoError::CursorTooLarge(rect.size())));
            assert_eq!(decode_cursor(&mut empty, rect, &translator), wanted);
            assert_eq!(decode_x_cursor(&mut empty, rect), wanted);
            assert_eq!(decode_alpha_cursor(&mut empty, rect), wanted);
            assert_eq!(decode_vmware_cursor(&mut empty, rect, &translator), wanted);
        }
        let tight = decode_alpha_cursor(&mut Reader::new(&[0, 0, 0, 7]), Rect::new(0, 0, 1, 1));
        assert_eq!(tight, Err(Stop::Failed(PseudoError::CursorEncoding(Encoding::TIGHT))));
    }
}
