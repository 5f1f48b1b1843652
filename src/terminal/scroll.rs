//! Wrapping and scrolling, inside the margins.

use super::emulator::Emulator;
use super::grid::Area;
use super::ink::Ink;
use super::modes::Mode;
use super::packing::Colours;

impl Emulator {
    /// The column at which text that is printed at the cursor ends: the right margin, or the edge of the screen for one
    /// who is to the right of the margin.
    #[inline]
    pub(super) const fn limit(&self) -> u16 {
        if self.cursor.column < self.right { self.right } else { self.columns }
    }

    /// True while the left and right margins are those of the screen.
    #[inline]
    pub(super) const fn is_full_width(&self) -> bool {
        self.left == 0 && self.right == self.columns
    }

    /// True while the cursor is between the left and the right margin.
    #[inline]
    pub(super) const fn is_between_margins(&self) -> bool {
        self.left <= self.cursor.column && self.cursor.column < self.right
    }

    /// All four margins are those of the screen.
    pub(super) const fn reset_margins(&mut self) {
        (self.top, self.bottom) = (0, self.rows);
        (self.left, self.right) = (0, self.columns);
    }

    /// DECSTBM, rows from 1; nothing unless it leaves two rows at least.
    pub(super) fn set_region(&mut self, top: u16, bottom: u16) {
        let top = top.max(1) - 1;
        let bottom = if bottom == 0 { self.rows } else { bottom.min(self.rows) };
        if bottom > top.saturating_add(1) || (self.rows == 1 && top == 0) {
            (self.top, self.bottom) = (top, bottom);
            self.home();
        }
    }

    /// DECSLRM, columns from 1; nothing unless DECLRMM is set and it leaves two columns at least.
    pub(super) fn set_side_margins(&mut self, left: u16, right: u16) {
        let left = left.max(1) - 1;
        let right = if right == 0 { self.columns } else { right.min(self.columns) };
        if self.modes.has(Mode::MARGINS) && right > left.saturating_add(1) {
            (self.left, self.right) = (left, right);
            self.home();
        }
    }

    /// The next character does not wrap after all.
    #[inline]
    pub(super) const fn no_wrap(&mut self) {
        // Not stored where nothing changes: the row beside it is read next, and a processor that has to wait for the
        // narrow store before a wider load makes every line feed twice as dear.
        if self.cursor.pending_wrap {
            self.cursor.pending_wrap = false;
        }
    }

    /// Goes to the start of the next line because the text does.
    pub(super) fn wrap(&mut self) {
        if self.is_full_width() {
            self.grid.set_wrapped(self.cursor.row);
        }
        self.index();
        self.cursor.column = self.left;
    }

    /// Moves the cursor down, scrolling at the bottom of the region (IND).
    #[inline]
    pub(super) fn index(&mut self) {
        self.no_wrap();
        if self.cursor.row + 1 == self.bottom {
            if !self.is_full_width() {
                if self.is_between_margins() {
                    self.shift_block(self.top, self.left, 1);
                }
                return;
            }
            let whole = self.top == 0 && self.bottom == self.rows;
            if whole && self.hold.is_some() {
                self.release();
            }
            if whole && !self.alternate && self.cursor.pen.inks.background == Ink::DEFAULT {
                self.push_row(0);
                self.damage.scrolled(0, self.rows, 1, true);
                self.grid.roll(&mut self.damage);
            } else {
                self.scroll_up(1);
            }
        } else if self.cursor.row + 1 < self.rows {
            self.cursor.row += 1;
        }
    }

    /// Moves the cursor up, scrolling at the top of the region (RI).
    pub(super) fn reverse_index(&mut self) {
        self.no_wrap();
        if self.cursor.row == self.top {
            if self.is_between_margins() {
                self.scroll_down(self.top, 1);
            }
        } else {
            self.cursor.row = self.cursor.row.saturating_sub(1);
        }
    }

    /// Scrolls what is inside the margins up. What leaves the top of the primary screen goes into history.
    pub(super) fn scroll_up(&mut self, count: u16) {
        if !self.is_full_width() {
            self.shift_block(self.top, self.left, i32::from(count));
            return;
        }
        let count = count.min(self.bottom - self.top);
        let pushes = self.top == 0 && !self.alternate;
        if pushes {
            for row in 0..count {
                self.push_row(row);
            }
        }
        self.shift_up(self.top, count, pushes && self.bottom == self.rows);
    }

    /// The row goes into history.
    pub(super) fn push_row(&mut self, row: u16) {
        let (cells, wrapped) = self.grid.used(row);
        let colours = Colours { pairs: &self.tables.pairs, history: None };
        self.history.push(cells, wrapped, colours, self.damage.current());
    }

    /// Moves rows from `top` to the end of the region up, between the margins; those that leave are gone.
    pub(super) fn shift_up(&mut self, top: u16, count: u16, pushed: bool) {
        if !self.is_full_width() {
            self.shift_block(top, self.left, i32::from(count));
            return;
        }
        let blank = self.blank();
        let bottom = self.bottom;
        self.damage.scrolled(top, bottom, i32::from(count), pushed);
        self.grid.scroll_up(top, bottom, count, blank, &mut self.damage);
    }

    /// Moves rows from `top` to the end of the region down.
    pub(super) fn scroll_down(&mut self, top: u16, count: u16) {
        if !self.is_full_width() {
            self.shift_block(top, self.left, -i32::from(count));
            return;
        }
        let blank = self.blank();
        let bottom = self.bottom;
        let count = count.min(bottom - top);
        self.damage.scrolled(top, bottom, -i32::from(count), false);
        self.grid.scroll_down(top, bottom, count, blank, &mut self.damage);
    }

    /// Moves what is between the margins, from row `top` and column `left` on, up by `count`, or down by its negative.
    fn shift_block(&mut self, top: u16, left: u16, count: i32) {
        let blank = self.blank();
        let area = Area { top, left, bottom: self.bottom, right: self.right };
        self.grid.shift_rows(area, count, blank, &mut self.damage);
    }

    /// Moves what is between the margins, from column `left` on, left by `count`, or right by its negative (SL, SR,
    /// DECIC, DECDC, DECBI, DECFI).
    pub(super) fn shift_columns(&mut self, left: u16, count: i32) {
        let blank = self.blank();
        let (right, columns) = (self.right, u16::try_from(count.unsigned_abs()).unwrap_or(u16::MAX));
        for row in self.top..self.bottom {
            if count > 0 {
                self.grid.delete_cells(row, left, right, columns, blank, &mut self.damage);
            } else {
                self.grid.insert_cells(row, left, right, columns, blank, &mut self.damage);
            }
        }
        self.no_wrap();
    }
}
