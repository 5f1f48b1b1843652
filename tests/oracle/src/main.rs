//! Compares our terminal with two that others wrote, `alacritty_terminal` and `avt`, where those two agree.
//!
//! ```text
//! terminal-oracle captures DIRECTORY    the recorded programs, DIRECTORY/*/input
//! terminal-oracle bench [NAME]           how fast ours is beside alacritty_terminal, as ratios
//! terminal-oracle random STREAMS SEED   random streams of sequences; a failing one is made as short as it can be
//! ```
//!
//! A random stream is followed piece by piece until the two differ on a cell, its colours or the cursor: nobody is
//! believed after that. Recorded programs are followed to their end, and compared wherever the two agree.

mod bench;
mod emulators;
mod grammar;
// The terminal's sources, rather than the crate, which would need all that the product depends on.
#[allow(dead_code, unused_imports, reason = "not all of it is used here")]
#[path = "../../../src/keysym.rs"]
mod keysym;
#[path = "../../../benches/terminal/streams.rs"]
mod streams;
#[allow(dead_code, unused_imports, reason = "not all of it is used here")]
#[path = "../../../src/terminal/mod.rs"]
mod terminal;

use std::process::ExitCode;

use emulators::{Alacritty, Avt, Emulator, Ours, Picture};
use grammar::Random;

/// What became of one stream.
enum Outcome {
    /// Ours agreed to the end, or to the piece of this number, at which the two others differ.
    Fine(usize),
    /// Ours differs from the two others after the piece of this number.
    Differs(usize, String),
}

fn follow(pieces: &[String], columns: usize, rows: usize) -> Outcome {
    let mut ours = Ours::new(columns, rows);
    let mut alacritty = Alacritty::new(columns, rows);
    let mut avt = Avt::new(columns, rows);
    for (number, piece) in pieces.iter().enumerate() {
        ours.feed(piece);
        alacritty.feed(piece);
        avt.feed(piece);
        let (wanted, other) = (alacritty.picture().without_blanks(), avt.picture().without_blanks());
        if wanted != other {
            if std::env::var_os("ORACLE_VERBOSE").is_some() {
                let what = other.difference(&wanted, "avt", "alacritty");
                println!("the two differ after {:?}: {what}", &pieces[number.saturating_sub(2)..=number]);
            }
            return Outcome::Fine(number);
        }
        let have = ours.picture().without_blanks();
        if have != wanted {
            return Outcome::Differs(number, have.difference(&wanted, "ours", "both others"));
        }
    }
    Outcome::Fine(pieces.len())
}

/// Drops pieces for as long as ours still differs.
fn shorten(mut pieces: Vec<String>, columns: usize, rows: usize) -> (Vec<String>, String) {
    let mut what = String::new();
    loop {
        let before = pieces.len();
        let mut at = 0;
        while at < pieces.len() {
            let mut fewer = pieces.clone();
            fewer.remove(at);
            if let Outcome::Differs(last, difference) = follow(&fewer, columns, rows) {
                fewer.truncate(last + 1);
                pieces = fewer;
                what = difference;
            } else {
                at += 1;
            }
        }
        if pieces.len() == before {
            return (pieces, what);
        }
    }
}

fn random(streams: u64, seed: u64) -> usize {
    const PIECES: usize = 60;
    let (mut compared, mut whole) = (0usize, 0usize);
    let mut failures: Vec<String> = Vec::new();
    for number in 0..streams {
        let mut random = Random::new(seed.wrapping_add(number));
        let regions = random.below(2) == 1;
        let wide = random.below(4) == 0;
        let (columns, rows) = [(80, 25), (12, 5), (20, 8)][random.below(3)];
        let pieces: Vec<_> = (0..PIECES).map(|_| grammar::piece(&mut random, regions, wide)).collect();
        match follow(&pieces, columns, rows) {
            Outcome::Fine(steps) => {
                compared += steps;
                whole += usize::from(steps == PIECES);
            }
            Outcome::Differs(last, what) => {
                let (short, shorter) = shorten(pieces[..=last].to_vec(), columns, rows);
                let what = if shorter.is_empty() { what } else { shorter };
                println!("stream {} of {columns}x{rows}: {:?}\n  {what}", seed + number, short.concat());
                failures.push(short.concat());
                if failures.len() >= 20 {
                    println!("too many differences");
                    break;
                }
            }
        }
    }
    println!("{streams} streams, {compared} pieces compared, {whole} streams to their end");
    failures.len()
}

/// Captures on which ours differs for a reason, and in which column: top erases to the end of the line after it wrote
/// the last column. DEC's terminals, xterm and the Linux console erase that column; the two others do not.
const KNOWN: &[(&str, usize)] = &[("top-", 79)];

fn captures(directory: &str) -> std::io::Result<usize> {
    let (columns, rows) = (80, 25);
    let mut failures = 0;
    let mut names: Vec<_> = std::fs::read_dir(directory)?.filter_map(|e| Some(e.ok()?.path())).collect();
    names.sort();
    for path in names.iter().filter(|path| path.join("input").exists()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let bytes = std::fs::read(path.join("input"))?;
        let text = String::from_utf8_lossy(&bytes);
        let mut ours = Ours::new(columns, rows);
        let mut alacritty = Alacritty::new(columns, rows);
        let mut avt = Avt::new(columns, rows);
        let (mut cells, mut agreed) = (0usize, 0usize);
        let mut said = None;
        let characters: Vec<char> = text.chars().collect();
        for (number, chunk) in characters.chunks(256).enumerate() {
            let chunk: String = chunk.iter().collect();
            ours.feed(&chunk);
            alacritty.feed(&chunk);
            avt.feed(&chunk);
            let (have, a, b): (Picture, Picture, Picture) =
                (ours.picture(), alacritty.picture(), avt.picture());
            for (at, cell) in have.cells.iter().enumerate() {
                cells += 1;
                if a.cells[at] != b.cells[at] {
                    continue;
                }
                agreed += 1;
                let known =
                    KNOWN.iter().any(|(prefix, column)| name.starts_with(prefix) && at % columns == *column);
                if *cell != a.cells[at] && !known && said.is_none() {
                    said = Some(format!(
                        "chunk {number}, column {}, row {}: ours {cell:?}, both others {:?}",
                        at % columns,
                        at / columns,
                        a.cells[at]
                    ));
                }
            }
        }
        println!("{name}: the others agree on {agreed} of {cells} cells");
        if let Some(said) = said {
            println!("  {said}");
            failures += 1;
        }
    }
    Ok(failures)
}

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let failures = match arguments.as_slice() {
        ["captures", directory] => captures(directory).unwrap_or_else(|error| {
            println!("{directory}: {error}");
            1
        }),
        ["random", streams, seed] => match (streams.parse(), seed.parse()) {
            (Ok(streams), Ok(seed)) => random(streams, seed),
            _ => 1,
        },
        ["bench"] => bench::bench(None),
        ["bench", filter] => bench::bench(Some(filter)),
        _ => {
            println!("usage: terminal-oracle captures DIRECTORY | random STREAMS SEED | bench [NAME]");
            1
        }
    };
    println!("{failures} differences");
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
