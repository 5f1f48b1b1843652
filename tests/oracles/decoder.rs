//! A rectangle's body gives the same picture and the same error whether it comes at once or byte by byte.

use xenvnc::geometry::Size;
use xenvnc::rfb::encoding::canvas::Canvas;
use xenvnc::rfb::encoding::{DecodeError, Decoder, Encoding};
use xenvnc::rfb::pixel_format::{PixelFormat, Translator};
use xenvnc::rfb::wire::{Reader, Stop};

use super::bytes::{Bytes, PICTURES};

/// Decodes rectangles until the data or the server's credit is at an end: what was painted, how many bytes were used,
/// and the error.
fn decode(
    data: &[u8],
    piece: usize,
    header: &[u8],
    translator: &Translator,
) -> (Canvas, usize, Option<DecodeError>) {
    let mut header = Bytes(header);
    let mut canvas = Canvas::new(Size::new(70, 70));
    let mut decoder = Decoder::new(true).without_zlib();
    let (mut start, mut end) = (0, 0);
    for _ in 0..3 {
        // One more than those that lose nothing; Raw stands first, and is the least in need of being tried.
        let encoding = header.pick(&PICTURES);
        let lossy = header.byte() & 1 == 1 && encoding == Encoding::RAW;
        decoder.begin(if lossy { Encoding::JPEG } else { encoding }).expect("a known encoding");
        let mut rect = header.rect(canvas.size());
        // Sometimes outside.
        rect.x += u16::from(header.byte() == 7);
        loop {
            let mut reader = Reader::new(&data[start..end]);
            let result = decoder.decode(&mut reader, rect, translator, &mut canvas);
            start += reader.consumed();
            match result {
                Ok(_) => break,
                Err(Stop::NeedMore) if end < data.len() => end = (end + piece).min(data.len()),
                Err(Stop::NeedMore) => return (canvas, start, None),
                Err(Stop::Failed(error)) => return (canvas, start, Some(error)),
            }
        }
    }
    (canvas, start, None)
}

/// Any decoder takes any bytes.
pub fn decoder(data: &[u8]) {
    let mut bytes = Bytes(data);
    let format = match bytes.byte() % 4 {
        0 => PixelFormat::RGB888,
        1 => bytes.exact_format(),
        _ => match PixelFormat::decode(&mut Reader::new(bytes.take(16))) {
            Ok(Ok(format)) => format,
            _ => PixelFormat::RGB888,
        },
    };
    let translator = Translator::new(format);
    let header = bytes.take(30);
    let data = bytes.0;
    let (whole, used, error) = decode(data, data.len().max(1), header, &translator);
    let (pieces, used_by_piece, error_by_piece) = decode(data, 1, header, &translator);
    assert_eq!(error.is_some(), error_by_piece.is_some(), "{error:?} at once, {error_by_piece:?} by bytes");
    if error.is_none() {
        assert_eq!(used, used_by_piece);
        assert!(whole == pieces, "another picture byte by byte");
    }
}
