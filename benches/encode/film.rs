//! What it costs to take pictures that change from one server and hand them to a viewer.

use xenvnc::geometry::Size;
use xenvnc::rfb::encoding::canvas::Canvas;
use xenvnc::rfb::encoding::{Encoder, PictureEncoding, zrle};
use xenvnc::rfb::pixel_format::{PixelFormat, Translator};
use xenvnc::rfb::wire::Reader;

use crate::pictures;
use crate::tigervnc::processor_time;

const FRAMES: u16 = 120;

/// Prints the processor time of an update: decoded, encoded.
pub(crate) fn run() {
    let translator = Translator::new(PixelFormat::RGB888);
    let frames: Vec<Canvas> = (0..FRAMES).map(pictures::film).collect();
    let area = Size::new(300, 180).rect();
    let mut from = Encoder::default();
    let bodies: Vec<Vec<u8>> = frames
        .iter()
        .map(|frame| {
            let mut out = Vec::new();
            from.encode(PictureEncoding::Zrle, frame, area, &translator, &mut out);
            out
        })
        .collect();
    let now = || processor_time("/proc/thread-self/schedstat");
    for encoding in [PictureEncoding::Zrle, PictureEncoding::Tight] {
        let mut best = [f64::MAX; 2];
        let mut bytes = 0;
        for _ in 0..5 {
            let mut decoder = zrle::Decoder::default();
            let mut canvas = Canvas::new(area.size());
            let mut encoder = Encoder::default();
            let mut spent = [0; 2];
            let mut out = Vec::new();
            bytes = 0;
            for (body, frame) in bodies.iter().zip(&frames) {
                let start = now();
                decoder.decode(&mut Reader::new(body), area, &translator, &mut canvas).expect("our own");
                let middle = now();
                out.clear();
                encoder.encode_rects(encoding, &canvas, area, &translator, &mut out);
                let end = now();
                spent = [spent[0] + middle - start, spent[1] + end - middle];
                assert!(canvas == *frame, "another picture");
                bytes += out.len();
            }
            for (best, spent) in best.iter_mut().zip(spent) {
                *best = best.min(spent as f64 / 1000.0 / f64::from(FRAMES));
            }
        }
        let [decode, encode] = best;
        println!(
            "film {encoding:5?} decode {decode:5.0} us, encode {encode:5.0} us, both {:5.0} us, {} bytes an update",
            decode + encode,
            bytes / usize::from(FRAMES)
        );
    }
}
