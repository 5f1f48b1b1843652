//! Messages from a server to a viewer (RFC 6143 §7.6).

use std::borrow::Cow;

use super::{
    CUT_TEXT_BYTES, CutText, FENCE_PAYLOAD, Fence, Xvp, decode_cut_text, decode_rect, encode_clipboard,
    encode_rect,
};
use crate::geometry::Rect;
use crate::rfb::encoding::Encoding;
use crate::rfb::wire::{NeedMore, Reader, Stop, Writer};

const UPDATE: u8 = 0;
const COLOUR_MAP: u8 = 1;
const BELL: u8 = 2;
const CUT_TEXT: u8 = 3;
const END_OF_CONTINUOUS_UPDATES: u8 = 150;
const FENCE: u8 = 248;
const XVP: u8 = 250;

/// A rectangle count that means "until a LastRect rectangle comes".
pub const RECTS_UNTIL_LAST: u16 = u16::MAX;

/// A message from a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerMessage<'a> {
    /// §7.6.1: an update's header; so many rectangles follow, each a [`RectHeader`] and a body.
    Update {
        /// The number of rectangles, or [`RECTS_UNTIL_LAST`].
        rects: u16,
    },
    /// §7.6.2: entries of the colour map, red, green, blue of 65535 each.
    ColourMap {
        /// The first entry's index.
        first: u16,
        /// The entries.
        colours: Vec<[u16; 3]>,
    },
    /// §7.6.3: ring.
    Bell,
    /// §7.6.4: Latin-1 text, at most [`CUT_TEXT_BYTES`].
    CutText(Cow<'a, [u8]>),
    /// An ExtendedClipboard message, which is cut text of a negative length: its body, at most [`CLIPBOARD_BYTES`](super::CLIPBOARD_BYTES), for
    /// [`ClipboardMessage::decode`](super::ClipboardMessage::decode).
    ExtendedClipboard(Cow<'a, [u8]>),
    /// Cut text longer than [`CUT_TEXT_BYTES`], or an ExtendedClipboard message longer than [`CLIPBOARD_BYTES`](super::CLIPBOARD_BYTES): only
    /// its header was consumed, and this many bytes of it follow.
    CutTextToSkip {
        /// The bytes to skip.
        bytes: usize,
    },
    /// EndOfContinuousUpdates: there are none from here on; the first one says that there could be.
    EndOfContinuousUpdates,
    /// ServerFence: an answer is wanted, or given.
    Fence(Fence),
    /// xvp: the extension is there, or what was asked for could not be done.
    Xvp(Xvp),
}

/// What no server may send. The stream's framing is lost with each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ServerMessageError {
    /// A message of unknown type, whose length is unknown too.
    #[error("unknown message type {0}")]
    UnknownType(u8),
    /// A fence with too much in it.
    #[error("a fence with {0} bytes; at most {FENCE_PAYLOAD} wanted")]
    FenceTooLong(u8),
}

impl<'a> ServerMessage<'a> {
    /// Reads one message; of an update its header.
    ///
    /// # Errors
    /// See [`ServerMessageError`].
    pub fn decode(reader: &mut Reader<'a>) -> Result<Self, Stop<ServerMessageError>> {
        Ok(match reader.u8()? {
            UPDATE => {
                reader.skip(1)?;
                Self::Update { rects: reader.u16()? }
            }
            COLOUR_MAP => {
                reader.skip(1)?;
                let (first, count) = (reader.u16()?, usize::from(reader.u16()?));
                let entries = reader.bytes(count * 6)?.as_chunks::<6>().0;
                let level = |high: u8, low: u8| u16::from_be_bytes([high, low]);
                let colours = entries
                    .iter()
                    .map(|e| [level(e[0], e[1]), level(e[2], e[3]), level(e[4], e[5])])
                    .collect();
                Self::ColourMap { first, colours }
            }
            BELL => Self::Bell,
            CUT_TEXT => match decode_cut_text(reader)? {
                CutText::Latin1(text) => Self::CutText(Cow::Borrowed(text)),
                CutText::Extended(body) => Self::ExtendedClipboard(Cow::Borrowed(body)),
                CutText::TooLong(bytes) => Self::CutTextToSkip { bytes },
            },
            END_OF_CONTINUOUS_UPDATES => Self::EndOfContinuousUpdates,
            FENCE => {
                let fence = Fence::decode(reader)?;
                Self::Fence(fence.map_err(|length| Stop::Failed(ServerMessageError::FenceTooLong(length)))?)
            }
            XVP => Self::Xvp(Xvp::decode(reader)?),
            kind => return Err(Stop::Failed(ServerMessageError::UnknownType(kind))),
        })
    }

