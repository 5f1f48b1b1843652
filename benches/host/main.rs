//! What many domains cost, and how fast a console is drained: figures of the daemon's own binary on the real xenstored.
//!
//! Prints tables and asserts nothing about time. Run by `scripts/bench/run`, or with
//! `cargo bench --bench host -- [adoption] [memory] [viewers] [drain]`. Needs what `scripts/setup` installs.

#![expect(clippy::expect_used, reason = "a measurement may stop at the first thing that does not work")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is its purpose")]

#[path = "../../tests/common/mod.rs"]
mod common;
#[path = "../../tests/viewers/guest.rs"]
#[allow(dead_code, reason = "a part is used here")]
mod guest;
#[path = "../../tests/viewers/host.rs"]
#[allow(dead_code, reason = "a part is used here")]
mod host;

mod drain;
mod process;
#[path = "../terminal/streams.rs"]
#[allow(dead_code, reason = "a part is used here")]
mod streams;
#[path = "../proxy/viewer.rs"]
#[allow(dead_code, reason = "a part is used here")]
mod viewer;
mod viewers;

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use guest::raw_pty;
use host::Host;
use process::Usage;

/// Every domain gets a TCP port, so that "published" means the same for all.
const PORTS: &str = "vnc.ports=20000-21999";

fn main() {
    // Two descriptors a domain are ours.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("the limit of descriptors");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("more descriptors");

    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|argument| argument == name);
    if is_wanted("adoption") {
        adoption();
    }
    if is_wanted("memory") {
        memory();
    }
    if is_wanted("viewers") {
        viewers::run();
    }
    if is_wanted("drain") {
        drain::run();
    }
}

/// Ptys of domains that print nothing, as xenconsoled would hold them.
struct IdleDomains {
    _ptys: Vec<(File, OwnedFd)>,
}

impl IdleDomains {
    fn add(host: &mut Host, count: u16, greeting: &str) -> Self {
        let ptys = (1..=count)
            .map(|domid| {
                let (mut master, slave, tty) = raw_pty();
                master.write_all(greeting.as_bytes()).expect("a greeting");
                host.add_domain_with_tty(domid, &format!("guest-{domid}"), &tty.display().to_string());
                (master, slave)
            })
            .collect();
        Self { _ptys: ptys }
    }
}

fn adoption() {
    const DOMAINS: u16 = 200;
    println!("\nAdoption: from the daemon's exec to the last of {DOMAINS} domains with console/vnc-port");
    println!("{:<12} {:>12} {:>16}", "mode", "all, ms", "daemon's CPU, ms");
    for mode in ["interpose", "attach"] {
        for _ in 0..3 {
            let mut host = Host::new(&[PORTS, &format!("console.mode={mode}")]);
            let _domains = IdleDomains::add(&mut host, DOMAINS, "login: ");
            let start = Instant::now();
            host.spawn_daemon();
            // One look at a time, at the first that is missing: xenstored has enough to do.
            let all = (1..=DOMAINS).map(|domid| host.await_port(domid, start)).max().expect("domains");
            let cpu = Usage::of(host.daemon_id()).cpu_ms;
            println!("{mode:<12} {:>12} {cpu:>16}", all.as_millis());
        }
    }
}

fn memory() {
    const DOMAINS: u16 = 1000;
    const WATCHED: Duration = Duration::from_secs(10);
    println!(
        "\nMemory: resident size of the daemon (VmRSS) with {DOMAINS} idle 80x25 domains, no history file, no viewer,"
    );
    println!(
        "minus that without domains, divided by {DOMAINS}; and what wakes it in {} s",
        WATCHED.as_secs()
    );
    println!(
        "{:<12} {:>12} {:>14} {:>12} {:>16} {:>14}",
        "mode", "empty, KiB", "domains, KiB", "each, KiB", "context switches", "CPU, ms"
    );
    for mode in ["interpose", "attach"] {
        let mut host = Host::new(&[PORTS, &format!("console.mode={mode}"), "history.enabled=false"]);
        host.quiet();
        host.start_daemon();
        let daemon = host.daemon_id();
        let empty = process::settled(daemon).resident_kib;
        let start = Instant::now();
        let _domains =
            IdleDomains::add(&mut host, DOMAINS, "Debian GNU/Linux 12 guest hvc0\r\n\r\nguest login: ");
        for domid in 1..=DOMAINS {
            host.await_port(domid, start);
        }
        let before = process::settled(daemon);
        thread::sleep(WATCHED);
        let after = Usage::of(daemon);
        println!(
            "{mode:<12} {empty:>12} {:>14} {:>12.1} {:>16} {:>14}",
            after.resident_kib,
            after.resident_kib.saturating_sub(empty) as f64 / f64::from(DOMAINS),
            after.switches - before.switches,
            after.cpu_ms - before.cpu_ms,
        );
    }
}
