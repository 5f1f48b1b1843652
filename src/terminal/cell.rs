//! One position of the screen in eight bytes.
//!
//! | bits | meaning |
//! |---|---|
//! | 0–20 | the character, or the number of its cluster |
//! | 21–22 | its [`Width`]; 3 for [`Cell::filler`] |
//! | 23 | set when bits 0–20 name a cluster |
//! | 24–63 | its [`Look`] |

use super::ink::Ink;

/// One position of the screen: a character, or a reference to a cluster of characters, with a reference to its
/// style. It is meaningful only together with the terminal that it was read from, until that is fed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Cell(u64);

/// How much of the screen a character takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// One column.
    Narrow,
    /// Two columns, of which this is the left one.
    Wide,
    /// The right column of the wide character to the left; holds nothing of its own.
    Tail,
}

const GLYPH_BITS: u32 = 21;
const GLYPH_MASK: u64 = (1 << GLYPH_BITS) - 1;
const WIDE: u64 = 1 << GLYPH_BITS;
const TAIL: u64 = 2 << GLYPH_BITS;
/// A narrow blank.
const FILLER: u64 = 3 << GLYPH_BITS;
const WIDTH_MASK: u64 = 3 << GLYPH_BITS;
const CLUSTER: u64 = 1 << 23;

impl Cell {
    /// A blank in the default style.
    pub const BLANK: Self = Self(' ' as u64);

    /// How much of the screen its character takes.
    #[must_use]
    pub const fn width(self) -> Width {
        match self.0 & WIDTH_MASK {
            WIDE => Width::Wide,
            TAIL => Width::Tail,
            _ => Width::Narrow,
        }
    }

    /// An ASCII character.
    #[inline]
    pub(super) const fn ascii(byte: u8, look: Look) -> Self {
        Self(look.0 | byte as u64)
    }

    /// Any character of one or two columns.
    pub(super) const fn character(c: char, wide: bool, look: Look) -> Self {
        Self(look.0 | c as u64 | if wide { WIDE } else { 0 })
    }

    /// The right half of a wide character.
    pub(super) const fn tail(look: Look) -> Self {
        Self(look.0 | TAIL | ' ' as u64)
    }

    /// A cluster of one or two columns.
    pub(super) const fn cluster(number: u16, wide: bool, look: Look) -> Self {
        Self(look.0 | CLUSTER | number as u64 | if wide { WIDE } else { 0 })
    }

    /// An erased cell.
    pub(super) const fn blank(look: Look) -> Self {
        Self::ascii(b' ', look)
    }

    /// What it shows.
    pub(super) const fn glyph(self) -> Glyph {
        let number = (self.0 & GLYPH_MASK) as u32;
        if self.0 & CLUSTER != 0 {
            #[expect(clippy::cast_possible_truncation, reason = "clusters are numbered in 16 bits")]
            return Glyph::Cluster(number as u16);
        }
        match char::from_u32(number) {
            Some(c) => Glyph::Char(c),
            None => Glyph::Char(char::REPLACEMENT_CHARACTER),
        }
    }

    /// What it shows, if that is a single character of ASCII.
    #[inline]
    pub(super) const fn to_ascii(self) -> Option<u8> {
        let low = self.0 & !Look::MASK;
        #[expect(clippy::cast_possible_truncation, reason = "checked to be ASCII")]
        if low < 0x80 { Some(low as u8) } else { None }
    }

    /// How it looks.
    pub(super) const fn look(self) -> Look {
        Look(self.0 & Look::MASK)
    }

    /// The blank that a wide character leaves in the last column when it does not fit: no part of the text.
    pub(super) const fn filler(look: Look) -> Self {
        Self(look.0 | FILLER | ' ' as u64)
    }

    /// True for [`Cell::filler`], which only counts at the end of a row.
    pub(super) const fn is_filler(self) -> bool {
        self.0 & WIDTH_MASK == FILLER
    }

    /// The same, two columns wide.
    pub(super) const fn widened(self) -> Self {
        Self(self.0 & !WIDTH_MASK | WIDE)
    }

    /// The same in another look.
    pub(super) const fn with_look(self, look: Look) -> Self {
        Self(self.0 & !Look::MASK | look.0)
    }

    /// The same with other attributes.
    pub(super) const fn with_attributes(self, attributes: Attributes) -> Self {
        let without = self.0 & !((Attributes::ALL as u64) << ATTRIBUTE_SHIFT);
        Self(without | Look::attribute_bits(attributes))
    }

    /// The raw bits: below 0x80 exactly for an ASCII character in the default look.
    #[inline]
    pub(super) const fn bits(self) -> u64 {
        self.0
    }
}

impl Default for Cell {
    fn default() -> Self {
        Self::BLANK
    }
}

/// What a cell shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Glyph {
    Char(char),
    /// The number of a cluster in the terminal's table.
    Cluster(u16),
}

/// Attributes and colours of a cell, in the upper 40 bits of a word. From the top: 2 bits say where the colours
/// are, 10 bits are the attributes, 28 bits are the colours or name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub(super) struct Look(u64);

/// Where the colours of a look are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LookColours {
    /// Both are default or palette colours: here they are.
    Inks(Ink, Ink),
    /// In the terminal's table of pairs.
    Pair(u32),
    /// In the bytes of history, at this position modulo 2^28.
    History(u32),
}

/// The bits of a look that hold or name colours.
const COLOUR_BITS: u32 = 28;
const COLOUR_SHIFT: u32 = 24;
const ATTRIBUTE_SHIFT: u32 = COLOUR_SHIFT + COLOUR_BITS;
const KIND_SHIFT: u32 = 62;
/// History positions are told apart modulo this.
pub(super) const HISTORY_POSITIONS: u64 = 1 << COLOUR_BITS;

