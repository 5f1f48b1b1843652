//! Servers that show an X display.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use xenvnc::geometry::{Point, Size};
use xenvnc::keysym::Keysym;
use xenvnc::rfb::client::{ClientEvent, ClientOptions};
use xenvnc::rfb::encoding::canvas::Canvas;
use xenvnc::rfb::security::tls::{ClientTls, Trust};

use crate::display::{Display, directory};
use crate::host::installed;
use crate::picture::{Kind, picture};
use crate::program::{Program, free_port, output};
use crate::security::Security;
use crate::server::{Server, event, resized, shows, told, until};
use crate::table::Stop;
use crate::upstream::Upstream;
use crate::viewer::python;
use crate::xvnc::{NAME, SOCKET, make_certificate, xvnc};

const AT: Point = Point { x: 23, y: 17 };

/// An X display, and what serves it.
struct XServer {
    /// A TCP port, or else the socket of [`xvnc`].
    port: Option<u16>,
    display: Display,
    /// What serves it, where the display does not do that itself.
    program: Option<(Command, Program)>,
    tls: Option<ClientTls>,
    /// Where its clipboard is, in the words of xclip.
    selections: &'static [&'static str],
    /// Whether texts are in Latin-1 there.
    latin1: bool,
    /// How long after a viewer came it tells nothing of the clipboard.
    silence: Duration,
}

/// The one or the other, as is the server's custom.
const SELECTIONS: &[&str] = &["clipboard", "primary"];
/// The display's first cut buffer, which is what there was before.
const CUT_BUFFER: &[&str] = &["buffer-cut"];

impl XServer {
    fn new(port: Option<u16>, display: Display) -> Self {
        Self {
            port,
            display,
            program: None,
            tls: None,
            selections: SELECTIONS,
            latin1: false,
            silence: Duration::ZERO,
        }
    }

    /// A text as the display has it; stops where it cannot have it.
    fn encode(&self, text: &str) -> Result<Vec<u8>, Stop> {
        if !self.latin1 {
            return Ok(text.as_bytes().to_vec());
        }
        text.chars().map(|c| u8::try_from(c).map_err(|_| Stop::Cannot)).collect()
    }

    fn command(&self, program: &str) -> Command {
        self.display.command(program)
    }
}

/// TigerVNC's X server.
pub(crate) fn tiger_vnc(security: Security) -> Result<Box<dyn Server>, Stop> {
    installed(Path::new("Xtigervnc"));
    let (display, certificate) = xvnc(security.name());
    let pem = fs::read(certificate).expect("a certificate");
    let trust = Trust::authorities(&pem).expect("a certificate");
    let tls = security.is_tls().then(|| ClientTls::new(trust, NAME, true).expect("a name"));
    Ok(Box::new(XServer { tls, ..XServer::new(None, display) }))
}

/// TightVNC's X server.
pub(crate) fn tight_vnc(security: Security) -> Result<Box<dyn Server>, Stop> {
    if security.is_tls() {
        return Err(Stop::Cannot);
    }
    let (directory, port) = (directory(), free_port());
    let file = directory.path().join("password").display().to_string();
    if let Some(password) = security.password() {
        let mut command = Command::new(installed(Path::new("x11vnc")));
        output(command.args(["-quiet", "-storepasswd", password, &file]));
    }
    let display = Display::start_numbered(directory, |number| {
        let mut command = Command::new(installed(Path::new("Xtightvnc")));
        command.args([&format!(":{number}"), "-rfbport", &port.to_string(), "-localhost", "-alwaysshared"]);
        command.args(["-geometry", "640x400", "-depth", "24", "-nolisten", "tcp"]).stdout(Stdio::null());
        if security.password().is_some() {
            command.args(["-rfbauth", &file]);
        }
        command
    });
    Ok(Box::new(XServer { selections: CUT_BUFFER, latin1: true, ..XServer::new(Some(port), display) }))
}

