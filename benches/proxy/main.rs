//! What lies between a viewer and a guest's display, measured: the server directly, through a byte splice (socat),
//! through x11vnc's reflector, and through the daemon; each case in one run, so that the ratios hold.
//!
//! Prints tables and asserts nothing about time. Run by `scripts/bench/proxy`, or with
//! `cargo bench --bench proxy -- [console] [full] [small] [echo] [scroll] [film] [three] [idle] [switch]`. Uses socat, x11vnc,
//! Xtigervnc, xterm and ffplay where they are installed.

#![expect(clippy::expect_used, reason = "a measurement may stop at the first thing that does not work")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is its purpose")]

#[path = "../../tests/common/mod.rs"]
mod common;
#[path = "../../tests/viewers/guest.rs"]
#[allow(dead_code, reason = "a part is used here")]
mod guest;
#[path = "../../tests/viewers/host.rs"]
#[allow(dead_code, reason = "a part is used here")]
mod host;

mod console;
mod paths;
mod source;
mod viewer;
mod xvnc;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use paths::Path;
use source::{Kind, Source};
use viewer::{RAW, TIGHT, Tally, Viewer, ZRLE};
use xvnc::{Shows, Xvnc};

const TIME: Duration = Duration::from_secs(3);
const RUNS: usize = 3;
/// Updates before a measurement begins.
const WARM_UP: usize = 10;

fn main() {
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|argument| argument == name);
    if is_wanted("console") {
        console::run();
    }
    if is_wanted("full") {
        let source = Source::start(Kind::Full);
        throughput("whole pictures of 1280x720, raw", source.address, RAW);
    }
    if is_wanted("small") {
        let source = Source::start(Kind::Small);
        throughput("one cell of 8x16 an update, raw", source.address, RAW);
    }
    if is_wanted("echo") {
        echo();
    }
    for (name, shows, title) in [
        ("scroll", Shows::Scroll, "a log that scrolls through a screen of 1280x800 in Xvnc"),
        ("film", Shows::Film, "a film of 640x480 at 30/s in Xvnc"),
    ] {
        if is_wanted(name)
            && let Some(xvnc) = Xvnc::start("1280x800", shows)
        {
            for (encoding, called) in [(RAW, "raw"), (ZRLE, "ZRLE"), (TIGHT, "Tight")] {
                throughput(&format!("{title}, {called}"), xvnc.address, encoding);
            }
        }
    }
    if is_wanted("three") {
        three_viewers();
    }
    if is_wanted("idle") {
        idle();
    }
    if is_wanted("switch") {
        switch();
    }
}

/// All the ways to a server that this machine has.
fn ways(source: SocketAddr, encoding: i32) -> Vec<Box<dyn Fn() -> Option<Path>>> {
    let mut ways: Vec<Box<dyn Fn() -> Option<Path>>> = vec![
        Box::new(move || Some(Path::direct(source))),
        Box::new(move || Path::socat(source)),
        Box::new(move || Path::x11vnc(source)),
        Box::new(move || Some(Path::ours(source))),
    ];
    if encoding != RAW {
        ways.push(Box::new(move || Some(Path::relayed(source))));
    }
    ways
}

fn run(path: &Path, encoding: i32) -> io::Result<(Tally, Duration)> {
    let mut viewer = Viewer::connect(path.address, encoding)?;
    viewer.request(false)?;
    viewer.update()?;
    for _ in 0..WARM_UP {
        viewer.request(true)?;
        viewer.update()?;
    }
    let before = path.cpu();
    let tally = viewer.run(TIME)?;
    Ok((tally, path.cpu().saturating_sub(before)))
}

