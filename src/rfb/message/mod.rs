//! The messages of RFB, one set for both directions: what a server decodes, a client encodes, and the other way.
//!
//! A decoder takes a [`Reader`] and either consumes one whole message or nothing that counts:
//! on [`Stop::NeedMore`](super::wire::Stop) the caller tries again from the message's first byte. Every variable
//! part has its length in front, so that trying again costs a few comparisons.

pub mod client;
mod clipboard;
mod fence;
pub mod handshake;
pub mod server;
pub mod tight;
pub mod vencrypt;
mod xvp;

pub use client::{ClientForms, ClientMessage, ClientMessageError};
pub use clipboard::{CLIPBOARD_BYTES, ClipboardCaps, ClipboardError, ClipboardMessage};
pub use fence::{FENCE_PAYLOAD, Fence};
pub use server::{RectHeader, ServerMessage, ServerMessageError};
pub use xvp::Xvp;

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

/// Cut text behind its message type, in either direction.
enum CutText<'a> {
    Latin1(&'a [u8]),
    Extended(&'a [u8]),
    /// So many bytes follow.
    TooLong(usize),
}

/// Reads padding, length and text; a negative length announces an ExtendedClipboard message of so many bytes.
fn decode_cut_text<'a>(reader: &mut Reader<'a>) -> Result<CutText<'a>, NeedMore> {
    reader.skip(3)?;
    let length = reader.i32()?;
    let bytes = usize::try_from(length.unsigned_abs()).unwrap_or(usize::MAX);
    Ok(match length {
        0.. if bytes <= CUT_TEXT_BYTES => CutText::Latin1(reader.bytes(bytes)?),
        ..0 if bytes <= CLIPBOARD_BYTES => CutText::Extended(reader.bytes(bytes)?),
        _ => CutText::TooLong(bytes),
    })
}

/// Appends an ExtendedClipboard message's length and body, which is cut at [`CLIPBOARD_BYTES`].
fn encode_clipboard(body: &[u8], out: &mut Vec<u8>) {
    let body = &body[..body.len().min(CLIPBOARD_BYTES)];
    out.put_i32(-i32::try_from(body.len()).unwrap_or(0));
    out.put(body);
}
