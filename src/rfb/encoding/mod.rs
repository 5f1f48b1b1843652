//! Encodings: how the pixels of a rectangle travel (RFC 6143 §7.7), and pseudo-encodings, which carry other things
//! in a rectangle's place (§7.8). Each has its encoder and its decoder side by side.

pub mod canvas;
pub mod copyrect;
pub mod hextile;
mod pixels;
pub mod pseudo;
pub mod raw;
mod work;
pub mod zrle;

use super::deflate::InflateFailure;
use super::pixel_format::Translator;
use super::tile::{TileBuf, TileSource};
use crate::geometry::{Rect, Size};
use work::Work;

/// The number of an encoding on the wire; any number is one, only some have a meaning here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Encoding(pub i32);

#[allow(missing_docs, reason = "the names are those of IANA's registry and the community's specification")]
impl Encoding {
    pub const RAW: Self = Self(0);
    pub const COPY_RECT: Self = Self(1);
    pub const HEXTILE: Self = Self(5);
    pub const ZRLE: Self = Self(16);
    pub const DESKTOP_SIZE: Self = Self(-223);
    pub const LAST_RECT: Self = Self(-224);
    pub const CURSOR: Self = Self(-239);
    pub const QEMU_EXTENDED_KEY: Self = Self(-258);
    pub const DESKTOP_NAME: Self = Self(-307);
    pub const EXTENDED_DESKTOP_SIZE: Self = Self(-308);
    pub const EXTENDED_MOUSE_BUTTONS: Self = Self(-316);
}

/// The encodings for pictures that the server can send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureEncoding {
    /// [`Encoding::RAW`]
    Raw,
    /// [`Encoding::HEXTILE`]
    Hextile,
    /// [`Encoding::ZRLE`]
    Zrle,
}

impl PictureEncoding {
    /// The one that a viewer wants most among those that exist here; raw when it names none.
    #[must_use]
    pub fn preferred(wishes: &[Encoding]) -> Self {
        let known = |wish: &Encoding| match *wish {
            Encoding::RAW => Some(Self::Raw),
            Encoding::HEXTILE => Some(Self::Hextile),
            Encoding::ZRLE => Some(Self::Zrle),
            _ => None,
        };
        wishes.iter().find_map(known).unwrap_or(Self::Raw)
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> Encoding {
        match self {
            Self::Raw => Encoding::RAW,
            Self::Hextile => Encoding::HEXTILE,
            Self::Zrle => Encoding::ZRLE,
        }
    }
}

/// Everything that encoding for one viewer needs from rectangle to rectangle. Made with the connection and kept for
/// its whole life: the compressed streams inside must never begin anew. What an encoding needs is allocated when it
/// is first used.
#[derive(Default)]
pub struct Encoder {
    zrle: Option<zrle::Encoder>,
    buf: TileBuf,
    work: Work,
}

impl Encoder {
    /// Appends the body of the rectangle `rect`, which is not empty, to `out`.
    pub fn encode(
        &mut self,
        encoding: PictureEncoding,
        source: &dyn TileSource,
        rect: Rect,
        translator: &Translator,
        out: &mut Vec<u8>,
    ) {
        let Self { zrle, buf, work } = self;
        match encoding {
            PictureEncoding::Raw => raw::encode(source, rect, translator, buf, out),
            PictureEncoding::Hextile => hextile::encode(source, rect, translator, buf, work, out),
            PictureEncoding::Zrle => {
                zrle.get_or_insert_default().encode(source, rect, translator, buf, work, out);
            }
        }
    }
}

/// What a server sent that cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A rectangle that is not inside the framebuffer.
    #[error("rectangle {rect:?} outside a framebuffer of {size:?}")]
    Outside {
        /// The rectangle.
        rect: Rect,
        /// The framebuffer's size.
        size: Size,
    },
    /// Compressed data is broken or too long.
    #[error(transparent)]
    Inflate(#[from] InflateFailure),
    /// The unpacked data ends before the rectangle does.
    #[error("the data of rectangle {0:?} ends early")]
    Short(Rect),
    /// Data is left over when the rectangle is complete.
    #[error("{0} bytes left over behind a rectangle")]
    LeftOver(usize),
    /// A tile's form is one that does not exist.
    #[error("tile type {0} does not exist")]
    UnknownTile(u8),
    /// A palette index beyond the palette.
    #[error("palette index {index} of {length}")]
    PaletteIndex {
        /// The index.
        index: usize,
        /// The colours that the palette has.
        length: usize,
    },
    /// A run that goes on behind its tile's end.
    #[error("a run of {run} pixels where {left} are left")]
    RunTooLong {
        /// Its length in pixels.
        run: usize,
        /// The pixels left in the tile.
        left: usize,
    },
    /// A subrectangle outside its tile.
    #[error("subrectangle {rect:?} outside a tile of {size:?}")]
    SubrectOutside {
        /// The subrectangle.
        rect: Rect,
        /// The tile's size.
        size: Size,
    },
}

/// The tiles of `rect` in reading order, `side` by `side` pixels except at the right and lower edges.
fn tiles(rect: Rect, side: u16) -> impl Iterator<Item = Rect> {
    let step = usize::from(side);
    (0..rect.height).step_by(step).flat_map(move |y| {
        (0..rect.width).step_by(step).map(move |x| {
            Rect::new(rect.x + x, rect.y + y, side.min(rect.width - x), side.min(rect.height - y))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_known_encoding_is_preferred() {
        let preferred = |numbers: &[i32]| {
            PictureEncoding::preferred(&numbers.iter().map(|n| Encoding(*n)).collect::<Vec<_>>())
        };
        assert_eq!(preferred(&[-223, 7, 5, 16, 0]), PictureEncoding::Hextile);
        assert_eq!(preferred(&[1, 0, 16]), PictureEncoding::Raw);
        assert_eq!(preferred(&[i32::MIN, 16]), PictureEncoding::Zrle);
        assert_eq!(preferred(&[]), PictureEncoding::Raw);
    }

    #[test]
    fn tiles_cover_a_rectangle_in_reading_order() {
        let all: Vec<_> = tiles(Rect::new(5, 7, 70, 65), 64).collect();
        let wanted = [
            Rect::new(5, 7, 64, 64),
            Rect::new(69, 7, 6, 64),
            Rect::new(5, 71, 64, 1),
            Rect::new(69, 71, 6, 1),
        ];
        assert_eq!(all, wanted);
    }
}
