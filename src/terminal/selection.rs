//! Selected text: places that stay with their line, words and lines around a place, the text between two places.
//!
//! Lines are named by their absolute number, so that a selection stays where it is while the screen scrolls and while
//! its reader looks elsewhere. Nothing here remembers anything: who selects keeps the [`Selected`], and asks
//! [`Terminal::digest`] whether the text is still the same.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

use super::Terminal;
use super::cell::{Cell, Width};
use super::view::View;

/// How many rows a word or a wrapped line is followed, up and down. A guest can print a line without an end, and the
/// pointer's every move asks for it.
pub(super) const JOINED_ROWS: u64 = 200;

/// Characters beside letters and digits that belong to a word: those of paths, addresses and options.
const WORD_CHARS: &str = "-#%&+./=?@\\_~:";

/// A cell by the absolute number of its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Place {
    /// The line's absolute number.
    pub line: u64,
    /// The column, from 0.
    pub column: u16,
}

/// In which units text is selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SelectBy {
    /// Character by character, as one reads.
    Characters,
    /// Whole words.
    Words,
    /// Whole lines, with what they were wrapped into.
    Lines,
    /// A rectangle of characters.
    Block,
}

/// What is selected: from one cell to another, both included, or the rectangle between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Selected {
    /// The first cell; of a block, the upper left corner.
    pub first: Place,
    /// The last cell; of a block, the lower right corner.
    pub last: Place,
    /// It is a rectangle.
    pub block: bool,
}

impl Selected {
    /// The columns that are selected in this line, on a screen of `columns`; empty where none are.
    #[must_use]
    pub fn columns(&self, line: u64, columns: u16) -> Range<u16> {
        if !(self.first.line..=self.last.line).contains(&line) {
            return 0..0;
        }
        let start = if self.block || line == self.first.line { self.first.column } else { 0 };
        let last = if self.block || line == self.last.line { self.last.column } else { columns };
        start.min(columns)..last.saturating_add(1).min(columns)
    }
}

/// What kind of character it is: a word is a run of one kind.
fn kind(c: char) -> u32 {
    match c {
        ' ' => 0,
        c if c.is_alphanumeric() || WORD_CHARS.contains(c) => 1,
        // Any other is a word with its like: `====`, `│`.
        c => u32::from(c),
    }
}

impl Terminal {
    /// The absolute number of the line in the first row of a view.
    #[must_use]
    pub fn top_line(&self, view: View) -> u64 {
        match view {
            View::At(line) if line < self.live_line() => line.max(self.first_line()),
            _ => self.live_line(),
        }
    }

    /// The number after that of the last line, which is the last row of the screen.
    #[must_use]
    pub fn end_line(&self) -> u64 {
        self.live_line() + u64::from(self.rows())
    }

    /// The cells of a line up to the last that may not be blank, at the end of `out`, and whether its text goes on in
    /// the next line; `None` when the line is not kept.
    pub(super) fn line_cells(&self, line: u64, out: &mut Vec<Cell>) -> Option<bool> {
        let wrapped = match line.checked_sub(self.live_line()) {
            None => self.emulator.history.unpack(line, out)?,
            Some(row) => {
                let row = u16::try_from(row).ok().filter(|row| *row < self.rows())?;
                let (cells, wrapped) = self.emulator.grid.used(row);
                out.extend_from_slice(cells);
                wrapped
            }
        };
        // What a wide character left blank is no part of the text.
        if wrapped {
            out.pop_if(|last| last.is_filler());
        }
        Some(wrapped)
    }

    /// What is selected by going from `anchor` to `head`, in either direction, with words and lines completed and no
    /// wide character cut.
    #[must_use]
    pub fn select(&self, anchor: Place, head: Place, by: SelectBy) -> Selected {
        let (first, last) = if anchor <= head { (anchor, head) } else { (head, anchor) };
        match by {
            SelectBy::Characters => {
                Selected { first: self.whole(first).0, last: self.whole(last).1, block: false }
            }
            SelectBy::Words => {
                Selected { first: self.word_start(first), last: self.word_end(last), block: false }
            }
            SelectBy::Lines => {
                let end = self.columns().saturating_sub(1);
                let first = Place { line: self.joined_start(first.line), column: 0 };
                Selected {
                    first,
                    last: Place { line: self.joined_end(last.line), column: end },
                    block: false,
                }
            }
            SelectBy::Block => {
                let columns = anchor.column.min(head.column)..=anchor.column.max(head.column);
                Selected {
                    first: Place { line: first.line, column: *columns.start() },
                    last: Place { line: last.line, column: *columns.end() },
                    block: true,
                }
            }
        }
    }

    /// The first and the last cell of the character at a place.
    fn whole(&self, place: Place) -> (Place, Place) {
        let mut cells = Vec::new();
        let _ = self.line_cells(place.line, &mut cells);
        let width = cells.get(usize::from(place.column)).map_or(Width::Narrow, |cell| cell.width());
        let at = |column| Place { column, ..place };
        match width {
            Width::Narrow => (place, place),
            Width::Wide => (place, at(place.column.saturating_add(1))),
            Width::Tail => (at(place.column.saturating_sub(1)), place),
        }
    }

