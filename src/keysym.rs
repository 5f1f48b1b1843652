//! X keysyms, the names of keys that RFB carries (RFC 6143 §7.5.4; numbers from X11's `keysymdef.h`).

/// A key's name: what the user's layout made of the key that was pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct Keysym(pub u32);

macro_rules! keysyms {
    ($($name:ident = $value:literal),* $(,)?) => {
        #[allow(missing_docs, reason = "the names are those of keysymdef.h")]
        impl Keysym {
            $(pub const $name: Self = Self($value);)*
        }
    };
}

keysyms! {
    SPACE = 0x20,
    BACKSPACE = 0xff08, TAB = 0xff09, LINEFEED = 0xff0a, CLEAR = 0xff0b, RETURN = 0xff0d, PAUSE = 0xff13,
    SCROLL_LOCK = 0xff14, SYS_REQ = 0xff15, ESCAPE = 0xff1b, MULTI_KEY = 0xff20,
    HOME = 0xff50, LEFT = 0xff51, UP = 0xff52, RIGHT = 0xff53, DOWN = 0xff54, PAGE_UP = 0xff55,
    PAGE_DOWN = 0xff56, END = 0xff57, BEGIN = 0xff58,
    PRINT = 0xff61, INSERT = 0xff63, MENU = 0xff67, BREAK = 0xff6b, MODE_SWITCH = 0xff7e, NUM_LOCK = 0xff7f,
    KP_SPACE = 0xff80, KP_TAB = 0xff89, KP_ENTER = 0xff8d, KP_F1 = 0xff91, KP_F2 = 0xff92, KP_F3 = 0xff93,
    KP_F4 = 0xff94, KP_HOME = 0xff95, KP_LEFT = 0xff96, KP_UP = 0xff97, KP_RIGHT = 0xff98, KP_DOWN = 0xff99,
    KP_PAGE_UP = 0xff9a, KP_PAGE_DOWN = 0xff9b, KP_END = 0xff9c, KP_BEGIN = 0xff9d, KP_INSERT = 0xff9e,
    KP_DELETE = 0xff9f, KP_MULTIPLY = 0xffaa, KP_ADD = 0xffab, KP_SEPARATOR = 0xffac, KP_SUBTRACT = 0xffad,
    KP_DECIMAL = 0xffae, KP_DIVIDE = 0xffaf, KP_0 = 0xffb0, KP_1 = 0xffb1, KP_2 = 0xffb2, KP_3 = 0xffb3,
    KP_4 = 0xffb4, KP_5 = 0xffb5, KP_6 = 0xffb6, KP_7 = 0xffb7, KP_8 = 0xffb8, KP_9 = 0xffb9, KP_EQUAL = 0xffbd,
    F1 = 0xffbe, F2 = 0xffbf, F3 = 0xffc0, F4 = 0xffc1, F5 = 0xffc2, F6 = 0xffc3, F7 = 0xffc4, F8 = 0xffc5,
    F9 = 0xffc6, F10 = 0xffc7, F11 = 0xffc8, F12 = 0xffc9, F13 = 0xffca, F14 = 0xffcb, F15 = 0xffcc,
    F16 = 0xffcd, F17 = 0xffce, F18 = 0xffcf, F19 = 0xffd0, F20 = 0xffd1, F24 = 0xffd5,
    SHIFT_L = 0xffe1, SHIFT_R = 0xffe2, CONTROL_L = 0xffe3, CONTROL_R = 0xffe4, CAPS_LOCK = 0xffe5,
    SHIFT_LOCK = 0xffe6, META_L = 0xffe7, META_R = 0xffe8, ALT_L = 0xffe9, ALT_R = 0xffea, SUPER_L = 0xffeb,
    SUPER_R = 0xffec, HYPER_L = 0xffed, HYPER_R = 0xffee, DELETE = 0xffff,
    ISO_LEVEL3_SHIFT = 0xfe03, ISO_LEFT_TAB = 0xfe20,
    // Old names that some viewers still send.
    SUN_F36 = 0x1005_ff10, SUN_F37 = 0x1005_ff11, EURO_SIGN = 0x20ac,
}

