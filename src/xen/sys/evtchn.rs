//! Event channels: `/dev/xen/evtchn` (Linux `include/uapi/xen/evtchn.h`).
//!
//! The device says by `read` which local ports had an event and masks each until its number is written back. Closing
//! the device unbinds its ports; an interdomain port can then be bound again by another process.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::libc;

/// `struct ioctl_evtchn_bind_interdomain`.
#[derive(Debug)]
#[repr(C)]
struct BindInterdomain {
    remote_domain: u32,
    remote_port: u32,
}

/// `struct ioctl_evtchn_bind_unbound_port`.
#[derive(Debug)]
#[repr(C)]
struct BindUnboundPort {
    remote_domain: u32,
}

/// `struct ioctl_evtchn_notify`.
#[derive(Debug)]
#[repr(C)]
struct Notify {
    port: u32,
}

mod raw {
    use super::super::request;
    use super::{BindInterdomain, BindUnboundPort, Notify};

    pub(super) const BIND_INTERDOMAIN: nix::libc::c_ulong = request(b'E', 1, size_of::<BindInterdomain>());
    pub(super) const BIND_UNBOUND_PORT: nix::libc::c_ulong = request(b'E', 2, size_of::<BindUnboundPort>());
    pub(super) const NOTIFY: nix::libc::c_ulong = request(b'E', 4, size_of::<Notify>());

    nix::ioctl_write_ptr_bad!(bind_interdomain, BIND_INTERDOMAIN, BindInterdomain);
    nix::ioctl_write_ptr_bad!(bind_unbound_port, BIND_UNBOUND_PORT, BindUnboundPort);
    nix::ioctl_write_ptr_bad!(notify, NOTIFY, Notify);
}

/// Opens the device, non-blocking.
///
/// # Errors
/// When it is not there (no Xen) or not ours to use.
pub fn open() -> io::Result<OwnedFd> {
    let file =
        OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/xen/evtchn")?;
    Ok(file.into())
}

/// Binds a port that a domain allocated for us and says its local number. It has an event at once, so that none is
/// missed that came before.
///
/// # Errors
/// `EINVAL` when the port is bound already, also by another process: the test for another owner of a console.
pub fn bind_interdomain(device: BorrowedFd<'_>, domid: u16, remote_port: u32) -> io::Result<u32> {
    let request = BindInterdomain { remote_domain: domid.into(), remote_port };
    // SAFETY: the kernel reads one `BindInterdomain`, valid for the length of the call.
    let port = unsafe { raw::bind_interdomain(device.as_raw_fd(), &raw const request) }?;
    u32::try_from(port).map_err(io::Error::other)
}

/// Allocates a port that this domain may bind, and says its local number.
///
/// # Errors
/// When there is no such domain, or no port left.
pub fn bind_unbound(device: BorrowedFd<'_>, domid: u16) -> io::Result<u32> {
    let request = BindUnboundPort { remote_domain: domid.into() };
    // SAFETY: the kernel reads one `BindUnboundPort`, valid for the length of the call.
    let port = unsafe { raw::bind_unbound_port(device.as_raw_fd(), &raw const request) }?;
    u32::try_from(port).map_err(io::Error::other)
}

/// Sends an event to the other end of a local port.
///
/// # Errors
/// When the port is not bound to this device.
pub fn notify(device: BorrowedFd<'_>, port: u32) -> io::Result<()> {
    let request = Notify { port };
    // SAFETY: the kernel reads one `Notify`, valid for the length of the call.
    unsafe { raw::notify(device.as_raw_fd(), &raw const request) }?;
    Ok(())
}

/// Takes one event: the local port that had it, which is masked from now on.
///
/// # Errors
/// `WouldBlock` when there is none.
pub fn take(device: BorrowedFd<'_>) -> io::Result<u32> {
    let mut port = [0; 4];
    match nix::unistd::read(device, &mut port)? {
        4 => Ok(u32::from_ne_bytes(port)),
        count => Err(io::Error::other(format!("an event of {count} bytes instead of 4"))),
    }
}

/// Lets a port have events again. One that came meanwhile is delivered now.
///
/// # Errors
/// When the port is not bound to this device.
pub fn unmask(device: BorrowedFd<'_>, port: u32) -> io::Result<()> {
    nix::unistd::write(device, &port.to_ne_bytes())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_the_numbers_of_the_header() {
        assert_eq!(raw::BIND_INTERDOMAIN, 0x0008_4501);
        assert_eq!(raw::BIND_UNBOUND_PORT, 0x0004_4502);
        assert_eq!(raw::NOTIFY, 0x0004_4504);
    }
}
