//! The default configuration files say what the code does: every key that they show exists, with the default they show. And
//! what guests are given does what it says.

#![allow(clippy::unwrap_used, reason = "failing is how a test reports")]

use std::io::Write;

use xenvnc::config::Config;
use xenvnc::guest::{GuestConfig, Layer};

const GUEST_FILE: &str = include_str!("../xen-hooks/guest/guest.toml");
const FILE: &str = include_str!("../xen-hooks/config.toml");

fn load(text: &str) -> Config {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    Config::load(Some(file.path()), &[]).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// The file with the keys that are commented out (`#key`, no space) in force, up to the first `[[domain]]`.
fn with_keys_in_force() -> String {
    let general = FILE.split("#[[domain]]").next().unwrap();
    // What has no default that could be written down.
    let no_default = [
        "#socket = \"/run/xenstored/socket\"",
        "#password_file",
        "#chords",
        "#announce",
        "#tls_certificate",
        "#tls_key",
        "#users_file",
        "#security",
        "#user = ",
        "#tls_ca",
        "#tls_fingerprint",
        "#tls_name",
    ];
    general
        .lines()
        .filter(|line| !no_default.iter().any(|key| line.starts_with(key)))
        .map(|line| match line.strip_prefix('#') {
            Some(key) if !key.starts_with(' ') && !key.is_empty() => format!("{key}\n"),
            _ => format!("{line}\n"),
        })
        .collect()
}

#[test]
fn default_file_changes_nothing() {
    assert_eq!(format!("{:?}", load(FILE)), format!("{:?}", load("")));
}

#[test]
fn keys_of_the_default_file_show_the_defaults() {
    let text = with_keys_in_force();
    assert!(text.matches("\nlisten = ").count() == 2 && text.contains("\nbytes = "), "{text}");
    assert_eq!(format!("{:?}", load(&text)), format!("{:?}", load("")));
}

#[test]
fn example_of_a_domain_block_is_valid() {
    let (_, block) = FILE.split_once("#[[domain]]").unwrap();
    let text = format!("[[domain]]{}", block.replace("\n#", "\n"));
    assert_eq!(load(&text).domain("test-1", "").history_lines, 50_000);
}

fn load_guest(text: &str) -> GuestConfig {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    GuestConfig::load(Some(file.path()), Layer::default()).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

#[test]
fn guest_file_shows_the_defaults() {
    assert_eq!(load_guest(GUEST_FILE), load_guest(""));
    // What has no default stays out; starting an Xvnc shows the defaults of the other keys.
    let in_force: String = GUEST_FILE
        .lines()
        .filter(|line| !line.starts_with("#host") && !line.starts_with("#token_file"))
        .map(|line| match line.strip_prefix('#') {
            Some(key) if !key.starts_with(' ') && !key.is_empty() => format!("{key}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    assert_eq!(in_force.matches(" = ").count(), 7, "{in_force}");
    assert_eq!(load_guest(&in_force), load_guest(""));
    let start = in_force.replace("start = false", "start = true");
    assert_eq!(load_guest(&start), load_guest("[xvnc]\nstart = true\n"));
}

#[test]
fn display_managers_x_server_gets_what_xvnc_understands() {
    let directory = tempfile::tempdir().unwrap();
    let fake = directory.path().join("Xvnc");
    std::fs::write(&fake, "#!/bin/sh\nprintf '%s\\n' \"$@\"\n").unwrap();
    std::fs::set_permissions(&fake, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let run = |arguments: &[&str]| -> Vec<String> {
        let path = format!("{}:{}", directory.path().display(), std::env::var("PATH").unwrap());
        let output = std::process::Command::new(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/xen-hooks/guest/xvnc-display-manager"
        ))
        .args(arguments)
        .env("PATH", path)
        .env("XENVNC_SOCKET", directory.path().join("run/x.sock"))
        .output()
        .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    };
    // As lightdm and as xinit start an X server.
    let said = run(&[":0", "-seat", "seat0", "-auth", "/run/a b", "-nolisten", "tcp", "vt7", "-novtswitch"]);
    assert_eq!(said[..5], [":0", "-auth", "/run/a b", "-nolisten", "tcp"]);
    let socket = directory.path().join("run/x.sock").display().to_string();
    assert_eq!(said[5..9], ["-rfbport", "-1", "-rfbunixpath", &socket]);
    assert!(directory.path().join("run").is_dir());
    assert_eq!(run(&[])[0], "-rfbport");
    assert_eq!(run(&["-background", "none", "-seat"])[0], "-rfbport", "a value that is missing");
}
