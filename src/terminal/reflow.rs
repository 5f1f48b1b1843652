//! Changing the size: the text of the primary screen and of history is wrapped anew, that of the alternate screen is cut.
//!
//! A text that was wrapped is one line for the guest, however many rows it takes. Lines of history that were not wrapped
//! and fit the new width, which is nearly all of them, are copied as they are packed. The cost is bounded by what history
//! may hold. What leaves at the top goes into history; what comes in at the top of a screen that was full comes back
//! from there, so that a size that is left and taken again shows the same.

use super::cell::{Attributes, Cell, Look, LookColours, Width};
use super::emulator::{CursorState, Emulator};
use super::grid::Grid;
use super::modes::Mode;
use super::packing::Colours;

/// A text that goes on for more rows than this is wrapped anew in pieces of as many: a bound for what lies unpacked.
const ROWS_AT_ONCE: u64 = 1000;

/// Rows of cells, one behind the other.
#[derive(Debug, Default)]
struct Rows {
    cells: Vec<Cell>,
    /// Where each ends, and whether its text goes on in the next one.
    ends: Vec<(usize, bool)>,
}

impl Rows {
    fn push(&mut self, cells: &[Cell], wrapped: bool) {
        self.cells.extend_from_slice(cells);
        self.ends.push((self.cells.len(), wrapped));
    }

    fn len(&self) -> usize {
        self.ends.len()
    }

    fn iter(&self) -> impl Iterator<Item = (&[Cell], bool)> {
        let starts = std::iter::once(0).chain(self.ends.iter().map(|(end, _)| *end));
        starts.zip(&self.ends).map(|(start, (end, wrapped))| (&self.cells[start..*end], *wrapped))
    }

    /// Adds a text, wrapped to `columns`; tells where in the text each of its rows begins.
    fn wrap(&mut self, text: &[Cell], columns: usize, starts: &mut Vec<usize>) {
        starts.clear();
        let mut start = 0;
        loop {
            let mut end = text.len().min(start + columns);
            // A wide character that does not fit leaves a column blank.
            let filler = text.get(end).filter(|cell| cell.width() == Width::Tail);
            end -= usize::from(filler.is_some());
            starts.push(start);
            self.cells.extend_from_slice(&text[start..end]);
            self.cells
                .extend(filler.map(|tail| Cell::filler(tail.look()).with_attributes(Attributes::default())));
            self.ends.push((self.cells.len(), end < text.len()));
            if end >= text.len() {
                return;
            }
            start = end;
        }
    }
}

/// Adds a row to the text that it belongs to; returns where in the text it begins.
fn join(text: &mut Vec<Cell>, row: &[Cell], wrapped: bool) -> usize {
    let start = text.len();
    let last =
        if wrapped { row.len().checked_sub(1) } else { row.iter().rposition(|cell| *cell != Cell::BLANK) };
    text.extend_from_slice(&row[..last.map_or(0, |last| last + 1)]);
    if wrapped {
        text.pop_if(|last| last.is_filler());
    }
    start
}

/// A cursor while the text around it is wrapped anew.
#[derive(Debug, Clone, Copy)]
struct Point {
    column: u16,
    row: u16,
    pending_wrap: bool,
    /// Where it is in the text of its row, until it has found its place again.
    offset: Option<usize>,
}

impl Point {
    const fn of(cursor: &CursorState) -> Self {
        Self { column: cursor.column, row: cursor.row, pending_wrap: cursor.pending_wrap, offset: None }
    }

    /// Finds the place in the rows that its text became, of which the first is row `first`.
    fn place(&mut self, starts: &[usize], length: usize, first: usize, columns: usize, autowrap: bool) {
        let Some(offset) = self.offset.take() else { return };
        let at = starts.partition_point(|start| *start <= offset).saturating_sub(1);
        let mut column = offset - starts.get(at).copied().unwrap_or(0);
        let last = columns - 1;
        if self.pending_wrap && column < last {
            column += 1;
            self.pending_wrap = false;
        } else if column == columns && offset == length {
            // Right after the last character of a row that is full.
            self.pending_wrap = autowrap;
        } else {
            self.pending_wrap &= column == last;
        }
        self.column = u16::try_from(column.min(last)).unwrap_or(u16::MAX);
        self.row = u16::try_from(first + at).unwrap_or(u16::MAX);
    }

    fn put_back(self, cursor: &mut CursorState, columns: u16, rows: u16) {
        cursor.row = self.row.min(rows - 1);
        cursor.column = self.column.min(columns - 1);
        cursor.pending_wrap = self.pending_wrap;
    }
}

