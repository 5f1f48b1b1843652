//! What we publish for other programs, and our own records of it.
//!
//! For `xl vncviewer` there are `console/vnc-listen`, `vnc-port` and `vnc-pass` in a domain's home; for us there is a
//! record under `/tool/xenvnc/<domid>`, which only domain 0 can read; for the guest itself there is an [`Invitation`]. The record tells what is ours after a crash:
//! **a node is ours when the record says what we wrote there and it still holds that**, never because it looks like
//! ours.
//!
//! Every change is one transaction that first looks whether the domain is still the one that is meant: others see
//! all of it or nothing, and a home that is gone is never made again by a write into it.

mod invitation;
mod ports;
mod record;
mod tty;

use std::sync::Arc;

use tokio::sync::Mutex;
use tracing::debug;
use zeroize::Zeroizing;

use super::domains::Domain;
use super::store::{Nodes, Permissions, Store, StoreError, Transaction};
use super::{Domid, Uuid, paths};

pub use self::invitation::Invitation;
pub use self::ports::{DEFAULT_PORTS, Ports};
pub use self::record::{Record, TtyRecord};
pub use self::tty::TtyOutcome;

/// Where a guest's seat listens.
#[derive(Clone)]
pub struct Endpoint {
    /// The host or address that viewers are told: at best `127.0.0.1` or a name. IPv6 literals and `0.0.0.0` confuse
    /// the viewers that `xl vncviewer` starts.
    pub listen: String,
    /// The TCP port. Somebody must be listening on it by now.
    pub port: u16,
    /// The password to publish for `xl vncviewer --autopass`, readable by domain 0 only.
    pub password: Option<Zeroizing<String>>,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { listen, port, password } = self;
        write!(f, "{listen}:{port}{}", if password.is_some() { " with a password" } else { "" })
    }
}

/// What became of a publication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Published {
    /// `xl vncviewer` finds us.
    Visible,
    /// `console/` does not exist yet; publish again when it does. The record is written.
    NoConsole,
    /// Its device model publishes its own VNC port there, now or soon, and that is left to it. The record is written.
    DeviceModel,
    /// Somebody else published a port, and it is left alone. The record is written.
    Foreign {
        /// What they published; any bytes, shortened.
        vnc_port: String,
    },
    /// The domain is not there any more, or its number belongs to another guest. Nothing was written.
    Vanished,
}

/// Publishes and withdraws; copies share the order in which they do so.
#[derive(Debug, Clone)]
pub struct Publisher {
    store: Store,
    /// Our transactions all touch the directory of records, so that two at the same time would meet in a conflict.
    /// One after the other they only meet with those of others.
    turn: Arc<Mutex<()>>,
}

