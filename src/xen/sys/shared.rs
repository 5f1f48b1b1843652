//! Checked access to memory that somebody else changes at any time.
//!
//! Everything goes by offset, and every offset is checked against the mapping. Nothing is borrowed: indices and flags
//! are accessed atomically, bytes are copied out before they are looked at.

use std::ptr::copy_nonoverlapping;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering, compiler_fence};

use super::mapping::{Access, Mapping};

/// Memory shared with a peer that is not to be trusted.
#[derive(Debug)]
pub struct Shared {
    mapping: Mapping,
}

impl Shared {
    /// Takes a mapping.
    #[must_use]
    pub fn new(mapping: Mapping) -> Self {
        Self { mapping }
    }

    /// The mapping.
    #[must_use]
    pub fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// Bytes there are.
    #[must_use]
    pub fn length(&self) -> usize {
        self.mapping.length()
    }

    /// Reads a number of 32 bits; what was written before it is seen by later reads.
    ///
    /// # Panics
    /// When the offset is not a multiple of 4 within the memory: a mistake of the caller, not of the peer.
    #[must_use]
    pub fn load_u32(&self, offset: usize) -> u32 {
        self.u32(offset).load(Ordering::Acquire)
    }

    /// Writes a number of 32 bits, after everything that was read or written before.
    ///
    /// # Panics
    /// As [`Self::load_u32`], or when the memory is mapped for reading only.
    pub fn store_u32(&self, offset: usize, value: u32) {
        self.check_writable();
        self.u32(offset).store(value, Ordering::Release);
    }

    /// Reads one byte, as [`Self::load_u32`].
    ///
    /// # Panics
    /// When the offset is not within the memory.
    #[must_use]
    pub fn load_u8(&self, offset: usize) -> u8 {
        self.u8(offset).load(Ordering::Acquire)
    }

    /// Writes one byte, as [`Self::store_u32`].
    ///
    /// # Panics
    /// When the offset is not within the memory, or that is mapped for reading only.
    pub fn store_u8(&self, offset: usize, value: u8) {
        self.check_writable();
        self.u8(offset).store(value, Ordering::Release);
    }

    /// Sets bits of a byte, with a full barrier before and after.
    ///
    /// # Panics
    /// As [`Self::store_u8`].
    pub fn set_bits(&self, offset: usize, bits: u8) {
        self.check_writable();
        std::sync::atomic::fence(Ordering::SeqCst);
        self.u8(offset).fetch_or(bits, Ordering::SeqCst);
        std::sync::atomic::fence(Ordering::SeqCst);
    }

    /// Clears bits of a byte, with a full barrier before and after, and says which of them were set.
    ///
    /// # Panics
    /// As [`Self::store_u8`].
    #[must_use]
    pub fn take_bits(&self, offset: usize, bits: u8) -> u8 {
        self.check_writable();
        std::sync::atomic::fence(Ordering::SeqCst);
        let before = self.u8(offset).fetch_and(!bits, Ordering::SeqCst);
        std::sync::atomic::fence(Ordering::SeqCst);
        before & bits
    }

    /// Copies bytes out. The peer may change them meanwhile; then they are other bytes, no more.
    ///
    /// # Panics
    /// When they are not all within the memory.
    pub fn read(&self, offset: usize, out: &mut [u8]) {
        self.check(offset, out.len());
        // SAFETY: `check` found the source within the mapping, which lives as long as `self`; `out` is ours alone and no
        // part of it, as no reference to shared memory exists. A peer that writes meanwhile is no thread of this
        // program: it can make any of the bytes any byte, and bytes have no invalid values.
        unsafe {
            copy_nonoverlapping(self.mapping.address().add(offset).as_ptr(), out.as_mut_ptr(), out.len())
        };
        // What is looked at later is the copy: the compiler may not think that the source still has the same bytes.
        compiler_fence(Ordering::SeqCst);
    }

    /// Copies bytes in.
    ///
    /// # Panics
    /// When they do not all fit within the memory, or that is mapped for reading only.
    pub fn write(&self, offset: usize, bytes: &[u8]) {
        self.check_writable();
        self.check(offset, bytes.len());
        // SAFETY: `check` found the target within the mapping, which is writable and lives as long as `self`; `bytes` is
        // no part of it, as no reference to shared memory exists. What a peer writes or reads meanwhile only decides
        // which bytes are there in the end.
        unsafe {
            copy_nonoverlapping(bytes.as_ptr(), self.mapping.address().add(offset).as_ptr(), bytes.len())
        };
        compiler_fence(Ordering::SeqCst);
    }

