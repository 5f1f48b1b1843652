//! A vchan as a byte stream that a task can wait for.

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::end::{Direction, End, Moved, Peer};
use super::error::VchanError;
use crate::xen::event_channel::{EventChannel, Throttle};
use crate::xen::sys::reactor::Watch;

/// The peer is told of bytes whenever they fill this part of the ring: so the two work at the same time where there are two
/// processors.
const TELLINGS: usize = 4;

/// One end of a vchan. Everything is non-blocking; one task at a time may wait for it, in both directions.
///
/// A stream without traffic costs nothing, and one without a reader costs no events: the peer is asked for them only
/// while somebody waits.
///
/// What is written by [`AsyncWrite`] is in the ring at once, and the peer is told of it by a flush at the latest: an event
/// for each piece of a picture would have two domains take turns on a processor for each.
#[derive(Debug)]
pub struct VchanStream {
    // Dropped first: unmapping tells the peer, by the event channel.
    state: Mutex<State>,
    events: Watch,
}

#[derive(Debug)]
struct State {
    end: End,
    channel: Box<dyn EventChannel>,
    /// Who waits: to read, to write. An event that is taken for the one may be for the other.
    waiting: [Option<Waker>; 2],
    /// What events may cost that bring nothing.
    throttle: Throttle,
    /// When a masked channel may have events again.
    wait: Option<Pin<Box<Sleep>>>,
    /// Bytes written that the peer was not told of; a ring holds no more than this can.
    untold: u32,
    /// The event channel is no more, and its descriptor must stay open.
    restored: bool,
}

impl VchanStream {
    /// Takes an end, and the event channel that works on the non-blocking descriptor `events`.
    ///
    /// # Errors
    /// When no tokio runtime is running here.
    pub fn new(end: End, channel: Box<dyn EventChannel>, events: OwnedFd) -> Result<Self, VchanError> {
        let events = Watch::new(events).map_err(VchanError::system("watch the event channel"))?;
        let throttle = Throttle::new(Instant::now());
        let state =
            State { end, channel, waiting: [None, None], throttle, wait: None, untold: 0, restored: false };
        Ok(Self { state: Mutex::new(state), events })
    }

