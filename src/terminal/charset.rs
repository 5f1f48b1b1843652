//! Character sets: G0 to G3 and the shifts between them (ECMA-35, DEC STD 070).

/// A set of 94 or 96 characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Charset {
    #[default]
    Ascii,
    /// DEC special graphics: lines and symbols at 0x5f to 0x7e.
    DecGraphics,
    /// The Linux console's "null mapping", with which old terminfo entries reach the line characters of code page
    /// 437. Only 0x80 and above differ from ASCII.
    CodePage437,
    /// ASCII with these in the places of `#@[\]^_`{|}~`.
    National(&'static [char; 12]),
    /// The upper half of Latin-1.
    Latin1,
    /// The upper half of DEC's multinational set, which is nearly that of Latin-1.
    DecSupplemental,
    /// DEC's technical set: pieces of formulas, Greek letters, arrows.
    DecTechnical,
}

/// The places in which national sets differ from ASCII.
const NATIONAL_PLACES: &str = "#@[\\]^_`{|}~";
/// Those of Britain and of 11 more languages, by what designates them (VT220 Programmer Reference Manual, table 2-5 and
/// those of the VT320).
const NATIONAL: &[(&[u8], [char; 12])] = &[
    (b"A", ['£', '@', '[', '\\', ']', '^', '_', '`', '{', '|', '}', '~']),
    (b"4", ['£', '¾', 'ĳ', '½', '|', '^', '_', '`', '¨', 'ƒ', '¼', '´']),
    (b"C5", ['#', '@', 'Ä', 'Ö', 'Å', 'Ü', '_', 'é', 'ä', 'ö', 'å', 'ü']),
    (b"Rf", ['£', 'à', '°', 'ç', '§', '^', '_', '`', 'é', 'ù', 'è', '¨']),
    (b"Q9", ['#', 'à', 'â', 'ç', 'ê', 'î', '_', 'ô', 'é', 'ù', 'è', 'û']),
    (b"K", ['#', '§', 'Ä', 'Ö', 'Ü', '^', '_', '`', 'ä', 'ö', 'ü', 'ß']),
    (b"Y", ['£', '§', '°', 'ç', 'é', '^', '_', 'ù', 'à', 'ò', 'è', 'ì']),
    (b"`E6", ['#', 'Ä', 'Æ', 'Ø', 'Å', 'Ü', '_', 'ä', 'æ', 'ø', 'å', 'ü']),
    (b"Z", ['£', '§', '¡', 'Ñ', '¿', '^', '_', '`', '°', 'ñ', 'ç', '~']),
    (b"H7", ['#', 'É', 'Ä', 'Ö', 'Å', 'Ü', '_', 'é', 'ä', 'ö', 'å', 'ü']),
    (b"=", ['ù', 'à', 'é', 'ç', 'ê', 'î', 'è', 'ô', 'ä', 'ö', 'ü', 'û']),
];

/// DEC technical, 0x21 to 0x7e; what is not defined is a blank (VT330 Programmer Reference Manual, figure 2-6).
const DEC_TECHNICAL: &str =
    "⎷┌─⌠⌡│⎡⎣⎤⎦⎛⎝⎞⎠⎨⎬           ≤≠≥∫∴∝∞÷Δ∇ΦΓ∼≃Θ×Λ⇔⇒≡ΠΨ Σ  √ΩΞΥ⊂⊃∩∪∧∨¬αβχδεφγηιθκλ ν∂πψρστ ƒωξυζ←↑→↓";

/// DEC special graphics, 0x5f to 0x7e (VT220 Programmer Reference Manual, table 2-4).
const DEC_GRAPHICS: [char; 32] = [
    ' ', '◆', '▒', '␉', '␌', '␍', '␊', '°', '±', '␤', '␋', '┘', '┐', '┌', '└', '┼', '⎺', '⎻', '─', '⎼', '⎽',
    '├', '┤', '┴', '┬', '│', '≤', '≥', 'π', '≠', '£', '·',
];

impl Charset {
    /// The set of 94 characters that `ESC ( last` and its siblings designate; an unknown one is ASCII.
    pub(super) fn of_94(last: u8) -> Self {
        match last {
            b'0' | b'2' => Self::DecGraphics,
            b'U' => Self::CodePage437,
            b'<' => Self::DecSupplemental,
            b'>' => Self::DecTechnical,
            last => NATIONAL
                .iter()
                .find(|(finals, _)| finals.contains(&last))
                .map_or(Self::Ascii, |(_, national)| Self::National(national)),
        }
    }

