//! Keys to bytes.
//!
//! Everything is as xterm sends it, because that is also what `vt220` and `vt100` entries expect. Where the Linux
//! console differs (F1 to F5, Home, End, Shift-Tab, shifted function keys), [`FunctionKeys`] decides. A guest on
//! `hvc0` is usually a `vt220` (the default of systemd's `serial-getty@hvc0`), else `vt102` or `linux` (BusyBox
//! init); nothing on the line says which. But an entry gives itself away: only programs with `TERM=linux` send
//! `CSI ? n c`, `ESC ] P` or `ESC ] R`, and only others switch to the alternate screen by `CSI ? 1049 h`.
//! [`FunctionKeys::Auto`] goes by that.

use super::modes::{Mode, Modes};
use crate::keysym::Keysym;

/// The modifier keys that are down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
#[allow(clippy::struct_excessive_bools, reason = "one per key of the keyboard")]
pub struct Modifiers {
    /// Either Shift.
    pub shift: bool,
    /// Either Control.
    pub control: bool,
    /// Either Alt.
    pub alt: bool,
    /// Either Meta or Super.
    pub meta: bool,
}

impl Modifiers {
    /// xterm's parameter: 1 and a sum of bits.
    fn parameter(self) -> u8 {
        1 + u8::from(self.shift)
            + 2 * u8::from(self.alt)
            + 4 * u8::from(self.control)
            + 8 * u8::from(self.meta)
    }

    const fn escapes(self) -> bool {
        self.alt || self.meta
    }
}

/// Which bytes F1 to F5, Home and End send; everything else is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum FunctionKeys {
    /// As `Xterm`, until the guest shows by sequences that only the Linux console knows that it believes to talk
    /// to one.
    #[default]
    Auto,
    /// F1 is `ESC O P`: right for `TERM` xterm, vt220 and vt100.
    Xterm,
    /// F1 is `ESC [ [ A`: right for `TERM=linux` only.
    Linux,
}

/// What keys depend on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keyboard {
    pub(super) modes: Modes,
    /// Characters are UTF-8 rather than Latin-1.
    pub(super) utf8: bool,
    /// As on the Linux console.
    pub(super) linux: bool,
    /// xterm's modifyOtherKeys: 1, keys with modifiers that have no bytes of their own are told as `CSI 27 ; modifiers
    /// ; code ~`; 2, all keys with modifiers are, but for characters that Shift makes.
    pub(super) other_keys: u8,
}

/// What a key sends.
enum Kind {
    /// `CSI x`, or `ESC O x` in application mode: arrows, Home, End.
    Cursor(u8),
    /// `ESC O x`: F1 to F4.
    Function(u8),
    /// `CSI n ~`.
    Tilde(u8),
    /// `CSI [ x`.
    LinuxFunction(u8),
    /// Shift-Tab.
    BackTab,
    /// A character, a digit or an operator of the keypad, or a control character.
    Byte(u8),
}

impl Keyboard {
    /// Appends what a press of `key` sends.
    pub(super) fn press(self, key: Keysym, modifiers: Modifiers, out: &mut Vec<u8>) {
        if let Some(c) = key.to_char() {
            self.character(c, modifiers, out);
            return;
        }
        let Some(kind) = self.kind(key, modifiers) else { return };
        let parameter = modifiers.parameter();
        match kind {
            Kind::Cursor(last) if parameter > 1 => write(out, format_args!("\x1b[1;{parameter}"), Some(last)),
            Kind::Cursor(last) if self.modes.has(Mode::APPLICATION_CURSOR) => out.extend([0x1b, b'O', last]),
            Kind::Cursor(last) => out.extend([0x1b, b'[', last]),
            Kind::Function(last) if parameter > 1 => {
                write(out, format_args!("\x1b[1;{parameter}"), Some(last));
            }
            Kind::Function(last) => out.extend([0x1b, b'O', last]),
            Kind::Tilde(number) if parameter > 1 => {
                write(out, format_args!("\x1b[{number};{parameter}~"), None);
            }
            Kind::Tilde(number) => write(out, format_args!("\x1b[{number}~"), None),
            // terminfo's linux has ESC TAB, all others CSI Z.
            Kind::BackTab => out.extend_from_slice(if self.linux { b"\x1b\t" } else { b"\x1b[Z" }),
            Kind::LinuxFunction(last) => out.extend([0x1b, b'[', b'[', last]),
            Kind::Byte(byte @ (b'\r' | b'\t' | 0x1b | 0x7f | 0x08))
                if parameter > 1
                    && (self.other_keys == 2
                        || self.other_keys == 1 && modifiers.control && matches!(byte, b'\r' | b'\t')) =>
            {
                // Backspace is 127 whatever it sends.
                let code = if byte == 0x08 { 0x7f } else { byte };
                write(out, format_args!("\x1b[27;{parameter};{code}~"), None);
            }
            Kind::Byte(byte) => {
                if modifiers.escapes() {
                    out.push(0x1b);
                }
                out.push(byte);
                if byte == b'\r' && self.modes.has(Mode::NEWLINE) {
                    out.push(b'\n');
                }
            }
        }
    }

