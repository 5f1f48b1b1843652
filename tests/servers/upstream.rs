//! A client that moves its bytes over a blocking socket.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use xenvnc::rfb::client::{ClientConnection, ClientError, ClientEvent, ClientOptions};
use xenvnc::rfb::encoding::Encoding;
use xenvnc::rfb::encoding::canvas::Canvas;

use crate::picture::difference;
use crate::program::{DEADLINE, eventually};

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// How long a read waits; then a test looks at what has come.
const PATIENCE: Duration = Duration::from_millis(50);

pub(crate) struct Upstream {
    stream: Box<dyn Stream>,
    pub(crate) client: ClientConnection,
    /// What has happened and was not asked for by [`take`](Self::take).
    pub(crate) events: Vec<ClientEvent>,
    /// The bytes that have come.
    pub(crate) received: usize,
}

impl Upstream {
    pub(crate) fn unix(path: &Path, options: ClientOptions) -> Self {
        Self::over(eventually("the server's socket", || UnixStream::connect(path).ok()), options)
    }

    /// On a socket that is connected.
    pub(crate) fn over(stream: UnixStream, options: ClientOptions) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        Self::new(Box::new(stream), options)
    }

    pub(crate) fn tcp(port: u16, options: ClientOptions) -> Self {
        let stream = eventually("the server's port", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok());
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        Self::new(Box::new(stream), options)
    }

    fn new(stream: Box<dyn Stream>, options: ClientOptions) -> Self {
        Self { stream, client: ClientConnection::new(options), events: Vec::new(), received: 0 }
    }

    /// Sends what there is to send, and takes what comes.
    pub(crate) fn pump(&mut self) -> Result<(), ClientError> {
        let output = std::mem::take(self.client.output());
        self.stream.write_all(&output).expect("a server that reads");
        let mut buf = [0; 64 * 1024];
        let count = match self.stream.read(&mut buf) {
            Ok(0) => panic!("the server hung up"),
            Ok(count) => count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => 0,
            Err(error) => panic!("the server: {error}"),
        };
        self.received += count;
        let result = self.client.handle_input(&buf[..count]);
        self.events.extend(std::iter::from_fn(|| self.client.poll_event()));
        result
    }

    /// Goes on, asking for updates, until `done` is true.
    pub(crate) fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let start = Instant::now();
        while !done(self) {
            self.client.request_update(true);
            self.pump().unwrap_or_else(|error| panic!("waiting for {what}: {error}"));
            let last = &self.events[self.events.len().saturating_sub(20)..];
            assert!(start.elapsed() < DEADLINE, "gave up waiting for {what}; at last {last:?}");
        }
    }

    /// Goes on until an event is one of those that are wanted, and takes it away.
    pub(crate) fn take<T>(&mut self, what: &str, wanted: impl Fn(&ClientEvent) -> Option<T>) -> T {
        let mut found = None;
        self.until(what, |this| {
            let at = this.events.iter().position(|event| wanted(event).is_some());
            found = at.and_then(|at| wanted(&this.events.remove(at)));
            found.is_some()
        });
        found.expect("just found")
    }

    /// Goes on until the canvas is `wanted`.
    pub(crate) fn until_picture(&mut self, wanted: &Canvas) {
        let start = Instant::now();
        while self.client.canvas() != wanted {
            self.client.request_update(true);
            self.pump().unwrap_or_else(|error| panic!("{error}"));
            if start.elapsed() > DEADLINE {
                let have = self.client.canvas();
                assert_eq!(have.size(), wanted.size());
                panic!("{:?} pixels (and mean difference) never became right", difference(have, wanted));
            }
        }
    }

    /// Everything again; returns how many bytes that took.
    pub(crate) fn refresh(&mut self) -> usize {
        self.until("quiet", |this| {
            let before = this.received;
            this.pump().expect("a good server");
            this.received == before
        });
        self.events.clear();
        let before = self.received;
        self.client.request_update(false);
        self.until("all of the picture", |this| {
            let area = this.client.canvas().size().area();
            let damaged = |event: &ClientEvent| match event {
                ClientEvent::Damaged(rect) => rect.area(),
                _ => 0,
            };
            this.events.iter().map(damaged).sum::<u32>() >= area
        });
        self.received - before
    }
}

/// Options for one picture encoding.
pub(crate) fn only(encoding: Encoding) -> ClientOptions {
    ClientOptions { encodings: vec![encoding], ..ClientOptions::local() }
}

/// Looks at one static picture in each encoding: it must be right, and where `used` says so shorter than raw pixels, which
/// shows that the server did not fall back to these.
pub(crate) fn compare(
    wanted: &Canvas,
    used: &[(Encoding, bool)],
    connect: impl Fn(ClientOptions) -> Upstream,
) {
    for (encoding, used) in used {
        let mut upstream = connect(only(*encoding));
        upstream.until_picture(wanted);
        let bytes = upstream.refresh();
        upstream.until_picture(wanted);
        let raw = 4 * wanted.pixels().len();
        assert_eq!(bytes < raw, *used, "{bytes} bytes instead of {raw} in {encoding:?}");
    }
}
