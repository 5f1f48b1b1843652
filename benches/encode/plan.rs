//! What planning is worth: rectangles merged or not, and scrolls found or not.

use xenvnc::geometry::{Point, Rect, Region, Size};
use xenvnc::rfb::encoding::canvas::Canvas;
use xenvnc::rfb::encoding::{Encoder, Encoding, Level, PictureEncoding, copyrect};
use xenvnc::rfb::message::RectHeader;
use xenvnc::rfb::pixel_format::{PixelFormat, Translator};
use xenvnc::rfb::plan::{Cost, Scrolls, merge};

use crate::pictures;
use crate::tigervnc::processor_time;

const UPDATES: u16 = 200;

/// The window that scrolls, a line of text at a time.
const WINDOW: Rect = Rect::new(40, 60, 640, 400);
const LINE: u16 = 16;

/// Prints the processor time and the bytes of an update, encoder and planner together.
pub(crate) fn run() {
    let translator = Translator::new(PixelFormat::RGB888);
    let now = || processor_time("/proc/thread-self/schedstat");
    let changes = Level::default().for_changes();
    for encoding in [PictureEncoding::Zrle, PictureEncoding::Tight, PictureEncoding::Hextile] {
        for (what, found) in [("as painted", false), ("found", true)] {
            let mut canvas = pictures::desktop();
            let (mut encoder, mut scrolls) = (Encoder::default(), Scrolls::default());
            scrolls.find(&canvas, &canvas.size().rect().into());
            encoder.set_level(changes);
            let (mut out, mut bytes, mut spent) = (Vec::new(), 0, 0);
            for _ in 0..UPDATES {
                scroll(&mut canvas);
                let mut painted = Region::from(WINDOW);
                out.clear();
                let start = now();
                let moves = if found { scrolls.find(&canvas, &painted) } else { Vec::new() };
                for (rect, from) in moves {
                    RectHeader { rect, encoding: Encoding::COPY_RECT }.encode(&mut out);
                    copyrect::encode(from, &mut out);
                    painted.remove(rect);
                }
                for rect in painted.rects() {
                    encoder.encode_rects(encoding, &canvas, *rect, &translator, &mut out);
                }
                spent += now() - start;
                bytes += out.len();
            }
            print(&format!("scroll {what}"), encoding, spent, bytes);
        }
        for (what, cost) in [("as they come", 0), ("merged", Cost::COMPRESSED.rect)] {
            let canvas = pictures::desktop();
            let mut encoder = Encoder::default();
            encoder.set_level(changes);
            let (mut out, mut bytes, mut spent) = (Vec::new(), 0, 0);
            for update in 0..UPDATES {
                // Words here and there in some lines, as a program redraws them.
                let mut region = Region::new();
                for n in 0..24 {
                    let place = u32::from(update) * 31 + n * 17;
                    let at =
                        |step: u32, most: u16| u16::try_from(place * step % u32::from(most)).unwrap_or(0);
                    region.add(Rect::new(WINDOW.x + at(8, 560), WINDOW.y + at(1, 20) * LINE, 48, LINE));
                }
                out.clear();
                let start = now();
                for rect in merge(region.rects().to_vec(), Cost { rect: cost }) {
                    encoder.encode_rects(encoding, &canvas, rect, &translator, &mut out);
                }
                spent += now() - start;
                bytes += out.len();
            }
            print(&format!("words {what}"), encoding, spent, bytes);
        }
    }
}

fn print(what: &str, encoding: PictureEncoding, spent: u64, bytes: usize) {
    let each = f64::from(UPDATES);
    println!(
        "{what:20} {encoding:7?} {:7.1} us, {:7.0} bytes an update",
        spent as f64 / 1000.0 / each,
        bytes as f64 / each
    );
}

/// The window's first line goes round to its end.
fn scroll(canvas: &mut Canvas) {
    let size = Size::new(WINDOW.width, LINE);
    let width = usize::from(canvas.size().width);
    let first: Vec<_> = (0..usize::from(size.height))
        .flat_map(|y| {
            let start = (usize::from(WINDOW.y) + y) * width + usize::from(WINDOW.x);
            canvas.pixels()[start..start + usize::from(size.width)].to_vec()
        })
        .collect();
    let kept = Rect { height: WINDOW.height - LINE, ..WINDOW };
    canvas.copy(kept, Point { x: WINDOW.x, y: WINDOW.y + LINE });
    canvas.put(Rect { y: WINDOW.y + WINDOW.height - LINE, height: LINE, ..WINDOW }, &first);
}
