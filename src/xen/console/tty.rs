//! Opening a terminal whose path somebody else wrote into xenstore.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Component, Path};

use nix::errno::Errno;
use nix::libc;
use nix::sys::stat::{major, minor};
use nix::sys::termios::{InputFlags, LocalFlags, OutputFlags, SetArg, cfmakeraw, tcgetattr, tcsetattr};

use super::ConsoleError;

/// The longest path that is looked at, in bytes: what a xenstore value can hold is more than any devpts path needs.
const MAX_PATH_BYTES: usize = 1024;

/// The character device majors of Unix98 pty slaves (Linux `Documentation/admin-guide/devices.txt`). A console's tty is
/// never anything else, and merely opening another device (a watchdog, a tape) can do harm.
const PTY_SLAVE_MAJORS: std::ops::RangeInclusive<u64> = 136..=143;

/// Opens a pty slave read-write, non-blocking, never as our controlling terminal.
///
/// # Errors
/// For everything that is not a live pty slave; nothing else is ever opened.
pub(super) fn open(path: &Path) -> Result<OwnedFd, ConsoleError> {
    check_path(path)?;
    let metadata = std::fs::metadata(path).map_err(|error| lookup_error(path, error))?;
    let not_a_pty = |found: String| ConsoleError::NotAPty { path: path.to_owned(), found };
    let kind = metadata.file_type();
    if !kind.is_char_device() {
        let found = match () {
            () if kind.is_dir() => "a directory",
            () if kind.is_file() => "a regular file",
            () if kind.is_fifo() => "a FIFO",
            () if kind.is_socket() => "a socket",
            () => "a block device",
        };
        return Err(not_a_pty(found.to_owned()));
    }
    let device = metadata.rdev();
    if !PTY_SLAVE_MAJORS.contains(&major(device)) {
        return Err(not_a_pty(format!("character device {}:{}", major(device), minor(device))));
    }
    let file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOCTTY | libc::O_NONBLOCK)
        .open(path)
        .map_err(|error| lookup_error(path, error))?;
    let opened = file.metadata().map_err(|source| system(format!("look at {path:?}"), source))?;
    if (opened.dev(), opened.rdev()) != (metadata.dev(), device) {
        return Err(not_a_pty("replaced while it was opened".to_owned()));
    }
    let file = OwnedFd::from(file);
    if let Err(error) = tcgetattr(&file) {
        return Err(not_a_pty(format!("no terminal ({error})")));
    }
    Ok(file)
}

/// Refuses what cannot be a tty's path without looking it up.
fn check_path(path: &Path) -> Result<(), ConsoleError> {
    let bytes = path.as_os_str().as_bytes();
    let refuse = |reason| Err(ConsoleError::BadPath { length: bytes.len(), reason });
    match bytes {
        [] => Err(ConsoleError::Empty),
        _ if bytes.len() > MAX_PATH_BYTES => refuse("it is too long"),
        _ if bytes.contains(&0) => refuse("it holds a NUL"),
        _ if std::str::from_utf8(bytes).is_err() => refuse("it is not UTF-8"),
        _ if !path.is_absolute() => refuse("it is not absolute"),
        _ if path.components().any(|part| part == Component::ParentDir) => refuse("it holds `..`"),
        _ => Ok(()),
    }
}

/// Names what kept a path from being opened.
fn lookup_error(path: &Path, error: io::Error) -> ConsoleError {
    match error.raw_os_error() {
        Some(libc::ENOENT | libc::ENOTDIR | libc::ENXIO) => ConsoleError::Missing { path: path.to_owned() },
        Some(libc::ELOOP) => {
            ConsoleError::NotAPty { path: path.to_owned(), found: "a loop of symlinks".to_owned() }
        }
        _ => system(format!("open {path:?}"), error),
    }
}

/// Makes a terminal pass every byte as it is, both ways, without echo. Nothing is written when it does so already.
///
/// # Errors
/// When it is not a terminal, or its other end is gone.
pub(super) fn make_raw(terminal: impl AsFd) -> Result<(), ConsoleError> {
    let error = |errno: nix::Error| system("make the terminal raw".to_owned(), errno.into());
    let mut settings = tcgetattr(&terminal).map_err(error)?;
    let changes_input = InputFlags::ICRNL
        | InputFlags::INLCR
        | InputFlags::IGNCR
        | InputFlags::ISTRIP
        | InputFlags::PARMRK
        | InputFlags::BRKINT
        | InputFlags::IXON;
    let changes_line =
        LocalFlags::ECHO | LocalFlags::ECHONL | LocalFlags::ICANON | LocalFlags::ISIG | LocalFlags::IEXTEN;
    if !settings.input_flags.intersects(changes_input)
        && !settings.local_flags.intersects(changes_line)
        && !settings.output_flags.contains(OutputFlags::OPOST)
    {
        return Ok(());
    }
    cfmakeraw(&mut settings);
    tcsetattr(&terminal, SetArg::TCSANOW, &settings).map_err(error)
}

/// A failed system call as an error.
pub(super) fn system(action: String, source: io::Error) -> ConsoleError {
    ConsoleError::System { action, source }
}

/// One `read` from a master. It does not end while somebody keeps the slave open.
pub(super) fn read_some(master: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match nix::unistd::read(master, buffer) {
            Err(Errno::EINTR) => {}
            Ok(0) => return Err(io::ErrorKind::WouldBlock.into()),
            result => return Ok(result?),
        }
    }
}

/// One `write` of some bytes; a terminal that takes none of them is one that would block.
pub(super) fn write_some(terminal: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match nix::unistd::write(terminal, bytes) {
            Err(Errno::EINTR) => {}
            Ok(0) => return Err(io::ErrorKind::WouldBlock.into()),
            result => return Ok(result?),
        }
    }
}
