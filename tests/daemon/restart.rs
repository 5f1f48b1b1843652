//! The end of the daemon, of a guest and of a domain, and what goes on after it.

use std::fs::File;
use std::io::{Read, Write};

use nix::sys::signal::Signal;

use crate::guest::raw_pty;
use crate::host::{Host, eventually};
use crate::viewer::Viewer;
use crate::{INTERPOSE, await_row, await_served};

#[test]
fn a_killed_daemon_is_taken_over_from_with_screen_history_and_second_reader() {
    let mut host = Host::new(&[INTERPOSE]);
    host.start_daemon();
    let (mut guest, _slave, tty) = raw_pty();
    host.add_domain_with_tty(7, "tiny", &tty.display().to_string());
    await_served(&host, 7);
    let port = host.port(7);
    guest.write_all(b"\x1b[31mbefore\x1b[m\r\n").expect("printing");
    host.await_history("tiny", "before");
    let picture = std::fs::read(host.screenshot("tiny")).expect("a picture");

    host.end_daemon(Signal::SIGKILL);
    host.start_daemon();
    await_served(&host, 7);
    assert_eq!(host.port(7), port);
    assert_eq!(std::fs::read(host.screenshot("tiny")).expect("a picture"), picture, "the screen is another");

    host.end_daemon(Signal::SIGKILL);
    guest.write_all(b"meanwhile\r\n").expect("printing");
    host.start_daemon();
    await_served(&host, 7);
    let own = eventually("our pty", || {
        let own = host.value("/local/domain/7/console/tty").unwrap_or_default();
        if own != tty.display().to_string() && File::open(&own).is_ok() { Ok(own) } else { Err(own) }
    });
    let mut reader = File::options().read(true).write(true).open(&own).expect("the published pty");
    guest.write_all(b"after\r\n").expect("printing");
    let mut seen = Vec::new();
    while !seen.windows(7).any(|window| window == b"after\r\n") {
        let mut chunk = [0; 256];
        let count = reader.read(&mut chunk).expect("the published pty");
        assert!(count > 0, "the published pty ended");
        seen.extend_from_slice(&chunk[..count]);
    }
    reader.write_all(b"typed").expect("typing");
    let mut typed = [0; 5];
    guest.read_exact(&mut typed).expect("what was typed");
    assert_eq!(&typed, b"typed");
    host.await_history("tiny", "after");
    let output = host.xenvnc(&["history", "--raw", "tiny"]);
    assert_eq!(output.stdout, b"\x1b[31mbefore\x1b[m\r\nmeanwhile\r\nafter\r\n");
}

#[test]
fn a_viewer_outlives_a_reboot_and_not_a_destruction() {
    let mut host = Host::new(&[INTERPOSE]);
    host.start_daemon();
    host.add_domain(7, "tiny");
    host.add_domain(8, "gone");
    let mut viewer = Viewer::connect(&await_served(&host, 7));
    let other = Viewer::connect(&await_served(&host, 8));
    await_row(&host, 8, "a viewer", |row| row["viewers"] == 1);
    host.destroy(8);
    host.destroy(7);
    eventually("the end of both domains", || {
        let list = host.list();
        if list.is_empty() { Ok(()) } else { Err(format!("{list:?}")) }
    });
    host.add_life(9, 7, "tiny");
    await_served(&host, 9);
    viewer.type_text("echo second-$((6*7))\n");
    host.await_history("tiny", "second-42");
    // The other guest does not come back.
    other.await_end();
    await_row(&host, 9, "the viewer", |row| row["viewers"] == 1);
    host.assert_daemon_lives();
}

#[test]
fn a_second_daemon_is_refused_and_the_first_goes_on() {
    let mut host = Host::new(&[INTERPOSE]);
    host.start_daemon();
    host.add_domain(7, "tiny");
    await_served(&host, 7);
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_xenvnc"))
        .args(["daemon", "--config", "/dev/null", "--set"])
        .arg(format!("control.socket={}", host.place("control.sock").display()))
        .arg("--set")
        .arg(format!("xenstore.socket={}", host.xenstored.socket().display()))
        .output()
        .expect("xenvnc");
    let message = crate::host::text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("another daemon serves") && message.contains("control.sock"), "{message}");
    host.type_line("tiny", "echo first-$((6*7))");
    host.await_history("tiny", "first-42");
}
