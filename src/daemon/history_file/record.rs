//! The records that a segment of the history is made of. All numbers are little-endian:
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | 4 | `XVp2` with a ring position, `XVo2` without |
//! | 4 | 4 | number of bytes of output, 1 to [`MAX_RECORD_BYTES`] |
//! | 8 | 4 | CRC-32 of all that follows |
//! | 12 | 8 | when it was recorded, in milliseconds since 1970 |
//! | 20 | 8 + 4 | with a position: the guest's life and the ring index of the first byte |
//! | 20 or 32 | length | the output |
//!
//! `XVp1` and `XVo1` are the same without the time; they are read.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use zlib_rs::crc32::crc32;

use super::{HistoryError, SAFE_OPEN, file_length, open_error};
use crate::xen::console::RingPosition;

/// The most bytes of output in one record; more is split. Consoles hand over far less at once.
pub const MAX_RECORD_BYTES: usize = 64 * 1024;

/// Start of a record with a ring position, and of one that has no time.
const WITH_POSITION: [[u8; 4]; 2] = [*b"XVp2", *b"XVp1"];

/// Start of a record without a ring position, and of one that has no time.
const WITHOUT_POSITION: [[u8; 4]; 2] = [*b"XVo2", *b"XVo1"];

/// One record as it was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// In milliseconds since 1970.
    pub(super) at: Option<u64>,
    position: Option<RingPosition>,
    pub(super) bytes: Vec<u8>,
}

impl Record {
    /// The position right after its last byte.
    pub(super) fn end(&self) -> Option<RingPosition> {
        self.position.map(|position| after(position, self.bytes.len()))
    }
}

/// Reads the records of one segment up to its end or the first that is damaged.
#[derive(Debug)]
pub(super) struct Segment {
    input: Option<BufReader<File>>,
    /// Where the records read so far end, in bytes.
    pub(super) offset: u64,
}

impl Segment {
    /// A segment that is not there is an empty one.
    pub(super) fn open(path: &Path) -> Result<Self, HistoryError> {
        let input = match OpenOptions::new().read(true).custom_flags(SAFE_OPEN).open(path) {
            Ok(file) => {
                file_length(&file, path)?;
                Some(BufReader::new(file))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(open_error(path)(error)),
        };
        Ok(Self { input, offset: 0 })
    }

    /// The next record, or `None` at the end, at damage and when reading fails.
    fn read_record(&mut self) -> Option<(u64, Record)> {
        let input = self.input.as_mut()?;
        let (mut start, mut time, mut numbers) = ([0; 12], [0; 8], [0; 12]);
        input.read_exact(&mut start).ok()?;
        let [magic, length, crc] = words(start);
        let length = usize::try_from(u32::from_le_bytes(length)).ok()?;
        let (with, without) = (WITH_POSITION.contains(&magic), WITHOUT_POSITION.contains(&magic));
        if !(1..=MAX_RECORD_BYTES).contains(&length) || !(with || without) {
            return None;
        }
        let (mut found, mut at, mut position, mut size) = (0, None, None, start.len() + length);
        if magic == WITH_POSITION[0] || magic == WITHOUT_POSITION[0] {
            input.read_exact(&mut time).ok()?;
            found = crc32(found, &time);
            size += time.len();
            at = Some(u64::from_le_bytes(time));
        }
        if with {
            input.read_exact(&mut numbers).ok()?;
            found = crc32(found, &numbers);
            size += numbers.len();
            let [low, high, index] = words(numbers).map(u32::from_le_bytes);
            position = Some(RingPosition { life: u64::from(high) << 32 | u64::from(low), index });
        }
        let mut bytes = vec![0; length];
        input.read_exact(&mut bytes).ok()?;
        let whole = crc32(found, &bytes) == u32::from_le_bytes(crc);
        whole.then_some((size as u64, Record { at, position, bytes }))
    }
}

impl Iterator for Segment {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        match self.read_record() {
            Some((size, record)) => {
                self.offset += size;
                Some(record)
            }
            None => {
                self.input = None;
                None
            }
        }
    }
}

/// Twelve bytes as three words.
fn words(bytes: [u8; 12]) -> [[u8; 4]; 3] {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = bytes;
    [[a, b, c, d], [e, f, g, h], [i, j, k, l]]
}

/// What stands before the output of a record, of at most [`MAX_RECORD_BYTES`]; `at` is in milliseconds since 1970.
pub(super) fn header(at: u64, position: Option<RingPosition>, bytes: &[u8], header: &mut Vec<u8>) {
    header.clear();
    let [magic, _] = if position.is_some() { WITH_POSITION } else { WITHOUT_POSITION };
    header.extend_from_slice(&magic);
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    header.extend_from_slice(&length.to_le_bytes());
    header.extend_from_slice(&[0; 4]);
    header.extend_from_slice(&at.to_le_bytes());
    if let Some(position) = position {
        header.extend_from_slice(&position.life.to_le_bytes());
        header.extend_from_slice(&position.index.to_le_bytes());
    }
    let crc = crc32(crc32(0, &header[12..]), bytes);
    header[8..12].copy_from_slice(&crc.to_le_bytes());
}

/// The position `count` bytes further on; the index wraps at 2³² as the ring's does.
pub(super) fn after(position: RingPosition, count: usize) -> RingPosition {
    #[expect(clippy::cast_possible_truncation, reason = "ring indices are numbers modulo 2³²")]
    let count = count as u32;
    RingPosition { index: position.index.wrapping_add(count), ..position }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A whole record of the output `hi`.
    fn encode(at: u64, position: Option<RingPosition>, record: &mut Vec<u8>) {
        header(at, position, b"hi", record);
        record.extend_from_slice(b"hi");
    }

    #[test]
    fn record_has_the_documented_bytes() {
        let position = RingPosition { life: 0x0102_0304_0506_0708, index: 0xdead_beef };
        let mut record = Vec::new();
        encode(0x0000_018b_cfe5_6800, Some(position), &mut record);
        // The CRC is Python's zlib.crc32 of what follows it.
        let time = b"\x00\x68\xe5\xcf\x8b\x01\x00\x00";
        let place = b"\x08\x07\x06\x05\x04\x03\x02\x01\xef\xbe\xad\xde";
        assert_eq!(record, [&b"XVp2\x02\0\0\0\xa2\x33\xdc\x2c"[..], time, place, b"hi"].concat());
        encode(0x0000_018b_cfe5_6800, None, &mut record);
        assert_eq!(record, [&b"XVo2\x02\0\0\0\x55\x7a\x09\x25"[..], time, b"hi"].concat());
    }

    #[test]
    fn records_of_the_first_form_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("segment");
        let old = [
            &b"XVp1\x02\0\0\0\xee\x06\x76\x3c\x08\x07\x06\x05\x04\x03\x02\x01\xef\xbe\xad\xdehi"[..],
            b"XVo1\x02\0\0\0\xac\x2a\x93\xd8hi",
        ]
        .concat();
        let mut new = Vec::new();
        encode(5, None, &mut new);
        std::fs::write(&path, [old, new].concat()).unwrap();
        let read: Vec<_> = Segment::open(&path).unwrap().collect();
        assert!(read.iter().all(|record| record.bytes == b"hi"));
        assert_eq!(read.iter().map(|record| record.at).collect::<Vec<_>>(), [None, None, Some(5)]);
        assert_eq!(read[0].position, Some(RingPosition { life: 0x0102_0304_0506_0708, index: 0xdead_beef }));
    }
}
