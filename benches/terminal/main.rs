//! How fast the terminal takes what guests write, and what it keeps: `cargo bench --bench terminal`.
//!
//! Streams of 8 MiB are fed in pieces of 4 KiB, as a console gives them, and one reader asks for the changes after
//! each piece. The best of five runs counts.
#![allow(clippy::print_stdout, reason = "that is what it is for")]

mod streams;

use std::hint::black_box;
use std::time::Instant;

use streams::{PIECE_BYTES, STREAM_BYTES, streams};
use xenvnc::terminal::{Changes, Options, Terminal, View};

const RUNS: usize = 5;

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
    println!("another width with 10,000 lines of history, ms");
    for (name, bytes) in streams(80).into_iter().filter(|(name, _)| !name.starts_with("hostile")) {
        let mut terminal = Terminal::new(Options { history_lines: 10_000, ..Options::default() });
        terminal.feed(&bytes);
        let mut best = f64::INFINITY;
        for columns in [60, 80, 60, 80, 100, 80] {
            let start = Instant::now();
            terminal.resize(columns, 25);
            best = best.min(start.elapsed().as_secs_f64() * 1e3);
        }
        let lines = terminal.live_line() - terminal.first_line();
        println!("  {name:28}{best:8.1} with {lines} lines");
    }
}
