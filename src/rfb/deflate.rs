//! Zlib streams (RFC 1950) as RFB uses them: one stream for the whole life of a connection, flushed after every
//! rectangle so that a viewer can decode it, never reset.
//!
//! A [`Compressor`] belongs to the viewer and lives as long as its connection. Losing one byte of its output, or
//! resetting it, would corrupt everything that follows; hence it appends to the very buffer that is sent.

use zlib_rs::{Deflate, DeflateConfig, DeflateFlush, Inflate, InflateError, InflateFlush, Status};

/// The compression level when nobody asks for another. Level 2 compresses a console's picture 19 times at 470 MB/s where level 1 reaches 10 times
/// and level 6 a quarter of the speed.
pub const LEVEL: u8 = 2;

/// How a stream begins (RFC 1950 §2.2): deflate, a window of 32 KiB, no dictionary.
const HEADER: [u8; 2] = [0x78, 0x01];

/// Base-two logarithm of the window, in bytes. 32 KiB hold the bits of a whole 80x25 console, so that what a viewer has
/// been sent before costs little when it comes again, and eight rows of a desktop's pixels.
const WINDOW_BITS: i32 = 15;

/// Zlib's memory level, 1 to 9: how much is gathered before its codes are chosen. A lower one than the usual 8 takes 48 KiB
/// less, and pictures, whose parts differ, compress up to 4 % better.
const MEMORY_LEVEL: i32 = 6;

/// The least room that the output is given for what comes out, in bytes. Room is zeroed before it is used, so that
/// it should be near what is needed.
const ROOM: usize = 512;

/// The most room for unpacked data at a time, in bytes.
const UNPACKED_STEP: usize = 64 * 1024;

/// A compressed stream towards a viewer. Made lazily: one takes about 272 KiB.
pub struct Compressor {
    /// Without zlib's header and end, so that it can begin anew in the middle of what the viewer takes for one stream.
    stream: Deflate,
    level: u8,
    begun: bool,
}

impl Default for Compressor {
    fn default() -> Self {
        Self::new()
    }
}

impl Compressor {
    /// The beginning of a stream at [`LEVEL`].
    #[must_use]
    pub fn new() -> Self {
        Self::with_level(LEVEL)
    }

    /// The beginning of a stream at `level`, 0 to 9.
    #[must_use]
    pub fn with_level(level: u8) -> Self {
        let level = level.min(9);
        let config = DeflateConfig {
            level: i32::from(level),
            window_bits: -WINDOW_BITS,
            mem_level: MEMORY_LEVEL,
            ..DeflateConfig::default()
        };
        Self { stream: Deflate::new_with_config(config), level, begun: false }
    }

    /// Goes on at another level, 0 to 9, and with an empty window: for the viewer it stays one stream, which does not
    /// look back behind this moment. To be called right after a [`flush`](Self::flush), or before anything was
    /// written.
    pub fn set_level(&mut self, level: u8) {
        let level = level.min(9);
        if level == self.level {
            return;
        }
        // Flushed data ends with a block and on a byte. zlib-rs (0.6) changes the level of fresh streams only.
        self.stream.reset();
        if self.stream.set_level(i32::from(level)).is_ok() {
            self.level = level;
        }
    }

    /// Compresses `data`, appending what comes out (maybe nothing yet) to `out`.
    pub fn write(&mut self, data: &[u8], out: &mut Vec<u8>) {
        self.run(data, DeflateFlush::NoFlush, out);
    }

    /// Brings everything written so far into `out`, so that a viewer can decode it.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        self.run(&[], DeflateFlush::SyncFlush, out);
    }

    /// Goes on until all input is consumed and, when flushing, the flush is complete, whatever room it takes:
    /// stopping at the first call that returns would lose the rest of incompressible data.
    fn run(&mut self, mut data: &[u8], flush: DeflateFlush, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.begun, true) {
            out.extend(HEADER);
        }
        loop {
            let at = out.len();
            let room = ROOM + data.len() / 4;
            out.resize(at + room, 0);
            let (total_in, total_out) = (self.stream.total_in(), self.stream.total_out());
            let result = self.stream.compress(data, &mut out[at..], flush);
            let consumed = usize::try_from(self.stream.total_in() - total_in).unwrap_or(0);
            let produced = usize::try_from(self.stream.total_out() - total_out).unwrap_or(0);
            out.truncate(at + produced);
            data = &data[consumed..];
            // The stream is neither finished nor given bad parameters, so that it cannot fail; and no progress
            // (`BufError`) means that nothing was left to do.
            let stuck = result.is_err() || (consumed == 0 && produced == 0);
            if stuck || (data.is_empty() && produced < room) {
                return;
            }
        }
    }
}

/// Why compressed data cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InflateFailure {
    /// It is not a zlib stream.
    #[error("bad zlib data: {0}")]
    Bad(&'static str),
    /// The stream has ended, which no RFB stream does.
    #[error("the zlib stream ended")]
    Ended,
    /// It unpacks to more than its rectangle can need.
    #[error("zlib data unpacks to more than {limit} bytes")]
    TooLong {
        /// The bytes that were allowed.
        limit: usize,
    },
}

/// A compressed stream from a server, the counterpart of [`Compressor`].
pub struct Decompressor {
    stream: Inflate,
}

impl Default for Decompressor {
    fn default() -> Self {
        Self::new()
    }
}

