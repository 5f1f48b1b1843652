//! X displays, and what is on them.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;
use xenvnc::geometry::{Point, Rect};
use xenvnc::rfb::encoding::canvas::Canvas;
use xenvnc::rfb::tile::{Tile, TileSource};

use crate::picture::{from_xwd, to_xwd};
use crate::program::{Program, eventually, output};

/// A running X server. It, what it shows and its files end with this value.
pub(crate) struct Display {
    name: String,
    shown: Option<Program>,
    _server: Program,
    directory: TempDir,
}

pub(crate) fn directory() -> TempDir {
    tempfile::Builder::new().prefix("xenvnc").tempdir().expect("a temporary directory")
}

impl Display {
    /// Starts an X server that chooses its number itself.
    pub(crate) fn start(directory: TempDir, command: &mut Command) -> Self {
        command.args(["-displayfd", "1"]).stdout(Stdio::piped());
        let mut server = Program::start(command, &directory.path().join("server.log"));
        let mut line = String::new();
        let stdout = server.0.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("a display's number");
        assert!(!line.is_empty(), "{command:?}: no display; {}", log(directory.path()));
        Self { name: format!(":{}", line.trim()), shown: None, _server: server, directory }
    }

    /// Starts an X server that is told its number.
    pub(crate) fn start_numbered(directory: TempDir, command: impl Fn(u32) -> Command) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let first = 200 + std::process::id() % 500 * 16;
        loop {
            let number = first + NEXT.fetch_add(1, Ordering::Relaxed);
            let taken = [format!("/tmp/.X{number}-lock"), format!("/tmp/.X11-unix/X{number}")];
            if taken.iter().any(|path| Path::new(path).exists()) {
                continue;
            }
            let name = format!(":{number}");
            let mut server = Program::start(&mut command(number), &directory.path().join("server.log"));
            let up = eventually("the X server", || {
                let ended = server.0.try_wait().expect("its state").is_some();
                (ended || is_up(&name)).then_some(!ended)
            });
            assert!(up, "no display {name}; {}", log(directory.path()));
            return Self { name, shown: None, _server: server, directory };
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The directory of the server's files.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A command on this display.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("DISPLAY", &self.name);
        command
    }

    /// Shows a picture in the place of the one before, and waits until it is there.
    pub(crate) fn show(&mut self, picture: &Canvas, at: Point) {
        self.shown = None;
        let file = self.path().join("picture.xwd");
        std::fs::write(&file, to_xwd(picture, "picture")).expect("a file");
        let mut command = self.command("xwud");
        command.arg("-in").arg(&file).args(["-geometry", &format!("+{}+{}", at.x, at.y)]);
        self.shown = Some(Program::start(&mut command, &self.path().join("xwud.log")));
        self.wait_for(picture, at);
    }

    /// Moves the picture.
    pub(crate) fn shift(&mut self, picture: &Canvas, to: Point) {
        let place = [to.x.to_string(), to.y.to_string()];
        output(self.command("xdotool").args(["search", "--name", "picture", "windowmove", "%1"]).args(place));
        self.wait_for(picture, to);
    }

    fn wait_for(&self, picture: &Canvas, at: Point) {
        let area = Rect { x: at.x, y: at.y, ..picture.size().rect() };
        eventually("the picture", || {
            let (dump, mut buf) = (self.dump(), Default::default());
            let Tile::Pixels(have) = dump.tile(area, &mut buf) else { panic!("a canvas answers in pixels") };
            (have == picture.pixels()).then_some(())
        });
    }

    /// What the display shows.
    pub(crate) fn dump(&self) -> Canvas {
        from_xwd(&output(self.command("xwd").args(["-root", "-silent"])))
    }
}

fn is_up(name: &str) -> bool {
    let probe =
        Command::new("xsetroot").env("DISPLAY", name).args(["-name", "up"]).stderr(Stdio::null()).status();
    probe.expect("xsetroot, which scripts/setup installs").success()
}

fn log(directory: &Path) -> String {
    std::fs::read_to_string(directory.join("server.log")).unwrap_or_default()
}
