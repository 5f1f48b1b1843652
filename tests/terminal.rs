//! Recorded programs: `tests/data/terminal/NAME/input` must give the screen of `NAME/expect`, which other terminal
//! emulators drew (`scripts/terminal-captures`).

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::fs;
use std::path::{Path, PathBuf};

use xenvnc::terminal::{Changes, Terminal, View, Width};

fn captures() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/terminal");
    let mut captures: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.join("input").exists())
        .collect();
    captures.sort();
    assert!(captures.len() >= 20, "the captures are there");
    captures
}

fn screen(terminal: &Terminal) -> Vec<String> {
    let mut scratch = Vec::new();
    (0..terminal.rows())
        .map(|row| {
            let mut text = String::new();
            for cell in terminal.row(View::Live, row, &mut scratch) {
                if cell.width() != Width::Tail {
                    let cluster = terminal.cluster(*cell);
                    text.push(cluster.base);
                    text.extend(cluster.marks);
                }
            }
            text.trim_end().to_owned()
        })
        .collect()
}

#[test]
fn recorded_programs_look_as_other_emulators_show_them() {
    let mut wrong = Vec::new();
    for capture in captures() {
        let input = fs::read(capture.join("input")).unwrap();
        let expect = fs::read_to_string(capture.join("expect")).unwrap();
        let mut terminal = Terminal::default();
        terminal.feed(&input);
        for (row, (have, wanted)) in screen(&terminal).iter().zip(expect.lines()).enumerate() {
            if have != wanted {
                let name = capture.file_name().unwrap().to_string_lossy().into_owned();
                wrong.push(format!("{name} row {row}\n  have   |{have}|\n  wanted |{wanted}|"));
            }
        }
        assert_eq!(expect.lines().count(), usize::from(terminal.rows()));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A viewer of a program that draws by itself is sent little more than what the program drew.
#[test]
fn a_reader_repaints_less_than_the_screen_at_each_step() {
    for capture in captures() {
        let input = fs::read(capture.join("input")).unwrap();
        let mut terminal = Terminal::default();
        let mut changes = Changes::default();
        terminal.changes(View::Live, 0, &mut changes);
        let (mut painted, mut since) = (0u64, changes.generation);
        for chunk in input.chunks(16) {
            terminal.feed(chunk);
            terminal.changes(View::Live, since, &mut changes);
            painted +=
                changes.rows.iter().map(|span| u64::from(span.columns.end - span.columns.start)).sum::<u64>();
            since = changes.generation;
            terminal.forget_changes_before(since);
        }
        // Sixteen bytes can draw sixteen cells, scroll, or clear; whole screens must stay the exception.
        let screens = painted / (80 * 25);
        let steps = input.len() as u64 / 16 + 1;
        assert!(screens * 8 <= steps + 80, "{}: {screens} screens in {steps} steps", capture.display());
    }
}
