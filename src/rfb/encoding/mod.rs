//! Encodings: how the pixels of a rectangle travel (RFC 6143 §7.7), and pseudo-encodings, which carry other things
//! in a rectangle's place (§7.8). Each has its encoder and its decoder side by side.

pub mod canvas;
pub mod copyrect;
mod decoder;
pub mod hextile;
mod image;
mod jpeg;
mod pixels;
pub mod pseudo;
mod quality;
pub mod raw;
pub mod rre;
pub mod tight;
pub mod trle;
mod unpacked;
pub mod verbatim;
mod work;
pub mod zlib;
pub mod zrle;

pub use decoder::Decoder;
pub use quality::Quality;

use super::deflate::{self, InflateFailure};
use super::message::RectHeader;
use super::pixel_format::Translator;
use super::plan::{Class, Cost, Planner, merge};
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
    pub const RRE: Self = Self(2);
    pub const CORRE: Self = Self(4);
    pub const HEXTILE: Self = Self(5);
    pub const ZLIB: Self = Self(6);
    pub const TIGHT: Self = Self(7);
    pub const TRLE: Self = Self(15);
    pub const ZRLE: Self = Self(16);
    pub const JPEG: Self = Self(21);
    pub const QUALITY_LEVEL_9: Self = Self(-23);
    pub const QUALITY_LEVEL_0: Self = Self(-32);
    pub const DESKTOP_SIZE: Self = Self(-223);
    pub const LAST_RECT: Self = Self(-224);
    pub const CURSOR: Self = Self(-239);
    pub const X_CURSOR: Self = Self(-240);
    pub const COMPRESS_LEVEL_9: Self = Self(-247);
    pub const COMPRESS_LEVEL_0: Self = Self(-256);
    pub const QEMU_EXTENDED_KEY: Self = Self(-258);
    pub const TIGHT_PNG: Self = Self(-260);
    pub const QEMU_LED_STATE: Self = Self(-261);
    pub const FINE_QUALITY_LEVEL_0: Self = Self(-512);
    pub const FINE_QUALITY_LEVEL_100: Self = Self(-412);
    pub const SUBSAMPLING_1X: Self = Self(-768);
    pub const SUBSAMPLING_GREY: Self = Self(-765);
    pub const DESKTOP_NAME: Self = Self(-307);
    pub const EXTENDED_DESKTOP_SIZE: Self = Self(-308);
    pub const XVP: Self = Self(-309);
    pub const FENCE: Self = Self(-312);
    pub const CONTINUOUS_UPDATES: Self = Self(-313);
    pub const CURSOR_WITH_ALPHA: Self = Self(-314);
    pub const EXTENDED_MOUSE_BUTTONS: Self = Self(-316);
    pub const TIGHT_WITHOUT_ZLIB: Self = Self(-317);
    pub const VMWARE_CURSOR: Self = Self(0x574d_5664);
    pub const VMWARE_CURSOR_POSITION: Self = Self(0x574d_5666);
    pub const VMWARE_LED_STATE: Self = Self(0x574d_5668);
    pub const EXTENDED_CLIPBOARD: Self = Self(0xc0a1_e5ce_u32.cast_signed());
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
    /// [`Encoding::TIGHT`]
    Tight,
    /// [`Encoding::RRE`]
    Rre,
    /// [`Encoding::ZLIB`]
    Zlib,
    /// [`Encoding::TRLE`]
    Trle,
    /// [`Encoding::CORRE`]
    CoRre,
    /// [`Encoding::TIGHT_PNG`]
    TightPng,
}

impl PictureEncoding {
    /// The one that a viewer wants most among those that exist here; raw when it names none.
    #[must_use]
    pub fn preferred(wishes: &[Encoding]) -> Self {
        Self::wished(wishes).next().unwrap_or(Self::Raw)
    }

