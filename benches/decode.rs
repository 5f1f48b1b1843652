//! What it costs a client to decode a picture: `cargo bench --bench decode`.
//!
//! A desktop-like picture of 1280x800 comes whole, in each encoding, as one update through a whole connection, in pieces
//! of 64 KiB. Prints what comes out for each second of processor time, beside a plain copy of as many bytes in the same
//! run; the best of several runs counts.
#![allow(clippy::print_stdout, clippy::expect_used, reason = "that is what it is for")]

use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use xenvnc::geometry::{Rect, Size};
use xenvnc::rfb::client::{ClientConnection, ClientOptions};
use xenvnc::rfb::encoding::canvas::Canvas;
use xenvnc::rfb::encoding::{Encoder, PictureEncoding};
use xenvnc::rfb::message::handshake::ServerInit;
use xenvnc::rfb::message::{RectHeader, ServerMessage};
use xenvnc::rfb::pixel_format::{PixelFormat, Translator};
use xenvnc::rfb::tile::Colour;

const SIZE: Size = Size::new(1280, 800);
const FRAMES: usize = 20;
const RUNS: usize = 5;
const PIECE: usize = 64 * 1024;

/// Windows of one colour, text-like bits, shades, and a photograph-like part.
fn picture() -> Canvas {
    let mut canvas = Canvas::new(SIZE);
    let mut state = 1u32;
    for y in 0..SIZE.height {
        let row: Vec<_> = (0..SIZE.width)
            .map(|x| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let (wide, high) = (u32::from(x), u32::from(y));
                Colour(match (x / 320, y / 200) {
                    (0 | 1, 1 | 2) => {
                        if state >> 29 == 0 {
                            0x0020_2020
                        } else {
                            0x00ff_ffff
                        }
                    }
                    (2, 2) => (wide * 200 / 1280) << 16 | (high * 255 / 800) << 8 | (state >> 30),
                    (3, 0) => 0x0010_1010 * (1 + (wide / 8 + high / 8) % 12),
                    _ => 0x0030_5070 + wide / 320,
                })
            })
            .collect();
        canvas.put(Rect::new(0, y, SIZE.width, 1), &row);
    }
    canvas
}

/// The processor time that this program has used.
fn now() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("the usage of this process");
    let micros = (usage.user_time() + usage.system_time()).num_microseconds();
    Duration::from_micros(micros.unsigned_abs())
}

fn best(mut run: impl FnMut() -> Duration) -> Duration {
    (0..RUNS).map(|_| run()).min().unwrap_or_default()
}

/// MB of pixels a second.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn rate(took: Duration) -> f64 {
    let bytes = 4 * FRAMES * usize::try_from(SIZE.area()).unwrap_or(0);
    bytes as f64 / took.as_secs_f64() / 1e6
}

fn main() {
    let picture = picture();
    let bytes: Vec<u8> = picture.pixels().iter().flat_map(|colour| colour.0.to_le_bytes()).collect();
    let mut copy = vec![0; bytes.len()];
    let copied = best(|| {
        let start = now();
        for _ in 0..FRAMES {
            copy.copy_from_slice(std::hint::black_box(&bytes));
            std::hint::black_box(&mut copy);
        }
        now() - start
    });
    println!("{:8} {:8.0} MB/s", "copy", rate(copied));
    for encoding in [
        PictureEncoding::Raw,
        PictureEncoding::Trle,
        PictureEncoding::Hextile,
        PictureEncoding::Zrle,
        PictureEncoding::Tight,
        PictureEncoding::Zlib,
        PictureEncoding::Rre,
    ] {
        let mut length = 0;
        let took = best(|| {
            let options = ClientOptions { encodings: vec![encoding.number()], ..ClientOptions::local() };
            let mut client = ClientConnection::new(options);
            let mut hello = b"RFB 003.008\n\x01\x01\0\0\0\0".to_vec();
            ServerInit { size: SIZE, format: PixelFormat::RGB888, name: String::new() }.encode(&mut hello);
            client.handle_input(&hello).expect("a good handshake");
            let (mut encoder, translator) = (Encoder::default(), Translator::new(PixelFormat::RGB888));
            let mut took = Duration::ZERO;
            let mut frame = Vec::new();
            for _ in 0..FRAMES {
                frame.clear();
                // Tight and RRE want rectangles that are not too large.
                let rects = (0..SIZE.height).step_by(200).map(|y| Rect::new(0, y, SIZE.width, 200));
                ServerMessage::Update { rects: 4 }.encode(&mut frame);
                for rect in rects {
                    RectHeader { rect, encoding: encoding.number() }.encode(&mut frame);
                    encoder.encode(encoding, &picture, rect, &translator, &mut frame);
                }
                let start = now();
                for piece in frame.chunks(PIECE) {
                    client.handle_input(piece).expect("a good update");
                }
                took += now() - start;
                while client.poll_event().is_some() {}
            }
            assert!(client.canvas() == &picture);
            length = frame.len();
            took
        });
        let name = format!("{encoding:?}").to_lowercase();
        println!(
            "{name:8} {:8.0} MB/s {:8} bytes a frame, {:5.2} of a copy",
            rate(took),
            length,
            copied.as_secs_f64() / took.as_secs_f64()
        );
    }
}
