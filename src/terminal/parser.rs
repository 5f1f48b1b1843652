//! Bytes to actions: a bounded state machine after Paul Williams' parser for DEC terminals
//! (<https://vt100.net/emu/dec_ansi_parser>), with UTF-8 and what the Linux console adds.
//!
//! Deviations: C1 controls are recognised as characters U+0080 to U+009F, hence as single bytes only after
//! `ESC % @`; a byte of 0x80 and above ends a control sequence and is then printed; `ESC ] P` and `ESC ] R` have no
//! terminator (Linux `drivers/tty/vt/vt.c`); `CSI [` takes one more character (the same).

use super::actions::{Actions, Sequence};
use super::style::Rgb;
use super::utf8::{Decoded, decode, printable_ascii};

/// The longest text of any other OSC or DCS, in bytes; a longer one is dropped whole. Titles and colours need far less.
pub(super) const TEXT_BYTES: usize = 4096;
/// The longest text of an OSC 52, which is a clipboard in base 64: 64 KiB of it.
pub(super) const CLIPBOARD_TEXT_BYTES: usize = 88 * 1024;
/// Text buffers above this size, in bytes, are given back after use.
const TEXT_KEPT_BYTES: usize = 256;

/// Characters that are printed at once.
const CHARACTERS: usize = 64;
/// ASCII that goes on for as many characters is printed as such, which is faster.
const ASCII_IN_CHARACTERS: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Ground,
    /// In the middle of a character; `partial` has its beginning.
    Utf8,
    Escape,
    EscapeIntermediate,
    /// Right after CSI.
    CsiEntry,
    CsiParameters,
    CsiIntermediate,
    CsiIgnore,
    /// After `CSI [`: one more character, which is dropped.
    CsiFunctionKey,
    /// Right after OSC.
    OscEntry,
    /// After `ESC ] P`: seven hexadecimal digits.
    LinuxColour,
    DcsEntry,
    DcsParameters,
    DcsIntermediate,
    /// In the text of a string of kind `text_kind`.
    Text,
    /// After ESC in a text.
    TextEscape,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum TextKind {
    #[default]
    Osc,
    Dcs,
    /// SOS, PM, APC, and a DCS whose head is malformed.
    Ignored,
}

/// The parser. It keeps a few hundred bytes, and at most [`CLIPBOARD_TEXT_BYTES`] while a string is open.
#[derive(Debug, Default)]
pub(super) struct Parser {
    state: State,
    /// Bytes are Latin-1 rather than UTF-8 (`ESC % @`).
    latin1: bool,
    partial: [u8; 4],
    partial_length: u8,
    sequence: Sequence,
    escape_intermediate: u8,
    text: Vec<u8>,
    text_kind: TextKind,
    text_overflow: bool,
    linux_colour: u32,
    linux_digits: u8,
}

impl Parser {
    /// True while bytes are UTF-8.
    pub(super) const fn is_utf8(&self) -> bool {
        !self.latin1
    }

    /// The bytes that it holds on the heap.
    pub(super) const fn heap_bytes(&self) -> usize {
        self.text.capacity()
    }

