//! The modes that a guest can set, and their numbers.

/// A set of modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Modes(u32);

/// One mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mode(u32);

macro_rules! modes {
    ($($(#[doc = $doc:literal])* $name:ident = $bit:literal, ($private:literal, $number:literal);)*) => {
        impl Mode {
            $($(#[doc = $doc])* pub(super) const $name: Self = Self(1 << $bit);)*

            /// The mode of a number after `CSI`, for DEC's private modes after `CSI ?`.
            pub(super) const fn from_number(private: bool, number: u16) -> Option<Self> {
                match (private, number) {
                    $(($private, $number) => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

modes! {
    /// IRM: characters push the rest of the line to the right.
    INSERT = 0, (false, 4);
    /// LNM: a line feed is also a carriage return, and Return sends both.
    NEWLINE = 1, (false, 20);
    /// DECCKM: cursor keys send `ESC O`.
    APPLICATION_CURSOR = 2, (true, 1);
    /// DECSCNM: the screen is in reverse video.
    REVERSE = 3, (true, 5);
    /// DECOM: the cursor is addressed and kept inside the scroll region.
    ORIGIN = 4, (true, 6);
    /// DECAWM: text goes on in the next line.
    AUTOWRAP = 5, (true, 7);
    /// X10 mouse: presses only.
    MOUSE_X10 = 6, (true, 9);
    /// The cursor blinks; remembered only.
    CURSOR_BLINK = 7, (true, 12);
    /// DECTCEM: the cursor is shown.
    CURSOR = 8, (true, 25);
    /// DECNKM: the keypad sends `ESC O`; also `ESC =`.
    APPLICATION_KEYPAD = 9, (true, 66);
    /// DECBKM: Backspace sends BS rather than DEL.
    BACKSPACE = 10, (true, 67);
    /// Mouse presses and releases.
    MOUSE_BUTTONS = 11, (true, 1000);
    /// These, and motion while a button is held.
    MOUSE_DRAG = 12, (true, 1002);
    /// These, and all motion.
    MOUSE_MOTION = 13, (true, 1003);
    /// Focus reports.
    FOCUS = 14, (true, 1004);
    /// Mouse positions in UTF-8.
    MOUSE_UTF8 = 15, (true, 1005);
    /// Mouse reports in SGR form.
    MOUSE_SGR = 16, (true, 1006);
    /// The wheel sends cursor keys on the alternate screen.
    ALTERNATE_SCROLL = 17, (true, 1007);
    /// Mouse reports in urxvt's form.
    MOUSE_URXVT = 18, (true, 1015);
    /// Pasted text is bracketed.
    BRACKETED_PASTE = 19, (true, 2004);
    /// Synchronized output: a frame is shown when it is complete.
    SYNCHRONIZED = 20, (true, 2026);
    /// DECARM: keys repeat; remembered only, the viewer repeats.
    AUTOREPEAT = 21, (true, 8);
    /// Reverse wrap: Backspace goes back to the line before.
    REVERSE_WRAP = 22, (true, 45);
    /// SRM: remembered only, there is no local echo.
    NO_ECHO = 23, (false, 12);
    /// DECNRCM: remembered only; national sets are there without it.
    NATIONAL = 27, (true, 42);
    /// DECCOLM may be used.
    ALLOW_COLUMNS = 24, (true, 40);
    /// DECLRMM: the left and right margins may be set.
    MARGINS = 25, (true, 69);
    /// Characters are printed as grapheme clusters rather than one by one.
    CLUSTERS = 26, (true, 2027);
}

impl Default for Modes {
    fn default() -> Self {
        let on = [Mode::AUTOWRAP, Mode::CURSOR, Mode::ALTERNATE_SCROLL, Mode::AUTOREPEAT, Mode::NO_ECHO];
        Self(on.iter().fold(0, |all, mode| all | mode.0))
    }
}

impl Modes {
    #[inline]
    pub(super) const fn has(self, mode: Mode) -> bool {
        self.0 & mode.0 != 0
    }

    pub(super) const fn set(&mut self, mode: Mode, on: bool) {
        if on {
            self.0 |= mode.0;
        } else {
            self.0 &= !mode.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_name_modes() {
        assert_eq!(Mode::from_number(true, 25), Some(Mode::CURSOR));
        assert_eq!(Mode::from_number(false, 25), None);
        let mut modes = Modes::default();
        assert!(modes.has(Mode::AUTOWRAP) && !modes.has(Mode::ORIGIN));
        modes.set(Mode::AUTOWRAP, false);
        assert!(!modes.has(Mode::AUTOWRAP) && modes.has(Mode::CURSOR));
    }
}
