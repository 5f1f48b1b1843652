//! How a character looks, as a reader is told.

/// A colour as `0x00RRGGBB`, 8 bits a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct Rgb(pub u32);

/// How a character is drawn. Colours are final: palette, reverse video, hidden text, dim and "bold is bright" have
/// been applied, so that a painter fills with `background` and draws with `foreground`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "each is an attribute that a painter draws by itself")]
pub struct Style {
    /// Of the character and its lines.
    pub foreground: Rgb,
    /// Of the cell.
    pub background: Rgb,
    /// Drawn with heavier strokes.
    pub bold: bool,
    /// Faint; `foreground` is already darkened.
    pub dim: bool,
    /// Slanted.
    pub italic: bool,
    /// A line below the character.
    pub underline: bool,
    /// Two lines below the character; `underline` is true as well.
    pub double_underline: bool,
    /// Asked to blink. A painter may ignore it.
    pub blink: bool,
    /// A line through the character.
    pub strike: bool,
}

/// A character with the marks that combine with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cluster<'a> {
    /// The character; a blank for an empty cell and for the right half of a wide character.
    pub base: char,
    /// What combines with it, at most [`CLUSTER_MARKS`]: marks, joiners and variation selectors, and for guests that count
    /// by grapheme clusters (private mode 2027) also the further characters of a cluster.
    pub marks: &'a [char],
}

/// The most marks that a cell keeps; more are dropped. Real scripts need at most three, a family of four emoji six.
pub const CLUSTER_MARKS: usize = 7;
