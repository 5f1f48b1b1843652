//! One guest that is served: its seat, its console, and what is published for it.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::console_plan::How;
use super::watches::Watches;
use crate::control::DomainInfo;
use crate::daemon::console::{ConsoleCommand, ConsoleTask};
use crate::daemon::displays::Following;
use crate::daemon::history_file::{HistoryFile, Printed};
use crate::daemon::seat::{SeatCommand, SeatTask, TASK_LIMIT};
use crate::daemon::settings::Settings;
use crate::seat::DomainState;
use crate::xen::Domid;
use crate::xen::domains::{Domain, Problem};
use crate::xen::publish::Published;

/// A console that runs.
#[derive(Debug)]
pub(super) struct RunningConsole {
    pub(super) task: ConsoleTask,
    pub(super) how: How,
    /// The tty that it publishes.
    pub(super) published: Option<PathBuf>,
    /// Whether xenstore names that tty.
    pub(super) announced: bool,
}

/// A guest that is served.
pub(super) struct Guest {
    pub(super) domain: Domain,
    pub(super) settings: Settings,
    pub(super) seat: SeatTask,
    /// Where viewers connect, as people write it.
    pub(super) address: String,
    /// The TCP port, where it is one.
    pub(super) port: Option<u16>,
    pub(super) history: Option<Arc<Mutex<HistoryFile>>>,
    pub(super) console: Option<RunningConsole>,
    /// Why there is no console; said once in the log.
    pub(super) trouble: Option<String>,
    /// Whether opening the console is to be tried again after a while.
    pub(super) retry: bool,
    /// What became of the publication; said once in the log.
    pub(super) published: Option<Published>,
    /// Whether what is published must be written again whatever xenstore says: the password cannot be seen there.
    pub(super) republish: bool,
    /// Why it could not be published; said once in the log.
    pub(super) unpublished: Option<String>,
    pub(super) watches: Option<Watches>,
    /// What looks for its displays.
    pub(super) following: Option<Following>,
    /// Whether this life of it was told how to connect.
    pub(super) invited: bool,
    /// Since when its domain is gone, while viewers wait for the next one.
    pub(super) gone: Option<Instant>,
    /// The life for which nothing of an endpoint is published any more, where there is no port.
    pub(super) withdrawn: Option<Domid>,
}

impl Guest {
    /// Tells the seat. A seat that is too busy to listen is told when it has time: commands are few.
    pub(super) async fn tell(&self, command: SeatCommand) {
        // A seat that has ended is noticed and replaced at the next look.
        if tokio::time::timeout(TASK_LIMIT, self.seat.commands.send(command)).await.is_err() {
            tracing::error!(domain = ?self.name(), "its seat does not listen");
        }
    }

    /// How many viewers are connected.
    pub(super) fn viewers(&self) -> usize {
        self.seat.counts.viewers.load(Ordering::Relaxed)
    }

    /// Ends the console and tells viewers why.
    pub(super) async fn close_console(&mut self, state: DomainState) {
        if let Some(console) = self.console.take() {
            console.task.stop().await;
        }
        self.tell(SeatCommand::State(state)).await;
    }

    /// Makes the running console read another pty.
    pub(super) async fn reconnect(&mut self, upstream: PathBuf) {
        if let Some(console) = &mut self.console {
            let order = console.task.commands.send(ConsoleCommand::Reconnect(upstream.clone()));
            if tokio::time::timeout(TASK_LIMIT, order).await.is_err() {
                tracing::error!(domain = ?self.domain.name.as_str(), "its console does not listen");
            }
            console.how = How::Interpose(upstream);
            console.announced = false;
        }
    }

