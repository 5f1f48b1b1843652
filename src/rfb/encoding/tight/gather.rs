//! A rectangle that grows downwards by bands, in the simplest form that holds all of them.

use crate::rfb::encoding::work::{Form as Found, PALETTE, Work};
use crate::rfb::tile::{Colour, Tile};

/// The most colours of a palette.
const MAX_COLOURS: usize = 256;

/// Memory that is kept from rectangle to rectangle, in bytes a buffer.
const KEPT_BYTES: usize = 64 * 1024;

/// How the bands are held; each form holds what the ones before it can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum Form {
    /// `palette[0]` everywhere.
    #[default]
    Solid,
    /// `data` has bits as [`Tile::TwoColour`] has, for the two colours of `palette`.
    Bits,
    /// `data` has an index into `palette` for each pixel.
    Indices,
    /// `pixels` has a colour for each pixel.
    Pixels,
}

/// Bands of equal width, one below the other.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) form: Form,
    pub(super) width: usize,
    pub(super) rows: usize,
    pub(super) palette: Vec<Colour>,
    pub(super) data: Vec<u8>,
    pub(super) pixels: Vec<Colour>,
    /// Where each colour of the next band's palette is in `palette`.
    map: Vec<u8>,
}

impl Gathered {
    pub(super) fn begin(&mut self, width: usize) {
        self.form = Form::Solid;
        self.width = width;
        self.rows = 0;
        self.palette.clear();
        self.data.clear();
        self.data.shrink_to(KEPT_BYTES);
        self.pixels.clear();
        self.pixels.shrink_to(KEPT_BYTES / size_of::<Colour>());
    }

    /// The bytes that are held.
    pub(super) fn held(&self) -> usize {
        self.data.len() + self.pixels.len() * size_of::<Colour>()
    }

    fn stride(&self) -> usize {
        self.width.div_ceil(8)
    }

    /// Adds a band of `rows` rows. False when that would need a form that is costlier for the band or for what is
    /// there already; then nothing was added, unless `must` asks for it: with it every band fits.
    pub(super) fn add(&mut self, tile: &Tile<'_>, rows: usize, must: bool) -> bool {
        let (single, pair);
        let (form, colours): (Form, &[Colour]) = match *tile {
            Tile::Solid(colour) => {
                single = [colour];
                (Form::Solid, &single)
            }
            Tile::TwoColour { bg, fg, .. } => {
                pair = [bg, fg];
                (Form::Bits, &pair)
            }
            Tile::Indexed { palette, .. } => (Form::Indices, palette),
            Tile::Pixels(_) => (Form::Pixels, &[]),
        };
        let first = self.rows == 0;
        let known = self.palette.len();
        let pixels = self.form == Form::Pixels || form == Form::Pixels || !self.learn(colours);
        let wanted = match (pixels, self.palette.len()) {
            (true, _) => Form::Pixels,
            // A palette may name a colour twice.
            (false, _) if form == Form::Indices => Form::Indices,
            (false, 0 | 1) => Form::Solid,
            (false, 2) => Form::Bits,
            (false, _) => Form::Indices,
        };
        // Bits hold a colour besides at no price; bytes and pixels do not.
        let cheap = wanted <= Form::Bits || (form == wanted && self.form == wanted);
        if !(first || must || cheap) {
            self.palette.truncate(known);
            return false;
        }
        if first {
            self.form = wanted;
        }
        self.upgrade(wanted);
        self.append(tile, rows);
        self.rows += rows;
        true
    }

    /// Makes `map`, adding unknown colours to the palette. False when they are too many; the palette is as it was
    /// then.
    fn learn(&mut self, colours: &[Colour]) -> bool {
        let known = self.palette.len();
        self.map.clear();
        for colour in colours {
            let found = self.palette.iter().position(|have| have == colour);
            let index = found.unwrap_or(self.palette.len());
            let Ok(small) = u8::try_from(index) else {
                self.palette.truncate(known);
                return false;
            };
            if found.is_none() && index < MAX_COLOURS {
                self.palette.push(*colour);
            }
            self.map.push(small);
        }
        true
    }