/// How much passes, and what it costs in between.
fn throughput(title: &str, source: SocketAddr, encoding: i32) {
    println!("\n{title}: medians of {RUNS} runs of {} s", TIME.as_secs());
    println!(
        "{:<16} {:>10} {:>10} {:>10} {:>12} {:>12} {:>11} {:>11}",
        "way", "updates/s", "MB/s", "Mpixel/s", "CPU ms/MB", "CPU us/upd", "rate/socat", "CPU/socat"
    );
    let mut socat: Option<(f64, f64)> = None;
    for way in ways(source, encoding) {
        let mut rows = Vec::new();
        for _ in 0..RUNS {
            // A splice serves one connection.
            let Some(path) = way() else { continue };
            match run(&path, encoding) {
                Ok(row) => rows.push((path.name, row)),
                Err(error) => println!("{:<16} failed: {error}", path.name),
            }
        }
        rows.sort_by(|(_, (a, _)), (_, (b, _))| rate(a).total_cmp(&rate(b)));
        let Some((name, (tally, cpu))) = rows.get(rows.len() / 2) else { continue };
        let mb = tally.bytes as f64 / 1e6;
        let per_mb = cpu.as_secs_f64() * 1e3 / mb;
        if *name == "socat" {
            socat = Some((rate(tally), per_mb));
        }
        let ratio =
            |value: f64, of: Option<f64>| of.map_or_else(String::new, |of| format!("{:.2}", value / of));
        println!(
            "{name:<16} {:>10.1} {:>10.2} {:>10.2} {per_mb:>12.3} {:>12.1} {:>11} {:>11}",
            rate(tally),
            mb / tally.time.as_secs_f64(),
            tally.pixels as f64 / 1e6 / tally.time.as_secs_f64(),
            cpu.as_secs_f64() * 1e6 / tally.updates as f64,
            ratio(rate(tally), socat.map(|(rate, _)| rate)),
            ratio(per_mb, socat.map(|(_, cpu)| cpu)),
        );
    }
}

fn rate(tally: &Tally) -> f64 {
    tally.updates as f64 / tally.time.as_secs_f64()
}

/// From a key to the pixels that answer it.
fn echo() {
    const KEYS: usize = 400;
    let source = Source::start(Kind::Echo);
    println!("\nFrom a key to its pixels, a server that answers at once: {KEYS} keys each");
    println!("{:<16} {:>12} {:>10} {:>18}", "way", "median, us", "p99, us", "more than direct");
    let mut direct = None;
    for way in ways(source.address, RAW) {
        let Some(path) = way() else { continue };
        let result = (|| {
            let mut viewer = Viewer::connect(path.address, RAW)?;
            viewer.request(false)?;
            viewer.update()?;
            let mut times = Vec::new();
            for n in 0..KEYS + 20 {
                viewer.request(true)?;
                thread::sleep(Duration::from_millis(5));
                let start = Instant::now();
                viewer.key(0x61)?;
                viewer.update()?;
                if n >= 20 {
                    times.push(start.elapsed());
                }
            }
            times.sort_unstable();
            io::Result::Ok((times[KEYS / 2], times[KEYS * 99 / 100]))
        })();
        match result {
            Ok((median, p99)) => {
                let direct = *direct.get_or_insert(median);
                println!(
                    "{:<16} {:>12} {:>10} {:>18}",
                    path.name,
                    median.as_micros(),
                    p99.as_micros(),
                    median.saturating_sub(direct).as_micros()
                );
            }
            Err(error) => println!("{:<16} failed: {error}", path.name),
        }
    }
}