    /// Appends the message. Lists longer than their counters are cut; of [`CutTextToSkip`](Self::CutTextToSkip)
    /// the header is written.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Update { rects } => {
                out.put(&[UPDATE, 0]);
                out.put_u16(*rects);
            }
            Self::ColourMap { first, colours } => {
                out.put(&[COLOUR_MAP, 0]);
                out.put_u16(*first);
                let count = u16::try_from(colours.len()).unwrap_or(u16::MAX);
                out.put_u16(count);
                for level in colours[..usize::from(count)].as_flattened() {
                    out.put_u16(*level);
                }
            }
            Self::Bell => out.put_u8(BELL),
            Self::CutText(text) => {
                out.put(&[CUT_TEXT, 0, 0, 0]);
                out.put_counted(&text[..text.len().min(CUT_TEXT_BYTES)]);
            }
            Self::EndOfContinuousUpdates => out.put_u8(END_OF_CONTINUOUS_UPDATES),
            Self::Fence(fence) => {
                out.put_u8(FENCE);
                fence.encode(out);
            }
            Self::Xvp(xvp) => {
                out.put_u8(XVP);
                xvp.encode(out);
            }
            Self::ExtendedClipboard(body) => {
                out.put(&[CUT_TEXT, 0, 0, 0]);
                encode_clipboard(body, out);
            }
            Self::CutTextToSkip { bytes } => {
                out.put(&[CUT_TEXT, 0, 0, 0]);
                out.put_i32(i32::try_from(*bytes).unwrap_or(i32::MAX));
            }
        }
    }
}

/// What stands before every rectangle of an update (§7.6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RectHeader {
    /// Where it goes; pseudo-encodings use the fields in their own ways.
    pub rect: Rect,
    /// How its body is encoded.
    pub encoding: Encoding,
}

impl RectHeader {
    /// Reads a header.
    ///
    /// # Errors
    /// [`NeedMore`] when it is not complete.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, NeedMore> {
        Ok(Self { rect: decode_rect(reader)?, encoding: Encoding(reader.i32()?) })
    }

    /// Appends the header.
    pub fn encode(&self, out: &mut Vec<u8>) {
        encode_rect(self.rect, out);
        out.put_i32(self.encoding.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specifications_layouts_are_understood() {
        let cases: [(&[u8], ServerMessage<'_>); 8] = [
            (&[0, 0, 0, 3], ServerMessage::Update { rects: 3 }),
            (
                &[1, 0, 0, 254, 0, 2, 0, 1, 0, 2, 0, 3, 0xff, 0xff, 0, 0, 0x80, 0],
                ServerMessage::ColourMap { first: 254, colours: vec![[1, 2, 3], [0xffff, 0, 0x8000]] },
            ),
            (&[2], ServerMessage::Bell),
            (&[150], ServerMessage::EndOfContinuousUpdates),
            (
                &[248, 0, 0, 0, 0x80, 0, 0, 5, 2, b'a', b'b'],
                ServerMessage::Fence(Fence {
                    flags: Fence::REQUEST | Fence::SYNC_NEXT | Fence::BLOCK_BEFORE,
                    payload: b"ab".to_vec(),
                }),
            ),
            (&[3, 0, 0, 0, 0, 0, 0, 1, b'x'], ServerMessage::CutText(Cow::Borrowed(b"x"))),
            (
                &[3, 0, 0, 0, 0xff, 0xff, 0xff, 0xfc, 2, 0, 0, 1],
                ServerMessage::ExtendedClipboard(Cow::Borrowed(&[2, 0, 0, 1])),
            ),
            (&[250, 0, 1, 1], ServerMessage::Xvp(Xvp { version: 1, code: Xvp::INIT })),
        ];
        for (bytes, message) in cases {
            assert_eq!(ServerMessage::decode(&mut Reader::new(bytes)), Ok(message.clone()));
            let mut out = Vec::new();
            message.encode(&mut out);
            assert_eq!(out, bytes);
            for end in 0..bytes.len() {
                assert_eq!(ServerMessage::decode(&mut Reader::new(&bytes[..end])), Err(Stop::NeedMore));
            }
        }
        assert_eq!(
            ServerMessage::decode(&mut Reader::new(&[4])),
            Err(Stop::Failed(ServerMessageError::UnknownType(4)))
        );
    }

    #[test]
    fn a_rectangles_header_is_twelve_bytes() {
        let header = RectHeader { rect: Rect::new(1, 2, 3, 4), encoding: Encoding::LAST_RECT };
        let mut out = Vec::new();
        header.encode(&mut out);
        assert_eq!(out, [0, 1, 0, 2, 0, 3, 0, 4, 0xff, 0xff, 0xff, 0x20]);
        assert_eq!(RectHeader::decode(&mut Reader::new(&out)), Ok(header));
    }
}
