//! A dom0 in miniature: the real xenstored, guests behind a made-up xenconsoled, and the daemon's own binary.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::common::xenstored::{Toolstack, Xenstored, uuid};
use crate::guest::Guest;

/// How long a condition may take to come true: far beyond what a loaded machine needs.
pub(crate) const DEADLINE: Duration = Duration::from_secs(90);

const XENVNC: &str = env!("CARGO_BIN_EXE_xenvnc");

/// Asks until the answer is `Some`; fails the test with the last complaint when that takes too long.
pub(crate) fn eventually<T>(what: &str, mut ask: impl FnMut() -> Result<T, String>) -> T {
    let start = Instant::now();
    loop {
        match ask() {
            Ok(value) => return value,
            Err(why) => assert!(start.elapsed() < DEADLINE, "gave up waiting for {what}: {why}"),
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// The host. Its daemon, guests, xenstored and files end with this value.
pub(crate) struct Host {
    daemon: Option<Daemon>,
    guests: BTreeMap<u16, Guest>,
    pub(crate) xenstored: Xenstored,
    toolstack: Toolstack,
    runtime: Runtime,
    settings: Vec<String>,
    log_filter: &'static str,
    launcher: Vec<String>,
    directory: TempDir,
}

struct Daemon {
    process: Child,
    log: PathBuf,
}

impl Host {
    /// A host without domains and without a daemon. `settings` are `section.key=value`; ports, directories and sockets are
    /// chosen here.
    pub(crate) fn new(settings: &[&str]) -> Self {
        let directory = tempfile::Builder::new().prefix("xenvnc").tempdir().expect("a temporary directory");
        let xenstored = Xenstored::start();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let toolstack = runtime.block_on(xenstored.toolstack());
        fs::write(directory.path().join("config.toml"), "").expect("a configuration file");
        let place = |name: &str| directory.path().join(name).display().to_string();
        let ports = free_ports(8);
        let mut all = vec![
            format!("control.socket={}", place("control.sock")),
            format!("xenstore.socket={}", xenstored.socket().display()),
            format!("console.runtime_dir={}", place("run")),
            "vnc.listen=127.0.0.1".to_owned(),
            format!("vnc.ports={}-{}", ports.0, ports.1),
            format!("vnc.unix_dir={}", place("vnc")),
            format!("history.dir={}", place("history")),
        ];
        all.extend(settings.iter().map(|setting| (*setting).to_owned()));
        Self {
            daemon: None,
            guests: BTreeMap::new(),
            xenstored,
            toolstack,
            runtime,
            settings: all,
            log_filter: "xenvnc=debug",
            launcher: Vec::new(),
            directory,
        }
    }

    /// A file or directory of the host's own.
    pub(crate) fn place(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Starts the daemon and waits until it answers.
    pub(crate) fn start_daemon(&mut self) {
        self.spawn_daemon();
        eventually("the daemon's first answer", || {
            let daemon = self.daemon.as_mut().expect("just started");
            if let Some(status) = daemon.process.try_wait().expect("the daemon's state") {
                panic!("the daemon ended with {status}:\n{}", daemon.log());
            }
            let output = self.xenvnc(&["status"]);
            output.status.success().then_some(()).ok_or_else(|| text(&output.stderr))
        });
    }

    /// Starts the daemon and does not wait.
    pub(crate) fn spawn_daemon(&mut self) {
        let log = self.place("daemon.log");
        let file = File::options().create(true).append(true).open(&log).expect("a log file");
        let mut words = self.launcher.iter().map(String::as_str).chain([XENVNC]);
        let mut command = Command::new(words.next().expect("a program"));
        command.args(words).arg("daemon").arg("--config").arg(self.place("config.toml"));
        for setting in &self.settings {
            command.args(["--set", setting]);
        }
        let process = command
            .env("RUST_LOG", self.log_filter)
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("another handle of the log"))
            .stderr(file)
            .spawn()
            .expect("the daemon");
        self.daemon = Some(Daemon { process, log });
    }

    /// The daemon's process id.
    pub(crate) fn daemon_id(&self) -> u32 {
        self.daemon.as_ref().expect("a daemon").process.id()
    }

    /// Sends the daemon a signal and waits for its end.
    pub(crate) fn end_daemon(&mut self, signal: Signal) -> ExitStatus {
        let mut daemon = self.daemon.take().expect("a daemon");
        kill(pid(&daemon.process), signal).expect("a signal to the daemon");
        eventually("the daemon's end", || {
            daemon.process.try_wait().expect("the daemon's state").ok_or_else(|| daemon.log())
        })
    }

    /// Fails when the daemon has ended by itself.
    pub(crate) fn assert_daemon_lives(&mut self) {
        let daemon = self.daemon.as_mut().expect("a daemon");
        let ended = daemon.process.try_wait().expect("the daemon's state");
        assert!(ended.is_none(), "the daemon ended with {ended:?}:\n{}", daemon.log());
    }

    /// What the daemon has logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.place("daemon.log")).unwrap_or_default()
    }

    /// Runs `xenvnc` with these arguments, told where the daemon is.
    pub(crate) fn xenvnc(&self, arguments: &[&str]) -> Output {
        self.xenvnc_with_input(arguments, "")
    }

    /// Like [`Self::xenvnc`], with text on standard input.
    pub(crate) fn xenvnc_with_input(&self, arguments: &[&str], input: &str) -> Output {
        let (command, rest) = arguments.split_first().expect("a command");
        let mut process = Command::new(XENVNC)
            .arg(command)
            .arg("--socket")
            .arg(self.place("control.sock"))
            .args(rest)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("xenvnc");
        // A command that does not read its input has closed it; that is no fault.
        let _ = process.stdin.take().expect("standard input").write_all(input.as_bytes());
        process.wait_with_output().expect("xenvnc's output")
    }

    /// `list --json`.
    pub(crate) fn list(&self) -> Vec<Value> {
        let output = self.xenvnc(&["list", "--json"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("an array of objects")
    }

    /// The row of one domain in `list --json`.
    pub(crate) fn row(&self, name: &str) -> Option<Value> {
        self.list().into_iter().find(|row| row["name"] == name)
    }

    /// A domain with a shell on its console. Gives its domid back, which is also the number of its UUID.
    pub(crate) fn add_domain(&mut self, domid: u16, name: &str) {
        self.add_life(domid, domid, name);
    }

    /// A life of the guest with UUID number `guest` under `domid`.
    pub(crate) fn add_life(&mut self, domid: u16, guest: u16, name: &str) {
        let shell = Guest::shell();
        self.make_domain(domid, guest, name, &shell.tty().display().to_string());
        self.guests.insert(domid, shell);
    }

    /// A domain whose console node says this, whether there is such a pty or not.
    pub(crate) fn add_domain_with_tty(&mut self, domid: u16, name: &str, tty: &str) {
        self.make_domain(domid, domid, name, tty);
    }

    fn make_domain(&self, domid: u16, guest: u16, name: &str, tty: &str) {
        self.runtime.block_on(async {
            self.toolstack.make_domain(domid, &uuid(guest).to_string(), name).await;
            self.toolstack.set_tty(domid, tty).await;
        });
    }

    /// Gives such a domain a shell and a pty.
    pub(crate) fn heal(&mut self, domid: u16) {
        let shell = Guest::shell();
        let tty = shell.tty().display().to_string();
        self.runtime.block_on(self.toolstack.set_tty(domid, &tty));
        self.guests.insert(domid, shell);
    }

    /// Makes `console/` anew, as a soft reset does, which keeps `tty`.
    pub(crate) fn remake_console(&mut self, domid: u16) {
        let tty = self.node(domid, "console/tty").unwrap_or_default();
        self.runtime.block_on(async {
            self.toolstack.make_console(domid).await;
            self.toolstack.set_tty(domid, &tty).await;
        });
    }

    /// Destroys a domain as `xl destroy` does; xenconsoled closes its pty.
    pub(crate) fn destroy(&mut self, domid: u16) {
        self.runtime.block_on(self.toolstack.destroy_domain(domid));
        self.guests.remove(&domid);
    }

    /// The pty that the made-up xenconsoled holds for this domain.
    pub(crate) fn tty(&self, domid: u16) -> String {
        self.guests[&domid].tty().display().to_string()
    }

    /// What a client that we did not write reads below the domain's home.
    pub(crate) fn node(&self, domid: u16, node: &str) -> Option<String> {
        self.xenstored.independent_read(&format!("/local/domain/{domid}/{node}")).ok()
    }

    /// Waits until the domain's port is published, and gives it.
    pub(crate) fn port(&self, domid: u16) -> u16 {
        eventually("console/vnc-port", || {
            let value = self.node(domid, "console/vnc-port");
            value
                .as_deref()
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| format!("{value:?}\n{}", self.log()))
        })
    }

    /// The published port, as our own client of xenstore reads it.
    pub(crate) fn published_port(&self, domid: u16) -> Option<u16> {
        let node = format!("/local/domain/{domid}/console/vnc-port");
        let value = self.runtime.block_on(self.toolstack.store.read_optional(&node)).expect("xenstore");
        value.and_then(|value| text(&value).parse().ok())
    }

    /// Waits until the domain's port is published, and says when that was seen, counted from `start`.
    pub(crate) fn await_port(&self, domid: u16, start: Instant) -> Duration {
        eventually("console/vnc-port", || {
            self.published_port(domid).map(|_| start.elapsed()).ok_or_else(|| self.log())
        })
    }

    /// Lets the daemon log everything.
    pub(crate) fn verbose(&mut self) {
        self.log_filter = "trace";
    }

    /// Starts the daemon by these words from now on.
    pub(crate) fn launch_by(&mut self, launcher: &[&str]) {
        self.launcher = launcher.iter().map(|word| (*word).to_owned()).collect();
    }

    /// Sets one more value for the next start of the daemon, over those before it.
    pub(crate) fn set(&mut self, setting: &str) {
        self.settings.push(setting.to_owned());
    }

    /// The first of the eight free ports that were chosen for this host.
    pub(crate) fn first_port(&self) -> u16 {
        let range = self.settings.iter().find_map(|setting| setting.strip_prefix("vnc.ports="));
        range.and_then(|range| range.split('-').next()?.parse().ok()).expect("a range of ports")
    }

    /// Does what a toolstack does.
    pub(crate) fn toolstack<T>(&self, work: impl AsyncFnOnce(&Toolstack) -> T) -> T {
        self.runtime.block_on(work(&self.toolstack))
    }

    /// The value of a node, as our own client of xenstore reads it.
    pub(crate) fn value(&self, path: &str) -> Option<String> {
        self.toolstack(async |t| t.store.read_optional(path).await)
            .expect("xenstore")
            .map(|value| text(&value))
    }

    /// Writes a node.
    pub(crate) fn write(&self, path: &str, value: &[u8]) {
        self.toolstack(async |t| t.store.write(path, value).await).expect("xenstore");
    }

    /// Makes a domain again whose guest runs on, as after the loss of the store.
    pub(crate) fn make_again(&self, domid: u16, name: &str) {
        self.make_domain(domid, domid, name, &self.tty(domid));
    }

    /// Sends the daemon a signal.
    pub(crate) fn signal_daemon(&self, signal: Signal) {
        kill(pid(&self.daemon.as_ref().expect("a daemon").process), signal).expect("a signal");
    }

    /// Lets the daemon log warnings only.
    pub(crate) fn quiet(&mut self) {
        self.log_filter = "warn";
    }

    /// Types a line on a domain's console, by the command line.
    pub(crate) fn type_line(&self, name: &str, line: &str) {
        let output = self.xenvnc_with_input(&["type", name], &format!("{line}\n"));
        assert!(output.status.success(), "{}", text(&output.stderr));
    }

    /// What a domain's console has printed, as far as the daemon keeps it.
    pub(crate) fn history(&self, name: &str) -> String {
        let output = self.xenvnc(&["history", name]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    }

    /// Waits until a domain's console has printed this.
    pub(crate) fn await_history(&self, name: &str, wanted: &str) {
        eventually("the console's history", || {
            let history = self.history(name);
            history.contains(wanted).then_some(()).ok_or_else(|| format!("no {wanted:?} in {history:?}"))
        });
    }

    /// Writes what a domain's first VT shows to a file.
    pub(crate) fn screenshot(&self, name: &str) -> PathBuf {
        let file = self.place(&format!("{name}.png"));
        let output = self.xenvnc(&["screenshot", name, &file.display().to_string()]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        file
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            // By SIGTERM first, so that it takes its mounts along.
            let _ = kill(pid(&daemon.process), Signal::SIGTERM);
            let start = Instant::now();
            while start.elapsed() < Duration::from_secs(10) && matches!(daemon.process.try_wait(), Ok(None)) {
                thread::sleep(Duration::from_millis(10));
            }
            let _ = daemon.process.kill();
            let _ = daemon.process.wait();
        }
        if thread::panicking() {
            eprintln!("--- the daemon's log ---\n{}---", self.log());
        }
    }
}

impl Daemon {
    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

/// A line of `vnc.users_file`, as people make it.
pub(crate) fn user_line(user: &str, password: &str) -> String {
    let mut process = Command::new(XENVNC)
        .args(["password", user])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("xenvnc");
    let line = format!("{password}\n");
    process.stdin.take().expect("standard input").write_all(line.as_bytes()).expect("a password");
    let output = process.wait_with_output().expect("its output");
    assert!(output.status.success(), "{output:?}");
    text(&output.stdout)
}

/// Output as text, for messages.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn pid(process: &Child) -> Pid {
    Pid::from_raw(process.id().try_into().expect("a process id"))
}

/// So many free ports in a row, first and last; no two calls in this process give the same. They are free when this
/// returns; below the range from which the system gives out ports by itself, it is unlikely that another program takes
/// one before the daemon does.
fn free_ports(count: u16) -> (u16, u16) {
    static TRIED: AtomicU16 = AtomicU16::new(0);
    let seed = u16::try_from(std::process::id() % 12_000).expect("less than 12000");
    (0..400)
        .map(|_| 20_000 + (seed + TRIED.fetch_add(count, Ordering::Relaxed) % 6_000) % 12_000)
        .find(|first| {
            (*first..first + count).all(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
        })
        .map(|first| (first, first + count - 1))
        .expect("free ports")
}

/// Where `scripts/setup` puts what it installs.
pub(crate) fn cache() -> PathBuf {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    variable("XENVNC_CACHE")
        .or_else(|| variable("XDG_CACHE_HOME").map(|cache| cache.join("xenvnc")))
        .or_else(|| variable("HOME").map(|home| home.join(".cache/xenvnc")))
        .expect("a home directory")
}

/// Fails with a hint when a program that `scripts/setup` installs is missing.
pub(crate) fn installed(program: &Path) -> &Path {
    let found = if program.is_absolute() {
        program.exists()
    } else {
        let paths = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&paths).any(|directory| directory.join(program).exists())
    };
    assert!(found, "{} is missing: run scripts/setup", program.display());
    program
}
