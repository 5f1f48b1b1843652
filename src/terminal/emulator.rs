//! The state of a terminal, and how text changes it: printing, wrapping, scrolling, resets.

use super::Options;
use super::cell::{Attributes, Cell, Look, Width};
use super::charset::Charsets;
use super::damage::Damage;
use super::grid::Grid;
use super::history::History;
use super::hold::Hold;
use super::ink::Ink;
use super::intern::Interned;
use super::keyboard::FunctionKeys;
use super::modes::{Mode, Modes};
use super::palette::Palette;
use super::reports::Events;
use super::sgr::Pen;
use super::tables::{InkPair, Tables};
use super::tabs::Tabs;
use super::view::CursorShape;
use super::width::width;

/// What DECSC saves.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct CursorState {
    pub(super) column: u16,
    pub(super) row: u16,
    /// The last column was just written; the next character goes to the next line.
    pub(super) pending_wrap: bool,
    /// DECOM, saved with the cursor.
    pub(super) origin: bool,
    pub(super) pen: Pen,
    pub(super) charsets: Charsets,
}

/// The state of a terminal.
#[derive(Debug)]
pub(super) struct Emulator {
    pub(super) columns: u16,
    pub(super) rows: u16,
    /// The screen that is shown.
    pub(super) grid: Grid,
    /// The other one: always there while the alternate screen is shown.
    pub(super) hidden: Option<Box<Grid>>,
    pub(super) alternate: bool,
    pub(super) cursor: CursorState,
    /// Of the primary and the alternate screen.
    pub(super) saved: [CursorState; 2],
    /// The scroll region (DECSTBM): its first row, and the first one below it.
    pub(super) top: u16,
    pub(super) bottom: u16,
    pub(super) modes: Modes,
    /// Modes as `CSI ? s` saved them.
    pub(super) saved_modes: Modes,
    pub(super) tabs: Tabs,
    pub(super) shape: CursorShape,
    pub(super) palette: Palette,
    pub(super) tables: Tables,
    pub(super) history: History,
    pub(super) damage: Damage,
    pub(super) events: Events,
    /// A frame that is not shown yet.
    pub(super) hold: Option<Hold>,
    /// The title and those that were pushed; nothing until there is one.
    pub(super) titles: Vec<String>,
    /// modifyOtherKeys, 0 to 2.
    pub(super) other_keys: u8,
    /// The last character printed, for REP.
    pub(super) last: Option<char>,
    /// What the guest showed to believe of our function keys.
    pub(super) learned_keys: FunctionKeys,
}

impl Emulator {
    pub(super) fn new(options: Options) -> Self {
        let (columns, rows) = (options.columns, options.rows);
        Self {
            columns,
            rows,
            grid: Grid::new(columns, rows),
            hidden: None,
            alternate: false,
            cursor: CursorState::default(),
            saved: [CursorState::default(); 2],
            top: 0,
            bottom: rows,
            modes: Modes::default(),
            saved_modes: Modes::default(),
            tabs: Tabs::new(columns),
            shape: CursorShape::default(),
            palette: Palette::default(),
            tables: Tables::new(usize::from(columns) * usize::from(rows)),
            history: History::new(options.history_lines),
            damage: Damage::new(),
            events: Events::default(),
            hold: None,
            titles: Vec::new(),
            other_keys: 0,
            last: None,
            learned_keys: FunctionKeys::Auto,
        }
    }

