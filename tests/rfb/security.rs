//! VeNCrypt and the Tight security type: our server and our client against each other, in pieces of every size and cut
//! off at every byte. What breaks the rules is in `security_hostile`.

use xenvnc::geometry::Size;
use xenvnc::rfb::client::{ClientConnection, ClientError, ClientEvent, ClientOptions};
use xenvnc::rfb::security::tls::{ClientTls, ServerTls, TlsConfigError, TlsError, Trust};
use xenvnc::rfb::security::{Choice, Credentials, Method, Password, Security};
use xenvnc::rfb::server::{Place, ServerConnection, ServerError, ServerEvent, ServerOptions};

use crate::certificates::{CA, SELF, SELF_KEY, SERVER, SERVER_KEY, server_tls};

const OTHER: &[u8] = include_bytes!("../data/tls/other.pem");
const OTHER_KEY: &[u8] = include_bytes!("../data/tls/other.key");
const EXPIRED: &[u8] = include_bytes!("../data/tls/expired.pem");
const EXPIRED_KEY: &[u8] = include_bytes!("../data/tls/expired.key");

/// As `openssl x509 -in tests/data/tls/self.pem -noout -fingerprint -sha256` prints it.
const SELF_FINGERPRINT: &str =
    "75:71:5E:21:1F:02:C2:9E:49:E4:EB:7C:B9:AD:B4:C1:3F:E8:71:F0:11:5A:FA:61:F9:53:93:CD:61:09:B6:2B";

/// The desktop's name, which nobody may read on the wire.
const NAME: &str = "a name that is nobody's business";

pub(crate) fn login() -> Credentials {
    Credentials::new("änn".as_bytes(), b"open sesame, it is long")
}

pub(crate) fn offer(methods: &[Method]) -> Security {
    let password = Some(Password::new(b"secret"));
    let choice = Choice::new(methods.to_vec(), password, Some(server_tls()));
    Security::Choice(choice.expect("what is needed"))
}

pub(crate) fn server(security: Security) -> ServerConnection {
    let options = ServerOptions { name: NAME.into(), size: Size::new(40, 30), security, challenge: [9; 16] };
    ServerConnection::new(options)
}

/// A client that can prove everything, and trusts the authority.
fn client() -> ClientOptions {
    let trust = Trust::authorities(CA).expect("certificates");
    ClientOptions {
        password: Some(Password::new(b"secret")),
        login: Some(login()),
        tls: Some(ClientTls::new(trust, "vnc.example", true).expect("a name")),
        ..ClientOptions::local()
    }
}

/// Both ends of a connection.
struct Pair {
    server: ServerConnection,
    client: ClientConnection,
    /// The bytes that the viewer has sent and the server has got.
    sent: usize,
    /// Everything that went over the wire, in both directions.
    wire: Vec<u8>,
    logins: Vec<Credentials>,
}

/// Which end has failed, and how.
#[derive(Debug, PartialEq)]
enum Failure {
    Server(ServerError),
    Client(ClientError),
}

impl Pair {
    fn new(security: Security, options: ClientOptions) -> Self {
        let (server, client) = (server(security), ClientConnection::new(options));
        Self { server, client, sent: 0, wire: Vec::new(), logins: Vec::new() }
    }

    /// Moves bytes in pieces of `piece` until nothing moves, or the viewer has sent `most`. A login is right when it is
    /// [`login`].
    fn run(&mut self, piece: usize, most: usize) -> Result<(), Failure> {
        loop {
            let down = std::mem::take(self.server.output());
            let room = most - self.sent;
            let pending = self.client.output();
            let up: Vec<u8> = pending.drain(..pending.len().min(room)).collect();
            if down.is_empty() && up.is_empty() {
                return Ok(());
            }
            self.wire.extend_from_slice(&down);
            self.wire.extend_from_slice(&up);
            self.sent += up.len();
            for bytes in down.chunks(piece) {
                self.client.handle_input(bytes).map_err(Failure::Client)?;
            }
            for bytes in up.chunks(piece) {
                self.server.handle_input(bytes).map_err(Failure::Server)?;
                while let Some(event) = self.server.poll_event() {
                    if let ServerEvent::Login(credentials) = event {
                        self.server.decide_login(credentials == login()).map_err(Failure::Server)?;
                        self.logins.push(credentials);
                    }
                }
            }
        }
    }

