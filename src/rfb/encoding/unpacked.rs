//! Compressed bodies, decoded while they arrive.

use super::DecodeError;
use crate::geometry::Rect;
use crate::rfb::deflate::Decompressor;
use crate::rfb::wire::{Reader, Stop};

/// The room for unpacked data, in bytes: some tiles or rows. It grows when one row is longer than that, to at most
/// twice the longest row, which has 65,535 pixels of 4 bytes.
const ROOM: usize = 32 * 1024;

/// Unpacked data that a decoder has not used yet, as long as a rectangle is under way. Between two rectangles it is
/// empty.
#[derive(Default)]
pub(super) struct Unpacked {
    room: Vec<u8>,
    start: usize,
    end: usize,
}

impl Unpacked {
    /// Takes what `reader` has of a rectangle's compressed body, of which `left` bytes are to come, through `stream` to
    /// `decode`. That paints what is complete in what it is given, and asks for more until the rectangle is; so that
    /// there is never more unpacked data than one tile or row, and a portion.
    ///
    /// On [`Stop::NeedMore`] call again with what follows in `reader`. When the rectangle is complete, `left` is `None`.
    pub(super) fn unpack(
        &mut self,
        stream: &mut Decompressor,
        reader: &mut Reader<'_>,
        left: &mut Option<usize>,
        rect: Rect,
        mut decode: impl FnMut(&mut Reader<'_>) -> Result<(), Stop<DecodeError>>,
    ) -> Result<(), Stop<DecodeError>> {
        let missing = left.unwrap_or(0);
        let mut data = reader.bytes(missing.min(reader.rest().len()))?;
        *left = Some(missing - data.len());
        let complete = loop {
            self.make_room();
            let room = &mut self.room[self.end..];
            let count = stream.step(&mut data, room).map_err(|error| Stop::Failed(error.into()))?;
            let all = count < room.len();
            self.end += count;
            let mut unpacked = Reader::new(&self.room[self.start..self.end]);
            let complete = match decode(&mut unpacked) {
                Ok(()) => true,
                Err(Stop::NeedMore) => false,
                failed => return failed,
            };
            self.start += unpacked.consumed();
            if complete && self.start < self.end {
                return Err(Stop::Failed(DecodeError::LeftOver(self.end - self.start)));
            }
            if all {
                break complete;
            }
        };
        if *left != Some(0) {
            return Err(Stop::NeedMore);
        }
        if !complete {
            return Err(Stop::Failed(DecodeError::Short(rect)));
        }
        *left = None;
        Ok(())
    }

    /// Moves what is left to the front, and sees that there is room behind it.
    fn make_room(&mut self) {
        self.room.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        if self.end == self.room.len() {
            self.room.resize((2 * self.room.len()).max(ROOM), 0);
        }
    }
}
