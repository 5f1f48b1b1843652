//! vttest, the classic test of terminals, on a pty: its pages must look as `tests/data/vttest` says they do.
//!
//! Each file holds the pages of some of vttest's menu entries, in their order; under a row that has attributes stand
//! theirs: `b`old, `u`nderlined, blin`k`ing, `r`everse, or several as the bits of a hexadecimal digit in this order. The pages were looked at when
//! they were written (`VTTEST_WRITE=1 cargo test --test vttest`); those that cannot be right are named in `README.md`
//! beside them.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{Winsize, openpty};
use xenvnc::terminal::{Event, Options, Terminal, View, Width};

const COLUMNS: u16 = 80;
const ROWS: u16 = 24;
/// The most that a page may take: some scroll slowly on purpose.
const PATIENCE_MS: u16 = 60_000;
/// What vttest writes last when it waits for a key, and for the number of a menu entry.
const PUSH: &[u8] = b"Push <RETURN>";
const CHOICE: &[u8] = b"Enter choice number";

/// vttest and the terminal that it talks to.
struct Session {
    vttest: Child,
    pty: File,
    terminal: Terminal,
    /// What it wrote since it was last answered.
    written: Vec<u8>,
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.vttest.kill();
        let _ = self.vttest.wait();
    }
}

impl Session {
    fn start() -> Self {
        let size = Winsize { ws_row: ROWS, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None).unwrap();
        let stdio = || Stdio::from(pty.slave.try_clone().unwrap());
        let vttest = Command::new("setsid")
            .args(["--ctty", "vttest", "24x80.80"])
            .env("TERM", "vt420")
            .stdin(stdio())
            .stdout(stdio())
            .stderr(stdio())
            .spawn()
            .unwrap();
        let options = Options { columns: COLUMNS, rows: ROWS, ..Options::default() };
        let mut terminal = Terminal::new(options);
        // vttest knows no UTF-8.
        terminal.feed(b"\x1b%@");
        Self { vttest, pty: File::from(pty.master), terminal, written: Vec::new() }
    }

    /// Takes what vttest writes until it waits; true for a menu.
    fn wait(&mut self) -> bool {
        loop {
            let mut ready = [PollFd::new(self.pty.as_fd(), PollFlags::POLLIN)];
            let waits = self.ending();
            let patience = if waits.is_some() { 50 } else { PATIENCE_MS };
            if poll(&mut ready, PollTimeout::from(patience)).unwrap() == 0 {
                return waits.unwrap_or_else(|| panic!("vttest says nothing:\n{}", page(&self.terminal)));
            }
            let mut bytes = [0; 4096];
            let count = self.pty.read(&mut bytes).unwrap();
            self.written.extend_from_slice(&bytes[..count]);
            self.terminal.feed(&bytes[..count]);
            while let Some(event) = self.terminal.poll_event() {
                if let Event::Reply(reply) = event {
                    self.pty.write_all(&reply).unwrap();
                }
            }
        }
    }

    fn ending(&self) -> Option<bool> {
        let last = |text: &[u8]| self.written.windows(text.len()).rposition(|window| window == text);
        match (last(PUSH), last(CHOICE)) {
            (None, None) => None,
            (push, choice) => Some(choice > push),
        }
    }

    fn answer(&mut self, text: &str) {
        self.written.clear();
        self.pty.write_all(text.as_bytes()).unwrap();
        self.pty.write_all(b"\r").unwrap();
    }
}

/// The screen as text; attributes under the rows that have any.
fn page(terminal: &Terminal) -> String {
    let mut scratch = Vec::new();
    let mut text = String::new();
    for row in 0..terminal.rows() {
        let (mut shown, mut attributes) = (String::new(), String::new());
        for cell in terminal.row(View::Live, row, &mut scratch) {
            let style = terminal.style(*cell);
            if cell.width() != Width::Tail {
                shown.push(terminal.cluster(*cell).base);
            }
            let reverse = style.background.0 > 0x0077_7777;
            attributes.push(match [style.bold, style.underline, style.blink, reverse] {
                [false, false, false, false] => ' ',
                [true, false, false, false] => 'b',
                [false, true, false, false] => 'u',
                [false, false, true, false] => 'k',
                [false, false, false, true] => 'r',
                several => {
                    let bits = several.iter().fold(0u32, |bits, on| bits << 1 | u32::from(*on));
                    char::from_digit(bits, 16).unwrap()
                }
            });
        }
        writeln!(text, "|{}", shown.trim_end()).unwrap();
        if !attributes.trim_end().is_empty() {
            writeln!(text, "^{}", attributes.trim_end()).unwrap();
        }
    }
    text
}

/// Goes to the menu entry `path`, such as 11.6.3, and turns all of its pages.
fn pages(path: &str) -> String {
    let mut session = Session::start();
    let mut text = String::new();
    assert!(session.wait(), "the main menu");
    let mut choices = path.split('.').peekable();
    while let Some(choice) = choices.next() {
        session.answer(choice);
        if choices.peek().is_some() {
            assert!(session.wait(), "a menu after {choice} of {path}");
        }
    }
    for number in 1.. {
        if session.wait() {
            break;
        }
        writeln!(text, "== {path}, page {number}").unwrap();
        text += &page(&session.terminal);
        session.answer("");
    }
    text
}

/// The pages of these menu entries must be those of a file.
fn check(name: &str, paths: &[&str]) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/vttest").join(name);
    let have: String = paths.iter().map(|path| pages(path)).collect();
    if std::env::var_os("VTTEST_WRITE").is_some() {
        fs::write(&file, &have).unwrap();
    }
    let wanted = fs::read_to_string(&file).unwrap();
    if have != wanted {
        for (have, wanted) in have.split("== ").zip(wanted.split("== ")) {
            assert!(have == wanted, "{name}, have\n{have}\nwanted\n{wanted}");
        }
        panic!("{name}: another number of pages");
    }
}

macro_rules! menu_entries {
    ($($name:ident: $($path:literal)*;)*) => {
        $(#[test] fn $name() { check(stringify!($name), &[$($path),*]); })*
    };
}

// The margins are set, and origin mode, by entries of the same menu.
menu_entries! {
    cursor_movements: "1";
    screen_features: "2";
    character_sets: "3.8" "3.9" "3.10" "3.11";
    insert_and_delete: "8";
    vt220: "11.1.2.3" "11.1.2.4" "11.1.3" "11.1.6";
    cursor_in_margins: "11.3.2.7" "11.3.2.8" "11.3.2.3.4.5.7" "11.3.2.3.4.5.8" "11.3.2.3.4.5.9" "11.3.2.3.4.5.10"
        "11.3.2.2.3.4.5.9";
    editing_in_margins: "11.3.3.9" "11.3.3.2.3.4.9" "11.3.3.2.3.4.10" "11.3.3.2.3.4.11" "11.3.3.2.3.4.12"
        "11.3.3.2.3.4.13" "11.3.3.1.2.3.4.11";
    rectangles: "11.3.6.7" "11.3.6.8" "11.3.6.9" "11.3.6.10" "11.3.6.11" "11.3.6.12" "11.3.6.1.2.3.4.8"
        "11.3.6.1.2.3.4.10";
    iso_6429: "11.5.1" "11.5.2" "11.5.3" "11.5.4" "11.5.5" "11.5.6" "11.5.7" "11.5.8" "11.5.9" "11.7.2" "11.7.3"
        "11.7.4" "11.7.5" "11.7.6";
    colours: "11.6.2" "11.6.4" "11.6.5";
}
