//! Connections to RFB servers in the guest: how they come and go, and what becomes of what they say.
//!
//! A server that is not through the handshake is nobody: it has no VT, no viewer sees anything of it, and it does not
//! disturb the one whose place it is to take.

use std::time::{Duration, Instant};

use super::clipboard::CLIPBOARD_BYTES;
use super::graphics::{Graphics, Moves, UpstreamId};
use super::machine::Seat;
use super::viewer::Viewer;
use super::vt::{Source, Vt, VtNumber};
use crate::geometry::Size;
use crate::rfb::client::{ClientConnection, ClientError, ClientEvent, ClientOptions};
use crate::rfb::server::ResizeRefusal;

/// The time that a server has to get through the handshake.
pub const UPSTREAM_HANDSHAKE: Duration = Duration::from_secs(30);

/// The status of a refused resize that stands for "out of resources", and for "invalid layout" (ExtendedDesktopSize).
const STATUS_RESOURCES: u16 = 2;
const STATUS_LAYOUT: u16 = 3;

/// A server that is not through the handshake.
pub(super) struct Arriving {
    id: UpstreamId,
    vt: VtNumber,
    origin: String,
    connection: ClientConnection,
    until: Instant,
}

/// A server that the seat has ended; its connection is to be closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedUpstream {
    /// Which one.
    pub id: UpstreamId,
    /// Why.
    pub reason: UpstreamEnd,
}

/// Why the seat ended a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamEnd {
    /// It did not get through the handshake in time.
    #[error("the guest's server was not through the handshake after {} s", .limit.as_secs())]
    Handshake {
        /// The time that it had.
        limit: Duration,
    },
    /// The guest has connected another one for the same VT.
    #[error("the guest has connected another server in its place")]
    Replaced,
}

/// Why a server in the guest ends.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The caller named one that is not there (any more).
    #[error("the seat has no such upstream")]
    Unknown,
    /// It broke the protocol.
    #[error(transparent)]
    Protocol(#[from] ClientError),
}

impl Seat {
    /// The most pixels that a guest's display may have.
    #[must_use]
    pub const fn max_pixels(&self) -> u32 {
        self.options.max_pixels
    }

    /// Whether a server's rectangles may be passed on as they are.
    #[must_use]
    pub const fn may_relay(&self) -> bool {
        self.options.relay
    }

    /// Takes in a server of the guest whose picture is to be the VT `vt`, one of the graphics VTs. It comes from
    /// `origin`, in words. `None` when `vt` is none of them.
    pub fn add_upstream(
        &mut self,
        vt: VtNumber,
        origin: String,
        options: ClientOptions,
        now: Instant,
    ) -> Option<UpstreamId> {
        if !vt.is_graphics() {
            return None;
        }
        let id = UpstreamId(self.next_upstream);
        self.next_upstream += 1;
        // One may arrive for each VT: the last.
        if let Some(at) = self.arriving.iter().position(|arriving| arriving.vt == vt) {
            let old = self.arriving.swap_remove(at);
            self.ended.push(EndedUpstream { id: old.id, reason: UpstreamEnd::Replaced });
        }
        let connection = ClientConnection::new(options);
        self.arriving.push(Arriving { id, vt, origin, connection, until: now + UPSTREAM_HANDSHAKE });
        Some(id)
    }

    /// Takes bytes of a server.
    ///
    /// # Errors
    /// When there is no such server, or it broke the protocol: close it and call
    /// [`remove_upstream`](Self::remove_upstream).
    pub fn upstream_input(
        &mut self,
        id: UpstreamId,
        bytes: &[u8],
        now: Instant,
    ) -> Result<(), UpstreamError> {
        let result = self.upstream(id).ok_or(UpstreamError::Unknown)?.handle_input(bytes);
        // What came before a mistake counts.
        while let Some(event) = self.upstream(id).and_then(ClientConnection::poll_event) {
            self.upstream_event(id, event, now);
        }
        Ok(result?)
    }

    /// A server has closed its connection.
    ///
    /// # Errors
    /// When there is no such server, or it had to say more first; call [`remove_upstream`](Self::remove_upstream) either way.
    pub fn upstream_end(&mut self, id: UpstreamId) -> Result<(), UpstreamError> {
        Ok(self.upstream(id).ok_or(UpstreamError::Unknown)?.handle_end()?)
    }