    fn u32(&self, offset: usize) -> &AtomicU32 {
        self.check(offset, size_of::<u32>());
        assert!(offset.is_multiple_of(size_of::<u32>()), "offset {offset} is not a multiple of 4");
        // SAFETY: the four bytes are within the mapping, which lives as long as `self`, and aligned. All accesses of
        // ours to them are atomic; the peer's are its CPU's. An atomic load of read-only memory of 32 bits is a plain
        // load; `check_writable` keeps all others away from such memory.
        unsafe { AtomicU32::from_ptr(self.mapping.address().add(offset).cast().as_ptr()) }
    }

    fn u8(&self, offset: usize) -> &AtomicU8 {
        self.check(offset, 1);
        // SAFETY: as in `u32`; a byte has no alignment.
        unsafe { AtomicU8::from_ptr(self.mapping.address().add(offset).as_ptr()) }
    }

    fn check(&self, offset: usize, count: usize) {
        let length = self.mapping.length();
        assert!(
            offset <= length && count <= length - offset,
            "{count} bytes at {offset} are not within {length}"
        );
    }

    fn check_writable(&self) {
        assert!(self.mapping.access() == Access::ReadWrite, "the memory is mapped for reading only");
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::num::NonZeroUsize;
    use std::os::fd::AsFd;
    use std::os::unix::fs::FileExt;

    use nix::sys::memfd::{MFdFlags, memfd_create};
    use proptest::prelude::*;

    use super::*;

    fn memory(access: Access) -> (File, Shared) {
        let file = File::from(memfd_create("shared", MFdFlags::MFD_CLOEXEC).expect("a memfd"));
        file.set_len(8192).expect("two pages");
        let two = NonZeroUsize::new(2).expect("two");
        let mapping = Mapping::pages(file.as_fd(), 0, two, access).expect("a mapping");
        (file, Shared::new(mapping))
    }

    #[test]
    fn numbers_and_bits_are_where_they_should_be() {
        let (file, shared) = memory(Access::ReadWrite);
        shared.store_u32(8188, 0x0102_0304);
        shared.store_u8(22, 0b0110);
        shared.set_bits(22, 0b0001);
        assert_eq!(shared.take_bits(22, 0b1010), 0b0010);
        assert_eq!(shared.load_u8(22), 0b0101);
        assert_eq!(shared.load_u32(8188), 0x0102_0304);
        let mut bytes = [0; 4];
        file.read_exact_at(&mut bytes, 8188).expect("read");
        assert_eq!(u32::from_ne_bytes(bytes), 0x0102_0304);
    }

    #[test]
    fn what_is_outside_or_not_writable_is_refused() {
        let refused = |access, touch: fn(&Shared)| {
            let (_, shared) = memory(access);
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| touch(&shared))).is_err()
        };
        assert!(refused(Access::ReadWrite, |shared| shared.write(8190, &[1; 3])));
        assert!(refused(Access::ReadWrite, |shared| shared.read(usize::MAX, &mut [0; 2])));
        assert!(refused(Access::ReadWrite, |shared| _ = shared.load_u32(8190)));
        assert!(refused(Access::ReadWrite, |shared| _ = shared.load_u32(6)));
        assert!(refused(Access::Read, |shared| shared.write(0, &[1])));
        assert!(refused(Access::Read, |shared| shared.store_u32(0, 1)));
        assert!(refused(Access::Read, |shared| shared.set_bits(0, 1)));
        assert!(!refused(Access::Read, |shared| _ = shared.load_u32(8188)));
    }

    proptest! {
        #[test]
        fn copies_are_exact_at_any_offset(
            contents in prop::collection::vec(any::<u8>(), 8192),
            bytes in prop::collection::vec(any::<u8>(), 0..100),
            offset in 0usize..8000,
            count in 0usize..192,
        ) {
            let (file, shared) = memory(Access::ReadWrite);
            file.write_all_at(&contents, 0).expect("write");
            let mut out = vec![0; count];
            shared.read(offset, &mut out);
            prop_assert_eq!(&out[..], &contents[offset..offset + count]);
            shared.write(offset, &bytes);
            let mut after = vec![0; 8192];
            file.read_exact_at(&mut after, 0).expect("read");
            let mut wanted = contents;
            wanted[offset..offset + bytes.len()].copy_from_slice(&bytes);
            prop_assert!(after == wanted, "those bytes and no others");
        }
    }
}
