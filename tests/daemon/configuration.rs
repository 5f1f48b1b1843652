//! Wrong configurations: refused by name, before anything is opened.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::common::xenstored::Xenstored;
use crate::host::{eventually, text};

const XENVNC: &str = env!("CARGO_BIN_EXE_xenvnc");

/// A directory with a configuration file, for a daemon that is to end by itself.
struct Place {
    directory: TempDir,
    xenstored: Xenstored,
}

impl Place {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a directory"), xenstored: Xenstored::start() }
    }

    fn file(&self, name: &str, content: &[u8]) -> String {
        let path = self.directory.path().join(name);
        fs::write(&path, content).expect("a file");
        path.display().to_string()
    }

    /// Starts a daemon to which everything but these arguments is right, and waits for its end.
    fn daemon(&self, arguments: &[&str]) -> Output {
        let place = |name: &str| self.directory.path().join("made").join(name).display().to_string();
        let mut command = Command::new(XENVNC);
        command.arg("daemon").args(arguments);
        if !arguments.contains(&"--config") {
            command.args(["--config", "/dev/null"]);
        }
        for setting in [
            format!("control.socket={}", place("control.sock")),
            format!("xenstore.socket={}", self.xenstored.socket().display()),
            format!("console.runtime_dir={}", place("run")),
            format!("vnc.unix_dir={}", place("vnc")),
            format!("history.dir={}", place("history")),
        ] {
            command.args(["--set", &setting]);
        }
        outcome(command)
    }

    fn assert_nothing_opened(&self, case: &str) {
        assert!(!self.directory.path().join("made").exists(), "{case}: something was made");
        let tool = self.xenstored.dump("/tool");
        assert!(!tool.contains("xenvnc"), "{case}: {tool}");
    }
}

/// Waits for the end of a command that is expected to end by itself.
fn outcome(mut command: Command) -> Output {
    let mut process =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("xenvnc");
    eventually("the end of a command", || match process.try_wait().expect("its state") {
        Some(_) => Ok(()),
        None => Err(format!("{command:?} runs on")),
    });
    process.wait_with_output().expect("its output")
}

fn assert_refused(place: &Place, arguments: &[&str], parts: &[&str]) {
    for extra in [None, Some("--check")] {
        let arguments: Vec<&str> = arguments.iter().copied().chain(extra).collect();
        let output = place.daemon(&arguments);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
        for part in parts {
            assert!(message.contains(part), "{arguments:?}: no {part:?} in {message}");
        }
        place.assert_nothing_opened(&message);
    }
}

#[test]
fn a_wrong_file_is_refused_by_key_and_line() {
    let place = Place::new();
    for (content, parts) in [
        ("[vnc]\nports = \"5900-5999\"\nlisen = \"::\"\n", &["line 3", "lisen"][..]),
        ("\n[vncc]\n", &["line 2", "vncc"]),
        ("[console]\n\nmode = \"steal\"\n", &["line 3", "steal", "interpose"]),
        ("[vnc]\nports = \"5999-5900\"\n", &["line 2", "5999-5900", "FIRST-LAST"]),
        ("[history]\nlines = 1e9\n", &["line 2", "lines"]),
        ("[vnc]\nenabled = \"perhaps\"\n", &["line 2", "perhaps"]),
        ("[xenstore\n", &["line 1"]),
        ("[[domain]]\nvnc.enabled = false\n", &["match"]),
        ("[[domain]]\nmatch = \"a*\"\nvnc.prots = \"1\"\n", &["line 3", "prots"]),
        ("[[domain]]\nmatch = \"a*\"\nhistory.dir = \"/x\"\n", &["history.dir", "a*"]),
        ("[[domain]]\nmatch = \"a*\"\nseat.chords = [\"hyper-f1\"]\n", &["a*", "seat.chords", "hyper-f1"]),
        (
            "[[domain]]\nmatch = \"a*\"\nvnc.password_file = \"/nonexistent/pw\"\n",
            &["a*", "vnc.password_file", "/nonexistent/pw"],
        ),
    ] {
        let file = place.file("config.toml", content.as_bytes());
        assert_refused(&place, &["--config", &file], parts);
    }
    let file = place.file("config.toml", b"[vnc]\nlisten = \"\xff\"\n");
    assert_refused(&place, &["--config", &file], &["config.toml"]);
    let large = place.file("large.toml", &vec![b'#'; 2 << 20]);
    assert_refused(&place, &["--config", &large], &["large.toml", "bytes"]);
    assert_refused(&place, &["--config", "/nonexistent/x.toml"], &["/nonexistent/x.toml"]);
    assert_refused(&place, &["--config", "/dev/zero"], &["/dev/zero", "bytes"]);
    let directory = place.directory.path().display().to_string();
    assert_refused(&place, &["--config", &directory], &[&directory]);
}

