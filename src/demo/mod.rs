//! A simulated Xen host, so that everything else can be seen and tested on a machine without Xen and without root.
//!
//! ```text
//!  shell ◄─► its pty ◄─► simulated xenconsoled ◄─► console pty, named in console/tty ◄─► the daemon
//!                 simulated toolstack ─► simulated xenstored ◄───────────────────────────┘
//! ```
//!
//! The store speaks the real protocol on a real socket; domains have the nodes that libxl writes; the daemon cannot
//! tell the difference, and nothing in it knows of the demo. All of it lives in one private temporary directory and
//! ends with the [`Host`].

mod boot_log;
mod console;
mod domain;
mod guest;
mod toolstack;
mod xenstored;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::unistd::Pid;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::xen::store::{Address, Store, StoreError};
use crate::xen::{Domid, Uuid};
pub use guest::run as run_guest;
use toolstack::Toolstack;

/// What to simulate.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many domains run from the start, named `demo-1`, `demo-2` and so on.
    pub domains: usize,
    /// How many further domains come, reboot and go for ever, named `churn-1` and so on.
    pub churn: usize,
    /// The shell that runs in the domains; by default `$SHELL`, else `/bin/sh`.
    pub shell: Option<PathBuf>,
    /// A command that calls [`run_guest`] with its last argument, which is added to it: `xenvnc demo-guest`.
    pub helper: Vec<OsString>,
    /// Pause between two lines of a domain's boot log.
    pub boot_pause: Duration,
    /// How long a rebooting domain is away. It is about 3 s on a real host.
    pub reboot_pause: Duration,
    /// Between two events of the churn.
    pub churn_pause: Duration,
}

impl Options {
    /// The given number of domains, and what is agreeable to look at for the rest.
    #[must_use]
    pub fn new(domains: usize, helper: Vec<OsString>) -> Self {
        Self {
            domains,
            churn: 0,
            shell: None,
            helper,
            boot_pause: Duration::from_millis(30),
            reboot_pause: Duration::from_secs(1),
            churn_pause: Duration::from_millis(500),
        }
    }
}

/// The most domains at once: the ptys of a Linux system (`kernel.pty.max`, 4,096) allow no more, with two each.
pub const MAX_DOMAINS: usize = 2000;

/// Why there is no simulated host.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// Nothing private to put the socket into.
    #[error("cannot make a temporary directory in {path:?}")]
    Directory {
        /// Where it was to be made.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The simulated store cannot listen.
    #[error("cannot listen on {path:?}")]
    Listen {
        /// Its socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// More domains than this machine has ptys for.
    #[error("{wanted} domains are too many, at most {MAX_DOMAINS} can be simulated")]
    TooMany {
        /// How many were asked for.
        wanted: usize,
    },
    /// The simulated store refused the simulated toolstack.
    #[error("the simulated store failed")]
    Store(#[from] StoreError),
    /// A domain has no console.
    #[error("cannot make a console for a domain")]
    Console(#[source] io::Error),
    /// A domain has no shell.
    #[error("cannot start {helper:?} for a domain's shell")]
    Guest {
        /// The command that was to start it.
        helper: Vec<OsString>,
        /// What the system said.
        source: io::Error,
    },
    /// All domain numbers are in use.
    #[error("no domain number is free")]
    NoDomid,
    /// A domain ended before it ran.
    #[error("a domain did not start")]
    NotStarted,
}

/// A domain that runs now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// Its name, the same through reboots.
    pub name: String,
    /// Its UUID, derived from its name: the same in every run.
    pub uuid: Uuid,
    /// The number of this life.
    pub domid: Domid,
}

/// A running simulated host. Dropping it kills the shells and removes everything that it made.
#[derive(Debug)]
pub struct Host {
    shared: Arc<Shared>,
    // Dropped, and with it every task aborted, before the directory goes.
    tasks: JoinSet<()>,
}

/// What the tasks of a host share.
#[derive(Debug)]
struct Shared {
    options: Options,
    directory: Directory,
    toolstack: Toolstack,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    running: BTreeMap<Domid, Domain>,
    /// The session leaders of the shells.
    leaders: Vec<Pid>,
    last_domid: u16,
}

impl Host {
    /// Starts a host on the current tokio runtime, and returns when all its domains have a console.
    pub async fn start(options: Options) -> Result<Self, DemoError> {
        let wanted = options.domains.saturating_add(options.churn);
        if wanted > MAX_DOMAINS {
            return Err(DemoError::TooMany { wanted });
        }
        let directory = Directory::make()?;
        let socket = directory.socket();
        let listener = xenstored::Listener::bind(&socket)
            .map_err(|source| DemoError::Listen { path: socket.clone(), source })?;
        let mut tasks = JoinSet::new();
        tasks.spawn(listener.serve());
        let store = Store::connect(Address::At(socket)).await?;
        let toolstack = Toolstack::new(store);
        toolstack.prepare().await?;
        let shared = Arc::new(Shared { options, directory, toolstack, state: Mutex::default() });
        let mut started = Vec::new();
        for number in 1..=shared.options.domains {
            let (ready, is_ready) = oneshot::channel();
            started.push(is_ready);
            tasks.spawn(domain::stay(Arc::clone(&shared), format!("demo-{number}"), ready));
        }
        for number in 1..=shared.options.churn {
            tasks.spawn(domain::churn(Arc::clone(&shared), number));
        }
        let host = Self { shared, tasks };
        for is_ready in started {
            is_ready.await.map_err(|_| DemoError::NotStarted)??;
        }
        Ok(host)
    }

    /// Where its store listens.
    #[must_use]
    pub fn store_address(&self) -> Address {
        Address::At(self.shared.directory.socket())
    }

    /// Its private directory, for sockets and files that are to go when it goes.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.shared.directory.0
    }

    /// The domains that run now, by their numbers.
    #[must_use]
    pub fn domains(&self) -> Vec<Domain> {
        self.shared.state().running.values().cloned().collect()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.tasks.abort_all();
        let leaders = std::mem::take(&mut self.shared.state().leaders);
        guest::kill_sessions(&leaders);
        self.shared.directory.remove();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The next number that no running domain has; numbers are not used again soon, as on a real host.
    fn take_domid(&mut self) -> Result<Domid, DemoError> {
        for _ in 0..=u16::MAX {
            self.last_domid = self.last_domid.wrapping_add(1);
            match Domid::new(self.last_domid) {
                Ok(domid) if domid != Domid::ZERO && !self.running.contains_key(&domid) => return Ok(domid),
                _ => {}
            }
        }
        Err(DemoError::NoDomid)
    }
}

/// A private temporary directory.
#[derive(Debug)]
struct Directory(PathBuf);

impl Directory {
    fn make() -> Result<Self, DemoError> {
        let template = std::env::temp_dir().join("xenvnc-demo-XXXXXX");
        match nix::unistd::mkdtemp(&template) {
            Ok(path) => Ok(Self(path)),
            Err(errno) => Err(DemoError::Directory { path: template, source: errno.into() }),
        }
    }

    fn socket(&self) -> PathBuf {
        self.0.join("xenstored")
    }

    fn remove(&self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = ?self.0, %error, "cannot remove the demo's directory");
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        self.remove();
    }
}
