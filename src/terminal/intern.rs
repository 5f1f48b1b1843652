//! A bounded table that gives equal keys equal numbers, so that a cell can name what does not fit into it.
//!
//! Entries are never removed one by one: when the table is full its owner marks what cells still use, and the rest
//! is free again. Where even that finds little, the table refuses new keys for a while, so that a guest that keeps
//! it full cannot make us look at the whole screen for every character.

/// A key: `mix` must spread keys over 64 bits.
pub(super) trait Key: Copy + Eq {
    fn mix(&self) -> u64;
}

/// Spreads the bits of `word` (the finaliser of SplitMix64, shortened).
pub(super) const fn mix64(word: u64) -> u64 {
    let word = (word ^ word >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    word ^ word >> 29
}

/// The table.
#[derive(Debug)]
pub(super) struct Interner<K> {
    entries: Vec<K>,
    /// Open addressing by linear probing; 0 is empty, n + 1 is entry n. Its length is a power of two.
    index: Vec<u32>,
    /// Entries that may be given out anew.
    free: Vec<u32>,
    capacity: u32,
    /// How many new keys are still refused before a collection is worth another try.
    refusals: u32,
}

/// What became of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interned {
    /// Its number.
    Number(u32),
    /// The table is full; a collection may help.
    Full,
    /// The table is full, and was recently found to be full of what is in use.
    Refused,
}

/// Marks of entries in use.
#[derive(Debug)]
pub(super) struct Marks(Vec<u64>);

impl Marks {
    pub(super) fn mark(&mut self, number: u32) {
        if let Some(word) = self.0.get_mut(number as usize / 64) {
            *word |= 1 << (number % 64);
        }
    }

    fn has(&self, number: u32) -> bool {
        self.0.get(number as usize / 64).is_some_and(|word| word >> (number % 64) & 1 != 0)
    }
}

impl<K: Key> Interner<K> {
    /// An empty table that will hold at most `capacity` keys. It allocates nothing.
    pub(super) const fn new(capacity: u32) -> Self {
        Self { entries: Vec::new(), index: Vec::new(), free: Vec::new(), capacity, refusals: 0 }
    }

    /// Lets the table grow to `capacity` keys.
    pub(super) fn grow(&mut self, capacity: u32) {
        self.capacity = self.capacity.max(capacity);
    }

    /// The key of a number, if that was given out.
    pub(super) fn get(&self, number: u32) -> Option<&K> {
        self.entries.get(number as usize)
    }

    /// The number of `key`, which is new unless an equal one is in the table.
    pub(super) fn intern(&mut self, key: K) -> Interned {
        let mut slot = 0;
        if !self.index.is_empty() {
            slot = self.slot(&key);
            if self.index[slot] != 0 {
                return Interned::Number(self.index[slot] - 1);
            }
        }
        let number = if let Some(number) = self.free.pop() {
            self.entries[number as usize] = key;
            number
        } else {
            let number = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
            if number >= self.capacity {
                return match self.refusals.checked_sub(1) {
                    Some(left) => {
                        self.refusals = left;
                        Interned::Refused
                    }
                    None => Interned::Full,
                };
            }
            self.entries.push(key);
            // At most half full, so that probes are short.
            if self.index.len() < self.entries.len() * 2 {
                self.rebuild(|_| true);
                return Interned::Number(number);
            }
            number
        };
        self.index[slot] = number + 1;
        Interned::Number(number)
    }

    /// No marks, for a collection.
    pub(super) fn marks(&self) -> Marks {
        Marks(vec![0; self.entries.len().div_ceil(64)])
    }

    /// Frees every entry that is not marked.
    pub(super) fn collect(&mut self, marks: &Marks) {
        let count = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        self.free = (0..count).filter(|number| !marks.has(*number)).collect();
        // A collection looks at every cell; it has to pay for at least this many characters.
        let worthwhile = self.capacity / 4;
        self.refusals = worthwhile.saturating_sub(u32::try_from(self.free.len()).unwrap_or(u32::MAX));
        self.rebuild(|number| marks.has(number));
    }

    /// A collection is worth trying again: much has just become unused.
    pub(super) const fn retry(&mut self) {
        self.refusals = 0;
    }

    /// Forgets everything and gives the memory back.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.capacity);
    }

    /// The bytes that it holds on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<K>() + (self.index.capacity() + self.free.capacity()) * 4
    }

    /// The slot of the index that names `key`, or the empty one where it belongs. The index must not be empty.
    fn slot(&self, key: &K) -> usize {
        let mask = self.index.len() - 1;
        #[expect(clippy::cast_possible_truncation, reason = "only the low bits are used")]
        let mut slot = key.mix() as usize & mask;
        loop {
            match self.index[slot] {
                0 => return slot,
                number if self.entries[number as usize - 1] == *key => return slot,
                _ => slot = (slot + 1) & mask,
            }
        }
    }

    fn rebuild(&mut self, keep: impl Fn(u32) -> bool) {
        let size = (self.entries.len() * 2).next_power_of_two().max(16);
        self.index.clear();
        self.index.resize(size, 0);
        for (number, key) in (0u32..).zip(&self.entries) {
            if keep(number) {
                let slot = self.slot(key);
                self.index[slot] = number + 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Key for u64 {
        fn mix(&self) -> u64 {
            // A poor one, so that probing is tested.
            *self % 7
        }
    }

    #[test]
    fn equal_keys_have_equal_numbers() {
        let mut table = Interner::new(100);
        let numbers: Vec<_> = (0u64..100).map(|key| table.intern(key)).collect();
        for (key, number) in (0u64..100).zip(numbers) {
            assert_eq!(table.intern(key), number);
            let Interned::Number(number) = number else { panic!("refused") };
            assert_eq!(table.get(number), Some(&key));
        }
    }

    #[test]
    fn a_full_table_asks_for_a_collection_then_refuses_for_a_while() {
        let mut table = Interner::new(64);
        for key in 0u64..64 {
            table.intern(key);
        }
        assert_eq!(table.intern(1000), Interned::Full);
        let mut marks = table.marks();
        for number in 0..63 {
            marks.mark(number);
        }
        table.collect(&marks);
        assert_eq!(table.intern(2000), Interned::Number(63), "the one entry that nobody used");
        assert_eq!(table.intern(5), Interned::Number(5), "those in use are kept");
        for _ in 0..15 {
            assert_eq!(table.intern(3000), Interned::Refused);
        }
        assert_eq!(table.intern(3000), Interned::Full);
    }

    #[test]
    fn a_collected_key_is_gone() {
        let mut table = Interner::new(4);
        for key in 10u64..14 {
            table.intern(key);
        }
        let mut marks = table.marks();
        marks.mark(2);
        table.collect(&marks);
        for key in [20, 21, 22] {
            assert!(matches!(table.intern(key), Interned::Number(0 | 1 | 3)));
        }
        assert_eq!(table.intern(12), Interned::Number(2));
        assert_eq!(table.intern(10), Interned::Full);
    }
}