    /// The set of 96 characters that `ESC - last` and its siblings designate; an unknown one is ASCII.
    pub(super) const fn of_96(last: u8) -> Self {
        if last == b'A' { Self::Latin1 } else { Self::Ascii }
    }

    /// What `c` is in this set.
    pub(super) fn map(self, c: char) -> char {
        match (self, c) {
            (Self::DecGraphics, '_'..='~') => DEC_GRAPHICS[usize::from(c as u8 - b'_')],
            (Self::National(national), ' '..='~') => {
                NATIONAL_PLACES.find(c).and_then(|at| national.get(at)).copied().unwrap_or(c)
            }
            (Self::DecSupplemental, '(') => '¤',
            (Self::DecSupplemental, 'W') => 'Œ',
            (Self::DecSupplemental, ']') => 'Ÿ',
            (Self::DecSupplemental, 'w') => 'œ',
            (Self::DecSupplemental, '}') => 'ÿ',
            (Self::Latin1 | Self::DecSupplemental, ' '..='\u{7f}') => char::from(c as u8 | 0x80),
            (Self::DecTechnical, '!'..='~') => {
                DEC_TECHNICAL.chars().nth(usize::from(c as u8 - b'!')).unwrap_or(' ')
            }
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
    /// The set that 0xa0 to 0xff mean (GR), as its number + 1; 0 for Latin-1.
    right: u8,
    /// A set for the next character only, as its number + 1 (SS2, SS3).
    single: u8,
}

impl Charsets {
    /// True when printable ASCII means itself.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        self.single == 0 && self.right == 0 && self.sets[usize::from(self.left)] == Charset::Ascii
    }

    /// Makes set `number`, 0 to 3, be `charset`.
    pub(super) fn designate(&mut self, number: u8, charset: Charset) {
        self.sets[usize::from(number & 3)] = charset;
    }

    /// Makes set `number` the one in use (SI, SO, LS2, LS3).
    pub(super) const fn shift(&mut self, number: u8) {
        self.left = number & 3;
    }

    /// Makes set `number` the one that 0xa0 to 0xff mean (LS1R, LS2R, LS3R), or Latin-1.
    pub(super) fn shift_right(&mut self, number: Option<u8>) {
        self.right = number.map_or(0, |number| (number & 3) + 1);
    }

    /// Uses set `number` for the next character (SS2, SS3).
    pub(super) const fn single_shift(&mut self, number: u8) {
        self.single = (number & 3) + 1;
    }

    /// True when DEL is a character now, as it is in a set of 96.
    pub(super) fn has_delete(&self) -> bool {
        let set = if self.single == 0 { self.left } else { self.single - 1 };
        self.sets[usize::from(set)] == Charset::Latin1
    }

    /// What `c` is now.
    pub(super) fn map(&mut self, c: char) -> char {
        if let ('\u{a0}'..='\u{ff}', Some(right)) = (c, self.right.checked_sub(1)) {
            return self.sets[usize::from(right)].map(char::from(c as u8 & 0x7f));
        }
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
        charsets.designate(1, Charset::of_94(b'0'));
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
        charsets.designate(2, Charset::of_94(b'A'));
        charsets.single_shift(2);
        assert!(!charsets.is_plain());
        assert_eq!([charsets.map('#'), charsets.map('#')], ['£', '#']);
        assert!(charsets.is_plain());
    }

    #[test]
    fn other_sets_are_as_in_the_manuals() {
        let shown = |set: Charset, text: &str| text.chars().map(|c| set.map(c)).collect::<String>();
        assert_eq!(shown(Charset::of_94(b'K'), "[\\]{|}~@"), "ÄÖÜäöüß§");
        assert_eq!(shown(Charset::of_94(b'R'), "#{}x"), "£éèx");
        assert_eq!(shown(Charset::of_94(b'='), "#_"), "ùè");
        assert_eq!(shown(Charset::of_96(b'A'), "dC "), "äÃ\u{a0}");
        assert_eq!(shown(Charset::of_94(b'<'), "dW}"), "äŒÿ");
        assert_eq!(shown(Charset::of_94(b'>'), "!/abp{|}~"), "⎷⎨αβπ←↑→↓");
        assert_eq!(NATIONAL_PLACES.len(), 12);
        assert_eq!(DEC_TECHNICAL.chars().count(), 94);
    }

    #[test]
    fn the_right_half_is_a_set_too() {
        let mut charsets = Charsets::default();
        charsets.designate(1, Charset::of_94(b'0'));
        charsets.shift_right(Some(1));
        assert_eq!([charsets.map('q'), charsets.map('ñ'), charsets.map('漢')], ['q', '─', '漢']);
        charsets.shift_right(None);
        assert_eq!(charsets.map('ñ'), 'ñ');
    }
}
