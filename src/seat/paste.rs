//! Long texts on their way to a console: pasted, or typed by `xenvnc type`.
//!
//! A guest's console is no faster than a serial line, and what runs there may lose what comes faster than it reads: a
//! boot loader that polls, a login prompt whose buffer is full. So a text goes out in portions of [`PORTION`] bytes,
//! one each [`PAUSE`] and none before the console has taken the last one, and can be stopped at any moment. What is
//! typed meanwhile comes behind it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::policy::PastePolicy;
use crate::terminal::{PASTE_BRACKETS, Terminal};

/// Bytes that go out at once. With [`PAUSE`] this is a line of 115,200 bit/s, the fastest that consoles are made for.
pub(super) const PORTION: usize = 128;
/// The time between two portions.
pub(super) const PAUSE: Duration = Duration::from_millis(10);
/// The most bytes of text that wait for one console: what a viewer's clipboard holds, and more than anybody waits for.
pub const PASTE_BYTES: usize = 1 << 20;
/// A text that is longer says on the screen that it is under way and how to stop it: half a second's worth.
const NOTICE_BYTES: usize = 6 * 1024;

/// One text.
#[derive(Debug)]
struct Text {
    bytes: Vec<u8>,
    sent: usize,
    bracketed: bool,
}

/// The texts of one console; there is one of these only while there is a text.
#[derive(Debug, Default)]
pub(super) struct Pasting {
    texts: VecDeque<Text>,
    /// Typed since; goes out at the end.
    pub(super) typed: Vec<u8>,
    /// When the next portion goes out; `None` until the last one has been taken.
    pub(super) due: Option<Instant>,
    /// What this began with, in bytes, for the notice.
    total: usize,
}

impl Pasting {
    /// The text as the guest gets it.
    pub(super) fn paste(&mut self, text: &str, policy: PastePolicy, terminal: &mut Terminal) -> bool {
        if !self.fits(text.len()) {
            return false;
        }
        let mut bytes = Vec::with_capacity(text.len() + 16);
        match policy {
            PastePolicy::Filtered => terminal.paste(text, &mut bytes),
            PastePolicy::Raw => terminal.paste_raw(text, &mut bytes),
        }
        let [opening, closing] = PASTE_BRACKETS;
        let bracketed = bytes.starts_with(opening) && bytes.ends_with(closing);
        self.add(bytes, bracketed);
        true
    }

    /// Text that is typed as it is, line ends as Return.
    pub(super) fn type_text(&mut self, text: &str) -> bool {
        if !self.fits(text.len()) {
            return false;
        }
        let mut bytes = Vec::with_capacity(text.len());
        let mut after_return = false;
        for byte in text.bytes() {
            match byte {
                b'\n' if after_return => {}
                b'\n' => bytes.push(b'\r'),
                other => bytes.push(other),
            }
            after_return = byte == b'\r';
        }
        self.add(bytes, false);
        true
    }

    fn fits(&self, more: usize) -> bool {
        self.left() + more <= PASTE_BYTES
    }

    fn add(&mut self, bytes: Vec<u8>, bracketed: bool) {
        self.total += bytes.len();
        self.texts.push_back(Text { bytes, sent: 0, bracketed });
    }

    /// Bytes of text that wait.
    pub(super) fn left(&self) -> usize {
        self.texts.iter().map(|text| text.bytes.len() - text.sent).sum()
    }

    /// Moves the next portion to `out`, and what was typed behind the last; true when nothing is left.
    pub(super) fn portion(&mut self, out: &mut Vec<u8>) -> bool {
        self.due = None;
        let mut room = PORTION;
        while let Some(text) = self.texts.front_mut() {
            let end = text.bytes.len().min(text.sent + room);
            out.extend_from_slice(text.bytes.get(text.sent..end).unwrap_or_default());
            room -= end - text.sent;
            text.sent = end;
            if end < text.bytes.len() {
                return false;
            }
            self.texts.pop_front();
        }
        out.append(&mut self.typed);
        true
    }

