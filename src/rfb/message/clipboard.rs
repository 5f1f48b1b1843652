//! What an ExtendedClipboard message says (the community's RFB specification, "Extended Clipboard Pseudo-Encoding"). The
//! message is cut text of a negative length, and the same in both directions.
//!
//! Wire: flags (32 bits: formats in the bits 0 to 15, actions from bit 24 on), then what the action has. Of the formats
//! only text is known here; others are read over and never named.
//!
//! | action | behind the flags |
//! |---|---|
//! | caps | for each format the most bytes that may come without being asked for, 32 bits |
//! | request, peek, notify | nothing |
//! | provide | a zlib stream of its own: for each format a length (32 bits) and so many bytes |
//!
//! Text is UTF-8 with `\r\n` as line ends and a 0 behind it; here line ends are `\n`.

use super::CUT_TEXT_BYTES;
use crate::rfb::deflate::{Compressor, Decompressor, InflateFailure};
use crate::rfb::wire::{NeedMore, Reader, Writer};

/// The bits from which on there are actions.
const ACTIONS: u32 = 0xff00_0000;

/// The most bytes of a message that is taken: what [`CUT_TEXT_BYTES`] of text that nothing compresses become.
pub const CLIPBOARD_BYTES: usize = CUT_TEXT_BYTES + 4096;

/// A text's bytes on the wire, behind its length: twice as many when all of it is line ends, and a 0.
const UNPACKED_BYTES: usize = 4 + 2 * CUT_TEXT_BYTES + 1;

/// What one side may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClipboardCaps {
    /// Actions that it takes: the sum of [`REQUEST`](Self::REQUEST) and its like.
    pub actions: u32,
    /// The most bytes of text that it takes without having asked; `None` when it takes no text at all.
    pub text: Option<u32>,
}

impl ClipboardCaps {
    /// Format: text.
    const TEXT: u32 = 1;
    /// Action: says what the sender can do.
    const CAPS: u32 = 1 << 24;
    /// Action: asks for the text.
    pub const REQUEST: u32 = 1 << 25;
    /// Action: asks whether there is text.
    pub const PEEK: u32 = 1 << 26;
    /// Action: says whether there is text.
    pub const NOTIFY: u32 = 1 << 27;
    /// Action: gives the text.
    pub const PROVIDE: u32 = 1 << 28;

    /// Everything that is known here. Text comes on request only, so that it is never ambiguous whether a message
    /// replaces another.
    pub const OURS: Self =
        Self { actions: Self::REQUEST | Self::PEEK | Self::NOTIFY | Self::PROVIDE, text: Some(0) };

    /// True when it takes all of these actions.
    #[must_use]
    pub fn takes(self, actions: u32) -> bool {
        self.actions & actions == actions
    }
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClipboardMessage {
    /// What the sender takes.
    Caps(ClipboardCaps),
    /// The sender wants the clipboard's text.
    Request {
        /// False when it asks for other formats only.
        text: bool,
    },
    /// The sender wants to know whether there is text.
    Peek,
    /// The sender's clipboard has something new.
    Notify {
        /// True when there is text in it.
        text: bool,
    },
    /// The clipboard's contents; `None` when there is no text among them.
    Provide(Option<String>),
}

/// What is wrong with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClipboardError {
    /// It ends early.
    #[error("an extended clipboard message of {0} bytes ends early")]
    Short(usize),
    /// No action, or several.
    #[error("extended clipboard flags {0:#010x} are not one action")]
    Actions(u32),
    /// The text's zlib stream is broken.
    #[error("clipboard text: {0}")]
    Inflate(InflateFailure),
    /// The text is longer than what is taken; nothing is broken.
    #[error("clipboard text of {bytes} bytes; at most {CUT_TEXT_BYTES} wanted")]
    TextTooLong {
        /// Its length as announced, or the most that was unpacked.
        bytes: usize,
    },
}

