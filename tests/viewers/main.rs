//! The daemon beside its real neighbours: xenstored, ptys with real shells, and viewers that we did not write.
//!
//! Needs what `scripts/setup` installs.

#![expect(clippy::expect_used, reason = "a test may stop at the first thing that does not work")]
#![expect(clippy::print_stderr, reason = "the daemon's log belongs beside a failed assertion")]

#[path = "../common/mod.rs"]
mod common;
mod displays;
mod foreign;
mod guest;
#[allow(dead_code, reason = "benches/host uses the rest")]
mod host;
mod hostile;
mod picture;
mod security;
mod text;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::thread;

use nix::sys::signal::Signal;

use common::xenstored::uuid;
use foreign::{TigerVnc, Vncdotool};
use host::{Host, eventually};
use picture::{Picture, difference};

/// How the consoles are reached: between xenconsoled and everybody else, or sharing its pty.
const INTERPOSE: &str = "console.mode=interpose";
const ATTACH: &str = "console.mode=attach";

fn host_with_one_domain(settings: &[&str]) -> (Host, u16) {
    let mut host = Host::new(settings);
    host.start_daemon();
    host.add_domain(7, "tiny");
    let port = host.port(7);
    (host, port)
}

#[test]
fn vncdotool_types_and_sees_the_answer() {
    let (host, port) = host_with_one_domain(&[INTERPOSE]);
    let mut viewer = Vncdotool::connect(port, None).expect("a connection");
    viewer.await_text("guest$");
    viewer.type_text("echo dot-$((6*7)) '~!@#%^&()_+|{}[]:;<>?,./'");
    viewer.key("enter");
    viewer.await_text("dot-42 ~!@#%^&()_+|{}[]:;<>?,./");

    // Its picture and ours are the same, to the pixel.
    eventually("equal pictures", || {
        let ours = Picture::from_png(&host.screenshot("tiny")).expect("a screenshot");
        match difference(&viewer.capture(), &ours) {
            None => Ok(()),
            Some(difference) => Err(difference),
        }
    });
    assert!(host.history("tiny").contains("dot-42"));
    assert_eq!(host.row("tiny").expect("a row")["viewers"], 1);
    drop(viewer);
    eventually("the viewer's departure", || {
        let row = host.row("tiny").expect("a row");
        if row["viewers"] == 0 { Ok(()) } else { Err(row.to_string()) }
    });
}

#[test]
fn a_pty_may_be_shared_instead() {
    let (host, port) = host_with_one_domain(&[ATTACH]);
    assert_eq!(host.node(7, "console/tty").as_deref(), Some(host.tty(7).as_str()), "left as it was");
    let mut viewer = Vncdotool::connect(port, None).expect("a connection");
    viewer.type_text("echo shared-$((6*7))");
    viewer.key("enter");
    viewer.await_text("shared-42");
}

#[test]
fn a_password_is_asked_for_and_compared() {
    let secret = tempfile::NamedTempFile::new().expect("a file");
    fs::write(secret.path(), "sesame\n").expect("a password file");
    let setting = format!("vnc.password_file={}", secret.path().display());
    let (host, port) = host_with_one_domain(&[INTERPOSE, &setting]);
    assert!(Vncdotool::connect(port, Some("simsalabim")).is_err(), "a wrong password was taken");
    let mut viewer = Vncdotool::connect(port, Some("sesame")).expect("a connection");
    viewer.type_text("echo open-$((6*7))");
    viewer.key("enter");
    viewer.await_text("open-42");
    assert!(!host.log().contains("sesame"), "the password is in the log");
    assert!(!host.log().contains("open-"), "what was typed is in the log");
}

#[test]
fn tigervnc_types_and_sees_the_answer_in_every_encoding() {
    let (host, port) = host_with_one_domain(&[INTERPOSE]);
    host.await_history("tiny", "guest$");
    for encoding in ["Tight", "ZRLE", "Hextile", "Raw"] {
        let viewer = TigerVnc::connect(port, encoding);
        viewer.await_text("guest$");
        viewer.type_text(&format!("echo {encoding}-$((6*7)); seq 100 140"));
        viewer.key("Return");
        // The last line of a screen that has scrolled.
        viewer.await_text("140");
        viewer.type_text("clear; echo again-$((6*7))");
        viewer.key("Return");
        viewer.await_text("again-42");
        let history = host.history("tiny");
        assert!(history.contains(&format!("{encoding}-42")), "{history}");
        // It does so only when fences work, too.
        let log = viewer.log();
        assert!(log.contains("Enabling continuous updates"), "{log}");
    }
}

