//! The daemon: wires consoles, seats, viewers and xenstore together.
//!
//! [`host`] holds the loop that makes the host as xenstore says it should be; one task each drives a seat
//! ([`seat`]) and a console ([`console`]). Everything that decides is elsewhere and without I/O.

mod asciicast;
mod console;
mod control_socket;
mod display_access;
mod displays;
mod history_dir;
pub mod history_file;
mod host;
mod limits;
mod logins;
mod picture_png;
mod plain_text;
mod seat;
mod secrets;
mod settings;
mod upstream;
mod users;
mod viewer_access;

use std::path::PathBuf;
use std::pin::pin;
use std::time::Instant;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::config::{Config, ConfigError};
use crate::control::{Answer, Request, Status};
use crate::xen::console::{ConsoleError, PtyFactory};
use crate::xen::store::{Address, Store, StoreError};

pub use control_socket::ControlSocketError;

use control_socket::{Call, ControlSocket, Outcome};
use host::Host;
use secrets::Secrets;
use settings::Settings;
pub use users::{UserLineError, user_line};

/// Reads the configuration again, as at the start; for SIGHUP.
pub type Reload = Box<dyn Fn() -> Result<Config, ConfigError> + Send>;

/// Why the daemon cannot run.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The control socket cannot be opened.
    #[error(transparent)]
    Control(#[from] ControlSocketError),
    /// xenstored is not there.
    #[error("no xenstore")]
    Store(#[from] StoreError),
    /// A directory for ptys cannot be made.
    #[error("console.runtime_dir")]
    Ptys(#[from] ConsoleError),
    /// A directory cannot be made.
    #[error("cannot make directory {path:?}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The runtime or a signal handler cannot be set up.
    #[error("cannot start")]
    System(#[from] std::io::Error),
    /// What was to be done once everything is served has failed.
    #[error("{0:#}")]
    Ready(anyhow::Error),
}

impl DaemonError {
    /// True when the command line or configuration is at fault.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        matches!(self, Self::Config(_))
    }
}

/// Checks a configuration as [`run`] would, without opening anything.
///
/// # Errors
/// What [`run`] would refuse in it.
pub fn check(config: &Config) -> Result<(), DaemonError> {
    Settings::check(config)?;
    Ok(())
}

/// Serves the host until SIGTERM or SIGINT.
///
/// # Errors
/// When it cannot start; once it runs, nothing ends it but a signal.
pub fn run(config: Config, reload: Reload) -> Result<(), DaemonError> {
    run_with(config, reload, || Ok(()))
}

/// Like [`run`]; `ready` is called once, on a thread of its own, when every domain of the start is served.
///
/// # Errors
/// As [`run`], and what `ready` returns.
pub fn run_with(
    config: Config,
    reload: Reload,
    ready: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
) -> Result<(), DaemonError> {
    let secrets = Settings::check(&config)?;
    // What we make (sockets, directories, histories) is for the owner only.
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    limits::raise_open_files();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(serve(config, secrets, reload, ready));
    // Tasks that block (a viewer's program, a file system that hangs) do not keep the process.
    runtime.shutdown_background();
    result
}

async fn serve(
    config: Config,
    secrets: Secrets,
    reload: Reload,
    ready: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
) -> Result<(), DaemonError> {
    let signals = Signals::new()?;
    let control = ControlSocket::open(&config.control_socket)?;
    let (calls, received) = mpsc::channel(16);
    let control = tokio::spawn(control.serve(calls));
    let result = serve_host(config, secrets, reload, ready, signals, received).await;
    control.abort();
    // Waiting for it removes the socket's file.
    let _ = control.await;
    result
}

async fn serve_host(
    config: Config,
    secrets: Secrets,
    reload: Reload,
    ready: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
    mut signals: Signals,
    mut calls: mpsc::Receiver<Call>,
) -> Result<(), DaemonError> {
    for dir in [&config.runtime_dir, &config.unix_dir] {
        std::fs::create_dir_all(dir)
            .map_err(|source| DaemonError::Directory { path: dir.clone(), source })?;
    }
    let address = Address::from_option(config.xenstore_socket.clone());
    let started = Instant::now();
    let store = {
        let mut connecting = pin!(connect(&config, &address));
        loop {
            tokio::select! {
                store = &mut connecting => break store?,
                () = signals.stop() => return Ok(()),
                Some(call) = calls.recv() => answer_while_waiting(call, &config, &address, started),
            }
        }
    };
    let ptys = PtyFactory::new(&config.runtime_dir)?;
    if let Some(reason) = ptys.fallback() {
        tracing::warn!(
            reason = reason as &dyn std::error::Error,
            "consoles use the ordinary devpts: after a crash another process could get a console's pty number"
        );
    }
    let mut host = Host::new(config, secrets, store, address.resolve()?, ptys).await?;
    host.reconcile().await;
    host.announce();
    notify(&[sd_notify::NotifyState::Ready]);
    let ready = tokio::task::spawn_blocking(ready);
    let result = host.run(calls, reload, &mut signals, ready).await;
    notify(&[sd_notify::NotifyState::Stopping]);
    host.stop().await;
    result
}

/// Answers a call that comes before xenstored does.
fn answer_while_waiting(call: Call, config: &Config, address: &Address, started: Instant) {
    const WAITING: &str = "waiting for xenstored";
    let outcome = match call.request {
        Request::List => Outcome::Answer(Answer::Domains(Vec::new())),
        Request::Status => Outcome::Answer(Answer::Status(Status {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            uptime_seconds: started.elapsed().as_secs(),
            xenstore: address.resolve().ok().or_else(|| config.xenstore_socket.clone()).unwrap_or_default(),
            xenstore_connected: false,
            domains: 0,
            viewers: 0,
            problems: vec![match address.resolve() {
                Ok(path) => format!("{WAITING} at {path:?}"),
                Err(error) => format!("{WAITING}: {error}"),
            }],
        })),
        _ => Outcome::Refused(WAITING.into()),
    };
    // A client that has left does not want to know.
    let _ = call.reply.send(outcome);
}

/// Connects to xenstored; with `xenstore.wait` for as long as it takes.
async fn connect(config: &Config, address: &Address) -> Result<Store, StoreError> {
    let mut pause = std::time::Duration::from_millis(100);
    let mut said = false;
    loop {
        match Store::connect(address.clone()).await {
            Err(error) if config.xenstore_wait => {
                if !said {
                    said = true;
                    tracing::warn!(error = &error as &dyn std::error::Error, "waiting for xenstored");
                }
            }
            result => return result,
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(std::time::Duration::from_secs(2));
    }
}

/// Tells systemd, where there is one; without it, this does nothing.
fn notify(state: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "the service manager was not told");
    }
}

/// The signals that mean something to the daemon.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next signal.
    async fn next(&mut self) -> SignalSeen {
        tokio::select! {
            _ = self.terminate.recv() => SignalSeen::Stop("SIGTERM"),
            _ = self.interrupt.recv() => SignalSeen::Stop("SIGINT"),
            _ = self.hangup.recv() => SignalSeen::Hangup,
        }
    }

    /// Waits for a signal that says to stop.
    async fn stop(&mut self) {
        while !matches!(self.next().await, SignalSeen::Stop(_)) {}
    }
}

/// What a signal says.
enum SignalSeen {
    /// SIGHUP: read the configuration again.
    Hangup,
    /// End; the signal's name, for the log.
    Stop(&'static str),
}
