//! What servers may send: in pieces, too much, and nonsense.

use std::io::Cursor;

use proptest::prelude::*;
use xenvnc::geometry::{Point, Rect, Size};
use xenvnc::rfb::client::{ClientConnection, ClientError, ClientEvent, ClientOptions};
use xenvnc::rfb::deflate::{Compressor, InflateFailure};
use xenvnc::rfb::encoding::pseudo::{self, CursorImage, LayoutReason, LedState, PseudoError};
use xenvnc::rfb::encoding::{DecodeError, Encoder, Encoding, PictureEncoding};
use xenvnc::rfb::message::handshake::ServerInit;
use xenvnc::rfb::message::{
    ClientForms, ClientMessage, ClipboardCaps, ClipboardError, ClipboardMessage, Fence, RectHeader, Screen,
    ServerMessage, ServerMessageError, Xvp,
};
use xenvnc::rfb::pixel_format::{PixelFormat, Translator};
use xenvnc::rfb::tile::Colour;
use xenvnc::rfb::wire::Reader;

use crate::oracles::{client_input, lasting};
use crate::screen::{Mixed, patchwork};

const SIZE: Size = Size::new(64, 48);

/// Where most of it is painted: tiles of 16 by 16 pixels and of less.
const PAINTED: Rect = Rect::new(3, 1, 19, 18);

/// 32 by 24 pixels: red grows by 8 to the right, green by 10 downwards, blue is 128.
const JPEG: &[u8] = include_bytes!("../data/rfb/gradient-32x24.jpg");

/// A client that takes everything.
pub(crate) fn options() -> ClientOptions {
    let mut options = ClientOptions { quality: Some(9), max_pixels: 10_000, ..ClientOptions::network() };
    options.encodings.push(Encoding::TIGHT_PNG);
    options
}

fn bytes(message: &ServerMessage<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    message.encode(&mut out);
    out
}

fn clipboard(message: &ClipboardMessage) -> Vec<u8> {
    let mut body = Vec::new();
    message.encode(&mut body);
    bytes(&ServerMessage::ExtendedClipboard(body.into()))
}

/// The bytes up to ServerInit, which is in them.
fn handshake(size: Size) -> Vec<u8> {
    let mut out = b"RFB 003.008\n\x01\x01\0\0\0\0".to_vec();
    ServerInit { size, format: PixelFormat::RGB888, name: "hostile".into() }.encode(&mut out);
    out
}

/// One update with a rectangle of these bytes.
fn update(rect: Rect, encoding: Encoding, body: &[u8]) -> Vec<u8> {
    let mut out = bytes(&ServerMessage::Update { rects: 1 });
    RectHeader { rect, encoding }.encode(&mut out);
    out.extend(body);
    out
}

/// A rectangle in every encoding for pictures, with its header.
fn pictures() -> Vec<Vec<u8>> {
    let screen = patchwork(SIZE, 11);
    let source = Mixed { canvas: &screen, seed: 4 };
    let translator = Translator::new(PixelFormat::RGB888);
    let mut encoder = Encoder::default();
    let rect = PAINTED;
    let mut all = Vec::new();
    for encoding in [
        PictureEncoding::Raw,
        PictureEncoding::Hextile,
        PictureEncoding::Zrle,
        PictureEncoding::Tight,
        PictureEncoding::Rre,
        PictureEncoding::Zlib,
        PictureEncoding::Trle,
        // Streams go on.
        PictureEncoding::Zrle,
        PictureEncoding::Tight,
        PictureEncoding::Zlib,
    ] {
        let mut out = Vec::new();
        RectHeader { rect, encoding: encoding.number() }.encode(&mut out);
        encoder.encode(encoding, &source, rect, &translator, &mut out);
        all.push(out);
    }
    let mut add = |rect, encoding, body: &[u8]| {
        let mut out = Vec::new();
        RectHeader { rect, encoding }.encode(&mut out);
        out.extend(body);
        all.push(out);
    };
    add(rect, Encoding::COPY_RECT, &[0, 9, 0, 7]);
    add(rect, Encoding::CORRE, &[0, 0, 0, 1, 1, 2, 3, 0, 4, 5, 6, 0, 2, 3, 10, 11]);
    let jpeg = Rect::new(5, 5, 32, 24);
    add(jpeg, Encoding::TIGHT, &[&[0x90], &length(JPEG.len())[..], JPEG].concat());
    let png = png(Size::new(2, 1), &[1, 2, 3, 4, 5, 6]);
    add(Rect::new(8, 8, 2, 1), Encoding::TIGHT_PNG, &[&[0xa0], &length(png.len())[..], &png].concat());
    add(Rect::default(), Encoding::RAW, &[]);
    all
}

