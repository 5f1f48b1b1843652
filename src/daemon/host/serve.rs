//! Bringing a domain into service: seat, console and publication, each step only if it is not so already.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinSet;

use super::Host;
use super::console_plan::{self, Facts, How, Plan, TtyRecord};
use super::displays::{Telling, Told};
use super::guest::{Guest, RunningConsole, say_problems};
use super::place;
use super::watches::Watches;
use crate::config::ConfigError;
use crate::daemon::console::ConsoleTask;
use crate::daemon::history_dir;
use crate::daemon::history_file::HistoryFile;
use crate::daemon::limits::check_open_files;
use crate::daemon::seat::{Door, SeatCommand, SeatTask};
use crate::daemon::secrets::Secret;
use crate::daemon::settings::Settings;
use crate::seat::{DomainState, Seat, SeatOptions, VtNumber};
use crate::xen::console::{Console, InFlight};
use crate::xen::domains::{Domain, Problem};
use crate::xen::publish::{self, Endpoint, Published, Publisher, TtyOutcome};
use crate::xen::store::StoreError;
use crate::xen::{Domid, Uuid};

impl Host {
    /// Serves these domains: consoles first, because a console that nobody drains stops its guest, then what they
    /// publish, all at the same time.
    pub(super) async fn serve(&mut self, domains: Vec<Domain>) {
        let mut publishing = JoinSet::new();
        for domain in domains {
            let (uuid, domid) = (domain.uuid, domain.domid);
            match self.adopt(domain).await {
                Ok(()) => {
                    self.problems.remove(&domid);
                }
                Err(refusal) => {
                    self.try_again |= matches!(refusal, Refusal::Trouble(_));
                    self.set_problem(domid, refusal.to_string());
                    continue;
                }
            }
            self.ensure_console(uuid).await;
            self.ensure_displays(uuid);
            let Some(guest) = self.guests.get_mut(&uuid) else { continue };
            let telling = Telling::new(guest, &self.displays, self.config.announced());
            let Some(job) = Job::new(guest, telling) else { continue };
            let publisher = self.publisher.clone();
            publishing.spawn(async move { (uuid, domid, job.run(&publisher).await) });
        }
        while let Some(Ok((uuid, domid, result))) = publishing.join_next().await {
            let Some(guest) = self.guests.get_mut(&uuid) else { continue };
            match result {
                Ok(done) => {
                    if done.withdrawn {
                        guest.withdrawn = Some(domid);
                    }
                    if done.tty_changed {
                        // A watch tells as well; this is for when the change makes no sense and stays.
                        self.try_again = true;
                    } else if let Some(console) = &mut guest.console {
                        console.announced = true;
                    }
                    match done.told {
                        Some(Told::Token(token)) => {
                            guest.invited = true;
                            self.displays.registry().set_told(uuid, &token);
                        }
                        Some(Told::Nothing) => guest.invited = false,
                        Some(Told::Vanished) | None => {}
                    }
                    guest.set_published(done.endpoint.as_ref());
                    guest.republish = false;
                    guest.set_unpublished(None);
                }
                Err(error) => guest.set_unpublished(Some(chain(&error))),
            }
        }
    }

