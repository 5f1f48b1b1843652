//! What encoding costs: `cargo bench --bench encode -- [text] [peer] [film] [plan]`.
//!
//! * `text`: 300 frames of an 80x25 console, each with other text, encoded whole at the default level for one viewer.
//!   Microseconds of wall clock and bytes a frame; the best of three runs counts.
//! * `peer`: a desktop, a photograph and a console, served whole by us and by Xtigervnc (when it is installed) over a
//!   Unix socket to the same viewer. Processor time of the server and bytes a frame, and the ratios of ours to
//!   Xtigervnc's: what other programs do on the machine matters little. Viewers ask for a level of compression or leave
//!   it to the server.
//! * `film`: 54,000 pixels that change 30 times a second, decoded and encoded again.
//! * `plan`: a window that scrolls, with the scroll found or all of it painted, and words that change here and there,
//!   with the rectangles merged or as they come.
#![allow(clippy::print_stdout, reason = "that is what it is for")]
#![expect(clippy::expect_used, reason = "a measurement may stop at the first thing that does not work")]

mod film;
mod pictures;
mod plan;
mod tigervnc;
mod viewer;

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use xenvnc::geometry::{Region, Size};
use xenvnc::rfb::encoding::canvas::Canvas;
use xenvnc::rfb::encoding::{Encoder, PictureEncoding};
use xenvnc::rfb::pixel_format::{PixelFormat, Translator};
use xenvnc::rfb::security::Security;
use xenvnc::rfb::server::{Damage, ServerConnection, ServerOptions, UpdateOutcome};
use xenvnc::rfb::tile::TileSource;
use xenvnc::terminal::{Options, Terminal};

use pictures::{console, line, view};
use tigervnc::{Xtigervnc, processor_time};
use viewer::Viewer;

const FRAMES: usize = 300;

/// Whole pictures that are asked for, after a first one that does not count.
const PEER_FRAMES: u32 = 30;

const ENCODINGS: [PictureEncoding; 7] = [
    PictureEncoding::Zrle,
    PictureEncoding::Tight,
    PictureEncoding::Zlib,
    PictureEncoding::Trle,
    PictureEncoding::Hextile,
    PictureEncoding::Rre,
    PictureEncoding::Raw,
];

fn main() {
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|argument| argument == name);
    if is_wanted("text") {
        text();
    }
    if is_wanted("peer") {
        peer();
    }
    if is_wanted("film") {
        film::run();
    }
    if is_wanted("plan") {
        plan::run();
    }
}

fn text() {
    let translator = Translator::new(PixelFormat::RGB888);
    for (kind, coloured) in [("plain", false), ("coloured", true)] {
        for encoding in ENCODINGS {
            let (mut best, mut bytes) = (Duration::MAX, 0);
            for _ in 0..3 {
                let mut terminal = Terminal::new(Options { history_lines: 10, ..Options::default() });
                let mut encoder = Encoder::default();
                let mut out = Vec::new();
                let mut took = Duration::ZERO;
                bytes = 0;
                for frame in 0..FRAMES {
                    for number in 0..25 {
                        terminal.feed(line(frame * 25 + number, coloured).as_bytes());
                    }
                    let view = view(&terminal);
                    let start = Instant::now();
                    out.clear();
                    encoder.encode_rects(encoding, &view, view.size().rect(), &translator, &mut out);
                    took += start.elapsed();
                    bytes += out.len();
                }
                best = best.min(took);
            }
            let each = best.as_micros() / FRAMES as u128;
            println!("{kind:9} {encoding:8?} {each:6} us {:8} bytes", bytes / FRAMES);
        }
    }
}

/// A frame's price.
#[derive(Clone, Copy)]
struct Price {
    processor_us: f64,
    bytes: f64,
}

fn peer() {
    println!(
        "{:10} {:5} {:5}  {:>21}  {:>21}  {:>11}",
        "picture", "enc", "level", "ours", "Xtigervnc", "cpu   bytes"
    );
    let text = console(true);
    let pictures =
        [("desktop", pictures::desktop()), ("photograph", pictures::photograph(Size::new(1280, 800)))];
    for (name, canvas) in &pictures {
        compare(name, canvas, canvas);
    }
    compare("text", &view(&text), &pictures::rendered(&text));
}

fn compare(name: &str, source: &(dyn TileSource + Sync), picture: &Canvas) {
    let xtigervnc = Xtigervnc::show(picture);
    for encoding in [PictureEncoding::Zrle, PictureEncoding::Tight] {
        for level in [None, Some(1), Some(2), Some(6)] {
            let ours = ours(source, picture, encoding, level);
            let asked = level.map_or("-".to_owned(), |level| level.to_string());
            let show = |price: Price| format!("{:8.0} us {:8.0} B", price.processor_us, price.bytes);
            print!("{name:10} {encoding:5?} {asked:5}  {:>21}", show(ours));
            if let Some(peer) = &xtigervnc {
                let stat = format!("/proc/{}/schedstat", peer.process());
                let theirs = measure(peer.connect(), picture, encoding, level, || processor_time(&stat));
                let (cpu, bytes) = (ours.processor_us / theirs.processor_us, ours.bytes / theirs.bytes);
                print!("  {:>21}  {cpu:5.2} {bytes:5.2}", show(theirs));
            }
            println!();
        }
    }
}

/// Takes the whole picture some times; `time` tells the server's processor time in nanoseconds.
fn measure(
    stream: UnixStream,
    picture: &Canvas,
    encoding: PictureEncoding,
    level: Option<u8>,
    time: impl Fn() -> u64,
) -> Price {
    let mut viewer = Viewer::connect(stream, encoding, level);
    viewer.refresh();
    assert!(viewer.canvas.pixels() == picture.pixels(), "the viewer shows another picture");
    let (bytes, start) = (viewer.bytes, time());
    (0..PEER_FRAMES).for_each(|_| viewer.refresh());
    let each = |count: f64| count / f64::from(PEER_FRAMES);
    Price { processor_us: each((time() - start) as f64 / 1000.0), bytes: each((viewer.bytes - bytes) as f64) }
}

fn ours(
    source: &(dyn TileSource + Sync),
    picture: &Canvas,
    encoding: PictureEncoding,
    level: Option<u8>,
) -> Price {
    let (server, viewer) = UnixStream::pair().expect("two sockets");
    thread::scope(|scope| {
        let (tell, told) = std::sync::mpsc::channel();
        scope.spawn(move || {
            let path = std::path::PathBuf::from("/proc/thread-self").canonicalize().expect("a thread");
            let _ = tell.send(path.join("schedstat").display().to_string());
            serve(server, source);
        });
        let stat = told.recv().expect("a thread");
        measure(viewer, picture, encoding, level, || processor_time(&stat))
    })
}

/// Serves until the viewer goes.
fn serve(mut stream: UnixStream, source: &dyn TileSource) {
    let mut server = ServerConnection::new(ServerOptions {
        name: "bench".into(),
        size: source.size(),
        security: Security::None,
        challenge: [0; 16],
    });
    let mut input = [0; 4096];
    loop {
        let output = server.output();
        if stream.write_all(output).is_err() {
            return;
        }
        output.clear();
        let damage = Region::new();
        if server.wants_update()
            && server.update(source, Damage { copies: &[], region: &damage }) != UpdateOutcome::Nothing
        {
            continue;
        }
        match stream.read(&mut input) {
            Ok(0) => return,
            Ok(count) => server.handle_input(&input[..count]).expect("a good viewer"),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
        while server.poll_event().is_some() {}
    }
}
