//! The byte stream of a viewer, or of a guest's VNC server.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::task::{Context, Poll};
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use tokio::net::{TcpStream, UnixStream};

/// How long a silent TCP viewer may be unreachable before the kernel asks whether it is still there. A viewer whose
/// machine lost power would otherwise hold its place for ever.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);

/// A connected viewer or VNC server, by TCP or by Unix socket. Everything is non-blocking.
#[derive(Debug)]
pub enum Stream {
    /// By TCP.
    Tcp(TcpStream),
    /// By Unix socket.
    Unix(UnixStream),
}

impl Stream {
    /// A TCP stream set up for small messages in both directions and for viewers that vanish.
    pub(super) fn tcp(stream: TcpStream) -> Self {
        // Each can only fail on a socket that is already dead; reading from it will tell.
        let _ = stream.set_nodelay(true);
        let _ = setsockopt(&stream, sockopt::KeepAlive, &true);
        let idle = u32::try_from(KEEPALIVE_IDLE.as_secs()).unwrap_or(60);
        let _ = setsockopt(&stream, sockopt::TcpKeepIdle, &idle);
        Self::Tcp(stream)
    }

    /// Connects to a TCP port.
    ///
    /// # Errors
    /// What the system says.
    pub async fn connect_tcp(at: SocketAddr) -> io::Result<Self> {
        TcpStream::connect(at).await.map(Self::tcp)
    }

    /// Connects to a Unix socket.
    ///
    /// # Errors
    /// What the system says.
    pub async fn connect_unix(path: &Path) -> io::Result<Self> {
        UnixStream::connect(path).await.map(Self::Unix)
    }

    /// The other end's address, where it is a TCP connection that still is one.
    #[must_use]
    pub fn peer_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.peer_addr().ok(),
            Self::Unix(_) => None,
        }
    }

    /// Ready when a read would not block: there are bytes, or the viewer is gone.
    ///
    /// # Errors
    /// When the runtime is shutting down.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_read_ready(cx),
            Self::Unix(stream) => stream.poll_read_ready(cx),
        }
    }

    /// Ready when a write would not block.
    ///
    /// # Errors
    /// When the runtime is shutting down.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_write_ready(cx),
            Self::Unix(stream) => stream.poll_write_ready(cx),
        }
    }

    /// Reads what is there, 0 at the end of the stream.
    ///
    /// # Errors
    /// `WouldBlock` when there is nothing yet, else what the system says.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_read(buffer),
            Self::Unix(stream) => stream.try_read(buffer),
        }
    }

    /// Writes what fits.
    ///
    /// # Errors
    /// `WouldBlock` when nothing fits, else what the system says.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_write(bytes),
            Self::Unix(stream) => stream.try_write(bytes),
        }
    }
}