    /// Makes the domain a guest of ours, or brings the guest that it is up to date.
    async fn adopt(&mut self, mut domain: Domain) -> Result<(), Refusal> {
        let run = domain.run.take();
        let uuid = domain.uuid;
        let settings = Settings::of(&self.config, &self.secrets, domain.name.as_str(), &uuid.to_string())?;
        if let Some(guest) = self.guests.get(&uuid)
            && guest.domain.domid != domain.domid
            && guest.gone.is_none()
            && !domain.is_newer_than(&guest.domain)
        {
            return Err(Refusal::Shared(guest.domain.domid));
        }
        let moved = self.guests.get(&uuid).filter(|guest| {
            guest.seat.commands.is_closed()
                || !settings.config.enabled
                || !guest.settings.config.same_place(&settings.config)
        });
        if let Some(old) = moved.map(|guest| guest.domain.domid) {
            // What is published names a listener and a tty that end now.
            self.withdraw(old, uuid).await?;
            self.remove(uuid).await;
            // console/tty says something else by now, hence the domain must be read again; its watch would tell, too.
            self.look.at(domain.domid);
            return Ok(());
        }
        if !settings.config.enabled {
            return Ok(());
        }
        let Some(guest) = self.guests.get_mut(&uuid) else {
            let mut guest = self.start(domain, settings)?;
            say_problems(&guest.domain);
            guest.watches = Watches::of_domain(&self.store, &self.look, guest.domain.domid).await.ok();
            tracing::info!(
                domain = ?guest.name(),
                domid = %guest.domain.domid,
                address = %guest.address,
                "domain is served"
            );
            guest.set_run(run).await;
            self.guests.insert(uuid, guest);
            return Ok(());
        };
        if guest.domain.domid != domain.domid {
            tracing::info!(domain = ?guest.name(), from = %guest.domain.domid, to = %domain.domid, "guest has a new domain");
            let (old, stays) = (guest.domain.domid, guest.gone.is_none());
            guest.close_console(DomainState::Rebooting).await;
            guest.tell(SeatCommand::Domid(domain.domid.get())).await;
            guest.republish = true;
            guest.following = None;
            guest.watches = Watches::of_domain(&self.store, &self.look, domain.domid).await.ok();
            if let Err(error) = self.withdraw(old, uuid).await {
                self.failed(&error);
            }
            if let Some(guest) = self.guests.get_mut(&uuid) {
                guest.invited = false;
            }
            if stays {
                // Whether it is really still there, the next census tells.
                self.look.existence();
            }
        }
        let Some(guest) = self.guests.get_mut(&uuid) else { return Ok(()) };
        guest.gone = None;
        if guest.domain.name != domain.name {
            guest.tell(SeatCommand::Rename(domain.name.as_str().to_owned())).await;
        }
        domain.run = guest.domain.run;
        guest.set_domain(domain);
        guest.set_run(run).await;
        if guest.watches.is_none() {
            // xenstored was gone when they were to be set.
            guest.watches = Watches::of_domain(&self.store, &self.look, guest.domain.domid).await.ok();
        }
        if guest.settings.differs(&settings) {
            guest.tell(SeatCommand::Reconfigure(Box::new(settings.clone()))).await;
            guest.republish = true;
            guest.settings = settings;
        }
        Ok(())
    }

    /// Starts a guest's seat: it listens, and shows what an earlier run recorded.
    fn start(&mut self, domain: Domain, settings: Settings) -> Result<Guest, Refusal> {
        check_open_files().map_err(|error| Refusal::Trouble(error.to_string()))?;
        let uuid = domain.uuid;
        let invited = self.invited.remove(&uuid) == Some(domain.domid);
        let history = self.open_history(&domain, &settings);
        let name = domain.name.as_str();
        let listener = place::listen(&settings, &mut self.ports, uuid, name, &self.config.unix_dir)
            .map_err(|error| Refusal::Trouble(chain(&error)))?;
        let (address, port) = (listener.address(), listener.tcp_address().map(|at| at.port()));
        if let (Some(history), Some(port)) = (&history, port) {
            history_dir::remember_port(&history.lock().unwrap_or_else(PoisonError::into_inner), port);
        }
        let security = settings.access.security().map_err(|error| Refusal::Trouble(error.to_string()))?;
        let new_seat = || {
            Seat::new(SeatOptions {
                name: name.to_owned(),
                uuid: uuid.to_string(),
                domid: Some(domain.domid.get().into()),
                columns: settings.config.columns,
                rows: settings.config.rows,
                history_lines: settings.config.history_lines,
                font: settings.font,
                fit_font: settings.fit_font,
                allow_resize: settings.config.resize,
                clipboard: settings.clipboard,
                paste: settings.paste,
                view_only: settings.config.view_only,
                sharing: settings.sharing,
                notices: settings.config.notices,
                osc52: settings.config.osc52,
                max_pixels: settings.config.max_pixels,
                relay: settings.config.relay,
                chords: settings.chords.clone(),
                security: security.clone(),
            })
        };
        let mut seat = new_seat();
        seat.add_console(VtNumber::CONSOLE);
        if let Some(history) = &history {
            // Output that brings a defect to light must not do so in the host loop, and at each start again.
            let replayed = catch_unwind(AssertUnwindSafe(|| {
                replay(&mut seat, &history.lock().unwrap_or_else(PoisonError::into_inner));
            }));
            if replayed.is_err() {
                tracing::error!(domain = ?name, "its history cannot be shown");
                seat = new_seat();
                seat.add_console(VtNumber::CONSOLE);
            }
        }
        let door = Door { logins: self.logins.clone(), users: settings.access.users() };
        Ok(Guest {
            seat: SeatTask::start(name, uuid, seat, listener, door, self.look.clone()),
            domain,
            settings,
            address,
            port,
            history,
            console: None,
            trouble: None,
            retry: false,
            published: None,
            republish: true,
            unpublished: None,
            watches: None,
            following: None,
            invited,
            gone: None,
            withdrawn: None,
        })
    }

