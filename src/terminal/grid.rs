//! The cells of one screen.
//!
//! Cells lie in one block of memory; lines are slots in it, in a ring, so that scrolling moves line records and never
//! cells, and scrolling the whole screen moves nothing at all.

use super::cell::{Attributes, Cell, Look, Width};
use super::damage::{Damage, Stamp};

/// One line of the screen.
#[derive(Debug, Clone, Copy)]
struct Line {
    /// Where its cells begin.
    start: u32,
    /// Cells from here on are `Cell::BLANK`.
    used: u16,
    /// The text goes on in the next line.
    wrapped: bool,
    stamp: Stamp,
}

/// A rectangle of cells that is on the screen and not empty; right and bottom are outside.
#[derive(Debug, Clone, Copy)]
pub(super) struct Area {
    pub(super) top: u16,
    pub(super) left: u16,
    pub(super) bottom: u16,
    pub(super) right: u16,
}

/// The cells of one screen.
#[derive(Debug)]
pub(super) struct Grid {
    columns: u16,
    cells: Vec<Cell>,
    lines: Vec<Line>,
    /// The index of the first row's line.
    first: usize,
}

impl Grid {
    pub(super) fn new(columns: u16, rows: u16) -> Self {
        let lines = (0..rows)
            .map(|row| Line {
                start: u32::from(row) * u32::from(columns),
                used: 0,
                wrapped: false,
                stamp: Stamp::NEVER,
            })
            .collect();
        Self { columns, cells: vec![Cell::BLANK; usize::from(columns) * usize::from(rows)], lines, first: 0 }
    }

