//! Operating system commands and device control strings.

use super::actions::Sequence;
use super::cell::Attributes;
use super::emulator::Emulator;
use super::palette::{Dynamic, parse_colour};
use super::view::{CursorShape, Event, TITLE_CHARS};

/// The most titles that are kept, the one in use included; xterm keeps ten.
const TITLES: usize = 10;

impl Emulator {
    /// OSC: title, colours, clipboard; all others are ignored. Hyperlinks (8) are shown as their text. What the guest
    /// wants to have in the user's clipboard is an event, about which the owner decides; it never gets to read it (52).
    pub(super) fn operating_system_command(&mut self, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        let (number, rest) = text.split_once(';').unwrap_or((&text, ""));
        match number {
            "0" | "2" => {
                let title: String = rest.chars().filter(|c| !c.is_control()).take(TITLE_CHARS).collect();
                self.titles.pop();
                self.titles.push(title.clone());
                self.events.push(Event::Title(title));
            }
            "4" => self.palette_command(rest),
            "10" | "11" | "12" => self.dynamic_command(number, rest),
            "104" if rest.is_empty() => {
                self.palette.reset_colours();
                self.damage.everything();
            }
            "104" => {
                for index in rest.split(';').filter_map(|index| index.parse().ok()) {
                    self.palette.reset_colour(index);
                }
                self.damage.everything();
            }
            "52" => self.clipboard_command(rest),
            "110" => self.set_dynamic(Dynamic::Foreground, None),
            "111" => self.set_dynamic(Dynamic::Background, None),
            "112" => self.set_dynamic(Dynamic::Cursor, None),
            _ => {}
        }
    }

    /// XTWINOPS 22: keeps the title for later. Beyond [`TITLES`] nothing is kept.
    pub(super) fn push_title(&mut self) {
        if self.titles.len() < TITLES {
            let title = self.titles.last().cloned().unwrap_or_default();
            if self.titles.is_empty() {
                self.titles.push(String::new());
            }
            self.titles.push(title);
        }
    }

    /// XTWINOPS 23: takes the last title that was kept.
    pub(super) fn pop_title(&mut self) {
        if self.titles.len() > 1 {
            self.titles.pop();
            let title = self.titles.last().cloned().unwrap_or_default();
            self.events.push(Event::Title(title));
        }
    }

    /// `OSC 52 ; which ; BASE64`: every selection is the clipboard. A question (`?`) gets no answer.
    fn clipboard_command(&mut self, rest: &str) {
        let Some((_, data)) = rest.split_once(';') else { return };
        if let Some(text) = base64(data).and_then(|bytes| String::from_utf8(bytes).ok()) {
            self.events.push(Event::Clipboard(text));
        }
    }

    fn set_dynamic(&mut self, which: Dynamic, rgb: Option<u32>) {
        self.palette.set_dynamic(which, rgb);
        self.damage.everything();
    }

    /// `OSC 4 ; index ; colour` and any number of further pairs; `?` asks.
    fn palette_command(&mut self, rest: &str) {
        let mut parts = rest.split(';');
        while let (Some(index), Some(colour)) = (parts.next(), parts.next()) {
            let Ok(index) = index.parse::<u8>() else { continue };
            if colour == "?" {
                let rgb = self.palette.colour(index);
                self.reply(&format!("\x1b]4;{index};{}\x1b\\", describe_colour(rgb)));
            } else if let Some(rgb) = parse_colour(colour) {
                self.palette.set_colour(index, rgb);
                self.damage.everything();
            }
        }
    }

    /// `OSC 10 ; colour`: further colours are those of 11 and 12.
    fn dynamic_command(&mut self, number: &str, rest: &str) {
        let all = [("10", Dynamic::Foreground), ("11", Dynamic::Background), ("12", Dynamic::Cursor)];
        let from = all.iter().skip_while(|(own, _)| *own != number);
        for ((number, which), colour) in from.zip(rest.split(';')) {
            if colour == "?" {
                let rgb = self.palette.dynamic(*which);
                self.reply(&format!("\x1b]{number};{}\x1b\\", describe_colour(rgb)));
            } else if let Some(rgb) = parse_colour(colour) {
                self.set_dynamic(*which, Some(rgb));
            }
        }
    }

