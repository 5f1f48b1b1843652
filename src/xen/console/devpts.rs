//! Where our ptys come from: a devpts instance that nobody else allocates from.
//!
//! A number of the ordinary `/dev/pts` is free again at the moment we crash, and the next program in dom0 that opens a
//! terminal gets it: with it what is typed into `xl console`, whose `console/tty` still names it. In an instance of our
//! own a dead name stays dead until we make it again.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::statfs::{DEVPTS_SUPER_MAGIC, statfs};

use super::ConsoleError;
use super::tty::system;

/// Options of the private instance: apart from the host's, and for the daemon's user only.
const MOUNT_OPTIONS: &str = "newinstance,ptmxmode=0600,mode=600";

/// How many mounts of crashed runs are taken away from one mount point at a start. Each start leaves at most one.
const MAX_STALE_MOUNTS: u32 = 16;

/// Makes the ptys that we publish. Clones share the instance; it goes with the last of them and of its ptys.
#[derive(Debug, Clone)]
pub struct PtyFactory(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// `<runtime>/tty`.
    directory: PathBuf,
    /// Where the slaves are.
    devpts: PathBuf,
    ptmx: PathBuf,
    /// The file system that only our ptys are on.
    private_device: Option<u64>,
    /// We mounted it and have to unmount it.
    mounted: bool,
    fallback: Option<Fallback>,
}