    /// Takes any bytes, split anywhere.
    pub(super) fn feed<A: Actions>(&mut self, bytes: &[u8], actions: &mut A) {
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            match self.state {
                State::Ground => {
                    let used = self.ground(rest, actions);
                    rest = &rest[used..];
                }
                State::Text => {
                    let used = self.text(rest, actions);
                    rest = &rest[used..];
                }
                State::Utf8 => {
                    if self.utf8(byte, actions) {
                        rest = after;
                    }
                }
                _ => {
                    if self.step(byte, actions) {
                        rest = after;
                    }
                }
            }
        }
    }

    /// Handles bytes in the ground state until that is left; returns how many were used, at least one.
    fn ground<A: Actions>(&mut self, bytes: &[u8], actions: &mut A) -> usize {
        let mut at = 0;
        // Up to here there are no plain lines that would be worth taking at once.
        let mut looked_at = 0;
        while let Some(&byte) = bytes.get(at) {
            match byte {
                0x20..=0x7e => {
                    let run = printable_ascii(&bytes[at..]);
                    actions.print_ascii(&bytes[at..at + run]);
                    at += run;
                }
                0x1b => {
                    at += 1;
                    if bytes.get(at) == Some(&b'[') {
                        at += 1;
                        if let Some(used) = self.whole_csi(&bytes[at..], actions) {
                            at += used;
                            continue;
                        }
                        self.sequence.clear();
                        self.state = State::CsiEntry;
                    } else {
                        self.begin_escape();
                    }
                    return at;
                }
                0x00..=0x1f => {
                    at += 1;
                    if !matches!(byte, 0x18 | 0x1a) {
                        actions.control(byte);
                    }
                    if byte == b'\n' && at >= looked_at {
                        let (used, plain) = actions.lines(&bytes[at..]);
                        at += used;
                        looked_at = at + plain;
                    }
                }
                0x7f => {
                    at += 1;
                    actions.control(byte);
                }
                0x80.. if self.latin1 => {
                    at += 1;
                    self.character(char::from(byte), actions);
                    if self.state != State::Ground {
                        return at;
                    }
                }
                0x80.. => {
                    let used = characters(&bytes[at..], actions);
                    at += used;
                    if used > 0 {
                        continue;
                    }
                    match decode(&bytes[at..]) {
                        // A C1 control.
                        Decoded::Char(c, used) => {
                            at += used;
                            self.character(c, actions);
                            if self.state != State::Ground {
                                return at;
                            }
                        }
                        Decoded::Invalid(used) => {
                            at += used;
                            actions.print(&[char::REPLACEMENT_CHARACTER]);
                        }
                        Decoded::Incomplete => {
                            let beginning = &bytes[at..];
                            self.partial[..beginning.len()].copy_from_slice(beginning);
                            self.partial_length = u8::try_from(beginning.len()).unwrap_or(0);
                            self.state = State::Utf8;
                            return bytes.len();
                        }
                    }
                }
            }
        }
        at
    }

    /// Handles a control sequence of which all is in `bytes`, which begins after CSI; returns how many bytes that
    /// were. `None` leaves everything to the state machine: incomplete or unusual sequences.
    #[inline]
    fn whole_csi<A: Actions>(&mut self, bytes: &[u8], actions: &mut A) -> Option<usize> {
        let sequence = &mut self.sequence;
        sequence.clear();
        for (at, &byte) in bytes.iter().enumerate() {
            match byte {
                b'0'..=b'9' => sequence.parameters.digit(byte - b'0'),
                b';' => sequence.parameters.next(false),
                b':' => sequence.parameters.next(true),
                b'?' if at == 0 => sequence.private = byte,
                b'[' if at == 0 => return None,
                0x40..=0x7e => {
                    sequence.last = byte;
                    actions.csi(sequence);
                    return Some(at + 1);
                }
                _ => return None,
            }
        }
        None
    }

    /// Takes one more byte of a character; false when it has to be looked at again.
    fn utf8<A: Actions>(&mut self, byte: u8, actions: &mut A) -> bool {
        let length = usize::from(self.partial_length);
        if let Some(slot) = self.partial.get_mut(length) {
            *slot = byte;
        }
        match decode(&self.partial[..length + 1]) {
            Decoded::Incomplete => self.partial_length += 1,
            Decoded::Char(c, _) => {
                self.state = State::Ground;
                self.character(c, actions);
            }
            Decoded::Invalid(_) => {
                self.state = State::Ground;
                actions.print(&[char::REPLACEMENT_CHARACTER]);
                return false;
            }
        }
        true
    }

    /// A character of 0x80 and above.
    #[inline]
    fn character<A: Actions>(&mut self, c: char, actions: &mut A) {
        if !matches!(c, '\u{80}'..='\u{9f}') {
            actions.print(&[c]);
            return;
        }
        self.begin_escape();
        // C1 controls are ESC and a character 0x40 below (ECMA-48 §5.3).
        let seven_bit = u8::try_from(u32::from(c) - 0x40).unwrap_or(b'\\');
        self.step(seven_bit, actions);
    }

    const fn begin_escape(&mut self) {
        self.state = State::Escape;
        self.escape_intermediate = 0;
    }

    /// One byte outside ground and texts; false when it has to be looked at again.
    fn step<A: Actions>(&mut self, byte: u8, actions: &mut A) -> bool {
        if self.state == State::TextEscape {
            return self.text_escape(byte, actions);
        }
        match byte {
            0x1b => self.begin_escape(),
            0x18 | 0x1a => self.state = State::Ground,
            0x00..=0x1f => actions.control(byte),
            0x7f => {}
            0x80.. => {
                self.state = State::Ground;
                return false;
            }
            _ => match self.state {
                State::Escape | State::EscapeIntermediate => self.escape(byte, actions),
                State::CsiEntry | State::CsiParameters | State::CsiIntermediate | State::CsiIgnore => {
                    self.csi(byte, actions);
                }
                State::OscEntry => return self.osc_entry(byte, actions),
                State::LinuxColour => self.linux_colour(byte, actions),
                State::DcsEntry | State::DcsParameters | State::DcsIntermediate => self.dcs(byte),
                State::CsiFunctionKey | State::Ground | State::Utf8 | State::Text | State::TextEscape => {
                    self.state = State::Ground
                }
            },
        }
        true
    }

    fn escape<A: Actions>(&mut self, byte: u8, actions: &mut A) {
        if matches!(byte, 0x20..=0x2f) {
            self.escape_intermediate = if self.escape_intermediate == 0 { byte } else { 0xff };
            self.state = State::EscapeIntermediate;
            return;
        }
        self.state = State::Ground;
        match (self.escape_intermediate, byte) {
            (0, b'[') => {
                self.sequence.clear();
                self.state = State::CsiEntry;
            }
            (0, b']') => self.state = State::OscEntry,
            (0, b'P') => {
                self.sequence.clear();
                self.state = State::DcsEntry;
            }
            (0, b'X' | b'^' | b'_') => self.begin_text(TextKind::Ignored),
            (intermediate, last) => {
                match (intermediate, last) {
                    (b'%', b'@') => self.latin1 = true,
                    (b'%', b'G' | b'8') | (0, b'c') => self.latin1 = false,
                    _ => {}
                }
                actions.escape(intermediate, last);
            }
        }
    }

    fn csi<A: Actions>(&mut self, byte: u8, actions: &mut A) {
        match (self.state, byte) {
            (State::CsiEntry, b'[') => self.state = State::CsiFunctionKey,
            (State::CsiIgnore, 0x40..=0x7e) => self.state = State::Ground,
            (_, 0x40..=0x7e) => {
                self.state = State::Ground;
                self.sequence.last = byte;
                actions.csi(&self.sequence);
            }
            (State::CsiIgnore, _) => {}
            (_, 0x20..=0x2f) => {
                self.sequence.intermediate(byte);
                self.state = State::CsiIntermediate;
            }
            (state, _) => self.state = self.parameter(byte, state == State::CsiEntry, State::CsiParameters),
        }
    }

    /// Takes a byte 0x30 to 0x3f of a control sequence; returns the next state.
    fn parameter(&mut self, byte: u8, first: bool, next: State) -> State {
        let digits_allowed = !matches!(self.state, State::CsiIntermediate | State::DcsIntermediate);
        match byte {
            b'0'..=b'9' if digits_allowed => self.sequence.parameters.digit(byte - b'0'),
            b';' | b':' if digits_allowed => self.sequence.parameters.next(byte == b':'),
            b'<'..=b'?' if first => self.sequence.private = byte,
            _ => return State::CsiIgnore,
        }
        next
    }

    fn dcs(&mut self, byte: u8) {
        match byte {
            0x40..=0x7e => {
                self.sequence.last = byte;
                self.begin_text(TextKind::Dcs);
            }
            0x20..=0x2f => {
                self.sequence.intermediate(byte);
                self.state = State::DcsIntermediate;
            }
            _ => {
                let first = self.state == State::DcsEntry;
                self.state = self.parameter(byte, first, State::DcsParameters);
                if self.state == State::CsiIgnore {
                    self.begin_text(TextKind::Ignored);
                }
            }
        }
    }

    fn osc_entry<A: Actions>(&mut self, byte: u8, actions: &mut A) -> bool {
        match byte {
            b'P' => {
                self.linux_colour = 0;
                self.linux_digits = 0;
                self.state = State::LinuxColour;
            }
            b'R' => {
                self.state = State::Ground;
                actions.linux_reset_palette();
            }
            _ => {
                self.begin_text(TextKind::Osc);
                return false;
            }
        }
        true
    }

    fn linux_colour<A: Actions>(&mut self, byte: u8, actions: &mut A) {
        let Some(digit) = char::from(byte).to_digit(16) else {
            // As the kernel does: the character is taken and the sequence given up.
            self.state = State::Ground;
            return;
        };
        self.linux_colour = self.linux_colour << 4 | digit;
        self.linux_digits += 1;
        if self.linux_digits == 7 {
            self.state = State::Ground;
            let [index, ..] = self.linux_colour.to_be_bytes();
            actions.linux_colour(index, Rgb(self.linux_colour & 0x00ff_ffff));
        }
    }

    fn begin_text(&mut self, kind: TextKind) {
        self.state = State::Text;
        self.text_kind = kind;
        self.text_overflow = false;
        self.text.clear();
    }

    /// Handles bytes of a text until it ends; returns how many were used.
    fn text<A: Actions>(&mut self, bytes: &[u8], actions: &mut A) -> usize {
        for (at, &byte) in bytes.iter().enumerate() {
            match byte {
                0x1b => self.state = State::TextEscape,
                0x18 | 0x1a => self.state = State::Ground,
                0x07 if self.text_kind == TextKind::Osc => self.end_text(actions),
                0x9c if self.latin1 => self.end_text(actions),
                0x00..=0x1f => continue,
                _ => {
                    if self.text_kind != TextKind::Ignored {
                        if self.text.len() < self.text_limit() {
                            self.text.push(byte);
                        } else {
                            self.text_overflow = true;
                        }
                    }
                    continue;
                }
            }
            return at + 1;
        }
        bytes.len()
    }

    fn text_limit(&self) -> usize {
        let clipboard = self.text_kind == TextKind::Osc && self.text.starts_with(b"52;");
        if clipboard { CLIPBOARD_TEXT_BYTES } else { TEXT_BYTES }
    }

    fn text_escape<A: Actions>(&mut self, byte: u8, actions: &mut A) -> bool {
        if byte == b'\\' {
            self.end_text(actions);
            return true;
        }
        // Any other sequence ends the text and drops it.
        self.begin_escape();
        false
    }

    fn end_text<A: Actions>(&mut self, actions: &mut A) {
        self.state = State::Ground;
        if !self.text_overflow {
            match self.text_kind {
                TextKind::Osc => actions.osc(&self.text),
                TextKind::Dcs => actions.dcs(&self.sequence, &self.text),
                TextKind::Ignored => {}
            }
        }
        if self.text.capacity() > TEXT_KEPT_BYTES {
            self.text = Vec::new();
        }
    }
}

