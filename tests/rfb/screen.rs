//! Pictures and formats to test with.

use proptest::prelude::*;
use xenvnc::geometry::{Rect, Size};
use xenvnc::rfb::encoding::canvas::Canvas;
use xenvnc::rfb::pixel_format::{Channel, ColourModel, PixelFormat};
use xenvnc::rfb::tile::{Colour, Tile, TileBuf, TileSource};

/// A deterministic source of numbers (xorshift).
#[derive(Debug, Clone)]
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from(self.0 >> 32).unwrap_or(0)
    }

    pub(crate) fn skip(&mut self) {
        self.next();
    }

    pub(crate) fn below(&mut self, limit: u32) -> u32 {
        self.next() % limit.max(1)
    }
}

/// A screen that answers in every form that its contents allow, chosen by the rectangle's position.
pub(crate) struct Mixed<'a> {
    pub(crate) canvas: &'a Canvas,
    pub(crate) seed: u64,
}

impl TileSource for Mixed<'_> {
    fn size(&self) -> Size {
        self.canvas.size()
    }

    fn has_pixels(&self) -> bool {
        self.seed.is_multiple_of(2)
    }

    fn tile<'a>(&self, rect: Rect, buf: &'a mut TileBuf) -> Tile<'a> {
        let mut numbers = Numbers(self.seed ^ u64::from(rect.x) << 32 ^ u64::from(rect.y) << 7 ^ 0x9e37_79b9);
        numbers.next();
        let form = numbers.below(4);
        self.canvas.tile(rect, buf);
        buf.palette.clear();
        buf.indices.clear();
        for colour in &buf.pixels {
            let index = buf.palette.iter().position(|known| known == colour);
            let index = index.unwrap_or_else(|| {
                buf.palette.push(*colour);
                buf.palette.len() - 1
            });
            match u8::try_from(index) {
                Ok(index) => buf.indices.push(index),
                Err(_) => return Tile::Pixels(&buf.pixels),
            }
        }
        match (buf.palette.len(), form) {
            (1, 1) => Tile::Solid(buf.palette[0]),
            // A form for two colours may hold one only.
            (1 | 2, 2 | 3) => {
                let swap = u8::from(form == 3);
                buf.bits.clear();
                for row in buf.indices.chunks(usize::from(rect.width)) {
                    for eight in row.chunks(8) {
                        let bits = eight.iter().fold(0, |bits, index| bits << 1 | (index ^ swap));
                        buf.bits.push(bits << (8 - eight.len()));
                    }
                }
                let other = buf.palette.get(1).copied().unwrap_or(Colour(0x0012_3456));
                let [bg, fg] = if form == 3 { [other, buf.palette[0]] } else { [buf.palette[0], other] };
                Tile::TwoColour { bg, fg, bits: &buf.bits }
            }
            (2.., 1) => Tile::Indexed { palette: &buf.palette, indices: &buf.indices },
            _ => Tile::Pixels(&buf.pixels),
        }
    }
}

/// Paints `rect` with something: one colour, two, a few in runs, many in runs, or noise.
pub(crate) fn paint(canvas: &mut Canvas, rect: Rect, seed: u64) {
    let mut numbers = Numbers(seed | 1);
    (0..5).for_each(|_| numbers.skip());
    let count = usize::try_from(rect.area()).expect("fits");
    let kind = numbers.below(7);
    let (colours, run) = match kind {
        0 => (1, 1),
        1 => (2, 1),
        2 => (2, 60),
        3 => (1 + numbers.below(16), 1 + numbers.below(9)),
        4 => (1 + numbers.below(127), 1 + numbers.below(300)),
        5 => (1 + numbers.below(300), 1 + numbers.below(20)),
        _ => (u32::MAX, 1),
    };
    let palette: Vec<_> = (0..colours.min(300)).map(|_| Colour(numbers.next() & 0x00ff_ffff)).collect();
    let mut pixels = Vec::with_capacity(count);
    while pixels.len() < count {
        let colour = if kind == 6 {
            Colour(numbers.next() & 0x00ff_ffff)
        } else {
            palette[usize::try_from(numbers.below(colours)).expect("fits")]
        };
        let run = 1 + usize::try_from(numbers.below(run)).expect("fits");
        pixels.extend(std::iter::repeat_n(colour, run.min(count - pixels.len())));
    }
    canvas.put(rect, &pixels);
}

/// A picture of blocks of all kinds.
pub(crate) fn patchwork(size: Size, seed: u64) -> Canvas {
    let mut canvas = Canvas::new(size);
    let mut numbers = Numbers(seed | 1);
    (0..3).for_each(|_| numbers.skip());
    let step = if numbers.below(2) == 0 { 16 } else { 64 };
    for y in (0..size.height).step_by(step) {
        for x in (0..size.width).step_by(step) {
            let step = u16::try_from(step).expect("small");
            let rect = Rect::new(x, y, step, step).intersect(size.rect());
            paint(&mut canvas, rect, u64::from(numbers.next()));
        }
    }
    canvas
}

fn format(bits: u8, big_endian: bool, max: [u16; 3], shift: [u8; 3]) -> PixelFormat {
    let [red, green, blue] = [0, 1, 2].map(|i| Channel { max: max[i], shift: shift[i] });
    let model = ColourModel::TrueColour { red, green, blue };
    PixelFormat::new(bits, bits.min(24), big_endian, model).expect("a good format")
}

/// Formats in which no colour changes.
pub(crate) fn lossless_formats() -> Vec<PixelFormat> {
    let mut all = Vec::new();
    for big_endian in [false, true] {
        for shift in [[16, 8, 0], [0, 8, 16], [24, 16, 8], [8, 16, 24], [24, 8, 0]] {
            all.push(format(32, big_endian, [255; 3], shift));
        }
        all.push(format(32, big_endian, [1023; 3], [20, 10, 0]));
    }
    all
}

/// All formats, also those that cannot tell every colour.
pub(crate) fn formats() -> Vec<PixelFormat> {
    let mut all = lossless_formats();
    for big_endian in [false, true] {
        all.extend([
            format(16, big_endian, [31, 63, 31], [11, 5, 0]),
            format(16, big_endian, [31; 3], [0, 5, 10]),
            format(8, big_endian, [7, 7, 3], [0, 3, 6]),
            format(8, big_endian, [1, 1, 1], [2, 1, 0]),
        ]);
    }
    all.push(PixelFormat::new(8, 8, false, ColourModel::ColourMap).expect("a good format"));
    all
}

/// A size of at most `side` a side, not empty, odd ones preferred.
pub(crate) fn any_size(side: u16) -> impl Strategy<Value = Size> {
    (1..=side, 1..=side).prop_map(|(width, height)| Size::new(width, height))
}