/// x11vnc on an X server that knows nothing of VNC.
pub(crate) fn x11vnc(security: Security) -> Result<Box<dyn Server>, Stop> {
    // Its users are the machine's.
    if security == Security::X509Plain {
        return Err(Stop::Unseen);
    }
    let (directory, port) = (directory(), free_port());
    let mut command = Command::new(installed(Path::new("Xvfb")));
    command.args(["-screen", "0", "640x400x24", "-nolisten", "tcp"]);
    let display = Display::start(directory, &mut command);
    let mut command = display.command(&installed(Path::new("x11vnc")).display().to_string());
    command.args(["-display", display.name(), "-rfbport", &port.to_string(), "-localhost", "-no6"]);
    command.args(["-forever", "-shared", "-noipv6", "-quiet", "-nocmds", "-wait", "5", "-defer", "1"]);
    // Its segments would outlive it.
    command.arg("-noshm");
    // It ends with SIGSEGV where XFixes knows of no cursor, which happens on Xvfb.
    command.arg("-noxfixes");
    let tls = security.is_tls().then(|| {
        let certificate = make_certificate(display.path(), NAME, &format!("DNS:{NAME}"));
        let pem = fs::read(certificate).expect("a certificate");
        let key = fs::read(display.path().join("server-key.pem")).expect("its key");
        let both = display.path().join("both.pem");
        fs::write(&both, [key, pem.clone()].concat()).expect("a file");
        command.arg("-ssl").arg(both).args(["-vencrypt", "only"]);
        ClientTls::new(Trust::authorities(&pem).expect("a certificate"), NAME, true).expect("a name")
    });
    match security.password() {
        Some(password) => command.args(["-xrandr", "-passwd", password]),
        None => command.args(["-xrandr", "-nopw"]),
    };
    // It has no clipboard for the first 45 seconds otherwise, in case this is the display of somebody who logs in.
    command.env("X11VNC_AVOID_WINDOWS", "never").stdout(Stdio::null());
    let program = Program::start(&mut command, &display.path().join("x11vnc.log"));
    let program = Some((command, program));
    // It asks for texts as STRING, which is Latin-1, and not in the first 15 seconds of a viewer.
    let silence = Duration::from_secs(16);
    Ok(Box::new(XServer { program, tls, latin1: true, silence, ..XServer::new(Some(port), display) }))
}

impl Server for XServer {
    fn connect(&mut self, options: ClientOptions) -> Upstream {
        if let Some((command, program)) = &mut self.program
            && program.0.try_wait().expect("its state").is_some()
        {
            // It has crashed; what else it can do is of interest as well.
            *program = Program::start(command, &self.display.path().join("x11vnc.log"));
        }
        match self.port {
            Some(port) => Upstream::tcp(port, options),
            None => Upstream::unix(&self.display.path().join(SOCKET), options),
        }
    }

    fn dump(&mut self) -> Canvas {
        self.display.dump()
    }

    fn show(&mut self, kind: Kind) {
        self.display.show(&picture(Size::new(500, 300), kind, 1), AT);
    }

    fn tls(&self) -> Option<ClientTls> {
        self.tls.clone()
    }

    fn copies(&mut self, upstream: &mut Upstream, patience: Duration) -> Result<(), Stop> {
        // Away from what is compared: until a client has moved it, TigerVNC paints the cursor into that client's picture.
        until(upstream, patience, |upstream| {
            upstream.client.pointer(0, 630, 390);
            if upstream.client.is_ready() { Ok(()) } else { Err(Stop::No("no connection".into())) }
        })?;
        shows(upstream, self, patience)?;
        upstream.events.clear();
        let lines = "seq 200; for n in 1 2 3 4 5 6 7 8; do sleep 0.2; echo line $n; done; sleep 600";
        let mut command = self.command("xterm");
        command.args(["-geometry", "60x20+0+0", "-e", "sh", "-c", lines]).stdout(Stdio::null());
        let _xterm = Program::start(&mut command, &self.display.path().join("xterm.log"));
        let is_copy = |event: &ClientEvent| matches!(event, ClientEvent::Copied { .. });
        let copied = event(upstream, patience, is_copy).is_ok();
        shows(upstream, self, patience)?;
        if copied { Ok(()) } else { Err(Stop::Cannot) }
    }

