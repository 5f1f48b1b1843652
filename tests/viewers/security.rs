//! TLS, names and passwords: viewers that we did not write, TLS that we did not write, and those who guess.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;

use crate::INTERPOSE;
use crate::displays::{GuestX, await_vt, free_port};
use crate::foreign::{TigerVnc, Vncdotool};
use crate::host::{Host, eventually, installed, text, user_line};

/// A host whose files are there before its daemon starts.
struct Scene {
    host: Host,
    certificate: PathBuf,
    users: PathBuf,
}

/// The commands of the README.
fn make_certificate(host: &Host, name: &str) -> (PathBuf, PathBuf) {
    let (certificate, key) = (host.place(&format!("{name}.pem")), host.place(&format!("{name}.key")));
    let status = Command::new(installed(Path::new("openssl")))
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
        .args(["-days", "3650", "-subj", "/CN=dom0.example"])
        .args(["-addext", "subjectAltName=DNS:dom0.example,IP:127.0.0.1"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .expect("openssl");
    assert!(status.status.success(), "{}", text(&status.stderr));
    (certificate, key)
}

impl Scene {
    fn new(security: &str) -> (Self, u16) {
        let mut host = Host::new(&[INTERPOSE]);
        let (certificate, key) = make_certificate(&host, "server");
        let (users, password) = (host.place("users"), host.place("password"));
        fs::write(&users, user_line("ann", "a long pass phrase")).expect("a users file");
        fs::write(&password, "sesame\n").expect("a password file");
        for (setting, value) in [
            ("tls_certificate", certificate.display().to_string()),
            ("tls_key", key.display().to_string()),
            ("users_file", users.display().to_string()),
            ("password_file", password.display().to_string()),
            ("security", security.to_owned()),
        ] {
            if !value.is_empty() {
                host.set(&format!("vnc.{setting}={value}"));
            }
        }
        host.start_daemon();
        host.add_domain(7, "tiny");
        let port = host.port(7);
        (Self { host, certificate, users }, port)
    }

    /// What becomes of a handshake by OpenSSL.
    fn drive(&self, port: u16, arguments: &[&str]) -> String {
        let output = Command::new(installed(&crate::host::cache().join("python/bin/python")))
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/viewers/tls_driver.py"))
            .arg(port.to_string())
            .arg(&self.certificate)
            .args(arguments)
            .output()
            .expect("Python");
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout).trim().to_owned()
    }

    fn await_log(&self, wanted: &str) {
        eventually("the log", || {
            let log = self.host.log();
            if log.contains(wanted) { Ok(()) } else { Err(format!("no {wanted:?} in {log}")) }
        });
    }
}

#[test]
fn tigervnc_comes_in_by_every_x509_type() {
    let (scene, port) = Scene::new("x509plain,x509vnc,x509none");
    scene.host.await_history("tiny", "guest$");
    for (kind, user, password) in
        [("X509None", "", ""), ("X509Vnc", "", "sesame"), ("X509Plain", "ann", "a long pass phrase")]
    {
        let certificate = scene.certificate.display();
        let arguments = [format!("-SecurityTypes={kind}"), format!("-X509CA={certificate}")];
        let viewer = TigerVnc::connect_secured(port, &arguments, (user, password));
        viewer.await_text("guest$");
        viewer.type_text(&format!("clear; echo {kind}-$((6*7))"));
        viewer.key("Return");
        viewer.await_text(&format!("{kind}-42"));
        assert!(viewer.log().contains("Choosing security type VeNCrypt"), "{}", viewer.log());
    }
    let log = scene.host.log();
    assert!(!log.contains("sesame") && !log.contains("phrase"), "a password is in the log");
}

#[test]
fn tigervnc_is_refused_with_a_wrong_password() {
    let (scene, port) = Scene::new("");
    let certificate = scene.certificate.display();
    for (kind, wanted) in [("X509Vnc", "wrong password"), ("X509Plain", "wrong name or password")] {
        let arguments = [format!("-SecurityTypes={kind}"), format!("-X509CA={certificate}")];
        let viewer = TigerVnc::connect_secured(port, &arguments, ("ann", "simsalabim"));
        eventually("the viewer's complaint", || {
            let log = viewer.log();
            if log.contains("uthentication failed") { Ok(()) } else { Err(log) }
        });
        scene.await_log(&format!("viewer gave a {wanted}"));
    }
    // What is not on the list is not to be had: TigerVNC finds nothing that it may use.
    let viewer = TigerVnc::connect_secured(port, &["-SecurityTypes=None,X509None".to_owned()], ("", ""));
    eventually("the viewer's complaint", || {
        let log = viewer.log();
        if log.contains("No valid VeNCrypt sub-type") { Ok(()) } else { Err(log) }
    });
}

#[test]
fn tightvnc_uses_its_own_security_type() {
    let (scene, port) = Scene::new("tight,vncauth");
    scene.host.await_history("tiny", "guest$");
    let viewer = TigerVnc::tightvnc(port, "sesame");
    viewer.await_text("guest$");
    let log = viewer.log();
    assert!(log.contains("Enabling TightVNC protocol extensions"), "{log}");
}

#[test]
fn openssl_comes_in_and_mistakes_are_named() {
    let (scene, port) = Scene::new("x509plain");
    let login = ["login", "ann", "a long pass phrase"];
    assert_eq!(scene.drive(port, &login), "accepted");
    assert_eq!(scene.drive(port, &["login", "ann", "a long pass phras"]), "authentication failed");
    assert_eq!(scene.drive(port, &["login", "eve", "a long pass phrase"]), "authentication failed");
    for (case, reason) in [
        (&["unoffered", "260"][..], "viewer chose VeNCrypt subtype 260, offered was [262]"),
        (&["unoffered", "257"], "viewer chose VeNCrypt subtype 257, offered was [262]"),
        (&["clear", "ann", "a long pass phrase"], "viewer broke VeNCrypt: byte 0x00 where TLS was to begin"),
        (&["truncated"], "viewer closed the connection in the TLS handshake"),
        (&["huge"], "name of 1073741824 and password of 5 bytes"),
        (&["early", "ann", "a long pass phrase"], "before its login was decided"),
    ] {
        assert_eq!(scene.drive(port, case), "closed", "{case:?}");
        scene.await_log(reason);
    }
    // Mistakes of the protocol are no guesses.
    assert_eq!(scene.drive(port, &login), "accepted");
    assert!(!scene.host.log().contains("phrase"), "a password is in the log");
}

#[test]
fn users_and_certificates_are_read_again_on_sighup() {
    let (mut scene, port) = Scene::new("x509plain");
    assert_eq!(scene.drive(port, &["login", "ben", "new"]), "authentication failed");
    fs::write(&scene.users, user_line("ben", "new")).expect("a users file");
    scene.host.signal_daemon(Signal::SIGHUP);
    eventually("the new user", || match scene.drive(port, &["login", "ben", "new"]).as_str() {
        "accepted" => Ok(()),
        other => Err(other.to_owned()),
    });
    assert_eq!(scene.drive(port, &["login", "ann", "a long pass phrase"]), "authentication failed");

    // A file that makes no sense changes nothing, and is named with the reason.
    fs::write(&scene.users, "ben:new\n").expect("a users file");
    scene.host.signal_daemon(Signal::SIGHUP);
    scene.await_log(&format!("vnc.users_file: {}: line 1: the hash is not Argon2's", scene.users.display()));
    assert_eq!(scene.drive(port, &["login", "ben", "new"]), "accepted");
    fs::write(&scene.users, user_line("ben", "new")).expect("a users file");
    fs::write(&scene.certificate, "nothing").expect("a certificate file");
    scene.host.signal_daemon(Signal::SIGHUP);
    scene.await_log(&format!("vnc.tls_certificate: {}: no certificate", scene.certificate.display()));

    // And another certificate is shown to whoever comes then.
    let (certificate, key) = make_certificate(&scene.host, "second");
    fs::copy(&certificate, &scene.certificate).expect("a certificate");
    fs::copy(&key, scene.host.place("server.key")).expect("a key");
    scene.host.signal_daemon(Signal::SIGHUP);
    eventually("the new certificate", || {
        let peer = Command::new(installed(&crate::host::cache().join("python/bin/python")))
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/viewers/tls_driver.py"))
            .arg(port.to_string())
            .arg(&certificate)
            .args(["login", "ben", "new"])
            .output()
            .expect("Python");
        if text(&peer.stdout).trim() == "accepted" { Ok(()) } else { Err(text(&peer.stderr)) }
    });
    scene.host.assert_daemon_lives();
}

#[test]
fn a_display_is_known_by_its_certificate() {
    let mut host = Host::new(&[INTERPOSE, "console.font=8x16"]);
    let port = free_port();
    let (certificate, key) = make_certificate(&host, "guest");
    let [certificate, key] = [certificate, key].map(|path| path.display().to_string());
    let (plain, stored) = (host.place("password"), host.place("stored"));
    fs::write(&plain, "sesame\n").expect("a password file");
    let made = Command::new("x11vnc").args(["-quiet", "-storepasswd", "sesame"]).arg(&stored).output();
    assert!(made.expect("x11vnc").status.success());
    host.set(&format!("display.forward=127.0.0.1:{port}"));
    host.set(&format!("display.tls_ca={certificate}"));
    host.set(&format!("display.password_file={}", plain.display()));
    host.start_daemon();
    host.add_domain(7, "tiny");
    let mut viewer = Vncdotool::connect(host.port(7), None).expect("a connection");
    viewer.await_text("guest$");

    // Somebody in between who says that there is no TLS is not believed.
    let without = GuestX::start(port, "480x160");
    eventually("the refusal", || {
        let log = host.log();
        let wanted = "server must use TLS, and offers the security types [1] only";
        if log.contains(wanted) { Ok(()) } else { Err(log) }
    });
    drop(without);
    // Nor is another certificate.
    let (other, other_key) = make_certificate(&host, "other");
    let [other, other_key] = [other, other_key].map(|path| path.display().to_string());
    let stored = stored.display().to_string();
    let with = |certificate: &str, key: &str| {
        let files = ["-X509Cert", certificate, "-X509Key", key, "-PasswordFile", &stored];
        GuestX::start_with(port, "480x160", &[&["-SecurityTypes", "X509Vnc"], &files[..]].concat())
    };
    let impostor = with(&other, &other_key);
    eventually("the refusal", || {
        let log = host.log();
        if log.contains("its certificate is refused") { Ok(()) } else { Err(log) }
    });
    drop(impostor);
    let right = with(&certificate, &key).with_terminal();
    await_vt(&host, 7);
    viewer.move_to(50, 50);
    eventually("the shell in the display", || {
        viewer.type_text("echo typed-$((6*7)) >in-x");
        viewer.key("enter");
        let text = fs::read_to_string(right.file("in-x")).unwrap_or_default();
        if text == "typed-42\n" { Ok(()) } else { Err(format!("{text:?}")) }
    });
    let picture = viewer.capture();
    assert_eq!((picture.width, picture.height), (480, 160));
}

/// A login by VncAuth with a response that is wrong; what the server says.
fn guess(port: u16) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a connection");
    let mut version = [0; 12];
    stream.read_exact(&mut version).expect("the server's version");
    let refused = &version == b"RFB 003.003\n";
    if !refused {
        stream.write_all(b"RFB 003.008\n\x02").expect("our choice");
        // Types and challenge.
        stream.read_exact(&mut [0; 2 + 16]).expect("a challenge");
        stream.write_all(&[0; 16]).expect("our response");
    }
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("the server's answer");
    // Result or number of types, and the reason behind its length.
    assert_eq!(rest[..4], [0, 0, 0, u8::from(!refused)]);
    text(&rest[8..])
}

#[test]
fn whoever_guesses_has_to_wait_at_every_domain() {
    let secret = tempfile::NamedTempFile::new().expect("a file");
    fs::write(secret.path(), "sesame\n").expect("a password file");
    let setting = format!("vnc.password_file={}", secret.path().display());
    let mut host = Host::new(&[INTERPOSE, &setting]);
    host.start_daemon();
    host.add_domain(7, "tiny");
    host.add_domain(8, "other");
    let ports = [host.port(7), host.port(8)];
    let mut answers: Vec<String> = Vec::new();
    // The wait doubles with each guess that is listened to, so that it is longer than any guess takes in the end.
    while answers.last().is_none_or(|answer| answer == "authentication failed") {
        assert!(answers.len() < 40, "{answers:?}");
        answers.push(guess(ports[answers.len() % 2]));
    }
    assert!(answers.len() > 4, "{answers:?}");
    let last = answers.last().expect("an answer");
    assert!(last.starts_with("too many failed logins from this address: try again in "), "{last}");
    let log = host.log();
    assert!(log.contains("viewer refused") && log.contains("too many failed logins"), "{log}");
    host.assert_daemon_lives();
}
