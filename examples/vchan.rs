//! One end of a vchan, or of a TCP or Unix connection to compare it with, on a command line.
//!
//! ```text
//! vchan server PATH WHAT [TO_SERVER TO_CLIENT]   in a guest; PATH is below its home, the sizes are bytes
//! vchan client DOMID PATH WHAT                   in dom0
//! vchan tcp-server ADDR:PORT WHAT
//! vchan tcp-client ADDR:PORT WHAT
//! vchan unix-client PATH WHAT
//! ```
//!
//! WHAT is `pipe` (standard input and output), `echo` (back what comes), `source:BYTES` (waits for a byte, then sends so
//! many), `sink` (sends a byte, then reads to the end and prints how much and how fast) or `rfb:UPDATES` (asks an RFB server so
//! often for its whole screen in Raw, and prints the same). A server has one client, then it ends and takes its nodes away. A
//! client ends when the domain is gone.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "a measurement has nobody to report to")]

use std::time::Instant;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use xenvnc::xen::store::{Address, Store};
use xenvnc::xen::vchan::{RingSizes, VchanClient, VchanServer, publish, withdraw};
use xenvnc::xen::{Domid, paths};

/// Bytes moved at once.
const PIECE: usize = 256 * 1024;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["server", path, what, sizes @ ..] => server(path, what, sizes).await,
        ["client", domid, path, what] => client(domid.parse().expect("a domid"), path, what).await,
        ["tcp-server", address, what] => {
            let listener = TcpListener::bind(address).await.expect("an address to listen on");
            let (stream, _) = listener.accept().await.expect("a client");
            serve(stream, what).await;
        }
        ["tcp-client", address, what] => {
            serve(TcpStream::connect(address).await.expect("a server"), what).await;
        }
        ["unix-client", path, what] => {
            serve(UnixStream::connect(path).await.expect("a server"), what).await;
        }
        _ => panic!("see the comment at the head of this file"),
    }
    // A read of standard input that nobody waits for any more would hold the runtime's end.
    std::process::exit(0);
}

async fn server(path: &str, what: &str, sizes: &[&str]) {
    let sizes = match sizes {
        [] => RingSizes::DISPLAY,
        [to_server, to_client] => RingSizes::at_least(
            to_server.parse().expect("bytes of a ring"),
            to_client.parse().expect("bytes of a ring"),
        )
        .expect("sizes of rings"),
        _ => panic!("two sizes or none"),
    };
    let store = Store::connect(Address::from_option(None)).await.expect("xenstore");
    let own = store.own_domid().await.expect("our domid");
    let server = VchanServer::listen(Domid::ZERO, sizes).expect("a server");
    let directory = format!("/local/domain/{own}/{path}");
    publish(&store, &directory, own, Domid::ZERO, &server).await.expect("nodes");
    serve(server.accept().await.expect("a client"), what).await;
    withdraw(&store, &directory).await.expect("nodes removed");
}

async fn client(domid: Domid, path: &str, what: &str) {
    let store = Store::connect(Address::from_option(None)).await.expect("xenstore");
    let mut numbers = [0; 2];
    for (name, number) in ["ring-ref", "event-channel"].into_iter().zip(&mut numbers) {
        let value = store.read(&format!("/local/domain/{domid}/{path}/{name}")).await.expect("a node");
        *number = String::from_utf8_lossy(&value).trim_end_matches('\0').parse().expect("a number");
    }
    let stream = VchanClient::connect(domid, numbers[0], numbers[1]).expect("a client");
    tokio::select! {
        () = serve(stream, what) => {}
        // Nobody else says so, and what stays mapped keeps a domain from going.
        () = released(&store, domid) => println!("domain {domid} is gone"),
    }
}

