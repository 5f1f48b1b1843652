//! Looking for text in a console's history: Ctrl-Shift-F, and a prompt over the lowest row.
//!
//! The search is incremental: each character looks anew from where it began, upwards. Enter goes to the next older
//! match, Shift-Enter to the next newer one, Escape ends it and leaves the view where it is. History can be long, so
//! that a search looks at [`LINES`] lines and lets others have their turn.

use std::time::Instant;

use super::banner::Line;
use super::keys::Held;
use super::machine::Seat;
use super::scroll::ScrollBy;
use super::viewer::Viewer;
use super::vt::{Vt, VtNumber};
use crate::keysym::Keysym;
use crate::terminal::{Direction, Found, NEEDLE_CHARS, Needle, Place, Selected, Terminal, View};

/// How many lines are looked at in one turn: a few milliseconds of work.
const LINES: u64 = 4000;

/// A search under way.
#[derive(Debug)]
pub(super) struct Search {
    query: String,
    /// Where it began.
    origin: Place,
    found: Option<Selected>,
    /// Where to look on, since when.
    pending: Option<(Place, Direction, Instant)>,
    line: Line,
    columns: u16,
}

/// What a key means to a search.
enum Wish {
    Edit,
    Next(Direction),
    End,
    Nothing,
}

impl Search {
    fn new(terminal: &Terminal, view: View) -> Self {
        // The first match is the lowest that can be seen.
        let below = terminal.top_line(view) + u64::from(terminal.rows());
        let columns = terminal.columns();
        let mut search = Self {
            query: String::new(),
            origin: Place { line: below, column: 0 },
            found: None,
            pending: None,
            line: Line::new("", columns),
            columns,
        };
        search.redraw();
        search
    }

    /// The prompt.
    pub(super) const fn line(&self) -> &Line {
        &self.line
    }

    /// When to look on.
    pub(super) fn due(&self) -> Option<Instant> {
        self.pending.map(|(.., at)| at)
    }

    fn redraw(&mut self) {
        let state = match (self.found, self.pending) {
            (None, None) if self.query.is_empty() => "Enter: older, Shift-Enter: newer, Esc: end",
            (None, None) => "not found",
            (_, Some(_)) => "...",
            (Some(_), None) => "",
        };
        // Of a long text the end is what is being typed.
        let room = usize::from(self.columns) / 2;
        let shown: Vec<char> = self.query.chars().rev().take(room).collect();
        let shown: String = shown.into_iter().rev().collect();
        self.line = Line::new(&format!(" Search: {shown}\x1b[7m \x1b[27m  {state}"), self.columns);
    }

    fn key(&mut self, keysym: Keysym, held: Held) -> Wish {
        match keysym {
            Keysym::ESCAPE => Wish::End,
            Keysym::RETURN | Keysym::KP_ENTER if held.shift => Wish::Next(Direction::Newer),
            Keysym::RETURN | Keysym::KP_ENTER | Keysym::UP => Wish::Next(Direction::Older),
            Keysym::DOWN => Wish::Next(Direction::Newer),
            Keysym::BACKSPACE => {
                self.query.pop();
                Wish::Edit
            }
            _ => match keysym.to_char().filter(|c| !c.is_control()) {
                Some('u' | 'U') if held.control => {
                    self.query.clear();
                    Wish::Edit
                }
                Some('c' | 'C') if held.control => Wish::End,
                Some('f' | 'F') if held.control => Wish::Next(Direction::Older),
                Some(c) if !held.control && !held.alt && self.query.chars().count() < NEEDLE_CHARS => {
                    self.query.push(c);
                    Wish::Edit
                }
                _ => Wish::Nothing,
            },
        }
    }

    /// Begins to look.
    fn look(&mut self, from: Place, direction: Direction, now: Instant) {
        self.pending = Needle::new(&self.query).map(|_| (from, direction, now));
    }

