//! What to do about the difference between who exists and who is served.

use std::collections::BTreeMap;

use super::Domain;
use crate::xen::{Domid, Uuid};

/// One thing to do. The domain in it is the new state, which is "running" once it is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Nobody of this UUID exists any more; whether its seat waits for a reboot is the caller's choice.
    Stop {
        /// Whose seat.
        uuid: Uuid,
        /// The number of the life that ended.
        domid: Domid,
    },
    /// The guest lives on under another number: it was rebooted, restored or migrated. Everything that belongs to
    /// the old number is void, name, console and all.
    Move {
        /// The number of the life that ended, or that lost the seat to a newer one.
        from: Domid,
        /// The new life.
        domain: Domain,
    },
    /// A guest that is not served yet.
    Start(Domain),
    /// It has another name now.
    Rename(Domain),
    /// Nodes of its console changed: it appeared, its pty is another one, or it was made anew.
    Console(Domain),
    /// What else is known of it changed: its kind, its framebuffer, the VNC port that is published, or what is wrong
    /// with its nodes.
    Details(Domain),
}

/// What to do so that those in `wanted`, a census, are served, when those in `running` are. `running` holds each
/// domain as the last action about it gave it.
///
/// Ends come first, since they free ports and consoles that beginnings may need; within the same kind the order is
/// that of the UUIDs.
///
/// **Two domains of one UUID** exist during a migration to the same host, and when a guest was copied by hand. There
/// is one seat, and the domain that appeared last owns it: in a migration the newer one is the future. Of those that
/// one census saw first together (after a start of ours) the higher number counts as the newer, because the
/// hypervisor counts upward; where it wrapped around, or libxl picks numbers at random, the elder keeps the seat until
/// it ends. The rule depends on nothing that changes from one census to the next, so that a seat never goes back and
/// forth. When the newer one ends first (a failed migration), the seat returns to the elder.
#[must_use]
pub fn plan(wanted: &[Domain], running: &[Domain]) -> Vec<Action> {
    let wanted = newest_of_each(wanted);
    let running = newest_of_each(running);
    let (mut ends, mut moves, mut starts, mut changes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (uuid, before) in &running {
        if !wanted.contains_key(uuid) {
            ends.push(Action::Stop { uuid: *uuid, domid: before.domid });
        }
    }
    for (uuid, &domain) in &wanted {
        match running.get(uuid) {
            None => starts.push(Action::Start(domain.clone())),
            Some(before) if before.domid != domain.domid => {
                moves.push(Action::Move { from: before.domid, domain: domain.clone() });
            }
            Some(before) => {
                if before.name != domain.name {
                    changes.push(Action::Rename(domain.clone()));
                }
                if before.console != domain.console {
                    changes.push(Action::Console(domain.clone()));
                }
                let details = |d: &Domain| (d.kind, d.has_vfb, d.vnc_port, d.appeared, d.problems.clone());
                if details(before) != details(domain) {
                    changes.push(Action::Details(domain.clone()));
                }
            }
        }
    }
    [ends, moves, starts, changes].concat()
}

fn newest_of_each(domains: &[Domain]) -> BTreeMap<Uuid, &Domain> {
    let mut newest: BTreeMap<Uuid, &Domain> = BTreeMap::new();
    for domain in domains {
        let age = |domain: &Domain| (domain.appeared, domain.domid);
        let owner = newest.entry(domain.uuid).or_insert(domain);
        if age(domain) > age(owner) {
            *owner = domain;
        }
    }
    newest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xen::domains::{ConsoleNodes, DomainName, Kind};
    use proptest::prelude::*;

    fn domain(uuid: u8, domid: u16, appeared: u64) -> Domain {
        Domain {
            domid: Domid::new(domid).unwrap(),
            uuid: Uuid::from_bytes([uuid; 16]),
            name: DomainName::from_node(b"guest").0,
            kind: Some(Kind::Pv),
            has_vfb: false,
            console: ConsoleNodes::default(),
            vnc_port: None,
            appeared,
            problems: Vec::new(),
        }
    }

    fn domid(number: u16) -> Domid {
        Domid::new(number).unwrap()
    }

    #[test]
    fn nothing_to_do_when_all_is_served() {
        let all = [domain(1, 1, 1), domain(2, 2, 1)];
        assert!(plan(&all, &all).is_empty());
        assert!(plan(&[], &[]).is_empty());
    }

    #[test]
    fn domains_come_and_go() {
        let (a, b) = (domain(1, 1, 1), domain(2, 2, 1));
        assert_eq!(
            plan(std::slice::from_ref(&b), std::slice::from_ref(&a)),
            [Action::Stop { uuid: a.uuid, domid: a.domid }, Action::Start(b)]
        );
    }

    #[test]
    fn reboot_is_a_move() {
        let (before, after) = (domain(1, 1, 1), domain(1, 9, 3));
        let actions = plan(std::slice::from_ref(&after), &[before]);
        assert_eq!(actions, [Action::Move { from: domid(1), domain: after }]);
    }

    #[test]
    fn number_that_passed_to_another_guest_ends_the_first_before_it_starts_the_second() {
        let (before, after) = (domain(2, 7, 1), domain(1, 7, 2));
        let actions = plan(std::slice::from_ref(&after), std::slice::from_ref(&before));
        assert_eq!(actions, [Action::Stop { uuid: before.uuid, domid: domid(7) }, Action::Start(after)]);
    }

    #[test]
    fn preserved_crash_gives_the_old_life_a_seat_of_its_own() {
        // on_crash="preserve" gives the dead domain another UUID; its successor has the old one.
        let before = domain(1, 5, 1);
        let (preserved, successor) = (domain(9, 5, 2), domain(1, 6, 2));
        let actions = plan(&[preserved.clone(), successor.clone()], &[before]);
        assert_eq!(actions, [Action::Move { from: domid(5), domain: successor }, Action::Start(preserved)]);
    }

    #[test]
    fn changes_are_told_apart() {
        let before = domain(1, 1, 1);
        let renamed = Domain { name: DomainName::from_node(b"other").0, ..before.clone() };
        assert_eq!(
            plan(std::slice::from_ref(&renamed), std::slice::from_ref(&before)),
            [Action::Rename(renamed)]
        );
        let console = ConsoleNodes { tty: Some("/dev/pts/1".into()), ..ConsoleNodes::default() };
        let with_console = Domain { console, ..before.clone() };
        assert_eq!(
            plan(std::slice::from_ref(&with_console), std::slice::from_ref(&before)),
            [Action::Console(with_console)]
        );
        let with_vfb = Domain { has_vfb: true, ..before.clone() };
        assert_eq!(plan(std::slice::from_ref(&with_vfb), &[before]), [Action::Details(with_vfb)]);
    }

    #[test]
    fn migration_to_the_same_host_moves_the_seat_once_and_back_when_it_fails() {
        let source = domain(1, 5, 1);
        // Numbers that wrapped around: the newer has the lower one.
        for number in [3, 8] {
            let target = domain(1, number, 2);
            let both = [source.clone(), target.clone()];
            let moved = Action::Move { from: domid(5), domain: target.clone() };
            assert_eq!(plan(&both, std::slice::from_ref(&source)), [moved]);
            assert!(plan(&both, std::slice::from_ref(&target)).is_empty());
            let returned = Action::Move { from: domid(number), domain: source.clone() };
            assert_eq!(plan(std::slice::from_ref(&source), std::slice::from_ref(&target)), [returned]);
        }
    }

    #[test]
    fn of_two_that_were_there_at_our_start_the_higher_number_is_the_newer() {
        let (low, high) = (domain(1, 5, 1), domain(1, 8, 1));
        assert_eq!(plan(&[high.clone(), low.clone()], &[]), [Action::Start(high.clone())]);
        assert_eq!(plan(&[low, high.clone()], &[]), [Action::Start(high)]);
    }

    fn any_domain() -> impl Strategy<Value = Domain> {
        let parts = (0..4_u8, 1..6_u16, 0..3_u64, 0..2_u8, any::<bool>(), proptest::option::of(0..2_u32));
        parts.prop_map(|(uuid, number, appeared, name, has_vfb, port)| Domain {
            name: DomainName::from_node(&[b'a' + name]).0,
            has_vfb,
            console: ConsoleNodes { port, ..ConsoleNodes::default() },
            ..domain(uuid, number, appeared)
        })
    }

    /// Does what a plan says.
    fn carry_out(running: &[Domain], actions: Vec<Action>) -> Vec<Domain> {
        let mut seats: BTreeMap<Uuid, Domain> =
            newest_of_each(running).into_iter().map(|(uuid, domain)| (uuid, domain.clone())).collect();
        for action in actions {
            match action {
                Action::Stop { uuid, domid } => assert_eq!(seats.remove(&uuid).map(|d| d.domid), Some(domid)),
                Action::Move { from, domain } => {
                    let before = seats.insert(domain.uuid, domain);
                    assert_eq!(before.map(|d| d.domid), Some(from));
                }
                Action::Start(domain) => assert!(seats.insert(domain.uuid, domain).is_none()),
                Action::Rename(domain) | Action::Console(domain) | Action::Details(domain) => {
                    let before = seats.insert(domain.uuid, domain.clone());
                    assert_eq!(before.map(|d| d.domid), Some(domain.domid));
                }
            }
        }
        seats.into_values().collect()
    }

    proptest! {
        #[test]
        fn carrying_a_plan_out_leaves_nothing_to_do(
            wanted in prop::collection::vec(any_domain(), 0..6),
            running in prop::collection::vec(any_domain(), 0..6),
        ) {
            let served = carry_out(&running, plan(&wanted, &running));
            prop_assert!(plan(&wanted, &served).is_empty());
            prop_assert_eq!(served.len(), newest_of_each(&wanted).len());
        }
    }
}