impl Publisher {
    /// One that publishes in this store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, turn: Arc::default() }
    }

    /// Publishes where the seat of a domain listens. To be called again whenever the domain or its console changed:
    /// what is right already is not written again, so that no watch fires for it.
    pub async fn publish(&self, domain: &Domain, endpoint: &Endpoint) -> Result<Published, StoreError> {
        let (domid, uuid) = (domain.domid, domain.uuid);
        let _turn = self.turn.lock().await;
        self.store
            .transaction(|t: Transaction| async move {
                let console = Console { domid };
                let (is_home, before, found) =
                    tokio::try_join!(is_home_of(&t, domid, uuid), record::read(&t, domid), console.read(&t))?;
                if !is_home {
                    return Ok(Published::Vanished);
                }
                let (before, found) = match before {
                    Some(stale) if stale.uuid != Some(uuid) => {
                        clean_up(&t, &stale).await?;
                        (None, console.read(&t).await?)
                    }
                    before => (before, found),
                };
                let record = before.clone().unwrap_or_else(|| Record::new(domid, uuid));
                let outcome = found.judge(domain, &record);
                let visible = outcome == Published::Visible;
                let after = Record {
                    port: Some(endpoint.port),
                    listen: Some(endpoint.listen.clone()),
                    published: visible.then_some(endpoint.port),
                    published_listen: visible.then(|| endpoint.listen.clone()),
                    published_password: visible && endpoint.password.is_some(),
                    ..record.clone()
                };
                after.write(&t, before.as_ref()).await?;
                if visible {
                    console.write(&t, endpoint, &record, &found).await?;
                } else {
                    take_back(&t, &record).await?;
                }
                Ok(outcome)
            })
            .await
    }

    /// Takes back what [`publish`](Self::publish) wrote for this life of this guest, where it still holds our value,
    /// and what the record says of it. What is said about the tty and the invitation stays.
    ///
    /// The home need not be that guest's any more: a domain that is preserved after a crash gets another UUID, and
    /// our nodes with it.
    pub async fn withdraw(&self, domid: Domid, uuid: Uuid) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        self.store
            .transaction(|t: Transaction| async move {
                let record = record::read(&t, domid).await?.filter(|record| record.uuid == Some(uuid));
                let Some(record) = record else { return Ok(()) };
                take_back(&t, &record).await?;
                let (tty, invited) = (record.tty.clone(), record.invited);
                Record { tty, invited, ..Record::new(domid, uuid) }.write_or_remove(&t, &record).await
            })
            .await
    }

    /// Every record that there is, by number of the domain, including those of domains that are gone: from these a
    /// new run learns which port a guest had.
    pub async fn records(&self) -> Result<Vec<Record>, StoreError> {
        record::read_all(&self.store).await
    }

    /// At a start of ours: every record that an earlier run left behind. Those whose domain is not among `alive` are
    /// removed, and with them what they say that we wrote. A record whose domain is alive stays, and the next
    /// publication takes it over.
    pub async fn take_over(&self, alive: &[Domain]) -> Result<Vec<Record>, StoreError> {
        let records = self.records().await?;
        let is_alive = |record: &&Record| {
            alive.iter().any(|domain| domain.domid == record.domid && Some(domain.uuid) == record.uuid)
        };
        for record in records.iter().filter(|record| !is_alive(record)) {
            debug!(domid = %record.domid, "removing the record of a domain that is gone");
            self.forget(record).await?;
        }
        Ok(records)
    }

    /// Removes a record whose domain is gone, unless it was changed since it was read.
    async fn forget(&self, stale: &Record) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        self.store
            .transaction(|t: Transaction| async move {
                match record::read(&t, stale.domid).await? {
                    Some(record) if record == *stale => clean_up(&t, &record).await,
                    _ => Ok(()),
                }
            })
            .await
    }
}

/// Whether this number still belongs to this guest. Inside a transaction it also makes the commit fail when that
/// changes meanwhile.
async fn is_home_of(nodes: &Nodes, domid: Domid, uuid: Uuid) -> Result<bool, StoreError> {
    let vm = nodes.read_optional(&paths::vm(domid)).await?;
    Ok(vm.is_some_and(|vm| Uuid::from_vm_node(&vm) == Ok(uuid)))
}

/// The nodes that `xl vncviewer` reads.
struct Console {
    domid: Domid,
}

/// What stands in a domain's console before we publish.
struct Found {
    has_vfb: bool,
    exists: bool,
    vnc_port: Option<Vec<u8>>,
    vnc_listen: Option<Vec<u8>>,
}

impl Console {
    async fn read(&self, t: &Transaction) -> Result<Found, StoreError> {
        let (vfb, console) = (paths::libxl(self.domid, "device/vfb/0"), paths::console(self.domid));
        let (port, listen) = (self.node("vnc-port"), self.node("vnc-listen"));
        let (has_vfb, exists, vnc_port, vnc_listen) = tokio::try_join!(
            t.exists(&vfb),
            t.exists(&console),
            t.read_optional(&port),
            t.read_optional(&listen),
        )?;
        Ok(Found { has_vfb, exists, vnc_port, vnc_listen })
    }