impl Decompressor {
    /// The beginning of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self { stream: Inflate::new(true, 15) }
    }

    /// Unpacks all of `data`, appending at most `limit` bytes to `out`.
    ///
    /// # Errors
    /// When `data` is no continuation of the stream or holds more than `limit` bytes; the stream is lost then.
    pub fn read(&mut self, mut data: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), InflateFailure> {
        let end = out.len() + limit;
        loop {
            let at = out.len();
            // One byte more than allowed tells "exactly full" from "too much".
            let room = (end + 1 - at).min(UNPACKED_STEP);
            out.resize(at + room, 0);
            let total_out = self.stream.total_out();
            let result = self.step(&mut data, &mut out[at..]);
            // What came before a failure counts.
            out.truncate(at + usize::try_from(self.stream.total_out() - total_out).unwrap_or(0));
            if out.len() > end {
                return Err(InflateFailure::TooLong { limit });
            }
            if result? < room {
                return Ok(());
            }
        }
    }

    /// Unpacks some of `data` into `room`, and takes what was used off its front. Returns how many bytes came out;
    /// fewer than `room` has mean that all of `data` was used and nothing is held back.
    ///
    /// # Errors
    /// When `data` is no continuation of the stream, or the stream has ended; it is lost then.
    pub fn step(&mut self, data: &mut &[u8], room: &mut [u8]) -> Result<usize, InflateFailure> {
        let mut filled = 0;
        loop {
            let (total_in, total_out) = (self.stream.total_in(), self.stream.total_out());
            let result = self.stream.decompress(data, &mut room[filled..], InflateFlush::SyncFlush);
            let consumed = usize::try_from(self.stream.total_in() - total_in).unwrap_or(0);
            let produced = usize::try_from(self.stream.total_out() - total_out).unwrap_or(0);
            *data = &data[consumed..];
            filled += produced;
            match result {
                Err(error) => return Err(InflateFailure::Bad(InflateError::as_str(error))),
                Ok(Status::StreamEnd) => return Err(InflateFailure::Ended),
                Ok(_) if filled == room.len() || (consumed == 0 && produced == 0) => return Ok(filled),
                Ok(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that do not compress, from a linear congruential generator.
    fn noise(count: usize) -> Vec<u8> {
        let mut state = 1u64;
        (0..count)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                state.to_be_bytes()[0]
            })
            .collect()
    }

    #[test]
    fn deflate_goes_on_until_all_input_is_consumed() {
        let mut compressor = Compressor::new();
        let mut decompressor = Decompressor::new();
        for data in [noise(200_000), vec![7; 300_000], noise(1), Vec::new(), noise(4096)] {
            let mut packed = vec![1, 2, 3];
            compressor.write(&data, &mut packed);
            compressor.flush(&mut packed);
            let mut unpacked = Vec::new();
            decompressor.read(&packed[3..], data.len(), &mut unpacked).expect("our own stream");
            assert!(unpacked == data, "{} of {} bytes", unpacked.len(), data.len());
        }
    }

    #[test]
    fn a_stream_goes_on_at_another_level() {
        let (mut compressor, mut decompressor) = (Compressor::with_level(2), Decompressor::new());
        let (mut packed, mut unpacked) = (Vec::new(), Vec::new());
        let mut total = 0;
        for (turn, level) in
            [1, 2, 1, 1, 6, 1, 2, 3, 9, 1, 2, 2, 5, 1].into_iter().cycle().take(280).enumerate()
        {
            compressor.set_level(level);
            // Something old, something that repeats, something new, and sometimes nothing at all.
            let mut data = noise(turn * 97 % 5000);
            data.extend(vec![u8::try_from(turn % 256).expect("small"); turn * 31 % 3000]);
            data.extend_from_slice(&data.clone()[..data.len() / 2]);
            packed.clear();
            unpacked.clear();
            compressor.write(&data, &mut packed);
            compressor.flush(&mut packed);
            decompressor.read(&packed, data.len(), &mut unpacked).expect("our own stream");
            assert!(unpacked == data, "turn {turn} at level {level}");
            total += data.len();
        }
        // The window has gone round a few times.
        assert!(total > 1_000_000);
    }

    #[test]
    fn every_length_survives() {
        // The output's room runs out at another point for each of them.
        let data = noise(6_000);
        let (mut compressor, mut decompressor) = (Compressor::new(), Decompressor::new());
        let (mut packed, mut unpacked) = (Vec::new(), Vec::new());
        for length in (0..data.len()).step_by(7) {
            packed.clear();
            unpacked.clear();
            compressor.write(&data[..length], &mut packed);
            compressor.flush(&mut packed);
            decompressor.read(&packed, length, &mut unpacked).expect("our own stream");
            assert!(unpacked == data[..length], "length {length}");
        }
    }

    #[test]
    fn a_bomb_is_stopped_at_the_limit() {
        let mut packed = Vec::new();
        let mut compressor = Compressor::new();
        compressor.write(&vec![0; 1_000_000], &mut packed);
        compressor.flush(&mut packed);
        let mut out = Vec::new();
        assert_eq!(
            Decompressor::new().read(&packed, 999, &mut out),
            Err(InflateFailure::TooLong { limit: 999 })
        );
        assert!(out.capacity() <= 64 * 1024);
    }

    #[test]
    fn what_is_not_zlib_is_an_error() {
        let mut out = Vec::new();
        assert!(matches!(
            Decompressor::new().read(b"GET / HTTP", 100, &mut out),
            Err(InflateFailure::Bad(_))
        ));
        // An empty stream with its end, as zlib.compress(b"") gives it.
        let end = [0x78, 0x9c, 3, 0, 0, 0, 0, 1];
        assert_eq!(Decompressor::new().read(&end, 100, &mut out), Err(InflateFailure::Ended));
    }
}
