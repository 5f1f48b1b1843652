//! Lines of cells packed into bytes.
//!
//! A plain line (ASCII in the default style, which is most of a boot log) is its bytes. Any other is UTF-8 with tokens
//! below 0x20 between for styles, widths, clusters and repeats.
//!
//! A cell that was unpacked refers to true colours by the position of their token in history's bytes, so that history
//! needs no table of colours, and its readers need no place to put one.

use super::cell::{Attributes, Cell, Glyph, Look, LookColours, Width};
use super::history::History;
use super::intern::Interner;
use super::tables::InkPair;
use super::utf8::{Decoded, decode};

/// The default style follows.
const TOKEN_DEFAULT: u8 = 1;
/// Four bytes of a palette style follow ([`Look::to_palette_bytes`]).
const TOKEN_PALETTE: u8 = 2;
/// Two bytes of attributes, then four each of foreground and background ([`Ink::to_bytes`](super::ink::Ink::to_bytes)).
const TOKEN_COLOURS: u8 = 3;
/// The next character is wide.
const TOKEN_WIDE: u8 = 4;
/// Two bytes: the number of a cluster.
const TOKEN_CLUSTER: u8 = 5;
/// The same, wide.
const TOKEN_WIDE_CLUSTER: u8 = 6;
/// Two bytes: how many times more the cell before is repeated.
const TOKEN_REPEAT: u8 = 7;
/// A [`Cell::filler`].
const TOKEN_FILLER: u8 = 8;
/// A repeat takes three bytes, hence shorter runs are written out.
const REPEAT_WORTHWHILE: usize = 4;

/// The characters of cells that are ASCII.
#[inline]
pub(super) fn low_bytes<const N: usize>(cells: &[Cell; N]) -> [u8; N] {
    #[expect(clippy::cast_possible_truncation, reason = "the rest is not ASCII's")]
    cells.map(|cell| cell.bits() as u8)
}

/// Where the colours of cells are that are to be packed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Colours<'a> {
    /// Of cells from the screen.
    pub(super) pairs: &'a Interner<InkPair>,
    /// Of cells from history.
    pub(super) history: Option<&'a History>,
}

/// Writes the cells of one line.
pub(super) struct Packer<'a> {
    pub(super) bytes: &'a mut Vec<u8>,
    pub(super) clusters: &'a mut Vec<u16>,
    pub(super) colours: Colours<'a>,
}

impl Packer<'_> {
    pub(super) fn pack(&mut self, cells: &[Cell]) {
        let mut look = Look::default();
        let mut rest = cells;
        while let Some((&cell, after)) = rest.split_first() {
            if let Some(eight) = plain_eight(rest, look) {
                self.bytes.extend(eight);
                rest = &rest[eight.len()..];
                continue;
            }
            rest = after;
            let width = cell.width();
            if width == Width::Tail {
                continue;
            }
            if cell.look() != look {
                look = cell.look();
                self.look(look);
            }
            if cell.is_filler() {
                self.bytes.push(TOKEN_FILLER);
                continue;
            }
            self.glyph(cell);
            if width == Width::Narrow && rest.first() == Some(&cell) {
                let more = rest.iter().take_while(|next| **next == cell).count();
                if more >= REPEAT_WORTHWHILE {
                    self.bytes.push(TOKEN_REPEAT);
                    self.bytes.extend(u16::try_from(more).unwrap_or(u16::MAX).to_le_bytes());
                    rest = &rest[more..];
                }
            }
        }
    }

    fn look(&mut self, look: Look) {
        if look == Look::default() {
            self.bytes.push(TOKEN_DEFAULT);
            return;
        }
        let pair = match look.colours() {
            LookColours::Inks(..) => {
                self.bytes.push(TOKEN_PALETTE);
                self.bytes.extend(look.to_palette_bytes());
                return;
            }
            LookColours::Pair(number) => self.colours.pairs.get(number).copied().unwrap_or_default(),
            LookColours::History(position) => {
                self.colours.history.and_then(|history| history.colours(position)).unwrap_or_default()
            }
        };
        self.bytes.push(TOKEN_COLOURS);
        self.bytes.extend(look.attributes().0.to_le_bytes());
        self.bytes.extend(pair.foreground.to_bytes());
        self.bytes.extend(pair.background.to_bytes());
    }

    #[inline]
    fn glyph(&mut self, cell: Cell) {
        if let Some(byte) = cell.to_ascii() {
            self.bytes.push(byte);
            return;
        }
        let wide = cell.width() == Width::Wide;
        match cell.glyph() {
            Glyph::Char(c) => {
                if wide {
                    self.bytes.push(TOKEN_WIDE);
                }
                let mut buffer = [0; 4];
                // Arrays of a known length are appended without a call.
                match (c.encode_utf8(&mut buffer).len(), buffer) {
                    (1, [a, ..]) => self.bytes.push(a),
                    (2, [a, b, ..]) => self.bytes.extend([a, b]),
                    (3, [a, b, c, _]) => self.bytes.extend([a, b, c]),
                    (_, all) => self.bytes.extend(all),
                }
            }
            Glyph::Cluster(number) => {
                self.bytes.push(if wide { TOKEN_WIDE_CLUSTER } else { TOKEN_CLUSTER });
                self.bytes.extend(number.to_le_bytes());
                if self.clusters.last() != Some(&number) {
                    self.clusters.push(number);
                }
            }
        }
    }
}