/// A length in Tight's form.
fn length(length: usize) -> [u8; 2] {
    assert!((128..16_384).contains(&length) || length < 128);
    let [low, high] = [length & 0x7f, length >> 7].map(|bits| u8::try_from(bits).expect("small"));
    [low | 0x80, high]
}

fn png(size: Size, rgb: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder =
        png::Encoder::new(Cursor::new(&mut file), u32::from(size.width), u32::from(size.height));
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header().and_then(|mut writer| writer.write_image_data(rgb)).expect("a png");
    file
}

/// A rectangle of every pseudo-encoding, with its header. The last one changes the size.
fn news() -> Vec<Vec<u8>> {
    let translator = Translator::new(PixelFormat::RGB888);
    let cursor = CursorImage {
        size: Size::new(3, 2),
        hotspot: Point { x: 1, y: 1 },
        pixels: vec![Colour::WHITE; 6],
        mask: vec![0xe0, 0x40],
        alpha: None,
    };
    let leds = LedState { num_lock: true, ..LedState::default() };
    let screens = [Screen { id: 7, area: SIZE.rect(), flags: 3 }];
    let one = |encode: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        encode(&mut out);
        out
    };
    vec![
        one(&|out| pseudo::encode_desktop_name("näme", out)),
        one(&|out| pseudo::encode_cursor(Some(&cursor), &translator, out)),
        one(&|out| pseudo::encode_x_cursor(Some(&cursor), out)),
        one(&|out| pseudo::encode_alpha_cursor(Some(&cursor), out)),
        one(&|out| pseudo::encode_vmware_cursor(Some(&cursor), out)),
        one(&|out| pseudo::encode_cursor_position(Point { x: 9, y: 8 }, out)),
        one(&|out| pseudo::encode_leds(Encoding::QEMU_LED_STATE, leds, out)),
        one(&|out| pseudo::encode_leds(Encoding::VMWARE_LED_STATE, leds, out)),
        one(&|out| pseudo::encode_bare(Encoding::QEMU_EXTENDED_KEY, out)),
        one(&|out| pseudo::encode_bare(Encoding::EXTENDED_MOUSE_BUTTONS, out)),
        one(&|out| pseudo::encode_extended_desktop_size(LayoutReason::SERVER, SIZE, &screens, out)),
        one(&|out| {
            pseudo::encode_extended_desktop_size(
                LayoutReason { by: 1, status: 3 },
                Size::default(),
                &[],
                out,
            );
        }),
        one(&|out| pseudo::encode_desktop_size(Size::new(50, 60), out)),
    ]
}