    /// Says once why there is no console, or that the trouble is over. `retry`: it may be over without xenstore
    /// saying so.
    pub(super) fn set_trouble(&mut self, trouble: Option<String>, retry: bool) {
        self.retry = retry;
        if self.trouble == trouble {
            return;
        }
        let (domain, domid) = (self.name().to_owned(), self.domain.domid);
        match &trouble {
            Some(reason) if retry => tracing::warn!(?domain, %domid, reason, "no console"),
            Some(reason) => tracing::info!(?domain, %domid, reason, "no console yet"),
            None => tracing::info!(?domain, %domid, "console is there"),
        }
        self.trouble = trouble;
    }

    /// Says once what became of the publication, where it is not the usual.
    pub(super) fn set_published(&mut self, published: Option<&Published>) {
        if self.published.as_ref() == published {
            return;
        }
        let (domain, domid, address) = (self.name().to_owned(), self.domain.domid, &self.address);
        match published {
            Some(Published::DeviceModel) => {
                tracing::info!(?domain, %domid, address, "QEMU's VNC port stays published; ours is beside it");
            }
            Some(Published::Foreign { vnc_port }) => {
                tracing::warn!(?domain, %domid, address, vnc_port, "somebody else's VNC port stays published");
            }
            Some(Published::Visible | Published::NoConsole | Published::Vanished) | None => {}
        }
        self.published = published.cloned();
    }

    /// Says once why nothing could be published.
    pub(super) fn set_unpublished(&mut self, reason: Option<String>) {
        if self.unpublished != reason {
            if let Some(reason) = &reason {
                tracing::warn!(domain = ?self.name(), domid = %self.domain.domid, reason, "not published");
            }
            self.unpublished = reason;
        }
    }

    /// Whether to look again after a while although xenstore says nothing new.
    pub(super) const fn needs_retry(&self) -> bool {
        self.retry || self.unpublished.is_some()
    }

    pub(super) fn name(&self) -> &str {
        self.domain.name.as_str()
    }

    /// What `xenvnc list` shows.
    pub(super) fn info(&self) -> DomainInfo {
        DomainInfo {
            name: self.name().to_owned(),
            uuid: self.domain.uuid.to_string(),
            domid: self.domain.domid.get(),
            address: self.address.clone(),
            vt: self.seat.counts.vt.load(Ordering::Relaxed),
            viewers: self.viewers(),
            console: self.console.as_ref().map_or("none", |c| c.how.name()).to_owned(),
            state: self.domain.run.map(|run| run.to_string()),
            problem: self.problem(),
            displays: Vec::new(),
        }
    }

    /// Everything that is wrong with it, in one line.
    fn problem(&self) -> Option<String> {
        let nodes = self.domain.problems.iter().filter(|problem| !matches!(problem, Problem::Tty(_)));
        let all: Vec<String> = self
            .trouble
            .iter()
            .chain(&self.unpublished)
            .cloned()
            .chain(nodes.map(Problem::to_string))
            .collect();
        (!all.is_empty()).then(|| all.join("; "))
    }

    /// Says once what is wrong with its nodes. What is wrong with its tty is said as the console's trouble.
    pub(super) fn set_domain(&mut self, domain: Domain) {
        if domain.problems != self.domain.problems {
            say_problems(&domain);
        }
        self.domain = domain;
    }

    /// What the console printed, oldest first, to be read where blocking is allowed; `None` when nothing is recorded.
    pub(super) fn recorded(&self) -> Option<impl FnOnce() -> Vec<Printed> + Send + use<>> {
        let history = self.history.clone()?;
        Some(move || {
            let printed = history.lock().unwrap_or_else(PoisonError::into_inner).replay();
            printed.map(Iterator::collect).unwrap_or_default()
        })
    }
}

/// Says what is wrong with a domain's nodes.
pub(super) fn say_problems(domain: &Domain) {
    for problem in domain.problems.iter().filter(|problem| !matches!(problem, Problem::Tty(_))) {
        let problem = problem.to_string();
        tracing::warn!(domain = ?domain.name.as_str(), domid = %domain.domid, problem, "served nevertheless");
    }
}
