//! Lines that left the screen, packed.
//!
//! A line is a header byte and its text (`packing.rs`). Lines lie one behind the other in chunks of a few KiB, which are
//! dropped whole at the old end.

use std::collections::VecDeque;

use super::cell::{Cell, HISTORY_POSITIONS, Look};
use super::ink::Ink;
use super::intern::Marks;
use super::packing::{Colours, Packer, low_bytes, note_clusters, unpack};
use super::tables::InkPair;

/// A chunk is closed when it holds this many bytes; a single line may be longer.
const CHUNK_BYTES: usize = 8192;
/// The room for what the last line of a chunk has beyond that, in bytes; it grows where that is not enough.
const CHUNK_SPARE: usize = 256;
/// A chunk is closed when it holds this many lines.
const CHUNK_LINES: usize = 256;
/// The memory that a line may take on average, in bytes; beyond that the oldest go early. A full line of 80 columns
/// takes 85; one where every cell has another palette colour about 500.
const LINE_BYTES: usize = 240;
/// What one history may take at the least, in bytes.
const LEAST_BYTES: usize = 64 << 10;
/// The most that one history may take, in bytes: positions of colours must stay unambiguous.
const MAX_BYTES: usize = 128 << 20;
const _: () = assert!(2 * MAX_BYTES as u64 <= HISTORY_POSITIONS);

/// Header: the text goes on in the next line.
const WRAPPED: u8 = 1;
/// Header: there are tokens.
const RICH: u8 = 2;

#[derive(Debug, Default)]
struct Chunk {
    /// The absolute number of its first line.
    first: u64,
    /// The position of its first byte among all bytes that ever were in history.
    position: u64,
    bytes: Vec<u8>,
    /// Where each line begins.
    starts: Vec<u32>,
    /// Clusters that its lines use.
    clusters: Vec<u16>,
    /// The generation under which its last line came in.
    generation: u64,
    /// How many of its lines were wrapped.
    wrapped: u32,
}

impl Chunk {
    /// An empty one that takes the place of this one's memory, if that is what most chunks need.
    fn recycled(mut self) -> Option<Self> {
        self.bytes.clear();
        self.starts.clear();
        self.clusters.clear();
        let usual = (CHUNK_BYTES..=CHUNK_BYTES + CHUNK_SPARE).contains(&self.bytes.capacity());
        (usual && self.clusters.capacity() == 0).then_some(Self {
            bytes: self.bytes,
            starts: self.starts,
            ..Self::default()
        })
    }

    fn heap_bytes(&self) -> usize {
        self.bytes.capacity() + self.starts.capacity() * 4 + self.clusters.capacity() * 2
    }

    /// What counts for the bound.
    fn kept_bytes(&self) -> usize {
        self.bytes.len() + self.starts.len() * 4
    }

    /// The position after its last byte.
    fn end(&self) -> u64 {
        self.position + self.bytes.len() as u64
    }

    fn is_wrapped(&self, number: u64) -> bool {
        self.line(number).is_some_and(|(header, ..)| header & WRAPPED != 0)
    }

    fn line(&self, number: u64) -> Option<(u8, &[u8], u64)> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let start = *self.starts.get(at)? as usize;
        let end = self.starts.get(at + 1).map_or(self.bytes.len(), |end| *end as usize);
        let (header, text) = self.bytes.get(start..end)?.split_first()?;
        Some((*header, text, self.position + start as u64 + 1))
    }
}

/// Lines that left the screen.
#[derive(Debug)]
pub(super) struct History {
    /// Those that are full, oldest first. The first one holds the oldest line.
    chunks: VecDeque<Chunk>,
    /// The one that lines are added to.
    open: Chunk,
    /// One that was dropped: its memory is for the next. A history that is full then needs no more.
    spare: Option<Chunk>,
    /// The oldest line that is kept.
    first: u64,
    /// The number of the next line.
    next: u64,
    /// How many of the lines that are kept end a text, rather than go on in the next line.
    ended: u64,
    /// How many of those are kept. A text that was wrapped counts once, however narrow the screen is made.
    limit: u64,
    /// The sum of what the full chunks keep.
    bytes: usize,
    byte_limit: usize,
}

