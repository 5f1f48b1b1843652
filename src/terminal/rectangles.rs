//! Rectangles of the screen: filling, erasing, copying, attributes, and a checksum (VT420: DECFRA, DECERA, DECSERA,
//! DECCRA, DECCARA, DECRARA, DECRQCRA; VT510 Programmer Reference Manual, chapter 5).

use super::actions::Parameters;
use super::cell::{Attributes, Cell, Glyph};
use super::emulator::Emulator;
use super::grid::{Area, whole_characters};

/// What DECCARA and DECRARA can change.
const CHANGEABLE: u16 = Attributes::BOLD | Attributes::UNDERLINE | Attributes::BLINK | Attributes::INVERSE;

impl Emulator {
    /// The rectangle of the four parameters from `at` on: top, left, bottom, right, from 1, counted from the margins
    /// in origin mode; what is missing is the edge. `None` for an empty one.
    fn area(&self, p: &Parameters, at: usize) -> Option<Area> {
        let origin = self.cursor.origin;
        let (top, end) = if origin { (self.top, self.bottom) } else { (0, self.rows) };
        let (left, edge) = if origin { (self.left, self.right) } else { (0, self.columns) };
        let last = |value: u16, first: u16, end: u16| match value {
            0 => end,
            value => first.saturating_add(value).min(end),
        };
        let area = Area {
            top: top.saturating_add(p.or_one(at) - 1),
            left: left.saturating_add(p.or_one(at + 1) - 1),
            bottom: last(p.get(at + 2), top, end),
            right: last(p.get(at + 3), left, edge),
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
        let origin = self.cursor.origin;
        let (first, end) = if origin { (self.top, self.bottom) } else { (0, self.rows) };
        let (edge, limit) = if origin { (self.left, self.right) } else { (0, self.columns) };
        let (top, left) = (first.saturating_add(p.or_one(5) - 1), edge.saturating_add(p.or_one(6) - 1));
        if top >= end || left >= limit {
            return;
        }
        let width = usize::from((from.right - from.left).min(limit - left));
        let height = (from.bottom - from.top).min(end - top);
        let mut copy = Vec::with_capacity(width * usize::from(height));
        for row in from.top..from.top + height {
            let start = copy.len();
            copy.extend_from_slice(&self.grid.cells(row)[usize::from(from.left)..][..width]);
            whole_characters(&mut copy[start..]);
        }
        for (row, cells) in (top..).zip(copy.chunks_exact(width)) {
            self.grid.write_cells(row, left, cells, &mut self.damage);
        }
    }

    /// DECCARA sets attributes in an area, DECRARA (`reverse`) inverts them: bold, underline, blink and inverse.
    pub(super) fn change_attributes(&mut self, p: &Parameters, reverse: bool) {
        let Some(area) = self.area(p, 0) else { return };
        let (mut set, mut reset) = (0u16, 0u16);
        for value in p.values().get(4..).filter(|values| !values.is_empty()).unwrap_or(&[0]) {
            let (on, off) = match value {
                0 if reverse => (CHANGEABLE, 0),
                0 => (0, CHANGEABLE),
                1 => (Attributes::BOLD, 0),
                4 => (Attributes::UNDERLINE, 0),
                5 => (Attributes::BLINK, 0),
                7 => (Attributes::INVERSE, 0),
                22 => (0, Attributes::BOLD),
                24 => (0, Attributes::UNDERLINE),
                25 => (0, Attributes::BLINK),
                27 => (0, Attributes::INVERSE),
                _ => continue,
            };
            if reverse {
                set ^= on;
            } else {
                (set, reset) = ((set | on) & !off, (reset | off) & !on);
            }
        }
        let change = |cell: Cell| {
            let old = cell.look().attributes().0;
            let new = if reverse { old ^ set } else { old & !reset | set };
            cell.with_attributes(Attributes(new))
        };
        // A stream goes from the first position to the last through the lines between (DECSACE).
        for row in area.top..area.bottom {
            let left = if self.stream_extent && row > area.top { 0 } else { area.left };
            let right = if self.stream_extent && row + 1 < area.bottom { self.columns } else { area.right };
            self.grid.change(row, left, right, change, &mut self.damage);
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
