//! What readers of a terminal ask for: rows, styles, changes, text.

use std::ops::Range;

use super::cell::{Cell, Look, LookColours, Width};
use super::damage::Moves;
use super::style::{Cluster, Style};
use super::tables::InkPair;
use super::view::{Changes, Cursor, RowSpan, View};
use super::{Terminal, emulator::Emulator};

impl Emulator {
    /// The absolute number of the first row of a view; `None` for the live screen.
    fn start(&self, view: View) -> Option<u64> {
        match view {
            View::At(line) if line < self.history.next() => Some(line.max(self.history.first())),
            _ => None,
        }
    }

    /// What a reader has to repaint who looks at history, from line `wanted` on, or `start` if that is gone.
    fn changes_in_history(&self, wanted: u64, start: u64, since: u64, out: &mut Changes) {
        let columns = self.columns;
        let live = self.history.next();
        let settled = |line| self.history.settled(line).is_some_and(|settled| settled <= since);
        // The reader's rows were these lines only if the first was in history already and still is.
        let everything = self.damage.everything_since(since) || wanted != start || !settled(start);
        // Where absolute numbers stayed with their lines, those on the screen have their own stamps.
        let stamps = match self.damage.moves(since) {
            Moves::None => true,
            Moves::Block { pushed, .. } | Moves::Mixed { pushed, .. } => pushed,
            Moves::Everything => false,
        };
        for row in 0..self.rows {
            let line = start + u64::from(row);
            let span = if everything || (line < live && !settled(line)) {
                Some(0..columns)
            } else if line < live {
                None
            } else if stamps {
                let row = u16::try_from(line - live).unwrap_or(0);
                self.damage.span(self.grid.stamp(row), since, columns)
            } else {
                Some(0..columns)
            };
            out.rows.extend(span.map(|columns| RowSpan { row, columns }));
        }
    }
}