    /// Writes what differs, so that no watch fires for nothing, and the port last.
    async fn write(
        &self,
        t: &Transaction,
        endpoint: &Endpoint,
        before: &Record,
        found: &Found,
    ) -> Result<(), StoreError> {
        match &endpoint.password {
            Some(secret) => write_secret(t, &self.node("vnc-pass"), secret.as_bytes()).await?,
            None if before.published_password => t.remove(&self.node("vnc-pass")).await?,
            None => {}
        }
        let port = endpoint.port.to_string();
        for (node, value, found) in
            [("vnc-listen", &endpoint.listen, &found.vnc_listen), ("vnc-port", &port, &found.vnc_port)]
        {
            if found.as_deref() != Some(value.as_bytes()) {
                t.write(&self.node(node), value.as_bytes()).await?;
            }
        }
        Ok(())
    }

    fn node(&self, node: &str) -> String {
        paths::console_node(self.domid, node)
    }
}

impl Found {
    /// Whether our port may be written.
    fn judge(&self, domain: &Domain, record: &Record) -> Published {
        // The framebuffer's nodes come after the domain was first seen, hence what was found counts, too.
        if self.has_vfb || domain.has_device_model_vnc() {
            return Published::DeviceModel;
        }
        if !self.exists {
            // A write would create it, and with the wrong permissions.
            return Published::NoConsole;
        }
        match &self.vnc_port {
            Some(vnc_port) if !record.is_published_port(vnc_port) => {
                Published::Foreign { vnc_port: super::identity::shorten_bytes(vnc_port) }
            }
            _ => Published::Visible,
        }
    }
}

/// Writes a value that the guest must never read. A new node has its parent's permissions, which let the guest read;
/// hence the value comes only after the permissions. (It would be hidden until the commit anyway; this holds even if
/// somebody calls it outside of a transaction.)
async fn write_secret(t: &Transaction, path: &str, secret: &[u8]) -> Result<(), StoreError> {
    let private = Permissions::private();
    if t.read_optional(path).await?.as_deref() == Some(secret) && t.permissions(path).await? == private {
        return Ok(());
    }
    t.write(path, b"").await?;
    t.set_permissions(path, &private).await?;
    t.write(path, secret).await
}

/// The record of this life of this guest. One that an earlier guest left under the same number is removed with all
/// that it stands for.
async fn own_record(t: &Transaction, domid: Domid, uuid: Uuid) -> Result<Option<Record>, StoreError> {
    match record::read(t, domid).await? {
        Some(stale) if stale.uuid != Some(uuid) => {
            clean_up(t, &stale).await?;
            Ok(None)
        }
        record => Ok(record),
    }
}

/// Removes a record and, as far as it is still ours, what it says that we wrote.
async fn clean_up(t: &Transaction, record: &Record) -> Result<(), StoreError> {
    take_back(t, record).await?;
    invitation::take_back(t, record).await?;
    tty::give_back(t, record).await?;
    record::remove(t, record.domid).await
}

/// Removes what the record says that we wrote beside the console's nodes, as far as it is still ours. Where the home
/// is gone, there is nothing to do.
async fn take_back(t: &Transaction, record: &Record) -> Result<(), StoreError> {
    let port = paths::console_node(record.domid, "vnc-port");
    let published = t.read_optional(&port).await?;
    if !published.is_some_and(|published| record.is_published_port(&published)) {
        // Gone, or another's by now, and then the nodes beside it are the other's, too.
        return Ok(());
    }
    t.remove(&port).await?;
    let listen = paths::console_node(record.domid, "vnc-listen");
    let published = t.read_optional(&listen).await?;
    if published.is_some() && published.as_deref() == record.published_listen.as_deref().map(str::as_bytes) {
        t.remove(&listen).await?;
    }
    if record.published_password {
        t.remove(&paths::console_node(record.domid, "vnc-pass")).await?;
    }
    Ok(())
}
