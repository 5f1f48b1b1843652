//! The guests whose displays may connect now, and what is connected.
//!
//! The host says who is there ([`Registry::admit`]); each way in asks here whom a connection is from, and hands the
//! connection to that guest's seat ([`Registry::deliver`]).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::{Notify, mpsc, oneshot};
use zeroize::Zeroizing;

use super::pace::{Comings, TooOften};
use super::token::Token;
use crate::config::DISPLAYS_MAX;
use crate::control::DisplayInfo;
use crate::daemon::display_access::DisplayAccess;
use crate::daemon::seat::{SeatCommand, TASK_LIMIT};
use crate::daemon::upstream::{UpstreamLink, UpstreamStream};
use crate::seat::VtNumber;
use crate::xen::{Domid, Uuid};

/// How a display reaches us, in the order of trust: what proves more is not replaced by what proves less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    /// We connect to an address that the configuration names.
    Forward,
    /// It connects, and a trusted bridge tells which guest it is.
    Bridge,
    /// It connects, and shows its token.
    Token,
    /// By vchan: the hypervisor tells which guest it is.
    Vchan,
}

/// One life of a guest, as a way in has found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Caller {
    pub(super) uuid: Uuid,
    pub(super) domid: Domid,
    pub(super) name: String,
}

/// A guest that is there.
#[derive(Debug)]
pub(in crate::daemon) struct Member {
    pub(in crate::daemon) domid: Domid,
    pub(in crate::daemon) name: String,
    pub(in crate::daemon) seat: mpsc::Sender<SeatCommand>,
    /// What its VNC servers may ask for, and how they are known.
    pub(in crate::daemon) access: DisplayAccess,
    /// Whether it may connect with a token.
    pub(in crate::daemon) wants_token: bool,
}

/// A stream that was attributed.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) stream: UpstreamStream,
    pub(super) received: Vec<u8>,
    pub(super) display: u8,
    pub(super) way: Way,
    pub(super) origin: String,
    pub(super) network: bool,
}

/// Why a stream was not handed to a seat.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotTaken {
    /// The guest's life ended meanwhile.
    #[error("the domain is gone")]
    Gone,
    /// There are not so many.
    #[error("there is no display {0}: want 0 to {max}", max = DISPLAYS_MAX - 1)]
    NoSuchDisplay(u8),
    /// It is connected in a way that proves more.
    #[error("display {display} is connected by {origin} already, which proves more")]
    Held {
        /// The display.
        display: u8,
        /// What it is connected by.
        origin: String,
    },
    /// It comes again and again.
    #[error(transparent)]
    TooOften(#[from] TooOften),
}

/// The end of a link that was handed over, and of waiting for it.
pub(super) type End = oneshot::Receiver<()>;

/// Copies share what is in it.
#[derive(Debug, Clone, Default)]
pub(in crate::daemon) struct Registry(Arc<Mutex<Members>>);

#[derive(Debug, Default)]
struct Members {
    entries: BTreeMap<Uuid, Entry>,
    last_link: u64,
}

#[derive(Debug)]
struct Entry {
    member: Member,
    token: Option<Token>,
    /// Whether the guest can read the token in xenstore.
    told: bool,
    displays: BTreeMap<u8, Display>,
    /// Told whenever a display comes or goes.
    changed: Arc<Notify>,
    /// Held while a link is handed over, so that the seat gets them in the order in which they are noted here.
    turn: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug)]
struct Display {
    way: Way,
    origin: String,
    /// The link that is there now.
    link: Option<u64>,
    state: String,
    comings: Comings,
}

impl Registry {
    /// Says that a guest is there; to be repeated whenever something about it may have changed. A new life starts with
    /// a new token and no displays.
    pub(in crate::daemon) fn admit(&self, uuid: Uuid, member: Member) -> Result<(), getrandom::Error> {
        let mut members = self.lock();
        let same = members.entries.get_mut(&uuid).filter(|entry| entry.member.domid == member.domid);
        if let Some(entry) = same {
            if !member.wants_token {
                entry.token = None;
            } else if entry.token.is_none() {
                (entry.token, entry.told) = (Some(Token::random()?), false);
            }
            entry.member = member;
            return Ok(());
        }
        let token = if member.wants_token { Some(Token::random()?) } else { None };
        let entry = Entry {
            member,
            token,
            told: false,
            displays: BTreeMap::new(),
            changed: Arc::default(),
            turn: Arc::default(),
        };
        members.entries.insert(uuid, entry);
        Ok(())
    }