    /// As far as it goes.
    fn whole(&mut self) -> Result<(), Failure> {
        self.run(usize::MAX, usize::MAX)
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[test]
fn every_subtype_lets_the_right_one_in_and_hides_what_is_said() {
    for method in [Method::X509None, Method::X509Vnc, Method::X509Plain] {
        for piece in [1, 2, 7, 100, usize::MAX] {
            let mut pair = Pair::new(offer(&[method]), client());
            pair.run(piece, usize::MAX).expect("a good handshake");
            assert!(pair.server.is_ready() && pair.client.is_ready(), "{method:?} in pieces of {piece}");
            assert_eq!(pair.server.is_proven(), method != Method::X509None);
            assert_eq!(pair.logins.len(), usize::from(method == Method::X509Plain));
            let event = pair.client.poll_event();
            assert!(matches!(&event, Some(ClientEvent::Ready { name, .. }) if name == NAME), "{event:?}");
            // And what is said afterwards comes through.
            pair.server.cut_text("later");
            pair.client.pointer(0, 3, 4);
            pair.run(piece, usize::MAX).expect("a good session");
            let event = pair.client.poll_event();
            assert_eq!(event, Some(ClientEvent::CutText("later".into())));
            assert!(!contains(&pair.wire, b"business") && !contains(&pair.wire, b"sesame"));
            assert!(!contains(&pair.wire, b"later"));
        }
    }
}

#[test]
fn the_client_takes_what_asks_least_of_it() {
    let (none, plain, vnc) = (Method::X509None, Method::X509Plain, Method::X509Vnc);
    let without = |what: &dyn Fn(&mut ClientOptions)| {
        let mut options = client();
        what(&mut options);
        options
    };
    let no_login = without(&|options| options.login = None);
    let no_password = without(&|options| options.password = None);
    let nothing = without(&|options| (options.login, options.password) = (None, None));
    // What is offered, to whom, and whether a login was seen, or how it failed.
    let cases: [(&[Method], &ClientOptions, Result<usize, ClientError>); 9] = [
        (&[plain, vnc, none], &client(), Ok(0)),
        (&[vnc, plain], &client(), Ok(1)),
        (&[vnc, plain], &no_login, Ok(0)),
        (&[vnc, plain], &no_password, Ok(1)),
        (&[plain], &no_login, Err(ClientError::NoLogin)),
        (&[vnc], &no_password, Err(ClientError::NoPassword)),
        (&[none, Method::None], &nothing, Ok(0)),
        (
            &[Method::None],
            &client(),
            Err(ClientError::TlsRequired { offered: vec![Method::None.security_type()] }),
        ),
        (
            &[Method::VncAuth],
            &client(),
            Err(ClientError::TlsRequired { offered: vec![Method::VncAuth.security_type()] }),
        ),
    ];
    for (methods, options, wanted) in cases {
        let mut pair = Pair::new(offer(methods), options.clone());
        let result = pair.whole().map(|()| pair.logins.len());
        assert_eq!(result, wanted.map_err(Failure::Client), "{methods:?}");
    }
}

#[test]
fn tls_is_used_only_where_it_must_be() {
    let tls = |required| {
        let trust = Trust::anything().expect("a configuration");
        Some(ClientTls::new(trust, "localhost", required).expect("a name"))
    };
    let cases: [(&[Method], Option<ClientTls>, bool); 4] = [
        (&[Method::X509None, Method::None], tls(false), false),
        (&[Method::X509None, Method::VncAuth], tls(false), false),
        (&[Method::X509Plain, Method::X509None], tls(false), true),
        (&[Method::X509None, Method::None], tls(true), true),
    ];
    for (methods, tls, used) in cases {
        let mut pair = Pair::new(offer(methods), ClientOptions { tls, ..client() });
        pair.whole().expect("a good handshake");
        assert!(pair.client.is_ready());
        assert_eq!(!contains(&pair.wire, b"business"), used, "{methods:?}");
    }
    let mut pair = Pair::new(offer(&[Method::X509None]), ClientOptions { tls: None, ..client() });
    assert_eq!(pair.whole(), Err(Failure::Client(ClientError::NoTrust)));
}

#[test]
fn wrong_proofs_are_refused_and_both_ends_say_so() {
    let refused = |mut pair: Pair, error: ServerError| {
        assert_eq!(pair.whole(), Err(Failure::Server(error)));
        assert!(!pair.server.is_ready() && !pair.server.is_proven());
        let last = std::mem::take(pair.server.output());
        let wanted = ClientError::AuthenticationFailed { reason: "authentication failed".into() };
        assert_eq!(pair.client.handle_input(&last), Err(wanted));
        assert_eq!(pair.server.handle_input(b"x"), Err(ServerError::Ended));
    };
    let wrong = ClientOptions { password: Some(Password::new(b"Secret")), ..client() };
    refused(Pair::new(offer(&[Method::X509Vnc]), wrong), ServerError::WrongPassword);
    for login in [Credentials::new(b"ann", b"x"), Credentials::new(b"", b"")] {
        let wrong = ClientOptions { login: Some(login), ..client() };
        refused(Pair::new(offer(&[Method::X509Plain]), wrong), ServerError::WrongLogin);
    }
}

#[test]
fn a_verdict_may_come_late_and_counts_once() {
    let mut pair = Pair::new(offer(&[Method::X509Plain]), client());
    // Until the credentials are there.
    let credentials = loop {
        let down = std::mem::take(pair.server.output());
        pair.client.handle_input(&down).expect("a good server");
        let up = std::mem::take(pair.client.output());
        pair.server.decide_login(true).expect("nothing to decide");
        pair.server.handle_input(&up).expect("a good client");
        if let Some(ServerEvent::Login(credentials)) = pair.server.poll_event() {
            break credentials;
        }
    };
    assert_eq!(credentials, login());
    assert!(pair.server.output().is_empty(), "nothing is said before the verdict");
    assert_eq!(pair.server.handle_input(&[]), Ok(()));
    pair.server.decide_login(true).expect("a good verdict");
    pair.whole().expect("a good handshake");
    assert!(pair.server.is_ready());
    // Too late.
    assert_eq!(pair.server.decide_login(false), Ok(()));
    assert!(pair.server.is_ready());
}

#[test]
fn a_server_is_who_it_proves_to_be() {
    let authority = || Trust::authorities(CA).expect("certificates");
    let itself = || Trust::authorities(SELF).expect("certificates");
    let pinned = || Trust::fingerprint(SELF_FINGERPRINT.parse().expect("32 bytes")).expect("a configuration");
    let anything = || Trust::anything().expect("a configuration");
    let (good, own) = ((SERVER, SERVER_KEY), (SELF, SELF_KEY));
    let (old, other) = ((EXPIRED, EXPIRED_KEY), (OTHER, OTHER_KEY));
    let cases = [
        (good, authority(), "vnc.example", Ok(())),
        (good, authority(), "192.0.2.7", Ok(())),
        (good, authority(), "other.example", Err("not valid for name")),
        (good, authority(), "192.0.2.8", Err("not valid for name")),
        (old, authority(), "vnc.example", Err("expired")),
        (own, authority(), "vnc.example", Err("none of those that are trusted")),
        (good, itself(), "vnc.example", Err("no authority that is trusted")),
        // Among those that are trusted, whatever its name.
        (own, itself(), "other.example", Ok(())),
        (other, itself(), "vnc.example", Err("none of those that are trusted")),
        (own, pinned(), "other.example", Ok(())),
        (other, pinned(), "vnc.example", Err("fingerprint is")),
        (good, pinned(), "vnc.example", Err("fingerprint is")),
        (old, anything(), "other.example", Ok(())),
    ];
    for (at, ((certificate, key), trust, name, wanted)) in cases.into_iter().enumerate() {
        let identity = ServerTls::from_pem(certificate, key).expect("a certificate and its key");
        let choice = Choice::new(vec![Method::X509Plain], None, Some(identity)).expect("an offer");
        let tls = Some(ClientTls::new(trust, name, true).expect("a name"));
        let mut pair = Pair::new(Security::Choice(choice), ClientOptions { tls, ..client() });
        let result = pair.whole();
        let Err(part) = wanted else {
            assert_eq!(result, Ok(()), "case {at}");
            continue;
        };
        let Err(Failure::Client(error @ ClientError::Tls(TlsError::Certificate(_)))) = result else {
            panic!("case {at}: {result:?}");
        };
        assert!(error.to_string().contains(part), "case {at}: {error}");
        // The server is told, and has not seen a password.
        let alert = std::mem::take(pair.client.output());
        let error = pair.server.handle_input(&alert).expect_err("an alert");
        assert!(matches!(error, ServerError::Tls(TlsError::Alert(_))), "case {at}: {error}");
        assert_eq!(pair.logins, []);
    }
}

#[test]
fn what_is_no_certificate_or_key_is_named() {
    let from = |certificate: &[u8], key: &[u8]| ServerTls::from_pem(certificate, key).expect_err("a mistake");
    assert_eq!(from(b"", SELF_KEY), TlsConfigError::NoCertificate);
    assert_eq!(from(SELF_KEY, SELF_KEY), TlsConfigError::NoCertificate);
    assert_eq!(from(SELF, b""), TlsConfigError::NoKey);
    assert_eq!(from(SELF, SELF), TlsConfigError::NoKey);
    assert_eq!(from(SELF, SERVER_KEY), TlsConfigError::OtherKey);
    let text = std::str::from_utf8(SELF).expect("text");
    let half: String = text.lines().take(3).collect::<Vec<_>>().join("\n");
    assert!(matches!(from(half.as_bytes(), SELF_KEY), TlsConfigError::BadCertificate(_)));
    let broken = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    assert!(matches!(from(SELF, broken.as_bytes()), TlsConfigError::BadKey(_)));
    let broken = broken.replace("PRIVATE KEY", "CERTIFICATE");
    assert!(matches!(from(broken.as_bytes(), SELF_KEY), TlsConfigError::BadCertificate(_)));
    assert!(matches!(Trust::authorities(b"x"), Err(TlsConfigError::NoCertificate)));
    let trust = Trust::anything().expect("a configuration");
    let error = ClientTls::new(trust, "not a name", true).expect_err("a bad name");
    assert_eq!(error, TlsConfigError::BadName("not a name".into()));
}

/// Cut off anywhere, a handshake is incomplete and no mistake; what was missing is named.
#[test]
fn every_prefix_of_a_handshake_is_cut_off_somewhere() {
    for method in [Method::X509None, Method::X509Vnc, Method::X509Plain] {
        let mut pair = Pair::new(offer(&[method]), client());
        pair.whole().expect("a good handshake");
        let mut places = Vec::new();
        // A signature's length varies by a few bytes, so that the last place is not at the same number each time.
        for most in 0..pair.sent {
            let mut pair = Pair::new(offer(&[method]), client());
            let piece = if most % 2 == 0 { usize::MAX } else { 5 };
            pair.run(piece, most).expect("a good beginning");
            if pair.server.is_ready() {
                break;
            }
            let place = pair.server.handshake_place().expect("it is not over");
            assert_eq!(pair.server.handle_end(), Err(ServerError::ClosedEarly(place)));
            assert_eq!(pair.server.handle_input(b"x"), Err(ServerError::Ended));
            if places.last() != Some(&place) {
                places.push(place);
            }
            // The client, whose server is as silent, says the same.
            assert_eq!(pair.client.handle_end(), Err(ClientError::ClosedEarly));
        }
        let wanted: &[Place] = match method {
            Method::X509None => &[Place::Version, Place::Choice, Place::Tls, Place::ClientInit],
            _ => &[Place::Version, Place::Choice, Place::Tls, Place::Proof, Place::ClientInit],
        };
        assert_eq!(places, wanted, "{method:?}");
    }
}

#[test]
fn the_tight_type_lists_what_there_is() {
    let version = b"RFB 003.008\n";
    // One at a time: what is sent is compared after each.
    let talk = |security: Security, said: &[&[u8]]| {
        let mut server = server(security);
        let mut heard = vec![std::mem::take(server.output())];
        for bytes in said {
            for byte in *bytes {
                server.handle_input(&[*byte]).expect("a good handshake");
            }
            heard.push(std::mem::take(server.output()));
        }
        (server, heard)
    };
    // Nothing to prove: no tunnels, no authentication, done.
    let (server, heard) = talk(offer(&[Method::Tight, Method::None]), &[version, &[16], &[1]]);
    assert!(server.is_ready() && !server.is_proven());
    assert_eq!(heard[1], [2, 16, 1]);
    assert_eq!(heard[2], [0; 12]);
    let init = 24 + NAME.len();
    assert_eq!(heard[3][init..init + 8], [0, 1, 0, 1, 0, 13, 0, 0]);
    assert_eq!(heard[3].len(), init + 8 + 15 * 16);
    // The password, which is asked for in the list.
    let methods = [Method::Tight, Method::VncAuth];
    let (server, heard) = talk(offer(&methods), &[version, &[16], &[0, 0, 0, 2]]);
    assert_eq!(heard[1], [2, 16, 2]);
    assert_eq!(heard[2], b"\0\0\0\0\0\0\0\x01\0\0\0\x02STDVVNCAUTH_");
    assert_eq!(heard[3], [9; 16]);
    assert_eq!(server.handshake_place(), Some(Place::Proof));
    // Both, the best liked first; version 3.7 has no result for the one without a proof.
    let methods = [Method::VncAuth, Method::None, Method::Tight];
    let (server, heard) = talk(offer(&methods), &[b"RFB 003.007\n", &[16], &[0, 0, 0, 1], &[0]]);
    assert!(server.is_ready());
    assert_eq!(heard[2], b"\0\0\0\0\0\0\0\x02\0\0\0\x02STDVVNCAUTH_\0\0\0\x01STDVNOAUTH__");
    assert!(heard[3].is_empty(), "{heard:?}");
    // Whoever has chosen None itself gets the usual ServerInit.
    let (_, heard) = talk(offer(&methods), &[version, &[1], &[0]]);
    assert_eq!(heard[3].len(), init);
}

#[test]
fn version_3_3_gets_what_it_can_do_or_the_reason() {
    let decreed = |methods: &[Method]| {
        let mut server = server(offer(methods));
        server.output().clear();
        let result = server.handle_input(b"RFB 003.003\n");
        (result, std::mem::take(server.output()))
    };
    let both = [Method::X509Plain, Method::Tight, Method::VncAuth, Method::None];
    assert_eq!(decreed(&both), (Ok(()), [&[0, 0, 0, 2][..], &[9; 16]].concat()));
    assert_eq!(decreed(&[Method::X509None, Method::None]), (Ok(()), vec![0, 0, 0, 1]));
    let refusal = b"\0\0\0\0\0\0\0\x17RFB 3.7 or later wanted".to_vec();
    assert_eq!(decreed(&[Method::X509None]), (Err(ServerError::TooOldForSecurity), refusal));
}
