//! Passing a server's rectangles on as they are, to a viewer that looks at it alone.
//!
//! It saves decoding and encoding, and is no more than a saving: whatever does not fit ends it, and the server is asked for
//! everything anew, to be decoded. What must never happen is that a viewer misses a part of a compressed stream and is
//! sent what follows; hence a server's streams go to one viewer, all of them or none from then on.

use std::time::Instant;

use super::graphics::{Graphics, UpstreamId};
use super::machine::Seat;
use super::options::ViewerId;
use super::viewer::Viewer;
use super::vt::{Vt, VtNumber};
use crate::rfb::encoding::Encoding;
use crate::rfb::relay::RelayOffer;

/// After so many updates that could have been relayed, the next ones are. Twice as many after each time that it ended: a
/// viewer that often asks for everything shall not make the server send everything twice.
const PATIENCE: u32 = 4;

/// The most of those.
const MOST_PATIENCE: u32 = 1024;

/// What waits for a viewer is passed on when its update is complete, or when it is so many bytes.
const PORTION_BYTES: usize = 256 * 1024;

/// A viewer that leaves so many bytes unread is sent nothing of that stream any more.
const WAITING_BYTES: usize = 16 << 20;

/// What a server's rectangles become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayChange {
    /// The VT that shows the server.
    pub vt: VtNumber,
    /// They are passed on as they are from now on; otherwise they are decoded again.
    pub relayed: bool,
}

/// How far a server's rectangles are passed on.
#[derive(Debug)]
pub(super) struct Relay {
    /// Whose the streams are, for good.
    viewer: Option<ViewerId>,
    on: bool,
    /// A part was lost, or the server does not keep to what it is asked for: never again.
    spoiled: bool,
    /// How many updates in a row could have been relayed, and how many it takes.
    even: u32,
    patience: u32,
    /// What was told of it last.
    told: bool,
}

impl Default for Relay {
    fn default() -> Self {
        Self { viewer: None, on: false, spoiled: false, even: 0, patience: PATIENCE, told: false }
    }
}

impl Relay {
    /// True while the server's rectangles are passed on instead of painted.
    pub(super) const fn is_on(&self) -> bool {
        self.on
    }

    /// The server sent something that is painted all the same, or of another size.
    pub(super) fn disturb(&mut self) {
        self.spoiled |= self.on;
    }
}

impl Graphics {
    /// True when something waits to be passed on.
    pub(super) fn has_relayed(&mut self) -> bool {
        !self.connection.relayed().is_empty()
    }

    /// True when what waits is an update's end, or enough.
    fn is_relayed_due(&mut self) -> bool {
        !self.is_torn() || self.connection.relayed().bytes().len() >= PORTION_BYTES
    }

    /// The server is asked for what is decoded here from now on; the picture is old until everything has come.
    pub(super) fn stop_relay(&mut self, looked_at: bool, now: Instant) {
        if std::mem::take(&mut self.relay.on) {
            self.relay.even = 0;
            self.relay.patience = (2 * self.relay.patience).min(MOST_PATIENCE);
            self.connection.set_relay(None);
            self.forget_picture(looked_at, now);
        }
    }

    /// What waits to be passed on is lost.
    fn lose_relayed(&mut self) {
        if self.has_relayed() {
            self.connection.relayed().clear();
            self.relay.spoiled = true;
        }
    }

    /// Begins to pass the server's rectangles on, if the viewer can take them and has been able to for a while.
    fn consider_relay(&mut self, viewer: &mut Viewer, exists: impl Fn(UpstreamId) -> bool) {
        if self.relay.on || self.relay.spoiled || self.connection.is_waiting() || !self.is_settled() {
            return;
        }
        let Some(offer) = viewer.relay_offer(self).filter(|offer| viewer.may_bind(self.id, offer, exists))
        else {
            self.relay.even = 0;
            return;
        };
        if self.relay.viewer.is_some_and(|bound| bound != viewer.id) {
            return;
        }
        self.relay.even += 1;
        if self.relay.even < self.relay.patience {
            return;
        }
        if self.connection.set_relay(Some(&offer)) {
            self.relay.on = true;
            self.relay.viewer = Some(viewer.id);
            viewer.bind(self.id, offer.encoding);
        } else {
            self.relay.spoiled = true;
        }
    }
}

