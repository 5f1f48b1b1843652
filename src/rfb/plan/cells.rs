//! How a picture is cut into rectangles, for encodings whose rectangles have one form each (Tight and its like).
//!
//! A screen of pixels is looked at in cells, and each is classified by its colours. Equal neighbours become rectangles,
//! by this model of cost:
//!
//! * A rectangle costs [`RECT_BYTES`], whatever is in it, and about 20 µs of the viewer's time. So the cells are large,
//!   and a rectangle grows as long as its cells want the same.
//! * One colour costs nothing more: worth a rectangle of its own from [`FILL_CELLS`] on. Smaller areas are part of what
//!   has few colours around them.
//! * Few colours cost three bytes for each of them, and half a byte a pixel at most once they are compressed. A cell is
//!   taken into a rectangle as long as it brings no more than [`NEW_COLOURS`], or all of them are no more than
//!   [`SMALL_PALETTE`].
//! * Many colours cost two to three bytes a pixel. Where they are photographic, and the viewer may be sent less than
//!   was there, a quarter of a byte as JPEG, and [`JPEG_BYTES`].

use crate::geometry::Rect;
use crate::rfb::tile::{Colour, Tile, TileBuf, TileSource};

/// The width and height of a cell in pixels; cells lie side by side from a rectangle's upper left corner on.
pub const CELL: (u16, u16) = (64, 16);

/// About what a rectangle costs, in bytes: its header, the lengths, and the end of its compressed data.
pub const RECT_BYTES: usize = 24;

/// About what a JPEG's header costs, in bytes.
pub const JPEG_BYTES: usize = 620;

/// A rectangle of one colour has so many cells at least.
pub const FILL_CELLS: usize = 12;

/// A rectangle of photographic contents has so many pixels at least: less saves no more than a JPEG's header.
pub const PHOTO_PIXELS: u32 = 2048;

/// The most colours of a cell with few.
pub const CELL_COLOURS: usize = 96;

/// The most colours of a rectangle with few.
pub const RECT_COLOURS: usize = 127;

/// As many colours may come together whatever is new among them.
pub const SMALL_PALETTE: usize = 16;

/// The most colours that a cell may add to a larger palette.
pub const NEW_COLOURS: usize = 8;

/// In a photograph at most one pixel in so many is like its left neighbour.
const EQUAL_PIXELS: usize = 3;

/// No pixel is like this.
const NO_COLOUR: Colour = Colour(u32::MAX);

/// What is in a rectangle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// One colour.
    Solid,
    /// At most [`RECT_COLOURS`].
    Few,
    /// Many colours, with sharp edges or flat parts.
    Many,
    /// Many colours that hardly ever repeat.
    Photo,
}

/// Colours of a cell: where they are in the common list, sorted.
#[derive(Debug, Clone, Copy)]
struct Cell {
    class: Class,
    first: usize,
    count: usize,
    taken: bool,
}

/// Plans; its memory is reused from plan to plan.
#[derive(Debug, Default)]
pub struct Planner {
    cells: Vec<Cell>,
    colours: Vec<Colour>,
    palette: Vec<Colour>,
    merged: Vec<Colour>,
    found: Vec<Colour>,
}

impl Planner {
    /// Cuts `rect`, which is not empty: the rectangles cover it, and do not overlap. `lossy` allows [`Class::Photo`].
    pub fn plan(
        &mut self,
        source: &dyn TileSource,
        rect: Rect,
        lossy: bool,
        buf: &mut TileBuf,
    ) -> Vec<(Rect, Class)> {
        let columns = usize::from(rect.width.div_ceil(CELL.0));
        let rows = usize::from(rect.height.div_ceil(CELL.1));
        self.cells.clear();
        self.colours.clear();
        for at in 0..rows * columns {
            let area = cells_rect(rect, columns, (at, 1, 1));
            let cell = self.classify(&source.tile(area, buf), usize::from(area.width), lossy);
            self.cells.push(cell);
        }
        let mut plan = Vec::new();
        // Large areas of one colour first, because what has few colours would take them in.
        for (class, least) in [
            (Class::Solid, FILL_CELLS),
            (Class::Few, 0),
            (Class::Photo, usize::try_from(PHOTO_PIXELS).unwrap_or(0) / 1024),
            (Class::Many, 0),
        ] {
            for at in 0..self.cells.len() {
                let starts = |cell: &Cell| !cell.taken && belongs(cell.class, class);
                if !self.cells.get(at).is_some_and(starts) {
                    continue;
                }
                let (width, height) = self.grow(at, columns, class);
                if width * height < least {
                    continue;
                }
                for row in 0..height {
                    for cell in &mut self.cells[at + row * columns..][..width] {
                        cell.taken = true;
                    }
                }
                plan.push((cells_rect(rect, columns, (at, width, height)), class));
            }
        }
        self.colours.shrink_to(4096);
        plan
    }

