//! Answers to the guest's questions, and the queue of events that they leave by.

use std::collections::VecDeque;

use super::emulator::Emulator;
use super::modes::Mode;
use super::view::Event;

/// The most events that wait; more are dropped. A feed of any size causes no more than this.
const EVENTS: usize = 32;
/// The most bytes of answers that wait; further ones are dropped. A guest that does not read its answers must not
/// make us keep them.
const REPLY_BYTES: usize = 4096;

/// Events that wait to be polled.
#[derive(Debug, Default)]
pub(super) struct Events {
    queue: VecDeque<Event>,
    reply_bytes: usize,
}

impl Events {
    pub(super) fn pop(&mut self) -> Option<Event> {
        let event = self.queue.pop_front();
        match &event {
            Some(Event::Reply(bytes)) => self.reply_bytes -= bytes.len(),
            None => self.queue = VecDeque::new(),
            _ => {}
        }
        event
    }

    /// The bytes that it holds on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        let clipboard = self.queue.iter().map(|event| match event {
            Event::Clipboard(text) => text.capacity(),
            _ => 0,
        });
        self.queue.capacity() * size_of::<Event>() + self.reply_bytes + clipboard.sum::<usize>()
    }

    /// Adds an event. A further bell says nothing new, and of titles only the last counts.
    pub(super) fn push(&mut self, event: Event) {
        match &event {
            Event::Bell if self.queue.contains(&Event::Bell) => return,
            Event::Title(_) => self.queue.retain(|waiting| !matches!(waiting, Event::Title(_))),
            Event::Clipboard(_) => self.queue.retain(|waiting| !matches!(waiting, Event::Clipboard(_))),
            Event::Reply(bytes) => {
                if self.reply_bytes + bytes.len() > REPLY_BYTES {
                    return;
                }
                self.reply_bytes += bytes.len();
                if let Some(Event::Reply(last)) = self.queue.back_mut() {
                    last.extend_from_slice(bytes);
                    return;
                }
            }
            Event::Bell => {}
        }
        if self.queue.len() < EVENTS {
            self.queue.push_back(event);
        } else if let Event::Reply(bytes) = event {
            self.reply_bytes -= bytes.len();
        }
    }
}

impl Emulator {
    /// Answers; with C1 controls, as bytes even where the guest speaks UTF-8, rather than their 7-bit forms where it asked
    /// for that (S8C1T).
    pub(super) fn reply(&mut self, text: &str) {
        let mut bytes = text.as_bytes().to_vec();
        if self.eight_bit {
            bytes.clear();
            let mut rest = text.bytes().peekable();
            while let Some(byte) = rest.next() {
                match rest.peek() {
                    Some(next @ 0x40..=0x5f) if byte == 0x1b => {
                        bytes.push(next + 0x40);
                        rest.next();
                    }
                    _ => bytes.push(byte),
                }
            }
        }
        self.events.push(Event::Reply(bytes));
    }

    /// DA1: a VT420 with selective erase (6), national sets (9), horizontal scrolling (21), ANSI colours (22), rectangles
    /// (28) and writing the clipboard (52).
    pub(super) fn report_attributes(&mut self) {
        self.reply("\x1b[?64;6;9;21;22;28;52c");
    }

    /// DA2: a VT420; the version is one of xterm that knows SGR mouse reports, for which vim looks at it.
    pub(super) fn report_secondary_attributes(&mut self) {
        self.reply("\x1b[>41;277;0c");
    }

    /// DA3: no unit number.
    pub(super) fn report_unit(&mut self) {
        self.reply("\x1bP!|00000000\x1b\\");
    }

    /// XTVERSION.
    pub(super) fn report_version(&mut self) {
        self.reply(concat!("\x1bP>|xenvnc ", env!("CARGO_PKG_VERSION"), "\x1b\\"));
    }

    /// DSR: status and cursor position.
    pub(super) fn report_status(&mut self, private: bool, what: u16) {
        let (top, left) = if self.cursor.origin { (self.top, self.left) } else { (0, 0) };
        let row = self.cursor.row.saturating_sub(top) + 1;
        let column = self.cursor.column.saturating_sub(left) + 1;
        match (private, what) {
            (false, 5) => self.reply("\x1b[0n"),
            (false, 6) => self.reply(&format!("\x1b[{row};{column}R")),
            (true, 6) => self.reply(&format!("\x1b[?{row};{column};1R")),
            // No printer; keys are not locked; a North American keyboard.
            (true, 15) => self.reply("\x1b[?13n"),
            (true, 25) => self.reply("\x1b[?20n"),
            (true, 26) => self.reply("\x1b[?27;1;0;0n"),
            _ => {}
        }
    }

    /// DECREQTPARM: the answer of a VT102 at 38,400 baud.
    pub(super) fn report_parameters(&mut self, what: u16) {
        if what <= 1 {
            self.reply(&format!("\x1b[{};1;1;128;128;1;0x", what + 2));
        }
    }

    /// XTWINOPS: only the questions that tell nothing about the user.
    pub(super) fn window_report(&mut self, what: u16) {
        match what {
            // Not minimised.
            11 => self.reply("\x1b[1t"),
            18 => self.reply(&format!("\x1b[8;{};{}t", self.rows, self.columns)),
            19 => self.reply(&format!("\x1b[9;{};{}t", self.rows, self.columns)),
            _ => {}
        }
    }

    /// DECRQM: 1 set, 2 reset, 0 unknown.
    pub(super) fn report_mode(&mut self, private: bool, number: u16) {
        let state = match (private, number) {
            (true, 47 | 1047 | 1049) => Some(self.alternate),
            _ => Mode::from_number(private, number).map(|mode| self.modes.has(mode)),
        };
        let state = match state {
            None => 0,
            Some(true) => 1,
            Some(false) => 2,
        };
        let mark = if private { "?" } else { "" };
        self.reply(&format!("\x1b[{mark}{number};{state}$y"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_bounded_and_answers_joined() {
        let mut events = Events::default();
        for _ in 0..10_000 {
            events.push(Event::Reply(b"\x1b[0n".to_vec()));
            events.push(Event::Bell);
            events.push(Event::Title("t".into()));
        }
        assert!(events.queue.len() <= EVENTS && events.reply_bytes <= REPLY_BYTES);
        while events.pop().is_some() {}
        assert_eq!(events.heap_bytes(), 0);
        events.push(Event::Reply(b"ab".to_vec()));
        events.push(Event::Reply(b"cd".to_vec()));
        assert_eq!(events.pop(), Some(Event::Reply(b"abcd".to_vec())));
        assert_eq!(events.pop(), None);
    }
}
