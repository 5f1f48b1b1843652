//! The console ring: one page shared with the guest (Xen `xen/include/public/io/console.h`).
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | 1024 | `in`: what is typed, written by us |
//! | 1024 | 2048 | `out`: guest output, read by us |
//! | 3072, 3076 | 4, 4 | `in_cons`, `in_prod` |
//! | 3080, 3084 | 4, 4 | `out_cons`, `out_prod` |
//! | 3088 | 1 | `connection`: 0 when a backend is there (since Xen 4.21) |
//!
//! Indices run freely and wrap at 2³²; a byte's slot is its index modulo the size of its ring. The guest can write
//! every byte of the page at any moment: each index is read once and checked, and nothing in the page is ever borrowed.
#![expect(unsafe_code, reason = "the page is shared with the guest and never a Rust reference")]

use std::collections::VecDeque;
use std::fmt::Debug;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::xen::sys::gntdev::GrantedPage;
use crate::xen::sys::mapping::Mapping;

/// The size of the ring towards the guest, in bytes.
pub const IN_SIZE: u32 = 1024;
/// The size of the ring from the guest, in bytes.
pub const OUT_SIZE: u32 = 2048;

const OUT: usize = 1024;
const IN_CONS: usize = 3072;
const IN_PROD: usize = 3076;
const OUT_CONS: usize = 3080;
const OUT_PROD: usize = 3084;
const CONNECTION: usize = 3088;

/// Who keeps the page mapped: a grant, or in tests an ordinary mapping.
pub trait Page: Send + Debug {
    /// The page. The same one each time.
    fn mapping(&self) -> &Mapping;
}

impl Page for GrantedPage {
    fn mapping(&self) -> &Mapping {
        self.mapping()
    }
}

impl Page for Mapping {
    fn mapping(&self) -> &Mapping {
        self
    }
}

/// The backend's end of a console ring.
#[derive(Debug)]
pub struct Ring(Box<dyn Page>);

/// Guest output that lies in the ring: `length` bytes from the free-running index `start`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pending {
    /// The index of the first byte.
    pub start: u32,
    /// At most [`OUT_SIZE`].
    pub length: u32,
}

impl Ring {
    /// Takes the page and tells the guest that somebody listens.
    #[must_use]
    pub fn new(page: Box<dyn Page>) -> Self {
        let ring = Self(page);
        ring.write(CONNECTION, 0);
        ring
    }

    /// What the guest has written and nobody consumed. Indices that make no sense are as good as none.
    #[must_use]
    pub fn pending(&self) -> Pending {
        // The producer is loaded after the consumer, and the bytes after both.
        let start = self.index(OUT_CONS).load(Ordering::Acquire);
        let length = self.index(OUT_PROD).load(Ordering::Acquire).wrapping_sub(start);
        Pending { start, length: if length > OUT_SIZE { 0 } else { length } }
    }

    /// Appends the bytes of `pending` without what comes before its first `skip`. The guest may change them meanwhile;
    /// then they are other bytes, no more.
    pub fn copy(&self, pending: Pending, skip: u32, out: &mut Vec<u8>) {
        let length = pending.length.min(OUT_SIZE);
        out.reserve(length.saturating_sub(skip) as usize);
        let mut at = skip;
        while at < length {
            let slot = OUT + (pending.start.wrapping_add(at) % OUT_SIZE) as usize;
            if slot.is_multiple_of(8) && length - at >= 8 {
                out.extend_from_slice(&self.read_word(slot).to_ne_bytes());
                at += 8;
            } else {
                out.push(self.read(slot));
                at += 1;
            }
        }
    }

    /// Gives the room up to `index` back to the guest, which wants an event then.
    pub fn consume(&self, index: u32) {
        self.index(OUT_CONS).store(index, Ordering::Release);
    }

    /// Moves bytes from `input` to the guest, as many as it has room for, and says how many; it wants an event then.
    pub fn produce(&self, input: &mut VecDeque<u8>) -> u32 {
        let consumed = self.index(IN_CONS).load(Ordering::Acquire);
        let start = self.index(IN_PROD).load(Ordering::Acquire);
        // Indices that make no sense leave no room.
        let room = IN_SIZE.saturating_sub(start.wrapping_sub(consumed));
        let count = room.min(u32::try_from(input.len()).unwrap_or(u32::MAX));
        for (index, byte) in (0..count).zip(input.drain(..count as usize)) {
            self.write((start.wrapping_add(index) % IN_SIZE) as usize, byte);
        }
        if count > 0 {
            self.index(IN_PROD).store(start.wrapping_add(count), Ordering::Release);
        }
        count
    }

    fn index(&self, offset: usize) -> &AtomicU32 {
        assert!(matches!(offset, IN_CONS | IN_PROD | OUT_CONS | OUT_PROD));
        // SAFETY: the offset is one of four in the page that are multiples of 4, and the page stays mapped as long as
        // `self`. All accesses of ours to these four bytes are atomic; the guest's are its CPU's.
        unsafe { AtomicU32::from_ptr(self.0.mapping().address().as_ptr().add(offset).cast()) }
    }

    fn read(&self, offset: usize) -> u8 {
        assert!(offset < IN_CONS);
        // SAFETY: the offset lies in the page, which stays mapped as long as `self`; a volatile read of one byte is
        // whatever the guest left there.
        unsafe { self.0.mapping().address().add(offset).read_volatile() }
    }

