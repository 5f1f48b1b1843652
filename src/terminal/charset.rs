//! Character sets: G0 to G3 and the shifts between them (ECMA-35, DEC STD 070).

/// A set of 94 characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Charset {
    #[default]
    Ascii,
    /// DEC special graphics: lines and symbols at 0x5f to 0x7e.
    DecGraphics,
    /// As ASCII but for the pound sign.
    British,
    /// The Linux console's "null mapping", with which old terminfo entries reach the line characters of code page
    /// 437. Only 0x80 and above differ from ASCII.
    CodePage437,
}

/// DEC special graphics, 0x5f to 0x7e (VT220 Programmer Reference Manual, table 2-4).
const DEC_GRAPHICS: [char; 32] = [
    ' ', '◆', '▒', '␉', '␌', '␍', '␊', '°', '±', '␤', '␋', '┘', '┐', '┌', '└', '┼', '⎺', '⎻', '─', '⎼', '⎽',
    '├', '┤', '┴', '┬', '│', '≤', '≥', 'π', '≠', '£', '·',
];

impl Charset {
    /// The set that `ESC ( last` designates; an unknown one is ASCII.
    pub(super) const fn from_final(last: u8) -> Self {
        match last {
            b'0' | b'2' => Self::DecGraphics,
            b'A' => Self::British,
            b'U' => Self::CodePage437,
            _ => Self::Ascii,
        }
    }

    /// What `c` is in this set.
    pub(super) fn map(self, c: char) -> char {
        match (self, c) {
            (Self::DecGraphics, '_'..='~') => DEC_GRAPHICS[usize::from(c as u8 - b'_')],
            (Self::British, '#') => '£',
            _ => c,
        }
    }
}

/// The four sets and which one is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Charsets {
    sets: [Charset; 4],
    /// The set that 0x20 to 0x7f mean (GL).
    left: u8,
    /// A set for the next character only, as its number + 1 (SS2, SS3).
    single: u8,
}

impl Charsets {
    /// True when printable ASCII means itself.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        self.single == 0 && self.sets[usize::from(self.left)] == Charset::Ascii
    }

    /// Makes set `number`, 0 to 3, be `charset`.
    pub(super) fn designate(&mut self, number: u8, charset: Charset) {
        self.sets[usize::from(number & 3)] = charset;
    }

    /// Makes set `number` the one in use (SI, SO, LS2, LS3).
    pub(super) const fn shift(&mut self, number: u8) {
        self.left = number & 3;
    }

    /// Uses set `number` for the next character (SS2, SS3).
    pub(super) const fn single_shift(&mut self, number: u8) {
        self.single = (number & 3) + 1;
    }

    /// What `c` is now.
    pub(super) fn map(&mut self, c: char) -> char {
        let set = match std::mem::take(&mut self.single) {
            0 => self.left,
            single => single - 1,
        };
        self.sets[usize::from(set)].map(c)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_drawing_is_as_in_the_manual() {
        let mut charsets = Charsets::default();
        charsets.designate(1, Charset::from_final(b'0'));
        assert!(charsets.is_plain());
        charsets.shift(1);
        assert!(!charsets.is_plain());
        let drawn: String = "lqqk xaf{|}~_A".chars().map(|c| charsets.map(c)).collect();
        assert_eq!(drawn, "┌──┐ │▒°π≠£· A");
        charsets.shift(0);
        assert_eq!(charsets.map('q'), 'q');
    }

    #[test]
    fn a_single_shift_is_for_one_character() {
        let mut charsets = Charsets::default();
        charsets.designate(2, Charset::from_final(b'A'));
        charsets.single_shift(2);
        assert!(!charsets.is_plain());
        assert_eq!([charsets.map('#'), charsets.map('#')], ['£', '#']);
        assert!(charsets.is_plain());
    }
}
