//! A framebuffer that decoders paint on.

use super::DecodeError;
use crate::geometry::{Point, Rect, Size};
use crate::rfb::tile::{Colour, Tile, TileBuf, TileSource};

/// Pixels, row by row without padding. Painting outside of it does nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canvas {
    size: Size,
    pixels: Vec<Colour>,
}

impl Canvas {
    /// A black canvas.
    #[must_use]
    pub fn new(size: Size) -> Self {
        Self { size, pixels: vec![Colour::BLACK; usize::try_from(size.area()).unwrap_or(0)] }
    }

    /// Its size.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size
    }

    /// Its pixels, row by row.
    #[must_use]
    pub fn pixels(&self) -> &[Colour] {
        &self.pixels
    }

    /// Checks that a rectangle from a server is inside.
    ///
    /// # Errors
    /// [`DecodeError::Outside`].
    pub fn check(&self, rect: Rect) -> Result<(), DecodeError> {
        if self.size.rect().contains(rect) {
            Ok(())
        } else {
            Err(DecodeError::Outside { rect, size: self.size })
        }
    }

    /// Where pixel (`x`, `y`) is kept.
    fn at(&self, x: u16, y: u16) -> usize {
        usize::from(y) * usize::from(self.size.width) + usize::from(x)
    }

    /// The pixels of `rect` in row `y`, which are inside.
    fn span(&mut self, rect: Rect, y: u16) -> &mut [Colour] {
        let start = self.at(rect.x, y);
        &mut self.pixels[start..start + usize::from(rect.width)]
    }

    /// The `count` pixels from (`x`, `y`) on to the right; none when they are not all inside.
    pub(super) fn row_mut(&mut self, x: u16, y: u16, count: usize) -> &mut [Colour] {
        let start = self.at(x, y);
        let inside = usize::from(x) + count <= usize::from(self.size.width);
        self.pixels.get_mut(start..start + count).filter(|_| inside).unwrap_or_default()
    }

    /// Paints `rect` in one colour.
    pub fn fill(&mut self, rect: Rect, colour: Colour) {
        let rect = rect.intersect(self.size.rect());
        for y in rect.y..rect.y + rect.height {
            self.span(rect, y).fill(colour);
        }
    }

    /// Paints `rect` with `pixels`, row by row; what is missing stays as it was.
    pub fn put(&mut self, rect: Rect, pixels: &[Colour]) {
        let inside = rect.intersect(self.size.rect());
        if inside.is_empty() {
            return;
        }
        let left = usize::from(inside.x - rect.x);
        let rows = pixels.chunks(usize::from(rect.width)).skip(usize::from(inside.y - rect.y));
        for (y, row) in (inside.y..inside.y + inside.height).zip(rows) {
            let row = &row[left.min(row.len())..];
            let span = self.span(inside, y);
            let count = span.len().min(row.len());
            span[..count].copy_from_slice(&row[..count]);
        }
    }

    /// Copies the pixels at `source` to `destination`; both are inside and may overlap.
    pub fn copy(&mut self, destination: Rect, source: Point) {
        let from = Rect { x: source.x, y: source.y, ..destination };
        let inside = self.size.rect();
        if destination.is_empty() || !inside.contains(destination) || !inside.contains(from) {
            return;
        }
        let width = usize::from(destination.width);
        let copy_row = |this: &mut Self, row: u16| {
            let start = this.at(source.x, source.y + row);
            let target = this.at(destination.x, destination.y + row);
            this.pixels.copy_within(start..start + width, target);
        };
        if source.y < destination.y {
            (0..destination.height).rev().for_each(|row| copy_row(self, row));
        } else {
            (0..destination.height).for_each(|row| copy_row(self, row));
        }
    }

    /// Changes the size; pixels in both sizes stay, others are black.
    pub fn resize(&mut self, size: Size) {
        let mut other = Self::new(size);
        let both = self.size.rect().intersect(size.rect());
        for y in 0..both.height {
            other.span(both, y).copy_from_slice(self.span(both, y));
        }
        *self = other;
    }
}

impl TileSource for Canvas {
    fn size(&self) -> Size {
        self.size
    }

    fn tile<'a>(&self, rect: Rect, buf: &'a mut TileBuf) -> Tile<'a> {
        buf.pixels.clear();
        let inside = rect.intersect(self.size.rect());
        if inside == rect {
            for y in 0..rect.height {
                let start = self.at(rect.x, rect.y + y);
                buf.pixels.extend_from_slice(&self.pixels[start..start + usize::from(rect.width)]);
            }
            return Tile::Pixels(&buf.pixels);
        }
        buf.pixels.resize(usize::try_from(rect.area()).unwrap_or(0), Colour::BLACK);
        for y in 0..inside.height {
            let start = self.at(inside.x, inside.y + y);
            let row = &self.pixels[start..start + usize::from(inside.width)];
            let target =
                usize::from(inside.y - rect.y + y) * usize::from(rect.width) + usize::from(inside.x - rect.x);
            buf.pixels[target..target + row.len()].copy_from_slice(row);
        }
        Tile::Pixels(&buf.pixels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(width: u16, height: u16) -> Canvas {
        let mut canvas = Canvas::new(Size::new(width, height));
        let colours: Vec<_> = (0..canvas.size.area()).map(Colour).collect();
        canvas.put(canvas.size.rect(), &colours);
        canvas
    }

    #[test]
    fn overlapping_copies_move_what_was_there_before() {
        for (destination, source) in [((1, 1), (0, 0)), ((0, 0), (1, 1)), ((1, 0), (0, 0)), ((0, 0), (1, 0))]
        {
            let before = numbered(4, 4);
            let mut canvas = before.clone();
            let destination = Rect::new(destination.0, destination.1, 3, 3);
            canvas.copy(destination, Point { x: source.0, y: source.1 });
            for y in 0..3 {
                for x in 0..3 {
                    let have = canvas.pixels[canvas.at(destination.x + x, destination.y + y)];
                    assert_eq!(have, before.pixels[before.at(source.0 + x, source.1 + y)]);
                }
            }
        }
    }

    #[test]
    fn painting_outside_does_nothing() {
        let mut canvas = numbered(4, 4);
        canvas.put(Rect::new(3, 3, 2, 2), &[Colour(90), Colour(91), Colour(92), Colour(93)]);
        assert_eq!(canvas.pixels[15], Colour(90));
        canvas.fill(Rect::new(u16::MAX, 0, u16::MAX, 9), Colour::WHITE);
        canvas.copy(Rect::new(0, 0, 2, 2), Point { x: 3, y: 3 });
        assert_eq!(canvas.pixels[..15], numbered(4, 4).pixels[..15]);
        canvas.resize(Size::new(5, 1));
        assert_eq!(canvas.pixels, [0, 1, 2, 3, 0].map(Colour));
    }
}
