//! What changed since when, for any number of readers.
//!
//! Each line carries the generation of its last change and the columns that changed since every reader last said
//! that it had seen all. Lines keep their stamps when they are scrolled; the scrolls themselves are in a bounded
//! log. A reader that is older than the log is told to repaint everything. All of it costs O(1) per newline.

use std::collections::VecDeque;

use super::view::Scroll;

/// How many scrolls are remembered. One feed adds one for each block that it scrolls, hence a reader may be about
/// this many feeds late and still be told of a move rather than of a full repaint.
const LOG_ENTRIES: usize = 32;

/// The changes of one line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp {
    /// The generation of the last change.
    changed: u64,
    /// The columns changed since the last [`Damage::forget`] before `changed`.
    left: u16,
    right: u16,
}

impl Stamp {
    pub(super) const NEVER: Self = Self { changed: 0, left: 0, right: 0 };

    /// Notes a change of all `columns` columns.
    #[inline]
    pub(super) const fn touch_all(&mut self, columns: u16, damage: &mut Damage) {
        *self = Self { changed: damage.current, left: 0, right: columns };
        damage.dirty = true;
    }

    /// Notes a change of columns `left..right`.
    #[inline]
    pub(super) fn touch(&mut self, left: u16, right: u16, damage: &mut Damage) {
        if self.changed <= damage.forgotten {
            self.left = left;
            self.right = right;
        } else {
            self.left = self.left.min(left);
            self.right = self.right.max(right);
        }
        self.changed = damage.current;
        damage.dirty = true;
    }
}

/// Text that moved.
#[derive(Debug, Clone, Copy)]
struct Entry {
    generation: u64,
    top: u16,
    bottom: u16,
    /// Rows up; negative is down.
    lines: i32,
    /// Every line that left went into history, and no other line moved: absolute line numbers are as before.
    pushed: bool,
}

/// The generations and the log of scrolls.
#[derive(Debug)]
pub(super) struct Damage {
    /// What changes are stamped with now: one more than what readers can have seen.
    current: u64,
    /// Something changed under `current`.
    dirty: bool,
    /// Every reader has seen this generation.
    forgotten: u64,
    /// The log goes back to this generation.
    floor: u64,
    /// Readers older than this repaint everything, history included.
    all: u64,
    log: VecDeque<Entry>,
    /// The last scroll of the generation that is being made; not in the log yet.
    last: Option<Entry>,
}

impl Damage {
    pub(super) const fn new() -> Self {
        Self { current: 2, dirty: false, forgotten: 0, floor: 1, all: 1, log: VecDeque::new(), last: None }
    }

    /// The generation that readers see.
    #[inline]
    pub(super) const fn generation(&self) -> u64 {
        self.current - 1
    }

    /// The generation that changes are stamped with.
    pub(super) const fn current(&self) -> u64 {
        self.current
    }

    /// Makes what changed visible to readers as a new generation, if anything did or `also` says so.
    pub(super) fn commit(&mut self, also: bool) {
        if self.dirty || also {
            self.log_last();
            self.dirty = false;
            self.current += 1;
        }
    }

    /// What was held is made visible next. A reader may have painted in the middle of it; it must not be told of moves
    /// that it has already seen.
    pub(super) fn end_hold(&mut self) {
        self.dirty = true;
        if self.last.is_some() || self.log.back().is_some_and(|entry| entry.generation == self.current) {
            self.everything();
        }
    }

    /// Every reader has to repaint everything.
    pub(super) fn everything(&mut self) {
        self.floor = self.current;
        self.all = self.current;
        self.dirty = true;
        self.log.clear();
        self.last = None;
    }

    /// True for a reader that has to repaint everything, whatever it looks at.
    pub(super) const fn everything_since(&self, since: u64) -> bool {
        since < self.all
    }

    /// Every reader has seen `generation`.
    pub(super) fn forget(&mut self, generation: u64) {
        self.forgotten = self.forgotten.max(generation.min(self.generation()));
        while self.log.front().is_some_and(|entry| entry.generation <= self.forgotten) {
            if let Some(entry) = self.log.pop_front() {
                self.floor = self.floor.max(entry.generation);
            }
        }
    }

    /// Notes that rows `top..bottom` moved up by `lines`, or down by its negative. The caller stamps the lines that
    /// came in over their whole width.
    #[inline]
    pub(super) fn scrolled(&mut self, top: u16, bottom: u16, lines: i32, pushed: bool) {
        self.dirty = true;
        if let Some(last) = &mut self.last
            && (last.top, last.bottom, last.pushed) == (top, bottom, pushed)
        {
            last.lines = last.lines.saturating_add(lines);
            return;
        }
        self.log_last();
        self.last = Some(Entry { generation: self.current, top, bottom, lines, pushed });
    }

    #[cold]
    fn log_last(&mut self) {
        let Some(entry) = self.last.take() else { return };
        if self.log.len() == LOG_ENTRIES
            && let Some(oldest) = self.log.pop_front()
        {
            self.floor = self.floor.max(oldest.generation);
        }
        self.log.push_back(entry);
    }

