//! How often something may be sent to a viewer: credit that accrues with time.
//!
//! The first change after a quiet moment finds credit and goes out at once. A flood uses the credit up, and what
//! changes meanwhile becomes part of the next frame. Nothing here owns a timer: a driver asks when credit comes back,
//! and only when somebody waits for it.

use std::time::{Duration, Instant};

/// How fast credit accrues, and how much of it can be saved up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The time in which one credit accrues.
    pub interval: Duration,
    /// The most credits that a quiet time leaves.
    pub burst: u32,
}

impl Pace {
    /// Frames of a viewer: 60 a second, which no screen outruns; three at once, so that a key's echo, the prompt
    /// after it and one more change never wait.
    pub const FRAMES: Self = Self { interval: Duration::from_micros(16_667), burst: 3 };
    /// Bells of a viewer: 5 a second, two at once. More cannot be told apart by ear; they are dropped, not delayed.
    pub const BELLS: Self = Self { interval: Duration::from_millis(200), burst: 2 };

    /// How far ahead of the clock the credit taken may reach.
    fn allowance(self) -> Duration {
        self.interval * self.burst.saturating_sub(1)
    }
}

/// The credit of one viewer for one kind of thing.
///
/// It is one instant: the moment at which all credit taken so far will have been earned (the generic cell rate
/// algorithm of ATM, ITU-T I.371 annex A). A clock that steps back gives nothing away and breaks nothing.
#[derive(Debug, Clone)]
pub struct Credit {
    pace: Pace,
    earned_at: Option<Instant>,
}

impl Credit {
    /// Full credit at this pace.
    #[must_use]
    pub const fn new(pace: Pace) -> Self {
        Self { pace, earned_at: None }
    }

    /// When one credit is there: `None` when that is so at `now` already.
    #[must_use]
    pub fn available_at(&self, now: Instant) -> Option<Instant> {
        // When the allowance reaches before the clock's zero, credit is there.
        let at = self.earned_at?.checked_sub(self.pace.allowance())?;
        (at > now).then_some(at)
    }

    /// Takes one credit. False, and nothing taken, when there is none.
    pub fn take(&mut self, now: Instant) -> bool {
        if self.available_at(now).is_some() {
            return false;
        }
        let from = self.earned_at.map_or(now, |at| at.max(now));
        self.earned_at = Some(from + self.pace.interval);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PACE: Pace = Pace { interval: Duration::from_millis(10), burst: 3 };

    #[test]
    fn a_burst_goes_at_once_and_then_one_an_interval() {
        let start = Instant::now();
        let mut credit = Credit::new(PACE);
        assert!((0..3).all(|_| credit.take(start)));
        assert!(!credit.take(start));
        let next = credit.available_at(start);
        assert_eq!(next, Some(start + PACE.interval));
        let next = next.unwrap();
        assert!(credit.available_at(next).is_none());
        assert!(credit.take(next));
        assert!(!credit.take(next));
    }

    #[test]
    fn quiet_fills_the_credit_up_but_not_beyond_the_burst() {
        let start = Instant::now();
        let mut credit = Credit::new(PACE);
        while credit.take(start) {}
        let later = start + Duration::from_secs(3600);
        assert_eq!((0..10).filter(|_| credit.take(later)).count(), 3);
    }

    proptest! {
        #[test]
        fn no_window_holds_more_than_burst_and_rate_allow(steps in prop::collection::vec(0u64..20_000, 1..200)) {
            let start = Instant::now();
            let mut credit = Credit::new(PACE);
            let mut now = start;
            let mut taken: Vec<Instant> = Vec::new();
            for step in steps {
                now += Duration::from_micros(step);
                let promised = credit.available_at(now);
                let got = credit.take(now);
                prop_assert_eq!(got, promised.is_none());
                if got {
                    taken.push(now);
                } else {
                    prop_assert!(promised.is_some_and(|at| at > now && at <= now + PACE.interval));
                }
            }
            for (i, from) in taken.iter().enumerate() {
                for (j, to) in taken.iter().enumerate().skip(i) {
                    let allowed = 3 + (*to - *from).as_micros() / PACE.interval.as_micros();
                    prop_assert!((j - i + 1) as u128 <= allowed);
                }
            }
        }
    }
}