impl Viewer {
    /// What the viewer could be passed on of this server now.
    fn relay_offer(&self, graphics: &Graphics) -> Option<RelayOffer> {
        let plain = self.shows_only_the_picture()
            && (self.connection.draws_cursor() || graphics.sprite().0.is_none());
        let even = self.keeps_up() && self.connection.is_even();
        let fits = self.connection.framebuffer_size() == graphics.size();
        self.connection.relay_offer().filter(|_| plain && even && fits)
    }

    /// Whether this server may have the viewer's streams. Another one's only Tight can take over, and only when that is
    /// gone.
    fn may_bind(&self, id: UpstreamId, offer: &RelayOffer, exists: impl Fn(UpstreamId) -> bool) -> bool {
        self.bound.is_none_or(|(server, encoding)| {
            (server == id && encoding == offer.encoding)
                || (!exists(server) && offer.encoding == Encoding::TIGHT)
        })
    }

    fn bind(&mut self, id: UpstreamId, encoding: Encoding) {
        self.bound = Some((id, encoding));
        self.connection.give_streams(encoding);
    }

    /// Passes on what waits, or tells the viewer what there is to tell without a picture.
    fn relay(&mut self, graphics: &mut Graphics, now: Instant) {
        if self.is_ready_for_update(now) && graphics.has_relayed() && graphics.is_relayed_due() {
            self.connection.relay(graphics.connection.relayed());
        }
    }
}

impl Seat {
    /// Passes on what servers sent to be passed on, and ends what does not fit any more. To be called in each turn before
    /// anything is rendered.
    pub(super) fn relay(&mut self, now: Instant) {
        for vt in &mut self.vts {
            let number = vt.number;
            let Some(graphics) = vt.graphics_mut() else { continue };
            if !graphics.relay.on && !graphics.has_relayed() {
                continue;
            }
            let mut lookers = self.viewers.iter_mut().filter(|viewer| viewer.vt == number);
            let (first, others) = (lookers.next(), lookers.next().is_some());
            let looked_at = first.is_some();
            let bound = graphics.relay.viewer;
            match first.filter(|viewer| Some(viewer.id) == bound && !viewer.dead) {
                Some(viewer) => {
                    let encoding = viewer.bound.map(|(_, encoding)| encoding);
                    viewer.relay(graphics, now);
                    let offer = viewer.relay_offer(graphics).map(|offer| offer.encoding);
                    let fits =
                        offer.is_some() && offer == encoding && self.options.relay && !graphics.relay.spoiled;
                    if others || !fits {
                        graphics.stop_relay(looked_at, now);
                    }
                    let waiting = graphics.connection.relayed().bytes().len();
                    // The viewer is about to be sent the picture in another way, or never reads.
                    if (!graphics.relay.on && graphics.is_settled()) || waiting > WAITING_BYTES {
                        graphics.lose_relayed();
                    }
                }
                None => {
                    graphics.stop_relay(looked_at, now);
                    graphics.lose_relayed();
                }
            }
        }
    }

    /// What has changed since the last call, for the log.
    pub fn take_relay_changes(&mut self) -> Vec<RelayChange> {
        let mut changes = Vec::new();
        for vt in &mut self.vts {
            let number = vt.number;
            if let Some(graphics) = vt.graphics_mut()
                && graphics.relay.told != graphics.relay.on
            {
                graphics.relay.told = graphics.relay.on;
                changes.push(RelayChange { vt: number, relayed: graphics.relay.on });
            }
        }
        changes
    }

    /// Begins to pass on what the server of a VT sends, where that fits.
    pub(super) fn consider_relay(&mut self, at: usize) {
        let pictures = self.vts.get(at).and_then(Vt::graphics);
        if !self.options.relay || pictures.is_none_or(|graphics| graphics.relay.on) {
            return;
        }
        let servers: Vec<UpstreamId> =
            self.vts.iter().filter_map(Vt::graphics).map(|graphics| graphics.id).collect();
        let Some(vt) = self.vts.get_mut(at) else { return };
        let number = vt.number;
        let mut lookers = self.viewers.iter_mut().filter(|viewer| viewer.vt == number);
        if let Some(graphics) = vt.graphics_mut()
            && let Some(viewer) = lookers.next()
            && lookers.next().is_none()
        {
            graphics.consider_relay(viewer, |server| servers.contains(&server));
        }
    }
}
