//! This guest's place in xenstore.

use crate::xen::store::{Address, Store, StoreError, Watch};
use crate::xen::{Domid, paths};

/// This guest's home, as long as it is that.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) store: Store,
    pub(super) domid: Domid,
    /// On the guest's own number. After a restore or a migration the kernel registers all watches anew, which fires
    /// them: also when the number happens to be the same, shared pages and event channels are not.
    own: Watch,
    /// On what the host offers.
    offers: Watch,
}

impl Home {
    pub(super) async fn find(address: &Address) -> Result<Self, StoreError> {
        let store = Store::connect(address.clone()).await?;
        let domid = store.own_domid().await?;
        let mut own = store.watch(&format!("{}/domid", paths::home(domid))).await?;
        let mut offers = store.watch(&format!("{}/xenvnc", paths::home(domid))).await?;
        // Each fires once when it is registered.
        own.next().await;
        offers.next().await;
        Ok(Self { store, domid, own, offers })
    }

    /// The path of this guest's home.
    pub(super) fn path(&self) -> String {
        paths::home(self.domid)
    }

    /// Where a display's vchan server is published.
    pub(super) fn display(&self, number: u8) -> String {
        format!("{}/{number}", paths::displays(self.domid))
    }

    /// Waits until something changed. Dropping the future loses nothing.
    pub(super) async fn news(&mut self) -> News {
        tokio::select! {
            _ = self.own.next() => News::Moved,
            _ = self.offers.next() => News::Offers,
        }
    }
}

/// What [`Home::news`] saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// This may be another domain by now, or xenstored has forgotten what was written.
    Moved,
    /// The host may offer something else.
    Offers,
}
