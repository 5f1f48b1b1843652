//! Something small drawn over a screen: a notice, a pointer. The screen below knows nothing of it.

use super::picture::Picture;
use crate::geometry::{Rect, Size};
use crate::rfb::tile::{Colour, Tile, TileBuf, TileSource};

/// A picture with a place on a screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sprite {
    /// Its left edge, in pixels from the screen's; may lie outside.
    pub x: i32,
    /// Its upper edge, in pixels from the screen's; may lie outside.
    pub y: i32,
    /// What it shows.
    pub picture: Picture,
    /// How opaque each of its pixels is, 0 to 255, row by row; `None`: all are.
    pub opacity: Option<Vec<u8>>,
}

impl Sprite {
    /// The part of a screen of this size that it covers.
    #[must_use]
    pub fn area(&self, screen: Size) -> Rect {
        let clip = |at: i32, length: u16, limit: u16| {
            let limit = i32::from(limit);
            let (start, end) = (at.clamp(0, limit), (at + i32::from(length)).clamp(0, limit));
            // Both are between 0 and a `u16`.
            (u16::try_from(start).unwrap_or(0), u16::try_from(end - start).unwrap_or(0))
        };
        let (x, width) = clip(self.x, self.picture.size.width, screen.width);
        let (y, height) = clip(self.y, self.picture.size.height, screen.height);
        let area = Rect::new(x, y, width, height);
        if area.is_empty() { Rect::default() } else { area }
    }

    /// The pixel at this place of the screen, over what is there.
    fn over(&self, x: u16, y: u16, below: Colour) -> Colour {
        let (x, y) = (i32::from(x) - self.x, i32::from(y) - self.y);
        let (Ok(x), Ok(y)) = (u16::try_from(x), u16::try_from(y)) else { return below };
        let size = self.picture.size;
        if x >= size.width || y >= size.height {
            return below;
        }
        let colour = self.picture.pixel(x, y);
        let at = usize::from(y) * usize::from(size.width) + usize::from(x);
        match self.opacity.as_ref().map(|opacity| opacity.get(at).copied().unwrap_or(0)) {
            None | Some(255) => colour,
            Some(0) => below,
            Some(opacity) => blend(colour, below, opacity),
        }
    }
}

fn blend(above: Colour, below: Colour, opacity: u8) -> Colour {
    let mix = |above: u8, below: u8| {
        let sum = u16::from(above) * u16::from(opacity) + u16::from(below) * u16::from(255 - opacity);
        // At most 255.
        u8::try_from((sum + 127) / 255).unwrap_or(u8::MAX)
    };
    Colour::rgb(
        mix(above.red(), below.red()),
        mix(above.green(), below.green()),
        mix(above.blue(), below.blue()),
    )
}

/// A screen with a few sprites over it, the last one on top.
pub struct Overlaid<'a> {
    /// The screen.
    pub below: &'a dyn TileSource,
    /// What lies over it.
    pub sprites: &'a [&'a Sprite],
}

impl TileSource for Overlaid<'_> {
    fn size(&self) -> Size {
        self.below.size()
    }

    fn tile<'b>(&self, rect: Rect, buf: &'b mut TileBuf) -> Tile<'b> {
        let screen = self.size();
        let touched: Vec<&Sprite> = self
            .sprites
            .iter()
            .copied()
            .filter(|sprite| !sprite.area(screen).intersect(rect).is_empty())
            .collect();
        if touched.is_empty() {
            return self.below.tile(rect, buf);
        }
        // Overlays are small and rare, so that memory of their own does no harm.
        let mut picture = Picture::new(rect.size(), Colour::BLACK);
        picture.paint(rect.size().rect(), &self.below.tile(rect, &mut TileBuf::default()));
        for sprite in touched {
            let area = sprite.area(screen).intersect(rect);
            for y in area.y..area.y + area.height {
                for x in area.x..area.x + area.width {
                    let at = usize::from(y - rect.y) * usize::from(rect.width) + usize::from(x - rect.x);
                    if let Some(pixel) = picture.pixels.get_mut(at) {
                        *pixel = sprite.over(x, y, *pixel);
                    }
                }
            }
        }
        buf.pixels = picture.pixels;
        Tile::Pixels(&buf.pixels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screen::picture;

    fn sprite(x: i32, y: i32, opacity: Option<Vec<u8>>) -> Sprite {
        Sprite { x, y, picture: Picture::new(Size::new(2, 2), Colour::WHITE), opacity }
    }

    fn shown(sprites: &[&Sprite]) -> Vec<u32> {
        let below = Picture::new(Size::new(4, 3), Colour(0x10));
        let overlaid = Overlaid { below: &below, sprites };
        picture(&overlaid).pixels.iter().map(|colour| colour.0).collect()
    }

    #[test]
    fn a_sprite_covers_its_place_and_is_clipped_at_every_edge() {
        const W: u32 = 0x00ff_ffff;
        assert_eq!(
            shown(&[&sprite(1, 1, None)]),
            [0x10, 0x10, 0x10, 0x10, 0x10, W, W, 0x10, 0x10, W, W, 0x10]
        );
        assert_eq!(shown(&[&sprite(-1, -1, None)])[..5], [W, 0x10, 0x10, 0x10, 0x10]);
        assert_eq!(shown(&[&sprite(3, 2, None)])[10..], [0x10, W]);
        for (x, y) in [(-2, 0), (4, 0), (0, 3), (i32::MIN / 2, 0), (i32::MAX / 2, i32::MAX / 2)] {
            assert_eq!(shown(&[&sprite(x, y, None)]), [0x10; 12], "{x}, {y}");
            assert!(sprite(x, y, None).area(Size::new(4, 3)).is_empty());
        }
    }

    #[test]
    fn opacity_mixes() {
        let half = sprite(0, 0, Some(vec![0, 255, 128, 1]));
        assert_eq!(shown(&[&half])[..6], [0x10, 0x00ff_ffff, 0x10, 0x10, 0x0080_8088, 0x0001_0111]);
    }
}