/// The next eight cells as text, if they are ASCII in this look and none of them is worth a repeat.
#[inline]
fn plain_eight(cells: &[Cell], look: Look) -> Option<[u8; 8]> {
    let eight: &[Cell; 8] = cells.first_chunk()?;
    let plain = eight.iter().fold(0, |all, cell| all | cell.with_look(Look::default()).bits()) < 0x80
        && eight.iter().all(|cell| cell.look() == look);
    let text = low_bytes(eight);
    let repeated = text.windows(REPEAT_WORTHWHILE + 1).any(|run| run.iter().all(|byte| *byte == run[0]));
    (plain && !repeated).then_some(text)
}

/// Adds the clusters that a packed line uses to `clusters`.
pub(super) fn note_clusters(text: &[u8], clusters: &mut Vec<u16>) {
    let mut cells = Vec::new();
    unpack(text, 0, &mut cells);
    for cell in cells {
        if let Glyph::Cluster(number) = cell.glyph()
            && clusters.last() != Some(&number)
        {
            clusters.push(number);
        }
    }
}

/// Reads what [`Packer`] wrote; `position` is that of `text` in history.
pub(super) fn unpack(text: &[u8], position: u64, out: &mut Vec<Cell>) {
    let mut look = Look::default();
    let mut wide = false;
    let mut at = 0;
    let word = |at: usize| text.get(at..at + 2).map_or(0, |b| u16::from_le_bytes([b[0], b[1]]));
    while let Some(&byte) = text.get(at) {
        at += 1;
        match byte {
            TOKEN_DEFAULT => look = Look::default(),
            TOKEN_PALETTE => {
                if let Some((bytes, _)) = text.get(at..).and_then(<[u8]>::split_first_chunk::<4>) {
                    look = Look::from_palette_bytes(*bytes);
                }
                at += 4;
            }
            TOKEN_COLOURS => {
                look = Look::from_history(Attributes(word(at)), position + at as u64 + 2);
                at += 10;
            }
            TOKEN_FILLER => out.push(Cell::filler(look)),
            TOKEN_WIDE => wide = true,
            TOKEN_CLUSTER | TOKEN_WIDE_CLUSTER => {
                out.push(Cell::cluster(word(at), byte == TOKEN_WIDE_CLUSTER, look));
                if byte == TOKEN_WIDE_CLUSTER {
                    out.push(Cell::tail(look));
                }
                at += 2;
            }
            TOKEN_REPEAT => {
                let cell = out.last().copied().unwrap_or_default();
                out.extend(std::iter::repeat_n(cell, usize::from(word(at))));
                at += 2;
            }
            _ => {
                let (c, used) = match text.get(at - 1..).map(decode) {
                    Some(Decoded::Char(c, used)) => (c, used),
                    _ => (char::REPLACEMENT_CHARACTER, 1),
                };
                at += used - 1;
                out.push(Cell::character(c, wide, look));
                if std::mem::take(&mut wide) {
                    out.push(Cell::tail(look));
                }
            }
        }
    }
}
