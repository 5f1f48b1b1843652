//! Console 0 of one domain: guest output out, typed bytes in, by one of three ways (DESIGN, "Console ownership").
//!
//! * **attach**: open the published pty and share it with whoever else reads it.
//! * **interpose**: be the only reader of xenconsoled's pty and publish a pty of our own, so that `xl console` and we
//!   both see every byte.
//! * **own**: map the console ring and bind its event channel in place of xenconsoled.
//!
//! Draining never waits: not for the program that reads our pty, not for input that the guest does not take.

pub mod error;
pub mod pty;

use std::path::Path;

pub use error::ConsoleError;
pub use pty::PtyFactory;

/// The most guest output that one [`Console::next`] appends, in bytes. Sixteen full line discipline buffers: enough
/// that the cost of a turn is shared, little enough that one flooding guest does not hold a thread.
pub const CHUNK: usize = 64 * 1024;

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
    /// Own mode: the event channel or the ring failed for good. Drop this console.
    Closed,
}

/// Console 0 of one domain.
#[derive(Debug)]
pub struct Console {}

impl Console {
    /// Opens the pty that somebody else publishes and accepts to share it.
    ///
    /// # Errors
    /// When the path is not a usable pty; needs a tokio runtime.
    pub fn attach(tty: &Path) -> Result<Self, ConsoleError> {
        Err(ConsoleError::Missing { path: tty.to_owned() })
    }

    /// Reads xenconsoled's pty and makes one of our own for `xl console`; write [`Self::published_tty`] to the store.
    ///
    /// # Errors
    /// When the path is not a usable pty, or none can be made; needs a tokio runtime.
    pub fn interpose(upstream: &Path, _ptys: &PtyFactory, _domid: u16) -> Result<Self, ConsoleError> {
        Self::attach(upstream)
    }

    /// Maps the console ring of a domain and binds its event channel (`console/port`), and makes a pty for
    /// `xl console`. `already_recorded` is the position right after the last byte in the history.
    ///
    /// # Errors
    /// [`ConsoleError::Owned`] when another process holds the port; needs a tokio runtime.
    pub fn own(
        _domid: u16,
        _remote_port: u32,
        _ptys: &PtyFactory,
        _already_recorded: Option<RingPosition>,
    ) -> Result<Self, ConsoleError> {
        Err(ConsoleError::NoRuntime)
    }

    /// What belongs in `console/tty`: the path of a symlink to our pty. None when attached.
    #[must_use]
    pub fn published_tty(&self) -> Option<&Path> {
        None
    }

    /// Waits until something happened, moving bytes meanwhile: guest output to the reader of our pty, its typing and
    /// what [`Self::send`] queued to the guest. Guest output is appended to `out`, at most [`CHUNK`] bytes.
    ///
    /// Safe to cancel: nothing is lost when the future is dropped before it is ready. In own mode a call also says
    /// that the output of the one before has been dealt with (see [`Self::consumed`]).
    pub async fn next(&mut self, _out: &mut Vec<u8>) -> ConsoleEvent {
        std::future::pending().await
    }

    /// Queues bytes for the guest and says how many were taken: all that fit below [`INPUT_LIMIT`]. What was not taken
    /// is the caller's to keep or to refuse; what was taken is never dropped. Sent by the next [`Self::next`].
    pub fn send(&mut self, _bytes: &[u8]) -> usize {
        0
    }

    /// Own mode: the history has the bytes of the last output, so the guest may have their room back. Else nothing.
    pub fn consumed(&mut self) {}

    /// Reads another pty from now on; our own, and who reads it, stays. For when xenconsoled was restarted.
    ///
    /// # Errors
    /// When the path is not a usable pty; the console is then as it was.
    pub fn reconnect(&mut self, upstream: &Path) -> Result<(), ConsoleError> {
        Err(ConsoleError::Missing { path: upstream.to_owned() })
    }

    /// Whether, as far as can be told, another program reads our pty now, so that it and not we answers the guest's
    /// terminal queries.
    #[must_use]
    pub fn another_reader(&self) -> bool {
        false
    }
}
