//! Viewers that are on their way in: what they have proven, and what the driver has to decide about them.

use std::time::Instant;

use super::machine::Seat;
use super::options::{LOGIN, ViewerError, ViewerId};
use super::viewer::Viewer;
use crate::rfb::security::Credentials;

impl Viewer {
    /// Once TLS is set up, there is time for the user to say something.
    pub(super) fn note_tls(&mut self, now: Instant) {
        if self.handshake_until.is_some() && self.handshake_limit != LOGIN && self.connection.is_secured() {
            (self.handshake_until, self.handshake_limit) = (Some(now + LOGIN), LOGIN);
        }
    }
}

/// How far a viewer is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It is in the handshake.
    Pending,
    /// It is in, and had nothing to prove.
    Open,
    /// It is in, and has proven that it knows a password.
    Proven,
}

impl Seat {
    /// Names and passwords that viewers have given since the last call. Each is to be answered by
    /// [`decide_login`](Self::decide_login); a viewer gives one at most, and waits.
    pub fn take_logins(&mut self) -> Vec<(ViewerId, Credentials)> {
        std::mem::take(&mut self.logins)
    }

    /// Lets a viewer in that has given name and password, or not. Without effect when it is gone.
    ///
    /// # Errors
    /// When it is not let in: send what [`viewer_output`](Self::viewer_output) holds, close, and call
    /// [`remove_viewer`](Self::remove_viewer).
    pub fn decide_login(&mut self, id: ViewerId, accepted: bool) -> Result<(), ViewerError> {
        let Some(viewer) = self.viewers.iter_mut().find(|viewer| viewer.id == id) else { return Ok(()) };
        let result = viewer.connection.decide_login(accepted);
        viewer.dead |= result.is_err();
        Ok(result?)
    }

    /// How far a viewer is in; `None` when there is no such viewer, or its connection has failed.
    #[must_use]
    pub fn admission(&self, id: ViewerId) -> Option<Admission> {
        let viewer = self.viewers.iter().find(|viewer| viewer.id == id && !viewer.dead)?;
        Some(match (viewer.connection.is_ready(), viewer.connection.is_proven()) {
            (false, _) => Admission::Pending,
            (true, false) => Admission::Open,
            (true, true) => Admission::Proven,
        })
    }
}
