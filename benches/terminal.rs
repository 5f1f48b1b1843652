//! How fast the terminal takes what guests write, and what it keeps: `cargo bench --bench terminal`.
//!
//! Streams of 8 MiB are fed in pieces of 4 KiB, as a console gives them, and one reader asks for the changes after
//! each piece. The best of five runs counts.
#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::hint::black_box;
use std::time::Instant;

use xenvnc::terminal::{Changes, Options, Terminal, View};

const STREAM_BYTES: usize = 8 << 20;
const PIECE_BYTES: usize = 4096;
const RUNS: usize = 5;

/// Repeats what `line` appends.
fn stream(mut line: impl FnMut(usize) -> String) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(STREAM_BYTES + 4096);
    for number in 0.. {
        if bytes.len() >= STREAM_BYTES {
            break;
        }
        bytes.extend(line(number).bytes());
    }
    bytes.truncate(STREAM_BYTES);
    bytes
}

fn letter(number: usize) -> char {
    char::from(b'a' + u8::try_from(number % 26).unwrap_or(0))
}

fn streams(columns: usize) -> Vec<(&'static str, Vec<u8>)> {
    let boot = [
        "systemd[1]: Started something or other that was wanted.",
        "xen:events: Using FIFO-based ABI",
        "EXT4-fs (xvda1): mounted filesystem with ordered data mode",
        "\x1b[0;32m  OK  \x1b[0m] Reached target \x1b[0;1;39mLocal File Systems\x1b[0m.",
    ];
    let row = |cell: &dyn Fn(usize) -> String| (0..columns).map(cell).collect::<String>();
    let mut region = b"\x1b[3;20r\x1b[20;1H".to_vec();
    region.extend(stream(|n| format!("line {n} in a scrolling region of the screen\r\n")));
    vec![
        ("yes", stream(|_| "y\r\n".into())),
        ("seq", stream(|n| format!("{n}\r\n"))),
        ("full-width ASCII", stream(|n| row(&|i| letter(i + n).to_string()) + "\r\n")),
        ("boot log", stream(|n| format!("[{:5}.{:06}] {}\r\n", n / 100, n * 7919 % 1_000_000, boot[n % 4]))),
        (
            "dense 256 colours",
            stream(|n| {
                row(&|i| format!("\x1b[38;5;{};48;5;{}m{}", (i + n) % 256, (3 * i + n) % 256, letter(i)))
                    + "\x1b[m\r\n"
            }),
        ),
        (
            "dense true colour",
            stream(|n| {
                row(&|i| format!("\x1b[38;2;{};{};{}m{}", 3 * i % 256, n % 256, (i + n) % 256, letter(i)))
                    + "\x1b[m\r\n"
            }),
        ),
        ("Unicode mix", stream(|n| format!("{n} grüße 漢字かな e\u{301}a\u{308} │┌─┐ привет мир 🙂 ok\r\n"))),
        ("scrolling region", region),
        ("jumps and EL", stream(|n| format!("\x1b[{};{}Htext {n}\x1b[K", n * 7 % 24 + 1, n * 13 % 70 + 1))),
        ("hostile: CSI 65535 b", stream(|_| "x\x1b[65535b".into())),
        ("hostile: RIS", stream(|_| "x\r\ny\x1bc".into())),
        ("hostile: 1049", stream(|_| "\x1b[?1049hx\x1b[?1049l".into())),
        ("hostile: DECALN and DECSED", stream(|_| "\x1b#8\x1b[?2J".into())),
    ]
}

fn megabytes_per_second(bytes: &[u8], options: Options) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..RUNS {
        let mut terminal = Terminal::new(options);
        let mut changes = Changes::default();
        let start = Instant::now();
        for piece in bytes.chunks(PIECE_BYTES) {
            terminal.feed(piece);
            let since = changes.generation;
            terminal.changes(View::Live, since, &mut changes);
            terminal.forget_changes_before(changes.generation);
        }
        best = best.min(start.elapsed().as_secs_f64());
        black_box(terminal.generation());
    }
    bytes.len() as f64 / 1e6 / best
}

fn main() {
    // `cargo test --all-targets` runs benchmarks too, without this; it has no use for figures of a debug build.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    for (columns, rows) in [(80, 25), (132, 43)] {
        println!("{columns}x{rows}, MB/s");
        for (name, bytes) in streams(usize::from(columns)) {
            let options = Options { columns, rows, ..Options::default() };
            let bytes = if name.starts_with("hostile") { &bytes[..STREAM_BYTES / 64] } else { &bytes };
            println!("  {name:28}{:8.1}", megabytes_per_second(bytes, options));
        }
    }
    println!("80x25, KiB kept");
    let kib = |bytes: usize| bytes as f64 / 1024.0;
    println!("  {:28}{:8.1}", "idle", kib(Terminal::default().memory_bytes()));
    for (name, bytes) in streams(80) {
        for history_lines in [1000, 10_000] {
            let mut terminal = Terminal::new(Options { history_lines, ..Options::default() });
            terminal.feed(&bytes);
            let lines = terminal.live_line() - terminal.first_line();
            if history_lines == 1000 || lines == 10_000 {
                println!("  {name:28}{:8.1} with {lines} lines", kib(terminal.memory_bytes()));
            }
        }
    }
}
