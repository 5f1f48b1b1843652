//! Every encoder against its decoder.

use proptest::prelude::*;
use xenvnc::geometry::{Rect, Size};
use xenvnc::rfb::encoding::canvas::Canvas;
use xenvnc::rfb::encoding::{
    DecodeError, Decoder, Encoder, Encoding, Level, PictureEncoding, Quality, hextile, raw, rre, tight, trle,
    zlib, zrle,
};
use xenvnc::rfb::message::RectHeader;
use xenvnc::rfb::pixel_format::{PixelFormat, Translator};
use xenvnc::rfb::tile::{Colour, TileSource};
use xenvnc::rfb::wire::{Reader, Stop};

use crate::screen::{Mixed, any_size, formats, patchwork};

const ENCODINGS: [PictureEncoding; 9] = [
    PictureEncoding::Raw,
    PictureEncoding::Hextile,
    PictureEncoding::Zrle,
    PictureEncoding::Tight,
    PictureEncoding::Rre,
    PictureEncoding::Zlib,
    PictureEncoding::Trle,
    PictureEncoding::CoRre,
    PictureEncoding::TightPng,
];

/// Decodes a rectangle that is complete, and nothing behind it.
fn decode(
    decoder: &mut Decoder,
    encoding: PictureEncoding,
    bytes: &[u8],
    rect: Rect,
    translator: &Translator,
    canvas: &mut Canvas,
) {
    let mut reader = Reader::new(bytes);
    decoder.begin(encoding.number()).expect("a known encoding");
    let result = decoder.decode(&mut reader, rect, translator, canvas);
    assert_eq!(result, Ok(None), "{encoding:?}");
    assert!(reader.rest().is_empty(), "{encoding:?} left {} bytes over", reader.rest().len());
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
        steps in prop::collection::vec((any::<prop::sample::Index>(), 0..ENCODINGS.len(), any_size(150), 0u16..90, 0u16..90), 1..6),
    ) {
        let wanted = patchwork(size, seed);
        let mut have = Canvas::new(size);
        let (mut encoder, mut decoder) = (Encoder::default(), Decoder::default());
        for (format, encoding, part, x, y) in steps {
            let rect = Rect::new(x, y, part.width, part.height).intersect(size.rect());
            if rect.is_empty() {
                continue;
            }
            let format = *format.get(&formats());
            // A PNG has 24 bits a pixel, whatever the format.
            let png = ENCODINGS[encoding] == PictureEncoding::TightPng;
            let translator = Translator::new(if png { PixelFormat::RGB888 } else { format });
            let mut bytes = Vec::new();
            let source = Mixed { canvas: &wanted, seed };
            encoder.encode(ENCODINGS[encoding], &source, rect, &translator, &mut bytes);
            decode(&mut decoder, ENCODINGS[encoding], &bytes, rect, &translator, &mut have);
            assert_same(&translator, rect, &have, &wanted);
        }
    }

    /// Rectangles that the encoder cuts as it likes, at changing levels.
    #[test]
    fn what_is_cut_is_whole_again(
        size in any_size(150),
        seed: u64,
        steps in prop::collection::vec((any::<prop::sample::Index>(), any_size(150), 0u16..90, 0u16..90, -256..-246), 1..6),
    ) {
        let wanted = patchwork(size, seed);
        let mut have = Canvas::new(size);
        let (mut encoder, mut decoder) = (Encoder::default(), Decoder::default());
        for (format, part, x, y, level) in steps {
            let rect = Rect::new(x, y, part.width, part.height).intersect(size.rect());
            if rect.is_empty() {
                continue;
            }
            let translator = Translator::new(*format.get(&formats()));
            let mut bytes = Vec::new();
            let source = Mixed { canvas: &wanted, seed };
            encoder.set_level(Level::asked(&[Encoding(level)]).expect("a level"));
            let count = encoder.encode_rects(PictureEncoding::Tight, &source, rect, &translator, &mut bytes);
            prop_assert!(count <= rect.height.div_ceil(16) * rect.width.div_ceil(64) + 1);
            let mut reader = Reader::new(&bytes);
            let mut area = 0;
            for _ in 0..count {
                let header = RectHeader::decode(&mut reader).expect("a header");
                prop_assert_eq!(header.encoding, Encoding::TIGHT);
                area += header.rect.area();
                decoder.begin(header.encoding).expect("a known encoding");
                let result = decoder.decode(&mut reader, header.rect, &translator, &mut have);
                prop_assert_eq!(result, Ok(None));
            }
            prop_assert!(reader.rest().is_empty());
            prop_assert_eq!(area, rect.area());
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
        let _ = raw::Decoder::default().decode(&mut Reader::new(&bytes), rect, &translator, &mut canvas);
        let _ = hextile::Decoder::default().decode(&mut Reader::new(&bytes), rect, &translator, &mut canvas);
        let _ = trle::Decoder::default().decode(&mut Reader::new(&bytes), rect, &translator, &mut canvas);
        let _ = rre::Decoder::default().decode(&mut Reader::new(&bytes), rect, &translator, &mut canvas);
        let _ = zrle::Decoder::default().decode(&mut Reader::new(&bytes), rect, &translator, &mut canvas);
        // The same behind a good zlib stream.
        let mut packed = vec![0; 4];
        let mut stream = xenvnc::rfb::deflate::Compressor::new();
        stream.write(&bytes, &mut packed);
        stream.flush(&mut packed);
        let length = u32::try_from(packed.len() - 4).expect("short");
        packed[..4].copy_from_slice(&length.to_be_bytes());
        let _ = zrle::Decoder::default().decode(&mut Reader::new(&packed), rect, &translator, &mut canvas);
        let _ = zlib::Decoder::default().decode(&mut Reader::new(&packed), rect, &translator, &mut canvas);
        let _ = tight::Decoder::default().decode(&mut Reader::new(&bytes), rect, &translator, &mut canvas);
        for head in [&[0x00][..], &[0x50, 1, 1, 1, 2, 3, 4, 5, 6], &[0x60, 1, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9], &[0x40, 2]] {
            // Two bytes of length.
            let length = [packed[3] & 0x7f | 0x80, packed[2] << 1 | packed[3] >> 7];
            let whole = [head, &length, &packed[4..]].concat();
            let _ = tight::Decoder::default().decode(&mut Reader::new(&whole), rect, &translator, &mut canvas);
        }
        for y in 0..80 {
            for x in 0..80 {
                if !rect.contains(Rect::new(x, y, 1, 1)) {
                    prop_assert_eq!(canvas.pixels()[usize::from(y) * 80 + usize::from(x)].0, 0);
                }
            }
        }
    }

    /// Encodings without a length, in two portions, cut anywhere.
    #[test]
    fn what_has_no_length_goes_on_where_the_data_was_cut(seed: u64, cut in any::<prop::sample::Index>()) {
        let size = Size::new(50, 40);
        let wanted = patchwork(size, seed);
        let translator = Translator::new(formats()[0]);
        let source = Mixed { canvas: &wanted, seed };
        let (mut hextile, mut trle) = (hextile::Decoder::default(), trle::Decoder::default());
        let mut rre = rre::Decoder::default();
        for encoding in [PictureEncoding::Hextile, PictureEncoding::Trle, PictureEncoding::Rre] {
            let mut bytes = Vec::new();
            Encoder::default().encode(encoding, &source, size.rect(), &translator, &mut bytes);
            let mut have = Canvas::new(size);
            let mut decode = |reader: &mut Reader<'_>, have: &mut Canvas| match encoding {
                PictureEncoding::Trle => trle.decode(reader, size.rect(), &translator, have),
                PictureEncoding::Rre => rre.decode(reader, size.rect(), &translator, have),
                _ => hextile.decode(reader, size.rect(), &translator, have),
            };
            let mut reader = Reader::new(&bytes[..cut.index(bytes.len())]);
            prop_assert_eq!(decode(&mut reader, &mut have), Err(Stop::NeedMore));
            let mut reader = Reader::new(&bytes[reader.consumed()..]);
            prop_assert_eq!(decode(&mut reader, &mut have), Ok(()));
            prop_assert!(reader.rest().is_empty());
            prop_assert_eq!(&have, &wanted);
        }
    }
}