#[test]
fn the_toolstack_finds_what_is_published() {
    let (mut host, port) = host_with_one_domain(&[INTERPOSE]);
    assert_eq!(host.node(7, "console/vnc-listen").as_deref(), Some("127.0.0.1"));
    let row = host.row("tiny").expect("a row");
    assert_eq!(row["uuid"], uuid(7).to_string());
    assert_eq!(row["domid"], 7);
    assert_eq!(row["address"], format!("127.0.0.1:{port}"));
    assert_eq!(row["vt"], 1);
    assert_eq!(row["viewers"], 0);

    // A console that is made anew, as by a soft reset, is published again.
    host.remake_console(7);
    assert_eq!(host.port(7), port);

    // The records are for dom0 only.
    let records = host.xenstored.dump("/tool/xenvnc");
    assert!(records.lines().all(|line| line.contains("(n0)")), "{records}");
}

#[test]
fn xl_console_and_vnc_work_at_the_same_time() {
    let (host, port) = host_with_one_domain(&[INTERPOSE]);
    let tty = eventually("a pty of our own", || {
        let tty = host.node(7, "console/tty").unwrap_or_default();
        if tty.is_empty() || tty == host.tty(7) { Err(tty) } else { Ok(tty) }
    });
    // As `xl console` does.
    let mut console = File::options().read(true).write(true).open(&tty).expect("the published pty");
    let mut viewer = Vncdotool::connect(port, None).expect("a connection");
    viewer.type_text("echo from-vnc-$((6*7))");
    viewer.key("enter");
    viewer.await_text("from-vnc-42");
    console.write_all(b"echo from-xl-$((6*7))\r").expect("typing");
    viewer.await_text("from-xl-42");
    console.write_all(b"seq 1 3000; echo the-end-$((6*7))\r").expect("typing");

    let mut seen = Vec::new();
    let mut chunk = [0; 4096];
    while !contains(&seen, b"the-end-42\r\n") {
        let count = console.read(&mut chunk).expect("the published pty");
        assert!(count > 0, "the published pty ended");
        seen.extend_from_slice(&chunk[..count]);
    }
    let lines: String = (1..=3000).map(|n| format!("{n}\r\n")).collect();
    assert!(contains(&seen, lines.as_bytes()), "the second reader missed something");
    assert!(contains(&seen, b"from-vnc-42"));
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[test]
fn a_reboot_keeps_the_port_and_the_viewer() {
    let (mut host, port) = host_with_one_domain(&[INTERPOSE]);
    host.add_domain(8, "other");
    let other = host.port(8);
    assert_ne!(port, other);
    let mut viewer = Vncdotool::connect(port, None).expect("a connection");
    viewer.await_text("guest$");

    // The same guest under a new domid, as after `xl reboot`.
    host.destroy(7);
    host.add_life(9, 7, "tiny");
    assert_eq!(host.port(9), port);
    viewer.type_text("echo second-life-$((6*7))");
    viewer.key("enter");
    viewer.await_text("second-life-42");
    eventually("the new domid", || {
        let row = host.row("tiny").expect("a row");
        if row["domid"] == 9 { Ok(()) } else { Err(row.to_string()) }
    });
    assert_eq!(host.port(8), other, "the other domain's port moved");
}

#[test]
fn a_domain_that_goes_takes_its_port_along() {
    let (mut host, port) = host_with_one_domain(&[INTERPOSE]);
    host.destroy(7);
    eventually("a closed port", || match TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Err("still open".to_owned()),
        Err(_) => Ok(()),
    });
    assert_eq!(host.list(), Vec::<serde_json::Value>::new());
    host.assert_daemon_lives();
}

#[test]
fn a_clean_end_leaves_nothing_behind() {
    let (mut host, port) = host_with_one_domain(&[INTERPOSE]);
    host.await_history("tiny", "guest$");
    let status = host.end_daemon(Signal::SIGTERM);
    assert!(status.success(), "{status}\n{}", host.log());
    assert_eq!(host.node(7, "console/vnc-port"), None);
    assert_eq!(host.node(7, "console/vnc-listen"), None);
    assert_eq!(host.node(7, "console/tty").as_deref(), Some(host.tty(7).as_str()), "not given back");
    assert_eq!(host.node(7, "xenvnc"), None);
    let records = host.xenstored.dump("/tool");
    assert!(!records.contains("xenvnc/7"), "{records}");
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err(), "still listening");
    let mounts = fs::read_to_string("/proc/self/mounts").expect("the mounts");
    let run = host.place("run").display().to_string();
    assert!(!mounts.contains(&run), "{mounts}");

    // And the next start finds the domain with the same port.
    host.start_daemon();
    assert_eq!(host.port(7), port);
}

