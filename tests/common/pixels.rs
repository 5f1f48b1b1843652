//! Decoders of RFB encodings, written from RFC 6143 §7.7 for tests only, so that the library's encoders are judged by
//! something that does not share their mistakes. Malformed data panics.

use xenvnc::geometry::{Rect, Size};
use xenvnc::rfb::tile::Colour;
use zlib_rs::{Inflate, InflateFlush};

/// A true-colour pixel format (§7.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    pub bits: u8,
    pub big_endian: bool,
    /// The largest values of red, green and blue.
    pub max: [u16; 3],
    /// Their shifts.
    pub shift: [u8; 3],
}

impl Format {
    pub const RGB888: Self = Self { bits: 32, big_endian: false, max: [255; 3], shift: [16, 8, 0] };
    pub const BGR888_BIG: Self = Self { bits: 32, big_endian: true, max: [255; 3], shift: [8, 16, 24] };
    pub const RGB565: Self = Self { bits: 16, big_endian: false, max: [31, 63, 31], shift: [11, 5, 0] };
    pub const RGB555_BIG: Self = Self { bits: 16, big_endian: true, max: [31; 3], shift: [10, 5, 0] };
    pub const BGR233: Self = Self { bits: 8, big_endian: false, max: [7, 7, 3], shift: [0, 3, 6] };
    pub const ALL: [Self; 5] = [Self::RGB888, Self::BGR888_BIG, Self::RGB565, Self::RGB555_BIG, Self::BGR233];

    pub fn encode(self) -> Vec<u8> {
        let depth = if self.bits == 32 { 24 } else { self.bits };
        let mut bytes = vec![self.bits, depth, u8::from(self.big_endian), 1];
        bytes.extend(self.max.iter().flat_map(|max| max.to_be_bytes()));
        bytes.extend(self.shift);
        bytes.extend([0; 3]);
        bytes
    }

    /// Reads one pixel from `bytes`, which may hold the 3 bytes of a CPIXEL (§7.7.5).
    fn pixel(self, bytes: &[u8]) -> Colour {
        let whole = usize::from(self.bits / 8);
        let used =
            self.max.iter().zip(self.shift).fold(0u32, |used, (max, shift)| used | u32::from(*max) << shift);
        // A CPIXEL leaves out the byte that no channel touches.
        let low = if bytes.len() < whole && used & 0xff == 0 { 8 } else { 0 };
        let fold = |value: u32, byte: &u8| value << 8 | u32::from(*byte);
        let value =
            if self.big_endian { bytes.iter().fold(0, fold) } else { bytes.iter().rev().fold(0, fold) }
                << low;
        let channel = |i: usize| {
            let max = u32::from(self.max[i]);
            u8::try_from(((value >> self.shift[i]) & max) * 255 / max).unwrap()
        };
        Colour::rgb(channel(0), channel(1), channel(2))
    }

    pub fn bytes(self) -> usize {
        usize::from(self.bits / 8)
    }

    fn compressed_bytes(self) -> usize {
        if self.bits == 32 { 3 } else { self.bytes() }
    }

    /// True when `shown`, decoded from this format, is what `wanted` becomes in it, whichever way it is rounded.
    pub fn shows(self, shown: Colour, wanted: Colour) -> bool {
        let near = |i: usize, a: u8, b: u8| {
            let step = if self.max[i] == 255 { 0 } else { 255 / self.max[i] };
            u16::from(a.abs_diff(b)) <= step
        };
        near(0, shown.red(), wanted.red())
            && near(1, shown.green(), wanted.green())
            && near(2, shown.blue(), wanted.blue())
    }
}

/// Bytes to be read; `None` when there are too few.
pub struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub fn u8(&mut self) -> Option<u8> {
        Some(self.take(1)?[0])
    }

    pub fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().unwrap()))
    }

    pub fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().unwrap()))
    }
}

/// A framebuffer that encodings are decoded into.
pub struct Canvas {
    pub size: Size,
    pub pixels: Vec<Colour>,
}

impl Canvas {
    pub fn new(size: Size) -> Self {
        Self { size, pixels: vec![Colour::BLACK; size.area() as usize] }
    }

    /// The framebuffer after DesktopSize: what is in both stays.
    pub fn resize(&mut self, size: Size) {
        let old = std::mem::replace(self, Self::new(size));
        for y in 0..size.height.min(old.size.height) {
            for x in 0..size.width.min(old.size.width) {
                self.set(x, y, old.pixels[usize::from(y) * usize::from(old.size.width) + usize::from(x)]);
            }
        }
    }

    fn set(&mut self, x: u16, y: u16, colour: Colour) {
        assert!(x < self.size.width && y < self.size.height, "({x}, {y}) is outside {:?}", self.size);
        self.pixels[usize::from(y) * usize::from(self.size.width) + usize::from(x)] = colour;
    }

    fn fill(&mut self, rect: Rect, colour: Colour) {
        for y in rect.y..rect.y + rect.height {
            for x in rect.x..rect.x + rect.width {
                self.set(x, y, colour);
            }
        }
    }

