//! What the commands say, and with which status.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use crate::guest::raw_pty;
use crate::host::{Host, eventually, text};
use crate::{ATTACH, INTERPOSE, await_served, status};

#[track_caller]
fn assert_refused(output: &Output, code: i32, parts: &[&str]) {
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{message}");
    assert!(parts.iter().all(|part| message.contains(part)), "{parts:?} in {message}");
    assert!(output.stdout.is_empty(), "{}", text(&output.stdout));
}

#[test]
fn commands_about_one_domain_say_what_is_wrong() {
    let mut host = Host::new(&[ATTACH]);
    for (domid, name) in [(7, "tiny"), (8, "same"), (9, "same"), (10, "8")] {
        host.add_domain(domid, name);
    }
    host.start_daemon();
    for domid in 7..=10 {
        await_served(&host, domid);
    }
    let file = host.place("shot.png").display().to_string();
    for command in ["history", "view"] {
        assert_refused(&host.xenvnc(&[command, "nobody"]), 1, &["no domain is called \"nobody\""]);
        assert_refused(&host.xenvnc(&[command, "same"]), 1, &["more than one", "UUID or domid"]);
        assert_refused(&host.xenvnc(&[command, "a\x1b[2J"]), 1, &["\\u{1b}"]);
        assert_refused(&host.xenvnc(&[command]), 2, &["DOMAIN"]);
    }
    assert_refused(&host.xenvnc(&["screenshot", "nobody", &file]), 1, &["nobody"]);
    assert_refused(&host.xenvnc(&["type", "nobody", "x"]), 1, &["nobody"]);
    assert_refused(&host.xenvnc(&["switch", "nobody", "1"]), 1, &["nobody"]);
    for vt in ["0", "13", "F13", "x", "-1", ""] {
        assert_refused(&host.xenvnc(&["switch", "tiny", vt]), 2, &[]);
        assert_refused(&host.xenvnc(&["screenshot", "tiny", "--vt", vt, &file]), 2, &[]);
    }
    assert_refused(&host.xenvnc(&["switch", "tiny", "5"]), 1, &["F5"]);
    assert_refused(&host.xenvnc(&["screenshot", "tiny", "--vt", "9", &file]), 1, &["VT"]);
    assert_refused(&host.xenvnc(&["screenshot", "tiny", "/nonexistent/x.png"]), 1, &["/nonexistent/x.png"]);
    assert!(!host.place("shot.png").exists());
    // A name that is a number wins over the domid, and any domain has a UUID.
    host.type_line("8", "echo name-$((6*7))");
    eventually("the echo", || {
        let output = host.xenvnc(&["history", "10"]);
        let history = text(&output.stdout);
        if history.contains("name-42") { Ok(()) } else { Err(history) }
    });
    let uuid = crate::common::xenstored::uuid(8).to_string().to_uppercase();
    assert!(host.xenvnc(&["switch", &uuid, "F12"]).status.success());
    assert_eq!(host.list()[1]["vt"], 12);
}

