//! What viewers are sent, and when the seat wants to be called without anything having happened.

use std::time::Instant;

use super::console::Console;
use super::machine::Seat;
use super::options::{EndReason, EndedViewer, HANDSHAKE};
use super::search::Search;
use super::viewer::Viewer;
use super::vt::Vt;

impl Seat {
    /// Encodes an update for each viewer that wants one, lacks something, has credit, and has taken all that it was
    /// sent before. Call it at the end of each turn, when every input has been taken: so a flood becomes one frame.
    pub fn render(&mut self, now: Instant) {
        for console in self.vts.iter_mut().filter_map(Vt::console_mut) {
            console.pace(now);
            console.refresh_notice();
        }
        if self.viewers.is_empty() {
            return;
        }
        self.refresh_status();
        let font = self.font();
        for viewer in &mut self.viewers {
            let Some(vt) = self.vts.iter().find(|vt| vt.number == viewer.vt) else { continue };
            if let Some(terminal) = vt.terminal() {
                viewer.render(terminal, font, vt.console().and_then(Console::notice), now);
            }
        }
        for vt in &mut self.vts {
            let seen = self.viewers.iter().filter(|viewer| viewer.vt == vt.number);
            // One who has seen nothing is shown everything, whatever is forgotten.
            let seen = seen.map(|viewer| viewer.seen.generation()).filter(|seen| *seen > 0).min();
            if let (Some(seen), Some(terminal)) = (seen, vt.terminal_mut()) {
                terminal.forget_changes_before(seen);
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called if nothing happens before: when a handshake takes
    /// too long, when credit comes back to a viewer that waits for it, when a guest has kept a viewer's picture still
    /// for too long, when a paste, a search or a scrolling pointer goes on. `None` for a seat at rest.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let handshakes = self.viewers.iter().filter_map(|viewer| viewer.handshake_until);
        let frames = self.viewers.iter().filter_map(|viewer| viewer.frame_at);
        // Nobody is kept from seeing anything while nobody looks.
        let watched = self.vts.iter().filter(|_| !self.viewers.is_empty());
        let holds = watched.filter_map(|vt| vt.console().and_then(|console| console.held_until));
        let pastes = self.vts.iter().filter_map(|vt| vt.console().and_then(Console::paste_due));
        let hands = self.viewers.iter().filter_map(|viewer| viewer.hand.scroll_at());
        let searches = self.viewers.iter().filter_map(|viewer| viewer.search.as_ref().and_then(Search::due));
        handshakes.chain(frames).chain(holds).chain(pastes).chain(hands).chain(searches).min()
    }

    /// Time has passed. Viewers whose time is over are ended and returned; close their connections. Frames that
    /// waited for credit are sent by the [`render`](Self::render) that ends each turn.
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<EndedViewer> {
        for viewer in &mut self.viewers {
            if viewer.frame_at.is_some_and(|at| at <= now) {
                viewer.frame_at = None;
            }
            let vt = self.vts.iter().find(|vt| vt.number == viewer.vt);
            if let Some(terminal) = vt.and_then(Vt::terminal) {
                viewer.hand_late(terminal, now);
                viewer.search_on(terminal, now);
            }
        }
        for console in self.vts.iter_mut().filter_map(Vt::console_mut) {
            console.release_late(now);
            console.paste_late(now);
        }
        let late = |viewer: &&Viewer| viewer.handshake_until.is_some_and(|until| until <= now);
        let ended: Vec<EndedViewer> = self
            .viewers
            .iter()
            .filter(late)
            .map(|viewer| EndedViewer {
                id: viewer.id,
                peer: viewer.peer.clone(),
                reason: EndReason::Handshake { limit: HANDSHAKE },
            })
            .collect();
        for viewer in &ended {
            self.remove_viewer(viewer.id);
        }
        ended
    }
}
