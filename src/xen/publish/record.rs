//! Our own record of a domain: what we wrote for it, so that a later run knows what is ours.

use tracing::debug;

use crate::xen::store::{Nodes, Permissions, StoreError, Transaction};
use crate::xen::{Domid, Uuid, paths};

/// What we keep about a domain under `/tool/xenvnc/<domid>`. Each field is one node there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The domain's number: the name of the directory.
    pub domid: Domid,
    /// `uuid`: whose record it is; the number may belong to another guest by now. `None` when it makes no sense.
    pub uuid: Option<Uuid>,
    /// `port`: the TCP port of the seat.
    pub port: Option<u16>,
    /// `listen`: the host or address that goes with it.
    pub listen: Option<String>,
    /// `vnc-port`: what we wrote into `console/vnc-port`; `None` when we wrote nothing there.
    pub published: Option<u16>,
    /// `vnc-listen`: what we wrote into `console/vnc-listen`.
    pub published_listen: Option<String>,
    /// `vnc-pass`: whether we wrote `console/vnc-pass`. The password itself is not recorded.
    pub published_password: bool,
    /// `tty` and `tty-upstream`: whose console we hold.
    pub tty: Option<TtyRecord>,
    /// `invitation`: whether we wrote what the guest needs to connect to us. The token itself is not recorded.
    pub invited: bool,
}

/// The pty that we published in a console's `tty`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TtyRecord {
    /// `tty`: the path that we published.
    pub own: String,
    /// `tty-upstream`: the path that stood there before and from which we read; `None` when we own the ring itself.
    pub upstream: Option<String>,
}

impl Record {
    /// One that says nothing yet.
    #[must_use]
    pub fn new(domid: Domid, uuid: Uuid) -> Self {
        Self {
            domid,
            uuid: Some(uuid),
            port: None,
            listen: None,
            published: None,
            published_listen: None,
            published_password: false,
            tty: None,
            invited: false,
        }
    }

    /// Makes the directory say this, or removes it when there is nothing left to say.
    pub(super) async fn write_or_remove(&self, t: &Transaction, before: &Self) -> Result<(), StoreError> {
        if self.port.is_none() && self.tty.is_none() && !self.invited {
            return remove(t, self.domid).await;
        }
        self.write(t, Some(before)).await
    }

    /// Whether `value`, found in `console/vnc-port`, is what we wrote there.
    pub(super) fn is_published_port(&self, value: &[u8]) -> bool {
        self.published.is_some_and(|port| port.to_string().as_bytes() == value)
    }

    /// Makes the directory say this, changing only what differs from what was read before.
    pub(super) async fn write(&self, t: &Transaction, before: Option<&Self>) -> Result<(), StoreError> {
        if before.is_none() {
            // Nodes within have their parent's permissions.
            let private = Permissions::private();
            if !t.exists(paths::RECORDS).await? {
                t.mkdir(paths::RECORDS).await?;
                t.set_permissions(paths::RECORDS, &private).await?;
            }
            let directory = paths::record(self.domid);
            t.mkdir(&directory).await?;
            t.set_permissions(&directory, &private).await?;
        }
        let before = before.map(Self::nodes).unwrap_or_default();
        for ((node, value), (_, before)) in self.nodes().into_iter().zip(before) {
            let path = paths::record_node(self.domid, node);
            match value {
                _ if value == before => {}
                Some(value) => t.write(&path, value.as_bytes()).await?,
                None => t.remove(&path).await?,
            }
        }
        Ok(())
    }

    fn nodes(&self) -> [(&'static str, Option<String>); 9] {
        let text = |number: Option<u16>| number.map(|number| number.to_string());
        [
            ("uuid", self.uuid.map(|uuid| uuid.to_string())),
            ("port", text(self.port)),
            ("listen", self.listen.clone()),
            ("vnc-port", text(self.published)),
            ("vnc-listen", self.published_listen.clone()),
            ("vnc-pass", self.published_password.then(|| "published".to_owned())),
            ("tty", self.tty.as_ref().map(|tty| tty.own.clone())),
            ("invitation", self.invited.then(|| "published".to_owned())),
            ("tty-upstream", self.tty.as_ref().and_then(|tty| tty.upstream.clone())),
        ]
    }
}

/// The record of a domain; what makes no sense in it counts as absent.
pub(super) async fn read(nodes: &Nodes, domid: Domid) -> Result<Option<Record>, StoreError> {
    let directory = paths::record(domid);
    let path = |node: &str| format!("{directory}/{node}");
    let (uuid, port, listen) = (path("uuid"), path("port"), path("listen"));
    let (published, published_listen, published_password) =
        (path("vnc-port"), path("vnc-listen"), path("vnc-pass"));
    let (tty, upstream, invitation) = (path("tty"), path("tty-upstream"), path("invitation"));
    let (exists, uuid, port, listen, published, published_listen, published_password, tty, upstream, invited) =
        tokio::try_join!(
            nodes.exists(&directory),
            nodes.read_optional(&uuid),
            nodes.read_optional(&port),
            nodes.read_optional(&listen),
            nodes.read_optional(&published),
            nodes.read_optional(&published_listen),
            nodes.exists(&published_password),
            nodes.read_optional(&tty),
            nodes.read_optional(&upstream),
            nodes.exists(&invitation),
        )?;
    if !exists {
        return Ok(None);
    }
    let text = |value: Option<Vec<u8>>| value.and_then(|value| String::from_utf8(value).ok());
    let number = |value| text(value).and_then(|text| text.parse().ok());
    let upstream = text(upstream);
    Ok(Some(Record {
        domid,
        uuid: text(uuid).and_then(|text| text.parse().ok()),
        port: number(port),
        listen: text(listen),
        published: number(published),
        published_listen: text(published_listen),
        published_password,
        tty: text(tty).map(|own| TtyRecord { own, upstream }),
        invited,
    }))
}

/// All records, by number.
pub(super) async fn read_all(nodes: &Nodes) -> Result<Vec<Record>, StoreError> {
    let mut records = Vec::new();
    for name in nodes.list_optional(paths::RECORDS).await?.unwrap_or_default() {
        let Ok(domid) = name.parse() else {
            debug!(name = ?name, "not a record of ours");
            continue;
        };
        records.extend(read(nodes, domid).await?);
    }
    records.sort_by_key(|record| record.domid);
    Ok(records)
}

/// Removes a record, and the directory of records with the last one.
pub(super) async fn remove(t: &Transaction, domid: Domid) -> Result<(), StoreError> {
    t.remove(&paths::record(domid)).await?;
    if t.list_optional(paths::RECORDS).await?.is_some_and(|rest| rest.is_empty()) {
        t.remove(paths::RECORDS).await?;
    }
    Ok(())
}
