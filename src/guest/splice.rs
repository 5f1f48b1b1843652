//! Bytes between the display and the host, both ways, in one task.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes of pictures that wait between the display and the host: half of what a Unix socket holds, so that one side fills
/// it while the other empties.
pub const PICTURE_BYTES: usize = 128 * 1024;
/// Bytes of keys and clipboard that wait in the other direction.
pub const INPUT_BYTES: usize = 16 * 1024;

/// One direction: reads when it holds nothing, and then writes all of it before it reads again.
#[derive(Debug)]
pub struct Pump {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    ended: bool,
    moved: u64,
}

/// Why [`poll_splice`] ended.
#[derive(Debug)]
pub enum Ended {
    /// The display closed its connection, or it broke.
    Display(Option<io::Error>),
    /// The host closed its connection, or it broke.
    Host(Option<io::Error>),
}

impl Pump {
    /// One that holds at most so many bytes, at least one.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self { buffer: vec![0; bytes.max(1)].into_boxed_slice(), start: 0, end: 0, ended: false, moved: 0 }
    }

    /// Bytes that went through.
    #[must_use]
    pub const fn moved(&self) -> u64 {
        self.moved
    }

    /// Reads what comes while there is room, without a place to write it to. Ready at the end of the stream.
    pub fn poll_fill(
        &mut self,
        context: &mut Context<'_>,
        mut from: Pin<&mut impl AsyncRead>,
    ) -> Poll<io::Result<()>> {
        while !self.ended {
            let Some(room) = self.buffer.get_mut(self.end..).filter(|room| !room.is_empty()) else {
                return Poll::Pending;
            };
            let mut room = ReadBuf::new(room);
            ready!(from.as_mut().poll_read(context, &mut room))?;
            let count = room.filled().len();
            self.ended = count == 0;
            self.end += count;
        }
        Poll::Ready(Ok(()))
    }

    /// Moves bytes until one side blocks. Ready when all was written up to the end of `from`; the error says which
    /// side broke.
    fn poll(
        &mut self,
        context: &mut Context<'_>,
        mut from: Pin<&mut impl AsyncRead>,
        mut to: Pin<&mut impl AsyncWrite>,
    ) -> Poll<Result<(), Broken>> {
        loop {
            while self.start < self.end {
                let waiting = self.buffer.get(self.start..self.end).unwrap_or_default();
                let count = ready!(to.as_mut().poll_write(context, waiting)).map_err(Broken::To)?;
                if count == 0 {
                    return Poll::Ready(Err(Broken::To(io::ErrorKind::WriteZero.into())));
                }
                self.start += count;
                self.moved += count as u64;
            }
            if self.ended {
                return Poll::Ready(Ok(()));
            }
            (self.start, self.end) = (0, 0);
            let mut room = ReadBuf::new(&mut self.buffer);
            let Poll::Ready(read) = from.as_mut().poll_read(context, &mut room) else {
                // Only now: the other side is told once of all that was there.
                ready!(to.as_mut().poll_flush(context)).map_err(Broken::To)?;
                return Poll::Pending;
            };
            read.map_err(Broken::From)?;
            self.end = room.filled().len();
            self.ended = self.end == 0;
        }
    }
}

/// Which side of a pump broke.
#[derive(Debug)]
enum Broken {
    From(io::Error),
    To(io::Error),
}