impl Terminal {
    /// A number that grows with every visible change, the cursor's included. It starts at 1, so that 0 is the
    /// generation of one who has seen nothing.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.emulator.damage.generation()
    }

    /// The absolute number of the oldest line in history. Numbers are never used twice.
    #[must_use]
    pub const fn first_line(&self) -> u64 {
        self.emulator.history.first()
    }

    /// The absolute number of the screen's first row.
    #[must_use]
    pub const fn live_line(&self) -> u64 {
        self.emulator.history.next()
    }

    /// The cells of row `row` of `view`, exactly [`Terminal::columns`] of them; blanks for a row that does not
    /// exist. `scratch` is used where they must be unpacked first.
    #[must_use]
    pub fn row<'a>(&'a self, view: View, row: u16, scratch: &'a mut Vec<Cell>) -> &'a [Cell] {
        let columns = usize::from(self.columns());
        let live = self.live_line();
        let line = self.emulator.start(view).unwrap_or(live) + u64::from(row);
        if line >= live
            && let Ok(row) = u16::try_from(line - live)
            && row < self.rows()
        {
            return self.emulator.grid.cells(row);
        }
        scratch.clear();
        // A line of a wider screen is cut, without leaving half a character.
        self.emulator.history.unpack(line, scratch);
        scratch.resize(columns, Cell::BLANK);
        if let Some(last) = scratch.last_mut()
            && last.width() == Width::Wide
        {
            *last = Cell::blank(last.look());
        }
        scratch
    }

    /// The cursor on the live screen, or `None` while it is hidden.
    #[must_use]
    pub fn cursor(&self) -> Option<Cursor> {
        match &self.emulator.hold {
            Some(hold) => hold.cursor,
            None => self.emulator.visible_cursor(),
        }
    }

    /// How a cell read from this terminal is drawn.
    #[must_use]
    pub fn style(&self, cell: Cell) -> Style {
        let look: Look = cell.look();
        let inks = match look.colours() {
            LookColours::Inks(foreground, background) => InkPair { foreground, background },
            LookColours::Pair(number) => self.emulator.tables.pairs.get(number).copied().unwrap_or_default(),
            LookColours::History(position) => self.emulator.history.colours(position).unwrap_or_default(),
        };
        self.emulator.palette.style(look.attributes(), inks.foreground, inks.background)
    }

    /// The character of a cell read from this terminal, with its combining marks.
    #[must_use]
    pub fn cluster(&self, cell: Cell) -> Cluster<'_> {
        self.emulator.tables.cluster(cell)
    }

    /// What differs for a reader who saw generation `since` of the same view (0 for one who saw nothing), the size
    /// of the screen being the same; `out` is overwritten. The cursor is not part of it.
    pub fn changes(&self, view: View, since: u64, out: &mut Changes) {
        let emulator = &self.emulator;
        out.scroll = None;
        out.rows.clear();
        out.generation = self.generation();
        if since >= out.generation {
            return;
        }
        if let View::At(wanted) = view
            && let Some(start) = emulator.start(view)
        {
            emulator.changes_in_history(wanted, start, since, out);
            return;
        }
        let columns = emulator.columns;
        let mixed = match emulator.damage.moves(since) {
            Moves::Everything => 0..emulator.rows,
            // One who looks at the live screen by a number saw history before; its rows have not moved for it.
            _ if view != View::Live => 0..emulator.rows,
            Moves::Mixed { top, bottom, .. } => top..bottom,
            Moves::Block { scroll, .. } => {
                out.scroll = scroll;
                0..0
            }
            Moves::None => 0..0,
        };
        for row in 0..emulator.rows {
            let span = if mixed.contains(&row) {
                Some(0..columns)
            } else {
                emulator.damage.span(emulator.grid.stamp(row), since, columns)
            };
            out.rows.extend(span.map(|columns| RowSpan { row, columns }));
        }
    }

    /// Tells that every reader has seen `generation`, so that column spans can start anew. A reader that has not
    /// is still told the truth, but by whole rows.
    pub fn forget_changes_before(&mut self, generation: u64) {
        self.emulator.damage.forget(generation);
    }

    /// The plain text of the absolute lines `lines`, trailing blanks cut, each ended by a newline unless its text
    /// goes on in the next one. Lines that are not kept are left out.
    #[must_use]
    pub fn text(&self, lines: Range<u64>) -> String {
        let end = lines.end.min(self.live_line() + u64::from(self.rows()));
        let mut text = String::new();
        let mut scratch = Vec::new();
        let mut start = 0;
        for line in lines.start.max(self.first_line())..end {
            if !self.append_line(line, &mut scratch, &mut text) {
                let kept = text[start..].trim_end_matches(' ').len();
                text.truncate(start + kept);
                text.push('\n');
                start = text.len();
            }
        }
        text
    }

    /// The plain text of one absolute line, without a newline; trailing blanks are cut unless the text goes on in the
    /// next line ([`Terminal::is_wrapped`]). `None` for a line that is not kept.
    #[must_use]
    pub fn line_text(&self, line: u64) -> Option<String> {
        if line < self.first_line() || line >= self.live_line() + u64::from(self.rows()) {
            return None;
        }
        let mut text = String::new();
        if !self.append_line(line, &mut Vec::new(), &mut text) {
            text.truncate(text.trim_end_matches(' ').len());
        }
        Some(text)
    }

    /// True when the text of an absolute line goes on in the next one.
    #[must_use]
    pub fn is_wrapped(&self, line: u64) -> bool {
        match self.row_of_line(line) {
            Some(row) => self.emulator.grid.used(row).1,
            None => self.emulator.history.is_wrapped(line),
        }
    }

    /// The row of the live screen that shows an absolute line.
    fn row_of_line(&self, line: u64) -> Option<u16> {
        let row = u16::try_from(line.checked_sub(self.live_line())?).ok()?;
        (row < self.rows()).then_some(row)
    }

    /// Appends the text of a line; true when it goes on in the next one.
    fn append_line(&self, line: u64, scratch: &mut Vec<Cell>, text: &mut String) -> bool {
        scratch.clear();
        let wrapped = self.line_cells(line, scratch).unwrap_or(false);
        for cell in scratch.iter().filter(|cell| cell.width() != Width::Tail) {
            let cluster = self.cluster(*cell);
            text.push(cluster.base);
            text.extend(cluster.marks);
        }
        wrapped
    }
}
