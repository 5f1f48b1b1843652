//! What a VT shows: text (terminal cells and a font) as tiles, what changed since a viewer last looked (for text and for
//! pixels that come from elsewhere), what is drawn over a screen, and pictures for screenshots.
//!
//! A text screen owns no pixels. It answers an encoder's question for a rectangle from cells and glyph bitmaps, most
//! often with two colours and one bit a pixel.

mod font;
mod overlay;
mod picture;
mod pixels;
mod text;

pub use font::{BadFontSize, Font, FontSize, Glyph, MAX_CELL_HEIGHT, MAX_CELL_WIDTH};
pub use overlay::{Overlaid, Sprite};
pub use picture::{Picture, picture};
pub use pixels::PixelDebt;
pub use text::{Banner, ScrollBar, TextOverlay, TextSeen, TextView};

use crate::geometry::{Point, Rect, Region};

/// What a viewer's picture lacks: apply `copy` first, then repaint `region`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Damage {
    /// Pixels that the viewer already has and only need to move.
    pub copy: Option<Copy>,
    /// Pixels to be painted anew, after the copy.
    pub region: Region,
}

impl Damage {
    /// True when the viewer's picture is up to date.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.copy.is_none() && self.region.is_empty()
    }
}

/// A move of pixels within the viewer's picture (RFC 6143 §7.7.2, CopyRect).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copy {
    /// Where the pixels go.
    pub destination: Rect,
    /// The upper left corner of where they come from; may overlap the destination.
    pub source: Point,
}
