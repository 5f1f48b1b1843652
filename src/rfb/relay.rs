//! Rectangles that go from one connection's server to another connection's viewer as they are, neither decoded nor
//! encoded anew.
//!
//! The compressed streams of ZRLE and Tight last as long as a connection: each rectangle can be decoded only by who has
//! had all of that stream before it. Hence an encoding's streams of a viewer belong either to our own
//! [`Encoder`](super::encoding::Encoder) or, from the first relayed rectangle on and for good, to one server; and the
//! streams of that server to that viewer. Nothing is ever put together from two streams.
//!
//! [`ServerConnection::relay_offer`](super::server::ServerConnection::relay_offer) says what a viewer could take,
//! [`ClientConnection::set_relay`](super::client::ClientConnection::set_relay) asks a server for it, and
//! [`ServerConnection::relay`](super::server::ServerConnection::relay) passes on what came.

use super::encoding::Encoding;
use super::message::RectHeader;

/// The most bytes of one rectangle that are passed on as they are, with its header. A server that sends more at once has
/// it decoded, where its encoding allows that, or ends.
pub const RECT_BYTES: usize = 8 << 20;

/// What a viewer can take of another server's rectangles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayOffer {
    /// The encoding: [`Encoding::TIGHT`] or [`Encoding::ZRLE`].
    pub encoding: Encoding,
    /// How sharp JPEG shall be, 0 to 9, as the viewer asks for it; `None` when it wants nothing lost.
    pub quality: Option<u8>,
    /// How hard to compress, 0 to 9, as the viewer asks for it.
    pub compression: Option<u8>,
}

/// Whole rectangles with their headers (RFC 6143 §7.6.1), in the order in which they came.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Relayed {
    bytes: Vec<u8>,
    rects: u16,
}

impl Relayed {
    /// Appends a rectangle, with these bits set in its body's first byte; false when there are as many as an update can
    /// have, and then it is not appended.
    pub(super) fn push(&mut self, header: RectHeader, body: &[u8], bits: u8) -> bool {
        // One less than the number that means "until the last".
        if self.rects >= u16::MAX - 1 {
            return false;
        }
        self.rects += 1;
        header.encode(&mut self.bytes);
        let at = self.bytes.len();
        self.bytes.extend_from_slice(body);
        if let Some(first) = self.bytes.get_mut(at) {
            *first |= bits;
        }
        true
    }

    /// How many there are.
    #[must_use]
    pub const fn rects(&self) -> u16 {
        self.rects
    }

    /// The bytes of all of them.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// True when there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rects == 0
    }

    /// Forgets them. A large buffer is given back.
    pub fn clear(&mut self) {
        /// Kept for the next rectangles.
        const KEPT: usize = 256 * 1024;
        self.rects = 0;
        self.bytes.clear();
        self.bytes.shrink_to(KEPT);
    }
}
