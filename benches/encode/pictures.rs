//! Pictures to encode: a desktop with windows, a photograph, a moving test picture, screens of text.

use xenvnc::geometry::{Rect, Size};
use xenvnc::rfb::encoding::canvas::Canvas;
use xenvnc::rfb::tile::Colour;
use xenvnc::screen::{Font, FontSize, TextOverlay, TextView, picture};
use xenvnc::terminal::{Options, Terminal, View};

/// One line of a listing of files.
pub(crate) fn line(number: usize, coloured: bool) -> String {
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

/// An 80x25 console full of text.
pub(crate) fn console(coloured: bool) -> Terminal {
    let mut terminal = Terminal::new(Options { history_lines: 10, ..Options::default() });
    for number in 0..40 {
        terminal.feed(line(number, coloured).as_bytes());
    }
    terminal
}

/// How a console looks.
pub(crate) fn view(terminal: &Terminal) -> TextView<'_> {
    TextView {
        terminal,
        view: View::Live,
        font: Font::builtin(FontSize::Size8x16),
        show_cursor: true,
        overlay: TextOverlay::default(),
    }
}

/// The same as pixels.
pub(crate) fn rendered(terminal: &Terminal) -> Canvas {
    let picture = picture(&view(terminal));
    let mut canvas = Canvas::new(picture.size);
    canvas.put(picture.size.rect(), &picture.pixels);
    canvas
}

/// A number from 0 to 255 that looks like chance.
fn noise(x: i32, y: i32) -> i32 {
    let mixed = (x.wrapping_mul(0x2545_f491) ^ y.wrapping_mul(0x1b87_3593)).wrapping_mul(0x27d4_eb2d);
    (mixed ^ mixed >> 15).wrapping_mul(0x2c1b_3c6d) >> 20 & 255
}

fn channel(value: i32) -> u8 {
    u8::try_from(value.clamp(0, 255)).unwrap_or(0)
}

fn grey(value: i32) -> Colour {
    Colour::rgb(channel(value), channel(value), channel(value))
}

/// Smooth shapes of a few hundred pixels, 0 to 255.
fn clouds(x: i32, y: i32, scale: i32, seed: i32) -> i32 {
    let cell = |n: i32| (n.div_euclid(scale), n.rem_euclid(scale));
    let ((left, right), (up, down)) = (cell(x), cell(y));
    let corner = |dx: i32, dy: i32| noise(left + dx + seed, up + dy - seed);
    let blend = |a: i32, b: i32, at: i32| a * (scale - at) + b * at;
    let (above, below) = (blend(corner(0, 0), corner(1, 0), right), blend(corner(0, 1), corner(1, 1), right));
    blend(above, below, down) / (scale * scale)
}

fn draw(canvas: &mut Canvas, rect: Rect, colour: impl Fn(i32, i32) -> Colour) {
    let mut row = Vec::new();
    for y in 0..rect.height {
        row.clear();
        row.extend((0..rect.width).map(|x| colour(i32::from(x), i32::from(y))));
        canvas.put(Rect::new(rect.x, rect.y + y, rect.width, 1), &row);
    }
}

/// What a camera might have seen: shapes of all sizes, and grain.
fn photograph_at(x: i32, y: i32) -> Colour {
    let all = |seed| {
        (4 * clouds(x, y, 97, seed) + 2 * clouds(x, y, 31, seed) + clouds(x, y, 7, seed)) / 7
            + noise(x, y) / 32
    };
    Colour::rgb(channel(all(1)), channel(all(1) * 3 / 4 + all(2) / 4), channel(all(3) / 2 + all(1) / 2))
}

/// A photograph over the whole screen.
pub(crate) fn photograph(size: Size) -> Canvas {
    let mut canvas = Canvas::new(size);
    draw(&mut canvas, size.rect(), photograph_at);
    canvas
}

/// Text with soft edges, two thirds of the console's size: black on white.
fn document(canvas: &mut Canvas, rect: Rect, text: &Canvas) {
    let ink = |x: i32, y: i32| {
        let at = y * i32::from(text.size().width) + x;
        let pixel =
            usize::try_from(at).ok().and_then(|at| text.pixels().get(at)).copied().unwrap_or_default();
        i32::from(pixel.green())
    };
    draw(canvas, rect, |x, y| {
        let (left, up) = (x * 3 / 2, y * 3 / 2);
        let sum = ink(left, up) + ink(left + 1, up) + ink(left, up + 1) + ink(left + 1, up + 1);
        if left + 1 < i32::from(text.size().width) { grey(255 - sum / 4) } else { Colour::WHITE }
    });
}

