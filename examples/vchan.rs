//! One end of a vchan, or of a TCP connection to compare it with, on a command line.
//!
//! ```text
//! vchan server PATH WHAT [TO_SERVER TO_CLIENT]   in a guest; PATH is below its home, the sizes are bytes
//! vchan client DOMID PATH WHAT                   in dom0
//! vchan tcp-server ADDR:PORT WHAT
//! vchan tcp-client ADDR:PORT WHAT
//! ```
//!
//! WHAT is `pipe` (standard input and output), `echo` (back what comes), `source:BYTES` (waits for a byte, then sends so
//! many) or `sink` (sends a byte, then reads to the end and prints how much and how fast). A server has one client, then it
//! ends and takes its nodes away.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "a measurement has nobody to report to")]

use std::time::Instant;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use xenvnc::xen::Domid;
use xenvnc::xen::store::{Address, Store};
use xenvnc::xen::vchan::{RingSizes, VchanClient, VchanServer, publish, withdraw};

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
        _ => panic!("see the comment at the head of this file"),
    }
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
    serve(VchanClient::connect(domid, numbers[0], numbers[1]).expect("a client"), what).await;
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, what: &str) {
    let mut buffer = vec![0; PIECE];
    match what.split_once(':').unwrap_or((what, "")) {
        ("pipe", _) => {
            let mut local = tokio::io::join(tokio::io::stdin(), tokio::io::stdout());
            // The other end may go as soon as it has what it wanted.
            let _ = tokio::io::copy_bidirectional(&mut stream, &mut local).await;
            let _ = local.flush().await;
        }
        ("echo", _) => loop {
            let count = stream.read(&mut buffer).await.expect("bytes");
            if count == 0 || stream.write_all(&buffer[..count]).await.is_err() {
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
            stream.write_all(b"!").await.expect("the other end is there");
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
        _ => panic!("pipe, echo, source:BYTES or sink"),
    }
}
