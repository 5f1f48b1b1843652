//! Painting cells into tiles.
//!
//! The first attempt is always two colours: it is what most of a console needs, it is exact unless a third colour
//! turns up, and where cells are eight pixels wide and lie on byte boundaries it is a copy of glyph bytes. Only then
//! are indices painted, and only with more than 256 colours whole pixels.

use std::ops::{ControlFlow, Range};

use super::ink::{Ink, left_mask};
use super::{PaintedCell, TextView};
use crate::geometry::Rect;
use crate::rfb::tile::{Colour, Tile, TileBuf, TileSource};
use crate::terminal::{Cell, Width};

/// The most colours of a [`Tile::Indexed`].
const MAX_PALETTE: usize = 256;

/// The answer to [`TileSource::tile`].
pub(super) fn tile<'a>(view: &TextView<'_>, rect: Rect, buf: &'a mut TileBuf) -> Tile<'a> {
    if let ControlFlow::Continue(colours) = two_colours(view, rect, &mut buf.bits) {
        return match colours {
            TwoColours { bg, fg: None } => Tile::Solid(bg.unwrap_or(Colour::BLACK)),
            TwoColours { bg, fg: Some(fg) } => {
                Tile::TwoColour { bg: bg.unwrap_or(Colour::BLACK), fg, bits: &buf.bits }
            }
        };
    }
    if indexed(view, rect, buf).is_continue() {
        return match buf.palette[..] {
            [] => Tile::Solid(Colour::BLACK),
            [only] => Tile::Solid(only),
            [bg, fg] => {
                pack_bits(rect, buf);
                Tile::TwoColour { bg, fg, bits: &buf.bits }
            }
            _ => Tile::Indexed { palette: &buf.palette, indices: &buf.indices },
        };
    }
    pixels(view, rect, &mut buf.pixels);
    Tile::Pixels(&buf.pixels)
}

/// The part of a cell that lies in a tile, with where it goes.
struct Place {
    /// The tile's pixel column that gets the first of the cell's `columns`.
    x: usize,
    /// The tile's pixel row that gets the first of the cell's `rows`.
    y: usize,
    /// Pixel columns of the cell.
    columns: Range<u32>,
    /// Pixel rows of the cell.
    rows: Range<usize>,
}

impl Place {
    fn width(&self) -> u32 {
        self.columns.end - self.columns.start
    }

    /// The visible pixels of the cell's row `y`, moved to the left.
    fn row(&self, cell: &PaintedCell<'_>, y: usize) -> u32 {
        (cell.ink.row(&cell.rows, y, self.columns.end) << self.columns.start) & left_mask(self.width())
    }
}