    fn place(rect: Rect, index: usize) -> (u16, u16) {
        let (row, column) = (index / usize::from(rect.width), index % usize::from(rect.width));
        (rect.x + u16::try_from(column).unwrap(), rect.y + u16::try_from(row).unwrap())
    }

    /// §7.7.1
    pub fn raw(&mut self, rect: Rect, format: Format, bytes: &mut Bytes<'_>) -> Option<()> {
        let data = bytes.take(rect.area() as usize * format.bytes())?;
        for (index, pixel) in data.chunks(format.bytes()).enumerate() {
            let (x, y) = Self::place(rect, index);
            self.set(x, y, format.pixel(pixel));
        }
        Some(())
    }

    /// §7.7.2
    pub fn copy(&mut self, rect: Rect, bytes: &mut Bytes<'_>) -> Option<()> {
        let (source_x, source_y) = (bytes.u16()?, bytes.u16()?);
        let width = usize::from(self.size.width);
        let old = self.pixels.clone();
        for y in 0..rect.height {
            for x in 0..rect.width {
                assert!(
                    source_x + x < self.size.width && source_y + y < self.size.height,
                    "copied from outside"
                );
                self.set(
                    rect.x + x,
                    rect.y + y,
                    old[usize::from(source_y + y) * width + usize::from(source_x + x)],
                );
            }
        }
        Some(())
    }

    /// §7.7.4
    pub fn hextile(&mut self, rect: Rect, format: Format, bytes: &mut Bytes<'_>) -> Option<()> {
        let pixel = |bytes: &mut Bytes<'_>| Some(format.pixel(bytes.take(format.bytes())?));
        let (mut background, mut foreground) = (Colour::BLACK, Colour::BLACK);
        for tile in tiles(rect, 16) {
            let kind = bytes.u8()?;
            if kind & 1 != 0 {
                self.raw(tile, format, bytes)?;
                continue;
            }
            if kind & 2 != 0 {
                background = pixel(bytes)?;
            }
            if kind & 4 != 0 {
                foreground = pixel(bytes)?;
            }
            self.fill(tile, background);
            let count = if kind & 8 != 0 { bytes.u8()? } else { 0 };
            for _ in 0..count {
                let colour = if kind & 16 != 0 { pixel(bytes)? } else { foreground };
                let (place, size) = (bytes.u8()?, bytes.u8()?);
                let part = Rect::new(
                    tile.x + u16::from(place >> 4),
                    tile.y + u16::from(place & 15),
                    u16::from(size >> 4) + 1,
                    u16::from(size & 15) + 1,
                );
                assert!(tile.contains(part));
                self.fill(part, colour);
            }
        }
        Some(())
    }

    /// The community's specification, Zlib.
    pub fn zlib(
        &mut self,
        rect: Rect,
        format: Format,
        inflate: &mut Inflate,
        bytes: &mut Bytes<'_>,
    ) -> Option<()> {
        let length = bytes.u32()? as usize;
        let data = unpack(inflate, bytes.take(length)?);
        let mut data = Bytes(&data);
        self.raw(rect, format, &mut data).expect("every pixel");
        assert!(data.0.is_empty());
        Some(())
    }

