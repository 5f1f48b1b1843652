//! Messages from a viewer to a server (RFC 6143 §7.5; extensions by name in the community's RFB specification).

use std::borrow::Cow;

use super::{
    CUT_TEXT_BYTES, CutText, FENCE_PAYLOAD, Fence, Screen, Xvp, decode_cut_text, decode_rect,
    encode_clipboard, encode_rect,
};
use crate::geometry::{Rect, Size};
use crate::keysym::Keysym;
use crate::rfb::encoding::Encoding;
use crate::rfb::pixel_format::{PixelFormat, PixelFormatError};
use crate::rfb::wire::{Reader, Stop, Writer};

const SET_PIXEL_FORMAT: u8 = 0;
const SET_ENCODINGS: u8 = 2;
const UPDATE_REQUEST: u8 = 3;
const KEY: u8 = 4;
const POINTER: u8 = 5;
const CUT_TEXT: u8 = 6;
const ENABLE_CONTINUOUS_UPDATES: u8 = 150;
const FENCE: u8 = 248;
const XVP: u8 = 250;
const SET_DESKTOP_SIZE: u8 = 251;
const QEMU: u8 = 255;
const QEMU_EXTENDED_KEY: u8 = 0;

/// In a pointer message's buttons: more buttons follow in a byte of their own (ExtendedMouseButtons).
const MORE_BUTTONS: u8 = 0x80;

/// A message from a viewer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientMessage<'a> {
    /// §7.5.1: pixels shall look like this from the next update on.
    SetPixelFormat(PixelFormat),
    /// §7.5.2: what the viewer understands, the most wanted first.
    SetEncodings(Vec<Encoding>),
    /// §7.5.3: an update is wanted.
    UpdateRequest {
        /// True when only changes are wanted.
        incremental: bool,
        /// Of what part of the framebuffer; as sent, maybe outside of it.
        area: Rect,
    },
    /// §7.5.4: a key went down or up.
    Key {
        /// True when down.
        pressed: bool,
        /// Which.
        keysym: Keysym,
    },
    /// §7.5.5: the pointer's state.
    Pointer {
        /// Bit n is button n+1.
        buttons: u16,
        /// Pixels from the left edge, as sent.
        x: u16,
        /// Pixels from the upper edge, as sent.
        y: u16,
    },
    /// §7.5.6: Latin-1 text, at most [`CUT_TEXT_BYTES`].
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
    /// SetDesktopSize: another layout is wanted.
    SetDesktopSize {
        /// The size wanted, as sent.
        size: Size,
        /// The screens wanted.
        screens: Vec<Screen>,
    },
    /// EnableContinuousUpdates: changes shall come without being asked for, or no longer.
    EnableContinuousUpdates {
        /// True to begin, or to go on with another area.
        enable: bool,
        /// Of what part of the framebuffer; as sent, maybe outside of it.
        area: Rect,
    },
    /// ClientFence: an answer is wanted, or given.
    Fence(Fence),
    /// xvp: the machine shall be shut down, rebooted or reset.
    Xvp(Xvp),
    /// QEMU's extended key event: as [`Key`](Self::Key), with the key's position.
    ExtendedKey {
        /// True when down.
        pressed: bool,
        /// What the viewer's layout made of it; 0 for unknown.
        keysym: Keysym,
        /// The XT scan code (set 1, `E0` as bit 7); 0 for unknown.
        keycode: u32,
    },
}

/// What no viewer may send. The stream's framing is lost with each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClientMessageError {
    /// A message of unknown type, whose length is unknown too.
    #[error("unknown message type {0}")]
    UnknownType(u8),
    /// A QEMU message of unknown type.
    #[error("unknown qemu message type {0}")]
    UnknownQemuType(u8),
    /// A fence with too much in it.
    #[error("a fence with {0} bytes; at most {FENCE_PAYLOAD} wanted")]
    FenceTooLong(u8),
    /// The pixel format makes no sense.
    #[error("bad pixel format")]
    PixelFormat(#[from] PixelFormatError),
}

/// What was agreed about the form of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClientForms {
    /// Pointer messages may carry more than seven buttons (ExtendedMouseButtons).
    pub extended_buttons: bool,
}

