//! What a viewer is told besides pictures, byte for byte: cursors, lamps, the clipboard in UTF-8, and xvp.

use xenvnc::geometry::{Point, Region, Size};
use xenvnc::rfb::deflate::Compressor;
use xenvnc::rfb::encoding::Encoding;
use xenvnc::rfb::encoding::canvas::Canvas;
use xenvnc::rfb::encoding::pseudo::{CursorImage, LedState};
use xenvnc::rfb::message::{
    CUT_TEXT_BYTES, ClientMessage, ClipboardCaps, ClipboardError, ClipboardMessage, ServerMessage,
};
use xenvnc::rfb::server::{Damage, PowerRequest, ServerConnection, ServerError, ServerEvent, UpdateOutcome};
use xenvnc::rfb::tile::Colour;
use xenvnc::rfb::wire::Reader;

use crate::connection::server;
use crate::viewer::Viewer;

const SIZE: Size = Size::new(2, 1);

/// A server whose viewer is through the handshake, understands `encodings`, and has the picture.
fn ready(encodings: &[Encoding], prepare: impl FnOnce(&mut ServerConnection)) -> ServerConnection {
    let mut server = server(SIZE);
    prepare(&mut server);
    Viewer::connect(&mut server);
    Viewer::set_encodings(&mut server, encodings);
    while server.poll_event().is_some() {}
    server
}

/// The rectangles of the next update, without the message's header.
fn news(server: &mut ServerConnection) -> Option<Vec<u8>> {
    Viewer::ask(server, true, SIZE);
    server.output().clear();
    let screen = Canvas::new(SIZE);
    let outcome = server.update(&screen, Damage { copies: &[], region: &Region::new() });
    (outcome == UpdateOutcome::Complete).then(|| std::mem::take(server.output())[4..].to_vec())
}

/// Lets the first picture go by.
fn settled(server: &mut ServerConnection) {
    while news(server).is_some() {}
}

fn cursor() -> CursorImage {
    CursorImage {
        size: SIZE,
        hotspot: Point { x: 1, y: 0 },
        pixels: vec![Colour(0x00ff_8000), Colour(0x0000_0010)],
        mask: vec![0x80],
        alpha: Some(vec![255, 51]),
    }
}

#[test]
fn a_cursor_goes_in_the_best_form_that_the_viewer_knows() {
    let at = [0, 1, 0, 0, 0, 2, 0, 1];
    let alpha = [0xff, 0x80, 0, 255, 0, 0, 3, 51];
    let cases: [(&[Encoding], &[u8]); 4] = [
        (
            &[Encoding::X_CURSOR, Encoding::CURSOR, Encoding::VMWARE_CURSOR, Encoding::CURSOR_WITH_ALPHA],
            &[&[0xff, 0xff, 0xfe, 0xc6, 0, 0, 0, 0][..], &alpha].concat(),
        ),
        (
            &[Encoding::CURSOR, Encoding::VMWARE_CURSOR],
            &[&[0x57, 0x4d, 0x56, 0x64, 1, 0][..], &alpha].concat(),
        ),
        (
            &[Encoding::X_CURSOR, Encoding::CURSOR],
            &[0xff, 0xff, 0xff, 0x11, 0, 0x80, 0xff, 0, 0x10, 0, 0, 0, 0x80],
        ),
        // Its only opaque pixel keeps its colour.
        (&[Encoding::X_CURSOR], &[0xff, 0xff, 0xff, 0x10, 0xff, 0x80, 0, 0, 0, 0, 0x80, 0x80]),
    ];
    for (encodings, wanted) in cases {
        let mut server = ready(encodings, |_| {});
        settled(&mut server);
        server.set_cursor(Some(cursor()));
        assert!(server.has_news());
        assert_eq!(news(&mut server), Some([&at[..], wanted].concat()), "{encodings:?}");
        // The same again is no news, and another SetEncodings asks for it once more.
        server.set_cursor(Some(cursor()));
        assert_eq!(news(&mut server), None);
        Viewer::set_encodings(&mut server, encodings);
        assert!(news(&mut server).is_some());
        // None is a rectangle without a size.
        server.set_cursor(None);
        assert_eq!(news(&mut server).map(|bytes| bytes[..8].to_vec()), Some(vec![0; 8]));
    }
    let mut server = ready(&[Encoding::RAW], |_| {});
    settled(&mut server);
    server.set_cursor(Some(cursor()));
    assert_eq!(news(&mut server), None, "a viewer that knows no cursor");
}

