//! The host loop: makes what is served what xenstore says there is.
//!
//! Everything that may have changed the world (a watch, a lost console, SIGHUP, `xenvnc rescan`) only asks to look
//! again ([`look::Look`]). Looking reads xenstore and makes it so; every step may be repeated at any time.

mod calls;
mod console_plan;
mod displays;
mod guest;
pub(super) mod look;
mod place;
mod run_states;
mod serve;
mod watches;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use self::guest::Guest;
pub(super) use self::look::Look;
use self::look::Pending;
use self::place::PortBook;
use self::serve::Refusal;
pub(super) use self::serve::chain;
use self::watches::Watches;
use super::control_socket::Call;
use super::displays::Displays;
use super::history_dir;
use super::logins::Logins;
use super::secrets::Secrets;
use super::settings::Settings;
use super::{DaemonError, Reload, SignalSeen, Signals, notify};
use crate::config::Config;
use crate::seat::DomainState;
use crate::xen::console::PtyFactory;
use crate::xen::domains::{Census, Domain, DomainError, Lookout, hypervisor_present, newest_of_each};
use crate::xen::publish::Publisher;
use crate::xen::store::{Link, Store, StoreError};
use crate::xen::{Domid, Uuid};

/// How long viewers wait for a guest's next life when its domain is gone. A reboot by xl takes 3 to 4 seconds.
const REBOOT_LIMIT: Duration = Duration::from_secs(30);

/// After a failure the next look comes after this long, then twice as long, up to [`RETRY_LONGEST`].
const RETRY_FIRST: Duration = Duration::from_millis(500);

/// The longest pause between two tries.
const RETRY_LONGEST: Duration = Duration::from_secs(60);

/// Everything that is served on this host.
pub(super) struct Host {
    config: Config,
    secrets: Secrets,
    /// Failed logins, of all seats together.
    logins: Arc<Logins>,
    store: Store,
    publisher: Publisher,
    lookout: Lookout,
    hypervisor: bool,
    ports: PortBook,
    ptys: PtyFactory,
    look: Look,
    displays: Displays,
    guests: BTreeMap<Uuid, Guest>,
    /// The lives of guests to which an earlier run has told how to connect, and which were not seen yet.
    invited: BTreeMap<Uuid, Domid>,
    /// Domains that exist and cannot be served, and why.
    problems: BTreeMap<Domid, String>,
    /// A domain could not be served or published, and may be later without xenstore saying anything.
    try_again: bool,
    /// When the hypervisor was last asked how domains are.
    run_states_asked: Instant,
    watches: Option<Watches>,
    retry: Option<Instant>,
    retry_pause: Duration,
    started: Instant,
    /// xenstored's socket, for `xenvnc status`.
    address: PathBuf,
}

impl Host {
    /// Prepares; nothing is served yet.
    pub(super) async fn new(
        config: Config,
        secrets: Secrets,
        store: Store,
        address: PathBuf,
        ptys: PtyFactory,
    ) -> Result<Self, StoreError> {
        let publisher = Publisher::new(store.clone());
        let hypervisor = hypervisor_present();
        let mut lookout = Lookout::new(store.clone(), hypervisor);
        // Elsewhere, xenstore alone decides: it may be a simulated one.
        if hypervisor {
            lookout = run_states::with_hypervisor(lookout);
        }
        let look = Look::default();
        let displays = Displays::new(store.clone(), look.clone());
        let mut host = Self {
            config,
            secrets,
            logins: Arc::default(),
            publisher,
            lookout,
            hypervisor,
            ports: PortBook::default(),
            ptys,
            look,
            displays,
            invited: BTreeMap::new(),
            guests: BTreeMap::new(),
            problems: BTreeMap::new(),
            try_again: false,
            run_states_asked: Instant::now(),
            watches: None,
            retry: None,
            retry_pause: RETRY_FIRST,
            started: Instant::now(),
            store,
            address,
        };
        host.watches = Some(Watches::of_host(&host.store, &host.look, !hypervisor).await?);
        place::sweep(&host.config.unix_dir);
        for record in host.publisher.records().await? {
            let Some(uuid) = record.uuid else { continue };
            if let Some(port) = record.port {
                host.ports.remember(uuid, port);
            }
            if record.invited {
                host.invited.insert(uuid, record.domid);
            }
        }
        for (uuid, port) in host.config.history_dir.as_deref().map(history_dir::ports).unwrap_or_default() {
            host.ports.remember(uuid, port);
        }
        Ok(host)
    }

