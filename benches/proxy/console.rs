//! The console itself: from a key to its echo, and how long a new viewer waits for its first picture.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use crate::guest::raw_pty;
use crate::host::Host;
use crate::viewer::{RAW, TIGHT, Viewer, ZRLE};

const KEYS: usize = 400;
const VIEWERS: usize = 100;

/// A guest that gives back what is typed, like `cat`, behind a pty as xenconsoled would hold it.
pub(crate) fn run() {
    let mut host = Host::new(&["console.mode=attach"]);
    host.quiet();
    host.start_daemon();
    let (mut master, _slave, tty) = raw_pty();
    host.add_domain_with_tty(7, "bench", &tty.display().to_string());
    host.await_port(7, Instant::now());
    let address = SocketAddr::from(([127, 0, 0, 1], host.published_port(7).expect("just published")));
    thread::spawn(move || {
        let mut bytes = [0; 64];
        while let Ok(count @ 1..) = master.read(&mut bytes) {
            if master.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
    });
    println!(
        "\nA console of 80x25: from a key to its echo ({KEYS} keys), from connecting to the whole picture ({VIEWERS} times)"
    );
    println!(
        "{:<10} {:>16} {:>10} {:>22} {:>10}",
        "encoding", "echo median, us", "p99, us", "picture median, us", "p99, us"
    );
    for (encoding, called) in [(RAW, "raw"), (ZRLE, "ZRLE"), (TIGHT, "Tight")] {
        match (echo(address, encoding), first_picture(address, encoding)) {
            (Ok(echo), Ok(picture)) => println!(
                "{called:<10} {:>16} {:>10} {:>22} {:>10}",
                echo[0].as_micros(),
                echo[1].as_micros(),
                picture[0].as_micros(),
                picture[1].as_micros()
            ),
            (Err(error), _) | (_, Err(error)) => println!("{called:<10} failed: {error}"),
        }
    }
}

/// The median and the 99th percentile.
fn figures(mut times: Vec<Duration>) -> [Duration; 2] {
    times.sort_unstable();
    [times[times.len() / 2], times[times.len() * 99 / 100]]
}

fn echo(address: SocketAddr, encoding: i32) -> io::Result<[Duration; 2]> {
    let mut viewer = Viewer::connect(address, encoding)?;
    viewer.request(false)?;
    viewer.update()?;
    let mut times = Vec::new();
    for n in 0..KEYS + 20 {
        viewer.request(true)?;
        thread::sleep(Duration::from_millis(25));
        let start = Instant::now();
        viewer.key(0x61)?;
        viewer.update()?;
        if n >= 20 {
            times.push(start.elapsed());
        }
    }
    Ok(figures(times))
}

fn first_picture(address: SocketAddr, encoding: i32) -> io::Result<[Duration; 2]> {
    let mut times = Vec::new();
    for _ in 0..VIEWERS {
        let start = Instant::now();
        let mut viewer = Viewer::connect(address, encoding)?;
        viewer.request(false)?;
        let pixels = viewer.update()?;
        times.push(start.elapsed());
        if pixels < u64::from(viewer.width) * u64::from(viewer.height) {
            return Err(io::Error::other("not the whole picture"));
        }
    }
    Ok(figures(times))
}