    /// Says that a guest is not there, at the end of a life for instance. Its token is worthless from now on.
    pub(in crate::daemon) fn remove(&self, uuid: Uuid) {
        if let Some(entry) = self.lock().entries.remove(&uuid) {
            entry.changed.notify_waiters();
        }
    }

    /// The token that the guest cannot read yet.
    pub(in crate::daemon) fn untold(&self, uuid: Uuid) -> Option<Zeroizing<String>> {
        let members = self.lock();
        let entry = members.entries.get(&uuid).filter(|entry| !entry.told)?;
        entry.token.as_ref().map(|token| token.text().clone())
    }

    /// Whether the guest may connect with a token.
    pub(in crate::daemon) fn has_token(&self, uuid: Uuid) -> bool {
        self.lock().entries.get(&uuid).is_some_and(|entry| entry.token.is_some())
    }

    /// Says that the guest can read this token now.
    pub(in crate::daemon) fn set_told(&self, uuid: Uuid, token: &str) {
        if let Some(entry) = self.lock().entries.get_mut(&uuid) {
            // It may have been used meanwhile.
            entry.told = entry.token.as_ref().is_some_and(|current| current.is(token.as_bytes()));
        }
    }

    /// Says that xenstore has forgotten everything.
    pub(in crate::daemon) fn forget_told(&self) {
        self.lock().entries.values_mut().for_each(|entry| entry.told = false);
    }

    /// The guest whose token this is. The token is used up by that, and the guest has a new one, [`Self::untold`] yet.
    pub(super) fn by_token(&self, shown: &[u8]) -> Option<Caller> {
        let next = Token::random().ok()?;
        let mut members = self.lock();
        // Every token is compared, so that the time does not tell how far the search went.
        let is_it = |entry: &Entry| entry.token.as_ref().is_some_and(|token| token.is(shown));
        let found = members
            .entries
            .iter()
            .fold(None, |found, (uuid, entry)| if is_it(entry) { Some(*uuid) } else { found })?;
        let entry = members.entries.get_mut(&found)?;
        (entry.token, entry.told) = (Some(next), false);
        Some(entry.caller(found))
    }

    /// The guest that has this domid.
    pub(super) fn by_domid(&self, domid: Domid) -> Option<Caller> {
        let members = self.lock();
        let found = members.entries.iter().find(|(_, entry)| entry.member.domid == domid);
        found.map(|(uuid, entry)| entry.caller(*uuid))
    }

    /// The way by which a display is connected now, and what tells when that may have changed: to be asked to tell
    /// before this is looked at.
    pub(super) fn way(&self, caller: &Caller, display: u8) -> Option<Way> {
        let members = self.lock();
        let shown = members.entry(caller)?.displays.get(&display)?;
        shown.link.map(|_| shown.way)
    }

    /// What is told whenever a display of this guest comes or goes; `None` when its life has ended.
    pub(super) fn changes(&self, caller: &Caller) -> Option<Arc<Notify>> {
        self.lock().entry(caller).map(|entry| entry.changed.clone())
    }

    /// Hands a stream to the guest's seat, in place of what was there for this display.
    pub(super) async fn deliver(&self, caller: &Caller, arrival: Arrival) -> Result<End, NotTaken> {
        let Arrival { stream, received, display, way, origin, network } = arrival;
        if display >= DISPLAYS_MAX {
            return Err(NotTaken::NoSuchDisplay(display));
        }
        let turn = self.lock().entry(caller).ok_or(NotTaken::Gone)?.turn.clone();
        let _turn = turn.lock().await;
        let (ended, end) = oneshot::channel();
        let (link, seat, access) = self.lock().note(caller, display, way, &origin)?;
        let upstream =
            UpstreamLink { stream, received, origin: origin.clone(), display, access, network, ended };
        let number = display;
        tracing::debug!(domain = ?caller.name, domid = %caller.domid, number, origin, "display is handed to its seat");
        let order = seat.send(SeatCommand::Upstream(Box::new(upstream)));
        if !matches!(tokio::time::timeout(TASK_LIMIT, order).await, Ok(Ok(()))) {
            self.ended(caller, display, link, "its seat does not listen");
            return Err(NotTaken::Gone);
        }
        let (over, is_over) = oneshot::channel();
        let (registry, caller) = (self.clone(), caller.clone());
        tokio::spawn(async move {
            // The seat logs it.
            let reason = end.await.unwrap_or_else(|_| "its seat let it go".to_owned());
            registry.ended(&caller, display, link, &reason);
            // Whoever brought it may not wait for its end.
            let _ = over.send(());
        });
        Ok(is_over)
    }

