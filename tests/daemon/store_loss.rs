//! xenstored comes late, goes, and comes back.

use crate::host::{Host, eventually, text};
use crate::{INTERPOSE, await_problem, await_row, await_served, status};

/// Waits until our own toolstack is connected again.
pub(crate) fn await_store(host: &Host) {
    eventually("xenstored", || {
        host.toolstack(async |t| t.store.list("/").await).map(drop).map_err(|error| error.to_string())
    });
}

#[test]
fn a_service_waits_for_xenstored_and_then_serves() {
    let mut host = Host::new(&[INTERPOSE, "xenstore.wait=true"]);
    host.xenstored.kill();
    // It answers although there is nothing to serve yet.
    host.start_daemon();
    let socket = host.xenstored.socket().display().to_string();
    await_problem(&host, &["waiting for xenstored", &socket]);
    assert_eq!(status(&host)["xenstore_connected"], false);
    assert!(host.list().is_empty());
    for command in [&["rescan"][..], &["history", "tiny"], &["switch", "tiny", "2"]] {
        let output = host.xenvnc(command);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains("waiting for xenstored"), "{}", text(&output.stderr));
    }
    host.xenstored.restart();
    await_store(&host);
    host.add_domain(7, "tiny");
    await_served(&host, 7);
    assert_eq!(status(&host)["xenstore_connected"], true);
    host.type_line("tiny", "echo late-$((6*7))");
    host.await_history("tiny", "late-42");
}

#[test]
fn a_waiting_service_can_be_stopped() {
    let mut host = Host::new(&["xenstore.wait=true"]);
    host.xenstored.kill();
    host.start_daemon();
    assert!(host.end_daemon(nix::sys::signal::Signal::SIGTERM).success());
    assert!(!host.place("control.sock").exists());
}

#[test]
fn consoles_outlive_xenstored_and_are_published_again() {
    let mut host = Host::new(&[INTERPOSE]);
    host.start_daemon();
    for (domid, name) in [(7, "tiny"), (8, "other")] {
        host.add_domain(domid, name);
        await_served(&host, domid);
    }
    let ports = [7, 8].map(|domid| host.port(domid));
    host.xenstored.kill();
    eventually("the loss of xenstored", || {
        let status = status(&host);
        if status["xenstore_connected"] == false { Ok(()) } else { Err(status.to_string()) }
    });
    host.type_line("tiny", "echo alone-$((6*7))");
    host.await_history("tiny", "alone-42");
    let output = host.xenvnc(&["rescan"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(host.list().len(), 2);

    // It comes back with nothing in it, and the domains are made again.
    host.xenstored.restart();
    await_store(&host);
    host.make_again(7, "tiny");
    host.make_again(8, "other");
    for (domid, port) in [(7, ports[0]), (8, ports[1])] {
        let path = format!("/local/domain/{domid}/console/vnc-port");
        crate::await_value(&host, &path, Some(&port.to_string()));
        await_row(&host, domid, "the console", |row| {
            row["console"] == "interpose" && row["problem"].is_null()
        });
    }
    host.type_line("tiny", "echo again-$((6*7))");
    host.await_history("tiny", "again-42");
    let history = host.history("tiny");
    assert_eq!(history.matches("alone-42").count(), 1, "{history}");
    let dump = host.xenstored.dump("/tool/xenvnc");
    assert_eq!(dump.matches("/uuid = ").count(), 2, "{dump}");
    assert_eq!(status(&host)["xenstore_connected"], true);
    host.assert_daemon_lives();
}
