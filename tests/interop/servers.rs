//! Our client on each server: encodings, and all that is no picture.

use std::fs;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use xenvnc::geometry::{Point, Size};
use xenvnc::keysym::Keysym;
use xenvnc::rfb::client::{ClientEvent, ClientOptions};
use xenvnc::rfb::encoding::Encoding;
use xenvnc::rfb::security::Password;

use crate::display::{Display, directory};
use crate::host::installed;
use crate::picture::{Kind, difference, picture};
use crate::program::{Program, free_port, output};
use crate::programs::debian_version;
use crate::table::{Cell, Row, Stop, Table};
use crate::upstream::{Upstream, only};
use crate::viewer::python;
use crate::viewers::wait;

pub(crate) const TABLES: &[Table] = &[
    Table {
        title: "Servers: security and pictures",
        columns: &[
            "None",
            "VncAuth",
            "Raw",
            "CopyRect",
            "RRE",
            "CoRRE",
            "Hextile",
            "Zlib",
            "Tight",
            "Tight with JPEG",
            "TightPNG",
            "TRLE",
            "ZRLE",
        ],
    },
    Table {
        title: "Servers: all the rest",
        columns: &[
            "server resizes",
            "client resizes",
            "cursor",
            "keys",
            "pointer",
            "clipboard from server",
            "from server, UTF-8",
            "clipboard to server",
            "to server, UTF-8",
            "lamps",
        ],
    },
];

const SIZE: Size = Size::new(640, 400);
const AT: Point = Point { x: 23, y: 17 };
const PASSWORD: &str = "sesame";
/// How long something may take: far beyond what a loaded machine needs.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long something is waited for that did not work before.
const HOPE: Duration = Duration::from_secs(6);

pub(crate) struct ServerProgram {
    pub(crate) name: &'static str,
    version: fn() -> String,
    /// Starts it, with this password if there is one.
    start: fn(Option<&str>) -> Server,
}

pub(crate) const SERVERS: &[ServerProgram] = &[
    ServerProgram {
        name: "Xtigervnc",
        version: || debian_version("tigervnc-standalone-server"),
        start: tiger_vnc,
    },
    ServerProgram { name: "Xtightvnc", version: || debian_version("tightvncserver"), start: tight_vnc },
    ServerProgram { name: "x11vnc", version: || debian_version("x11vnc"), start: x11vnc },
];

/// An X display, and the port of what serves it.
struct Server {
    port: u16,
    display: Display,
    _program: Option<Program>,
}

fn password_file(directory: &TempDir, password: Option<&str>) -> String {
    let file = directory.path().join("password").display().to_string();
    let mut command = Command::new(installed(Path::new("x11vnc")));
    output(command.args(["-quiet", "-storepasswd", password.unwrap_or("none"), &file]));
    file
}

fn tiger_vnc(password: Option<&str>) -> Server {
    let (directory, port) = (directory(), free_port());
    let file = password_file(&directory, password);
    let security = if password.is_some() { "VncAuth" } else { "None" };
    let mut command = Command::new(installed(Path::new("Xtigervnc")));
    command.args(["-geometry", "640x400", "-depth", "24", "-nolisten", "tcp", "-localhost", "-AlwaysShared"]);
    command.args(["-SecurityTypes", security, "-PasswordFile", &file, "-rfbport", &port.to_string()]);
    Server { port, display: Display::start(directory, &mut command), _program: None }
}

fn tight_vnc(password: Option<&str>) -> Server {
    let (directory, port) = (directory(), free_port());
    let file = password_file(&directory, password);
    let display = Display::start_numbered(directory, |number| {
        let mut command = Command::new(installed(Path::new("Xtightvnc")));
        command.args([&format!(":{number}"), "-rfbport", &port.to_string(), "-localhost", "-alwaysshared"]);
        command.args(["-geometry", "640x400", "-depth", "24", "-nolisten", "tcp"]).stdout(Stdio::null());
        if password.is_some() {
            command.args(["-rfbauth", &file]);
        }
        command
    });
    Server { port, display, _program: None }
}