    /// Those that a viewer names, the most wanted first.
    pub fn wished(wishes: &[Encoding]) -> impl Iterator<Item = Self> {
        wishes.iter().filter_map(|wish| match *wish {
            Encoding::RAW => Some(Self::Raw),
            Encoding::HEXTILE => Some(Self::Hextile),
            Encoding::ZRLE => Some(Self::Zrle),
            Encoding::TIGHT => Some(Self::Tight),
            Encoding::RRE => Some(Self::Rre),
            Encoding::ZLIB => Some(Self::Zlib),
            Encoding::TRLE => Some(Self::Trle),
            Encoding::CORRE => Some(Self::CoRre),
            Encoding::TIGHT_PNG => Some(Self::TightPng),
            _ => None,
        })
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> Encoding {
        match self {
            Self::Raw => Encoding::RAW,
            Self::Hextile => Encoding::HEXTILE,
            Self::Zrle => Encoding::ZRLE,
            Self::Tight => Encoding::TIGHT,
            Self::Rre => Encoding::RRE,
            Self::Zlib => Encoding::ZLIB,
            Self::Trle => Encoding::TRLE,
            Self::CoRre => Encoding::CORRE,
            Self::TightPng => Encoding::TIGHT_PNG,
        }
    }
}

/// Everything that encoding for one viewer needs from rectangle to rectangle. Made with the connection and kept for
/// its whole life: the compressed streams inside must never begin anew. What an encoding needs is allocated when it
/// is first used.
#[derive(Default)]
pub struct Encoder {
    zrle: Option<zrle::Encoder>,
    tight: Option<tight::Encoder>,
    tight_png: Option<tight::Encoder>,
    zlib: Option<zlib::Encoder>,
    level: Level,
    quality: Option<Quality>,
    jpeg: bool,
    planner: Planner,
    buf: TileBuf,
    work: Work,
}

impl Encoder {
    /// Compresses at this level from now on; streams that have begun go on.
    pub fn set_level(&mut self, level: Level) {
        self.level = level;
        let Self { zrle, zlib, tight, .. } = self;
        zrle.iter_mut().for_each(|zrle| zrle.set_level(level.0));
        zlib.iter_mut().for_each(|zlib| zlib.set_level(level.0));
        tight.iter_mut().for_each(|tight| tight.set_level(level.0));
    }

    /// True when the stream of ZRLE has been used.
    #[must_use]
    pub fn has_begun_zrle(&self) -> bool {
        self.zrle.is_some()
    }

    /// From now on photographic parts may lose something, or nothing may: as JPEG inside of Tight and TightPNG, and in rectangles
    /// of their own beside other encodings if `jpeg` says so ([`Encoding::JPEG`]).
    pub fn set_quality(&mut self, quality: Option<Quality>, jpeg: bool) {
        self.quality = quality;
        self.jpeg = jpeg;
    }

    /// Appends the body of the rectangle `rect`, which is not empty, to `out`. Nothing is lost. For CoRRE it has at most
    /// 255 columns and rows, for Tight at most
    /// [`tight::MAX_WIDTH`] columns and [`tight::MAX_PIXELS`].
    pub fn encode(
        &mut self,
        encoding: PictureEncoding,
        source: &dyn TileSource,
        rect: Rect,
        translator: &Translator,
        out: &mut Vec<u8>,
    ) {
        let Self { zrle, tight, tight_png, zlib, level, buf, work, .. } = self;
        match encoding {
            PictureEncoding::Raw => raw::encode(source, rect, translator, buf, out),
            PictureEncoding::Hextile => hextile::encode(source, rect, translator, buf, work, out),
            PictureEncoding::Zrle => {
                let zrle = zrle.get_or_insert_with(|| zrle::Encoder::new(level.0));
                zrle.encode(source, rect, translator, buf, work, out);
            }
            PictureEncoding::Tight => {
                let tight = tight.get_or_insert_with(|| tight::Encoder::new(level.0, false));
                tight.encode(source, rect, translator, buf, work, out);
            }
            PictureEncoding::TightPng => {
                let tight = tight_png.get_or_insert_with(|| tight::Encoder::new(level.0, true));
                tight.encode(source, rect, translator, buf, work, out);
            }
            PictureEncoding::Rre => rre::encode(source, rect, false, translator, buf, work, out),
            PictureEncoding::CoRre => rre::encode(source, rect, true, translator, buf, work, out),
            PictureEncoding::Zlib => {
                let zlib = zlib.get_or_insert_with(|| zlib::Encoder::new(level.0));
                zlib.encode(source, rect, translator, buf, &mut work.packed, out);
            }
            PictureEncoding::Trle => trle::encode(source, rect, translator, buf, work, out),
        }
    }