/// A server's side of a session, in which every message occurs.
pub(crate) fn session() -> Vec<u8> {
    let mut out = handshake(SIZE);
    let caps = ClipboardCaps { actions: ClipboardCaps::REQUEST | ClipboardCaps::NOTIFY, text: Some(20) };
    for message in [
        ServerMessage::Bell,
        ServerMessage::ColourMap { first: 3, colours: vec![[1, 2, 3]; 5] },
        ServerMessage::CutText(b"text".into()),
        ServerMessage::EndOfContinuousUpdates,
        ServerMessage::Fence(Fence { flags: Fence::REQUEST | Fence::BLOCK_BEFORE, payload: vec![5; 64] }),
        ServerMessage::Fence(Fence { flags: 0, payload: Vec::new() }),
        ServerMessage::Xvp(Xvp { version: 1, code: Xvp::INIT }),
        ServerMessage::Update { rects: 0 },
    ] {
        message.encode(&mut out);
    }
    for message in [
        ClipboardMessage::Caps(caps),
        ClipboardMessage::Peek,
        ClipboardMessage::Request { text: true },
        ClipboardMessage::Notify { text: true },
        ClipboardMessage::Provide(Some("ä漢\n".into())),
    ] {
        out.extend(clipboard(&message));
    }
    // Text that is too long is thrown away.
    out.extend([3, 0, 0, 0, 0x00, 0x10, 0, 1]);
    out.extend(vec![b'x'; (1 << 20) + 1]);
    let (pictures, news) = (pictures(), news());
    ServerMessage::Update { rects: u16::try_from(pictures.len()).expect("few") }.encode(&mut out);
    out.extend(pictures.concat());
    // Until the last.
    ServerMessage::Update { rects: u16::MAX }.encode(&mut out);
    out.extend(news.concat());
    pseudo::encode_bare(Encoding::LAST_RECT, &mut out);
    ServerMessage::Bell.encode(&mut out);
    out
}

fn events(client: &mut ClientConnection) -> Vec<ClientEvent> {
    std::iter::from_fn(|| client.poll_event()).collect()
}

/// A client that is past the handshake.
fn ready(options: ClientOptions) -> ClientConnection {
    let mut client = ClientConnection::new(options);
    client.handle_input(&handshake(SIZE)).expect("a good handshake");
    client.output().clear();
    events(&mut client);
    client
}

#[test]
fn every_message_becomes_what_it_should() {
    let mut client = ClientConnection::new(options());
    client.handle_input(&session()).expect("a good session");
    let events = events(&mut client);
    let cursors = events.iter().filter(|event| matches!(event, ClientEvent::Cursor(Some(_)))).count();
    assert_eq!(cursors, 1, "the last one");
    let lamps = LedState { num_lock: true, ..LedState::default() };
    for (wanted, times) in [
        (ClientEvent::Ready { size: SIZE, name: "hostile".into() }, 1),
        (ClientEvent::Bell, 2),
        (ClientEvent::CutText("text".into()), 0),
        (ClientEvent::CutText("ä漢\n".into()), 1),
        (ClientEvent::UpdateDone, 3),
        (ClientEvent::Copied { destination: PAINTED, source: Point { x: 9, y: 7 } }, 1),
        (ClientEvent::Renamed("näme".into()), 1),
        (ClientEvent::CursorMoved(Point { x: 9, y: 8 }), 1),
        (ClientEvent::Leds(lamps), 1),
        (ClientEvent::ResizeAnswered { status: 3 }, 1),
        (ClientEvent::Resized { size: Size::new(50, 60) }, 1),
        (ClientEvent::Synced, 0),
    ] {
        assert_eq!(
            events.iter().filter(|event| **event == wanted).count(),
            times,
            "{wanted:?} in {events:?}"
        );
    }
    // What was sent: format and encodings, the fence's answer, our abilities, that there is no text, and the request for
    // theirs.
    let output = std::mem::take(client.output());
    let mut reader = Reader::new(&output);
    let mut sent = Vec::new();
    assert_eq!(reader.bytes(14), Ok(&b"RFB 003.008\n\x01\x01"[..]));
    while !reader.rest().is_empty() {
        sent.push(ClientMessage::decode(&mut reader, ClientForms::default()).expect("a good message"));
    }
    assert!(matches!(
        &sent[..2],
        [ClientMessage::SetPixelFormat(PixelFormat::RGB888), ClientMessage::SetEncodings(all)]
            if all.contains(&Encoding::TIGHT_PNG) && all.contains(&Encoding::QUALITY_LEVEL_9)
    ));
    assert_eq!(sent[2], ClientMessage::Fence(Fence { flags: Fence::BLOCK_BEFORE, payload: vec![5; 64] }));
    let said: Vec<_> = sent[3..]
        .iter()
        .map(|message| match message {
            ClientMessage::ExtendedClipboard(body) => ClipboardMessage::decode(body).expect("a good message"),
            other => panic!("{other:?} was not expected"),
        })
        .collect();
    let wanted = [
        ClipboardMessage::Caps(ClipboardCaps::OURS),
        ClipboardMessage::Notify { text: false },
        ClipboardMessage::Request { text: true },
    ];
    assert_eq!(said, wanted);
}

