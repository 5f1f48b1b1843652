//! The console's `tty`: the pty on which `xl console` finds the guest, which is ours where we stand in between.

use super::record::{self, Record, TtyRecord};
use super::{Publisher, is_home_of, own_record};
use crate::xen::store::{StoreError, Transaction};
use crate::xen::{Domid, Uuid, identity, paths};

/// What became of the publication of a tty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TtyOutcome {
    /// `console/tty` names our pty, and the record says so.
    Published,
    /// `console/tty` holds something else than the caller had seen, so that what was to be published may be wrong.
    /// Nothing was written; look again.
    Changed {
        /// What it holds; any bytes, shortened. `None` when the console is gone.
        tty: Option<String>,
    },
    /// The domain is not there any more, or its number belongs to another guest. Nothing was written.
    Vanished,
}

impl Publisher {
    /// Publishes our pty in `console/tty`, provided that it still holds `seen`, and records what we did. Both happen
    /// at once, so that after a crash at any moment the record tells the truth about the node.
    ///
    /// The node is written even if it holds that path already: that makes attached clients of an earlier pty of the
    /// same name open it again.
    pub async fn publish_tty(
        &self,
        domid: Domid,
        uuid: Uuid,
        tty: &TtyRecord,
        seen: &[u8],
    ) -> Result<TtyOutcome, StoreError> {
        let _turn = self.turn.lock().await;
        let node = &paths::console_node(domid, "tty");
        self.store
            .transaction(|t: Transaction| async move {
                if !is_home_of(&t, domid, uuid).await? {
                    return Ok(TtyOutcome::Vanished);
                }
                match t.read_optional(node).await? {
                    Some(now) if now == seen => {}
                    now => {
                        let tty = now.map(|now| identity::shorten_bytes(&now));
                        return Ok(TtyOutcome::Changed { tty });
                    }
                }
                let before = own_record(&t, domid, uuid).await?;
                let record = before.clone().unwrap_or_else(|| Record::new(domid, uuid));
                Record { tty: Some(tty.clone()), ..record }.write(&t, before.as_ref()).await?;
                t.write(node, tty.own.as_bytes()).await?;
                Ok(TtyOutcome::Published)
            })
            .await
    }

    /// What the record of this life of this guest says about its tty.
    pub async fn tty_record(&self, domid: Domid, uuid: Uuid) -> Result<Option<TtyRecord>, StoreError> {
        let record = record::read(&self.store, domid).await?;
        Ok(record.filter(|record| record.uuid == Some(uuid)).and_then(|record| record.tty))
    }

    /// Gives the console back: where `console/tty` still names our pty, the upstream path is written there again, or
    /// nothing where we owned the ring (that write is what makes a waiting xenconsoled adopt the domain, and an empty
    /// node cannot become somebody else's terminal). Then the record says nothing about a tty any more.
    pub async fn withdraw_tty(&self, domid: Domid, uuid: Uuid) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        self.store
            .transaction(|t: Transaction| async move {
                let record = record::read(&t, domid).await?.filter(|record| record.uuid == Some(uuid));
                let Some(record) = record else { return Ok(()) };
                give_back(&t, &record).await?;
                Record { tty: None, ..record.clone() }.write_or_remove(&t, &record).await
            })
            .await
    }
}

/// Writes into `console/tty` what stood there before us, if it still names our pty. A node that is gone stays gone.
pub(super) async fn give_back(t: &Transaction, record: &Record) -> Result<(), StoreError> {
    let Some(tty) = &record.tty else { return Ok(()) };
    let node = paths::console_node(record.domid, "tty");
    if t.read_optional(&node).await?.as_deref() == Some(tty.own.as_bytes()) {
        t.write(&node, tty.upstream.as_deref().unwrap_or_default().as_bytes()).await?;
    }
    Ok(())
}