    fn classify(&mut self, tile: &Tile<'_>, width: usize, lossy: bool) -> Cell {
        let first = self.colours.len();
        let class = match *tile {
            Tile::Solid(colour) => {
                self.colours.push(colour);
                Class::Solid
            }
            Tile::TwoColour { bg, fg, .. } => {
                self.colours.extend([bg.min(fg), bg.max(fg)]);
                Class::Few
            }
            Tile::Indexed { palette, .. } if palette.len() <= CELL_COLOURS => {
                self.colours.extend_from_slice(palette);
                self.colours[first..].sort_unstable();
                Class::Few
            }
            Tile::Indexed { .. } => Class::Many,
            Tile::Pixels(pixels) => match self.find(pixels) {
                Some(1) => Class::Solid,
                Some(_) => Class::Few,
                None if lossy && is_photographic(pixels, width) => Class::Photo,
                None => Class::Many,
            },
        };
        Cell { class, first, count: self.colours.len() - first, taken: false }
    }

    /// Appends the colours of a cell in order; `None`, and nothing is appended, when they are many.
    fn find(&mut self, pixels: &[Colour]) -> Option<usize> {
        self.found.clear();
        // Most pixels have a colour that was seen a moment ago.
        let mut recent = [NO_COLOUR; 64];
        for &pixel in pixels {
            let slot = &mut recent[usize::from(pixel.0.wrapping_mul(0x9e37_79b1).to_be_bytes()[0] & 63)];
            if *slot == pixel {
                continue;
            }
            *slot = pixel;
            if let Err(at) = self.found.binary_search(&pixel) {
                if self.found.len() == CELL_COLOURS {
                    return None;
                }
                self.found.insert(at, pixel);
            }
        }
        self.colours.extend_from_slice(&self.found);
        Some(self.found.len())
    }

    /// How many cells wide and high a rectangle of `class` can be whose first cell is `at`.
    fn grow(&mut self, at: usize, columns: usize, class: Class) -> (usize, usize) {
        self.palette.clear();
        let right = columns - at % columns;
        let width = (0..right).take_while(|more| self.take(at + more, class)).count();
        let rows = self.cells.len() / columns - at / columns;
        let mut height = 1;
        while height < rows {
            let kept = self.palette.clone();
            if !(0..width).all(|column| self.take(at + height * columns + column, class)) {
                self.palette = kept;
                break;
            }
            height += 1;
        }
        (width, height)
    }

    /// Takes a cell's colours into the palette. False when it does not fit into the rectangle.
    fn take(&mut self, at: usize, class: Class) -> bool {
        let Some(&cell) = self.cells.get(at) else { return false };
        if cell.taken || !belongs(cell.class, class) {
            return false;
        }
        if matches!(class, Class::Many | Class::Photo) {
            return true;
        }
        let colours = &self.colours[cell.first..cell.first + cell.count];
        merge(&self.palette, colours, &mut self.merged);
        let (all, new) = (self.merged.len(), self.merged.len() - self.palette.len());
        let most = if class == Class::Solid { 1 } else { RECT_COLOURS };
        let fits = all <= most && (self.palette.is_empty() || all <= SMALL_PALETTE || new <= NEW_COLOURS);
        if fits {
            std::mem::swap(&mut self.palette, &mut self.merged);
        }
        fits
    }
}

/// True when a cell may be in a rectangle of `class`: one colour is few.
fn belongs(cell: Class, class: Class) -> bool {
    match class {
        Class::Few => matches!(cell, Class::Solid | Class::Few),
        // A photograph that was too small.
        Class::Many => matches!(cell, Class::Photo | Class::Many),
        other => cell == other,
    }
}

/// The pixels of `width` by `height` cells from cell `at` on.
fn cells_rect(rect: Rect, columns: usize, (at, width, height): (usize, usize, usize)) -> Rect {
    let side = |cell: usize, step: u16, most: u16| {
        u16::try_from(cell * usize::from(step)).unwrap_or(u16::MAX).min(most)
    };
    let (x, y) = (at % columns, at / columns);
    let (left, right) = (side(x, CELL.0, rect.width), side(x + width, CELL.0, rect.width));
    let (up, down) = (side(y, CELL.1, rect.height), side(y + height, CELL.1, rect.height));
    Rect::new(rect.x + left, rect.y + up, right - left, down - up)
}

/// The colours of both lists, which are sorted.
fn merge(one: &[Colour], other: &[Colour], all: &mut Vec<Colour>) {
    all.clear();
    let (mut one, mut other) = (one.iter().peekable(), other.iter().peekable());
    loop {
        let next = match (one.peek(), other.peek()) {
            (Some(a), Some(b)) if a < b => one.next(),
            (Some(a), Some(b)) if a == b => {
                one.next();
                other.next()
            }
            (_, Some(_)) => other.next(),
            (Some(_), None) => one.next(),
            (None, None) => return,
        };
        all.extend(next);
    }
}

