//! A client of xenstored, Xen's small database in which toolstack, daemons and guests meet.
//!
//! ```text
//! Store, Watch, Transaction  ──commands──►  actor  ◄──► socket ◄──► xenstored
//!        ▲        ▲                           │
//!        └─ reply └──────── coalesced events ─┘
//! ```
//!
//! One task (`actor`) owns the connection and waits for nobody but the socket. A connection that is lost is made anew
//! with growing pauses, for ever: calls that were waiting fail, watches stay and are told [`WatchEvent::Resync`].
//! Nothing else is remembered over a loss; xenstored itself forgets everything when it dies.

mod actor;
mod address;
mod device;
mod error;
mod nodes;
mod permissions;
mod transaction;
mod watch;
pub mod wire;

use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{mpsc, oneshot};

use self::actor::{Actor, Command};
use self::nodes::Client;
use self::wire::Kind;
use crate::xen::Domid;

pub use self::address::Address;
pub use self::error::{ErrorName, StoreError};
pub use self::nodes::Nodes;
pub use self::permissions::{Permission, PermissionError, Permissions, Right};
pub use self::transaction::Transaction;
pub use self::watch::{Watch, WatchEvent};

/// Whether there is a connection now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// xenstored is there.
    Connected,
    /// It went away; we try to reach it again.
    Disconnected,
}

/// A handle on the store; copies share one connection, which ends with the last of them and of their watches.
///
/// Nodes are read and changed through [`Nodes`], to which this dereferences.
#[derive(Debug, Clone)]
pub struct Store {
    nodes: Nodes,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    link: tokio::sync::watch::Receiver<Link>,
    last_watch: AtomicU64,
}

impl Deref for Store {
    type Target = Nodes;

    fn deref(&self) -> &Nodes {
        &self.nodes
    }
}

impl Store {
    /// Connects, in a task of its own on the current tokio runtime. Fails at once when xenstored is not there; once
    /// connected, the handle reconnects by itself for as long as it lives.
    pub async fn connect(address: Address) -> Result<Self, StoreError> {
        let connection = address.open().await?;
        let (commands, received) = mpsc::unbounded_channel();
        let (report, link) = tokio::sync::watch::channel(Link::Connected);
        tokio::spawn(Actor::new(address, received, report).run(connection));
        let nodes = Nodes { client: Arc::new(Client::new(commands)), transaction: None };
        Ok(Self { nodes, shared: Arc::new(Shared { link, last_watch: AtomicU64::new(0) }) })
    }

    /// Whether there is a connection, and a way to wait for a change of that.
    #[must_use]
    pub fn state(&self) -> tokio::sync::watch::Receiver<Link> {
        self.shared.link.clone()
    }

    /// Watches a node and all below it, or a special event such as `@introduceDomain`; the node need not exist.
    pub async fn watch(&self, path: &str) -> Result<Watch, StoreError> {
        nodes::check_path(path)?;
        let client = &self.nodes.client;
        let id = self.shared.last_watch.fetch_add(1, Ordering::Relaxed) + 1;
        // Made before anything is sent: when this future is dropped, so is the watch, and that ends the registration.
        let watch =
            Watch { id, path: path.to_owned(), queue: Arc::default(), commands: client.commands.clone() };
        let (reply, answer) = oneshot::channel();
        let queue = Arc::clone(&watch.queue);
        client.send(Command::Watch { id, path: path.to_owned(), queue, reply })?;
        nodes::wait(answer, Kind::Watch, path).await?;
        Ok(watch)
    }

    /// Runs `body` as one transaction and commits it when it returns `Ok`; an `Err` discards it.
    ///
    /// When others changed what it had read, it is run again, up to a limit ([`StoreError::Conflict`]): what `body`
    /// does outside of the transaction must bear repetition. Dropping the future discards the transaction.
    pub async fn transaction<T, E, F, R>(&self, body: F) -> Result<T, E>
    where
        F: Fn(Transaction) -> R,
        R: Future<Output = Result<T, E>>,
        E: From<StoreError>,
    {
        let client = &self.nodes.client;
        for attempt in 0..transaction::MAX_ATTEMPTS {
            let ticket = client.start().await?;
            let nodes = Nodes { client: Arc::clone(client), transaction: ticket.transaction() };
            // An error drops the ticket, and that discards the transaction.
            let value = body(Transaction { nodes }).await?;
            match client.commit(ticket).await {
                Ok(()) => return Ok(value),
                Err(StoreError::Refused { error: ErrorName::Eagain, .. }) => {
                    tokio::time::sleep(transaction::pause(attempt)).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Conflict { attempts: transaction::MAX_ATTEMPTS }.into())
    }

    /// The domain in which this process runs, as its toolstack wrote it into the node `domid` of its home.
    ///
    /// xenstored takes a path without a slash at its start for one in the home of who asks; this is the only such path
    /// that is ever sent.
    pub async fn own_domid(&self) -> Result<Domid, StoreError> {
        const OWN: &str = "domid";
        let value = self.nodes.client.call(Kind::Read, OWN, wire::join_strings([OWN]), None).await?;
        let text = std::str::from_utf8(&value).ok().and_then(|text| text.trim_end().parse().ok());
        text.ok_or_else(|| StoreError::Answer {
            request: Kind::Read,
            path: OWN.to_owned(),
            reason: "it is not a domain number",
        })
    }

    /// Whether the domain was introduced to xenstored and is alive.
    pub async fn is_introduced(&self, domid: Domid) -> Result<bool, StoreError> {
        match self.about_domain(Kind::IsDomainIntroduced, domid, &[]).await?.as_slice() {
            b"T\0" | b"T" => Ok(true),
            b"F\0" | b"F" => Ok(false),
            _ => Err(StoreError::Answer {
                request: Kind::IsDomainIntroduced,
                path: domid.to_string(),
                reason: "it is neither T nor F",
            }),
        }
    }

    /// The home of a domain in the store, `/local/domain/<domid>`, whether or not the domain exists.
    pub async fn domain_path(&self, domid: Domid) -> Result<String, StoreError> {
        let path = self.about_domain(Kind::GetDomainPath, domid, &[]).await?;
        let path = path.strip_suffix(&[0]).unwrap_or(&path).to_vec();
        String::from_utf8(path).map_err(|_| StoreError::Answer {
            request: Kind::GetDomainPath,
            path: domid.to_string(),
            reason: "it is not text",
        })
    }

    /// Introduces a domain, as its toolstack does when it has built it: `frame` is the guest frame of its store page
    /// and `port` its event channel for it. For tests and the demo.
    pub async fn introduce(&self, domid: Domid, frame: u64, port: u32) -> Result<(), StoreError> {
        let details = [frame.to_string(), port.to_string()];
        self.about_domain(Kind::Introduce, domid, &details).await.map(drop)
    }

    /// Tells xenstored that a domain is gone. For tests and the demo.
    pub async fn release(&self, domid: Domid) -> Result<(), StoreError> {
        self.about_domain(Kind::Release, domid, &[]).await.map(drop)
    }

    async fn about_domain(
        &self,
        kind: Kind,
        domid: Domid,
        details: &[String],
    ) -> Result<Vec<u8>, StoreError> {
        let subject = domid.to_string();
        let strings = std::iter::once(&subject).chain(details);
        let payload = wire::join_strings(strings);
        self.nodes.client.call(kind, &subject, payload, None).await
    }
}
