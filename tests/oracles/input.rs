//! Connections survive any input, in pieces of any size, and what they hold stays bounded.

use xenvnc::geometry::{Region, Size};
use xenvnc::rfb::client::{ClientConnection, ClientOptions};
use xenvnc::rfb::encoding::canvas::Canvas;
use xenvnc::rfb::encoding::pseudo::LedState;
use xenvnc::rfb::security::tls::{ClientTls, ServerTls, Trust};
use xenvnc::rfb::security::{Choice, Credentials, Method, Password, Security};
use xenvnc::rfb::server::{Damage, ServerConnection, ServerError, ServerEvent, ServerOptions};

use super::bytes::{Bytes, PICTURES};

/// The most bytes of output: more than [`ServerError::UnreadAnswers`] allows, and an update.
const OUTPUT_BYTES: usize = 8 << 20;

/// All that asks for a password, with TLS and without.
fn every_security() -> Security {
    let (certificate, key) = (include_bytes!("../data/tls/self.pem"), include_bytes!("../data/tls/self.key"));
    let tls = ServerTls::from_pem(certificate, key).expect("a certificate and its key");
    let methods = vec![Method::X509Plain, Method::X509Vnc, Method::Tight, Method::VncAuth];
    let choice = Choice::new(methods, Some(Password::new(b"secret")), Some(tls));
    Security::Choice(choice.expect("what is needed"))
}

/// A viewer may send anything.
pub fn server_input(data: &[u8]) {
    let mut bytes = Bytes(data);
    let flags = bytes.byte();
    let size = bytes.size(80);
    let security = match flags & 9 {
        0 => Security::None,
        1 => Security::VncAuth(Password::new(b"secret")),
        _ => every_security(),
    };
    let needs_password = flags & 9 != 0;
    let mut server =
        ServerConnection::new(ServerOptions { name: "any".into(), size, security, challenge: [7; 16] });
    if flags & 2 == 2 {
        server.enable_xvp();
    }
    // Most bytes are better spent on what follows the handshake.
    if flags & 13 == 4 {
        server.handle_input(b"RFB 003.008\n\x01\x01").expect("a good handshake");
    }
    let screen = Canvas::new(size);
    while !bytes.is_empty() {
        let piece = usize::from(bytes.byte());
        let result = server.handle_input(bytes.take(piece));
        let mut events = 0;
        while let Some(event) = server.poll_event() {
            events += 1;
            if matches!(event, ServerEvent::Login(_)) {
                let _ = server.decide_login(false);
            }
        }
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
        login: (flags & 16 == 16).then(|| Credentials::new(b"user", b"secret")),
        tls: (flags & 8 == 8).then(|| {
            let trust = Trust::anything().expect("a configuration");
            ClientTls::new(trust, "localhost", flags & 32 == 32).expect("a name")
        }),
        max_pixels: 1 << 16,
        ..ClientOptions::network()
    });
    if flags & 36 == 4 {
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
