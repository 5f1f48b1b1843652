//! Moving the cursor, erasing, inserting and deleting.

use super::emulator::{CursorState, Emulator};
use super::modes::Mode;

impl Emulator {
    /// Moves the cursor to a column, kept on the screen.
    #[inline]
    pub(super) fn go_to_column(&mut self, column: u16) {
        self.cursor.column = column.min(self.columns - 1);
        self.no_wrap();
    }

    /// Moves the cursor to a column that the guest counts: from the left margin and kept between the margins in origin
    /// mode.
    pub(super) fn address_column(&mut self, column: u16) {
        let column =
            if self.cursor.origin { self.left.saturating_add(column).min(self.right - 1) } else { column };
        self.go_to_column(column);
    }

    /// Moves the cursor to a row: counted from the region's top and kept inside the region in origin mode.
    pub(super) fn go_to_row(&mut self, row: u16) {
        self.cursor.row = if self.cursor.origin {
            self.top.saturating_add(row).min(self.bottom - 1)
        } else {
            row.min(self.rows - 1)
        };
        self.no_wrap();
    }

    /// Moves the cursor up; it stops at the region's top if it came from below that.
    pub(super) fn go_up(&mut self, count: u16) {
        let stop = if self.cursor.row >= self.top { self.top } else { 0 };
        self.cursor.row = self.cursor.row.saturating_sub(count).max(stop);
        self.no_wrap();
    }

    /// Moves the cursor down; it stops at the region's end if it came from above that.
    pub(super) fn go_down(&mut self, count: u16) {
        let stop = if self.cursor.row < self.bottom { self.bottom - 1 } else { self.rows - 1 };
        self.cursor.row = self.cursor.row.saturating_add(count).min(stop);
        self.no_wrap();
    }

    /// Moves the cursor left; it stops at the left margin if it came from the right of that.
    pub(super) fn go_left(&mut self, count: u16) {
        let stop = if self.cursor.column >= self.left { self.left } else { 0 };
        self.go_to_column(self.cursor.column.saturating_sub(count).max(stop));
    }

    /// Moves the cursor right; it stops at the right margin if it came from the left of that.
    pub(super) fn go_right(&mut self, count: u16) {
        self.go_to_column(self.cursor.column.saturating_add(count).min(self.limit() - 1));
    }

    /// CR: to the left margin, or to the first column for one who is left of the margin.
    #[inline]
    pub(super) fn carriage_return(&mut self) {
        let between = self.cursor.column >= self.left || self.cursor.origin;
        self.cursor.column = if between { self.left } else { 0 };
        self.no_wrap();
    }

    /// BS. In reverse wrap mode the left margin leads to the end of the line before.
    pub(super) fn backspace(&mut self) {
        let wraps = self.modes.has(Mode::REVERSE_WRAP) && self.modes.has(Mode::AUTOWRAP);
        if wraps && self.cursor.column == self.left && self.cursor.row > self.top {
            self.cursor.row -= 1;
            self.cursor.column = self.right - 1;
        } else {
            self.go_left(1);
        }
    }

    /// HT and CHT, no further than the right margin. A wrap that is pending stays so, as on DEC terminals and xterm.
    pub(super) fn tab(&mut self, count: u16) {
        let last = self.limit() - 1;
        for _ in 0..count.min(self.columns) {
            self.cursor.column = self.tabs.after(self.cursor.column).min(last);
        }
    }

    /// CBT.
    pub(super) fn back_tab(&mut self, count: u16) {
        self.no_wrap();
        for _ in 0..count.min(self.columns) {
            self.cursor.column = self.tabs.before(self.cursor.column);
        }
    }

    /// DECBI: a column to the left; at the left margin, what is between the margins moves to the right.
    pub(super) fn back_index(&mut self) {
        if self.cursor.column == self.left {
            if (self.top..self.bottom).contains(&self.cursor.row) {
                self.shift_columns(self.left, -1);
            }
        } else {
            self.go_left(1);
        }
    }

    /// DECFI: a column to the right; at the right margin, what is between the margins moves to the left.
    pub(super) fn forward_index(&mut self) {
        if self.cursor.column + 1 == self.right {
            if (self.top..self.bottom).contains(&self.cursor.row) {
                self.shift_columns(self.left, 1);
            }
        } else {
            self.go_right(1);
        }
    }

    /// Erases columns `left..right` of a row.
    pub(super) fn erase(&mut self, row: u16, left: u16, right: u16, selective: bool) {
        let blank = self.blank();
        if selective {
            self.grid.erase_unprotected(row, left, right, blank, &mut self.damage);
        } else {
            self.grid.erase(row, left, right, blank, &mut self.damage);
        }
    }