impl Keysym {
    /// The character that it stands for, if it stands for one: Latin-1 and the Unicode range by rule, the older
    /// national blocks that keyboards still produce by table. Control keys (Return, Tab, Escape) are not characters.
    #[must_use]
    pub fn to_char(self) -> Option<char> {
        match self.0 {
            0x20..=0x7e | 0xa0..=0xff => char::from_u32(self.0),
            0x0100_0100..=0x0110_ffff => char::from_u32(self.0 - 0x0100_0000),
            // Some viewers put Latin-1 into the Unicode range, which X forbids but everybody understands.
            0x0100_0020..=0x0100_007e | 0x0100_00a0..=0x0100_00ff => char::from_u32(self.0 - 0x0100_0000),
            0x20ac => Some('€'),
            _ => legacy(self.0),
        }
    }

    /// The keysym of a character: Latin-1 as it is, everything else in the Unicode range.
    #[must_use]
    pub const fn from_char(c: char) -> Self {
        match c as u32 {
            latin @ (0x20..=0x7e | 0xa0..=0xff) => Self(latin),
            other => Self(0x0100_0000 + other),
        }
    }

    /// True for Shift, Control, Alt, Meta, Super, Hyper, level shifts and locks.
    #[must_use]
    pub const fn is_modifier(self) -> bool {
        matches!(self.0, 0xffe1..=0xffee | 0xfe01..=0xfe13 | 0xff7e | 0xff7f | 0xff14)
    }
}

/// The national keysym blocks 1 to 0xd that map by a table. Sources: `keysymdef.h`, the comments of each line.
fn legacy(keysym: u32) -> Option<char> {
    /// Latin 2, 0x1a1 to 0x1ff: the upper half of ISO 8859-2; a blank is a gap.
    const LATIN2: &str =
        "Ą˘Ł¤ĽŚ§¨ŠŞŤŹ ŽŻ°ą˛ł´ľśˇ¸šşťź˝žżŔÁÂĂÄĹĆÇČÉĘËĚÍÎĎĐŃŇÓÔŐÖ×ŘŮÚŰÜÝŢßŕáâăäĺćçčéęëěíîďđńňóôőö÷řůúűüýţ˙";
    /// Cyrillic: 0x6c0 to 0x6ff in KOI8 order.
    const CYRILLIC: &str = "юабцдефгхийклмнопярстужвьызшэщчъЮАБЦДЕФГХИЙКЛМНОПЯРСТУЖВЬЫЗШЭЩЧЪ";
    /// Greek: 0x7c1 to 0x7f9 and its accents are rare; the letters.
    const GREEK: &str = "ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣ ΤΥΦΧΨΩ       αβγδεζηθικλμνξοπρσςτυφχψω";
    let pick = |table: &str, first: u32| {
        let at = usize::try_from(keysym.checked_sub(first)?).ok()?;
        table.chars().nth(at).filter(|c| *c != ' ')
    };
    match keysym {
        0x1a1..=0x1ff => pick(LATIN2, 0x1a1),
        0x6c0..=0x6ff => pick(CYRILLIC, 0x6c0),
        0x7c1..=0x7f9 => pick(GREEK, 0x7c1),
        0x13bc => Some('Œ'),
        0x13bd => Some('œ'),
        0x13be => Some('Ÿ'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_come_back_from_their_keysyms() {
        for c in ['a', '~', 'ä', 'Ω', '€', '漢', '🙂'] {
            assert_eq!(Keysym::from_char(c).to_char(), Some(c));
        }
    }

    #[test]
    fn legacy_blocks_follow_keysymdef() {
        // Aogonek, Lstroke, scaron, zabovedot, abovedot; Cyrillic yu, A; Greek ALPHA, OMEGA, alpha, omega.
        let cases = [
            (0x1a1, 'Ą'),
            (0x1a3, 'Ł'),
            (0x1b9, 'š'),
            (0x1bf, 'ż'),
            (0x1ff, '˙'),
            (0x1c0, 'Ŕ'),
            (0x1e8, 'č'),
            (0x1f8, 'ř'),
            (0x6c0, 'ю'),
            (0x6e1, 'А'),
            (0x7c1, 'Α'),
            (0x7d9, 'Ω'),
            (0x7e1, 'α'),
            (0x7f9, 'ω'),
        ];
        for (keysym, c) in cases {
            assert_eq!(Keysym(keysym).to_char(), Some(c), "{keysym:#x}");
        }
    }

    #[test]
    fn keys_without_a_character_have_none() {
        for keysym in [
            Keysym::RETURN,
            Keysym::F1,
            Keysym::SHIFT_L,
            Keysym(0),
            Keysym(0x1f),
            Keysym(0x0110_ffff + 0x0100_0000),
        ] {
            assert_eq!(keysym.to_char(), None);
        }
    }
}
