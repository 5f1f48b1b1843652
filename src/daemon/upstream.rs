//! What the host hands to a seat when a guest connects its display: a byte stream to an RFB server, known to come from
//! that guest.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use super::display_access::DisplayAccess;
use crate::net::Stream;
use crate::xen::vchan::VchanStream;

/// A stream to a guest's RFB server. Everything is non-blocking.
#[derive(Debug)]
pub(super) enum UpstreamStream {
    /// By TCP or a Unix socket.
    Net(Stream),
    /// By memory that the guest shares.
    Vchan(Box<VchanStream>),
}

impl UpstreamStream {
    /// True when it goes over a network, where somebody else may answer; false by shared memory or a socket's file.
    pub(super) const fn is_tcp(&self) -> bool {
        matches!(self, Self::Net(Stream::Tcp(_)))
    }

    /// Where the other end is, where it is a TCP connection that still is one.
    pub(super) fn peer_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Net(stream) => stream.peer_address(),
            Self::Vchan(_) => None,
        }
    }

    /// Ready when a read would not block.
    pub(super) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Net(stream) => stream.poll_read_ready(cx),
            Self::Vchan(stream) => stream.poll_read_ready(cx),
        }
    }

    /// Ready when a write would not block.
    pub(super) fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Net(stream) => stream.poll_write_ready(cx),
            Self::Vchan(stream) => stream.poll_write_ready(cx),
        }
    }

    /// Reads what is there, 0 at the end of the stream.
    pub(super) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Net(stream) => stream.try_read(buffer),
            Self::Vchan(stream) => stream.try_read(buffer),
        }
    }

    /// Writes what fits.
    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Net(stream) => stream.try_write(bytes),
            Self::Vchan(stream) => stream.try_write(bytes),
        }
    }
}

/// A guest's display that has come, attributed already.
#[derive(Debug)]
pub(super) struct UpstreamLink {
    /// The way to it.
    pub(super) stream: UpstreamStream,
    /// Bytes of it that have been read already.
    pub(super) received: Vec<u8>,
    /// How it came, for logs and the status page.
    pub(super) origin: String,
    /// Which of the guest's displays it is: 0 is F7.
    pub(super) display: u8,
    /// What it may ask for, and how it is known.
    pub(super) access: DisplayAccess,
    /// It is reached over a network that is slower than this machine's memory.
    pub(super) network: bool,
    /// The seat says here why it has ended; dropped when the seat itself is gone.
    pub(super) ended: oneshot::Sender<String>,
}