    /// Says in the log what is served, after the first look.
    pub(super) fn announce(&self) {
        self.forget_absent_guests();
        tracing::info!(
            domains = self.guests.len(),
            control = %self.config.control_socket.display(),
            "ready in {} ms",
            self.started.elapsed().as_millis()
        );
    }

    /// Serves until a signal says to stop.
    pub(super) async fn run(
        &mut self,
        mut calls: mpsc::Receiver<Call>,
        reload: Reload,
        signals: &mut Signals,
        mut ready: JoinHandle<anyhow::Result<()>>,
    ) -> Result<(), DaemonError> {
        let mut link = self.store.state();
        link.mark_unchanged();
        let mut is_ready = false;
        loop {
            let wake = self.wake_at();
            tokio::select! {
                signal = signals.next() => match signal {
                    SignalSeen::Hangup => self.reload(&reload).await,
                    SignalSeen::Stop(name) => {
                        tracing::info!(signal = name, "stopping");
                        return Ok(());
                    }
                },
                pending = self.look.next() => self.look(pending).await,
                Some(call) = calls.recv() => self.answer(call).await,
                Ok(()) = link.changed() => {
                    let now = *link.borrow_and_update();
                    self.link_changed(now);
                }
                result = &mut ready, if !is_ready => {
                    is_ready = true;
                    if let Ok(Err(error)) = result {
                        return Err(DaemonError::Ready(error));
                    }
                }
                () = sleep_until(wake), if wake.is_some() => self.wake().await,
            }
        }
    }

    /// Makes everything that is served what xenstore says there is.
    pub(super) async fn reconcile(&mut self) {
        let found = self.lookout.census().await;
        self.make_so(found).await;
    }

    /// Serves who was found, and nobody else.
    async fn make_so(&mut self, found: Result<Census, StoreError>) {
        self.displays.configure(&self.config);
        match found {
            Ok(found) => {
                let exists = |domid: &Domid| {
                    found.skipped.iter().any(|(skipped, _)| skipped == domid)
                        || found.domains.iter().any(|domain| domain.domid == *domid)
                };
                self.problems.retain(|domid, _| exists(domid));
                for (domid, error) in &found.skipped {
                    self.set_problem(*domid, chain(error));
                }
                let all: Vec<(Domid, Uuid)> = found.domains.iter().map(|d| (d.domid, d.uuid)).collect();
                let wanted = newest_of_each(found.domains);
                for &(domid, uuid) in &all {
                    if let Some(newest) = wanted.get(&uuid).filter(|newest| newest.domid != domid) {
                        self.set_problem(domid, Refusal::Shared(newest.domid).to_string());
                    }
                }
                let gone: Vec<Uuid> =
                    self.guests.keys().filter(|u| !wanted.contains_key(u)).copied().collect();
                for uuid in gone {
                    self.lose(uuid).await;
                }
                // A guest whose present domain has ended goes on in an older one that is still there.
                let ended: Vec<Uuid> = self
                    .guests
                    .iter()
                    .filter(|(uuid, guest)| !all.contains(&(guest.domain.domid, **uuid)))
                    .map(|(uuid, _)| *uuid)
                    .collect();
                for uuid in ended {
                    self.end_life(uuid).await;
                }
                let mut alive: Vec<Domain> = wanted.into_values().collect();
                alive.sort_by_key(|domain| domain.domid);
                self.serve(alive.clone()).await;
                // What an earlier run published for a domain that is not served now names nobody.
                alive.retain(|domain| self.guests.contains_key(&domain.uuid));
                if let Err(error) = self.publisher.take_over(&alive).await {
                    return self.failed(&error);
                }
                self.settle();
            }
            Err(error) => self.failed(&error),
        }
    }

