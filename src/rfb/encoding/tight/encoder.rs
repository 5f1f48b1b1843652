//! The server's side of Tight.

use super::gather::{Form, Gathered, Simplified, simplify};
use super::png::put_png;
use super::{
    BARE_BYTES, EXPLICIT_FILTER, FILL, FILTER_PALETTE, JPEG, PNG, red_green_blue, with_tight_pixels,
};
use crate::geometry::Rect;
use crate::rfb::deflate::Compressor;
use crate::rfb::encoding::Encoding;
use crate::rfb::encoding::pixels::Pixels;
use crate::rfb::encoding::quality::Quality;
use crate::rfb::encoding::work::Work;
use crate::rfb::message::RectHeader;
use crate::rfb::pixel_format::Translator;
use crate::rfb::plan::{Class, Planner};
use crate::rfb::tile::{TileBuf, TileSource};
use crate::rfb::wire::Writer;

/// The rows of a band, of which a rectangle gets all or none: those of a console's line of text, mostly. Bands begin
/// at multiples of it.
const BAND: u16 = 16;

/// A rectangle that holds this many bytes gets no more bands, if there is a choice.
const ENOUGH_BYTES: usize = 64 * 1024;

/// Pixels are translated on their way into the compressor, so many at a time.
const PORTION_PIXELS: usize = 2048;

/// The streams, by what they carry.
const PIXELS: u8 = 0;
const BITS: u8 = 1;
const INDICES: u8 = 2;

/// The encoder's side of a viewer's Tight streams. Lives as long as the connection, because its zlib streams do;
/// each of them is made when it is first used.
pub struct Encoder {
    /// To Tight's pixels of three bytes.
    rgb: Translator,
    streams: Streams,
    gathered: Gathered,
    simplified: Simplified,
    planner: Planner,
    /// How photographic parts may lose something, if they may.
    quality: Option<Quality>,
    /// The encoding is TightPNG: files in place of streams.
    png: bool,
}

impl Encoder {
    /// The beginning of a connection's streams, at one of zlib's compression levels.
    pub(in crate::rfb::encoding) fn new(level: u8, png: bool) -> Self {
        Self {
            rgb: red_green_blue(),
            streams: Streams { streams: [None, None, None], level, portion: Vec::new(), packed: Vec::new() },
            gathered: Gathered::default(),
            simplified: Simplified::default(),
            planner: Planner::default(),
            quality: None,
            png,
        }
    }

    /// From now on photographic parts may lose something, or nothing may.
    pub(in crate::rfb::encoding) fn set_quality(&mut self, quality: Option<Quality>) {
        self.quality = quality;
    }

    fn number(&self) -> Encoding {
        if self.png { Encoding::TIGHT_PNG } else { Encoding::TIGHT }
    }

    /// Goes on at another compression level.
    pub(in crate::rfb::encoding) fn set_level(&mut self, level: u8) {
        self.streams.level = level;
        self.streams.streams.iter_mut().flatten().for_each(|stream| stream.set_level(level));
    }

    /// Appends the body of `rect` as a whole.
    pub(in crate::rfb::encoding) fn encode(
        &mut self,
        source: &dyn TileSource,
        rect: Rect,
        translator: &Translator,
        buf: &mut TileBuf,
        work: &mut Work,
        out: &mut Vec<u8>,
    ) {
        let width = usize::from(rect.width);
        self.gathered.begin(width);
        for band in bands(rect) {
            let tile = simplify(source.tile(band, buf), width, work, &mut self.simplified);
            self.gathered.add(&tile, usize::from(band.height), true);
        }
        self.put_body(translator, out);
    }

    fn put_body(&mut self, translator: &Translator, out: &mut Vec<u8>) {
        let Self { gathered, streams, rgb, .. } = self;
        if self.png && gathered.form != Form::Solid {
            streams.packed.clear();
            if put_png(gathered, &mut streams.packed) {
                put_file(PNG, &streams.packed, out);
                return;
            }
            // There is no other form; that it has come to this is not known to happen.
            gathered.begin(gathered.width);
        }
        streams.put_body(gathered, translator, rgb, out);
    }

