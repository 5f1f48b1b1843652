//! Domains whose nodes are wrong, or another's: each is reported, and none harms another.

use std::fs;
use std::os::unix::fs::symlink;

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;

use crate::common::xenstored::uuid;
use crate::host::{Host, text};
use crate::{
    ANY_PORT, ATTACH, INTERPOSE, await_problem, await_row, await_served, await_value, problems, status,
};

#[test]
fn a_tty_that_is_none_is_named_and_harms_nobody() {
    let mut host = Host::new(&[INTERPOSE, ANY_PORT]);
    let regular = host.place("regular");
    fs::write(&regular, "precious").expect("a file");
    let fifo = host.place("fifo");
    nix::unistd::mkfifo(&fifo, Mode::S_IRWXU).expect("a FIFO");
    let looped = host.place("loop");
    symlink(&looped, &looped).expect("a symlink");
    let long = format!("/{}", "x/".repeat(1900));
    let place = |path: &std::path::Path| path.display().to_string();
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (b"pts/3".to_vec(), "absolute"),
        (b"/dev/pts/0\0/x".to_vec(), "no path"),
        (b"/dev/pts/0\n/x".to_vec(), "no path"),
        (b"/dev/\xff\xfe".to_vec(), "no path"),
        (long.into_bytes(), "too long"),
        (b"/dev/pts/99999".to_vec(), "does not exist"),
        (b"/nonexistent/../../etc/passwd".to_vec(), ".."),
        (b"/tmp".to_vec(), "a directory"),
        (place(&regular).into_bytes(), "a regular file"),
        (place(&fifo).into_bytes(), "a FIFO"),
        (place(&looped).into_bytes(), "symlinks"),
        (b"/dev/zero".to_vec(), "character device"),
        (b"/dev/null".to_vec(), "character device"),
        (Vec::new(), "no console/tty yet"),
    ];
    let first = 11;
    for (domid, (tty, _)) in (first..).zip(&cases) {
        host.add_domain_with_tty(domid, &format!("bad-{domid}"), "");
        host.write(&format!("/local/domain/{domid}/console/tty"), tty);
    }
    host.start_daemon();
    host.add_domain(7, "tiny");
    await_served(&host, 7);
    for (domid, (_, part)) in (first..).zip(&cases) {
        let row =
            await_row(&host, domid, part, |row| row["problem"].as_str().is_some_and(|p| p.contains(part)));
        assert_eq!(row["console"], "none");
        await_problem(&host, &[&format!("bad-{domid}"), part]);
        // Its status page can be seen all the same.
        let viewer = crate::viewer::Viewer::connect(row["address"].as_str().expect("a text"));
        assert!(viewer.name.contains(&format!("bad-{domid}")), "{:?}", viewer.name);
    }
    host.type_line("tiny", "echo fine-$((6*7))");
    host.await_history("tiny", "fine-42");
    assert_eq!(fs::read(&regular).expect("the file"), b"precious");

    // All become good.
    for domid in [first, first + 7, first + 9] {
        host.heal(domid);
        await_served(&host, domid);
        host.type_line(&format!("bad-{domid}"), "echo healed-$((6*7))");
        host.await_history(&format!("bad-{domid}"), "healed-42");
    }
    // A pty that was good goes bad and becomes good again.
    host.write("/local/domain/7/console/tty", b"/etc/passwd");
    await_row(&host, 7, "the loss of the console", |row| row["console"] == "none");
    host.heal(7);
    await_served(&host, 7);
    host.type_line("tiny", "echo new-$((6*7))");
    host.await_history("tiny", "new-42");
    host.assert_daemon_lives();
}