#[test]
fn rectangles_outside_the_framebuffer_are_refused() {
    let translator = Translator::new(formats()[0]);
    let mut canvas = Canvas::new(Size::new(10, 10));
    for rect in [Rect::new(5, 0, 6, 1), Rect::new(0, 10, 1, 1), Rect::new(u16::MAX, 0, u16::MAX, 1)] {
        let bytes = [0; 64];
        let result = raw::Decoder::default().decode(&mut Reader::new(&bytes), rect, &translator, &mut canvas);
        assert!(matches!(result, Err(Stop::Failed(_))));
        let result =
            zrle::Decoder::default().decode(&mut Reader::new(&bytes), rect, &translator, &mut canvas);
        assert!(matches!(result, Err(Stop::Failed(_))));
        let result =
            hextile::Decoder::default().decode(&mut Reader::new(&bytes), rect, &translator, &mut canvas);
        assert!(matches!(result, Err(Stop::Failed(_))));
        let result =
            tight::Decoder::default().decode(&mut Reader::new(&bytes), rect, &translator, &mut canvas);
        assert!(matches!(result, Err(Stop::Failed(_))));
    }
}

/// A screen written as text: one row a string, one pixel a character.
fn drawing(rows: &[&str], colour: impl Fn(u8) -> u32) -> Canvas {
    let width = u16::try_from(rows[0].len()).expect("short");
    let mut canvas = Canvas::new(Size::new(width, u16::try_from(rows.len()).expect("few")));
    let pixels: Vec<_> = rows.iter().flat_map(|row| row.bytes()).map(|c| Colour(colour(c))).collect();
    canvas.put(canvas.size().rect(), &pixels);
    canvas
}

