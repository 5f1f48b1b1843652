//! The messages of RFB, one set for both directions: what a server decodes, a client encodes, and the other way.
//!
//! A decoder takes a [`Reader`] and either consumes one whole message or nothing that counts:
//! on [`Stop::NeedMore`](super::wire::Stop) the caller tries again from the message's first byte. Every variable
//! part has its length in front, so that trying again costs a few comparisons.

pub mod client;
mod fence;
pub mod handshake;
pub mod server;

pub use client::{ClientForms, ClientMessage, ClientMessageError};
pub use fence::{FENCE_PAYLOAD, Fence};
pub use server::{RectHeader, ServerMessage, ServerMessageError};

use super::wire::{NeedMore, Reader, Writer};
use crate::geometry::Rect;

/// The most bytes of cut text that are kept; longer ones are skipped whole. A console is pasted to, so that even
/// this is far more than anybody means to send.
pub const CUT_TEXT_BYTES: usize = 1 << 20;

/// One screen of a framebuffer (the community's RFB specification, ExtendedDesktopSize).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    /// Chosen by whoever made the screen, unique in the layout.
    pub id: u32,
    /// Where it lies.
    pub area: Rect,
    /// Meant for future use, 0.
    pub flags: u32,
}

impl Screen {
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, NeedMore> {
        let id = reader.u32()?;
        let area = decode_rect(reader)?;
        Ok(Self { id, area, flags: reader.u32()? })
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u32(self.id);
        encode_rect(self.area, out);
        out.put_u32(self.flags);
    }
}

pub(crate) fn decode_rect(reader: &mut Reader<'_>) -> Result<Rect, NeedMore> {
    Ok(Rect::new(reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?))
}

pub(crate) fn encode_rect(rect: Rect, out: &mut Vec<u8>) {
    for value in [rect.x, rect.y, rect.width, rect.height] {
        out.put_u16(value);
    }
}

/// The length of cut text: its absolute value, because a negative one announces an ExtendedClipboard message of
/// that many bytes.
fn cut_text_length(length: i32) -> usize {
    usize::try_from(length.unsigned_abs()).unwrap_or(usize::MAX)
}