    /// Turns what is there into a form that holds more.
    pub(super) fn upgrade(&mut self, wanted: Form) {
        if wanted <= self.form {
            return;
        }
        let count = self.rows * self.width;
        match (self.form, wanted) {
            (Form::Solid, Form::Bits) => self.data.resize(self.rows * self.stride(), 0),
            (Form::Solid, Form::Indices) => self.data.resize(count, 0),
            (Form::Bits, Form::Indices) => {
                let bits = std::mem::take(&mut self.data);
                for_each_bit(&bits, self.width, |bit| self.data.push(bit));
            }
            (form, _) => {
                let colour =
                    |index: u8| self.palette.get(usize::from(index)).copied().unwrap_or(Colour::BLACK);
                let pixels = &mut self.pixels;
                match form {
                    Form::Solid => pixels.resize(count, colour(0)),
                    Form::Bits => for_each_bit(&self.data, self.width, |bit| pixels.push(colour(bit))),
                    _ => pixels.extend(self.data.iter().map(|index| colour(*index))),
                }
                self.data.clear();
                self.palette.clear();
            }
        }
        self.form = wanted;
    }

    /// Appends a band that the form can hold, with its colours in `map`.
    fn append(&mut self, tile: &Tile<'_>, rows: usize) {
        let (stride, count) = (self.stride(), rows * self.width);
        let mapped = |index: usize| self.map.get(index).copied().unwrap_or(0);
        match self.form {
            Form::Solid => {}
            Form::Bits => match *tile {
                Tile::TwoColour { bits, .. } if (mapped(0), mapped(1)) == (0, 1) => {
                    self.data.extend_from_slice(bits);
                }
                Tile::TwoColour { bits, .. } if (mapped(0), mapped(1)) == (1, 0) => {
                    self.data.extend(bits.iter().map(|byte| !byte));
                }
                _ => {
                    let byte = if mapped(0) == 0 { 0 } else { 0xff };
                    self.data.resize(self.data.len() + rows * stride, byte);
                }
            },
            Form::Indices => match *tile {
                Tile::Indexed { indices, .. } => {
                    let mut table = [0; MAX_COLOURS];
                    table[..self.map.len()].copy_from_slice(&self.map);
                    self.data.extend(indices.iter().map(|index| table[usize::from(*index)]));
                }
                Tile::TwoColour { bits, .. } => {
                    let inks = [mapped(0), mapped(1)];
                    for_each_bit(bits, self.width, |bit| self.data.push(inks[usize::from(bit)]));
                }
                _ => {
                    let index = mapped(0);
                    self.data.resize(self.data.len() + count, index);
                }
            },
            Form::Pixels => match *tile {
                Tile::Solid(colour) => self.pixels.resize(self.pixels.len() + count, colour),
                Tile::TwoColour { bg, fg, bits } => {
                    let inks = [bg, fg];
                    for_each_bit(bits, self.width, |bit| self.pixels.push(inks[usize::from(bit)]));
                }
                Tile::Indexed { palette, indices } => {
                    let colour = |index: &u8| palette.get(usize::from(*index)).copied();
                    self.pixels.extend(indices.iter().map(|index| colour(index).unwrap_or(Colour::BLACK)));
                }
                Tile::Pixels(colours) => self.pixels.extend_from_slice(colours),
            },
        }
    }
}

/// Calls `push` with every bit of rows of `width` bits that begin on bytes.
fn for_each_bit(bits: &[u8], width: usize, mut push: impl FnMut(u8)) {
    for row in bits.chunks_exact(width.div_ceil(8).max(1)) {
        for (byte, start) in row.iter().zip((0..width).step_by(8)) {
            for at in 0..(width - start).min(8) {
                push(byte >> (7 - at) & 1);
            }
        }
    }
}

/// Memory for [`simplify`].
#[derive(Default)]
pub(super) struct Simplified {
    palette: Vec<Colour>,
    bits: Vec<u8>,
}

