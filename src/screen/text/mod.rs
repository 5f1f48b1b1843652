//! A terminal's cells as tiles.
//!
//! What is drawn: regular and bold glyphs, italic (the upper half moved right by one pixel), single and double
//! underline, strike-through, combining marks, wide characters, the cursor. Faint text comes as a darker colour from
//! the terminal. Blinking text is shown steadily: on a wire, a blink would be a screen update each half second for
//! ever.

mod damage;
mod ink;
mod overlay;
mod paint;

pub use damage::TextSeen;
pub use overlay::{Banner, ScrollBar, TextOverlay};

use crate::geometry::{Rect, Size};
use crate::rfb::tile::{Colour, Tile, TileBuf, TileSource};
use crate::screen::font::Font;
use crate::terminal::{Cell, CursorShape, Style, Terminal, View, Width};
use ink::{Ink, Part, Rows, ink};

/// What one viewer sees of a terminal: a borrowed moment of it, made anew for each rendering.
#[derive(Debug, Clone, Copy)]
pub struct TextView<'a> {
    /// The cells.
    pub terminal: &'a Terminal,
    /// Where the viewer looks.
    pub view: View,
    /// What the cells are drawn with.
    pub font: &'a Font,
    /// Draw the guest's cursor, when it is visible and the view is live.
    pub show_cursor: bool,
    /// What lies over the text.
    pub overlay: TextOverlay<'a>,
}

impl TileSource for TextView<'_> {
    fn size(&self) -> Size {
        let cell = self.font.cell();
        Size::new(
            self.terminal.columns().saturating_mul(cell.width),
            self.terminal.rows().saturating_mul(cell.height),
        )
    }

    fn has_pixels(&self) -> bool {
        false
    }

    fn tile<'a>(&self, rect: Rect, buf: &'a mut TileBuf) -> Tile<'a> {
        paint::tile(self, rect, buf)
    }
}

/// Where a cursor is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct CursorPlace {
    row: u16,
    /// The first column, and the one after the last: two apart on a wide character.
    columns: (u16, u16),
    shape: CursorShape,
}

/// One cell on its way to a tile.
struct PaintedCell<'a> {
    background: Colour,
    foreground: Colour,
    ink: Ink<'a>,
    /// For [`Ink::Drawn`]. Kept from cell to cell, because to move it costs more than to draw most cells.
    rows: Rows,
}

impl Default for PaintedCell<'_> {
    fn default() -> Self {
        let (background, foreground) = (Colour::BLACK, Colour::BLACK);
        Self { background, foreground, ink: Ink::Blank, rows: Rows::default() }
    }
}

impl<'a> TextView<'a> {
    /// The view with its edge cases resolved: a line that is not in history yet is the live screen, one that is no
    /// longer is the oldest.
    fn effective_view(&self) -> View {
        match self.view {
            View::At(line) if line < self.terminal.live_line() => {
                View::At(line.max(self.terminal.first_line()))
            }
            _ => View::Live,
        }
    }

    /// The cursor as it is to be drawn.
    fn cursor(&self, scratch: &mut Vec<Cell>) -> Option<CursorPlace> {
        if !self.show_cursor || self.effective_view() != View::Live {
            return None;
        }
        let covered = |row| self.overlay.banner.is_some_and(|banner| banner.row == row);
        let cursor = self.terminal.cursor().filter(|cursor| !covered(cursor.row))?;
        let cells = self.terminal.row(View::Live, cursor.row, scratch);
        let columns = match cells.get(usize::from(cursor.column))?.width() {
            Width::Narrow => (cursor.column, cursor.column + 1),
            Width::Wide => (cursor.column, cursor.column + 2),
            Width::Tail => (cursor.column.saturating_sub(1), cursor.column + 1),
        };
        Some(CursorPlace { row: cursor.row, columns, shape: cursor.shape })
    }

    /// Makes the cell at `column` of a row's `cells` ready to be drawn; `terminal` is where they come from.
    fn paint(
        &self,
        (terminal, cells): (&'a Terminal, &[Cell]),
        column: usize,
        cursor: Option<CursorShape>,
        selected: bool,
        painted: &mut PaintedCell<'a>,
    ) {
        let at = |column: usize| cells.get(column).copied().unwrap_or_default();
        let cell = at(column);
        let (cell, part) = match cell.width() {
            Width::Narrow => (cell, Part::Whole),
            Width::Wide => (cell, Part::Left),
            // The right half has nothing of its own; without a left half it is a blank.
            Width::Tail => match column.checked_sub(1).map(at) {
                Some(left) if left.width() == Width::Wide => (left, Part::Right),
                _ => (Cell::BLANK, Part::Whole),
            },
        };
        let style: Style = terminal.style(cell);
        let (mut background, mut foreground) = (Colour(style.background.0), Colour(style.foreground.0));
        if cursor.is_some() && background == foreground {
            // Hidden text hides no cursor.
            foreground = Colour(background.0 ^ Colour::WHITE.0);
        }
        if selected && background == foreground {
            // Hidden text stays hidden, but is seen to be selected.
            background = Colour(background.0 ^ Colour::WHITE.0);
            foreground = background;
        } else if selected != (cursor == Some(CursorShape::Block)) {
            std::mem::swap(&mut background, &mut foreground);
        }
        (painted.background, painted.foreground) = (background, foreground);
        let cluster = terminal.cluster(cell);
        painted.ink = ink(self.font, cluster, style, part, cursor, &mut painted.rows);
    }
}
