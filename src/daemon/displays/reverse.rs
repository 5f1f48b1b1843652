//! Reverse connections: VNC servers in guests that connect to us.
//!
//! Nothing is sent to whoever connects until it is known which guest that is: a word of ours could be taken for the
//! beginning of somebody else's protocol, and tells strangers what is here. Who is not known is refused, never guessed.

use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

use super::evidence;
use super::registry::{Arrival, Caller, NotTaken, Registry, Way};
use crate::daemon::host::Look;
use crate::daemon::limits::check_open_files;
use crate::daemon::upstream::UpstreamStream;
use crate::net::admission::{Admission, Line, LogLimit, NotAdmitted};
use crate::net::bridge::Tables;
use crate::net::preamble::{Greeting, PREAMBLE_BYTES, Preamble};
use crate::net::{BindError, Listener, Stream};
use crate::xen::store::Store;

/// How long a connection may take to say which guest it is from. Who connects speaks at once, and what it says fits into
/// one packet.
const GREETING_LIMIT: Duration = Duration::from_secs(10);

/// How long a listener rests after a failed accept: the usual reason, too many open files, does not go away at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// A port on which guests' VNC servers may connect. Dropping it closes the port, and what has not been attributed.
#[derive(Debug)]
pub(super) struct ReverseListener {
    task: JoinHandle<()>,
}

impl ReverseListener {
    pub(super) fn open(at: SocketAddr, gate: Arc<Gate>) -> Result<Self, BindError> {
        let listener = Listener::tcp_for_many(at)?;
        tracing::info!(address = %listener.address(), "guests' displays may connect");
        Ok(Self { task: tokio::spawn(accept_all(listener, gate)) })
    }

    /// Whether it listens still; if not, that is a defect.
    pub(super) fn lives(&self) -> bool {
        !self.task.is_finished()
    }
}

impl Drop for ReverseListener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What all listeners share.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) registry: Registry,
    pub(super) store: Store,
    pub(super) look: Look,
    pub(super) tables: Tables,
    trusted: Mutex<Vec<String>>,
    admission: Mutex<Admission>,
    /// A flood has a limit of its own, so that it does not hide why somebody else is refused.
    flood_log: Arc<Mutex<LogLimit>>,
    log: Arc<Mutex<LogLimit>>,
    /// Looking for the domain behind an address reads the interfaces of all domains: once at a time.
    searching: Semaphore,
}