    /// Appends `rect` as one or more rectangles with their headers, as suits the encoding and what the rectangle
    /// shows: at most one for each cell of 64 by 16 pixels begun, and one. The limits are those of [`encode`](Self::encode). Returns how
    /// many there are.
    pub fn encode_rects(
        &mut self,
        encoding: PictureEncoding,
        source: &dyn TileSource,
        rect: Rect,
        translator: &Translator,
        out: &mut Vec<u8>,
    ) -> u16 {
        // A JPEG has more colours than a format of 8 bits.
        let lossy = self.quality.filter(|_| self.jpeg && source.has_pixels() && translator.bytes() > 1);
        if let Some(quality) = lossy {
            return self.encode_beside_jpeg(encoding, quality, source, rect, translator, out);
        }
        if matches!(encoding, PictureEncoding::Tight | PictureEncoding::TightPng) {
            let Self { tight, tight_png, level, quality, buf, work, .. } = self;
            let png = encoding == PictureEncoding::TightPng;
            let tight = if png { tight_png } else { tight };
            let tight = tight.get_or_insert_with(|| tight::Encoder::new(level.0, png));
            tight.set_quality(*quality);
            return tight.encode_rects(source, rect, translator, buf, work, out);
        }
        RectHeader { rect, encoding: encoding.number() }.encode(out);
        self.encode(encoding, source, rect, translator, out);
        1
    }

    /// Photographic parts of `rect` as JPEG, the rest in `encoding`.
    fn encode_beside_jpeg(
        &mut self,
        encoding: PictureEncoding,
        quality: Quality,
        source: &dyn TileSource,
        rect: Rect,
        translator: &Translator,
        out: &mut Vec<u8>,
    ) -> u16 {
        let plan = self.planner.plan(source, rect, true, &mut self.buf);
        let (photos, others): (Vec<_>, Vec<_>) =
            plan.into_iter().partition(|(_, class)| *class == Class::Photo);
        // What lies beside a photograph must not grow over it: only what touches becomes one.
        let mut others = merge(others.into_iter().map(|(rect, _)| rect).collect(), Cost { rect: 1 });
        let mut count = 0;
        for (photo, _) in photos {
            let start = out.len();
            RectHeader { rect: photo, encoding: Encoding::JPEG }.encode(out);
            let Self { buf, work, .. } = self;
            if jpeg::encode(source, photo, quality, buf, &mut work.packed, out) {
                count += 1;
            } else {
                out.truncate(start);
                others.push(photo);
            }
        }
        for other in others {
            RectHeader { rect: other, encoding: encoding.number() }.encode(out);
            self.encode(encoding, source, other, translator, out);
            count += 1;
        }
        count
    }
}

/// How hard to compress: a level of zlib. Viewers ask for it by pseudo-encodings
/// ([`Encoding::COMPRESS_LEVEL_0`] to [`Encoding::COMPRESS_LEVEL_9`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level(u8);

impl Level {
    /// The highest that is used, whatever the viewer asks for: level 9 is more than ten times slower than this one for
    /// an eighth less data.
    const MOST: u8 = 6;

    /// The lowest that is used: level 1 is twice as fast, but leaves a third more bytes than other servers do at theirs.
    const LEAST: u8 = 2;

    /// What changes of a picture of pixels are compressed at in the place of the lowest levels: codes that are fixed in
    /// advance, so that none have to be chosen for each rectangle. A film takes half the time and a fifth more bytes
    /// than at level 2.
    const QUICK: u8 = 1;

    /// The level for changes of a picture of pixels, which are often replaced by the next ones a moment later. A viewer
    /// that asks for more than the least compression gets that.
    #[must_use]
    pub fn for_changes(self) -> Self {
        if self.0 <= Self::LEAST { Self(Self::QUICK) } else { self }
    }

