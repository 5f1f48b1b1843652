//! A line of our own over a viewer's text: the prompt of a search, what a paste is doing.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::screen::Banner;
use crate::terminal::{Options, Terminal};

/// The line's text, drawn by a terminal of one row.
#[derive(Debug)]
pub(super) struct Line {
    terminal: Terminal,
    digest: u64,
}

impl Line {
    /// A line of this many columns. The text holds no control characters; what does not fit is cut.
    pub(super) fn new(text: &str, columns: u16) -> Self {
        let mut terminal =
            Terminal::new(Options { columns, rows: 1, history_lines: 0, ..Options::default() });
        // No cursor, no wrapping, black on yellow: in a guest's own inverse it would not be seen.
        terminal.feed(b"\x1b[?25l\x1b[?7l\x1b[38;5;16;48;5;220m");
        terminal.feed(" ".repeat(columns.into()).as_bytes());
        terminal.feed(b"\r");
        terminal.feed(text.as_bytes());
        let mut hasher = DefaultHasher::new();
        (text, columns).hash(&mut hasher);
        Self { terminal, digest: hasher.finish() }
    }

    /// The line in this row of the screen.
    pub(super) const fn at(&self, row: u16) -> Banner<'_> {
        Banner { terminal: &self.terminal, digest: self.digest, row }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_as_wide_as_the_screen_and_one_row_high() {
        let line = Line::new(" Search: x ", 20);
        assert_eq!(line.terminal.text(0..1), " Search: x\n");
        assert!(line.terminal.cursor().is_none());
        let long = Line::new(&"0123456789".repeat(9), 20);
        assert_eq!((long.terminal.live_line(), long.terminal.rows()), (0, 1));
        assert_ne!(line.digest, Line::new(" Search: y ", 20).digest);
        assert_eq!(line.digest, Line::new(" Search: x ", 20).digest);
    }
}