fn window(canvas: &mut Canvas, rect: Rect, background: Colour) -> Rect {
    canvas.fill(Rect::new(rect.x - 1, rect.y - 23, rect.width + 2, rect.height + 24), Colour(0x0033_3333));
    draw(canvas, Rect::new(rect.x, rect.y - 22, rect.width, 22), |_, y| grey(230 - 3 * y));
    for button in 0..3 {
        let x = rect.x + rect.width - 18 * (button + 1);
        draw(canvas, Rect::new(x, rect.y - 17, 12, 12), |x, y| {
            let far = (x - 6) * (x - 6) + (y - 6) * (y - 6);
            if far < 36 { Colour::rgb(channel(240 - far), channel(90 + far), 80) } else { grey(200) }
        });
    }
    canvas.fill(rect, background);
    rect
}

/// Windows on a soft background: a terminal, a document, a folder with icons, a photograph, and a bar with buttons.
pub(crate) fn desktop() -> Canvas {
    let size = Size::new(1280, 800);
    let mut canvas = Canvas::new(size);
    draw(&mut canvas, size.rect(), |x, y| {
        let light = clouds(x, y, 331, 5) / 4 + y / 8;
        Colour::rgb(channel(light / 2), channel(40 + light), channel(90 + light))
    });
    let text = rendered(&console(true));
    let folder = window(&mut canvas, Rect::new(900, 40, 340, 420), Colour(0x00fa_fafa));
    for (n, (row, column)) in (0i32..).zip((0..5).flat_map(|row| (0..4).map(move |column| (row, column)))) {
        let icon = Rect::new(folder.x + 16 + column * 80, folder.y + 12 + row * 80, 48, 48);
        draw(&mut canvas, icon, |x, y| {
            let far = (x - 24) * (x - 24) + (y - 24) * (y - 24);
            let shade = 255 - far / 4;
            if far > 560 {
                Colour(0x00fa_fafa)
            } else {
                Colour::rgb(channel(shade * (n % 3) / 2), channel(shade * (n % 4) / 3), channel(shade))
            }
        });
        let label = Rect::new(icon.x - 4, icon.y + 50, 56, 11);
        document(&mut canvas, label, &text);
    }
    let paper = window(&mut canvas, Rect::new(600, 380, 560, 380), Colour::WHITE);
    document(&mut canvas, Rect::new(paper.x + 20, paper.y + 16, 427, 266), &text);
    let album = window(&mut canvas, Rect::new(60, 500, 360, 240), Colour::WHITE);
    draw(&mut canvas, album, photograph_at);
    let shell = window(&mut canvas, Rect::new(40, 60, 640, 400), Colour::BLACK);
    canvas.put(shell, text.pixels());
    draw(&mut canvas, Rect::new(0, 772, 1280, 28), |_, y| grey(60 + y));
    for button in 0..6 {
        draw(&mut canvas, Rect::new(8 + button * 150, 775, 140, 22), |_, y| grey(90 + 2 * y));
    }
    canvas
}

/// One of the pictures of a film of 300x180: bars, and shapes that move over a soft background.
pub(crate) fn film(frame: u16) -> Canvas {
    let size = Size::new(300, 180);
    let mut canvas = Canvas::new(size);
    let at = i32::from(frame);
    const BARS: [u32; 8] = [0xff_ffff, 0xff_ff00, 0xff_ff, 0xff00, 0xff_00ff, 0xff_0000, 0xff, 0];
    draw(&mut canvas, size.rect(), |x, y| match (x, y) {
        (_, 0..60) => Colour(BARS[usize::try_from((x + at * 2) / 38 % 8).unwrap_or(0)]),
        (_, 60..120) => Colour::rgb(channel((x + at * 3) % 256), channel(y * 2), channel(255 - x / 2)),
        _ if (x / 20 + y / 20 + at) % 5 == 0 => grey(noise(x + at, y)),
        _ => grey((x / 4 * 4 + y / 4 * 4 + at) & 255),
    });
    canvas
}