    /// Notes why a display that should be reached is not.
    pub(super) fn failed(&self, caller: &Caller, display: u8, way: Way, origin: &str, reason: &str) {
        let mut members = self.lock();
        let Some(entry) = members.entry_mut(caller) else { return };
        let shown = entry.displays.entry(display).or_insert_with(|| Display::new(way));
        if shown.link.is_none() {
            (shown.way, shown.origin, shown.state) = (way, origin.to_owned(), reason.to_owned());
        }
    }

    /// Forgets a display that is not there and is not to be reached by this way any more.
    pub(super) fn withdrawn(&self, caller: &Caller, display: u8, way: Way) {
        let mut members = self.lock();
        let Some(shown) = members.entry_mut(caller).and_then(|entry| entry.displays.get_mut(&display)) else {
            return;
        };
        if shown.link.is_none() && shown.way == way {
            // How often it came is not forgotten.
            shown.state = String::new();
        }
    }

    /// The displays of a guest, for `xenvnc list`.
    pub(in crate::daemon) fn infos(&self, uuid: Uuid) -> Vec<DisplayInfo> {
        let members = self.lock();
        let displays = members.entries.get(&uuid).into_iter().flat_map(|entry| &entry.displays);
        let info = |(display, shown): (&u8, &Display)| DisplayInfo {
            display: *display,
            vt: VtNumber::GRAPHICS.get() + display,
            origin: shown.origin.clone(),
            state: shown.state.clone(),
        };
        displays.filter(|(_, shown)| !shown.state.is_empty()).map(info).collect()
    }

