//! What one viewer sees over a terminal's text: what it selected, a scroll bar, a line of our own.

use super::{PaintedCell, TextSeen, TextView};
use crate::geometry::{Rect, Region};
use crate::rfb::tile::{Colour, TileSource};
use crate::screen::font::MAX_CELL_HEIGHT;
use crate::screen::text::ink::{Ink, left_mask};
use crate::terminal::{Scroll, Selected, Terminal, View};

/// What lies over the text; nothing by default.
#[derive(Debug, Clone, Copy, Default)]
pub struct TextOverlay<'a> {
    /// Shown inverted.
    pub selection: Option<Selected>,
    /// Show a bar in the last column while the view is scrolled back. The live screen is never covered by it.
    pub scroll_bar: bool,
    /// A line of text instead of one of the terminal's.
    pub banner: Option<Banner<'a>>,
}

/// A line of our own: the prompt of a search, what a paste is doing.
#[derive(Debug, Clone, Copy)]
pub struct Banner<'a> {
    /// Its text is the first row of this terminal, which has as many columns as the one below.
    pub terminal: &'a Terminal,
    /// A number that tells the text from any other.
    pub digest: u64,
    /// The row of the screen in which it is shown.
    pub row: u16,
}

/// Of the scroll bar's way.
const TRACK: Colour = Colour::rgb(0x30, 0x30, 0x30);
/// Of the part that says what is shown.
const THUMB: Colour = Colour::rgb(0xa8, 0xa8, 0xa8);

/// A scroll bar: how high it is, and where the thumb stands for what the view shows of all lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScrollBar {
    /// The thumb's first pixel row.
    pub top: u16,
    /// The thumb's height in pixels.
    pub length: u16,
    /// How far down the thumb can go, in pixels.
    way: u16,
    /// The oldest line.
    first: u64,
    /// The first line of the live screen.
    live: u64,
}

impl ScrollBar {
    /// The bar of a view; `None` when there is no history.
    #[must_use]
    pub fn new(view: &TextView<'_>) -> Option<Self> {
        let terminal = view.terminal;
        let (first, live) = (terminal.first_line(), terminal.live_line());
        let height = u64::from(view.size().height);
        let back = live.checked_sub(first).filter(|lines| *lines > 0)?;
        let shown = u64::from(terminal.rows());
        // No smaller than a hand can hold.
        let length = (height * shown / (back + shown)).max(u64::from(view.font.cell().height)).min(height);
        let way = height - length;
        let top = way * (terminal.top_line(view.view) - first) / back;
        let pixels = |length: u64| u16::try_from(length).unwrap_or(u16::MAX);
        Some(Self { top: pixels(top), length: pixels(length), way: pixels(way), first, live })
    }

    /// Where a viewer looks when the thumb's first pixel row is at `top`.
    #[must_use]
    pub fn view_at(&self, top: u16) -> View {
        let (top, way) = (u64::from(top.min(self.way)), u64::from(self.way.max(1)));
        let line = self.first + ((self.live - self.first) * top + way / 2) / way;
        if line < self.live { View::At(line) } else { View::Live }
    }
}

/// What a viewer's picture shows over the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct SeenOverlay {
    /// The line in the first row.
    top: u64,
    selection: Option<Selected>,
    bar: Option<(u16, u16)>,
    banner: Option<(u64, u16)>,
}

impl<'a> TextView<'a> {
    /// What lies over the text in this view.
    pub(super) fn seen_overlay(&self) -> SeenOverlay {
        SeenOverlay {
            top: self.terminal.top_line(self.view),
            selection: self.overlay.selection,
            bar: self.scroll_bar().map(|bar| (bar.top, bar.length)),
            banner: self.overlay.banner.map(|banner| (banner.digest, banner.row)),
        }
    }

    /// The scroll bar, where it is to be drawn.
    pub(super) fn scroll_bar(&self) -> Option<ScrollBar> {
        let wanted = self.overlay.scroll_bar && self.effective_view() != View::Live;
        wanted.then(|| ScrollBar::new(self)).flatten()
    }

    /// The terminal and its row that a row of the screen shows.
    pub(super) fn source(&self, row: u16) -> (&'a Terminal, View, u16) {
        match self.overlay.banner.filter(|banner| banner.row == row) {
            Some(banner) => (banner.terminal, View::Live, 0),
            None => (self.terminal, self.effective_view(), row),
        }
    }

    /// The columns that are selected in a row of the screen.
    pub(super) fn selected(&self, row: u16) -> std::ops::Range<u16> {
        let covered = self.overlay.banner.is_some_and(|banner| banner.row == row);
        let line = self.terminal.top_line(self.view) + u64::from(row);
        match self.overlay.selection.filter(|_| !covered) {
            Some(selected) => selected.columns(line, self.terminal.columns()),
            None => 0..0,
        }
    }

