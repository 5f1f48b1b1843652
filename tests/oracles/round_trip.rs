//! What is encoded is decoded, through changes of damage, encoding, format and level, by one viewer's streams.

use xenvnc::geometry::Size;
use xenvnc::rfb::encoding::canvas::Canvas;
use xenvnc::rfb::encoding::{Decoder, Encoder, Encoding, Level, PictureEncoding};
use xenvnc::rfb::message::RectHeader;
use xenvnc::rfb::pixel_format::{PixelFormat, Translator};
use xenvnc::rfb::wire::Reader;

use super::bytes::{Bytes, PICTURES};

/// The most rectangles of a case, which bounds its time.
const STEPS: usize = 24;

/// Encoders and decoders agree.
pub fn round_trip(data: &[u8]) {
    let mut bytes = Bytes(data);
    let size = Size::new(8 + bytes.below(200), 8 + bytes.below(200));
    let (mut screen, mut seen) = (Canvas::new(size), Canvas::new(size));
    let (mut encoder, mut decoder) = (Encoder::default(), Decoder::default());
    let mut translator = Translator::new(PixelFormat::RGB888);
    for _ in 0..STEPS {
        if bytes.is_empty() {
            break;
        }
        let change = bytes.byte();
        if change & 1 == 1 {
            translator = Translator::new(bytes.exact_format());
        }
        if change & 2 == 2 {
            let level = Encoding(Encoding::COMPRESS_LEVEL_0.0 + i32::from(bytes.byte() % 10));
            encoder.set_level(Level::asked(&[level]).expect("a level"));
        }
        let rect = bytes.rect(size);
        bytes.paint(&mut screen, rect);
        let number = bytes.pick(&PICTURES);
        let encoding = PictureEncoding::preferred(&[number]);
        assert_eq!(encoding.number(), number);
        let mut out = Vec::new();
        let count = encoder.encode_rects(encoding, &screen, rect, &translator, &mut out);
        let mut reader = Reader::new(&out);
        for _ in 0..count {
            let header = RectHeader::decode(&mut reader).expect("a header");
            assert!(header.encoding == number && rect.contains(header.rect));
            decoder.begin(number).expect("a known encoding");
            decoder.decode(&mut reader, header.rect, &translator, &mut seen).expect("a good body");
        }
        assert!(reader.rest().is_empty(), "{number:?} left bytes over");
        assert!(seen == screen, "{number:?} shows another picture at {rect:?}");
    }
}