    /// The level that a viewer asks for, brought into the range that is used.
    #[must_use]
    pub fn asked(wishes: &[Encoding]) -> Option<Self> {
        let levels = Encoding::COMPRESS_LEVEL_0..=Encoding::COMPRESS_LEVEL_9;
        let wish = wishes.iter().find(|wish| levels.contains(wish))?;
        let level = u8::try_from(wish.0 - Encoding::COMPRESS_LEVEL_0.0).ok()?;
        Some(Self(level.clamp(Self::LEAST, Self::MOST)))
    }
}

impl Default for Level {
    fn default() -> Self {
        Self(deflate::LEVEL)
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
    /// Subrectangles that paint their rectangle over and over.
    #[error("rectangle {0:?} is painted over too often")]
    Overpainted(Rect),
    /// A Tight rectangle in a form that does not exist or was not asked for, as image files may not be.
    #[error("tight control byte {0:#04x}, which was not asked for")]
    TightControl(u8),
    /// A Tight filter that does not exist, or the gradient filter in a format without gradients.
    #[error("tight filter {0}; 0, 1, or (not for 8 bits a pixel) 2 wanted")]
    TightFilter(u8),
    /// An image file is broken.
    #[error("bad {kind}: {}", reason.escape_debug())]
    Image {
        /// The file's format.
        kind: &'static str,
        /// What its decoder says.
        reason: String,
    },
    /// An image file is not as large as its rectangle.
    #[error("an image of {width} by {height} pixels for rectangle {rect:?}")]
    ImageSize {
        /// The image's width in pixels.
        width: usize,
        /// The image's height in pixels.
        height: usize,
        /// The rectangle.
        rect: Rect,
    },
    /// An encoding that does not exist here, or none for pictures.
    #[error("encoding {} is not known", .0.0)]
    UnknownEncoding(Encoding),
    /// More data than the rectangle's pixels can need.
    #[error("{bytes} bytes for rectangle {rect:?}")]
    Oversized {
        /// The length of the data.
        bytes: usize,
        /// The rectangle.
        rect: Rect,
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

/// The tile of `rect` that is the `index`th in the order of [`tiles`]; `None` behind the last.
fn tile_at(rect: Rect, side: u16, index: usize) -> Option<Rect> {
    let columns = usize::from(rect.width.div_ceil(side));
    let offset = |number: usize| u16::try_from(number).ok()?.checked_mul(side);
    let (x, y) = (offset(index.checked_rem(columns)?)?, offset(index / columns)?);
    let (width, height) = (side.min(rect.width - x), side.min(rect.height.checked_sub(y)?));
    (height > 0).then(|| Rect::new(rect.x + x, rect.y + y, width, height))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_known_encoding_is_preferred() {
        let preferred = |numbers: &[i32]| {
            PictureEncoding::preferred(&numbers.iter().map(|n| Encoding(*n)).collect::<Vec<_>>())
        };
        assert_eq!(preferred(&[-223, 3, 5, 16, 0]), PictureEncoding::Hextile);
        assert_eq!(preferred(&[1, 0, 16]), PictureEncoding::Raw);
        assert_eq!(preferred(&[i32::MIN, 16]), PictureEncoding::Zrle);
        assert_eq!(preferred(&[]), PictureEncoding::Raw);
    }

    #[test]
    fn levels_are_asked_for_by_number_and_bounded() {
        let asked = |numbers: &[i32]| Level::asked(&numbers.iter().map(|n| Encoding(*n)).collect::<Vec<_>>());
        assert_eq!(asked(&[7, -223, -257, -246]), None);
        assert_eq!(asked(&[7, -256]), Some(Level(2)));
        assert_eq!(asked(&[7, -255]), Some(Level(2)));
        assert_eq!(asked(&[-253, 7]), Some(Level(3)));
        assert_eq!(asked(&[-247]), Some(Level(6)));
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
        for rect in [
            Rect::new(5, 7, 70, 65),
            Rect::new(0, 0, 3, 0),
            Rect::new(9, 9, 0, 3),
            Rect::new(0, 0, 1, u16::MAX),
        ] {
            let one_by_one: Vec<_> = (0..).map_while(|index| tile_at(rect, 16, index)).collect();
            assert_eq!(one_by_one, tiles(rect, 16).collect::<Vec<_>>());
        }
    }
}
