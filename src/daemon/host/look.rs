//! "Look again": the one way in which anything tells the host loop that the world may have changed.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::xen::{Domid, Uuid};

/// What to look at. At most one entry for each domid, however often it is asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::daemon) struct Pending {
    /// Everything: which domains there are, and each of them.
    pub(in crate::daemon) everything: bool,
    /// Which domains there are.
    pub(in crate::daemon) existence: bool,
    /// Whether domains run, are paused and so on, because a viewer came.
    pub(in crate::daemon) run_states: bool,
    /// These domains.
    pub(in crate::daemon) domids: BTreeSet<Domid>,
    /// Of these domains, the console must be opened anew.
    pub(in crate::daemon) lost_consoles: BTreeSet<Domid>,
    /// The seats of these guests have ended by themselves, which is a defect, and must be started anew.
    pub(in crate::daemon) lost_seats: BTreeSet<Uuid>,
}

/// A handle to ask the host loop to look again; copies share what is pending. Asking never waits.
#[derive(Debug, Clone, Default)]
pub(in crate::daemon) struct Look(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    pending: Mutex<Pending>,
    asked: Notify,
}

impl Look {
    /// Look at one domain.
    pub(in crate::daemon) fn at(&self, domid: Domid) {
        self.ask(|pending| {
            pending.domids.insert(domid);
        });
    }

    /// Look which domains there are.
    pub(in crate::daemon) fn existence(&self) {
        self.ask(|pending| pending.existence = true);
    }

    /// A viewer came where there was none: look how the domains are.
    pub(in crate::daemon) fn run_states(&self) {
        self.ask(|pending| pending.run_states = true);
    }

    /// Look at everything.
    pub(in crate::daemon) fn everything(&self) {
        self.ask(|pending| pending.everything = true);
    }

    /// The console of a domain is gone.
    pub(in crate::daemon) fn lost_console(&self, domid: Domid) {
        self.ask(|pending| {
            pending.lost_consoles.insert(domid);
            pending.domids.insert(domid);
        });
    }

    /// The seat of a guest has ended by itself.
    pub(in crate::daemon) fn lost_seat(&self, uuid: Uuid) {
        self.ask(|pending| {
            pending.lost_seats.insert(uuid);
        });
    }

    /// Waits until something is pending and takes it.
    pub(in crate::daemon) async fn next(&self) -> Pending {
        loop {
            let pending = std::mem::take(&mut *self.0.pending.lock().unwrap_or_else(PoisonError::into_inner));
            if pending != Pending::default() {
                return pending;
            }
            self.0.asked.notified().await;
        }
    }

    fn ask(&self, change: impl FnOnce(&mut Pending)) {
        change(&mut self.0.pending.lock().unwrap_or_else(PoisonError::into_inner));
        self.0.asked.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_asked_many_times_is_looked_at_once() {
        let look = Look::default();
        let seven = Domid::new(7).unwrap();
        for _ in 0..1000 {
            look.at(seven);
        }
        look.lost_console(seven);
        look.clone().everything();
        let pending = look.next().await;
        assert!(pending.everything);
        assert_eq!((pending.domids.len(), pending.lost_consoles.len()), (1, 1));
        let waiting = tokio::spawn({
            let look = look.clone();
            async move { look.next().await }
        });
        tokio::task::yield_now().await;
        look.at(seven);
        assert_eq!(waiting.await.unwrap().domids.into_iter().collect::<Vec<_>>(), [seven]);
    }
}
