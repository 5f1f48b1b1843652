//! A relay between a viewer and a server, through which a viewer can be made to take one encoding only: it strikes the
//! others out of what the viewer says that it knows (RFC 6143 §7.5.2). It notes what the viewer offers and asks for. What
//! the server sends passes unchanged.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// What the viewer has said, and how much it was sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// `3.8`, for example.
    pub(crate) version: String,
    /// All encodings that it knows, in its order, before any was struck out.
    pub(crate) offered: Vec<i32>,
    /// The bits of a pixel in the format that it has set.
    pub(crate) bits: u8,
    /// The bytes that the server has sent.
    pub(crate) from_server: usize,
    /// The server's first bytes: those of the handshake.
    head: Vec<u8>,
}

pub(crate) struct Relay {
    pub(crate) port: u16,
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Relay {
    /// Relays to a port of the loopback interface. The encodings of which `allowed` says no are struck out.
    pub(crate) fn start(to: u16, allowed: impl Fn(i32) -> bool + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        listener.set_nonblocking(true).expect("a mode");
        let relay = Self { port, seen: Arc::default(), stop: Arc::default(), streams: Arc::default() };
        let allowed: Arc<dyn Fn(i32) -> bool + Send + Sync> = Arc::new(allowed);
        let (seen, stop, streams) = (relay.seen.clone(), relay.stop.clone(), relay.streams.clone());
        thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((viewer, _)) => connect(viewer, to, &seen, &streams, allowed.clone()),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        thread::sleep(Duration::from_millis(5));
                    }
                    Err(_) => return,
                }
            }
        });
        relay
    }

    pub(crate) fn seen(&self) -> Seen {
        lock(&self.seen).clone()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        lock(&self.streams).iter().for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
    }
}

fn connect(
    viewer: TcpStream,
    to: u16,
    seen: &Arc<Mutex<Seen>>,
    streams: &Mutex<Vec<TcpStream>>,
    allowed: Arc<dyn Fn(i32) -> bool + Send + Sync>,
) {
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, to)) else { return };
    viewer.set_nonblocking(false).expect("a mode");
    for stream in [&viewer, &server] {
        stream.set_nodelay(true).expect("an option");
        lock(streams).push(stream.try_clone().expect("a handle"));
    }
    *lock(seen) = Seen { bits: 32, ..Seen::default() };
    let handle = |stream: &TcpStream| stream.try_clone().expect("a handle");
    let (mut from, mut out, counted) = (handle(&server), handle(&viewer), seen.clone());
    thread::spawn(move || {
        copy(&mut from, &mut out, |bytes, out| {
            let mut seen = lock(&counted);
            seen.from_server += bytes.len();
            if seen.head.len() < 64 {
                seen.head.extend_from_slice(bytes);
            }
            out.extend_from_slice(bytes);
        });
    });
    let (mut from, mut out, said) = (viewer, server, seen.clone());
    thread::spawn(move || {
        let mut reader = Reader { stage: Stage::Version, held: Vec::new() };
        copy(&mut from, &mut out, |bytes, out| {
            reader.held.extend_from_slice(bytes);
            while reader.step(&mut lock(&said), out, &*allowed).is_some() {}
        });
    });
}

/// Copies until an end is gone, and lets the other know.
fn copy(from: &mut TcpStream, to: &mut TcpStream, mut pass: impl FnMut(&[u8], &mut Vec<u8>)) {
    let mut buf = vec![0; 64 * 1024];
    let mut out = Vec::new();
    while let Ok(count @ 1..) = from.read(&mut buf) {
        pass(&buf[..count], &mut out);
        if to.write_all(&out).is_err() {
            break;
        }
        out.clear();
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Version,
    SecurityType,
    Response,
    Init,
    Messages,
    /// What follows cannot be read; it is passed on.
    Opaque,
}

/// Reads what a viewer says.
struct Reader {
    stage: Stage,
    held: Vec<u8>,
}

impl Reader {
    /// Takes one thing and puts it into `out`; `None` when it is not complete.
    fn step(&mut self, seen: &mut Seen, out: &mut Vec<u8>, allowed: &dyn Fn(i32) -> bool) -> Option<()> {
        let length = match self.stage {
            Stage::Version => 12,
            Stage::SecurityType | Stage::Init => 1,
            Stage::Response => 16,
            Stage::Messages => match length(&self.held)? {
                Some(length) => length,
                None => {
                    self.stage = Stage::Opaque;
                    return Some(());
                }
            },
            Stage::Opaque => self.held.len().max(1),
        };
        if self.held.len() < length {
            return None;
        }
        let mut message: Vec<u8> = self.held.drain(..length).collect();
        self.stage = match self.stage {
            Stage::Version => {
                let text = String::from_utf8_lossy(&message).into_owned();
                let numbers = text.trim_end().trim_start_matches("RFB ").split('.');
                seen.version =
                    numbers.map(|n| n.trim_start_matches('0').to_owned()).collect::<Vec<_>>().join(".");
                match seen.version.as_str() {
                    "3.7" | "3.8" => Stage::SecurityType,
                    // The server has said which; the viewer answers without choosing.
                    _ if seen.head.get(12..16) == Some(&[0, 0, 0, 2]) => Stage::Response,
                    _ => Stage::Init,
                }
            }
            Stage::SecurityType if message == [1] => Stage::Init,
            Stage::SecurityType if message == [2] => Stage::Response,
            Stage::SecurityType => Stage::Opaque,
            Stage::Response => Stage::Init,
            Stage::Init => Stage::Messages,
            Stage::Messages => {
                match message[0] {
                    0 => seen.bits = message[4],
                    2 => {
                        let numbers = message[4..].as_chunks::<4>().0;
                        seen.offered = numbers.iter().map(|number| i32::from_be_bytes(*number)).collect();
                        let left: Vec<_> = seen.offered.iter().filter(|number| allowed(**number)).collect();
                        let count = u16::try_from(left.len()).expect("fewer than were offered");
                        message.truncate(2);
                        message.extend(count.to_be_bytes());
                        message.extend(left.iter().flat_map(|number| number.to_be_bytes()));
                    }
                    _ => {}
                }
                Stage::Messages
            }
            Stage::Opaque => Stage::Opaque,
        };
        out.extend(message);
        Some(())
    }
}

/// The length of the message that begins here: `None` when that is not to be seen yet, `Some(None)` when it is of an
/// unknown kind.
fn length(held: &[u8]) -> Option<Option<usize>> {
    let number = |range: std::ops::Range<usize>| -> Option<usize> {
        Some(held.get(range)?.iter().fold(0, |value, byte| value << 8 | usize::from(*byte)))
    };
    Some(Some(match *held.first()? {
        0 => 20,
        2 => 4 + 4 * number(2..4)?,
        3 | 150 => 10,
        4 => 8,
        // With the ninth button and more: the community's specification, Extended Mouse Buttons.
        5 => 6 + usize::from(*held.get(1)? >> 7),
        // Extended Clipboard has a negative length.
        6 => 8 + i32::from_be_bytes(held.get(4..8)?.try_into().ok()?).unsigned_abs() as usize,
        248 => 9 + number(8..9)?,
        250 => 4,
        251 => 8 + 16 * number(6..7)?,
        255 => 12,
        _ => return Some(None),
    }))
}
