//! Ptys, and the simulated xenconsoled that copies between a guest's and the published one.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::pty::{Winsize, openpty};
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use tokio::io::unix::AsyncFd;

/// Most bytes of output that are kept while nobody reads the console, as xenconsoled's own limit
/// (`LIBXL_XENCONSOLE_LIMIT`); beyond it the oldest go.
const BACKLOG_BYTES: usize = 1024 * 1024;

/// How much is read at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// The size of a guest's terminal: what the console shows.
const SIZE: Winsize = Winsize { ws_row: 25, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };

/// Held while a descriptor exists that a child would inherit, and while a child is made.
pub(super) static INHERITANCE: Mutex<()> = Mutex::new(());

/// A pty whose slave stays open, so that the master is readable whoever comes and goes.
pub(super) struct Pty {
    master: AsyncFd<OwnedFd>,
    _slave: OwnedFd,
    /// The name of the slave.
    pub(super) path: PathBuf,
}

impl Pty {
    /// A new one; a raw one passes bytes on as they are.
    pub(super) fn open(raw: bool) -> io::Result<Self> {
        let (master, slave) = {
            let _alone = INHERITANCE.lock().unwrap_or_else(PoisonError::into_inner);
            let made = openpty(&SIZE, None)?;
            for descriptor in [made.master.as_fd(), made.slave.as_fd()] {
                fcntl(descriptor, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
            }
            (made.master, made.slave)
        };
        if raw {
            let mut mode = tcgetattr(&slave)?;
            cfmakeraw(&mut mode);
            tcsetattr(&slave, SetArg::TCSANOW, &mode)?;
        }
        let flags = OFlag::from_bits_truncate(fcntl(&master, FcntlArg::F_GETFL)?);
        fcntl(&master, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
        let path = nix::unistd::ttyname(&slave)?;
        #[expect(deprecated, reason = "sound for an OwnedFd, which never changes; the replacement is unsafe")]
        let master = AsyncFd::new(master)?;
        Ok(Self { master, _slave: slave, path })
    }

    async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.master.readable().await?;
            if let Ok(done) = ready.try_io(|fd| nix::unistd::read(fd, buffer).map_err(io::Error::from)) {
                return done;
            }
        }
    }

    async fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.master.writable().await?;
            if let Ok(done) = ready.try_io(|fd| nix::unistd::write(fd, bytes).map_err(io::Error::from)) {
                return done;
            }
        }
    }
}

/// One domain's console: the published pty and what waits for its reader.
pub(super) struct Console {
    pty: Pty,
    backlog: VecDeque<u8>,
}

impl Console {
    pub(super) fn open() -> io::Result<Self> {
        Ok(Self { pty: Pty::open(true)?, backlog: VecDeque::new() })
    }

    /// What goes into `console/tty`.
    pub(super) fn path(&self) -> &std::path::Path {
        &self.pty.path
    }

    /// Adds what a kernel prints.
    pub(super) fn print(&mut self, bytes: &[u8]) {
        self.backlog.extend(bytes);
        let excess = self.backlog.len().saturating_sub(BACKLOG_BYTES);
        self.backlog.drain(..excess);
    }

    /// Passes on what waits, for ever: a reader may come.
    pub(super) async fn drain(&mut self) -> io::Result<()> {
        while !self.backlog.is_empty() {
            let written = self.pty.write(self.backlog.as_slices().0).await?;
            self.backlog.drain(..written);
        }
        std::future::pending().await
    }

    /// Copies in both directions until a pty fails. May be dropped at any time: only input on its way to a guest that
    /// does not read is lost then.
    pub(super) async fn copy(&mut self, guest: &Pty) -> io::Result<()> {
        let (mut output, mut input) = (vec![0; CHUNK_BYTES], vec![0; CHUNK_BYTES]);
        // Typed and not yet taken by the guest; nothing more is read meanwhile.
        let mut typed = Vec::new();
        loop {
            let front = self.backlog.as_slices().0;
            tokio::select! {
                read = guest.read(&mut output) => {
                    let read = read?;
                    self.print(output.get(..read).unwrap_or_default());
                }
                written = self.pty.write(front), if !front.is_empty() => {
                    self.backlog.drain(..written?);
                }
                read = self.pty.read(&mut input), if typed.is_empty() => {
                    typed.extend_from_slice(input.get(..read?).unwrap_or_default());
                }
                written = guest.write(&typed), if !typed.is_empty() => {
                    typed.drain(..written?);
                }
            }
        }
    }
}
