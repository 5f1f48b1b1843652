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

    pub(super) fn go_left(&mut self, count: u16) {
        self.go_to_column(self.cursor.column.saturating_sub(count));
    }

    pub(super) fn go_right(&mut self, count: u16) {
        self.go_to_column(self.cursor.column.saturating_add(count));
    }

    /// BS. In reverse wrap mode the first column leads to the end of the line before.
    pub(super) fn backspace(&mut self) {
        let wraps = self.modes.has(Mode::REVERSE_WRAP) && self.modes.has(Mode::AUTOWRAP);
        if wraps && self.cursor.column == 0 && self.cursor.row > self.top {
            self.cursor.row -= 1;
            self.cursor.column = self.columns - 1;
        } else {
            self.go_left(1);
        }
    }

    /// HT and CHT. A wrap that is pending stays so, as on DEC terminals and xterm.
    pub(super) fn tab(&mut self, count: u16) {
        for _ in 0..count.min(self.columns) {
            self.cursor.column = self.tabs.after(self.cursor.column);
        }
    }

    /// CBT.
    pub(super) fn back_tab(&mut self, count: u16) {
        self.no_wrap();
        for _ in 0..count.min(self.columns) {
            self.cursor.column = self.tabs.before(self.cursor.column);
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

    /// ICH.
    pub(super) fn insert_characters(&mut self, count: u16) {
        let blank = self.blank();
        self.grid.insert_cells(self.cursor.row, self.cursor.column, count, blank, &mut self.damage);
        self.no_wrap();
    }

    /// DCH.
    pub(super) fn delete_characters(&mut self, count: u16) {
        let blank = self.blank();
        self.grid.delete_cells(self.cursor.row, self.cursor.column, count, blank, &mut self.damage);
        self.no_wrap();
    }

    fn in_region(&self) -> bool {
        (self.top..self.bottom).contains(&self.cursor.row)
    }

    /// IL: nothing outside the region.
    pub(super) fn insert_lines(&mut self, count: u16) {
        if self.in_region() {
            self.scroll_down(self.cursor.row, count);
            self.go_to_column(0);
        }
    }

    /// DL: nothing outside the region. Deleted lines do not go into history.
    pub(super) fn delete_lines(&mut self, count: u16) {
        if self.in_region() {
            let row = self.cursor.row;
            self.shift_up(row, count.min(self.bottom - row), false);
            self.go_to_column(0);
        }
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

    /// The cursor in the upper left corner of the screen, or of the region in origin mode.
    pub(super) fn home(&mut self) {
        self.go_to_column(0);
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
        (self.top, self.bottom) = (0, self.rows);
        self.cursor.origin = false;
        self.modes.set(Mode::ORIGIN, false);
        self.home();
        let row_of_e = vec![b'E'; usize::from(self.columns)];
        for row in 0..self.rows {
            self.grid.write_ascii(row, 0, &row_of_e, super::cell::Look::default(), &mut self.damage);
        }
    }
}
