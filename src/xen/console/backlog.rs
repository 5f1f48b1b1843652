//! Guest output that the other reader of our pty has not taken yet: bounded, newest kept.

use std::collections::VecDeque;
use std::fmt;

/// The most bytes that wait, the same as xenconsoled's `limit` for one console.
pub const BACKLOG_LIMIT: usize = 1024 * 1024;

/// What is dropped at once when the limit is reached, so that a flood does not drop byte by byte.
const DROP_STEP: usize = BACKLOG_LIMIT / 16;

/// How far behind the place of a cut the end of a line is looked for, in bytes: a whole line reads better than the
/// tail of an escape sequence.
const LINE_SEARCH: usize = 4096;

/// Bytes that wait for a reader. What the pty itself holds is older than everything here; so a drop from the front
/// leaves a slow reader the oldest and the newest, without the middle.
#[derive(Default)]
pub(super) struct Backlog {
    bytes: VecDeque<u8>,
    dropped: u64,
}

impl fmt::Debug for Backlog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Backlog").field("bytes", &self.bytes.len()).finish_non_exhaustive()
    }
}

impl Backlog {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// How many bytes were dropped since the beginning.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Adds the newest bytes, dropping old ones where there is no room.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let newest = &bytes[bytes.len().saturating_sub(BACKLOG_LIMIT)..];
        self.dropped += (bytes.len() - newest.len()) as u64;
        let excess = (self.bytes.len() + newest.len()).saturating_sub(BACKLOG_LIMIT);
        if excess > 0 {
            self.drop_front(excess.max(DROP_STEP));
        }
        // Growing by doubling would overshoot the limit when it comes near.
        let wanted = self.bytes.len() + newest.len();
        if wanted > self.bytes.capacity() {
            let target = wanted.next_power_of_two().min(BACKLOG_LIMIT);
            self.bytes.reserve_exact(target - self.bytes.len());
        }
        self.bytes.extend(newest);
    }

    /// The oldest bytes, as many as lie together.
    pub(super) fn front(&self) -> &[u8] {
        let (first, second) = self.bytes.as_slices();
        if first.is_empty() { second } else { first }
    }

    /// Forgets the oldest bytes, at most what [`Self::front`] showed. An empty backlog holds no memory.
    pub(super) fn consume(&mut self, count: usize) {
        self.bytes.drain(..count.min(self.bytes.len()));
        if self.bytes.is_empty() {
            self.bytes = VecDeque::new();
        }
    }

    fn drop_front(&mut self, count: usize) {
        let count = count.min(self.bytes.len());
        let line = self.bytes.range(count..).take(LINE_SEARCH).position(|&byte| byte == b'\n');
        let count = line.map_or(count, |offset| count + offset + 1);
        self.bytes.drain(..count);
        self.dropped += count as u64;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn contents(backlog: &Backlog) -> Vec<u8> {
        backlog.bytes.iter().copied().collect()
    }

    #[test]
    fn keeps_the_newest_from_the_start_of_a_line() {
        let mut backlog = Backlog::default();
        for number in 0..200_000 {
            backlog.push(format!("line {number}\n").as_bytes());
        }
        let kept = contents(&backlog);
        assert!(kept.len() <= BACKLOG_LIMIT && kept.len() > BACKLOG_LIMIT - DROP_STEP - LINE_SEARCH);
        assert!(kept.starts_with(b"line ") && kept.ends_with(b"line 199999\n"));
        assert!(backlog.bytes.capacity() <= BACKLOG_LIMIT);
        let lines: Vec<u32> = String::from_utf8(kept)
            .expect("text")
            .lines()
            .map(|line| line[5..].parse().expect("a number"))
            .collect();
        assert!(lines.windows(2).all(|pair| pair[1] == pair[0] + 1), "one piece, without holes");
    }

    #[test]
    fn empty_backlog_holds_no_memory() {
        let mut backlog = Backlog::default();
        backlog.push(&[b'x'; 100_000]);
        while !backlog.is_empty() {
            backlog.consume(backlog.front().len().min(4096));
        }
        assert_eq!(backlog.bytes.capacity(), 0);
        assert_eq!(backlog.dropped(), 0);
    }

    proptest! {
        #[test]
        fn never_exceeds_the_limit_and_accounts_for_every_byte(
            steps in prop::collection::vec((0usize..300_000, 0usize..200_000), 1..40)
        ) {
            let mut backlog = Backlog::default();
            let (mut pushed, mut consumed) = (0u64, 0u64);
            for (push, consume) in steps {
                backlog.push(&vec![b'a'; push]);
                pushed += push as u64;
                let count = consume.min(backlog.front().len());
                backlog.consume(count);
                consumed += count as u64;
                prop_assert!(backlog.bytes.len() <= BACKLOG_LIMIT);
                prop_assert_eq!(backlog.bytes.len() as u64, pushed - consumed - backlog.dropped());
            }
        }
    }
}
