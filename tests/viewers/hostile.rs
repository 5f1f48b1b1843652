//! Viewers that break the rules, each in its own way, over a plain socket.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// Longer than the daemon's limit of 30 seconds for a handshake, by far.
const PATIENCE: Duration = Duration::from_secs(120);

const VERSION: &[u8] = b"RFB 003.008\n";

/// A connection on which the version line of the server has been read.
fn connect(port: u16) -> TcpStream {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
    let mut version = [0; 12];
    stream.read_exact(&mut version).expect("the server's version");
    assert_eq!(&version, VERSION);
    stream
}

/// A connection behind the handshake with no authentication (RFC 6143 §7.1 to §7.3).
pub(crate) fn ready(port: u16) -> TcpStream {
    let mut stream = connect(port);
    stream.write_all(VERSION).expect("our version");
    let types = read_counted(&mut stream);
    assert!(types.contains(&1), "the server does not offer None: {types:?}");
    stream.write_all(&[1]).expect("our choice");
    let mut result = [0; 4];
    stream.read_exact(&mut result).expect("the security result");
    assert_eq!(result, [0; 4]);
    stream.write_all(&[1]).expect("the shared flag");
    let mut init = [0; 24];
    stream.read_exact(&mut init).expect("ServerInit");
    let name = u32::from_be_bytes([init[20], init[21], init[22], init[23]]);
    let mut rest = vec![0; name as usize];
    stream.read_exact(&mut rest).expect("the name");
    stream
}

fn read_counted(stream: &mut TcpStream) -> Vec<u8> {
    let mut count = [0];
    stream.read_exact(&mut count).expect("a count");
    let mut bytes = vec![0; count[0].into()];
    stream.read_exact(&mut bytes).expect("what was counted");
    bytes
}

/// Waits until the server closes; fails when it never does.
fn await_end(mut stream: &TcpStream, who: &str) {
    let mut sink = [0; 4096];
    loop {
        match stream.read(&mut sink) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return,
            Err(error) => panic!("{who}: the server did not close: {error}"),
        }
    }
}

/// Something no VNC client says.
pub(crate) fn garbage(port: u16) {
    let mut stream = connect(port);
    let noise: Vec<u8> = (0..4096_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8 | 0x80).collect();
    // The server may have closed before all of it was sent.
    let _ = stream.write_all(&noise);
    await_end(&stream, "garbage");
}

/// A message type that does not exist, after a correct handshake.
pub(crate) fn unknown_message(port: u16) {
    let mut stream = ready(port);
    let _ = stream.write_all(&[77; 64]);
    await_end(&stream, "unknown message");
}

/// A choice of security type that was not offered.
pub(crate) fn unoffered_security(port: u16) {
    for choice in [0, 2, 5, 16, 19, 99, 255] {
        let mut stream = connect(port);
        stream.write_all(VERSION).expect("our version");
        assert!(!read_counted(&mut stream).contains(&choice), "{choice} was offered after all");
        stream.write_all(&[choice]).expect("our choice");
        let mut result = [0; 4];
        if stream.read_exact(&mut result).is_ok() {
            assert_ne!(result, [0; 4], "security type {choice} was not offered and was let in");
        }
        await_end(&stream, "unoffered security");
    }
}

/// Lengths of four gigabytes: cut text (RFC 6143 §7.5.6) and a list of encodings (§7.5.2).
pub(crate) fn lying_lengths(port: u16) {
    let mut stream = ready(port);
    let _ = stream.write_all(&[6, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, b'x', b'y']);
    await_end_or_idle(stream);
    let mut stream = ready(port);
    let _ = stream.write_all(&[2, 0, 0xff, 0xff, 0, 0, 0, 0]);
    await_end_or_idle(stream);
}

/// The server may close such a connection or wait for what was promised; what it must not do is take memory for it.
fn await_end_or_idle(mut stream: TcpStream) {
    stream.set_read_timeout(Some(Duration::from_millis(500))).expect("a time limit");
    let _ = stream.read(&mut [0; 64]);
}

/// Half a message, then the end of the connection.
pub(crate) fn half_message(port: u16) {
    for length in [1, 3, 5, 7] {
        let mut stream = ready(port);
        // KeyEvent, down, "x" (RFC 6143 §7.5.4), cut short.
        stream.write_all(&[4, 1, 0, 0, 0, 0, 0, b'x'][..length]).expect("a part");
    }
}

/// Connects and never says a word; never answers the question for a security type; never says ClientInit.
pub(crate) fn never_authenticates(port: u16) {
    let silent = connect(port);
    let mut undecided = connect(port);
    undecided.write_all(VERSION).expect("our version");
    let mut idle = connect(port);
    idle.write_all(VERSION).expect("our version");
    read_counted(&mut idle);
    idle.write_all(&[1]).expect("our choice");
    await_end(&silent, "silent");
    await_end(&undecided, "undecided");
    await_end(&idle, "no ClientInit");
}

/// Asks for more pictures than it will ever read. The connection must be kept open by the caller.
pub(crate) fn never_reads(port: u16) -> TcpStream {
    let mut stream = ready(port);
    let request = [3, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff];
    stream.set_write_timeout(Some(Duration::from_secs(1))).expect("a time limit");
    for _ in 0..10_000 {
        // The server may stop reading from a viewer that does not read.
        if stream.write_all(&request).is_err() {
            break;
        }
    }
    stream
}
