//! A flood of plain lines: those that leave the screen before anybody can see them go straight into history.
//!
//! Only a short cut. What the terminal is afterwards, damage included, is what it would be had each line been printed.

use super::cell::Look;
use super::emulator::Emulator;
use super::ink::Ink;
use super::modes::Mode;
use super::utf8::printable_ascii;

/// The most lines that are taken at once; more than a screenful.
const LINES_AT_ONCE: usize = 4096;
/// A look at the bytes ahead has to be worth while: fewer bytes than this many a row hold no flood.
const LEAST_BYTES: usize = 3;

impl Emulator {
    /// True when a line of plain text does nothing but fill the bottom row, which is blank, and scroll.
    fn is_flooded(&self) -> bool {
        self.cursor.row + 1 == self.rows
            && self.cursor.column == 0
            && (self.top, self.bottom) == (0, self.rows)
            && self.is_full_width()
            && !self.alternate
            && self.hold.is_none()
            && self.cursor.pen.inks.background == Ink::DEFAULT
            && self.cursor.pen.is_default()
            && self.cursor.charsets.is_plain()
            && self.modes.has(Mode::AUTOWRAP)
            && !self.modes.has(Mode::INSERT)
            && self.grid.used(self.cursor.row).0.is_empty()
    }

    /// Takes lines of ASCII that end in CR and LF from the start of `bytes`, if they are more than a screenful; returns
    /// how many bytes it took, and how many after that are plain lines too, but too few to be worth it.
    #[inline]
    pub(super) fn print_lines(&mut self, bytes: &[u8]) -> (usize, usize) {
        if bytes.len() < usize::from(self.rows) * LEAST_BYTES || !self.is_flooded() {
            return (0, 0);
        }
        self.flood(bytes)
    }

    fn flood(&mut self, bytes: &[u8]) -> (usize, usize) {
        let columns = usize::from(self.columns);
        let kept = usize::from(self.rows) - 1;
        // Where each line ends.
        let mut ends = Vec::with_capacity((bytes.len() / LEAST_BYTES).min(LINES_AT_ONCE));
        let mut at = 0;
        while let Some(length) = line_length(&bytes[at..], columns)
            && ends.len() < LINES_AT_ONCE
        {
            at += length;
            ends.push(at);
        }
        if ends.len() <= kept {
            return (0, at);
        }
        for row in 0..self.rows - 1 {
            self.push_row(row);
        }
        let generation = self.damage.current();
        let (unseen, seen) = ends.split_at(ends.len() - kept);
        let mut start = 0;
        for end in unseen {
            let text = &bytes[start..*end - 2];
            self.history.push_ascii(text, generation);
            self.last = text.last().map(|byte| char::from(*byte)).or(self.last);
            start = *end;
        }
        let scrolled = i32::try_from(ends.len()).unwrap_or(i32::MAX);
        self.damage.scrolled(0, self.rows, scrolled, true);
        self.grid.clear(&mut self.damage);
        for (row, end) in (0..).zip(seen) {
            let text = &bytes[start..*end - 2];
            if let Some(last) = text.last() {
                self.last = Some(char::from(*last));
                self.grid.write_ascii(row, 0, text, Look::default(), &mut self.damage);
            }
            start = *end;
        }
        (at, 0)
    }
}

/// The length of the plain line at the start of `bytes`, its CR and LF included, if it has both and fits a row.
#[inline]
fn line_length(bytes: &[u8], columns: usize) -> Option<usize> {
    let text = match bytes {
        [b'\r', ..] => 0,
        [_, b'\r', ..] => usize::from(matches!(bytes.first(), Some(0x20..=0x7e))),
        _ => printable_ascii(bytes.get(..columns + 1).unwrap_or(bytes)),
    };
    (text <= columns && bytes.get(text..text + 2) == Some(b"\r\n")).then_some(text + 2)
}
