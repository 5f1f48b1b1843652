//! The displays of the guests that are served: who may connect, with which token, and who looks for them.

use zeroize::Zeroizing;

use super::Host;
use super::guest::Guest;
use crate::daemon::displays::{Displays, Member};
use crate::xen::Uuid;
use crate::xen::publish::{Invitation, Publisher};
use crate::xen::store::StoreError;

/// What is to be done about what a guest is told.
#[derive(Debug)]
pub(super) enum Telling {
    /// Its token, and where to connect.
    Tell(Invitation),
    /// It may not connect any more.
    Withdraw,
}

impl Telling {
    /// The work; `None` when xenstore says already what it should.
    pub(super) fn new(guest: &Guest, displays: &Displays, address: Option<String>) -> Option<Self> {
        let uuid = guest.domain.uuid;
        match displays.registry().untold(uuid) {
            Some(token) => Some(Self::Tell(Invitation { address, token })),
            None if guest.invited && !displays.registry().has_token(uuid) => Some(Self::Withdraw),
            None => None,
        }
    }

    /// Does it; gives the token that the guest can read now.
    pub(super) async fn run(
        &self,
        publisher: &Publisher,
        guest: &crate::xen::domains::Domain,
    ) -> Result<Told, StoreError> {
        match self {
            Self::Tell(invitation) => {
                let written = publisher.invite(guest.domid, guest.uuid, invitation).await?;
                Ok(if written { Told::Token(invitation.token.clone()) } else { Told::Vanished })
            }
            Self::Withdraw => {
                publisher.withdraw_invitation(guest.domid, guest.uuid).await?;
                Ok(Told::Nothing)
            }
        }
    }
}

/// What a guest knows now.
pub(super) enum Told {
    Token(Zeroizing<String>),
    Nothing,
    Vanished,
}

impl Host {
    /// Lets the guest's displays connect, or not, as the configuration says.
    pub(super) fn ensure_displays(&mut self, uuid: Uuid) {
        let Some(guest) = self.guests.get_mut(&uuid) else { return };
        if !guest.settings.config.displays {
            guest.following = None;
            self.displays.registry().remove(uuid);
            return;
        }
        let member = Member {
            domid: guest.domain.domid,
            name: guest.name().to_owned(),
            seat: guest.seat.commands.clone(),
            access: guest.settings.display_access.clone(),
            wants_token: !self.config.reverse_listen.is_empty(),
        };
        if let Err(error) = self.displays.registry().admit(uuid, member) {
            tracing::error!(%error, "no random bytes: no displays");
            self.try_again = true;
            return;
        }
        let (domid, forward) = (guest.domain.domid, &guest.settings.config.forward);
        if guest.following.as_ref().is_none_or(|following| !following.is_for(domid, forward)) {
            // The old tasks end before the new ones begin.
            guest.following = None;
            guest.following = Some(self.displays.follow(uuid, domid, guest.name(), forward));
        }
    }

    /// The guest's life ends: its token is worthless, and nobody looks for its displays.
    pub(super) fn end_displays(&mut self, uuid: Uuid) {
        if let Some(guest) = self.guests.get_mut(&uuid) {
            guest.following = None;
        }
        self.displays.registry().remove(uuid);
    }
}
