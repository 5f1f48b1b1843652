//! The kernel's own road to xenstored, for hosts whose xenstored has no socket (a xenstore domain).

use std::fs::File;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::wire::HEADER_BYTES;

/// `/dev/xen/xenbus`, opened without blocking.
pub(super) struct Device(AsyncFd<File>);

impl Device {
    #[expect(
        deprecated,
        reason = "sound for a File, which never changes its descriptor; the replacement is unsafe"
    )]
    pub(super) fn new(file: File) -> io::Result<Self> {
        AsyncFd::new(file).map(Self)
    }
}

/// How many of `bytes`, which start with a message, belong to that message.
///
/// The kernel collects what is written in a buffer for exactly one message and looks once per write whether it is
/// whole (`xenbus_file_write`, `drivers/xen/xenbus/xenbus_dev_frontend.c`), so that two messages must not share a
/// write.
fn first_message(bytes: &[u8]) -> usize {
    let Some(mut length) = bytes.get(HEADER_BYTES - 4..HEADER_BYTES) else { return bytes.len() };
    let payload = usize::try_from(length.get_u32_ne()).unwrap_or(usize::MAX);
    bytes.len().min(HEADER_BYTES.saturating_add(payload))
}

impl AsyncRead for Device {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.0.poll_read_ready(context))?;
            let unfilled = buffer.initialize_unfilled();
            match guard.try_io(|file| file.get_ref().read(unfilled)) {
                Ok(Ok(bytes)) => {
                    buffer.advance(bytes);
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_would_block) => {}
            }
        }
    }
}

impl AsyncWrite for Device {
    /// Never waits: `poll(2)` says of this device only when it can be read (`xenbus_file_poll`), and a write is taken at
    /// once.
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let message = bytes.get(..first_message(bytes)).unwrap_or(bytes);
        Poll::Ready(self.0.get_ref().write(message))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xen::store::wire::{Kind, Message, encode};
    use bytes::BytesMut;

    /// An eventfd at its limit is never reported as writable either, and still takes a zero.
    #[tokio::test]
    async fn writing_does_not_wait_for_the_device_to_be_writable() {
        use nix::sys::eventfd::{EfdFlags, EventFd};
        let full = EventFd::from_value_and_flags(0, EfdFlags::EFD_NONBLOCK).unwrap();
        full.write(u64::MAX - 1).unwrap();
        let mut device = Device::new(File::from(std::os::fd::OwnedFd::from(full))).unwrap();
        let written =
            std::future::poll_fn(|context| Poll::Ready(Pin::new(&mut device).poll_write(context, &[0; 8])));
        assert!(matches!(written.await, Poll::Ready(Ok(8))));
    }

    #[test]
    fn two_messages_never_share_a_write() {
        let mut output = BytesMut::new();
        let message = |payload: &[u8]| Message {
            kind: Kind::Read,
            request: 1,
            transaction: 0,
            payload: payload.to_vec(),
        };
        encode(&message(b"/a\0"), &mut output).unwrap();
        assert_eq!(first_message(&output), HEADER_BYTES + 3);
        encode(&message(b"/bcd\0"), &mut output).unwrap();
        assert_eq!(first_message(&output), HEADER_BYTES + 3);
        output.advance(HEADER_BYTES + 3);
        assert_eq!(first_message(&output), HEADER_BYTES + 5);
    }
}
