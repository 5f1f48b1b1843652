//! `xenvnc guest` between a real Xvnc and a host that is played here: by TCP with the program itself and the real xenstored,
//! by vchan in this process, over shared memory that stands in for Xen's. Real Xen is in `tests/xen`.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "failing is how a test reports")]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::vchan::Host;
use common::xenstored::Xenstored;
use common::{eventually, within};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use xenvnc::guest::{Agent, GuestConfig, Layer, Listen, PREAMBLE_BYTES, Via, XvncLayer};
use xenvnc::xen::Domid;
use xenvnc::xen::store::Store;
use xenvnc::xen::vchan::{VchanError, VchanStream};

/// Under the real xenstored without Xen, every client is domain 0.
const HOME: &str = "/local/domain/0";
const DISPLAY: &str = "/local/domain/0/data/xenvnc/display/0";

/// A process of ours, ended with this value.
struct Ours(Child);

impl Drop for Ours {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Ours {
    fn terminate(&self) {
        let pid = nix::unistd::Pid::from_raw(self.0.id().try_into().expect("a pid"));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("a signal");
    }
}

/// An Xvnc as a distribution's unit would start it, of its own size.
fn xvnc(socket: &Path) -> Ours {
    let mut process = Command::new("Xvnc")
        .args(["-displayfd", "1", "-rfbport", "-1", "-SecurityTypes", "None", "-nolisten", "tcp"])
        .args(["-geometry", "320x200", "-rfbunixpath"])
        .arg(socket)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("Xvnc (scripts/setup installs it)");
    let mut line = String::new();
    let stdout = process.stdout.as_mut().expect("its output");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).expect("a display");
    Ours(process)
}

