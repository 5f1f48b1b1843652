//! Displays by servers that we did not write: TigerVNC's Xvnc and x11vnc, by every way that does not need Xen.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{io, thread};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::displays::{await_display, listening, preamble, token};
use crate::host::{Host, eventually, installed, text};
use crate::{ANY_PORT, ATTACH, await_row};

/// An X server with VNC (TigerVNC's Xvnc), of one colour. It ends with this value, and with it what was started on it.
pub(crate) struct X {
    number: u32,
    directory: TempDir,
    processes: Vec<Child>,
}

impl X {
    /// Starts one that listens on a Unix socket ([`Self::socket`]) only.
    fn start() -> Self {
        Self::start_by(&[])
    }

    /// Starts one by these words.
    pub(crate) fn start_by(launcher: &[&str]) -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = 20_000 + std::process::id() % 4000 * 4 + STARTED.fetch_add(1, Ordering::Relaxed);
        let directory = tempfile::Builder::new().prefix("x").tempdir().expect("a temporary directory");
        let mut x = Self { number, directory, processes: Vec::new() };
        let (display, socket) = (format!(":{number}"), x.socket().display().to_string());
        let arguments = [
            &display,
            "-geometry",
            "320x200",
            "-depth",
            "24",
            "-nocursor",
            "-nolisten",
            "tcp",
            "-rfbport",
            "-1",
            "-rfbunixpath",
            &socket,
            "-SecurityTypes",
            "None",
        ];
        let words =
            [launcher, &[installed(Path::new("Xtigervnc")).to_str().expect("a name")], &arguments].concat();
        x.run(words[0], &words[1..]);
        eventually("Xvnc", || UnixStream::connect(x.socket()).map(drop).map_err(|error| x.log(&error)));
        // Red, which no console is.
        let mut painter = x.command("xsetroot");
        assert!(painter.args(["-solid", "#c00000"]).status().expect("xsetroot").success());
        x
    }

    /// Lets it connect to a listening viewer, as an installer does.
    pub(crate) fn connect_to(&self, at: SocketAddr) {
        let status = self.command("vncconfig").args(["-connect", &at.to_string()]).status();
        assert!(status.expect("vncconfig").success(), "{}", self.log(&"it did not connect"));
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("rfb")
    }

    fn command(&self, program: &str) -> Command {
        let log = fs::File::options().create(true).append(true).open(self.directory.path().join("log"));
        let log = log.expect("a log file");
        let mut command = Command::new(installed(Path::new(program)));
        command
            .env("DISPLAY", format!(":{}", self.number))
            .env("HOME", self.directory.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("another handle of the log"))
            .stderr(log);
        command
    }

    fn run(&mut self, program: &str, arguments: &[&str]) {
        let process = self.command(program).args(arguments).spawn().expect("a program");
        self.processes.push(process);
    }

    /// Ends what was started last.
    fn end_last(&mut self) {
        let mut process = self.processes.pop().expect("a program");
        process.kill().expect("a signal");
        process.wait().expect("its end");
    }

    fn log(&self, error: &impl std::fmt::Display) -> String {
        let log = fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
        format!("{error}\n{log}")
    }
}

impl Drop for X {
    fn drop(&mut self) {
        for process in self.processes.iter_mut().rev() {
            let _ = process.kill();
            let _ = process.wait();
        }
        let _ = fs::remove_file(format!("/tmp/.X{}-lock", self.number));
        let _ = fs::remove_file(format!("/tmp/.X11-unix/X{}", self.number));
    }
}

/// Waits until a VT of a domain is red, and as large as [`X`].
pub(crate) fn await_red(host: &Host, name: &str, vt: u8) {
    await_red_of(host, name, vt, (320, 200));
}