    /// Stops all texts where they are, but at the end of a character and with the bracket closed.
    pub(super) fn stop(&mut self, out: &mut Vec<u8>) {
        if let Some(text) = self.texts.front().filter(|text| text.sent > 0) {
            let rest = text.bytes.get(text.sent..).unwrap_or_default();
            let closing = PASTE_BRACKETS[1];
            if text.bracketed && rest.len() <= closing.len() {
                out.extend_from_slice(rest);
            } else {
                // At most three bytes of a character are left.
                out.extend(rest.iter().take(3).take_while(|byte| **byte & 0xc0 == 0x80));
                out.extend_from_slice(if text.bracketed { closing } else { b"" });
            }
        }
        self.texts.clear();
        out.append(&mut self.typed);
    }

    /// What to say on the screen, if it takes long enough to read.
    pub(super) fn notice(&self) -> Option<String> {
        if self.total <= NOTICE_BYTES {
            return None;
        }
        // In steps of a fiftieth, so that the screen is not busy with it.
        let step = self.total.div_ceil(50).max(1);
        let done = (self.total - self.left()) / step * 2;
        Some(format!(" Pasting {} KiB: {:>3} %   Esc stops it ", self.total.div_ceil(1024), done.min(100)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pasting: &mut Pasting) -> Vec<Vec<u8>> {
        let mut portions = Vec::new();
        loop {
            let mut out = Vec::new();
            let done = pasting.portion(&mut out);
            portions.push(out);
            if done {
                return portions;
            }
        }
    }

    #[test]
    fn a_text_comes_out_whole_in_portions_and_typing_follows() {
        let mut terminal = Terminal::default();
        let mut pasting = Pasting::default();
        let text = "line €\n".repeat(100);
        assert!(pasting.paste(&text, PastePolicy::Filtered, &mut terminal));
        assert!(pasting.type_text("more\n"));
        pasting.typed.extend(b"typed");
        let portions = all(&mut pasting);
        let (last, others) = portions.split_last().unwrap();
        assert!(others.iter().all(|portion| portion.len() == PORTION) && last.len() <= PORTION + 5);
        assert_eq!(portions.concat(), (text.replace('\n', "\r") + "more\rtyped").into_bytes());
    }

    #[test]
    fn stopping_ends_between_characters_with_the_bracket_closed() {
        let mut terminal = Terminal::default();
        terminal.feed(b"\x1b[?2004h");
        let text = "€".repeat(200);
        for portions in 0..=5 {
            let mut pasting = Pasting::default();
            pasting.paste(&text, PastePolicy::Filtered, &mut terminal);
            let mut out = Vec::new();
            let mut done = false;
            for _ in 0..portions {
                done = pasting.portion(&mut out);
            }
            assert_eq!(done, portions == 5);
            pasting.typed.extend(b"x");
            pasting.stop(&mut out);
            assert_eq!(pasting.left(), 0);
            let out = String::from_utf8(out).expect("no character is cut");
            let out = out.strip_suffix('x').unwrap();
            if portions > 0 {
                let inner = out.strip_prefix("\x1b[200~").unwrap().strip_suffix("\x1b[201~").unwrap();
                assert!(inner.chars().all(|c| c == '€'), "{inner:?}");
            } else {
                assert_eq!(out, "");
            }
        }
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut terminal = Terminal::default();
        let mut pasting = Pasting::default();
        assert!(pasting.type_text(&"x".repeat(PASTE_BYTES)));
        assert!(!pasting.type_text("y") && !pasting.paste("y", PastePolicy::Raw, &mut terminal));
        let mut out = Vec::new();
        pasting.portion(&mut out);
        assert!(pasting.type_text("y"));
        assert!(pasting.notice().unwrap().contains("1025 KiB:   0 %"), "{:?}", pasting.notice());
        let mut short = Pasting::default();
        short.type_text("short");
        assert_eq!(short.notice(), None);
    }
}
