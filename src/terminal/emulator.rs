//! The state of a terminal, and how text changes it: printing, clusters, resets.

use super::Options;
use super::cell::{Attributes, Cell, Look, Width};
use super::charset::Charsets;
use super::clusters;
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

/// Cells that are written at once.
const WAITING: usize = 64;

/// Cells that will be written at the cursor, as many as there are.
struct Waiting {
    cells: [Cell; WAITING],
    count: usize,
}

impl Waiting {
    #[inline]
    fn push(&mut self, cell: Cell) {
        if let Some(slot) = self.cells.get_mut(self.count) {
            *slot = cell;
            self.count += 1;
        }
    }
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
    /// The left and right margins (DECSLRM): the first column, and the first one right of them. The whole width unless
    /// DECLRMM is set.
    pub(super) left: u16,
    pub(super) right: u16,
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
    /// S8C1T: answers have C1 controls.
    pub(super) eight_bit: bool,
    /// Bytes are Latin-1 rather than UTF-8 (`ESC % @`).
    pub(super) latin1: bool,
    /// DECSACE: attributes of rectangles change as the text flows rather than in the rectangle.
    pub(super) stream_extent: bool,
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
            left: 0,
            right: columns,
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
            eight_bit: false,
            latin1: false,
            stream_extent: true,
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
            let limit = self.limit();
            let room = usize::from(limit - self.cursor.column);
            if run.len() < room {
                self.grid.write_ascii(self.cursor.row, self.cursor.column, run, look, &mut self.damage);
                // Less than the columns that are left.
                self.cursor.column += u16::try_from(run.len()).unwrap_or(0);
                return;
            }
            let (now, later) = run.split_at(room);
            self.grid.write_ascii(self.cursor.row, self.cursor.column, now, look, &mut self.damage);
            self.cursor.column = limit - 1;
            if self.modes.has(Mode::AUTOWRAP) {
                self.cursor.pending_wrap = true;
                run = later;
            } else {
                // All further characters overwrite the last one.
                run = &later[later.len().saturating_sub(1)..];
            }
        }
    }

    /// Prints characters, ASCII among them or not.
    pub(super) fn print_characters(&mut self, characters: &[char]) {
        self.last = characters.last().copied();
        if self.modes.has(Mode::INSERT) || self.modes.has(Mode::CLUSTERS) || !self.cursor.charsets.is_plain()
        {
            for c in characters {
                self.print_char(*c);
            }
            return;
        }
        let look = self.look();
        let mut waiting = Waiting { cells: [Cell::BLANK; WAITING], count: 0 };
        let mut room = self.room();
        for &c in characters {
            let columns = match width(c) {
                None => continue,
                // Marks, and what has to wrap.
                Some(columns) if columns == 0 || usize::from(columns) > room => {
                    self.flush(&mut waiting);
                    self.print_char(c);
                    room = self.room();
                    continue;
                }
                Some(columns) => usize::from(columns),
            };
            waiting.push(Cell::character(c, columns == 2, look));
            if columns == 2 {
                waiting.push(Cell::tail(look));
            }
            room -= columns;
            if waiting.count + 1 >= WAITING {
                self.flush(&mut waiting);
            }
        }
        self.flush(&mut waiting);
    }

    /// The columns that can be printed on without a wrap before them and without filling the line, which
    /// [`Emulator::print_char`] does.
    fn room(&self) -> usize {
        if self.cursor.pending_wrap { 0 } else { usize::from(self.limit() - self.cursor.column - 1) }
    }

    fn flush(&mut self, waiting: &mut Waiting) {
        let count = std::mem::take(&mut waiting.count);
        if count > 0 {
            let (row, column) = (self.cursor.row, self.cursor.column);
            self.grid.write_cells(row, column, &waiting.cells[..count], &mut self.damage);
            // There is room for them on the line.
            self.cursor.column += u16::try_from(count).unwrap_or(0);
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
        if self.modes.has(Mode::CLUSTERS) && self.joins(c) {
            self.combine(c);
            return;
        }
        if self.cursor.pending_wrap {
            self.wrap();
        }
        if self.cursor.column + columns > self.limit() {
            if self.modes.has(Mode::AUTOWRAP) {
                // What stood there is not part of the text that flows past it.
                let blank = self.blank();
                let (row, column, limit) = (self.cursor.row, self.cursor.column, self.limit());
                self.grid.erase(row, column, limit, blank, &mut self.damage);
                if blank != Cell::BLANK && column + 1 == self.columns {
                    self.grid.replace(row, column, Cell::filler(blank.look()), &mut self.damage);
                }
                self.wrap();
                // Margins that are a column apart, to the left of which nothing is.
                if self.cursor.column + columns > self.columns {
                    return;
                }
            } else {
                self.cursor.column = self.limit().saturating_sub(columns);
            }
        }
        let (row, column, limit) = (self.cursor.row, self.cursor.column, self.limit());
        if self.modes.has(Mode::INSERT) {
            let blank = self.blank();
            self.grid.insert_cells(row, column, limit, columns, blank, &mut self.damage);
        }
        let cell = Cell::character(c, columns == 2, self.look());
        self.grid.write(row, column, cell, &mut self.damage);
        if column + columns >= limit {
            self.cursor.column = column + columns - 1;
            self.cursor.pending_wrap = self.modes.has(Mode::AUTOWRAP);
        } else {
            self.cursor.column += columns;
        }
    }

    /// True when a character that takes room belongs to the cluster before the cursor (Unicode Standard Annex 29).
    fn joins(&self, c: char) -> bool {
        let Some((_, cell)) = self.cell_before() else { return false };
        clusters::joins(self.tables.cluster(cell), c)
    }

    /// The cell before the cursor and its column; nothing at the start of a line.
    fn cell_before(&self) -> Option<(u16, Cell)> {
        let column = match (self.cursor.column, self.cursor.pending_wrap) {
            (column, true) => column,
            (column, false) => column.checked_sub(1)?,
        };
        let cells = self.grid.cells(self.cursor.row);
        match cells.get(usize::from(column)) {
            Some(cell) if cell.width() == Width::Tail => {
                let column = column.saturating_sub(1);
                cells.get(usize::from(column)).map(|cell| (column, *cell))
            }
            cell => cell.map(|cell| (column, *cell)),
        }
    }

    /// Adds a mark to the character before the cursor; drops it where there is none.
    fn combine(&mut self, mark: char) {
        let Some((column, cell)) = self.cell_before() else { return };
        let row = self.cursor.row;
        let mut marked = self.tables.add_mark(cell, mark);
        if marked == Err(Interned::Full) {
            self.collect_clusters();
            marked = self.tables.add_mark(cell, mark);
        }
        let Ok(marked) = marked else { return };
        if marked == cell {
            return;
        }
        let wider = self.modes.has(Mode::CLUSTERS)
            && cell.width() == Width::Narrow
            && !self.cursor.pending_wrap
            && clusters::is_wide(self.tables.cluster(marked));
        if !wider {
            self.grid.replace(row, column, marked, &mut self.damage);
            return;
        }
        if self.modes.has(Mode::INSERT) {
            let (limit, blank) = (self.limit(), self.blank());
            self.grid.insert_cells(row, column + 1, limit, 1, blank, &mut self.damage);
        }
        self.grid.write(row, column, marked.widened(), &mut self.damage);
        if self.cursor.column + 1 >= self.limit() {
            self.cursor.pending_wrap = self.modes.has(Mode::AUTOWRAP);
        } else {
            self.cursor.column += 1;
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
        // Another REP would repeat a control function, as xterm has it.
        self.last = None;
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
        self.reset_margins();
        self.modes = Modes::default();
        self.tabs = Tabs::new(self.columns);
        self.shape = CursorShape::default();
        self.palette = Palette::default();
        self.last = None;
        self.titles = Vec::new();
        self.other_keys = 0;
        self.stream_extent = true;
        (self.eight_bit, self.latin1) = (false, false);
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
        self.modes.set(Mode::MARGINS, false);
        self.reset_margins();
        self.cursor.pen = Pen::default();
        self.cursor.charsets = Charsets::default();
        self.cursor.origin = false;
        self.saved = [CursorState::default(); 2];
    }
}