impl ClipboardMessage {
    /// Reads a message's whole body, the flags included.
    ///
    /// # Errors
    /// See [`ClipboardError`]. The connection's framing is not lost with any of them.
    pub fn decode(body: &[u8]) -> Result<Self, ClipboardError> {
        let short = |_: NeedMore| ClipboardError::Short(body.len());
        let mut reader = Reader::new(body);
        let flags = reader.u32().map_err(short)?;
        let text = flags & ClipboardCaps::TEXT != 0;
        if flags & ClipboardCaps::CAPS != 0 {
            let mut limit = None;
            for bit in (0..16).filter(|bit| flags >> bit & 1 == 1) {
                let size = reader.u32().map_err(short)?;
                limit = if bit == 0 { Some(size) } else { limit };
            }
            return Ok(Self::Caps(ClipboardCaps {
                actions: flags & ACTIONS & !ClipboardCaps::CAPS,
                text: limit,
            }));
        }
        match flags & ACTIONS {
            ClipboardCaps::REQUEST => Ok(Self::Request { text }),
            ClipboardCaps::PEEK => Ok(Self::Peek),
            ClipboardCaps::NOTIFY => Ok(Self::Notify { text }),
            ClipboardCaps::PROVIDE if text => {
                decode_text(reader.rest()).map(|text| Self::Provide(Some(text)))
            }
            ClipboardCaps::PROVIDE => Ok(Self::Provide(None)),
            _ => Err(ClipboardError::Actions(flags)),
        }
    }

    /// Appends the message's body, the flags included. Text longer than [`CUT_TEXT_BYTES`] is cut.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let format = |text: &bool| u32::from(*text) * ClipboardCaps::TEXT;
        match self {
            Self::Caps(ClipboardCaps { actions, text }) => {
                let flags = actions & ACTIONS | ClipboardCaps::CAPS;
                out.put_u32(flags | format(&text.is_some()));
                text.iter().for_each(|limit| out.put_u32(*limit));
            }
            Self::Request { text } => out.put_u32(ClipboardCaps::REQUEST | format(text)),
            Self::Peek => out.put_u32(ClipboardCaps::PEEK),
            Self::Notify { text } => out.put_u32(ClipboardCaps::NOTIFY | format(text)),
            Self::Provide(text) => {
                out.put_u32(ClipboardCaps::PROVIDE | format(&text.is_some()));
                text.iter().for_each(|text| encode_text(text, out));
            }
        }
    }
}

fn encode_text(text: &str, out: &mut Vec<u8>) {
    let text = &text[..text.floor_char_boundary(CUT_TEXT_BYTES)];
    let mut text = text.replace("\r\n", "\n").replace('\n', "\r\n");
    text.push('\0');
    let mut stream = Compressor::new();
    let mut unpacked = Vec::with_capacity(4 + text.len());
    unpacked.put_counted(text.as_bytes());
    stream.write(&unpacked, out);
    stream.flush(out);
}