impl History {
    pub(super) fn new(lines: usize) -> Self {
        Self::starting_at(lines as u64, 0)
    }

    /// An empty one of the same bounds whose first line will be number `first`.
    pub(super) fn like(&self, first: u64) -> Self {
        Self::starting_at(self.limit, first)
    }

    fn starting_at(limit: u64, first: u64) -> Self {
        let lines = usize::try_from(limit).unwrap_or(usize::MAX);
        let byte_limit = lines.saturating_mul(LINE_BYTES).clamp(LEAST_BYTES, MAX_BYTES);
        let open = Chunk { first, ..Chunk::default() };
        Self {
            chunks: VecDeque::new(),
            open,
            spare: None,
            first,
            next: first,
            ended: 0,
            limit,
            bytes: 0,
            byte_limit,
        }
    }

    /// The oldest line.
    pub(super) const fn first(&self) -> u64 {
        self.first
    }

    /// The number of the next line.
    pub(super) const fn next(&self) -> u64 {
        self.next
    }

    /// The bytes that it holds on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        let chunks = self.chunks.iter().chain([&self.open]).chain(&self.spare);
        self.chunks.capacity() * size_of::<Chunk>() + chunks.map(Chunk::heap_bytes).sum::<usize>()
    }

    /// Forgets every line; numbers go on.
    pub(super) fn clear(&mut self) {
        self.chunks = VecDeque::new();
        self.spare = None;
        let position = self.open.end();
        self.open = Chunk { first: self.next, position, ..Chunk::default() };
        self.bytes = 0;
        self.ended = 0;
        self.first = self.next;
    }

    /// Begins a line and says where to write it; nothing where none is kept.
    #[inline]
    fn begin(&mut self, generation: u64) -> Option<&mut Chunk> {
        if self.limit == 0 {
            self.next += 1;
            self.first = self.next;
            return None;
        }
        if self.open.bytes.len() >= CHUNK_BYTES || self.open.starts.len() >= CHUNK_LINES {
            self.next_chunk();
        }
        let chunk = &mut self.open;
        chunk.starts.push(u32::try_from(chunk.bytes.len()).unwrap_or(u32::MAX));
        chunk.generation = generation;
        Some(chunk)
    }

    /// Counts the line that was begun, and drops the oldest if that is one too many.
    #[inline]
    fn finish(&mut self, wrapped: bool) {
        self.next += 1;
        if wrapped {
            self.open.wrapped += 1;
        } else {
            self.ended += 1;
            if self.ended > self.limit {
                self.drop_oldest();
            }
        }
    }

    /// Drops the oldest lines up to the first that ends a text.
    #[inline]
    fn drop_oldest(&mut self) {
        while self.first < self.next {
            let chunk = self.chunks.front().unwrap_or(&self.open);
            let wrapped = chunk.wrapped > 0 && chunk.is_wrapped(self.first);
            self.first += 1;
            if self.first >= chunk.first + chunk.starts.len() as u64 && !self.chunks.is_empty() {
                self.drop_chunk();
            }
            if !wrapped {
                self.ended -= 1;
                return;
            }
        }
    }

    /// Takes a line of printable ASCII in the default style.
    #[inline]
    pub(super) fn push_ascii(&mut self, text: &[u8], generation: u64) {
        if let Some(chunk) = self.begin(generation) {
            let blanks = text.iter().rev().take_while(|byte| **byte == b' ').count();
            chunk.bytes.push(0);
            chunk.bytes.extend_from_slice(&text[..text.len() - blanks]);
            self.finish(false);
        }
    }

    /// Takes a line. `cells` may end before the line does; the rest is blank.
    #[inline]
    pub(super) fn push(&mut self, cells: &[Cell], wrapped: bool, colours: Colours<'_>, generation: u64) {
        let Some(chunk) = self.begin(generation) else { return };
        let header = if wrapped { WRAPPED } else { 0 };
        // Blanks at the end of a row that goes on are part of the text.
        let cells = match cells.split_last() {
            Some((last, before)) if wrapped && *last == Cell::filler(Look::default()) => before,
            _ if wrapped => cells,
            _ => &cells[..trimmed(cells)],
        };
        // All other bits of a plain cell are 0.
        if cells.iter().fold(0, |all, cell| all | cell.bits()) < 0x80 {
            chunk.bytes.push(header);
            let (eights, rest) = cells.as_chunks::<8>();
            let text = chunk.bytes.len();
            chunk.bytes.resize(text + cells.len(), 0);
            let (to_eights, to_rest) = chunk.bytes[text..].as_chunks_mut::<8>();
            for (to, from) in to_eights.iter_mut().zip(eights) {
                *to = low_bytes(from);
            }
            for (to, from) in to_rest.iter_mut().zip(rest) {
                [*to] = low_bytes(&[*from]);
            }
        } else {
            chunk.bytes.push(header | RICH);
            Packer { bytes: &mut chunk.bytes, clusters: &mut chunk.clusters, colours }.pack(cells);
        }
        self.finish(wrapped);
    }

    /// Takes a line as another history packed it.
    pub(super) fn push_packed(&mut self, line: PackedLine<'_>, generation: u64) {
        let Some(chunk) = self.begin(generation) else { return };
        chunk.bytes.push(line.header);
        chunk.bytes.extend_from_slice(line.text);
        if line.header & RICH != 0 {
            note_clusters(line.text, &mut chunk.clusters);
        }
        self.finish(line.header & WRAPPED != 0);
    }

    /// A line as it is packed.
    pub(super) fn packed(&self, number: u64) -> Option<PackedLine<'_>> {
        let (header, text, _) = self.chunk(number)?.line(number)?;
        Some(PackedLine { header, text })
    }

    /// Forgets the newest line; its number will be used again.
    pub(super) fn pop(&mut self) {
        if self.next == self.first {
            return;
        }
        if self.open.starts.is_empty()
            && let Some(last) = self.chunks.pop_back()
        {
            self.bytes -= last.kept_bytes();
            self.open = last;
        }
        let wrapped = self.is_wrapped(self.next - 1);
        if let Some(start) = self.open.starts.pop() {
            self.open.bytes.truncate(start as usize);
            self.next -= 1;
            self.ended -= u64::from(!wrapped);
            self.open.wrapped -= u32::from(wrapped);
        }
    }

    /// True when the text of a line goes on in the next one.
    pub(super) fn is_wrapped(&self, number: u64) -> bool {
        self.packed(number).is_some_and(|line| line.header & WRAPPED != 0)
    }

    /// Closes the open chunk, and drops old ones while there are too many bytes.
    #[cold]
    fn next_chunk(&mut self) {
        // The first chunk grows as it is needed, because most consoles say little; further ones will be filled.
        let spare = self.spare.take().unwrap_or_else(|| Chunk {
            bytes: Vec::with_capacity(CHUNK_BYTES + CHUNK_SPARE),
            ..Chunk::default()
        });
        let next = Chunk { first: self.next, position: self.open.end(), ..spare };
        let mut full = std::mem::replace(&mut self.open, next);
        // What is left of the spare room is not worth a move.
        if full.bytes.capacity() > full.bytes.len() + CHUNK_SPARE {
            full.bytes.shrink_to_fit();
        }
        full.starts.shrink_to_fit();
        full.clusters.shrink_to_fit();
        self.bytes += full.kept_bytes();
        self.chunks.push_back(full);
        while self.bytes > self.byte_limit && !self.chunks.is_empty() {
            let after = self.chunks.get(1).unwrap_or(&self.open).first;
            let ends = (self.first..after).filter(|line| !self.is_wrapped(*line)).count();
            self.ended -= ends as u64;
            self.first = self.first.max(after);
            self.drop_chunk();
        }
    }

    fn drop_chunk(&mut self) {
        if let Some(oldest) = self.chunks.pop_front() {
            self.bytes -= oldest.kept_bytes();
            self.spare = oldest.recycled().or(self.spare.take());
        }
    }

    fn chunk(&self, number: u64) -> Option<&Chunk> {
        if number < self.first || number >= self.next {
            return None;
        }
        if number >= self.open.first {
            return Some(&self.open);
        }
        let after = self.chunks.partition_point(|chunk| chunk.first <= number);
        self.chunks.get(after.checked_sub(1)?)
    }

    /// A generation at or after which line `number` has not changed any more, if it is in history.
    pub(super) fn settled(&self, number: u64) -> Option<u64> {
        self.chunk(number).map(|chunk| chunk.generation)
    }

    /// Appends the cells of a line to `out`, as many as it has, and says whether its text goes on in the next line;
    /// `None` when the line is not kept.
    pub(super) fn unpack(&self, number: u64, out: &mut Vec<Cell>) -> Option<bool> {
        let (header, text, position) = self.chunk(number)?.line(number)?;
        if header & RICH == 0 {
            out.extend(text.iter().map(|byte| Cell::ascii(*byte, Look::default())));
        } else {
            unpack(text, position, out);
        }
        Some(header & WRAPPED != 0)
    }

    /// The colours that stand at a position modulo 2^28.
    pub(super) fn colours(&self, position: u32) -> Option<InkPair> {
        let base = self.chunks.front().unwrap_or(&self.open).position;
        let offset = (u64::from(position)).wrapping_sub(base) % HISTORY_POSITIONS;
        let chunk = if base + offset >= self.open.position {
            &self.open
        } else {
            let after = self.chunks.partition_point(|chunk| chunk.position - base <= offset);
            self.chunks.get(after.checked_sub(1)?)?
        };
        let start = usize::try_from(base + offset - chunk.position).ok()?;
        let (colours, _) = chunk.bytes.get(start..)?.split_first_chunk::<8>()?;
        let [f0, f1, f2, f3, b0, b1, b2, b3] = *colours;
        Some(InkPair {
            foreground: Ink::from_bytes([f0, f1, f2, f3]),
            background: Ink::from_bytes([b0, b1, b2, b3]),
        })
    }

    /// Marks the clusters that its lines use.
    pub(super) fn mark_clusters(&self, marks: &mut Marks) {
        for number in self.chunks.iter().chain([&self.open]).flat_map(|chunk| &chunk.clusters) {
            marks.mark(u32::from(*number));
        }
    }
}