/// What the daemon does first with an upstream, over any stream: RFB 3.8 without authentication. Gives the screen's size.
async fn handshake(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> (u16, u16) {
    let mut version = [0; 12];
    stream.read_exact(&mut version).await.expect("the server's version");
    assert_eq!(&version, b"RFB 003.008\n");
    stream.write_all(&version).await.expect("our version");
    stream.flush().await.expect("flushed");
    let mut types = [0; 2];
    stream.read_exact(&mut types).await.expect("security types");
    assert_eq!(types, [1, 1], "None, and nothing else");
    stream.write_all(&[1]).await.expect("None");
    stream.flush().await.expect("flushed");
    assert_eq!(stream.read_u32().await.expect("a result"), 0);
    stream.write_all(&[1]).await.expect("shared");
    stream.flush().await.expect("flushed");
    let (width, height) = (stream.read_u16().await.expect("width"), stream.read_u16().await.expect("height"));
    let mut rest = [0; 16];
    stream.read_exact(&mut rest).await.expect("the pixel format");
    let length = stream.read_u32().await.expect("the name's length") as usize;
    let mut name = vec![0; length];
    stream.read_exact(&mut name).await.expect("the name");
    (width, height)
}

/// Asks for the whole screen as it is and reads the one rectangle of it.
async fn whole_screen(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    (width, height): (u16, u16),
) -> Vec<u8> {
    stream.write_all(&[2, 0, 0, 1, 0, 0, 0, 0]).await.expect("SetEncodings: Raw");
    stream.flush().await.expect("flushed");
    let mut request = vec![3, 0, 0, 0, 0, 0];
    request.extend(width.to_be_bytes());
    request.extend(height.to_be_bytes());
    stream.write_all(&request).await.expect("FramebufferUpdateRequest");
    stream.flush().await.expect("flushed");
    assert_eq!(stream.read_u16().await.expect("FramebufferUpdate"), 0);
    let mut pixels = Vec::new();
    for _ in 0..stream.read_u16().await.expect("rectangles") {
        let mut header = [0; 12];
        stream.read_exact(&mut header).await.expect("a rectangle");
        assert_eq!(header[8..], [0; 4], "Raw");
        let of = |at: usize| usize::from(u16::from_be_bytes([header[at], header[at + 1]]));
        let mut rectangle = vec![0; of(4) * of(6) * 4];
        stream.read_exact(&mut rectangle).await.expect("pixels");
        pixels.extend(rectangle);
    }
    pixels
}

/// A directory with an Xvnc's socket, a xenstored and a host's listener.
struct Scene {
    directory: TempDir,
    xenstored: Xenstored,
    store: Store,
    listener: TcpListener,
}

impl Scene {
    async fn new() -> Self {
        let xenstored = Xenstored::start();
        let store = xenstored.store().await;
        store.write(&format!("{HOME}/domid"), b"0").await.expect("domid");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        Self { directory: tempfile::tempdir().expect("a directory"), xenstored, store, listener }
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("x.sock")
    }

    fn server(&self) -> String {
        format!("unix:{}", self.socket().display())
    }

    async fn offer(&self, token: &str) {
        let address = self.listener.local_addr().expect("an address").to_string();
        self.store.write(&format!("{HOME}/xenvnc/token"), token.as_bytes()).await.expect("token");
        self.store
            .write(&format!("{HOME}/xenvnc/reverse-address"), address.as_bytes())
            .await
            .expect("address");
    }

    fn program(&self, arguments: &[&str]) -> Ours {
        let child = Command::new(env!("CARGO_BIN_EXE_xenvnc"))
            .arg("guest")
            .args(["--server", &self.server()])
            .args(arguments)
            .env("XENSTORED_PATH", self.xenstored.socket())
            .env("RUST_LOG", "xenvnc=debug")
            .stderr(std::fs::File::options().append(true).create(true).open(self.log()).expect("a log"))
            .spawn()
            .expect("the program");
        Ours(child)
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// The next connection of the guest, and what it says first.
    async fn accept(&self) -> (TcpStream, Vec<u8>) {
        let (mut stream, _) = within("the guest to connect", self.listener.accept()).await.expect("accepted");
        let mut preamble = vec![0; PREAMBLE_BYTES];
        within("the preamble", stream.read_exact(&mut preamble)).await.expect("a preamble");
        (stream, preamble)
    }

    /// An agent in this process, whose vchan servers appear in the list.
    fn agent(&self, layer: Layer) -> (Arc<Mutex<Vec<Host>>>, CancellationToken, tokio::task::JoinHandle<()>) {
        let file = self.directory.path().join("guest.toml");
        std::fs::write(&file, format!("server = {:?}", self.server())).expect("a file");
        let config = GuestConfig::load(Some(&file), layer).expect("a configuration");
        let (servers, stop) = (Arc::new(Mutex::new(Vec::new())), CancellationToken::new());
        let made = Arc::clone(&servers);
        let listen: Listen = Box::new(move |peer, sizes| {
            assert_eq!(peer, Domid::ZERO);
            let mut made = made.lock().expect("the lock");
            let number = 100 + u32::try_from(made.len()).expect("few servers");
            let (server, host) = Host::listen(sizes, number, number + 1000);
            made.push(host);
            Ok(server)
        });
        let agent = Agent::new(config, self.xenstored.address(), listen, stop.clone());
        (servers, stop, tokio::spawn(agent.run()))
    }

    /// The number that is published as `ring-ref`, once it is another one than `than`.
    async fn published(&self, than: Option<u32>) -> u32 {
        eventually("a published server", || async {
            let value = self.store.read_optional(&format!("{DISPLAY}/ring-ref")).await.expect("xenstore")?;
            let number = String::from_utf8(value).expect("text").parse().expect("a number");
            (Some(number) != than).then_some(number)
        })
        .await
    }

    async fn until_withdrawn(&self) {
        eventually("the nodes to go", || async {
            (!self.store.exists(DISPLAY).await.expect("xenstore")).then_some(())
        })
        .await;
    }
}

fn connect(servers: &Arc<Mutex<Vec<Host>>>, number: u32) -> VchanStream {
    let host = servers.lock().expect("the lock")[number as usize - 100].clone();
    host.connect().expect("a client")
}

fn padded(token: &str) -> Vec<u8> {
    let mut preamble = format!("ID:{token}").into_bytes();
    preamble.resize(250, 0);
    preamble
}

#[tokio::test]
async fn display_comes_by_tcp_with_the_token_and_nothing_else_before_rfb() {
    let scene = Scene::new().await;
    let _xvnc = xvnc(&scene.socket());
    scene.offer("0123456789abcdef").await;
    let mut program = scene.program(&["--via", "tcp"]);
    let (mut stream, preamble) = scene.accept().await;
    assert_eq!(preamble, padded("0123456789abcdef"));
    let size = within("the handshake", handshake(&mut stream)).await;
    assert_eq!(size, (320, 200));
    let pixels = within("the screen", whole_screen(&mut stream, size)).await;
    assert_eq!(pixels.len(), 320 * 200 * 4);

    // The host is restarted: the next connection has the token that is there by then.
    scene.offer("second").await;
    drop(stream);
    let (mut stream, preamble) = scene.accept().await;
    assert_eq!(preamble, padded("second"));
    assert_eq!(within("the handshake", handshake(&mut stream)).await, (320, 200));

    program.terminate();
    within("the end of the stream", stream.read_to_end(&mut Vec::new())).await.expect("closed");
    assert!(program.0.wait().expect("our child").success(), "SIGTERM is an orderly end");
    let said = scene.said();
    assert!(!said.contains("0123456789abcdef") && !said.contains("second"), "a token is in the log:\n{said}");
}

#[tokio::test]
async fn token_is_read_anew_when_the_host_refuses() {
    let scene = Scene::new().await;
    let _xvnc = xvnc(&scene.socket());
    scene.offer("stale").await;
    let _program = scene.program(&["--via", "tcp"]);
    let (stream, preamble) = scene.accept().await;
    assert_eq!(preamble, padded("stale"));
    scene.offer("fresh").await;
    // Refused: closed without a word.
    drop(stream);
    let (mut stream, preamble) = scene.accept().await;
    assert_eq!(preamble, padded("fresh"));
    within("the handshake", handshake(&mut stream)).await;
}

#[tokio::test]
async fn host_and_token_file_work_without_xenstore() {
    let mut scene = Scene::new().await;
    scene.xenstored.kill();
    let _xvnc = xvnc(&scene.socket());
    let token = scene.directory.path().join("token");
    std::fs::write(&token, "from-a-file\nnot this\n").expect("a token");
    let address = scene.listener.local_addr().expect("an address").to_string();
    let token_path = token.to_str().expect("a path");
    let _program = scene.program(&["--host", &address, "--token-file", token_path]);
    let (mut stream, preamble) = scene.accept().await;
    assert_eq!(preamble, padded("from-a-file"));
    std::fs::write(&token, "another\n").expect("a token");
    within("the handshake", handshake(&mut stream)).await;
    drop(stream);
    assert_eq!(scene.accept().await.1, padded("another"));
}

#[tokio::test]
async fn display_that_comes_later_and_goes_and_comes_back_is_followed() {
    let scene = Scene::new().await;
    scene.offer("t").await;
    let _program = scene.program(&["--via", "tcp"]);
    eventually("the complaint", || async { scene.said().contains("no RFB server").then_some(()) }).await;
    let x = xvnc(&scene.socket());
    let (mut stream, _) = scene.accept().await;
    within("the handshake", handshake(&mut stream)).await;
    drop(x);
    within("the end of the stream", stream.read_to_end(&mut Vec::new())).await.expect("closed");
    let _x = xvnc(&scene.socket());
    let (mut stream, _) = scene.accept().await;
    within("the handshake", handshake(&mut stream)).await;
}

#[tokio::test]
async fn xvnc_is_started_with_its_session_and_listens_on_no_port() {
    let scene = Scene::new().await;
    scene.offer("t").await;
    let seen = scene.directory.path().join("seen");
    let session = format!("echo $DISPLAY $XAUTHORITY >{0}.new; mv {0}.new {0}; sleep 1000", seen.display());
    let mut program =
        scene.program(&["--via", "tcp", "--xvnc", "--geometry", "640x400", "--", "sh", "-c", &session]);
    let (mut stream, _) = scene.accept().await;
    assert_eq!(within("the handshake", handshake(&mut stream)).await, (640, 400));
    let told = eventually("the session", || async { std::fs::read_to_string(&seen).ok() }).await;
    let (display, authority) = told.trim_end().split_once(' ').expect("two words");
    let info = |authority: &str| {
        let tool = Command::new("xdpyinfo").env("DISPLAY", display).env("XAUTHORITY", authority).output();
        tool.expect("xdpyinfo (scripts/setup installs it)").status.success()
    };
    assert!(info(authority), "the session is let in");
    let children = children_of(program.0.id());
    let x = children.iter().find(|(_, name)| name.starts_with("Xvnc") || name.starts_with("Xtigervnc"));
    let (pid, _) = x.unwrap_or_else(|| panic!("no Xvnc among {children:?}"));
    assert_eq!(tcp_listeners(*pid), 0, "Xvnc must not listen on TCP");
    program.terminate();
    within("the end of the stream", stream.read_to_end(&mut Vec::new())).await.expect("closed");
    let processes: Vec<u32> = children.iter().map(|(pid, _)| *pid).collect();
    eventually("Xvnc and its session to end", || {
        let gone = processes.iter().all(|pid| !Path::new(&format!("/proc/{pid}")).exists());
        async move { gone.then_some(()) }
    })
    .await;
    assert!(program.0.wait().expect("our child").success());
}

/// Processes whose parent is `parent`, with their names.
fn children_of(parent: u32) -> Vec<(u32, String)> {
    let mut children = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let (Some(open), Some(close)) = (stat.find('('), stat.rfind(')')) else { continue };
        let fields: Vec<&str> = stat[close + 2..].split(' ').collect();
        if fields[1].parse() == Ok(parent) {
            children.push((stat[..open - 1].parse().expect("a pid"), stat[open + 1..close].to_owned()));
        }
    }
    children
}

/// Listening TCP sockets of a process.
fn tcp_listeners(pid: u32) -> usize {
    let inodes: Vec<String> = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .expect("its descriptors")
        .flatten()
        .filter_map(|fd| std::fs::read_link(fd.path()).ok())
        .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    assert!(!inodes.is_empty(), "it has its RFB and X sockets at least");
    let is_ours = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields.len() > 9 && fields[3] == "0A" && inodes.iter().any(|inode| inode == fields[9])
    };
    ["tcp", "tcp6"]
        .iter()
        .map(|name| {
            let table = std::fs::read_to_string(format!("/proc/{pid}/net/{name}")).unwrap_or_default();
            table.lines().filter(|line| is_ours(line)).count()
        })
        .sum()
}

