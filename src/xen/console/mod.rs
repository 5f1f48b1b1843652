//! Console 0 of one domain: guest output out, typed bytes in, by one of three ways.
//!
//! * **attach**: open the published pty and share it with whoever else reads it.
//! * **interpose**: be the only reader of xenconsoled's pty and publish a pty of our own, so that `xl console` and we
//!   both see every byte.
//! * **own**: map the console ring and bind its event channel in place of xenconsoled.
//!
//! Draining never waits: not for the program that reads our pty, not for input that the guest does not take. It rests for a
//! moment where a pty brings line after line (`pace.rs`).

mod backlog;
mod devpts;
mod error;
mod in_flight;
mod own;
mod pace;
mod pty;
mod published;
mod ring;
mod tty;
mod upstream;

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::path::Path;
use std::task::{Context, Poll};

pub use backlog::BACKLOG_LIMIT;
pub use devpts::{Fallback, PtyFactory};
pub use error::ConsoleError;
pub use in_flight::InFlight;
use own::RingOwner;
pub use own::RingParts;
use published::Published;
pub use ring::{IN_SIZE, OUT_SIZE, Page, Ring};
use upstream::{Read, Upstream};

pub use crate::xen::event_channel::EventChannel;

/// The most guest output that one [`Console::next`] appends, in bytes: a few reads of a pty (a Linux line discipline holds
/// 4095), or a full ring. Not more at once, because one flooding guest shall not hold a thread.
pub const CHUNK: usize = 16 * 1024;

/// The most bytes that wait for the guest to take them. A paste fits; a guest that does not read costs no more.
pub const INPUT_LIMIT: usize = 64 * 1024;

/// Where in a console ring's output a byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingPosition {
    /// Which life of which guest the index belongs to: the same for one domid between two boots of the host only.
    pub life: u64,
    /// The free-running index of the byte (`out_cons` at which it is next), wrapping at 2³².
    pub index: u32,
}

/// What [`Console::next`] saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsoleEvent {
    /// Guest output was appended. The position, in own mode only, is that of the first appended byte; it belongs in
    /// the same history record as the bytes. Call [`Console::consumed`] when they are recorded.
    Output(Option<RingPosition>),
    /// The pty's other end is gone: xenconsoled ended or the domain did. Said once; then [`Console::next`] only moves
    /// what it can until [`Console::reconnect`].
    UpstreamGone,
    /// There is room for input again, after [`Console::send`] did not take all; or all is sent, after
    /// [`Console::tell_when_sent`].
    Room,
    /// Own mode: the event channel or the ring failed for good. Drop this console.
    Closed,
}

/// Console 0 of one domain.
pub struct Console {
    guest: Guest,
    /// Our own pty, except when attached.
    published: Option<Published>,
    /// Typed bytes that the guest has not taken yet.
    input: VecDeque<u8>,
    /// Where reads of a pty go first, so that a kill does not lose them.
    in_flight: Option<InFlight>,
    /// The last [`Self::send`] did not take all.
    refused: bool,
    /// [`Self::tell_when_sent`] was asked for.
    awaited: bool,
}

/// Where guest output comes from.
#[derive(Debug)]
enum Guest {
    Pty(Upstream),
    Ring(Box<RingOwner>),
    /// The upstream is gone and [`Console::reconnect`] not called yet.
    Gone,
}

impl Console {
    /// Opens the pty that somebody else publishes and accepts to share it. It is made raw if it is not.
    ///
    /// # Errors
    /// When the path is not a usable pty; needs a tokio runtime with a timer.
    pub fn attach(tty: &Path) -> Result<Self, ConsoleError> {
        Ok(Self::of(Guest::Pty(Upstream::open(tty)?), None))
    }

    /// Reads xenconsoled's pty and makes one of our own for `xl console`; write [`Self::published_tty`] to the store.
    ///
    /// # Errors
    /// When the path is not a usable pty or is one of ours, or none can be made; needs a tokio runtime with a timer.
    pub fn interpose(upstream: &Path, ptys: &PtyFactory, domid: u16) -> Result<Self, ConsoleError> {
        let upstream = open_upstream(upstream, Some(ptys))?;
        Ok(Self::of(Guest::Pty(upstream), Some(Published::open(ptys, domid)?)))
    }

