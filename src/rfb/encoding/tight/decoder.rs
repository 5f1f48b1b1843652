//! The viewer's side of Tight, and of TightPNG, which is Tight with PNG files in the place of compressed pixels.

use super::gradient::{self, Levels};
use super::{
    BARE_BYTES, EXPLICIT_FILTER, FILL, FILTER_COPY, FILTER_GRADIENT, FILTER_PALETTE, JPEG, PNG, WITHOUT_ZLIB,
    red_green_blue, with_tight_pixels,
};
use crate::geometry::Rect;
use crate::rfb::deflate::Decompressor;
use crate::rfb::encoding::canvas::Canvas;
use crate::rfb::encoding::pixels::Pixels;
use crate::rfb::encoding::unpacked::Unpacked;
use crate::rfb::encoding::{DecodeError, image};
use crate::rfb::pixel_format::Translator;
use crate::rfb::tile::Colour;
use crate::rfb::wire::{NeedMore, Reader, Stop};

/// What a rectangle may carry if it was asked for: whole image files, and rows as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Images {
    /// JPEG files; a server sends them when a quality level was asked for.
    pub jpeg: bool,
    /// PNG files; TightPNG only.
    pub png: bool,
    /// Rows that are not compressed ([`Encoding::TIGHT_WITHOUT_ZLIB`](crate::rfb::encoding::Encoding::TIGHT_WITHOUT_ZLIB)
    /// was asked for); not for TightPNG, which means PNG by the same byte.
    pub without_zlib: bool,
}

/// The decoder's side of a server's Tight streams.
pub struct Decoder {
    images: Images,
    streams: [Option<Decompressor>; 4],
    rgb: Translator,
    unpacked: Unpacked,
    /// The rectangle under way.
    body: Option<Body>,
    rows: Rows,
}

/// What follows a rectangle's control byte.
enum Body {
    /// A whole file of so many bytes.
    File { png: bool, length: usize },
    /// Rows as they are.
    Bare,
    /// Rows in a stream, of which so many compressed bytes are to come.
    Packed { stream: usize, left: Option<usize> },
}

/// How rows become pixels.
#[derive(Default)]
struct Rows {
    filter: u8,
    palette: Vec<Colour>,
    above: Vec<Levels>,
    /// The rows that are painted.
    done: u16,
}

impl Default for Decoder {
    /// A decoder that takes no image files.
    fn default() -> Self {
        Self::new(Images::default())
    }
}

impl Decoder {
    /// A decoder at the beginning of a connection.
    #[must_use]
    pub fn new(images: Images) -> Self {
        Self {
            images,
            streams: [None, None, None, None],
            rgb: red_green_blue(),
            unpacked: Unpacked::default(),
            body: None,
            rows: Rows::default(),
        }
    }

    /// Paints as much of a rectangle as there is data for. On [`Stop::NeedMore`] the reader has consumed what could be
    /// used; call again with the same `rect` and what follows. An image file is taken as a whole, below 4 MiB.
    ///
    /// # Errors
    /// See [`DecodeError`]; the streams are lost after each of them.
    pub fn decode(
        &mut self,
        reader: &mut Reader<'_>,
        rect: Rect,
        translator: &Translator,
        canvas: &mut Canvas,
    ) -> Result<(), Stop<DecodeError>> {
        canvas.check(rect).map_err(Stop::Failed)?;
        let Self { images, streams, rgb, unpacked, body, rows } = self;
        with_tight_pixels!(translator, rgb, |pixels| {
            let under_way = match body {
                Some(under_way) => under_way,
                None => {
                    let mut attempt = *reader;
                    let begun = begin(&mut attempt, rect, pixels, *images, streams, rows, canvas)?;
                    *reader = attempt;
                    match begun {
                        Some(begun) => body.insert(begun),
                        None => return Ok(()),
                    }
                }
            };
            match under_way {
                Body::File { png, length } => {
                    let file = reader.bytes(*length)?;
                    let paint = if *png { image::paint_png } else { image::paint_jpeg };
                    paint(file, rect, canvas).map_err(Stop::Failed)?;
                }
                Body::Bare => rows.paint(reader, rect, pixels, canvas)?,
                Body::Packed { stream, left } => {
                    let stream = streams[*stream].get_or_insert_default();
                    unpacked.unpack(stream, reader, left, rect, |reader| {
                        rows.paint(reader, rect, pixels, canvas)
                    })?;
                }
            }
        });
        self.body = None;
        Ok(())
    }
}

