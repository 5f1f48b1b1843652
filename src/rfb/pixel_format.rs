//! Pixel formats (RFC 6143 §7.4): how a viewer wants its pixels, and turning colours into them.
//!
//! Deviations: a format whose colour-map flag is clear is accepted at 8 bits a pixel only (wider ones are refused;
//! no known viewer asks for them) and is answered with a map that holds a 3-3-2 cube. `depth` matters
//! for Tight's pixels only; for ZRLE's compressed pixels viewers in use ignore it, and so do we.

use super::tile::Colour;
use super::wire::{NeedMore, Reader, Writer};

/// The bytes of a pixel format on the wire.
pub const PIXEL_FORMAT_BYTES: usize = 16;

/// One channel of a true-colour format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Channel {
    /// The largest value, for full intensity.
    pub max: u16,
    /// How many bits left of a pixel value's least significant bit it lies.
    pub shift: u8,
}

impl Channel {
    /// The channel's bits in a pixel value; `None` when they do not fit into `bits`.
    fn mask(self, bits: u8) -> Option<u32> {
        let width = 16 - self.max.leading_zeros();
        let fits = width == 0 || u32::from(self.shift) + width <= u32::from(bits);
        let ones = (1u64 << width) - 1;
        fits.then(|| u32::try_from(ones << (self.shift & 31)).unwrap_or(0))
    }
}

/// What a pixel value means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ColourModel {
    /// Three channels side by side.
    TrueColour {
        /// The red channel.
        red: Channel,
        /// The green channel.
        green: Channel,
        /// The blue channel.
        blue: Channel,
    },
    /// An index into a map that the server sets.
    ColourMap,
}

/// Why a pixel format is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PixelFormatError {
    /// Only 8, 16 and 32 bits a pixel exist.
    #[error("{0} bits per pixel; 8, 16 or 32 wanted")]
    BitsPerPixel(u8),
    /// A channel lies outside the pixel.
    #[error("a channel with maximum {max} at bit {shift} does not fit into {bits} bits per pixel")]
    ChannelOutside {
        /// The channel's largest value.
        max: u16,
        /// Its position.
        shift: u8,
        /// The pixel's size.
        bits: u8,
    },
    /// Two channels share a bit.
    #[error("channels overlap: {red:#x}, {green:#x}, {blue:#x}")]
    Overlap {
        /// Bits of red.
        red: u32,
        /// Bits of green.
        green: u32,
        /// Bits of blue.
        blue: u32,
    },
    /// A colour map with more than 256 entries.
    #[error("a colour map with {0} bits per pixel; 8 wanted")]
    ColourMapTooDeep(u8),
}

/// A pixel format that makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PixelFormat {
    bits_per_pixel: u8,
    depth: u8,
    big_endian: bool,
    model: ColourModel,
}

impl PixelFormat {
    /// 32 bits, little-endian, `0x00RRGGBB`: what the server offers and nearly every viewer takes.
    pub const RGB888: Self = Self {
        bits_per_pixel: 32,
        depth: 24,
        big_endian: false,
        model: ColourModel::TrueColour {
            red: Channel { max: 255, shift: 16 },
            green: Channel { max: 255, shift: 8 },
            blue: Channel { max: 255, shift: 0 },
        },
    };

    /// A format of these properties.
    ///
    /// # Errors
    /// When they contradict each other.
    pub fn new(
        bits_per_pixel: u8,
        depth: u8,
        big_endian: bool,
        model: ColourModel,
    ) -> Result<Self, PixelFormatError> {
        if !matches!(bits_per_pixel, 8 | 16 | 32) {
            return Err(PixelFormatError::BitsPerPixel(bits_per_pixel));
        }
        match model {
            ColourModel::ColourMap if bits_per_pixel != 8 => {
                return Err(PixelFormatError::ColourMapTooDeep(bits_per_pixel));
            }
            ColourModel::ColourMap => {}
            ColourModel::TrueColour { red, green, blue } => {
                let mask = |channel: Channel| {
                    channel.mask(bits_per_pixel).ok_or(PixelFormatError::ChannelOutside {
                        max: channel.max,
                        shift: channel.shift,
                        bits: bits_per_pixel,
                    })
                };
                let (red, green, blue) = (mask(red)?, mask(green)?, mask(blue)?);
                if red & green | green & blue | blue & red != 0 {
                    return Err(PixelFormatError::Overlap { red, green, blue });
                }
            }
        }
        Ok(Self { bits_per_pixel, depth, big_endian, model })
    }