/// Calls `paint` for every cell that lies partly in `rect`, row by row, until it breaks.
fn for_each_cell(
    view: &TextView<'_>,
    rect: Rect,
    mut paint: impl FnMut(&PaintedCell<'_>, &Place) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let inside = rect.intersect(view.size().rect());
    if inside.is_empty() {
        return ControlFlow::Continue(());
    }
    let cell = view.font.cell();
    let mut scratch = Vec::new();
    let cursor = view.cursor(&mut scratch);
    let (bar, columns_in_all) = (view.scroll_bar(), view.terminal.columns());
    let mut painted = PaintedCell::default();
    for row in inside.y / cell.height..=(inside.y + (inside.height - 1)) / cell.height {
        let (rows, y) = overlap(row, cell.height, inside.y, inside.height);
        let rows = usize::from(rows.start)..usize::from(rows.end);
        let y = usize::from(y + (inside.y - rect.y));
        let (terminal, shown, source) = view.source(row);
        let cells = terminal.row(shown, source, &mut scratch);
        let selected = view.selected(row);
        // A run of equal cells, most often blanks, is looked up once.
        let mut previous: Option<(Cell, bool)> = None;
        for column in inside.x / cell.width..=(inside.x + (inside.width - 1)) / cell.width {
            let (columns, x) = overlap(column, cell.width, inside.x, inside.width);
            let shape = cursor.and_then(|c| {
                (c.row == row && (c.columns.0..c.columns.1).contains(&column)).then_some(c.shape)
            });
            let place = Place {
                x: usize::from(x + (inside.x - rect.x)),
                y,
                columns: u32::from(columns.start)..u32::from(columns.end),
                rows: rows.clone(),
            };
            if let Some(bar) = bar.as_ref().filter(|_| column + 1 == columns_in_all) {
                view.paint_bar(bar, row, &mut painted);
                paint(&painted, &place)?;
                continue;
            }
            let inverted = selected.contains(&column);
            let column = usize::from(column);
            let key = cells.get(column).copied().filter(|c| shape.is_none() && c.width() == Width::Narrow);
            let key = key.map(|cell| (cell, inverted));
            if key.is_none() || key != previous {
                view.paint((terminal, cells), column, shape, inverted, &mut painted);
                previous = key;
            }
            paint(&painted, &place)?;
        }
    }
    ControlFlow::Continue(())
}

/// Along one axis: which pixels of cell `number` (of `length` pixels) lie in `start..start + visible`, and the place
/// of the first of them, counted from `start`.
fn overlap(number: u16, length: u16, start: u16, visible: u16) -> (Range<u16>, u16) {
    // The cell exists on a screen of at most u16::MAX pixels, and `start..start + visible` lies on that screen.
    let first = number * length;
    let skipped = start.saturating_sub(first);
    let end = length.min(start.saturating_add(visible).saturating_sub(first));
    (skipped..end.max(skipped), first.saturating_sub(start))
}

/// The colours met so far.
#[derive(Default, Clone, Copy)]
struct TwoColours {
    bg: Option<Colour>,
    fg: Option<Colour>,
}

impl TwoColours {
    /// The bit for `colour`; breaks on a third one.
    #[inline]
    fn bit(&mut self, colour: Colour) -> ControlFlow<(), bool> {
        if *self.bg.get_or_insert(colour) == colour {
            ControlFlow::Continue(false)
        } else if *self.fg.get_or_insert(colour) == colour {
            ControlFlow::Continue(true)
        } else {
            ControlFlow::Break(())
        }
    }
}

/// Paints `rect` with one bit a pixel; breaks when cells of it use more than two colours.
fn two_colours(view: &TextView<'_>, rect: Rect, bits: &mut Vec<u8>) -> ControlFlow<(), TwoColours> {
    let row_bytes = usize::from(rect.width).div_ceil(8);
    bits.clear();
    bits.resize(row_bytes * usize::from(rect.height), 0);
    let mut colours = TwoColours::default();
    if !view.size().rect().contains(rect) {
        // Outside is black, and black first makes it 0.
        colours.bit(Colour::BLACK)?;
    }
    for_each_cell(view, rect, |cell, place| {
        let bg = colours.bit(cell.background)?;
        let fg = if matches!(cell.ink, Ink::Blank) { bg } else { colours.bit(cell.foreground)? };
        if fg == bg {
            if bg {
                let all = left_mask(place.width());
                place.rows.clone().for_each(|y| or_bits(bits, row_bytes, place, y, all));
            }
            return ControlFlow::Continue(());
        }
        match cell.ink {
            Ink::Glyph { bits: glyph, first, step } if place.columns == (0..8) && place.x % 8 == 0 => {
                let flip = if bg { 0xff } else { 0 };
                let mut target = place.y * row_bytes + place.x / 8;
                for y in place.rows.clone() {
                    if let (Some(to), Some(from)) = (bits.get_mut(target), glyph.get(first + y * step)) {
                        *to = from ^ flip;
                    }
                    target += row_bytes;
                }
            }
            _ => {
                for y in place.rows.clone() {
                    let row = place.row(cell, y);
                    or_bits(
                        bits,
                        row_bytes,
                        place,
                        y,
                        if bg { !row & left_mask(place.width()) } else { row },
                    );
                }
            }
        }
        ControlFlow::Continue(())
    })?;
    ControlFlow::Continue(colours)
}

/// Sets those of `row`'s bits, the leftmost first, in the tile's row that the cell's row `y` goes to.
fn or_bits(bits: &mut [u8], row_bytes: usize, place: &Place, y: usize, row: u32) {
    let start = (place.y + y - place.rows.start) * row_bytes + place.x / 8;
    if place.x.is_multiple_of(8) && place.width() <= 8 {
        if let Some(byte) = bits.get_mut(start) {
            *byte |= row.to_be_bytes()[0];
        }
        return;
    }
    let moved = u64::from(row) << 32 >> (place.x % 8);
    let end = start - place.x / 8 + row_bytes;
    if let Some(line) = bits.get_mut(start..end) {
        for (byte, more) in line.iter_mut().zip(moved.to_be_bytes()) {
            *byte |= more;
        }
    }
}

/// The colours of the pixels of `row` that `place` shows, as (background occurs, foreground occurs).
fn occurring(cell: &PaintedCell<'_>, place: &Place) -> (bool, bool) {
    if cell.background == cell.foreground {
        return (true, false);
    }
    let all = left_mask(place.width());
    place.rows.clone().fold((false, false), |(bg, fg), y| {
        let row = place.row(cell, y);
        (bg || row != all, fg || row != 0)
    })
}

/// Paints `rect` with a palette of exactly the colours that occur; breaks on more than 256.
fn indexed(view: &TextView<'_>, rect: Rect, buf: &mut TileBuf) -> ControlFlow<()> {
    let TileBuf { palette, indices, .. } = buf;
    let width = usize::from(rect.width);
    palette.clear();
    indices.clear();
    indices.resize(width * usize::from(rect.height), 0);
    if !view.size().rect().contains(rect) {
        palette.push(Colour::BLACK);
    }
    for_each_cell(view, rect, |cell, place| {
        let occurs = occurring(cell, place);
        let mut index = |colour: Colour, occurs: bool| -> ControlFlow<(), u8> {
            if !occurs {
                return ControlFlow::Continue(0);
            }
            let found = palette.iter().position(|have| *have == colour).unwrap_or(palette.len());
            if found == palette.len() {
                if found == MAX_PALETTE {
                    return ControlFlow::Break(());
                }
                palette.push(colour);
            }
            u8::try_from(found).map_or(ControlFlow::Break(()), ControlFlow::Continue)
        };
        let (bg, fg) = (index(cell.background, occurs.0)?, index(cell.foreground, occurs.1)?);
        for_each_line(indices, width, place, |y, line| fill_row(line, place.row(cell, y), bg, fg, occurs));
        ControlFlow::Continue(())
    })
}

/// Paints `rect` pixel by pixel.
fn pixels(view: &TextView<'_>, rect: Rect, pixels: &mut Vec<Colour>) {
    let width = usize::from(rect.width);
    pixels.clear();
    pixels.resize(width * usize::from(rect.height), Colour::BLACK);
    let _ = for_each_cell(view, rect, |cell, place| {
        for_each_line(pixels, width, place, |y, line| {
            fill_row(line, place.row(cell, y), cell.background, cell.foreground, (true, true));
        });
        ControlFlow::Continue(())
    });
}

/// Calls `fill` with each row of the cell and the part of the tile that it goes to.
fn for_each_line<T>(tile: &mut [T], width: usize, place: &Place, mut fill: impl FnMut(usize, &mut [T])) {
    let columns = usize::try_from(place.width()).unwrap_or(0);
    for (target, y) in (place.y..).zip(place.rows.clone()) {
        let start = target * width + place.x;
        if let Some(line) = tile.get_mut(start..start + columns) {
            fill(y, line);
        }
    }
}

/// One row of a cell; `occurs` tells that a colour is there at all (else its value is meaningless, never drawn).
fn fill_row<T: Copy>(line: &mut [T], row: u32, bg: T, fg: T, occurs: (bool, bool)) {
    let bg = if occurs.0 { bg } else { fg };
    let fg = if occurs.1 { fg } else { bg };
    // Each pixel by itself, so that the compiler can do many at once.
    for (pixel, x) in line.iter_mut().zip(0..32_u32) {
        *pixel = if row << x & 0x8000_0000 == 0 { bg } else { fg };
    }
}

/// Turns indices 0 and 1 into bits.
fn pack_bits(rect: Rect, buf: &mut TileBuf) {
    buf.bits.clear();
    for line in buf.indices.chunks_exact(usize::from(rect.width).max(1)) {
        buf.bits.extend(line.chunks(8).map(|eight| {
            eight
                .iter()
                .zip([0x80, 0x40, 0x20, 0x10, 8, 4, 2, 1])
                .fold(0, |byte, (index, bit)| byte | if *index == 0 { 0 } else { bit })
        }));
    }
}