    /// Looks at a portion of the lines; a match when there is one, and whether that was all in vain.
    fn step(&mut self, terminal: &Terminal, now: Instant) -> Option<Result<Selected, ()>> {
        let (from, direction, _) = self.pending.take()?;
        match terminal.find(&Needle::new(&self.query)?, from, direction, LINES) {
            Found::Match(found) => {
                self.found = Some(found);
                Some(Ok(found))
            }
            Found::GoOn(place) => {
                self.pending = Some((place, direction, now));
                None
            }
            Found::Nothing => Some(Err(())),
        }
    }
}

impl Viewer {
    /// Looks on, and shows what is found.
    pub(super) fn search_on(&mut self, terminal: &Terminal, now: Instant) {
        let Some(search) = &mut self.search else { return };
        match search.step(terminal, now) {
            Some(Ok(found)) => {
                self.hand.select(terminal, found);
                self.view = reveal(terminal, self.view, found.first.line);
            }
            // What was found before stays.
            Some(Err(())) => self.ring(),
            None => {}
        }
        if let Some(search) = &mut self.search {
            search.redraw();
        }
    }
}

/// A view in which a line is seen: the same if it is there, else one with the line in the middle. The lowest row is the
/// prompt's.
fn reveal(terminal: &Terminal, view: View, line: u64) -> View {
    let top = terminal.top_line(view);
    let rows = u64::from(terminal.rows());
    if (top..top + rows.saturating_sub(1)).contains(&line) {
        return view;
    }
    let top = line.saturating_sub(rows / 2).max(terminal.first_line());
    if top < terminal.live_line() { View::At(top) } else { View::Live }
}

impl Seat {
    /// Takes a key for the search of a viewer, or for beginning one; true when it was.
    pub(super) fn search_key(
        &mut self,
        at: usize,
        number: VtNumber,
        keysym: Keysym,
        held: Held,
        now: Instant,
    ) -> bool {
        let Some(viewer) = self.viewers.get_mut(at) else { return false };
        let terminal = self.vts.iter().find(|vt| vt.number == number).and_then(Vt::terminal);
        let Some(terminal) = terminal else { return false };
        let Some(search) = &mut viewer.search else {
            let chord = held == (Held { shift: true, control: true, ..Held::default() })
                && matches!(keysym.to_char(), Some('f' | 'F'));
            // The alternate screen has no history: there the keys are the guest's.
            let ours = chord && (!terminal.is_alternate() || viewer.view != View::Live);
            if ours {
                viewer.search = Some(Search::new(terminal, viewer.view));
            }
            return ours;
        };
        if ScrollBy::from_key(keysym, held).is_some() {
            return false;
        }
        match search.key(keysym, held) {
            Wish::End => {
                viewer.search = None;
                return true;
            }
            Wish::Edit => {
                search.found = None;
                search.look(search.origin, Direction::Older, now);
                viewer.hand.deselect();
            }
            Wish::Next(direction) => {
                let from = search.found.map_or(search.origin, |found| found.first);
                search.look(from, direction, now);
            }
            Wish::Nothing => return true,
        }
        viewer.search_on(terminal, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::Options;

    #[test]
    fn what_is_seen_already_does_not_move_the_view() {
        let mut terminal =
            Terminal::new(Options { columns: 20, rows: 10, history_lines: 100, ..Options::default() });
        (0..99).for_each(|line| terminal.feed(format!("{line}\r\n").as_bytes()));
        assert_eq!(terminal.live_line(), 90);
        assert_eq!(reveal(&terminal, View::Live, 95), View::Live);
        assert_eq!(reveal(&terminal, View::At(20), 20), View::At(20));
        assert_eq!(reveal(&terminal, View::At(20), 29), View::At(24), "it would be under the prompt");
        assert_eq!(reveal(&terminal, View::At(20), 2), View::At(0));
        assert_eq!(reveal(&terminal, View::At(20), 98), View::Live);
    }
}
