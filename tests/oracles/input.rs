//! Connections survive any input, in pieces of any size, and what they hold stays bounded.

use xenvnc::geometry::{Region, Size};
use xenvnc::rfb::client::{ClientConnection, ClientOptions};
use xenvnc::rfb::encoding::canvas::Canvas;
use xenvnc::rfb::encoding::pseudo::LedState;
use xenvnc::rfb::security::{Password, Security};
use xenvnc::rfb::server::{Damage, ServerConnection, ServerError, ServerOptions};

use super::bytes::{Bytes, PICTURES};

/// The most bytes of output: more than [`ServerError::UnreadAnswers`] allows, and an update.
const OUTPUT_BYTES: usize = 8 << 20;

/// A viewer may send anything.
pub fn server_input(data: &[u8]) {
    let mut bytes = Bytes(data);
    let flags = bytes.byte();
    let size = bytes.size(80);
    let security = if flags & 1 == 1 { Security::VncAuth(Password::new(b"secret")) } else { Security::None };
    let needs_password = flags & 1 == 1;
    let mut server =
        ServerConnection::new(ServerOptions { name: "any".into(), size, security, challenge: [7; 16] });
    if flags & 2 == 2 {
        server.enable_xvp();
    }
    // Most bytes are better spent on what follows the handshake.
    if flags & 5 == 4 {
        server.handle_input(b"RFB 003.008\n\x01\x01").expect("a good handshake");
    }
    let screen = Canvas::new(size);
    while !bytes.is_empty() {
        let piece = usize::from(bytes.byte());
        let result = server.handle_input(bytes.take(piece));
        let events = std::iter::from_fn(|| server.poll_event()).count();
        assert!(events <= data.len() + 1, "{events} events");
        if result.is_err() {
            assert!(!server.is_ready());
            assert_eq!(server.handle_input(b"x"), Err(ServerError::Ended));
            break;
        }
        assert!(!needs_password || !server.is_ready(), "the response to this challenge is not to be guessed");
        if piece & 3 == 1 {
            server.set_leds(LedState { num_lock: piece & 4 == 4, ..LedState::default() });
            server.cut_text("text");
            server.bell();
        }
        if piece & 3 != 2 {
            let damage = Region::from(size.rect());
            server.update(&screen, Damage { copies: &[], region: &damage });
        }
        assert!(server.output().len() < OUTPUT_BYTES);
        if piece & 1 == 1 {
            server.output().clear();
        }
    }
}

/// A server may send anything.
pub fn client_input(data: &[u8]) {
    let mut bytes = Bytes(data);
    let flags = bytes.byte();
    let mut client = ClientConnection::new(ClientOptions {
        encodings: PICTURES.to_vec(),
        quality: (flags & 1 == 1).then_some(5),
        password: (flags & 2 == 2).then(|| Password::new(b"secret")),
        max_pixels: 1 << 16,
        ..ClientOptions::network()
    });
    if flags & 4 == 4 {
        let size = Size::new(1 + bytes.below(250), 1 + bytes.below(250));
        let mut greeting = b"RFB 003.008\n\x01\x01\0\0\0\0".to_vec();
        greeting.extend([size.width.to_be_bytes(), size.height.to_be_bytes()].as_flattened());
        greeting.extend([32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0, 0, 0, 0, 0]);
        client.handle_input(&greeting).expect("a good handshake");
    }
    while !bytes.is_empty() {
        let piece = usize::from(bytes.byte());
        let result = client.handle_input(bytes.take(piece));
        while client.poll_event().is_some() {}
        assert!(client.canvas().size().area() <= 1 << 16);
        if result.is_err() {
            assert!(client.handle_input(b"x").is_err());
            break;
        }
        if piece & 3 == 1 {
            client.request_update(piece & 4 == 4);
            client.cut_text("text");
        }
        assert!(client.output().len() < OUTPUT_BYTES);
        if piece & 1 == 1 {
            client.output().clear();
        }
    }
}