#[test]
fn without_a_daemon_each_command_says_where_it_looked() {
    let directory = tempfile::tempdir().expect("a directory");
    let socket = directory.path().join("control.sock").display().to_string();
    for command in [
        &["list"][..],
        &["status"],
        &["rescan"],
        &["history", "x"],
        &["type", "x", "y"],
        &["view", "x"],
        &["switch", "x", "1"],
        &["screenshot", "x", "/nonexistent/y"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_xenvnc"))
            .arg(command[0])
            .args(["--socket", &socket])
            .args(&command[1..])
            .output()
            .expect("xenvnc");
        assert_refused(&output, 1, &["no daemon answers", &socket]);
    }
}

#[test]
fn screenshots_are_pictures_of_the_right_size() {
    let mut host = Host::new(&[INTERPOSE, "console.columns=100", "console.rows=30"]);
    host.add_domain(7, "tiny");
    host.start_daemon();
    await_served(&host, 7);
    host.await_history("tiny", "guest$");
    let size = |file: &std::path::Path| {
        let file = std::io::BufReader::new(File::open(file).expect("a file"));
        let mut reader = png::Decoder::new(file).read_info().expect("a PNG file");
        let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
        let info = reader.next_frame(&mut pixels).expect("a whole picture");
        (info.width, info.height)
    };
    assert_eq!(size(&host.screenshot("tiny")), (800, 480));
    let file = host.place("status.png");
    let output = host.xenvnc(&["screenshot", "tiny", "--vt", "F12", &file.display().to_string()]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    size(&file);
    let output = host.xenvnc(&["screenshot", "tiny", "-"]);
    assert!(output.stdout.starts_with(b"\x89PNG\r\n"));
}

#[test]
fn a_viewer_is_started_on_the_address() {
    let mut host = Host::new(&[ATTACH]);
    let first = host.first_port();
    host.set(&format!("vnc.ports={first}-{first}"));
    host.add_domain(7, "tiny");
    host.add_domain(8, "other");
    host.start_daemon();
    await_served(&host, 8);
    let stub = host.place("viewer");
    fs::write(&stub, "#!/bin/sh\nprintf '<%s>' \"$@\"\nexit 7\n").expect("a script");
    fs::set_permissions(&stub, fs::Permissions::from_mode(0o755)).expect("its mode");
    let view = |viewer: &std::path::Path, domain: &str| {
        Command::new(env!("CARGO_BIN_EXE_xenvnc"))
            .args(["view", "--socket", &host.place("control.sock").display().to_string(), domain])
            .args(["--", "-Shared", "a b"])
            .env("VNCVIEWER", viewer)
            .output()
            .expect("xenvnc")
    };
    let output = view(&stub, "tiny");
    assert_eq!(text(&output.stdout), format!("<-Shared><a b><127.0.0.1::{first}>"));
    assert_eq!(output.status.code(), Some(7), "the viewer's status is ours");
    let socket = host.place("vnc").join("other.vnc");
    assert_eq!(text(&view(&stub, "other").stdout), format!("<-Shared><a b><{}>", socket.display()));
    let missing = host.place("no-viewer");
    assert_refused(&view(&missing, "tiny"), 1, &["cannot start", "no-viewer"]);
}

#[test]
fn a_guest_that_does_not_read_is_typed_to_within_limits() {
    let mut host = Host::new(&[INTERPOSE]);
    host.start_daemon();
    let (mut guest, _slave, tty) = raw_pty();
    host.add_domain_with_tty(7, "deaf", &tty.display().to_string());
    await_served(&host, 7);
    assert_refused(&host.xenvnc_with_input(&["type", "deaf"], &"x".repeat(3 << 20)), 1, &["longer than"]);
    // What is accepted is kept, up to 1 MiB, and then refused.
    let text = |bytes: usize| "abcdefgh".repeat(bytes / 8);
    assert!(host.xenvnc_with_input(&["type", "deaf"], &text(1_000_000)).status.success());
    assert_refused(&host.xenvnc_with_input(&["type", "deaf"], &text(100_000)), 1, &["do not fit"]);
    assert_eq!(status(&host)["domains"], 1);
    guest.write_all(b"still here\r\n").expect("printing");
    host.await_history("deaf", "still here");
    // It is sent as it is taken, without a gap, and makes room for more.
    let mut got = vec![0; 64_000];
    guest.read_exact(&mut got).expect("what was typed");
    assert!(got.chunks(8).all(|part| part == b"abcdefgh"));
    assert!(host.xenvnc_with_input(&["type", "deaf"], &text(100_000)).status.success());
}

#[test]
fn output_is_as_scripts_and_people_expect_and_the_log_is_discreet() {
    let mut host = Host::new(&[INTERPOSE]);
    host.verbose();
    host.start_daemon();
    let (mut guest, _slave, tty) = raw_pty();
    host.add_domain_with_tty(7, "tiny", &tty.display().to_string());
    let address = await_served(&host, 7);
    guest.write_all(b"\x1b[31msecret-output\x1b[m \xff\r\n").expect("printing");
    host.await_history("tiny", "secret-output \u{fffd}\n");
    let raw = host.xenvnc(&["history", "--raw", "tiny"]);
    assert_eq!(raw.stdout, b"\x1b[31msecret-output\x1b[m \xff\r\n");
    let cast = text(&host.xenvnc(&["history", "--format", "asciicast", "tiny"]).stdout);
    let (header, events) = cast.split_once('\n').expect("lines");
    let header: serde_json::Value = serde_json::from_str(header).expect("JSON");
    assert_eq!(
        (&header["version"], &header["width"], &header["title"]),
        (&2.into(), &80.into(), &"tiny".into())
    );
    assert!(header["timestamp"].is_u64());
    let events: Vec<(f64, String, String)> =
        events.lines().map(|line| serde_json::from_str(line).expect("an event")).collect();
    let shown: String = events.iter().map(|event| &*event.2).collect();
    assert_eq!(shown, "\u{1b}[31msecret-output\u{1b}[m \u{fffd}\r\n");
    assert_eq!((events[0].0, &*events[0].1), (0.0, "o"));
    assert!(host.xenvnc(&["history", "--format", "raw", "--raw", "tiny"]).status.code() == Some(2));
    assert!(host.xenvnc(&["type", "tiny", "secret-input"]).status.success());
    let mut typed = [0; 12];
    guest.read_exact(&mut typed).expect("what was typed");
    let mut viewer = crate::viewer::Viewer::connect(&address);
    viewer.type_text("secret-keys");
    let mut typed = [0; 11];
    guest.read_exact(&mut typed).expect("what was typed");

    let list = text(&host.xenvnc(&["list"]).stdout);
    let lines: Vec<&str> = list.lines().collect();
    assert!(lines[0].starts_with("NAME") && lines.len() == 2, "{list}");
    let fields: Vec<&str> = lines[1].split_whitespace().collect();
    assert_eq!(fields, ["tiny", "7", &address, "F1", "1", "interpose"]);
    let plain = text(&host.xenvnc(&["status"]).stdout);
    assert!(plain.contains("(connected)") && plain.contains("domains: 1, viewers: 1"), "{plain}");
    let status = status(&host);
    assert_eq!(status["problems"], serde_json::json!([]));
    assert_eq!(status["pid"], host.daemon_id());
    let keys: Vec<String> = host.list()[0].as_object().expect("an object").keys().cloned().collect();
    for key in ["name", "uuid", "domid", "address", "vt", "viewers"] {
        assert!(keys.iter().any(|have| have == key), "{key} in {keys:?}");
    }
    let log = host.log();
    assert!(log.contains("viewer came"), "{log}");
    assert!(!log.contains("secret"), "typed or printed text is in the log: {log}");
}