    /// EL and DECSEL.
    pub(super) fn erase_in_line(&mut self, what: u16, selective: bool) {
        let (row, column) = (self.cursor.row, self.cursor.column);
        match what {
            0 => self.erase(row, column, self.columns, selective),
            1 => self.erase(row, 0, column + 1, selective),
            2 => self.erase(row, 0, self.columns, selective),
            _ => return,
        }
        self.no_wrap();
    }

    /// ED and DECSED; 3 erases history (xterm, Linux).
    pub(super) fn erase_in_display(&mut self, what: u16, selective: bool) {
        let rows = match what {
            0 => {
                self.erase_in_line(0, selective);
                self.cursor.row + 1..self.rows
            }
            1 => {
                self.erase_in_line(1, selective);
                0..self.cursor.row
            }
            2 => 0..self.rows,
            3 if !selective => {
                self.history.clear();
                self.tables.clusters.retry();
                self.damage.everything();
                return;
            }
            _ => return,
        };
        for row in rows {
            self.erase(row, 0, self.columns, selective);
        }
        self.no_wrap();
    }

    /// ECH.
    pub(super) fn erase_characters(&mut self, count: u16) {
        let (row, column) = (self.cursor.row, self.cursor.column);
        self.erase(row, column, column.saturating_add(count).min(self.columns), false);
        self.no_wrap();
    }

    /// ICH: nothing outside the margins.
    pub(super) fn insert_characters(&mut self, count: u16) {
        if self.is_between_margins() {
            let (blank, right) = (self.blank(), self.right);
            let (row, column) = (self.cursor.row, self.cursor.column);
            self.grid.insert_cells(row, column, right, count, blank, &mut self.damage);
        }
        self.no_wrap();
    }

    /// DCH: nothing outside the margins.
    pub(super) fn delete_characters(&mut self, count: u16) {
        if self.is_between_margins() {
            let (blank, right) = (self.blank(), self.right);
            let (row, column) = (self.cursor.row, self.cursor.column);
            self.grid.delete_cells(row, column, right, count, blank, &mut self.damage);
        }
        self.no_wrap();
    }

    /// True while the cursor is inside all four margins.
    pub(super) fn is_inside_margins(&self) -> bool {
        (self.top..self.bottom).contains(&self.cursor.row) && self.is_between_margins()
    }

    /// IL: nothing outside the margins.
    pub(super) fn insert_lines(&mut self, count: u16) {
        if self.is_inside_margins() {
            self.scroll_down(self.cursor.row, count);
            self.go_to_column(self.left);
        }
    }

    /// DL: nothing outside the margins. Deleted lines do not go into history.
    pub(super) fn delete_lines(&mut self, count: u16) {
        if self.is_inside_margins() {
            let row = self.cursor.row;
            self.shift_up(row, count.min(self.bottom - row), false);
            self.go_to_column(self.left);
        }
    }

    /// DECIC and DECDC: columns come in at the cursor, or go.
    pub(super) fn insert_columns(&mut self, count: u16, delete: bool) {
        if self.is_inside_margins() {
            let count = i32::from(count);
            self.shift_columns(self.cursor.column, if delete { count } else { -count });
        }
    }

    /// The cursor in the upper left corner of the screen, or of the region in origin mode.
    pub(super) fn home(&mut self) {
        self.address_column(0);
        self.go_to_row(0);
    }

    /// DECSC.
    pub(super) fn save_cursor(&mut self) {
        self.saved[usize::from(self.alternate)] = self.cursor;
    }

    /// DECRC.
    pub(super) fn restore_cursor(&mut self) {
        let saved = self.saved[usize::from(self.alternate)];
        let look = None;
        self.cursor = CursorState { pen: super::sgr::Pen { look, ..saved.pen }, ..saved };
        self.modes.set(Mode::ORIGIN, saved.origin);
        self.cursor.row = self.cursor.row.min(self.rows - 1);
        self.cursor.column = self.cursor.column.min(self.columns - 1);
    }

    /// DECALN: the screen full of E, to adjust a tube by.
    pub(super) fn alignment_test(&mut self) {
        self.reset_margins();
        self.cursor.origin = false;
        self.modes.set(Mode::ORIGIN, false);
        self.home();
        let row_of_e = vec![b'E'; usize::from(self.columns)];
        for row in 0..self.rows {
            self.grid.write_ascii(row, 0, &row_of_e, super::cell::Look::default(), &mut self.damage);
        }
    }
}
