//! The invitation: what a guest needs to connect its display to us. It is the only thing that we write for the guest
//! itself to read.

use zeroize::Zeroizing;

use super::record::{self, Record};
use super::{Publisher, is_home_of, own_record};
use crate::xen::store::{Permissions, StoreError, Transaction};
use crate::xen::{Domid, Uuid, paths};

/// What is written for the guest.
#[derive(Clone)]
pub struct Invitation {
    /// `reverse-address`: `HOST:PORT` to connect to; `None` where only the administrator knows how guests reach us.
    pub address: Option<String>,
    /// `token`: proves to us that it is this guest which connects.
    pub token: Zeroizing<String>,
}

impl std::fmt::Debug for Invitation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Invitation").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Publisher {
    /// Writes an invitation for this life of this guest, and only for its eyes: `n0,r<domid>`. An earlier one is
    /// replaced. False when the domain is not there any more, or its number belongs to another guest; then nothing
    /// was written.
    pub async fn invite(
        &self,
        domid: Domid,
        uuid: Uuid,
        invitation: &Invitation,
    ) -> Result<bool, StoreError> {
        let _turn = self.turn.lock().await;
        self.store
            .transaction(|t: Transaction| async move {
                if !is_home_of(&t, domid, uuid).await? {
                    return Ok(false);
                }
                let before = own_record(&t, domid, uuid).await?;
                let record = before.clone().unwrap_or_else(|| Record::new(domid, uuid));
                Record { invited: true, ..record }.write(&t, before.as_ref()).await?;
                write(&t, domid, invitation).await?;
                Ok(true)
            })
            .await
    }

    /// Takes the invitation back, and what the record of this life of this guest says of it.
    pub async fn withdraw_invitation(&self, domid: Domid, uuid: Uuid) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        self.store
            .transaction(|t: Transaction| async move {
                let record = record::read(&t, domid).await?;
                let Some(record) = record.filter(|record| record.uuid == Some(uuid) && record.invited) else {
                    return Ok(());
                };
                take_back(&t, &record).await?;
                Record { invited: false, ..record.clone() }.write_or_remove(&t, &record).await
            })
            .await
    }
}

async fn write(t: &Transaction, domid: Domid, invitation: &Invitation) -> Result<(), StoreError> {
    // Nodes within have their parent's permissions, hence it comes first.
    let directory = paths::invitation(domid);
    t.mkdir(&directory).await?;
    t.set_permissions(&directory, &Permissions::readable_by(domid)).await?;
    let address = format!("{directory}/reverse-address");
    match &invitation.address {
        Some(text) => t.write(&address, text.as_bytes()).await?,
        None => t.remove(&address).await?,
    }
    let token = format!("{directory}/token");
    t.write(&token, invitation.token.as_bytes()).await?;
    for node in [&address, &token] {
        if t.exists(node).await? {
            t.set_permissions(node, &Permissions::readable_by(domid)).await?;
        }
    }
    Ok(())
}

/// Removes an invitation that the record says we wrote. Nobody else writes there, so that it is ours whatever it holds.
pub(super) async fn take_back(t: &Transaction, record: &Record) -> Result<(), StoreError> {
    if record.invited {
        t.remove(&paths::invitation(record.domid)).await?;
    }
    Ok(())
}
