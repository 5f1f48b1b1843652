//! Viewers that we did not write.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use tempfile::TempDir;

use crate::host::{cache, eventually, installed};
use crate::picture::Picture;

const DRIVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/viewers/vncdotool_driver.py");

/// vncdotool, connected.
pub(crate) struct Vncdotool {
    process: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    capture: tempfile::NamedTempFile,
}

impl Vncdotool {
    /// Connects; `Err` has what vncdotool complains about.
    pub(crate) fn connect(port: u16, password: Option<&str>) -> Result<Self, String> {
        let mut process = Command::new(installed(&cache().join("python/bin/python")))
            .arg(DRIVER)
            .arg(format!("127.0.0.1::{port}"))
            .args(password)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("vncdotool");
        let commands = process.stdin.take().expect("standard input");
        let answers = BufReader::new(process.stdout.take().expect("standard output"));
        let capture = tempfile::Builder::new().suffix(".png").tempfile().expect("a file");
        let mut viewer = Self { process, commands, answers, capture };
        viewer.answer().map(|()| viewer)
    }

    /// Presses and releases the key of each character.
    pub(crate) fn type_text(&mut self, text: &str) {
        self.command(&format!("type {text}")).expect("typing");
    }

    /// Presses and releases one key, such as `enter` or `ctrl-c`.
    pub(crate) fn key(&mut self, key: &str) {
        self.command(&format!("key {key}")).expect("a key");
    }

    /// Moves the pointer.
    pub(crate) fn move_to(&mut self, x: u16, y: u16) {
        self.command(&format!("move {x} {y}")).expect("a motion");
    }

    /// The whole screen.
    pub(crate) fn capture(&mut self) -> Picture {
        let path = self.capture.path().to_owned();
        self.command(&format!("capture {}", path.display())).expect("a capture");
        Picture::from_png(&path).expect("a picture")
    }

    /// Waits until the screen shows this text, and gives the picture.
    pub(crate) fn await_text(&mut self, wanted: &str) -> Picture {
        eventually("text in vncdotool's picture", || {
            let picture = self.capture();
            let lines = picture.text();
            let shown = lines.iter().any(|line| line.contains(wanted));
            if shown { Ok(picture) } else { Err(format!("no {wanted:?} in {picture:?}")) }
        })
    }

    fn command(&mut self, command: &str) -> Result<(), String> {
        writeln!(self.commands, "{command}").map_err(|error| error.to_string())?;
        self.answer()
    }

    fn answer(&mut self) -> Result<(), String> {
        let mut line = String::new();
        self.answers.read_line(&mut line).map_err(|error| error.to_string())?;
        if line.trim_end() == "done" { Ok(()) } else { Err(line) }
    }
}

impl Drop for Vncdotool {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// TigerVNC's viewer on an X display of its own.
pub(crate) struct TigerVnc {
    display: String,
    screen: PathBuf,
    log: PathBuf,
    processes: Vec<Child>,
    _directory: TempDir,
}

impl TigerVnc {
    /// Starts both. `encoding` is the one to prefer: ZRLE, Hextile, Raw or Tight.
    pub(crate) fn connect(port: u16, encoding: &str) -> Self {
        Self::start(port, encoding, None)
    }

    /// The same with these arguments, which say what security types it may use, and with a user's name and password.
    pub(crate) fn connect_secured(port: u16, arguments: &[String], login: (&str, &str)) -> Self {
        let mut tiger = Self::start_display();
        let mut command = tiger.viewer(port, "ZRLE", None);
        command.args(arguments).env("VNC_USERNAME", login.0).env("VNC_PASSWORD", login.1);
        tiger.run(&mut command);
        tiger
    }

    /// TightVNC's viewer in the place of TigerVNC's, with a password.
    pub(crate) fn tightvnc(port: u16, password: &str) -> Self {
        let mut viewer = Self::start_display();
        let file = viewer._directory.path().join("passwd");
        let stored = Command::new(installed(Path::new("x11vnc")))
            .args(["-quiet", "-storepasswd", password])
            .arg(&file)
            .output()
            .expect("x11vnc");
        assert!(stored.status.success(), "{stored:?}");
        let mut command = Command::new(installed(Path::new("xtightvncviewer")));
        command.args(["-display", &viewer.display, "-passwd"]).arg(&file).arg(format!("127.0.0.1::{port}"));
        viewer.run(&mut command);
        viewer
    }

    /// The same, and asks the server for a desktop of this size.
    pub(crate) fn connect_resizing(port: u16, encoding: &str, size: &str) -> Self {
        Self::start(port, encoding, Some(size))
    }

    fn start(port: u16, encoding: &str, resize: Option<&str>) -> Self {
        let mut tiger = Self::start_display();
        let mut command = tiger.viewer(port, encoding, resize);
        tiger.run(command.arg("-SecurityTypes=None"));
        tiger
    }

