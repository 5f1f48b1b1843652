//! Telling viewers and `xenvnc list` how guests are: paused, crashed and so on, where the hypervisor can be asked.
//!
//! That a domain has shut down raises a watch, and the look that follows finds its state. That one is paused raises
//! nothing: so the hypervisor is asked once a second while somebody looks, and when somebody comes or asks for the list.
//! Without viewers nobody wakes up for it.

use std::time::{Duration, Instant};

use super::Host;
use super::guest::Guest;
use crate::daemon::seat::SeatCommand;
use crate::seat::DomainState;
use crate::xen::domains::{self, Lookout, Reason, RunState};

/// How often the hypervisor is asked while viewers are connected: often enough for a person who has just typed
/// `xl pause`, and one hypercall for all domains.
const INTERVAL: Duration = Duration::from_secs(1);

/// Lets the lookout ask the hypervisor, where this build and this process can. Says once in the log when it cannot.
pub(super) fn with_hypervisor(lookout: Lookout) -> Lookout {
    match domains::hypervisor() {
        Ok(Some(hypervisor)) => {
            tracing::info!("the hypervisor says how domains are");
            lookout.asking(hypervisor)
        }
        Ok(None) => lookout,
        Err(error) => {
            tracing::warn!(%error, "the hypervisor cannot be asked how domains are; xenstore alone decides");
            lookout
        }
    }
}

impl Host {
    /// Asks the hypervisor how all domains are, and tells those whom it concerns.
    pub(super) async fn ask_run_states(&mut self) {
        let states = self.lookout.run_states();
        self.run_states_asked = Instant::now();
        let Some(states) = states else { return };
        for guest in self.guests.values_mut().filter(|guest| guest.gone.is_none()) {
            match states.living(guest.domain.domid) {
                Some(run) => guest.set_run(Some(run)).await,
                None => self.look.existence(),
            }
        }
    }

    /// When to ask next; `None` while nobody looks.
    pub(super) fn run_states_due(&self) -> Option<Instant> {
        let watched = |guest: &Guest| guest.gone.is_none() && guest.viewers() > 0;
        (self.lookout.asks() && self.guests.values().any(watched)).then(|| self.run_states_asked + INTERVAL)
    }
}

impl Guest {
    /// Takes note how the domain is, and tells the seat if that is new.
    pub(super) async fn set_run(&mut self, run: Option<RunState>) {
        let before = std::mem::replace(&mut self.domain.run, run);
        if before == run {
            return;
        }
        if let (Some(_), Some(state)) = (before, run) {
            tracing::info!(domain = ?self.name(), domid = %self.domain.domid, %state, "domain changed its state");
        }
        self.tell(SeatCommand::Guest(shown(run))).await;
    }
}

/// What viewers are told.
const fn shown(run: Option<RunState>) -> DomainState {
    match run {
        // One that dies is taken out of service by the next look.
        None | Some(RunState::Running | RunState::Dying) => DomainState::Running,
        Some(RunState::Paused) => DomainState::Paused,
        Some(RunState::Shutdown(reason)) => match reason {
            Reason::Poweroff | Reason::Other(_) => DomainState::Stopped,
            Reason::Reboot | Reason::SoftReset => DomainState::Rebooting,
            Reason::Suspend => DomainState::Suspended,
            Reason::Crash | Reason::Watchdog => DomainState::Crashed,
        },
    }
}