    fn kind(self, key: Keysym, modifiers: Modifiers) -> Option<Kind> {
        Some(match key {
            Keysym::UP | Keysym::KP_UP => Kind::Cursor(b'A'),
            Keysym::DOWN | Keysym::KP_DOWN => Kind::Cursor(b'B'),
            Keysym::RIGHT | Keysym::KP_RIGHT => Kind::Cursor(b'C'),
            Keysym::LEFT | Keysym::KP_LEFT => Kind::Cursor(b'D'),
            Keysym::BEGIN | Keysym::KP_BEGIN => Kind::Cursor(b'E'),
            Keysym::HOME | Keysym::KP_HOME if self.linux => Kind::Tilde(1),
            Keysym::END | Keysym::KP_END if self.linux => Kind::Tilde(4),
            Keysym::HOME | Keysym::KP_HOME => Kind::Cursor(b'H'),
            Keysym::END | Keysym::KP_END => Kind::Cursor(b'F'),
            Keysym::INSERT | Keysym::KP_INSERT => Kind::Tilde(2),
            Keysym::DELETE | Keysym::KP_DELETE => Kind::Tilde(3),
            Keysym::PAGE_UP | Keysym::KP_PAGE_UP => Kind::Tilde(5),
            Keysym::PAGE_DOWN | Keysym::KP_PAGE_DOWN => Kind::Tilde(6),
            Keysym::MENU => Kind::Tilde(29),
            Keysym::RETURN | Keysym::LINEFEED => Kind::Byte(b'\r'),
            Keysym::KP_ENTER if self.modes.has(Mode::APPLICATION_KEYPAD) => Kind::Function(b'M'),
            Keysym::KP_ENTER => Kind::Byte(b'\r'),
            Keysym::ESCAPE => Kind::Byte(0x1b),
            Keysym::BACKSPACE => {
                // Control is the way to the other one.
                let bs = self.modes.has(Mode::BACKSPACE) != modifiers.control;
                Kind::Byte(if bs { 0x08 } else { 0x7f })
            }
            Keysym::ISO_LEFT_TAB => Kind::BackTab,
            Keysym::TAB | Keysym::KP_TAB if modifiers.shift => Kind::BackTab,
            Keysym::TAB | Keysym::KP_TAB => Kind::Byte(b'\t'),
            Keysym(code @ 0xffb0..=0xffb9) => Kind::Byte(b'0' + u8::try_from(code - 0xffb0).unwrap_or(0)),
            Keysym(code @ 0xffaa..=0xffaf) => Kind::Byte(b'*' + u8::try_from(code - 0xffaa).unwrap_or(0)),
            Keysym::KP_EQUAL => Kind::Byte(b'='),
            Keysym::KP_SPACE => Kind::Byte(b' '),
            Keysym(code @ 0xff91..=0xff94) => self.function(code - 0xff91 + 1, modifiers),
            Keysym(code @ 0xffbe..=0xffd1) => self.function(code - 0xffbe + 1, modifiers),
            _ => return None,
        })
    }

    /// F1 to F20.
    fn function(self, number: u32, modifiers: Modifiers) -> Kind {
        // On the Linux console Shift-F1 is F13; F11 and F12 shifted are F23 and F24, which it does not have.
        let number = if self.linux && modifiers.shift && number <= 8 { number + 12 } else { number };
        match u8::try_from(number).unwrap_or(1) {
            n @ 1..=5 if self.linux => Kind::LinuxFunction(b'A' + n - 1),
            n @ 1..=4 => Kind::Function(b'P' + n - 1),
            // The numbers have gaps where the VT220's keyboard has: CSI 15 ~, 17 to 21, 23 to 26, 28, 29, 31 to 34.
            5 => Kind::Tilde(15),
            n @ 6..=10 => Kind::Tilde(n + 11),
            n @ 11..=14 => Kind::Tilde(n + 12),
            n @ 15..=16 => Kind::Tilde(n + 13),
            n => Kind::Tilde(n + 14),
        }
    }

