//! Who may connect how often, before anything is known of them.
//!
//! A state machine without I/O: addresses and `now` go in. It protects the daemon from a flood, and one caller from
//! another: each address has a rate and a number of its own.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// How many connections may wait to be attributed, of all addresses together. Each costs a descriptor and less than
/// 1 KiB, for at most 10 s.
pub const PENDING_MAX: usize = 64;

/// How many of one address: so many guests behind one router may start at the same moment.
pub const PENDING_PER_SOURCE_MAX: usize = 8;

/// How many connections an address may make at once after a quiet time.
const BURST: u32 = 20;

/// After a burst, one connection is allowed in each of these. The most patient caller known tries every 15 s.
const INTERVAL: Duration = Duration::from_millis(200);

/// How many addresses are remembered: those that connected within the last seconds.
const SOURCES_MAX: usize = 1024;

/// Why a connection is closed unheard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAdmitted {
    /// Its address connects too often.
    #[error("its address makes more than {BURST} connections and then one every {} ms", INTERVAL.as_millis())]
    TooOften,
    /// Its address has too many connections that say nothing.
    #[error("its address has {PENDING_PER_SOURCE_MAX} connections already that have not said who they are")]
    TooManyOfIt,
    /// There are too many such connections.
    #[error("{PENDING_MAX} connections have not said who they are")]
    TooMany,
    /// More addresses connect than can be told apart.
    #[error("{SOURCES_MAX} other addresses have connected within the last seconds")]
    TooManySources,
}

/// Decides who is admitted, and counts who is there.
#[derive(Debug, Default)]
pub struct Admission {
    sources: HashMap<IpAddr, Source>,
    pending: usize,
}

#[derive(Debug)]
struct Source {
    pending: usize,
    /// When all its connections so far are paid for at one per [`INTERVAL`].
    paid: Instant,
}

impl Admission {
    /// Admits a connection from this address or says why not. What was admitted must be [`Self::done`] some time.
    ///
    /// # Errors
    /// When the connection is to be closed.
    pub fn admit(&mut self, from: IpAddr, now: Instant) -> Result<(), NotAdmitted> {
        let from = source_of(from);
        if !self.sources.contains_key(&from) && self.sources.len() >= SOURCES_MAX {
            self.sources.retain(|_, source| source.pending > 0 || source.paid > now);
            if self.sources.len() >= SOURCES_MAX {
                return Err(NotAdmitted::TooManySources);
            }
        }
        let source = self.sources.entry(from).or_insert(Source { pending: 0, paid: now });
        let paid = source.paid.max(now) + INTERVAL;
        if paid > now + INTERVAL * BURST {
            return Err(NotAdmitted::TooOften);
        }
        // Those that are refused below pay as well.
        source.paid = paid;
        if source.pending >= PENDING_PER_SOURCE_MAX {
            return Err(NotAdmitted::TooManyOfIt);
        }
        if self.pending >= PENDING_MAX {
            return Err(NotAdmitted::TooMany);
        }
        source.pending += 1;
        self.pending += 1;
        Ok(())
    }

    /// A connection that was admitted is attributed or over.
    pub fn done(&mut self, from: IpAddr) {
        if let Some(source) = self.sources.get_mut(&source_of(from)) {
            source.pending = source.pending.saturating_sub(1);
            self.pending = self.pending.saturating_sub(1);
        }
    }
}

/// What counts as one address: of IPv6 the network, because a host has all the addresses in it.
fn source_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        address => address,
    }
}

/// Keeps a log short when the same thing happens over and over: at most so many lines in each period, and at its end how
/// many were left out.
#[derive(Debug, Default)]
pub struct LogLimit {
    since: Option<Instant>,
    lines: u32,
    left_out: u64,
}

/// What to do about a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// Log it.
    Log,
    /// Leave it out.
    LeaveOut,
    /// Leave it out, and ask [`LogLimit::left_out`] after this time: it is the first one.
    LeaveOutUntil(Duration),
}

impl LogLimit {
    /// How many lines in each period.
    pub const LINES: u32 = 10;
    /// How long a period is.
    pub const PERIOD: Duration = Duration::from_secs(10);