    fn start_display() -> Self {
        let directory = tempfile::Builder::new().prefix("tigervnc").tempdir().expect("a temporary directory");
        let mut server = Command::new(installed(Path::new("Xvfb")))
            .args(["-displayfd", "1", "-screen", "0", "800x600x24", "-nolisten", "tcp", "-noreset", "-fbdir"])
            .arg(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb");
        let mut number = String::new();
        let mut output = BufReader::new(server.stdout.take().expect("standard output"));
        let read = output.read_line(&mut number);
        let display = format!(":{}", number.trim());
        let log = directory.path().join("viewer.log");
        let tiger = Self {
            display,
            screen: directory.path().join("Xvfb_screen0"),
            log,
            processes: vec![server],
            _directory: directory,
        };
        assert!(read.is_ok_and(|count| count > 1), "Xvfb gave no display");
        tiger
    }

    fn viewer(&self, port: u16, encoding: &str, resize: Option<&str>) -> Command {
        let mut command = Command::new(installed(Path::new("xtigervncviewer")));
        command
            .env("HOME", self._directory.path())
            .args(["-display", &self.display, "-AutoSelect=0", "-Shared"])
            .args(match resize {
                None => ["-RemoteResize=0".to_owned(), "-DesktopSize=".to_owned()],
                Some(size) => ["-RemoteResize=1".to_owned(), format!("-DesktopSize={size}")],
            })
            .args([format!("-PreferredEncoding={encoding}"), "-ReconnectOnError=0".to_owned()])
            .args(["-AlertOnFatalError=0", "-Log=*:stderr:30"])
            .arg(format!("127.0.0.1::{port}"));
        command
    }

    fn run(&mut self, viewer: &mut Command) {
        let log = File::create(&self.log).expect("a log file");
        viewer.stdin(Stdio::null()).stdout(log.try_clone().expect("another handle of the log")).stderr(log);
        self.processes.push(viewer.spawn().expect("a viewer"));
    }

    /// Types text into the viewer's window, as a person at its keyboard would.
    pub(crate) fn type_text(&self, text: &str) {
        self.xdotool(&["type", "--delay", "15", text]);
    }

    /// Presses and releases one key by its X name, such as `Return`.
    pub(crate) fn key(&self, key: &str) {
        self.xdotool(&["key", key]);
    }

    /// Presses and releases a button of the mouse at a place of the X display.
    pub(crate) fn click(&self, button: u8, at: (usize, usize)) {
        let (x, y, button) = (at.0.to_string(), at.1.to_string(), button.to_string());
        self.xdotool(&["mousemove", "--sync", &x, &y, "click", &button]);
    }

    /// Drags with the left button from one place of the X display to another, as slowly as a hand does.
    pub(crate) fn drag(&self, from: (usize, usize), to: (usize, usize)) {
        let middle = (usize::midpoint(from.0, to.0), usize::midpoint(from.1, to.1));
        let [from, middle, to] = [from, middle, to].map(|at| [at.0.to_string(), at.1.to_string()]);
        self.xdotool(&["mousemove", "--sync", &from[0], &from[1], "mousedown", "1"]);
        self.xdotool(&["mousemove", "--sync", &middle[0], &middle[1]]);
        self.xdotool(&["mousemove", "--sync", &to[0], &to[1]]);
        self.xdotool(&["mouseup", "1"]);
    }

    /// Where in the X display the viewer's picture begins: its window has no frame.
    pub(crate) fn corner(&self) -> (usize, usize) {
        let output = self
            .tool("xdotool")
            .args(["search", "--sync", "--onlyvisible", "--name", "TigerVNC", "getwindowgeometry", "--shell"])
            .output()
            .expect("xdotool");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.parse().ok());
        value("X=").zip(value("Y=")).unwrap_or_else(|| panic!("no place of the window in {text:?}"))
    }

    /// The X display's clipboard.
    pub(crate) fn clipboard(&self) -> String {
        let output = self.tool("xclip").args(["-o", "-selection", "clipboard"]).output().expect("xclip");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Puts a text into the X display's clipboard.
    pub(crate) fn copy(&self, text: &str) {
        let mut xclip = self
            .tool("xclip")
            .args(["-i", "-selection", "clipboard"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("xclip");
        let mut input = xclip.stdin.take().expect("standard input");
        input.write_all(text.as_bytes()).expect("a text for xclip");
        drop(input);
        // It goes on in the background, until the clipboard is another's.
        assert!(xclip.wait().is_ok_and(|status| status.success()));
    }

    fn tool(&self, name: &str) -> Command {
        let mut command = Command::new(installed(Path::new(name)));
        command.env("DISPLAY", &self.display).stderr(Stdio::null());
        command
    }

    fn xdotool(&self, arguments: &[&str]) {
        // There is no window manager that would give the only window the keyboard.
        let focus = ["search", "--sync", "--onlyvisible", "--name", "TigerVNC", "windowfocus", "--sync"];
        let status = Command::new(installed(Path::new("xdotool")))
            .env("DISPLAY", &self.display)
            .args(focus)
            .args(arguments)
            .status()
            .expect("xdotool");
        assert!(status.success(), "xdotool {arguments:?}: {status}\n{}", self.log());
    }

    /// What the X display shows now.
    pub(crate) fn capture(&self) -> Picture {
        Picture::from_xwd(&self.screen).expect("Xvfb's frame buffer")
    }

    /// Waits until the X display shows this text.
    pub(crate) fn await_text(&self, wanted: &str) {
        eventually("text in TigerVNC's window", || {
            let picture = self.capture();
            if picture.shows(wanted) {
                Ok(())
            } else {
                Err(format!("no {wanted:?} in {picture:?}{}", self.log()))
            }
        });
    }

    /// What the viewer said.
    pub(crate) fn log(&self) -> String {
        let mut text = String::new();
        let _ = File::open(&self.log).and_then(|mut file| file.read_to_string(&mut text));
        text
    }
}

impl Drop for TigerVnc {
    fn drop(&mut self) {
        // The viewer first, then its display.
        for process in self.processes.iter_mut().rev() {
            let _ = process.kill();
            let _ = process.wait();
        }
        // A killed Xvfb leaves these behind.
        let number = self.display.trim_start_matches(':');
        let _ = fs::remove_file(format!("/tmp/.X{number}-lock"));
        let _ = fs::remove_file(format!("/tmp/.X11-unix/X{number}"));
    }
}
