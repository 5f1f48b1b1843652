//! What a reader of a [`Terminal`](super::Terminal) names and is told: views, changes, cursor, events.

use std::ops::Range;

/// Where a viewer looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum View {
    /// At the screen that the guest writes on.
    #[default]
    Live,
    /// Scrolled back: the absolute number of the line in the first row. A number older than the oldest line means
    /// the oldest line, one that is not in history yet means the live screen.
    At(u64),
}

/// The outline of the cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CursorShape {
    /// The whole cell.
    #[default]
    Block,
    /// A line below the character.
    Underline,
    /// A line to the left of the character.
    Bar,
}

/// A visible cursor on the live screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// Column from the left, from 0; always on the screen.
    pub column: u16,
    /// Row from the top, from 0; always on the screen.
    pub row: u16,
    /// How it is drawn.
    pub shape: CursorShape,
}

/// Rows that moved as one block, over the whole width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scroll {
    /// The first row of the block.
    pub top: u16,
    /// The first row below the block.
    pub bottom: u16,
    /// By how many rows the text moved up; negative when it moved down. Never 0, and less than the block's height.
    pub lines: i16,
}

/// Cells of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowSpan {
    /// The row, from 0.
    pub row: u16,
    /// The columns, never empty.
    pub columns: Range<u16>,
}

/// What differs for a reader that saw an earlier generation: apply `scroll` first, then repaint `rows`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// A move of text to make before anything else; the rows that it uncovers are among `rows`.
    pub scroll: Option<Scroll>,
    /// Cells to paint anew, in ascending order of rows, each row at most once.
    pub rows: Vec<RowSpan>,
    /// The generation that the reader has seen once it has done so.
    pub generation: u64,
}

/// What the terminal tells its owner; see [`Terminal::poll_event`](super::Terminal::poll_event).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An answer to a query of the guest, to be sent to the console, if nobody else answers there.
    Reply(Vec<u8>),
    /// BEL: at most one is queued at a time.
    Bell,
    /// The guest named its window. At most [`TITLE_CHARS`] characters, none of them a control character.
    Title(String),
    /// The guest wants this text in the clipboard of whoever uses it (OSC 52): at most [`CLIPBOARD_BYTES`], with any
    /// characters; empty to clear it. Whether it may is the owner's policy. Of several only the last is queued.
    Clipboard(String),
}

/// The longest text that a guest can hand over for the clipboard, in bytes.
pub const CLIPBOARD_BYTES: usize = super::parser::CLIPBOARD_TEXT_BYTES / 4 * 3;

/// The longest title that is kept, in characters: more than any title bar shows.
pub const TITLE_CHARS: usize = 256;
