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
