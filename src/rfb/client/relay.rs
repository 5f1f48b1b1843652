//! Rectangles that are not painted but passed on; see [`relay`](crate::rfb::relay).

use super::{ClientConnection, ClientError};
use crate::rfb::encoding::tight::extent::RENEW_ALL;
use crate::rfb::encoding::{Encoding, verbatim};
use crate::rfb::message::{ClientMessage, RectHeader};
use crate::rfb::relay::{RECT_BYTES, RelayOffer, Relayed};
use crate::rfb::wire::{Reader, Stop};

/// What of a server's rectangles is passed on.
#[derive(Debug, Default)]
pub(super) struct Relay {
    /// Whose streams belong to whoever is given the rectangles. Once set it stays: nobody else can decode them any more.
    encoding: Option<Encoding>,
    jpeg: bool,
    /// The server is asked for that encoding now.
    on: bool,
    /// A rectangle in it has come (Tight).
    begun: bool,
    waiting: Relayed,
}

impl Relay {
    /// Whether a rectangle is passed on, however the server came to send it.
    pub(super) fn takes(&self, encoding: Encoding) -> bool {
        self.encoding == Some(encoding) || (self.on && encoding == Encoding::COPY_RECT)
    }

    /// Takes the rectangle, of which the header has been read.
    fn take(&mut self, header: RectHeader, body: &[u8]) -> bool {
        let mut bits = 0;
        if header.encoding == Encoding::TIGHT && !std::mem::replace(&mut self.begun, true) {
            // Whatever the viewer's streams were used for before, the server's begin now.
            bits = RENEW_ALL;
        }
        self.waiting.push(header, body, bits)
    }
}

impl ClientConnection {
    /// From now on, asks the server for pictures in the encoding of `offer`, which come as
    /// [`ClientEvent::Relayed`](super::ClientEvent::Relayed) and are not painted; with `None`, as at first again. What the
    /// server sent before it knew still comes as it was. Behind a relay the canvas is old: the next request asks for
    /// everything.
    ///
    /// False, and nothing is changed, when the server's rectangles cannot be passed on: before the handshake is complete,
    /// in an encoding that is decoded here or whose length cannot be told, or when another encoding has been passed on
    /// before.
    pub fn set_relay(&mut self, offer: Option<&RelayOffer>) -> bool {
        let Some(offer) = offer else {
            if std::mem::take(&mut self.relay.on) {
                self.forget_canvas();
                self.send(&ClientMessage::SetEncodings(self.updates.wanted().to_vec()));
            }
            return true;
        };
        let RelayOffer { encoding, quality, compression } = *offer;
        let possible = self.is_ready()
            && verbatim::is_known(encoding)
            && !self.options.encodings.contains(&encoding)
            && self.relay.encoding.is_none_or(|before| before == encoding);
        if possible {
            self.relay.encoding = Some(encoding);
            self.relay.jpeg |= quality.is_some();
            self.relay.on = true;
            let wanted = super::update::wanted(&[Encoding::COPY_RECT, encoding], quality, compression);
            self.send(&ClientMessage::SetEncodings(wanted));
        }
        possible
    }

    /// The rectangles that came to be passed on; the driver takes them out, none may be left out.
    pub fn relayed(&mut self) -> &mut Relayed {
        &mut self.relay.waiting
    }

    /// Takes a rectangle as it is, when all of it is there.
    pub(super) fn consume_relayed(
        &mut self,
        reader: &mut Reader<'_>,
        header: RectHeader,
    ) -> Result<(), Stop<ClientError>> {
        let RectHeader { rect, encoding } = header;
        let start = reader.rest();
        let mut attempt = *reader;
        let size = self.canvas.size();
        let skipped =
            verbatim::skip_body(&mut attempt, encoding, rect, size, self.updates.format(), self.relay.jpeg);
        match skipped {
            Ok(()) => {}
            Err(Stop::NeedMore) if start.len() <= RECT_BYTES => return Err(Stop::NeedMore),
            Err(Stop::NeedMore) => return Err(Stop::Failed(ClientError::RelayTooLong(rect))),
            Err(Stop::Failed(error)) => return Err(Stop::Failed(ClientError::Decode { encoding, error })),
        }
        let length = start.len() - attempt.rest().len();
        *reader = attempt;
        if !self.relay.take(header, &start[..length]) {
            return Err(Stop::Failed(ClientError::RelayTooLong(rect)));
        }
        Ok(())
    }
}
