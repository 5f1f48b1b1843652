//! The terminal emulator: bytes of a console in, cells out.
//!
//! A [`Terminal`] does no input or output. Feed it bytes, then take its events; read its rows at any time. Every
//! input is treated as hostile: memory is bounded and no byte costs more than a screenful of work.
//!
//! | file | what it does |
//! |---|---|
//! | `parser`, `utf8` | bytes to actions; knows no meaning |
//! | `actions`, `dispatch` | what the parser tells, and which sequence does what |
//! | `emulator`, `lines`, `clusters` | printing; floods of plain lines; grapheme clusters |
//! | `scroll`, `edit`, `rectangles`, `reflow` | wrapping, margins, scrolling; cursor, erasing, inserting; rectangles; size |
//! | `sgr`, `charset`, `modes`, `tabs`, `palette`, `width` | small state |
//! | `strings`, `reports` | OSC and DCS; answers and events |
//! | `cell`, `ink`, `tables`, `intern` | a position of the screen in eight bytes, and what does not fit |
//! | `grid`, `history` | the screen; lines that left it |
//! | `hold` | synchronized output |
//! | `damage`, `read` | what changed since when; rows, styles and text for readers |
//! | `selection`, `search` | text between two places; finding it |
//! | `keyboard`, `mouse` | input to bytes |
//!
//! `scripts/terminal-oracle` compares what random sequences and recorded programs do here with two other emulators
//! (`alacritty_terminal`, `avt`) where those agree. What we do otherwise on purpose:
//!
//! | what | here | reason |
//! |---|---|---|
//! | EL, ED, ECH, DCH, ICH, IND, RI and line feeds after the last column was written | forget that the next character wraps; EL erases the last column | xterm, DEC's terminals, Linux |
//! | IL, DL | the cursor goes to the first column | VT220, xterm |
//! | DECALN | resets region and origin mode, homes the cursor | VT510 |
//! | `CSI ? 1049 h` on the alternate screen | clears it again | xterm |
//! | DECAWM off | the last column never waits, so that turning it on again does not wrap | Linux |
//! | DECRC | also restores the shift (SI or SO), and origin mode where nothing was saved | VT220, xterm |
//! | insert mode, a wide character that wraps | moves the text of the row that it comes to | it is inserted there |
//! | CHA in origin mode | keeps its row | VT510; the two others move it |
//! | REP | at most a screenful, and only right after a character | the guest may be hostile; ECMA-48, xterm |
//! | RIS | the screen goes into history first | a boot loader's reset must not hide what came before |
//! | marks | kept with their character, at most seven | `avt` shows each in a cell of its own |
//! | DECSLRM, DECLRMM, DECBI, DECFI, DECIC, DECDC, SL, SR, DECCARA, DECRARA | there | VT420; the two others lack them |
//! | widths | those of single characters (the crate `unicode-width`), unless the guest sets private mode 2027 | programs count with `wcwidth` |
//! | DECCOLM | clears the screen and keeps its width | the width is the viewers' business |
//! | OSC 8 | the text without its link | a guest does not point its viewers anywhere |
//!
//! Left out: lines of double size, VT52, soft character sets, user-defined keys, printers, graphics, and what tells the
//! guest about the user: answers about titles, window positions and the clipboard.

mod actions;
mod cell;
mod charset;
mod clusters;
mod damage;
mod dispatch;
mod edit;
mod emulator;
mod grid;
mod history;
mod hold;
mod ink;
mod intern;
mod keyboard;
mod lines;
mod modes;
mod mouse;
mod packing;
mod palette;
mod parser;
mod paste;
mod read;
mod rectangles;
mod reflow;
mod reports;
mod scroll;
mod search;
mod selection;
mod sgr;
mod strings;
mod style;
mod tables;
mod tabs;
mod utf8;
mod view;
mod width;