impl Look {
    const MASK: u64 = !((1 << COLOUR_SHIFT) - 1);

    /// A look with two colours that are not true colours; `None` when one is.
    pub(super) fn from_inks(attributes: Attributes, foreground: Ink, background: Ink) -> Option<Self> {
        let colours = u64::from(foreground.palette_code()?) << 9 | u64::from(background.palette_code()?);
        Some(Self(Self::attribute_bits(attributes) | colours << COLOUR_SHIFT))
    }

    /// A look whose colours are entry `pair` of the table of pairs.
    pub(super) fn from_pair(attributes: Attributes, pair: u32) -> Self {
        Self(Self::attribute_bits(attributes) | u64::from(pair) << COLOUR_SHIFT | 1 << KIND_SHIFT)
    }

    /// A look whose colours stand at byte `position` of history.
    pub(super) const fn from_history(attributes: Attributes, position: u64) -> Self {
        Self(
            Self::attribute_bits(attributes)
                | (position % HISTORY_POSITIONS) << COLOUR_SHIFT
                | 2 << KIND_SHIFT,
        )
    }

    const fn attribute_bits(attributes: Attributes) -> u64 {
        (attributes.0 as u64) << ATTRIBUTE_SHIFT
    }

    pub(super) const fn attributes(self) -> Attributes {
        Attributes((self.0 >> ATTRIBUTE_SHIFT) as u16 & Attributes::ALL)
    }

    pub(super) const fn colours(self) -> LookColours {
        let bits = ((self.0 >> COLOUR_SHIFT) & (HISTORY_POSITIONS - 1)) as u32;
        match self.0 >> KIND_SHIFT {
            0 => LookColours::Inks(Ink::from_palette_code(bits >> 9), Ink::from_palette_code(bits & 0x1ff)),
            1 => LookColours::Pair(bits),
            _ => LookColours::History(bits),
        }
    }

    /// The colours and attributes of a look of the palette kind in four bytes, for history.
    pub(super) const fn to_palette_bytes(self) -> [u8; 4] {
        let attributes = self.attributes().0;
        let colours = ((self.0 >> COLOUR_SHIFT) & 0x3_ffff) as u32;
        ((attributes as u32) << 18 | colours).to_le_bytes()
    }

    /// The look of [`Look::to_palette_bytes`].
    pub(super) const fn from_palette_bytes(bytes: [u8; 4]) -> Self {
        let word = u32::from_le_bytes(bytes) as u64;
        Self((word & 0x3_ffff) << COLOUR_SHIFT | (word >> 18 & Attributes::ALL as u64) << ATTRIBUTE_SHIFT)
    }
}

/// The attributes of a character (SGR), as a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub(super) struct Attributes(pub(super) u16);

impl Attributes {
    pub(super) const BOLD: u16 = 1;
    pub(super) const DIM: u16 = 1 << 1;
    pub(super) const ITALIC: u16 = 1 << 2;
    pub(super) const UNDERLINE: u16 = 1 << 3;
    pub(super) const DOUBLE_UNDERLINE: u16 = 1 << 4;
    pub(super) const BLINK: u16 = 1 << 5;
    pub(super) const INVERSE: u16 = 1 << 6;
    pub(super) const HIDDEN: u16 = 1 << 7;
    pub(super) const STRIKE: u16 = 1 << 8;
    /// DECSCA: selective erase leaves it alone.
    pub(super) const PROTECTED: u16 = 1 << 9;
    const ALL: u16 = 0x3ff;

    pub(super) const fn has(self, attribute: u16) -> bool {
        self.0 & attribute != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_eight_bytes() {
        assert_eq!(size_of::<Cell>(), 8);
    }

    #[test]
    fn the_default_look_leaves_ascii_below_0x80() {
        let look = Look::from_inks(Attributes::default(), Ink::DEFAULT, Ink::DEFAULT).unwrap();
        assert_eq!(look, Look::default());
        assert_eq!(Cell::ascii(b'~', look).bits(), u64::from(b'~'));
        assert_eq!(Cell::blank(look), Cell::BLANK);
    }

    #[test]
    fn every_part_comes_back() {
        for attributes in [0, 1, 0x155, 0x3ff].map(Attributes) {
            for (fg, bg) in [(0, 255), (255, 0), (7, 7)] {
                let (fg, bg) = (Ink::indexed(fg), Ink::indexed(bg));
                let look = Look::from_inks(attributes, fg, bg).unwrap();
                let cell = Cell::character('漢', true, look);
                assert_eq!(cell.glyph(), Glyph::Char('漢'));
                assert_eq!(cell.width(), Width::Wide);
                assert_eq!(cell.look().attributes(), attributes);
                assert_eq!(cell.look().colours(), LookColours::Inks(fg, bg));
                assert_eq!(Look::from_palette_bytes(look.to_palette_bytes()), look);
            }
            let look = Look::from_pair(attributes, (1 << 28) - 1);
            let cell = Cell::cluster(u16::MAX, false, look);
            assert_eq!(cell.glyph(), Glyph::Cluster(u16::MAX));
            assert_eq!(cell.width(), Width::Narrow);
            assert_eq!(cell.look().colours(), LookColours::Pair((1 << 28) - 1));
            let far = Look::from_history(attributes, HISTORY_POSITIONS + 5);
            assert_eq!(far.colours(), LookColours::History(5));
        }
        assert_eq!(Look::from_inks(Attributes::default(), Ink::rgb(1), Ink::DEFAULT), None);
        assert_eq!(Cell::tail(Look::default()).width(), Width::Tail);
    }
}