fn x11vnc(password: Option<&str>) -> Server {
    let (directory, port) = (directory(), free_port());
    let mut command = Command::new(installed(Path::new("Xvfb")));
    command.args(["-screen", "0", "640x400x24", "-nolisten", "tcp"]);
    let display = Display::start(directory, &mut command);
    let mut command = display.command(&installed(Path::new("x11vnc")).display().to_string());
    command.args([
        "-display",
        display.name(),
        "-rfbport",
        &port.to_string(),
        "-localhost",
        "-no6",
        "-forever",
    ]);
    command.args(["-shared", "-noipv6", "-quiet", "-nocmds", "-wait", "5", "-defer", "1", "-xrandr"]);
    match password {
        Some(password) => command.args(["-passwd", password]),
        None => command.arg("-nopw"),
    };
    command.stdout(Stdio::null());
    let program = Program::start(&mut command, &display.path().join("x11vnc.log"));
    Server { port, display, _program: Some(program) }
}

impl Server {
    fn connect(&self, options: ClientOptions) -> Upstream {
        Upstream::tcp(self.port, options)
    }
}

struct Trial<'a> {
    name: &'static str,
    written: &'a dyn Fn(&str) -> Option<String>,
    row: Row,
}

/// Tries everything with one program.
pub(crate) fn row(program: &ServerProgram, written: &dyn Fn(&str) -> Option<String>) -> Row {
    let row = Row { program: program.name.into(), version: (program.version)(), cells: Default::default() };
    let mut trial = Trial { name: program.name, written, row };
    let mut server = (program.start)(None);
    trial.pictures(&mut server);
    trial.everything_else(&mut server);
    drop(server);
    trial.check("VncAuth", |_, patience| {
        let mut server = (program.start)(Some(PASSWORD));
        server.display.show(&picture(Size::new(300, 200), Kind::Mixed, 3), AT);
        let password = Some(Password::new(PASSWORD.as_bytes()));
        let mut upstream = server.connect(ClientOptions { password, ..ClientOptions::local() });
        shows(&mut upstream, &server, patience)
    });
    trial.row
}

/// Goes on until the client's picture is the display's.
fn shows(upstream: &mut Upstream, server: &Server, patience: Duration) -> Result<(), Stop> {
    until(upstream, patience, |upstream| {
        let wanted = server.display.dump();
        let have = upstream.client.canvas();
        if have == &wanted {
            Ok(())
        } else {
            Err(Stop::No(format!("{:?} instead of the picture", have.size())))
        }
    })
}

fn until(
    upstream: &mut Upstream,
    patience: Duration,
    mut right: impl FnMut(&mut Upstream) -> Result<(), Stop>,
) -> Result<(), Stop> {
    wait(patience, || {
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(200) {
            upstream.client.request_update(true);
            upstream.pump().map_err(|error| Stop::No(error.to_string()))?;
        }
        right(upstream)
    })
}

fn event(
    upstream: &mut Upstream,
    patience: Duration,
    wanted: impl Fn(&ClientEvent) -> bool,
) -> Result<(), Stop> {
    until(upstream, patience, |upstream| {
        if upstream.events.iter().any(&wanted) { Ok(()) } else { Err(Stop::No("it was not told".into())) }
    })
}

