//! A console's bytes as text.

use memchr::memmem;

use crate::terminal::{MAX_COLUMNS, Options, Terminal};

/// What `clear` sends beside erasing the screen: erase the saved lines too (xterm, Linux). That is meant for people who
/// look back at a terminal, and must not take lines from this text.
const ERASE_SAVED_LINES: &[u8] = b"\x1b[3J";

/// The lines that `bytes` printed, oldest first, without control sequences; what a program drew on the alternate
/// screen is left out, and a line that was overwritten shows what it held last.
///
/// The bytes go through a terminal of a single, very wide row: every line feed moves the row to its history, and a
/// program that clears the screen or moves about on it cannot take a line back.
pub(super) fn plain_text(bytes: &[u8]) -> String {
    let line_feeds = bytes.iter().filter(|byte| matches!(byte, b'\n' | 0x0b | 0x0c)).count();
    // A line wider than the terminal wraps into further ones, and every few bytes may ask for a line (`ESC D`).
    let history_lines = line_feeds + bytes.len() / 2 + 1;
    let mut terminal =
        Terminal::new(Options { columns: MAX_COLUMNS, rows: 1, history_lines, ..Options::default() });
    let mut rest = bytes;
    while let Some(at) = memmem::find(rest, ERASE_SAVED_LINES) {
        terminal.feed(&rest[..at]);
        rest = &rest[at + ERASE_SAVED_LINES.len()..];
    }
    terminal.feed(rest);
    let mut text = terminal.text(terminal.first_line()..terminal.live_line() + 1);
    // The row under the last line feed is empty, and so may be more of them.
    text.truncate(text.trim_end_matches('\n').len());
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_sequences_go_and_lines_stay() {
        let bytes = b"\x1b[32m  OK\x1b[0m one\r\n\x1b[2J\x1b[Htwo\r\n\x1b]0;title\x07\x1b[5;5Hthree\n";
        assert_eq!(plain_text(bytes), "  OK one\ntwo\n    three\n");
        assert_eq!(plain_text(b""), "");
        assert_eq!(plain_text("grün \u{1F642}".as_bytes()), "grün \u{1F642}\n");
    }

    #[test]
    fn clearing_takes_nothing_back() {
        assert_eq!(plain_text(b"one\r\n$ clear\r\n\x1b[H\x1b[J\x1b[3J$ two\r\n"), "one\n$ clear\n$ two\n");
    }

    #[test]
    fn no_line_is_lost() {
        let bytes: String = (0..5000).map(|n| format!("{n}\r\n")).collect();
        let wanted: String = (0..5000).map(|n| format!("{n}\n")).collect();
        assert!(plain_text(bytes.as_bytes()) == wanted);
    }
}