fn await_red_of(host: &Host, name: &str, vt: u8, wanted: (u32, u32)) {
    let file = host.place(&format!("{name}-{vt}.png"));
    let path = file.display().to_string();
    eventually("the display's picture", || {
        let output = host.xenvnc(&["screenshot", name, "--vt", &vt.to_string(), &path]);
        if !output.status.success() {
            return Err(format!("{}\n{}", text(&output.stderr), host.log()));
        }
        let mut reader = png::Decoder::new(io::BufReader::new(fs::File::open(&file).expect("a picture")))
            .read_info()
            .expect("a PNG");
        let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
        let frame = reader.next_frame(&mut pixels).expect("a frame");
        let size = (frame.width, frame.height);
        let bytes = frame.color_type.samples();
        let red = pixels.chunks_exact(bytes).filter(|pixel| pixel.starts_with(&[0xc0, 0, 0])).count();
        let all = (wanted.0 * wanted.1) as usize;
        if size == wanted && red == all { Ok(()) } else { Err(format!("{red} red of {size:?}")) }
    });
}

/// What a helper in a guest does: connects a server that knows nothing of tokens to the host, and copies.
fn relay(server: UnixStream, at: SocketAddr, token: &str) {
    let mut host = TcpStream::connect(at).expect("a connection");
    host.write_all(&preamble(token)).expect("the daemon reads");
    let (mut from, mut to) = (host.try_clone().expect("a handle"), server.try_clone().expect("a handle"));
    thread::spawn(move || io::copy(&mut from, &mut to));
    thread::spawn(move || {
        let _ = io::copy(&mut &server, &mut &host);
        let _ = host.shutdown(std::net::Shutdown::Both);
    });
}

#[test]
fn xvnc_by_reverse_connection_with_a_token_is_vt_7_and_goes_when_it_dies() {
    let (mut host, at) = listening();
    host.add_domain(7, "tiny");
    let mut x = X::start();
    relay(UnixStream::connect(x.socket()).expect("a server"), at, &token(&host, 7, None));
    await_display(&host, 7, "(token)", "connected");
    await_red(&host, "tiny", 7);
    await_row(&host, 7, "the switch to the display", |row| row["vt"] == 7);
    x.end_last();
    await_display(&host, 7, "(token)", "ended");
    await_row(&host, 7, "the switch to the console", |row| row["vt"] == 1);
    host.type_line("tiny", "echo fine-$((6*7))");
    host.await_history("tiny", "fine-42");
}

#[test]
fn x11vnc_connects_as_to_a_repeater_and_asks_for_the_password() {
    let (mut host, at) = listening();
    let password = host.place("display-password");
    fs::write(&password, "sesame\n").expect("a password file");
    host.set(&format!("display.password_file={}", password.display()));
    assert!(host.end_daemon(Signal::SIGTERM).success());
    host.start_daemon();
    host.add_domain(7, "tiny");
    let mut x = X::start();
    let repeater = format!("repeater=ID:{}+{at}", token(&host, 7, None));
    x.run(
        "x11vnc",
        &[
            "-connect_or_exit",
            &repeater,
            "-passwd",
            "sesame",
            "-rfbport",
            "0",
            "-no6",
            "-noshm",
            "-nocursor",
            "-forever",
        ],
    );
    await_display(&host, 7, "(token)", "connected");
    await_red(&host, "tiny", 7);
}