    /// Looks at what was asked for.
    async fn look(&mut self, mut pending: Pending) {
        for uuid in &pending.lost_seats {
            let lost = |guest: &&Guest| guest.seat.commands.is_closed();
            if let Some(guest) = self.guests.get(uuid).filter(lost) {
                tracing::error!(domain = ?guest.name(), "a defect ended its seat, which is started anew");
                if guest.gone.is_some() {
                    self.remove(*uuid).await;
                } else {
                    pending.domids.insert(guest.domain.domid);
                }
            }
        }
        for domid in &pending.lost_consoles {
            if let Some(guest) = self.guest_of(*domid) {
                guest.close_console(DomainState::NoConsole("it was lost".into())).await;
            }
        }
        if pending.run_states {
            self.ask_run_states().await;
        }
        if pending.everything {
            self.reconcile().await;
            return;
        }
        if pending.existence {
            let found = self.lookout.glance(&pending.domids).await;
            self.make_so(found).await;
            return;
        }
        for domid in pending.domids {
            match self.lookout.look(domid).await {
                Ok(Some(domain)) => {
                    self.serve(vec![domain]).await;
                }
                Ok(None) => {
                    self.problems.remove(&domid);
                    self.lose_domain(domid).await;
                }
                Err(DomainError::Store(error)) => return self.failed(&error),
                Err(error) => {
                    self.set_problem(domid, chain(&error));
                    self.lose_domain(domid).await;
                }
            }
        }
        self.settle();
    }

    /// The guest whose present life has this domid.
    fn guest_of(&mut self, domid: Domid) -> Option<&mut Guest> {
        self.guests.values_mut().find(|guest| guest.domain.domid == domid && guest.gone.is_none())
    }

    /// Says once why a domain cannot be served.
    fn set_problem(&mut self, domid: Domid, problem: String) {
        if self.problems.get(&domid) != Some(&problem) {
            tracing::warn!(%domid, problem, "a domain cannot be served");
            self.problems.insert(domid, problem);
        }
    }

    async fn lose_domain(&mut self, domid: Domid) {
        if let Some(uuid) = self.guest_of(domid).map(|guest| guest.domain.uuid) {
            self.end_life(uuid).await;
            // Another domain of the same guest may have stood behind this one, and takes the seat over.
            self.look.everything();
        }
    }

    /// A domain is gone: its console ends now; its seat ends when nobody waits for the guest's next life.
    async fn lose(&mut self, uuid: Uuid) {
        self.end_life(uuid).await;
        let Some(guest) = self.guests.get(&uuid) else { return };
        if guest.viewers() == 0 || guest.gone.is_some_and(|at| at.elapsed() >= REBOOT_LIMIT) {
            self.remove(uuid).await;
        }
    }

    /// The guest's present domain is gone, and with it the console and what was published for it. The seat stays.
    async fn end_life(&mut self, uuid: Uuid) {
        let Some(guest) = self.guests.get_mut(&uuid) else { return };
        if guest.gone.is_none() {
            tracing::info!(domain = ?guest.name(), domid = %guest.domain.domid, "domain is gone");
            guest.gone = Some(Instant::now());
            guest.watches = None;
            guest.following = None;
            self.displays.registry().remove(uuid);
            guest.close_console(DomainState::Rebooting).await;
            let domid = guest.domain.domid;
            if let Err(error) = self.withdraw(domid, uuid).await {
                self.failed(&error);
            }
        }
        if let Some(guest) = self.guests.get_mut(&uuid) {
            guest.invited = false;
        }
    }

    /// Takes back what was published for one life of a guest: the console first, so that it is never without a
    /// reader that xenstore names.
    pub(super) async fn withdraw(&self, domid: Domid, uuid: Uuid) -> Result<(), StoreError> {
        self.publisher.withdraw_tty(domid, uuid).await?;
        if self.guests.get(&uuid).is_some_and(|guest| guest.invited) {
            self.publisher.withdraw_invitation(domid, uuid).await?;
        }
        self.publisher.withdraw(domid, uuid).await
    }

    /// Ends a seat and every viewer's connection to it.
    async fn remove(&mut self, uuid: Uuid) {
        self.end_displays(uuid);
        if let Some(mut guest) = self.guests.remove(&uuid) {
            guest.close_console(DomainState::Stopped).await;
            guest.seat.stop().await;
            self.ports.release(uuid);
            self.forget_absent_guests();
        }
    }

    /// Keeps the history of a bounded number of guests that are not there.
    fn forget_absent_guests(&self) {
        if let Some(dir) = &self.config.history_dir {
            history_dir::prune(dir, |uuid| !self.guests.contains_key(uuid));
        }
    }

    /// When [`Self::wake`] must be called if nothing else happens.
    fn wake_at(&self) -> Option<Instant> {
        let waiting = self.guests.values().filter_map(|guest| guest.gone).map(|at| at + REBOOT_LIMIT);
        waiting.chain(self.retry).chain(self.run_states_due()).min()
    }