    /// Reads a format; always consumes [`PIXEL_FORMAT_BYTES`].
    ///
    /// # Errors
    /// [`NeedMore`] when it is not complete; the inner result says whether it makes sense.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Result<Self, PixelFormatError>, NeedMore> {
        let mut raw = Reader::new(reader.bytes(PIXEL_FORMAT_BYTES)?);
        let (bits_per_pixel, depth) = (raw.u8()?, raw.u8()?);
        let (big_endian, true_colour) = (raw.u8()? != 0, raw.u8()? != 0);
        let max = [raw.u16()?, raw.u16()?, raw.u16()?];
        let shift: [u8; 3] = raw.array()?;
        let [red, green, blue] = [0, 1, 2].map(|i| Channel { max: max[i], shift: shift[i] });
        let model =
            if true_colour { ColourModel::TrueColour { red, green, blue } } else { ColourModel::ColourMap };
        Ok(Self::new(bits_per_pixel, depth, big_endian, model))
    }

    /// Appends the format's [`PIXEL_FORMAT_BYTES`].
    pub fn encode(&self, out: &mut Vec<u8>) {
        let none = Channel { max: 0, shift: 0 };
        let (true_colour, channels) = match self.model {
            ColourModel::TrueColour { red, green, blue } => (true, [red, green, blue]),
            ColourModel::ColourMap => (false, [none; 3]),
        };
        out.put(&[self.bits_per_pixel, self.depth, u8::from(self.big_endian), u8::from(true_colour)]);
        for channel in channels {
            out.put_u16(channel.max);
        }
        out.put(&channels.map(|channel| channel.shift));
        out.put(&[0; 3]);
    }

    /// The bytes of a pixel: 1, 2 or 4.
    #[must_use]
    pub fn bytes_per_pixel(&self) -> usize {
        usize::from(self.bits_per_pixel / 8)
    }

    /// The number of bits that matter, as it was given.
    #[must_use]
    pub fn depth(&self) -> u8 {
        self.depth
    }

    /// What a pixel value means.
    #[must_use]
    pub fn model(&self) -> ColourModel {
        self.model
    }

    /// True when the most significant byte of a pixel comes first.
    #[must_use]
    pub fn big_endian(&self) -> bool {
        self.big_endian
    }

    /// Where the three bytes of a compressed pixel (CPIXEL, RFC 6143 §7.7.5) lie among the four of a pixel on the
    /// wire: `Some(0)` for the first three, `Some(1)` for the last three, `None` when it has no such form.
    fn compressed_offset(&self) -> Option<usize> {
        let ColourModel::TrueColour { red, green, blue } = self.model else { return None };
        if self.bits_per_pixel != 32 {
            return None;
        }
        let used = [red, green, blue].iter().filter_map(|c| c.mask(32)).fold(0, |all, mask| all | mask);
        if used & 0xff00_0000 == 0 {
            Some(usize::from(self.big_endian))
        } else if used & 0xff == 0 {
            Some(usize::from(!self.big_endian))
        } else {
            None
        }
    }
}

impl Default for PixelFormat {
    fn default() -> Self {
        Self::RGB888
    }
}

/// The channel values of the colour map's entry `index`: a 3-3-2 cube, red in the least significant bits.
/// Full intensity is 65535 (RFC 6143 §7.6.2).
#[must_use]
pub fn cube_entry(index: u8) -> [u16; 3] {
    let level =
        |value: u8, max: u8| u16::try_from(u32::from(value) * 65535 / u32::from(max)).unwrap_or(u16::MAX);
    [level(index & 7, 7), level(index >> 3 & 7, 7), level(index >> 6, 3)]
}