    fn pointer(&mut self, upstream: &mut Upstream, patience: Duration) -> Result<(), Stop> {
        until(upstream, patience, |upstream| {
            upstream.client.pointer(0, 321, 123);
            let place = output(python("x_tools.py").arg("pointer").env("DISPLAY", self.display.name()));
            let place = String::from_utf8_lossy(&place).trim().to_owned();
            if place == "321 123" { Ok(()) } else { Err(Stop::No(place)) }
        })
    }

    fn cursor(&mut self, upstream: &mut Upstream, patience: Duration) -> Result<(), Stop> {
        upstream.client.pointer(0, 600, 380);
        output(self.command("xsetroot").args(["-cursor_name", "watch"]));
        event(
            upstream,
            patience,
            |event| matches!(event, ClientEvent::Cursor(Some(cursor)) if cursor.mask.iter().any(|bits| *bits != 0)),
        )
    }

    fn keys(&mut self, upstream: &mut Upstream, patience: Duration) -> Result<(), Stop> {
        let log = self.display.path().join("xev");
        let mut command = self.command("xev");
        command.args(["-event", "keyboard", "-geometry", "640x400+0+0"]);
        let _xev = Program::start(command.stdout(fs::File::create(&log).expect("a file")), &log);
        until(upstream, patience, |upstream| {
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
    }

    fn text_out(&mut self, upstream: &mut Upstream, text: &str, patience: Duration) -> Result<(), Stop> {
        let bytes = self.encode(text)?;
        let _owners: Vec<_> = self
            .selections
            .iter()
            .map(|selection| {
                let mut owner = self.command("xclip");
                owner.args(["-selection", selection, "-quiet"]).stdin(Stdio::piped()).stderr(Stdio::null());
                let mut owner = Program(owner.stdout(Stdio::null()).spawn().expect("xclip"));
                owner.0.stdin.take().expect("a pipe").write_all(&bytes).expect("text");
                owner
            })
            .collect();
        told(upstream, patience + self.silence, text)
    }

    fn text_in(&mut self, upstream: &mut Upstream, text: &str, patience: Duration) -> Result<(), Stop> {
        let bytes = self.encode(text)?;
        let reads = self.selections.iter().map(|selection| format!("xclip -selection {selection} -o"));
        let script = reads.collect::<Vec<_>>().join(" || ");
        until(upstream, patience, |upstream| {
            upstream.client.cut_text(text);
            let mut paste = self.command("timeout");
            paste.args(["3", "sh", "-c", &script]).stderr(Stdio::null());
            let mut paste = paste.stdout(Stdio::piped()).spawn().expect("xclip");
            // The server asks for the text when somebody pastes.
            while paste.try_wait().expect("its state").is_none() {
                upstream.pump().map_err(|error| Stop::No(error.to_string()))?;
            }
            let have = paste.wait_with_output().expect("its output").stdout;
            let text = String::from_utf8_lossy(&have);
            if have == bytes { Ok(()) } else { Err(Stop::No(format!("the display has {text:?}"))) }
        })
    }

    fn lamps(&mut self, upstream: &mut Upstream, patience: Duration) -> Result<(), Stop> {
        shows(upstream, self, patience)?;
        // Who tells of lamps tells of them at once.
        if !upstream.events.iter().any(|event| matches!(event, ClientEvent::Leds(_))) {
            return Err(Stop::Cannot);
        }
        output(self.command("xdotool").args(["key", "Caps_Lock"]));
        event(upstream, patience, |event| matches!(event, ClientEvent::Leds(leds) if leds.caps_lock))
    }

    fn resize(&mut self, upstream: &mut Upstream, patience: Duration) -> Result<(), Stop> {
        shows(upstream, self, patience)?;
        let mut xrandr = self.command("xrandr");
        xrandr.args(["-s", "320x240"]).stderr(Stdio::null());
        // Not every display can.
        if !xrandr.status().is_ok_and(|status| status.success()) {
            return Err(Stop::Cannot);
        }
        resized(self, upstream, patience)
    }
}
