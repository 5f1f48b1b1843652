//! Who comes in: back-off after failed logins, and the checking of names and passwords beside the seat's task.

use std::sync::Arc;
use std::time::Instant;

use super::driver::Driver;
use crate::daemon::logins::Logins;
use crate::daemon::users::Users;
use crate::rfb::server::ServerError;
use crate::seat::{Admission, ViewerError, ViewerId};

/// What decides who comes in.
#[derive(Debug, Clone, Default)]
pub(in crate::daemon) struct Door {
    /// What is known of addresses, shared with all other seats.
    pub(in crate::daemon) logins: Arc<Logins>,
    /// Who may log in by name.
    pub(in crate::daemon) users: Option<Arc<Users>>,
}

impl Driver {
    /// False when a viewer that is not in yet has to wait, because others from its address have failed since it came; it is
    /// ended then. Without this, as many guesses as connections would be free.
    pub(super) fn may_go_on(&mut self, id: ViewerId, now: Instant) -> bool {
        if self.seat.admission(id) != Some(Admission::Pending) {
            return true;
        }
        let address = self.viewers.iter().find(|viewer| viewer.id == id).and_then(|viewer| viewer.address);
        match self.door.logins.check(address, now) {
            Ok(()) => true,
            Err(held) => {
                self.end(id, &held.to_string());
                false
            }
        }
    }

    /// Begins to check the names and passwords that viewers have given. The seat goes on meanwhile.
    pub(super) fn check_logins(&mut self) {
        for (id, credentials) in self.seat.take_logins() {
            let Some(viewer) = self.viewers.iter_mut().find(|viewer| viewer.id == id) else { continue };
            let (logins, users) = (self.door.logins.clone(), self.door.users.clone());
            viewer.check = Some(self.checks.spawn(async move {
                let accepted = match users {
                    Some(users) => logins.run(move || users.verify(&credentials)).await,
                    None => false,
                };
                (id, accepted)
            }));
        }
    }

    /// Tells a viewer what has become of its login.
    pub(super) fn decide(&mut self, id: ViewerId, accepted: bool, now: Instant) {
        if let Err(error) = self.seat.decide_login(id, accepted) {
            self.fail(id, &error, now);
        }
    }

    /// Ends a viewer that made a mistake, and remembers it if that was a wrong password.
    pub(super) fn fail(&mut self, id: ViewerId, error: &ViewerError, now: Instant) {
        if let ViewerError::Protocol(ServerError::WrongPassword | ServerError::WrongLogin) = error {
            let viewer = self.viewers.iter().find(|viewer| viewer.id == id);
            self.door.logins.failed(viewer.and_then(|viewer| viewer.address), now);
        }
        self.end(id, &error.to_string());
    }

    /// Forgets the failures of an address from which a viewer has just come in by a password.
    pub(super) fn note_success(&mut self, id: ViewerId) {
        if self.seat.admission(id) == Some(Admission::Proven) {
            let viewer = self.viewers.iter().find(|viewer| viewer.id == id);
            self.door.logins.succeeded(viewer.and_then(|viewer| viewer.address));
        }
    }
}
