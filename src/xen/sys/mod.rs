//! System calls that `nix` has no safe form for: ioctls of the Xen devices and of terminals, and shared mappings.
#![expect(unsafe_code, reason = "this folder and console/ring.rs hold the crate's only unsafe code")]

pub mod evtchn;
pub mod gntalloc;
pub mod gntdev;
pub mod mapping;
pub mod reactor;
pub mod shared;
pub mod tty;
mod unmap_notify;
#[cfg(feature = "xenctrl")]
pub mod xenctrl;

/// The number of an ioctl of the Xen devices: `_IOC(_IOC_NONE, kind, number, size)` of Linux `asm-generic/ioctl.h`, as
/// on every architecture that Xen runs on. Although these ioctls do read and write memory, Xen declares them so.
const fn request(kind: u8, number: u8, size: usize) -> nix::libc::c_ulong {
    (size as nix::libc::c_ulong) << 16 | (kind as nix::libc::c_ulong) << 8 | number as nix::libc::c_ulong
}
