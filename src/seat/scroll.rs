//! Where a viewer looks in a terminal's history, and the keys and wheel that move it.

use super::keys::Held;
use crate::keysym::Keysym;
use crate::terminal::{Terminal, View};

/// Lines that one notch of a mouse wheel scrolls, as in most terminals.
pub const WHEEL_LINES: i64 = 3;

/// A wish to look elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScrollBy {
    /// By this many lines; older ones are negative.
    Lines(i64),
    /// By this many pages; older ones are negative.
    Pages(i64),
    /// To the oldest line.
    Oldest,
    /// To the live screen.
    Live,
}

impl ScrollBy {
    /// The wish that a key stands for: Shift with Page Up, Page Down, Home or End and nothing else.
    #[must_use]
    pub fn from_key(keysym: Keysym, held: Held) -> Option<Self> {
        if held != (Held { shift: true, ..Held::default() }) {
            return None;
        }
        match keysym {
            Keysym::PAGE_UP | Keysym::KP_PAGE_UP => Some(Self::Pages(-1)),
            Keysym::PAGE_DOWN | Keysym::KP_PAGE_DOWN => Some(Self::Pages(1)),
            Keysym::HOME | Keysym::KP_HOME => Some(Self::Oldest),
            Keysym::END | Keysym::KP_END => Some(Self::Live),
            _ => None,
        }
    }

    /// Where a viewer looks then that looked at `view`.
    #[must_use]
    pub fn apply(self, view: View, terminal: &Terminal) -> View {
        let (first, live) = (terminal.first_line(), terminal.live_line());
        // A page keeps one line of the last one, by which the eye finds its place.
        let page = i64::from(terminal.rows()).saturating_sub(1).max(1);
        let lines = match self {
            Self::Oldest => return at(first, live),
            Self::Live => return View::Live,
            Self::Lines(lines) => lines,
            Self::Pages(pages) => pages.saturating_mul(page),
        };
        let from = match view {
            View::Live => live,
            View::At(line) => line.clamp(first, live),
        };
        at(from.saturating_add_signed(lines).clamp(first, live), live)
    }
}

fn at(line: u64, live: u64) -> View {
    if line < live { View::At(line) } else { View::Live }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::Options;

    const SHIFT: Held = Held { shift: true, control: false, alt: false, logo: false };

    fn terminal(lines: usize) -> Terminal {
        let mut terminal = Terminal::new(Options { history_lines: 50, ..Options::default() });
        for line in 0..lines {
            terminal.feed(format!("line {line}\r\n").as_bytes());
        }
        terminal
    }

    #[test]
    fn only_shift_alone_makes_a_key_scroll() {
        assert_eq!(ScrollBy::from_key(Keysym::PAGE_UP, SHIFT), Some(ScrollBy::Pages(-1)));
        assert_eq!(ScrollBy::from_key(Keysym::KP_END, SHIFT), Some(ScrollBy::Live));
        assert_eq!(ScrollBy::from_key(Keysym::PAGE_UP, Held::default()), None);
        assert_eq!(ScrollBy::from_key(Keysym::PAGE_UP, Held { control: true, ..SHIFT }), None);
        assert_eq!(ScrollBy::from_key(Keysym::UP, SHIFT), None);
    }

    #[test]
    fn pages_go_back_to_the_oldest_line_and_forth_to_the_live_screen() {
        let terminal = terminal(200);
        let (first, live) = (terminal.first_line(), terminal.live_line());
        assert_eq!(live - first, 50);
        let mut view = View::Live;
        let mut seen = Vec::new();
        for _ in 0..4 {
            view = ScrollBy::Pages(-1).apply(view, &terminal);
            seen.push(view);
        }
        assert_eq!(seen, [live - 24, live - 48, first, first].map(View::At));
        assert_eq!(ScrollBy::Oldest.apply(View::Live, &terminal), View::At(first));
        assert_eq!(ScrollBy::Lines(3).apply(view, &terminal), View::At(first + 3));
        for _ in 0..3 {
            view = ScrollBy::Pages(1).apply(view, &terminal);
        }
        assert_eq!(view, View::Live);
    }

    #[test]
    fn without_history_there_is_only_the_live_screen() {
        let terminal = terminal(3);
        for by in [ScrollBy::Lines(-3), ScrollBy::Pages(-1), ScrollBy::Oldest, ScrollBy::Lines(i64::MIN)] {
            assert_eq!(by.apply(View::Live, &terminal), View::Live, "{by:?}");
        }
    }

    #[test]
    fn a_view_that_history_has_left_behind_goes_on_from_the_oldest_line() {
        let terminal = terminal(500);
        let first = terminal.first_line();
        assert_eq!(ScrollBy::Lines(-1).apply(View::At(0), &terminal), View::At(first));
        assert_eq!(ScrollBy::Lines(2).apply(View::At(0), &terminal), View::At(first + 2));
    }
}
