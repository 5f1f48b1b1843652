//! The console's tty, published and given back.

use xenvnc::xen::domains::Domain;
use xenvnc::xen::domains::{census, read_domain};
use xenvnc::xen::publish::{Endpoint, Publisher, TtyOutcome, TtyRecord};

use crate::common::xenstored::{Toolstack, Xenstored, domid, uuid};

const UPSTREAM: &str = "/dev/pts/4";
const OWN: &str = "/run/xenvnc/tty/7";

fn tty(upstream: Option<&str>) -> TtyRecord {
    TtyRecord { own: OWN.into(), upstream: upstream.map(str::to_owned) }
}

async fn start() -> (Xenstored, Toolstack, Publisher, Domain) {
    let xenstored = Xenstored::start();
    let toolstack = xenstored.toolstack().await;
    toolstack.make_domain(7, &uuid(7).to_string(), "guest").await;
    toolstack.set_tty(7, UPSTREAM).await;
    let store = xenstored.store().await;
    let domain = read_domain(&store, domid(7)).await.unwrap().unwrap();
    (xenstored, toolstack, Publisher::new(store), domain)
}

#[tokio::test]
async fn borrowed_tty_is_recorded_and_given_back() {
    let (xenstored, _toolstack, publisher, Domain { domid, uuid, .. }) = start().await;
    let node = || xenstored.independent_read("/local/domain/7/console/tty").unwrap();
    let publish = publisher.publish_tty(domid, uuid, &tty(Some(UPSTREAM)), UPSTREAM.as_bytes()).await;
    assert_eq!(publish.unwrap(), TtyOutcome::Published);
    assert_eq!(node(), OWN);
    assert_eq!(publisher.tty_record(domid, uuid).await.unwrap(), Some(tty(Some(UPSTREAM))));
    let dump = xenstored.dump("/");
    assert!(dump.contains(&format!("/tool/xenvnc/7/tty-upstream = \"{UPSTREAM}\"   (n0)")), "{dump}");
    // The guest may still read the node, as libxl wanted it.
    assert!(dump.contains(&format!("/local/domain/7/console/tty = \"{OWN}\"   (n0,r7)")), "{dump}");
    publisher.withdraw_tty(domid, uuid).await.unwrap();
    assert_eq!(node(), UPSTREAM);
    assert!(publisher.records().await.unwrap().is_empty());
}

#[tokio::test]
async fn tty_and_port_are_withdrawn_independently() {
    let (_xenstored, _toolstack, publisher, domain) = start().await;
    let (domid, uuid) = (domain.domid, domain.uuid);
    let endpoint = Endpoint { listen: "127.0.0.1".into(), port: 5999, password: None };
    for tty_first in [true, false] {
        publisher.publish(&domain, &endpoint).await.unwrap();
        publisher.publish_tty(domid, uuid, &tty(Some(UPSTREAM)), UPSTREAM.as_bytes()).await.unwrap();
        let record = publisher.records().await.unwrap().remove(0);
        assert_eq!((record.port, record.tty.is_some()), (Some(5999), true));
        if tty_first {
            publisher.withdraw_tty(domid, uuid).await.unwrap();
            let record = publisher.records().await.unwrap().remove(0);
            assert_eq!((record.port, record.tty), (Some(5999), None));
            publisher.withdraw(domid, uuid).await.unwrap();
        } else {
            publisher.withdraw(domid, uuid).await.unwrap();
            let record = publisher.records().await.unwrap().remove(0);
            assert_eq!((record.port, record.tty.is_some()), (None, true));
            publisher.withdraw_tty(domid, uuid).await.unwrap();
        }
        assert!(publisher.records().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn owned_ring_leaves_an_empty_node_behind() {
    let (xenstored, toolstack, publisher, Domain { domid, uuid, .. }) = start().await;
    toolstack.set_tty(7, "").await;
    let published = publisher.publish_tty(domid, uuid, &tty(None), b"").await.unwrap();
    assert_eq!(published, TtyOutcome::Published);
    publisher.withdraw_tty(domid, uuid).await.unwrap();
    assert_eq!(xenstored.independent_read("/local/domain/7/console/tty").unwrap(), "");
}

#[tokio::test]
async fn tty_that_changed_meanwhile_is_not_overwritten() {
    let (xenstored, toolstack, publisher, Domain { domid, uuid, .. }) = start().await;
    toolstack.set_tty(7, "/dev/pts/9").await;
    let outcome =
        publisher.publish_tty(domid, uuid, &tty(Some(UPSTREAM)), UPSTREAM.as_bytes()).await.unwrap();
    assert_eq!(outcome, TtyOutcome::Changed { tty: Some("/dev/pts/9".into()) });
    assert_eq!(publisher.tty_record(domid, uuid).await.unwrap(), None);
    // What xenconsoled wrote after us is its own, and stays at the end.
    publisher.publish_tty(domid, uuid, &tty(Some("/dev/pts/9")), b"/dev/pts/9").await.unwrap();
    toolstack.set_tty(7, "/dev/pts/11").await;
    publisher.withdraw_tty(domid, uuid).await.unwrap();
    assert_eq!(xenstored.independent_read("/local/domain/7/console/tty").unwrap(), "/dev/pts/11");
}

#[tokio::test]
async fn tty_of_a_vanished_domain_is_not_made_again() {
    let (_xenstored, toolstack, publisher, Domain { domid, uuid, .. }) = start().await;
    publisher.publish_tty(domid, uuid, &tty(Some(UPSTREAM)), UPSTREAM.as_bytes()).await.unwrap();
    toolstack.destroy_domain(7).await;
    let outcome = publisher.publish_tty(domid, uuid, &tty(Some(UPSTREAM)), OWN.as_bytes()).await.unwrap();
    assert_eq!(outcome, TtyOutcome::Vanished);
    publisher.withdraw_tty(domid, uuid).await.unwrap();
    assert!(!toolstack.store.exists("/local/domain/7").await.unwrap());
    assert!(!toolstack.store.exists("/tool/xenvnc").await.unwrap());
}

#[tokio::test]
async fn console_of_a_life_that_ended_is_given_back_at_the_next_start() {
    let (xenstored, toolstack, publisher, Domain { domid, uuid: before, .. }) = start().await;
    publisher.publish_tty(domid, before, &tty(Some(UPSTREAM)), UPSTREAM.as_bytes()).await.unwrap();
    // We die, the guest crashes and is preserved: same console, another UUID.
    let vm = format!("/vm/{}", uuid(70));
    toolstack.store.write("/local/domain/7/vm", vm.as_bytes()).await.unwrap();
    let alive = census(&toolstack.store, true).await.unwrap().domains;
    publisher.take_over(&alive).await.unwrap();
    assert_eq!(xenstored.independent_read("/local/domain/7/console/tty").unwrap(), UPSTREAM);
    assert!(publisher.records().await.unwrap().is_empty());
}
