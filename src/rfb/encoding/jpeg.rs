//! JPEG encoding (the community's RFB specification, "JPEG Encoding"): a rectangle is a JPEG file, without a length in
//! front of it. Where a file has no Huffman tables, or no quantisation tables, those of the last file that had some are
//! meant.
//!
//! The encoder sends photographic parts this way to viewers that want it most and name a level of quality; its files
//! always have their tables. Whatever else a picture shows goes in the encoding that such a viewer wants next.

use super::canvas::Canvas;
use super::pixels::Pixels;
use super::quality::Quality;
use super::{DecodeError, image, tight};
use crate::geometry::Rect;
use crate::rfb::tile::{TileBuf, TileSource};
use crate::rfb::wire::{Reader, Stop};

/// The longest file that is taken, in bytes: as long as Tight's may be.
const FILE_BYTES: usize = 1 << 22;

/// The longest tables of a kind that are kept for later files, in bytes: some times what four of them take.
const TABLE_BYTES: usize = 8 * 1024;

/// Start and end of an image, start of a scan, and the two kinds of tables (ITU-T T.81, table B.1).
const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;
const DQT: u8 = 0xdb;
const DHT: u8 = 0xc4;

/// Appends the file for `rect`. False, and nothing is appended, when that is not possible.
pub(super) fn encode(
    source: &dyn TileSource,
    rect: Rect,
    quality: Quality,
    buf: &mut TileBuf,
    portion: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> bool {
    portion.clear();
    let tile = source.tile(rect, buf);
    let (width, height) = (usize::from(rect.width), usize::from(rect.height));
    let rgb = tight::red_green_blue();
    Pixels::<3>::new(&rgb, 0).expand(&tile, width, height, portion);
    quality.put_jpeg(portion, rect.width, rect.height, out)
}

/// Where in a file the next byte stands.
#[derive(Debug, Clone, Copy, Default)]
enum Place {
    /// The two bytes that every file begins with.
    #[default]
    Start,
    /// A marker's first byte, 0xff; as many of them as the server likes.
    Marker,
    /// Behind a marker's 0xff.
    Kind,
    /// The two bytes of a segment's length, of which the first may be known.
    Length(u8, Option<u8>),
    /// So many more bytes of a segment.
    Segment(u8, usize),
    /// Compressed data, up to a marker that is neither a restart nor a byte 0xff.
    Scan,
    /// In compressed data, behind 0xff.
    Escape,
}

/// Tables as segments, ready to be put into a file.
#[derive(Default)]
struct Tables {
    huffman: Vec<u8>,
    quantisation: Vec<u8>,
}

/// The decoder's side of a server's JPEG rectangles. Lives as long as the connection, because tables do: at most 16 KiB;
/// while a file comes in, up to 4 MiB.
#[derive(Default)]
pub(super) struct Decoder {
    place: Place,
    /// What has come of the file.
    file: Vec<u8>,
    /// Where its last segment begins.
    segment: usize,
    /// The tables in it.
    found: Tables,
    /// Those of earlier files.
    known: Tables,
}

impl Decoder {
    /// Forgets the file under way.
    pub(super) fn begin(&mut self) {
        self.place = Place::Start;
        self.file = Vec::new();
        self.found = Tables::default();
    }

    /// Takes what there is of a file, and paints when it is complete. On [`Stop::NeedMore`] the reader has consumed
    /// everything; call again with the same `rect` and what follows.
    ///
    /// # Errors
    /// [`DecodeError::Outside`], [`DecodeError::Image`] and [`DecodeError::ImageSize`].
    pub(super) fn decode(
        &mut self,
        reader: &mut Reader<'_>,
        rect: Rect,
        canvas: &mut Canvas,
    ) -> Result<(), Stop<DecodeError>> {
        canvas.check(rect).map_err(Stop::Failed)?;
        loop {
            let byte = reader.u8()?;
            if self.file.len() >= FILE_BYTES {
                return Err(bad("longer than 4 MiB"));
            }
            self.file.push(byte);
            if self.step(byte)? {
                break;
            }
        }
        let file = self.complete();
        let painted = image::paint_jpeg(&file, rect, canvas).map_err(Stop::Failed);
        self.begin();
        painted
    }

    /// Follows the file's structure; true at its end.
    fn step(&mut self, byte: u8) -> Result<bool, Stop<DecodeError>> {
        self.place = match (self.place, byte) {
            (Place::Start, 0xff) if self.file.len() == 1 => Place::Start,
            (Place::Start, SOI) if self.file.len() == 2 => Place::Marker,
            (Place::Start, _) => return Err(bad("no start of an image")),
            (Place::Marker, 0xff) => Place::Kind,
            (Place::Marker, _) => return Err(bad("no marker where one must be")),
            (Place::Kind, 0xff) => Place::Kind,
            (Place::Kind | Place::Escape, EOI) => return Ok(true),
            // In compressed data these are no segments.
            (Place::Escape, 0 | 0xd0..=0xd7) => Place::Scan,
            (Place::Escape, 0xff) => Place::Escape,
            // Without contents, and not of use here.
            (Place::Kind, 0 | 1 | 0xd0..=SOI) => return Err(bad("a marker that does not belong here")),
            (Place::Kind | Place::Escape, kind) => {
                self.segment = self.file.len() - 2;
                Place::Length(kind, None)
            }
            (Place::Length(kind, None), high) => Place::Length(kind, Some(high)),
            (Place::Length(kind, Some(high)), low) => {
                let length = usize::from(u16::from_be_bytes([high, low]));
                let left = length.checked_sub(2).ok_or_else(|| bad("a segment without its length"))?;
                self.after_segment(kind, left)?
            }
            (Place::Segment(kind, left), _) => self.after_segment(kind, left - 1)?,
            (Place::Scan, 0xff) => Place::Escape,
            (Place::Scan, _) => Place::Scan,
        };
        Ok(false)
    }

    /// What follows when `left` bytes of a segment are to come.
    fn after_segment(&mut self, kind: u8, left: usize) -> Result<Place, Stop<DecodeError>> {
        if left > 0 {
            return Ok(Place::Segment(kind, left));
        }
        let tables = match kind {
            DQT => &mut self.found.quantisation,
            DHT => &mut self.found.huffman,
            SOS => return Ok(Place::Scan),
            _ => return Ok(Place::Marker),
        };
        let segment = &self.file[self.segment..];
        if tables.len() + segment.len() > TABLE_BYTES {
            return Err(bad("tables longer than 8 KiB"));
        }
        tables.extend_from_slice(segment);
        Ok(Place::Marker)
    }

    /// The file with the tables that it relies on; its own are kept for later ones.
    fn complete(&mut self) -> Vec<u8> {
        let mut file = std::mem::take(&mut self.file);
        let found = std::mem::take(&mut self.found);
        let pairs =
            [(found.quantisation, &mut self.known.quantisation), (found.huffman, &mut self.known.huffman)];
        for (found, known) in pairs {
            if found.is_empty() {
                // Behind the first two bytes, which every file has.
                file.splice(2..2, known.iter().copied());
            } else {
                *known = found;
            }
        }
        file
    }
}

fn bad(reason: &str) -> Stop<DecodeError> {
    Stop::Failed(DecodeError::Image { kind: "jpeg", reason: reason.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Size;

    /// 32 by 24 pixels, by libjpeg.
    const FILE: &[u8] = include_bytes!("../../../tests/data/rfb/gradient-32x24.jpg");
    const RECT: Rect = Rect::new(3, 2, 32, 24);

    /// The file without its segments of these kinds.
    fn without(kinds: &[u8]) -> Vec<u8> {
        let (mut out, mut at) = (FILE[..2].to_vec(), 2);
        loop {
            let length = usize::from(u16::from_be_bytes([FILE[at + 2], FILE[at + 3]])) + 2;
            let kind = FILE[at + 1];
            if kind == SOS {
                out.extend_from_slice(&FILE[at..]);
                return out;
            }
            if !kinds.contains(&kind) {
                out.extend_from_slice(&FILE[at..at + length]);
            }
            at += length;
        }
    }

    fn paint(decoder: &mut Decoder, file: &[u8], piece: usize) -> Result<Canvas, Stop<DecodeError>> {
        let mut canvas = Canvas::new(Size::new(40, 30));
        decoder.begin();
        for piece in file.chunks(piece) {
            let mut reader = Reader::new(piece);
            match decoder.decode(&mut reader, RECT, &mut canvas) {
                Err(Stop::NeedMore) => assert!(reader.rest().is_empty()),
                Ok(()) => {
                    assert!(reader.rest().is_empty(), "all of the file");
                    return Ok(canvas);
                }
                failed => return failed.map(|()| canvas),
            }
        }
        Err(Stop::NeedMore)
    }

    fn reason(result: Result<Canvas, Stop<DecodeError>>) -> String {
        match result {
            Err(Stop::Failed(error)) => error.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_file_ends_at_its_end_however_it_is_cut() {
        let mut wanted = Canvas::new(Size::new(40, 30));
        image::paint_jpeg(FILE, RECT, &mut wanted).expect("a good file");
        for piece in [1, 2, 7, 100, FILE.len()] {
            assert_eq!(paint(&mut Decoder::default(), FILE, piece), Ok(wanted.clone()), "{piece}");
        }
        // What follows belongs to others.
        let mut canvas = Canvas::new(Size::new(40, 30));
        let long = [FILE, b"more"].concat();
        let mut reader = Reader::new(&long);
        Decoder::default().decode(&mut reader, RECT, &mut canvas).expect("a good file");
        assert_eq!(reader.rest(), b"more");
        for end in 0..FILE.len() {
            assert_eq!(paint(&mut Decoder::default(), &FILE[..end], 64), Err(Stop::NeedMore), "{end}");
        }
    }

    #[test]
    fn tables_of_earlier_files_are_used_again() {
        let mut decoder = Decoder::default();
        let wanted = paint(&mut decoder, FILE, 500).expect("a good file");
        for kinds in [&[DHT][..], &[DQT], &[DQT, DHT]] {
            let short = without(kinds);
            assert!(short.len() < FILE.len());
            assert_eq!(paint(&mut decoder, &short, 500), Ok(wanted.clone()), "{kinds:?}");
            // Who has never seen them has no picture: the decoder below says so in its own words.
            reason(paint(&mut Decoder::default(), &short, 500));
        }
    }

    #[test]
    fn what_is_no_file_is_told_at_once() {
        let tell = |bytes: &[u8]| reason(paint(&mut Decoder::default(), bytes, 1));
        assert_eq!(tell(b"GIF89a"), "bad jpeg: no start of an image");
        assert_eq!(tell(&[0xff, SOI, 7]), "bad jpeg: no marker where one must be");
        assert_eq!(tell(&[0xff, SOI, 0xff, 0xd3]), "bad jpeg: a marker that does not belong here");
        assert_eq!(tell(&[0xff, SOI, 0xff, DQT, 0, 1]), "bad jpeg: a segment without its length");
        let mut long = vec![0xff, SOI];
        long.extend([0xff, DHT, 0x20, 0x03].into_iter().chain([0; 0x2001]));
        assert_eq!(tell(&long), "bad jpeg: tables longer than 8 KiB");
        let mut endless = vec![0xff, SOI, 0xff, SOS, 0, 2];
        endless.resize(FILE_BYTES + 1, 0);
        assert_eq!(reason(paint(&mut Decoder::default(), &endless, 4096)), "bad jpeg: longer than 4 MiB");
    }
}