    /// DCS: DECRQSS and XTGETTCAP; all others are ignored.
    pub(super) fn device_control(&mut self, head: &Sequence, text: &[u8]) {
        match (head.private, head.intermediate, head.last) {
            (0, b'$', b'q') => self.report_setting(text),
            (0, b'+', b'q') => {
                for name in text.split(|byte| *byte == b';').take(super::actions::PARAMETERS) {
                    self.report_capability(name);
                }
            }
            _ => {}
        }
    }

    /// DECRQSS: pen, margins, cursor shape, protection, extent of rectangles, size, conformance level.
    fn report_setting(&mut self, what: &[u8]) {
        let setting = match what {
            b"m" => format!("{}m", self.cursor.pen.describe()),
            b"r" => format!("{};{}r", self.top + 1, self.bottom),
            b"s" => format!("{};{}s", self.left + 1, self.right),
            b" q" => {
                let number = match self.shape {
                    CursorShape::Block => 2,
                    CursorShape::Underline => 4,
                    CursorShape::Bar => 6,
                };
                format!("{number} q")
            }
            b"\"q" => {
                let protected = self.cursor.pen.attributes.has(Attributes::PROTECTED);
                format!("{}\"q", u8::from(protected))
            }
            b"*x" => format!("{}*x", if self.stream_extent { 1 } else { 2 }),
            b"t" => format!("{}t", self.rows),
            b"$|" => format!("{}$|", self.columns),
            b"*|" => format!("{}*|", self.rows),
            b"\"p" => format!("64;{}\"p", u8::from(!self.eight_bit)),
            _ => {
                self.reply("\x1bP0$r\x1b\\");
                return;
            }
        };
        self.reply(&format!("\x1bP1$r{setting}\x1b\\"));
    }

    /// XTGETTCAP: the name (which systemd asks for to choose `TERM`) and the number of colours.
    fn report_capability(&mut self, name: &[u8]) {
        const NAME: &[u8] = b"xterm-256color";
        let value: &[u8] = match name.to_ascii_uppercase().as_slice() {
            b"544E" | b"6E616D65" => NAME,
            b"436F" | b"636F6C6F7273" => b"256",
            _ => {
                self.reply("\x1bP0+r\x1b\\");
                return;
            }
        };
        let name = String::from_utf8_lossy(name);
        let value: String = value.iter().map(|byte| format!("{byte:02X}")).collect();
        self.reply(&format!("\x1bP1+r{name}={value}\x1b\\"));
    }
}

/// What base 64 (RFC 4648 §4) says; the padding may be missing.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    let (mut bits, mut count) = (0u32, 0u32);
    for byte in text.trim_end_matches('=').bytes() {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(digit);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.extend(u8::try_from(bits >> count & 0xff));
        }
    }
    // A single digit is no byte.
    (count < 6).then_some(bytes)
}

/// A colour as XParseColor reads it, 16 bits a channel, as xterm answers.
fn describe_colour(rgb: u32) -> String {
    let [_, r, g, b] = rgb.to_be_bytes();
    format!("rgb:{r:02x}{r:02x}/{g:02x}{g:02x}/{b:02x}{b:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From RFC 4648 §10.
    #[test]
    fn base_64_is_read() {
        for (text, bytes) in [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYg", "foob")] {
            assert_eq!(base64(text).as_deref(), Some(bytes.as_bytes()), "{text}");
        }
        for text in ["?", "Zg=x", "Z", "Zm9v\n"] {
            assert_eq!(base64(text), None, "{text}");
        }
    }
}