    /// The bytes that it holds on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.grid.heap_bytes()
            + self.hidden.as_ref().map_or(0, |grid| size_of::<Grid>() + grid.heap_bytes())
            + self.tabs.heap_bytes()
            + self.palette.heap_bytes()
            + self.tables.heap_bytes()
            + self.history.heap_bytes()
            + self.damage.heap_bytes()
            + self.events.heap_bytes()
            + self.titles.capacity() * size_of::<String>()
            + self.titles.iter().map(String::capacity).sum::<usize>()
    }

    /// The look of what is printed next.
    #[inline]
    pub(super) fn look(&mut self) -> Look {
        match self.cursor.pen.look {
            Some(look) => look,
            None => {
                let pen = self.cursor.pen;
                let look = self.find_look(pen.attributes, pen.inks);
                self.cursor.pen.look = Some(look);
                look
            }
        }
    }

    fn find_look(&mut self, attributes: Attributes, inks: InkPair) -> Look {
        let mut found = self.tables.look(attributes, inks);
        if found == Err(Interned::Full) {
            self.collect_pairs();
            found = self.tables.look(attributes, inks);
        }
        // More colours than we hold: the nearest of the palette.
        found.unwrap_or_else(|_| {
            Look::from_inks(attributes, inks.foreground.to_palette(), inks.background.to_palette())
                .unwrap_or_default()
        })
    }

    /// Frees the pairs of colours that no cell uses.
    #[cold]
    fn collect_pairs(&mut self) {
        let mut marks = self.tables.pairs.marks();
        Tables::mark_pairs(&mut marks, self.grid.all_cells());
        if let Some(hidden) = &self.hidden {
            Tables::mark_pairs(&mut marks, hidden.all_cells());
        }
        self.tables.pairs.collect(&marks);
        self.cursor.pen.look = None;
        for saved in &mut self.saved {
            saved.pen.look = None;
        }
    }

    /// Frees the clusters that neither a cell nor a line of history uses.
    #[cold]
    fn collect_clusters(&mut self) {
        let mut marks = self.tables.clusters.marks();
        Tables::mark_clusters(&mut marks, self.grid.all_cells());
        if let Some(hidden) = &self.hidden {
            Tables::mark_clusters(&mut marks, hidden.all_cells());
        }
        self.history.mark_clusters(&mut marks);
        self.tables.clusters.collect(&marks);
    }

    /// What an erased cell is: a blank on the background of the pen ("background colour erase", as both xterm and
    /// the Linux console do).
    #[inline]
    pub(super) fn blank(&mut self) -> Cell {
        let background = self.cursor.pen.inks.background;
        if background == Ink::DEFAULT {
            return Cell::BLANK;
        }
        Cell::blank(self.find_look(Attributes::default(), InkPair { foreground: Ink::DEFAULT, background }))
    }

    /// Prints ASCII.
    #[inline]
    pub(super) fn print_run(&mut self, run: &[u8]) {
        self.last = run.last().map(|byte| char::from(*byte));
        if self.modes.has(Mode::INSERT) || !self.cursor.charsets.is_plain() {
            for byte in run {
                self.print_char(char::from(*byte));
            }
            return;
        }
        let look = self.look();
        let mut run = run;
        while !run.is_empty() {
            if self.cursor.pending_wrap {
                self.wrap();
            }
            let room = usize::from(self.columns - self.cursor.column);
            if run.len() < room {
                self.grid.write_ascii(self.cursor.row, self.cursor.column, run, look, &mut self.damage);
                // Less than the columns that are left.
                self.cursor.column += u16::try_from(run.len()).unwrap_or(0);
                return;
            }
            let (now, later) = run.split_at(room);
            self.grid.write_ascii(self.cursor.row, self.cursor.column, now, look, &mut self.damage);
            self.cursor.column = self.columns - 1;
            if self.modes.has(Mode::AUTOWRAP) {
                self.cursor.pending_wrap = true;
                run = later;
            } else {
                // All further characters overwrite the last one.
                run = &later[later.len().saturating_sub(1)..];
            }
        }
    }

    /// Prints a character, as the character set in use has it.
    pub(super) fn print_char(&mut self, c: char) {
        let c = if self.cursor.charsets.is_plain() { c } else { self.cursor.charsets.map(c) };
        let columns = match width(c) {
            None => return,
            Some(0) => {
                self.combine(c);
                return;
            }
            Some(columns) => u16::from(columns),
        };
        if self.cursor.pending_wrap {
            self.wrap();
        }
        if self.cursor.column + columns > self.columns {
            if self.modes.has(Mode::AUTOWRAP) {
                // What stood there is not part of the text that flows past it.
                let blank = self.blank();
                let (row, column) = (self.cursor.row, self.cursor.column);
                self.grid.erase(row, column, self.columns, blank, &mut self.damage);
                self.wrap();
            } else {
                self.cursor.column = self.columns - columns;
            }
        }
        let (row, column) = (self.cursor.row, self.cursor.column);
        if self.modes.has(Mode::INSERT) {
            let blank = self.blank();
            self.grid.insert_cells(row, column, columns, blank, &mut self.damage);
        }
        let cell = Cell::character(c, columns == 2, self.look());
        self.grid.write(row, column, cell, &mut self.damage);
        if column + columns == self.columns {
            self.cursor.column = self.columns - 1;
            self.cursor.pending_wrap = self.modes.has(Mode::AUTOWRAP);
        } else {
            self.cursor.column += columns;
        }
    }

    /// Adds a mark to the character before the cursor; drops it where there is none.
    fn combine(&mut self, mark: char) {
        let row = self.cursor.row;
        let mut column = match (self.cursor.column, self.cursor.pending_wrap) {
            (column, true) => column,
            (0, false) => return,
            (column, false) => column - 1,
        };
        if self.grid.cells(row)[usize::from(column)].width() == Width::Tail {
            column = column.saturating_sub(1);
        }
        let cell = self.grid.cells(row)[usize::from(column)];
        let mut marked = self.tables.add_mark(cell, mark);
        if marked == Err(Interned::Full) {
            self.collect_clusters();
            marked = self.tables.add_mark(cell, mark);
        }
        if let Ok(marked) = marked
            && marked != cell
        {
            self.grid.replace(row, column, marked, &mut self.damage);
        }
    }

    /// Prints the last character `count` times more, at most a screenful (REP).
    pub(super) fn repeat(&mut self, count: u16) {
        let Some(c) = self.last else { return };
        let most = u32::from(self.columns) * u32::from(self.rows);
        let mut left = usize::try_from(u32::from(count).min(most)).unwrap_or(0);
        if let Ok(byte @ b' '..=b'~') = u8::try_from(c) {
            let run = [byte; 64];
            while left > 0 {
                let now = left.min(run.len());
                self.print_run(&run[..now]);
                left -= now;
            }
        }
        for _ in 0..left {
            self.print_char(c);
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
    fn wrap(&mut self) {
        self.grid.set_wrapped(self.cursor.row);
        self.cursor.column = 0;
        self.index();
    }

    /// Moves the cursor down, scrolling at the bottom of the region (IND).
    #[inline]
    pub(super) fn index(&mut self) {
        self.no_wrap();
        if self.cursor.row + 1 == self.bottom {
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
            self.scroll_down(self.top, 1);
        } else {
            self.cursor.row = self.cursor.row.saturating_sub(1);
        }
    }

    /// Scrolls the region up. What leaves the top of the primary screen goes into history.
    pub(super) fn scroll_up(&mut self, count: u16) {
        let count = count.min(self.bottom - self.top);
        let pushes = self.top == 0 && !self.alternate;
        if pushes {
            for row in 0..count {
                self.push_row(row);
            }
        }
        self.shift_up(self.top, count, pushes && self.bottom == self.rows);
    }

    fn push_row(&mut self, row: u16) {
        let (cells, wrapped) = self.grid.used(row);
        self.history.push(cells, wrapped, &self.tables.pairs, self.damage.current());
    }

    /// Moves rows from `top` to the end of the region up; those that leave are gone.
    pub(super) fn shift_up(&mut self, top: u16, count: u16, pushed: bool) {
        let blank = self.blank();
        let bottom = self.bottom;
        self.damage.scrolled(top, bottom, i32::from(count), pushed);
        self.grid.scroll_up(top, bottom, count, blank, &mut self.damage);
    }

    /// Moves rows from `top` to the end of the region down.
    pub(super) fn scroll_down(&mut self, top: u16, count: u16) {
        let blank = self.blank();
        let bottom = self.bottom;
        let count = count.min(bottom - top);
        self.damage.scrolled(top, bottom, -i32::from(count), false);
        self.grid.scroll_down(top, bottom, count, blank, &mut self.damage);
    }

    /// Shows the other screen.
    pub(super) fn show_alternate(&mut self, on: bool) {
        if on == self.alternate {
            return;
        }
        let other = match self.hidden.take() {
            Some(grid) => *grid,
            None => Grid::new(self.columns, self.rows),
        };
        self.hidden = Some(Box::new(std::mem::replace(&mut self.grid, other)));
        self.alternate = on;
        self.damage.everything();
    }

    /// Everything as at the start (RIS). What is on the primary screen goes into history first: a boot loader or
    /// an init that resets the terminal does not mean to hide what came before.
    pub(super) fn reset(&mut self) {
        self.release();
        self.show_alternate(false);
        for row in 0..self.grid.rows_used() {
            self.push_row(row);
        }
        self.grid = Grid::new(self.columns, self.rows);
        self.hidden = None;
        self.cursor = CursorState::default();
        self.saved = [CursorState::default(); 2];
        (self.top, self.bottom) = (0, self.rows);
        self.modes = Modes::default();
        self.tabs = Tabs::new(self.columns);
        self.shape = CursorShape::default();
        self.palette = Palette::default();
        self.last = None;
        self.titles = Vec::new();
        self.other_keys = 0;
        self.learned_keys = FunctionKeys::Auto;
        self.tables.pairs.clear();
        self.tables.clusters.retry();
        self.damage.everything();
    }

    /// Modes, region, pen and sets as at the start, text as it is (DECSTR: VT220 Programmer Reference, §4.18).
    pub(super) fn soft_reset(&mut self) {
        for mode in
            [Mode::INSERT, Mode::ORIGIN, Mode::APPLICATION_CURSOR, Mode::APPLICATION_KEYPAD, Mode::BACKSPACE]
        {
            self.modes.set(mode, false);
        }
        self.modes.set(Mode::SYNCHRONIZED, false);
        self.release();
        self.modes.set(Mode::CURSOR, true);
        self.modes.set(Mode::AUTOWRAP, true);
        (self.top, self.bottom) = (0, self.rows);
        self.cursor.pen = Pen::default();
        self.cursor.charsets = Charsets::default();
        self.cursor.origin = false;
        self.saved = [CursorState::default(); 2];
    }

    /// Changes the size without reflow. Rows leave at the bottom while they are blank, then at the top, into
    /// history; the alternate screen is cut.
    pub(super) fn resize(&mut self, columns: u16, rows: u16) {
        if (columns, rows) == (self.columns, self.rows) {
            return;
        }
        self.release();
        let mut skip = 0;
        let (row, primary) = if self.alternate {
            (self.saved[0].row, self.hidden.as_deref_mut())
        } else {
            (self.cursor.row, Some(&mut self.grid))
        };
        if let Some(primary) = primary {
            let needed = primary.rows_used().max(row + 1);
            skip = needed.saturating_sub(rows);
            for row in 0..skip {
                let (cells, wrapped) = primary.used(row);
                self.history.push(cells, wrapped, &self.tables.pairs, self.damage.current());
            }
            *primary = primary.resized(columns, rows, skip);
        }
        let alternate_skip = if self.alternate { (self.cursor.row + 1).saturating_sub(rows) } else { 0 };
        if self.alternate {
            self.grid = self.grid.resized(columns, rows, alternate_skip);
            self.cursor.row -= alternate_skip;
        } else {
            // A hidden alternate screen is left over from mode 47; nobody misses it after a resize.
            self.hidden = None;
            self.cursor.row -= skip.min(self.cursor.row);
        }
        for saved in &mut self.saved {
            saved.row = saved.row.saturating_sub(skip).min(rows - 1);
            saved.column = saved.column.min(columns - 1);
            saved.pending_wrap = false;
        }
        self.cursor.row = self.cursor.row.min(rows - 1);
        self.cursor.column = self.cursor.column.min(columns - 1);
        self.cursor.pending_wrap = false;
        self.columns = columns;
        self.rows = rows;
        (self.top, self.bottom) = (0, rows);
        self.tabs.resize(columns);
        self.tables.resize(usize::from(columns) * usize::from(rows));
        self.damage.everything();
    }
}