    fn open_history(&self, domain: &Domain, settings: &Settings) -> Option<Arc<Mutex<HistoryFile>>> {
        let dir = self.config.history_dir.as_deref()?;
        match HistoryFile::open(dir, &domain.uuid.to_string(), settings.config.history_bytes / 2) {
            Ok(history) => Some(Arc::new(Mutex::new(history))),
            Err(error) => {
                tracing::warn!(
                    domain = ?domain.name.as_str(),
                    error = &error as &dyn std::error::Error,
                    "history is not recorded"
                );
                None
            }
        }
    }

    /// Opens the guest's console where that is possible now and not done.
    async fn ensure_console(&mut self, uuid: Uuid) {
        let Some(guest) = self.guests.get(&uuid) else { return };
        let (domid, nodes) = (guest.domain.domid, guest.domain.console.clone());
        let tty = nodes.tty.as_deref().map(Path::new);
        let record = match tty {
            Some(tty) if guest.console.is_none() && self.ptys.is_own(tty) => {
                self.tty_record(domid, uuid).await
            }
            _ => None,
        };
        let ring_port = nodes.port.filter(|_| self.hypervisor && nodes.ring_ref.is_some());
        let console_daemon = tty.is_none() && ring_port.is_some() && console_daemon_runs();
        let Some(guest) = self.guests.get_mut(&uuid) else { return };
        let plan = console_plan::plan(&Facts {
            mode: guest.settings.config.mode,
            tty,
            ring_port,
            console_daemon,
            record: record.as_ref(),
            own_directory: self.ptys.directory(),
            running: guest.console.as_ref().map(|console| &console.how),
            published: guest.console.as_ref().and_then(|console| console.published.as_deref()),
        });
        match plan {
            Plan::Keep => {}
            Plan::Wait(reason) if guest.console.is_none() => {
                let wrong = guest.domain.problems.iter().find(|problem| matches!(problem, Problem::Tty(_)));
                let reason = wrong.map_or_else(|| reason.to_owned(), Problem::to_string);
                guest.tell(SeatCommand::State(DomainState::NoConsole(reason.clone()))).await;
                guest.set_trouble(Some(reason), false);
            }
            Plan::Wait(_) => {}
            Plan::Reconnect(upstream) => guest.reconnect(upstream).await,
            Plan::Open(how) => {
                if let Some(console) = guest.console.take() {
                    console.task.stop().await;
                }
                let opened = self.open_console(domid.get(), uuid, &how);
                let Some(guest) = self.guests.get_mut(&uuid) else { return };
                match opened {
                    Ok((console, left)) => {
                        let published = console.published_tty().map(Path::to_owned);
                        let (task, link) = ConsoleTask::start(
                            domid,
                            console,
                            left,
                            guest.history.clone(),
                            self.look.clone(),
                        );
                        guest.tell(SeatCommand::Console(link)).await;
                        guest.console = Some(RunningConsole { task, how, published, announced: false });
                        guest.set_trouble(None, false);
                    }
                    Err(reason) => {
                        guest.tell(SeatCommand::State(DomainState::NoConsole(reason.clone()))).await;
                        guest.set_trouble(Some(reason), true);
                    }
                }
            }
        }
    }

    /// Opens a console. With it comes what an earlier run had read and not recorded when it was killed.
    fn open_console(&self, domid: u16, uuid: Uuid, how: &How) -> Result<(Console, Vec<u8>), String> {
        check_open_files().map_err(|error| error.to_string())?;
        let history = self.guests.get(&uuid).and_then(|guest| guest.history.clone());
        let mut history = history.as_deref().map(|h| h.lock().unwrap_or_else(PoisonError::into_inner));
        let recorded = history.as_ref().and_then(|history| history.last_position());
        let mut console = match how {
            How::Attach(tty) => Console::attach(tty),
            How::Interpose(upstream) => Console::interpose(upstream, &self.ptys, domid),
            // Here the ring itself keeps what was not consumed.
            How::Own(port) => {
                return Console::own(domid, *port, &self.ptys, recorded)
                    .map(|console| (console, Vec::new()))
                    .map_err(|error| chain(&error));
            }
        }
        .map_err(|error| chain(&error))?;
        let mut left = Vec::new();
        if let (Some(history), Some(dir)) = (&mut history, &self.config.history_dir) {
            match InFlight::open(&history_dir::in_flight(dir, uuid), history.mark()) {
                Ok((page, kept)) => {
                    if let Err(error) = history.append(None, &kept) {
                        tracing::warn!(%domid, error = &error as &dyn std::error::Error, "history is not recorded");
                    }
                    left = kept;
                    console.keep_in_flight(page);
                    console.recorded(history.mark());
                }
                Err(error) => {
                    tracing::warn!(%domid, %error, "a kill of this process may lose console output")
                }
            }
        }
        Ok((console, left))
    }