#[test]
fn names_are_shown_safely_and_never_become_paths() {
    let mut host = Host::new(&[ATTACH]);
    // All but one domain get a Unix socket, whose name could be the guest's.
    let port = host.first_port();
    host.set(&format!("vnc.ports={port}-{port}"));
    let long = "n".repeat(3900);
    let names: [&[u8]; 9] = [
        b"",
        b"../../../escape",
        b"..",
        b"/etc/escape",
        b"a\x1b]0;title\x07b\r\nWARN forged",
        b"\xff\xfe",
        b"a\0b",
        "t\u{202e}xt".as_bytes(),
        long.as_bytes(),
    ];
    for (domid, name) in (11..).zip(names) {
        host.add_domain_with_tty(domid, "x", "");
        host.write(&format!("/local/domain/{domid}/name"), name);
    }
    host.add_domain_with_tty(40, "plain", "");
    host.add_domain_with_tty(41, "plain", "");
    host.start_daemon();
    let list = host.list();
    assert_eq!(list.len(), names.len() + 2, "{list:?}");
    for row in &list {
        let name = row["name"].as_str().expect("a text");
        assert!(name.chars().count() <= 128 && !name.chars().any(char::is_control), "{name:?}");
        // By its domid each can be meant.
        let domid = row["domid"].to_string();
        let output = host.xenvnc(&["history", &domid]);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    for (domid, part) in [(11, "empty"), (15, "no text"), (16, "no text"), (17, "no text"), (19, "128")] {
        await_row(&host, domid, part, |row| row["problem"].as_str().is_some_and(|p| p.contains(part)));
    }
    let names_in = |place: &str| -> Vec<String> {
        let entries = fs::read_dir(host.place(place)).expect("a directory").flatten();
        let mut names: Vec<String> =
            entries.map(|entry| entry.file_name().into_string().expect("a text")).collect();
        names.sort();
        names
    };
    assert_eq!(names_in("."), ["config.toml", "control.sock", "daemon.log", "history", "run", "vnc"]);
    let sockets = names_in("vnc");
    assert_eq!(sockets.len(), names.len() + 1, "{sockets:?}");
    for socket in &sockets {
        let stem = socket.strip_suffix(".vnc").expect("a socket");
        assert!(stem == "plain" || stem.parse::<xenvnc::xen::Uuid>().is_ok(), "{socket}");
    }
    for history in names_in("history") {
        assert!(history.parse::<xenvnc::xen::Uuid>().is_ok(), "{history}");
    }
    for output in [host.xenvnc(&["list"]), host.xenvnc(&["status"])] {
        let output = text(&output.stdout);
        assert!(!output.chars().any(|c| c.is_control() && c != '\n'), "{output:?}");
        assert!(!output.lines().any(|line| line.starts_with("WARN")), "{output}");
    }
    let log = host.log();
    assert!(!log.chars().any(|c| c.is_control() && c != '\n'), "{log:?}");
    assert!(!log.lines().any(|line| line.starts_with("WARN forged")), "{log}");
}

#[test]
fn a_domain_without_an_identity_is_reported() {
    let mut host = Host::new(&[INTERPOSE, ANY_PORT]);
    for (domid, vm) in [
        (11, &b"garbage"[..]),
        (12, b"/vm/../../etc/passwd"),
        (13, b""),
        (14, b"/vm/2991347e-f9bd-4c25-ba56-ac5e00000007-1"),
        (15, b"/vm/\xff\x1b[2J"),
    ] {
        host.add_domain_with_tty(domid, "nobody", "");
        host.write(&format!("/local/domain/{domid}/vm"), vm);
    }
    host.start_daemon();
    host.add_domain(7, "tiny");
    await_served(&host, 7);
    for domid in 11..=15 {
        await_problem(&host, &[&format!("domain {domid}"), "uuid"]);
    }
    assert_eq!(host.list().len(), 1);
    let log = host.log();
    assert!(!log.contains('\x1b'), "{log:?}");
    // Said once, however often it is looked at.
    for _ in 0..3 {
        assert!(host.xenvnc(&["rescan"]).status.success());
    }
    assert_eq!(host.log().matches("garbage").count(), 1, "{}", host.log());
    // It turns out to be somebody after all; another is gone.
    host.write("/local/domain/11/vm", format!("/vm/{}", uuid(11)).as_bytes());
    host.toolstack(async |t| {
        t.store.remove("/local/domain/12").await.expect("no domain left");
        t.release(12).await;
    });
    await_row(&host, 11, "the domain", |_| true);
    crate::host::eventually("the end of two problems", || {
        let problems = problems(&host);
        let over = !problems.iter().any(|p| p.contains("domain 11:") || p.contains("domain 12:"));
        if over { Ok(()) } else { Err(format!("{problems:?}")) }
    });
}

#[test]
fn two_domains_that_say_they_are_one_guest_are_told_apart() {
    let mut host = Host::new(&[INTERPOSE, ANY_PORT]);
    host.add_life(31, 31, "twin");
    host.start_daemon();
    await_served(&host, 31);
    // It comes later, as the receiving side of a migration within the host does.
    host.add_life(30, 31, "twin");
    await_served(&host, 30);
    await_problem(&host, &["domain 31", "UUID of domain 30"]);
    assert_eq!(host.list().len(), 1);
    assert_eq!(host.value("/local/domain/31/console/vnc-port"), None);
    host.type_line("twin", "echo younger-$((6*7))");
    host.await_history("twin", "younger-42");
    host.toolstack(async |t| {
        t.store.remove("/local/domain/30").await.expect("no domain left");
        t.release(30).await;
    });
    await_served(&host, 31);
    assert!(!problems(&host).iter().any(|problem| problem.contains("UUID")));
    host.type_line("twin", "echo older-$((6*7))");
    host.await_history("twin", "older-42");
}

#[test]
fn the_older_of_two_domains_is_served_again_however_late_the_end_of_the_younger_is_seen() {
    let mut host = Host::new(&[INTERPOSE, ANY_PORT]);
    host.add_life(31, 31, "twin");
    host.start_daemon();
    await_served(&host, 31);
    let port = host.port(31);
    for younger in 32..40 {
        host.add_life(younger, 31, "twin");
        await_served(&host, younger);
        // Nodes and domain are gone before the daemon looks, hence its next look is at all domains at once.
        host.signal_daemon(Signal::SIGSTOP);
        host.toolstack(async |t| {
            t.store.remove(&format!("/local/domain/{younger}")).await.expect("no domain left");
            t.release(younger).await;
        });
        host.signal_daemon(Signal::SIGCONT);
        await_served(&host, 31);
        assert_eq!(host.port(31), port);
    }
    host.type_line("twin", "echo older-$((6*7))");
    host.await_history("twin", "older-42");
}

#[test]
fn what_belongs_to_others_stays_as_it_is() {
    let secret = tempfile::NamedTempFile::new().expect("a file");
    fs::write(secret.path(), "sesame\n").expect("a password file");
    let password = format!("vnc.password_file={}", secret.path().display());
    let mut host = Host::new(&[INTERPOSE, ANY_PORT, &password]);
    for (domid, kind, vfb) in [(11, "hvm", false), (12, "pv", true), (13, "pv", false)] {
        host.toolstack(async |t| {
            t.make_domain_of_kind(domid, &uuid(domid).to_string(), "other", kind, vfb).await;
        });
    }
    host.write("/local/domain/13/console/vnc-port", b"5901");
    host.start_daemon();
    host.add_domain(7, "tiny");
    host.port(7);
    assert!(host.xenvnc(&["rescan"]).status.success());
    assert_eq!(host.list().len(), 4);
    let node = |domid: u16, node: &str| host.value(&format!("/local/domain/{domid}/console/{node}"));
    for domid in [11, 12] {
        for name in ["vnc-port", "vnc-listen", "vnc-pass"] {
            assert_eq!(node(domid, name), None, "{domid}/{name}");
        }
    }
    assert_eq!(node(13, "vnc-port").as_deref(), Some("5901"));
    assert_eq!((node(13, "vnc-listen"), node(13, "vnc-pass")), (None, None));
    assert!(host.log().contains("somebody else's VNC port stays"), "{}", host.log());
    let dump = host.xenstored.dump("/local/domain/7/console");
    assert!(dump.contains("/vnc-pass = \"sesame\"   (n0)"), "{dump}");
    assert!(!host.xenstored.dump("/tool").contains("sesame"));

    assert!(host.end_daemon(Signal::SIGTERM).success());
    for name in ["vnc-port", "vnc-listen", "vnc-pass"] {
        assert_eq!(host.value(&format!("/local/domain/7/console/{name}")), None, "{name}");
    }
    assert_eq!(host.value("/local/domain/13/console/vnc-port").as_deref(), Some("5901"));
    assert_eq!(host.value("/local/domain/7/console/tty"), Some(host.tty(7)));
    assert!(!host.xenstored.dump("/tool").contains("xenvnc"));
    assert!(!host.log().contains("sesame"));
}

#[test]
fn a_console_that_goes_and_comes_is_published_again_and_not_before() {
    let mut host = Host::new(&[INTERPOSE]);
    host.start_daemon();
    host.add_domain(7, "tiny");
    let port = host.port(7).to_string();
    host.toolstack(async |t| t.store.remove("/local/domain/7/console").await).expect("xenstore");
    assert!(host.xenvnc(&["rescan"]).status.success());
    let exists = host.toolstack(async |t| t.store.list_optional("/local/domain/7/console").await);
    assert_eq!(exists.expect("xenstore"), None, "a write made it again");
    host.toolstack(async |t| t.make_console(7).await);
    host.heal(7);
    await_value(&host, "/local/domain/7/console/vnc-port", Some(&port));
    await_served(&host, 7);
    host.type_line("tiny", "echo third-$((6*7))");
    host.await_history("tiny", "third-42");
    assert_eq!(status(&host)["domains"], 1);
}
