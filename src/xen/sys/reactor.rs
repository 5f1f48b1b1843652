//! Descriptors watched by the tokio runtime.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll, ready};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A non-blocking descriptor that a task can wait for. One task at a time; the last that polled is woken.
#[derive(Debug)]
pub struct Watch(AsyncFd<OwnedFd>);

impl Watch {
    /// Registers a descriptor; it must be non-blocking.
    ///
    /// # Errors
    /// When no tokio runtime is running here, or the descriptor cannot be polled.
    pub fn new(descriptor: OwnedFd) -> io::Result<Self> {
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(io::Error::other("no tokio runtime is running here"));
        }
        let interest = Interest::READABLE | Interest::WRITABLE;
        // SAFETY: an `OwnedFd` is open and the same until it is dropped. It is moved into the `AsyncFd`, and `Watch`
        // gives out no mutable reference by which it could be exchanged.
        Ok(Self(unsafe { AsyncFd::register_with_interest(descriptor, interest) }?))
    }

    /// The descriptor, no longer watched.
    #[must_use]
    pub fn into_inner(self) -> OwnedFd {
        self.0.into_inner()
    }

    /// Does `read` once the descriptor is readable; waits on when it says `WouldBlock`.
    pub fn poll_read<R>(
        &self,
        context: &mut Context<'_>,
        mut read: impl FnMut(BorrowedFd<'_>) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        loop {
            let mut guard = ready!(self.0.poll_read_ready(context))?;
            if let Ok(result) = guard.try_io(|inner| read(inner.get_ref().as_fd())) {
                return Poll::Ready(result);
            }
        }
    }

    /// Does `write` once the descriptor is writable; waits on when it says `WouldBlock`.
    pub fn poll_write<R>(
        &self,
        context: &mut Context<'_>,
        mut write: impl FnMut(BorrowedFd<'_>) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        loop {
            let mut guard = ready!(self.0.poll_write_ready(context))?;
            if let Ok(result) = guard.try_io(|inner| write(inner.get_ref().as_fd())) {
                return Poll::Ready(result);
            }
        }
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.get_ref().as_fd()
    }
}