/// Moves bytes both ways until one side ends. What the display had sent by then has been written to the host.
pub fn poll_splice(
    context: &mut Context<'_>,
    mut display: Pin<&mut (impl AsyncRead + AsyncWrite)>,
    mut host: Pin<&mut (impl AsyncRead + AsyncWrite)>,
    pictures: &mut Pump,
    input: &mut Pump,
) -> Poll<Ended> {
    match pictures.poll(context, display.as_mut(), host.as_mut()) {
        Poll::Ready(Ok(())) => return Poll::Ready(Ended::Display(None)),
        Poll::Ready(Err(Broken::From(error))) => return Poll::Ready(Ended::Display(Some(error))),
        Poll::Ready(Err(Broken::To(error))) => return Poll::Ready(Ended::Host(Some(error))),
        Poll::Pending => {}
    }
    match input.poll(context, host.as_mut(), display.as_mut()) {
        Poll::Ready(Ok(())) => Poll::Ready(Ended::Host(None)),
        Poll::Ready(Err(Broken::From(error))) => Poll::Ready(Ended::Host(Some(error))),
        Poll::Ready(Err(Broken::To(error))) => Poll::Ready(Ended::Display(Some(error))),
        Poll::Pending => Poll::Pending,
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    struct Sides {
        x: tokio::io::DuplexStream,
        viewer: tokio::io::DuplexStream,
        splice: tokio::task::JoinHandle<(Ended, u64, u64)>,
    }

    fn sides(pictures: usize) -> Sides {
        let ((x, mut display), (viewer, mut host)) = (duplex(1000), duplex(1000));
        let splice = tokio::spawn(async move {
            let (mut pictures, mut input) = (Pump::new(pictures), Pump::new(7));
            let ended = poll_fn(|cx| {
                let (display, host) = (pin!(&mut display), pin!(&mut host));
                poll_splice(cx, display, host, &mut pictures, &mut input)
            })
            .await;
            (ended, pictures.moved(), input.moved())
        });
        Sides { x, viewer, splice }
    }

    #[tokio::test]
    async fn bytes_go_both_ways_and_the_display_ends_it() {
        let Sides { mut x, mut viewer, splice } = sides(64);
        let picture: Vec<u8> = (0..100_000u32).map(|at| (at % 251).to_le_bytes()[0]).collect();
        let keys: Vec<u8> = (0..5_000u32).map(|at| (at % 241).to_le_bytes()[0]).collect();
        let (wanted_picture, wanted_keys) = (picture.clone(), keys.clone());
        let x_side = tokio::spawn(async move {
            let mut got = vec![0; keys.len()];
            let (mut reads, mut writes) = tokio::io::split(&mut x);
            let (read, written) = tokio::join!(reads.read_exact(&mut got), writes.write_all(&picture));
            assert!(read.is_ok() && written.is_ok());
            got
        });
        let mut got = Vec::new();
        viewer.write_all(&wanted_keys).await.expect("keys");
        viewer.read_to_end(&mut got).await.expect("pictures");
        assert!(got == wanted_picture, "all that the display sent before it closed");
        assert!(x_side.await.expect("the display") == wanted_keys);
        let (ended, pictures, input) = splice.await.expect("the splice");
        assert!(matches!(ended, Ended::Display(None)), "{ended:?}");
        assert_eq!((pictures, input), (100_000, 5_000));
    }

    #[tokio::test]
    async fn host_that_goes_ends_it_while_the_display_floods() {
        let Sides { mut x, viewer, splice } = sides(64);
        let flood = tokio::spawn(async move { while x.write_all(&[1; 500]).await.is_ok() {} });
        drop(viewer);
        let (ended, ..) = splice.await.expect("the splice");
        assert!(matches!(ended, Ended::Host(_)), "{ended:?}");
        flood.await.expect("its connection is closed as well");
    }

    #[tokio::test]
    async fn filling_stops_at_the_limit_and_sees_the_end() {
        let (mut x, mut display) = duplex(1000);
        let mut pump = Pump::new(12);
        let mut fill = async || {
            tokio::task::yield_now().await;
            poll_fn(|cx| Poll::Ready(pump.poll_fill(cx, pin!(&mut display)))).await
        };
        assert!(fill().await.is_pending());
        x.write_all(b"RFB 003.008\n").await.expect("the greeting");
        assert!(fill().await.is_pending(), "it is full, and that is no end");
        x.write_all(b"more").await.expect("more");
        drop(x);
        assert!(fill().await.is_pending(), "the end is behind what does not fit");
        assert_eq!(pump.buffer.as_ref(), b"RFB 003.008\n");

        let (x, mut display) = duplex(1000);
        let mut pump = Pump::new(12);
        drop(x);
        let end = poll_fn(|cx| Poll::Ready(pump.poll_fill(cx, pin!(&mut display)))).await;
        assert!(matches!(end, Poll::Ready(Ok(()))));
    }
}