fn encoded(encoding: PictureEncoding, canvas: &Canvas) -> Vec<u8> {
    let translator = Translator::new(PixelFormat::RGB888);
    let mut out = Vec::new();
    let source = Mixed { canvas, seed: 0 };
    Encoder::default().encode(encoding, &source, canvas.size().rect(), &translator, &mut out);
    out
}

/// Bytes worked out by hand from RFC 6143 §7.7.4, both ways.
#[test]
fn hextile_is_that_of_the_specification() {
    let wanted = drawing(
        &["..................", "..####..........+o", "..####..#.......+o", "........#.......++"],
        |c| match c {
            b'#' => 0x0000_00ff,
            b'+' => 0x0000_ff00,
            b'o' => 0x00ff_0000,
            _ => 0x0011_2233,
        },
    );
    let bytes = [
        // The first tile: background and foreground are named, two subrectangles follow. Pixels are little-endian.
        &[0x02 | 0x04 | 0x08, 0x33, 0x22, 0x11, 0, 0xff, 0, 0, 0, 2][..],
        // At (2, 1), 4 by 2; at (8, 2), 1 by 2.
        &[0x21, 0x31, 0x82, 0x01],
        // The second tile, 2 by 4, is named anew: four pixels are green, two red, two background.
        &[0x02 | 0x08 | 0x10, 0, 0xff, 0, 0, 2],
        // At (0, 0), 2 by 1, background; at (1, 1), 1 by 2, red.
        &[0x33, 0x22, 0x11, 0, 0x00, 0x10, 0, 0, 0xff, 0, 0x11, 0x01],
    ]
    .concat();
    assert_eq!(encoded(PictureEncoding::Hextile, &wanted), bytes);
    let mut have = Canvas::new(wanted.size());
    let translator = Translator::new(PixelFormat::RGB888);
    decode(
        &mut Decoder::default(),
        PictureEncoding::Hextile,
        &bytes,
        have.size().rect(),
        &translator,
        &mut have,
    );
    assert_eq!(have, wanted);
}

/// Tiles worked out by hand from RFC 6143 §7.7.6, in a zlib stream with stored blocks, which every decoder reads.
#[test]
fn zrle_is_that_of_the_specification() {
    let tiles: [(&[u8], &str); 5] = [
        // Raw.
        (&[0, 1, 0, 0, 2, 0, 0, 3, 0, 0, 1, 0, 0, 2, 0, 0, 3, 0, 0], "123123"),
        // Solid.
        (&[1, 7, 0, 0], "777777"),
        // A packed palette of 3, two bits a pixel: 0 1 2, then 2 1 0.
        (&[3, 5, 0, 0, 6, 0, 0, 7, 0, 0, 0b0001_1000, 0b1001_0000], "567765"),
        // Runs: four of 8 and two of 9.
        (&[128, 8, 0, 0, 3, 9, 0, 0, 1], "888899"),
        // Runs of a palette of 2: one of index 1, four of index 0, one of index 1.
        (&[130, 4, 0, 0, 5, 0, 0, 1, 0x80, 3, 1], "544445"),
    ];
    let translator = Translator::new(PixelFormat::RGB888);
    for (tile, wanted) in tiles {
        let wanted = drawing(&[&wanted[..3], &wanted[3..]], |c| u32::from(c - b'0'));
        let length = u8::try_from(tile.len()).expect("short");
        // A zlib header, then a stored block that is not the last one: RFC 1950 §2.2, RFC 1951 §3.2.4.
        let stored = [&[0x78, 0x01, 0, length, 0, !length, 0xff], tile].concat();
        let count = u8::try_from(stored.len()).expect("short");
        let bytes = [&[0, 0, 0, count][..], &stored].concat();
        let mut have = Canvas::new(wanted.size());
        decode(
            &mut Decoder::default(),
            PictureEncoding::Zrle,
            &bytes,
            have.size().rect(),
            &translator,
            &mut have,
        );
        assert_eq!(have, wanted);
    }
}

