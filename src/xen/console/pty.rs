//! One pty of our own, published for `xl console`.

use std::fs::{self, Permissions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::libc;

use super::ConsoleError;
use super::devpts::PtyFactory;
use super::tty::{make_raw, system};
use crate::xen::sys;

/// A pty whose slave is raw, open for good and reachable by one symlink.
///
/// The slave stays open so that the pty survives its readers, and so that nobody finds it in the mode of a new
/// terminal: with echo the guest's output would become its input.
#[derive(Debug)]
pub(super) struct OwnPty {
    slave: OwnedFd,
    /// What the symlink points to.
    slave_path: PathBuf,
    symlink: PathBuf,
    factory: PtyFactory,
}

impl OwnPty {
    /// Makes a pty and points the domain's symlink at it. Its master, non-blocking, comes apart.
    pub(super) fn open(factory: &PtyFactory, domid: u16) -> Result<(OwnedFd, Self), ConsoleError> {
        let ptmx = factory.ptmx();
        let master = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NOCTTY | libc::O_NONBLOCK)
            .open(ptmx)
            .map_err(|source| system(format!("open {ptmx:?}"), source))?;
        let made = |source| system("make a pty".to_owned(), source);
        sys::tty::unlock(master.as_fd()).map_err(made)?;
        let slave_path = factory.slave_path(sys::tty::number(master.as_fd()).map_err(made)?);
        let slave = fs::File::from(sys::tty::open_peer(master.as_fd()).map_err(made)?);
        make_raw(&slave)?;
        let wrong = |source| system(format!("find our own pty at {slave_path:?}"), source);
        slave.set_permissions(Permissions::from_mode(0o600)).map_err(wrong)?;
        let (held, named) = (slave.metadata().map_err(wrong)?, fs::metadata(&slave_path).map_err(wrong)?);
        if (held.dev(), held.rdev()) != (named.dev(), named.rdev()) {
            return Err(wrong(io::Error::other("another devpts is mounted there")));
        }
        let symlink = factory.directory().join(domid.to_string());
        replace_symlink(&slave_path, &symlink)
            .map_err(|source| system(format!("make the symlink {symlink:?}"), source))?;
        let own = Self { slave: slave.into(), slave_path, symlink, factory: factory.clone() };
        Ok((master.into(), own))
    }

    /// The end that the other program has open too.
    pub(super) fn slave(&self) -> &OwnedFd {
        &self.slave
    }

    /// The symlink to publish.
    pub(super) fn symlink(&self) -> &Path {
        &self.symlink
    }

    /// What made it.
    pub(super) fn factory(&self) -> &PtyFactory {
        &self.factory
    }

    /// Opens the slave anew, for when somebody hung it up (`vhangup`), which closes it for us too.
    pub(super) fn reopen_slave(&mut self, master: BorrowedFd<'_>) -> Result<(), ConsoleError> {
        self.slave = sys::tty::open_peer(master)
            .map_err(|source| system("open the slave of our pty again".to_owned(), source))?;
        make_raw(&self.slave)
    }
}

impl Drop for OwnPty {
    fn drop(&mut self) {
        // Another console of the same domain may have replaced the symlink by now; that one stays.
        if fs::read_link(&self.symlink).is_ok_and(|target| target == self.slave_path) {
            let _ = fs::remove_file(&self.symlink);
        }
    }
}

/// Points `symlink` at `target` in one step: a reader finds the old one or the new one, never none.
fn replace_symlink(target: &Path, symlink: &Path) -> io::Result<()> {
    let new = symlink.with_extension("new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::os::unix::fs::symlink(target, &new)?;
    fs::rename(&new, symlink)
}

#[cfg(test)]
mod tests {
    use nix::sys::termios::{InputFlags, LocalFlags, OutputFlags, tcgetattr};

    use super::*;

    fn factory() -> (tempfile::TempDir, PtyFactory) {
        let runtime = tempfile::tempdir().expect("a directory");
        let factory = PtyFactory::new(runtime.path()).expect("a pty factory");
        (runtime, factory)
    }

    #[test]
    fn is_raw_and_private_before_anybody_can_open_it() {
        let (_runtime, factory) = factory();
        let (_master, pty) = OwnPty::open(&factory, 7).expect("a pty");
        let other = fs::File::open(pty.symlink()).expect("the slave by its symlink");
        assert_eq!(other.metadata().expect("metadata").mode() & 0o777, 0o600);
        let found = tcgetattr(&other).expect("a terminal");
        assert!(!found.local_flags.intersects(LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG));
        assert!(!found.output_flags.contains(OutputFlags::OPOST));
        assert!(!found.input_flags.contains(InputFlags::ICRNL));
    }

    #[test]
    fn symlink_is_replaced_by_the_newer_and_removed_by_the_last() {
        let (_runtime, factory) = factory();
        let (_first_master, first) = OwnPty::open(&factory, 7).expect("a pty");
        let (_second_master, second) = OwnPty::open(&factory, 7).expect("a pty");
        assert_eq!(first.symlink(), second.symlink());
        let symlink = second.symlink().to_owned();
        drop(first);
        assert_eq!(fs::read_link(&symlink).expect("a symlink"), second.slave_path);
        drop(second);
        assert!(fs::symlink_metadata(&symlink).is_err());
    }

    #[test]
    fn slave_that_was_hung_up_can_be_opened_again() {
        let (_runtime, factory) = factory();
        let (master, mut pty) = OwnPty::open(&factory, 7).expect("a pty");
        pty.reopen_slave(master.as_fd()).expect("the slave");
        assert!(tcgetattr(pty.slave()).is_ok());
    }
}
