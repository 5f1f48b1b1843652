//! The virtual VT switch with real programs: TigerVNC's Xvnc as the guest's X server, viewers that we did not write, and
//! the daemon between.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use crate::foreign::{TigerVnc, Vncdotool};
use crate::host::{Host, eventually, installed};
use crate::picture::{Picture, difference};

/// An X display of a guest: Xvnc and an xterm with a shell.
pub(crate) struct GuestX {
    pub(crate) port: u16,
    directory: TempDir,
    number: u32,
    processes: Vec<Child>,
}

/// A port that nobody listens on now.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

impl GuestX {
    /// Starts it on this port of the loopback, without a pointer, so that pictures can be compared.
    pub(crate) fn start(port: u16, size: &str) -> Self {
        Self::start_with(port, size, &["-SecurityTypes", "None"])
    }

    /// The same with other security types.
    pub(crate) fn start_with(port: u16, size: &str, security: &[&str]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = 2000 + std::process::id() % 20_000 * 8 + NUMBER.fetch_add(1, Ordering::Relaxed);
        let directory = tempfile::Builder::new().prefix("guestx").tempdir().expect("a temporary directory");
        let mut x = Self { port, directory, number, processes: Vec::new() };
        let port = port.to_string();
        let display = format!(":{number}");
        let mut arguments = vec![&*display, "-geometry", size, "-depth", "24", "-nocursor", "-localhost"];
        arguments.extend(["-AlwaysShared", "-nolisten", "tcp", "-rfbport", &*port]);
        arguments.extend(security);
        x.run("Xtigervnc", &arguments);
        eventually("Xvnc", || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, x.port)).map(drop).map_err(|error| error.to_string())
        });
        x
    }

    /// Shows a terminal with a shell that does not echo, its upper left corner in that of the screen.
    pub(crate) fn with_terminal(mut self) -> Self {
        self.run("xterm", &["-geometry", "60x12+0+0", "-e", "sh", "-c", "stty -echo; echo ready; exec sh"]);
        self
    }

    fn run(&mut self, program: &str, arguments: &[&str]) {
        let process = Command::new(installed(Path::new(program)))
            .args(arguments)
            .env("DISPLAY", format!(":{}", self.number))
            .env("HOME", self.directory.path())
            .env("PS1", "")
            .current_dir(self.directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a program");
        self.processes.push(process);
    }

    /// A file in the guest, where its shell is.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// What it shows, as a viewer sees that is connected to it directly.
    pub(crate) fn picture(&self) -> Picture {
        Vncdotool::connect(self.port, None).expect("a connection").capture()
    }
}

impl Drop for GuestX {
    fn drop(&mut self) {
        for process in self.processes.iter_mut().rev() {
            let _ = process.kill();
            let _ = process.wait();
        }
        let _ = fs::remove_file(format!("/tmp/.X{}-lock", self.number));
        let _ = fs::remove_file(format!("/tmp/.X11-unix/X{}", self.number));
    }
}

/// A host whose one domain has a console, and a display at the port once somebody listens there.
fn host_with_display_at(port: u16) -> (Host, u16) {
    host_with(port, "display.relay=false")
}

fn host_with(port: u16, setting: &str) -> (Host, u16) {
    let forward = format!("display.forward=127.0.0.1:{port}");
    // A fixed font: the pictures' text is read in it.
    let settings = ["console.mode=interpose", "console.font=8x16", "seat.notices=false", &forward, setting];
    let mut host = Host::new(&settings);
    host.start_daemon();
    host.add_domain(7, "tiny");
    let own = host.port(7);
    (host, own)
}

pub(crate) fn await_vt(host: &Host, vt: u64) {
    eventually("the VT", || {
        let row = host.row("tiny").expect("a row");
        if row["vt"] == vt { Ok(()) } else { Err(format!("{row}\n{}", host.log())) }
    });
}

/// Waits until a viewer shows what the guest's display does.
fn await_picture(mut viewer: impl FnMut() -> Picture, x: &GuestX) {
    eventually("the display's picture", || match difference(&viewer(), &x.picture()) {
        None => Ok(()),
        Some(difference) => Err(difference),
    });
}

#[test]
fn one_viewer_connection_sees_console_display_and_console_again() {
    let port = free_port();
    let (host, own) = host_with_display_at(port);
    let mut viewer = Vncdotool::connect(own, None).expect("a connection");
    viewer.type_text("echo before-$((6*7))");
    viewer.key("enter");
    viewer.await_text("before-42");

    let x = GuestX::start(port, "640x360").with_terminal();
    await_vt(&host, 7);
    await_picture(|| viewer.capture(), &x);
    // Without a window manager the keyboard belongs to the window below the pointer.
    viewer.move_to(50, 50);
    // What is typed reaches the program in the display, and not the console.
    eventually("the shell in the display", || {
        viewer.type_text("echo typed-$((6*7)) >in-x");
        viewer.key("enter");
        let text = fs::read_to_string(x.file("in-x")).unwrap_or_default();
        if text == "typed-42\n" { Ok(()) } else { Err(format!("{text:?}")) }
    });
    assert!(!host.history("tiny").contains("typed-"), "the console heard it too");

    for _ in 0..3 {
        viewer.key("ctrl-alt-f1");
        viewer.await_text("before-42");
        viewer.key("ctrl-alt-f7");
        await_picture(|| viewer.capture(), &x);
    }
    // Somebody else's picture of it is the same.
    let shot = host.screenshot("tiny");
    assert_eq!(difference(&Picture::from_png(&shot).expect("a picture"), &x.picture()), None);

    drop(x);
    await_vt(&host, 1);
    viewer.await_text("before-42");
    viewer.type_text("echo after-$((6*7))");
    viewer.key("enter");
    viewer.await_text("after-42");
}

