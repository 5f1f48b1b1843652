//! Byte streams between two domains over shared memory, as Xen's libxenvchan makes them, without its code.
//!
//! A server in one domain shares a control page and the pages of two rings with one other domain, allocates an event
//! channel, and says in xenstore by which numbers ([`VchanServer::ring_ref`], [`VchanServer::event_channel`]). A client in
//! that other domain maps and binds them. Both numbers mean something for this pair of domains only: who the peer is,
//! the hypervisor vouches for.
//!
//! What is in xenstore proves nothing, not even that the server lives; [`VchanClient::connect`] does. One server has one
//! client, and is made anew for the next one, with other numbers. Each end sees at once when the other is gone, however it
//! went; but a *domain* that is destroyed says nothing: whoever holds a stream to it must drop it when xenstore has
//! released the domain, or that stays a zombie (its pages are mapped).
//!
//! [`End`] is the protocol, [`VchanStream`] the descriptor around it.

mod end;
mod error;
mod layout;
mod publish;
mod stream;

use std::future::poll_fn;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;

pub use end::{Direction, End, Moved, Pages, Peer};
pub use error::VchanError;
pub use layout::{RingName, RingSizes};
pub use publish::{publish, withdraw};
pub use stream::VchanStream;

use super::Domid;
use super::event_channel::LocalPort;
use super::sys::evtchn;
use super::sys::gntalloc::SharedPages;
use super::sys::gntdev::GrantedPages;
use super::sys::mapping::Access;

/// The offset of a live byte, as the devices take it.
const fn live_byte(offset: usize) -> u32 {
    assert!(offset < 4096);
    #[expect(clippy::cast_possible_truncation, reason = "less than 4096")]
    let offset = offset as u32;
    offset
}

/// The client of a vchan.
#[derive(Debug)]
pub struct VchanClient;

impl VchanClient {
    /// Connects to the server of a domain, by what that published. Does not wait; needs a tokio runtime.
    ///
    /// # Errors
    /// [`VchanError::EventChannel`] and [`VchanError::System`] ("cannot map …") when the numbers are those of a server that is
    /// gone, [`VchanError::NoServer`] when nobody serves the pages, [`VchanError::EventChannel`] also when another client is
    /// connected; [`VchanError::Order`] and [`VchanError::Overlap`] when the page is none of a vchan.
    pub fn connect(domid: Domid, ring_ref: u32, event_channel: u32) -> Result<VchanStream, VchanError> {
        let number = domid.get();
        let events = evtchn::open().map_err(VchanError::system("open /dev/xen/evtchn"))?;
        // Bound before the page is touched: until then it may be another client's.
        let port =
            evtchn::bind_interdomain(events.as_fd(), number, event_channel).map_err(|source| match source
                .kind()
            {
                io::ErrorKind::InvalidInput => {
                    VchanError::EventChannel { domid: number, port: event_channel }
                }
                _ => VchanError::System {
                    action: format!("bind event channel {event_channel} of domain {number}"),
                    source,
                },
            })?;
        let map = |references: &[u32], access| {
            GrantedPages::map(number, references, access)
                .map_err(VchanError::system(format!("map {} pages of domain {number}", references.len())))
        };
        let control = map(&[ring_ref], Access::ReadWrite)?;
        control
            .notify_unmap(live_byte(layout::CLI_LIVE), port)
            .map_err(VchanError::system("arrange that the server sees our end"))?;
        let end = End::client(Box::new(control), |references, access| {
            map(references, access).map(|pages| Box::new(pages) as Box<dyn Pages>)
        })?;
        let stream = VchanStream::new(end, Box::new(LocalPort::new(port)), events)?;
        stream.notify().map_err(VchanError::system(format!("send an event to domain {number}")))?;
        Ok(stream)
    }
}

/// The server of a vchan, which waits for its one client.
#[derive(Debug)]
pub struct VchanServer {
    stream: VchanStream,
    ring_ref: u32,
    event_channel: u32,
}

impl VchanServer {
    /// Shares rings of these sizes with a domain. Does not wait; needs a tokio runtime. A client that is gone cannot be
    /// followed by another one: drop the stream, listen again, and publish the new numbers.
    ///
    /// # Errors
    /// [`VchanError::System`]; with `ENOSPC` when this guest shares too many pages already, which on old kernels include
    /// those of a former server that its client has still mapped.
    pub fn listen(peer: Domid, sizes: RingSizes) -> Result<Self, VchanError> {
        let number = peer.get();
        let events = evtchn::open().map_err(VchanError::system("open /dev/xen/evtchn"))?;
        let port = evtchn::bind_unbound(events.as_fd(), number)
            .map_err(VchanError::system(format!("allocate an event channel for domain {number}")))?;
        let shared = |pages: usize| VchanError::system(format!("share {pages} pages with domain {number}"));
        let one = NonZeroUsize::MIN;
        let control = SharedPages::with_unmap_notify(number, one, live_byte(layout::SRV_LIVE), port)
            .map_err(shared(1))?;
        let ring_ref = control.references().first().copied().unwrap_or_default();
        let end = End::server(Box::new(control), sizes, |count| {
            let pages = SharedPages::new(number, count).map_err(shared(count.get()))?;
            let references = pages.references().to_vec();
            Ok((Box::new(pages) as Box<dyn Pages>, references))
        })?;
        let stream = VchanStream::new(end, Box::new(LocalPort::new(port)), events)?;
        Ok(Self::from_parts(stream, ring_ref, port))
    }

    /// A server on a stream whose client has not come yet, for those who make the memory and the events themselves.
    #[must_use]
    pub const fn from_parts(stream: VchanStream, ring_ref: u32, event_channel: u32) -> Self {
        Self { stream, ring_ref, event_channel }
    }

    /// What to publish as `ring-ref`.
    #[must_use]
    pub const fn ring_ref(&self) -> u32 {
        self.ring_ref
    }

    /// What to publish as `event-channel`.
    #[must_use]
    pub const fn event_channel(&self) -> u32 {
        self.event_channel
    }

    /// Waits until the client is there.
    ///
    /// # Errors
    /// When the event channel is broken, or the client came and went while nobody waited.
    pub async fn client(&self) -> io::Result<()> {
        poll_fn(|context| self.stream.poll_peer(context)).await
    }

    /// The stream to the client.
    #[must_use]
    pub fn into_stream(self) -> VchanStream {
        self.stream
    }

    /// Waits for the client. Dropping the future ends the server.
    ///
    /// # Errors
    /// As [`Self::client`].
    pub async fn accept(self) -> io::Result<VchanStream> {
        self.client().await?;
        Ok(self.stream)
    }
}