#[test]
fn lamps_are_told_when_they_change() {
    let leds = LedState { scroll_lock: false, num_lock: true, caps_lock: true };
    let cases: [(&[Encoding], &[u8]); 2] = [
        (&[Encoding::VMWARE_LED_STATE, Encoding::QEMU_LED_STATE], &[0xff, 0xff, 0xfe, 0xfb, 6]),
        (&[Encoding::VMWARE_LED_STATE], &[0x57, 0x4d, 0x56, 0x68, 0, 0, 0, 6]),
    ];
    for (encodings, wanted) in cases {
        let mut server = ready(encodings, |_| {});
        settled(&mut server);
        server.set_leds(leds);
        assert_eq!(news(&mut server), Some([&[0; 8], wanted].concat()));
        server.set_leds(leds);
        assert_eq!(news(&mut server), None);
        server.set_leds(LedState::default());
        assert!(news(&mut server).is_some());
    }
    // Who asks later is told what is known.
    let mut server = ready(&[], |_| {});
    server.set_leds(leds);
    settled(&mut server);
    Viewer::set_encodings(&mut server, &[Encoding::QEMU_LED_STATE]);
    assert_eq!(news(&mut server), Some([&[0; 8][..], cases[0].1].concat()));
}

fn say(server: &mut ServerConnection, message: &ClipboardMessage) {
    let mut body = Vec::new();
    message.encode(&mut body);
    Viewer::send(server, &ClientMessage::ExtendedClipboard(body.into()));
}

/// The clipboard messages in the output.
fn said(server: &mut ServerConnection) -> Vec<ClipboardMessage> {
    let output = std::mem::take(server.output());
    let mut reader = Reader::new(&output);
    let mut all = Vec::new();
    while !reader.rest().is_empty() {
        match ServerMessage::decode(&mut reader) {
            Ok(ServerMessage::ExtendedClipboard(body)) => {
                all.push(ClipboardMessage::decode(&body).expect("good"));
            }
            other => panic!("{other:?}"),
        }
    }
    all
}

#[test]
fn text_goes_both_ways_in_utf_8() {
    let mut server = ready(&[Encoding::EXTENDED_CLIPBOARD], |_| {});
    // Cut text of the length -8: flags with caps, request, peek, notify, provide and text; 0 bytes unasked.
    assert_eq!(*server.output(), [3, 0, 0, 0, 0xff, 0xff, 0xff, 0xf8, 0x1f, 0, 0, 1, 0, 0, 0, 0]);
    server.output().clear();
    // Before the viewer has said what it takes there is only Latin-1.
    server.cut_text("漢é");
    assert_eq!(*server.output(), [3, 0, 0, 0, 0, 0, 0, 2, b'?', 0xe9]);
    server.output().clear();

    say(&mut server, &ClipboardMessage::Caps(ClipboardCaps::OURS));
    server.cut_text("漢\né");
    assert_eq!(*server.output(), [3, 0, 0, 0, 0xff, 0xff, 0xff, 0xfc, 8, 0, 0, 1]);
    server.output().clear();
    say(&mut server, &ClipboardMessage::Request { text: true });
    assert_eq!(said(&mut server), [ClipboardMessage::Provide(Some("漢\né".into()))]);
    say(&mut server, &ClipboardMessage::Peek);
    assert_eq!(said(&mut server), [ClipboardMessage::Notify { text: true }]);

    say(&mut server, &ClipboardMessage::Notify { text: true });
    assert_eq!(said(&mut server), [ClipboardMessage::Request { text: true }]);
    say(&mut server, &ClipboardMessage::Provide(Some("naïve 漢".into())));
    assert_eq!(server.poll_event(), Some(ServerEvent::CutText("naïve 漢".into())));
    // The viewer's text has taken the place of the server's.
    say(&mut server, &ClipboardMessage::Request { text: true });
    say(&mut server, &ClipboardMessage::Peek);
    assert_eq!(said(&mut server), [ClipboardMessage::Notify { text: false }]);

    // A viewer without notify gets what fits, and the rest in Latin-1.
    let caps = ClipboardCaps { actions: ClipboardCaps::PROVIDE, text: Some(7) };
    say(&mut server, &ClipboardMessage::Caps(caps));
    server.cut_text("12345\n");
    assert_eq!(*server.output(), [3, 0, 0, 0, 0, 0, 0, 6, b'1', b'2', b'3', b'4', b'5', b'\n']);
    server.output().clear();
    server.cut_text("1234\n");
    assert_eq!(said(&mut server), [ClipboardMessage::Provide(Some("1234\n".into()))]);
}

