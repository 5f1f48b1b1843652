//! Which TCP port a seat gets.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use crate::xen::Uuid;

/// The ports that `xl vncviewer` can name. It passes the port less 5900 as a display number, and viewers take numbers
/// of 100 and above for something else (TigerVNC, `common/network/TcpSocket.cxx`).
pub const DEFAULT_PORTS: RangeInclusive<u16> = 5900..=5999;

/// Gives each guest a port and remembers which, so that it has the same one after a reboot.
///
/// libxl and QEMU give out ports from 5900 upward, hence we go from the top down. It only proposes: whether a port is
/// free shows when somebody binds it.
#[derive(Debug, Clone)]
pub struct Ports {
    range: RangeInclusive<u16>,
    /// At most one guest for each port, hence bounded by the range.
    assigned: BTreeMap<u16, Assignment>,
}

#[derive(Debug, Clone, Copy)]
struct Assignment {
    uuid: Uuid,
    /// Whether a seat listens there now, or is only expected back.
    in_use: bool,
}

impl Ports {
    /// None given out yet.
    #[must_use]
    pub fn new(range: RangeInclusive<u16>) -> Self {
        Self { range, assigned: BTreeMap::new() }
    }

    /// Says that a guest had this port, in an earlier run of ours for instance, and should get it again. What is in
    /// use or outside of the range is not touched by that.
    pub fn remember(&mut self, uuid: Uuid, port: u16) {
        let in_use = |assignment: &Assignment| assignment.in_use;
        if self.range.contains(&port)
            && !self.assigned.get(&port).is_some_and(in_use)
            && !self.find(uuid).is_some_and(|(_, assignment)| in_use(&assignment))
        {
            self.put(uuid, port, false);
        }
    }

    /// The ports to try for this guest, best first: the one that it had; then those that nobody had, from the top
    /// down; and only then those that others had who are not here now. None in use is among them. When binding all
    /// of them fails, or there are none, the range is exhausted.
    #[must_use]
    pub fn candidates(&self, uuid: Uuid) -> Vec<u16> {
        let own = self.find(uuid).map(|(port, _)| port);
        let from_the_top = || self.range.clone().rev().filter(move |&port| Some(port) != own);
        let free = from_the_top().filter(|port| !self.assigned.contains_key(port));
        let expected_by_others = from_the_top()
            .filter(|port| self.assigned.get(port).is_some_and(|assignment| !assignment.in_use));
        own.into_iter().chain(free).chain(expected_by_others).collect()
    }

    /// Says that the guest's seat listens on this port now.
    pub fn assign(&mut self, uuid: Uuid, port: u16) {
        if self.range.contains(&port) {
            self.put(uuid, port, true);
        }
    }

    /// Says that the guest's seat does not listen any more. Its port stays remembered.
    pub fn release(&mut self, uuid: Uuid) {
        for assignment in self.assigned.values_mut().filter(|assignment| assignment.uuid == uuid) {
            assignment.in_use = false;
        }
    }

    fn put(&mut self, uuid: Uuid, port: u16, in_use: bool) {
        self.assigned.retain(|_, assignment| assignment.uuid != uuid);
        self.assigned.insert(port, Assignment { uuid, in_use });
    }

    fn find(&self, uuid: Uuid) -> Option<(u16, Assignment)> {
        self.assigned.iter().find(|(_, other)| other.uuid == uuid).map(|(&port, &found)| (port, found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn uuid(number: u8) -> Uuid {
        Uuid::from_bytes([number; 16])
    }

    fn first(ports: &Ports, guest: u8) -> Option<u16> {
        ports.candidates(uuid(guest)).first().copied()
    }

    #[test]
    fn from_the_top_down_and_none_twice() {
        let mut ports = Ports::new(DEFAULT_PORTS);
        for (guest, wanted) in [(1, 5999), (2, 5998), (3, 5997)] {
            assert_eq!(first(&ports, guest), Some(wanted));
            ports.assign(uuid(guest), wanted);
        }
    }

    #[test]
    fn a_guest_that_returns_gets_its_port_and_others_do_not() {
        let mut ports = Ports::new(5990..=5992);
        ports.assign(uuid(1), 5992);
        ports.release(uuid(1));
        assert_eq!(ports.candidates(uuid(2)), [5991, 5990, 5992]);
        ports.assign(uuid(2), 5991);
        assert_eq!(ports.candidates(uuid(1)), [5992, 5990]);
    }

    #[test]
    fn expected_port_goes_to_another_only_when_none_else_is_left() {
        let mut ports = Ports::new(5998..=5999);
        ports.remember(uuid(1), 5999);
        ports.assign(uuid(2), 5998);
        assert_eq!(ports.candidates(uuid(3)), [5999]);
        ports.assign(uuid(3), 5999);
        // Its own is lost, and nothing is left.
        assert_eq!(first(&ports, 1), None);
        ports.release(uuid(2));
        assert_eq!(ports.candidates(uuid(1)), [5998]);
    }

    #[test]
    fn exhausted_range_proposes_nothing() {
        let mut ports = Ports::new(5999..=5999);
        ports.assign(uuid(1), 5999);
        assert!(ports.candidates(uuid(2)).is_empty());
        assert!(Ports::new(RangeInclusive::new(2, 1)).candidates(uuid(1)).is_empty());
    }

    #[test]
    fn memories_that_make_no_sense_are_ignored() {
        let mut ports = Ports::new(DEFAULT_PORTS);
        ports.remember(uuid(1), 80);
        assert_eq!(first(&ports, 1), Some(5999));
        ports.assign(uuid(1), 5950);
        // An old record of another guest, and an old one of this guest.
        ports.remember(uuid(2), 5950);
        ports.remember(uuid(1), 5960);
        assert_eq!(first(&ports, 1), Some(5950));
        assert_eq!(first(&ports, 2), Some(5999));
    }

    #[derive(Debug, Clone)]
    enum Step {
        Start(u8),
        Stop(u8),
        Remember(u8, u16),
    }

    fn step() -> impl Strategy<Value = Step> {
        let guest = 0..12_u8;
        prop_oneof![
            guest.clone().prop_map(Step::Start),
            guest.clone().prop_map(Step::Stop),
            (guest, 5985..6005_u16).prop_map(|(guest, port)| Step::Remember(guest, port)),
        ]
    }

    proptest! {
        #[test]
        fn no_port_is_used_twice(
            steps in prop::collection::vec(step(), 0..60),
            busy in prop::collection::btree_set(5990..6000_u16, 0..4),
        ) {
            let mut ports = Ports::new(5990..=5999);
            let mut listening: BTreeMap<u8, u16> = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Start(guest) if !listening.contains_key(&guest) => {
                        let candidates = ports.candidates(uuid(guest));
                        prop_assert!(candidates.iter().all(|port| (5990..=5999).contains(port)));
                        prop_assert!(candidates.iter().all(|port| !listening.values().any(|used| used == port)));
                        if let Some(&port) = candidates.iter().find(|port| !busy.contains(port)) {
                            ports.assign(uuid(guest), port);
                            listening.insert(guest, port);
                        } else {
                            prop_assert_eq!(listening.len() + busy.len(), 10);
                        }
                    }
                    Step::Start(_) => {}
                    Step::Stop(guest) => {
                        ports.release(uuid(guest));
                        listening.remove(&guest);
                    }
                    Step::Remember(guest, port) => ports.remember(uuid(guest), port),
                }
                prop_assert!(ports.assigned.len() <= 10);
            }
        }
    }
}