#[test]
fn servers_that_listen_are_connected_to_and_come_back() {
    let mut host = Host::new(&[ATTACH, ANY_PORT]);
    let mut x = X::start();
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let at = free.local_addr().expect("an address");
    drop(free);
    fs::write(
        host.place("config.toml"),
        format!(
            "[[domain]]\nmatch = \"tiny\"\ndisplay.forward = [\"unix:{}\", \"{at}\"]\n",
            x.socket().display()
        ),
    )
    .expect("a configuration file");
    host.start_daemon();
    host.add_domain(7, "tiny");
    host.add_domain(8, "other");
    await_display(&host, 7, "forward unix:", "connected");
    await_red(&host, "tiny", 7);
    // The other one is not there yet.
    await_display(&host, 7, &format!("forward TCP {at}"), "not reached");
    let port = at.port().to_string();
    for _ in 0..2 {
        x.run(
            "x11vnc",
            &["-rfbport", &port, "-localhost", "-no6", "-noshm", "-nocursor", "-forever", "-shared"],
        );
        await_display(&host, 7, &format!("forward TCP {at}"), "connected");
        await_red(&host, "tiny", 8);
        x.end_last();
        await_display(&host, 7, &format!("forward TCP {at}"), "");
        await_row(&host, 7, "the end of the display", |row| row["displays"][1]["state"] != "connected");
    }
    let row = await_row(&host, 8, "the other domain", |_| true);
    assert!(row["displays"].is_null(), "{row}");
    await_red(&host, "tiny", 7);
}

/// A machine's first sector: a screen of 320 by 200 pixels whose one colour is red.
const RED: [u8; 21] = [
    0xb8, 0x13, 0x00, 0xcd, 0x10, // mov ax, 0x13; int 0x10: that mode
    0xba, 0xc8, 0x03, 0x30, 0xc0, 0xee, // mov dx, 0x3c8; xor al, al; out dx, al: colour 0 is
    0x42, 0xb0, 0x30, 0xee, // inc dx; mov al, 0x30; out dx, al: red
    0x30, 0xc0, 0xee, 0xee, // xor al, al; out dx, al twice: neither green nor blue
    0xeb, 0xfe, // jmp to itself
];

#[test]
fn qemus_own_server_is_a_display_as_well() {
    let mut host = Host::new(&[ATTACH, ANY_PORT]);
    let (disk, socket) = (host.place("disk"), host.place("qemu.sock"));
    let mut sector = RED.to_vec();
    sector.resize(510, 0);
    sector.extend([0x55, 0xaa]);
    fs::write(&disk, sector).expect("a disk");
    host.set(&format!("display.forward=unix:{}", socket.display()));
    host.start_daemon();
    host.add_domain(7, "tiny");
    await_display(&host, 7, "forward unix:", "not reached");
    let mut machine = Command::new(installed(Path::new("qemu-system-x86_64")))
        .args([
            "-machine",
            "pc",
            "-accel",
            "tcg",
            "-m",
            "16",
            "-nodefaults",
            "-no-user-config",
            "-vga",
            "std",
        ])
        .args(["-display", "none", "-vnc", &format!("unix:{}", socket.display())])
        .args(["-drive", &format!("file={},format=raw", disk.display())])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("QEMU");
    let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        await_display(&host, 7, "forward unix:", "connected");
        // It shows each line and column of that mode twice.
        await_red_of(&host, "tiny", 7, (640, 400));
    }));
    machine.kill().expect("a signal");
    machine.wait().expect("its end");
    seen.expect("QEMU's picture");
    await_row(&host, 7, "the end of the display", |row| row["displays"][0]["state"] != "connected");
}

#[test]
fn a_lost_reverse_connection_is_found_again_by_a_forward_one() {
    let (mut host, at) = listening();
    let x = X::start();
    host.set(&format!("display.forward=unix:{}", x.socket().display()));
    assert!(host.end_daemon(Signal::SIGTERM).success());
    host.start_daemon();
    host.add_domain(7, "tiny");
    await_display(&host, 7, "forward unix:", "connected");
    // The better proof takes its place, and is left in it.
    let first = token(&host, 7, None);
    let server = UnixStream::connect(x.socket()).expect("a server");
    relay(server.try_clone().expect("a handle"), at, &first);
    await_display(&host, 7, "(token)", "connected");
    await_red(&host, "tiny", 7);
    server.shutdown(std::net::Shutdown::Both).expect("a connection");
    await_display(&host, 7, "forward unix:", "connected");
    await_red(&host, "tiny", 7);
}