#[test]
fn one_byte_at_a_time_equals_all_at_once() {
    let bytes = session();
    let mut whole = ClientConnection::new(options());
    whole.handle_input(&bytes).expect("a good session");
    let mut pieces = ClientConnection::new(options());
    let mut seen = Vec::new();
    for byte in &bytes {
        pieces.handle_input(std::slice::from_ref(byte)).expect("a good session");
        seen.extend(events(&mut pieces));
    }
    let cursors: Vec<_> = seen.iter().filter(|event| matches!(event, ClientEvent::Cursor(Some(_)))).collect();
    assert_eq!(cursors.len(), 4);
    assert_eq!(lasting(seen), lasting(events(&mut whole)));
    assert_eq!(pieces.output(), whole.output());
    assert!(pieces.canvas() == whole.canvas());
}

#[test]
fn no_beginning_of_a_session_is_an_error() {
    let mut bytes = session();
    // All but the long text.
    let long = bytes.windows(64).position(|piece| piece == [b'x'; 64]).expect("the long text");
    let end = long + (1 << 20) + 1;
    bytes.drain(long - 8..end);
    for end in 0..bytes.len() {
        let mut client = ClientConnection::new(options());
        assert_eq!(client.handle_input(&bytes[..end]), Ok(()), "cut at {end}");
        events(&mut client);
        assert_eq!(client.handle_input(&[]), Ok(()));
        assert_eq!(events(&mut client), []);
        if end % 17 == 0 {
            assert_eq!(client.handle_input(&bytes[end..]), Ok(()), "cut at {end}");
        }
    }
}

/// Compressed bytes behind their length.
fn packed(unpacked: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 4];
    let mut stream = Compressor::new();
    stream.write(unpacked, &mut out);
    stream.flush(&mut out);
    let length = u32::try_from(out.len() - 4).expect("short");
    out[..4].copy_from_slice(&length.to_be_bytes());
    out
}

