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

/// Pages mapped shared until this is dropped; one, unless it says otherwise.
///
/// Others change them at any time. So there is no way to a reference into them, only [`Self::address`] for volatile and
/// atomic access, and [`super::shared`] for checked access of that kind.
#[derive(Debug)]
pub struct Mapping {
    address: NonNull<c_void>,
    length: NonZeroUsize,
    access: Access,
}

/// What may be done to a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading only: a write would be a fault of this process.
    Read,
    /// Reading and writing.
    ReadWrite,
}

// SAFETY: the mapping belongs to the process, not to a thread; who accesses it must expect concurrent changes anyway.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Maps the page at `offset` of a file or device, readable and writable.
    ///
    /// # Errors
    /// Those of `mmap(2)`.
    pub fn new(file: BorrowedFd<'_>, offset: u64) -> io::Result<Self> {
        Self::pages(file, offset, NonZeroUsize::MIN, Access::ReadWrite)
    }

    /// Maps `count` pages from `offset` on of a file or device.
    ///
    /// # Errors
    /// Those of `mmap(2)`.
    pub fn pages(file: BorrowedFd<'_>, offset: u64, count: NonZeroUsize, access: Access) -> io::Result<Self> {
        let offset = i64::try_from(offset).map_err(io::Error::other)?;
        let length = PAGE.checked_mul(count).ok_or(io::ErrorKind::OutOfMemory)?;
        let protection = match access {
            Access::Read => ProtFlags::PROT_READ,
            Access::ReadWrite => ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
        };
        // SAFETY: no address is asked for, so no memory of this process is replaced.
        let address = unsafe { mmap(None, length, protection, MapFlags::MAP_SHARED, file, offset) }?;
        Ok(Self { address, length, access })
    }

    /// Where the pages are: [`Self::length`] bytes, aligned to [`PAGE`], valid as long as this value lives.
    #[must_use]
    pub fn address(&self) -> NonNull<u8> {
        self.address.cast()
    }

    /// Bytes mapped, a multiple of [`PAGE`].
    #[must_use]
    pub fn length(&self) -> usize {
        self.length.get()
    }

    /// What may be done to them.
    #[must_use]
    pub fn access(&self) -> Access {
        self.access
    }
}

/// Pages of a file of ours: what is in them outlives the process, so that a kill does not lose it.
///
/// Nobody else writes to the file. Bytes are still moved by address only: a reference would promise the compiler more
/// than a file can keep.
#[derive(Debug)]
pub struct FilePages(Mapping);

impl FilePages {
    /// Maps the first `count` pages of a file, which must be a regular one. Its blocks are reserved, so that writing to
    /// the pages cannot fail later.
    ///
    /// # Errors
    /// When the file cannot be extended or mapped.
    pub fn new(file: BorrowedFd<'_>, count: NonZeroUsize) -> io::Result<Self> {
        let length = PAGE.checked_mul(count).ok_or(io::ErrorKind::OutOfMemory)?;
        nix::fcntl::posix_fallocate(file, 0, length.get().try_into().map_err(io::Error::other)?)?;
        Mapping::pages(file, 0, count, Access::ReadWrite).map(Self)
    }

    /// Bytes mapped.
    #[must_use]
    pub fn length(&self) -> usize {
        self.0.length()
    }

    /// One `read(2)` of at most `range.len()` bytes that puts them there without a stop in this process's memory.
    ///
    /// # Errors
    /// Those of `read(2)`.
    pub fn read_from(&mut self, source: BorrowedFd<'_>, range: Range<usize>) -> io::Result<usize> {
        let (address, length) = self.place(range);
        // SAFETY: `place` checked that the kernel writes within the pages, which stay mapped as long as `self`.
        let count = unsafe { libc::read(source.as_raw_fd(), address.as_ptr().cast(), length) };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    }

    /// Appends a copy of bytes of the pages.
    pub fn copy_to(&self, range: Range<usize>, out: &mut Vec<u8>) {
        let (address, length) = self.place(range);
        out.reserve(length);
        // SAFETY: `place` checked the source and `reserve` made the room; the two are different memory. Nobody writes to
        // the pages meanwhile: the file is ours alone, and `read_from` and `write` need `self` exclusively.
        unsafe { copy_nonoverlapping(address.as_ptr(), out.as_mut_ptr().add(out.len()), length) };
        // SAFETY: these bytes have just been written, and there is room for them.
        unsafe { out.set_len(out.len() + length) };
    }

    /// Writes bytes into the pages, after whatever was written before.
    pub fn write(&mut self, start: usize, bytes: &[u8]) {
        let (address, length) = self.place(start..start + bytes.len());
        // A kill between two writes must find the first one done.
        compiler_fence(Ordering::SeqCst);
        // SAFETY: `place` checked the target; it is not memory that `bytes` could be in, as no reference to it exists.
        unsafe { copy_nonoverlapping(bytes.as_ptr(), address.as_ptr(), length) };
        compiler_fence(Ordering::SeqCst);
    }

    /// Where a range of the pages is.
    fn place(&self, range: Range<usize>) -> (NonNull<u8>, usize) {
        assert!(range.start <= range.end && range.end <= self.0.length(), "{range:?} is not in the pages");
        // SAFETY: the start lies in the pages or right behind them.
        (unsafe { self.0.address().add(range.start) }, range.len())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the pages were mapped by `pages` and are unmapped once. Who took their address borrowed this value.
        let _ = unsafe { munmap(self.address, self.length.get()) };
    }
}
