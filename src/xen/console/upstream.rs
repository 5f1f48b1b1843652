//! The slave of a pty that somebody else (xenconsoled, QEMU, a test) holds the master of: the guest's side.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use tokio::time::{Sleep, sleep};

use super::in_flight::InFlight;
use super::pace::{Pace, REST};
use super::tty::{make_raw, open, system, write_some};
use super::{CHUNK, ConsoleError};
use crate::xen::sys::reactor::Watch;

/// The most that one read of a terminal brings, in bytes (Linux `drivers/tty/n_tty.c`).
const READ: usize = 4096;

/// A read of less than this, in bytes, is not worth a call: what was read before it is recorded first.
const LEAST_READ: usize = 1024;

/// A pty slave that guest output is read from and typed bytes are written to.
#[derive(Debug)]
pub(super) struct Upstream {
    slave: Slave,
    pace: Pace,
}

#[derive(Debug)]
enum Slave {
    Watched(Watch),
    /// Left alone until then: what comes meanwhile wakes nobody, not even the runtime.
    Resting(OwnedFd, Pin<Box<Sleep>>),
    /// It could not be watched again, or the value is on its way from one state to another.
    Lost,
}

/// What one look at the upstream brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// Bytes were appended.
    Output,
    /// The master was closed.
    Gone,
}

impl Upstream {
    /// Opens a pty slave and makes it raw if it is not.
    pub(super) fn open(path: &Path) -> Result<Self, ConsoleError> {
        let slave = open(path)?;
        make_raw(&slave)?;
        let watched = |source| system("watch the terminal".to_owned(), source);
        Ok(Self { slave: Slave::Watched(Watch::new(slave).map_err(watched)?), pace: Pace::default() })
    }

    /// Appends guest output, all that is there up to [`CHUNK`] bytes, read by way of `in_flight` where there is one.
    /// Pending also while the pty is left alone.
    pub(super) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        in_flight: &mut Option<InFlight>,
        out: &mut Vec<u8>,
    ) -> Poll<Read> {
        loop {
            match &mut self.slave {
                Slave::Watched(watch) => {
                    let start = out.len();
                    let read = watch.poll_read(context, |slave| read_all(slave, in_flight.as_mut(), out));
                    if let Poll::Ready(read) = read {
                        self.pace.read(out.len() - start, Instant::now());
                        return Poll::Ready(read.unwrap_or(Read::Gone));
                    }
                    if !self.pace.rests() {
                        return Poll::Pending;
                    }
                    self.rest();
                }
                Slave::Resting(_, timer) => {
                    ready!(timer.as_mut().poll(context));
                    self.watch_again();
                }
                Slave::Lost => return Poll::Ready(Read::Gone),
            }
        }
    }

    /// Leaves the pty alone for a moment.
    fn rest(&mut self) {
        self.slave = match std::mem::replace(&mut self.slave, Slave::Lost) {
            Slave::Watched(watch) => Slave::Resting(watch.into_inner(), Box::pin(sleep(REST))),
            other => other,
        };
    }

    fn watch_again(&mut self) {
        self.slave = match std::mem::replace(&mut self.slave, Slave::Lost) {
            Slave::Resting(slave, _) => Watch::new(slave).map_or(Slave::Lost, Slave::Watched),
            other => other,
        };
    }

    /// Writes what the guest takes of `input`. Pending while bytes are left.
    pub(super) fn poll_write(&mut self, context: &mut Context<'_>, input: &mut VecDeque<u8>) -> Poll<()> {
        while !input.is_empty() {
            let written = match &mut self.slave {
                Slave::Watched(watch) => {
                    watch.poll_write(context, |slave| write_some(slave, input.as_slices().0))
                }
                // What it does not take now waits for the end of the rest.
                Slave::Resting(slave, _) => Poll::Ready(write_some(slave.as_fd(), input.as_slices().0)),
                Slave::Lost => return Poll::Pending,
            };
            match written {
                Poll::Ready(Ok(count)) => drop(input.drain(..count)),
                // A master that is gone is found by reading; until then nothing can be written.
                _ => return Poll::Pending,
            }
        }
        Poll::Ready(())
    }
}

/// Reads until there is nothing left for now, or [`CHUNK`] bytes came.
///
/// # Errors
/// Those of [`read_some`], when nothing was read.
fn read_all(
    slave: BorrowedFd<'_>,
    mut in_flight: Option<&mut InFlight>,
    out: &mut Vec<u8>,
) -> io::Result<Read> {
    let start = out.len();
    loop {
        match read_some(slave, in_flight.as_deref_mut(), out) {
            Ok(Read::Output) => {}
            // What came first is told first; the end will be found again.
            Ok(Read::Gone) | Err(_) if out.len() > start => return Ok(Read::Output),
            result => return result,
        }
        let room = in_flight.as_ref().map_or(usize::MAX, |in_flight| in_flight.room());
        if room < LEAST_READ || out.len() - start > CHUNK - READ {
            return Ok(Read::Output);
        }
    }
}

/// One `read` that appends to `out`.
///
/// # Errors
/// `WouldBlock` when there is nothing; others when the terminal is unusable.
fn read_some(
    slave: BorrowedFd<'_>,
    mut in_flight: Option<&mut InFlight>,
    out: &mut Vec<u8>,
) -> io::Result<Read> {
    let result = loop {
        let result = match &mut in_flight {
            Some(page) => page.read(slave, out),
            None => read_plainly(slave, out),
        };
        match result {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => break result,
        }
    };
    match result {
        // 0 is also what a terminal says that another program set to VMIN 0, so only a hang-up counts as the end.
        Ok(0) if is_hung_up(slave) => Ok(Read::Gone),
        Ok(0) => Err(io::ErrorKind::WouldBlock.into()),
        Ok(_) => Ok(Read::Output),
        Err(error) if error.raw_os_error() == Some(libc::EIO) => Ok(Read::Gone),
        Err(error) => Err(error),
    }
}

fn read_plainly(slave: BorrowedFd<'_>, out: &mut Vec<u8>) -> io::Result<usize> {
    let start = out.len();
    out.resize(start + READ, 0);
    let result = nix::unistd::read(slave, &mut out[start..]);
    out.truncate(start + result.unwrap_or(0));
    Ok(result?)
}

/// Whether the other end is closed.
fn is_hung_up(terminal: BorrowedFd<'_>) -> bool {
    let mut polled = [PollFd::new(terminal.as_fd(), PollFlags::POLLIN)];
    nix::poll::poll(&mut polled, PollTimeout::ZERO).is_ok()
        && polled[0].revents().is_some_and(|found| found.intersects(PollFlags::POLLHUP | PollFlags::POLLERR))
}
