//! How often a display may come back, and how long to wait before the next try. State machines without I/O.

use std::time::{Duration, Instant};

/// The first pause between two tries to reach a display.
pub(super) const RETRY_FIRST: Duration = Duration::from_secs(1);

/// The longest pause between two tries.
pub(super) const RETRY_LONGEST: Duration = Duration::from_secs(60);

/// A link that lasted so long was a good one: the next try comes soon again.
const GOOD: Duration = Duration::from_secs(10);

/// Pauses between tries: doubled from [`RETRY_FIRST`] up to [`RETRY_LONGEST`].
#[derive(Debug, Default, Clone)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// How long to wait after a try that failed, or after a link that lasted so long.
    pub(super) fn pause(&mut self, lasted: Duration) -> Duration {
        if lasted >= GOOD {
            self.failures = 0;
        }
        let pause = RETRY_FIRST.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX));
        self.failures = self.failures.saturating_add(1);
        pause.min(RETRY_LONGEST)
    }

    /// How many tries have failed since the last good link.
    pub(super) const fn failures(&self) -> u32 {
        self.failures
    }
}

/// How many times a display may come within [`PERIOD`]. A person who restarts X does so less often, a display manager
/// whose X server crashes at its start more often.
const COMINGS: usize = 5;

/// See [`COMINGS`].
const PERIOD: Duration = Duration::from_secs(10);

/// How long a display is held back at first when it comes too often; doubled each time.
const HOLD_FIRST: Duration = Duration::from_secs(10);

/// The longest time for which a display is held back.
const HOLD_LONGEST: Duration = Duration::from_secs(160);

/// A display came too often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it came more than {COMINGS} times in {} s, and is held back for {} s", PERIOD.as_secs(), .hold.as_secs())]
pub(super) struct TooOften {
    /// For how long nothing is taken from it.
    pub(super) hold: Duration,
    /// Whether this is the first one that is refused, which is the one to log.
    pub(super) first: bool,
}

/// Counts how often a display comes, and holds it back when that is too often.
#[derive(Debug, Default)]
pub(super) struct Comings {
    recent: Vec<Instant>,
    held_until: Option<Instant>,
    holds: u32,
}

impl Comings {
    /// The display is here again: may it?
    pub(super) fn come(&mut self, now: Instant) -> Result<(), TooOften> {
        if let Some(until) = self.held_until {
            if now < until {
                return Err(TooOften { hold: until - now, first: false });
            }
            // After a quiet time as long as that, all is forgiven.
            if now >= until + Self::hold(self.holds) {
                self.holds = 0;
            }
            self.held_until = None;
            self.recent.clear();
        }
        self.recent.retain(|at| now.saturating_duration_since(*at) < PERIOD);
        if self.recent.len() >= COMINGS {
            let hold = Self::hold(self.holds);
            self.holds += 1;
            self.held_until = Some(now + hold);
            return Err(TooOften { hold, first: true });
        }
        self.recent.push(now);
        Ok(())
    }

    fn hold(holds: u32) -> Duration {
        HOLD_FIRST.saturating_mul(1_u32.checked_shl(holds).unwrap_or(u32::MAX)).min(HOLD_LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn pauses_double_up_to_a_limit_and_start_again_after_a_good_link() {
        let mut backoff = Backoff::default();
        let pauses: Vec<u64> = (0..9).map(|_| backoff.pause(SECOND).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(backoff.pause(GOOD), RETRY_FIRST);
        assert_eq!(backoff.pause(SECOND), 2 * RETRY_FIRST);
        let mut worn = Backoff { failures: u32::MAX };
        assert_eq!(worn.pause(SECOND), RETRY_LONGEST);
    }

    #[test]
    fn a_loop_is_held_back_longer_each_time() {
        let mut comings = Comings::default();
        let start = Instant::now();
        let mut taken = Vec::new();
        let mut said = Vec::new();
        for tenth in 0..4000 {
            let now = start + SECOND * tenth / 10;
            match comings.come(now) {
                Ok(()) => taken.push(tenth),
                Err(TooOften { first: true, hold }) => said.push(hold.as_secs()),
                Err(_) => {}
            }
        }
        assert_eq!(said, [10, 20, 40, 80, 160, 160]);
        assert_eq!(taken.len(), 30);
    }

    #[test]
    fn who_restarts_now_and_then_is_never_held_back() {
        let mut comings = Comings::default();
        let start = Instant::now();
        for n in 0..1000 {
            assert_eq!(comings.come(start + SECOND * n * 2), Ok(()), "{n}");
        }
        assert!(comings.recent.len() <= COMINGS);
    }

    #[test]
    fn a_quiet_time_forgives() {
        let mut comings = Comings::default();
        let start = Instant::now();
        let loop_from = |comings: &mut Comings, at: Instant| {
            (0..20).find_map(|_| comings.come(at).err()).map(|error| error.hold.as_secs())
        };
        assert_eq!(loop_from(&mut comings, start), Some(10));
        assert_eq!(loop_from(&mut comings, start + SECOND * 11), Some(20));
        assert_eq!(loop_from(&mut comings, start + SECOND * 200), Some(10));
    }
}