impl Trial<'_> {
    fn check(&mut self, column: &'static str, check: impl FnOnce(&mut Self, Duration) -> Result<(), Stop>) {
        let patience = match (self.written)(column).as_deref() {
            Some("no") => HOPE,
            Some(_) => PATIENCE,
            None => 2 * HOPE,
        };
        let started = Instant::now();
        // A server that hangs up makes the client's helpers panic.
        let result = catch_unwind(AssertUnwindSafe(|| check(self, patience)));
        let cell = Cell::from(result.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            Err(Stop::No(text.unwrap_or_else(|| "it failed".into())))
        }));
        println!("{:>12}  {column:<24} {cell:?} {:.1} s", self.name, started.elapsed().as_secs_f32());
        self.row.cells.insert(column.into(), cell);
    }

    fn pictures(&mut self, server: &mut Server) {
        server.display.show(&picture(Size::new(500, 300), Kind::Mixed, 1), AT);
        self.check("None", |_, patience| {
            shows(&mut server.connect(ClientOptions::local()), server, patience)
        });
        let alone = |server: &Server, encoding: Encoding, patience| {
            let mut upstream = server.connect(only(encoding));
            shows(&mut upstream, server, patience)?;
            let bytes = upstream.refresh();
            shows(&mut upstream, server, patience)?;
            // A server that does not know an encoding sends raw pixels.
            let raw = 4 * 640 * 400;
            if (bytes < raw) == (encoding != Encoding::RAW) { Ok(()) } else { Err(Stop::Cannot) }
        };
        for (column, encoding) in [
            ("Raw", Encoding::RAW),
            ("Hextile", Encoding::HEXTILE),
            ("Zlib", Encoding::ZLIB),
            ("Tight", Encoding::TIGHT),
            ("TightPNG", Encoding::TIGHT_PNG),
            ("TRLE", Encoding::TRLE),
            ("ZRLE", Encoding::ZRLE),
        ] {
            self.check(column, |_, patience| alone(server, encoding, patience));
        }
        server.display.show(&picture(Size::new(500, 300), Kind::Plain, 1), AT);
        for (column, encoding) in [("RRE", Encoding::RRE), ("CoRRE", Encoding::CORRE)] {
            self.check(column, |_, patience| alone(server, encoding, patience));
        }
        server.display.show(&picture(Size::new(500, 300), Kind::Smooth, 1), AT);
        self.check("Tight with JPEG", |_, patience| {
            let options = ClientOptions { quality: Some(8), ..only(Encoding::TIGHT) };
            let mut upstream = server.connect(options);
            until(&mut upstream, patience, |upstream| {
                let size = upstream.client.canvas().size();
                if size == SIZE { Ok(()) } else { Err(Stop::No(format!("a size of {size:?}"))) }
            })?;
            upstream.refresh();
            match difference(upstream.client.canvas(), &server.display.dump()) {
                (..10_000, _) => Err(Stop::Cannot),
                (_, mean) if mean < 2.0 => Ok(()),
                (_, mean) => Err(Stop::No(format!("a mean difference of {mean} levels"))),
            }
        });
        self.check("CopyRect", |_, patience| {
            let mut upstream = server.connect(ClientOptions::local());
            shows(&mut upstream, server, patience)?;
            upstream.events.clear();
            let lines = "seq 200; for n in 1 2 3 4 5 6 7 8; do sleep 0.2; echo line $n; done; sleep 600";
            let mut command = server.display.command("xterm");
            command.args(["-geometry", "60x20+0+0", "-e", "sh", "-c", lines]).stdout(Stdio::null());
            let _xterm = Program::start(&mut command, &server.display.path().join("xterm.log"));
            let is_copy = |event: &ClientEvent| matches!(event, ClientEvent::Copied { .. });
            let copied = event(&mut upstream, patience, is_copy).is_ok();
            shows(&mut upstream, server, patience)?;
            if copied { Ok(()) } else { Err(Stop::Cannot) }
        });
    }

    fn everything_else(&mut self, server: &mut Server) {
        let mut upstream = server.connect(ClientOptions::local());
        self.check("pointer", |_, patience| {
            until(&mut upstream, patience, |upstream| {
                upstream.client.pointer(0, 321, 123);
                let place = output(python("x_tools.py").arg("pointer").env("DISPLAY", server.display.name()));
                let place = String::from_utf8_lossy(&place).trim().to_owned();
                if place == "321 123" { Ok(()) } else { Err(Stop::No(place)) }
            })
        });
        self.check("cursor", |_, patience| {
            upstream.client.pointer(0, 600, 380);
            output(server.display.command("xsetroot").args(["-cursor_name", "watch"]));
            event(&mut upstream, patience, |event| {
                matches!(event, ClientEvent::Cursor(Some(cursor)) if cursor.mask.iter().any(|bits| *bits != 0))
            })
        });
        self.check("keys", |_, patience| {
            let log = server.display.path().join("xev");
            let mut command = server.display.command("xev");
            command.args(["-event", "keyboard", "-geometry", "640x400+0+0"]);
            let _xev = Program::start(command.stdout(fs::File::create(&log).expect("a file")), &log);
            until(&mut upstream, patience, |upstream| {
                upstream.client.pointer(0, 100, 100);
                for (keysym, keycode) in [(0x61, Some(0x1e)), (0xff52, Some(0xc8)), (0xe9, None)] {
                    upstream.client.key(Keysym(keysym), keycode, true);
                    upstream.client.key(Keysym(keysym), keycode, false);
                }
                let seen = fs::read_to_string(&log).unwrap_or_default();
                let wanted = ["(keysym 0x61, a)", "(keysym 0xff52, Up)", "(keysym 0xe9, eacute)"];
                let missing = wanted.iter().find(|key| !seen.contains(**key));
                missing.map_or(Ok(()), |key| Err(Stop::No(format!("no {key}"))))
            })
        });
        for (column, text) in [("clipboard from server", "für dich"), ("from server, UTF-8", "ä漢€")] {
            self.check(column, |_, patience| {
                // The one or the other, as is the server's custom.
                let _owners = ["clipboard", "primary"].map(|selection| {
                    let mut owner = server.display.command("xclip");
                    owner
                        .args(["-selection", selection, "-quiet"])
                        .stdin(Stdio::piped())
                        .stderr(Stdio::null());
                    let mut owner = Program(owner.stdout(Stdio::null()).spawn().expect("xclip"));
                    owner.0.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("text");
                    owner
                });
                event(&mut upstream, patience, |event| *event == ClientEvent::CutText(text.into()))
            });
        }
        for (column, text) in [("clipboard to server", "für uns"), ("to server, UTF-8", "é漢€")] {
            self.check(column, |_, patience| {
                until(&mut upstream, patience, |upstream| {
                    upstream.client.cut_text(text);
                    let mut paste = server.display.command("timeout");
                    paste.args([
                        "3",
                        "sh",
                        "-c",
                        "xclip -selection clipboard -o || xclip -selection primary -o",
                    ]);
                    paste.stderr(Stdio::null());
                    let mut paste = paste.stdout(Stdio::piped()).spawn().expect("xclip");
                    // The server asks for the text when somebody pastes.
                    while paste.try_wait().expect("its state").is_none() {
                        upstream.pump().map_err(|error| Stop::No(error.to_string()))?;
                    }
                    let have = paste.wait_with_output().expect("its output").stdout;
                    let have = String::from_utf8_lossy(&have).into_owned();
                    if have == text { Ok(()) } else { Err(Stop::No(format!("the display has {have:?}"))) }
                })
            });
        }
        self.check("lamps", |_, patience| {
            output(server.display.command("xdotool").args(["key", "Caps_Lock"]));
            event(&mut upstream, patience, |event| matches!(event, ClientEvent::Leds(leds) if leds.caps_lock))
        });
        self.check("client resizes", |_, patience| {
            if !upstream.client.supports_resize() {
                return Err(Stop::Cannot);
            }
            let size = Size::new(720, 480);
            upstream.client.set_desktop_size(size);
            event(&mut upstream, patience, |event| *event == ClientEvent::Resized { size })?;
            shows(&mut upstream, server, patience)
        });
        self.check("server resizes", |_, patience| {
            let mut xrandr = server.display.command("xrandr");
            // Not every display can.
            if !xrandr
                .args(["-s", "320x240"])
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
            {
                return Err(Stop::Cannot);
            }
            let size = server.display.dump().size();
            event(&mut upstream, patience, |event| *event == ClientEvent::Resized { size })?;
            shows(&mut upstream, server, patience)
        });
    }
}
