//! What an encoder asks of a screen: the contents of one rectangle, in the cheapest form that the screen knows.
//!
//! An encoder never asks for a framebuffer. A text screen answers from cells and glyph bitmaps without ever owning
//! pixels; a pixel screen classifies its shadow as it goes.

use crate::geometry::{Rect, Size};

/// A colour as `0x00RRGGBB`, 8 bits a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct Colour(pub u32);

impl Colour {
    /// Black.
    pub const BLACK: Self = Self(0);
    /// White.
    pub const WHITE: Self = Self(0x00ff_ffff);

    /// The colour of these channels, 0 to 255 each.
    #[must_use]
    pub const fn rgb(red: u8, green: u8, blue: u8) -> Self {
        Self((red as u32) << 16 | (green as u32) << 8 | blue as u32)
    }

    /// The red channel, 0 to 255.
    #[must_use]
    pub const fn red(self) -> u8 {
        self.0.to_be_bytes()[1]
    }

    /// The green channel, 0 to 255.
    #[must_use]
    pub const fn green(self) -> u8 {
        self.0.to_be_bytes()[2]
    }

    /// The blue channel, 0 to 255.
    #[must_use]
    pub const fn blue(self) -> u8 {
        self.0.to_be_bytes()[3]
    }
}

/// The contents of one rectangle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tile<'a> {
    /// One colour everywhere.
    Solid(Colour),
    /// Exactly two colours may occur. `bits` holds one bit a pixel, 1 for `fg`; the leftmost pixel is the most
    /// significant bit; each row starts on a byte: `height` rows of `width.div_ceil(8)` bytes. Padding bits are 0.
    TwoColour {
        /// The colour of 0 bits.
        bg: Colour,
        /// The colour of 1 bits.
        fg: Colour,
        /// The bits, `height * width.div_ceil(8)` bytes.
        bits: &'a [u8],
    },
    /// Few colours. One byte a pixel, row by row without padding, each an index into `palette`.
    Indexed {
        /// 2 to 256 colours, each used at least once.
        palette: &'a [Colour],
        /// `width * height` indices, each below `palette.len()`.
        indices: &'a [u8],
    },
    /// Any picture: `width * height` colours, row by row without padding.
    Pixels(&'a [Colour]),
}

/// Memory that a [`TileSource`] answers from; reused from tile to tile so that encoding does not allocate.
#[derive(Debug, Default)]
pub struct TileBuf {
    /// For [`Tile::TwoColour`].
    pub bits: Vec<u8>,
    /// For [`Tile::Indexed`].
    pub palette: Vec<Colour>,
    /// For [`Tile::Indexed`].
    pub indices: Vec<u8>,
    /// For [`Tile::Pixels`].
    pub pixels: Vec<Colour>,
}

/// A screen, as encoders see it.
pub trait TileSource {
    /// Its size in pixels.
    fn size(&self) -> Size;

    /// False when [`Tile::Pixels`] is rare and forms change slowly, as on a screen of text: then no encoder looks for a
    /// better way to cut rectangles.
    fn has_pixels(&self) -> bool {
        true
    }

    /// The contents of `rect`, which is not empty. Pixels outside [`size`](Self::size) are black. The answer is the
    /// simplest form that the source can find cheaply; equal contents need not give equal forms.
    fn tile<'a>(&self, rect: Rect, buf: &'a mut TileBuf) -> Tile<'a>;
}
