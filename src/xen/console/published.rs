//! Our own pty as `xl console` uses it: guest output towards its reader, its typing towards the guest.

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::path::Path;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::backlog::Backlog;
use super::devpts::PtyFactory;
use super::pty::OwnPty;
use super::tty::{make_raw, read_some, system, write_some};
use super::{ConsoleError, INPUT_LIMIT};
use crate::xen::sys;
use crate::xen::sys::reactor::Watch;

/// How much typing one read asks for, in bytes.
const READ: usize = 4096;

/// How long after a write the reader of a pty has surely had the chance to take it; only what is pending after that
/// tells whether there is one.
const SETTLE: Duration = Duration::from_millis(20);

/// How long a reader may take nothing while bytes wait for it before it counts as gone.
const STALL: Duration = Duration::from_millis(200);

/// How many times in the life of a console its slave is opened again after somebody hung it up. Only root can do that.
const MAX_REOPENS: u32 = 100;

/// Our pty and what waits for its reader.
#[derive(Debug)]
pub(super) struct Published {
    /// First, so that the symlink is gone before the pty's number can be another's.
    pty: OwnPty,
    master: Watch,
    backlog: Backlog,
    reopens: u32,
    /// When guest output was last offered; never yet at first.
    offered: Option<Instant>,
    /// When the pty last took some.
    taken: Instant,
    /// Whether everything written before the last burst had been read by somebody.
    was_read: bool,
}

impl Published {
    /// Makes the pty; its slave is raw and its symlink in place.
    pub(super) fn open(factory: &PtyFactory, domid: u16) -> Result<Self, ConsoleError> {
        let (master, pty) = OwnPty::open(factory, domid)?;
        let master = Watch::new(master).map_err(|source| system("watch our pty".to_owned(), source))?;
        Ok(Self {
            master,
            pty,
            backlog: Backlog::default(),
            reopens: 0,
            offered: None,
            taken: Instant::now(),
            was_read: false,
        })
    }

    pub(super) fn path(&self) -> &Path {
        self.pty.symlink()
    }

    pub(super) fn factory(&self) -> &PtyFactory {
        self.pty.factory()
    }

    /// How many bytes the reader lost by being slow.
    pub(super) fn dropped(&self) -> u64 {
        self.backlog.dropped()
    }

    /// Has guest output wait for the reader. It goes into the pty with the next [`Self::poll_flush`].
    pub(super) fn offer(&mut self, bytes: &[u8]) {
        let now = Instant::now();
        // During a burst it cannot be told whether anybody reads; so the verdict from before it is kept.
        if self.offered.is_none_or(|last| now - last >= SETTLE) {
            self.was_read = self.is_read();
            self.tend_slave();
        }
        if self.backlog.is_empty() {
            self.taken = now;
        }
        self.offered = Some(now);
        self.backlog.push(bytes);
    }

    /// Moves what waits into the pty. An unread pty stays full: then no system call is made. Pending while something is left.
    pub(super) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while !self.backlog.is_empty() {
            match self.master.poll_write(context, |master| write_some(master, self.backlog.front())) {
                Poll::Ready(Ok(count)) => {
                    self.backlog.consume(count);
                    self.taken = Instant::now();
                }
                _ => return Poll::Pending,
            }
        }
        Poll::Ready(())
    }

    /// Moves what the reader typed towards the guest. When the guest takes nothing the rest stays in the pty: typing
    /// is delayed, never lost.
    pub(super) fn poll_typing(&mut self, context: &mut Context<'_>, input: &mut VecDeque<u8>) -> Poll<()> {
        while input.len() < INPUT_LIMIT {
            let mut buffer = [0; READ];
            let room = READ.min(INPUT_LIMIT - input.len());
            match self.master.poll_read(context, |master| read_some(master, &mut buffer[..room])) {
                Poll::Ready(Ok(count)) => {
                    input.extend(&buffer[..count]);
                    self.tend_slave();
                }
                // No slave is open, not even ours.
                Poll::Ready(Err(_)) => {
                    if !self.reopen_slave() {
                        return Poll::Pending;
                    }
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    }

    /// Keeps the slave raw: with the echo that another program left on, or that a hang-up (`vhangup`) brought back, the
    /// guest's output would become its input. A hang-up closes the slave for us too and says nothing of it.
    fn tend_slave(&mut self) {
        if make_raw(self.pty.slave()).is_err() {
            self.reopen_slave();
        }
    }

    fn reopen_slave(&mut self) -> bool {
        self.reopens = self.reopens.saturating_add(1);
        self.reopens <= MAX_REOPENS && self.pty.reopen_slave(self.master.as_fd()).is_ok()
    }

    /// Whether somebody reads what we write, as far as can be told: an unread pty fills, a read one empties.
    pub(super) fn is_read(&self) -> bool {
        let stalled = !self.backlog.is_empty() && self.taken.elapsed() >= STALL;
        match self.offered {
            None => false,
            Some(_) if stalled => false,
            Some(last) if last.elapsed() < SETTLE => self.was_read,
            Some(_) => self.backlog.is_empty() && self.is_drained(),
        }
    }

    fn is_drained(&self) -> bool {
        sys::tty::pending_input(self.pty.slave().as_fd()).is_ok_and(|pending| pending == 0)
    }
}
