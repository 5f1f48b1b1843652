//! How a guest's own displays reach its seat.
//!
//! Four ways, in the order of trust: by vchan, where the hypervisor vouches for the domain ([`vchan`]); by a reverse
//! TCP connection that shows a token which only that guest can read, or that comes over a bridge which the
//! administrator trusts ([`reverse`]); by a connection of ours to an address that the configuration names
//! ([`forward`]). Each ends in [`registry::Registry::deliver`].

mod attempts;
mod evidence;
mod forward;
mod pace;
mod registry;
mod reverse;
mod token;
mod vchan;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::task::JoinHandle;

use self::registry::Caller;
pub(super) use self::registry::{Member, Registry};
use self::reverse::{Gate, ReverseListener};
use super::host::Look;
use crate::config::{Config, Target};
use crate::xen::store::Store;
use crate::xen::{Domid, Uuid};

/// What there is once for all guests.
#[derive(Debug)]
pub(super) struct Displays {
    registry: Registry,
    store: Store,
    gate: Arc<Gate>,
    listeners: BTreeMap<SocketAddr, ReverseListener>,
    problems: Vec<String>,
}

impl Displays {
    pub(super) fn new(store: Store, look: Look) -> Self {
        let registry = Registry::default();
        let gate = Arc::new(Gate::new(registry.clone(), store.clone(), look));
        Self { registry, store, gate, listeners: BTreeMap::new(), problems: Vec::new() }
    }

    /// Who is there.
    pub(super) const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Listens where the configuration says, and nowhere else; to be repeated while something is wrong.
    pub(super) fn configure(&mut self, config: &Config) {
        self.gate.trust(&config.trust_bridge);
        self.listeners.retain(|at, listener| config.reverse_listen.contains(at) && listener.lives());
        let mut problems = Vec::new();
        for at in &config.reverse_listen {
            if self.listeners.contains_key(at) {
                continue;
            }
            match ReverseListener::open(*at, self.gate.clone()) {
                Ok(listener) => {
                    self.listeners.insert(*at, listener);
                }
                Err(error) => problems.push(format!("reverse.listen: {}", super::host::chain(&error))),
            }
        }
        for problem in problems.iter().filter(|problem| !self.problems.contains(problem)) {
            tracing::warn!(problem, "displays cannot connect");
        }
        self.problems = problems;
    }

    /// What is wrong, for `xenvnc status`; it may be better at the next [`Self::configure`].
    pub(super) fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Keeps looking for the displays of one life of a guest, which must be in the registry.
    pub(super) fn follow(&self, uuid: Uuid, domid: Domid, name: &str, forward: &[Target]) -> Following {
        let caller = Caller { uuid, domid, name: name.to_owned() };
        let by_vchan = vchan::follow(self.registry.clone(), self.store.clone(), caller.clone());
        let mut tasks = vec![tokio::spawn(by_vchan)];
        for (display, target) in (0_u8..).zip(forward) {
            let task =
                forward::keep_connected(self.registry.clone(), caller.clone(), display, target.clone());
            tasks.push(tokio::spawn(task));
        }
        Following { domid, forward: forward.to_vec(), tasks }
    }
}

/// The tasks that look for one guest's displays. They end when this is dropped; what is connected is the seat's.
#[derive(Debug)]
pub(super) struct Following {
    domid: Domid,
    forward: Vec<Target>,
    tasks: Vec<JoinHandle<()>>,
}

impl Following {
    /// Whether it looks for what it should.
    pub(super) fn is_for(&self, domid: Domid, forward: &[Target]) -> bool {
        self.domid == domid && self.forward == forward
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}