/// How many cells are left without the blanks at the end.
#[inline]
fn trimmed(cells: &[Cell]) -> usize {
    cells.iter().rposition(|cell| *cell != Cell::BLANK).map_or(0, |last| last + 1)
}

/// A line as it is packed.
#[derive(Debug, Clone, Copy)]
pub(super) struct PackedLine<'a> {
    header: u8,
    text: &'a [u8],
}

impl PackedLine<'_> {
    /// True when its text goes on in the next line.
    pub(super) const fn is_wrapped(self) -> bool {
        self.header & WRAPPED != 0
    }

    /// The cells that it takes at the most; as many as it has bytes, unless it is repeated or wide ones.
    pub(super) const fn plain_columns(self) -> Option<usize> {
        if self.header & RICH == 0 { Some(self.text.len()) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::cell::{Attributes, LookColours};
    use crate::terminal::intern::Interned;
    use crate::terminal::intern::Interner;
    use crate::terminal::tables::ClusterKey;

    fn pairs() -> (Interner<InkPair>, Look) {
        let mut pairs = Interner::new(16);
        let pair = InkPair { foreground: Ink::rgb(0x0012_3456), background: Ink::indexed(9) };
        let Interned::Number(number) = pairs.intern(pair) else { panic!("full") };
        (pairs, Look::from_pair(Attributes(Attributes::BOLD), number))
    }

    fn colours_of(pairs: &Interner<InkPair>) -> Colours<'_> {
        Colours { pairs, history: None }
    }

    fn ascii(text: &str) -> Vec<Cell> {
        text.bytes().map(|b| Cell::ascii(b, Look::default())).collect()
    }

    #[test]
    fn every_kind_of_cell_comes_back() {
        let (pairs, colours) = pairs();
        let red = Look::from_inks(Attributes(Attributes::UNDERLINE), Ink::indexed(1), Ink::DEFAULT).unwrap();
        let mut cells = ascii("plain ");
        cells.push(Cell::character('é', false, red));
        cells.extend([Cell::character('漢', true, red), Cell::tail(red)]);
        cells.extend([
            Cell::cluster(7, true, colours),
            Cell::tail(colours),
            Cell::cluster(300, false, colours),
        ]);
        cells.extend([Cell::blank(red); 30]);
        cells.extend(ascii("end"));
        let mut history = History::new(10);
        history.push(&cells, true, colours_of(&pairs), 5);
        let mut out = Vec::new();
        assert_eq!(history.unpack(0, &mut out), Some(true));
        assert_eq!(out.len(), cells.len());
        for (have, wanted) in out.iter().zip(&cells) {
            assert_eq!((have.glyph(), have.width()), (wanted.glyph(), wanted.width()));
            assert_eq!(have.look().attributes(), wanted.look().attributes());
            if let LookColours::History(position) = have.look().colours() {
                let pair = InkPair { foreground: Ink::rgb(0x0012_3456), background: Ink::indexed(9) };
                assert_eq!(history.colours(position), Some(pair));
                assert_eq!(wanted.look(), colours);
            } else {
                assert_eq!(have.look(), wanted.look());
            }
        }
        let mut used = Interner::<ClusterKey>::new(1000).marks();
        history.mark_clusters(&mut used);
        assert_eq!(history.open.clusters, [7, 300]);
        assert_eq!(history.settled(0), Some(5));
    }

    #[test]
    fn lines_are_numbered_for_ever_and_trimmed_exactly() {
        let (pairs, _) = pairs();
        let mut history = History::new(1000);
        for number in 0..5000u64 {
            history.push(&ascii(&format!("{number}   ")), false, colours_of(&pairs), number);
        }
        assert_eq!((history.first(), history.next()), (4000, 5000));
        let mut out = Vec::new();
        assert_eq!(history.unpack(3999, &mut out), None);
        assert_eq!(history.unpack(5000, &mut out), None);
        for number in 4000..5000u64 {
            out.clear();
            assert_eq!(history.unpack(number, &mut out), Some(false));
            assert_eq!(out, ascii(&number.to_string()));
        }
        assert!(history.heap_bytes() < 48 << 10, "{}", history.heap_bytes());
        history.clear();
        assert_eq!((history.first(), history.next(), history.bytes), (5000, 5000, 0));
    }

    #[test]
    fn bytes_are_bounded_whatever_the_lines_hold() {
        let mut pairs = Interner::new(4096);
        let mut history = History::new(100);
        let cells: Vec<_> = (0..1000u32)
            .map(|n| {
                let pair = InkPair { foreground: Ink::rgb(n), background: Ink::rgb(n * 7) };
                let Interned::Number(number) = pairs.intern(pair) else { panic!("full") };
                Cell::character(
                    '\u{10ffff}',
                    false,
                    Look::from_pair(Attributes(u16::try_from(n).unwrap() & 0x3ff), number),
                )
            })
            .collect();
        let mut out = Vec::new();
        for number in 0..500 {
            history.push(&cells, false, colours_of(&pairs), 1);
            out.clear();
            assert_eq!(history.unpack(number, &mut out), Some(false));
            let LookColours::History(position) = out[999].look().colours() else { panic!("not in history") };
            let pair = InkPair { foreground: Ink::rgb(999), background: Ink::rgb(999 * 7) };
            assert_eq!(history.colours(position), Some(pair));
        }
        assert!(history.heap_bytes() <= 100 * LINE_BYTES + (64 << 10), "{}", history.heap_bytes());
        assert_eq!(history.next() - history.first(), history.chunks.len() as u64 + 1);
    }

    #[test]
    fn no_history_is_kept_when_none_is_wanted() {
        let (pairs, _) = pairs();
        let mut history = History::new(0);
        history.push(&ascii("x"), false, colours_of(&pairs), 1);
        assert_eq!((history.first(), history.next(), history.heap_bytes()), (1, 1, 0));
    }
}
