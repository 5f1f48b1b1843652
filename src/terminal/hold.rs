//! Synchronized output (private mode 2026): while a program draws a frame, readers see the picture from before it.
//!
//! Nothing is copied: what changes under a hold is not made a generation of its own until the hold ends, so readers
//! that follow the changes have nothing to repaint. One who reads rows all the same, a new viewer, gets what is there.
//!
//! There is no clock here, so a hold ends with whatever comes first: the mode is reset; [`HOLD_BYTES`] or
//! [`HOLD_FEEDS`] have come; a line feed scrolls the whole screen, which is text and no frame (a kernel that
//! panics meanwhile is not hidden); the user types, clicks or pastes; the size changes; the terminal is reset; the
//! owner says so ([`Terminal::release`](super::Terminal::release)). Then a hold begins only after the guest has reset
//! the mode, and what was held is shown before it does.

use super::emulator::Emulator;
use super::modes::Mode;
use super::view::Cursor;

/// The most bytes that one hold lasts: a frame of 80x25 cells, each with a true colour of its own.
const HOLD_BYTES: usize = 64 * 1024;
/// The most feeds that one hold lasts: frames come in a few pieces, lines of text one by one.
const HOLD_FEEDS: u8 = 32;

/// A frame that is being drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hold {
    /// The cursor that readers see.
    pub(super) cursor: Option<Cursor>,
    bytes: usize,
    feeds: u8,
}

impl Emulator {
    /// The mode was set or reset.
    pub(super) fn synchronize(&mut self, was: bool, on: bool) {
        if !on {
            self.release();
        } else if !was {
            // What came before the frame is shown.
            self.damage.commit(true);
            self.hold = Some(Hold { cursor: self.visible_cursor(), bytes: 0, feeds: 0 });
        }
    }

    /// Counts what a feed brought; ends a hold that has lasted long enough.
    pub(super) fn age_hold(&mut self, bytes: usize) {
        if let Some(hold) = &mut self.hold {
            hold.bytes = hold.bytes.saturating_add(bytes);
            hold.feeds = hold.feeds.saturating_add(1);
            if hold.bytes > HOLD_BYTES || hold.feeds > HOLD_FEEDS {
                self.release();
            }
        }
    }

    /// Ends the hold, if there is one: what it held is part of the generation that is made next.
    pub(super) fn release(&mut self) {
        if self.hold.take().is_some() {
            self.damage.end_hold();
        }
    }

    /// The cursor, or `None` while it is hidden.
    pub(super) fn visible_cursor(&self) -> Option<Cursor> {
        let shown = self.modes.has(Mode::CURSOR);
        shown.then_some(Cursor { column: self.cursor.column, row: self.cursor.row, shape: self.shape })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Changes, Modifiers, Options, Terminal, View};
    use super::*;
    use crate::keysym::Keysym;

    fn held() -> Terminal {
        let mut terminal = Terminal::new(Options { columns: 20, rows: 5, ..Options::default() });
        terminal.feed(b"before\x1b[?2026hframe");
        terminal
    }

    #[test]
    fn a_frame_is_shown_when_it_is_complete() {
        let mut terminal = held();
        let seen = terminal.generation();
        assert_eq!(terminal.cursor().map(|c| c.column), Some(6), "what came before is shown");
        terminal.feed(b"\x1b[3;3Hmore\x1b[?2026h");
        let mut changes = Changes::default();
        terminal.changes(View::Live, seen, &mut changes);
        assert!(changes.rows.is_empty() && terminal.generation() == seen && terminal.is_held());
        assert_eq!(terminal.cursor().map(|c| (c.column, c.row)), Some((6, 0)));
        terminal.feed(b"\x1b[?2026l");
        assert!(terminal.generation() > seen && !terminal.is_held());
        terminal.changes(View::Live, seen, &mut changes);
        let rows: Vec<_> = changes.rows.iter().map(|span| (span.row, span.columns.clone())).collect();
        assert_eq!(rows[1], (2, 2..6));
        assert_eq!(terminal.cursor().map(|c| (c.column, c.row)), Some((6, 2)));
    }

    #[test]
    fn no_guest_can_hold_for_ever() {
        type End = fn(&mut Terminal);
        let ends: [(&str, End); 9] = [
            ("bytes", |t| t.feed(&[b"\x1b[?2026h".repeat(HOLD_BYTES / 8), b"x".to_vec()].concat())),
            ("feeds", |t| (0..=HOLD_FEEDS).for_each(|_| t.feed(b"\x1b[?2026h"))),
            ("lines of text", |t| t.feed(b"\r\n\r\n\r\n\r\n\r\n")),
            ("a key", |t| t.key(Keysym::RETURN, Modifiers::default(), &mut Vec::new())),
            ("a paste", |t| t.paste("x", &mut Vec::new())),
            ("a new size", |t| t.resize(30, 5)),
            ("RIS", |t| t.feed(b"\x1bc")),
            ("DECSTR", |t| t.feed(b"\x1b[!p")),
            ("the owner", Terminal::release),
        ];
        for (name, end) in ends {
            let mut terminal = held();
            let seen = terminal.generation();
            end(&mut terminal);
            assert!(!terminal.is_held() && terminal.generation() > seen, "{name}");
        }
        let mut terminal = held();
        terminal.release();
        terminal.feed(b"\x1b[?2026h");
        assert!(!terminal.is_held(), "not again before the mode was reset");
        terminal.feed(b"\x1b[?2026l\x1b[?2026h");
        assert!(terminal.is_held());
    }

    /// One who paints the screen in the middle of a frame that scrolls must not be told to move what it painted.
    #[test]
    fn moves_under_a_hold_are_painted() {
        let mut terminal = held();
        let seen = terminal.generation();
        terminal.feed(b"\x1b[2;4r\x1b[4;1Hx\n\x1b[?2026l");
        let mut changes = Changes::default();
        terminal.changes(View::Live, seen, &mut changes);
        assert_eq!((changes.scroll, changes.rows.len()), (None, 5));
    }
}