/// The simplest form of a tile.
pub(super) fn simplify<'a>(
    tile: Tile<'a>,
    width: usize,
    work: &'a mut Work,
    memory: &'a mut Simplified,
) -> Tile<'a> {
    match tile {
        Tile::TwoColour { bg, fg, bits } if bg == fg || bits.iter().all(|byte| *byte == 0) => Tile::Solid(bg),
        Tile::TwoColour { fg, bits, .. }
            if width.is_multiple_of(8) && bits.iter().all(|byte| *byte == 0xff) =>
        {
            Tile::Solid(fg)
        }
        Tile::Indexed { palette: &[bg, fg], indices } => {
            two_colours(bg, fg, indices, width, &mut memory.bits)
        }
        Tile::Pixels(colours) => {
            work.values.clear();
            work.values.extend(colours.iter().map(|colour| colour.0));
            match work.classify(width, PALETTE) {
                Found::Many => tile,
                Found::Solid(only) => Tile::Solid(Colour(only)),
                Found::Two([bg, fg]) => Tile::TwoColour { bg: Colour(bg), fg: Colour(fg), bits: &work.bits },
                Found::Few => {
                    memory.palette.clear();
                    memory.palette.extend(work.palette.iter().map(|colour| Colour(*colour)));
                    Tile::Indexed { palette: &memory.palette, indices: &work.indices }
                }
            }
        }
        other => other,
    }
}

fn two_colours<'a>(bg: Colour, fg: Colour, indices: &[u8], width: usize, bits: &'a mut Vec<u8>) -> Tile<'a> {
    bits.clear();
    for row in indices.chunks(width.max(1)) {
        for eight in row.chunks(8) {
            let byte = eight.iter().fold(0, |byte, index| byte << 1 | index);
            bits.push(byte << (8 - eight.len()));
        }
    }
    Tile::TwoColour { bg, fg, bits }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RED: Colour = Colour(0x00ff_0000);

    #[test]
    fn bits_are_inverted_as_needed() {
        let mut gathered = Gathered::default();
        gathered.begin(8);
        let two = |bg, fg, bits| Tile::TwoColour { bg, fg, bits };
        assert!(gathered.add(&Tile::Solid(Colour::BLACK), 1, false));
        assert!(gathered.add(&two(Colour::WHITE, Colour::BLACK, &[0xf0]), 1, false));
        assert!(gathered.add(&two(Colour::BLACK, Colour::WHITE, &[0x0f]), 1, false));
        assert!(gathered.add(&Tile::Solid(Colour::WHITE), 1, false));
        assert_eq!(gathered.form, Form::Bits);
        assert_eq!(gathered.palette, [Colour::BLACK, Colour::WHITE]);
        assert_eq!(gathered.data, [0, 0x0f, 0x0f, 0xff]);
        // A third colour is too much, if it is not forced.
        assert!(!gathered.add(&two(Colour::BLACK, RED, &[1]), 1, false));
        assert_eq!(gathered.palette, [Colour::BLACK, Colour::WHITE]);
        assert!(gathered.add(&two(Colour::BLACK, RED, &[1]), 1, true));
        assert_eq!(gathered.form, Form::Indices);
        assert_eq!(gathered.data[24..], [1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 2]);
    }

    #[test]
    fn a_palette_that_overflows_becomes_pixels() {
        let mut gathered = Gathered::default();
        gathered.begin(200);
        let some: Vec<_> = (0..200).map(Colour).collect();
        let other: Vec<_> = (100..300).map(Colour).collect();
        let indices: Vec<u8> = (0..200).collect();
        let indexed = |palette| Tile::Indexed { palette, indices: &indices };
        assert!(gathered.add(&indexed(&some), 1, false));
        assert!(!gathered.add(&indexed(&other), 1, false));
        assert_eq!(gathered.palette.len(), 200);
        assert!(gathered.add(&indexed(&other), 1, true));
        assert_eq!(gathered.form, Form::Pixels);
        assert_eq!(gathered.pixels, [some, other].concat());
    }
}