/// What the ZRLE encoder chooses, unpacked.
#[test]
fn zrle_takes_the_shortest_form() {
    let unpacked = |rows: &[&str]| {
        let bytes = encoded(PictureEncoding::Zrle, &drawing(rows, |c| u32::from(c - b'0')));
        let mut out = Vec::new();
        xenvnc::rfb::deflate::Decompressor::new().read(&bytes[4..], 10_000, &mut out).expect("a stream");
        out
    };
    assert_eq!(unpacked(&["777", "777"]), [1, 7, 0, 0]);
    // Two colours, a pixel each: a bit is shorter than a run.
    assert_eq!(unpacked(&["10101010", "01010101"]), [2, 1, 0, 0, 0, 0, 0, 0x55, 0xaa]);
    // One long run and one short: shorter than two bytes of bits each.
    let long = "1".repeat(64);
    let mut rows = vec![&long[..]; 8];
    let last = format!("{}0", "1".repeat(63));
    rows.push(&last);
    // 575 pixels of the first colour: 255 + 255 + 64 and one.
    assert_eq!(unpacked(&rows), [130, 1, 0, 0, 0, 0, 0, 0x80, 255, 255, 64, 1]);
    // No two alike.
    assert_eq!(unpacked(&["123", "456"]), [0, 1, 0, 0, 2, 0, 0, 3, 0, 0, 4, 0, 0, 5, 0, 0, 6, 0, 0]);
}

/// Bytes worked out by hand from the specification, both ways: what is too short to be compressed.
#[test]
fn tight_is_that_of_the_specification() {
    let cases: [(&[&str], &[u8]); 4] = [
        // One colour: red, green, blue.
        (&["7777", "7777"], &[0x80, 0x70, 0x71, 0x72]),
        // Bits behind a palette of two, in stream 1.
        (&["1221122112", "1111111111"], &[0x50, 1, 1, 0x10, 0x11, 0x12, 0x20, 0x21, 0x22, 0x66, 0x40, 0, 0]),
        // Indices behind a palette of three, in stream 2.
        (
            &["1231123"],
            &[0x60, 1, 2, 0x10, 0x11, 0x12, 0x20, 0x21, 0x22, 0x30, 0x31, 0x32, 0, 1, 2, 0, 0, 1, 2],
        ),
        // Pixels, where a palette would not pay.
        (&["123"], &[0x00, 0x10, 0x11, 0x12, 0x20, 0x21, 0x22, 0x30, 0x31, 0x32]),
    ];
    let translator = Translator::new(PixelFormat::RGB888);
    for (rows, bytes) in cases {
        let wanted = drawing(rows, |c| u32::from(c - b'0') * 0x0010_1010 + 0x0000_0102);
        assert_eq!(encoded(PictureEncoding::Tight, &wanted), bytes);
        let mut have = Canvas::new(wanted.size());
        decode(
            &mut Decoder::default(),
            PictureEncoding::Tight,
            bytes,
            have.size().rect(),
            &translator,
            &mut have,
        );
        assert_eq!(have, wanted);
    }
}

