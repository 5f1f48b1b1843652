//! Tab stops.

/// Columns between the stops that are there at the start.
const EVERY: u16 = 8;

/// The columns that are tab stops, a bit each.
#[derive(Debug)]
pub(super) struct Tabs {
    columns: u16,
    stops: Vec<u64>,
}

impl Tabs {
    pub(super) fn new(columns: u16) -> Self {
        let mut tabs = Self { columns: 0, stops: Vec::new() };
        tabs.resize(columns);
        tabs
    }

    /// The bytes that it holds on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.stops.capacity() * 8
    }

    /// Changes the width; new columns have the stops of the start.
    pub(super) fn resize(&mut self, columns: u16) {
        self.stops.resize(usize::from(columns).div_ceil(64), 0);
        for column in (self.columns..columns).filter(|column| column % EVERY == 0) {
            self.set(column, true);
        }
        self.columns = columns;
    }

    /// Sets or removes a stop.
    pub(super) fn set(&mut self, column: u16, on: bool) {
        if let Some(word) = self.stops.get_mut(usize::from(column) / 64) {
            let bit = 1 << (column % 64);
            *word = if on { *word | bit } else { *word & !bit };
        }
    }

    /// Removes every stop.
    pub(super) fn clear(&mut self) {
        self.stops.fill(0);
    }

    fn has(&self, column: u16) -> bool {
        self.stops.get(usize::from(column) / 64).is_some_and(|word| word >> (column % 64) & 1 != 0)
    }

    /// The next stop right of `column`, or the last column.
    pub(super) fn after(&self, column: u16) -> u16 {
        (column + 1..self.columns).find(|column| self.has(*column)).unwrap_or(self.columns - 1)
    }

    /// The next stop left of `column`, or the first column.
    pub(super) fn before(&self, column: u16) -> u16 {
        (0..column).rev().find(|column| self.has(*column)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_are_found_both_ways() {
        let mut tabs = Tabs::new(80);
        assert_eq!([tabs.after(0), tabs.after(8), tabs.after(72), tabs.after(79)], [8, 16, 79, 79]);
        assert_eq!([tabs.before(80), tabs.before(8), tabs.before(0)], [72, 0, 0]);
        tabs.set(70, true);
        tabs.set(8, false);
        assert_eq!([tabs.after(0), tabs.after(65)], [16, 70]);
        tabs.clear();
        assert_eq!([tabs.after(0), tabs.before(79)], [79, 0]);
        tabs.resize(132);
        assert_eq!([tabs.after(0), tabs.after(80)], [80, 88]);
    }
}
