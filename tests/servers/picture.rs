//! Pictures to show, and those that a display shows, as X window dumps (`X11/XWDFile.h`).

use xenvnc::geometry::{Rect, Size};
use xenvnc::rfb::encoding::canvas::Canvas;
use xenvnc::rfb::tile::Colour;

/// The numbers in a dump's header.
const HEADER: usize = 25;

/// What a picture is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Blocks of one, two, few and many colours, and noise.
    Mixed,
    /// Blocks of one colour each; some encodings give up on anything else.
    Plain,
    /// Colours that change slowly, as in a photograph.
    Smooth,
}

/// A picture of `size`; another one for each `seed`.
pub(crate) fn picture(size: Size, kind: Kind, seed: u32) -> Canvas {
    let mut canvas = Canvas::new(size);
    let rgb = |red: u32, green: u32, blue: u32| (red & 0xff) << 16 | (green & 0xff) << 8 | (blue & 0xff);
    let colour = |x: u16, y: u16| {
        let (x, y) = (u32::from(x), u32::from(y));
        let mix = |n: u32| (n.wrapping_mul(0x9e37_79b9) ^ seed.wrapping_mul(0x85eb_ca6b)).rotate_left(13);
        let (block, pixel) = (mix(x / 48 + y / 32 * 64 + 1), mix(x * 7919 + y * 104_729 + 3));
        let value = match (kind, block % 5) {
            (Kind::Smooth, _) => rgb(x + seed, y * 2 / 3 + seed, (x + y) / 4),
            (Kind::Plain, _) | (_, 0) => block,
            (_, 1) if pixel % 3 == 0 => !block,
            (_, 1) => block,
            (_, 2) => mix(pixel % 11),
            (_, 3) => rgb(x * 3, y * 5, seed),
            _ => pixel,
        };
        Colour(value & 0x00ff_ffff)
    };
    for y in 0..size.height {
        let row: Vec<_> = (0..size.width).map(|x| colour(x, y)).collect();
        canvas.put(Rect::new(0, y, size.width, 1), &row);
    }
    canvas
}

/// The dump of a picture, for `xwud`; `name` becomes the window's title.
pub(crate) fn to_xwd(canvas: &Canvas, name: &str) -> Vec<u8> {
    let (width, height) = (u32::from(canvas.size().width), u32::from(canvas.size().height));
    let name = format!("{name}\0");
    let bytes = u32::try_from(4 * HEADER + name.len()).expect("short");
    // Size and version of the header; format Z, depth; width, height, offset; byte order, bitmaps' unit, bit order and
    // padding; bits a pixel, bytes a line; true colour; masks; bits a channel, two sizes of a colour map.
    let picture = [bytes, 7, 2, 24, width, height, 0, 0, 32, 0, 32, 32, width * 4, 4];
    let colours = [0x00ff_0000, 0x0000_ff00, 0xff, 8, 0, 0];
    let window = [width, height, 0, 0, 0];
    let header = [&picture[..], &colours, &window].concat();
    let mut out: Vec<u8> = header.iter().flat_map(|number| number.to_be_bytes()).collect();
    out.extend(name.as_bytes());
    out.extend(canvas.pixels().iter().flat_map(|colour| colour.0.to_le_bytes()));
    out
}

/// The picture in a dump of 32 bits a pixel, as `xwd` gives it.
pub(crate) fn from_xwd(dump: &[u8]) -> Canvas {
    let number = |at: usize| u32::from_be_bytes(dump[4 * at..][..4].try_into().expect("four bytes"));
    assert_eq!((number(11), number(7)), (32, 0), "bits a pixel, byte order");
    let side = |at: usize| u16::try_from(number(at)).expect("a side");
    let pixels = usize::try_from(number(0) + 12 * number(19)).expect("small");
    let stride = usize::try_from(number(12)).expect("small");
    let mut canvas = Canvas::new(Size::new(side(4), side(5)));
    let width = usize::from(side(4));
    for (y, line) in (0..side(5)).zip(dump[pixels..].chunks_exact(stride)) {
        let row: Vec<_> = line.as_chunks::<4>().0[..width]
            .iter()
            .map(|pixel| Colour(u32::from_le_bytes(*pixel) & 0x00ff_ffff))
            .collect();
        canvas.put(Rect::new(0, y, side(4), 1), &row);
    }
    canvas
}

/// A picture as a PPM file of 8 bits a channel.
pub(crate) fn to_ppm(canvas: &Canvas) -> Vec<u8> {
    let mut out = format!("P6\n{} {}\n255\n", canvas.size().width, canvas.size().height).into_bytes();
    out.extend(canvas.pixels().iter().flat_map(|colour| [colour.red(), colour.green(), colour.blue()]));
    out
}

/// The picture in a PPM file of 8 bits a channel, as QEMU dumps a screen; `None` while it is not complete.
pub(crate) fn from_ppm(file: &[u8]) -> Option<Canvas> {
    let mut words = file.splitn(4, |byte| byte.is_ascii_whitespace());
    let mut word = || words.next().and_then(|word| std::str::from_utf8(word).ok()).map(str::to_owned);
    assert_eq!(word()?, "P6");
    let (width, height) = (word()?.parse().ok()?, word()?.parse().ok()?);
    let pixels = words.next()?.strip_prefix(b"255\n")?;
    let size = Size::new(width, height);
    let colours: Vec<_> = pixels.as_chunks::<3>().0.iter().map(|&[r, g, b]| Colour::rgb(r, g, b)).collect();
    (u32::try_from(colours.len()) == Ok(size.area())).then(|| {
        let mut canvas = Canvas::new(size);
        canvas.put(size.rect(), &colours);
        canvas
    })
}

/// How far two pictures of one size are apart: the pixels that differ, and the mean difference of a channel.
pub(crate) fn difference(a: &Canvas, b: &Canvas) -> (usize, f64) {
    assert_eq!(a.size(), b.size());
    let pairs = || a.pixels().iter().zip(b.pixels());
    let apart = |a: &Colour, b: &Colour| {
        a.0.to_be_bytes().iter().zip(b.0.to_be_bytes()).map(|(a, b)| u32::from(a.abs_diff(b))).sum::<u32>()
    };
    let sum: u64 = pairs().map(|(a, b)| u64::from(apart(a, b))).sum();
    let differing = pairs().filter(|(a, b)| a != b).count();
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    (differing, sum as f64 / (3 * a.pixels().len()) as f64)
}
