//! Xtigervnc with a picture of ours on its screen.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{fs, thread};

use xenvnc::rfb::encoding::canvas::Canvas;

/// A running server; ends with this value.
pub(crate) struct Xtigervnc {
    process: Child,
    directory: tempfile::TempDir,
    /// Keeps the picture: a server resets itself when its last client goes.
    _painter: UnixStream,
}

impl Xtigervnc {
    /// Starts one that shows `picture`. `None` when it is not installed.
    pub(crate) fn show(picture: &Canvas) -> Option<Self> {
        let directory = tempfile::tempdir().expect("a directory");
        let size = picture.size();
        let mut process = Command::new("Xtigervnc")
            .args([
                "-displayfd",
                "1",
                "-depth",
                "24",
                "-SecurityTypes",
                "None",
                "-rfbport",
                "-1",
                "-nocursor",
            ])
            .args(["-geometry", &format!("{}x{}", size.width, size.height), "-br", "-ac", "-nolisten", "tcp"])
            .arg("-rfbunixpath")
            .arg(directory.path().join("vnc"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut display = String::new();
        let mut number = [0];
        let said = process.stdout.as_mut().expect("a pipe");
        while said.read(&mut number).is_ok_and(|count| count == 1) && number != *b"\n" {
            display.push(char::from(number[0]));
        }
        let socket = PathBuf::from(format!("/tmp/.X11-unix/X{display}"));
        let painter = UnixStream::connect(&socket).expect("an X server");
        let painter = paint(painter, picture);
        Some(Self { process, directory, _painter: painter })
    }

    /// The number of its process.
    pub(crate) fn process(&self) -> u32 {
        self.process.id()
    }

    /// A connection to it.
    pub(crate) fn connect(&self) -> UnixStream {
        let path = self.directory.path().join("vnc");
        for _ in 0..100 {
            if let Ok(stream) = UnixStream::connect(&path) {
                return stream;
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("Xtigervnc does not listen at {}", path.display())
    }
}

impl Drop for Xtigervnc {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Puts the picture on the root window (X11 protocol, "Connection Setup", CreateGC, PutImage).
fn paint(mut server: UnixStream, picture: &Canvas) -> UnixStream {
    server.write_all(&[b'l', 0, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0]).expect("an X server");
    let mut head = [0; 8];
    server.read_exact(&mut head).expect("an answer");
    assert_eq!(head[0], 1, "the X server lets us in");
    let mut setup = vec![0; 4 * usize::from(u16::from_le_bytes([head[6], head[7]]))];
    server.read_exact(&mut setup).expect("a setup");
    let long = |at: usize| [setup[at], setup[at + 1], setup[at + 2], setup[at + 3]];
    let (context, vendor, formats) =
        (long(4), usize::from(u16::from_le_bytes([setup[16], setup[17]])), setup[21]);
    let root = long(32 + vendor.next_multiple_of(4) + 8 * usize::from(formats));
    let mut out = vec![55, 0, 4, 0];
    out.extend([context, root, [0; 4]].concat());
    let size = picture.size();
    const ROWS: u16 = 16;
    for (band, pixels) in picture.pixels().chunks(usize::from(size.width) * usize::from(ROWS)).enumerate() {
        let y = u16::try_from(band).unwrap_or(0) * ROWS;
        let rows = ROWS.min(size.height - y);
        let words = u16::try_from(6 + pixels.len()).expect("a request below 256 KiB");
        out.extend([72, 2]);
        out.extend(words.to_le_bytes());
        out.extend([root, context].concat());
        for number in [size.width, rows, 0, y] {
            out.extend(number.to_le_bytes());
        }
        out.extend([0, 24, 0, 0]);
        pixels.iter().for_each(|colour| out.extend(colour.0.to_le_bytes()));
    }
    // GetInputFocus: its answer says that everything before it has been done.
    out.extend([43, 0, 1, 0]);
    server.write_all(&out).expect("an X server");
    let mut answer = [0; 32];
    server.read_exact(&mut answer).expect("an answer");
    assert_eq!(answer[0], 1, "the X server has drawn");
    server
}

/// The time in nanoseconds that all threads of a process, or one thread, have been on a processor (`proc(5)`,
/// schedstat).
pub(crate) fn processor_time(path: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(0)
}
