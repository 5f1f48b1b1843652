//! How fast ours is beside `alacritty_terminal`: the same streams, one after the other in the same run, as ratios. The best
//! of several turns of each counts, so that what else the machine does matters little.

use std::hint::black_box;
use std::time::Instant;

use alacritty_terminal::event::VoidListener;
use alacritty_terminal::term::{Config, Term, TermDamage};
use alacritty_terminal::vte::ansi::{Processor, StdSyncHandler};

use crate::emulators::Screen;
use crate::streams::{PIECE_BYTES, STREAM_BYTES, streams};
use crate::terminal::{Changes, Options, Terminal, View};

/// Each stream is fed this many times to both, in turn; the best of each counts.
const RUNS: usize = 5;
/// Lines of history in both.
const HISTORY: usize = 1000;

fn ours(bytes: &[u8], columns: usize, rows: usize) {
    let [columns, rows] = [columns, rows].map(|n| u16::try_from(n).unwrap_or(u16::MAX));
    let mut terminal =
        Terminal::new(Options { columns, rows, history_lines: HISTORY, ..Options::default() });
    let mut changes = Changes::default();
    for piece in bytes.chunks(PIECE_BYTES) {
        terminal.feed(piece);
        let since = changes.generation;
        terminal.changes(View::Live, since, &mut changes);
        terminal.forget_changes_before(changes.generation);
    }
    black_box(terminal.generation());
}

fn alacritty(bytes: &[u8], columns: usize, rows: usize) {
    let config = Config { scrolling_history: HISTORY, ..Config::default() };
    let mut term = Term::new(config, &Screen(columns, rows), VoidListener);
    let mut parser = Processor::<StdSyncHandler>::new();
    for piece in bytes.chunks(PIECE_BYTES) {
        parser.advance(&mut term, piece);
        match term.damage() {
            TermDamage::Full => {}
            TermDamage::Partial(lines) => {
                black_box(lines.count());
            }
        }
        term.reset_damage();
    }
    black_box(term.grid().cursor.point);
}

/// Prints the ratios; returns how many of the promises are broken.
pub fn bench(filter: Option<&str>) -> usize {
    let mut broken = 0;
    for (columns, rows) in [(80, 25), (132, 43)] {
        println!("{columns}x{rows}: MB/s, ours and alacritty_terminal's, and how many times as fast ours is");
        let mut logarithms = Vec::new();
        for (name, bytes) in streams(columns) {
            if filter.is_some_and(|filter| !name.contains(filter)) {
                continue;
            }
            let hostile = name.starts_with("hostile");
            let bytes = if hostile { &bytes[..STREAM_BYTES / 256] } else { &bytes };
            let mut best = [f64::INFINITY; 2];
            for _ in 0..RUNS {
                for (best, feed) in best.iter_mut().zip([ours, alacritty]) {
                    let start = Instant::now();
                    feed(bytes, columns, rows);
                    *best = best.min(start.elapsed().as_secs_f64());
                }
            }
            let [own, other] = best.map(|seconds| bytes.len() as f64 / 1e6 / seconds);
            println!("  {name:28}{own:8.1}{other:8.1}{:8.2}", own / other);
            if !hostile {
                logarithms.push((own / other).ln());
                broken += usize::from(own / other < 0.8);
            }
        }
        let mean = (logarithms.iter().sum::<f64>() / logarithms.len().max(1) as f64).exp();
        println!("  {:44}{mean:8.2}", "geometric mean");
        broken += usize::from(mean < 2.0);
    }
    broken
}
