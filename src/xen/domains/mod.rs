//! Which domains there are, and what follows from a change of that.
//!
//! Watches and hooks only say "look again". Looking is a [`Lookout::census`], and the daemon compares what it found
//! with what is being served.

mod census;
mod name;
mod read;
mod run_state;

use std::collections::BTreeMap;

use super::{Domid, Uuid};

pub use self::census::{Census, Lookout, census, hypervisor_present};
pub use self::name::{DomainName, NameProblem};
pub use self::read::{DomainError, Problem, TtyProblem, read_domain};
pub use self::run_state::{Hypervisor, Reason, RunState, RunStates, hypervisor};

/// A domain as xenstore describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// Its number, in this life of the guest.
    pub domid: Domid,
    /// Its identity through all lives; its text is safe as a file name.
    pub uuid: Uuid,
    /// What to call it.
    pub name: DomainName,
    /// What it is, when its toolstack says so (libxl does).
    pub kind: Option<Kind>,
    /// Whether it has a paravirtual framebuffer, which QEMU shows by VNC.
    pub has_vfb: bool,
    /// Its primary console.
    pub console: ConsoleNodes,
    /// The TCP port in `console/vnc-port`, ours or another's.
    pub vnc_port: Option<u16>,
    /// The number of the census that saw it first, in the order in which one [`Lookout`] took them; 0 when it was
    /// read by itself.
    pub appeared: u64,
    /// How it is, when a [`Lookout`] that can ask the hypervisor looked.
    pub run: Option<RunState>,
    /// What is wrong with its nodes, but not so wrong that it could not be served.
    pub problems: Vec<Problem>,
}

impl Domain {
    /// Which of two domains of one guest owns its seat, as happens while it moves within the host: the one that
    /// appeared later, because that is the guest's future. Where both were there from the start, the higher number.
    #[must_use]
    pub fn is_newer_than(&self, other: &Self) -> bool {
        (self.appeared, self.domid) > (other.appeared, other.domid)
    }

    /// Whether QEMU shows this domain by VNC and `console/vnc-port` is libxl's to write: it does so for an HVM guest
    /// and for one with a virtual framebuffer, some time after the console appeared.
    #[must_use]
    pub fn has_device_model_vnc(&self) -> bool {
        self.has_vfb || self.kind == Some(Kind::Hvm)
    }
}

/// How a domain is virtualised (`/libxl/<domid>/type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Paravirtualised.
    Pv,
    /// Hardware-assisted without an emulated machine.
    Pvh,
    /// Hardware-assisted with an emulated machine.
    Hvm,
}

/// The nodes of a primary console (`docs/misc/console.txt`). `backend-id` is not among them: the guest can write it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConsoleNodes {
    /// The pty on which the console can be had: an absolute path. `None` while it is empty, and when it is not a path.
    pub tty: Option<String>,
    /// Present once the console exists. It is the guest frame of the ring, which nobody needs: the ring is grant 0.
    pub ring_ref: Option<u64>,
    /// The guest's event channel for the ring.
    pub port: Option<u32>,
    /// Who serves it.
    pub kind: Option<ConsoleKind>,
}

/// Who serves a console (`console/type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConsoleKind {
    /// xenconsoled, or who stands in for it. libxl creates every primary console so.
    Xenconsoled,
    /// The domain's device model.
    Ioemu,
}

/// The domain of each guest that owns its seat; see [`Domain::is_newer_than`].
#[must_use]
pub fn newest_of_each(domains: Vec<Domain>) -> BTreeMap<Uuid, Domain> {
    let mut newest: BTreeMap<Uuid, Domain> = BTreeMap::new();
    for domain in domains {
        if newest.get(&domain.uuid).is_none_or(|other| domain.is_newer_than(other)) {
            newest.insert(domain.uuid, domain);
        }
    }
    newest
}
