//! What does not fit into a cell: pairs of colours of which one is a true colour, and clusters.

use super::cell::{Attributes, Cell, Glyph, Look, LookColours};
use super::ink::Ink;
use super::intern::{Interned, Interner, Key, Marks, mix64};
use super::style::{CLUSTER_MARKS, Cluster};

/// A foreground and a background.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct InkPair {
    pub(super) foreground: Ink,
    pub(super) background: Ink,
}

impl Key for InkPair {
    fn mix(&self) -> u64 {
        let [foreground, background] = [self.foreground, self.background].map(Ink::to_bytes);
        mix64(u64::from(u32::from_le_bytes(foreground)) << 32 | u64::from(u32::from_le_bytes(background)))
    }
}

/// A character and its marks; the unused end is NUL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClusterKey {
    pub(super) base: char,
    marks: [char; CLUSTER_MARKS],
}

impl ClusterKey {
    pub(super) const fn new(base: char) -> Self {
        Self { base, marks: ['\0'; CLUSTER_MARKS] }
    }

    pub(super) fn marks(&self) -> &[char] {
        let length = self.marks.iter().position(|mark| *mark == '\0').unwrap_or(CLUSTER_MARKS);
        &self.marks[..length]
    }

    /// The same with another mark; `None` when it has as many as we keep.
    fn with(mut self, mark: char) -> Option<Self> {
        let length = self.marks().len();
        *self.marks.get_mut(length)? = mark;
        Some(self)
    }
}

impl Key for ClusterKey {
    fn mix(&self) -> u64 {
        let marks = self.marks.iter().take_while(|mark| **mark != '\0');
        marks.fold(u64::from(u32::from(self.base)), |all, mark| {
            mix64(all.rotate_left(21) ^ u64::from(u32::from(*mark)))
        })
    }
}

/// The most clusters, over the screen and history; the marks of further ones are dropped. 32 bytes each. Real texts
/// have some hundred different ones.
const CLUSTERS: u32 = 4096;
/// The least and the most pairs of colours on the screen; further ones become palette colours. 8 bytes each, and as
/// much again to find them. An 80x25 screen and its alternate have 4,000 cells.
const PAIRS: (u32, u32) = (8192, 65536);

/// The tables of one terminal; empty, hence without memory, until they are needed.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) pairs: Interner<InkPair>,
    pub(super) clusters: Interner<ClusterKey>,
}

impl Tables {
    /// Tables for a screen of this many cells.
    pub(super) fn new(cells: usize) -> Self {
        Self { pairs: Interner::new(Self::pairs_for(cells)), clusters: Interner::new(CLUSTERS) }
    }

    fn pairs_for(cells: usize) -> u32 {
        // Both screens, and as much again so that collections are rare.
        u32::try_from(cells.saturating_mul(4)).unwrap_or(u32::MAX).clamp(PAIRS.0, PAIRS.1)
    }

    /// Makes room for a screen of this many cells.
    pub(super) fn resize(&mut self, cells: usize) {
        self.pairs.grow(Self::pairs_for(cells));
    }

    /// The bytes that they hold on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.pairs.heap_bytes() + self.clusters.heap_bytes()
    }

    /// The look of these attributes and inks, if there is room for it.
    pub(super) fn look(&mut self, attributes: Attributes, pair: InkPair) -> Result<Look, Interned> {
        if let Some(look) = Look::from_inks(attributes, pair.foreground, pair.background) {
            return Ok(look);
        }
        match self.pairs.intern(pair) {
            Interned::Number(number) => Ok(Look::from_pair(attributes, number)),
            full => Err(full),
        }
    }

    /// The character of a cell, with its marks.
    pub(super) fn cluster(&self, cell: Cell) -> Cluster<'_> {
        match cell.glyph() {
            Glyph::Char(base) => Cluster { base, marks: &[] },
            Glyph::Cluster(number) => match self.clusters.get(u32::from(number)) {
                Some(key) => Cluster { base: key.base, marks: key.marks() },
                None => Cluster { base: char::REPLACEMENT_CHARACTER, marks: &[] },
            },
        }
    }

    /// The cell `cell` with another mark, if there is room for it. The cell stays as it is when it has as many
    /// marks as are kept.
    pub(super) fn add_mark(&mut self, cell: Cell, mark: char) -> Result<Cell, Interned> {
        let key = match cell.glyph() {
            Glyph::Char(base) => ClusterKey::new(base),
            Glyph::Cluster(number) => match self.clusters.get(u32::from(number)) {
                Some(key) => *key,
                None => return Ok(cell),
            },
        };
        let Some(key) = key.with(mark) else { return Ok(cell) };
        match self.clusters.intern(key) {
            Interned::Number(number) => {
                let wide = cell.width() == super::cell::Width::Wide;
                Ok(Cell::cluster(u16::try_from(number).unwrap_or(u16::MAX), wide, cell.look()))
            }
            full => Err(full),
        }
    }

    /// Marks the pairs that `cells` use.
    pub(super) fn mark_pairs(marks: &mut Marks, cells: &[Cell]) {
        for cell in cells {
            if let LookColours::Pair(number) = cell.look().colours() {
                marks.mark(number);
            }
        }
    }

    /// Marks the clusters that `cells` use.
    pub(super) fn mark_clusters(marks: &mut Marks, cells: &[Cell]) {
        for cell in cells {
            if let Glyph::Cluster(number) = cell.glyph() {
                marks.mark(u32::from(number));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_bounded() {
        let mut tables = Tables::new(2000);
        let mut cell = Cell::ascii(b'a', Look::default());
        for _ in 0..100 {
            cell = tables.add_mark(cell, '\u{301}').unwrap();
        }
        let Glyph::Cluster(number) = cell.glyph() else { panic!("not a cluster") };
        let key = tables.clusters.get(u32::from(number)).unwrap();
        assert_eq!((key.base, key.marks()), ('a', &['\u{301}'; CLUSTER_MARKS][..]));
    }
}