impl Emulator {
    /// Changes the size. `lines` are absolute numbers of lines that somebody looks at; they become the numbers that
    /// these texts have afterwards.
    pub(super) fn resize(&mut self, columns: u16, rows: u16, lines: &mut [u64]) {
        if (columns, rows) == (self.columns, self.rows) {
            return;
        }
        self.release();
        let alternate = self.alternate.then(|| {
            let skip = (self.cursor.row + 1).saturating_sub(rows);
            let grid = self.grid.resized(columns, rows, skip);
            (grid, skip)
        });
        let hidden = self.hidden.take();
        // A hidden alternate screen is left over from mode 47; nobody misses it after a resize.
        let primary = match (self.alternate, hidden) {
            (true, Some(hidden)) => *hidden,
            (true, None) => Grid::new(self.columns, self.rows),
            (false, _) => std::mem::replace(&mut self.grid, Grid::new(columns, rows)),
        };
        let [mut cursor, mut saved] = [self.cursor, self.saved[0]].map(|cursor| Point::of(&cursor));
        let used = if self.alternate { saved.row } else { cursor.row };
        let used = primary.rows_used().max(used + 1).min(self.rows);
        let mut points = [saved, cursor];
        let points_used = if self.alternate { &mut points[..1] } else { &mut points[..] };
        let grid = self.wrap_anew(&primary, used, columns, rows, points_used, lines);
        [saved, cursor] = points;
        saved.put_back(&mut self.saved[0], columns, rows);
        match alternate {
            Some((alternate, above)) => {
                self.grid = alternate;
                self.hidden = Some(Box::new(grid));
                self.cursor.row = (self.cursor.row - above).min(rows - 1);
                self.cursor.column = self.cursor.column.min(columns - 1);
                self.cursor.pending_wrap = false;
            }
            None => {
                self.grid = grid;
                cursor.put_back(&mut self.cursor, columns, rows);
            }
        }
        let saved = &mut self.saved[1];
        saved.row = saved.row.min(rows - 1);
        saved.column = saved.column.min(columns - 1);
        saved.pending_wrap = false;
        self.columns = columns;
        self.rows = rows;
        self.modes.set(Mode::MARGINS, false);
        self.reset_margins();
        self.tabs.resize(columns);
        self.tables.resize(usize::from(columns) * usize::from(rows));
        self.damage.everything();
    }

    /// The first `used` rows of the primary screen on one of another size, history being wrapped anew too.
    fn wrap_anew(
        &mut self,
        primary: &Grid,
        used: u16,
        columns: u16,
        rows: u16,
        points: &mut [Point],
        lines: &mut [u64],
    ) -> Grid {
        let was_full = used == self.rows;
        let autowrap = self.modes.has(Mode::AUTOWRAP);
        let width = usize::from(columns);
        let mut text = Vec::new();
        if columns != self.columns {
            // Numbers are never used twice.
            let first_number = self.history.next() + u64::from(self.rows);
            self.take_open_text(&mut text);
            self.wrap_history(columns, first_number, lines);
        }
        // Places that were found are not looked for again.
        let old: Vec<u16> = points.iter().map(|point| point.row).collect();
        let mut new = Rows::default();
        let mut starts = Vec::new();
        for row in 0..used {
            let (cells, wrapped) = primary.used(row);
            if columns == self.columns {
                new.push(cells, wrapped);
                continue;
            }
            let wrapped = wrapped && row + 1 < used;
            let start = join(&mut text, cells, wrapped);
            for (point, old) in points.iter_mut().zip(&old) {
                if *old == row {
                    point.offset = Some(start + usize::from(point.column));
                }
            }
            if !wrapped {
                let first = new.len();
                new.wrap(&text, width, &mut starts);
                for point in points.iter_mut() {
                    point.place(&starts, text.len(), first, width, autowrap);
                }
                text.clear();
            }
        }
        let skip = new.len().saturating_sub(usize::from(rows));
        let generation = self.damage.current();
        for (cells, wrapped) in new.iter().take(skip) {
            let colours = Colours { pairs: &self.tables.pairs, history: None };
            self.history.push(cells, wrapped, colours, generation);
        }
        let mut grid = Grid::new(columns, rows);
        let room = usize::from(rows).saturating_sub(new.len());
        let back = if was_full { self.take_back(&mut grid, room) } else { 0 };
        for (row, (cells, wrapped)) in (back..).zip(new.iter().skip(skip)) {
            grid.put(row, cells, wrapped);
        }
        // Rows that came back push the others down.
        for point in points {
            let row = (usize::from(point.row) + usize::from(back)).saturating_sub(skip);
            point.row = u16::try_from(row).unwrap_or(u16::MAX);
        }
        grid
    }