#[test]
fn a_screenshot_of_a_display_that_nobody_looks_at_is_of_this_moment() {
    let port = free_port();
    let (host, _own) = host_with_display_at(port);
    let mut x = GuestX::start(port, "320x240");
    await_vt(&host, 7);
    for colour in ["#336699", "#993366", "#669933"] {
        x.run("xsetroot", &["-solid", colour]);
        let wanted = u32::from_str_radix(&colour[1..], 16).expect("a colour").to_be_bytes();
        eventually("the colour on the display itself", || {
            let picture = x.picture();
            if picture.pixels[0] == wanted[1..] { Ok(()) } else { Err(format!("{:?}", picture.pixels[0])) }
        });
        let shot = Picture::from_png(&host.screenshot("tiny")).expect("a picture");
        assert_eq!(difference(&shot, &x.picture()), None, "{colour}");
    }
}

#[test]
fn tigervnc_follows_the_switch_and_resizes_the_guests_display() {
    let port = free_port();
    let (host, own) = host_with_display_at(port);
    let x = GuestX::start(port, "500x300").with_terminal();
    await_vt(&host, 7);
    for (encoding, (width, height)) in [("ZRLE", (700, 500)), ("Tight", (640, 480)), ("Raw", (600, 520))] {
        let viewer = TigerVnc::connect_resizing(own, encoding, &format!("{width}x{height}"));
        eventually("the guest's new size", || {
            let picture = x.picture();
            let size = (picture.width, picture.height);
            if size == (width, height) { Ok(()) } else { Err(format!("{size:?}{}", viewer.log())) }
        });
        // X keeps Ctrl-Alt-Fn for itself here.
        viewer.key("ctrl+alt+1");
        viewer.await_text("guest$");
        viewer.key("ctrl+alt+7");
        eventually("the display in TigerVNC's window", || {
            let (screen, wanted) = (viewer.capture(), x.picture());
            if screen.holds(&wanted) { Ok(()) } else { Err(format!("{screen:?}")) }
        });
    }
}

/// Lets TigerVNC's viewer look alone at a display until it is relayed; then everything that ends a relay.
fn relay_to_tigervnc(encoding: &str, server: Option<&str>) {
    let (port, behind) = (free_port(), free_port());
    let (host, own) = host_with(port, "display.relay=true");
    let mut x = GuestX::start(if server.is_some() { behind } else { port }, "640x480").with_terminal();
    if let Some(server) = server {
        let port = port.to_string();
        x.run(
            server,
            &["-rfbport", &port, "-localhost", "-no6", "-noshm", "-nocursor", "-forever", "-shared", "-nowf"],
        );
    }
    await_vt(&host, 7);
    let viewer = TigerVnc::connect(own, encoding);
    let is_relayed = || {
        let log = host.log();
        let last = log.lines().rfind(|line| line.contains("a display's rectangles"));
        last.is_some_and(|line| line.contains("relayed=true"))
    };
    let same = |what: &str| {
        eventually(what, || {
            let (screen, wanted) = (viewer.capture(), x.picture());
            if screen.holds(&wanted) { Ok(()) } else { Err(format!("{screen:?}{}", viewer.log())) }
        });
    };
    // Without a window manager the keyboard belongs to the window below the pointer.
    let (left, top) = viewer.corner();
    viewer.click(1, (left + 60, top + 60));
    let mut rounds = 0;
    eventually("a relay", || {
        rounds += 1;
        viewer.type_text(&format!("seq {rounds} {}\n", rounds + 7));
        if is_relayed() { Ok(()) } else { Err(host.log()) }
    });
    for round in 0..2 {
        viewer.type_text(&format!("seq {round} {}\n", round + 30));
        same("what was relayed in TigerVNC's window");
    }
    assert!(is_relayed(), "{}", host.log());
    // Our own picture, a viewer beside it, and back.
    viewer.key("ctrl+alt+1");
    viewer.await_text("guest$");
    viewer.key("ctrl+alt+7");
    same("the display again");
    let mut second = Vncdotool::connect(own, None).expect("a connection");
    await_picture(|| second.capture(), &x);
    same("the display beside another viewer");
    drop(second);
    viewer.key("ctrl+alt+1");
    viewer.await_text("guest$");
}

#[test]
fn what_xvnc_compressed_is_passed_on_to_tigervnc_as_it_is() {
    for encoding in ["Tight", "ZRLE"] {
        relay_to_tigervnc(encoding, None);
    }
}

#[test]
fn what_x11vnc_compressed_is_passed_on_to_tigervnc_as_it_is() {
    relay_to_tigervnc("Tight", Some("x11vnc"));
}

#[test]
fn a_server_that_is_not_what_it_says_ends_alone() {
    let port = free_port();
    let (host, own) = host_with_display_at(port);
    let mut viewer = Vncdotool::connect(own, None).expect("a connection");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("the port");
    let (mut stream, _) = listener.accept().expect("the daemon");
    std::io::Write::write_all(&mut stream, b"HTTP/1.0 400 Bad Request\r\n").expect("an answer");
    eventually("a word about it", || {
        let log = host.log();
        if log.contains("where an RFB version line was expected") { Ok(()) } else { Err(log) }
    });
    drop(listener);
    viewer.type_text("echo still-$((6*7))");
    viewer.key("enter");
    viewer.await_text("still-42");
}
