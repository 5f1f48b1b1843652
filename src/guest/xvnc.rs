//! An Xvnc of our own, and what runs on it.

use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::backoff::{Backoff, chance};
use super::config::Xvnc;

/// How long Xvnc may take until it serves its display.
const START_TIME: Duration = Duration::from_secs(60);
/// An Xvnc and session that end sooner do so again and again, perhaps: those are started less and less often.
const LASTING: Duration = Duration::from_secs(60);
/// How long a process may take to end before it is killed.
const END_TIME: Duration = Duration::from_secs(5);

/// Why there is no Xvnc.
#[derive(Debug, thiserror::Error)]
pub enum XvncError {
    /// The directory or a file beside the socket cannot be made.
    #[error("cannot make {path:?}")]
    File {
        /// What was to be made.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A program cannot be run.
    #[error("cannot run {program:?}")]
    Run {
        /// The program.
        program: String,
        /// Why not.
        source: io::Error,
    },
    /// Xvnc ended or was silent instead of serving a display.
    #[error("{program:?} serves no display: it did not say which within {} s", START_TIME.as_secs())]
    NoDisplay {
        /// The program.
        program: String,
    },
}

/// Starts an Xvnc when it is asked to and none of ours runs.
#[derive(Debug)]
pub(super) struct Starter {
    config: Xvnc,
    socket: PathBuf,
    running: Option<Running>,
    backoff: Backoff,
}

/// A running Xvnc with its session, watched by a task.
#[derive(Debug)]
struct Running {
    started: Instant,
    task: JoinHandle<()>,
    stop: CancellationToken,
}

impl Starter {
    pub(super) const fn new(config: Xvnc, socket: PathBuf) -> Self {
        Self { config, socket, running: None, backoff: Backoff::new() }
    }

    /// Starts Xvnc and its session unless they run; after one that was short-lived, not at once.
    pub(super) async fn ensure(&mut self) -> Result<(), XvncError> {
        match &self.running {
            Some(running) if !running.task.is_finished() => return Ok(()),
            Some(running) if running.started.elapsed() < LASTING => {
                sleep(self.backoff.failed(chance())).await
            }
            Some(_) => self.backoff.succeeded(),
            None => {}
        }
        let authority = self.socket.with_extension("auth");
        prepare(&self.socket, &authority)?;
        let (xvnc, x_display) = start_xvnc(&self.config, &self.socket, &authority).await?;
        let session = match start_session(&self.config, &x_display, &authority) {
            Ok(session) => session,
            Err(error) => {
                end(xvnc).await;
                return Err(error);
            }
        };
        info!(display = x_display, geometry = %self.config.geometry, "started Xvnc");
        let stop = CancellationToken::new();
        let task = tokio::spawn(watch(xvnc, session, stop.clone()));
        self.running = Some(Running { started: Instant::now(), task, stop });
        Ok(())
    }

    /// Ends what runs.
    pub(super) async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop.cancel();
            let _ = running.task.await;
        }
    }
}

/// Makes the directory for the socket, and the file by which the session's programs are let in: without one, every user of
/// this guest could draw on the display and read its keys.
fn prepare(socket: &Path, authority: &Path) -> Result<(), XvncError> {
    let file = |path: &Path, source| XvncError::File { path: path.to_owned(), source };
    if let Some(parent) = socket.parent() {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(parent)
            .map_err(|error| file(parent, error))?;
    }
    let mut cookie = [0; 16];
    getrandom::fill(&mut cookie).map_err(|error| file(authority, io::Error::other(error)))?;
    // A file that is there may be another user's, with open descriptors on it.
    match std::fs::remove_file(authority) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(file(authority, error)),
        _ => {}
    }
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(authority)
        .and_then(|mut out| io::Write::write_all(&mut out, &xauthority(cookie)))
        .map_err(|error| file(authority, error))
}

/// An Xauthority file with one entry that is good for every display (`Xau(3)`): family, address, display number, name of the
/// method and data, each but the first with its length in two bytes, big-endian.
fn xauthority(cookie: [u8; 16]) -> Vec<u8> {
    const FAMILY_WILD: u16 = 0xFFFF;
    const METHOD: &[u8] = b"MIT-MAGIC-COOKIE-1";
    let mut entry = FAMILY_WILD.to_be_bytes().to_vec();
    for field in [&b""[..], b"", METHOD, &cookie] {
        // The longest of them has 18 bytes.
        entry.extend(u16::try_from(field.len()).unwrap_or_default().to_be_bytes());
        entry.extend(field);
    }
    entry
}

