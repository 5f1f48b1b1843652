//! Event channels: how two domains tell each other to look at shared memory, and what a guest may cost with them.

use std::fmt::Debug;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use super::sys::evtchn;

/// Our end of an event channel. The descriptor that it works on is given to each call.
pub trait EventChannel: Send + Debug {
    /// Tells the guest to look at the ring.
    ///
    /// # Errors
    /// When the channel is broken for good.
    fn notify(&self, events: BorrowedFd<'_>) -> io::Result<()>;

    /// Takes the events that came, which masks the channel.
    ///
    /// # Errors
    /// `WouldBlock` when there are none; else the channel is broken for good.
    fn take(&self, events: BorrowedFd<'_>) -> io::Result<()>;

    /// Lets events come again, also one that came meanwhile.
    ///
    /// # Errors
    /// When the channel is broken for good.
    fn unmask(&self, events: BorrowedFd<'_>) -> io::Result<()>;
}

/// An event channel of Xen's.
#[derive(Debug)]
pub(super) struct LocalPort(u32);

impl LocalPort {
    /// The port of this number, bound to the descriptor that later calls are given.
    pub(super) const fn new(port: u32) -> Self {
        Self(port)
    }
}

impl EventChannel for LocalPort {
    fn notify(&self, events: BorrowedFd<'_>) -> io::Result<()> {
        evtchn::notify(events, self.0)
    }

    fn take(&self, events: BorrowedFd<'_>) -> io::Result<()> {
        evtchn::take(events).map(drop)
    }

    fn unmask(&self, events: BorrowedFd<'_>) -> io::Result<()> {
        evtchn::unmask(events, self.0)
    }
}

/// What one guest may cost with events that bring little.
///
/// An event that brings at least [`Self::WORTHWHILE`] bytes is never limited: a flood of data is drained at full
/// speed. Of others there are [`Self::EVENTS`] in each [`Self::PERIOD`]; those beyond are answered
/// [`Self::DELAY`] later, and the channel is masked until then. So a guest that only sends events costs about
/// 1,000 + 200 wake-ups a second, where xenconsoled's 30 in 200 ms would also hold a flood of data to 300 KiB/s.
#[derive(Debug)]
pub(super) struct Throttle {
    period: Instant,
    events: u32,
}

impl Throttle {
    /// Bytes that are worth an event: a quarter of a console's ring.
    pub(super) const WORTHWHILE: usize = 512;
    /// Events that bring less, in each period: more than a person's typing or a program's lines need.
    const EVENTS: u32 = 200;
    /// The period, as xenconsoled's.
    const PERIOD: Duration = Duration::from_millis(200);
    /// How much later an event beyond those is answered: nobody sees it, and the ring has room for the meantime.
    const DELAY: Duration = Duration::from_millis(5);

    /// At the start of a period.
    pub(super) fn new(now: Instant) -> Self {
        Self { period: now, events: 0 }
    }

    /// An event brought so many bytes: how long to keep the channel masked.
    pub(super) fn event(&mut self, now: Instant, bytes: usize) -> Option<Duration> {
        if bytes >= Self::WORTHWHILE {
            return None;
        }
        if now.saturating_duration_since(self.period) >= Self::PERIOD {
            *self = Self::new(now);
        }
        self.events = self.events.saturating_add(1);
        (self.events > Self::EVENTS).then_some(Self::DELAY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flood_of_data_is_never_throttled() {
        let now = Instant::now();
        let mut throttle = Throttle::new(now);
        for _ in 0..1_000_000 {
            assert_eq!(throttle.event(now, Throttle::WORTHWHILE), None);
        }
        assert_eq!(throttle.event(now, 1), None, "and does not use up what others may have");
    }

    #[test]
    fn flood_of_events_costs_a_bounded_number_of_wake_ups() {
        let start = Instant::now();
        let (mut now, mut throttle, mut events) = (start, Throttle::new(start), 0);
        while now - start < Duration::from_secs(10) {
            events += 1;
            // A guest that sends the next event at once.
            now += throttle.event(now, 511).unwrap_or(Duration::from_micros(10));
        }
        assert!(events < 10 * 1_250, "{events} events in 10 s");
    }
}
