//! The short notice that a viewer sees after the seat has moved it to another VT by itself: where it is, and how to get
//! back.

use std::time::{Duration, Instant};

use super::chord::{Chord, Target};
use super::machine::Seat;
use super::vt::VtNumber;
use crate::geometry::{Rect, Size};
use crate::screen::{Font, Sprite, TextOverlay, TextView, picture};
use crate::terminal::{FunctionKeys, Options, Terminal, View};

/// How long it stays: to be read, not to be in the way.
pub const NOTICE: Duration = Duration::from_secs(3);

/// The distance from the upper edge, in pixels.
const MARGIN: i32 = 8;

/// A notice on a viewer's screen.
#[derive(Debug)]
pub(super) struct Notice {
    sprite: Sprite,
    /// When it goes; `None` until it has been shown.
    until: Option<Instant>,
}

impl Notice {
    /// A notice that says `text`, which is ours.
    pub(super) fn new(text: &str, font: &Font) -> Self {
        let mut terminal = Terminal::new(Options {
            columns: u16::try_from(text.chars().count() + 2).unwrap_or(u16::MAX),
            rows: 1,
            history_lines: 0,
            function_keys: FunctionKeys::Auto,
        });
        // No wrapping, no cursor, white on blue.
        terminal.feed(format!("\x1b[?7l\x1b[?25l\x1b[97;44m {text} ").as_bytes());
        let view = TextView {
            terminal: &terminal,
            view: View::Live,
            font,
            show_cursor: false,
            overlay: TextOverlay::default(),
        };
        Self { sprite: Sprite { x: 0, y: MARGIN, picture: picture(&view), opacity: None }, until: None }
    }

    /// It, in the middle of the upper edge of a screen of this size. From the first call on its time runs.
    pub(super) fn place(&mut self, screen: Size, now: Instant) -> &Sprite {
        self.until.get_or_insert(now + NOTICE);
        self.sprite.x = (i32::from(screen.width) - i32::from(self.sprite.picture.size.width)) / 2;
        &self.sprite
    }

    /// What it covers of a screen of this size.
    pub(super) fn area(&self, screen: Size) -> Rect {
        self.sprite.area(screen)
    }

    /// When it goes.
    pub(super) const fn until(&self) -> Option<Instant> {
        self.until
    }
}

impl Seat {
    /// Tells a viewer that it was moved, unless that is not wanted.
    pub(super) fn give_notice(&mut self, at: usize) {
        if !self.options.notices {
            return;
        }
        let font = self.font();
        let Some(vt) = self.viewers.get(at).map(|viewer| viewer.vt) else { return };
        let text = match self.vt(vt) {
            Some(vt) if vt.graphics().is_some() => {
                let back = self.way_to(vt.number, VtNumber::CONSOLE).unwrap_or_default();
                format!("{}: the guest's display{back}", vt.number)
            }
            _ => format!("{vt}: the guest's display is gone"),
        };
        if let Some(viewer) = self.viewers.get_mut(at) {
            viewer.notice = Some(Notice::new(&text, font));
        }
    }

    /// The chord that leads from one VT to another, in words.
    fn way_to(&self, from: VtNumber, to: VtNumber) -> Option<String> {
        let leads = |chord: &&Chord| chord.to == Target::Vt(to) && chord.from.is_none_or(|have| have == from);
        let chord = self.options.chords.iter().find(leads)?;
        let keys = Chord { from: None, ..chord.clone() }.to_string();
        let keys = keys.split(" ->").next().unwrap_or_default();
        Some(format!(" ({keys}: console)"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screen::FontSize;

    #[test]
    fn it_lies_in_the_middle_and_goes_after_its_time() {
        let mut notice = Notice::new("F7: the guest's display", Font::builtin(FontSize::default()));
        let screen = Size::new(800, 600);
        assert_eq!(notice.until(), None);
        let start = Instant::now();
        notice.place(screen, start);
        notice.place(screen, start + NOTICE / 2);
        assert_eq!(notice.until(), Some(start + NOTICE));
        let area = notice.area(screen);
        assert_eq!(i32::from(area.x), (800 - i32::from(area.width)) / 2);
        assert!(screen.rect().contains(area) && area.height > 10);
        // On a screen that is too small for it, its middle shows.
        notice.place(Size::new(20, 12), start);
        assert_eq!(notice.area(Size::new(20, 12)), Rect::new(0, 8, 20, 4));
    }
}