    /// Bytes for a server; the driver takes what it can send.
    pub fn upstream_output(&mut self, id: UpstreamId) -> Option<&mut Vec<u8>> {
        self.upstream(id).map(ClientConnection::output)
    }

    /// Forgets a server whose connection is closed. Its viewers go back to the console.
    pub fn remove_upstream(&mut self, id: UpstreamId) {
        self.arriving.retain(|arriving| arriving.id != id);
        let found = self.vts.iter().find(|vt| vt.graphics().is_some_and(|graphics| graphics.id == id));
        if let Some(vt) = found.map(|vt| vt.number) {
            self.remove_graphics(vt);
        }
    }

    /// The servers that the seat has ended since the last call; close their connections.
    pub fn take_ended_upstreams(&mut self) -> Vec<EndedUpstream> {
        std::mem::take(&mut self.ended)
    }

    /// Ends servers that take too long over the handshake.
    pub(super) fn end_late_upstreams(&mut self, now: Instant) {
        for arriving in self.arriving.extract_if(.., |arriving| arriving.until <= now) {
            let reason = UpstreamEnd::Handshake { limit: UPSTREAM_HANDSHAKE };
            self.ended.push(EndedUpstream { id: arriving.id, reason });
        }
    }

    /// When [`end_late_upstreams`](Self::end_late_upstreams) has something to do.
    pub(super) fn upstream_deadline(&self) -> Option<Instant> {
        self.arriving.iter().map(|arriving| arriving.until).min()
    }

    fn upstream(&mut self, id: UpstreamId) -> Option<&mut ClientConnection> {
        let arriving = self.arriving.iter_mut().find(|arriving| arriving.id == id);
        let graphics = self.vts.iter_mut().filter_map(Vt::graphics_mut).find(|graphics| graphics.id == id);
        arriving
            .map(|arriving| &mut arriving.connection)
            .or(graphics.map(|graphics| &mut graphics.connection))
    }

    fn upstream_event(&mut self, id: UpstreamId, event: ClientEvent, now: Instant) {
        if let ClientEvent::Ready { name, .. } = event {
            return self.arrived(id, name, now);
        }
        let Some(at) = self.vts.iter().position(|vt| vt.graphics().is_some_and(|graphics| graphics.id == id))
        else {
            return;
        };
        let Some(vt) = self.vts.get_mut(at) else { return };
        let number = vt.number;
        let Some(graphics) = vt.graphics_mut() else { return };
        let viewers = self.viewers.iter_mut().filter(|viewer| viewer.vt == number);
        match event {
            // Taken above.
            ClientEvent::Ready { .. } => {}
            ClientEvent::Damaged(rect) => {
                graphics.relay.disturb();
                graphics.part(rect, now);
                let current =
                    self.viewers.iter().filter(|viewer| viewer.vt == number && viewer.debt.is_empty());
                graphics.painted(rect, current.map(|viewer| viewer.id));
                let viewers = self.viewers.iter_mut().filter(|viewer| viewer.vt == number);
                viewers.for_each(|viewer| viewer.debt.changed(rect));
            }
            ClientEvent::Relayed(rect) => graphics.relayed(rect, now),
            ClientEvent::Copied { destination, source } => {
                graphics.relay.disturb();
                graphics.part(destination, now);
                graphics.moves_itself();
                viewers.for_each(|viewer| viewer.debt.moved(destination, source));
            }
            ClientEvent::UpdateDone => {
                if let Some(Moves { painted, moves, rest, for_whom }) = graphics.find_moves() {
                    viewers
                        .filter(|viewer| for_whom.contains(&viewer.id))
                        .for_each(|viewer| viewer.debt.exchange(&painted, &moves, &rest));
                }
                if graphics.whole(now) && std::mem::take(&mut graphics.awaited) {
                    self.go_to_graphics(number);
                }
            }
            ClientEvent::Resized { size } => {
                graphics.stop_relay(true, now);
                graphics.resized(now);
                viewers.for_each(|viewer| viewer.resized(size));
                self.status_stale = true;
            }
            ClientEvent::ResizeAnswered { status } => {
                let (size, asked) = (graphics.size(), graphics.resize_for.take());
                if let Some(viewer) = self.viewers.iter_mut().find(|viewer| Some(viewer.id) == asked) {
                    answer_resize(viewer, status, size);
                }
            }
            ClientEvent::Cursor(image) => {
                viewers.for_each(|viewer| viewer.set_cursor(image.clone()));
                graphics.set_cursor(image);
            }
            ClientEvent::Renamed(name) => {
                graphics.name = name;
                self.status_stale = true;
            }
            ClientEvent::Bell => viewers.for_each(Viewer::ring),
            ClientEvent::CutText(mut text) => {
                text.truncate(text.floor_char_boundary(CLIPBOARD_BYTES));
                graphics.cut = (graphics.cut.0 + 1, text);
                if self.options.clipboard.from_guest() {
                    viewers.for_each(|viewer| viewer.cut_in_guest(id, &graphics.cut));
                }
            }
            ClientEvent::CursorMoved(place) => graphics.pointer_moved(place),
            ClientEvent::Leds(leds) => {
                graphics.leds = Some(leds);
                viewers.for_each(|viewer| viewer.set_leds(leds));
            }
            // Nothing here asks for it.
            ClientEvent::Synced => {}
        }
    }

