//! Fences (the community's RFB specification, ClientFence and ServerFence): marks in the stream that the other side
//! sends back, so that one knows how far it has come. The message is the same in both directions.

use crate::rfb::wire::{NeedMore, Reader, Writer};

/// The longest payload in bytes.
pub const FENCE_PAYLOAD: usize = 64;

/// A fence.
///
/// Wire: type 248, 3 bytes of padding, flags (32 bits), the payload's length (8 bits), the payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// What the flags below say; others are to be ignored.
    pub flags: u32,
    /// What the answer carries too, at most [`FENCE_PAYLOAD`] bytes.
    pub payload: Vec<u8>,
}

impl Fence {
    /// Flag: the answer comes when everything before the fence has taken effect.
    pub const BLOCK_BEFORE: u32 = 1;
    /// Flag: nothing behind the fence is begun before the answer.
    pub const BLOCK_AFTER: u32 = 1 << 1;
    /// Flag: the effects of the next message begin exactly at the answer.
    pub const SYNC_NEXT: u32 = 1 << 2;
    /// Flag: an answer is wanted; without it the message is one.
    pub const REQUEST: u32 = 1 << 31;

    /// True when an answer is wanted.
    #[must_use]
    pub fn is_request(&self) -> bool {
        self.flags & Self::REQUEST != 0
    }

    /// The answer: the flags that are known here and were honoured, and the payload.
    #[must_use]
    pub fn answer(self) -> Self {
        Self { flags: self.flags & (Self::BLOCK_BEFORE | Self::BLOCK_AFTER | Self::SYNC_NEXT), ..self }
    }

    /// Reads what stands behind the type; the inner result has the length of a payload that is too long.
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Result<Self, u8>, NeedMore> {
        reader.skip(3)?;
        let flags = reader.u32()?;
        let length = reader.u8()?;
        if usize::from(length) > FENCE_PAYLOAD {
            return Ok(Err(length));
        }
        let payload = reader.bytes(usize::from(length))?.to_vec();
        Ok(Ok(Self { flags, payload }))
    }

    /// Appends what stands behind the type. A payload that is too long is cut.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.put(&[0; 3]);
        out.put_u32(self.flags);
        let payload = &self.payload[..self.payload.len().min(FENCE_PAYLOAD)];
        out.put_u8(u8::try_from(payload.len()).unwrap_or(0));
        out.put(payload);
    }
}
