//! The built daemon beside the real xenstored: everything that a host, a toolstack, a guest or a user can get wrong.
//!
//! Viewers that break the rules are in `tests/viewers`.

#![expect(clippy::expect_used, reason = "a test may stop at the first thing that does not work")]
#![expect(clippy::print_stderr, reason = "the daemon's log belongs beside a failed assertion")]

mod bridge;
mod command_line;
#[path = "../common/mod.rs"]
mod common;
mod configuration;
mod displays;
mod domains;
#[path = "../viewers/guest.rs"]
mod guest;
#[allow(dead_code, reason = "the tests with viewers use the rest")]
#[path = "../viewers/host.rs"]
mod host;
mod many;
mod ports;
mod real_displays;
mod reload;
mod restart;
mod store_loss;
mod viewer;

use serde_json::Value;

use host::{Host, eventually, text};

/// How the consoles are reached: between xenconsoled and everybody else, or sharing its pty.
const INTERPOSE: &str = "console.mode=interpose";
const ATTACH: &str = "console.mode=attach";

/// Every domain has a port that the system chooses.
const ANY_PORT: &str = "vnc.listen=127.0.0.1:0";

/// `status --json`.
fn status(host: &Host) -> Value {
    let output = host.xenvnc(&["status", "--json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("an object")
}

/// The problems in `status --json`.
fn problems(host: &Host) -> Vec<String> {
    let status = status(host);
    let problems = status["problems"].as_array().expect("an array");
    problems.iter().map(|problem| problem.as_str().expect("a text").to_owned()).collect()
}

/// Waits until one of the problems in `status` holds all these parts.
fn await_problem(host: &Host, parts: &[&str]) {
    eventually("a problem in the status", || {
        let problems = problems(host);
        let found = problems.iter().any(|problem| parts.iter().all(|part| problem.contains(part)));
        found.then_some(()).ok_or_else(|| format!("no {parts:?} in {problems:?}"))
    });
}

/// Waits until the row of a domain in `list` is as wanted.
fn await_row(host: &Host, domid: u16, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    eventually(what, || {
        let list = host.list();
        let row = list.iter().find(|row| row["domid"] == domid);
        row.filter(|row| wanted(row)).cloned().ok_or_else(|| format!("{list:?}\n{}", host.log()))
    })
}

/// Waits until the row of a domain says that it has no problem, and gives its address.
fn await_served(host: &Host, domid: u16) -> String {
    let row = await_row(host, domid, "a domain without problems", |row| row["problem"].is_null());
    row["address"].as_str().expect("a text").to_owned()
}

/// Waits until the daemon has logged this.
fn await_log(host: &Host, part: &str) {
    eventually("a line in the log", || {
        let log = host.log();
        if log.contains(part) { Ok(()) } else { Err(format!("no {part:?} in {log}")) }
    });
}

/// Waits until a node has this value, or is gone.
fn await_value(host: &Host, path: &str, wanted: Option<&str>) {
    eventually(path, || {
        let value = host.value(path);
        if value.as_deref() == wanted { Ok(()) } else { Err(format!("{value:?}\n{}", host.log())) }
    });
}