    /// The bytes that it holds on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.cells.capacity() * size_of::<Cell>() + self.lines.capacity() * size_of::<Line>()
    }

    #[inline]
    fn at(&self, row: u16) -> usize {
        let at = self.first + usize::from(row);
        if at >= self.lines.len() { at - self.lines.len() } else { at }
    }

    /// The line and its cells. The row must exist.
    #[inline]
    fn line_mut(&mut self, row: u16) -> (&mut Line, &mut [Cell]) {
        let at = self.at(row);
        let columns = usize::from(self.columns);
        let line = &mut self.lines[at];
        let start = line.start as usize;
        (line, &mut self.cells[start..start + columns])
    }

    /// The cells of a row, all of its columns. The row must exist.
    #[inline]
    pub(super) fn cells(&self, row: u16) -> &[Cell] {
        let columns = usize::from(self.columns);
        let start = self.lines[self.at(row)].start as usize;
        &self.cells[start..start + columns]
    }

    /// The cells of a row up to the last that may not be blank, and whether the text goes on in the next line.
    #[inline]
    pub(super) fn used(&self, row: u16) -> (&[Cell], bool) {
        let line = &self.lines[self.at(row)];
        let start = line.start as usize;
        (&self.cells[start..start + usize::from(line.used)], line.wrapped)
    }

    /// When and where a row changed.
    pub(super) fn stamp(&self, row: u16) -> &Stamp {
        &self.lines[self.at(row)].stamp
    }

    /// Every cell, in no particular order.
    pub(super) fn all_cells(&self) -> &[Cell] {
        &self.cells
    }

    /// Notes that the text of a row goes on in the next one.
    pub(super) fn set_wrapped(&mut self, row: u16) {
        self.line_mut(row).0.wrapped = true;
    }

    /// Makes sure that a character boundary is at `column`: blanks both halves of a wide character across it.
    #[inline]
    fn split(line: &mut Line, cells: &mut [Cell], column: usize, damage: &mut Damage) {
        if column == 0 || column >= usize::from(line.used) || cells[column].width() != Width::Tail {
            return;
        }
        for cell in &mut cells[column - 1..=column] {
            *cell = Cell::blank(cell.look());
        }
        let column = u16::try_from(column).unwrap_or(u16::MAX);
        line.stamp.touch(column - 1, column + 1, damage);
    }

    /// Writes ASCII from `column` on; the run must fit.
    #[inline]
    pub(super) fn write_ascii(&mut self, row: u16, column: u16, run: &[u8], look: Look, damage: &mut Damage) {
        let (line, cells) = self.line_mut(row);
        let start = usize::from(column);
        let end = start + run.len();
        if start < usize::from(line.used) {
            Self::split(line, cells, start, damage);
            Self::split(line, cells, end, damage);
        }
        for (cell, byte) in cells[start..end].iter_mut().zip(run) {
            *cell = Cell::ascii(*byte, look);
        }
        let end = u16::try_from(end).unwrap_or(u16::MAX);
        line.used = line.used.max(end);
        line.stamp.touch(column, end, damage);
    }

    /// Writes one cell, and the tail to its right when it is wide; both must fit.
    pub(super) fn write(&mut self, row: u16, column: u16, cell: Cell, damage: &mut Damage) {
        let (line, cells) = self.line_mut(row);
        let start = usize::from(column);
        let end = start + if cell.width() == Width::Wide { 2 } else { 1 };
        if start < usize::from(line.used) {
            Self::split(line, cells, start, damage);
            Self::split(line, cells, end, damage);
        }
        cells[start] = cell;
        if end > start + 1 {
            cells[start + 1] = Cell::tail(cell.look());
        }
        let end = u16::try_from(end).unwrap_or(u16::MAX);
        line.used = line.used.max(end);
        line.stamp.touch(column, end, damage);
    }

    /// Writes cells from `column` on, which must fit and hold whole characters.
    pub(super) fn write_cells(&mut self, row: u16, column: u16, new: &[Cell], damage: &mut Damage) {
        let (line, cells) = self.line_mut(row);
        let start = usize::from(column);
        let end = start + new.len();
        Self::split(line, cells, start, damage);
        Self::split(line, cells, end, damage);
        cells[start..end].copy_from_slice(new);
        let end = u16::try_from(end).unwrap_or(u16::MAX);
        line.used = line.used.max(end);
        line.stamp.touch(column, end, damage);
    }

    /// Replaces the cell at `column`, which keeps its width.
    pub(super) fn replace(&mut self, row: u16, column: u16, cell: Cell, damage: &mut Damage) {
        let (line, cells) = self.line_mut(row);
        cells[usize::from(column)] = cell;
        line.used = line.used.max(column + 1);
        let right = if cell.width() == Width::Wide { column + 2 } else { column + 1 };
        line.stamp.touch(column, right, damage);
    }

    /// Changes cells `left..right` of a row, and what of wide characters reaches out of that; `how` keeps the widths.
    pub(super) fn change(
        &mut self,
        row: u16,
        left: u16,
        right: u16,
        how: impl Fn(Cell) -> Cell,
        damage: &mut Damage,
    ) {
        let (line, cells) = self.line_mut(row);
        let (mut start, mut end) = (usize::from(left), usize::from(right));
        start -= usize::from(start > 0 && cells.get(start).is_some_and(|cell| cell.width() == Width::Tail));
        end += usize::from(cells.get(end).is_some_and(|cell| cell.width() == Width::Tail));
        for cell in &mut cells[start..end] {
            *cell = how(*cell);
        }
        let [left, right] = [start, end].map(|column| u16::try_from(column).unwrap_or(u16::MAX));
        line.used = line.used.max(right);
        line.stamp.touch(left, right, damage);
    }

    /// Fills columns `left..right` with `blank`.
    pub(super) fn erase(&mut self, row: u16, left: u16, right: u16, blank: Cell, damage: &mut Damage) {
        let columns = self.columns;
        let (line, cells) = self.line_mut(row);
        Self::split(line, cells, usize::from(left), damage);
        Self::split(line, cells, usize::from(right), damage);
        if right == columns {
            line.wrapped = false;
        }
        Self::fill(line, cells, left, right, blank);
        line.stamp.touch(left, right, damage);
    }

    fn fill(line: &mut Line, cells: &mut [Cell], left: u16, right: u16, blank: Cell) {
        if blank == Cell::BLANK {
            let end = right.min(line.used);
            if left < end {
                cells[usize::from(left)..usize::from(end)].fill(blank);
            }
            if right >= line.used {
                line.used = line.used.min(left);
            }
        } else {
            cells[usize::from(left)..usize::from(right)].fill(blank);
            line.used = line.used.max(right);
        }
    }

    /// Fills the cells of columns `left..right` that are not protected (DECSED, DECSEL).
    pub(super) fn erase_unprotected(
        &mut self,
        row: u16,
        left: u16,
        right: u16,
        blank: Cell,
        damage: &mut Damage,
    ) {
        let mut column = left;
        while column < right {
            let cells = &self.cells(row)[usize::from(column)..usize::from(right)];
            let is_protected = |cell: &Cell| cell.look().attributes().has(Attributes::PROTECTED);
            let open = cells.iter().position(is_protected).unwrap_or(cells.len());
            let shut = cells[open..].iter().take_while(|cell| is_protected(cell)).count();
            // Both are at most the width of the screen.
            let end = column + u16::try_from(open).unwrap_or(0);
            if column < end {
                self.erase(row, column, end, blank, damage);
            }
            column = end + u16::try_from(shut).unwrap_or(0);
        }
    }

    /// Moves the cells of `column..limit` to the right by `count`; those moved past the limit are lost.
    pub(super) fn insert_cells(
        &mut self,
        row: u16,
        column: u16,
        limit: u16,
        count: u16,
        blank: Cell,
        damage: &mut Damage,
    ) {
        let columns = self.columns;
        let count = count.min(limit.saturating_sub(column));
        if count == 0 {
            return;
        }
        let (line, cells) = self.line_mut(row);
        Self::split(line, cells, usize::from(column), damage);
        Self::split(line, cells, usize::from(limit), damage);
        let kept = usize::from(limit - count);
        Self::split(line, cells, kept, damage);
        cells.copy_within(usize::from(column)..kept, usize::from(column + count));
        if line.used > column {
            line.used =
                if limit == columns { (line.used + count).min(columns) } else { line.used.max(limit) };
        }
        if limit == columns {
            line.wrapped = false;
        }
        Self::fill(line, cells, column, column + count, blank);
        line.stamp.touch(column, limit, damage);
    }

    /// Removes `count` cells at `column`, left of `limit`, up to which blanks come in.
    pub(super) fn delete_cells(
        &mut self,
        row: u16,
        column: u16,
        limit: u16,
        count: u16,
        blank: Cell,
        damage: &mut Damage,
    ) {
        let columns = self.columns;
        let count = count.min(limit.saturating_sub(column));
        if count == 0 {
            return;
        }
        let (line, cells) = self.line_mut(row);
        Self::split(line, cells, usize::from(column), damage);
        Self::split(line, cells, usize::from(column + count), damage);
        Self::split(line, cells, usize::from(limit), damage);
        cells.copy_within(usize::from(column + count)..usize::from(limit), usize::from(column));
        if limit == columns {
            line.wrapped = false;
        }
        Self::fill(line, cells, limit - count, limit, blank);
        line.stamp.touch(column, limit, damage);
    }

    /// Moves the cells of an area up by `count`, or down by its negative; blanks come in. Lines are not moved.
    pub(super) fn shift_rows(&mut self, area: Area, count: i32, blank: Cell, damage: &mut Damage) {
        let height = area.bottom - area.top;
        let by = u16::try_from(count.unsigned_abs()).unwrap_or(u16::MAX).min(height);
        let (left, right) = (usize::from(area.left), usize::from(area.right));
        let mut copy = Vec::with_capacity(right - left);
        for step in 0..height - by {
            let (from, to) = if count > 0 {
                (area.top + step + by, area.top + step)
            } else {
                (area.bottom - 1 - step - by, area.bottom - 1 - step)
            };
            copy.clear();
            copy.extend_from_slice(&self.cells(from)[left..right]);
            whole_characters(&mut copy);
            self.write_cells(to, area.left, &copy, damage);
        }
        let blanks = if count > 0 { area.bottom - by..area.bottom } else { area.top..area.top + by };
        for row in blanks {
            self.erase(row, area.left, area.right, blank, damage);
        }
    }

    /// Moves rows `top..bottom` up by `count`; blank rows come in from below. The caller tells the damage of the
    /// move.
    #[inline]
    pub(super) fn scroll_up(&mut self, top: u16, bottom: u16, count: u16, blank: Cell, damage: &mut Damage) {
        let rows = self.lines.len();
        let count = count.min(bottom - top);
        if top == 0 && usize::from(bottom) == rows {
            self.first += usize::from(count);
            if self.first >= rows {
                self.first -= rows;
            }
        } else {
            self.straighten();
            self.lines[usize::from(top)..usize::from(bottom)].rotate_left(usize::from(count));
        }
        for row in bottom - count..bottom {
            self.clear_row(row, blank, damage);
        }
    }

    /// Moves rows `top..bottom` down by `count`; blank rows come in from above.
    pub(super) fn scroll_down(
        &mut self,
        top: u16,
        bottom: u16,
        count: u16,
        blank: Cell,
        damage: &mut Damage,
    ) {
        let count = count.min(bottom - top);
        self.straighten();
        self.lines[usize::from(top)..usize::from(bottom)].rotate_right(usize::from(count));
        for row in top..top + count {
            self.clear_row(row, blank, damage);
        }
    }

    #[inline]
    fn clear_row(&mut self, row: u16, blank: Cell, damage: &mut Damage) {
        let columns = self.columns;
        let (line, cells) = self.line_mut(row);
        line.wrapped = false;
        Self::fill(line, cells, 0, columns, blank);
        line.stamp.touch_all(columns, damage);
    }

    /// Moves all rows up by one; a row of default blanks comes in from below. What [`Grid::scroll_up`] does in the
    /// commonest case.
    #[inline]
    pub(super) fn roll(&mut self, damage: &mut Damage) {
        let columns = self.columns;
        let (line, cells) = self.line_mut(0);
        cells[..usize::from(line.used)].fill(Cell::BLANK);
        line.used = 0;
        line.wrapped = false;
        line.stamp.touch_all(columns, damage);
        self.first += 1;
        if self.first == self.lines.len() {
            self.first = 0;
        }
    }

    /// Every row becomes one of default blanks that came in by a scroll.
    pub(super) fn clear(&mut self, damage: &mut Damage) {
        for row in 0..u16::try_from(self.lines.len()).unwrap_or(u16::MAX) {
            self.clear_row(row, Cell::BLANK, damage);
        }
    }

    /// Lets the ring begin at its first line again.
    fn straighten(&mut self) {
        if self.first != 0 {
            self.lines.rotate_left(self.first);
            self.first = 0;
        }
    }

    /// The number of rows from the top on that hold anything.
    pub(super) fn rows_used(&self) -> u16 {
        let rows = u16::try_from(self.lines.len()).unwrap_or(u16::MAX);
        (0..rows).rev().find(|row| self.lines[self.at(*row)].used > 0).map_or(0, |row| row + 1)
    }

    /// Writes a row of whole characters, which must be blank before; what does not fit is cut off.
    pub(super) fn put(&mut self, row: u16, new: &[Cell], wrapped: bool) {
        if usize::from(row) >= self.lines.len() {
            return;
        }
        let (line, cells) = self.line_mut(row);
        let length = new.len().min(cells.len());
        cells[..length].copy_from_slice(&new[..length]);
        whole_characters(&mut cells[..length]);
        line.used = u16::try_from(length).unwrap_or(u16::MAX);
        line.wrapped = wrapped;
    }

    /// The same text on a screen of another size: row `skip` becomes the first; what does not fit is cut off.
    pub(super) fn resized(&self, columns: u16, rows: u16, skip: u16) -> Self {
        let mut grid = Self::new(columns, rows);
        let have = u16::try_from(self.lines.len()).unwrap_or(u16::MAX);
        let common = usize::from(columns.min(self.columns));
        for row in 0..rows.min(have.saturating_sub(skip)) {
            let source = self.cells(row + skip);
            let (used, wrapped) =
                (self.lines[self.at(row + skip)].used, self.lines[self.at(row + skip)].wrapped);
            let (line, cells) = grid.line_mut(row);
            cells[..common].copy_from_slice(&source[..common]);
            line.used = used.min(columns);
            line.wrapped = wrapped && columns >= self.columns;
            if let Some(last) = cells[..common].last_mut()
                && last.width() == Width::Wide
            {
                *last = Cell::blank(last.look());
            }
        }
        grid
    }
}