#[test]
fn every_fault_has_its_name_and_ends_the_connection() {
    let all = SIZE.rect();
    let outside = Rect::new(60, 0, 5, 1);
    let picture = |encoding, error| ClientError::Decode { encoding, error };
    let tight = |body: &[u8]| update(Rect::new(0, 0, 4, 4), Encoding::TIGHT, body);
    let tight_error = |error| picture(Encoding::TIGHT, error);
    let cursor = |width, height, encoding| update(Rect::new(0, 0, width, height), encoding, &[0, 0, 0, 7]);
    let resize = |width, height| update(Rect::new(0, 0, width, height), Encoding::DESKTOP_SIZE, &[]);
    let jpeg = [&[0x90], &length(JPEG.len())[..], JPEG].concat();
    let mut flags_only = bytes(&ServerMessage::ExtendedClipboard((&[1, 2, 3][..]).into()));
    flags_only.truncate(11);
    let cases: Vec<(Vec<u8>, ClientError)> = vec![
        (vec![4], ServerMessageError::UnknownType(4).into()),
        (vec![255, 1], ServerMessageError::UnknownType(255).into()),
        (
            [&[248, 0, 0, 0, 0, 0, 0, 0, 65][..], &[0; 65]].concat(),
            ServerMessageError::FenceTooLong(65).into(),
        ),
        (flags_only, ClipboardError::Short(3).into()),
        (
            bytes(&ServerMessage::ExtendedClipboard((&[6, 0, 0, 1][..]).into())),
            ClipboardError::Actions(0x0600_0001).into(),
        ),
        (
            update(all, Encoding(1234), &[]),
            ClientError::UnwantedEncoding { encoding: Encoding(1234), rect: all },
        ),
        (
            update(outside, Encoding::RAW, &[]),
            picture(Encoding::RAW, DecodeError::Outside { rect: outside, size: SIZE }),
        ),
        (
            update(outside, Encoding::ZRLE, &[]),
            picture(Encoding::ZRLE, DecodeError::Outside { rect: outside, size: SIZE }),
        ),
        (
            update(Rect::new(0, 0, 10, 10), Encoding::COPY_RECT, &[0, 60, 0, 0]),
            picture(Encoding::COPY_RECT, DecodeError::Outside { rect: Rect::new(60, 0, 10, 10), size: SIZE }),
        ),
        (resize(0, 10), ClientError::EmptyFramebuffer(Size::new(0, 10))),
        (resize(101, 100), ClientError::FramebufferTooLarge { size: Size::new(101, 100), limit: 10_000 }),
        (
            resize(u16::MAX, u16::MAX),
            ClientError::FramebufferTooLarge { size: Size::new(u16::MAX, u16::MAX), limit: 10_000 },
        ),
        (cursor(513, 1, Encoding::CURSOR), PseudoError::CursorTooLarge(Size::new(513, 1)).into()),
        (cursor(1, 1, Encoding::CURSOR_WITH_ALPHA), PseudoError::CursorEncoding(Encoding::TIGHT).into()),
        (
            update(Rect::default(), Encoding::DESKTOP_NAME, &[0, 0, 4, 1]),
            PseudoError::NameTooLong(1025).into(),
        ),
        (
            update(all, Encoding::FENCE, &[]),
            ClientError::UnwantedEncoding { encoding: Encoding::FENCE, rect: all },
        ),
        // A subrectangle at the edge, and one over it.
        (
            update(Rect::new(0, 0, 9, 9), Encoding::CORRE, &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 8, 8, 2, 1]),
            picture(
                Encoding::CORRE,
                DecodeError::SubrectOutside { rect: Rect::new(8, 8, 2, 1), size: Size::new(9, 9) },
            ),
        ),
        (
            update(
                Rect::new(0, 0, 9, 9),
                Encoding::CORRE,
                &[&[0, 0, 0, 65, 0, 0, 0, 0][..], &[0, 0, 0, 0, 0, 0, 9, 9].repeat(65)].concat(),
            ),
            picture(Encoding::CORRE, DecodeError::Overpainted(Rect::new(0, 0, 9, 9))),
        ),
        (
            update(Rect::new(0, 0, 4, 4), Encoding::ZRLE, &packed(&[126])),
            picture(Encoding::ZRLE, DecodeError::UnknownTile(126)),
        ),
        (
            update(Rect::new(0, 0, 4, 4), Encoding::ZRLE, &packed(&[128, 1, 2, 3, 16])),
            picture(Encoding::ZRLE, DecodeError::RunTooLong { run: 17, left: 16 }),
        ),
        (
            update(Rect::new(0, 0, 4, 4), Encoding::ZRLE, &packed(&[130, 1, 2, 3, 4, 5, 6, 2])),
            picture(Encoding::ZRLE, DecodeError::PaletteIndex { index: 2, length: 2 }),
        ),
        (
            update(Rect::new(0, 0, 4, 4), Encoding::ZRLE, &packed(&[1, 1, 2])),
            picture(Encoding::ZRLE, DecodeError::Short(Rect::new(0, 0, 4, 4))),
        ),
        (
            update(Rect::new(0, 0, 4, 4), Encoding::ZRLE, &packed(&[1, 1, 2, 3, 9])),
            picture(Encoding::ZRLE, DecodeError::LeftOver(1)),
        ),
        (
            update(Rect::new(0, 0, 4, 4), Encoding::ZRLE, &[0, 0, 0, 4, b'G', b'E', b'T', b' ']),
            picture(Encoding::ZRLE, DecodeError::Inflate(InflateFailure::Bad("data error"))),
        ),
        (
            update(Rect::new(0, 0, 4, 4), Encoding::ZLIB, &packed(&[0; 63])),
            picture(Encoding::ZLIB, DecodeError::Short(Rect::new(0, 0, 4, 4))),
        ),
        (
            update(Rect::new(0, 0, 4, 4), Encoding::ZLIB, &packed(&[0; 65])),
            picture(Encoding::ZLIB, DecodeError::LeftOver(1)),
        ),
        (tight(&[0xa0, 0]), tight_error(DecodeError::TightControl(0xa0))),
        (tight(&[0xf0]), tight_error(DecodeError::TightControl(0xf0))),
        (tight(&[0x40, 3]), tight_error(DecodeError::TightFilter(3))),
        (
            tight(&[0x40, 1, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 2, 0, 0]),
            tight_error(DecodeError::Inflate(InflateFailure::Bad("data error"))),
        ),
        (
            tight(&jpeg),
            tight_error(DecodeError::ImageSize { width: 32, height: 24, rect: Rect::new(0, 0, 4, 4) }),
        ),
        (
            update(Rect::new(0, 0, 2, 2), Encoding::TIGHT, &[0x40, 1, 0, 1, 2, 3, 0x40, 0x80]),
            tight_error(DecodeError::PaletteIndex { index: 1, length: 1 }),
        ),
    ];
    for (bytes, error) in cases {
        let mut client = ready(options());
        assert_eq!(client.handle_input(&bytes), Err(error.clone()), "{error}");
        assert_eq!(client.handle_input(b"\x02"), Err(ClientError::Ended));
        assert!(!client.is_ready());
        client.output().clear();
        client.request_update(false);
        client.cut_text("x");
        client.pointer(1, 1, 1);
        assert!(client.output().is_empty() && client.poll_event().is_none());
    }
}

