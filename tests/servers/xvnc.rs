//! TigerVNC's X server with any security type, on a Unix socket.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::display::{Display, directory};
use crate::program::output;

/// The name in its certificate.
pub(crate) const NAME: &str = "guest.example";
/// Its password, where one without a name is asked for.
pub(crate) const PASSWORD: &str = "secret";
/// The name and the password of the only user whom it lets in.
pub(crate) const LOGIN: (&str, &str) = ("root", "open sesame");
/// Its socket in the display's directory.
pub(crate) const SOCKET: &str = "vnc.sock";

/// A certificate that signs itself, for a name and what OpenSSL calls subjectAltName, and its key `server-key.pem`; gives
/// the certificate's path.
pub(crate) fn make_certificate(directory: &Path, name: &str, alternatives: &str) -> PathBuf {
    let (certificate, key) = (directory.join("server-cert.pem"), directory.join("server-key.pem"));
    output(
        Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650"])
            .args(["-subj", &format!("/CN={name}"), "-addext", &format!("subjectAltName={alternatives}")])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate),
    );
    certificate
}

/// Starts it with these security types, and gives its certificate as well. It lets people in whom PAM lets in: in a mount
/// namespace, so that nobody else's PAM is changed.
pub(crate) fn xvnc(kind: &str) -> (Display, PathBuf) {
    let directory = directory();
    let certificate = make_certificate(directory.path(), NAME, &format!("DNS:{NAME}"));
    let password = directory.path().join("password");
    output(Command::new("x11vnc").args(["-quiet", "-storepasswd", PASSWORD]).arg(&password));
    let check = directory.path().join("check");
    let (user, word) = LOGIN;
    let script = format!("#!/bin/sh\n[ \"$PAM_USER\" = {user} ] && [ \"$(tr -d '\\0')\" = '{word}' ]\n");
    fs::write(&check, script).expect("a script");
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
    command.arg("-rfbunixpath").arg(directory.path().join(SOCKET));
    command.args(["-SecurityTypes", kind, "-PlainUsers", "*", "-PAMService", "vnc"]);
    command.arg("-PasswordFile").arg(password).arg("-X509Cert").arg(&certificate);
    command.arg("-X509Key").arg(directory.path().join("server-key.pem"));
    (Display::start(directory, &mut command), certificate)
}