impl<'a> ClientMessage<'a> {
    /// Reads one message.
    ///
    /// # Errors
    /// See [`ClientMessageError`].
    pub fn decode(reader: &mut Reader<'a>, forms: ClientForms) -> Result<Self, Stop<ClientMessageError>> {
        let kind = reader.u8()?;
        Ok(match kind {
            SET_PIXEL_FORMAT => {
                reader.skip(3)?;
                let format = PixelFormat::decode(reader)?.map_err(|e| Stop::Failed(e.into()))?;
                Self::SetPixelFormat(format)
            }
            SET_ENCODINGS => {
                reader.skip(1)?;
                let count = usize::from(reader.u16()?);
                let numbers = reader.bytes(count * 4)?.as_chunks::<4>().0;
                Self::SetEncodings(numbers.iter().map(|n| Encoding(i32::from_be_bytes(*n))).collect())
            }
            UPDATE_REQUEST => {
                let incremental = reader.u8()? != 0;
                Self::UpdateRequest { incremental, area: decode_rect(reader)? }
            }
            KEY => {
                let pressed = reader.u8()? != 0;
                reader.skip(2)?;
                Self::Key { pressed, keysym: Keysym(reader.u32()?) }
            }
            POINTER => {
                let low = reader.u8()?;
                let (x, y) = (reader.u16()?, reader.u16()?);
                let buttons = if forms.extended_buttons && low & MORE_BUTTONS != 0 {
                    u16::from(low & !MORE_BUTTONS) | u16::from(reader.u8()?) << 7
                } else {
                    u16::from(low)
                };
                Self::Pointer { buttons, x, y }
            }
            CUT_TEXT => match decode_cut_text(reader)? {
                CutText::Latin1(text) => Self::CutText(Cow::Borrowed(text)),
                CutText::Extended(body) => Self::ExtendedClipboard(Cow::Borrowed(body)),
                CutText::TooLong(bytes) => Self::CutTextToSkip { bytes },
            },
            ENABLE_CONTINUOUS_UPDATES => {
                let enable = reader.u8()? != 0;
                Self::EnableContinuousUpdates { enable, area: decode_rect(reader)? }
            }
            FENCE => {
                let fence = Fence::decode(reader)?;
                Self::Fence(fence.map_err(|length| Stop::Failed(ClientMessageError::FenceTooLong(length)))?)
            }
            XVP => Self::Xvp(Xvp::decode(reader)?),
            SET_DESKTOP_SIZE => {
                reader.skip(1)?;
                let size = Size::new(reader.u16()?, reader.u16()?);
                let count = reader.u8()?;
                reader.skip(1)?;
                let screens = (0..count).map(|_| Screen::decode(reader)).collect::<Result<_, _>>()?;
                Self::SetDesktopSize { size, screens }
            }
            QEMU => {
                let kind = reader.u8()?;
                if kind != QEMU_EXTENDED_KEY {
                    return Err(Stop::Failed(ClientMessageError::UnknownQemuType(kind)));
                }
                let pressed = reader.u16()? != 0;
                Self::ExtendedKey { pressed, keysym: Keysym(reader.u32()?), keycode: reader.u32()? }
            }
            _ => return Err(Stop::Failed(ClientMessageError::UnknownType(kind))),
        })
    }

