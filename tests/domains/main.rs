//! The census and what we publish, on the real xenstored.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test reports by failing, a measurement by printing"
)]

#[path = "../common/mod.rs"]
mod common;
mod publish;
mod run_states;
mod tty;

use std::collections::BTreeSet;
use std::time::Instant;

use common::xenstored::{Toolstack, Xenstored, domid, uuid};
use xenvnc::xen::domains::{
    Census, ConsoleKind, DomainError, Kind, Lookout, NameProblem, Problem, census, newest_of_each,
    read_domain,
};
use xenvnc::xen::paths;

fn domids(census: &Census) -> Vec<u16> {
    census.domains.iter().map(|domain| domain.domid.get()).collect()
}

#[tokio::test]
async fn domain_as_libxl_makes_it_is_read_whole() {
    let xenstored = Xenstored::start();
    let toolstack = xenstored.toolstack().await;
    assert_eq!(read_domain(&toolstack.store, domid(7)).await.unwrap(), None);
    toolstack.make_domain(7, &uuid(7).to_string(), "tiny").await;
    toolstack.set_tty(7, "/dev/pts/3").await;
    let domain = read_domain(&toolstack.store, domid(7)).await.unwrap().unwrap();
    assert_eq!((domain.domid, domain.uuid, domain.name.as_str()), (domid(7), uuid(7), "tiny"));
    assert_eq!((domain.kind, domain.has_vfb, domain.vnc_port), (Some(Kind::Pv), false, None));
    assert_eq!(domain.console.tty.as_deref(), Some("/dev/pts/3"));
    assert_eq!((domain.console.ring_ref, domain.console.port), (Some(1_470_466), Some(2)));
    assert_eq!(domain.console.kind, Some(ConsoleKind::Xenconsoled));
    assert!(domain.problems.is_empty());
    assert!(!domain.has_device_model_vnc());

    toolstack.make_domain_of_kind(8, &uuid(8).to_string(), "hvm", "hvm", false).await;
    toolstack.make_domain_of_kind(9, &uuid(9).to_string(), "vfb", "pvh", true).await;
    let found = census(&toolstack.store, false).await.unwrap();
    assert_eq!(domids(&found), [7, 8, 9]);
    assert!(found.domains[1].has_device_model_vnc());
    assert_eq!((found.domains[2].kind, found.domains[2].has_vfb), (Some(Kind::Pvh), true));
}

#[tokio::test]
async fn domain_0_and_half_made_domains_do_not_exist() {
    let xenstored = Xenstored::start();
    let Toolstack { store } = &xenstored.toolstack().await;
    assert!(census(store, false).await.unwrap().domains.is_empty());
    for (path, value) in [
        ("/local/domain/0/vm", "/vm/00000000-0000-0000-0000-000000000000"),
        ("/local/domain/0/name", "Domain-0"),
        ("/local/domain/3/name", "no vm"),
        ("/local/domain/4/vm", "/vm/00000000-0000-0000-0000-000000000004"),
        ("/local/domain/05/vm", "/vm/00000000-0000-0000-0000-000000000005"),
        ("/local/domain/05/name", "not a number"),
        ("/local/domain/x/name", "not a number"),
    ] {
        store.write(path, value.as_bytes()).await.unwrap();
    }
    let found = census(store, false).await.unwrap();
    assert!(found.domains.is_empty() && found.skipped.is_empty(), "{found:?}");
}

#[tokio::test]
async fn hostile_nodes_harm_only_their_own_domain() {
    let xenstored = Xenstored::start();
    let toolstack = xenstored.toolstack().await;
    for number in 1..=6 {
        toolstack.make_domain(number, &uuid(number).to_string(), "x").await;
    }
    let write = async |path: &str, value: &[u8]| toolstack.store.write(path, value).await.unwrap();
    write("/local/domain/1/vm", b"/vm/../../etc").await;
    write("/local/domain/2/vm", b"").await;
    write("/local/domain/3/name", b"\xff\x1b[2J").await;
    write("/local/domain/4/name", b"").await;
    write("/local/domain/5/console/tty", b"dev/pts/\0").await;
    write("/local/domain/5/console/port", b"-1").await;
    write("/local/domain/5/console/vnc-port", &[b'9'; 3000]).await;
    write("/libxl/5/type", b"toaster").await;

    let found = census(&toolstack.store, false).await.unwrap();
    assert_eq!(domids(&found), [3, 4, 5, 6]);
    let skipped: Vec<u16> = found.skipped.iter().map(|(domid, _)| domid.get()).collect();
    assert_eq!(skipped, [1, 2]);
    for (_, error) in &found.skipped {
        assert!(matches!(error, DomainError::Identity { .. }), "{error:?}");
    }
    assert_eq!(found.domains[0].name.as_str(), "\u{fffd}\u{fffd}[2J");
    assert_eq!(found.domains[0].problems, [Problem::Name(NameProblem::NotText)]);
    assert_eq!(found.domains[1].problems, [Problem::Name(NameProblem::Empty)]);
    let five = &found.domains[2];
    assert_eq!(
        (five.kind, five.console.tty.as_ref(), five.console.port, five.vnc_port),
        (None, None, None, None)
    );
    assert_eq!(five.problems.len(), 4, "{:?}", five.problems);
    assert!(five.problems.iter().all(|problem| problem.to_string().len() < 200));
}