    async fn wake(&mut self) {
        let now = Instant::now();
        let late = |guest: &Guest| guest.gone.is_some_and(|at| at + REBOOT_LIMIT <= now);
        let gone: Vec<Uuid> = self.guests.iter().filter(|(_, g)| late(g)).map(|(uuid, _)| *uuid).collect();
        for uuid in gone {
            self.remove(uuid).await;
        }
        if self.run_states_due().is_some_and(|at| at <= now) {
            self.ask_run_states().await;
        }
        if self.retry.is_some_and(|at| at <= now) {
            self.retry = None;
            self.reconcile().await;
        }
    }

    fn failed(&mut self, error: &StoreError) {
        // While the connection is lost, everything fails, and its return is a reason to look anyway.
        if *self.store.state().borrow() == Link::Connected {
            tracing::warn!(error = error as &dyn std::error::Error, "xenstore");
        }
        self.retry_later();
    }

    fn retry_later(&mut self) {
        if self.retry.is_none() {
            self.retry = Some(Instant::now() + self.retry_pause);
            self.retry_pause = (self.retry_pause * 2).min(RETRY_LONGEST);
        }
    }

    /// After a look without failures: tries again later if a guest's console could not be opened or published.
    fn settle(&mut self) {
        let trouble = std::mem::take(&mut self.try_again) || !self.displays.problems().is_empty();
        if trouble || self.guests.values().any(Guest::needs_retry) {
            self.retry_later();
        } else {
            self.retry = None;
            self.retry_pause = RETRY_FIRST;
        }
    }

    fn link_changed(&self, link: Link) {
        match link {
            Link::Connected => {
                tracing::info!("xenstored is back");
                self.displays.registry().forget_told();
                self.look.everything();
            }
            Link::Disconnected => tracing::warn!("xenstored is gone; the consoles go on"),
        }
    }

    /// Reads the configuration again. One that cannot be used changes nothing.
    async fn reload(&mut self, reload: &Reload) {
        notify(&[sd_notify::NotifyState::Reloading]);
        let result = reload().and_then(|config| Settings::check(&config).map(|secrets| (config, secrets)));
        match result {
            Ok((mut config, secrets)) => {
                // What everything else hangs on is not moved under a running daemon.
                let fixed = |c: &Config| {
                    (
                        c.control_socket.clone(),
                        c.xenstore_socket.clone(),
                        c.runtime_dir.clone(),
                        c.unix_dir.clone(),
                        c.history_dir.clone(),
                    )
                };
                if fixed(&config) != fixed(&self.config) {
                    tracing::warn!("sockets and directories change only when the daemon is restarted");
                    config.control_socket.clone_from(&self.config.control_socket);
                    config.xenstore_socket.clone_from(&self.config.xenstore_socket);
                    config.runtime_dir.clone_from(&self.config.runtime_dir);
                    config.unix_dir.clone_from(&self.config.unix_dir);
                    config.history_dir.clone_from(&self.config.history_dir);
                }
                if config.announced() != self.config.announced() {
                    self.displays.registry().forget_told();
                }
                self.config = config;
                self.secrets = secrets;
                tracing::info!("configuration read again");
                self.reconcile().await;
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the old configuration stays");
            }
        }
        notify(&[sd_notify::NotifyState::Ready]);
    }

    /// Gives back what we borrowed and removes what we wrote.
    pub(super) async fn stop(mut self) {
        /// How long that may take for one domain: xenstored may be gone for good.
        const LIMIT: Duration = Duration::from_secs(5);
        self.watches = None;
        for (uuid, guest) in &self.guests {
            if guest.gone.is_some() {
                continue;
            }
            match tokio::time::timeout(LIMIT, self.withdraw(guest.domain.domid, *uuid)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(
                    domain = ?guest.name(),
                    error = &error as &dyn std::error::Error,
                    "could not take back what was published"
                ),
                Err(_) => {
                    tracing::warn!("xenstored does not answer: what was published stays");
                    break;
                }
            }
        }
        for (_, mut guest) in std::mem::take(&mut self.guests) {
            guest.close_console(DomainState::Stopped).await;
            guest.seat.stop().await;
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    if let Some(at) = at {
        tokio::time::sleep_until(at.into()).await;
    }
}
