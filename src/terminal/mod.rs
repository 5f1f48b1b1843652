//! The terminal emulator: bytes of a console in, cells out.
//!
//! A [`Terminal`] does no input or output. Feed it bytes, then take its events; read its rows at any time. Every
//! input is treated as hostile: memory is bounded and no byte costs more than a screenful of work.

mod cell;
mod keyboard;
mod mouse;
mod style;
mod view;

use std::ops::Range;

pub use cell::{Cell, Width};
pub use keyboard::{FunctionKeys, Modifiers};
pub use mouse::{MouseAction, MouseButton, MouseEvent};
pub use style::{CLUSTER_MARKS, Cluster, Rgb, Style};
pub use view::{Changes, Cursor, CursorShape, Event, RowSpan, Scroll, TITLE_CHARS, View};

use crate::keysym::Keysym;

/// How a [`Terminal`] is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Columns, 2 to [`MAX_COLUMNS`]; values outside are clamped.
    pub columns: u16,
    /// Rows, 1 to [`MAX_ROWS`]; values outside are clamped.
    pub rows: u16,
    /// Lines that are kept after they left the screen.
    pub history_lines: usize,
    /// The bytes that some function keys send.
    pub function_keys: FunctionKeys,
}

impl Default for Options {
    fn default() -> Self {
        Self { columns: 80, rows: 25, history_lines: 1000, function_keys: FunctionKeys::default() }
    }
}

/// The widest terminal, in columns: a screen of 8K with the smallest font.
pub const MAX_COLUMNS: u16 = 1280;
/// The highest terminal, in rows.
pub const MAX_ROWS: u16 = 512;

/// A terminal.
#[derive(Debug)]
pub struct Terminal {
    columns: u16,
    rows: u16,
    generation: u64,
}

impl Terminal {
    /// A terminal with a blank screen.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            columns: options.columns.clamp(2, MAX_COLUMNS),
            rows: options.rows.clamp(1, MAX_ROWS),
            generation: 1,
        }
    }

    /// Takes what the guest wrote: any bytes, split anywhere.
    pub fn feed(&mut self, _bytes: &[u8]) {}

    /// The next event, oldest first. The queue is bounded; what does not fit is dropped.
    pub fn poll_event(&mut self) -> Option<Event> {
        None
    }

    /// The width of the screen, in columns.
    #[must_use]
    pub const fn columns(&self) -> u16 {
        self.columns
    }

    /// The height of the screen, in rows.
    #[must_use]
    pub const fn rows(&self) -> u16 {
        self.rows
    }

    /// Changes the size of the screen; values are clamped as in [`Options`]. Text stays at the bottom.
    pub fn resize(&mut self, columns: u16, rows: u16) {
        self.columns = columns.clamp(2, MAX_COLUMNS);
        self.rows = rows.clamp(1, MAX_ROWS);
        self.generation += 1;
    }

    /// A number that grows with every visible change, the cursor's included. It starts at 1, so that 0 is the
    /// generation of one who has seen nothing.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// The absolute number of the oldest line in history. Numbers are never used twice.
    #[must_use]
    pub const fn first_line(&self) -> u64 {
        0
    }

    /// The absolute number of the screen's first row.
    #[must_use]
    pub const fn live_line(&self) -> u64 {
        0
    }

    /// The cells of row `row` of `view`, exactly [`Terminal::columns`] of them; blanks for a row that does not
    /// exist. `scratch` is used where they must be unpacked first.
    #[must_use]
    pub fn row<'a>(&'a self, _view: View, _row: u16, scratch: &'a mut Vec<Cell>) -> &'a [Cell] {
        scratch.clear();
        scratch.resize(usize::from(self.columns), Cell::BLANK);
        scratch
    }

    /// The cursor on the live screen, or `None` while it is hidden.
    #[must_use]
    pub const fn cursor(&self) -> Option<Cursor> {
        Some(Cursor { column: 0, row: 0, shape: CursorShape::Block })
    }

    /// How a cell read from this terminal is drawn.
    #[must_use]
    pub const fn style(&self, _cell: Cell) -> Style {
        Style {
            foreground: Rgb(0x00aa_aaaa),
            background: Rgb(0),
            bold: false,
            dim: false,
            italic: false,
            underline: false,
            double_underline: false,
            blink: false,
            strike: false,
        }
    }

    /// The character of a cell read from this terminal, with its combining marks.
    #[must_use]
    pub const fn cluster(&self, _cell: Cell) -> Cluster<'_> {
        Cluster { base: ' ', marks: &[] }
    }

    /// What differs for a reader who saw generation `since` of the same view; `out` is overwritten.
    pub fn changes(&self, _view: View, since: u64, out: &mut Changes) {
        out.scroll = None;
        out.rows.clear();
        out.generation = self.generation;
        if since < self.generation {
            out.rows.extend((0..self.rows).map(|row| RowSpan { row, columns: 0..self.columns }));
        }
    }

    /// Tells that every reader has seen `generation`, so that column spans can start anew. A reader that has not
    /// is still told the truth, but by whole rows.
    pub const fn forget_changes_before(&mut self, _generation: u64) {}

    /// Appends to `out` what the guest is sent for a press of `key`.
    pub fn key(&mut self, key: Keysym, _modifiers: Modifiers, out: &mut Vec<u8>) {
        if let Some(c) = key.to_char() {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }

    /// Appends to `out` a mouse report; true when the guest asked for mouse reports and got this one.
    pub fn mouse(&mut self, _event: MouseEvent, _out: &mut Vec<u8>) -> bool {
        false
    }

    /// True when the guest asked for reports of buttons: clicks and wheel are its own.
    #[must_use]
    pub const fn wants_mouse(&self) -> bool {
        false
    }

    /// True while the alternate screen is shown, which has no history.
    #[must_use]
    pub const fn is_alternate(&self) -> bool {
        false
    }

    /// Appends to `out` what the guest is sent for pasted text.
    pub fn paste(&mut self, text: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(text.as_bytes());
    }

    /// Appends to `out` a focus report where the guest asked for them.
    pub fn focus(&mut self, _focused: bool, _out: &mut Vec<u8>) {}

    /// The plain text of the absolute lines `lines`, trailing blanks cut; a line that continues on the next row is
    /// not broken. Lines that are not kept are left out.
    #[must_use]
    pub fn text(&self, _lines: Range<u64>) -> String {
        String::new()
    }
}

impl Default for Terminal {
    fn default() -> Self {
        Self::new(Options::default())
    }
}