pub use cell::{Cell, Width};
pub use keyboard::{FunctionKeys, Modifiers};
pub use mouse::{MouseAction, MouseButton, MouseEvent};
pub use paste::PASTE_BRACKETS;
pub use search::{Direction, Found, NEEDLE_CHARS, Needle};
pub use selection::{Place, SelectBy, Selected};
pub use style::{CLUSTER_MARKS, Cluster, Rgb, Style};
pub use view::{CLIPBOARD_BYTES, Changes, Cursor, CursorShape, Event, RowSpan, Scroll, TITLE_CHARS, View};

use crate::keysym::Keysym;
use emulator::Emulator;
use keyboard::Keyboard;
use modes::Mode;
use parser::Parser;

/// How a [`Terminal`] is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Columns, [`MIN_COLUMNS`] to [`MAX_COLUMNS`]; values outside are clamped.
    pub columns: u16,
    /// Rows, 1 to [`MAX_ROWS`]; values outside are clamped.
    pub rows: u16,
    /// Lines that are kept after they left the screen; one that was wrapped counts once. They take no more than 240 bytes
    /// on average: of lines that take more, fewer are kept.
    pub history_lines: usize,
    /// The bytes that some function keys send.
    pub function_keys: FunctionKeys,
}

impl Default for Options {
    fn default() -> Self {
        Self { columns: 80, rows: 25, history_lines: 10_000, function_keys: FunctionKeys::default() }
    }
}

/// The narrowest terminal, in columns: a wide character must fit.
pub const MIN_COLUMNS: u16 = 2;
/// The widest terminal, in columns: a screen of 8K with the smallest font.
pub const MAX_COLUMNS: u16 = 1280;
/// The highest terminal, in rows.
pub const MAX_ROWS: u16 = 512;

/// A terminal.
///
/// Feed it ([`Terminal::feed`]), then poll its events; what readers see changes in [`Terminal::feed`] and
/// [`Terminal::resize`] only.
#[derive(Debug)]
pub struct Terminal {
    parser: Parser,
    emulator: Emulator,
    function_keys: FunctionKeys,
}