    fn ended(&self, caller: &Caller, display: u8, link: u64, reason: &str) {
        let mut members = self.lock();
        let Some(entry) = members.entry_mut(caller) else { return };
        // Unless another has taken its place.
        if let Some(shown) = entry.displays.get_mut(&display).filter(|shown| shown.link == Some(link)) {
            shown.link = None;
            shown.state = format!("ended: {reason}");
            entry.changed.notify_waiters();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Members> {
        // Nothing in here can leave it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What [`Members::note`] gives for a link that may come: its number, and where it goes.
type Noted = (u64, mpsc::Sender<SeatCommand>, DisplayAccess);

impl Members {
    fn entry(&self, caller: &Caller) -> Option<&Entry> {
        self.entries.get(&caller.uuid).filter(|entry| entry.member.domid == caller.domid)
    }

    fn entry_mut(&mut self, caller: &Caller) -> Option<&mut Entry> {
        self.entries.get_mut(&caller.uuid).filter(|entry| entry.member.domid == caller.domid)
    }

    fn note(&mut self, caller: &Caller, display: u8, way: Way, origin: &str) -> Result<Noted, NotTaken> {
        let link = self.last_link + 1;
        let entry = self.entry_mut(caller).ok_or(NotTaken::Gone)?;
        let shown = entry.displays.entry(display).or_insert_with(|| Display::new(way));
        if shown.link.is_some() && shown.way > way {
            return Err(NotTaken::Held { display, origin: shown.origin.clone() });
        }
        shown.comings.come(Instant::now())?;
        (shown.way, shown.link) = (way, Some(link));
        origin.clone_into(&mut shown.origin);
        "connected".clone_into(&mut shown.state);
        entry.changed.notify_waiters();
        let access = entry.member.access.clone();
        let seat = entry.member.seat.clone();
        self.last_link = link;
        Ok((link, seat, access))
    }
}

impl Entry {
    fn caller(&self, uuid: Uuid) -> Caller {
        Caller { uuid, domid: self.member.domid, name: self.member.name.clone() }
    }
}

impl Display {
    fn new(way: Way) -> Self {
        Self { way, origin: String::new(), link: None, state: String::new(), comings: Comings::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Stream;

    /// A guest in a registry, and the receiving end of its seat.
    struct Guest {
        caller: Caller,
        seat: mpsc::Receiver<SeatCommand>,
        commands: mpsc::Sender<SeatCommand>,
    }

    impl Guest {
        fn new(registry: &Registry, number: u8) -> Self {
            let (commands, seat) = mpsc::channel(8);
            let domid = Domid::new(number.into()).unwrap();
            let caller = Caller { uuid: Uuid::from_bytes([number; 16]), domid, name: "x".into() };
            let guest = Self { caller, seat, commands };
            guest.admit(registry, domid, true);
            guest
        }

        fn admit(&self, registry: &Registry, domid: Domid, wants_token: bool) {
            let (seat, name) = (self.commands.clone(), self.caller.name.clone());
            registry
                .admit(
                    self.caller.uuid,
                    Member { domid, name, seat, access: DisplayAccess::default(), wants_token },
                )
                .unwrap();
        }

        fn link(&mut self) -> Option<Box<UpstreamLink>> {
            match self.seat.try_recv() {
                Ok(SeatCommand::Upstream(link)) => Some(link),
                Ok(other) => panic!("{other:?}"),
                Err(_) => None,
            }
        }

        fn states(&self, registry: &Registry) -> Vec<(u8, String)> {
            let infos = registry.infos(self.caller.uuid);
            infos.into_iter().map(|info| (info.vt, format!("{}: {}", info.origin, info.state))).collect()
        }
    }

    fn arrival(display: u8, way: Way) -> Arrival {
        let (stream, _) = tokio::net::UnixStream::pair().unwrap();
        Arrival {
            stream: UpstreamStream::Net(Stream::Unix(stream)),
            received: b"RFB ".to_vec(),
            display,
            way,
            origin: format!("{way:?}"),
            network: true,
        }
    }

    #[tokio::test]
    async fn a_token_is_good_for_one_connection_and_one_life() {
        let registry = Registry::default();
        let guests = [7, 8].map(|number| Guest::new(&registry, number));
        let [one, two] = guests.each_ref().map(|guest| registry.untold(guest.caller.uuid).unwrap());
        assert_eq!(registry.by_token(b"0123456789abcdef0123456789abcdef"), None);
        assert_eq!(registry.by_token(b""), None);
        registry.set_told(guests[0].caller.uuid, &one);
        assert_eq!(registry.untold(guests[0].caller.uuid), None);

        assert_eq!(registry.by_token(one.as_bytes()).as_ref(), Some(&guests[0].caller));
        assert_eq!(registry.by_token(one.as_bytes()), None, "a token was good twice");
        let next = registry.untold(guests[0].caller.uuid).expect("a new token to tell");
        assert_ne!(next, one);
        // That an old one was told meanwhile says nothing about the new one.
        registry.set_told(guests[0].caller.uuid, &one);
        assert_eq!(registry.untold(guests[0].caller.uuid), Some(next.clone()));
        // The same again changes nothing; another life does, and so does xenstored's death.
        registry.set_told(guests[0].caller.uuid, &next);
        guests[0].admit(&registry, guests[0].caller.domid, true);
        assert_eq!(registry.untold(guests[0].caller.uuid), None);
        registry.forget_told();
        assert_eq!(registry.untold(guests[0].caller.uuid), Some(next.clone()));
        guests[0].admit(&registry, Domid::new(9).unwrap(), true);
        assert_eq!(registry.by_token(next.as_bytes()), None);
        // Without listeners there are no tokens.
        guests[0].admit(&registry, Domid::new(9).unwrap(), false);
        assert!(!registry.has_token(guests[0].caller.uuid));
        assert_eq!(registry.by_token(two.as_bytes()).as_ref(), Some(&guests[1].caller));
        registry.remove(guests[1].caller.uuid);
        assert!(!registry.has_token(guests[1].caller.uuid));
    }

    #[tokio::test]
    async fn a_link_goes_to_its_guest_s_seat_and_its_end_comes_back() {
        let registry = Registry::default();
        let mut guest = Guest::new(&registry, 7);
        let mut other = Guest::new(&registry, 8);
        let end = registry.deliver(&guest.caller, arrival(1, Way::Token)).await.unwrap();
        let link = guest.link().expect("a link");
        assert_eq!((link.display, &*link.received, link.network), (1, &b"RFB "[..], true));
        assert!(other.link().is_none() && guest.link().is_none());
        assert_eq!(guest.states(&registry), [(8, "Token: connected".to_owned())]);
        assert_eq!(registry.way(&guest.caller, 1), Some(Way::Token));
        link.ended.send("bad picture".into()).unwrap();
        end.await.unwrap();
        assert_eq!(guest.states(&registry), [(8, "Token: ended: bad picture".to_owned())]);
        assert_eq!(registry.way(&guest.caller, 1), None);
        assert_eq!(
            registry.deliver(&guest.caller, arrival(5, Way::Token)).await.unwrap_err(),
            NotTaken::NoSuchDisplay(5)
        );
    }

    #[tokio::test]
    async fn a_restarted_display_takes_the_place_of_the_old_one() {
        let registry = Registry::default();
        let mut guest = Guest::new(&registry, 7);
        let old_end = registry.deliver(&guest.caller, arrival(0, Way::Token)).await.unwrap();
        let new_end = registry.deliver(&guest.caller, arrival(0, Way::Token)).await.unwrap();
        let (old, new) = (guest.link().unwrap(), guest.link().unwrap());
        old.ended.send("replaced".into()).unwrap();
        old_end.await.unwrap();
        assert_eq!(guest.states(&registry), [(7, "Token: connected".to_owned())]);
        // A seat that ends says nothing.
        drop(new);
        new_end.await.unwrap();
        assert_eq!(guest.states(&registry), [(7, "Token: ended: its seat let it go".to_owned())]);
    }

    #[tokio::test]
    async fn what_proves_less_does_not_replace_what_proves_more() {
        let registry = Registry::default();
        let mut guest = Guest::new(&registry, 7);
        for (way, taken) in [
            (Way::Forward, true),
            (Way::Bridge, true),
            (Way::Forward, false),
            (Way::Token, true),
            (Way::Bridge, false),
            (Way::Vchan, true),
            (Way::Token, false),
        ] {
            let result = registry.deliver(&guest.caller, arrival(0, way)).await;
            assert_eq!(result.is_ok(), taken, "{way:?}: {result:?}");
            if let Err(error) = result {
                assert!(matches!(error, NotTaken::Held { .. }), "{error}");
            }
        }
        // Another display is another matter, and so is one whose link has ended.
        registry.deliver(&guest.caller, arrival(1, Way::Forward)).await.unwrap();
        let changes = registry.changes(&guest.caller).unwrap();
        let changed = changes.notified();
        while let Some(link) = guest.link() {
            if link.origin == "Vchan" {
                link.ended.send("it is over".into()).unwrap();
                break;
            }
        }
        changed.await;
        registry.deliver(&guest.caller, arrival(0, Way::Forward)).await.unwrap();
    }

    #[tokio::test]
    async fn a_display_in_a_loop_is_held_back() {
        let registry = Registry::default();
        let mut guest = Guest::new(&registry, 7);
        for _ in 0..5 {
            registry.deliver(&guest.caller, arrival(0, Way::Token)).await.unwrap();
            drop(guest.link());
        }
        for first in [true, false] {
            match registry.deliver(&guest.caller, arrival(0, Way::Token)).await {
                Err(NotTaken::TooOften(often)) => assert_eq!(often.first, first),
                other => panic!("{other:?}"),
            }
        }
        assert!(guest.link().is_none());
        // Others of it, and of others, are not.
        registry.deliver(&guest.caller, arrival(1, Way::Token)).await.unwrap();
        let other = Guest::new(&registry, 8);
        registry.deliver(&other.caller, arrival(0, Way::Token)).await.unwrap();
    }

    #[tokio::test]
    async fn nothing_is_handed_to_a_life_that_is_over() {
        let registry = Registry::default();
        let mut guest = Guest::new(&registry, 7);
        let changes = registry.changes(&guest.caller).unwrap();
        let changed = changes.notified();
        registry.remove(guest.caller.uuid);
        changed.await;
        let gone = registry.deliver(&guest.caller, arrival(0, Way::Vchan)).await;
        assert_eq!(gone.unwrap_err(), NotTaken::Gone);
        assert!(registry.changes(&guest.caller).is_none());
        guest.admit(&registry, Domid::new(9).unwrap(), true);
        let gone = registry.deliver(&guest.caller, arrival(0, Way::Vchan)).await;
        assert_eq!(gone.unwrap_err(), NotTaken::Gone);
        registry.failed(&guest.caller, 0, Way::Vchan, "vchan", "x");
        assert_eq!(guest.states(&registry), []);
        assert!(guest.link().is_none());
        // A seat that has ended takes nothing either.
        guest.caller.domid = Domid::new(9).unwrap();
        guest.seat.close();
        let gone = registry.deliver(&guest.caller, arrival(0, Way::Vchan)).await;
        assert_eq!(gone.unwrap_err(), NotTaken::Gone);
        assert_eq!(registry.way(&guest.caller, 0), None);
    }
}