    /// Draws the part of the scroll bar that is in `row`.
    pub(super) fn paint_bar(&self, bar: &ScrollBar, row: u16, painted: &mut PaintedCell<'_>) {
        let cell = self.font.cell();
        let thumb = u32::from(bar.top)..u32::from(bar.top) + u32::from(bar.length);
        // A pixel of the track shows to the left and right of the thumb.
        let bits = left_mask(u32::from(cell.width.saturating_sub(2))) >> 1;
        let first = u32::from(row) * u32::from(cell.height);
        for (y, pixels) in (first..).zip(painted.rows.iter_mut().take(MAX_CELL_HEIGHT)) {
            *pixels = if thumb.contains(&y) { bits } else { 0 };
        }
        (painted.background, painted.foreground, painted.ink) = (TRACK, THUMB, Ink::Drawn);
    }

    /// Adds to `region` what differs because of what lies over the text, for a viewer whose picture, of the same size
    /// and place in history, shows `seen`, once it has made the move of text that is `scroll`.
    pub(super) fn overlay_damage(&self, seen: &TextSeen, scroll: Option<Scroll>, region: &mut Region) {
        let (old, new) = (seen.overlay, self.seen_overlay());
        if old == (SeenOverlay { top: old.top, ..SeenOverlay::default() })
            && new == (SeenOverlay { top: new.top, ..SeenOverlay::default() })
        {
            return;
        }
        let (columns, rows) = (self.terminal.columns(), self.terminal.rows());
        let selected = |overlay: &SeenOverlay, row: u16| {
            let line = overlay.top + u64::from(row);
            overlay.selection.map_or(0..0, |selected| selected.columns(line, columns))
        };
        let mut add = |row: u16, columns: std::ops::Range<u16>| {
            let cells: Rect = self.cells(row, columns.start, columns.end);
            if !cells.is_empty() {
                region.add(cells);
            }
        };
        for row in 0..rows {
            let (before, now) = (selected(&old, row), selected(&new, row));
            if before != now || scroll.is_some() {
                add(row, before.clone());
                add(row, now);
                // A move carries the old picture along.
                if let Some(to) = scroll.and_then(|scroll| super::damage::moved(scroll, row)) {
                    add(to, before);
                }
            }
        }
        if old.bar != new.bar || (scroll.is_some() && new.bar.is_some()) {
            (0..rows).for_each(|row| add(row, columns.saturating_sub(1)..columns));
        }
        if old.banner != new.banner || scroll.is_some() {
            for (_, row) in [old.banner, new.banner].into_iter().flatten() {
                add(row, 0..columns);
                if let Some(to) = scroll.and_then(|scroll| super::damage::moved(scroll, row)) {
                    add(to, 0..columns);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screen::{Font, FontSize};
    use crate::terminal::Options;

    fn terminal(lines: u32) -> Terminal {
        let mut terminal =
            Terminal::new(Options { columns: 20, rows: 10, history_lines: 1000, ..Options::default() });
        (0..lines).for_each(|line| terminal.feed(format!("line {line}\r\n").as_bytes()));
        terminal
    }

    fn view(terminal: &Terminal, view: View) -> TextView<'_> {
        let overlay = TextOverlay { scroll_bar: true, ..TextOverlay::default() };
        TextView { terminal, view, font: Font::builtin(FontSize::default()), show_cursor: true, overlay }
    }

    #[test]
    fn the_thumb_stands_for_what_is_shown() {
        let terminal = terminal(99);
        let live = terminal.live_line();
        assert_eq!(live, 90);
        let bar = |line| ScrollBar::new(&view(&terminal, View::At(line))).unwrap();
        // A tenth of 160 pixels, at the top, in the middle, and at the bottom.
        assert_eq!(
            [bar(0), bar(45), bar(90)].map(|bar| (bar.top, bar.length)),
            [(0, 16), (72, 16), (144, 16)]
        );
        for line in 0..live {
            let View::At(back) = bar(line).view_at(bar(line).top) else {
                panic!("{line} is the live screen")
            };
            assert!(back.abs_diff(line) <= 1, "{line} {back}");
        }
        assert_eq!(bar(3).view_at(u16::MAX), View::Live);
        assert_eq!(bar(3).view_at(0), View::At(0));
    }

    #[test]
    fn the_bar_is_shown_over_history_only() {
        let terminal = terminal(5000);
        assert_eq!(view(&terminal, View::Live).scroll_bar(), None);
        assert_eq!(view(&terminal, View::At(u64::MAX)).scroll_bar(), None);
        let bar = view(&terminal, View::At(0)).scroll_bar().unwrap();
        assert_eq!((bar.top, bar.length), (0, 16), "as small as it gets");
        assert_eq!(ScrollBar::new(&view(&self::terminal(0), View::At(0))), None);
    }
}
