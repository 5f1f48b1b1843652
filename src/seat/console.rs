//! A text VT: a console's terminal and what waits to be typed to it.

use std::time::{Duration, Instant};

use super::banner::Line;
use super::options::VtError;
use super::paste::{PASTE_BYTES, PAUSE, Pasting};
use super::policy::PastePolicy;
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
    /// Long texts on their way.
    pasting: Option<Box<Pasting>>,
    /// What is said of them on the screen.
    notice: Option<Box<(String, Line)>>,
    /// The console has taken all that it was given.
    drained: bool,
    answering: bool,
    title: String,
    /// Until when the picture may stand still because the guest says that it is drawing (mode 2026).
    pub(super) held_until: Option<Instant>,
}

/// What a guest wants those who look to know.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// It rang the bell.
    pub(super) bell: bool,
    /// It wants this in their clipboards.
    pub(super) cut: Option<String>,
}

impl Console {
    pub(super) fn new(options: Options) -> Self {
        Self {
            terminal: Terminal::new(options),
            input: Vec::new(),
            pasting: None,
            notice: None,
            drained: true,
            answering: true,
            title: String::new(),
            held_until: None,
        }
    }

    /// Takes bytes of the guest, and says what they mean to those who look.
    pub(super) fn feed(&mut self, bytes: &[u8], now: Instant) -> Told {
        self.terminal.feed(bytes);
        self.held_until = self.terminal.is_held().then(|| self.held_until.unwrap_or(now + HOLD));
        let mut told = Told::default();
        while let Some(event) = self.terminal.poll_event() {
            match event {
                Event::Reply(reply) => self.reply(&reply),
                Event::Bell => told.bell = true,
                Event::Title(title) => self.title = title,
                Event::Clipboard(text) => told.cut = Some(text),
            }
        }
        told
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
        self.append(|terminal, out| terminal.key(keysym, modifiers, out)).1
    }

    /// Reports the mouse; true when the guest asked for this report. One that does not fit is dropped.
    pub(super) fn mouse(&mut self, event: MouseEvent) -> bool {
        self.append(|terminal, out| terminal.mouse(event, out)).0
    }

    /// Tells the guest, if it wants to know, whether anybody looks.
    pub(super) fn focus(&mut self, focused: bool) {
        self.append(|terminal, out| terminal.focus(focused, out));
    }

    /// Pastes a text; false when there is no room for it.
    pub(super) fn paste(&mut self, text: &str, policy: PastePolicy) -> bool {
        let pasting = self.pasting.get_or_insert_default();
        let taken = pasting.paste(text, policy, &mut self.terminal);
        self.paste_on();
        taken
    }

    /// Types a plain text as it is, line ends as Return.
    pub(super) fn type_text(&mut self, text: &str) -> Result<(), VtError> {
        let pasting = self.pasting.get_or_insert_default();
        let waiting = pasting.left();
        let taken = pasting.type_text(text);
        self.paste_on();
        if taken {
            Ok(())
        } else {
            Err(VtError::InputFull { wanted: text.len(), waiting, limit: PASTE_BYTES })
        }
    }

    /// Sends the next portion of a text if the console has taken the last one.
    fn paste_on(&mut self) {
        if let Some(pasting) = &mut self.pasting
            && self.input.is_empty()
            && self.drained
            && pasting.due.is_none()
            && pasting.portion(&mut self.input)
        {
            self.pasting = None;
        }
    }

    /// Whether a text is on its way.
    pub(super) const fn is_pasting(&self) -> bool {
        self.pasting.is_some()
    }

    /// What there is to say of a text on its way, for all who look.
    pub(super) fn notice(&self) -> Option<&Line> {
        self.notice.as_ref().map(|notice| &notice.1)
    }

    /// Says anew how far a text on its way is.
    pub(super) fn refresh_notice(&mut self) {
        let text = self.pasting.as_ref().and_then(|pasting| pasting.notice());
        if self.notice.as_ref().map(|notice| &notice.0) != text.as_ref() {
            let columns = self.terminal.columns();
            self.notice = text.map(|text| {
                let line = Line::new(&text, columns);
                Box::new((text, line))
            });
        }
    }

    /// The console has taken all that it was given, or has not.
    pub(super) const fn set_drained(&mut self, drained: bool) {
        self.drained = drained;
    }