/// Rectangles without pixels may lie anywhere, and do nothing.
#[test]
fn what_is_empty_may_be_anywhere() {
    let mut client = ready(options());
    let far = u16::MAX;
    let empty = [Rect::new(far, far, 0, far), Rect::new(far, far, far, 0), Rect::new(9, far, 0, 1)];
    let mut bodies: Vec<(Encoding, &[u8])> = vec![
        (Encoding::RAW, &[]),
        (Encoding::COPY_RECT, &[0xff; 4]),
        (Encoding::HEXTILE, &[]),
        (Encoding::TRLE, &[]),
        (Encoding::RRE, &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]),
        (Encoding::CORRE, &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0]),
        (Encoding::ZRLE, &[0, 0, 0, 0]),
        (Encoding::ZLIB, &[0, 0, 0, 0]),
        (Encoding::TIGHT, &[0x80, 1, 2, 3]),
        (Encoding::TIGHT, &[0x00]),
    ];
    for (encoding, body) in &bodies {
        for rect in empty {
            client.handle_input(&update(rect, *encoding, body)).expect("nothing wrong");
        }
    }
    // The same inside of a rectangle with pixels.
    bodies.retain(|(encoding, _)| matches!(*encoding, Encoding::RRE | Encoding::CORRE));
    for (encoding, body) in bodies {
        client.handle_input(&update(Rect::new(60, 40, 4, 4), encoding, body)).expect("nothing wrong");
    }
    let events = events(&mut client);
    let painted = events.iter().filter(|event| **event != ClientEvent::UpdateDone).count();
    assert_eq!((events.len(), painted), (34, 2), "{events:?}");
}

#[test]
fn framebuffers_are_bounded_from_the_first() {
    for (size, error) in [
        (Size::new(0, 0), ClientError::EmptyFramebuffer(Size::new(0, 0))),
        (Size::new(101, 100), ClientError::FramebufferTooLarge { size: Size::new(101, 100), limit: 10_000 }),
    ] {
        let mut client = ClientConnection::new(options());
        assert_eq!(client.handle_input(&handshake(size)), Err(error));
    }
    let mut client = ClientConnection::new(options());
    client.handle_input(&handshake(Size::new(100, 100))).expect("exactly as large as allowed");
    assert_eq!(client.canvas().size(), Size::new(100, 100));
}