    fn character(self, c: char, modifiers: Modifiers, out: &mut Vec<u8>) {
        let more_than_shift = modifiers.control || modifiers.escapes();
        let unknown = modifiers.control && control_character(c).is_none();
        if more_than_shift && (self.other_keys == 2 || self.other_keys == 1 && unknown) {
            write(out, format_args!("\x1b[27;{};{}~", modifiers.parameter(), u32::from(c)), None);
            return;
        }
        if modifiers.escapes() {
            out.push(0x1b);
        }
        let control = if modifiers.control { control_character(c) } else { None };
        match control {
            Some(byte) => out.push(byte),
            None if self.utf8 => out.extend(c.encode_utf8(&mut [0; 4]).as_bytes()),
            // What the guest's set does not have is typed as a question mark.
            None => out.push(u8::try_from(u32::from(c)).unwrap_or(b'?')),
        }
    }
}

/// The control character of a key, as the VT220 has it: letters, `@[\]^_`, and digits for those that are hard to
/// reach.
fn control_character(c: char) -> Option<u8> {
    let byte = u8::try_from(u32::from(c)).ok()?;
    Some(match byte {
        b'a'..=b'z' | b'@'..=b'_' => byte & 0x1f,
        b' ' | b'2' | b'`' => 0,
        b'3'..=b'7' => byte - b'3' + 0x1b,
        b'8' | b'?' => 0x7f,
        b'/' => 0x1f,
        b'~' => 0x1e,
        _ => return None,
    })
}