/// Unpacks the text, which is the first of the formats. What follows it is not looked at.
fn decode_text(packed: &[u8]) -> Result<String, ClipboardError> {
    let mut unpacked = Vec::new();
    match Decompressor::new().read(packed, UNPACKED_BYTES, &mut unpacked) {
        // A stream may be ended properly, and may go on with other formats.
        Ok(()) | Err(InflateFailure::Ended | InflateFailure::TooLong { .. }) => {}
        Err(failure) => return Err(ClipboardError::Inflate(failure)),
    }
    let short = |_: NeedMore| ClipboardError::Short(packed.len());
    let mut reader = Reader::new(&unpacked);
    let bytes = usize::try_from(reader.u32().map_err(short)?).unwrap_or(usize::MAX);
    if bytes > UNPACKED_BYTES - 4 {
        return Err(ClipboardError::TextTooLong { bytes });
    }
    let text = reader.bytes(bytes).map_err(short)?;
    let text = text.strip_suffix(b"\0").unwrap_or(text);
    let text = String::from_utf8_lossy(text).replace("\r\n", "\n");
    if text.len() > CUT_TEXT_BYTES {
        Err(ClipboardError::TextTooLong { bytes: text.len() })
    } else {
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(message: &ClipboardMessage) -> Vec<u8> {
        let mut out = Vec::new();
        message.encode(&mut out);
        out
    }

    #[test]
    fn the_specifications_layouts_are_understood() {
        let caps = ClipboardCaps {
            actions: ClipboardCaps::REQUEST | ClipboardCaps::PROVIDE,
            text: Some(0x0140_0000),
        };
        let cases: [(&[u8], ClipboardMessage); 7] = [
            (&[0x13, 0, 0, 1, 0x01, 0x40, 0, 0], ClipboardMessage::Caps(caps)),
            (&[0x02, 0, 0, 1], ClipboardMessage::Request { text: true }),
            (&[0x02, 0, 0, 0], ClipboardMessage::Request { text: false }),
            (&[0x04, 0, 0, 0], ClipboardMessage::Peek),
            (&[0x08, 0, 0, 1], ClipboardMessage::Notify { text: true }),
            (&[0x08, 0, 0, 0], ClipboardMessage::Notify { text: false }),
            (&[0x10, 0, 0, 0], ClipboardMessage::Provide(None)),
        ];
        for (bytes, message) in cases {
            assert_eq!(ClipboardMessage::decode(bytes).as_ref(), Ok(&message));
            assert_eq!(encoded(&message), bytes);
            for end in 0..bytes.len() {
                assert_eq!(ClipboardMessage::decode(&bytes[..end]), Err(ClipboardError::Short(end)));
            }
        }
        // Sizes of formats that are not known stand between.
        let many = [0x01, 0, 0, 0b111, 0, 0, 0, 9, 0, 0, 0, 8, 0, 0, 0, 7];
        let caps = ClipboardCaps { actions: 0, text: Some(9) };
        assert_eq!(ClipboardMessage::decode(&many), Ok(ClipboardMessage::Caps(caps)));
        for flags in [0, 1, 0x0600_0001u32, 0x2000_0000] {
            assert_eq!(ClipboardMessage::decode(&flags.to_be_bytes()), Err(ClipboardError::Actions(flags)));
        }
    }

    /// A zlib stream as Python's `zlib.compress(b"\0\0\0\5a\r\nb\0")` gives it: with its end.
    #[test]
    fn text_is_that_of_other_implementations() {
        let body = [
            &[0x10, 0, 0, 1][..],
            &[
                0x78, 0x9c, 0x63, 0x60, 0x60, 0x60, 0x4d, 0xe4, 0xe5, 0x4a, 0x62, 0x00, 0x00, 0x03, 0x22,
                0x00, 0xe0,
            ],
        ]
        .concat();
        assert_eq!(ClipboardMessage::decode(&body), Ok(ClipboardMessage::Provide(Some("a\nb".into()))));
    }

    #[test]
    fn text_comes_back_up_to_its_limit() {
        for text in ["", "ä漢\n\nend\n", "a\r\nb", &"\n".repeat(CUT_TEXT_BYTES), &"é".repeat(CUT_TEXT_BYTES)]
        {
            let wanted = text[..text.floor_char_boundary(CUT_TEXT_BYTES)].replace("\r\n", "\n");
            let body = encoded(&ClipboardMessage::Provide(Some(text.into())));
            let have = ClipboardMessage::decode(&body);
            assert!(have == Ok(ClipboardMessage::Provide(Some(wanted))), "{} bytes", text.len());
        }
        let packed = |bytes: &[u8]| {
            let mut out = vec![0x10, 0, 0, 1];
            let mut stream = Compressor::new();
            stream.write(bytes, &mut out);
            stream.flush(&mut out);
            ClipboardMessage::decode(&out)
        };
        assert_eq!(packed(&[0xff; 400]), Err(ClipboardError::TextTooLong { bytes: 0xffff_ffff }));
        let over = [&(1u32 << 20 | 1).to_be_bytes()[..], &vec![b'x'; CUT_TEXT_BYTES + 1]].concat();
        assert_eq!(packed(&over), Err(ClipboardError::TextTooLong { bytes: CUT_TEXT_BYTES + 1 }));
        // A bomb behind a short text is not unpacked.
        let bomb = [&[0, 0, 0, 2, b'a', 0][..], &vec![0; 8 << 20]].concat();
        assert_eq!(packed(&bomb), Ok(ClipboardMessage::Provide(Some("a".into()))));
        assert!(matches!(packed(&[0, 0, 0, 2, b'a']), Err(ClipboardError::Short(_))));
        assert!(matches!(ClipboardMessage::decode(b"\x10\0\0\x01GET /"), Err(ClipboardError::Inflate(_))));
    }
}
