//! A daemon killed for real while a guest prints without pause, interposed on xenconsoled's pty.
//!
//! What is read from a pty is gone from it, so that a kill between the read and the history would lose it; the page of
//! [`InFlight`] keeps it. The promise is the same as in own mode: every byte once.

#![expect(clippy::expect_used, reason = "the helpers of tests may fail as tests do")]

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use xenvnc::daemon::history_file::HistoryFile;
use xenvnc::xen::console::{Console, ConsoleEvent, InFlight, PtyFactory};

const PATIENCE: Duration = Duration::from_secs(60);
const UUID: &str = "6f3a1c52-0b1e-4c58-9d0e-7a4c2b9f1e00";
const SEGMENT_BYTES: u64 = 64 << 20;
const KILLS: u32 = 8;
const LINES: u32 = 200_000;

/// Says in the environment of the process to be killed where it works and what its upstream is.
const CHILD: &str = "XENVNC_TEST_KILLED_CHILD";

/// Not a test of its own: the process that the test below kills.
#[test]
fn child() {
    let Ok(work) = std::env::var(CHILD) else { return };
    let (runtime, upstream) = work.split_once('\n').expect("two paths");
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    tokio.block_on(async {
        let mut history = HistoryFile::open(Path::new(runtime), UUID, SEGMENT_BYTES).expect("a history");
        let factory = PtyFactory::new(Path::new(runtime)).expect("ptys");
        let mut console = Console::interpose(Path::new(upstream), &factory, 1).expect("a console");
        let (page, left) =
            InFlight::open(&Path::new(runtime).join("in-flight"), history.mark()).expect("a page");
        history.append(None, &left).expect("append");
        console.keep_in_flight(page);
        console.recorded(history.mark());
        let mut out = Vec::new();
        loop {
            out.clear();
            match console.next(&mut out).await {
                ConsoleEvent::Output(position) => history.append(position, &out).expect("append"),
                ConsoleEvent::Room => {}
                ConsoleEvent::UpstreamGone | ConsoleEvent::Closed => return,
            }
            console.recorded(history.mark());
        }
    });
}

fn start(runtime: &Path, upstream: &Path) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "child"])
        .env(CHILD, format!("{}\n{}", runtime.display(), upstream.display()))
        .stdout(Stdio::null())
        .spawn()
        .expect("the child")
}

/// Waits until the history has so many bytes.
fn wait_for_history(segment: &Path, bytes: u64) {
    let end = Instant::now() + PATIENCE;
    while fs::metadata(segment).map_or(0, |found| found.len()) < bytes {
        assert!(Instant::now() < end, "the history does not grow to {bytes} bytes");
        std::thread::yield_now();
    }
}

#[test]
fn kill_neither_loses_nor_doubles_a_byte() {
    let runtime = tempfile::tempdir().expect("a directory");
    let pty = nix::pty::openpty(None, None).expect("a pty");
    for end in [pty.master.as_fd(), pty.slave.as_fd()] {
        // The child must not keep the pty of its own upstream open.
        fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).expect("close on exec");
    }
    let mut settings = tcgetattr(pty.slave.as_fd()).expect("a terminal");
    cfmakeraw(&mut settings);
    tcsetattr(pty.slave.as_fd(), SetArg::TCSANOW, &settings).expect("raw");
    let upstream: PathBuf = nix::unistd::ttyname(&pty.slave).expect("its name");

    let guest = std::thread::spawn(move || {
        let mut master = File::from(pty.master);
        for number in 0..LINES {
            // Held up, not failed, while nobody reads.
            master.write_all(format!("line {number:06}\n").as_bytes()).expect("write");
        }
        master
    });
    let segment = runtime.path().join(UUID).join("current");
    let mut child = start(runtime.path(), &upstream);
    for kill in 1..=KILLS {
        wait_for_history(&segment, u64::from(kill) * 100_000);
        child.kill().expect("kill");
        child.wait().expect("the child");
        child = start(runtime.path(), &upstream);
    }
    let master = guest.join().expect("the guest");
    // The last line marks the end, whatever was lost before.
    let last = format!("line {:06}\n", LINES - 1).into_bytes();
    let end = Instant::now() + PATIENCE;
    let recorded = loop {
        let bytes = fs::read(&segment).expect("the segment");
        if bytes.ends_with(&last) {
            break HistoryFile::open(runtime.path(), UUID, SEGMENT_BYTES).expect("a history");
        }
        assert!(Instant::now() < end, "the end does not come");
        std::thread::sleep(Duration::from_millis(5));
    };
    drop(master);
    let end = Instant::now() + PATIENCE;
    while child.try_wait().expect("the child").is_none() {
        assert!(Instant::now() < end, "the child does not end with its upstream");
        std::thread::sleep(Duration::from_millis(5));
    }
    // The last one ended in order and the killed ones' mounts are gone with its start.
    assert!(fs::read_dir(runtime.path().join("tty")).expect("a directory").next().is_none());

    let recorded: Vec<u8> = recorded.replay().expect("a replay").flat_map(|printed| printed.bytes).collect();
    let printed: Vec<u8> = (0..LINES).flat_map(|number| format!("line {number:06}\n").into_bytes()).collect();
    assert_eq!(recorded.len(), printed.len(), "bytes");
    assert!(recorded == printed);
}