fn write(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>, last: Option<u8>) {
    use std::io::Write;
    // Writing to a vector cannot fail.
    let _ = out.write_fmt(text);
    out.extend(last);
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Modifiers = Modifiers { shift: false, control: false, alt: false, meta: false };
    const SHIFT: Modifiers = Modifiers { shift: true, ..NONE };
    const CONTROL: Modifiers = Modifiers { control: true, ..NONE };
    const ALT: Modifiers = Modifiers { alt: true, ..NONE };

    fn keyboard() -> Keyboard {
        Keyboard { modes: Modes::default(), utf8: true, linux: false, other_keys: 0 }
    }

    fn press(keyboard: Keyboard, key: Keysym, modifiers: Modifiers) -> String {
        let mut out = Vec::new();
        keyboard.press(key, modifiers, &mut out);
        out.escape_ascii().to_string().replace("\\x1b", "^[")
    }

    /// From `infocmp xterm-256color`, cursor keys in normal mode.
    #[test]
    fn keys_are_those_of_xterm() {
        for (key, modifiers, wanted) in [
            (Keysym::UP, NONE, "^[[A"),
            (Keysym::RIGHT, CONTROL, "^[[1;5C"),
            (Keysym::LEFT, ALT, "^[[1;3D"),
            (Keysym::END, NONE, "^[[F"),
            (Keysym::HOME, SHIFT, "^[[1;2H"),
            (Keysym::DELETE, NONE, "^[[3~"),
            (Keysym::PAGE_UP, SHIFT, "^[[5;2~"),
            (Keysym::F1, NONE, "^[OP"),
            (Keysym::F1, SHIFT, "^[[1;2P"),
            (Keysym::F5, NONE, "^[[15~"),
            (Keysym::F5, CONTROL, "^[[15;5~"),
            (Keysym::F10, NONE, "^[[21~"),
            (Keysym::F12, NONE, "^[[24~"),
            (Keysym::TAB, SHIFT, "^[[Z"),
            (Keysym::ISO_LEFT_TAB, SHIFT, "^[[Z"),
            (Keysym::BACKSPACE, NONE, "\\x7f"),
            (Keysym::BACKSPACE, ALT, "^[\\x7f"),
            (Keysym::KP_5, NONE, "5"),
            (Keysym::KP_ADD, NONE, "+"),
            (Keysym::KP_DECIMAL, NONE, "."),
            (Keysym::KP_ENTER, NONE, "\\r"),
            (Keysym::SHIFT_L, SHIFT, ""),
        ] {
            assert_eq!(press(keyboard(), key, modifiers), wanted, "{key:?} {modifiers:?}");
        }
    }

    /// From `infocmp vt220` and `infocmp linux`.
    #[test]
    fn all_function_keys_have_their_numbers() {
        let numbers = [17, 18, 19, 20, 21, 23, 24, 25, 26, 28, 29, 31, 32, 33, 34];
        for (at, number) in (0..).zip(numbers) {
            let wanted = format!("^[[{number}~");
            assert_eq!(press(keyboard(), Keysym(Keysym::F6.0 + at), NONE), wanted);
        }
        let linux = Keyboard { linux: true, ..keyboard() };
        for (key, modifiers, wanted) in [
            (Keysym::F1, NONE, "^[[[A"),
            (Keysym::F5, NONE, "^[[[E"),
            (Keysym::F6, NONE, "^[[17~"),
            (Keysym::HOME, NONE, "^[[1~"),
            (Keysym::END, NONE, "^[[4~"),
            (Keysym::TAB, SHIFT, "^[\\t"),
        ] {
            assert_eq!(press(linux, key, modifiers), wanted, "{key:?}");
        }
    }

    #[test]
    fn application_modes_change_cursor_keys_and_enter() {
        let mut keyboard = keyboard();
        keyboard.modes.set(Mode::APPLICATION_CURSOR, true);
        keyboard.modes.set(Mode::APPLICATION_KEYPAD, true);
        keyboard.modes.set(Mode::BACKSPACE, true);
        assert_eq!(press(keyboard, Keysym::UP, NONE), "^[OA");
        assert_eq!(press(keyboard, Keysym::UP, SHIFT), "^[[1;2A");
        assert_eq!(press(keyboard, Keysym::KP_ENTER, NONE), "^[OM");
        assert_eq!(press(keyboard, Keysym::BACKSPACE, NONE), "\\x08");
        keyboard.modes.set(Mode::NEWLINE, true);
        assert_eq!(press(keyboard, Keysym::RETURN, NONE), "\\r\\n");
    }

    /// From xterm's "modified keys" page, for modifyOtherKeys 1 and 2.
    #[test]
    fn other_keys_tell_their_modifiers() {
        let shift_control = Modifiers { shift: true, ..CONTROL };
        for (key, modifiers, one, two) in [
            (Keysym::from_char('a'), NONE, "a", "a"),
            (Keysym::from_char('A'), SHIFT, "A", "A"),
            (Keysym::from_char('c'), CONTROL, "\\x03", "^[[27;5;99~"),
            (Keysym::from_char('1'), CONTROL, "^[[27;5;49~", "^[[27;5;49~"),
            (Keysym::from_char('x'), ALT, "^[x", "^[[27;3;120~"),
            (Keysym::from_char('!'), shift_control, "^[[27;6;33~", "^[[27;6;33~"),
            (Keysym::RETURN, NONE, "\\r", "\\r"),
            (Keysym::RETURN, SHIFT, "\\r", "^[[27;2;13~"),
            (Keysym::RETURN, CONTROL, "^[[27;5;13~", "^[[27;5;13~"),
            (Keysym::TAB, CONTROL, "^[[27;5;9~", "^[[27;5;9~"),
            (Keysym::BACKSPACE, ALT, "^[\\x7f", "^[[27;3;127~"),
            (Keysym::UP, CONTROL, "^[[1;5A", "^[[1;5A"),
        ] {
            for (other_keys, wanted) in [(1, one), (2, two)] {
                let keyboard = Keyboard { other_keys, ..keyboard() };
                assert_eq!(press(keyboard, key, modifiers), wanted, "{key:?} {modifiers:?} {other_keys}");
            }
        }
    }

    #[test]
    fn characters_and_their_controls() {
        for (c, modifiers, wanted) in [
            ('a', NONE, "a"),
            ('ä', NONE, "\\xc3\\xa4"),
            ('c', CONTROL, "\\x03"),
            ('C', Modifiers { shift: true, ..CONTROL }, "\\x03"),
            (' ', CONTROL, "\\x00"),
            ('[', CONTROL, "^["),
            ('/', CONTROL, "\\x1f"),
            ('1', CONTROL, "1"),
            ('x', ALT, "^[x"),
            ('x', Modifiers { control: true, ..ALT }, "^[\\x18"),
        ] {
            assert_eq!(press(keyboard(), Keysym::from_char(c), modifiers), wanted, "{c:?} {modifiers:?}");
        }
        let latin1 = Keyboard { utf8: false, ..keyboard() };
        assert_eq!(press(latin1, Keysym::from_char('ä'), NONE), "\\xe4");
        assert_eq!(press(latin1, Keysym::from_char('漢'), NONE), "?");
    }
}
