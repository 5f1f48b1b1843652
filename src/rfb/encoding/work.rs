//! Memory and questions that several encoders share: which values occur in a tile, and how often they change.

/// The most values that a tile's palette may have in any encoding (ZRLE's palette RLE).
pub(super) const PALETTE: usize = 127;

/// Slots of the hash table: a power of two, at least twice the palette.
const SLOTS: usize = 256;

/// A free slot.
const FREE: u8 = u8::MAX;

/// What a tile is, found in [`Work::values`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// One value.
    Solid(u32),
    /// These two values; [`Work::bits`] has a 1 for each pixel of the second.
    Two([u32; 2]),
    /// As many as were allowed: [`Work::palette`] and [`Work::indices`].
    Few,
    /// More than that.
    Many,
}

/// Memory reused from tile to tile.
pub(super) struct Work {
    /// The tile's wire values, one a pixel, when it is not simpler than that.
    pub(super) values: Vec<u32>,
    /// A bit a pixel, the leftmost most significant; each row starts on a byte, and its last byte ends in zeros.
    pub(super) bits: Vec<u8>,
    /// The tile's palette: wire values.
    pub(super) palette: Vec<u32>,
    /// An index into `palette` for every pixel.
    pub(super) indices: Vec<u8>,
    /// Encoded tiles on their way into the compressor.
    pub(super) packed: Vec<u8>,
    slots: Box<[u8; SLOTS]>,
}

impl Default for Work {
    fn default() -> Self {
        Self {
            values: Vec::new(),
            bits: Vec::new(),
            palette: Vec::new(),
            indices: Vec::new(),
            packed: Vec::new(),
            slots: Box::new([FREE; SLOTS]),
        }
    }
}

impl Work {
    /// The simplest form of `values`, rows of `width`. Few are at most `limit`, which is at most [`PALETTE`].
    pub(super) fn classify(&mut self, width: usize, limit: usize) -> Form {
        let Some(&first) = self.values.first() else { return Form::Few };
        let Some(second) = find_other(&self.values, first) else { return Form::Solid(first) };
        if self.find_bits(width, [first, second]) {
            return Form::Two([first, second]);
        }
        if self.find_palette(limit) { Form::Few } else { Form::Many }
    }

    /// Makes `bits`. False when there is a third value; `bits` is useless then.
    fn find_bits(&mut self, width: usize, [first, second]: [u32; 2]) -> bool {
        self.bits.clear();
        for row in self.values.chunks(width.max(1)) {
            let (groups, rest) = row.as_chunks::<8>();
            let mut third = false;
            for group in groups {
                // Written so that all eight are looked at at once.
                let differs = group.map(|value| u8::from(value != first));
                let fails = group.map(|value| u8::from(value != first) & u8::from(value != second));
                third |= u64::from_le_bytes(fails) != 0;
                self.bits.push(gather(differs));
            }
            if !rest.is_empty() {
                let byte = rest.iter().fold(0, |byte, value| byte << 1 | u8::from(*value != first));
                third |= rest.iter().any(|value| *value != first && *value != second);
                self.bits.push(byte << (8 - rest.len()));
            }
            if third {
                return false;
            }
        }
        true
    }

    /// Makes `palette` and `indices` from `values`. False when there are more than `limit` values; both are
    /// useless then. `limit` is at most [`PALETTE`].
    pub(super) fn find_palette(&mut self, limit: usize) -> bool {
        self.palette.clear();
        self.indices.clear();
        let Some(&first) = self.values.first() else { return true };
        self.slots.fill(FREE);
        self.indices.resize(self.values.len(), 0);
        // Not the first value, so that it is looked up.
        let (mut last, mut last_index) = (!first, 0);
        for (to, &value) in self.indices.iter_mut().zip(&self.values) {
            if last != value {
                let Some(index) = find(&mut self.palette, &mut self.slots, value, limit) else {
                    return false;
                };
                (last, last_index) = (value, index);
            }
            *to = last_index;
        }
        true
    }
}

/// The first value that is not `first`.
fn find_other(values: &[u32], first: u32) -> Option<u32> {
    // A group is looked at as a whole, which is faster than one value after the other.
    values
        .chunks(32)
        .find(|group| group.iter().fold(0, |bits, value| bits | value ^ first) != 0)
        .and_then(|group| group.iter().copied().find(|value| *value != first))
}

/// The lowest bits of eight bytes as one byte, the first byte's most significant.
fn gather(bytes: [u8; 8]) -> u8 {
    // The product has a sum of distinct bits in each place of its highest byte: nothing is carried.
    u64::from_be_bytes(bytes).wrapping_mul(0x0102_0408_1020_4080).to_be_bytes()[0]
}