#[test]
fn only_what_was_asked_for_is_taken() {
    let rect = Rect::new(0, 0, 4, 4);
    for encoding in [Encoding::TIGHT, Encoding::ZRLE, Encoding::HEXTILE, Encoding::TIGHT_PNG, Encoding::JPEG]
    {
        let mut client = ready(ClientOptions::local());
        let wanted = Err(ClientError::UnwantedEncoding { encoding, rect });
        assert_eq!(client.handle_input(&update(rect, encoding, &[])), wanted);
    }
    // JPEG is taken when a quality was asked for.
    let jpeg = [&[0x90], &length(JPEG.len())[..], JPEG].concat();
    let mut client = ready(ClientOptions::network());
    let error = DecodeError::TightControl(0x90);
    let wanted = Err(ClientError::Decode { encoding: Encoding::TIGHT, error });
    assert_eq!(client.handle_input(&update(Rect::new(0, 0, 32, 24), Encoding::TIGHT, &jpeg)), wanted);
}

#[test]
fn image_files_become_pixels() {
    let mut client = ready(options());
    let jpeg = [&[0x90], &length(JPEG.len())[..], JPEG].concat();
    client.handle_input(&update(Rect::new(7, 9, 32, 24), Encoding::TIGHT, &jpeg)).expect("a good picture");
    for y in 0..24u8 {
        for x in 0..32u8 {
            let at = (usize::from(y) + 9) * usize::from(SIZE.width) + usize::from(x) + 7;
            let have = client.canvas().pixels()[at];
            for (have, wanted) in [(have.red(), x * 8), (have.green(), y * 10), (have.blue(), 128)] {
                assert!(have.abs_diff(wanted) <= 12, "{have} instead of {wanted} at ({x}, {y})");
            }
        }
    }
    let png = png(Size::new(2, 1), &[1, 2, 3, 0xfd, 0xfe, 0xff]);
    let body = [&[0xa0], &length(png.len())[..], &png].concat();
    client.handle_input(&update(Rect::new(1, 0, 2, 1), Encoding::TIGHT_PNG, &body)).expect("a good picture");
    assert_eq!(client.canvas().pixels()[..4], [0, 0x0001_0203, 0x00fd_feff, 0].map(Colour));
    let broken = [&[0x90], &length(JPEG.len() / 2)[..], &JPEG[..JPEG.len() / 2]].concat();
    let result = client.handle_input(&update(Rect::new(7, 9, 32, 24), Encoding::TIGHT, &broken));
    assert!(matches!(
        result,
        Err(ClientError::Decode { error: DecodeError::Image { kind: "jpeg", .. }, .. })
    ));
}

/// Differences worked out by hand from the specification's formula.
#[test]
fn gradients_are_those_of_the_specification() {
    // Red only: 10 20 / 30 45 / 5 0. What is predicted: 0 10 / 10 40 / 30, and 5 + 45 - 30 = 20.
    let differences = [10, 10, 20, 5, 5u8.wrapping_sub(30), 0u8.wrapping_sub(20)];
    let body: Vec<u8> = differences.iter().flat_map(|red| [*red, 0, 0]).collect();
    let mut stream = Vec::new();
    let mut compressor = Compressor::new();
    compressor.write(&body, &mut stream);
    compressor.flush(&mut stream);
    let body = [&[0x40, 2], &length(stream.len())[..], &stream].concat();
    let mut client = ready(options());
    client.handle_input(&update(Rect::new(0, 0, 2, 3), Encoding::TIGHT, &body)).expect("a good picture");
    let reds: Vec<_> = (0..3).flat_map(|y| client.canvas().pixels()[y * 64..][..2].to_vec()).collect();
    assert_eq!(reds, [10, 20, 30, 45, 5, 0].map(|red| Colour::rgb(red, 0, 0)));
}

#[test]
fn a_bomb_is_stopped_early() {
    // 64 MiB of zeros for 16 pixels.
    let mut client = ready(options());
    let bomb = packed(&vec![0; 64 << 20]);
    let result = client.handle_input(&update(Rect::new(0, 0, 4, 4), Encoding::ZLIB, &bomb));
    let error = DecodeError::LeftOver(32 * 1024 - 64);
    assert_eq!(result, Err(ClientError::Decode { encoding: Encoding::ZLIB, error }));
}

