//! What a peer sees when shared pages are unmapped, also by a crash. `/dev/xen/gntdev` and `/dev/xen/gntalloc` have the
//! same ioctl for it.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `struct ioctl_gntdev_unmap_notify` and `struct ioctl_gntalloc_unmap_notify`.
#[derive(Debug)]
#[repr(C)]
struct UnmapNotify {
    /// The offset of the mapping, plus that of the byte.
    index: u64,
    action: u32,
    event_channel_port: u32,
}

/// `UNMAP_NOTIFY_CLEAR_BYTE | UNMAP_NOTIFY_SEND_EVENT`.
const CLEAR_BYTE_AND_SEND_EVENT: u32 = 1 | 2;

mod raw {
    use super::super::request;
    use super::UnmapNotify;

    pub(super) const SET: nix::libc::c_ulong = request(b'G', 7, size_of::<UnmapNotify>());

    nix::ioctl_write_ptr_bad!(set, SET, UnmapNotify);
}

/// Asks the device to clear a byte of a mapping of its and to send an event on a local port when that is unmapped.
pub(super) fn set(device: BorrowedFd<'_>, index: u64, port: u32) -> io::Result<()> {
    let request = UnmapNotify { index, action: CLEAR_BYTE_AND_SEND_EVENT, event_channel_port: port };
    // SAFETY: the kernel reads one `UnmapNotify`, valid for the length of the call.
    unsafe { raw::set(device.as_raw_fd(), &raw const request) }?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_has_the_number_and_layout_of_the_header() {
        use std::mem::offset_of;
        assert_eq!(raw::SET, 0x0010_4707);
        assert_eq!((offset_of!(UnmapNotify, action), offset_of!(UnmapNotify, event_channel_port)), (8, 12));
    }
}
