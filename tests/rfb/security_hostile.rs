//! Peers that break VeNCrypt and the Tight security type. Each mistake has its own error, which says who made it.

use std::io::{Read, Write};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use xenvnc::rfb::client::{ClientConnection, ClientError, ClientOptions};
use xenvnc::rfb::message::handshake::HandshakeError;
use xenvnc::rfb::message::vencrypt::Subtype;
use xenvnc::rfb::security::tls::{ClientTls, TlsError, Trust};
use xenvnc::rfb::security::{Method, Password, SecurityType};
use xenvnc::rfb::server::{Place, ServerConnection, ServerError, ServerEvent};

use crate::certificates::CA;
use crate::security::{offer, server};

const VERSION: &[u8] = b"RFB 003.008\n";
const X509: [Method; 3] = [Method::X509Plain, Method::X509Vnc, Method::X509None];

/// What a viewer says up to its choice of a subtype.
fn up_to_subtype(subtype: u32) -> Vec<u8> {
    [VERSION, &[19, 0, 2], &subtype.to_be_bytes()].concat()
}

/// Says this to a server, at once and byte by byte, which must come to the same; gives the error and what was answered.
fn tell(methods: &[Method], said: &[u8]) -> (Result<(), ServerError>, Vec<u8>) {
    let mut at_once = server(offer(methods));
    let result = at_once.handle_input(said);
    let answer = std::mem::take(at_once.output());
    let mut slowly = server(offer(methods));
    let slow_result = said.iter().try_for_each(|byte| slowly.handle_input(&[*byte]));
    assert_eq!(slow_result, result);
    if result.is_err() {
        assert_eq!(at_once.handle_input(b"x"), Err(ServerError::Ended));
        assert!(!at_once.is_ready() && !at_once.is_proven());
        assert_eq!(at_once.handshake_place(), None);
    }
    (result, answer)
}

#[test]
fn a_type_or_subtype_that_was_not_offered_is_refused() {
    let offered = || vec![Subtype::X509_PLAIN, Subtype::X509_VNC, Subtype::X509_NONE];
    for chosen in [0, 1, 2, 19, 255, 256, 257, 258, 259, 263, 264, u32::MAX] {
        // Whatever follows, nothing of it is answered.
        let said = [up_to_subtype(chosen), vec![1; 60]].concat();
        let (result, answer) = tell(&X509, &said);
        assert_eq!(
            result,
            Err(ServerError::SubtypeNotOffered { chosen: Subtype(chosen), offered: offered() })
        );
        let offer = [1, 19, 0, 2, 0, 3, 0, 0, 1, 6, 0, 0, 1, 5, 0, 0, 1, 4];
        assert_eq!(answer[12..], [&offer[..], &[0]].concat());
    }
    // Only what is configured.
    let (result, _) = tell(&[Method::X509Vnc], &up_to_subtype(260));
    let offered = vec![Subtype::X509_VNC];
    assert_eq!(result, Err(ServerError::SubtypeNotOffered { chosen: Subtype::X509_NONE, offered }));
    for chosen in [0, 1, 2, 16] {
        let (result, _) = tell(&X509, &[VERSION, &[chosen]].concat());
        let offered = vec![SecurityType::VENCRYPT];
        assert_eq!(result, Err(ServerError::SecurityNotOffered { chosen: SecurityType(chosen), offered }));
    }
    // VeNCrypt where there is no certificate.
    let (result, _) = tell(&[Method::None, Method::Tight], &[VERSION, &[19, 0, 2]].concat());
    let offered = vec![SecurityType::NONE, SecurityType::TIGHT];
    assert_eq!(result, Err(ServerError::SecurityNotOffered { chosen: SecurityType::VENCRYPT, offered }));
}

#[test]
fn another_version_of_vencrypt_is_refused() {
    for (major, minor) in [(0, 1), (0, 0), (0, 3), (1, 2), (255, 255)] {
        let (result, answer) = tell(&X509, &[VERSION, &[19, major, minor]].concat());
        assert_eq!(result, Err(HandshakeError::VeNCryptVersion { major, minor }.into()));
        assert_eq!(answer[14..], [0, 2, 1]);
    }
}