    /// The first line of the text that a line belongs to.
    pub(super) fn joined_start(&self, line: u64) -> u64 {
        let oldest = self.first_line().max(line.saturating_sub(JOINED_ROWS));
        let mut start = line;
        while start > oldest && self.is_wrapped(start - 1) {
            start -= 1;
        }
        start
    }

    /// The last line of the text that a line belongs to.
    pub(super) fn joined_end(&self, line: u64) -> u64 {
        let newest = self.end_line().saturating_sub(1).min(line.saturating_add(JOINED_ROWS));
        let mut end = line;
        while end < newest && self.is_wrapped(end) {
            end += 1;
        }
        end
    }

    /// The kind of the character at each column of a line, and whether the line goes on.
    fn kinds(&self, line: u64) -> (Vec<u32>, bool) {
        let mut cells = Vec::new();
        let wrapped = self.line_cells(line, &mut cells).unwrap_or(false);
        let mut kinds: Vec<u32> = Vec::with_capacity(usize::from(self.columns()));
        for cell in &cells {
            let tail = (cell.width() == Width::Tail).then(|| kinds.last().copied()).flatten();
            kinds.push(tail.unwrap_or_else(|| kind(self.cluster(*cell).base)));
        }
        kinds.resize(usize::from(self.columns()), kind(' '));
        (kinds, wrapped)
    }

    fn word_start(&self, place: Place) -> Place {
        let (mut kinds, _) = self.kinds(place.line);
        let Some(wanted) = kinds.get(usize::from(place.column)).copied() else { return place };
        let mut at = place;
        loop {
            while at.column > 0 && kinds.get(usize::from(at.column) - 1) == Some(&wanted) {
                at.column -= 1;
            }
            let far = place.line.saturating_sub(at.line) >= JOINED_ROWS;
            if at.column > 0 || at.line <= self.first_line() || far {
                return at;
            }
            let (above, wrapped) = self.kinds(at.line - 1);
            if !wrapped || above.last() != Some(&wanted) {
                return at;
            }
            kinds = above;
            at = Place { line: at.line - 1, column: self.columns().saturating_sub(1) };
        }
    }

    fn word_end(&self, place: Place) -> Place {
        let (mut kinds, mut wrapped) = self.kinds(place.line);
        let Some(wanted) = kinds.get(usize::from(place.column)).copied() else { return place };
        let mut at = place;
        loop {
            while kinds.get(usize::from(at.column) + 1) == Some(&wanted) {
                at.column += 1;
            }
            let far = at.line.saturating_sub(place.line) >= JOINED_ROWS;
            if at.column + 1 < self.columns() || !wrapped || far {
                return at;
            }
            let (below, goes_on) = self.kinds(at.line + 1);
            if below.first() != Some(&wanted) {
                return at;
            }
            (kinds, wrapped) = (below, goes_on);
            at = Place { line: at.line + 1, column: 0 };
        }
    }

    /// The text of a selection, at most `limit` bytes of it. Wrapped lines are joined, blanks at the end of a line are
    /// left out; there is no line end after the last line.
    #[must_use]
    pub fn selected_text(&self, selected: &Selected, limit: usize) -> String {
        let mut text = String::new();
        let mut cells = Vec::new();
        let lines = selected.first.line.max(self.first_line())..=selected.last.line.min(self.end_line());
        for line in lines {
            cells.clear();
            let Some(wrapped) = self.line_cells(line, &mut cells) else { continue };
            let columns = selected.columns(line, self.columns());
            let (start, end) = (usize::from(columns.start), usize::from(columns.end));
            let before = text.len();
            for cell in cells.iter().take(end).skip(start).filter(|cell| cell.width() != Width::Tail) {
                let cluster = self.cluster(*cell);
                text.push(cluster.base);
                text.extend(cluster.marks);
            }
            let to_the_end = columns.end >= self.columns();
            let joined = wrapped && to_the_end && !selected.block;
            if selected.block || (to_the_end && !joined) {
                text.truncate(before + text[before..].trim_end_matches(' ').len());
            }
            if line < selected.last.line && !joined {
                text.push('\n');
            }
            if text.len() > limit {
                text.truncate(text.floor_char_boundary(limit));
                break;
            }
        }
        text
    }