    /// Maps the console ring of a domain and binds its event channel (`console/port`), and makes a pty for
    /// `xl console`. `already_recorded` is the position right after the last byte in the history.
    ///
    /// # Errors
    /// [`ConsoleError::Owned`] when another process holds the port; others when the ring cannot be mapped or no pty
    /// be made. Needs a tokio runtime with a timer.
    pub fn own(
        domid: u16,
        remote_port: u32,
        ptys: &PtyFactory,
        already_recorded: Option<RingPosition>,
    ) -> Result<Self, ConsoleError> {
        Self::own_ring(RingParts::of_domain(domid, remote_port)?, ptys, domid, already_recorded)
    }

    /// As [`Self::own`], with a ring that came from elsewhere: a test's or a simulated host's.
    ///
    /// # Errors
    /// When no pty can be made; needs a tokio runtime.
    pub fn own_ring(
        parts: RingParts,
        ptys: &PtyFactory,
        domid: u16,
        already_recorded: Option<RingPosition>,
    ) -> Result<Self, ConsoleError> {
        let owner = RingOwner::new(parts, already_recorded)?;
        Ok(Self::of(Guest::Ring(Box::new(owner)), Some(Published::open(ptys, domid)?)))
    }

    fn of(guest: Guest, published: Option<Published>) -> Self {
        Self { guest, published, input: VecDeque::new(), in_flight: None, refused: false, awaited: false }
    }

    /// What belongs in `console/tty`: the path of a symlink to our pty. None when attached.
    #[must_use]
    pub fn published_tty(&self) -> Option<&Path> {
        self.published.as_ref().map(Published::path)
    }

    /// Waits until something happened, moving bytes meanwhile: guest output to the reader of our pty, its typing and
    /// what [`Self::send`] queued to the guest. Guest output is appended to `out`, at most [`CHUNK`] bytes; the reader
    /// of our pty gets it with the next call, so that the history can have it first.
    ///
    /// Safe to cancel: nothing is lost when the future is dropped before it is ready. In own mode a call also says
    /// that the output of the one before has been dealt with (see [`Self::consumed`]).
    pub async fn next(&mut self, out: &mut Vec<u8>) -> ConsoleEvent {
        poll_fn(|context| self.poll_next(context, out)).await
    }