/// Prints the characters at the start of `bytes`, up to a control character, an error, the end, or ASCII that goes on for
/// long; returns how many bytes that were.
#[inline]
fn characters<A: Actions>(bytes: &[u8], actions: &mut A) -> usize {
    let mut run = ['\0'; CHARACTERS];
    let (mut at, mut count, mut ascii) = (0, 0, 0);
    for slot in &mut run {
        let Some(&byte) = bytes.get(at) else { break };
        if matches!(byte, 0x20..=0x7e) {
            *slot = char::from(byte);
            at += 1;
            ascii += 1;
            count += 1;
            if ascii == ASCII_IN_CHARACTERS {
                break;
            }
            continue;
        }
        match decode(&bytes[at..]) {
            Decoded::Char(c, used) if c >= '\u{a0}' => {
                *slot = c;
                at += used;
                count += 1;
                ascii = 0;
            }
            _ => break,
        }
    }
    if count > 0 {
        actions.print(&run[..count]);
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Writes down what it is told.
    #[derive(Default)]
    struct Log(Vec<String>);

    impl Actions for Log {
        fn print_ascii(&mut self, run: &[u8]) {
            assert!(!run.is_empty() && run.iter().all(|b| matches!(b, 0x20..=0x7e)));
            for byte in run {
                self.print(&[char::from(*byte)]);
            }
        }
        fn print(&mut self, characters: &[char]) {
            for c in characters {
                match self.0.last_mut() {
                    Some(last) if last.starts_with('"') => last.push(*c),
                    _ => self.0.push(format!("\"{c}")),
                }
            }
        }
        fn control(&mut self, byte: u8) {
            self.0.push(format!("control {byte:02x}"));
        }
        fn escape(&mut self, intermediate: u8, last: u8) {
            self.0.push(format!("escape {}{}", named(intermediate), char::from(last)));
        }
        fn csi(&mut self, s: &Sequence) {
            self.0.push(format!(
                "csi {}{:?}{}{}",
                named(s.private),
                s.parameters.values(),
                named(s.intermediate),
                char::from(s.last)
            ));
        }
        fn osc(&mut self, text: &[u8]) {
            self.0.push(format!("osc {}", String::from_utf8_lossy(text)));
        }
        fn dcs(&mut self, head: &Sequence, text: &[u8]) {
            self.0.push(format!(
                "dcs {:?}{}{} {}",
                head.parameters.values(),
                named(head.intermediate),
                char::from(head.last),
                String::from_utf8_lossy(text)
            ));
        }
        fn linux_colour(&mut self, index: u8, colour: Rgb) {
            self.0.push(format!("colour {index} {:06x}", colour.0));
        }
        fn linux_reset_palette(&mut self) {
            self.0.push("reset palette".into());
        }
    }

    fn named(byte: u8) -> String {
        if byte == 0 { String::new() } else { char::from(byte).to_string() }
    }

    fn parse(bytes: &[u8]) -> Vec<String> {
        let mut log = Log::default();
        Parser::default().feed(bytes, &mut log);
        log.0
    }

    #[test]
    fn sequences_are_taken_apart() {
        for (bytes, wanted) in [
            (&b"ab\x1b[1;31mc"[..], &["\"ab", "csi [1, 31]m", "\"c"][..]),
            (b"\x1b[?25;1049h\x1b[>c", &["csi ?[25, 1049]h", "csi >[0]c"]),
            (b"\x1b[4:3;38:2::1:2:3m", &["csi [4, 3, 38, 2, 0, 1, 2, 3]m"]),
            (b"\x1b[2 q\x1b[?1$p\x1b[1 $x", &["csi [2] q", "csi ?[1]$p", "csi [1]\u{ff}x"]),
            (b"\x1b(0\x1b#8\x1bM", &["escape (0", "escape #8", "escape M"]),
            (b"\x1b]0;title\x07\x1b]2;t\x1b\\x", &["osc 0;title", "osc 2;t", "\"x"]),
            (b"\x1bP1$qm\x1b\\", &["dcs [1]$q m"]),
            (b"\x1b_ignored\x1b\\\x1b^x\x07y\x1b\\z", &["\"z"]),
            // Controls act inside sequences; CAN and SUB end them; ESC begins anew.
            (b"\x1b[1\n2A\x1b[3\x184B\x1b[5\x1b[6C", &["control 0a", "csi [12]A", "\"4B", "csi [6]C"]),
            // Malformed sequences are dropped whole.
            (b"\x1b[1?2hx\x1b[ 1qy", &["\"xy"]),
            (b"\x1b]0;a\x1b[mb", &["csi [0]m", "\"b"]),
        ] {
            assert_eq!(parse(bytes), wanted, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn linux_sequences_swallow_no_text() {
        assert_eq!(parse(b"\x1b]P1aaBB00text"), ["colour 1 aabb00", "\"text"]);
        assert_eq!(parse(b"\x1b]Rtext"), ["reset palette", "\"text"]);
        assert_eq!(parse(b"\x1b]P12xtext"), ["\"text"]);
        assert_eq!(parse(b"\x1b[[Atext"), ["\"text"]);
    }

    #[test]
    fn c1_controls_are_characters() {
        assert_eq!(parse("\u{9b}1mx\u{85}".as_bytes()), ["csi [1]m", "\"x", "escape E"]);
        assert_eq!(
            parse(b"\x1b%@\x9b1mx\xe9\x1b%G\xe9!"),
            ["escape %@", "csi [1]m", "\"xé", "escape %G", "\"\u{fffd}!"]
        );
    }

    #[test]
    fn a_long_text_is_dropped_and_bounded() {
        let mut parser = Parser::default();
        let mut log = Log::default();
        parser.feed(b"\x1b]0;", &mut log);
        for _ in 0..64 {
            parser.feed(&[b'x'; 65536], &mut log);
            assert!(parser.heap_bytes() <= 2 * TEXT_BYTES);
        }
        parser.feed(b"\x07after", &mut log);
        assert_eq!(log.0, ["\"after"]);
        assert_eq!(parser.heap_bytes(), 0);
    }

    /// Bytes that look like what terminals get.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![
            4 => Just(0x1b), 3 => Just(b'['), 2 => Just(b']'), 2 => Just(b'P'), 1 => Just(b'\\'), 1 => Just(0x07),
            6 => b'0'..=b';', 2 => Just(b'?'), 4 => 0x20..=0x7eu8, 3 => 0x80..=0xffu8, 2 => Just(0xc2), 3 => any::<u8>(),
            1 => Just(b'%'), 1 => Just(b'@'), 1 => Just(0x18),
        ];
        prop::collection::vec(byte, 0..60)
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_actions(bytes in bytes(), cuts in prop::collection::vec(0usize..60, 0..6)) {
            let mut log = Log::default();
            let mut parser = Parser::default();
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            for cut in cuts.windows(2) {
                parser.feed(&bytes[cut[0]..cut[1]], &mut log);
            }
            prop_assert_eq!(log.0, parse(&bytes));
        }

        #[test]
        fn byte_by_byte_is_the_same(bytes in bytes()) {
            let mut log = Log::default();
            let mut parser = Parser::default();
            for byte in &bytes {
                parser.feed(&[*byte], &mut log);
            }
            prop_assert_eq!(log.0, parse(&bytes));
        }
    }
}