impl Terminal {
    /// A terminal with a blank screen.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let options = Options {
            columns: options.columns.clamp(MIN_COLUMNS, MAX_COLUMNS),
            rows: options.rows.clamp(1, MAX_ROWS),
            ..options
        };
        Self {
            parser: Parser::default(),
            emulator: Emulator::new(options),
            function_keys: options.function_keys,
        }
    }

    /// Takes what the guest wrote: any bytes, split anywhere.
    pub fn feed(&mut self, bytes: &[u8]) {
        let cursor = self.cursor();
        self.parser.feed(bytes, &mut self.emulator);
        self.emulator.age_hold(bytes.len());
        if self.is_held() {
            return;
        }
        let moved = cursor != self.cursor();
        self.emulator.damage.commit(moved);
    }

    /// The next event, oldest first. The queue is bounded; what does not fit is dropped.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.emulator.events.pop()
    }

    /// The width of the screen, in columns.
    #[must_use]
    pub const fn columns(&self) -> u16 {
        self.emulator.columns
    }

    /// The height of the screen, in rows.
    #[must_use]
    pub const fn rows(&self) -> u16 {
        self.emulator.rows
    }

    /// Changes the size of the screen; values are clamped as in [`Options`]. The text of the primary screen and of
    /// history is wrapped anew, that of the alternate screen is cut. Rows leave at the bottom while they are blank, then
    /// at the top, into history; a screen that was full gets them back from there. When the width changes, history's
    /// lines have other numbers afterwards, and the numbers from before name nothing.
    pub fn resize(&mut self, columns: u16, rows: u16) {
        self.resize_keeping(columns, rows, &mut []);
    }

    /// The same as [`Terminal::resize`]; each of `lines`, which are absolute numbers of lines that somebody looks at,
    /// becomes the number that the text of that line has afterwards.
    pub fn resize_keeping(&mut self, columns: u16, rows: u16, lines: &mut [u64]) {
        let (columns, rows) = (columns.clamp(MIN_COLUMNS, MAX_COLUMNS), rows.clamp(1, MAX_ROWS));
        self.emulator.resize(columns, rows, lines);
        self.emulator.damage.commit(false);
    }

    /// True while the guest draws a frame that it does not want to be seen before it is complete (private mode
    /// 2026): [`Terminal::generation`] stands still meanwhile.
    #[must_use]
    pub const fn is_held(&self) -> bool {
        self.emulator.hold.is_some()
    }

    /// Shows what the guest has drawn of a frame, for an owner with a clock that has waited long enough. Without one a
    /// hold is bounded by bytes and feeds.
    pub fn release(&mut self) {
        if self.is_held() {
            self.emulator.release();
            self.emulator.damage.commit(true);
        }
    }

    /// Appends to `out` what the guest is sent for a press of `key`; nothing for keys that send nothing, such as
    /// modifiers.
    pub fn key(&mut self, key: Keysym, modifiers: Modifiers, out: &mut Vec<u8>) {
        self.release();
        let wanted = match self.function_keys {
            FunctionKeys::Auto => self.emulator.learned_keys,
            set => set,
        };
        let keyboard = Keyboard {
            modes: self.emulator.modes,
            utf8: self.parser.is_utf8(),
            linux: wanted == FunctionKeys::Linux,
            other_keys: self.emulator.other_keys,
        };
        keyboard.press(key, modifiers, out);
    }

    /// Appends to `out` a mouse report, or cursor keys for the wheel on the alternate screen; true when it did.
    pub fn mouse(&mut self, event: MouseEvent, out: &mut Vec<u8>) -> bool {
        if !matches!(event.action, MouseAction::Motion(_)) {
            self.release();
        }
        let event = MouseEvent {
            column: event.column.min(self.columns() - 1),
            row: event.row.min(self.rows() - 1),
            ..event
        };
        mouse::report(self.emulator.modes, self.emulator.alternate, event, out)
    }

    /// True when the guest asked for reports of buttons: clicks and wheel are its own.
    #[must_use]
    pub const fn wants_mouse(&self) -> bool {
        mouse::wanted(self.emulator.modes)
    }

    /// True while the alternate screen is shown, which has no history.
    #[must_use]
    pub const fn is_alternate(&self) -> bool {
        self.emulator.alternate
    }

    /// Appends to `out` what the guest is sent for pasted text: line ends become Return, other control characters
    /// than Tab are dropped, so that a paste cannot press keys; bracketed where the guest asked for it.
    pub fn paste(&mut self, text: &str, out: &mut Vec<u8>) {
        self.release();
        let bracketed = self.emulator.modes.has(Mode::BRACKETED_PASTE);
        if bracketed {
            out.extend_from_slice(b"\x1b[200~");
        }
        let mut after_return = false;
        for c in text.chars() {
            match c {
                '\n' if after_return => {}
                '\r' | '\n' => out.push(b'\r'),
                '\t' => out.push(b'\t'),
                c if c.is_control() => {}
                c if self.parser.is_utf8() => out.extend(c.encode_utf8(&mut [0; 4]).as_bytes()),
                c => out.push(u8::try_from(u32::from(c)).unwrap_or(b'?')),
            }
            after_return = c == '\r';
        }
        if bracketed {
            out.extend_from_slice(b"\x1b[201~");
        }
    }

    /// Appends to `out` a focus report where the guest asked for them.
    pub fn focus(&mut self, focused: bool, out: &mut Vec<u8>) {
        if self.emulator.modes.has(Mode::FOCUS) {
            out.extend_from_slice(if focused { b"\x1b[I" } else { b"\x1b[O" });
        }
    }

    /// The bytes that the terminal holds, itself included, as far as it can know them.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.parser.heap_bytes() + self.emulator.heap_bytes()
    }
}

impl Default for Terminal {
    fn default() -> Self {
        Self::new(Options::default())
    }
}