/// Shapes of all sizes without an edge, as a camera sees them; the rest is a drawing.
fn photograph(size: Size, photo: Rect) -> Canvas {
    let mut canvas = Canvas::new(size);
    canvas.fill(size.rect(), Colour::WHITE);
    canvas.fill(Rect::new(8, 8, 20, 20), Colour(0x0012_3456));
    for y in photo.y..photo.y + photo.height {
        let row: Vec<_> = (photo.x..photo.x + photo.width)
            .map(|x| {
                let wave = |at: u16, length: u16| {
                    let at = i32::from(at % length) - i32::from(length / 2);
                    at * at * 220 / (i32::from(length / 2) * i32::from(length / 2))
                };
                let level = |a, b| u8::try_from((wave(x, a) + wave(y, b)) / 2 + 10).expect("at most 230");
                Colour::rgb(level(150, 190), level(230, 110), level(70, 180) ^ u8::from(x % 2 == 1))
            })
            .collect();
        canvas.put(Rect::new(photo.x, y, photo.width, 1), &row);
    }
    canvas
}

/// Encodes and decodes a picture with a photograph; the rectangles' forms, the bytes, and what came out.
fn with_quality(
    encoding: PictureEncoding,
    quality: &[i32],
    canvas: &Canvas,
) -> (Vec<(Rect, u8)>, usize, Canvas) {
    let translator = Translator::new(PixelFormat::RGB888);
    let mut encoder = Encoder::default();
    let wishes: Vec<_> = quality.iter().map(|level| Encoding(*level)).collect();
    encoder.set_quality(Quality::asked(&wishes), quality.contains(&21));
    let mut bytes = Vec::new();
    let count = encoder.encode_rects(encoding, canvas, canvas.size().rect(), &translator, &mut bytes);
    let mut have = Canvas::new(canvas.size());
    let mut decoder = Decoder::new(true);
    let mut reader = Reader::new(&bytes);
    let mut forms = Vec::new();
    for _ in 0..count {
        let header = RectHeader::decode(&mut reader).expect("a header");
        let jpeg = header.encoding == Encoding::JPEG;
        assert!(header.encoding == encoding.number() || jpeg && quality.contains(&21));
        // As the control byte of Tight says it.
        forms.push((header.rect, if jpeg { 0x90 } else { reader.rest()[0] }));
        decoder.begin(header.encoding).expect("a known encoding");
        decoder.decode(&mut reader, header.rect, &translator, &mut have).expect("a good body");
    }
    assert!(reader.rest().is_empty());
    (forms, bytes.len(), have)
}

/// How far two pictures are apart, in levels of a channel: on the average and at most.
fn distance(one: &Canvas, other: &Canvas, area: Rect) -> (f64, u8) {
    let (mut sum, mut most) = (0.0, 0);
    for y in area.y..area.y + area.height {
        for x in area.x..area.x + area.width {
            let at = usize::from(y) * usize::from(one.size().width) + usize::from(x);
            let (one, other) = (one.pixels()[at], other.pixels()[at]);
            for (a, b) in [(one.red(), other.red()), (one.green(), other.green()), (one.blue(), other.blue())]
            {
                sum += f64::from(a.abs_diff(b));
                most = most.max(a.abs_diff(b));
            }
        }
    }
    (sum / (3.0 * f64::from(area.area())), most)
}

#[test]
fn photographs_lose_only_what_the_viewer_allows() {
    let size = Size::new(448, 256);
    let photo = Rect::new(128, 64, 256, 128);
    let wanted = photograph(size, photo);
    for (encoding, jpeg) in [
        (PictureEncoding::Tight, None),
        (PictureEncoding::TightPng, None),
        (PictureEncoding::Zrle, Some(21)),
        (PictureEncoding::Hextile, Some(21)),
        (PictureEncoding::Tight, Some(21)),
    ] {
        let with_quality = |encoding, levels: &[i32], wanted| {
            let levels: Vec<i32> = jpeg.into_iter().chain(levels.iter().copied()).collect();
            with_quality(encoding, &levels, wanted)
        };
        let (forms, exact, have) = with_quality(encoding, &[], &wanted);
        assert!(have == wanted && forms.iter().all(|(_, form)| *form != 0x90), "{encoding:?}");
        let mut last = (exact, 256.0);
        for (levels, at_most) in [(&[-23][..], 2.0), (&[-26], 6.0), (&[-28, -472], 10.0), (&[-32], 20.0)] {
            let (forms, bytes, have) = with_quality(encoding, levels, &wanted);
            let jpegs: Vec<_> =
                forms.iter().filter(|(_, form)| *form == 0x90).map(|(rect, _)| *rect).collect();
            assert_eq!(jpegs, [photo], "{encoding:?} {levels:?}");
            let (average, _) = distance(&have, &wanted, photo);
            assert!(
                average < at_most && bytes < last.0,
                "{encoding:?} {levels:?}: {average} {bytes} {last:?}"
            );
            last = (bytes, average);
            // Around it nothing is lost.
            let mut copy = have.clone();
            for y in photo.y..photo.y + photo.height {
                let start = usize::from(y) * usize::from(size.width) + usize::from(photo.x);
                copy.put(Rect { y, height: 1, ..photo }, &wanted.pixels()[start..start + 256]);
            }
            assert!(copy == wanted, "{encoding:?} {levels:?}");
        }
        assert!(last.0 < exact / 8, "{encoding:?} {last:?} {exact}");
    }
}

