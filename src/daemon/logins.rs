//! Logins of all seats together: what is remembered of failed ones, and the checking of names and passwords.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::rfb::security::backoff::BackOff;

/// So many passwords are checked at a time: each costs a processor, and the memory that its hash asks for. Others wait.
pub(super) const CHECKS: usize = 2;

/// Shared by all seats, so that an address has the same number of guesses whether it asks at one seat or at all of them.
#[derive(Debug)]
pub(super) struct Logins {
    back_off: Mutex<BackOff>,
    checks: Semaphore,
}

impl Default for Logins {
    fn default() -> Self {
        Self { back_off: Mutex::default(), checks: Semaphore::new(CHECKS) }
    }
}

/// Why a viewer is not heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many failed logins from this address: try again in {} s", .wait.as_secs_f32().ceil())]
pub(super) struct Held {
    wait: Duration,
}

impl Logins {
    /// Whether a viewer at this address may try to log in. Whoever comes by a Unix socket has none and always may: that
    /// socket is its owner's alone.
    pub(super) fn check(&self, address: Option<IpAddr>, now: Instant) -> Result<(), Held> {
        let wait = address.and_then(|address| self.back_off().wait(address, now));
        wait.map_or(Ok(()), |wait| Err(Held { wait }))
    }

    /// A viewer at this address has failed.
    pub(super) fn failed(&self, address: Option<IpAddr>, now: Instant) {
        if let Some(address) = address {
            self.back_off().failed(address, now);
        }
    }

    /// A viewer at this address has proven that it knows a password.
    pub(super) fn succeeded(&self, address: Option<IpAddr>) {
        if let Some(address) = address {
            self.back_off().succeeded(address);
        }
    }

    /// Runs a check on a thread of its own as soon as there is room, and gives what it says.
    pub(super) async fn run(&self, check: impl FnOnce() -> bool + Send + 'static) -> bool {
        // It is never closed.
        let Ok(_room) = self.checks.acquire().await else { return false };
        tokio::task::spawn_blocking(check).await.unwrap_or(false)
    }

    fn back_off(&self) -> MutexGuard<'_, BackOff> {
        self.back_off.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::rfb::security::backoff::{FIRST, FREE_FAILURES};

    #[test]
    fn an_address_waits_until_its_time_is_over_or_it_succeeds() {
        let (logins, start) = (Logins::default(), Instant::now());
        let [bad, good] = [1, 2].map(|last| Some(IpAddr::from([192, 0, 2, last])));
        for _ in 0..FREE_FAILURES {
            logins.failed(bad, start);
            assert_eq!(logins.check(bad, start), Ok(()));
        }
        logins.failed(bad, start);
        let held = logins.check(bad, start).unwrap_err();
        assert_eq!(held.to_string(), "too many failed logins from this address: try again in 2 s");
        assert!(logins.check(bad, start + FIRST - Duration::from_millis(1)).is_err());
        assert_eq!(logins.check(bad, start + FIRST), Ok(()));
        assert_eq!(logins.check(good, start), Ok(()));
        logins.succeeded(bad);
        assert_eq!(logins.check(bad, start), Ok(()));
    }

    #[test]
    fn a_unix_socket_never_waits() {
        let (logins, now) = (Logins::default(), Instant::now());
        (0..20).for_each(|_| logins.failed(None, now));
        assert_eq!(logins.check(None, now), Ok(()));
    }

    #[tokio::test]
    async fn so_many_checks_run_at_a_time() {
        let (logins, running, most) = (Arc::new(Logins::default()), AtomicUsize::new(0), AtomicUsize::new(0));
        let shared = Arc::new((running, most));
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..10 {
            let (logins, shared) = (logins.clone(), shared.clone());
            tasks.spawn(async move {
                logins
                    .run(move || {
                        let now = shared.0.fetch_add(1, Ordering::SeqCst) + 1;
                        shared.1.fetch_max(now, Ordering::SeqCst);
                        std::thread::sleep(Duration::from_millis(5));
                        shared.0.fetch_sub(1, Ordering::SeqCst);
                        true
                    })
                    .await
            });
        }
        while let Some(result) = tasks.join_next().await {
            assert!(result.unwrap());
        }
        assert!((1..=CHECKS).contains(&shared.1.load(Ordering::SeqCst)));
    }
}