#[tokio::test]
async fn with_a_hypervisor_a_domain_exists_from_introduction_to_release() {
    let xenstored = Xenstored::start();
    let toolstack = xenstored.toolstack().await;
    let mut lookout = Lookout::new(toolstack.store.clone(), true);
    toolstack.make_home(7, &uuid(7).to_string(), "seven", "pv").await;
    assert!(domids(&lookout.census().await.unwrap()).is_empty());
    toolstack.introduce(7).await;
    let found = lookout.census().await.unwrap();
    assert_eq!(domids(&found), [7]);
    assert_eq!(found.domains[0].appeared, 2);
    assert_eq!(found.domains[0].console.ring_ref, None);
    toolstack.make_console(7).await;
    assert_eq!(lookout.census().await.unwrap().domains[0].appeared, 2);
    toolstack.release(7).await;
    assert!(domids(&lookout.census().await.unwrap()).is_empty());
}

#[tokio::test]
async fn without_one_the_home_decides_until_the_release_was_seen() {
    let xenstored = Xenstored::start();
    let toolstack = xenstored.toolstack().await;
    let mut lookout = Lookout::new(toolstack.store.clone(), false);
    toolstack.make_home(7, &uuid(7).to_string(), "seven", "pv").await;
    assert_eq!(domids(&lookout.census().await.unwrap()), [7]);
    toolstack.introduce(7).await;
    assert_eq!(domids(&lookout.census().await.unwrap()), [7]);
    toolstack.release(7).await;
    assert!(domids(&lookout.census().await.unwrap()).is_empty());
    // One that never saw it introduced goes by the home.
    assert_eq!(domids(&census(&toolstack.store, false).await.unwrap()), [7]);
    toolstack.remove_home(7).await;
    assert!(domids(&lookout.census().await.unwrap()).is_empty());
}

#[tokio::test]
async fn seat_of_a_guest_passes_to_its_newest_life() {
    let xenstored = Xenstored::start();
    let toolstack = xenstored.toolstack().await;
    let mut lookout = Lookout::new(toolstack.store.clone(), true);
    let name = uuid(1).to_string();
    let mut owner = async || {
        let owners = newest_of_each(lookout.census().await.unwrap().domains);
        owners
            .get(&uuid(1))
            .map(|domain| (domain.domid, domain.name.as_str().to_owned(), domain.console.tty.clone()))
    };
    assert_eq!(owner().await, None);
    toolstack.make_domain(5, &name, "guest").await;
    assert_eq!(owner().await, Some((domid(5), "guest".to_owned(), None)));
    toolstack.set_tty(5, "/dev/pts/1").await;
    toolstack.rename(5, "renamed").await;
    assert_eq!(owner().await, Some((domid(5), "renamed".to_owned(), Some("/dev/pts/1".to_owned()))));
    // A reboot between two looks, then a migration to the same host: the new life takes the seat, with the lower
    // number as well.
    toolstack.destroy_domain(5).await;
    toolstack.make_domain(6, &name, "renamed").await;
    assert_eq!(owner().await.unwrap().0, domid(6));
    toolstack.make_domain(2, &name, "renamed").await;
    assert_eq!(owner().await.unwrap().0, domid(2));
    toolstack.destroy_domain(6).await;
    assert_eq!(owner().await.unwrap().0, domid(2));
    toolstack.destroy_domain(2).await;
    assert_eq!(owner().await, None);
}

#[tokio::test]
async fn looking_at_one_domain_agrees_with_the_census() {
    let xenstored = Xenstored::start();
    let toolstack = xenstored.toolstack().await;
    let mut lookout = Lookout::new(toolstack.store.clone(), true);
    assert!(lookout.look(domid(5)).await.unwrap().is_none());
    toolstack.make_domain(5, &uuid(1).to_string(), "guest").await;
    let seen = lookout.look(domid(5)).await.unwrap().unwrap();
    let census = lookout.census().await.unwrap();
    assert_eq!(census.domains, std::slice::from_ref(&seen));
    toolstack.make_domain(3, &uuid(1).to_string(), "guest").await;
    assert!(lookout.look(domid(3)).await.unwrap().unwrap().is_newer_than(&seen));
    toolstack.destroy_domain(5).await;
    assert!(lookout.look(domid(5)).await.unwrap().is_none());
}