    /// The community's specification, Tight, for formats with 8 bits a channel: one colour, or compressed pixels as they
    /// are or from a palette.
    pub fn tight(&mut self, rect: Rect, streams: &mut [Inflate; 4], bytes: &mut Bytes<'_>) -> Option<()> {
        let colour = |c: &[u8]| Colour::rgb(c[0], c[1], c[2]);
        let control = bytes.u8()?;
        let renew = |streams: &mut [Inflate; 4]| {
            for (number, stream) in streams.iter_mut().enumerate() {
                if control & (1 << number) != 0 {
                    *stream = Inflate::new(true, 15);
                }
            }
        };
        if control >> 4 == 8 {
            let fill = colour(bytes.take(3)?);
            renew(streams);
            self.fill(rect, fill);
            return Some(());
        }
        assert!(control >> 4 < 8, "neither JPEG nor PNG was asked for");
        let filter = if control & 0x40 != 0 { bytes.u8()? } else { 0 };
        let palette: Vec<Colour> = match filter {
            0 => Vec::new(),
            1 => {
                let count = usize::from(bytes.u8()?) + 1;
                bytes.take(count * 3)?.chunks(3).map(colour).collect()
            }
            other => panic!("filter {other}"),
        };
        let (width, height) = (usize::from(rect.width), usize::from(rect.height));
        let row = match palette.len() {
            0 => width * 3,
            2 => width.div_ceil(8),
            _ => width,
        };
        let data = if row * height < 12 {
            let data = bytes.take(row * height)?.to_vec();
            renew(streams);
            data
        } else {
            let mut length = 0;
            for shift in [0, 7, 14] {
                let byte = bytes.u8()?;
                length |= usize::from(byte & if shift == 14 { 0xff } else { 0x7f }) << shift;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            // All of it is here: only now the streams move on.
            let packed = bytes.take(length)?;
            renew(streams);
            unpack(&mut streams[usize::from(control >> 4 & 3)], packed)
        };
        assert_eq!(data.len(), row * height, "the rectangle's data");
        for y in 0..height {
            for x in 0..width {
                let line = &data[y * row..];
                let pixel = match palette.len() {
                    0 => colour(&line[x * 3..]),
                    2 => palette[usize::from(line[x / 8] >> (7 - x % 8) & 1)],
                    _ => palette[usize::from(line[x])],
                };
                self.set(rect.x + u16::try_from(x).unwrap(), rect.y + u16::try_from(y).unwrap(), pixel);
            }
        }
        Some(())
    }

    /// §7.7.6
    pub fn zrle(
        &mut self,
        rect: Rect,
        format: Format,
        inflate: &mut Inflate,
        bytes: &mut Bytes<'_>,
    ) -> Option<()> {
        let length = bytes.u32()? as usize;
        let data = unpack(inflate, bytes.take(length)?);
        let mut data = Bytes(&data);
        for tile in tiles(rect, 64) {
            self.zrle_tile(tile, format, &mut data).expect("a complete tile");
        }
        assert!(data.0.is_empty(), "{} bytes are left after the last tile", data.0.len());
        Some(())
    }

    fn zrle_tile(&mut self, tile: Rect, format: Format, data: &mut Bytes<'_>) -> Option<()> {
        let pixel = |data: &mut Bytes<'_>| Some(format.pixel(data.take(format.compressed_bytes())?));
        let kind = data.u8()?;
        let palette_size = usize::from(kind & 0x7f);
        let total = tile.area() as usize;
        let run = |data: &mut Bytes<'_>| {
            let mut length = 1;
            loop {
                let more = data.u8()?;
                length += usize::from(more);
                if more < 255 {
                    return Some(length);
                }
            }
        };
        match kind {
            0 => {
                for index in 0..total {
                    let (x, y) = Self::place(tile, index);
                    let colour = pixel(data)?;
                    self.set(x, y, colour);
                }
            }
            1 => {
                let colour = pixel(data)?;
                self.fill(tile, colour);
            }
            2..=16 => {
                let palette: Vec<Colour> = (0..palette_size).map(|_| pixel(data)).collect::<Option<_>>()?;
                let bits = match palette_size {
                    2 => 1,
                    3..=4 => 2,
                    _ => 4,
                };
                for y in 0..tile.height {
                    let row = data.take((usize::from(tile.width) * bits).div_ceil(8))?;
                    for x in 0..tile.width {
                        let at = usize::from(x) * bits;
                        let index = row[at / 8] >> (8 - bits - at % 8) & ((1 << bits) - 1);
                        self.set(tile.x + x, tile.y + y, palette[usize::from(index)]);
                    }
                }
            }
            128 => {
                let mut index = 0;
                while index < total {
                    let colour = pixel(data)?;
                    for _ in 0..run(data)? {
                        let (x, y) = Self::place(tile, index);
                        self.set(x, y, colour);
                        index += 1;
                    }
                }
            }
            130.. => {
                let palette: Vec<Colour> = (0..palette_size).map(|_| pixel(data)).collect::<Option<_>>()?;
                let mut index = 0;
                while index < total {
                    let entry = data.u8()?;
                    let length = if entry & 0x80 != 0 { run(data)? } else { 1 };
                    for _ in 0..length {
                        let (x, y) = Self::place(tile, index);
                        self.set(x, y, palette[usize::from(entry & 0x7f)]);
                        index += 1;
                    }
                }
            }
            other => panic!("ZRLE subencoding {other} is not defined"),
        }
        Some(())
    }
}

/// The tiles of a rectangle, left to right, then down.
fn tiles(rect: Rect, side: u16) -> impl Iterator<Item = Rect> {
    let rows = (rect.y..rect.y + rect.height).step_by(usize::from(side));
    rows.flat_map(move |y| {
        let columns = (rect.x..rect.x + rect.width).step_by(usize::from(side));
        columns.map(move |x| {
            Rect::new(x, y, side.min(rect.x + rect.width - x), side.min(rect.y + rect.height - y))
        })
    })
}

fn unpack(inflate: &mut Inflate, mut data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let (total_in, total_out) = (inflate.total_in(), inflate.total_out());
        let result = inflate.decompress(data, &mut buffer, InflateFlush::SyncFlush);
        let consumed = usize::try_from(inflate.total_in() - total_in).unwrap();
        let produced = usize::try_from(inflate.total_out() - total_out).unwrap();
        out.extend_from_slice(&buffer[..produced]);
        data = &data[consumed..];
        if consumed == 0 && produced == 0 {
            assert!(data.is_empty(), "the zlib stream is broken: {result:?}");
            return out;
        }
        result.expect("a good zlib stream");
    }
}
