//! Pages that we grant to another domain: `/dev/xen/gntalloc` (Linux `include/uapi/xen/gntalloc.h`).
//!
//! The kernel lets a guest have 1,024 such pages in all (module parameter `limit`). Kernels before 5.17 count a page until the
//! other domain has unmapped it, also when we are gone.

use std::fs::{File, OpenOptions};
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd};

use super::mapping::{Access, Mapping};
use super::shared::Shared;
use super::unmap_notify;

/// `struct ioctl_gntalloc_alloc_gref` without its references.
#[derive(Debug)]
#[repr(C)]
struct AllocHeader {
    domid: u16,
    flags: u16,
    count: u32,
    /// Out: the offset to map at.
    index: u64,
}

/// The same with one reference, as the number of the ioctl counts it.
#[derive(Debug)]
#[repr(C)]
struct AllocGref {
    header: AllocHeader,
    /// Out: the references.
    references: [u32; 1],
}

/// `struct ioctl_gntalloc_dealloc_gref`.
#[derive(Debug)]
#[repr(C)]
struct DeallocGref {
    index: u64,
    count: u32,
}

/// `GNTALLOC_FLAG_WRITABLE`.
const WRITABLE: u16 = 1;

mod raw {
    use super::super::request;
    use super::{AllocGref, DeallocGref};

    pub(super) const ALLOC: nix::libc::c_ulong = request(b'G', 5, size_of::<AllocGref>());
    pub(super) const DEALLOC: nix::libc::c_ulong = request(b'G', 6, size_of::<DeallocGref>());

    nix::ioctl_readwrite_bad!(alloc_gref, ALLOC, AllocGref);
    nix::ioctl_write_ptr_bad!(dealloc_gref, DEALLOC, DeallocGref);
}

/// Pages that another domain may map, until this is dropped: zeroed, one behind the other.
#[derive(Debug)]
pub struct SharedPages {
    memory: Shared,
    references: Vec<u32>,
}

/// Pages that the device holds for us, whether or not they are mapped.
#[derive(Debug)]
struct Allocation<'a> {
    device: &'a File,
    index: u64,
    count: u32,
}

impl SharedPages {
    /// Lets a domain map `count` new pages, readable and writable.
    ///
    /// # Errors
    /// `ENOSPC` when the guest has no such pages left; others when `/dev/xen/gntalloc` cannot be opened or no memory
    /// is free.
    pub fn new(domid: u16, count: NonZeroUsize) -> io::Result<Self> {
        Self::allocate(domid, count, None)
    }

    /// As [`Self::new`]; and when the pages are unmapped, by a drop or by the end of this process however it comes, the
    /// byte at `offset` is cleared and an event is sent on a local port.
    ///
    /// # Errors
    /// As [`Self::new`], and when the offset is beyond the first page or the port is not bound.
    pub fn with_unmap_notify(domid: u16, count: NonZeroUsize, offset: u32, port: u32) -> io::Result<Self> {
        Self::allocate(domid, count, Some((offset, port)))
    }

    fn allocate(domid: u16, pages: NonZeroUsize, notify: Option<(u32, u32)>) -> io::Result<Self> {
        let count = u32::try_from(pages.get()).map_err(io::Error::other)?;
        let device = OpenOptions::new().read(true).write(true).open("/dev/xen/gntalloc")?;
        let mut request = alloc_request(domid, count);
        // SAFETY: the kernel reads an `AllocHeader` and writes its index and then as many references as `count` says;
        // `alloc_request` made the buffer that long, and it is aligned for the 64-bit index. It is valid for the
        // length of the call.
        unsafe { raw::alloc_gref(device.as_raw_fd(), request.as_mut_ptr().cast()) }?;
        let (index, references) = alloc_answer(&request, pages.get());
        // What was allocated is given back at the end of this function. The mapping keeps the pages alive, and they go
        // with it; without one (an error below) they go at once.
        let allocation = Allocation { device: &device, index, count };
        let mapping = Mapping::pages(device.as_fd(), index, pages, Access::ReadWrite)?;
        if let Some((offset, port)) = notify {
            unmap_notify::set(device.as_fd(), index + u64::from(offset), port)?;
        }
        drop(allocation);
        Ok(Self { memory: Shared::new(mapping), references })
    }

    /// The pages.
    #[must_use]
    pub fn memory(&self) -> &Shared {
        &self.memory
    }

    /// What the other domain maps them by, in order.
    #[must_use]
    pub fn references(&self) -> &[u32] {
        &self.references
    }
}

/// `struct ioctl_gntalloc_alloc_gref` with room for `count` references, as 64-bit words.
fn alloc_request(domid: u16, count: u32) -> Vec<u64> {
    let mut first = [0; 8];
    let (domid_and_flags, number) = first.split_at_mut(4);
    domid_and_flags[..2].copy_from_slice(&domid.to_ne_bytes());
    domid_and_flags[2..].copy_from_slice(&WRITABLE.to_ne_bytes());
    number.copy_from_slice(&count.to_ne_bytes());
    let mut request = vec![0; 2 + (count as usize).div_ceil(2)];
    request[0] = u64::from_ne_bytes(first);
    request
}

/// The index and the references that the kernel wrote.
fn alloc_answer(request: &[u64], count: usize) -> (u64, Vec<u32>) {
    let index = request.get(1).copied().unwrap_or_default();
    let references = request
        .iter()
        .skip(2)
        .flat_map(|word| {
            let [a, b, c, d, e, f, g, h] = word.to_ne_bytes();
            [u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h])]
        })
        .take(count)
        .collect();
    (index, references)
}

impl Drop for Allocation<'_> {
    fn drop(&mut self) {
        let request = DeallocGref { index: self.index, count: self.count };
        // SAFETY: the kernel reads one `DeallocGref`, valid for the length of the call.
        let _ = unsafe { raw::dealloc_gref(self.device.as_raw_fd(), &raw const request) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_the_numbers_and_layout_of_the_header() {
        use std::mem::offset_of;
        assert_eq!((raw::ALLOC, raw::DEALLOC), (0x0018_4705, 0x0010_4706));
        assert_eq!((offset_of!(AllocHeader, count), offset_of!(AllocHeader, index)), (4, 8));
        assert_eq!(offset_of!(AllocGref, references), 16);
        assert_eq!(offset_of!(DeallocGref, count), 8);
    }

    #[test]
    fn request_for_pages_is_the_header_and_room_for_the_answer() {
        let mut request = alloc_request(3, 3);
        let bytes: Vec<u8> = request.iter().flat_map(|word| word.to_ne_bytes()).collect();
        assert_eq!(bytes.len(), 16 + 4 * 4, "room for three references, rounded up");
        assert_eq!(u16::from_ne_bytes([bytes[0], bytes[1]]), 3);
        assert_eq!(u16::from_ne_bytes([bytes[2], bytes[3]]), WRITABLE);
        assert_eq!(u32::from_ne_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]), 3);

        request[1] = 0x5000;
        for (word, pair) in request[2..].iter_mut().zip([[11u32, 12], [13, 14]]) {
            let bytes: Vec<u8> = pair.iter().flat_map(|number| number.to_ne_bytes()).collect();
            *word = u64::from_ne_bytes(bytes.try_into().expect("eight bytes"));
        }
        assert_eq!(alloc_answer(&request, 3), (0x5000, vec![11, 12, 13]));
    }
}