#[test]
fn a_kill_loses_nothing() {
    let (mut host, port) = host_with_one_domain(&[INTERPOSE]);
    host.type_line("tiny", "echo before-$((6*7))");
    host.await_history("tiny", "before-42");
    // Output that comes while no daemon runs waits with xenconsoled.
    host.type_line("tiny", "(sleep 1; echo meanwhile-$((6*7))) &");
    host.await_history("tiny", "guest$ ");
    let status = host.end_daemon(Signal::SIGKILL);
    assert!(!status.success());

    host.start_daemon();
    assert_eq!(host.port(7), port);
    let mut viewer = Vncdotool::connect(port, None).expect("a connection");
    viewer.await_text("before-42");
    viewer.await_text("meanwhile-42");
    viewer.type_text("echo after-$((6*7))");
    viewer.key("enter");
    viewer.await_text("after-42");
    let history = host.history("tiny");
    assert_eq!(history.matches("before-42").count(), 1, "{history}");
    assert_eq!(history.matches("meanwhile-42").count(), 1, "{history}");
}

#[test]
fn viewers_that_break_the_rules_end_alone() {
    let (mut host, port) = host_with_one_domain(&[INTERPOSE]);
    let mut neighbour = Vncdotool::connect(port, None).expect("a connection");
    neighbour.await_text("guest$");
    let before = resident_kib(host.daemon_id());
    let greedy = hostile::never_reads(port);
    thread::scope(|scope| {
        for viewer in [
            hostile::garbage,
            hostile::unknown_message,
            hostile::unoffered_security,
            hostile::lying_lengths,
            hostile::half_message,
            hostile::never_authenticates,
        ] {
            scope.spawn(move || viewer(port));
        }
        // Meanwhile the others go on.
        neighbour.type_text("seq 1 20000; echo calm-$((6*7))");
        neighbour.key("enter");
        neighbour.await_text("calm-42");
    });
    // Far more than what the well-behaved work takes, far less than what was promised.
    let after = resident_kib(host.daemon_id());
    assert!(after < before + 64 * 1024, "{before} KiB before, {after} KiB after");
    drop(greedy);
    eventually("the departure of all but one", || {
        let row = host.row("tiny").expect("a row");
        if row["viewers"] == 1 { Ok(()) } else { Err(row.to_string()) }
    });
    neighbour.type_text("echo still-$((6*7))");
    neighbour.key("enter");
    neighbour.await_text("still-42");
    host.assert_daemon_lives();
}

/// The resident memory of a process (`proc_pid_status(5)`, VmRSS), in KiB.
fn resident_kib(process: u32) -> u64 {
    let status =
        fs::read_to_string(Path::new("/proc").join(process.to_string()).join("status")).expect("a process");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
    line.split_whitespace().nth(1).and_then(|field| field.parse().ok()).expect("a number")
}

#[test]
fn a_broken_domain_is_listed_and_harms_nobody() {
    let mut host = Host::new(&[INTERPOSE]);
    host.start_daemon();
    host.add_domain_with_tty(3, "dangling", "/dev/pts/99999");
    host.add_domain_with_tty(4, "no-pty", "/etc/passwd");
    host.add_domain_with_tty(5, "../../etc/\u{1b}]0;x\u{7}", "relative/path");
    host.add_domain_with_tty(6, "empty", "");
    host.add_domain(7, "tiny");
    let mut viewer = Vncdotool::connect(host.port(7), None).expect("a connection");
    viewer.type_text("echo fine-$((6*7))");
    viewer.key("enter");
    viewer.await_text("fine-42");
    let log = host.log();
    assert!(!log.contains('\u{7}'), "a guest's control characters are in the log");
    for line in fs::read_dir(host.place("vnc")).into_iter().flatten().flatten() {
        assert!(!line.file_name().to_string_lossy().contains('\u{1b}'), "{line:?}");
    }
    host.assert_daemon_lives();
    // One of them gets a console after all.
    host.heal(6);
    let port = host.port(6);
    let mut viewer = Vncdotool::connect(port, None).expect("a connection");
    viewer.type_text("echo healed-$((6*7))");
    viewer.key("enter");
    viewer.await_text("healed-42");
}