/// Blanks the halves of wide characters at the ends of cells that were cut out of a row.
pub(super) fn whole_characters(cells: &mut [Cell]) {
    let cut = |cell: Option<&mut Cell>, half| {
        if let Some(cell) = cell
            && cell.width() == half
        {
            *cell = Cell::blank(cell.look());
        }
    };
    cut(cells.first_mut(), Width::Tail);
    cut(cells.last_mut(), Width::Wide);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::cell::Glyph;
    use proptest::prelude::*;

    fn text(grid: &Grid, row: u16) -> String {
        let show = |cell: &Cell| match (cell.width(), cell.glyph()) {
            (Width::Tail, _) => '_',
            (_, Glyph::Char(c)) => c,
            (_, Glyph::Cluster(_)) => '?',
        };
        grid.cells(row).iter().map(show).collect()
    }

    fn wide() -> Cell {
        Cell::character('漢', true, Look::default())
    }

    #[test]
    fn writing_over_half_of_a_wide_character_blanks_the_other_half() {
        let mut damage = Damage::new();
        let mut grid = Grid::new(8, 1);
        for column in [0, 2, 4] {
            grid.write(0, column, wide(), &mut damage);
        }
        assert_eq!(text(&grid, 0), "漢_漢_漢_  ");
        grid.write_ascii(0, 1, b"ab", Look::default(), &mut damage);
        assert_eq!(text(&grid, 0), " ab 漢_  ");
        grid.write(0, 5, wide(), &mut damage);
        assert_eq!(text(&grid, 0), " ab  漢_ ");
        grid.erase(0, 6, 7, Cell::BLANK, &mut damage);
        assert_eq!(text(&grid, 0), " ab     ");
    }

    #[test]
    fn inserting_and_deleting_keep_characters_whole() {
        let mut damage = Damage::new();
        let mut grid = Grid::new(6, 1);
        grid.write_ascii(0, 0, b"ab", Look::default(), &mut damage);
        grid.write(0, 2, wide(), &mut damage);
        grid.write(0, 4, wide(), &mut damage);
        grid.insert_cells(0, 1, 6, 1, Cell::BLANK, &mut damage);
        assert_eq!(text(&grid, 0), "a b漢_ ");
        grid.delete_cells(0, 0, 6, 4, Cell::BLANK, &mut damage);
        assert_eq!(text(&grid, 0), "      ");
        grid.write_ascii(0, 0, b"abcdef", Look::default(), &mut damage);
        grid.delete_cells(0, 1, 6, 100, Cell::BLANK, &mut damage);
        assert_eq!(text(&grid, 0), "a     ");
    }

    #[test]
    fn scrolling_moves_rows_inside_the_block_only() {
        let mut damage = Damage::new();
        let mut grid = Grid::new(2, 5);
        for (row, c) in (0..).zip(b"abcde") {
            grid.write_ascii(row, 0, &[*c], Look::default(), &mut damage);
        }
        grid.scroll_up(0, 5, 1, Cell::BLANK, &mut damage);
        grid.scroll_up(1, 4, 2, Cell::BLANK, &mut damage);
        grid.scroll_down(0, 3, 1, Cell::BLANK, &mut damage);
        let column: Vec<_> = (0..5).map(|row| text(&grid, row)).collect();
        assert_eq!(column, ["  ", "b ", "e ", "  ", "  "]);
    }

    proptest! {
        /// The count of used cells is a promise: all cells behind it are blank. And no half characters ever.
        #[test]
        fn used_is_true_and_wide_characters_are_whole(steps in prop::collection::vec(
            (0u8..10, 0u16..3, 0u16..9, 0u16..9, 1u16..10, any::<bool>()), 0..60))
        {
            let mut damage = Damage::new();
            let mut grid = Grid::new(9, 3);
            let red = Look::from_inks(Default::default(), Default::default(), super::super::ink::Ink::indexed(1));
            for (kind, row, column, count, limit, coloured) in steps {
                let blank = if coloured { Cell::blank(red.unwrap()) } else { Cell::BLANK };
                match kind {
                    0 | 1 if column < 8 => grid.write(row, column, wide(), &mut damage),
                    2 => grid.write_ascii(row, column, &b"xxxxxxxxx"[usize::from(column)..], Look::default(), &mut damage),
                    3 => grid.erase(row, column.min(count), column.max(count) + 1, blank, &mut damage),
                    4 => grid.insert_cells(row, column, limit, count, blank, &mut damage),
                    5 => grid.delete_cells(row, column, limit, count, blank, &mut damage),
                    6 => grid.scroll_up(row.min(1), 3, count, blank, &mut damage),
                    8 if column < limit => {
                        let area = Area { top: row.min(1), left: column, bottom: 3, right: limit };
                        let count = if row == 2 { -i32::from(count) } else { i32::from(count) };
                        grid.shift_rows(area, count, blank, &mut damage);
                    }
                    7 => grid.scroll_down(0, row + 1, count, blank, &mut damage),
                    _ => grid.erase_unprotected(row, column.min(count), column.max(count), blank, &mut damage),
                }
                for row in 0..3 {
                    let used = grid.used(row).0.len();
                    let cells = grid.cells(row);
                    prop_assert!(cells[used..].iter().all(|c| *c == Cell::BLANK));
                    for (at, cell) in cells.iter().enumerate() {
                        let next = cells.get(at + 1).map(|c| c.width());
                        prop_assert_eq!(cell.width() == Width::Wide, next == Some(Width::Tail));
                    }
                }
            }
        }
    }
}
