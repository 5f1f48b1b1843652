//! How long to wait before the next attempt.

use std::time::Duration;

/// The shortest wait.
pub const FIRST: Duration = Duration::from_secs(1);
/// The longest wait.
pub const LAST: Duration = Duration::from_secs(60);

/// Waits that grow while attempts fail, each a random part of what it could be: after a restart of the host its guests do
/// not all come at once.
#[derive(Debug)]
pub struct Backoff {
    most: Duration,
}

impl Backoff {
    /// Before the first failure.
    #[must_use]
    pub const fn new() -> Self {
        Self { most: FIRST }
    }

    /// An attempt failed: how long to wait. `chance` is any number, the whole range alike.
    pub fn failed(&mut self, chance: u32) -> Duration {
        self.most = (self.most * 2).min(LAST);
        FIRST + (self.most - FIRST).mul_f64(f64::from(chance) / f64::from(u32::MAX))
    }

    /// An attempt did what it should: the next failure is the first one again.
    pub const fn succeeded(&mut self) {
        self.most = FIRST;
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}

/// A number for [`Backoff::failed`].
pub(super) fn chance() -> u32 {
    // Without randomness all waits are the longest ones.
    getrandom::u32().unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit_and_start_anew() {
        let mut backoff = Backoff::new();
        let longest: Vec<u64> = (0..8).map(|_| backoff.failed(u32::MAX).as_secs()).collect();
        assert_eq!(longest, [2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(backoff.failed(0), FIRST, "any wait may be the shortest");
        assert_eq!(backoff.failed(u32::MAX / 2).as_secs(), 30);
        backoff.succeeded();
        assert_eq!(backoff.failed(u32::MAX).as_secs(), 2);
    }

    #[test]
    fn waits_differ() {
        let mut waits: Vec<Duration> = (0..32)
            .map(|_| {
                let mut backoff = Backoff::new();
                (0..6).map(|_| backoff.failed(chance())).last().expect("a wait")
            })
            .collect();
        assert!(waits.iter().all(|wait| (FIRST..=LAST).contains(wait)));
        waits.dedup();
        assert!(waits.len() > 16, "{waits:?}");
    }
}