/// Turns colours into pixels of one format by three tables; a pixel's bytes on the wire are the first
/// [`bytes`](Self::bytes) of the little-endian number that [`wire`](Self::wire) gives.
#[derive(Clone)]
pub struct Translator {
    format: PixelFormat,
    /// The wire value of each intensity of red, green and blue, byte order applied.
    tables: Option<Box<[[u32; 256]; 3]>>,
    /// Where red, green and blue lie in a pixel's value when each has 8 bits.
    bytes_at: Option<[u8; 3]>,
}

impl Translator {
    /// The translator to `format`.
    #[must_use]
    pub fn new(format: PixelFormat) -> Self {
        let bytes_at = match format.model {
            ColourModel::TrueColour { red, green, blue } => {
                let all = [red, green, blue];
                all.iter().all(|channel| channel.max == 255).then(|| all.map(|channel| channel.shift))
            }
            ColourModel::ColourMap => None,
        };
        if format == PixelFormat::RGB888 {
            return Self { format, tables: None, bytes_at };
        }
        let channels = match format.model {
            ColourModel::TrueColour { red, green, blue } => [red, green, blue],
            ColourModel::ColourMap => {
                [Channel { max: 7, shift: 0 }, Channel { max: 7, shift: 3 }, Channel { max: 3, shift: 6 }]
            }
        };
        let mut tables = Box::new([[0; 256]; 3]);
        for (table, channel) in tables.iter_mut().zip(channels) {
            for (intensity, entry) in (0u32..).zip(table.iter_mut()) {
                let value = (intensity * u32::from(channel.max) + 127) / 255;
                let value = value << (channel.shift & 31);
                *entry = match (format.big_endian, format.bits_per_pixel) {
                    (true, 16) => value.swap_bytes() >> 16,
                    (true, 32) => value.swap_bytes(),
                    _ => value,
                };
            }
        }
        Self { format, tables: Some(tables), bytes_at }
    }

    /// The format that it translates to.
    #[must_use]
    pub fn format(&self) -> &PixelFormat {
        &self.format
    }

    /// The bytes of a pixel: 1, 2 or 4.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.format.bytes_per_pixel()
    }

    /// True when a pixel on the wire is a [`Colour`] in little-endian order, but for its highest byte.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.tables.is_none()
    }

    /// True when a pixel's first three bytes on the wire are red, green and blue, and its fourth is 0.
    #[must_use]
    pub fn is_reversed(&self) -> bool {
        let level = |shift| Channel { max: 255, shift };
        let model = ColourModel::TrueColour { red: level(0), green: level(8), blue: level(16) };
        self.format.bits_per_pixel == 32 && !self.format.big_endian && self.format.model == model
    }

    /// The pixel of a colour: its bytes on the wire, the first one least significant.
    #[must_use]
    #[inline]
    pub fn wire(&self, colour: Colour) -> u32 {
        match &self.tables {
            None => colour.0 & 0x00ff_ffff,
            Some(tables) => {
                tables[0][usize::from(colour.red())]
                    | tables[1][usize::from(colour.green())]
                    | tables[2][usize::from(colour.blue())]
            }
        }
    }

    /// The bytes of a compressed pixel (CPIXEL): 1, 2, 3 or 4, and how far [`wire`](Self::wire) must be shifted
    /// right so that they are its first ones.
    #[must_use]
    pub fn compressed(&self) -> (usize, u32) {
        match self.format.compressed_offset() {
            Some(0) => (3, 0),
            Some(_) => (3, 8),
            None => (self.bytes(), 0),
        }
    }

    /// The colour of a pixel on the wire (as [`wire`](Self::wire) gives it), as near as 8 bits a channel allow.
    /// Entries of a colour map are taken to be [`cube_entry`]'s.
    #[must_use]
    #[inline]
    pub fn colour(&self, wire: u32) -> Colour {
        if self.is_plain() { Colour(wire & 0x00ff_ffff) } else { self.colour_of(self.value(wire)) }
    }

    /// The value of a pixel on the wire, its byte order undone.
    #[must_use]
    pub fn value(&self, wire: u32) -> u32 {
        match (self.format.big_endian, self.format.bits_per_pixel) {
            (true, 16) => wire.swap_bytes() >> 16,
            (true, 32) => wire.swap_bytes(),
            _ => wire,
        }
    }

    /// The colour of a pixel's value, as near as 8 bits a channel allow.
    #[must_use]
    pub fn colour_of(&self, value: u32) -> Colour {
        if let Some(at) = self.bytes_at {
            let [red, green, blue] = at.map(|shift| (value >> (shift & 31)).to_le_bytes()[0]);
            return Colour::rgb(red, green, blue);
        }
        let intensity = |channel: Channel| {
            let max = u32::from(channel.max);
            let have =
                (u64::from(value) >> (channel.shift & 31)) & channel.mask(32).map_or(0, |_| width_mask(max));
            let have = u32::try_from(have).unwrap_or(max).min(max);
            u8::try_from((have * 255 + max / 2).checked_div(max).unwrap_or(0)).unwrap_or(255)
        };
        match self.format.model {
            ColourModel::TrueColour { red, green, blue } => {
                Colour::rgb(intensity(red), intensity(green), intensity(blue))
            }
            ColourModel::ColourMap => {
                let [red, green, blue] =
                    cube_entry(value.to_le_bytes()[0]).map(|level| level.to_be_bytes()[0]);
                Colour::rgb(red, green, blue)
            }
        }
    }
}

