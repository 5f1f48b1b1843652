//! How fast a console's output is taken, against a plain reader of the same pty.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::guest::raw_pty;
use crate::host::{Host, eventually};
use crate::process::Usage;

const RUNS: usize = 25;
const DOMID: u16 = 7;

/// What xenconsoled writes at once at most, in bytes: a console ring's size (`xen/include/public/io/console.h`).
const RING_BYTES: usize = 2048;

/// Gets rid of `seq 1 200000` through the master of a pty, again and again, with different readers on its slave; a run
/// ends when the writer has got rid of the last byte. What still waits in the pty then, up to 64 KiB, is left out alike
/// for all.
pub(crate) fn run() {
    let output = seq();
    // Its lines end in a line feed alone here: there is no guest's terminal between.
    through("the program seq itself", output.len() - 200_000, |master| {
        let output = Stdio::from(master.try_clone().expect("another handle of the pty"));
        let status = Command::new("seq").args(["1", "200000"]).stdout(output).status().expect("seq");
        assert!(status.success(), "{status}");
    });
    through("pieces of a console ring's size, as xenconsoled writes them", output.len(), |master| {
        output.chunks(RING_BYTES).for_each(|piece| master.write_all(piece).expect("the pty"));
    });
    through("one write: more at once than any console can", output.len(), |master| {
        master.write_all(&output).expect("the pty");
    });
}

fn through(how: &str, bytes: usize, write: impl Fn(&mut File)) {
    println!("\nDrain: the output of `seq 1 200000`, written by {how}");
    println!("{:<32} {:>12} {:>12} {:>8}", "reader", "median, MB/s", "best, MB/s", "ratio");
    for mode in ["attach", "interpose"] {
        // The history file is part of the daily road, so it stays on.
        let mut host = Host::new(&[&format!("console.mode={mode}")]);
        host.quiet();
        host.start_daemon();
        let (mut master, _slave, tty) = raw_pty();

        let plain = plain_reader(&tty, || rates(&mut master, bytes, &write));
        line("plain reader (cat)", &plain, &plain);

        host.add_domain_with_tty(DOMID, "seq", &tty.display().to_string());
        host.await_port(DOMID, Instant::now());
        eventually("the console's adoption", || {
            master.write_all(b"\r\nready\r\n").expect("the pty");
            if host.history("seq").contains("ready") { Ok(()) } else { Err(host.log()) }
        });
        let daemon = host.daemon_id();
        let before = Usage::of(daemon).cpu_ms;
        let alone = rates(&mut master, bytes, &write);
        line(&format!("daemon, {mode}, no viewer"), &alone, &plain);
        cpu(Usage::of(daemon).cpu_ms - before, bytes);

        let port = host.published_port(DOMID).expect("a port");
        let viewer = Viewer::connect(port);
        let before = Usage::of(daemon).cpu_ms;
        let watched = rates(&mut master, bytes, &write);
        line(&format!("daemon, {mode}, one viewer"), &watched, &plain);
        cpu(Usage::of(daemon).cpu_ms - before, bytes);
        println!("{:<32} {:>12} updates", "  which got", viewer.updates());
    }
}

/// What `seq 1 200000` prints on a guest's terminal, which makes a carriage return and a line feed of each line's end.
fn seq() -> Vec<u8> {
    (1..=200_000).flat_map(|number| format!("{number}\r\n").into_bytes()).collect()
}

/// The rates of all runs in MB/s, slowest first.
fn rates(master: &mut File, bytes: usize, write: &impl Fn(&mut File)) -> Vec<f64> {
    let mut rates: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            write(master);
            bytes as f64 / start.elapsed().as_secs_f64() / 1e6
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    rates
}

fn line(who: &str, rates: &[f64], plain: &[f64]) {
    let median = |rates: &[f64]| rates[rates.len() / 2];
    let best = rates.last().copied().unwrap_or_default();
    println!("{who:<32} {:>12.1} {best:>12.1} {:>8.2}", median(rates), median(rates) / median(plain));
}

/// The daemon's own CPU time for what all runs wrote, the kernel's part of it included.
fn cpu(ms: u64, bytes: usize) {
    println!("{:<32} {:>12.1} ms of CPU a MB", "  which took", ms as f64 / (RUNS * bytes) as f64 * 1e6);
}

/// Runs `body` while another process reads the pty and throws everything away.
fn plain_reader<T>(tty: &Path, body: impl FnOnce() -> T) -> T {
    let slave = File::open(tty).expect("the pty");
    let mut reader = Command::new("cat").stdin(slave).stdout(Stdio::null()).spawn().expect("cat");
    let result = body();
    // The last bytes: else the daemon would find them.
    thread::sleep(Duration::from_millis(200));
    reader.kill().expect("the reader's end");
    reader.wait().expect("the reader's end");
    result
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