/// What a server pays for three viewers.
fn three_viewers() {
    let Some(xvnc) = Xvnc::start("1280x800", Shows::Scroll) else { return };
    println!("\nOne and three viewers (ZRLE) of a log that scrolls in Xvnc, {} s", TIME.as_secs());
    println!(
        "{:<16} {:>8} {:>16} {:>20} {:>18}",
        "way", "viewers", "first's upd/s", "Xvnc's CPU, ms", "proxy's CPU, ms"
    );
    for name in ["direct", "x11vnc", "ours"] {
        for viewers in [1, 3] {
            let path = match name {
                "direct" => Some(Path::direct(xvnc.address)),
                "x11vnc" => Path::x11vnc(xvnc.address),
                _ => Some(Path::ours(xvnc.address)),
            };
            let Some(path) = path else { continue };
            let address = path.address;
            let (source, between) = (xvnc.cpu(), path.cpu());
            let run = move || {
                let mut viewer = Viewer::connect(address, ZRLE)?;
                viewer.request(false)?;
                viewer.update()?;
                viewer.run(TIME)
            };
            let threads: Vec<_> = (0..viewers).map(|_| thread::spawn(run)).collect();
            let tallies: Vec<_> =
                threads.into_iter().map(|thread| thread.join().expect("a viewer")).collect();
            match &tallies[0] {
                Ok(first) => println!(
                    "{:<16} {viewers:>8} {:>16.1} {:>20} {:>18}",
                    path.name,
                    rate(first),
                    (xvnc.cpu() - source).as_millis(),
                    (path.cpu() - between).as_millis()
                ),
                Err(error) => println!("{:<16} {viewers:>8} failed: {error}", path.name),
            }
        }
    }
}

/// What a display costs that redraws all the time and that nobody looks at.
fn idle() {
    let source = Source::start(Kind::Full);
    let path = Path::ours(source.address);
    let mut viewer = Viewer::connect(path.address, RAW).expect("a viewer");
    viewer.request(false).and_then(|()| viewer.update()).expect("a picture");
    viewer.run(Duration::from_secs(1)).expect("pictures");
    drop(viewer);
    thread::sleep(Duration::from_secs(2));
    let (cpu, asked) = (path.cpu(), source.requests.load(Ordering::Relaxed));
    thread::sleep(Duration::from_secs(10));
    println!("\nA display that always has something new, in 10 s without a viewer (it has had one):");
    println!(
        "updates asked for: {}; the daemon's CPU: {} us",
        source.requests.load(Ordering::Relaxed) - asked,
        (path.cpu() - cpu).as_micros()
    );
}

/// From a chord to the last byte of the first whole picture, between the console and a display of 1280x800.
fn switch() {
    const SWITCHES: usize = 60;
    let Some(xvnc) = Xvnc::start("1280x800", Shows::Scroll) else { return };
    println!(
        "\nFrom Ctrl-Alt-Fn to the whole picture of the other VT, {SWITCHES} switches each way, 1280x800"
    );
    println!("{:<10} {:<12} {:>12} {:>10}", "encoding", "to", "median, ms", "p99, ms");
    for (encoding, called) in [(RAW, "raw"), (ZRLE, "ZRLE"), (TIGHT, "Tight")] {
        let path = Path::ours(xvnc.address);
        let mut viewer = Viewer::connect(path.address, encoding).expect("a viewer");
        viewer.request(false).and_then(|()| viewer.update()).expect("a picture");
        let mut times = [Vec::new(), Vec::new()];
        for n in 0..SWITCHES * 2 {
            let key = if n % 2 == 0 { 1 } else { 7 };
            let start = Instant::now();
            viewer.request(true).and_then(|()| viewer.chord(key)).expect("a viewer");
            // What was under way of the old one, then the new size, then the picture, each on a request.
            loop {
                let pixels = viewer.update().expect("an update");
                let size = (viewer.width, viewer.height);
                if is_of(size, key) && pixels >= u64::from(size.0) * u64::from(size.1) {
                    break;
                }
                viewer.request(true).expect("a viewer");
            }
            times[usize::from(n % 2 == 1)].push(start.elapsed());
            thread::sleep(Duration::from_millis(100));
        }
        for (times, to) in times.iter_mut().zip(["console", "display"]) {
            times.sort_unstable();
            let ms = |time: Duration| time.as_secs_f64() * 1e3;
            println!(
                "{called:<10} {to:<12} {:>12.2} {:>10.2}",
                ms(times[times.len() / 2]),
                ms(times[times.len() * 99 / 100])
            );
        }
    }
}

/// Whether a framebuffer of this size is that of the VT.
fn is_of(size: (u16, u16), vt: u32) -> bool {
    (size == (1280, 800)) == (vt == 7)
}