    /// A number that changes when the selected text in line `from` or below does. Only lines on the screen can change,
    /// so that a reader needs to ask for those alone.
    #[must_use]
    pub fn digest(&self, selected: &Selected, from: u64) -> u64 {
        let mut hasher = DefaultHasher::new();
        let mut cells = Vec::new();
        for line in selected.first.line.max(from)..=selected.last.line.min(self.end_line()) {
            cells.clear();
            // A line that is gone is not one that is blank.
            self.line_cells(line, &mut cells).is_some().hash(&mut hasher);
            cells.resize(usize::from(self.columns()), Cell::BLANK);
            let columns = selected.columns(line, self.columns());
            for cell in cells.get(usize::from(columns.start)..usize::from(columns.end)).unwrap_or_default() {
                let cluster = self.cluster(*cell);
                (cluster.base, cluster.marks).hash(&mut hasher);
            }
        }
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::Options;

    /// Four rows of ten columns.
    fn terminal(text: &str) -> Terminal {
        let mut terminal =
            Terminal::new(Options { columns: 10, rows: 4, history_lines: 50, ..Options::default() });
        terminal.feed(text.as_bytes());
        terminal
    }

    const fn at(line: u64, column: u16) -> Place {
        Place { line, column }
    }

    fn text(terminal: &Terminal, anchor: Place, head: Place, by: SelectBy) -> String {
        let selected = terminal.select(anchor, head, by);
        assert_eq!(selected, terminal.select(head, anchor, by), "the direction matters");
        terminal.selected_text(&selected, 1000)
    }

    #[test]
    fn characters_are_taken_as_one_reads() {
        let terminal = terminal("one two\r\nthree  \r\n  four");
        assert_eq!(text(&terminal, at(0, 4), at(2, 3), SelectBy::Characters), "two\nthree\n  fo");
        assert_eq!(text(&terminal, at(0, 0), at(0, 0), SelectBy::Characters), "o");
        assert_eq!(text(&terminal, at(0, 8), at(3, 9), SelectBy::Characters), "\nthree\n  four\n");
    }

    #[test]
    fn wrapped_lines_are_joined_and_history_is_part_of_it() {
        let terminal = terminal("0123456789abcdefghij  \r\nend\r\n1\r\n2\r\n3");
        assert_eq!(terminal.live_line(), 3);
        assert_eq!(text(&terminal, at(0, 8), at(3, 5), SelectBy::Characters), "89abcdefghij\nend");
        assert_eq!(text(&terminal, at(1, 5), at(1, 5), SelectBy::Lines), "0123456789abcdefghij");
        let terminal = self::terminal("x/path-to_it.rs:12, y");
        assert_eq!(text(&terminal, at(1, 1), at(1, 1), SelectBy::Words), "x/path-to_it.rs:12");
        assert_eq!(text(&terminal, at(0, 1), at(0, 1), SelectBy::Words), "x/path-to_it.rs:12");
        assert_eq!(text(&terminal, at(1, 8), at(1, 8), SelectBy::Words), ",");
    }

    #[test]
    fn words_reach_over_the_pointers_way_and_blocks_are_rectangles() {
        let terminal = terminal("ab cd ef\r\ngh ij kl\r\nm");
        assert_eq!(text(&terminal, at(0, 4), at(1, 0), SelectBy::Words), "cd ef\ngh");
        assert_eq!(text(&terminal, at(0, 4), at(2, 1), SelectBy::Block), "b cd\nh ij\n");
        assert_eq!(text(&terminal, at(2, 4), at(0, 1), SelectBy::Block), "b cd\nh ij\n");
        assert_eq!(text(&terminal, at(0, 1), at(1, 1), SelectBy::Lines), "ab cd ef\ngh ij kl");
    }

    #[test]
    fn wide_characters_are_taken_whole() {
        let terminal = terminal("a漢字b");
        assert_eq!(text(&terminal, at(0, 2), at(0, 3), SelectBy::Characters), "漢字");
        assert_eq!(terminal.select(at(0, 2), at(0, 3), SelectBy::Characters).columns(0, 10), 1..5);
        assert_eq!(text(&terminal, at(0, 2), at(0, 2), SelectBy::Words), "a漢字b");
    }

    #[test]
    fn a_text_is_cut_at_the_limit_between_characters() {
        let terminal = terminal("€€€€");
        let all = terminal.select(at(0, 0), at(0, 9), SelectBy::Characters);
        assert_eq!(terminal.selected_text(&all, 7), "€€");
    }

    #[test]
    fn the_digest_tells_of_changes_in_the_selection_only() {
        let mut terminal = terminal("one\r\ntwo");
        let selected = terminal.select(at(0, 1), at(1, 1), SelectBy::Characters);
        let before = terminal.digest(&selected, 0);
        terminal.feed(b"\x1b[1;1HX\x1b[2;3HX\x1b[4;1Hbelow");
        assert_eq!(terminal.digest(&selected, 0), before);
        terminal.feed(b"\r\n\r\n");
        assert_eq!(terminal.digest(&selected, 0), before, "it has only scrolled");
        let mut other = self::terminal("one\r\ntwo\x1b[2;1Hx");
        assert_ne!(other.digest(&selected, 0), before);
        assert_eq!(other.digest(&selected, 2), terminal.digest(&selected, 2), "nothing is selected there");
        other.feed(b"\x1b[2J");
        assert_ne!(other.digest(&selected, 0), before);
    }

    #[test]
    fn an_endless_line_is_followed_only_so_far() {
        let mut terminal =
            Terminal::new(Options { columns: 10, rows: 4, history_lines: 5000, ..Options::default() });
        terminal.feed("x".repeat(40_000).as_bytes());
        let place = at(2000, 3);
        for by in [SelectBy::Words, SelectBy::Lines] {
            let selected = terminal.select(place, place, by);
            assert_eq!(selected.first.line, 2000 - JOINED_ROWS);
            assert_eq!(selected.last.line, 2000 + JOINED_ROWS);
        }
    }
}