/// Ones in as many low bits as `max` has.
fn width_mask(max: u32) -> u64 {
    (1u64 << (32 - max.leading_zeros())) - 1
}

impl std::fmt::Debug for Translator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Translator").field("format", &self.format).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn true_colour(
        bits: u8,
        big_endian: bool,
        max: [u16; 3],
        shift: [u8; 3],
    ) -> Result<PixelFormat, PixelFormatError> {
        let [red, green, blue] = [0, 1, 2].map(|i| Channel { max: max[i], shift: shift[i] });
        PixelFormat::new(bits, bits.min(24), big_endian, ColourModel::TrueColour { red, green, blue })
    }

    /// Formats that viewers use, and odd ones.
    pub(crate) fn formats() -> Vec<PixelFormat> {
        let mut all = Vec::new();
        for big_endian in [false, true] {
            for (bits, max, shift) in [
                (32, [255; 3], [16, 8, 0]),
                (32, [255; 3], [0, 8, 16]),
                (32, [255; 3], [24, 16, 8]),
                (32, [1023; 3], [20, 10, 0]),
                (32, [255; 3], [24, 8, 0]),
                (16, [31, 63, 31], [11, 5, 0]),
                (16, [31; 3], [0, 5, 10]),
                (16, [15, 15, 15], [1, 6, 12]),
                (8, [7, 7, 3], [0, 3, 6]),
                (8, [3; 3], [4, 2, 0]),
                (8, [5, 0, 5], [5, 0, 1]),
            ] {
                all.push(true_colour(bits, big_endian, max, shift).expect("a good format"));
            }
            all.push(PixelFormat::new(8, 8, big_endian, ColourModel::ColourMap).expect("a good format"));
        }
        all
    }

    fn bytes(format: PixelFormat, colour: Colour) -> Vec<u8> {
        let translator = Translator::new(format);
        translator.wire(colour).to_le_bytes()[..translator.bytes()].to_vec()
    }

    #[test]
    fn pixels_have_the_bytes_that_the_specification_says() {
        let colour = Colour::rgb(0x12, 0x34, 0x56);
        assert_eq!(bytes(PixelFormat::RGB888, colour), [0x56, 0x34, 0x12, 0]);
        let big = true_colour(32, true, [255; 3], [16, 8, 0]).expect("good");
        assert_eq!(bytes(big, colour), [0, 0x12, 0x34, 0x56]);
        // 0xff 0x80 0x00 in 5-6-5 is 11111 100000 00000.
        let orange = Colour::rgb(0xff, 0x80, 0);
        let high = |big| true_colour(16, big, [31, 63, 31], [11, 5, 0]).expect("good");
        assert_eq!(bytes(high(true), orange), [0xfc, 0x00]);
        assert_eq!(bytes(high(false), orange), [0x00, 0xfc]);
        let low = true_colour(8, false, [7, 7, 3], [0, 3, 6]).expect("good");
        assert_eq!(bytes(low, Colour::WHITE), [0xff]);
        assert_eq!(bytes(low, Colour::rgb(255, 0, 0)), [0x07]);
    }

    #[test]
    fn compressed_pixels_leave_the_unused_byte_out() {
        let cases = [
            (false, [16, 8, 0], (3, 0)),
            (true, [16, 8, 0], (3, 8)),
            (false, [24, 16, 8], (3, 8)),
            (true, [24, 16, 8], (3, 0)),
            (false, [24, 8, 0], (4, 0)),
        ];
        for (big_endian, shift, wanted) in cases {
            let format = true_colour(32, big_endian, [255; 3], shift).expect("good");
            assert_eq!(Translator::new(format).compressed(), wanted, "{format:?}");
        }
        let high = true_colour(16, false, [31, 63, 31], [11, 5, 0]).expect("good");
        assert_eq!(Translator::new(high).compressed(), (2, 0));
    }

    #[test]
    fn the_format_of_the_specification_reads_back() {
        let mut out = Vec::new();
        PixelFormat::RGB888.encode(&mut out);
        assert_eq!(out, [32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0]);
        for format in formats() {
            let mut out = Vec::new();
            format.encode(&mut out);
            assert_eq!(PixelFormat::decode(&mut Reader::new(&out)), Ok(Ok(format)));
            assert_eq!(PixelFormat::decode(&mut Reader::new(&out[..15])), Err(NeedMore));
        }
    }

    #[test]
    fn formats_that_make_no_sense_are_refused_by_name() {
        assert_eq!(true_colour(24, false, [255; 3], [16, 8, 0]), Err(PixelFormatError::BitsPerPixel(24)));
        assert_eq!(true_colour(0, false, [255; 3], [16, 8, 0]), Err(PixelFormatError::BitsPerPixel(0)));
        assert!(matches!(
            true_colour(16, false, [255; 3], [16, 8, 0]),
            Err(PixelFormatError::ChannelOutside { max: 255, shift: 16, bits: 16 })
        ));
        assert!(matches!(
            true_colour(32, false, [255; 3], [8, 8, 0]),
            Err(PixelFormatError::Overlap { red: 0xff00, green: 0xff00, blue: 0xff })
        ));
        assert_eq!(
            PixelFormat::new(16, 16, false, ColourModel::ColourMap),
            Err(PixelFormatError::ColourMapTooDeep(16))
        );
    }

    proptest! {
        #[test]
        fn any_sixteen_bytes_are_a_format_or_an_error(raw in any::<[u8; 16]>(), colour in 0u32..0x0100_0000) {
            if let Ok(Ok(format)) = PixelFormat::decode(&mut Reader::new(&raw)) {
                let translator = Translator::new(format);
                let wire = translator.wire(Colour(colour));
                prop_assert!(translator.bytes() == 4 || wire >> (8 * translator.bytes()) == 0);
                // A colour that went through the format once comes through unchanged.
                prop_assert_eq!(translator.wire(translator.colour(wire)), wire);
            }
        }

        #[test]
        fn eight_bits_a_channel_lose_nothing(colour in 0u32..0x0100_0000, at in 0usize..100) {
            let all: Vec<_> = formats().into_iter().filter(|f| {
                matches!(f.model(), ColourModel::TrueColour { red, green, blue }
                    if [red, green, blue].iter().all(|c| c.max >= 255))
            }).collect();
            let translator = Translator::new(all[at % all.len()]);
            prop_assert_eq!(translator.colour(translator.wire(Colour(colour))), Colour(colour));
        }
    }
}