    /// Appends the message. Lists longer than their counters are cut; of [`CutTextToSkip`](Self::CutTextToSkip)
    /// the header is written.
    pub fn encode(&self, forms: ClientForms, out: &mut Vec<u8>) {
        match self {
            Self::SetPixelFormat(format) => {
                out.put(&[SET_PIXEL_FORMAT, 0, 0, 0]);
                format.encode(out);
            }
            Self::SetEncodings(encodings) => {
                out.put(&[SET_ENCODINGS, 0]);
                let count = u16::try_from(encodings.len()).unwrap_or(u16::MAX);
                out.put_u16(count);
                for encoding in &encodings[..usize::from(count)] {
                    out.put_i32(encoding.0);
                }
            }
            Self::UpdateRequest { incremental, area } => {
                out.put(&[UPDATE_REQUEST, u8::from(*incremental)]);
                encode_rect(*area, out);
            }
            Self::Key { pressed, keysym } => {
                out.put(&[KEY, u8::from(*pressed), 0, 0]);
                out.put_u32(keysym.0);
            }
            Self::Pointer { buttons, x, y } => {
                let [high, low] = buttons.to_be_bytes();
                let more = (high << 1) | (low >> 7);
                let extended = forms.extended_buttons && more != 0;
                let low = if extended { low | MORE_BUTTONS } else { low & !MORE_BUTTONS };
                out.put(&[POINTER, low]);
                out.put_u16(*x);
                out.put_u16(*y);
                if extended {
                    out.put_u8(more);
                }
            }
            Self::CutText(text) => {
                out.put(&[CUT_TEXT, 0, 0, 0]);
                out.put_counted(&text[..text.len().min(CUT_TEXT_BYTES)]);
            }
            Self::ExtendedClipboard(body) => {
                out.put(&[CUT_TEXT, 0, 0, 0]);
                encode_clipboard(body, out);
            }
            Self::CutTextToSkip { bytes } => {
                out.put(&[CUT_TEXT, 0, 0, 0]);
                out.put_i32(i32::try_from(*bytes).unwrap_or(i32::MAX));
            }
            Self::SetDesktopSize { size, screens } => {
                out.put(&[SET_DESKTOP_SIZE, 0]);
                out.put_u16(size.width);
                out.put_u16(size.height);
                let count = u8::try_from(screens.len()).unwrap_or(u8::MAX);
                out.put(&[count, 0]);
                for screen in &screens[..usize::from(count)] {
                    screen.encode(out);
                }
            }
            Self::EnableContinuousUpdates { enable, area } => {
                out.put(&[ENABLE_CONTINUOUS_UPDATES, u8::from(*enable)]);
                encode_rect(*area, out);
            }
            Self::Fence(fence) => {
                out.put_u8(FENCE);
                fence.encode(out);
            }
            Self::Xvp(xvp) => {
                out.put_u8(XVP);
                xvp.encode(out);
            }
            Self::ExtendedKey { pressed, keysym, keycode } => {
                out.put(&[QEMU, QEMU_EXTENDED_KEY]);
                out.put_u16(u16::from(*pressed));
                out.put_u32(keysym.0);
                out.put_u32(*keycode);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::CLIPBOARD_BYTES;
    use super::*;
    use proptest::prelude::*;

    const EXTENDED: ClientForms = ClientForms { extended_buttons: true };

    fn decode(bytes: &[u8]) -> Result<ClientMessage<'_>, Stop<ClientMessageError>> {
        ClientMessage::decode(&mut Reader::new(bytes), ClientForms::default())
    }

    #[test]
    fn the_specifications_layouts_are_understood() {
        // RFC 6143 §7.5.1 to §7.5.6, byte by byte.
        let cases: [(&[u8], ClientMessage<'_>); 10] = [
            (
                &[0, 0, 0, 0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0],
                ClientMessage::SetPixelFormat(PixelFormat::RGB888),
            ),
            (
                &[2, 0, 0, 2, 0, 0, 0, 16, 0xff, 0xff, 0xff, 0x21],
                ClientMessage::SetEncodings(vec![Encoding::ZRLE, Encoding::DESKTOP_SIZE]),
            ),
            (
                &[3, 1, 0, 1, 0, 2, 1, 0, 0, 200],
                ClientMessage::UpdateRequest { incremental: true, area: Rect::new(1, 2, 256, 200) },
            ),
            (&[4, 1, 0, 0, 0, 0, 0xff, 0x0d], ClientMessage::Key { pressed: true, keysym: Keysym::RETURN }),
            (&[5, 0b101, 0, 10, 1, 0], ClientMessage::Pointer { buttons: 5, x: 10, y: 256 }),
            (&[6, 0, 0, 0, 0, 0, 0, 2, b'h', 0xe9], ClientMessage::CutText(Cow::Borrowed(&[b'h', 0xe9]))),
            (
                &[6, 0, 0, 0, 0xff, 0xff, 0xff, 0xfc, 8, 0, 0, 1],
                ClientMessage::ExtendedClipboard(Cow::Borrowed(&[8, 0, 0, 1])),
            ),
            (&[250, 0, 1, 2], ClientMessage::Xvp(Xvp { version: 1, code: Xvp::SHUTDOWN })),
            (
                &[251, 0, 4, 0, 3, 0, 1, 0, 0, 0, 0, 7, 0, 0, 0, 0, 4, 0, 3, 0, 0, 0, 0, 0],
                ClientMessage::SetDesktopSize {
                    size: Size::new(1024, 768),
                    screens: vec![Screen { id: 7, area: Rect::new(0, 0, 1024, 768), flags: 0 }],
                },
            ),
            (
                &[255, 0, 0, 1, 0, 0, 0, 0x61, 0, 0, 0, 0x1e],
                ClientMessage::ExtendedKey { pressed: true, keysym: Keysym(0x61), keycode: 0x1e },
            ),
        ];
        for (bytes, message) in cases {
            assert_eq!(decode(bytes), Ok(message.clone()));
            let mut out = Vec::new();
            message.encode(ClientForms::default(), &mut out);
            assert_eq!(out, bytes);
            for end in 0..bytes.len() {
                assert_eq!(decode(&bytes[..end]), Err(Stop::NeedMore), "{message:?} cut at {end}");
            }
        }
    }

    #[test]
    fn long_cut_text_is_left_to_be_skipped() {
        let mut longest = vec![6, 0, 0, 0, 0, 0x10, 0, 0];
        longest.resize(8 + CUT_TEXT_BYTES, b'x');
        assert!(matches!(decode(&longest), Ok(ClientMessage::CutText(text)) if text.len() == CUT_TEXT_BYTES));
        let skip = |bytes| Ok(ClientMessage::CutTextToSkip { bytes });
        assert_eq!(decode(&[6, 0, 0, 0, 0, 0x10, 0, 1]), skip(CUT_TEXT_BYTES + 1));
        let longest = u32::try_from(CLIPBOARD_BYTES).expect("fits");
        let [one, two, three, four] = longest.wrapping_neg().to_be_bytes();
        assert_eq!(decode(&[6, 0, 0, 0, one, two, three, four]), Err(Stop::NeedMore));
        let [one, two, three, four] = (longest + 1).wrapping_neg().to_be_bytes();
        assert_eq!(decode(&[6, 0, 0, 0, one, two, three, four]), skip(CLIPBOARD_BYTES + 1));
        assert_eq!(decode(&[6, 0, 0, 0, 0x80, 0, 0, 0]), skip(0x8000_0000));
    }

    #[test]
    fn unknown_messages_are_named() {
        for kind in [1, 7, 151, 249, 254] {
            assert_eq!(decode(&[kind]), Err(Stop::Failed(ClientMessageError::UnknownType(kind))));
        }
        let long = [&[248, 0, 0, 0, 0, 0, 0, 0, 65][..], &[0; 65]].concat();
        assert_eq!(decode(&long), Err(Stop::Failed(ClientMessageError::FenceTooLong(65))));
        assert_eq!(decode(&[255, 1]), Err(Stop::Failed(ClientMessageError::UnknownQemuType(1))));
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(buttons in 0u16..0x8000, x: u16, y: u16, keysym: u32, keycode: u32,
                                      pressed: bool, numbers: Vec<i32>, text: Vec<u8>) {
            let messages = [
                ClientMessage::Pointer { buttons, x, y },
                ClientMessage::Key { pressed, keysym: Keysym(keysym) },
                ClientMessage::ExtendedKey { pressed, keysym: Keysym(keysym), keycode },
                ClientMessage::EnableContinuousUpdates { enable: pressed, area: Rect::new(x, y, y, x) },
                ClientMessage::Fence(Fence { flags: keysym, payload: text[..text.len().min(64)].to_vec() }),
                ClientMessage::SetEncodings(numbers.into_iter().map(Encoding).collect()),
                ClientMessage::ExtendedClipboard(Cow::Owned([&[9][..], &text].concat())),
                ClientMessage::CutText(Cow::Owned(text)),
            ];
            for message in messages {
                let mut out = Vec::new();
                message.encode(EXTENDED, &mut out);
                let mut reader = Reader::new(&out);
                prop_assert_eq!(ClientMessage::decode(&mut reader, EXTENDED), Ok(message));
                prop_assert_eq!(reader.consumed(), out.len());
            }
        }
    }
}