/// Reads what stands before the pixels. `None` when the rectangle has one colour and is painted.
fn begin<const N: usize>(
    reader: &mut Reader<'_>,
    rect: Rect,
    pixels: Pixels<'_, N>,
    images: Images,
    streams: &mut [Option<Decompressor>; 4],
    rows: &mut Rows,
    canvas: &mut Canvas,
) -> Result<Option<Body>, Stop<DecodeError>> {
    let control = reader.u8()?;
    let (form, renewed) = (control & 0xf0, control & 0x0f);
    let body = match form {
        FILL => {
            canvas.fill(rect, pixels.read(reader)?);
            None
        }
        JPEG if images.jpeg => Some(Body::File { png: false, length: read_length(reader)? }),
        PNG if images.png => Some(Body::File { png: true, length: read_length(reader)? }),
        0..FILL => {
            let filter = if form & EXPLICIT_FILTER == 0 { FILTER_COPY } else { reader.u8()? };
            rows.begin(reader, filter, pixels)?;
            let length = rows.row_bytes::<N>(rect) * usize::from(rect.height);
            if length < BARE_BYTES {
                Some(Body::Bare)
            } else {
                let left = Some(read_length(reader)?);
                Some(Body::Packed { stream: usize::from(form >> 4 & 3), left })
            }
        }
        _ if images.without_zlib && !images.png && form & !EXPLICIT_FILTER == WITHOUT_ZLIB => {
            let filter = if form & EXPLICIT_FILTER == 0 { FILTER_COPY } else { reader.u8()? };
            rows.begin(reader, filter, pixels)?;
            let length = rows.row_bytes::<N>(rect) * usize::from(rect.height);
            if length >= BARE_BYTES {
                // It is known, so that another one can only be a mistake.
                let told = read_length(reader)?;
                if told < length {
                    return Err(Stop::Failed(DecodeError::Short(rect)));
                }
                if told > length {
                    return Err(Stop::Failed(DecodeError::LeftOver(told - length)));
                }
            }
            Some(Body::Bare)
        }
        _ => return Err(Stop::Failed(DecodeError::TightControl(control))),
    };
    // Those whose bits are set begin anew.
    for (at, stream) in streams.iter_mut().enumerate() {
        if renewed >> at & 1 == 1 {
            *stream = None;
        }
    }
    Ok(body)
}

impl Rows {
    fn begin<const N: usize>(
        &mut self,
        reader: &mut Reader<'_>,
        filter: u8,
        pixels: Pixels<'_, N>,
    ) -> Result<(), Stop<DecodeError>> {
        self.filter = filter;
        self.done = 0;
        self.palette.clear();
        self.above.clear();
        match filter {
            FILTER_COPY => {}
            FILTER_PALETTE => {
                for _ in 0..=reader.u8()? {
                    self.palette.push(pixels.read(reader)?);
                }
            }
            FILTER_GRADIENT if gradient::channels(pixels.translator()).is_some() => {}
            _ => return Err(Stop::Failed(DecodeError::TightFilter(filter))),
        }
        Ok(())
    }

    /// The bytes of a row. One colour may stand behind a palette, too; it has bits like two.
    fn row_bytes<const N: usize>(&self, rect: Rect) -> usize {
        let width = usize::from(rect.width);
        match self.palette.len() {
            0 => width * N,
            1 | 2 => width.div_ceil(8),
            _ => width,
        }
    }

    /// Paints the rows that are complete.
    fn paint<const N: usize>(
        &mut self,
        reader: &mut Reader<'_>,
        rect: Rect,
        pixels: Pixels<'_, N>,
        canvas: &mut Canvas,
    ) -> Result<(), Stop<DecodeError>> {
        let row_bytes = self.row_bytes::<N>(rect);
        while self.done < rect.height {
            let bytes = reader.bytes(row_bytes)?;
            let row = canvas.row_mut(rect.x, rect.y.saturating_add(self.done), usize::from(rect.width));
            match (self.filter, &self.palette[..]) {
                (FILTER_GRADIENT, _) => gradient::paint(bytes, pixels, &mut self.above, row),
                (_, []) => pixels.paint(bytes, row),
                (_, [only]) => paint_bits(bytes, [*only; 2], 1, row)?,
                (_, [first, second]) => paint_bits(bytes, [*first, *second], 2, row)?,
                (_, palette) => paint_indices(bytes, palette, row)?,
            }
            self.done += 1;
        }
        Ok(())
    }
}

/// Paints a row from bits; only the first `length` of the two colours are there.
fn paint_bits(
    bytes: &[u8],
    inks: [Colour; 2],
    length: usize,
    row: &mut [Colour],
) -> Result<(), Stop<DecodeError>> {
    let mut seen = 0;
    for (eight, byte) in row.chunks_mut(8).zip(bytes) {
        seen |= byte >> (8 - eight.len());
        for (at, to) in eight.iter_mut().enumerate() {
            *to = inks[usize::from(byte >> (7 - at) & 1)];
        }
    }
    if length == 1 && seen != 0 {
        return Err(Stop::Failed(DecodeError::PaletteIndex { index: 1, length }));
    }
    Ok(())
}

/// Paints a row from an index a pixel.
fn paint_indices(bytes: &[u8], palette: &[Colour], row: &mut [Colour]) -> Result<(), Stop<DecodeError>> {
    // Looked at once, so that the loop below has nothing to decide.
    let index = usize::from(bytes.iter().copied().max().unwrap_or(0));
    if index >= palette.len() {
        return Err(Stop::Failed(DecodeError::PaletteIndex { index, length: palette.len() }));
    }
    for (to, index) in row.iter_mut().zip(bytes) {
        *to = palette[usize::from(*index)];
    }
    Ok(())
}

/// A length of one to three bytes, below 2^22.
pub(super) fn read_length(reader: &mut Reader<'_>) -> Result<usize, NeedMore> {
    let mut length = 0;
    for (shift, mask) in [(0, 0x7f), (7, 0x7f), (14, 0xff)] {
        let byte = reader.u8()?;
        length |= usize::from(byte & mask) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    Ok(length)
}