/// The index of `value`, which is appended when it is new; `None` when there is no room.
fn find(palette: &mut Vec<u32>, slots: &mut [u8; SLOTS], value: u32, limit: usize) -> Option<u8> {
    let mut slot = value.wrapping_mul(0x9e37_79b1).to_be_bytes()[0];
    loop {
        let index = slots[usize::from(slot)];
        match palette.get(usize::from(index)) {
            Some(known) if *known == value => return Some(index),
            Some(_) => slot = slot.wrapping_add(1),
            None => {
                let index = u8::try_from(palette.len()).ok().filter(|_| palette.len() < limit)?;
                slots[usize::from(slot)] = index;
                palette.push(value);
                return Some(index);
            }
        }
    }
}

/// How often neighbours differ, and how many items differ from both of theirs; the ends have one.
pub(super) fn count_changes(items: &[u8]) -> (usize, usize) {
    let (mut changes, mut alone) = (0, 0);
    let (first, second, third) =
        (items, items.get(1..).unwrap_or_default(), items.get(2..).unwrap_or_default());
    // Sums of so few fit into a byte, and many bytes are added at once.
    for ((one, two), three) in
        first.chunks(128).zip(second.chunks(128)).zip(third.chunks(128).chain(std::iter::once(&[][..])))
    {
        changes += usize::from(one.iter().zip(two).map(|(a, b)| u8::from(a != b)).sum::<u8>());
        let lonely = one.iter().zip(two).zip(three).map(|((a, b), c)| u8::from(a != b) & u8::from(b != c));
        alone += usize::from(lonely.sum::<u8>());
    }
    (changes, alone)
}

/// The lengths of the runs of equal items, in order, with the item.
pub(super) fn runs<T: PartialEq + Copy>(items: &[T]) -> impl Iterator<Item = (T, usize)> {
    items.chunk_by(|a, b| a == b).filter_map(|run| Some((*run.first()?, run.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_palette_has_each_value_once() {
        let mut work = Work::default();
        work.values.extend((0..5000u32).map(|i| (i * 7919) % 127 * 0x0001_0101));
        assert!(work.find_palette(PALETTE));
        assert_eq!(work.palette.len(), 127);
        for (value, index) in work.values.iter().zip(&work.indices) {
            assert_eq!(work.palette[usize::from(*index)], *value);
        }
        work.values.push(u32::MAX);
        assert!(!work.find_palette(PALETTE));
        assert!(!work.find_palette(2));
    }

    #[test]
    fn a_tile_is_as_simple_as_its_values() {
        let mut work = Work::default();
        for width in 1..=64usize {
            for height in [1, 3, 64] {
                work.values.clear();
                work.values.resize(width * height, 9);
                assert_eq!(work.classify(width, PALETTE), Form::Solid(9));
                if width * height < 3 {
                    continue;
                }
                // A bit here and there.
                let set = |at: usize| at * 7 % 11 < 4 && at > 0 || at == width * height - 1;
                (0..width * height).for_each(|at| work.values[at] = if set(at) { 5 } else { 9 });
                assert_eq!(work.classify(width, PALETTE), Form::Two([9, 5]));
                let stride = width.div_ceil(8);
                assert_eq!(work.bits.len(), stride * height);
                for y in 0..height {
                    for x in 0..stride * 8 {
                        let bit = work.bits[y * stride + x / 8] >> (7 - x % 8) & 1 == 1;
                        assert_eq!(bit, x < width && set(y * width + x), "{x}, {y} of {width}");
                    }
                }
                work.values[width * height - 2] = 7;
                work.values[width * height - 1] = 5;
                work.values[0] = 9;
                if work.values.contains(&9) && work.values.contains(&5) {
                    assert_eq!(work.classify(width, PALETTE), Form::Few);
                    assert_eq!(work.palette.len(), 3);
                    assert_eq!(work.classify(width, 2), Form::Many);
                }
            }
        }
    }

    #[test]
    fn changes_are_counted_across_groups() {
        for length in [0usize, 1, 2, 3, 127, 128, 129, 130, 256, 257, 258, 1000] {
            let items: Vec<u8> =
                (0..length).map(|at| u8::try_from(at * at % 7 / 3).expect("small")).collect();
            let changes = items.windows(2).filter(|pair| pair[0] != pair[1]).count();
            let alone = items.windows(3).filter(|three| three[0] != three[1] && three[1] != three[2]).count();
            assert_eq!(count_changes(&items), (changes, alone), "{length}");
        }
    }

    #[test]
    fn runs_end_where_the_item_changes() {
        assert_eq!(runs(&[1, 1, 2, 1]).collect::<Vec<_>>(), [(1, 2), (2, 1), (1, 1)]);
        assert_eq!(runs::<u8>(&[]).count(), 0);
    }
}
