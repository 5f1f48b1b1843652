//! The ways from a viewer to a server: none between, a byte splice, the one peer for several viewers, and ourselves.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

use crate::guest::raw_pty;
use crate::host::{Host, eventually};

/// One way, set up for one server.
pub(crate) struct Path {
    pub(crate) name: &'static str,
    /// Where viewers connect.
    pub(crate) address: SocketAddr,
    /// The process between, if there is one.
    process: Option<u32>,
    _keeps: Keeps,
}

#[expect(dead_code, reason = "held for what their end does")]
enum Keeps {
    Nothing,
    Child(Ended),
    Host(Box<Host>, std::fs::File, std::os::fd::OwnedFd),
}

/// A child that ends with this value.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

/// False when nobody listens after a while.
fn await_listener(address: SocketAddr) -> bool {
    let start = Instant::now();
    loop {
        // Asking by a connection would use up the one that a splice serves.
        let table = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
        let listens = format!(":{:04X} 00000000:0000 0A", address.port());
        if table.contains(&listens) {
            return true;
        }
        if start.elapsed() > Duration::from_secs(20) {
            println!("(nobody listens on {address})");
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

impl Path {
    pub(crate) fn direct(source: SocketAddr) -> Self {
        Self { name: "direct", address: source, process: None, _keeps: Keeps::Nothing }
    }

    fn program(name: &'static str, port: u16, mut command: Command) -> Option<Self> {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
        let process = Some(child.id());
        let keeps = Keeps::Child(Ended(child));
        await_listener(address).then_some(Self { name, address, process, _keeps: keeps })
    }

    /// A splice for one connection; `None` when socat is not installed.
    pub(crate) fn socat(source: SocketAddr) -> Option<Self> {
        let port = free_port();
        let mut command = Command::new("socat");
        command
            .arg(format!("TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,nodelay"))
            .arg(format!("TCP:{source},nodelay"));
        Self::program("socat", port, command)
    }

    /// `None` when x11vnc is not installed.
    pub(crate) fn x11vnc(source: SocketAddr) -> Option<Self> {
        let port = free_port();
        let mut command = Command::new("x11vnc");
        command
            .args(["-reflect", &source.to_string(), "-localhost", "-rfbport", &port.to_string()])
            .args(["-forever", "-shared", "-nopw", "-quiet", "-no6", "-noshm"]);
        Self::program("x11vnc -reflect", port, command)
    }

    /// The daemon with one domain, whose display is `source`; the viewer sees that display from its first moment.
    pub(crate) fn ours(source: SocketAddr) -> Self {
        Self::daemon("xenvnc", source, false)
    }

    /// The same, where rectangles may be passed on as they are.
    pub(crate) fn relayed(source: SocketAddr) -> Self {
        Self::daemon("xenvnc, relay", source, true)
    }

    fn daemon(name: &'static str, source: SocketAddr, relay: bool) -> Self {
        let forward = format!("display.forward={source}");
        let relay = format!("display.relay={relay}");
        let mut host = Host::new(&["console.mode=attach", "seat.notices=false", &forward, &relay]);
        host.quiet();
        host.start_daemon();
        let (master, slave, tty) = raw_pty();
        host.add_domain_with_tty(7, "bench", &tty.display().to_string());
        host.await_port(7, Instant::now());
        let port = host.published_port(7).expect("just published");
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        eventually("the display", || {
            let list = host.xenvnc(&["list", "--json"]);
            let text = String::from_utf8_lossy(&list.stdout).into_owned();
            if text.contains("\"vt\":7") || text.contains("\"vt\": 7") { Ok(()) } else { Err(text) }
        });
        let process = Some(host.daemon_id());
        Self { name, address, process, _keeps: Keeps::Host(Box::new(host), master, slave) }
    }

    /// The CPU time that the process between has used, all threads.
    pub(crate) fn cpu(&self) -> Duration {
        self.process.map_or(Duration::ZERO, cpu_of)
    }
}

/// The CPU time of a process, with that of threads that have ended (`clock_getcpuclockid(3)`).
pub(crate) fn cpu_of(process: u32) -> Duration {
    let pid = Pid::from_raw(i32::try_from(process).expect("a process id"));
    clock_getcpuclockid(pid).and_then(clock_gettime).map(Duration::from).unwrap_or_default()
}

/// True when a server answers there.
pub(crate) fn answers(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_ok()
}