/// Why ptys come from the ordinary devpts, whose numbers another process can get after a crash of ours.
#[derive(Debug, thiserror::Error)]
pub enum Fallback {
    /// Mounting was refused: no root, or a container.
    #[error("a private devpts could not be mounted")]
    Mount(#[source] io::Error),
    /// A mount of ours would not be seen by `xl console`; the service manager has to make it before it starts us.
    #[error("this process has a mount namespace of its own and nobody mounted a devpts for it")]
    OtherMountNamespace,
    /// What is mounted cannot be used.
    #[error("the private devpts cannot be used")]
    Unusable(#[source] io::Error),
}

impl PtyFactory {
    /// Prepares `<runtime>/pts` (a private devpts) and `<runtime>/tty` (one symlink a domid), and removes what a
    /// crashed run left there: one daemon only may use a runtime directory. A devpts that is mounted there already is
    /// used as it is where we may not mount ourselves.
    ///
    /// # Errors
    /// When the directories cannot be made. That the mount is not possible is no error: [`Self::fallback`] says why.
    pub fn new(runtime: &Path) -> Result<Self, ConsoleError> {
        let directory = runtime.join("tty");
        make_directory(&directory)?;
        // A symlink of a crashed run would name a pty of another domain as soon as its number is used again.
        remove_symlinks(&directory).map_err(|source| system(format!("clear {directory:?}"), source))?;
        let devpts = runtime.join("pts");
        make_directory(&devpts)?;
        Ok(Self(Arc::new(match private_devpts(&devpts) {
            Ok((device, mounted)) => Inner {
                directory,
                ptmx: devpts.join("ptmx"),
                devpts,
                private_device: Some(device),
                mounted,
                fallback: None,
            },
            Err(fallback) => Inner {
                directory,
                ptmx: "/dev/ptmx".into(),
                devpts: "/dev/pts".into(),
                private_device: None,
                mounted: false,
                fallback: Some(fallback),
            },
        })))
    }

    /// Why the ordinary devpts is used; `None` when the private one is. To be logged once.
    #[must_use]
    pub fn fallback(&self) -> Option<&Fallback> {
        self.0.fallback.as_ref()
    }

    /// The directory of the symlinks. What `console/tty` names in there is ours, alive or from a crashed run.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.0.directory
    }

    /// Whether this is a path that a run with the same runtime directory publishes, even if nothing is there now.
    #[must_use]
    pub fn is_own(&self, path: &Path) -> bool {
        path.starts_with(&self.0.directory)
            || self.0.private_device.is_some_and(|private| {
                path.starts_with(&self.0.devpts)
                    || fs::metadata(path).is_ok_and(|metadata| metadata.dev() == private)
            })
    }

    pub(super) fn ptmx(&self) -> &Path {
        &self.0.ptmx
    }

    pub(super) fn slave_path(&self, number: u32) -> PathBuf {
        self.0.devpts.join(number.to_string())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.mounted {
            let _ = umount2(&self.devpts, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW);
        }
    }
}

/// Mounts a fresh instance over an empty directory, or finds one that was made for us. Says its device, and whether it
/// is ours to unmount.
fn private_devpts(mount_point: &Path) -> Result<(u64, bool), Fallback> {
    let prepared = || match private_device(mount_point) {
        Ok(Some(device)) => Ok(Some((device, false))),
        Ok(None) => Ok(None),
        Err(error) => Err(Fallback::Unusable(error)),
    };
    if has_own_mount_namespace() {
        return prepared()?.ok_or(Fallback::OtherMountNamespace);
    }
    for _ in 0..MAX_STALE_MOUNTS {
        if !is_devpts(mount_point) {
            break;
        }
        match umount2(mount_point, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
            Ok(()) => {}
            Err(errno) => return prepared()?.ok_or(Fallback::Mount(errno.into())),
        }
    }
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    mount(Some("devpts"), mount_point, Some("devpts"), flags, Some(MOUNT_OPTIONS))
        .map_err(|errno: Errno| Fallback::Mount(errno.into()))?;
    match private_device(mount_point) {
        Ok(Some(device)) => Ok((device, true)),
        Ok(None) => Err(Fallback::Unusable(io::Error::other("it is not there after mounting"))),
        Err(error) => Err(Fallback::Unusable(error)),
    }
}

/// The device of the devpts mounted here, when it is another instance than the host's and we may open ptys from it.
fn private_device(mount_point: &Path) -> io::Result<Option<u64>> {
    if !is_devpts(mount_point) {
        return Ok(None);
    }
    let device = fs::metadata(mount_point)?.dev();
    if fs::metadata("/dev/pts").is_ok_and(|host| host.dev() == device) {
        return Err(io::Error::other("it is the host's own /dev/pts"));
    }
    fs::OpenOptions::new().read(true).write(true).open(mount_point.join("ptmx"))?;
    Ok(Some(device))
}

fn is_devpts(path: &Path) -> bool {
    statfs(path).is_ok_and(|found| found.filesystem_type() == DEVPTS_SUPER_MAGIC)
}

/// Whether what we mount stays invisible to the rest of the host. Where that cannot be told it is assumed to be seen.
fn has_own_mount_namespace() -> bool {
    match (fs::read_link("/proc/self/ns/mnt"), fs::read_link("/proc/1/ns/mnt")) {
        (Ok(own), Ok(host)) => own != host,
        _ => false,
    }
}

fn make_directory(path: &Path) -> Result<(), ConsoleError> {
    let error = |source| system(format!("make the directory {path:?}"), source);
    fs::create_dir_all(path).map_err(error)?;
    if fs::symlink_metadata(path).map_err(error)?.is_dir() {
        Ok(())
    } else {
        Err(error(io::Error::from(io::ErrorKind::NotADirectory)))
    }
}

fn remove_symlinks(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_symlink() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::pty::OwnPty;
    use super::*;

    fn can_mount() -> bool {
        nix::unistd::geteuid().is_root() && !has_own_mount_namespace() && {
            let probe = tempfile::tempdir().expect("a directory");
            mount(Some("devpts"), probe.path(), Some("devpts"), MsFlags::empty(), Some(MOUNT_OPTIONS)).is_ok()
                && umount2(probe.path(), MntFlags::MNT_DETACH).is_ok()
        }
    }

    #[test]
    fn instance_is_private_where_we_may_mount_and_says_why_where_not() {
        let runtime = tempfile::tempdir().expect("a directory");
        let factory = PtyFactory::new(runtime.path()).expect("a factory");
        assert_eq!(factory.fallback().is_none(), can_mount(), "{:?}", factory.fallback());
        let (_master, pty) = OwnPty::open(&factory, 1).expect("a pty");
        let target = fs::read_link(pty.symlink()).expect("a symlink");
        if factory.fallback().is_none() {
            assert_eq!(target, runtime.path().join("pts/0"));
            assert!(factory.is_own(&target));
            // The host's instance is another one.
            assert!(!factory.is_own(Path::new("/dev/pts/ptmx")));
        } else {
            assert!(target.starts_with("/dev/pts"));
        }
        assert!(factory.is_own(pty.symlink()));
        assert!(factory.is_own(&runtime.path().join("tty/99")), "a dangling one is still ours");
        drop(factory);
        assert!(fs::metadata(&target).is_ok(), "the pty keeps the instance");
        drop(pty);
        assert!(!is_devpts(&runtime.path().join("pts")), "the instance goes with the last pty");
    }

    #[test]
    fn stale_mounts_and_symlinks_of_a_crashed_run_are_taken_away() {
        let runtime = tempfile::tempdir().expect("a directory");
        fs::create_dir(runtime.path().join("tty")).expect("a directory");
        std::os::unix::fs::symlink("/dev/pts/3", runtime.path().join("tty/5")).expect("a symlink");
        let mount_point = runtime.path().join("pts");
        fs::create_dir(&mount_point).expect("a directory");
        let stale = can_mount();
        if stale {
            for _ in 0..2 {
                mount(Some("devpts"), &mount_point, Some("devpts"), MsFlags::empty(), Some(MOUNT_OPTIONS))
                    .expect("a stale mount");
            }
        }
        let before = fs::metadata(&mount_point).expect("metadata").dev();
        let factory = PtyFactory::new(runtime.path()).expect("a factory");
        assert!(fs::symlink_metadata(runtime.path().join("tty/5")).is_err());
        if stale {
            assert_ne!(fs::metadata(&mount_point).expect("metadata").dev(), before, "a fresh instance");
        }
        drop(factory);
        assert!(!is_devpts(&mount_point), "none of the stale ones is left");
    }

    #[test]
    fn runtime_that_is_a_file_is_an_error() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        assert!(matches!(PtyFactory::new(file.path()), Err(ConsoleError::System { .. })));
    }
}
