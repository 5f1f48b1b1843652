//! What a viewer can be asked to do, and the viewers that a driver of ours leads by lines of text.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::host::{DEADLINE, cache, installed};
use crate::screen::read_picture;
use crate::security::Security;
use crate::table::Stop;
use crate::text_picture::Picture;

/// How a viewer is to be started.
#[derive(Debug, Clone)]
pub(crate) struct Opening {
    pub(crate) port: u16,
    /// The bits of a pixel.
    pub(crate) bits: u8,
    pub(crate) security: Security,
    /// By what the server is to be known where it uses TLS.
    pub(crate) certificate: PathBuf,
}

/// A viewer that is connected.
pub(crate) trait Viewer {
    /// Does one of:
    ///
    ///     type TEXT         presses and releases the key of each character
    ///     key CHORD         presses these keys, joined by "-", and releases them: enter, ctrl-alt-1
    ///     move X Y          moves the pointer
    ///     click N X Y       presses and releases button N there
    ///     copy TEXT         puts a text into the viewer's clipboard
    ///     clipboard         answers what is there
    ///     bells             answers how often it rang
    ///     lamps             answers "caps" when that lamp is lit
    ///     cursor            answers how many pixels of the cursor that it shows are red
    ///     name              answers what it calls the desktop
    ///     resize W H        wants a desktop of this size
    fn command(&mut self, command: &str) -> Result<String, Stop>;

    /// What it shows; at least the server's picture.
    fn picture(&mut self) -> Result<Picture, Stop>;

    /// Whether it saves what it shows with a loss, whatever it was sent.
    fn is_lossy(&self) -> bool {
        false
    }
}

/// A program that reads commands from its standard input and answers each by one line: `done`, with what was asked for;
/// `cannot`; or `error:` and why.
pub(crate) struct Driven {
    process: Child,
    commands: Option<ChildStdin>,
    answers: Receiver<String>,
    capture: tempfile::NamedTempFile,
}

impl Driven {
    pub(crate) fn start(command: &mut Command, opening: &Opening) -> Result<Self, Stop> {
        command.arg(opening.port.to_string()).arg(opening.bits.to_string()).args(opening.security.password());
        command.env("VNC_USERNAME", opening.security.user().unwrap_or_default());
        command.env("VNC_SECURITY", opening.security.name()).env("VNC_CA", &opening.certificate);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
        let mut process = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let output = BufReader::new(process.stdout.take().expect("a pipe"));
        let (sender, answers) = channel();
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let capture = tempfile::Builder::new().suffix(".png").tempfile().expect("a file");
        let commands = process.stdin.take();
        let mut driven = Self { process, commands, answers, capture };
        driven.answer().map(|_| driven)
    }

    fn answer(&mut self) -> Result<String, Stop> {
        let line = self.answers.recv_timeout(DEADLINE).map_err(|_| Stop::No("it does not answer".into()))?;
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("done", rest) => Ok(rest.to_owned()),
            ("cannot", _) => Err(Stop::Cannot),
            _ => Err(Stop::No(line.trim_start_matches("error: ").to_owned())),
        }
    }
}

impl Viewer for Driven {
    fn command(&mut self, command: &str) -> Result<String, Stop> {
        let mut commands = self.commands.as_ref().expect("open until the end");
        writeln!(commands, "{command}").map_err(|error| Stop::No(format!("it has ended: {error}")))?;
        self.answer()
    }

    fn picture(&mut self) -> Result<Picture, Stop> {
        let path = self.capture.path().to_owned();
        self.command(&format!("capture {}", path.display()))?;
        read_picture(&path).ok_or_else(|| Stop::No("its picture cannot be read".into()))
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        // The end of its input is its end; what it has started ends with it.
        self.commands = None;
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(10) && matches!(self.process.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(5));
        }
        let group = Pid::from_raw(self.process.id().try_into().expect("a process id"));
        let _ = killpg(group, Signal::SIGKILL);
        let _ = self.process.wait();
    }
}

const DRIVERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/drivers");

/// A driver in Python. Its packages are those of `scripts/setup`.
pub(crate) fn python(script: &str) -> Command {
    let mut command = Command::new(installed(&cache().join("python-interop/bin/python")));
    command.arg(Path::new(DRIVERS).join(script));
    command
}

/// Builds the driver of libvncclient; gives its path.
pub(crate) fn build_c_driver(directory: &Path) -> std::path::PathBuf {
    let program = directory.join("libvncclient_driver");
    let mut compiler = Command::new(installed(Path::new("cc")));
    compiler.args(["-O1", "-Wall", "-Wextra", "-Werror", "-o"]).arg(&program);
    compiler.arg(Path::new(DRIVERS).join("libvncclient_driver.c")).args(["-lvncclient", "-lgnutls"]);
    let output = compiler.output().expect("a compiler");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}\nit needs the package libvncserver-dev: run scripts/setup");
    program
}
