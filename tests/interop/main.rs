//! The interoperability matrix: viewers that we did not write on the daemon, and servers that we did not write under our
//! client. Each cell of the tables in `docs/interop.md` is what a run saw; this test sees it again, and fails when a cell
//! is no longer what the document says.
//!
//! `scripts/interop` writes the document anew. The programs come with `scripts/setup`.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "failing is how a test reports")]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the table is printed, and the daemon's log beside a failure"
)]

#[path = "../common/certificates.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod certificates;
#[path = "../common/mod.rs"]
mod common;
#[path = "../servers/display.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod display;
#[path = "../viewers/guest.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod guest;
#[path = "../viewers/host.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod host;
#[path = "../servers/machine.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod machine;
#[path = "../servers/picture.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod picture;
#[path = "../servers/program.rs"]
mod program;
mod programs;
mod qemu_server;
mod relay;
mod scene;
mod screen;
mod security;
mod server;
mod servers;
mod table;
#[path = "../viewers/picture.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod text_picture;
#[path = "../servers/upstream.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod upstream;
mod viewer;
mod viewers;
mod vnc_rs;
mod wayland_server;
mod x_server;
mod x_viewer;
#[path = "../servers/xvnc.rs"]
mod xvnc;

use std::collections::VecDeque;
use std::sync::Mutex;
use std::thread;

use table::{Row, Table, Words};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/interop.md");
/// Above it the document is written by people.
const MARK: &str = "<!-- Written by scripts/interop from here on. -->\n";

/// Rows are made at the same time, as many as this: most of it is waiting.
const AT_ONCE: usize = 4;

#[test]
fn viewers_are_as_the_document_says() {
    let names: Vec<_> = programs::VIEWERS.iter().map(|program| program.name).collect();
    matrix(viewers::TABLES, &names, |index, word| viewers::row(&programs::VIEWERS[index], word));
}

#[test]
fn servers_are_as_the_document_says() {
    let names: Vec<_> = servers::SERVERS.iter().map(|program| program.name).collect();
    matrix(servers::TABLES, &names, |index, word| servers::row(&servers::SERVERS[index], word));
}

/// Makes the rows, and compares them with the document, or writes them into it when `INTEROP_WRITE` is set. With
/// `INTEROP_ONLY=NAME,NAME` in the environment only these rows are made.
fn matrix(
    tables: &[Table],
    names: &[&str],
    make: impl Fn(usize, &dyn Fn(&str) -> Option<String>) -> Row + Sync,
) {
    let only = std::env::var("INTEROP_ONLY").ok();
    let is_wanted =
        |name: &str| only.as_ref().is_none_or(|only| only.split(',').any(|wanted| wanted == name));
    let document = std::fs::read_to_string(DOCUMENT).unwrap_or_default();
    let mut written = table::read(&document, names);
    let has_title = |title: &str| tables.iter().any(|table| table.title == title);
    written.retain(|(title, program, _), _| has_title(title) && is_wanted(program));
    let queue =
        Mutex::new((0..names.len()).filter(|index| is_wanted(names[*index])).collect::<VecDeque<_>>());
    let rows = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap().pop_front();
                    let Some(index) = next else { break };
                    let row = make(index, &|column| word(&written, names[index], column));
                    rows.lock().unwrap().push((index, row));
                }
            });
        }
    });
    let mut rows = rows.into_inner().unwrap();
    rows.sort_by_key(|(index, _)| *index);
    let rows: Vec<Row> = rows.into_iter().map(|(_, row)| row).collect();
    let text = table::markdown(tables, &rows);
    println!("{text}");
    let seen = table::words(tables, &rows);
    let differences = table::differences(&written, &seen);
    if std::env::var_os("INTEROP_WRITE").is_none() {
        assert!(differences.is_empty(), "docs/interop.md says otherwise:\n{}", differences.join("\n"));
        return;
    }
    assert!(only.is_none(), "a part of the rows cannot be written");
    table::write(DOCUMENT, MARK, tables[0].title, &text);
    let lost: Vec<_> =
        differences.iter().filter(|difference| difference.contains(r#"written "yes""#)).collect();
    assert!(lost.is_empty(), "written, but this worked before: {lost:#?}");
}

fn word(written: &Words, program: &str, column: &str) -> Option<String> {
    written.iter().find(|((_, row, name), _)| row == program && name == column).map(|(_, word)| word.clone())
}