    fn poll_next(&mut self, context: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<ConsoleEvent> {
        self.consumed();
        if let Some(published) = &mut self.published {
            let _ = published.poll_flush(context);
        }
        loop {
            // When the queue is full, what is behind it waits in the pty.
            let more_typing = match &mut self.published {
                Some(published) => published.poll_typing(context, &mut self.input).is_ready(),
                None => false,
            };
            let start = out.len();
            let event = self.poll_guest(context, out);
            if self.input.is_empty() && self.input.capacity() > SPARE_INPUT {
                self.input = VecDeque::new();
            }
            match event {
                Poll::Ready(ConsoleEvent::Output(_)) => {
                    if let Some(published) = &mut self.published {
                        published.offer(&out[start..]);
                    }
                    return event;
                }
                Poll::Ready(_) => {
                    self.guest = Guest::Gone;
                    return event;
                }
                Poll::Pending if self.refused && self.input.len() <= INPUT_LIMIT / 2 => {
                    self.refused = false;
                    return Poll::Ready(ConsoleEvent::Room);
                }
                Poll::Pending if self.awaited && self.input.is_empty() => {
                    self.awaited = false;
                    return Poll::Ready(ConsoleEvent::Room);
                }
                Poll::Pending if more_typing && self.input.len() < INPUT_LIMIT => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Moves input to the guest and appends its output.
    fn poll_guest(&mut self, context: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<ConsoleEvent> {
        match &mut self.guest {
            Guest::Pty(upstream) => {
                let _ = upstream.poll_write(context, &mut self.input);
                upstream.poll_read(context, &mut self.in_flight, out).map(|read| match read {
                    Read::Output => ConsoleEvent::Output(None),
                    Read::Gone => ConsoleEvent::UpstreamGone,
                })
            }
            Guest::Ring(owner) => owner.poll(context, &mut self.input, out).map(|position| match position {
                Some(position) => ConsoleEvent::Output(Some(position)),
                None => ConsoleEvent::Closed,
            }),
            Guest::Gone => Poll::Pending,
        }
    }

    /// Queues bytes for the guest and says how many were taken: all that fit below [`INPUT_LIMIT`]. What was not taken
    /// is the caller's to keep or to refuse, and [`ConsoleEvent::Room`] tells when to try again; what was taken is never
    /// dropped. Sent by the next [`Self::next`].
    pub fn send(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(INPUT_LIMIT.saturating_sub(self.input.len()));
        self.input.extend(&bytes[..taken]);
        self.refused = taken < bytes.len();
        taken
    }

    /// How many bytes the guest has not taken yet, of [`Self::send`] and of the readers of our pty.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.input.len()
    }

    /// Asks for one [`ConsoleEvent::Room`] when nothing is waiting any more.
    pub const fn tell_when_sent(&mut self) {
        self.awaited = true;
    }

    /// Own mode: the history has the bytes of the last output, so the guest may have their room back. Else nothing.
    pub fn consumed(&mut self) {
        if let Guest::Ring(owner) = &mut self.guest {
            owner.consumed();
        }
    }

    /// The history has the bytes of the last output and now this mark. Own mode: as [`Self::consumed`]. Else, what
    /// [`Self::keep_in_flight`] keeps is done with.
    pub fn recorded(&mut self, mark: u64) {
        self.consumed();
        if let Some(page) = &mut self.in_flight {
            page.recorded(mark);
        }
    }

    /// Attach and interpose: has every read go through this page, whose leftovers the history has by now, so that a
    /// kill between a read and the history loses nothing. Call [`Self::recorded`] after each output. Own mode needs no
    /// such page: there the ring keeps what was not consumed.
    pub fn keep_in_flight(&mut self, page: InFlight) {
        self.in_flight = Some(page);
    }

    /// Reads another pty from now on; our own, and who reads it, stays. For when xenconsoled was restarted.
    ///
    /// # Errors
    /// When the path is not a usable pty or is one of ours; the console is then as it was.
    pub fn reconnect(&mut self, upstream: &Path) -> Result<(), ConsoleError> {
        if let Guest::Ring(_) = self.guest {
            return Err(ConsoleError::NoUpstream);
        }
        let factory = self.published.as_ref().map(Published::factory);
        self.guest = Guest::Pty(open_upstream(upstream, factory)?);
        Ok(())
    }

    /// Whether, as far as can be told, another program reads our pty now, so that it and not we answers the guest's
    /// terminal queries. The evidence is that what we wrote more than 20 ms ago has been read; it says `false` before
    /// the first byte, and may be one burst late when a reader has just gone.
    #[must_use]
    pub fn another_reader(&self) -> bool {
        self.published.as_ref().is_some_and(Published::is_read)
    }

    /// How many bytes of guest output the reader of our pty lost because it was too slow or absent: more than
    /// [`BACKLOG_LIMIT`] behind.
    #[must_use]
    pub fn dropped_bytes(&self) -> u64 {
        self.published.as_ref().map_or(0, Published::dropped)
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is typed is nobody's business.
        formatter
            .debug_struct("Console")
            .field("guest", &self.guest)
            .field("published", &self.published_tty())
            .field("input_bytes", &self.input.len())
            .finish_non_exhaustive()
    }
}

/// The room for input that an idle console keeps, in bytes.
const SPARE_INPUT: usize = 64;

fn open_upstream(path: &Path, ptys: Option<&PtyFactory>) -> Result<Upstream, ConsoleError> {
    if ptys.is_some_and(|ptys| ptys.is_own(path)) {
        return Err(ConsoleError::OwnPty { path: path.to_owned() });
    }
    Upstream::open(path)
}