/// Photographs have no flat parts: hardly a pixel is like its neighbour.
fn is_photographic(pixels: &[Colour], width: usize) -> bool {
    let equal: usize =
        pixels.chunks(width.max(1)).map(|row| row.windows(2).filter(|pair| pair[0] == pair[1]).count()).sum();
    equal * EQUAL_PIXELS <= pixels.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Size;
    use crate::rfb::encoding::canvas::Canvas;
    use proptest::prelude::*;

    fn noise(seed: u32) -> impl FnMut() -> Colour {
        let mut state = seed | 1;
        move || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            Colour(state & 0x00ff_ffff)
        }
    }

    fn paint(canvas: &mut Canvas, rect: Rect, mut colour: impl FnMut() -> Colour) {
        let pixels: Vec<_> = (0..rect.area()).map(|_| colour()).collect();
        canvas.put(rect, &pixels);
    }

    fn plan(canvas: &Canvas, rect: Rect, lossy: bool) -> Vec<(Rect, Class)> {
        Planner::default().plan(canvas, rect, lossy, &mut TileBuf::default())
    }

    #[test]
    fn what_is_alike_becomes_one_rectangle() {
        let mut canvas = Canvas::new(Size::new(64 * 8, 16 * 8));
        paint(&mut canvas, Rect::new(64, 0, 64 * 3, 16 * 4), noise(3));
        let mut flip = false;
        paint(&mut canvas, Rect::new(64 * 4, 0, 64 * 4, 16 * 8), || {
            flip = !flip;
            if flip { Colour::WHITE } else { Colour::BLACK }
        });
        let whole = canvas.size().rect();
        let lossy = plan(&canvas, whole, true);
        let wanted = [
            // The black left of and below the noise: a rectangle each, because one of them is high enough.
            (Rect::new(0, 64, 256, 64), Class::Solid),
            (Rect::new(0, 0, 64, 64), Class::Few),
            (Rect::new(256, 0, 256, 128), Class::Few),
            (Rect::new(64, 0, 192, 64), Class::Photo),
        ];
        assert_eq!(lossy, wanted);
        let exact = plan(&canvas, whole, false);
        assert!(exact.iter().all(|(_, class)| *class != Class::Photo));
    }

    #[test]
    fn palettes_do_not_grow_without_end() {
        // Each cell has 90 colours of its own.
        let mut canvas = Canvas::new(Size::new(64 * 4, 16));
        for cell in 0..4u16 {
            let mut n = 0;
            paint(&mut canvas, Rect::new(cell * 64, 0, 64, 16), || {
                n += 1;
                Colour(u32::from(cell) * 1000 + n % 90)
            });
        }
        let cells = plan(&canvas, canvas.size().rect(), true);
        assert_eq!(cells.len(), 4);
        assert!(cells.iter().all(|(_, class)| *class == Class::Few));
    }

    proptest! {
        #[test]
        fn every_pixel_is_planned_once(
            rect in (0u16..90, 0u16..90, 1u16..300, 1u16..100).prop_map(|(x, y, w, h)| Rect::new(x, y, w, h)),
            parts in proptest::collection::vec((0u16..350, 0u16..150, 1u16..200, 1u16..80, 0u32..4), 0..8),
            lossy: bool,
        ) {
            let mut canvas = Canvas::new(Size::new(400, 200));
            for (n, (x, y, width, height, kind)) in (1u32..).zip(parts) {
                let area = Rect::new(x, y, width, height).intersect(canvas.size().rect());
                let mut random = noise(n * 7919);
                let most = [1, 2, 90, 0x00ff_ffff][usize::try_from(kind).unwrap_or(0)];
                paint(&mut canvas, area, || Colour(random().0 % most));
            }
            let mut covered = vec![0u8; 400 * 200];
            for (part, class) in plan(&canvas, rect, lossy) {
                prop_assert!(rect.contains(part) && !part.is_empty());
                let mut buf = TileBuf::default();
                let mut colours = match canvas.tile(part, &mut buf) {
                    Tile::Pixels(pixels) => pixels.to_vec(),
                    other => panic!("{other:?}"),
                };
                colours.sort_unstable();
                colours.dedup();
                match class {
                    Class::Solid => prop_assert_eq!(colours.len(), 1),
                    Class::Few => prop_assert!(colours.len() <= RECT_COLOURS),
                    Class::Photo => prop_assert!(lossy),
                    Class::Many => {}
                }
                for y in part.y..part.y + part.height {
                    for x in part.x..part.x + part.width {
                        covered[usize::from(y) * 400 + usize::from(x)] += 1;
                    }
                }
            }
            for y in 0..200u16 {
                for x in 0..400u16 {
                    let inside = rect.contains(Rect::new(x, y, 1, 1));
                    prop_assert_eq!(covered[usize::from(y) * 400 + usize::from(x)], u8::from(inside));
                }
            }
        }
    }
}