/// Starts Xvnc and waits until it says which display it serves.
async fn start_xvnc(config: &Xvnc, socket: &Path, authority: &Path) -> Result<(Child, String), XvncError> {
    let program = config.command.clone();
    let mut xvnc = Command::new(&program)
        .args(["-displayfd", "1", "-nolisten", "tcp", "-SecurityTypes", "None", "-AlwaysShared"])
        .args(["-rfbport", "-1", "-rfbunixmode", "0600", "-rfbunixpath"])
        .arg(socket)
        .arg("-auth")
        .arg(authority)
        .args(["-depth", "24", "-geometry"])
        .arg(config.geometry.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| XvncError::Run { program: program.clone(), source })?;
    let display = async {
        let mut line = String::new();
        // A display's number has few digits.
        BufReader::new(xvnc.stdout.take()?.take(16)).read_line(&mut line).await.ok()?;
        line.trim_end().parse::<u16>().ok().map(|number| format!(":{number}"))
    };
    if let Ok(Some(display)) = tokio::time::timeout(START_TIME, display).await {
        return Ok((xvnc, display));
    }
    end(xvnc).await;
    Err(XvncError::NoDisplay { program })
}

fn start_session(config: &Xvnc, display: &str, authority: &Path) -> Result<Option<Child>, XvncError> {
    let Some((program, arguments)) = config.session.split_first() else { return Ok(None) };
    Command::new(program)
        .args(arguments)
        .env("DISPLAY", display)
        .env("XAUTHORITY", authority)
        .stdin(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map(Some)
        .map_err(|source| XvncError::Run { program: program.clone(), source })
}

/// Waits until Xvnc or its session ends, or both shall, and ends the other one.
async fn watch(mut xvnc: Child, mut session: Option<Child>, stop: CancellationToken) {
    let of_session = async {
        match &mut session {
            Some(session) => session.wait().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        status = xvnc.wait() => warn!(status = said(&status), "Xvnc ended"),
        status = of_session => info!(status = said(&status), "the session ended"),
        () = stop.cancelled() => {}
    }
    if let Some(session) = session {
        end(session).await;
    }
    end(xvnc).await;
}

fn said(status: &io::Result<ExitStatus>) -> String {
    match status {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    }
}

/// Ends a process and those that it started in its group, politely first.
async fn end(mut process: Child) {
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        // Without a number it has been waited for, and the number may be another one's by now.
        let Some(group) = process.id().and_then(|id| i32::try_from(id).ok()) else { return };
        let _ = killpg(Pid::from_raw(group), signal);
        let _ = tokio::time::timeout(END_TIME, process.wait()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authority_file_has_the_form_that_xau_reads() {
        let file = xauthority([0xAB; 16]);
        assert_eq!(&file[..8], [0xFF, 0xFF, 0, 0, 0, 0, 0, 18]);
        assert_eq!(&file[8..26], b"MIT-MAGIC-COOKIE-1");
        assert_eq!(&file[26..28], [0, 16]);
        assert_eq!(&file[28..], [0xAB; 16]);
    }

    fn config(command: &str, session: &[&str]) -> Xvnc {
        let session = session.iter().map(|word| (*word).to_owned()).collect();
        let geometry = "640x480".parse().expect("a size");
        Xvnc { command: command.to_owned(), geometry, session }
    }

    #[tokio::test]
    async fn program_that_is_no_xvnc_is_a_named_error() {
        let directory = tempfile::tempdir().expect("a directory");
        let socket = directory.path().join("x.sock");
        let mut missing = Starter::new(config("/nonexistent/Xvnc", &[]), socket.clone());
        assert!(matches!(missing.ensure().await, Err(XvncError::Run { .. })));
        let mut mute = Starter::new(config("true", &[]), socket.clone());
        assert!(matches!(mute.ensure().await, Err(XvncError::NoDisplay { .. })));
        let mut wrong = Starter::new(config("echo", &[]), socket);
        assert!(
            matches!(wrong.ensure().await, Err(XvncError::NoDisplay { .. })),
            "what it says is no number"
        );
    }
}