#[test]
fn a_tight_authentication_that_was_not_offered_is_refused() {
    let methods = [Method::Tight, Method::VncAuth, Method::X509Plain];
    for chosen in [1, 0, 3, -1, 19, 129] {
        let said = [VERSION, &[16], &i32::to_be_bytes(chosen), &[1; 40]].concat();
        let (result, answer) = tell(&methods, &said);
        assert_eq!(result, Err(ServerError::TightNotOffered { chosen, offered: vec![2] }));
        let reason = b"\0\0\0\x01\0\0\0\x23authentication type was not offered";
        assert_eq!(answer[answer.len() - reason.len()..], *reason);
    }
}

#[test]
fn credentials_and_messages_in_the_clear_are_not_listened_to() {
    // Name and password as Plain has them; a key event; ClientInit.
    let key = [4, 1, 0, 0, 0, 0, 0, 97];
    for said in [&b"\0\0\0\x04\0\0\0\x06\xc3\xa4nnsesame"[..], &key, &[1]] {
        for subtype in [260, 261, 262] {
            let (result, answer) = tell(&X509, &[&up_to_subtype(subtype)[..], said].concat());
            assert_eq!(result, Err(TlsError::NotTls(said[0]).into()));
            // Accepted, and nothing more but TLS's farewell.
            assert_eq!(answer[30], 1);
            assert!(answer[31..].is_empty() || answer[31] == 21, "{answer:?}");
        }
    }
    let error = ServerError::from(TlsError::NotTls(4)).to_string();
    assert!(error.starts_with("viewer ") && error.contains("in the clear"), "{error}");
}

#[test]
fn messages_before_the_choice_are_no_choice() {
    for said in [&[4, 1, 0, 0, 0, 0, 0, 97][..], &[3, 0, 0, 0, 0, 0, 0, 9, 0, 9], &[0; 20]] {
        let (result, _) = tell(&X509, &[VERSION, said].concat());
        let (chosen, offered) = (SecurityType(said[0]), vec![SecurityType::VENCRYPT]);
        assert_eq!(result, Err(ServerError::SecurityNotOffered { chosen, offered }));
    }
}

/// A viewer by rustls itself, behind the choice of a subtype.
struct Viewer {
    server: ServerConnection,
    tls: rustls::ClientConnection,
}

impl Viewer {
    fn new(method: Method) -> Self {
        let mut server = server(offer(&[method]));
        server.handle_input(&up_to_subtype(method.subtype().expect("a subtype").0)).expect("a good choice");
        server.output().clear();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(CA).expect("a certificate")).expect("an authority");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("vnc.example").expect("a name");
        let tls = rustls::ClientConnection::new(Arc::new(config), name).expect("a client");
        Self { server, tls }
    }

    /// What TLS has to send.
    fn outgoing(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut bytes).expect("memory");
        }
        bytes
    }

    /// Takes what the server says.
    fn listen(&mut self) -> Vec<u8> {
        let bytes = std::mem::take(self.server.output());
        let mut rest = &bytes[..];
        let mut heard = Vec::new();
        while !rest.is_empty() && self.tls.read_tls(&mut rest).expect("memory") > 0 {
            let state = self.tls.process_new_packets().expect("a good server");
            let from = heard.len();
            heard.resize(from + state.plaintext_bytes_to_read(), 0);
            self.tls.reader().read_exact(&mut heard[from..]).expect("what is there");
        }
        heard
    }

    /// Goes on until TLS is set up; gives what the server says in it.
    fn secured(method: Method) -> (Self, Vec<u8>) {
        let mut viewer = Self::new(method);
        let mut heard = Vec::new();
        while viewer.tls.is_handshaking() || viewer.tls.wants_write() {
            let bytes = viewer.outgoing();
            viewer.server.handle_input(&bytes).expect("a good handshake");
            heard.extend(viewer.listen());
        }
        (viewer, heard)
    }

    /// Says something within TLS.
    fn say(&mut self, bytes: &[u8]) -> Result<(), ServerError> {
        self.tls.writer().write_all(bytes).expect("room");
        let bytes = self.outgoing();
        self.server.handle_input(&bytes)
    }
}

