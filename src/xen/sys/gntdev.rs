//! Pages that a guest granted us: `/dev/xen/gntdev` (Linux `include/uapi/xen/gntdev.h`).

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd};

use super::mapping::Mapping;

/// `struct ioctl_gntdev_map_grant_ref` with one reference.
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
pub struct GrantedPage {
    /// Unmapped first: the kernel releases a grant only when nothing maps it.
    mapping: Mapping,
    _grant: Grant,
}

/// A grant reference that the device holds for us.
#[derive(Debug)]
struct Grant {
    device: File,
    index: u64,
}

impl GrantedPage {
    /// Maps the page behind a grant reference of a domain. The console ring of every PV and PVH guest is reference 0
    /// (`GNTTAB_RESERVED_CONSOLE`).
    ///
    /// # Errors
    /// When `/dev/xen/gntdev` cannot be opened or the domain granted no such page.
    pub fn map(domid: u16, reference: u32) -> io::Result<Self> {
        let device = OpenOptions::new().read(true).write(true).open("/dev/xen/gntdev")?;
        let mut request = MapGrantRef { count: 1, domid: domid.into(), reference, ..MapGrantRef::default() };
        // SAFETY: the kernel reads and writes one `MapGrantRef` with one reference, as `count` says; it is valid for
        // the length of the call.
        unsafe { raw::map_grant_ref(device.as_raw_fd(), &raw mut request) }?;
        let grant = Grant { device, index: request.index };
        let mapping = Mapping::new(grant.device.as_fd(), grant.index)?;
        Ok(Self { mapping, _grant: grant })
    }

    /// The page.
    #[must_use]
    pub fn mapping(&self) -> &Mapping {
        &self.mapping
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        let request = UnmapGrantRef { index: self.index, count: 1, padding: 0 };
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
}
