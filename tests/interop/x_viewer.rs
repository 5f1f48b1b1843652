//! Viewers with a window, each on an X display of its own, with a hand and a clipboard.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::display::{Display, directory};
use crate::host::installed;
use crate::program::{Program, output};
use crate::screen::{from_dump, is_red};
use crate::table::Stop;
use crate::text_picture::Picture;
use crate::viewer::{Opening, Viewer, python};

/// Its display, and a place that no window reaches.
const SIZE: (usize, usize) = (840, 680);
const OUTSIDE: [&str; 3] = ["mousemove", "838", "678"];

pub(crate) struct XViewer {
    viewer: Program,
    /// A part of the title of its window.
    window: &'static str,
    bells: Arc<AtomicUsize>,
    _bells: Program,
    /// Whether it takes texts from the display's first cut buffer, where no selection has an owner: of xclip's it wants to
    /// know how old they are, and xclip does not say.
    pub(crate) cut_buffer: bool,
    display: Display,
}

impl XViewer {
    /// Starts a viewer; `arguments` is told where a file with the password is.
    pub(crate) fn start(
        program: &str,
        window: &'static str,
        opening: &Opening,
        depth: u8,
        arguments: impl FnOnce(&str) -> Vec<String>,
    ) -> Result<Self, Stop> {
        let mut server = Command::new(installed(Path::new("Xvfb")));
        server.args([
            "-screen",
            "0",
            &format!("{}x{}x{depth}", SIZE.0, SIZE.1),
            "-nolisten",
            "tcp",
            "-noreset",
        ]);
        let display = Display::start(directory(), &mut server);
        let password = display.path().join("password").display().to_string();
        output(Command::new(installed(Path::new("x11vnc"))).args([
            "-quiet",
            "-storepasswd",
            opening.security.password().unwrap_or("none"),
            &password,
        ]));
        let (bells, listener) = listen(&display);
        let log = display.path().join("viewer.log");
        let mut command = display.command(&installed(Path::new(program)).display().to_string());
        command.env("HOME", display.path()).args(arguments(&password));
        command.env("VNC_USERNAME", opening.security.user().unwrap_or_default());
        command.env("VNC_PASSWORD", opening.security.password().unwrap_or_default());
        let file = fs::File::create(&log).expect("a log file");
        let mut viewer = Self {
            viewer: Program::start(command.stdout(file), &log),
            window,
            bells,
            _bells: listener,
            cut_buffer: false,
            display,
        };
        // Its window is there when the connection is.
        let mut asked = opening.security.password().is_none();
        for _ in 0..1500 {
            if viewer.viewer.0.try_wait().expect("its state").is_some() {
                return Err(Stop::No(format!("it ended: {}", viewer.log())));
            }
            if viewer.search(window) {
                return Ok(viewer);
            }
            // gvncviewer asks for the password.
            if !asked && viewer.search("[Cc]redentials|[Aa]uthenticat|[Pp]assword") {
                asked = true;
                viewer.xdotool(&[
                    "type",
                    "--delay",
                    "15",
                    opening.security.password().unwrap_or_default(),
                ])?;
                viewer.xdotool(&["key", "Return"])?;
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err(Stop::No(format!("no window: {}", viewer.log())))
    }

    fn search(&self, window: &str) -> bool {
        let mut search = self.display.command("xdotool");
        let found = search.args(["search", "--onlyvisible", "--name", window]).output();
        found.expect("xdotool").status.success()
    }

    /// What the viewer said.
    fn log(&self) -> String {
        let mut text = String::new();
        let _ = fs::File::open(self.display.path().join("viewer.log"))
            .and_then(|mut file| file.read_to_string(&mut text));
        text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default().to_owned()
    }

    fn xdotool(&self, arguments: &[&str]) -> Result<String, Stop> {
        let out = self.display.command("xdotool").args(arguments).output().expect("xdotool");
        if out.status.success() {
            Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned())
        } else {
            Err(Stop::No(format!("xdotool {arguments:?}: {}", String::from_utf8_lossy(&out.stderr).trim())))
        }
    }

    /// On the viewer's window, which gets the keyboard: there is no window manager.
    fn on_window(&self, arguments: &[&str]) -> Result<String, Stop> {
        let focus = ["search", "--onlyvisible", "--name", self.window, "windowfocus", "--sync"];
        self.xdotool(&[&focus[..], arguments].concat())
    }

    /// Moves the pointer, also where it is already, and goes on.
    fn reach(&self, x: &str, y: &str, then: &[&str]) -> Result<String, Stop> {
        let there = ["mousemove", x, y, "mousemove_relative", "1", "1", "mousemove", x, y];
        self.xdotool(&[&there[..], then].concat())
    }

    fn clipboard(&self) -> String {
        // The one or the other, as is the viewer's custom.
        let read = |selection: &str| {
            let mut xclip = self.display.command("timeout");
            xclip.args(["3", "xclip", "-o", "-selection", selection]).stderr(Stdio::null());
            // The old kind of text has no UTF-8.
            let bytes = xclip.output().expect("xclip").stdout;
            let latin1 = |bytes: &[u8]| bytes.iter().map(|byte| char::from(*byte)).collect();
            String::from_utf8(bytes).unwrap_or_else(|error| latin1(error.as_bytes()))
        };
        ["clipboard", "primary"].map(read).into_iter().find(|text| !text.is_empty()).unwrap_or_default()
    }

    fn copy(&self, text: &str) {
        let (selections, bytes) = if self.cut_buffer {
            (&["buffer-cut"][..], text.chars().filter_map(|c| u8::try_from(c).ok()).collect())
        } else {
            (&["primary", "clipboard"][..], text.as_bytes().to_vec())
        };
        for selection in selections {
            let mut xclip = self.display.command("xclip");
            xclip.args(["-i", "-selection", selection]).stdin(Stdio::piped());
            let mut xclip = xclip.stdout(Stdio::null()).spawn().expect("xclip");
            xclip.stdin.take().expect("a pipe").write_all(&bytes).expect("a text for xclip");
            assert!(xclip.wait().is_ok_and(|status| status.success()));
        }
    }

    /// Where the server's picture begins: what is not of the window's own grey, from the left and from the top.
    fn place(&self) -> Result<(usize, usize), Stop> {
        let text = self.on_window(&["getwindowgeometry", "--shell"])?;
        let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.parse::<usize>().ok());
        let (x, y, height) =
            (value("X=").unwrap_or(0), value("Y=").unwrap_or(0), value("HEIGHT=").unwrap_or(0));
        // A menu, if there is one, is above the picture.
        let menu = height.saturating_sub(400).min(60);
        Ok((x, y + menu))
    }
}

