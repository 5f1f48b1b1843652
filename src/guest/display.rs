//! The connection to this guest's RFB server.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::config::ServerAddress;
use super::splice::{Ended, INPUT_BYTES, PICTURE_BYTES, Pump, poll_splice};

/// A connection to the RFB server, made before the host is asked: so the host is only told of a display that is there, and
/// told when it goes.
#[derive(Debug)]
pub(super) struct Display {
    stream: Local,
    pictures: Pump,
}

#[derive(Debug)]
enum Local {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Display {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens there.
    pub(super) async fn connect(address: &ServerAddress) -> io::Result<Self> {
        let stream = match address {
            ServerAddress::Unix(path) => Local::Unix(UnixStream::connect(path).await?),
            ServerAddress::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Local::Tcp(stream)
            }
        };
        Ok(Self { stream, pictures: Pump::new(PICTURE_BYTES) })
    }

    /// Waits until the server closes the connection, and keeps what it says meanwhile: its version, before anybody
    /// answers. Dropping the future loses nothing.
    pub(super) async fn closed(&mut self) {
        let _ = poll_fn(|context| {
            let stream = Pin::new(&mut self.stream);
            self.pictures.poll_fill(context, stream)
        })
        .await;
    }

    /// Moves bytes between the server and the host until one of them ends. Says who did, and how many bytes the host
    /// had sent.
    pub(super) async fn splice(mut self, host: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> (Ended, u64) {
        let mut input = Pump::new(INPUT_BYTES);
        let ended = poll_fn(|context| {
            let display = Pin::new(&mut self.stream);
            poll_splice(context, display, Pin::new(&mut *host), &mut self.pictures, &mut input)
        })
        .await;
        (ended, input.moved())
    }
}

impl AsyncRead for Local {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Local {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