#[test]
fn painting_over_and_over_is_stopped() {
    let options = ClientOptions { max_pixels: u32::MAX, ..options() };
    let mut client = ClientConnection::new(options);
    client.handle_input(&handshake(Size::new(4000, 4000))).expect("a good handshake");
    let all = Rect::new(0, 0, 4000, 4000);
    let copy = update(all, Encoding::COPY_RECT, &[0, 0, 0, 0]);
    client.handle_input(&copy.repeat(16)).expect("so much is allowed");
    client.handle_input(&copy).expect("and again in another piece");
    let result = client.handle_input(&copy.repeat(17));
    let wanted = ClientError::TooMuchPainted { pixels: 17 * 16_000_000, limit: (128 << 20) + 8 * 16_000_000 };
    assert_eq!(result, Err(wanted));
}

#[test]
fn a_server_that_does_not_read_is_left() {
    let mut client = ready(options());
    let flood = bytes(&ServerMessage::Fence(Fence { flags: Fence::REQUEST, payload: vec![1; 64] }));
    let result = client.handle_input(&flood.repeat(1 << 16));
    assert!(matches!(result, Err(ClientError::UnreadAnswers(_))));
    assert!(client.output().len() <= (4 << 20) + 73);
    // The same with our text.
    let mut client = ready(options());
    let caps = ClipboardCaps { actions: ClipboardCaps::NOTIFY | ClipboardCaps::REQUEST, text: Some(0) };
    client.handle_input(&clipboard(&ClipboardMessage::Caps(caps))).expect("good caps");
    client.cut_text(&"x".repeat(1 << 20));
    let flood = clipboard(&ClipboardMessage::Request { text: true }).repeat(100_000);
    assert!(matches!(client.handle_input(&flood), Err(ClientError::UnreadAnswers(_))));
    assert!(client.output().len() <= 6 << 20);
}

#[test]
fn long_text_is_skipped_however_long() {
    let mut client = ready(options());
    // Four GiB less eight, announced; some of it comes.
    for header in [[3, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff], [3, 0, 0, 0, 0x80, 0, 0, 0]] {
        let mut client = ready(options());
        client.handle_input(&header).expect("a long text");
        for _ in 0..100 {
            client.handle_input(&[2; 1000]).expect("more of it");
        }
        assert_eq!(events(&mut client), []);
    }
    // Text that unpacks to too much is none.
    let long = ClipboardMessage::Provide(Some("x".repeat(1 << 20)));
    client.handle_input(&clipboard(&long)).expect("just right");
    assert!(matches!(&events(&mut client)[..], [ClientEvent::CutText(text)] if text.len() == 1 << 20));
    let mut body = vec![0x10, 0, 0, 1];
    body.extend(&packed(&[&(2u32 << 20).to_be_bytes()[..], &vec![b'x'; 2 << 20]].concat())[4..]);
    client.handle_input(&bytes(&ServerMessage::ExtendedClipboard(body.into()))).expect("no fault");
    assert_eq!(events(&mut client), []);
    client.handle_input(&bytes(&ServerMessage::Bell)).expect("framing is not lost");
    assert_eq!(events(&mut client), [ClientEvent::Bell]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn random_bytes_never_panic(
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(0u8), 0u8..8], 0..2000),
        started: bool,
    ) {
        let start = if started { handshake(SIZE) } else { Vec::new() };
        client_input(&[start, bytes].concat());
    }

    /// A rectangle of every kind with something else in it.
    #[test]
    fn damaged_rectangles_never_panic(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        more in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let mut bodies = [pictures(), news()].concat();
        let body = which.get_mut(&mut bodies);
        for (at, value) in changes {
            *at.get_mut(body) = value;
        }
        let update = bytes(&ServerMessage::Update { rects: u16::MAX });
        client_input(&[handshake(SIZE), update, body.clone(), more].concat());
    }

    #[test]
    fn damaged_sessions_never_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = session();
        let long = bytes.windows(64).position(|piece| piece == [b'x'; 64]).expect("the long text");
        bytes.drain(long - 8..long + (1 << 20) + 1);
        for (at, value) in changes {
            *at.get_mut(&mut bytes) = value;
        }
        bytes.truncate(cut.index(bytes.len()) + 1);
        client_input(&bytes);
    }
}
