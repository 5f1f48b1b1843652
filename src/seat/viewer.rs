//! One viewer of a seat: its connection, where it looks, what it has seen and what it may be sent.

use std::time::Instant;

use super::banner::Line;
use super::clipboard::Clipboard;
use super::hand::Hand;
use super::keys::Keyboard;
use super::options::{HANDSHAKE, ViewerId, ViewerInfo};
use super::pacing::{Credit, Pace};
use super::pointer::Pointer;
use super::search::Search;
use super::vt::VtNumber;
use crate::geometry::Size;
use crate::rfb::server::{Damage, ServerConnection, UpdateOutcome};
use crate::screen::{Font, TextOverlay, TextSeen, TextView};
use crate::terminal::{Terminal, View};

/// A viewer.
pub(super) struct Viewer {
    pub(super) id: ViewerId,
    pub(super) peer: String,
    pub(super) since: Instant,
    pub(super) connection: ServerConnection,
    /// The VT that it looks at.
    pub(super) vt: VtNumber,
    pub(super) pinned: bool,
    /// Where in the VT's history it looks.
    pub(super) view: View,
    pub(super) keyboard: Keyboard,
    pub(super) pointer: Pointer,
    pub(super) clipboard: Clipboard,
    pub(super) hand: Hand,
    pub(super) search: Option<Search>,
    /// It broke the protocol: what its output holds is its last.
    pub(super) dead: bool,
    /// When it must be through the handshake; `None` when it is.
    pub(super) handshake_until: Option<Instant>,
    /// When it gets the frame that it waits for; `None` when nothing but credit keeps it from one.
    pub(super) frame_at: Option<Instant>,
    /// What its picture shows of the VT.
    pub(super) seen: TextSeen,
    frames: Credit,
    bells: Credit,
    /// The bell rings as soon as its output is empty.
    bell: bool,
    /// An update is begun and its rest follows when the output is empty, without new credit.
    begun: bool,
}

impl Viewer {
    pub(super) fn new(
        id: ViewerId,
        peer: String,
        connection: ServerConnection,
        vt: VtNumber,
        now: Instant,
    ) -> Self {
        Self {
            id,
            peer,
            since: now,
            connection,
            vt,
            pinned: false,
            view: View::Live,
            keyboard: Keyboard::default(),
            pointer: Pointer::default(),
            clipboard: Clipboard::default(),
            hand: Hand::default(),
            search: None,
            dead: false,
            handshake_until: Some(now + HANDSHAKE),
            frame_at: None,
            seen: TextSeen::default(),
            frames: Credit::new(Pace::FRAMES),
            bells: Credit::new(Pace::BELLS),
            bell: false,
            begun: false,
        }
    }

    pub(super) fn info(&self) -> ViewerInfo {
        ViewerInfo {
            id: self.id,
            peer: self.peer.clone(),
            vt: self.vt,
            pinned: self.pinned,
            since: self.since,
            ready: self.connection.is_ready(),
            scrolled: self.view != View::Live,
        }
    }

    /// Looks at another VT, of this size, whose picture it has nothing of.
    pub(super) fn show(&mut self, vt: VtNumber, size: Size, name: &str) {
        self.vt = vt;
        self.view = View::Live;
        self.seen = TextSeen::default();
        self.hand.clear();
        self.search = None;
        self.frame_at = None;
        self.connection.resize(size);
        self.connection.rename(name);
    }

    /// Rings the bell when the viewer can take it. However often the guest rings, one bell waits at most.
    pub(super) const fn ring(&mut self) {
        self.bell = true;
    }

    /// Encodes what the viewer's picture lacks, if it wants that, has credit, and has taken everything before. `notice`
    /// is to be shown over the first row.
    pub(super) fn render(&mut self, terminal: &Terminal, font: &Font, notice: Option<&Line>, now: Instant) {
        if self.dead || !self.connection.is_ready() || !self.connection.output().is_empty() {
            return;
        }
        if std::mem::take(&mut self.bell) && self.bells.take(now) {
            self.connection.bell();
        }
        if !self.connection.wants_update() {
            return;
        }
        let credit_at = if self.begun { None } else { self.frames.available_at(now) };
        if credit_at.is_some() && self.frame_at.is_some() {
            // It is known to lack something; what exactly matters when it can be sent.
            return;
        }
        self.hand.check(terminal);
        let prompt = self.search.as_ref().map(|search| search.line().at(terminal.rows().saturating_sub(1)));
        let banner = prompt.or_else(|| notice.map(|notice| notice.at(0)));
        let overlay = TextOverlay { selection: self.hand.selected(), scroll_bar: true, banner };
        let view = TextView { terminal, view: self.view, font, show_cursor: true, overlay };
        let damage = view.damage(&self.seen);
        if let Some(at) = credit_at {
            let lacks =
                !damage.is_empty() || !self.connection.requested().is_empty() || self.connection.has_news();
            self.frame_at = lacks.then_some(at);
            return;
        }
        self.frame_at = None;
        let copy = damage.copy.map(|copy| (copy.destination, copy.source));
        let outcome = self.connection.update(&view, Damage { copy, region: &damage.region });
        if outcome == UpdateOutcome::Nothing {
            return;
        }
        if !self.begun {
            self.frames.take(now);
        }
        self.begun = outcome == UpdateOutcome::Partial;
        self.seen = view.seen();
    }
}
