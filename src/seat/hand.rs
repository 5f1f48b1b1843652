//! A viewer's hand on the text: selecting with the mouse, and dragging the scroll bar.
//!
//! The left button selects: by characters, with a second click by words, with a third by lines, with Alt or Control a
//! block; the right button moves the end. While the button is held along the upper or lower edge, the view scrolls on.
//! What was selected goes away when its text changes.

use std::time::{Duration, Instant};

use super::keys::Held;
use super::pointer::CellPlace;
use super::scroll::ScrollBy;
use super::viewer::Viewer;
use crate::screen::{Font, ScrollBar, TextOverlay, TextView};
use crate::terminal::{MouseButton, Place, SelectBy, Selected, Terminal, View};

/// A second press at the same cell within this time is a double click.
pub(super) const DOUBLE_CLICK: Duration = Duration::from_millis(500);
/// While the pointer is dragged along an edge, the view scrolls by a line each time.
pub(super) const EDGE_SCROLL: Duration = Duration::from_millis(40);
/// The longest text that is copied, in bytes; a longer one is cut. It is what RFB's cut text takes.
pub const SELECTION_BYTES: usize = 1 << 20;

/// What is selected, and how it came about.
#[derive(Debug)]
struct Selection {
    anchor: Place,
    head: Place,
    by: SelectBy,
    /// `None` while a first click has not been dragged.
    selected: Option<Selected>,
    /// The width of the screen then; with another, text has moved.
    columns: u16,
    /// The terminal's generation when the text was last looked at.
    generation: u64,
    /// Lines from this one on could still change then.
    unsettled: u64,
    digest: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Doing {
    #[default]
    Nothing,
    Select,
    /// Drags the bar's thumb, held this far below its upper edge.
    Bar(u16),
}

/// The first press of what may become a double click.
#[derive(Debug, Clone, Copy)]
struct Click {
    at: Instant,
    place: Place,
    count: u8,
}

/// What one viewer's pointer does to text.
#[derive(Debug, Default)]
pub(super) struct Hand {
    selection: Option<Selection>,
    doing: Doing,
    click: Option<Click>,
    /// When the view scrolls on; where the pointer is, and whether upwards.
    edge: Option<(Instant, CellPlace, bool)>,
}

impl Hand {
    /// What is shown as selected.
    pub(super) fn selected(&self) -> Option<Selected> {
        self.selection.as_ref().and_then(|selection| selection.selected)
    }

    /// Whether a drag is under way, of which the guest is told nothing.
    pub(super) fn is_busy(&self) -> bool {
        self.doing != Doing::Nothing
    }

    /// When the view scrolls on because the pointer is at an edge.
    pub(super) fn scroll_at(&self) -> Option<Instant> {
        self.edge.map(|(at, ..)| at)
    }

    /// Forgets everything: the viewer looks at something else.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Nothing is selected any more.
    pub(super) fn deselect(&mut self) {
        self.selection = None;
    }

    /// Selects what was found.
    pub(super) fn select(&mut self, terminal: &Terminal, selected: Selected) {
        let (first, last) = (selected.first, selected.last);
        self.selection = Some(Selection::new(terminal, first, last, SelectBy::Characters, Some(selected)));
    }

    /// Lets go of a selection whose text is no longer what was selected.
    pub(super) fn check(&mut self, terminal: &Terminal) {
        if self.selection.as_mut().is_some_and(|selection| !selection.still_there(terminal)) {
            self.selection = None;
            if self.doing == Doing::Select {
                (self.doing, self.edge) = (Doing::Nothing, None);
            }
        }
    }
}

impl Selection {
    fn new(
        terminal: &Terminal,
        anchor: Place,
        head: Place,
        by: SelectBy,
        selected: Option<Selected>,
    ) -> Self {
        let mut new = Self {
            anchor,
            head,
            by,
            selected,
            columns: terminal.columns(),
            generation: 0,
            unsettled: 0,
            digest: 0,
        };
        new.note(terminal);
        new
    }

    /// Notes what the text is now.
    fn note(&mut self, terminal: &Terminal) {
        self.generation = terminal.generation();
        self.unsettled = terminal.live_line();
        self.digest = self.selected.map_or(0, |selected| terminal.digest(&selected, self.unsettled));
    }

    fn still_there(&mut self, terminal: &Terminal) -> bool {
        if self.generation == terminal.generation() {
            return true;
        }
        let Some(selected) = &self.selected else { return true };
        let same = self.columns == terminal.columns()
            && selected.first.line >= terminal.first_line()
            && self.digest == terminal.digest(selected, self.unsettled);
        self.note(terminal);
        same
    }

