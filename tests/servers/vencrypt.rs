//! VeNCrypt's X509 subtypes of servers that we did not write, whose TLS is GnuTLS: TigerVNC's X server and QEMU.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use xenvnc::geometry::{Point, Size};
use xenvnc::rfb::client::{ClientError, ClientOptions};
use xenvnc::rfb::message::vencrypt::Subtype;
use xenvnc::rfb::security::tls::{ClientTls, TlsError, Trust};
use xenvnc::rfb::security::{Credentials, Password};

use crate::certificates::{CA, SERVER, SERVER_KEY};
use crate::display::{Display, directory};
use crate::picture::{Kind, picture};
use crate::program::{eventually, output};
use crate::qemu::Machine;
use crate::upstream::Upstream;

const AT: Point = Point { x: 23, y: 17 };

/// A certificate that signs itself, and its key; gives the certificate's path.
fn make_certificate(directory: &Path) -> PathBuf {
    let (certificate, key) = (directory.join("server-cert.pem"), directory.join("server-key.pem"));
    output(
        Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650"])
            .args(["-subj", "/CN=guest.example", "-addext", "subjectAltName=DNS:guest.example"])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate),
    );
    certificate
}

/// As `openssl x509` prints it, and so as people have it.
fn fingerprint(certificate: &Path) -> String {
    let mut command = Command::new("openssl");
    command.args(["x509", "-noout", "-fingerprint", "-sha256", "-in"]).arg(certificate);
    let text = String::from_utf8(output(&mut command)).expect("text");
    text.trim().rsplit('=').next().expect("a fingerprint").to_owned()
}

fn with(trust: Trust) -> ClientOptions {
    ClientOptions {
        tls: Some(ClientTls::new(trust, "guest.example", true).expect("a name")),
        password: Some(Password::new(b"secret")),
        login: Some(Credentials::new(b"root", b"open sesame")),
        ..ClientOptions::network()
    }
}

/// Xtigervnc, which lets people in whom PAM lets in: in a mount namespace, so that nobody else's PAM is changed.
fn xvnc(kind: &str) -> (Display, PathBuf) {
    let directory = directory();
    let certificate = make_certificate(directory.path());
    let password = directory.path().join("password");
    output(Command::new("x11vnc").args(["-quiet", "-storepasswd", "secret"]).arg(&password));
    let check = directory.path().join("check");
    fs::write(&check, "#!/bin/sh\n[ \"$PAM_USER\" = root ] && [ \"$(tr -d '\\0')\" = 'open sesame' ]\n")
        .expect("a script");
    fs::set_permissions(&check, fs::Permissions::from_mode(0o700)).expect("its mode");
    let service = directory.path().join("pam");
    let rules = format!(
        "auth required pam_exec.so quiet expose_authtok {}\naccount required pam_permit.so\n",
        check.display()
    );
    fs::write(&service, rules).expect("a PAM service");
    let script = "mount -t tmpfs tmpfs /etc/pam.d && cp \"$1\" /etc/pam.d/vnc && shift && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, "sh"]).arg(service);
    command.args(["Xtigervnc", "-geometry", "640x400", "-depth", "24", "-nolisten", "tcp", "-rfbport", "-1"]);
    command.arg("-rfbunixpath").arg(directory.path().join("vnc.sock"));
    command.args(["-SecurityTypes", kind, "-PlainUsers", "*", "-PAMService", "vnc"]);
    command.arg("-PasswordFile").arg(password).arg("-X509Cert").arg(&certificate);
    command.arg("-X509Key").arg(directory.path().join("server-key.pem"));
    (Display::start(directory, &mut command), certificate)
}

fn connect(display: &Display, options: ClientOptions) -> Upstream {
    Upstream::unix(&display.path().join("vnc.sock"), options)
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
    for password in [false, true] {
        // QEMU wants an authority beside its certificate, and none that is both.
        let mut machine = Machine::start_with(|directory| {
            for (name, bytes) in
                [("ca-cert.pem", CA), ("server-cert.pem", SERVER), ("server-key.pem", SERVER_KEY)]
            {
                fs::write(directory.join(name), bytes).expect("a file");
            }
            let place = directory.display();
            let object = format!("tls-creds-x509,id=tls,dir={place},endpoint=server,verify-peer=no");
            let options = if password { ",tls-creds=tls,password=on" } else { ",tls-creds=tls" };
            (options.to_owned(), vec!["-object".to_owned(), object])
        });
        if password {
            machine.ask(r#"{"execute":"set_password","arguments":{"protocol":"vnc","password":"secret"}}"#);
        }
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