/// Why a connection was closed.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    NotAdmitted(#[from] NotAdmitted),
    #[error(transparent)]
    TooManyFiles(#[from] crate::daemon::limits::TooManyFiles),
    #[error("it said nothing within {} s, or not all of it", GREETING_LIMIT.as_secs())]
    Silent,
    #[error("it closed the connection")]
    Closed,
    #[error("{0}")]
    Connection(std::io::Error),
    #[error(transparent)]
    Preamble(#[from] crate::net::preamble::PreambleError),
    #[error("no domain has the token that it showed; a token is good for one connection")]
    Token,
    #[error("it showed no token, and no bridge is trusted")]
    NoToken,
    #[error("it showed no token, and {0}")]
    Unknown(#[from] evidence::Unknown),
    #[error("it is domain {0}, whose displays are not wanted")]
    NotServed(crate::xen::Domid),
    #[error("it is domain {}, but {reason}", caller.domid)]
    NotTaken { caller: Caller, reason: NotTaken },
}

impl Gate {
    pub(super) fn new(registry: Registry, store: Store, look: Look) -> Self {
        Self {
            registry,
            store,
            look,
            tables: Tables::default(),
            trusted: Mutex::default(),
            admission: Mutex::default(),
            flood_log: Arc::default(),
            log: Arc::default(),
            searching: Semaphore::new(1),
        }
    }

    /// Trusts these bridges from now on.
    pub(super) fn trust(&self, bridges: &[String]) {
        bridges.clone_into(&mut lock(&self.trusted));
    }

    /// Takes a connection in, or closes it and logs why.
    async fn receive(self: Arc<Self>, stream: Stream, peer: SocketAddr) {
        let waiting = Waiting { gate: &self, address: peer.ip() };
        let result = self.attribute(&stream, peer).await;
        drop(waiting);
        let result = match result {
            Ok((caller, arrival)) => {
                let arrival = arrival(stream);
                let taken = self.registry.deliver(&caller, arrival).await;
                taken.map(drop).map_err(|reason| Refusal::NotTaken { caller, reason })
            }
            Err(refusal) => Err(refusal),
        };
        if let Err(refusal) = result {
            self.refuse(peer, &refusal);
        }
    }

    /// Finds out whom a connection is from, and what is to be handed to that guest's seat.
    async fn attribute(
        &self,
        stream: &Stream,
        peer: SocketAddr,
    ) -> Result<(Caller, impl FnOnce(Stream) -> Arrival + use<>), Refusal> {
        let greeting = tokio::time::timeout(GREETING_LIMIT, read_greeting(stream)).await;
        let (greeting, received) = greeting.map_err(|_| Refusal::Silent)??;
        let (caller, display, way, proof) = match greeting {
            Greeting::Token { token, display } => {
                let caller = self.registry.by_token(&token).ok_or(Refusal::Token)?;
                // It has another one now, which must be written.
                self.look.at(caller.domid);
                (caller, display, Way::Token, "token")
            }
            Greeting::Rfb => (self.by_bridge(peer.ip()).await?, 0, Way::Bridge, "trusted bridge"),
        };
        let origin = format!("reverse TCP {peer} ({proof})");
        let network = !peer.ip().to_canonical().is_loopback();
        let arrival = move |stream| Arrival {
            stream: UpstreamStream::Net(stream),
            received,
            display,
            way,
            origin,
            network,
        };
        Ok((caller, arrival))
    }

    async fn by_bridge(&self, address: IpAddr) -> Result<Caller, Refusal> {
        let trusted = lock(&self.trusted).clone();
        if trusted.is_empty() {
            return Err(Refusal::NoToken);
        }
        // It is never closed.
        let _one = self.searching.acquire().await;
        let domid = evidence::domain_behind(&self.store, &self.tables, &trusted, address).await?;
        self.registry.by_domid(domid).ok_or(Refusal::NotServed(domid))
    }

    fn refuse(&self, peer: SocketAddr, refusal: &Refusal) {
        // Of a display that is held back, the first refusal is told and the rest is silence.
        if let Refusal::NotTaken { reason: NotTaken::TooOften(often), .. } = refusal
            && !often.first
        {
            return;
        }
        let log = if let Refusal::NotAdmitted(_) = refusal { &self.flood_log } else { &self.log };
        let line = lock(log).line(Instant::now());
        match line {
            Line::Log => {}
            Line::LeaveOut => return,
            Line::LeaveOutUntil(pause) => {
                let log = log.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(pause).await;
                    let connections = lock(&log).left_out();
                    tracing::warn!(connections, "more reverse connections were refused");
                });
                return;
            }
        }
        match refusal {
            Refusal::NotTaken { caller, reason } => {
                let (domain, domid) = (&caller.name, caller.domid);
                tracing::warn!(?domain, %domid, %peer, %reason, "display refused");
            }
            other => tracing::warn!(%peer, reason = %other, "a reverse connection was refused"),
        }
    }
}

/// A connection that has not been attributed, for as long as this lives.
struct Waiting<'a> {
    gate: &'a Gate,
    address: IpAddr,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        lock(&self.gate.admission).done(self.address);
    }
}

async fn accept_all(listener: Listener, gate: Arc<Gate>) {
    let mut waiting = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = poll_fn(|cx| listener.poll_accept(cx)) => accepted,
            Some(_) = waiting.join_next() => continue,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a reverse connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // One that is gone already has no address.
        let Some(peer) = stream.peer_address() else { continue };
        let admitted = lock(&gate.admission).admit(peer.ip(), Instant::now());
        if let Err(error) = admitted {
            gate.refuse(peer, &error.into());
        } else if let Err(error) = check_open_files() {
            lock(&gate.admission).done(peer.ip());
            gate.refuse(peer, &error.into());
        } else {
            waiting.spawn(gate.clone().receive(stream, peer));
        }
    }
}

/// Reads until it is known what the connection says of itself; then also what was read and belongs to RFB.
async fn read_greeting(stream: &Stream) -> Result<(Greeting, Vec<u8>), Refusal> {
    let mut preamble = Preamble::default();
    let mut buffer = zeroize::Zeroizing::new([0; PREAMBLE_BYTES]);
    loop {
        poll_fn(|cx| stream.poll_read_ready(cx)).await.map_err(Refusal::Connection)?;
        let room = preamble.room().min(buffer.len());
        let count = match stream.try_read(&mut buffer[..room]) {
            Ok(0) => return Err(Refusal::Closed),
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(Refusal::Connection(error)),
        };
        if let Some(greeting) = preamble.take(&buffer[..count])? {
            return Ok((greeting, preamble.into_rest()));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Nothing in these can be left half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
