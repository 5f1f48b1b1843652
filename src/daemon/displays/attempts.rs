//! When to try what a guest offers by vchan. A state machine without I/O: what was read, what became of it and `now` go
//! in; what to connect to and when to wake come out.
//!
//! A guest may write there as fast as it likes. It is read at most once every [`LOOK_PAUSE`], and what is offered is tried
//! at most as often as that.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::pace::Backoff;
use crate::xen::offer::Offer;

/// How long what was read is not read again.
pub(super) const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// After how many looks in a row, each with a change waiting already, a guest's writing is not listened to for a while.
const RESTLESS_LOOKS: u32 = 10;

/// For how long.
pub(super) const DEAF: Duration = Duration::from_secs(30);

/// What is known of the displays of one guest.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    displays: BTreeMap<u8, Attempt>,
}

#[derive(Debug)]
struct Attempt {
    offer: Offer,
    backoff: Backoff,
    /// When to try; `None` while it is connected.
    due: Option<Instant>,
    since: Instant,
}

impl Attempts {
    /// What the guest offers for a display now. Something new is tried at once, also in place of what is connected: its
    /// server was started anew. So is the same, unless it is connected, when it was `written` again: grants are numbered anew
    /// from the lowest free number, so that a server that takes a killed one's place may well have the same. True when there
    /// was an offer and is none any more.
    pub(super) fn seen(&mut self, display: u8, offer: Option<Offer>, written: bool, now: Instant) -> bool {
        match (offer, self.displays.get_mut(&display)) {
            // What is connected stays so: only its end tells that it ended.
            (None, _) => return self.displays.remove(&display).is_some(),
            (Some(offer), Some(known)) if known.offer == offer && !(written && known.due.is_some()) => {}
            (Some(offer), _) => {
                let attempt = Attempt { offer, backoff: Backoff::default(), due: Some(now), since: now };
                self.displays.insert(display, attempt);
            }
        }
        false
    }

    /// What is to be tried now. Each must be told of by one of the functions below.
    pub(super) fn due(&self, now: Instant) -> Vec<(u8, Offer)> {
        let is_due = |attempt: &Attempt| attempt.due.is_some_and(|due| due <= now);
        self.displays.iter().filter(|(_, a)| is_due(a)).map(|(display, a)| (*display, a.offer)).collect()
    }

    /// When [`Self::due`] must be asked next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.displays.values().filter_map(|attempt| attempt.due).min()
    }

    /// It is connected.
    pub(super) fn connected(&mut self, display: u8, now: Instant) {
        if let Some(attempt) = self.displays.get_mut(&display) {
            (attempt.due, attempt.since) = (None, now);
        }
    }

    /// This offer could not be connected, or its link has ended; an old link's end says nothing about a newer offer.
    /// True when it is the first failure, which is the one to log.
    pub(super) fn failed(&mut self, display: u8, offer: Offer, now: Instant) -> bool {
        let Some(attempt) = self.displays.get_mut(&display).filter(|a| a.offer == offer) else {
            return false;
        };
        let lasted =
            if attempt.due.is_none() { now.saturating_duration_since(attempt.since) } else { Duration::ZERO };
        let first = attempt.backoff.failures() == 0;
        attempt.due = Some(now + attempt.backoff.pause(lasted));
        first
    }

    /// Tries this offer again after so long.
    pub(super) fn postpone(&mut self, display: u8, pause: Duration, now: Instant) {
        if let Some(attempt) = self.displays.get_mut(&display) {
            attempt.due = Some(now + pause);
        }
    }
}

/// Notices a guest that writes without pause.
#[derive(Debug, Default)]
pub(super) struct Restlessness {
    looks: u32,
}

impl Restlessness {
    /// After each look: whether another change waited already. True: do not listen for [`DEAF`].
    pub(super) fn looked(&mut self, changed_meanwhile: bool) -> bool {
        self.looks = if changed_meanwhile { self.looks + 1 } else { 0 };
        if self.looks < RESTLESS_LOOKS {
            return false;
        }
        self.looks = 0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const ONE: Offer = Offer { ring_ref: 8, event_channel: 9 };
    const TWO: Offer = Offer { ring_ref: 10, event_channel: 11 };

    #[test]
    fn an_offer_is_tried_at_once_and_then_with_growing_pauses() {
        let mut attempts = Attempts::default();
        let now = Instant::now();
        assert_eq!(attempts.deadline(), None);
        attempts.seen(0, Some(ONE), false, now);
        assert_eq!(attempts.due(now), [(0, ONE)]);
        assert!(attempts.failed(0, ONE, now));
        // Reading the same again changes nothing: stale nodes stay for ever.
        attempts.seen(0, Some(ONE), false, now);
        assert_eq!((attempts.due(now), attempts.deadline()), (vec![], Some(now + SECOND)));
        assert!(!attempts.failed(0, ONE, now + SECOND));
        assert_eq!(attempts.deadline(), Some(now + 3 * SECOND));
        assert!(attempts.seen(0, None, false, now) && !attempts.seen(0, None, false, now));
        assert_eq!(attempts.deadline(), None);
    }

    #[test]
    fn a_server_that_was_started_anew_is_tried_at_once() {
        let mut attempts = Attempts::default();
        let now = Instant::now();
        attempts.seen(0, Some(ONE), false, now);
        attempts.connected(0, now);
        assert_eq!(attempts.deadline(), None);
        attempts.seen(0, Some(TWO), false, now);
        assert_eq!(attempts.due(now), [(0, TWO)]);
        attempts.connected(0, now);
        // The end of the old link does not concern the new one.
        assert!(!attempts.failed(0, ONE, now));
        assert_eq!(attempts.deadline(), None);
        attempts.failed(0, TWO, now + 20 * SECOND);
        assert_eq!(attempts.deadline(), Some(now + 21 * SECOND));
    }

    #[test]
    fn a_server_with_the_numbers_of_a_killed_one_is_tried_at_once() {
        let mut attempts = Attempts::default();
        let now = Instant::now();
        attempts.seen(0, Some(ONE), true, now);
        for _ in 0..10 {
            attempts.failed(0, ONE, now);
        }
        assert_eq!(attempts.deadline(), Some(now + 60 * SECOND));
        attempts.seen(0, Some(ONE), true, now + SECOND);
        assert_eq!(attempts.due(now + SECOND), [(0, ONE)]);
        attempts.connected(0, now + SECOND);
        // What is connected is not disturbed by the second of its two numbers.
        attempts.seen(0, Some(ONE), true, now + 2 * SECOND);
        assert_eq!(attempts.deadline(), None);
    }

    #[test]
    fn links_that_end_at_once_are_tried_ever_more_slowly() {
        let mut attempts = Attempts::default();
        let mut now = Instant::now();
        attempts.seen(0, Some(ONE), false, now);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            attempts.connected(0, now);
            attempts.failed(0, ONE, now);
            let due = attempts.deadline().unwrap();
            pauses.push((due - now).as_secs());
            now = due;
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
    }

    #[test]
    fn a_guest_that_writes_without_pause_is_not_listened_to_for_a_while() {
        let mut restless = Restlessness::default();
        assert!((0..9).all(|_| !restless.looked(true)));
        assert!(!restless.looked(false));
        assert!((0..9).all(|_| !restless.looked(true)));
        assert!(restless.looked(true));
        assert!(!restless.looked(true));
    }
}
