//! A whole screen as pixels, for screenshots and tests.

use crate::geometry::{Rect, Size};
use crate::rfb::tile::{Colour, Tile, TileBuf, TileSource};

/// A screen's pixels at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Width and height in pixels.
    pub size: Size,
    /// `size.area()` colours, row by row.
    pub pixels: Vec<Colour>,
}

impl Picture {
    /// A picture of one colour.
    #[must_use]
    pub fn new(size: Size, colour: Colour) -> Self {
        Self { size, pixels: vec![colour; size.width as usize * size.height as usize] }
    }

    /// The colour at (`x`, `y`); black outside.
    #[must_use]
    pub fn pixel(&self, x: u16, y: u16) -> Colour {
        if x >= self.size.width {
            return Colour::BLACK;
        }
        let place = usize::from(y) * usize::from(self.size.width) + usize::from(x);
        self.pixels.get(place).copied().unwrap_or(Colour::BLACK)
    }

    /// Draws a tile at `rect`, as a viewer would; what lies outside is not drawn.
    pub fn paint(&mut self, rect: Rect, tile: &Tile<'_>) {
        let inside = rect.intersect(self.size.rect());
        let width = usize::from(rect.width);
        let row_bytes = width.div_ceil(8);
        for y in inside.y..inside.y + inside.height {
            let row = usize::from(y - rect.y);
            for x in inside.x..inside.x + inside.width {
                let column = usize::from(x - rect.x);
                let colour = match tile {
                    Tile::Solid(colour) => Some(*colour),
                    Tile::TwoColour { bg, fg, bits } => bits
                        .get(row * row_bytes + column / 8)
                        .map(|byte| if byte & (0x80 >> (column % 8)) == 0 { *bg } else { *fg }),
                    Tile::Indexed { palette, indices } => indices
                        .get(row * width + column)
                        .and_then(|index| palette.get(usize::from(*index)).copied()),
                    Tile::Pixels(pixels) => pixels.get(row * width + column).copied(),
                };
                let place = usize::from(y) * usize::from(self.size.width) + usize::from(x);
                if let (Some(colour), Some(pixel)) = (colour, self.pixels.get_mut(place)) {
                    *pixel = colour;
                }
            }
        }
    }

    /// The pixels as bytes red, green, blue, for image files.
    #[must_use]
    pub fn rgb(&self) -> Vec<u8> {
        self.pixels.iter().flat_map(|c| [c.red(), c.green(), c.blue()]).collect()
    }
}

impl TileSource for Picture {
    fn size(&self) -> Size {
        self.size
    }

    fn tile<'a>(&self, rect: Rect, buf: &'a mut TileBuf) -> Tile<'a> {
        buf.pixels.clear();
        for y in 0..rect.height {
            for x in 0..rect.width {
                buf.pixels.push(self.pixel(rect.x.saturating_add(x), rect.y.saturating_add(y)));
            }
        }
        Tile::Pixels(&buf.pixels)
    }
}

/// Height in pixels of the strips in which [`picture`] asks for a screen.
const STRIP_HEIGHT: u16 = 64;

/// Renders the whole of `source`.
#[must_use]
pub fn picture(source: &dyn TileSource) -> Picture {
    let size = source.size();
    let mut picture = Picture::new(size, Colour::BLACK);
    let mut buf = TileBuf::default();
    let mut y = 0;
    while size.width > 0 && y < size.height {
        let rect = Rect::new(0, y, size.width, STRIP_HEIGHT.min(size.height - y));
        picture.paint(rect, &source.tile(rect, &mut buf));
        y += rect.height;
    }
    picture
}
