//! What viewers may send: in pieces, too much, and nonsense.

use proptest::prelude::*;
use xenvnc::geometry::{Rect, Region, Size};
use xenvnc::rfb::encoding::Encoding;
use xenvnc::rfb::encoding::canvas::Canvas;
use xenvnc::rfb::message::ClientMessageError;
use xenvnc::rfb::message::{ClientMessage, Fence, Screen};
use xenvnc::rfb::pixel_format::{PixelFormat, PixelFormatError};
use xenvnc::rfb::security::{Password, Security};
use xenvnc::rfb::server::{Damage, ServerConnection, ServerError, ServerEvent, ServerOptions};

use crate::connection::server;
use crate::viewer::Viewer;

const SIZE: Size = Size::new(64, 48);

/// A viewer's side of a session, in which every message occurs.
fn session() -> Vec<u8> {
    let mut bytes = b"RFB 003.008\n\x01\x01".to_vec();
    let screen = Screen { id: 5, area: SIZE.rect(), flags: 0 };
    for message in [
        ClientMessage::SetPixelFormat(PixelFormat::RGB888),
        ClientMessage::SetEncodings(vec![Encoding::ZRLE, Encoding(99), Encoding::EXTENDED_DESKTOP_SIZE]),
        ClientMessage::UpdateRequest { incremental: true, area: Rect::new(3, 4, 5, 6) },
        ClientMessage::Key { pressed: true, keysym: xenvnc::keysym::Keysym(0x61) },
        ClientMessage::ExtendedKey { pressed: false, keysym: xenvnc::keysym::Keysym(0x61), keycode: 30 },
        ClientMessage::Pointer { buttons: 5, x: 10, y: 20 },
        ClientMessage::CutText(b"some text".into()),
        ClientMessage::SetDesktopSize { size: SIZE, screens: vec![screen] },
        ClientMessage::Fence(Fence { flags: Fence::REQUEST, payload: vec![5; 20] }),
        ClientMessage::EnableContinuousUpdates { enable: true, area: SIZE.rect() },
    ] {
        bytes.extend(Viewer::bytes(&message));
    }
    // Cut text that is too long is thrown away.
    bytes.extend([6, 0, 0, 0, 0, 0x10, 0, 1]);
    bytes.extend(vec![b'x'; (1 << 20) + 1]);
    bytes.extend([6, 0, 0, 0, 0xff, 0xff, 0xff, 0xfb, 1, 2, 3, 4, 5]);
    bytes.extend(Viewer::bytes(&ClientMessage::Pointer { buttons: 0, x: 1, y: 1 }));
    bytes
}

fn events(server: &mut ServerConnection) -> Vec<ServerEvent> {
    std::iter::from_fn(|| server.poll_event()).collect()
}

#[test]
fn one_byte_at_a_time_equals_all_at_once() {
    let bytes = session();
    let mut whole = server(SIZE);
    whole.handle_input(&bytes).expect("a good session");
    let mut pieces = server(SIZE);
    let mut seen = Vec::new();
    for byte in &bytes {
        pieces.handle_input(std::slice::from_ref(byte)).expect("a good session");
        seen.extend(events(&mut pieces));
    }
    let wanted = events(&mut whole);
    assert_eq!(wanted.len(), 8);
    assert_eq!(seen, wanted);
    assert_eq!(pieces.output(), whole.output());
    assert_eq!(pieces.framebuffer_size(), whole.framebuffer_size());
}

#[test]
fn no_beginning_of_a_session_is_an_error() {
    let bytes = session();
    for end in 0..300 {
        let mut server = server(SIZE);
        assert_eq!(server.handle_input(&bytes[..end]), Ok(()));
        // An event needs its last byte.
        let before = events(&mut server).len();
        assert_eq!(server.handle_input(&[]), Ok(()));
        assert_eq!(events(&mut server).len(), 0);
        let mut longer = self::server(SIZE);
        assert_eq!(longer.handle_input(&bytes[..end + 1]), Ok(()));
        assert!(events(&mut longer).len() - before <= 1);
    }
}

