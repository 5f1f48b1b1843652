//! Memory shared with somebody who is not to be trusted.

use std::ffi::c_void;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;

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

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the page was mapped by `new` and is unmapped once. Who took its address borrowed this value.
        let _ = unsafe { munmap(self.0, PAGE.get()) };
    }
}