#[tokio::test]
async fn each_vchan_client_gets_a_fresh_display_and_nodes_come_and_go() {
    let scene = Scene::new().await;
    let x = xvnc(&scene.socket());
    // What a server that was killed has left there.
    scene.store.write(&format!("{DISPLAY}/ring-ref"), b"99").await.expect("a stale node");
    let (servers, stop, agent) = scene.agent(Layer { via: Some(Via::Vchan), ..Layer::default() });
    let first = scene.published(Some(99)).await;
    let permissions = scene.store.permissions(&format!("{DISPLAY}/event-channel")).await.expect("nodes");
    assert_eq!(permissions.to_string(), "n0,r0");
    let port = scene.store.read(&format!("{DISPLAY}/event-channel")).await.expect("nodes");
    assert_eq!(port, (first + 1000).to_string().into_bytes());

    let mut stream = connect(&servers, first);
    let size = within("the handshake", handshake(&mut stream)).await;
    assert_eq!(size, (320, 200));
    assert_eq!(within("the screen", whole_screen(&mut stream, size)).await.len(), 256_000);
    drop(stream);
    let second = scene.published(Some(first)).await;
    let mut stream = connect(&servers, second);
    assert_eq!(within("a second handshake", handshake(&mut stream)).await, size);

    // X goes: so do the stream and the nodes, until it is back.
    drop(x);
    within("the end of the stream", stream.read_to_end(&mut Vec::new())).await.expect("closed");
    scene.until_withdrawn().await;
    let _x = xvnc(&scene.socket());
    let third = scene.published(None).await;
    let mut stream = connect(&servers, third);
    within("a third handshake", handshake(&mut stream)).await;

    // The host's process is killed: only the kernel speaks.
    servers.lock().expect("the lock").last().expect("a server").client_was_killed();
    std::mem::forget(stream);
    let fourth = scene.published(Some(third)).await;
    assert_ne!(fourth, third);
    stop.cancel();
    within("the agent", agent).await.expect("no panic");
    scene.until_withdrawn().await;
}