/// Waits until xenstored has no home for the domain any more.
async fn released(store: &Store, domid: Domid) {
    let mut released = store.watch(paths::RELEASED).await.expect("a watch");
    while store.exists(&paths::home(domid)).await.expect("an answer") {
        released.next().await;
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, what: &str) {
    let mut buffer = vec![0; PIECE];
    match what.split_once(':').unwrap_or((what, "")) {
        ("pipe", _) => {
            let (mut from, mut to) = tokio::io::split(stream);
            let (mut input, mut output) = (tokio::io::stdin(), tokio::io::stdout());
            // The end of one side is the end of both: a vchan has no other.
            tokio::select! {
                _ = tokio::io::copy(&mut input, &mut to) => {}
                _ = tokio::io::copy(&mut from, &mut output) => {}
            }
            let _ = output.flush().await;
        }
        ("echo", _) => loop {
            let count = stream.read(&mut buffer).await.expect("bytes");
            if count == 0
                || stream.write_all(&buffer[..count]).await.is_err()
                || stream.flush().await.is_err()
            {
                return;
            }
        },
        ("source", bytes) => {
            let mut left: usize = bytes.parse().expect("bytes to send");
            stream.read_exact(&mut buffer[..1]).await.expect("the other end's start");
            while left > 0 {
                let count = left.min(PIECE);
                stream.write_all(&buffer[..count]).await.expect("the other end is there");
                left -= count;
            }
            stream.flush().await.expect("flushed");
        }
        ("sink", _) => {
            say(&mut stream, b"!").await;
            let (mut total, mut reads, start) = (0, 0, Instant::now());
            loop {
                match stream.read(&mut buffer).await.expect("bytes") {
                    0 => break,
                    count => total += count,
                }
                reads += 1;
            }
            let seconds = start.elapsed().as_secs_f64();
            println!("{total} bytes {:.3} MB/s {reads} reads", total as f64 / 1e6 / seconds);
        }
        ("rfb", updates) => screens(stream, updates.parse().expect("a number of updates")).await,
        _ => panic!("pipe, echo, source:BYTES, sink or rfb:UPDATES"),
    }
}

async fn say(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) {
    stream.write_all(bytes).await.expect("the other end is there");
    stream.flush().await.expect("the other end is there");
}

/// RFB 3.8 without authentication: whole screens in Raw, one behind the other.
async fn screens(mut stream: impl AsyncRead + AsyncWrite + Unpin, updates: usize) {
    let mut greeting = [0; 14];
    stream.read_exact(&mut greeting[..12]).await.expect("a version");
    say(&mut stream, b"RFB 003.008\n").await;
    stream.read_exact(&mut greeting[12..]).await.expect("security types");
    assert_eq!(greeting[12..], [1, 1], "no authentication");
    say(&mut stream, &[1]).await;
    stream.read_u32().await.expect("a result");
    say(&mut stream, &[1]).await;
    let size = (stream.read_u16().await.expect("width"), stream.read_u16().await.expect("height"));
    let mut format = [0; 16];
    stream.read_exact(&mut format).await.expect("a pixel format");
    let name = stream.read_u32().await.expect("a length") as usize;
    let mut buffer = vec![0; PIECE.max(name)];
    stream.read_exact(&mut buffer[..name]).await.expect("a name");
    say(&mut stream, &[2, 0, 0, 1, 0, 0, 0, 0]).await;
    let mut request = vec![3, 0, 0, 0, 0, 0];
    request.extend(size.0.to_be_bytes());
    request.extend(size.1.to_be_bytes());
    let (mut total, start) = (0, Instant::now());
    for _ in 0..updates {
        say(&mut stream, &request).await;
        let mut header = [0; 4];
        stream.read_exact(&mut header).await.expect("an update");
        assert_eq!(header[..2], [0, 0], "an update and nothing else");
        for _ in 0..u16::from_be_bytes([header[2], header[3]]) {
            let mut rectangle = [0; 12];
            stream.read_exact(&mut rectangle).await.expect("a rectangle");
            let side = |at: usize| usize::from(u16::from_be_bytes([rectangle[at], rectangle[at + 1]]));
            let mut left = side(4) * side(6) * usize::from(format[0] / 8);
            total += left;
            while left > 0 {
                let count = left.min(PIECE);
                stream.read_exact(&mut buffer[..count]).await.expect("pixels");
                left -= count;
            }
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{total} bytes {:.3} MB/s {updates} screens of {}x{}",
        total as f64 / 1e6 / seconds,
        size.0,
        size.1
    );
}
