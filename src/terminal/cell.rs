//! One position of the screen in eight bytes.

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

impl Cell {
    /// A blank in the default style.
    pub const BLANK: Self = Self(' ' as u64);

    /// How much of the screen its character takes.
    #[must_use]
    pub const fn width(self) -> Width {
        Width::Narrow
    }
}

impl Default for Cell {
    fn default() -> Self {
        Self::BLANK
    }
}