    /// Ready when a read would not block: there are bytes, or the peer is gone or at fault.
    ///
    /// # Errors
    /// When the event channel is broken.
    pub fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_ready(context, Direction::Read)
    }

    /// Ready when a write would not block: there is room, or the peer is gone or at fault.
    ///
    /// # Errors
    /// When the event channel is broken.
    pub fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_ready(context, Direction::Write)
    }

    /// Reads what is there; 0 when the peer is gone and all that it wrote was read.
    ///
    /// # Errors
    /// `WouldBlock` when there is nothing yet; `InvalidData` with a [`VchanError`] when the peer broke the ring.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let mut state = self.lock();
        // Looked at before the indices: what it wrote before it went is there by now.
        let gone = state.end.peer() == Peer::Gone;
        let moved = state.end.read(buffer)?;
        state.tell(moved, &self.events)?;
        if moved.count == 0 && !gone { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(moved.count) }
    }

    /// Writes what fits.
    ///
    /// # Errors
    /// `WouldBlock` when nothing fits; `BrokenPipe` when the peer is gone; `InvalidData` with a [`VchanError`] when it
    /// broke the ring.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.lock();
        if state.end.peer() == Peer::Gone {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let moved = state.end.write(bytes)?;
        state.tell(moved, &self.events)?;
        if moved.count == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(moved.count)
    }

    /// Ready when the client of this server is there.
    pub(super) fn poll_peer(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.lock();
        loop {
            match state.end.peer() {
                Peer::Expected => ready!(state.poll_event(context, &self.events))?,
                Peer::Here => return Poll::Ready(Ok(())),
                Peer::Gone => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
        }
    }

    /// This guest has been restored or migrated: its event channels are gone without having been closed. From now on the
    /// descriptor of this one stays open until the process ends, because closing it then is a fault of the Linux kernel
    /// (`BUG_ON` in `evtchn_unbind_from_user`, `drivers/xen/evtchn.c`) that kills the process.
    pub fn was_restored(&self) {
        self.lock().restored = true;
    }

    /// Sends an event to the peer.
    pub(super) fn notify(&self) -> io::Result<()> {
        self.lock().channel.notify(self.events.as_fd())
    }

    /// Writes what fits and tells the peer when there is much to tell, or nothing fits any more.
    fn write_quietly(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.lock();
        if state.end.peer() == Peer::Gone {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let count = state.end.write_quietly(bytes)?;
        state.untold = state.untold.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        if state.untold as usize >= state.end.write_size() / TELLINGS {
            state.tell_of_bytes(&self.events)?;
        }
        if count == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(count)
    }

    fn poll_ready(&self, context: &mut Context<'_>, direction: Direction) -> Poll<io::Result<()>> {
        // A peer that is never slower than us would else hold the thread for ever.
        let budget = ready!(tokio::task::coop::poll_proceed(context));
        let mut state = self.lock();
        let result = loop {
            if state.end.is_ready(direction) {
                break Ok(());
            }
            state.end.want(direction);
            if state.end.is_ready(direction) {
                break Ok(());
            }
            match state.poll_event(context, &self.events) {
                Poll::Ready(Ok(())) => state.wake(direction.other()),
                Poll::Ready(Err(error)) => break Err(error),
                Poll::Pending => {
                    state.waiting[direction.slot()] = Some(context.waker().clone());
                    return Poll::Pending;
                }
            }
        };
        state.waiting[direction.slot()] = None;
        budget.made_progress();
        Poll::Ready(result)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here is left half done by a panic that would matter to the next caller.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Ready when an event was taken, or a masked channel's time is over. Pending only with a wake-up to come.
    fn poll_event(&mut self, context: &mut Context<'_>, events: &Watch) -> Poll<io::Result<()>> {
        if let Some(wait) = &mut self.wait {
            ready!(wait.as_mut().poll(context));
            self.wait = None;
            return Poll::Ready(self.channel.unmask(events.as_fd()));
        }
        ready!(events.poll_read(context, |events| self.channel.take(events)))?;
        let useful = self.end.peer() != Peer::Expected
            && (self.end.is_ready(Direction::Read) || self.waits_for_room());
        match self.throttle.event(Instant::now(), if useful { Throttle::WORTHWHILE } else { 0 }) {
            None => self.channel.unmask(events.as_fd())?,
            Some(delay) => self.wait = Some(Box::pin(tokio::time::sleep(delay))),
        }
        Poll::Ready(Ok(()))
    }

    /// Whether somebody waits for room that is there now.
    fn waits_for_room(&mut self) -> bool {
        self.waiting[Direction::Write.slot()].is_some() && self.end.is_ready(Direction::Write)
    }

    /// After an event was taken: wakes who waits for the other direction, if it is ready.
    fn wake(&mut self, direction: Direction) {
        let slot = direction.slot();
        if self.waiting[slot].is_some()
            && self.end.is_ready(direction)
            && let Some(waker) = self.waiting[slot].take()
        {
            waker.wake();
        }
    }

    /// Sends the event that the peer wants for bytes that it was not told of.
    fn tell_of_bytes(&mut self, events: &Watch) -> io::Result<()> {
        let untold = std::mem::take(&mut self.untold) > 0;
        if untold && self.end.is_told_of_bytes() { self.channel.notify(events.as_fd()) } else { Ok(()) }
    }

    /// Sends the event that the peer wants for what was moved.
    fn tell(&self, moved: Moved, events: &Watch) -> io::Result<()> {
        if moved.notify { self.channel.notify(events.as_fd()) } else { Ok(()) }
    }
}

impl Direction {
    const fn slot(self) -> usize {
        match self {
            Self::Read => 0,
            Self::Write => 1,
        }
    }

    const fn other(self) -> Self {
        match self {
            Self::Read => Self::Write,
            Self::Write => Self::Read,
        }
    }
}

impl AsyncRead for VchanStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_read_ready(context))?;
            match self.try_read(buffer.initialize_unfilled()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok(count) => {
                    buffer.advance(count);
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

impl AsyncWrite for VchanStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let Poll::Ready(ready) = self.poll_write_ready(context) else {
                self.lock().tell_of_bytes(&self.events)?;
                return Poll::Pending;
            };
            ready?;
            match self.write_quietly(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    /// Tells the peer. Nothing is buffered beside the ring.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.lock().tell_of_bytes(&self.events))
    }

    /// A vchan has no end of one direction; dropping it ends both, and the peer can still read what is in its ring.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Drop for VchanStream {
    fn drop(&mut self) {
        let mut state = self.lock();
        if state.restored {
            // Another descriptor of the same open device keeps that open. Without one, the fault cannot be helped.
            std::mem::forget(self.events.as_fd().try_clone_to_owned());
        }
        // Also then: it may have been another change that looked like a restore, with the peer still there.
        state.end.leave();
        // The peer looks at its live byte when it has an event; unmapping sends another one, later.
        let _ = state.channel.notify(self.events.as_fd());
    }
}