#[test]
fn a_foreign_tls_comes_in() {
    let (mut viewer, heard) = Viewer::secured(Method::X509Plain);
    assert!(heard.is_empty(), "{heard:?}");
    viewer.say(b"\0\0\0\x03\0\0\0\x04annopen").expect("credentials");
    let event = viewer.server.poll_event();
    assert!(
        matches!(&event, Some(ServerEvent::Login(login)) if login.user() == b"ann" && login.password() == b"open")
    );
    viewer.server.decide_login(true).expect("a verdict");
    assert_eq!(viewer.listen(), [0; 4]);
    viewer.say(&[1]).expect("ClientInit");
    assert_eq!(viewer.listen()[..4], [0, 40, 0, 30]);
    // What it says and what it is told crosses many records.
    viewer.server.cut_text(&"x".repeat(100_000));
    assert_eq!(viewer.listen().len(), 8 + 100_000);
    let cut = [&[6, 0, 0, 0, 0, 0, 0xc3, 0x50][..], &[b'y'; 50_000]].concat();
    viewer.say(&cut).expect("cut text");
    let events: Vec<_> = std::iter::from_fn(|| viewer.server.poll_event()).collect();
    assert_eq!(events.last(), Some(&ServerEvent::CutText("y".repeat(50_000))));
}

#[test]
fn credentials_are_refused_by_their_length() {
    for (user, password) in [(257_u32, 1_u32), (1, 1025), (u32::MAX, u32::MAX), (1 << 30, 0)] {
        let (mut viewer, _) = Viewer::secured(Method::X509Plain);
        let lengths = [user.to_be_bytes(), password.to_be_bytes()].concat();
        let error = HandshakeError::CredentialsTooLong { user, password };
        assert_eq!(viewer.say(&lengths), Err(error.into()));
        assert_eq!(viewer.server.poll_event(), None);
    }
    // Up to there, each prefix waits for more.
    let longest = [&[0, 0, 1, 0, 0, 0, 4, 0][..], &[b'x'; 1280]].concat();
    let (mut viewer, _) = Viewer::secured(Method::X509Plain);
    for byte in &longest {
        assert_eq!(viewer.server.poll_event(), None);
        assert_eq!(viewer.server.handshake_place(), Some(Place::Proof));
        viewer.say(&[*byte]).expect("a part of credentials");
    }
    assert!(matches!(viewer.server.poll_event(), Some(ServerEvent::Login(_))));
}

#[test]
fn whoever_does_not_wait_for_the_verdict_is_out() {
    let credentials = b"\0\0\0\x03\0\0\0\x04annopen";
    // In the same record, and in the next.
    let (mut viewer, _) = Viewer::secured(Method::X509Plain);
    let early = [&credentials[..], &[1, 4, 1, 0, 0, 0, 0, 0, 97]].concat();
    assert_eq!(viewer.say(&early), Err(ServerError::EarlyBytes { bytes: 9 }));
    let (mut viewer, _) = Viewer::secured(Method::X509Plain);
    viewer.say(credentials).expect("credentials");
    assert_eq!(viewer.say(&[1]), Err(ServerError::EarlyBytes { bytes: 1 }));
    // A verdict that comes afterwards does not help.
    assert_eq!(viewer.server.decide_login(true), Ok(()));
    assert!(!viewer.server.is_ready());
    assert_eq!(viewer.server.handle_input(b"x"), Err(ServerError::Ended));
}

#[test]
fn messages_before_the_proof_are_no_proof() {
    let (mut viewer, challenge) = Viewer::secured(Method::X509Vnc);
    assert_eq!(challenge, [9; 16]);
    let session = [&[1][..], &[3, 0, 0, 0, 0, 0, 0, 40, 0, 30].repeat(2)].concat();
    assert_eq!(viewer.say(&session), Err(ServerError::WrongPassword));
    assert_eq!(viewer.server.poll_event(), None);
    assert_eq!(viewer.listen(), b"\0\0\0\x01\0\0\0\x15authentication failed");
}

