//! Ioctls of pseudo terminals (Linux `asm-generic/ioctls.h`, `drivers/tty/pty.c`).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::fcntl::OFlag;
use nix::libc;

/// The raw ioctls. What each reads or writes is the one value that its wrapper below owns.
mod raw {
    use nix::libc::{FIONREAD, TIOCGPTN, TIOCGPTPEER, TIOCSPTLCK, c_int, c_uint};

    nix::ioctl_write_ptr_bad!(set_lock, TIOCSPTLCK, c_int);
    nix::ioctl_read_bad!(number, TIOCGPTN, c_uint);
    nix::ioctl_write_int_bad!(open_peer, TIOCGPTPEER);
    nix::ioctl_read_bad!(pending_input, FIONREAD, c_int);
}

/// Lets the slave of this pty master be opened (TIOCSPTLCK 0).
///
/// # Errors
/// When `master` is not a pty master.
pub fn unlock(master: BorrowedFd<'_>) -> io::Result<()> {
    let unlocked: libc::c_int = 0;
    // SAFETY: TIOCSPTLCK reads one int from the pointer, which is valid for the length of the call.
    unsafe { raw::set_lock(master.as_raw_fd(), &raw const unlocked) }?;
    Ok(())
}

/// The number of a pty: its slave's name within its devpts instance (TIOCGPTN).
///
/// # Errors
/// When `master` is not a pty master.
pub fn number(master: BorrowedFd<'_>) -> io::Result<u32> {
    let mut number: libc::c_uint = 0;
    // SAFETY: TIOCGPTN writes one unsigned int to the pointer, which is valid for the length of the call.
    unsafe { raw::number(master.as_raw_fd(), &raw mut number) }?;
    Ok(number)
}

/// Opens the slave of this pty master whatever its path is (TIOCGPTPEER, Linux 4.13): read-write, never as the
/// controlling terminal, closed on exec.
///
/// # Errors
/// When `master` is not a pty master, is locked, or no descriptor is free.
pub fn open_peer(master: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    // SAFETY: TIOCGPTPEER takes open flags by value and touches no memory of ours.
    let descriptor = unsafe { raw::open_peer(master.as_raw_fd(), flags.bits()) }?;
    // SAFETY: the call succeeded, so this is a new descriptor that nothing else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// How many bytes a reader of this terminal could have at once (FIONREAD): at most what the line discipline holds,
/// 4095 on Linux, not what waits behind it.
///
/// # Errors
/// When `terminal` is not a terminal.
pub fn pending_input(terminal: BorrowedFd<'_>) -> io::Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: FIONREAD writes one int to the pointer, which is valid for the length of the call.
    unsafe { raw::pending_input(terminal.as_raw_fd(), &raw mut bytes) }?;
    Ok(usize::try_from(bytes).unwrap_or(0))
}
