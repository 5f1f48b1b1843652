//! What viewers are sent, and when the seat wants to be called without anything having happened.

use std::time::Instant;

use super::console::Console;
use super::machine::Seat;
use super::options::{EndReason, EndedViewer};
use super::viewer::{Shown, Viewer};
use super::vt::{Source, Vt};

impl Seat {
    /// Encodes an update for each viewer that wants one, lacks something, has credit, and has taken all that it was
    /// sent before. Call it at the end of each turn, when every input has been taken: so a flood becomes one frame.
    pub fn render(&mut self, now: Instant) {
        for console in self.vts.iter_mut().filter_map(Vt::console_mut) {
            console.pace(now);
            console.refresh_notice();
        }
        if self.viewers.is_empty() {
            self.relay(now);
            return;
        }
        self.refresh_status();
        self.relay(now);
        for vt in &mut self.vts {
            let mut viewers = self.viewers.iter_mut().filter(|viewer| viewer.vt == vt.number).peekable();
            if viewers.peek().is_none() {
                continue;
            }
            let shown = match &mut vt.source {
                Source::Graphics(graphics) => {
                    if !graphics.is_showable(now) && !graphics.relay.is_on() {
                        continue;
                    }
                    Shown::Pixels(graphics)
                }
                Source::Console(console) => Shown::Text(&console.terminal, console.notice()),
                Source::Status(Some(terminal)) => Shown::Text(terminal, None),
                Source::Status(None) => continue,
            };
            viewers.for_each(|viewer| viewer.render(&shown, now));
        }
        self.ask_upstreams(now);
        for vt in &mut self.vts {
            let seen = self.viewers.iter().filter(|viewer| viewer.vt == vt.number);
            // One who has seen nothing is shown everything, whatever is forgotten.
            let seen = seen.map(|viewer| viewer.seen.generation()).filter(|seen| *seen > 0).min();
            if let (Some(seen), Some(terminal)) = (seen, vt.terminal_mut()) {
                terminal.forget_changes_before(seen);
            }
        }
    }

    /// Asks each server for its next update as soon as one of its viewers has all of the last one, and one that viewers are
    /// to be moved to for its first. Nobody looks: nothing is asked.
    fn ask_upstreams(&mut self, now: Instant) {
        for at in 0..self.vts.len() {
            self.consider_relay(at);
            let Some(vt) = self.vts.get_mut(at) else { continue };
            let number = vt.number;
            if let Some(graphics) = vt.graphics_mut()
                && !graphics.has_relayed()
                && (graphics.awaited
                    || self.viewers.iter().any(|viewer| viewer.vt == number && viewer.keeps_up()))
            {
                graphics.ask(now);
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called if nothing happens before: when a handshake takes
    /// too long, when credit comes back to a viewer that waits for it, when a guest has kept a viewer's picture still
    /// for too long, when a paste, a search or a scrolling pointer goes on. `None` for a seat at rest.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let handshakes = self.viewers.iter().filter_map(|viewer| viewer.handshake_until);
        let viewers = self.viewers.iter().filter_map(Viewer::deadline);
        let holds = self.vts.iter().filter_map(|vt| match &vt.source {
            // Nobody is kept from seeing anything while nobody looks.
            Source::Console(console) => console.held_until.filter(|_| !self.viewers.is_empty()),
            // Somebody looks, or wants a screenshot: else it waits for nothing.
            Source::Graphics(graphics) => graphics.deadline(),
            Source::Status(_) => None,
        });
        let pastes = self.vts.iter().filter_map(|vt| vt.console().and_then(Console::paste_due));
        handshakes.chain(viewers).chain(holds).chain(pastes).chain(self.upstream_deadline()).min()
    }

    /// Time has passed. Viewers whose time is over are ended and returned; close their connections. Frames that
    /// waited for credit are sent by the [`render`](Self::render) that ends each turn.
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<EndedViewer> {
        for viewer in &mut self.viewers {
            viewer.handle_timeout(now);
            let vt = self.vts.iter().find(|vt| vt.number == viewer.vt);
            if let Some(terminal) = vt.and_then(Vt::terminal) {
                viewer.hand_late(terminal, now);
                viewer.search_on(terminal, now);
            }
        }
        for vt in &mut self.vts {
            match &mut vt.source {
                Source::Console(console) => {
                    console.release_late(now);
                    console.paste_late(now);
                }
                Source::Graphics(graphics) => graphics.handle_timeout(now),
                Source::Status(_) => {}
            }
        }
        self.end_late_upstreams(now);
        let late = |viewer: &&Viewer| viewer.handshake_until.is_some_and(|until| until <= now);
        let ended: Vec<EndedViewer> = self
            .viewers
            .iter()
            .filter(late)
            .map(|viewer| EndedViewer {
                id: viewer.id,
                peer: viewer.peer.clone(),
                reason: EndReason::Handshake { limit: viewer.handshake_limit },
            })
            .collect();
        for viewer in &ended {
            self.remove_viewer(viewer.id);
        }
        ended
    }

    /// The viewers that must leave because of what another one asked for, since the last call: close their connections
    /// and call [`remove_viewer`](Self::remove_viewer).
    pub fn take_displaced_viewers(&mut self) -> Vec<EndedViewer> {
        std::mem::take(&mut self.displaced)
    }
}