    /// Takes the lines at the end of history whose text goes on on the screen.
    fn take_open_text(&mut self, text: &mut Vec<Cell>) {
        let next = self.history.next();
        let mut first = next;
        while first > self.history.first()
            && next - first < ROWS_AT_ONCE
            && self.history.is_wrapped(first - 1)
        {
            first -= 1;
        }
        let mut cells = Vec::new();
        for line in first..next {
            cells.clear();
            self.unpack_for_screen(line, &mut cells);
            join(text, &cells, true);
        }
        for _ in first..next {
            self.history.pop();
        }
    }

    /// Takes up to `room` lines back from the end of history to the top of `grid`; returns how many.
    fn take_back(&mut self, grid: &mut Grid, room: usize) -> u16 {
        let next = self.history.next();
        let first = self.history.first().max(next.saturating_sub(room as u64));
        let mut cells = Vec::new();
        let mut row = 0;
        for line in first..next {
            cells.clear();
            let wrapped = self.unpack_for_screen(line, &mut cells);
            grid.put(row, &cells, wrapped);
            row += 1;
        }
        for _ in first..next {
            self.history.pop();
        }
        row
    }

    /// Appends the cells of a line of history, with colours as the screen has them; tells whether its text goes on.
    fn unpack_for_screen(&mut self, line: u64, cells: &mut Vec<Cell>) -> bool {
        let wrapped = self.history.unpack(line, cells).unwrap_or(false);
        for cell in cells {
            if let LookColours::History(position) = cell.look().colours() {
                let inks = self.history.colours(position).unwrap_or_default();
                let attributes = cell.look().attributes();
                let (fg, bg) = (inks.foreground.to_palette(), inks.background.to_palette());
                let look = self.tables.look(attributes, inks).ok().or(Look::from_inks(attributes, fg, bg));
                *cell = cell.with_look(look.unwrap_or_default());
            }
        }
        wrapped
    }

    /// Wraps history anew. Its lines get new numbers, from `first_number` on.
    fn wrap_history(&mut self, columns: u16, first_number: u64, lines: &mut [u64]) {
        let width = usize::from(columns);
        let old = &self.history;
        let mut new = old.like(first_number);
        let wanted: Vec<u64> = lines.to_vec();
        let generation = self.damage.current();
        let colours = Colours { pairs: &self.tables.pairs, history: Some(old) };
        let (mut text, mut starts, mut parts) = (Vec::new(), Vec::new(), Vec::new());
        let mut at = old.first();
        while at < old.next() {
            let first = at;
            parts.clear();
            text.clear();
            let packed = old.packed(at);
            let plain = packed.and_then(|line| if line.is_wrapped() { None } else { line.plain_columns() });
            let mut fits = plain.is_some_and(|length| length <= width);
            if fits {
                at += 1;
            } else {
                let mut cells = Vec::new();
                loop {
                    cells.clear();
                    let wrapped = old.unpack(at, &mut cells) == Some(true);
                    parts.push(text.len());
                    join(&mut text, &cells, wrapped);
                    at += 1;
                    if !wrapped || at >= old.next() || at - first >= ROWS_AT_ONCE {
                        break;
                    }
                }
                fits = at == first + 1 && text.len() <= width;
            }
            let number = new.next();
            starts.clear();
            if let Some(line) = packed.filter(|_| fits) {
                new.push_packed(line, generation);
            } else {
                let mut rows = Rows::default();
                rows.wrap(&text, width, &mut starts);
                // A piece of a longer text goes on.
                let goes_on = old.is_wrapped(at - 1);
                for (row, (cells, wrapped)) in rows.iter().enumerate() {
                    new.push(cells, wrapped || goes_on && row + 1 == rows.len(), colours, generation);
                }
            }
            for (line, wanted) in lines.iter_mut().zip(&wanted) {
                if (first..at).contains(wanted) {
                    let part = usize::try_from(wanted - first).unwrap_or(0);
                    let offset = parts.get(part).copied().unwrap_or(0);
                    let row = starts.partition_point(|start| *start <= offset).saturating_sub(1);
                    *line = number + row as u64;
                }
            }
        }
        for (line, wanted) in lines.iter_mut().zip(&wanted) {
            if *wanted >= old.next() {
                *line = new.next();
            }
        }
        self.history = new;
    }
}