    /// Appends `rect` as the plan says. Returns the number of rectangles.
    fn encode_planned(
        &mut self,
        source: &dyn TileSource,
        rect: Rect,
        translator: &Translator,
        buf: &mut TileBuf,
        work: &mut Work,
        out: &mut Vec<u8>,
    ) -> u16 {
        // A JPEG has more colours than a format of 8 bits.
        let quality = self.quality.filter(|_| translator.bytes() > 1);
        let plan = self.planner.plan(source, rect, quality.is_some(), buf);
        for (part, class) in &plan {
            RectHeader { rect: *part, encoding: self.number() }.encode(out);
            let jpeg = quality.filter(|_| *class == Class::Photo);
            if !jpeg.is_some_and(|quality| self.put_jpeg(quality, source, *part, buf, out)) {
                self.encode(source, *part, translator, buf, work, out);
            }
        }
        u16::try_from(plan.len()).unwrap_or(u16::MAX)
    }

    /// Appends a body of JPEG. False, and nothing is appended, when that is not possible.
    fn put_jpeg(
        &mut self,
        quality: Quality,
        source: &dyn TileSource,
        rect: Rect,
        buf: &mut TileBuf,
        out: &mut Vec<u8>,
    ) -> bool {
        let Self { rgb, streams: Streams { portion, packed, .. }, .. } = self;
        portion.clear();
        packed.clear();
        let pixels = Pixels::<3>::new(rgb, 0);
        let tile = source.tile(rect, buf);
        pixels.expand(&tile, usize::from(rect.width), usize::from(rect.height), portion);
        let done = quality.put_jpeg(portion, rect.width, rect.height, packed);
        // A length has 22 bits.
        if done && packed.len() < 1 << 22 {
            put_file(JPEG, packed, out);
            return true;
        }
        false
    }

    /// Appends `rect` as rectangles, each with its header, cut between bands where their forms differ. Returns how
    /// many.
    pub(in crate::rfb::encoding) fn encode_rects(
        &mut self,
        source: &dyn TileSource,
        rect: Rect,
        translator: &Translator,
        buf: &mut TileBuf,
        work: &mut Work,
        out: &mut Vec<u8>,
    ) -> u16 {
        if source.has_pixels() {
            return self.encode_planned(source, rect, translator, buf, work, out);
        }
        let number = self.number();
        let width = usize::from(rect.width);
        let (mut count, mut done) = (0, Rect { height: 0, ..rect });
        self.gathered.begin(width);
        // Not in `self`, so that what is gathered can be written while the next band waits.
        let mut simplified = std::mem::take(&mut self.simplified);
        for band in bands(rect) {
            let tile = simplify(source.tile(band, buf), width, work, &mut simplified);
            let rows = usize::from(band.height);
            if self.gathered.held() >= ENOUGH_BYTES || !self.gathered.add(&tile, rows, false) {
                RectHeader { rect: done, encoding: number }.encode(out);
                self.put_body(translator, out);
                count += 1;
                done = Rect { height: 0, ..band };
                self.gathered.begin(width);
                self.gathered.add(&tile, rows, false);
            }
            done.height += band.height;
        }
        self.simplified = simplified;
        RectHeader { rect: done, encoding: number }.encode(out);
        self.put_body(translator, out);
        count + 1
    }
}

/// `rect` in bands.
fn bands(rect: Rect) -> impl Iterator<Item = Rect> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let left = rect.height - done;
        let y = rect.y + done;
        let height = (BAND - y % BAND).min(left);
        done += height;
        (height > 0).then_some(Rect { y, height, ..rect })
    })
}

/// The compressed streams, and what it takes to fill them.
struct Streams {
    streams: [Option<Compressor>; 3],
    level: u8,
    /// Pixels on their way into a stream.
    portion: Vec<u8>,
    /// Compressed data on its way behind its length.
    packed: Vec<u8>,
}

