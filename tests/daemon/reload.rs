//! SIGHUP, and configuration for single domains.

use std::fs;

use nix::sys::signal::Signal;

use crate::host::{Host, eventually};
use crate::viewer::Viewer;
use crate::{ATTACH, INTERPOSE, await_log, await_row, await_served, await_value};

fn configure(host: &Host, config: &str) {
    fs::write(host.place("config.toml"), config).expect("a configuration file");
    host.signal_daemon(Signal::SIGHUP);
}

#[test]
fn a_broken_configuration_changes_nothing() {
    let mut host = Host::new(&[INTERPOSE]);
    host.start_daemon();
    host.add_domain(7, "tiny");
    let mut viewer = Viewer::connect(&await_served(&host, 7));
    configure(&host, "[vnc]\nlisen = \"::\"\n");
    await_log(&host, "the old configuration stays");
    let log = host.log();
    assert!(log.contains("lisen") && log.contains("line 2"), "{log}");
    configure(&host, "[vnc]\npassword_file = \"/nonexistent/password\"\n");
    await_log(&host, "/nonexistent/password");
    viewer.type_text("echo same-$((6*7))\n");
    host.await_history("tiny", "same-42");
    configure(&host, "[seat]\nchords = [\"ctrl-alt-f1\"]\n");
    await_log(&host, "configuration read again");
    viewer.type_text("echo more-$((6*7))\n");
    host.await_history("tiny", "more-42");
}

#[test]
fn a_domain_that_is_switched_off_gets_everything_back() {
    let mut host = Host::new(&[INTERPOSE]);
    host.start_daemon();
    for (domid, name) in [(7, "tiny"), (8, "web-1")] {
        host.add_domain(domid, name);
        await_served(&host, domid);
    }
    let port = host.port(8);
    let off = "[[domain]]\nmatch = \"web-*\"\nvnc.enabled = false\n";
    configure(&host, off);
    eventually("one domain only", || {
        let list = host.list();
        if list.len() == 1 { Ok(()) } else { Err(format!("{list:?}")) }
    });
    let upstream = host.tty(8);
    let assert_given_back = |host: &Host| {
        for (node, wanted) in [("vnc-port", None), ("vnc-listen", None), ("tty", Some(upstream.as_str()))] {
            await_value(host, &format!("/local/domain/8/console/{node}"), wanted);
        }
        await_value(host, "/tool/xenvnc/8/uuid", None);
    };
    assert_given_back(&host);
    configure(&host, "");
    await_served(&host, 8);
    assert_eq!(host.port(8), port);
    host.type_line("web-1", "echo on-$((6*7))");
    host.await_history("web-1", "on-42");
    // Switched off while no daemon runs, after a crash that left everything published.
    host.end_daemon(Signal::SIGKILL);
    fs::write(host.place("config.toml"), off).expect("a configuration file");
    host.start_daemon();
    await_served(&host, 7);
    assert_given_back(&host);
}

#[test]
fn a_console_is_reached_another_way_when_told_so() {
    let mut host = Host::new(&[]);
    fs::write(host.place("config.toml"), "[console]\nmode = \"interpose\"\n").expect("a file");
    host.start_daemon();
    host.add_domain(7, "tiny");
    await_row(&host, 7, "interpose", |row| row["console"] == "interpose");
    host.type_line("tiny", "echo one-$((6*7))");
    host.await_history("tiny", "one-42");
    configure(&host, "[console]\nmode = \"attach\"\n");
    await_row(&host, 7, "attach", |row| row["console"] == "attach" && row["problem"].is_null());
    await_value(&host, "/local/domain/7/console/tty", Some(&host.tty(7)));
    host.type_line("tiny", "echo two-$((6*7))");
    host.await_history("tiny", "two-42");
    configure(&host, "[console]\nmode = \"interpose\"\n");
    await_row(&host, 7, "interpose", |row| row["console"] == "interpose" && row["problem"].is_null());
    host.type_line("tiny", "echo three-$((6*7))");
    host.await_history("tiny", "three-42");
}

#[test]
fn a_password_file_that_vanishes_matters_only_when_it_is_read_again() {
    let mut host = Host::new(&[ATTACH]);
    let password = host.place("password");
    fs::write(&password, "sesame\n").expect("a file");
    let config = format!("[vnc]\npassword_file = {password:?}\n");
    fs::write(host.place("config.toml"), &config).expect("a file");
    host.start_daemon();
    host.add_domain(7, "tiny");
    await_served(&host, 7);
    fs::remove_file(&password).expect("the file");
    host.add_domain(8, "later");
    await_served(&host, 8);
    await_value(&host, "/local/domain/8/console/vnc-pass", Some("sesame"));
    configure(&host, &config);
    await_log(&host, "the old configuration stays");
    await_served(&host, 8);
    fs::write(&password, "simsala\n").expect("a file");
    configure(&host, &config);
    await_value(&host, "/local/domain/7/console/vnc-pass", Some("simsala"));
    configure(&host, "");
    await_value(&host, "/local/domain/7/console/vnc-pass", None);
    let log = host.log();
    assert!(!log.contains("sesame") && !log.contains("simsala"), "{log}");
}
