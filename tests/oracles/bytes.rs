//! Decisions out of bytes.

use xenvnc::geometry::{Rect, Size};
use xenvnc::rfb::encoding::Encoding;
use xenvnc::rfb::encoding::canvas::Canvas;
use xenvnc::rfb::pixel_format::{Channel, ColourModel, PixelFormat};
use xenvnc::rfb::tile::Colour;

/// Pictures of all encodings that lose nothing.
pub const PICTURES: [Encoding; 9] = [
    Encoding::RAW,
    Encoding::HEXTILE,
    Encoding::ZRLE,
    Encoding::TIGHT,
    Encoding::RRE,
    Encoding::ZLIB,
    Encoding::TRLE,
    Encoding::CORRE,
    Encoding::TIGHT_PNG,
];

/// Bytes that are used up; zeros when there are no more.
pub struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let [first, rest @ ..] = self.0 else { return 0 };
        self.0 = rest;
        *first
    }

    pub fn below(&mut self, limit: u16) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()]) % limit.max(1)
    }

    /// At most so many of what is left.
    pub fn take(&mut self, most: usize) -> &'a [u8] {
        let (some, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        some
    }

    pub fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::from(self.byte()) % all.len()]
    }

    pub fn size(&mut self, most: u16) -> Size {
        Size::new(1 + self.below(most), 1 + self.below(most))
    }

    /// A rectangle that begins inside of `size` and is cut at its edges.
    pub fn rect(&mut self, size: Size) -> Rect {
        let (x, y) = (self.below(size.width), self.below(size.height));
        Rect::new(x, y, 1 + self.below(size.width), 1 + self.below(size.height)).intersect(size.rect())
    }

    /// A format that keeps 8 bits of every channel.
    pub fn exact_format(&mut self) -> PixelFormat {
        let shifts = self.pick(&[[16, 8, 0], [0, 8, 16], [24, 16, 8], [8, 16, 24], [24, 0, 8]]);
        let [red, green, blue] = shifts.map(|shift| Channel { max: 255, shift });
        let model = ColourModel::TrueColour { red, green, blue };
        let big_endian = self.byte() & 1 == 1;
        PixelFormat::new(32, self.pick(&[24, 32]), big_endian, model).expect("a good format")
    }

    /// Paints something simple or wild.
    pub fn paint(&mut self, canvas: &mut Canvas, rect: Rect) {
        let colours = self.pick(&[1u32, 2, 3, 16, 17, 90, 128, 300, 0x0100_0000]);
        let (step, start) = (u32::from(self.byte()) << 3 | 1, u32::from(self.byte()) << 16);
        let wild = self.byte() & 1 == 1;
        let mut state = start | 1;
        let pixels: Vec<_> = (0..rect.area())
            .map(|n| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let number = if wild { state >> 8 } else { n / step };
                Colour((number % colours).wrapping_mul(0x0001_0305) & 0x00ff_ffff)
            })
            .collect();
        canvas.put(rect, &pixels);
    }
}