#[test]
fn broken_tls_is_named_and_told() {
    // A handshake message that is none, and a record that is too long.
    for bad in [&[22, 3, 1, 0, 5, 9, 9, 9, 9, 9][..], &[22, 3, 1, 0xff, 0xff], &[22, 9, 9, 0, 0, 0, 0]] {
        let mut viewer = Viewer::new(Method::X509None);
        let error = viewer.server.handle_input(bad).expect_err("a mistake");
        assert!(matches!(error, ServerError::Tls(TlsError::Broken(_))), "{error}");
        assert_eq!(viewer.server.output().first(), Some(&21), "an alert");
    }
    // A viewer that does not like the certificate.
    let mut viewer = Viewer::new(Method::X509None);
    let error = viewer.server.handle_input(&[21, 3, 3, 0, 2, 2, 42]).expect_err("an alert");
    assert_eq!(error, TlsError::Alert("BadCertificate".into()).into());
    // Clear text, and a record that was changed on its way, when all is set up.
    let (mut viewer, _) = Viewer::secured(Method::X509None);
    let error = viewer.server.handle_input(&[1; 40]).expect_err("clear text");
    assert!(matches!(error, ServerError::Tls(TlsError::Broken(_))), "{error}");
    let (mut viewer, _) = Viewer::secured(Method::X509None);
    viewer.tls.writer().write_all(&[1]).expect("room");
    let mut record = viewer.outgoing();
    *record.last_mut().expect("a record") ^= 1;
    let error = viewer.server.handle_input(&record).expect_err("a changed record");
    assert!(matches!(error, ServerError::Tls(TlsError::Broken(_))), "{error}");
    assert!(!viewer.server.is_ready());
}

#[test]
fn what_follows_the_farewell_does_not_count() {
    let (mut viewer, heard) = Viewer::secured(Method::X509None);
    assert_eq!(heard, [0; 4]);
    viewer.tls.send_close_notify();
    let bytes = [viewer.outgoing(), vec![23, 3, 3, 0, 1, 1]].concat();
    viewer.server.handle_input(&bytes).expect("a farewell");
    assert_eq!(viewer.server.handle_end(), Err(ServerError::ClosedEarly(Place::ClientInit)));
}

/// What a client says to a server that says this: at once and byte by byte, which must come to the same.
fn hear(options: &ClientOptions, said: &[&[u8]]) -> Result<(), ClientError> {
    let said = said.concat();
    let mut at_once = ClientConnection::new(options.clone());
    let result = at_once.handle_input(&said);
    let mut slowly = ClientConnection::new(options.clone());
    assert_eq!(said.iter().try_for_each(|byte| slowly.handle_input(&[*byte])), result);
    assert!(!at_once.is_ready());
    result
}

#[test]
fn servers_that_break_vencrypt_are_named() {
    let trust = Trust::anything().expect("a configuration");
    let tls = Some(ClientTls::new(trust, "localhost", true).expect("a name"));
    let options = ClientOptions { tls, password: Some(Password::new(b"x")), ..ClientOptions::local() };
    let offer: &[u8] = &[1, 19];
    let hear = |said: &[&[u8]]| hear(&options, &[&[VERSION, offer], said].concat());
    let version = |major, minor| Err(HandshakeError::VeNCryptVersion { major, minor }.into());
    assert_eq!(hear(&[&[0, 1]]), version(0, 1));
    assert_eq!(hear(&[&[0, 2], &[1]]), Err(ClientError::VeNCryptRefused));
    // A later version is answered with ours.
    assert_eq!(hear(&[&[1, 0], &[0], &[1, 0, 0, 1, 4], &[0]]), Err(ClientError::VeNCryptRefused));
    let offered = |numbers: &[u32]| numbers.iter().copied().map(Subtype).collect::<Vec<_>>();
    let clear_and_anonymous = &[4, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0, 1, 2];
    let wanted = ClientError::NoSubtype { offered: offered(&[1, 256, 257, 258]) };
    assert_eq!(hear(&[&[0, 2], &[0], clear_and_anonymous]), Err(wanted));
    assert_eq!(hear(&[&[0, 2], &[0], &[0]]), Err(ClientError::NoSubtype { offered: vec![] }));
    // It goes on in the clear: the result, and what a session needs.
    let clear = [0, 0, 0, 0, 0, 40, 0, 30];
    let wanted = ClientError::Tls(TlsError::NotTls(0));
    assert_eq!(hear(&[&[0, 2], &[0], &[1, 0, 0, 1, 4], &[1], &clear]), Err(wanted));
    let alert = ClientError::Tls(TlsError::Alert("HandshakeFailure".into()));
    assert_eq!(hear(&[&[0, 2], &[0], &[1, 0, 0, 1, 4], &[1], &[21, 3, 3, 0, 2, 2, 40]]), Err(alert));
}
