//! What viewers look at: domains of the daemon, one of them with an X display, which TigerVNC's X server is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use xenvnc::geometry::{Point, Size};

use crate::display::{Display, directory};
use crate::host::{Host, eventually, installed, user_line};
use crate::picture::{Kind, picture};
use crate::program::{Program, free_port, output};
use crate::screen::picture_of;
use crate::security::Security;
use crate::text_picture::Picture;
use crate::xvnc::make_certificate;

/// The picture's place on the display.
const AT: Point = Point { x: 23, y: 17 };

pub(crate) struct Scene {
    pub(crate) host: Host,
    /// The domain with the display.
    pub(crate) port: u16,
    /// By what the daemon is to be known where it uses TLS.
    pub(crate) certificate: PathBuf,
    display: Option<Display>,
    display_port: u16,
    programs: Vec<Program>,
}

pub(crate) const NAME: &str = "tiny";

/// What the configuration says of a domain that lets viewers in by this alone.
fn secured(host: &Host, security: Security, certificate: &Path) -> String {
    let name = security.name();
    let mut text = format!("[[domain]]\nmatch = \"{name}\"\nvnc.security = [\"{}\"]\n", name.to_lowercase());
    let mut line = |key: &str, file: &Path| text.push_str(&format!("vnc.{key} = \"{}\"\n", file.display()));
    if security.is_tls() {
        line("tls_certificate", certificate);
        line("tls_key", &host.place("server-key.pem"));
    }
    let Some(password) = security.password() else { return text };
    let file = host.place(&format!("{name}.secret"));
    if let Some(user) = security.user() {
        fs::write(&file, user_line(user, password)).expect("a users file");
        line("users_file", &file);
    } else {
        fs::write(&file, format!("{password}\n")).expect("a password file");
        line("password_file", &file);
    }
    text
}

impl Scene {
    pub(crate) fn new() -> Self {
        let display_port = free_port();
        let settings = ["console.mode=interpose", "console.font=8x16", "seat.notices=false"];
        let mut host = Host::new(&settings);
        let certificate = make_certificate(&host.place(""), "dom0.example", "DNS:dom0.example,IP:127.0.0.1");
        let mut text =
            format!("[[domain]]\nmatch = \"{NAME}\"\ndisplay.forward = \"127.0.0.1:{display_port}\"\n");
        for security in Security::SECURED {
            text.push_str(&secured(&host, security, &certificate));
        }
        fs::write(host.place("config.toml"), text).expect("a configuration file");
        host.start_daemon();
        host.add_domain(7, NAME);
        let port = host.port(7);
        host.await_history(NAME, "guest$");
        Self { host, port, certificate, display: None, display_port, programs: Vec::new() }
    }

    /// The port of a domain, of this name, that lets viewers in by this alone.
    pub(crate) fn add_secured(&mut self, security: Security, domid: u16) -> u16 {
        self.host.add_domain(domid, security.name());
        self.host.await_history(security.name(), "guest$");
        self.host.port(domid)
    }

    /// Starts the display, and waits until it is the domain's seventh VT.
    pub(crate) fn start_display(&mut self) {
        let mut command = Command::new(installed(Path::new("Xtigervnc")));
        command.args(["-geometry", "640x400", "-depth", "24", "-nolisten", "tcp", "-localhost"]);
        command.args(["-SecurityTypes", "None", "-AlwaysShared", "-rfbport", &self.display_port.to_string()]);
        let display = Display::start(directory(), &mut command);
        self.display = Some(display);
        output(self.command("xsetroot").args(["-solid", "#204060"]));
        self.set_pointer(false);
        self.await_vt(7);
    }

    /// Shows a red pointer, or one that is not to be seen, so that pictures can be compared.
    pub(crate) fn set_pointer(&self, visible: bool) {
        let file = self.display().path().join("pointer.xbm");
        let bits = [if visible { "0xff" } else { "0x00" }; 8].join(", ");
        let sides = "#define p_width 8\n#define p_height 8\n#define p_x_hot 0\n#define p_y_hot 0\n";
        fs::write(&file, format!("{sides}static char p_bits[] = {{\n{bits}}};\n")).expect("a file");
        let colours = ["-fg", "red", "-bg", "red"];
        output(self.command("xsetroot").arg("-cursor").arg(&file).arg(&file).args(colours));
    }

    /// Ends it.
    pub(crate) fn end_display(&mut self) {
        self.programs.clear();
        self.display = None;
        self.await_vt(1);
    }

    fn await_vt(&self, vt: u64) {
        eventually("the VT", || {
            let row = self.host.list().into_iter().find(|row| row["domid"] == 7).expect("a row");
            if row["vt"] == vt { Ok(()) } else { Err(format!("{row}\n{}", self.host.log())) }
        });
    }

    fn display(&self) -> &Display {
        self.display.as_ref().expect("a display")
    }

    /// A command on the display.
    pub(crate) fn command(&self, program: &str) -> Command {
        self.display().command(program)
    }

    /// Shows another picture, and gives what the display shows then, read without the daemon.
    pub(crate) fn show(&mut self, kind: Kind) -> Picture {
        let picture = picture(Size::new(500, 300), kind, 1);
        self.display.as_mut().expect("a display").show(&picture, AT);
        self.shown()
    }

    /// What the display shows.
    pub(crate) fn shown(&self) -> Picture {
        picture_of(&self.display().dump())
    }

    /// What a domain's first VT shows, as the daemon says.
    pub(crate) fn console(&self, name: &str) -> Picture {
        let file = self.host.place("console.png");
        let written = self.host.xenvnc(&["screenshot", name, "--vt", "1", &file.display().to_string()]);
        assert!(written.status.success(), "{written:?}");
        Picture::from_png(&file).expect("a picture")
    }

    /// Puts a text into the display's clipboard.
    pub(crate) fn copy(&mut self, text: &str) {
        use std::io::Write;
        let mut xclip = self.command("xclip");
        xclip.args(["-selection", "clipboard", "-quiet"]).stdin(Stdio::piped()).stderr(Stdio::null());
        let mut owner = Program(xclip.stdout(Stdio::null()).spawn().expect("xclip"));
        owner.0.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("text");
        self.programs.push(owner);
    }

    /// The text in it.
    pub(crate) fn clipboard(&self) -> String {
        let mut xclip = self.command("timeout");
        xclip.args(["3", "xclip", "-o", "-selection", "clipboard"]).stderr(Stdio::null());
        String::from_utf8_lossy(&xclip.output().expect("xclip").stdout).into_owned()
    }

    /// Runs a program on the display until the display ends, with its output in a file.
    pub(crate) fn run(&mut self, words: &[&str], log: &str) -> std::path::PathBuf {
        let path = self.display().path().join(log);
        let mut command = self.command(words[0]);
        command.args(&words[1..]).stdout(fs::File::create(&path).expect("a file"));
        self.programs.push(Program::start(&mut command, &path));
        path
    }

    /// Renames the domain.
    pub(crate) fn rename(&self, name: &str) {
        self.host.toolstack(async |toolstack| toolstack.rename(7, name).await);
    }
}