#[test]
fn a_wrong_setting_is_refused_by_its_words() {
    let place = Place::new();
    for (setting, part) in [
        ("vnc.prots=1-2", "prots"),
        ("vncc.ports=1-2", "vncc"),
        ("vncports", "section.key=value"),
        ("vnc.ports", "section.key=value"),
        (".ports=1-2", "section.key=value"),
        ("domain.match=x", "section.key=value"),
        ("vnc.ports=0-10", "FIRST-LAST"),
        ("vnc.listen=example.org:5900", "ADDR"),
        ("console.mode=", "interpose"),
        ("console.columns=1", "cells"),
        ("control.socket=", "path"),
        ("seat.chords=ctrl-alt-f1,hyper-f2", "hyper-f2"),
    ] {
        let name = setting.split('=').next().unwrap_or_default();
        assert_refused(&place, &["--set", setting], &[name, part]);
    }
}

#[test]
fn a_wrong_password_file_is_refused() {
    let place = Place::new();
    for (content, part) in [
        (&b""[..], "is empty"),
        (b"\n", "is empty"),
        (b"one\ntwo\n", "more than one line"),
        (b"a\x00b\n", "control character"),
        (b"\xff\xfe\n", "cannot read"),
        (&[b'x'; 5000], "more than 4096 bytes"),
    ] {
        let file = place.file("password", content);
        let setting = format!("vnc.password_file={file}");
        assert_refused(&place, &["--set", &setting], &["vnc.password_file", &file, part]);
    }
    let directory = place.directory.path().display().to_string();
    for path in ["/nonexistent/password", &directory] {
        let setting = format!("vnc.password_file={path}");
        assert_refused(&place, &["--set", &setting], &["vnc.password_file", path]);
    }
}

#[test]
fn a_good_configuration_is_only_checked_when_that_is_asked() {
    let place = Place::new();
    let password = place.file("password", b"sesame\n");
    let file = place.file("config.toml", format!("[vnc]\npassword_file = {password:?}\n").as_bytes());
    let output = place.daemon(&["--config", &file, "--check"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "the configuration is good\n");
    place.assert_nothing_opened("--check");
}

#[test]
fn an_absent_xenstored_is_looked_for_and_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let place = |name: &str| directory.path().join(name).display().to_string();
    let command = || {
        let mut command = Command::new(XENVNC);
        command.args(["daemon", "--config", "/dev/null"]);
        for (key, name) in [
            ("control.socket", "control.sock"),
            ("console.runtime_dir", "run"),
            ("vnc.unix_dir", "vnc"),
            ("history.dir", "history"),
        ] {
            command.arg("--set").arg(format!("{key}={}", place(name)));
        }
        command.env_remove("XENSTORED_PATH").env_remove("XENSTORED_RUNDIR");
        command
    };
    let assert_failed = |command: Command, parts: &[&str]| {
        let output = outcome(command);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{message}");
        for part in parts {
            assert!(message.contains(part), "no {part:?} in {message}");
        }
        assert!(!Path::new(&place("control.sock")).exists(), "the control socket stayed");
    };
    let missing = place("missing/socket");
    let mut by_setting = command();
    by_setting.arg("--set").arg(format!("xenstore.socket={missing}"));
    assert_failed(by_setting, &[&missing]);
    let mut by_path = command();
    by_path.env("XENSTORED_PATH", &missing);
    assert_failed(by_path, &[&missing]);
    let mut by_directory = command();
    by_directory.env("XENSTORED_RUNDIR", place("missing"));
    assert_failed(by_directory, &[&missing]);
    let places = ["/run/xenstored/socket", "/var/run/xenstored/socket", "/dev/xen/xenbus"];
    if !places.iter().any(|place| Path::new(place).exists()) {
        assert_failed(command(), &places);
    }
}