    /// What a reader of generation `since` has to be told of moves.
    pub(super) fn moves(&self, since: u64) -> Moves {
        if since < self.floor {
            return Moves::Everything;
        }
        let mut found: Option<(u16, u16)> = None;
        let (mut lines, mut same, mut pushed) = (0i32, true, true);
        for entry in self.log.iter().rev().take_while(|entry| entry.generation > since) {
            pushed &= entry.pushed;
            lines = lines.saturating_add(entry.lines);
            found = Some(match found {
                None => (entry.top, entry.bottom),
                Some((top, bottom)) => {
                    same &= (top, bottom) == (entry.top, entry.bottom);
                    (top.min(entry.top), bottom.max(entry.bottom))
                }
            });
        }
        match found {
            None => Moves::None,
            Some((top, bottom)) if same => {
                let height = i32::from(bottom - top);
                let scroll = i16::try_from(lines)
                    .ok()
                    .filter(|_| lines != 0 && lines.abs() < height)
                    .map(|lines| Scroll { top, bottom, lines });
                Moves::Block { scroll, pushed }
            }
            Some((top, bottom)) => Moves::Mixed { top, bottom, pushed },
        }
    }

    /// The columns of a line that a reader of generation `since` has to repaint.
    pub(super) fn span(&self, stamp: &Stamp, since: u64, columns: u16) -> Option<std::ops::Range<u16>> {
        if stamp.changed <= since {
            return None;
        }
        // What was forgotten can have changed elsewhere on the line for a reader that never saw it.
        let (left, right) = if since < self.forgotten { (0, columns) } else { (stamp.left, stamp.right) };
        let right = right.min(columns);
        (left < right).then_some(left..right)
    }

    /// The bytes that it holds on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.log.capacity() * size_of::<Entry>()
    }
}

/// What a reader has to be told of moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moves {
    /// Nothing moved.
    None,
    /// One block moved, by `scroll` in the end; the lines that came in are stamped.
    Block {
        /// The move, unless it cancelled out or left nothing of the block.
        scroll: Option<Scroll>,
        /// Absolute line numbers are as before.
        pushed: bool,
    },
    /// Several blocks moved, all of them between these rows.
    Mixed {
        /// The first row that may have moved.
        top: u16,
        /// The first row below that cannot have moved.
        bottom: u16,
        /// Absolute line numbers are as before.
        pushed: bool,
    },
    /// Too long ago to tell.
    Everything,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scrolls_of_one_block_add_up() {
        let mut damage = Damage::new();
        damage.scrolled(0, 25, 1, true);
        damage.scrolled(0, 25, 2, true);
        damage.commit(false);
        assert_eq!(damage.generation(), 2);
        damage.scrolled(0, 25, 4, true);
        damage.commit(false);
        let scroll =
            |lines| Moves::Block { scroll: Some(Scroll { top: 0, bottom: 25, lines }), pushed: true };
        assert_eq!(damage.moves(1), scroll(7));
        assert_eq!(damage.moves(2), scroll(4));
        assert_eq!(damage.moves(3), Moves::None);
        damage.scrolled(0, 25, 18, true);
        damage.commit(false);
        assert_eq!(
            damage.moves(1),
            Moves::Block { scroll: None, pushed: true },
            "nothing is left of the block"
        );
    }

    #[test]
    fn scrolls_of_several_blocks_are_repainted() {
        let mut damage = Damage::new();
        damage.scrolled(2, 10, 1, false);
        damage.scrolled(5, 20, -1, false);
        damage.commit(false);
        assert_eq!(damage.moves(1), Moves::Mixed { top: 2, bottom: 20, pushed: false });
    }

    #[test]
    fn the_log_is_bounded_and_older_readers_repaint_everything() {
        let mut damage = Damage::new();
        for _ in 0..1000 {
            damage.scrolled(0, 25, 1, true);
            damage.commit(false);
        }
        assert_eq!(damage.log.len(), LOG_ENTRIES);
        let oldest = damage.generation() - LOG_ENTRIES as u64;
        assert_eq!(damage.moves(oldest - 1), Moves::Everything);
        assert_eq!(damage.moves(oldest), Moves::Block { scroll: None, pushed: true });
    }

    #[test]
    fn spans_start_anew_once_forgotten_but_late_readers_get_the_whole_line() {
        let mut damage = Damage::new();
        let mut stamp = Stamp::NEVER;
        stamp.touch(10, 11, &mut damage);
        damage.commit(false);
        stamp.touch(20, 21, &mut damage);
        damage.commit(false);
        assert_eq!(damage.span(&stamp, 2, 80), Some(10..21));
        damage.forget(3);
        stamp.touch(40, 41, &mut damage);
        damage.commit(false);
        assert_eq!(damage.span(&stamp, 3, 80), Some(40..41));
        assert_eq!(damage.span(&stamp, 2, 80), Some(0..80));
        assert_eq!(damage.span(&stamp, 4, 80), None);
    }
}