impl Streams {
    /// Appends a rectangle's body; `rgb` is the translator to Tight's pixels of three bytes.
    fn put_body(
        &mut self,
        gathered: &mut Gathered,
        translator: &Translator,
        rgb: &Translator,
        out: &mut Vec<u8>,
    ) {
        with_tight_pixels!(translator, rgb, |pixels| self.put_pixels(gathered, pixels, out));
    }

    fn put_pixels<const N: usize>(
        &mut self,
        gathered: &mut Gathered,
        pixels: Pixels<'_, N>,
        out: &mut Vec<u8>,
    ) {
        let count = gathered.rows * gathered.width;
        let with_palette = 2 + gathered.palette.len() * N + gathered.data.len();
        let indexed_too_little = gathered.form == Form::Indices && gathered.palette.len() < 3;
        let not_shorter = gathered.form != Form::Solid && with_palette >= count * N;
        if indexed_too_little || not_shorter {
            gathered.upgrade(Form::Pixels);
        }
        let (stream, filter) = match gathered.form {
            Form::Solid => {
                out.put_u8(FILL);
                out.put(&pixels.pixel(gathered.palette.first().copied().unwrap_or_default()));
                return;
            }
            Form::Bits => (BITS, EXPLICIT_FILTER),
            Form::Indices => (INDICES, EXPLICIT_FILTER),
            Form::Pixels => (PIXELS, 0),
        };
        let length = if gathered.form == Form::Pixels { count * N } else { gathered.data.len() };
        out.put_u8(filter | stream << 4);
        if gathered.form != Form::Pixels {
            out.put_u8(FILTER_PALETTE);
            // There are 2 to 256.
            out.put_u8(u8::try_from(gathered.palette.len() - 1).unwrap_or(u8::MAX));
            for colour in &gathered.palette {
                out.put(&pixels.pixel(*colour));
            }
        }
        let Self { streams, level, portion, packed, .. } = self;
        if length < BARE_BYTES {
            out.put(&gathered.data);
            pixels.put(&gathered.pixels, out);
            return;
        }
        let stream = streams[usize::from(stream)].get_or_insert_with(|| Compressor::with_level(*level));
        packed.clear();
        stream.write(&gathered.data, packed);
        for some in gathered.pixels.chunks(PORTION_PIXELS) {
            portion.clear();
            pixels.put(some, portion);
            stream.write(portion, packed);
        }
        stream.flush(packed);
        put_length(packed.len(), out);
        out.put(packed);
    }
}

/// Appends a body that is a whole file.
fn put_file(control: u8, file: &[u8], out: &mut Vec<u8>) {
    out.put_u8(control);
    put_length(file.len(), out);
    out.put(file);
}

/// Appends a length below 2^22: seven bits, seven and eight, as many bytes as it takes.
fn put_length(length: usize, out: &mut Vec<u8>) {
    let [first, second, third] =
        [length & 0x7f, length >> 7 & 0x7f, length >> 14 & 0xff].map(|bits| u8::try_from(bits).unwrap_or(0));
    match length {
        0..0x80 => out.put_u8(first),
        0x80..0x4000 => out.put(&[first | 0x80, second]),
        _ => out.put(&[first | 0x80, second | 0x80, third]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_the_specification() {
        let bytes = |length| {
            let mut out = Vec::new();
            put_length(length, &mut out);
            out
        };
        assert_eq!(bytes(127), [127]);
        assert_eq!(bytes(128), [0x80, 1]);
        // The specification's own example.
        assert_eq!(bytes(10_000), [0x90, 0x4e]);
        assert_eq!(bytes(16_384), [0x80, 0x80, 1]);
        assert_eq!(bytes((1 << 22) - 1), [0xff; 3]);
    }

    #[test]
    fn bands_begin_at_lines_of_text() {
        let all: Vec<_> = bands(Rect::new(3, 10, 5, 30)).collect();
        assert_eq!(all, [Rect::new(3, 10, 5, 6), Rect::new(3, 16, 5, 16), Rect::new(3, 32, 5, 8)]);
    }
}
