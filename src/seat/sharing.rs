//! Who may be there when a viewer asks to be alone (RFC 6143 §7.3.1, ClientInit).

use super::machine::Seat;
use super::options::{EndReason, EndedViewer};
use super::policy::Sharing;

impl Seat {
    /// A viewer is through the handshake and shares, or asks to be alone.
    pub(super) fn share(&mut self, at: usize, shared: bool) {
        if shared || self.options.sharing == Sharing::Always {
            return;
        }
        let others: Vec<usize> = (0..self.viewers.len())
            .filter(|other| *other != at)
            .filter(|other| self.viewers.get(*other).is_some_and(|viewer| viewer.handshake_until.is_none()))
            .collect();
        match self.options.sharing {
            Sharing::Always => {}
            Sharing::Displace => {
                others.into_iter().for_each(|other| self.displace(other, EndReason::Displaced))
            }
            Sharing::Refuse if others.is_empty() => {}
            Sharing::Refuse => self.displace(at, EndReason::NotAlone),
        }
    }

    /// A viewer gets nothing more and is to be removed by the driver.
    fn displace(&mut self, at: usize, reason: EndReason) {
        if let Some(viewer) = self.viewers.get_mut(at).filter(|viewer| !viewer.dead) {
            viewer.dead = true;
            self.displaced.push(EndedViewer { id: viewer.id, peer: viewer.peer.clone(), reason });
        }
    }
}
