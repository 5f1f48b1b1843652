//! How long an address must wait after failed logins. A state machine without clock or sockets: the driver gives the
//! address and the time.
//!
//! The first [`FREE_FAILURES`] cost nothing, because people mistype. From then on every failure doubles the wait, up to
//! [`LONGEST`], or [`LONGEST_ON_LOOPBACK`]. A login that succeeds, or [`FORGET`] without a failure, clears the address.

use core::net::{IpAddr, Ipv4Addr};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// So many failures may follow each other without a wait.
pub const FREE_FAILURES: u32 = 3;

/// The first wait.
pub const FIRST: Duration = Duration::from_secs(2);

/// The longest wait: at most 12 guesses an hour from an address.
pub const LONGEST: Duration = Duration::from_secs(300);

/// The longest wait on loopback, where everybody has the same address, people behind tunnels and web proxies included: nobody
/// there shall be able to keep the others out. Still at most 450 guesses an hour.
pub const LONGEST_ON_LOOPBACK: Duration = Duration::from_secs(8);

/// After so long without a failure an address is as good as new.
pub const FORGET: Duration = Duration::from_secs(3600);

/// The most addresses that are remembered, each about 100 bytes. When there are more, whoever failed longest ago is
/// forgotten: an attacker with so many addresses is not stopped by waits.
pub const ADDRESSES: usize = 4096;

/// The bits of an IPv6 address that count: a subscriber has all addresses below them.
const NETWORK_BITS: u128 = !0 << 64;

#[derive(Debug, Clone, Copy)]
struct Record {
    failures: u32,
    last: Instant,
}

impl Record {
    /// When the address may try again, if it waits no longer than `longest`.
    fn until(&self, longest: Duration) -> Instant {
        let Some(doublings) = self.failures.checked_sub(FREE_FAILURES + 1) else { return self.last };
        let wait = FIRST.saturating_mul(1u32.checked_shl(doublings).unwrap_or(u32::MAX));
        self.last + wait.min(longest)
    }
}

/// What is remembered of addresses.
#[derive(Debug, Default)]
pub struct BackOff {
    records: HashMap<IpAddr, Record>,
}

impl BackOff {
    /// How long `address` must wait before it may try to log in; `None` when it may do so now.
    #[must_use]
    pub fn wait(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let address = whole(address);
        let record = self.records.get(&address)?;
        let longest = if address.is_loopback() { LONGEST_ON_LOOPBACK } else { LONGEST };
        let wait = record.until(longest).saturating_duration_since(now);
        Some(wait).filter(|wait| !wait.is_zero())
    }

    /// A login from `address` has failed.
    pub fn failed(&mut self, address: IpAddr, now: Instant) {
        let address = whole(address);
        if !self.records.contains_key(&address) && self.records.len() >= ADDRESSES {
            self.make_room(now);
        }
        let record = self.records.entry(address).or_insert(Record { failures: 0, last: now });
        if now.saturating_duration_since(record.last) >= FORGET {
            record.failures = 0;
        }
        *record = Record { failures: record.failures.saturating_add(1), last: now };
    }

    /// A login from `address` has succeeded.
    pub fn succeeded(&mut self, address: IpAddr) {
        self.records.remove(&whole(address));
    }

    fn make_room(&mut self, now: Instant) {
        self.records.retain(|_, record| now.saturating_duration_since(record.last) < FORGET);
        if self.records.len() >= ADDRESSES
            && let Some(oldest) =
                self.records.iter().min_by_key(|(_, record)| record.last).map(|(address, _)| *address)
        {
            self.records.remove(&oldest);
        }
    }
}

/// What stands for an address: an IPv6 network, IPv4 however it is written, and one for loopback.
fn whole(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        local if local.is_loopback() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & NETWORK_BITS).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let (mut back_off, one, start) = (BackOff::default(), address("192.0.2.1"), Instant::now());
        let mut now = start;
        let mut waits = Vec::new();
        for _ in 0..14 {
            back_off.failed(one, now);
            let wait = back_off.wait(one, now);
            waits.push(wait.map_or(0, |wait| wait.as_secs()));
            now += wait.unwrap_or_default();
            assert_eq!(back_off.wait(one, now), None, "the wait is over");
        }
        assert_eq!(waits, [0, 0, 0, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        assert_eq!(back_off.wait(address("192.0.2.2"), now), None);
        back_off.succeeded(one);
        back_off.failed(one, now);
        assert_eq!(back_off.wait(one, now), None, "a success clears it");
    }

    #[test]
    fn nobody_is_kept_out_for_long_by_others_on_loopback() {
        let (mut back_off, now) = (BackOff::default(), Instant::now());
        (0..20).for_each(|_| back_off.failed(address("127.0.0.1"), now));
        for other in ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(back_off.wait(address(other), now), Some(LONGEST_ON_LOOPBACK), "{other}");
        }
        (0..20).for_each(|_| back_off.failed(address("192.0.2.1"), now));
        assert_eq!(back_off.wait(address("192.0.2.1"), now), Some(LONGEST));
    }

    #[test]
    fn time_heals() {
        let (mut back_off, one, start) = (BackOff::default(), address("192.0.2.1"), Instant::now());
        (0..9).for_each(|_| back_off.failed(one, start));
        assert!(back_off.wait(one, start).is_some());
        back_off.failed(one, start + FORGET);
        assert_eq!(back_off.wait(one, start + FORGET), None);
    }

    #[test]
    fn addresses_of_one_subscriber_count_as_one() {
        let (mut back_off, now) = (BackOff::default(), Instant::now());
        for host in 0..5 {
            back_off.failed(address(&format!("2001:db8:1:2::{host}")), now);
        }
        assert!(back_off.wait(address("2001:db8:1:2:ffff::9"), now).is_some());
        assert_eq!(back_off.wait(address("2001:db8:1:3::1"), now), None);
        (0..5).for_each(|_| back_off.failed(address("::ffff:192.0.2.7"), now));
        assert!(back_off.wait(address("192.0.2.7"), now).is_some());
    }

    #[test]
    fn memory_is_bounded_and_the_newest_are_kept() {
        let (mut back_off, start) = (BackOff::default(), Instant::now());
        let mut now = start;
        for n in 0..u32::try_from(ADDRESSES).expect("small") + 50 {
            now += Duration::from_micros(1);
            (0..5).for_each(|_| back_off.failed(IpAddr::V4(n.into()), now));
        }
        assert_eq!(back_off.records.len(), ADDRESSES);
        assert_eq!(back_off.wait(IpAddr::V4(0.into()), now), None);
        assert!(back_off.wait(IpAddr::V4(60.into()), now).is_some());
    }
}