#[test]
fn clipboards_are_bounded_and_their_errors_named() {
    let mut server = ready(&[Encoding::EXTENDED_CLIPBOARD], |_| {});
    server.output().clear();
    say(&mut server, &ClipboardMessage::Caps(ClipboardCaps::OURS));
    // Text that is too long is no fault, and is not taken.
    let mut body = vec![0x10, 0, 0, 1];
    let mut stream = Compressor::new();
    let length = u32::try_from(CUT_TEXT_BYTES + 1).expect("small");
    stream.write(&[&length.to_be_bytes()[..], &vec![b'x'; CUT_TEXT_BYTES + 1]].concat(), &mut body);
    stream.flush(&mut body);
    Viewer::send(&mut server, &ClientMessage::ExtendedClipboard(body.into()));
    assert_eq!(server.poll_event(), None);

    // A viewer that asks again and again and does not read.
    let noise: String = (0..CUT_TEXT_BYTES / 2)
        .map(|n| char::from(33 + u8::try_from(n * n / 7 % 89).expect("small")))
        .collect();
    server.cut_text(&noise);
    let mut body = Vec::new();
    ClipboardMessage::Request { text: true }.encode(&mut body);
    let request = Viewer::bytes(&ClientMessage::ExtendedClipboard(body.into()));
    let end = (0..1000).find_map(|_| server.handle_input(&request).err());
    assert!(matches!(end, Some(ServerError::UnreadAnswers(4_194_304..))), "{end:?}");
    assert!(server.output().len() < 6 << 20);

    for (body, error) in [
        (&[0x06, 0, 0, 1][..], ClipboardError::Actions(0x0600_0001)),
        (&[0x10, 0][..], ClipboardError::Short(2)),
        (&[1, 0, 0, 1, 0][..], ClipboardError::Short(5)),
    ] {
        let mut server = ready(&[Encoding::EXTENDED_CLIPBOARD], |_| {});
        let bytes = Viewer::bytes(&ClientMessage::ExtendedClipboard(body.into()));
        assert_eq!(server.handle_input(&bytes), Err(ServerError::Clipboard(error)));
        // A viewer that was not offered it may send what it likes.
        let mut server = ready(&[], |_| {});
        assert_eq!(server.handle_input(&bytes), Ok(()));
        assert!(server.output().is_empty());
    }
}

#[test]
fn power_is_off_unless_enabled() {
    let xvp = |code| [250, 0, 1, code];
    let mut server = ready(&[Encoding::XVP], |_| {});
    assert!(server.output().is_empty(), "nothing is offered");
    server.handle_input(&xvp(2)).expect("a good message");
    assert_eq!((server.poll_event(), server.output().len()), (None, 0));

    let mut server = ready(&[Encoding::XVP], ServerConnection::enable_xvp);
    assert_eq!(*server.output(), [250, 0, 1, 1]);
    server.output().clear();
    for (code, request) in [(2, PowerRequest::Shutdown), (3, PowerRequest::Reboot), (4, PowerRequest::Reset)]
    {
        server.handle_input(&xvp(code)).expect("a good message");
        assert_eq!(server.poll_event(), Some(ServerEvent::Power(request)));
    }
    assert!(server.output().is_empty());
    server.refuse_power();
    assert_eq!(*server.output(), [250, 0, 1, 0]);
    server.output().clear();
    // What is not known, and another version, fails.
    server.handle_input(&[250, 0, 1, 5, 250, 0, 2, 2]).expect("good messages");
    assert_eq!(*server.output(), [250, 0, 1, 0, 250, 0, 1, 0]);
    assert_eq!(server.poll_event(), None);
}