    /// Decides when the next portion of a text goes out, once the last one has been taken.
    pub(super) fn pace(&mut self, now: Instant) {
        if let Some(pasting) = &mut self.pasting
            && pasting.due.is_none()
            && self.input.is_empty()
            && self.drained
        {
            pasting.due = Some(now + PAUSE);
        }
    }

    /// When the next portion of a text goes out.
    pub(super) fn paste_due(&self) -> Option<Instant> {
        self.pasting.as_ref().and_then(|pasting| pasting.due)
    }

    /// Time has passed.
    pub(super) fn paste_late(&mut self, now: Instant) {
        if let Some(pasting) =
            self.pasting.as_mut().filter(|pasting| pasting.due.is_some_and(|due| due <= now))
        {
            pasting.due = None;
            self.paste_on();
        }
    }

    /// Stops the texts that are on their way; true when there were any.
    pub(super) fn stop_pasting(&mut self) -> bool {
        let Some(mut pasting) = self.pasting.take() else { return false };
        pasting.stop(&mut self.input);
        true
    }

    /// Forgets what waits: whoever was to read it is gone.
    pub(super) fn forget_input(&mut self) {
        (self.input, self.pasting) = (Vec::new(), None);
    }

    fn reply(&mut self, reply: &[u8]) {
        if self.answering && self.input.len() + reply.len() <= REPLY_BYTES {
            self.input.extend_from_slice(reply);
        }
    }

    /// Has the terminal append to what waits, behind the texts that are on their way. Also says whether it was within
    /// the limit; what is not is dropped.
    fn append<T>(&mut self, what: impl FnOnce(&mut Terminal, &mut Vec<u8>) -> T) -> (T, bool) {
        let queue = match &mut self.pasting {
            Some(pasting) => &mut pasting.typed,
            None => &mut self.input,
        };
        let before = queue.len();
        let told = what(&mut self.terminal, queue);
        let fits = queue.len() <= INPUT_BYTES;
        if !fits {
            queue.truncate(before);
        }
        (told, fits)
    }
}

#[cfg(test)]
mod tests {
    use super::super::paste::PORTION;
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
        assert!(!console.is_pasting());
        console.set_drained(false);
        let long = "x".repeat(PASTE_BYTES);
        console.type_text(&long).unwrap();
        let error = console.type_text("y").unwrap_err();
        assert_eq!(error.to_string(), "1 bytes do not fit, 1048576 of 1048576 wait for the console already");
        assert!(!console.paste("y", PastePolicy::Filtered));
        assert_eq!(taken(&mut console), b"", "it has not taken what it was given");
    }

    #[test]
    fn a_long_text_waits_for_the_console_and_for_the_time() {
        let mut console = console();
        let text = "0123456789abcdef".repeat(1000);
        assert!(console.paste(&text, PastePolicy::Filtered));
        let mut now = Instant::now();
        console.pace(now);
        assert_eq!(console.paste_due(), None, "the console has not taken the first portion");
        let mut sent = taken(&mut console);
        assert_eq!(sent.len(), PORTION);
        console.set_drained(false);
        console.pace(now);
        assert_eq!(console.paste_due(), None, "nor passed it on");
        console.set_drained(true);
        assert!(console.key(Keysym::from_char('q'), Modifiers::default()));
        while console.is_pasting() {
            assert_eq!(taken(&mut console), b"");
            console.pace(now);
            let due = console.paste_due().expect("a time");
            assert_eq!(due, now + PAUSE);
            console.paste_late(now);
            assert_eq!(taken(&mut console), b"", "too early");
            now = due;
            console.paste_late(now);
            sent.extend(taken(&mut console));
        }
        assert_eq!(sent, (text + "q").into_bytes());
        assert_eq!(console.paste_due(), None);
    }

    #[test]
    fn a_text_can_be_stopped() {
        let mut console = console();
        assert!(!console.stop_pasting());
        console.terminal.feed(b"\x1b[?2004h");
        console.paste(&"x".repeat(1000), PastePolicy::Filtered);
        console.key(Keysym::from_char('q'), Modifiers::default());
        assert!(console.stop_pasting() && !console.is_pasting());
        let sent = String::from_utf8(taken(&mut console)).unwrap();
        assert_eq!(sent, format!("\x1b[200~{}\x1b[201~q", "x".repeat(PORTION - 6)));
        console.paste(&"x".repeat(1000), PastePolicy::Filtered);
        console.forget_input();
        assert_eq!((console.is_pasting(), taken(&mut console)), (false, Vec::new()));
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
