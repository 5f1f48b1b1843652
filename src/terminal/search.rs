//! Finding text on the screen and in history, a bounded number of lines at a time.

use super::Terminal;
use super::cell::Width;
use super::selection::{JOINED_ROWS, Place, Selected};

/// The longest text that can be looked for, in characters; more are cut.
pub const NEEDLE_CHARS: usize = 128;

/// A text to look for. Capital letters matter only when it has some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needle {
    chars: Vec<char>,
    exact: bool,
}

impl Needle {
    /// The needle for this text; `None` for an empty one.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let exact = text.chars().any(char::is_uppercase);
        let chars: Vec<char> = text.chars().take(NEEDLE_CHARS).map(|c| fold(c, exact)).collect();
        (!chars.is_empty()).then_some(Self { chars, exact })
    }
}

fn fold(c: char, exact: bool) -> char {
    if exact { c } else { c.to_lowercase().next().unwrap_or(c) }
}

/// Which way to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Upwards.
    Older,
    /// Downwards.
    Newer,
}

/// What came of looking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Here it is.
    Match(Selected),
    /// Not in the lines that were looked at. Go on from here.
    GoOn(Place),
    /// Nowhere in this direction.
    Nothing,
}

impl Terminal {
    /// Looks for the nearest match that begins before `from`, or after it, in about `lines` lines. A text that is
    /// wrapped is found as well.
    #[must_use]
    pub fn find(&self, needle: &Needle, from: Place, direction: Direction, lines: u64) -> Found {
        let (oldest, end) = (self.first_line(), self.end_line());
        let behind = direction == Direction::Newer && from.column == u16::MAX;
        let mut line = (from.line + u64::from(behind)).clamp(oldest, end.saturating_sub(1));
        let mut left = lines.max(1);
        loop {
            let (start, last) = (self.joined_start(line), self.joined_end(line));
            let text = self.folded(start, last, needle.exact);
            let begins = |at: &usize| {
                text.get(*at..*at + needle.chars.len())
                    .is_some_and(|part| part.iter().zip(&needle.chars).all(|((c, _), wanted)| c == wanted))
            };
            let place = |at: usize| text.get(at).map(|(_, place)| *place);
            let at = match direction {
                Direction::Older => {
                    (0..text.len()).rev().filter(|at| place(*at).is_some_and(|at| at < from)).find(begins)
                }
                Direction::Newer => {
                    (0..text.len()).filter(|at| place(*at).is_some_and(|at| at > from)).find(begins)
                }
            };
            if let Some(first) = at.and_then(place)
                && let Some(last) = at.and_then(|at| place(at + needle.chars.len() - 1))
            {
                let last = self.select(last, last, super::SelectBy::Characters).last;
                return Found::Match(Selected { first, last, block: false });
            }
            line = match direction {
                Direction::Older if start <= oldest => return Found::Nothing,
                Direction::Older => start - 1,
                Direction::Newer if last + 1 >= end => return Found::Nothing,
                Direction::Newer => last + 1,
            };
            left = left.saturating_sub(last - start + 1);
            if left == 0 {
                return Found::GoOn(match direction {
                    Direction::Older => Place { line, column: u16::MAX },
                    // Behind the last cell of what was looked at.
                    Direction::Newer => Place { line: line - 1, column: u16::MAX },
                });
            }
        }
    }

    /// The characters of these lines, each with its place. Marks are left out.
    fn folded(&self, start: u64, last: u64, exact: bool) -> Vec<(char, Place)> {
        let mut text = Vec::new();
        let mut cells = Vec::new();
        for line in start..=last.min(start + 2 * JOINED_ROWS) {
            cells.clear();
            let _ = self.line_cells(line, &mut cells);
            for (column, cell) in (0..).zip(&cells).filter(|(_, cell)| cell.width() != Width::Tail) {
                text.push((fold(self.cluster(*cell).base, exact), Place { line, column }));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::Options;

    fn terminal(text: &str) -> Terminal {
        let mut terminal =
            Terminal::new(Options { columns: 10, rows: 4, history_lines: 5000, ..Options::default() });
        terminal.feed(text.as_bytes());
        terminal
    }

    /// Every match in one direction, by its first and last place.
    fn all(terminal: &Terminal, text: &str, direction: Direction, lines: u64) -> Vec<(u64, u16)> {
        let needle = Needle::new(text).unwrap();
        let mut from = match direction {
            Direction::Older => Place { line: terminal.end_line(), column: 0 },
            Direction::Newer => Place { line: terminal.first_line(), column: 0 },
        };
        let mut found = Vec::new();
        for _ in 0..100_000 {
            match terminal.find(&needle, from, direction, lines) {
                Found::Match(selected) => {
                    from = selected.first;
                    found.push((from.line, from.column));
                }
                Found::GoOn(place) => from = place,
                Found::Nothing => return found,
            }
        }
        panic!("no end");
    }

    #[test]
    fn every_match_is_found_in_both_directions_whatever_the_portion() {
        let mut text = String::from(" ");
        for line in 0..30 {
            text.push_str(if line % 7 == 3 { "a Foo foo\r\n" } else { "nothing\r\n" });
        }
        let terminal = terminal(&text);
        let wanted: Vec<_> = [3, 10, 17, 24].into_iter().flat_map(|line| [(line, 2), (line, 6)]).collect();
        for lines in [1, 2, 5, 1000] {
            assert_eq!(all(&terminal, "foo", Direction::Newer, lines), wanted);
            let mut older = all(&terminal, "foo", Direction::Older, lines);
            older.reverse();
            assert_eq!(older, wanted);
        }
        assert_eq!(all(&terminal, "Foo", Direction::Newer, 4), [(3, 2), (10, 2), (17, 2), (24, 2)]);
        assert_eq!(all(&terminal, "bar", Direction::Older, 4), []);
    }

    #[test]
    fn wrapped_and_wide_text_is_found_with_its_cells() {
        let terminal = terminal("01234567 needle\r\nx漢字x");
        let find = |text| {
            let from = Place { line: terminal.end_line(), column: 0 };
            match terminal.find(&Needle::new(text).unwrap(), from, Direction::Older, 100) {
                Found::Match(selected) => terminal.selected_text(&selected, 100),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(find("needle"), "needle");
        assert_eq!(find("字"), "字");
        assert_eq!(find("漢字"), "漢字");
    }

    #[test]
    fn an_empty_text_is_not_looked_for_and_a_long_one_is_cut() {
        assert_eq!(Needle::new(""), None);
        assert_eq!(Needle::new(&"x".repeat(1000)).unwrap().chars.len(), NEEDLE_CHARS);
    }

    #[test]
    fn a_line_without_an_end_ends_the_search() {
        let terminal = terminal(&"x".repeat(30_000));
        assert_eq!(all(&terminal, "y", Direction::Older, 1), []);
        assert_eq!(all(&terminal, "y", Direction::Newer, 1), []);
    }
}
