//! Rectangles of the screen: filling, erasing, copying, and a checksum (VT420: DECFRA, DECERA, DECSERA, DECCRA,
//! DECRQCRA; VT510 Programmer Reference Manual, chapter 5).

use super::actions::Parameters;
use super::cell::{Attributes, Cell, Glyph, Width};
use super::emulator::Emulator;

/// A rectangle of cells that is on the screen and not empty; right and bottom are outside.
#[derive(Debug, Clone, Copy)]
struct Area {
    top: u16,
    left: u16,
    bottom: u16,
    right: u16,
}

impl Emulator {
    /// The rectangle of the four parameters from `at` on: top, left, bottom, right, from 1, counted from the region's
    /// top in origin mode; what is missing is the edge. `None` for an empty one.
    fn area(&self, p: &Parameters, at: usize) -> Option<Area> {
        let (first, end) = if self.cursor.origin { (self.top, self.bottom) } else { (0, self.rows) };
        let last = |value: u16, most: u16| if value == 0 { most } else { value.min(most) };
        let area = Area {
            top: first.saturating_add(p.or_one(at) - 1),
            left: p.or_one(at + 1) - 1,
            bottom: match p.get(at + 2) {
                0 => end,
                row => first.saturating_add(row).min(end),
            },
            right: last(p.get(at + 3), self.columns),
        };
        (area.top < area.bottom && area.left < area.right).then_some(area)
    }

    /// DECFRA: fills with a character in the look of the pen.
    pub(super) fn fill_rectangle(&mut self, p: &Parameters) {
        let Some(area) = self.area(p, 1) else { return };
        let Ok(byte @ (b' '..=b'~' | 0xa0..)) = u8::try_from(p.get(0)) else { return };
        let cells =
            vec![Cell::character(char::from(byte), false, self.look()); usize::from(area.right - area.left)];
        for row in area.top..area.bottom {
            self.grid.write_cells(row, area.left, &cells, &mut self.damage);
        }
    }

    /// DECERA, and DECSERA, which leaves protected characters alone.
    pub(super) fn erase_rectangle(&mut self, p: &Parameters, selective: bool) {
        let Some(area) = self.area(p, 0) else { return };
        for row in area.top..area.bottom {
            self.erase(row, area.left, area.right, selective);
        }
    }

    /// DECCRA: copies to another place, which may overlap. There is one page.
    pub(super) fn copy_rectangle(&mut self, p: &Parameters) {
        let Some(from) = self.area(p, 0) else { return };
        let first = if self.cursor.origin { self.top } else { 0 };
        let (top, left) = (first.saturating_add(p.or_one(5) - 1), p.or_one(6) - 1);
        let end = if self.cursor.origin { self.bottom } else { self.rows };
        if top >= end || left >= self.columns {
            return;
        }
        let width = usize::from((from.right - from.left).min(self.columns - left));
        let height = (from.bottom - from.top).min(end - top);
        let mut copy = Vec::with_capacity(width * usize::from(height));
        for row in from.top..from.top + height {
            let start = copy.len();
            copy.extend_from_slice(&self.grid.cells(row)[usize::from(from.left)..][..width]);
            // Halves of characters that are cut do not come along.
            let cut = |cell: &mut Cell, half| {
                if cell.width() == half {
                    *cell = Cell::blank(cell.look());
                }
            };
            cut(&mut copy[start], Width::Tail);
            if let Some(last) = copy.last_mut() {
                cut(last, Width::Wide);
            }
        }
        for (row, cells) in (top..).zip(copy.chunks_exact(width)) {
            self.grid.write_cells(row, left, cells, &mut self.damage);
        }
    }

    /// DECRQCRA: the negated sum of characters and attributes, by which test programs read the screen.
    pub(super) fn report_checksum(&mut self, p: &Parameters) {
        let mut sum = 0u16;
        if let Some(area) = self.area(p, 2) {
            for row in area.top..area.bottom {
                for cell in &self.grid.cells(row)[usize::from(area.left)..usize::from(area.right)] {
                    let c = match cell.glyph() {
                        Glyph::Char(c) => c,
                        Glyph::Cluster(number) => {
                            self.tables.clusters.get(u32::from(number)).map_or(' ', |key| key.base)
                        }
                    };
                    let attributes = cell.look().attributes();
                    let weight: u16 = [
                        (Attributes::PROTECTED, 0x04),
                        (Attributes::HIDDEN, 0x08),
                        (Attributes::UNDERLINE, 0x10),
                        (Attributes::INVERSE, 0x20),
                        (Attributes::BLINK, 0x40),
                        (Attributes::BOLD, 0x80),
                    ]
                    .iter()
                    .map(|(attribute, weight)| if attributes.has(*attribute) { *weight } else { 0 })
                    .sum();
                    let [_, _, high, low] = u32::from(c).to_be_bytes();
                    sum = sum.wrapping_add(u16::from_be_bytes([high, low])).wrapping_add(weight);
                }
            }
        }
        self.reply(&format!("\x1bP{}!~{:04X}\x1b\\", p.get(0), sum.wrapping_neg()));
    }
}