/// Rows that are not compressed, worked out by hand from the community's specification: taken only when asked for.
#[test]
fn tight_without_zlib_has_rows_as_they_are() {
    let translator = Translator::new(PixelFormat::RGB888);
    let rect = Rect::new(1, 1, 4, 2);
    let mut wanted = Canvas::new(Size::new(6, 4));
    let pixels: Vec<_> = (0..8).map(|n| Colour::rgb(n, 100 + n, 200 + n)).collect();
    wanted.put(rect, &pixels);
    let bytes: Vec<u8> = pixels.iter().flat_map(|c| [c.red(), c.green(), c.blue()]).collect();
    let mut indexed = Canvas::new(wanted.size());
    let palette = [Colour(0x0001_0203), Colour(0x0004_0506), Colour(0x0007_0809)];
    let indices = [0u8, 1, 2, 0, 2, 2, 1, 1, 0, 1, 2, 0, 2, 2, 1, 1];
    let tall = Rect::new(1, 0, 4, 4);
    indexed.put(tall, &indices.map(|index| palette[usize::from(index)]));
    let decode = |rect: Rect, body: &[u8], asked: bool| {
        let mut decoder = if asked { Decoder::default().without_zlib() } else { Decoder::default() };
        let mut canvas = Canvas::new(Size::new(6, 4));
        decoder.begin(Encoding::TIGHT).expect("a known encoding");
        let mut reader = Reader::new(body);
        let result = decoder.decode(&mut reader, rect, &translator, &mut canvas);
        result.map(|_| (canvas, reader.rest().len()))
    };
    let plain = [&[0xa0, 24][..], &bytes].concat();
    assert_eq!(decode(rect, &plain, true), Ok((wanted.clone(), 0)));
    let filtered = [&[0xe0, 0, 24][..], &bytes].concat();
    assert_eq!(decode(rect, &filtered, true), Ok((wanted, 0)));
    let with_palette = [&[0xe0, 1, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 16][..], &indices].concat();
    assert_eq!(decode(tall, &with_palette, true), Ok((indexed, 0)));
    // Below 12 bytes there is no length.
    let small = Rect::new(0, 0, 1, 1);
    let one = decode(small, &[0xa0, 7, 8, 9], true).expect("a pixel");
    assert_eq!((one.0.pixels()[0], one.1), (Colour::rgb(7, 8, 9), 0));
    for end in 0..plain.len() {
        assert_eq!(decode(rect, &plain[..end], true), Err(Stop::NeedMore), "{end}");
    }
    let failed = |body: &[u8], asked| match decode(rect, body, asked) {
        Err(Stop::Failed(error)) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(failed(&plain, false), DecodeError::TightControl(0xa0));
    assert_eq!(failed(&filtered, false), DecodeError::TightControl(0xe0));
    assert_eq!(failed(&[0xa0, 23], true), DecodeError::Short(rect));
    assert_eq!(failed(&[0xa0, 25], true), DecodeError::LeftOver(1));
    assert_eq!(failed(&[0xb0, 24], true), DecodeError::TightControl(0xb0));
}

/// TightPNG knows a fill, and files; nothing of it needs a stream.
#[test]
fn tight_png_has_files_in_place_of_streams() {
    let translator = Translator::new(PixelFormat::RGB888);
    let encoded = |canvas: &Canvas| {
        let mut out = Vec::new();
        let encoding = PictureEncoding::TightPng;
        Encoder::default().encode(encoding, canvas, canvas.size().rect(), &translator, &mut out);
        out
    };
    let blank = drawing(&["....."; 5], |_| 0x0001_0203);
    assert_eq!(encoded(&blank), [0x80, 1, 2, 3]);
    // One bit a pixel (depth 1, colour type 3) for two colours, 8 bits (type 3) for three.
    for (rows, depth) in [(["0101010101"; 9], 1), (["0120120120"; 9], 8)] {
        let out = encoded(&drawing(&rows, |c| u32::from(c) * 0x0001_0203));
        assert_eq!(out[0], 0xa0);
        // The length has two bytes from 128 on, the lower seven bits first.
        let (length, file) = match out[1] {
            low @ 128.. => (usize::from(low & 0x7f) | usize::from(out[2]) << 7, &out[3..]),
            low => (usize::from(low), &out[2..]),
        };
        assert_eq!(length, file.len());
        assert_eq!(file[..8], *b"\x89PNG\r\n\x1a\n");
        assert_eq!(file[16..26], [0, 0, 0, 10, 0, 0, 0, 9, depth, 3]);
    }
}

/// Each kind of data has its stream, which goes on from rectangle to rectangle and begins anew at another level.
#[test]
fn tight_streams_live_as_long_as_the_connection() {
    let bits = drawing(&["0101010101010101"; 20], |c| u32::from(c) * 0x0001_0203);
    let indices = drawing(&["0123012301230123"; 20], |c| u32::from(c) * 0x0001_0203);
    let translator = Translator::new(PixelFormat::RGB888);
    let mut encoder = Encoder::default();
    let mut control = |canvas: &Canvas, level: i32| {
        encoder.set_level(Level::asked(&[Encoding(level)]).expect("a level"));
        let mut out = Vec::new();
        let source = Mixed { canvas, seed: 0 };
        encoder.encode(PictureEncoding::Tight, &source, canvas.size().rect(), &translator, &mut out);
        let header = 3 + 3 * (usize::from(out[2]) + 1) + 1;
        // A zlib header of a window of 32 KiB, or the middle of a stream.
        (out[0], out[header] == 0x78)
    };
    assert_eq!(control(&bits, -254), (0x50, true));
    assert_eq!(control(&bits, -254), (0x50, false));
    assert_eq!(control(&indices, -254), (0x60, true));
    assert_eq!(control(&bits, -254), (0x50, false));
    // Also when the level changes.
    assert_eq!(control(&indices, -251), (0x60, false));
    assert_eq!(control(&bits, -251), (0x50, false));
}

/// Bytes worked out by hand from RFC 6143 §7.7.3 and §7.7.5, both ways where the encoder would choose the same.
#[test]
fn rre_and_trle_are_those_of_the_specification() {
    let translator = Translator::new(PixelFormat::RGB888);
    let wanted = drawing(&["....", ".##.", ".##o"], u32::from);
    let bytes = [
        // Two subrectangles on a background.
        &[0, 0, 0, 2, b'.', 0, 0, 0][..],
        &[b'#', 0, 0, 0, 0, 1, 0, 1, 0, 2, 0, 2],
        &[b'o', 0, 0, 0, 0, 3, 0, 2, 0, 1, 0, 1],
    ]
    .concat();
    assert_eq!(encoded(PictureEncoding::Rre, &wanted), bytes);
    let mut have = Canvas::new(wanted.size());
    decode(&mut Decoder::default(), PictureEncoding::Rre, &bytes, have.size().rect(), &translator, &mut have);
    assert_eq!(have, wanted);

    // Four tiles: a packed palette of two; the same palette again; runs of it; one colour.
    let row = format!("{}{}{}{}", "1212121212121212", "2222222211111111", "1111111111111111", "7");
    let wanted = drawing(&[&row], |c| u32::from(c - b'0'));
    let bytes = [&[2, 1, 0, 0, 2, 0, 0, 0x55, 0x55][..], &[127, 0xff, 0x00], &[129, 0x80, 15], &[1, 7, 0, 0]]
        .concat();
    let mut have = Canvas::new(wanted.size());
    decode(
        &mut Decoder::default(),
        PictureEncoding::Trle,
        &bytes,
        have.size().rect(),
        &translator,
        &mut have,
    );
    assert_eq!(have, wanted);
    // No palette to use again.
    for kind in [127, 129] {
        let result = trle::Decoder::default().decode(
            &mut Reader::new(&[kind, 0, 0, 0]),
            have.size().rect(),
            &translator,
            &mut have,
        );
        assert!(matches!(result, Err(Stop::Failed(_))));
    }
}
