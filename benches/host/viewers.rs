//! What connected viewers cost: the daemon's memory with so many of them on one text console.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Instant;

use crate::guest::raw_pty;
use crate::host::Host;
use crate::process;
use crate::viewer::{RAW, TIGHT, Viewer, ZRLE};

/// How many viewers there are when the daemon is looked at; a seat has at most 32.
const COUNTS: [usize; 3] = [1, 10, 30];

pub(crate) fn run() {
    println!(
        "\nViewers: the daemon's memory (Pss, KiB) with viewers of a text console of 80x25, full of text that has scrolled,"
    );
    println!("minus that without them, divided by their number");
    println!(
        "{:<10} {:>10} {:>16} {:>16} {:>16}",
        "encoding", "none, KiB", "1, KiB each", "10, KiB each", "30, KiB each"
    );
    for (encoding, called) in [(ZRLE, "ZRLE"), (TIGHT, "Tight"), (RAW, "raw")] {
        let mut host = Host::new(&["console.mode=attach"]);
        host.quiet();
        host.start_daemon();
        let (mut master, _slave, tty) = raw_pty();
        host.add_domain_with_tty(7, "bench", &tty.display().to_string());
        host.await_port(7, Instant::now());
        let address = SocketAddr::from(([127, 0, 0, 1], host.published_port(7).expect("just published")));
        let mut print = |first: usize| {
            for line in first..first + 40 {
                let text = format!(
                    "[{line:5}.{:06}] systemd[1]: Started a service of number {line}.\r\n",
                    line * 7919 % 1_000_000
                );
                master.write_all(text.as_bytes()).expect("the daemon reads");
            }
        };
        print(0);
        // What the first viewer of all brings into being, fonts and tables, is not a viewer's cost.
        drop(watching(address, encoding));
        let empty = process::settled_pss(host.daemon_id());
        let mut viewers = Vec::new();
        let mut each = Vec::new();
        for count in COUNTS {
            while viewers.len() < count {
                viewers.push(watching(address, encoding));
            }
            // All streams are in use, and have seen more than one screen.
            for round in 1..4 {
                print(round * 40);
                for viewer in &mut viewers {
                    viewer.request(true).expect("a request");
                    viewer.update().expect("an update");
                }
            }
            let full = process::settled_pss(host.daemon_id());
            #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
            each.push(full.saturating_sub(empty) as f64 / count as f64);
        }
        println!("{called:<10} {empty:>10} {:>16.1} {:>16.1} {:>16.1}", each[0], each[1], each[2]);
    }
}

/// A viewer that has seen the whole screen.
fn watching(address: SocketAddr, encoding: i32) -> Viewer {
    let mut viewer = Viewer::connect(address, encoding).expect("a connection");
    viewer.request(false).expect("a request");
    viewer.update().expect("a picture");
    viewer
}