    /// Whether a line may be logged now.
    pub fn line(&mut self, now: Instant) -> Line {
        let since = match self.since {
            Some(since) if now.saturating_duration_since(since) < Self::PERIOD => since,
            _ => {
                (self.since, self.lines) = (Some(now), 0);
                now
            }
        };
        if self.lines < Self::LINES {
            self.lines += 1;
            return Line::Log;
        }
        self.left_out += 1;
        match self.left_out {
            1 => Line::LeaveOutUntil(Self::PERIOD.saturating_sub(now.saturating_duration_since(since))),
            _ => Line::LeaveOut,
        }
    }

    /// How many lines were left out since this was asked last.
    pub fn left_out(&mut self) -> u64 {
        std::mem::take(&mut self.left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn a_flood_from_one_address_leaves_room_for_another() {
        let mut admission = Admission::default();
        let now = Instant::now();
        let admitted = (0..1000).filter(|_| admission.admit(ip(1), now).is_ok()).count();
        assert_eq!(admitted, PENDING_PER_SOURCE_MAX);
        assert_eq!(admission.admit(ip(1), now), Err(NotAdmitted::TooOften));
        assert_eq!(admission.admit(ip(2), now), Ok(()));
        for _ in 0..admitted {
            admission.done(ip(1));
        }
        // It is still too often, until time has passed.
        assert_eq!(admission.admit(ip(1), now), Err(NotAdmitted::TooOften));
        assert_eq!(admission.admit(ip(1), now + INTERVAL), Ok(()));
        assert_eq!(admission.admit(ip(1), now + INTERVAL), Err(NotAdmitted::TooOften));
        assert_eq!(admission.admit(ip(1), now + Duration::from_secs(60)), Ok(()));
    }

    #[test]
    fn the_patient_are_always_admitted() {
        let mut admission = Admission::default();
        let start = Instant::now();
        for round in 0..200 {
            assert_eq!(admission.admit(ip(1), start + INTERVAL * round), Ok(()), "{round}");
            admission.done(ip(1));
        }
    }

    #[test]
    fn everything_is_bounded() {
        let mut admission = Admission::default();
        let now = Instant::now();
        for source in 0..2000_u32 {
            let address = IpAddr::from((0x0A00_0000 + source).to_be_bytes());
            match admission.admit(address, now) {
                Ok(()) => assert!(source < 64),
                Err(NotAdmitted::TooMany) => assert!((64..1024).contains(&source), "{source}"),
                Err(error) => assert_eq!((error, source >= 1024), (NotAdmitted::TooManySources, true)),
            }
            assert!(admission.sources.len() <= SOURCES_MAX && admission.pending <= PENDING_MAX);
        }
        // Those that wait for nothing are forgotten for a new one.
        let later = now + Duration::from_secs(1);
        assert_eq!(admission.admit([192, 168, 0, 1].into(), later), Err(NotAdmitted::TooMany));
        assert_eq!(admission.sources.len(), 65);
    }

    #[test]
    fn an_ipv6_host_is_one_source_with_all_its_addresses() {
        let mut admission = Admission::default();
        let now = Instant::now();
        let admitted = (0..100_u16).filter(|n| {
            let address = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, *n);
            admission.admit(address.into(), now).is_ok()
        });
        assert_eq!(admitted.count(), PENDING_PER_SOURCE_MAX);
        // An IPv4 address is the same one when it comes by an IPv6 socket.
        for mapped in [false, true].into_iter().cycle().take(PENDING_PER_SOURCE_MAX) {
            let address = std::net::Ipv4Addr::new(10, 0, 0, 9);
            let address = if mapped { address.to_ipv6_mapped().into() } else { address.into() };
            assert_eq!(admission.admit(address, now), Ok(()));
        }
        assert_eq!(admission.admit(ip(9), now), Err(NotAdmitted::TooManyOfIt));
    }

    #[test]
    fn a_log_says_how_much_it_leaves_out() {
        let mut limit = LogLimit::default();
        let now = Instant::now();
        assert!((0..10).all(|_| limit.line(now) == Line::Log));
        let later = now + Duration::from_secs(1);
        assert_eq!(limit.line(later), Line::LeaveOutUntil(Duration::from_secs(9)));
        assert!((0..989).all(|_| limit.line(later) == Line::LeaveOut));
        let next = now + LogLimit::PERIOD;
        assert_eq!(limit.line(next), Line::Log);
        assert_eq!((limit.left_out(), limit.left_out()), (990, 0));
    }
}