    /// A server is through the handshake: it gets its VT, and viewers are moved there when there is a picture.
    fn arrived(&mut self, id: UpstreamId, name: String, now: Instant) {
        let Some(at) = self.arriving.iter().position(|arriving| arriving.id == id) else { return };
        let Arriving { vt, origin, connection, .. } = self.arriving.swap_remove(at);
        let mut graphics = Graphics::new(id, connection, origin, name);
        let elsewhere = self.vt(self.default_vt()).is_none_or(|vt| vt.graphics().is_none());
        let comes_back = self.default_vt() == vt;
        let waiting = self.viewers.iter().any(|viewer| !viewer.pinned && viewer.vt != vt);
        graphics.awaited = elsewhere && waiting;
        if graphics.awaited {
            graphics.ask(now);
        }
        let take_over = elsewhere && !waiting;
        match self.vts.binary_search_by_key(&vt, |vt| vt.number) {
            Ok(at) => self.replace(at, graphics),
            Err(at) => {
                let source = Source::Graphics(Box::new(graphics));
                self.vts.insert(at, Vt { number: vt, source });
            }
        }
        if take_over || comes_back {
            self.set_default_vt(vt);
        }
        self.status_stale = true;
    }

    /// Puts a server in the place of another; who looked at the old one looks at the new one.
    fn replace(&mut self, at: usize, graphics: Graphics) {
        let Some(vt) = self.vts.get_mut(at) else { return };
        let (number, size) = (vt.number, graphics.size());
        let Some(old) = vt.graphics_mut() else { return };
        self.ended.push(EndedUpstream { id: old.id, reason: UpstreamEnd::Replaced });
        *old = graphics;
        for viewer in self.viewers.iter_mut().filter(|viewer| viewer.vt == number) {
            viewer.resized(size);
            old.enter();
        }
    }

    /// A server that was waited for shows something.
    fn go_to_graphics(&mut self, vt: VtNumber) {
        self.set_default_vt(vt);
        let there: Vec<bool> = self.viewers.iter().map(|viewer| viewer.vt == vt).collect();
        for at in self.move_unpinned(vt) {
            if there.get(at) == Some(&false) {
                self.give_notice(at);
            }
        }
        self.status_stale = true;
    }

    /// A graphics VT is gone. Viewers go where new viewers go.
    fn remove_graphics(&mut self, vt: VtNumber) {
        if self.default_vt() == vt {
            let other = self.vts.iter().find(|have| have.graphics().is_some() && have.number != vt);
            let next = other.map_or(VtNumber::CONSOLE, |vt| vt.number);
            self.set_default_vt(next);
        }
        let refuge = self.initial_vt();
        for at in 0..self.viewers.len() {
            if self.viewers.get(at).is_some_and(|viewer| viewer.vt == vt) {
                self.show(at, refuge);
                self.pin(at, false);
                self.give_notice(at);
            }
        }
        self.vts.retain(|have| have.number != vt);
        self.status_stale = true;
    }
}

/// Tells a viewer what became of its wish for another size.
fn answer_resize(viewer: &mut Viewer, status: u16, size: Size) {
    match status {
        // The size is what it asked for already, else `Resized` would have come first.
        0 => viewer.connection.resize(size),
        STATUS_RESOURCES => viewer.connection.refuse_resize(ResizeRefusal::OutOfResources),
        STATUS_LAYOUT => viewer.connection.refuse_resize(ResizeRefusal::InvalidLayout),
        _ => viewer.connection.refuse_resize(ResizeRefusal::Prohibited),
    }
}
