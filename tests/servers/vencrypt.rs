//! VeNCrypt's X509 subtypes of servers that we did not write, whose TLS is GnuTLS: TigerVNC's X server and QEMU.

use std::fs;
use std::path::Path;
use std::process::Command;

use xenvnc::geometry::{Point, Size};
use xenvnc::rfb::client::{ClientError, ClientOptions};
use xenvnc::rfb::message::vencrypt::Subtype;
use xenvnc::rfb::security::tls::{ClientTls, TlsError, Trust};
use xenvnc::rfb::security::{Credentials, Password};

use crate::certificates::CA;
use crate::display::Display;
use crate::machine::Machine;
use crate::picture::{Kind, picture};
use crate::program::{eventually, output};
use crate::upstream::Upstream;
use crate::xvnc::{LOGIN, NAME, PASSWORD, SOCKET, xvnc};

const AT: Point = Point { x: 23, y: 17 };

/// As `openssl x509` prints it, and so as people have it.
fn fingerprint(certificate: &Path) -> String {
    let mut command = Command::new("openssl");
    command.args(["x509", "-noout", "-fingerprint", "-sha256", "-in"]).arg(certificate);
    let text = String::from_utf8(output(&mut command)).expect("text");
    text.trim().rsplit('=').next().expect("a fingerprint").to_owned()
}

fn with(trust: Trust) -> ClientOptions {
    ClientOptions {
        tls: Some(ClientTls::new(trust, NAME, true).expect("a name")),
        password: Some(Password::new(PASSWORD.as_bytes())),
        login: Some(Credentials::new(LOGIN.0.as_bytes(), LOGIN.1.as_bytes())),
        ..ClientOptions::network()
    }
}

fn connect(display: &Display, options: ClientOptions) -> Upstream {
    Upstream::unix(&display.path().join(SOCKET), options)
}

#[test]
fn an_xvnc_is_known_by_its_certificate_and_shows_its_screen() {
    for kind in ["X509None", "X509Vnc", "X509Plain"] {
        let (mut display, certificate) = xvnc(kind);
        display.show(&picture(Size::new(300, 200), Kind::Mixed, 3), AT);
        let pem = fs::read(&certificate).expect("a certificate");
        let pin = fingerprint(&certificate).parse().expect("a fingerprint");
        for trust in [Trust::authorities(&pem), Trust::fingerprint(pin), Trust::anything()] {
            let mut upstream = connect(&display, with(trust.expect("a configuration")));
            upstream.until_picture(&display.dump());
        }
        // Another certificate is trusted: nothing is said to this one.
        let other = Trust::authorities(CA).expect("a certificate");
        let mut upstream = connect(&display, with(other));
        let error = eventually("a refusal", || upstream.pump().err());
        assert!(matches!(error, ClientError::Tls(TlsError::Certificate(_))), "{error}");
    }
}

#[test]
fn an_xvnc_refuses_wrong_proofs() {
    let anything = || with(Trust::anything().expect("a configuration"));
    let (vnc, _) = xvnc("X509Vnc");
    let (plain, _) = xvnc("X509Plain");
    let password = Some(Password::new(b"wrong"));
    let login = Some(Credentials::new(b"root", b"open Sesame"));
    for mut upstream in [
        connect(&vnc, ClientOptions { password, ..anything() }),
        connect(&plain, ClientOptions { login, ..anything() }),
    ] {
        let error = eventually("a refusal", || upstream.pump().err());
        assert!(matches!(error, ClientError::AuthenticationFailed { .. }), "{error}");
    }
    for (display, options, wanted) in [
        (&vnc, ClientOptions { password: None, ..anything() }, ClientError::NoPassword),
        (&plain, ClientOptions { login: None, ..anything() }, ClientError::NoLogin),
        (&plain, ClientOptions { tls: None, ..anything() }, ClientError::NoTrust),
    ] {
        let mut upstream = connect(display, options);
        assert_eq!(eventually("a refusal", || upstream.pump().err()), wanted);
    }
    // What it offers unless told otherwise is without a certificate.
    let (anonymous, _) = xvnc("TLSVnc,VncAuth");
    let mut upstream = connect(&anonymous, anything());
    let error = eventually("a refusal", || upstream.pump().err());
    assert_eq!(error, ClientError::NoSubtype { offered: vec![Subtype(258), Subtype(2)] });
}

#[test]
fn qemu_is_known_by_its_certificate_and_shows_its_screen() {
    for password in [None, Some(PASSWORD)] {
        let mut machine = Machine::start_secured(true, password, "");
        let trust = Trust::authorities(CA).expect("a certificate");
        let tls = Some(ClientTls::new(trust, "192.0.2.7", true).expect("an address"));
        let mut upstream = machine.connect(ClientOptions { tls, ..with(Trust::anything().expect("any")) });
        upstream.until_picture(&machine.dump());
        let mut upstream =
            machine.connect(ClientOptions { tls: None, ..with(Trust::anything().expect("any")) });
        let error = eventually("a refusal", || upstream.pump().err());
        assert_eq!(error, ClientError::NoTrust);
    }
}
