//! Pages that a guest granted us: `/dev/xen/gntdev` (Linux `include/uapi/xen/gntdev.h`).

use std::fs::{File, OpenOptions};
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use super::mapping::{Access, Mapping};
use super::shared::Shared;
use super::unmap_notify;

/// `struct ioctl_gntdev_map_grant_ref` with one reference, as the number of the ioctl counts it.
#[derive(Debug, Default)]
#[repr(C)]
struct MapGrantRef {
    count: u32,
    padding: u32,
    /// Out: the offset to map at.
    index: u64,
    domid: u32,
    reference: u32,
}

/// `struct ioctl_gntdev_unmap_grant_ref`.
#[derive(Debug, Default)]
#[repr(C)]
struct UnmapGrantRef {
    index: u64,
    count: u32,
    padding: u32,
}

mod raw {
    use super::super::request;
    use super::{MapGrantRef, UnmapGrantRef};

    pub(super) const MAP: nix::libc::c_ulong = request(b'G', 0, size_of::<MapGrantRef>());
    pub(super) const UNMAP: nix::libc::c_ulong = request(b'G', 1, size_of::<UnmapGrantRef>());

    nix::ioctl_readwrite_bad!(map_grant_ref, MAP, MapGrantRef);
    nix::ioctl_write_ptr_bad!(unmap_grant_ref, UNMAP, UnmapGrantRef);
}

/// One granted page. It is given back when dropped: while it is mapped a dead domain stays a zombie.
#[derive(Debug)]
pub struct GrantedPage(GrantedPages);

impl GrantedPage {
    /// Maps the page behind a grant reference of a domain. The console ring of every PV and PVH guest is reference 0
    /// (`GNTTAB_RESERVED_CONSOLE`).
    ///
    /// # Errors
    /// When `/dev/xen/gntdev` cannot be opened or the domain granted no such page.
    pub fn map(domid: u16, reference: u32) -> io::Result<Self> {
        GrantedPages::map(domid, &[reference], Access::ReadWrite).map(Self)
    }

    /// The page.
    #[must_use]
    pub fn mapping(&self) -> &Mapping {
        self.0.memory.mapping()
    }
}

/// Granted pages, mapped one behind the other. They are given back when dropped.
#[derive(Debug)]
pub struct GrantedPages {
    /// Unmapped first: the kernel releases a grant only when nothing maps it.
    memory: Shared,
    grant: Grant,
}

/// Grant references that the device holds for us.
#[derive(Debug)]
struct Grant {
    device: File,
    index: u64,
    count: u32,
}

impl GrantedPages {
    /// Maps the pages behind these grant references of a domain, in this order.
    ///
    /// # Errors
    /// When `/dev/xen/gntdev` cannot be opened, or there are no references, or the domain granted no such pages.
    pub fn map(domid: u16, references: &[u32], access: Access) -> io::Result<Self> {
        let pages = NonZeroUsize::new(references.len()).ok_or(io::ErrorKind::InvalidInput)?;
        let count = u32::try_from(references.len()).map_err(io::Error::other)?;
        let device = OpenOptions::new().read(true).write(true).open("/dev/xen/gntdev")?;
        let mut request = map_request(domid, count, references);
        // SAFETY: the kernel reads and writes a `MapGrantRef` header and then as many references as its `count` says;
        // `map_request` made the buffer that long, and it is aligned for the header's 64-bit index. It is valid for
        // the length of the call.
        unsafe { raw::map_grant_ref(device.as_raw_fd(), request.as_mut_ptr().cast()) }?;
        let index = request.get(1).copied().unwrap_or_default();
        let grant = Grant { device, index, count };
        let memory = Shared::new(map_again(grant.device.as_fd(), index, pages, access)?);
        Ok(Self { memory, grant })
    }

    /// The pages.
    #[must_use]
    pub fn memory(&self) -> &Shared {
        &self.memory
    }

    /// When the pages are unmapped, by a drop or by the end of this process however it comes, the byte at `offset` is
    /// cleared and an event is sent on a local port.
    ///
    /// # Errors
    /// When the offset is beyond the pages or the port is not bound.
    pub fn notify_unmap(&self, offset: u32, port: u32) -> io::Result<()> {
        unmap_notify::set(self.grant.device.as_fd(), self.grant.index + u64::from(offset), port)
    }
}

/// `struct ioctl_gntdev_map_grant_ref` with its references, as 64-bit words.
fn map_request(domid: u16, count: u32, references: &[u32]) -> Vec<u64> {
    [(count, 0), (0, 0)]
        .into_iter()
        .chain(references.iter().map(|&reference| (u32::from(domid), reference)))
        .map(|(first, second)| {
            let mut word = [0; 8];
            let (low, high) = word.split_at_mut(4);
            low.copy_from_slice(&first.to_ne_bytes());
            high.copy_from_slice(&second.to_ne_bytes());
            u64::from_ne_bytes(word)
        })
        .collect()
}

/// Maps granted pages; a page that its domain has paged out comes back within a short while.
fn map_again(device: BorrowedFd<'_>, index: u64, pages: NonZeroUsize, access: Access) -> io::Result<Mapping> {
    let mut tries = 10;
    loop {
        match Mapping::pages(device, index, pages, access) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && tries > 0 => tries -= 1,
            result => return result,
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        let request = UnmapGrantRef { index: self.index, count: self.count, padding: 0 };
        // SAFETY: the kernel reads one `UnmapGrantRef`, valid for the length of the call.
        let _ = unsafe { raw::unmap_grant_ref(self.device.as_raw_fd(), &raw const request) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_the_numbers_of_the_header() {
        assert_eq!(raw::MAP, 0x0018_4700);
        assert_eq!(raw::UNMAP, 0x0010_4701);
    }

    #[test]
    fn structures_have_the_layout_of_the_header() {
        use std::mem::offset_of;
        assert_eq!(offset_of!(MapGrantRef, index), 8);
        assert_eq!((offset_of!(MapGrantRef, domid), offset_of!(MapGrantRef, reference)), (16, 20));
        assert_eq!((offset_of!(UnmapGrantRef, index), offset_of!(UnmapGrantRef, count)), (0, 8));
    }

    #[test]
    fn request_for_several_pages_is_the_header_and_its_references() {
        let request = map_request(7, 2, &[0x1122, 0x3344]);
        let bytes: Vec<u8> = request.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let numbers: Vec<u32> = bytes.as_chunks().0.iter().map(|chunk| u32::from_ne_bytes(*chunk)).collect();
        assert_eq!(
            numbers,
            [2, 0, 0, 0, 7, 0x1122, 7, 0x3344],
            "count, padding, index, then domid and reference"
        );
    }
}
