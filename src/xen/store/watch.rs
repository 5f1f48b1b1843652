//! Watches: being told that something changed, never what.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, mpsc};

use super::actor::Command;

/// Most different paths that wait for one watcher. Beyond it the watcher is told to look at everything again, which
/// is what it would do after that many changes anyway.
const MAX_WAITING_PATHS: usize = 1024;

/// What a watcher is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchEvent {
    /// This node may have changed, come or gone: the watched one or one below it. When a node above the watched one
    /// is removed, the watched path itself is named. Changes of the same node are told once until they are taken.
    Changed(String),
    /// Anything may have changed: the connection was lost and made anew, or there were too many changes to list.
    Resync,
}

/// A registered watch. Dropping it takes the watch away again.
///
/// The first event, for the watched path itself, comes right after the registration, whether or not the node exists.
#[derive(Debug)]
pub struct Watch {
    pub(super) id: u64,
    pub(super) path: String,
    pub(super) queue: Arc<Queue>,
    pub(super) commands: mpsc::UnboundedSender<Command>,
}

impl Watch {
    /// The watched path.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Waits for the next event. Dropping the future loses none.
    pub async fn next(&mut self) -> WatchEvent {
        loop {
            if let Some(event) = self.queue.pop() {
                return event;
            }
            self.queue.arrived.notified().await;
        }
    }

    /// The next event if one waits.
    pub fn try_next(&mut self) -> Option<WatchEvent> {
        self.queue.pop()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // When the actor is gone, so is the connection, and with it the watch.
        let _ = self.commands.send(Command::Unwatch { id: self.id });
    }
}

/// What waits for one watcher. The connection's task puts events in without ever waiting for the watcher.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    order: VecDeque<Arc<str>>,
    paths: HashSet<Arc<str>>,
    resync: bool,
}

impl Queue {
    /// Says that `path` changed.
    pub(super) fn changed(&self, path: &str) {
        {
            let mut waiting = self.lock();
            if waiting.resync || waiting.paths.contains(path) {
                return;
            }
            if waiting.order.len() >= MAX_WAITING_PATHS {
                *waiting = Waiting { resync: true, ..Waiting::default() };
            } else {
                let path: Arc<str> = path.into();
                waiting.order.push_back(Arc::clone(&path));
                waiting.paths.insert(path);
            }
        }
        self.arrived.notify_one();
    }

    /// Says that anything may have changed.
    pub(super) fn resync(&self) {
        *self.lock() = Waiting { resync: true, ..Waiting::default() };
        self.arrived.notify_one();
    }

    fn pop(&self) -> Option<WatchEvent> {
        let mut waiting = self.lock();
        if std::mem::take(&mut waiting.resync) {
            return Some(WatchEvent::Resync);
        }
        let path = waiting.order.pop_front()?;
        waiting.paths.remove(&path);
        Some(WatchEvent::Changed(path.as_ref().to_owned()))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        // Nothing in here can leave it half changed, so that a panic elsewhere under the lock does no harm.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_of_one_path_are_told_once() {
        let queue = Queue::default();
        for path in ["/a", "/b", "/a"] {
            queue.changed(path);
        }
        assert_eq!(queue.pop(), Some(WatchEvent::Changed("/a".into())));
        // Taken, hence told again when it changes again.
        queue.changed("/a");
        assert_eq!(queue.pop(), Some(WatchEvent::Changed("/b".into())));
        assert_eq!(queue.pop(), Some(WatchEvent::Changed("/a".into())));
        assert_eq!(queue.pop(), None);
    }

    #[test]
    fn too_many_paths_become_one_resync() {
        let queue = Queue::default();
        for at in 0..=MAX_WAITING_PATHS {
            queue.changed(&format!("/{at}"));
        }
        assert_eq!(queue.pop(), Some(WatchEvent::Resync));
        assert_eq!(queue.pop(), None);
        queue.changed("/after");
        assert_eq!(queue.pop(), Some(WatchEvent::Changed("/after".into())));
    }

    #[test]
    fn resync_stands_for_everything_that_waited() {
        let queue = Queue::default();
        queue.changed("/a");
        queue.resync();
        queue.changed("/b");
        assert_eq!(queue.pop(), Some(WatchEvent::Resync));
        assert_eq!(queue.pop(), None);
    }
}
