//! Pasted text with its control characters.

use super::Terminal;
use super::modes::Mode;

/// What encloses a paste where the guest asked for it (private mode 2004).
pub const PASTE_BRACKETS: [&[u8]; 2] = [b"\x1b[200~", b"\x1b[201~"];

impl Terminal {
    /// Appends to `out` what the guest is sent for pasted text whose control characters are meant. Line ends become
    /// Return. Where the guest asked for brackets, the closing one is taken out of the text: it would turn what follows
    /// into keys.
    pub fn paste_raw(&mut self, text: &str, out: &mut Vec<u8>) {
        self.release();
        let bracketed = self.emulator.modes.has(Mode::BRACKETED_PASTE);
        let [opening, closing] = if bracketed { PASTE_BRACKETS } else { [&[][..]; 2] };
        out.extend_from_slice(opening);
        let start = out.len();
        let mut after_return = false;
        for c in text.chars() {
            match c {
                '\n' if after_return => {}
                '\r' | '\n' => out.push(b'\r'),
                c if self.parser.is_utf8() => out.extend(c.encode_utf8(&mut [0; 4]).as_bytes()),
                c => out.push(u8::try_from(u32::from(c)).unwrap_or(b'?')),
            }
            // Looked at after each character, so that it cannot come to be by being taken out.
            if bracketed && out.get(start..).is_some_and(|text| text.ends_with(closing)) {
                out.truncate(out.len() - closing.len());
            }
            after_return = c == '\r';
        }
        out.extend_from_slice(closing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pasted(before: &str, text: &str) -> String {
        let mut terminal = Terminal::default();
        terminal.feed(before.as_bytes());
        let mut out = Vec::new();
        terminal.paste_raw(text, &mut out);
        out.escape_ascii().to_string()
    }

    #[test]
    fn control_characters_are_kept_and_line_ends_are_return() {
        assert_eq!(pasted("", "a\x03\x1bb\r\nc\n\n"), r"a\x03\x1bb\rc\r\r");
        assert_eq!(pasted("", "\x1b[201~"), r"\x1b[201~");
        assert_eq!(pasted("\x1b%@", "é€"), r"\xe9?");
    }

    #[test]
    fn a_text_cannot_close_its_bracket() {
        let on = "\x1b[?2004h";
        assert_eq!(pasted(on, "a\x1b[201~b"), r"\x1b[200~ab\x1b[201~");
        assert_eq!(pasted(on, "\x1b[20\x1b[201~1~x"), r"\x1b[200~x\x1b[201~");
        assert_eq!(pasted(on, ""), r"\x1b[200~\x1b[201~");
    }
}
