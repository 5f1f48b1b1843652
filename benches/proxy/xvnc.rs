//! A real server with something to show: TigerVNC's Xvnc, and an xterm in it that a log runs through.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::paths::{answers, cpu_of, free_port};

/// What its screen shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shows {
    /// A log that scrolls through the whole screen, about 400 KB/s of it.
    Scroll,
    /// A film of 640 by 480 pixels, 30 pictures a second.
    Film,
}

pub(crate) struct Xvnc {
    pub(crate) address: SocketAddr,
    server: Child,
    client: Child,
}

impl Drop for Xvnc {
    fn drop(&mut self) {
        for child in [&mut self.client, &mut self.server] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A program of this name on the search path.
fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|file| file.is_file())
}

impl Xvnc {
    /// `None`, with a word about it, when a program is not installed.
    pub(crate) fn start(size: &str, shows: Shows) -> Option<Self> {
        let client = if shows == Shows::Scroll { "xterm" } else { "ffplay" };
        for program in ["Xtigervnc", client] {
            if find(program).is_none() {
                println!("(left out: {program} is not installed)");
                return None;
            }
        }
        let port = free_port();
        let display = format!(":{}", 100 + port % 5000);
        let server = Command::new("Xtigervnc")
            .args([&display, "-geometry", size, "-depth", "24", "-SecurityTypes", "None", "-localhost"])
            .args(["-rfbport", &port.to_string(), "-FrameRate", "60", "-AlwaysShared"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let start = Instant::now();
        while !answers(address) {
            assert!(start.elapsed() < Duration::from_secs(30), "Xvnc does not listen");
            thread::sleep(Duration::from_millis(50));
        }
        let mut command = Command::new(client);
        match shows {
            Shows::Scroll => command.args(["-geometry", "210x60+0+0", "-e", "sh", "-c", LOG]),
            Shows::Film => command
                .args(["-loglevel", "quiet", "-noborder", "-left", "0", "-top", "0"])
                .args(["-f", "lavfi", "testsrc2=size=640x480:rate=30"]),
        };
        let client = command
            .env("DISPLAY", &display)
            .env("SDL_VIDEODRIVER", "x11")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        thread::sleep(Duration::from_secs(2));
        Some(Self { address, server, client })
    }

    /// The CPU time that the server has used.
    pub(crate) fn cpu(&self) -> Duration {
        cpu_of(self.server.id())
    }
}

/// Forty lines of a hundred characters a hundred times a second.
const LOG: &str = "i=0; while :; do i=$((i+1)); \
    seq -f \"[%10.0f] a line of a log that goes on and on, with numbers in it: $i and some more words to fill it up\" \
    $((i*40)) $((i*40+39)); sleep 0.01; done";