/// Counts the bells of a display.
fn listen(display: &Display) -> (Arc<AtomicUsize>, Program) {
    let bells = Arc::new(AtomicUsize::new(0));
    let mut command = python("x_tools.py");
    command.arg("bells").env("DISPLAY", display.name()).stdout(Stdio::piped());
    let mut listener = Program::start(&mut command, &display.path().join("bells.log"));
    let mut lines = BufReader::new(listener.0.stdout.take().expect("a pipe")).lines();
    let first = lines.next().and_then(Result::ok);
    assert_eq!(first.as_deref(), Some("ready"), "it listens for bells");
    let counter = bells.clone();
    thread::spawn(move || {
        lines.map_while(Result::ok).for_each(|_| {
            counter.fetch_add(1, Ordering::Relaxed);
        });
    });
    (bells, listener)
}

impl Viewer for XViewer {
    fn command(&mut self, command: &str) -> Result<String, Stop> {
        if self.viewer.0.try_wait().expect("its state").is_some() {
            return Err(Stop::No(format!("it ended: {}", self.log())));
        }
        let (word, argument) = command.split_once(' ').unwrap_or((command, ""));
        let numbers: Vec<usize> = argument.split(' ').filter_map(|word| word.parse().ok()).collect();
        let place = |viewer: &Self, x: usize, y: usize| {
            viewer.place().map(|(left, top)| ((left + x).to_string(), (top + y).to_string()))
        };
        match (word, &numbers[..]) {
            ("type", _) => self.on_window(&["type", "--delay", "15", argument]),
            ("key", _) => self.on_window(&["key", &argument.replace("enter", "Return").replace('-', "+")]),
            ("move", &[x, y]) => {
                let (x, y) = place(self, x, y)?;
                self.reach(&x, &y, &[])
            }
            ("click", &[button, x, y]) => {
                let (x, y) = place(self, x, y)?;
                self.reach(&x, &y, &["sleep", "0.05", "click", &button.to_string()])
            }
            ("copy", _) => {
                // Some send it when the pointer comes.
                self.xdotool(&OUTSIDE)?;
                self.copy(argument);
                let (x, y) = place(self, 100, 100)?;
                self.reach(&x, &y, &[])
            }
            ("clipboard", _) => {
                // Some take it when the pointer goes.
                let (x, y) = place(self, 100, 100)?;
                self.reach(&x, &y, &OUTSIDE)?;
                Ok(self.clipboard())
            }
            ("bells", _) => Ok(self.bells.load(Ordering::Relaxed).to_string()),
            ("lamps", _) => {
                let text = output(self.display.command("xset").arg("q"));
                let text = String::from_utf8_lossy(&text).into_owned();
                let lit = text.lines().any(|line| {
                    line.split("Caps Lock:").nth(1).is_some_and(|rest| rest.trim_start().starts_with("on"))
                });
                Ok(if lit { "caps" } else { "" }.to_owned())
            }
            ("cursor", _) => {
                // It is the display's pointer, or drawn into the window.
                let text = output(python("x_tools.py").arg("cursor").env("DISPLAY", self.display.name()));
                let pointer: usize = String::from_utf8_lossy(&text).trim().parse().unwrap_or(0);
                let drawn = self.picture()?.pixels.into_iter().filter(|pixel| is_red(*pixel)).count();
                Ok((pointer + drawn).to_string())
            }
            ("name", _) => self.on_window(&["getwindowname"]),
            ("resize", &[width, height]) => {
                self.on_window(&["windowsize", &width.to_string(), &height.to_string()])
            }
            _ => Err(Stop::Cannot),
        }
    }

    fn picture(&mut self) -> Result<Picture, Stop> {
        if self.viewer.0.try_wait().expect("its state").is_some() {
            return Err(Stop::No(format!("it ended: {}", self.log())));
        }
        Ok(from_dump(&output(self.display.command("xwd").args(["-root", "-silent"]))))
    }
}
