//! A text VT: a console's terminal and what waits to be typed to it.

use std::time::{Duration, Instant};

use super::options::VtError;
use crate::keysym::Keysym;
use crate::terminal::{Event, Modifiers, MouseEvent, Options, Terminal};

/// The most bytes that wait for a console that does not take input. A key that does not fit is refused as a whole,
/// and the viewer's bell says so; nothing that was taken is ever dropped.
pub const INPUT_BYTES: usize = 64 * 1024;

/// Answers to the guest's queries are dropped while this many bytes wait. A guest that asks without reading must not
/// take the room that people type into.
pub const REPLY_BYTES: usize = 4 * 1024;

/// How long a guest may keep its picture still while it draws (mode 2026). A program that was killed in the middle must
/// not hide what comes after it; a frame takes a few milliseconds.
pub(super) const HOLD: Duration = Duration::from_millis(150);

/// The capacity of the queue that an idle console keeps, in bytes.
const IDLE_BYTES: usize = 64;

/// A console of the guest.
#[derive(Debug)]
pub(super) struct Console {
    pub(super) terminal: Terminal,
    input: Vec<u8>,
    answering: bool,
    title: String,
    /// Until when the picture may stand still because the guest says that it is drawing (mode 2026).
    pub(super) held_until: Option<Instant>,
}

impl Console {
    pub(super) fn new(options: Options) -> Self {
        Self {
            terminal: Terminal::new(options),
            input: Vec::new(),
            answering: true,
            title: String::new(),
            held_until: None,
        }
    }

    /// Takes bytes of the guest; true when it rang the bell.
    pub(super) fn feed(&mut self, bytes: &[u8], now: Instant) -> bool {
        self.terminal.feed(bytes);
        self.held_until = self.terminal.is_held().then(|| self.held_until.unwrap_or(now + HOLD));
        let mut bell = false;
        while let Some(event) = self.terminal.poll_event() {
            match event {
                Event::Reply(reply) => self.reply(&reply),
                Event::Bell => bell = true,
                Event::Title(title) => self.title = title,
                // No guest may write the clipboard of its viewers.
                Event::Clipboard(_) => {}
            }
        }
        bell
    }

    /// Shows what is there when the guest has been drawing for too long.
    pub(super) fn release_late(&mut self, now: Instant) {
        if self.held_until.is_some_and(|until| until <= now) {
            self.held_until = None;
            self.terminal.release();
        }
    }

    /// What the guest called its window.
    pub(super) fn title(&self) -> &str {
        &self.title
    }

    /// Whether the guest's queries are answered.
    pub(super) const fn set_answering(&mut self, answering: bool) {
        self.answering = answering;
    }

    /// Moves what waits for the console to the end of `out`.
    pub(super) fn take_input(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.input);
        self.input.shrink_to(IDLE_BYTES);
    }

    /// Types a key; false when there is no room for it.
    pub(super) fn key(&mut self, keysym: Keysym, modifiers: Modifiers) -> bool {
        let before = self.input.len();
        self.terminal.key(keysym, modifiers, &mut self.input);
        self.admit(before)
    }

    /// Reports the mouse; true when the guest asked for this report. One that does not fit is dropped.
    pub(super) fn mouse(&mut self, event: MouseEvent) -> bool {
        let before = self.input.len();
        let taken = self.terminal.mouse(event, &mut self.input);
        self.admit(before);
        taken
    }

    /// Pastes a text; false when there is no room for it.
    pub(super) fn paste(&mut self, text: &str) -> bool {
        let before = self.input.len();
        if before + text.len() > INPUT_BYTES {
            return false;
        }
        self.terminal.paste(text, &mut self.input);
        self.admit(before)
    }

    /// Tells the guest, if it wants to know, whether anybody looks.
    pub(super) fn focus(&mut self, focused: bool) {
        let before = self.input.len();
        self.terminal.focus(focused, &mut self.input);
        self.admit(before);
    }

    /// Types a plain text as it is, line ends as Return.
    pub(super) fn type_text(&mut self, text: &str) -> Result<(), VtError> {
        let waiting = self.input.len();
        if waiting + text.len() > INPUT_BYTES {
            return Err(VtError::InputFull { wanted: text.len(), waiting, limit: INPUT_BYTES });
        }
        let mut after_return = false;
        for byte in text.bytes() {
            match byte {
                b'\n' if after_return => {}
                b'\n' => self.input.push(b'\r'),
                other => self.input.push(other),
            }
            after_return = byte == b'\r';
        }
        Ok(())
    }

    fn reply(&mut self, reply: &[u8]) {
        if self.answering && self.input.len() + reply.len() <= REPLY_BYTES {
            self.input.extend_from_slice(reply);
        }
    }

    /// Keeps what was appended after `before` if the queue is within its limit.
    fn admit(&mut self, before: usize) -> bool {
        let fits = self.input.len() <= INPUT_BYTES;
        if !fits {
            self.input.truncate(before);
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn console() -> Console {
        Console::new(Options::default())
    }

    fn taken(console: &mut Console) -> Vec<u8> {
        let mut out = Vec::new();
        console.take_input(&mut out);
        out
    }

    #[test]
    fn keys_that_do_not_fit_are_refused_and_those_taken_are_kept() {
        let mut console = console();
        let typed = (0..INPUT_BYTES * 2)
            .filter(|_| console.key(Keysym::from_char('€'), Modifiers::default()))
            .count();
        assert_eq!(typed, INPUT_BYTES / 3);
        let input = taken(&mut console);
        assert_eq!(input, "€".repeat(typed).into_bytes());
        assert!(console.key(Keysym::from_char('a'), Modifiers::default()));
        assert!(console.input.capacity() <= IDLE_BYTES);
    }

    #[test]
    fn text_is_typed_with_returns_or_not_at_all() {
        let mut console = console();
        console.type_text("ls\necho ä\r\n\n").unwrap();
        assert_eq!(taken(&mut console), "ls\recho ä\r\r".as_bytes());
        let long = "x".repeat(INPUT_BYTES);
        console.type_text(&long).unwrap();
        let error = console.type_text("y").unwrap_err();
        assert_eq!(error.to_string(), "1 bytes do not fit, 65536 of 65536 wait for the console already");
        assert!(!console.paste("y"));
        assert_eq!(taken(&mut console), long.as_bytes());
    }

    #[test]
    fn answers_leave_room_to_type() {
        let mut console = console();
        for _ in 0..INPUT_BYTES {
            console.reply(b"\x1b[?6c");
        }
        assert!(console.input.len() <= REPLY_BYTES);
        assert!(console.key(Keysym::from_char('a'), Modifiers::default()));
        taken(&mut console);
        console.set_answering(false);
        console.reply(b"\x1b[?6c");
        assert_eq!(taken(&mut console), b"");
    }
}