    fn read_word(&self, offset: usize) -> u64 {
        assert!(offset.is_multiple_of(8) && offset < IN_CONS);
        // SAFETY: as in `read`; the page is aligned to its size, so an offset that is a multiple of 8 is aligned, and
        // the eight bytes from it end at or before `IN_CONS`.
        unsafe { self.0.mapping().address().add(offset).cast::<u64>().read_volatile() }
    }

    fn write(&self, offset: usize, byte: u8) {
        assert!(offset < OUT || offset == CONNECTION);
        // SAFETY: the offset lies in the page, which stays mapped as long as `self`; nothing of ours borrows it.
        unsafe { self.0.mapping().address().add(offset).write_volatile(byte) }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::fs::FileExt;

    use nix::sys::memfd::{MFdFlags, memfd_create};
    use proptest::prelude::*;

    use super::*;

    /// A ring whose other end is a file: what the guest does to it needs no pointer.
    fn ring() -> (std::fs::File, Ring) {
        let page = std::fs::File::from(memfd_create("ring", MFdFlags::MFD_CLOEXEC).expect("a memfd"));
        page.set_len(4096).expect("a page");
        page.write_all_at(&[1], CONNECTION as u64).expect("connection");
        let mapping = Mapping::new(page.as_fd(), 0).expect("a mapping");
        (page, Ring::new(Box::new(mapping)))
    }

    fn set(page: &std::fs::File, offset: usize, value: u32) {
        page.write_all_at(&value.to_ne_bytes(), offset as u64).expect("write");
    }

    fn get(page: &std::fs::File, offset: usize) -> u32 {
        let mut bytes = [0; 4];
        page.read_exact_at(&mut bytes, offset as u64).expect("read");
        u32::from_ne_bytes(bytes)
    }

    #[test]
    fn page_has_the_layout_of_the_header() {
        let (page, ring) = ring();
        let mut connection = [9];
        page.read_exact_at(&mut connection, 3088).expect("read");
        assert_eq!(connection, [0], "connected");
        page.write_all_at(b"hello", 1024 + 2046).expect("write");
        page.write_all_at(b"llo", 1024).expect("write");
        set(&page, 3080, 2046);
        set(&page, 3084, 2051);
        let pending = ring.pending();
        assert_eq!(pending, Pending { start: 2046, length: 5 });
        let mut out = Vec::new();
        ring.copy(pending, 0, &mut out);
        assert_eq!(out, b"hello");
        ring.consume(2051);
        assert_eq!(get(&page, 3080), 2051);

        set(&page, 3072, 1020);
        set(&page, 3076, 1022);
        let mut input = VecDeque::from(*b"typed");
        assert_eq!(ring.produce(&mut input), 5);
        assert_eq!((get(&page, 3076), input.len()), (1027, 0));
        let mut typed = [0; 5];
        page.read_exact_at(&mut typed[..2], 1022).expect("read");
        page.read_exact_at(&mut typed[2..], 0).expect("read");
        assert_eq!(&typed, b"typed");
    }

    /// Values at which indices and their differences turn over, and any others.
    fn index() -> impl Strategy<Value = u32> {
        prop_oneof![
            any::<u32>(),
            (0u32..4200).prop_map(|near| near.wrapping_sub(2100)),
            (0u32..4200).prop_map(|near| 0x8000_0000u32.wrapping_add(near).wrapping_sub(2100)),
        ]
    }

    proptest! {
        #[test]
        fn output_is_what_lies_between_the_indices_or_nothing(
            contents in prop::collection::vec(any::<u8>(), 2048),
            (cons, prod, skip) in (index(), index(), 0u32..3000)
        ) {
            let (page, ring) = ring();
            page.write_all_at(&contents, 1024).expect("write");
            set(&page, OUT_CONS, cons);
            set(&page, OUT_PROD, prod);
            let pending = ring.pending();
            let length = prod.wrapping_sub(cons);
            prop_assert_eq!(pending.length, if length > OUT_SIZE { 0 } else { length });
            let mut out = Vec::new();
            ring.copy(pending, skip, &mut out);
            let wanted: Vec<u8> = (skip..pending.length)
                .map(|at| contents[(cons.wrapping_add(at) % 2048) as usize])
                .collect();
            prop_assert_eq!(out, wanted);
        }

        #[test]
        fn input_goes_where_there_is_room_or_nowhere(
            (cons, prod, count) in (index(), index(), 0usize..3000)
        ) {
            let (page, ring) = ring();
            set(&page, IN_CONS, cons);
            set(&page, IN_PROD, prod);
            let mut input: VecDeque<u8> = (0..count).map(|index| index.to_le_bytes()[0]).collect();
            let taken = ring.produce(&mut input);
            let used = prod.wrapping_sub(cons);
            let room = IN_SIZE.saturating_sub(used);
            prop_assert_eq!(taken as usize, count.min(room as usize));
            prop_assert_eq!(input.len(), count - taken as usize);
            prop_assert_eq!(get(&page, IN_PROD), prod.wrapping_add(taken));
            let mut outside = [0; 2048];
            page.read_exact_at(&mut outside, 1024).expect("read");
            prop_assert!(outside == [0; 2048], "nothing beside its own ring is written");
        }
    }
}
