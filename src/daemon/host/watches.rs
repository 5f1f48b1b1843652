//! Watches: each does nothing but ask the host loop to look again.

use tokio::task::JoinHandle;

use super::look::Look;
use crate::xen::store::{Store, StoreError, Watch, WatchEvent};
use crate::xen::{Domid, paths};

/// Watches that end when this is dropped.
#[derive(Debug)]
pub(super) struct Watches(Vec<JoinHandle<()>>);

impl Drop for Watches {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

impl Watches {
    /// Watches domains come and go. Where no hypervisor tells (`nodes_too`), the nodes themselves do.
    pub(super) async fn of_host(store: &Store, look: &Look, nodes_too: bool) -> Result<Self, StoreError> {
        let mut tasks = Vec::new();
        for path in [paths::INTRODUCED, paths::RELEASED] {
            let watch = store.watch(path).await?;
            let look = look.clone();
            tasks.push(tokio::spawn(forward(watch, move |event| match event {
                WatchEvent::Resync => look.everything(),
                WatchEvent::Changed(_) => look.existence(),
            })));
        }
        if nodes_too {
            let watch = store.watch(paths::DOMAINS).await?;
            let look = look.clone();
            tasks.push(tokio::spawn(forward(watch, move |event| match event {
                WatchEvent::Resync => look.everything(),
                WatchEvent::Changed(path) => {
                    if let Some(domid) = born_or_gone(&path) {
                        look.at(domid);
                    } else if path == paths::DOMAINS {
                        look.existence();
                    }
                }
            })));
        }
        Ok(Self(tasks))
    }

    /// Watches what one domain's console and name do. Guests cannot write there, so that none of them can keep us
    /// busy.
    pub(super) async fn of_domain(store: &Store, look: &Look, domid: Domid) -> Result<Self, StoreError> {
        let mut tasks = Vec::new();
        for path in [paths::console(domid), paths::name(domid)] {
            let watch = store.watch(&path).await?;
            let look = look.clone();
            tasks.push(tokio::spawn(forward(watch, move |_| look.at(domid))));
        }
        Ok(Self(tasks))
    }
}

async fn forward(mut watch: Watch, tell: impl Fn(WatchEvent)) {
    loop {
        tell(watch.next().await);
    }
}

/// The domain whose home, `vm` or `name` this path is: the nodes that decide whether it exists.
fn born_or_gone(path: &str) -> Option<Domid> {
    let mut parts = path.strip_prefix(paths::DOMAINS)?.strip_prefix('/')?.split('/');
    let domid = parts.next()?.parse().ok()?;
    match (parts.next(), parts.next()) {
        (None | Some("vm" | "name"), None) => Some(domid),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_nodes_that_decide_about_existence_count() {
        let domid = Domid::new(7).ok();
        for (path, wanted) in [
            ("/local/domain/7", domid),
            ("/local/domain/7/vm", domid),
            ("/local/domain/7/name", domid),
            ("/local/domain/7/data/x", None),
            ("/local/domain/7/data", None),
            ("/local/domain/7/vm/x", None),
            ("/local/domain/x", None),
            ("/local/domain", None),
            ("/vm/7", None),
        ] {
            assert_eq!(born_or_gone(path), wanted, "{path}");
        }
    }
}
