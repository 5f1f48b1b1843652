//! A server whose pictures cost nothing: raw pixels that are ready before they are asked for.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

pub(crate) const WIDTH: u16 = 1280;
pub(crate) const HEIGHT: u16 = 720;

/// What it sends for each request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The whole picture.
    Full,
    /// One cell of 8 by 16 pixels.
    Small,
    /// One cell for each key that is pressed, and nothing else.
    Echo,
}

/// A running server; it listens until the process ends.
pub(crate) struct Source {
    pub(crate) address: SocketAddr,
    /// How many updates were asked for, over all connections.
    pub(crate) requests: Arc<AtomicU64>,
}

impl Source {
    pub(crate) fn start(kind: Kind) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let requests = Arc::new(AtomicU64::new(0));
        let counter = requests.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let counter = counter.clone();
                // A viewer that leaves is no failure.
                thread::spawn(move || drop(serve(stream, kind, &counter)));
            }
        });
        Self { address, requests }
    }
}

fn rect(x: u16, y: u16, width: u16, height: u16, salt: u8) -> Vec<u8> {
    let mut out = vec![0, 0, 0, 1];
    for value in [x, y, width, height] {
        out.extend(value.to_be_bytes());
    }
    out.extend([0; 4]);
    for n in 0..usize::from(width) * usize::from(height) {
        let [low, high, ..] = n.to_le_bytes();
        out.extend([low, high, salt, 0]);
    }
    out
}

fn serve(mut stream: TcpStream, kind: Kind, counter: &AtomicU64) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.write_all(b"RFB 003.008\n")?;
    read(&mut stream, 12)?;
    stream.write_all(&[1, 1])?;
    read(&mut stream, 1)?;
    stream.write_all(&[0; 4])?;
    read(&mut stream, 1)?;
    let mut init = Vec::new();
    init.extend(WIDTH.to_be_bytes());
    init.extend(HEIGHT.to_be_bytes());
    init.extend([32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0, 0, 0, 0, 5]);
    init.extend(b"bench");
    stream.write_all(&init)?;
    let full = [rect(0, 0, WIDTH, HEIGHT, 1), rect(0, 0, WIDTH, HEIGHT, 2)];
    let small = [rect(80, 160, 8, 16, 3), rect(80, 160, 8, 16, 4)];
    let (mut sent, mut asked, mut keys) = (0_usize, false, 0_usize);
    loop {
        let mut head = [0; 1];
        stream.read_exact(&mut head)?;
        match head[0] {
            0 => drop(read(&mut stream, 19)?),
            2 => {
                let count = read(&mut stream, 3)?;
                read(&mut stream, 4 * usize::from(u16::from_be_bytes([count[1], count[2]])))?;
            }
            3 => {
                let incremental = read(&mut stream, 9)?[0] != 0;
                counter.fetch_add(1, Ordering::Relaxed);
                if incremental {
                    asked = true;
                } else {
                    stream.write_all(&full[0])?;
                }
            }
            4 => keys += usize::from(read(&mut stream, 7)?[0] != 0),
            5 => drop(read(&mut stream, 5)?),
            6 => {
                let head = read(&mut stream, 7)?;
                let length = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
                read(&mut stream, length as usize)?;
            }
            150 => drop(read(&mut stream, 9)?),
            248 => {
                let head = read(&mut stream, 8)?;
                read(&mut stream, usize::from(head[7]))?;
            }
            251 => {
                let head = read(&mut stream, 7)?;
                read(&mut stream, 16 * usize::from(head[5]))?;
            }
            255 => drop(read(&mut stream, 11)?),
            other => return Err(io::Error::other(format!("message {other}"))),
        }
        let due = asked && (kind != Kind::Echo || keys > 0);
        if due {
            let pictures = if kind == Kind::Full { &full } else { &small };
            stream.write_all(&pictures[sent % 2])?;
            sent += 1;
            keys = keys.saturating_sub(1);
            asked = false;
        }
    }
}

fn read(stream: &mut TcpStream, count: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}