    fn extend(&mut self, terminal: &Terminal, head: Place) {
        // A click without a drag selects nothing.
        if self.head == head && (self.selected.is_some() || self.by == SelectBy::Characters) {
            return;
        }
        self.head = head;
        self.selected = Some(terminal.select(self.anchor, head, self.by));
        self.note(terminal);
    }
}

/// The place in the text that is shown at a cell of the screen.
fn place(terminal: &Terminal, view: View, cell: CellPlace) -> Place {
    Place { line: terminal.top_line(view) + u64::from(cell.row), column: cell.column }
}

impl Viewer {
    /// The view of a terminal with what lies over it for this viewer.
    pub(super) fn text_view<'a>(&'a self, terminal: &'a Terminal, font: &'a Font) -> TextView<'a> {
        let overlay = TextOverlay { selection: self.hand.selected(), scroll_bar: true, banner: None };
        TextView { terminal, view: self.view, font, show_cursor: true, overlay }
    }

    /// Takes a press that is not the guest's; true when it was one of the hand's.
    pub(super) fn hand_press(
        &mut self,
        terminal: &Terminal,
        font: &Font,
        button: MouseButton,
        (cell, y): (CellPlace, u16),
        held: Held,
        now: Instant,
    ) -> bool {
        let at = place(terminal, self.view, cell);
        match button {
            MouseButton::Left => {}
            MouseButton::Right => {
                if let Some(selection) = &mut self.hand.selection {
                    selection.extend(terminal, at);
                    self.hand.doing = Doing::Select;
                }
                return true;
            }
            _ => return false,
        }
        if self.view != View::Live
            && cell.column + 1 == terminal.columns()
            && let Some(bar) = ScrollBar::new(&self.text_view(terminal, font))
        {
            let on_thumb = y.checked_sub(bar.top).filter(|below| *below < bar.length);
            // Elsewhere the thumb jumps to the hand.
            self.hand.doing = Doing::Bar(on_thumb.unwrap_or(bar.length / 2));
            self.drag_bar(terminal, font, y);
            return true;
        }
        let count = match self.hand.click {
            Some(click) if click.place == at && now.saturating_duration_since(click.at) < DOUBLE_CLICK => {
                click.count % 3 + 1
            }
            _ => 1,
        };
        self.hand.click = Some(Click { at: now, place: at, count });
        let by = match count {
            2 => SelectBy::Words,
            3 => SelectBy::Lines,
            _ if held.alt || held.control => SelectBy::Block,
            _ => SelectBy::Characters,
        };
        let selected = (count > 1).then(|| terminal.select(at, at, by));
        self.hand.selection = Some(Selection::new(terminal, at, at, by, selected));
        self.hand.doing = Doing::Select;
        true
    }

    /// Follows the pointer while a button is held for the hand.
    pub(super) fn hand_drag(
        &mut self,
        terminal: &Terminal,
        font: &Font,
        (cell, y): (CellPlace, u16),
        now: Instant,
    ) {
        match self.hand.doing {
            Doing::Nothing => {}
            Doing::Bar(_) => self.drag_bar(terminal, font, y),
            Doing::Select => {
                let at = place(terminal, self.view, cell);
                if let Some(selection) = &mut self.hand.selection {
                    selection.extend(terminal, at);
                }
                // A pointer cannot leave the picture: its outermost pixels stand for what is beyond.
                let bottom = terminal.rows().saturating_mul(font.cell().height).saturating_sub(1);
                let up = y == 0;
                self.hand.edge = match self.hand.edge {
                    Some((at, _, was_up)) if (up || y >= bottom) && was_up == up => Some((at, cell, up)),
                    _ => (up || y >= bottom).then(|| (now + EDGE_SCROLL, cell, up)),
                };
            }
        }
    }

    fn drag_bar(&mut self, terminal: &Terminal, font: &Font, y: u16) {
        if let Doing::Bar(grip) = self.hand.doing
            && let Some(bar) = ScrollBar::new(&self.text_view(terminal, font))
        {
            self.view = bar.view_at(y.saturating_sub(grip));
        }
    }

    /// Scrolls on while the pointer is held at an edge.
    pub(super) fn hand_late(&mut self, terminal: &Terminal, now: Instant) {
        let Some((_, cell, up)) = self.hand.edge.filter(|(at, ..)| *at <= now) else { return };
        let before = self.view;
        self.view = ScrollBy::Lines(if up { -1 } else { 1 }).apply(self.view, terminal);
        if let Some(selection) = &mut self.hand.selection {
            selection.extend(terminal, place(terminal, self.view, cell));
        }
        self.hand.edge = (before != self.view).then_some((now + EDGE_SCROLL, cell, up));
    }

    /// The button was let go: the text that is now to be copied.
    pub(super) fn hand_release(&mut self, terminal: &Terminal) -> Option<String> {
        let doing = std::mem::take(&mut self.hand.doing);
        self.hand.edge = None;
        if doing != Doing::Select {
            return None;
        }
        let text = terminal.selected_text(&self.hand.selected()?, SELECTION_BYTES);
        (!text.is_empty()).then_some(text)
    }
}
