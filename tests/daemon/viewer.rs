//! A plain viewer without authentication (RFC 6143), over whatever is connected.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// A connection past ServerInit.
pub(crate) struct Viewer {
    stream: Box<dyn Stream>,
    pub(crate) name: String,
    pub(crate) size: (u16, u16),
}

impl Viewer {
    /// Connects to what `xenvnc list` calls an address: `ADDRESS:PORT` or a path.
    pub(crate) fn connect(address: &str) -> Self {
        if address.starts_with('/') {
            let stream = UnixStream::connect(address).expect("a connection");
            stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
            Self::shake_hands(Box::new(stream))
        } else {
            let stream = TcpStream::connect(address).expect("a connection");
            stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
            Self::shake_hands(Box::new(stream))
        }
    }

    fn shake_hands(stream: Box<dyn Stream>) -> Self {
        let mut viewer = Self { stream, name: String::new(), size: (0, 0) };
        assert_eq!(viewer.take(12), b"RFB 003.008\n");
        viewer.send(b"RFB 003.008\n");
        let count = viewer.take(1)[0];
        assert!(viewer.take(count.into()).contains(&1), "None is not offered");
        viewer.send(&[1]);
        assert_eq!(viewer.take(4), [0; 4]);
        viewer.send(&[1]);
        let init = viewer.take(24);
        let number = |at: usize| u16::from_be_bytes([init[at], init[at + 1]]);
        viewer.size = (number(0), number(2));
        let name = viewer.take(number(22).into());
        viewer.name = String::from_utf8(name).expect("a text");
        viewer
    }

    fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the daemon reads");
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).expect("the daemon writes");
        bytes
    }

    /// Presses and releases a key for each character; a line feed is Return.
    pub(crate) fn type_text(&mut self, text: &str) {
        for c in text.chars() {
            let keysym = if c == '\n' { 0xff0d } else { u32::from(c) };
            for pressed in [1, 0] {
                let mut message = vec![4, pressed, 0, 0];
                message.extend(keysym.to_be_bytes());
                self.send(&message);
            }
        }
    }

    /// Waits until the daemon closes the connection.
    pub(crate) fn await_end(mut self) {
        let mut sink = [0; 4096];
        loop {
            match self.stream.read(&mut sink) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return,
                Err(error) => panic!("the daemon did not close: {error}"),
            }
        }
    }
}
