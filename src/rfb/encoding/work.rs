//! Memory and questions that several encoders share: which values occur in a tile, and how often they change.

/// The most values that a tile's palette may have in any encoding (ZRLE's palette RLE).
pub(super) const PALETTE: usize = 127;

/// Slots of the hash table: a power of two, at least twice the palette.
const SLOTS: usize = 256;

/// A free slot.
const FREE: u8 = u8::MAX;

/// Memory reused from tile to tile.
pub(super) struct Work {
    /// The tile's wire values, one a pixel, when it is not simpler than that.
    pub(super) values: Vec<u32>,
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
            palette: Vec::new(),
            indices: Vec::new(),
            packed: Vec::new(),
            slots: Box::new([FREE; SLOTS]),
        }
    }
}

impl Work {
    /// Makes `palette` and `indices` from `values`. False when there are more than `limit` values; both are
    /// useless then. `limit` is at most [`PALETTE`].
    pub(super) fn find_palette(&mut self, limit: usize) -> bool {
        self.palette.clear();
        self.indices.clear();
        self.slots.fill(FREE);
        let (mut last, mut last_index) = (None, 0);
        for &value in &self.values {
            if last != Some(value) {
                let Some(index) = find(&mut self.palette, &mut self.slots, value, limit) else {
                    return false;
                };
                (last, last_index) = (Some(value), index);
            }
            self.indices.push(last_index);
        }
        true
    }
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
    fn runs_end_where_the_item_changes() {
        assert_eq!(runs(&[1, 1, 2, 1]).collect::<Vec<_>>(), [(1, 2), (2, 1), (1, 1)]);
        assert_eq!(runs::<u8>(&[]).count(), 0);
    }
}
