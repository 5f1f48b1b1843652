//! How fast a console is drained, against a plain reader of the same kind of pty in the same run.
//!
//! `cargo run --release --example console_drain [MIB] [ROUNDS]` prints one line a way of reading: the median rate and
//! its ratio to the plain reader's. The writer writes pieces of 2048 bytes, as xenconsoled does.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "a measurement has nobody to report to")]

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Instant;

use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use xenvnc::daemon::history_file::{DEFAULT_SEGMENT_BYTES, HistoryFile};
use xenvnc::xen::console::{Console, ConsoleEvent, InFlight, PtyFactory};

const PIECE: usize = 2048;

/// The ways of reading that are compared. The second program reads on a thread of its own.
#[derive(Debug, Clone, Copy)]
enum Way {
    Plain,
    Attach,
    Interpose,
    InterposeWithReader,
    InterposeWithHistory,
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<usize>().expect("a number"));
    let bytes = arguments.next().unwrap_or(64) * 1024 * 1024;
    let rounds = arguments.next().unwrap_or(5);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let ways = [Way::Plain, Way::Attach, Way::Interpose, Way::InterposeWithReader, Way::InterposeWithHistory];
    let mut rates = ways.map(|_| Vec::new());
    for _ in 0..rounds {
        for (way, rates) in ways.iter().zip(&mut rates) {
            rates.push(measure(*way, bytes, &runtime));
        }
    }
    let medians = rates.map(|mut rates| {
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    });
    for (way, median) in ways.iter().zip(medians) {
        println!("{:22} {median:7.1} MB/s  ratio {:.2}", format!("{way:?}"), median / medians[0]);
    }
}

/// Megabytes a second from the first byte written to the last one read.
fn measure(way: Way, bytes: usize, runtime: &tokio::runtime::Runtime) -> f64 {
    let pty = nix::pty::openpty(None, None).expect("a pty");
    let (mut master, slave) = (File::from(pty.master), pty.slave);
    let mut settings = tcgetattr(&slave).expect("a terminal");
    cfmakeraw(&mut settings);
    tcsetattr(&slave, SetArg::TCSANOW, &settings).expect("raw");
    let path = nix::unistd::ttyname(&slave).expect("its name");
    let start = Instant::now();
    let writer = std::thread::spawn(move || {
        let piece: Vec<u8> = (b' '..=b'~').cycle().take(PIECE).collect();
        for _ in 0..bytes / PIECE {
            master.write_all(&piece).expect("write");
        }
        master
    });
    match way {
        Way::Plain => plain(slave, bytes),
        _ => runtime.block_on(async { tokio::spawn(console(way, path, bytes)).await.expect("the task") }),
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = bytes as f64 / 1e6 / start.elapsed().as_secs_f64();
    drop(writer.join().expect("the writer"));
    rate
}

fn plain(slave: OwnedFd, bytes: usize) {
    let mut slave = File::from(slave);
    let (mut buffer, mut seen) = (vec![0; 65536], 0);
    while seen < bytes {
        seen += slave.read(&mut buffer).expect("read");
    }
}

async fn console(way: Way, path: impl AsRef<Path>, bytes: usize) {
    let directory = tempfile::tempdir().expect("a directory");
    let mut history =
        HistoryFile::open(directory.path(), "6f3a1c52-0b1e-4c58-9d0e-7a4c2b9f1e00", DEFAULT_SEGMENT_BYTES)
            .expect("a history");
    let factory = PtyFactory::new(directory.path()).expect("ptys");
    let mut console = match way {
        Way::Attach => Console::attach(path.as_ref()),
        _ => Console::interpose(path.as_ref(), &factory, 1),
    }
    .expect("a console");
    if let Way::InterposeWithReader = way {
        let mut tty = File::open(console.published_tty().expect("a tty")).expect("the published tty");
        std::thread::spawn(move || {
            let mut buffer = vec![0; 65536];
            while tty.read(&mut buffer).is_ok_and(|count| count > 0) {}
        });
    }
    if let Way::InterposeWithHistory = way {
        let (page, _) = InFlight::open(&directory.path().join("page"), 0).expect("a page");
        console.keep_in_flight(page);
    }
    let (mut out, mut seen) = (Vec::new(), 0);
    while seen < bytes {
        out.clear();
        let event = console.next(&mut out).await;
        if let (Way::InterposeWithHistory, ConsoleEvent::Output(position)) = (way, event) {
            history.append(position, &out).expect("append");
        }
        console.recorded(history.mark());
        seen += out.len();
    }
}