#[tokio::test]
async fn domains_that_come_and_go_during_a_census_do_no_harm() {
    let xenstored = Xenstored::start();
    let (steady, moving) = (xenstored.toolstack().await, xenstored.toolstack().await);
    for number in 1..=20 {
        steady.make_domain(number, &uuid(number).to_string(), "steady").await;
    }
    let churn = async {
        for round in 0..15 {
            // The same numbers for other guests each time.
            for number in 100..103 {
                moving.make_domain(number, &uuid(1000 + round * 10 + number).to_string(), "moving").await;
            }
            for number in 100..103 {
                moving.destroy_domain(number).await;
            }
        }
    };
    let mut lookout = Lookout::new(steady.store.clone(), true);
    let look = async {
        for _ in 0..100 {
            let found = lookout.census().await.unwrap();
            assert_eq!(found.domains.iter().filter(|domain| domain.name.as_str() == "steady").count(), 20);
            for domain in found.domains.iter().filter(|domain| domain.name.as_str() == "moving") {
                assert!(domain.uuid > uuid(1000));
            }
        }
    };
    tokio::join!(churn, look);
    assert_eq!(domids(&lookout.census().await.unwrap()).len(), 20);
}

#[tokio::test]
async fn glance_reads_what_changed_and_sees_who_came_and_went() {
    let xenstored = Xenstored::start();
    let toolstack = xenstored.toolstack().await;
    for number in 1..=4 {
        toolstack.make_domain(number, &uuid(number).to_string(), "guest").await;
    }
    let mut lookout = Lookout::new(toolstack.store.clone(), true);
    assert_eq!(domids(&lookout.census().await.unwrap()), [1, 2, 3, 4]);
    for number in 1..=2 {
        toolstack.rename(number, "renamed").await;
    }
    let path = "/local/domain/2/name";
    let found = lookout.glance(&paths::domain_of(path).into_iter().collect()).await.unwrap();
    let names: Vec<_> = found.domains.iter().map(|domain| domain.name.as_str()).collect();
    assert_eq!(names, ["guest", "renamed", "guest", "guest"]);
    // One goes, one is new, one number passes to another guest: none of them needs to be named.
    toolstack.release(1).await;
    toolstack.destroy_domain(3).await;
    toolstack.make_domain(3, &uuid(30).to_string(), "another").await;
    toolstack.make_domain(9, &uuid(9).to_string(), "new").await;
    let found = lookout.glance(&BTreeSet::new()).await.unwrap();
    let uuids: Vec<_> = found.domains.iter().map(|domain| domain.uuid).collect();
    assert_eq!(uuids, [uuid(2), uuid(30), uuid(4), uuid(9)]);
    toolstack.remove_home(4).await;
    assert_eq!(domids(&lookout.glance(&BTreeSet::new()).await.unwrap()), [2, 3, 9]);
    // It comes back when it is introduced again.
    toolstack.introduce(1).await;
    assert_eq!(domids(&lookout.glance(&BTreeSet::new()).await.unwrap()), [1, 2, 3, 9]);
}

#[tokio::test]
async fn census_of_200_domains_finds_them_all() {
    many_domains(200).await;
}

#[tokio::test]
async fn census_of_1500_domains_finds_them_all() {
    many_domains(1500).await;
}

async fn many_domains(wanted: u16) {
    let xenstored = Xenstored::start();
    let Toolstack { store } = &xenstored.toolstack().await;
    let write = async |number: u16, node: &str, value: &str| {
        store.write(&format!("/local/domain/{number}/{node}"), value.as_bytes()).await.unwrap();
    };
    for number in 1..=wanted {
        let vm = format!("/vm/{}", uuid(number));
        tokio::join!(
            write(number, "vm", &vm),
            write(number, "name", "guest"),
            write(number, "console/tty", "/dev/pts/1"),
            write(number, "console/port", "2"),
            write(number, "console/ring-ref", "1470466"),
        );
    }
    for number in 1..=wanted {
        store.introduce(domid(number), 1, 1).await.unwrap();
    }
    let mut lookout = Lookout::new(xenstored.store().await, true);
    for what in ["census", "glance"] {
        let start = Instant::now();
        let found = match what {
            "census" => lookout.census().await.unwrap(),
            _ => lookout.glance(&BTreeSet::new()).await.unwrap(),
        };
        println!("{what} of {wanted} domains: {:?}", start.elapsed());
        assert_eq!(domids(&found), (1..=wanted).collect::<Vec<_>>());
        assert!(found.skipped.is_empty());
        assert!(found.domains.iter().all(|domain| domain.uuid == uuid(domain.domid.get())));
        assert!(found.domains.iter().all(|domain| domain.console.port == Some(2)));
    }
}
