//! Memory shared with somebody who is not to be trusted.

use std::ffi::c_void;
use std::io;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{NonNull, copy_nonoverlapping};
use std::sync::atomic::{Ordering, compiler_fence};

use nix::libc;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

/// The size of a page of Xen's, in bytes, on every architecture.
pub const PAGE: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);

/// One page mapped shared, readable and writable, until it is dropped.
///
/// Others change it at any time. So there is no way to a reference into it, only [`Self::address`] for volatile and
/// atomic access.
#[derive(Debug)]
pub struct Mapping(NonNull<c_void>);

// SAFETY: the mapping belongs to the process, not to a thread; who accesses it must expect concurrent changes anyway.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Maps the page at `offset` of a file or device.
    ///
    /// # Errors
    /// Those of `mmap(2)`.
    pub fn new(file: BorrowedFd<'_>, offset: u64) -> io::Result<Self> {
        let offset = i64::try_from(offset).map_err(io::Error::other)?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: no address is asked for, so no memory of this process is replaced.
        let address = unsafe { mmap(None, PAGE, access, MapFlags::MAP_SHARED, file, offset) }?;
        Ok(Self(address))
    }

    /// Where the page is: [`PAGE`] bytes, aligned to it, valid as long as this value lives.
    #[must_use]
    pub fn address(&self) -> NonNull<u8> {
        self.0.cast()
    }
}

/// A page of a file of ours: what is in it outlives the process, so that a kill does not lose it.
///
/// Nobody else writes to the file. Bytes are still moved by address only: a reference would promise the compiler more
/// than a file can keep.
#[derive(Debug)]
pub struct FilePage(Mapping);

impl FilePage {
    /// Maps the first page of a file, which must be a regular one. Its blocks are reserved, so that writing to the
    /// page cannot fail later.
    ///
    /// # Errors
    /// When the file cannot be extended or mapped.
    pub fn new(file: BorrowedFd<'_>) -> io::Result<Self> {
        nix::fcntl::posix_fallocate(file, 0, PAGE.get().try_into().map_err(io::Error::other)?)?;
        Mapping::new(file, 0).map(Self)
    }

    /// One `read(2)` of at most `range.len()` bytes that puts them there without a stop in this process's memory.
    ///
    /// # Errors
    /// Those of `read(2)`.
    pub fn read_from(&mut self, source: BorrowedFd<'_>, range: Range<usize>) -> io::Result<usize> {
        let (address, length) = self.place(range);
        // SAFETY: `place` checked that the kernel writes within the page, which stays mapped as long as `self`.
        let count = unsafe { libc::read(source.as_raw_fd(), address.as_ptr().cast(), length) };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    }

    /// Appends a copy of bytes of the page.
    pub fn copy_to(&self, range: Range<usize>, out: &mut Vec<u8>) {
        let (address, length) = self.place(range);
        out.reserve(length);
        // SAFETY: `place` checked the source and `reserve` made the room; the two are different memory. Nobody writes to
        // the page meanwhile: the file is ours alone, and `read_from` and `write` need `self` exclusively.
        unsafe { copy_nonoverlapping(address.as_ptr(), out.as_mut_ptr().add(out.len()), length) };
        // SAFETY: these bytes have just been written, and there is room for them.
        unsafe { out.set_len(out.len() + length) };
    }

    /// Writes bytes into the page, after whatever was written before.
    pub fn write(&mut self, start: usize, bytes: &[u8]) {
        let (address, length) = self.place(start..start + bytes.len());
        // A kill between two writes must find the first one done.
        compiler_fence(Ordering::SeqCst);
        // SAFETY: `place` checked the target; it is not memory that `bytes` could be in, as no reference to it exists.
        unsafe { copy_nonoverlapping(bytes.as_ptr(), address.as_ptr(), length) };
        compiler_fence(Ordering::SeqCst);
    }

    /// Where a range of the page is.
    fn place(&self, range: Range<usize>) -> (NonNull<u8>, usize) {
        assert!(range.start <= range.end && range.end <= PAGE.get(), "{range:?} is not in a page");
        // SAFETY: the start lies in the page or right behind it.
        (unsafe { self.0.address().add(range.start) }, range.len())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the page was mapped by `new` and is unmapped once. Who took its address borrowed this value.
        let _ = unsafe { munmap(self.0, PAGE.get()) };
    }
}