#[tokio::test]
async fn display_that_goes_before_anybody_came_is_withdrawn() {
    let scene = Scene::new().await;
    let x = xvnc(&scene.socket());
    let (_servers, stop, agent) = scene.agent(Layer { via: Some(Via::Vchan), ..Layer::default() });
    scene.published(None).await;
    drop(x);
    scene.until_withdrawn().await;
    stop.cancel();
    within("the agent", agent).await.expect("no panic");
}

#[tokio::test]
async fn restored_guest_makes_a_new_server_in_its_new_home() {
    let scene = Scene::new().await;
    let _x = xvnc(&scene.socket());
    let (servers, stop, agent) = scene.agent(Layer { via: Some(Via::Vchan), ..Layer::default() });
    let first = scene.published(None).await;
    let mut stream = connect(&servers, first);
    within("the handshake", handshake(&mut stream)).await;
    // What a restore looks like from inside: the watch on the own number fires, whatever the number is.
    scene.store.write(&format!("{HOME}/domid"), b"0").await.expect("domid");
    within("the end of the old stream", stream.read_to_end(&mut Vec::new())).await.expect("closed");
    let second = scene.published(Some(first)).await;
    let mut stream = connect(&servers, second);
    within("the handshake", handshake(&mut stream)).await;
    stop.cancel();
    within("the agent", agent).await.expect("no panic");
}