#[test]
fn every_fault_has_its_name_and_ends_the_connection() {
    let shifted = [0, 0, 0, 0, 16, 16, 0, 1, 0, 31, 0, 63, 0, 31, 16, 5, 0, 0, 0, 0];
    let cases: [(&[u8], ServerError); 4] = [
        (&[1], ServerError::Message(ClientMessageError::UnknownType(1))),
        (&[249, 0, 0], ServerError::Message(ClientMessageError::UnknownType(249))),
        (&[255, 1], ServerError::Message(ClientMessageError::UnknownQemuType(1))),
        (
            &shifted,
            ServerError::Message(ClientMessageError::PixelFormat(PixelFormatError::ChannelOutside {
                max: 31,
                shift: 16,
                bits: 16,
            })),
        ),
    ];
    for (bytes, error) in cases {
        let mut server = server(SIZE);
        server.handle_input(b"RFB 003.008\n\x01\x00").expect("a good handshake");
        server
            .handle_input(&Viewer::bytes(&ClientMessage::UpdateRequest {
                incremental: false,
                area: SIZE.rect(),
            }))
            .expect("a request");
        assert_eq!(server.handle_input(bytes), Err(error));
        assert_eq!(server.handle_input(b"\x05\0\0\0\0\0"), Err(ServerError::Ended));
        assert!(!server.is_ready() && !server.wants_update());
        server.output().clear();
        let damage = Region::from(SIZE.rect());
        server.update(&Canvas::new(SIZE), Damage { copies: &[], region: &damage });
        server.bell();
        server.cut_text("x");
        assert!(server.output().is_empty());
    }
}

#[test]
fn nothing_is_told_before_the_password() {
    for version in [&b"RFB 003.003\n"[..], b"RFB 003.007\n\x02", b"RFB 003.008\n\x02"] {
        let mut server = ServerConnection::new(ServerOptions {
            name: "secret name".into(),
            size: SIZE,
            security: Security::VncAuth(Password::new(b"pw")),
            challenge: [9; 16],
        });
        server.rename("another");
        server.bell();
        server.cut_text("text");
        server.handle_input(version).expect("so far good");
        server.update(&Canvas::new(SIZE), Damage { copies: &[], region: &SIZE.rect().into() });
        // Everything that a session needs comes at once, with a wrong response.
        let mut rest = vec![0; 16];
        rest.extend(&session()[13..]);
        assert_eq!(server.handle_input(&rest), Err(ServerError::WrongPassword));
        assert_eq!(server.poll_event(), None);
        assert!(!server.is_ready());
        let output = String::from_utf8_lossy(server.output()).into_owned();
        assert!(!output.contains("secret") && !output.contains("another") && !output.contains("text"));
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(0u8), 0u8..8], 0..2000),
        cuts in prop::collection::vec(1usize..300, 1..20),
        started: bool,
    ) {
        let mut server = server(SIZE);
        if started {
            server.handle_input(b"RFB 003.008\n\x01\x01").expect("a good handshake");
        }
        let screen = Canvas::new(SIZE);
        let mut rest = &bytes[..];
        for cut in cuts.iter().cycle() {
            let (piece, behind) = rest.split_at(rest.len().min(*cut));
            rest = behind;
            let result = server.handle_input(piece);
            let damage = Region::from(Rect::new(1, 1, 9, 9));
            server.update(&screen, Damage { copies: &[], region: &damage });
            server.output().clear();
            // The good handshake makes one, too.
            prop_assert!(events(&mut server).len() <= bytes.len() + usize::from(started));
            if result.is_err() || rest.is_empty() {
                break;
            }
        }
    }

    #[test]
    fn a_damaged_session_never_panics(at in 0usize..200, value: u8, more in prop::collection::vec(any::<u8>(), 0..64)) {
        let mut bytes = session()[..250].to_vec();
        bytes[at] = value;
        bytes.splice(at..at, more);
        let mut server = server(SIZE);
        let _ = server.handle_input(&bytes);
        server.update(&Canvas::new(SIZE), Damage { copies: &[], region: &SIZE.rect().into() });
    }
}
