//! What a viewer could take of another server's rectangles, and passing them on; see [`relay`](crate::rfb::relay).

use super::event::UpdateOutcome;
use super::update::Updates;
use crate::rfb::encoding::{Encoding, PictureEncoding};
use crate::rfb::message::ServerMessage;
use crate::rfb::pixel_format::PixelFormat;
use crate::rfb::relay::{RelayOffer, Relayed};

/// What our own pictures are sent in while the encoding that the viewer wants most is kept for a relay, the best first.
const OWN: [PictureEncoding; 5] = [
    PictureEncoding::Zrle,
    PictureEncoding::Tight,
    PictureEncoding::Zlib,
    PictureEncoding::Trle,
    PictureEncoding::Hextile,
];

/// Which of a viewer's streams are not ours.
#[derive(Debug, Default)]
pub(super) struct Streams {
    /// What the viewer wants most is kept for a relay, where something else is left for us.
    pub(super) keep: bool,
    /// Another server's for good.
    tight: bool,
    zrle: bool,
}

impl Streams {
    fn is_foreign(&self, encoding: PictureEncoding) -> bool {
        match encoding {
            PictureEncoding::Tight => self.tight,
            PictureEncoding::Zrle => self.zrle,
            _ => false,
        }
    }

    /// What our own pictures are sent in, and what could be relayed, for a viewer with these wishes. `native`: in our own
    /// pixel format; `zrle_begun`: its stream of ZRLE has been used.
    pub(super) fn choose(
        &self,
        wishes: &[Encoding],
        native: bool,
        zrle_begun: bool,
    ) -> (PictureEncoding, Option<RelayOffer>) {
        let wanted: Vec<PictureEncoding> = PictureEncoding::wished(wishes).collect();
        let best = wanted.first().copied().unwrap_or(PictureEncoding::Raw);
        // Tight's streams can begin anew, by a bit in the first rectangle; that of ZRLE cannot.
        let relayed = self.keep
            && native
            && wishes.contains(&Encoding::COPY_RECT)
            && match best {
                PictureEncoding::Tight => true,
                PictureEncoding::Zrle => !zrle_begun,
                _ => false,
            };
        let ours = OWN.into_iter().find(|own| *own != best && wanted.contains(own) && !self.is_foreign(*own));
        match ours {
            Some(ours) if relayed => {
                let level = |first: Encoding| {
                    let level =
                        wishes.iter().find_map(|wish| u8::try_from(wish.0.checked_sub(first.0)?).ok());
                    level.filter(|level| *level <= 9)
                };
                let offer = RelayOffer {
                    encoding: best.number(),
                    quality: level(Encoding::QUALITY_LEVEL_0),
                    compression: level(Encoding::COMPRESS_LEVEL_0),
                };
                (ours, Some(offer))
            }
            _ => {
                let own = wanted.into_iter().find(|wanted| !self.is_foreign(*wanted));
                (own.unwrap_or(PictureEncoding::Raw), None)
            }
        }
    }

    fn give(&mut self, encoding: Encoding) {
        self.tight |= encoding == Encoding::TIGHT;
        self.zrle |= encoding == Encoding::ZRLE;
    }
}

impl Updates {
    /// What could be relayed to the viewer as it is now.
    pub(super) fn relay_offer(&self) -> Option<RelayOffer> {
        let native = self.format() == PixelFormat::RGB888;
        self.wishes().relay.filter(|_| native)
    }

    /// From now on the streams of this encoding are another server's.
    pub(super) fn give_streams(&mut self, encoding: Encoding) {
        self.streams.give(encoding);
    }

    /// True when nothing of our own is under way, or must come first, and what the viewer asks for is all of its
    /// framebuffer, if anything.
    pub(super) fn is_even(&self) -> bool {
        let whole = self.viewer_size().rect();
        !self.is_partial() && !self.resize_due() && self.owes_nothing() && self.asks_for_all_of(whole)
    }

    /// Writes an update of these rectangles, if one of the whole framebuffer is wanted.
    pub(super) fn relay(&mut self, relayed: &mut Relayed, name: &str, out: &mut Vec<u8>) -> UpdateOutcome {
        let whole = self.viewer_size().rect();
        if relayed.is_empty() || self.is_bare_due() || !self.is_even() || !self.take_request_of(whole) {
            return UpdateOutcome::Nothing;
        }
        self.apply_format(out);
        let rects = relayed.rects().saturating_add(self.news_rects());
        ServerMessage::Update { rects }.encode(out);
        self.write_news(name, out);
        out.extend_from_slice(relayed.bytes());
        relayed.clear();
        UpdateOutcome::Complete
    }
}