#[tokio::test]
async fn without_vchan_devices_auto_goes_by_tcp() {
    let scene = Scene::new().await;
    let _xvnc = xvnc(&scene.socket());
    scene.offer("t").await;
    let file = scene.directory.path().join("guest.toml");
    std::fs::write(&file, format!("server = {:?}", scene.server())).expect("a file");
    let layer = Layer { xvnc: XvncLayer::default(), ..Layer::default() };
    let config = GuestConfig::load(Some(&file), layer).expect("a configuration");
    let listen: Listen = Box::new(|_, _| {
        Err(VchanError::System {
            action: "open /dev/xen/gntalloc".to_owned(),
            source: std::io::ErrorKind::NotFound.into(),
        })
    });
    let stop = CancellationToken::new();
    let agent = tokio::spawn(Agent::new(config, scene.xenstored.address(), listen, stop.clone()).run());
    let (mut stream, preamble) = scene.accept().await;
    assert_eq!(preamble, padded("t"));
    within("the handshake", handshake(&mut stream)).await;
    stop.cancel();
    within("the agent", agent).await.expect("no panic");
}

/// A host that refuses, for as long as it likes, on a clock that jumps whenever nothing is to be done.
#[tokio::test(start_paused = true)]
async fn attempts_go_on_for_ever_with_pauses_of_1_to_60_seconds() {
    let directory = tempfile::tempdir().expect("a directory");
    let display = tokio::net::UnixListener::bind(directory.path().join("x.sock")).expect("a display");
    let held = tokio::spawn(async move {
        let mut streams = Vec::new();
        while let Ok((stream, _)) = display.accept().await {
            streams.push(stream);
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let token = directory.path().join("token");
    let file = directory.path().join("guest.toml");
    let text = format!(
        "via = \"tcp\"\nserver = \"unix:{0}/x.sock\"\nhost = \"{1}\"\ntoken_file = {token:?}\n",
        directory.path().display(),
        listener.local_addr().expect("an address"),
    );
    std::fs::write(&file, text).expect("a file");
    std::fs::write(&token, "0").expect("a token");
    let config = GuestConfig::load(Some(&file), Layer::default()).expect("a configuration");
    let stop = CancellationToken::new();
    let listen: Listen = Box::new(|_, _| panic!("no vchan was asked for"));
    let agent = Agent::new(config, xenvnc::xen::store::Address::Find, listen, stop.clone());
    let agent = tokio::spawn(agent.run());

    let mut pauses = Vec::new();
    let mut last = None;
    let mut refuse = async |attempt: usize| {
        let (mut stream, _) = listener.accept().await.expect("an attempt");
        let now = tokio::time::Instant::now();
        let mut preamble = [0; PREAMBLE_BYTES];
        stream.read_exact(&mut preamble).await.expect("a preamble");
        assert_eq!(preamble.to_vec(), padded(&attempt.to_string()), "the token as it is now");
        std::fs::write(&token, (attempt + 1).to_string()).expect("a token");
        let pause = last.replace(now).map(|last| now - last);
        (stream, pause)
    };
    for attempt in 0..40 {
        pauses.extend(refuse(attempt).await.1);
    }
    for (index, pause) in pauses.iter().enumerate() {
        let most = (1u64 << (index + 1).min(6)).min(60);
        // What the real part of the time adds is far below a second.
        let allowed = Duration::from_millis(999)..Duration::from_secs(most + 2);
        assert!(allowed.contains(pause), "pause {index}: {pause:?}, at most {most} s; all: {pauses:?}");
    }
    assert!(pauses.iter().any(|pause| *pause > Duration::from_secs(20)), "they grow: {pauses:?}");
    assert!(pauses.iter().any(|pause| *pause < Duration::from_secs(20)), "and differ: {pauses:?}");

    // A host that talks is a success: after it goes, the next attempt comes soon.
    let (mut stream, _) = refuse(40).await;
    stream.write_all(b"RFB 003.008\n").await.expect("a word");
    stream.flush().await.expect("flushed");
    stream.shutdown().await.expect("and the end");
    drop(stream);
    let (_stream, pause) = refuse(41).await;
    assert!(pause.expect("a pause") < Duration::from_secs(3), "{pause:?}");
    stop.cancel();
    agent.await.expect("no panic");
    held.abort();
}

/// A splice without traffic makes no system call at all.
#[tokio::test]
async fn idle_display_costs_the_guest_nothing() {
    let scene = Scene::new().await;
    let _xvnc = xvnc(&scene.socket());
    scene.offer("t").await;
    let program = scene.program(&["--via", "tcp"]);
    let (mut stream, _) = scene.accept().await;
    within("the handshake", handshake(&mut stream)).await;
    let wakes = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", program.0.id())).expect("its status");
        let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).expect("a count");
        line.split_whitespace().nth(1).expect("a number").parse::<u64>().expect("a number")
    };
    // It goes to sleep some time after its last byte.
    eventually("it to settle", || async {
        let before = wakes();
        tokio::time::sleep(Duration::from_millis(300)).await;
        (wakes() == before).then_some(())
    })
    .await;
    let (before, start) = (wakes(), Instant::now());
    while start.elapsed() < Duration::from_secs(2) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(wakes(), before, "nothing wakes it");
}

#[test]
fn wrong_configuration_ends_with_status_2_before_anything_is_opened() {
    for arguments in [
        &["--via", "pigeon"][..],
        &["--number", "5"],
        &["--server", "192.0.2.1:5900"],
        &["--host", "10.0.0.1:5500"],
        &["--config", "/nonexistent/guest.toml"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_xenvnc"))
            .arg("guest")
            .args(arguments)
            .output()
            .expect("the program");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert!(!output.stderr.is_empty());
    }
}
