//! Every encoder against its decoder.

use proptest::prelude::*;
use xenvnc::geometry::{Rect, Size};
use xenvnc::rfb::encoding::canvas::Canvas;
use xenvnc::rfb::encoding::{Encoder, PictureEncoding, hextile, raw, zrle};
use xenvnc::rfb::pixel_format::Translator;
use xenvnc::rfb::tile::TileSource;
use xenvnc::rfb::wire::{Reader, Stop};

use crate::screen::{Mixed, any_size, formats, patchwork};

const ENCODINGS: [PictureEncoding; 3] =
    [PictureEncoding::Raw, PictureEncoding::Hextile, PictureEncoding::Zrle];

/// Decoders for one viewer.
#[derive(Default)]
struct Decoders {
    zrle: zrle::Decoder,
}

impl Decoders {
    fn decode(
        &mut self,
        encoding: PictureEncoding,
        bytes: &[u8],
        rect: Rect,
        translator: &Translator,
        canvas: &mut Canvas,
    ) {
        let mut reader = Reader::new(bytes);
        let result = match encoding {
            PictureEncoding::Raw => raw::decode(&mut reader, rect, translator, canvas),
            PictureEncoding::Hextile => {
                hextile::Decoder::default().decode(&mut reader, rect, translator, canvas)
            }
            PictureEncoding::Zrle => self.zrle.decode(&mut reader, rect, translator, canvas),
        };
        assert_eq!(result, Ok(()), "{encoding:?}");
        assert!(reader.rest().is_empty(), "{encoding:?} left {} bytes over", reader.rest().len());
    }
}

/// Asserts that `rect` of both canvases is equal, as far as the format can tell.
fn assert_same(translator: &Translator, rect: Rect, have: &Canvas, wanted: &Canvas) {
    let (mut buf, mut other) = (Default::default(), Default::default());
    let have = have.tile(rect, &mut buf);
    let wanted = wanted.tile(rect, &mut other);
    let (xenvnc::rfb::tile::Tile::Pixels(have), xenvnc::rfb::tile::Tile::Pixels(wanted)) = (have, wanted)
    else {
        panic!("a canvas answers in pixels");
    };
    for (at, (have, wanted)) in have.iter().zip(wanted).enumerate() {
        let wanted = translator.colour(translator.wire(*wanted));
        assert_eq!(*have, wanted, "pixel {at} of {rect:?} in {:?}", translator.format());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// One viewer's encoder and decoders through several rectangles, encodings and formats.
    #[test]
    fn what_is_encoded_is_decoded(
        size in any_size(150),
        seed: u64,
        steps in prop::collection::vec((any::<prop::sample::Index>(), 0usize..3, any_size(150), 0u16..90, 0u16..90), 1..6),
    ) {
        let wanted = patchwork(size, seed);
        let mut have = Canvas::new(size);
        let (mut encoder, mut decoders) = (Encoder::default(), Decoders::default());
        for (format, encoding, part, x, y) in steps {
            let rect = Rect::new(x, y, part.width, part.height).intersect(size.rect());
            if rect.is_empty() {
                continue;
            }
            let translator = Translator::new(*format.get(&formats()));
            let mut bytes = Vec::new();
            let source = Mixed { canvas: &wanted, seed };
            encoder.encode(ENCODINGS[encoding], &source, rect, &translator, &mut bytes);
            decoders.decode(ENCODINGS[encoding], &bytes, rect, &translator, &mut have);
            assert_same(&translator, rect, &have, &wanted);
        }
    }

    /// Decoders get what no server should send; they must answer, not panic, and stay inside the rectangle.
    #[test]
    fn decoders_survive_anything(
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0u8..20, 120u8..140], 0..600),
        format in any::<prop::sample::Index>(),
        size in any_size(70),
    ) {
        let translator = Translator::new(*format.get(&formats()));
        let mut canvas = Canvas::new(Size::new(80, 80));
        let rect = Rect::new(3, 5, size.width, size.height);
        let _ = raw::decode(&mut Reader::new(&bytes), rect, &translator, &mut canvas);
        let _ = hextile::Decoder::default().decode(&mut Reader::new(&bytes), rect, &translator, &mut canvas);
        let _ = zrle::Decoder::default().decode(&mut Reader::new(&bytes), rect, &translator, &mut canvas);
        // The same behind a good zlib stream.
        let mut packed = vec![0; 4];
        let mut stream = xenvnc::rfb::deflate::Compressor::new();
        stream.write(&bytes, &mut packed);
        stream.flush(&mut packed);
        let length = u32::try_from(packed.len() - 4).expect("short");
        packed[..4].copy_from_slice(&length.to_be_bytes());
        let _ = zrle::Decoder::default().decode(&mut Reader::new(&packed), rect, &translator, &mut canvas);
        for y in 0..80 {
            for x in 0..80 {
                if !rect.contains(Rect::new(x, y, 1, 1)) {
                    prop_assert_eq!(canvas.pixels()[usize::from(y) * 80 + usize::from(x)].0, 0);
                }
            }
        }
    }

    /// Hextile in two portions, cut anywhere.
    #[test]
    fn hextile_goes_on_where_the_data_was_cut(seed: u64, cut in any::<prop::sample::Index>()) {
        let size = Size::new(50, 40);
        let wanted = patchwork(size, seed);
        let translator = Translator::new(formats()[0]);
        let mut bytes = Vec::new();
        let source = Mixed { canvas: &wanted, seed };
        Encoder::default().encode(PictureEncoding::Hextile, &source, size.rect(), &translator, &mut bytes);
        let mut have = Canvas::new(size);
        let mut decoder = hextile::Decoder::default();
        let mut reader = Reader::new(&bytes[..cut.index(bytes.len())]);
        let result = decoder.decode(&mut reader, size.rect(), &translator, &mut have);
        prop_assert_eq!(result, Err(Stop::NeedMore));
        let mut reader = Reader::new(&bytes[reader.consumed()..]);
        prop_assert_eq!(decoder.decode(&mut reader, size.rect(), &translator, &mut have), Ok(()));
        prop_assert!(reader.rest().is_empty());
        prop_assert_eq!(have, wanted);
    }
}

#[test]
fn rectangles_outside_the_framebuffer_are_refused() {
    let translator = Translator::new(formats()[0]);
    let mut canvas = Canvas::new(Size::new(10, 10));
    for rect in [Rect::new(5, 0, 6, 1), Rect::new(0, 10, 1, 1), Rect::new(u16::MAX, 0, u16::MAX, 1)] {
        let bytes = [0; 64];
        let result = raw::decode(&mut Reader::new(&bytes), rect, &translator, &mut canvas);
        assert!(matches!(result, Err(Stop::Failed(_))));
        let result =
            zrle::Decoder::default().decode(&mut Reader::new(&bytes), rect, &translator, &mut canvas);
        assert!(matches!(result, Err(Stop::Failed(_))));
        let result =
            hextile::Decoder::default().decode(&mut Reader::new(&bytes), rect, &translator, &mut canvas);
        assert!(matches!(result, Err(Stop::Failed(_))));
    }
}
