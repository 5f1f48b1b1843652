//! When a pty is better left alone for a moment: one that is written line by line wakes its reader for each line.
//!
//! A wake-up costs more than the line that it brings. So once lines come in quick succession, the reader rests for a
//! moment after it has emptied the pty, which meanwhile takes 64 KiB. Whatever comes after a quiet moment is read at once,
//! and so is output that would fill the pty.

use std::time::{Duration, Instant};

/// How long a rest is. A timer of the runtime may make it twice that.
pub(super) const REST: Duration = Duration::from_millis(1);

/// How many reads are looked at before rests begin: a key's echo and a redrawn line are fewer.
const READS: u32 = 16;

/// Reads that follow each other more slowly than this on average need no rest.
const APART: Duration = Duration::from_millis(1);

/// A pause of this length ends the rests: what comes next comes after a quiet moment.
const QUIET: Duration = Duration::from_millis(5);

/// The most that may come from one rest to the next, in bytes: half of what the pty takes.
const MOST: usize = 32 * 1024;

/// The pace of a pty's output.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Rests are taken.
    resting: bool,
    /// When the reads that are looked at began; the last of them.
    window: Option<(Instant, Instant)>,
    /// How many reads there were since the window or the last rest began, and what they brought.
    reads: u32,
    bytes: usize,
}

impl Pace {
    /// A read brought so many bytes.
    pub(super) fn read(&mut self, bytes: usize, now: Instant) {
        let start = match self.window {
            Some((start, last)) if now.saturating_duration_since(last) < QUIET => start,
            _ => {
                *self = Self::default();
                now
            }
        };
        self.window = Some((start, now));
        self.reads += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        if self.resting {
            // Faster than rests allow: they end, and the pace is looked at anew.
            if self.bytes > MOST {
                *self = Self::default();
            }
        } else if self.reads > READS {
            let elapsed = now.saturating_duration_since(start);
            let slow = MOST as u128 * elapsed.as_micros() >= 2 * REST.as_micros() * self.bytes as u128;
            let resting = slow && elapsed <= APART * READS;
            *self = Self {
                resting,
                window: resting.then_some((now, now)),
                reads: u32::from(resting),
                ..Self::default()
            };
        }
    }

    /// The pty is empty; says whether to leave it alone for [`REST`].
    pub(super) fn rests(&mut self) -> bool {
        let rests = self.resting && self.reads > 0;
        if self.resting {
            (self.reads, self.bytes) = (0, 0);
        }
        rests
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of `count` reads of `bytes` bytes, one every `apart`, the pty empty after each, are followed by a rest.
    fn rests(pace: &mut Pace, now: &mut Instant, count: u32, bytes: usize, apart: Duration) -> u32 {
        let mut rests = 0;
        for _ in 0..count {
            *now += apart;
            pace.read(bytes, *now);
            rests += u32::from(pace.rests());
        }
        rests
    }

    const MICROSECOND: Duration = Duration::from_micros(1);

    #[test]
    fn lines_in_quick_succession_bring_rests_until_a_quiet_moment() {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        assert_eq!(rests(&mut pace, &mut now, READS, 80, 10 * MICROSECOND), 0, "a short burst");
        assert_eq!(rests(&mut pace, &mut now, 100, 80, 10 * MICROSECOND), 100);
        assert_eq!(rests(&mut pace, &mut now, 100, 8000, 2 * REST), 100, "what comes while it rests");
        assert_eq!(rests(&mut pace, &mut now, 1, 80, QUIET), 0, "after a quiet moment");
        assert!(!pace.rests(), "nothing was read");
    }

    #[test]
    fn slow_lines_bring_none() {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        assert_eq!(rests(&mut pace, &mut now, 1000, 80, 2 * APART), 0);
    }

    #[test]
    fn output_that_would_fill_the_pty_brings_none_and_ends_them() {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        // 100 MB/s.
        assert_eq!(rests(&mut pace, &mut now, 1000, 4096, 40 * MICROSECOND), 0);
        assert!(rests(&mut pace, &mut now, 100, 80, 10 * MICROSECOND) >= 100 - 2 * READS);
        for _ in 0..5 {
            now += 10 * MICROSECOND;
            pace.read(16 * 1024, now);
        }
        assert!(!pace.rests());
        assert_eq!(rests(&mut pace, &mut now, 1000, 4096, 40 * MICROSECOND), 0);
    }

    #[test]
    fn a_read_after_each_rest_is_one_more_reason_to_rest() {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        rests(&mut pace, &mut now, 2 * READS, 80, 10 * MICROSECOND);
        pace.read(80, now);
        assert!(pace.rests() && !pace.rests(), "once");
    }
}
