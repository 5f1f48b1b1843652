//! Ranges of ports that are full or busy, and ports that stay.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use nix::sys::signal::Signal;

use crate::host::Host;
use crate::viewer::Viewer;
use crate::{INTERPOSE, await_log, await_served, await_value};

#[test]
fn beyond_the_range_there_are_sockets() {
    let mut host = Host::new(&[INTERPOSE]);
    let first = host.first_port();
    host.set(&format!("vnc.ports={first}-{}", first + 1));
    let busy = TcpListener::bind((Ipv4Addr::LOCALHOST, first + 1)).expect("a free port");
    for (domid, name) in [(7, "tiny"), (8, "other"), (9, "../x")] {
        host.add_domain(domid, name);
    }
    host.start_daemon();
    let addresses = [7, 8, 9].map(|domid| await_served(&host, domid));
    let uuid = crate::common::xenstored::uuid(9);
    let socket = |name: &str| host.place("vnc").join(format!("{name}.vnc")).display().to_string();
    assert_eq!(addresses, [format!("127.0.0.1:{first}"), socket("other"), socket(&uuid.to_string())]);
    await_log(&host, &format!("no port is free in {first}-{}", first + 1));
    assert_eq!(host.value("/local/domain/7/console/vnc-port"), Some(first.to_string()));
    assert_eq!(host.value("/local/domain/8/console/vnc-port"), None);

    let mut viewer = Viewer::connect(&addresses[1]);
    assert_eq!(viewer.size, (640, 400));
    viewer.type_text("echo socket-$((6*7))\n");
    host.await_history("other", "socket-42");

    // The same places after a crash, although another port is free by now.
    drop(busy);
    host.end_daemon(Signal::SIGKILL);
    assert!(Path::new(&addresses[1]).exists(), "the crash leaves the file");
    host.destroy(9);
    host.start_daemon();
    assert_eq!(await_served(&host, 7), addresses[0]);
    assert!(host.end_daemon(Signal::SIGTERM).success());
    for address in &addresses[1..2] {
        assert!(!Path::new(address).exists(), "{address} stayed");
    }
    assert!(!host.place("control.sock").exists());
}

#[test]
fn a_port_that_another_took_meanwhile_is_not_published_any_more() {
    let mut host = Host::new(&[INTERPOSE]);
    let port = host.first_port();
    host.set(&format!("vnc.ports={port}-{port}"));
    host.start_daemon();
    host.add_domain(7, "tiny");
    assert_eq!(host.port(7), port);
    host.end_daemon(Signal::SIGKILL);
    let _busy = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("the port is free");
    host.start_daemon();
    let address = await_served(&host, 7);
    assert!(address.ends_with("/tiny.vnc"), "{address}");
    for node in ["vnc-port", "vnc-listen"] {
        await_value(&host, &format!("/local/domain/7/console/{node}"), None);
    }
    host.type_line("tiny", "echo still-$((6*7))");
    host.await_history("tiny", "still-42");
}

#[test]
fn ports_stay_through_reboots_and_restarts() {
    let mut host = Host::new(&[INTERPOSE]);
    host.start_daemon();
    for domid in [7, 8, 9] {
        host.add_domain(domid, &format!("guest-{domid}"));
        await_served(&host, domid);
    }
    let ports = [7, 8, 9].map(|domid| host.port(domid));
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        // The first goes while nobody looks, and comes back under another number after the others.
        host.end_daemon(signal);
        let (old, new) = if signal == Signal::SIGTERM { (7, 17) } else { (17, 27) };
        host.destroy(old);
        host.start_daemon();
        await_served(&host, 8);
        host.add_life(new, 7, "guest-7");
        await_served(&host, new);
        assert_eq!([new, 8, 9].map(|domid| host.port(domid)), ports);
    }
    let dump = host.xenstored.dump("/tool/xenvnc");
    assert_eq!(dump.matches("/uuid = ").count(), 3, "{dump}");
}

#[test]
fn an_address_that_is_not_here_is_a_problem_until_it_is() {
    let mut host = Host::new(&[INTERPOSE]);
    // TEST-NET-1 (RFC 5737) is nobody's.
    std::fs::write(host.place("config.toml"), "[[domain]]\nmatch = \"far\"\nvnc.listen = \"192.0.2.7\"\n")
        .expect("a file");
    host.start_daemon();
    host.add_domain(7, "tiny");
    host.add_domain(8, "far");
    await_served(&host, 7);
    crate::await_problem(&host, &["domain 8", "192.0.2.7"]);
    std::fs::write(host.place("config.toml"), "").expect("a file");
    host.signal_daemon(Signal::SIGHUP);
    await_served(&host, 8);
}
