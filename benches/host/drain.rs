//! How fast a console's output is taken, against a plain reader of the same pty.

use std::fs::File;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::guest::raw_pty;
use crate::host::{Host, eventually};
use crate::process::Usage;
use crate::streams;

const RUNS: usize = 25;
const DOMID: u16 = 7;

/// What xenconsoled writes at once at most, in bytes: a console ring's size (`xen/include/public/io/console.h`).
const RING_BYTES: usize = 2048;

/// Gets rid of output through the masters of two ptys by turns, one with `cat` on its slave, one with the daemon; a run
/// ends when the writer has got rid of the last byte. What still waits in the pty then, up to 64 KiB, is left out alike
/// for both.
pub(crate) fn run() {
    let boot_log = streams::boot_log();
    through(
        "A boot log in pieces of a console ring's size, as xenconsoled writes",
        boot_log.len(),
        |master| {
            boot_log.chunks(RING_BYTES).for_each(|piece| master.write_all(piece).expect("the pty"));
        },
    );
    // About 15,000 lines.
    let few = &boot_log[..1 << 20];
    through("A boot log line by line, as a kernel writes it", few.len(), |master| {
        few.split_inclusive(|byte| *byte == b'\n').for_each(|line| master.write_all(line).expect("the pty"));
    });
    let output = seq();
    // Its lines end in a line feed alone here: there is no guest's terminal between.
    through("`seq 1 200000`, the program itself, line by line", output.len() - 200_000, |master| {
        let output = Stdio::from(master.try_clone().expect("another handle of the pty"));
        let status = Command::new("seq").args(["1", "200000"]).stdout(output).status().expect("seq");
        assert!(status.success(), "{status}");
    });
    through("What that prints, in pieces of a console ring's size", output.len(), |master| {
        output.chunks(RING_BYTES).for_each(|piece| master.write_all(piece).expect("the pty"));
    });
    through("The same in one write: more at once than any console can", output.len(), |master| {
        master.write_all(&output).expect("the pty");
    });
}

fn through(what: &str, bytes: usize, write: impl Fn(&mut File)) {
    println!("\nDrain: {what}");
    println!(
        "{:<32} {:>12} {:>12} {:>8} {:>12}",
        "reader", "median, MB/s", "best, MB/s", "ratio", "CPU, ms/MB"
    );
    for mode in ["attach", "interpose"] {
        // The history file is part of the daily road, so it stays on, in memory as it is by default.
        let memory = tempfile::tempdir_in("/dev/shm").expect("a directory in memory");
        let history = format!("history.dir={}", memory.path().display());
        let mut host = Host::new(&[&format!("console.mode={mode}"), &history]);
        host.quiet();
        host.start_daemon();
        let (mut master, _slave, tty) = raw_pty();
        let mut plain = Plain::start();
        host.add_domain_with_tty(DOMID, "seq", &tty.display().to_string());
        host.await_port(DOMID, Instant::now());
        eventually("the console's adoption", || {
            master.write_all(b"\r\nready\r\n").expect("the pty");
            if host.history("seq").contains("ready") { Ok(()) } else { Err(host.log()) }
        });
        let mut compare = |viewer: &str| {
            let (daemon, cat) = (host.daemon_id(), plain.reader.id());
            let before = [cat, daemon].map(|process| Usage::of(process).cpu_ms);
            let mut rates: Vec<[f64; 2]> = (0..RUNS)
                .map(|_| [&mut plain.master, &mut master].map(|master| rate(master, bytes, &write)))
                .collect();
            let cpu = [cat, daemon].map(|process| Usage::of(process).cpu_ms);
            let ratio = median(&mut rates, |[plain, daemon]| daemon / plain);
            let of_each_mb = |who: usize| (cpu[who] - before[who]) as f64 / (RUNS * bytes) as f64 * 1e6;
            for (who, name, ratio) in
                [(0, "plain reader (cat)".to_owned(), 1.0), (1, format!("daemon, {mode}, {viewer}"), ratio)]
            {
                let middle = median(&mut rates, |rates| rates[who]);
                let best = rates.iter().map(|rates| rates[who]).fold(0.0, f64::max);
                println!("{name:<32} {middle:>12.1} {best:>12.1} {ratio:>8.2} {:>12.1}", of_each_mb(who));
            }
        };
        compare("no viewer");
        let viewer = Viewer::connect(host.published_port(DOMID).expect("a port"));
        compare("one viewer");
        println!("{:<32} {:>12} updates", "  which got", viewer.updates());
    }
}

/// What `seq 1 200000` prints on a guest's terminal, which makes a carriage return and a line feed of each line's end.
fn seq() -> Vec<u8> {
    (1..=200_000).flat_map(|number| format!("{number}\r\n").into_bytes()).collect()
}

/// How fast one run was, in MB/s.
fn rate(master: &mut File, bytes: usize, write: impl Fn(&mut File)) -> f64 {
    let start = Instant::now();
    write(master);
    bytes as f64 / start.elapsed().as_secs_f64() / 1e6
}

fn median<T>(runs: &mut [T], value: impl Fn(&T) -> f64) -> f64 {
    runs.sort_by(|a, b| value(a).total_cmp(&value(b)));
    runs.get(runs.len() / 2).map_or(0.0, value)
}

/// A pty whose other end a process reads and throws everything away.
struct Plain {
    master: File,
    reader: Child,
}

impl Plain {
    fn start() -> Self {
        let (master, _slave, tty) = raw_pty();
        let slave = File::open(tty).expect("the pty");
        let reader = Command::new("cat").stdin(slave).stdout(Stdio::null()).spawn().expect("cat");
        Self { master, reader }
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        let _ = self.reader.kill();
        let _ = self.reader.wait();
    }
}

/// A viewer that always has a request under way, and decodes what it gets (vnc-rs: we did not write it).
struct Viewer {
    updates: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Viewer {
    fn connect(port: u16) -> Self {
        let (updates, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, stopped) = (updates.clone(), stop.clone());
        let thread = thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(watch(port, &counted, &stopped));
        });
        let viewer = Self { updates, stop, thread: Some(thread) };
        eventually("the viewer's first update", || {
            if viewer.updates() > 0 { Ok(()) } else { Err("none yet".to_owned()) }
        });
        viewer
    }

    fn updates(&self) -> u64 {
        self.updates.load(Ordering::Relaxed)
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn watch(port: u16, updates: &AtomicU64, stop: &AtomicBool) {
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.expect("a connection");
    let client = vnc::VncConnector::new(stream)
        .set_auth_method(async { Ok(String::new()) })
        .add_encoding(vnc::VncEncoding::Zrle)
        .add_encoding(vnc::VncEncoding::CopyRect)
        .add_encoding(vnc::VncEncoding::Raw)
        .allow_shared(true)
        .set_pixel_format(vnc::PixelFormat::bgra())
        .build()
        .expect("a viewer")
        .try_start()
        .await
        .expect("a handshake")
        .finish()
        .expect("a viewer");
    while !stop.load(Ordering::Relaxed) {
        client.input(vnc::X11Event::Refresh).await.expect("a request");
        // Whatever has come; then the next request.
        while let Ok(Some(event)) = client.poll_event().await {
            if matches!(event, vnc::VncEvent::RawImage(..) | vnc::VncEvent::Copy(..)) {
                updates.fetch_add(1, Ordering::Relaxed);
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let _ = client.close().await;
}
