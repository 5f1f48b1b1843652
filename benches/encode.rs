//! What a text screen costs in each encoding: `cargo bench --bench encode`.
//!
//! 300 frames of an 80x25 console, each with other text, are encoded whole at the default level for one viewer. Prints
//! microseconds of wall clock and bytes a frame; the best of three runs counts.
#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::time::{Duration, Instant};

use xenvnc::rfb::encoding::{Encoder, PictureEncoding};
use xenvnc::rfb::pixel_format::{PixelFormat, Translator};
use xenvnc::rfb::tile::TileSource;
use xenvnc::screen::{Font, FontSize, TextOverlay, TextView};
use xenvnc::terminal::{Options, Terminal, View};

const FRAMES: usize = 300;

const ENCODINGS: [PictureEncoding; 7] = [
    PictureEncoding::Zrle,
    PictureEncoding::Tight,
    PictureEncoding::Zlib,
    PictureEncoding::Trle,
    PictureEncoding::Hextile,
    PictureEncoding::Rre,
    PictureEncoding::Raw,
];

fn line(number: usize, coloured: bool) -> String {
    let size = number * 7919 % 1_000_003;
    let name = format!("file-{:x}", number * 40503 % 65_521);
    match (coloured, number % 3) {
        (true, 0) => {
            format!("drwxr-xr-x 2 root root {size:8} Nov 22 23:4{} \x1b[1;34m{name}\x1b[m\r\n", number % 10)
        }
        (true, 1) => {
            format!("-rwxr-xr-x 1 root root {size:8} Nov 22 23:4{} \x1b[1;32m{name}\x1b[m\r\n", number % 10)
        }
        _ => format!("-rw-r--r-- 1 root root {size:8} Nov 22 23:4{} {name}.conf\r\n", number % 10),
    }
}

fn main() {
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
                    let font = Font::builtin(FontSize::Size8x16);
                    let view = TextView {
                        terminal: &terminal,
                        view: View::Live,
                        font,
                        show_cursor: true,
                        overlay: TextOverlay::default(),
                    };
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