    /// What an earlier run recorded about a domain's tty.
    async fn tty_record(&self, domid: Domid, uuid: Uuid) -> Option<TtyRecord> {
        let record = self.publisher.tty_record(domid, uuid).await.ok()??;
        Some(TtyRecord { own: record.own.into(), upstream: record.upstream.map(PathBuf::from) })
    }
}

/// Why a domain is not served.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// Something on this host is in the way, and may be gone later.
    #[error("{0}")]
    Trouble(String),
    /// Two domains say that they are the same guest.
    #[error("it has the UUID of domain {0}, which is served")]
    Shared(Domid),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Trouble(chain(&error))
    }
}

impl From<ConfigError> for Refusal {
    fn from(error: ConfigError) -> Self {
        Self::Trouble(error.to_string())
    }
}

/// What is to be published for a guest: where it listens, and then its tty.
struct Job {
    domain: Domain,
    endpoint: Option<Endpoint>,
    tty: Option<publish::TtyRecord>,
    /// What an earlier run published of its endpoint must go: there is no port now.
    withdraw: bool,
    telling: Option<Telling>,
}

/// What was published.
struct Done {
    endpoint: Option<Published>,
    /// `console/tty` is not what we had seen; it must be looked at again.
    tty_changed: bool,
    withdrawn: bool,
    told: Option<Told>,
}

impl Job {
    /// The work; `None` when xenstore says already what it should.
    fn new(guest: &Guest, telling: Option<Telling>) -> Option<Self> {
        let text = |path: &Path| path.to_str().map(str::to_owned);
        let tty = guest.console.as_ref().filter(|console| !console.announced).and_then(|console| {
            let upstream = match &console.how {
                How::Interpose(upstream) => text(upstream),
                How::Own(_) | How::Attach(_) => None,
            };
            Some(publish::TtyRecord { own: text(console.published.as_deref()?)?, upstream })
        });
        let endpoint = guest.port.map(|port| Endpoint {
            listen: guest.settings.config.listen.address.to_string(),
            port,
            password: guest.settings.password.as_ref().map(Secret::text),
        });
        let settled = match &guest.published {
            // Our port is there, as long as nobody has removed or replaced it.
            Some(Published::Visible) => guest.domain.vnc_port == guest.port && guest.port.is_some(),
            // It is published when this changes, and any change brings us here with other nodes.
            Some(Published::DeviceModel | Published::Foreign { .. }) => guest.domain.vnc_port.is_some(),
            Some(Published::NoConsole | Published::Vanished) => false,
            None => guest.port.is_none(),
        };
        let withdraw = endpoint.is_none() && guest.withdrawn != Some(guest.domain.domid);
        let same = settled && !withdraw && guest.unpublished.is_none() && !guest.republish;
        let work = tty.is_some() || telling.is_some() || !same;
        work.then(|| Self { domain: guest.domain.clone(), endpoint, tty, withdraw, telling })
    }

    async fn run(self, publisher: &Publisher) -> Result<Done, StoreError> {
        let Self { domain, endpoint, tty, withdraw, telling } = self;
        if withdraw {
            publisher.withdraw(domain.domid, domain.uuid).await?;
        }
        let endpoint = match endpoint {
            Some(endpoint) => Some(publisher.publish(&domain, &endpoint).await?),
            None => None,
        };
        let told = match &telling {
            Some(telling) => Some(telling.run(publisher, &domain).await?),
            None => None,
        };
        // The tty comes last: it is what a toolstack waits for, and everything else is to be there by then.
        let tty_changed = match tty {
            Some(tty) => {
                let seen = domain.console.tty.as_deref().unwrap_or_default().as_bytes();
                let outcome = publisher.publish_tty(domain.domid, domain.uuid, &tty, seen).await?;
                matches!(outcome, TtyOutcome::Changed { .. })
            }
            None => false,
        };
        Ok(Done { endpoint, tty_changed, withdrawn: withdraw, told })
    }
}

/// Shows what the console printed before this run. The terminal's answers of then are nobody's now.
fn replay(seat: &mut Seat, history: &HistoryFile) {
    let Ok(printed) = history.replay() else { return };
    for piece in printed {
        seat.console_output(VtNumber::CONSOLE, &piece.bytes, std::time::Instant::now());
    }
    seat.take_console_input(VtNumber::CONSOLE, &mut Vec::new());
}

/// An error with its causes.
pub(in crate::daemon) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Whether a process called xenconsoled runs.
fn console_daemon_runs() -> bool {
    let Ok(processes) = std::fs::read_dir("/proc") else { return false };
    processes
        .flatten()
        .map(|process: std::fs::DirEntry| -> PathBuf { process.path().join("comm") })
        .any(|comm| std::fs::read(comm).is_ok_and(|name| name == b"xenconsoled\n"))
}
