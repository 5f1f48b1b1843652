//! Watches against the real xenstored.

use std::collections::HashSet;

use xenvnc::xen::store::WatchEvent;

use crate::common::within;
use crate::common::xenstored::{Xenstored, domid, uuid};
use crate::{armed, poll_once, registered_watches};

#[tokio::test]
async fn a_slow_watcher_delays_nobody_and_misses_nothing() {
    let xenstored = Xenstored::start();
    let store = xenstored.store().await;
    let mut slow = armed(&store, "/busy").await;
    let mut flooded = armed(&store, "/busy").await;
    // Far more events than any queue holds, while nobody takes them and the same connection is in use.
    for round in 0..3 {
        for number in 0..200 {
            let path = format!("/busy/{number}");
            within("a write", store.write(&path, round.to_string().as_bytes())).await.unwrap();
        }
    }
    // Each path once, however often it changed.
    let mut told = HashSet::new();
    while told.len() < 200 {
        match within("an event", slow.next()).await {
            WatchEvent::Changed(path) => assert!(told.insert(path)),
            WatchEvent::Resync => panic!("200 paths fit"),
        }
    }
    assert_eq!(slow.try_next(), None);

    for number in 0..2000 {
        store.write(&format!("/busy/more-{number}"), b"").await.unwrap();
    }
    assert_eq!(within("an event", flooded.next()).await, WatchEvent::Resync);
}

#[tokio::test]
async fn a_watcher_may_use_the_store_while_events_pour_in() {
    let xenstored = Xenstored::start();
    let store = xenstored.store().await;
    let writer = xenstored.store().await;
    let mut watch = armed(&store, "/pour").await;
    let pour = tokio::spawn(async move {
        for number in 0..200 {
            writer.write(&format!("/pour/{number}"), b"x").await.unwrap();
        }
    });
    let mut read = HashSet::new();
    while read.len() < 200 {
        let WatchEvent::Changed(path) = within("an event", watch.next()).await else { panic!("resync") };
        if path != "/pour" {
            assert_eq!(within("a read", store.read(&path)).await.unwrap(), b"x");
            read.insert(path);
        }
    }
    pour.await.unwrap();
}

#[tokio::test]
async fn dropped_and_cancelled_watches_leave_nothing_registered() {
    let xenstored = Xenstored::start();
    let store = xenstored.store().await;
    let kept = armed(&store, "/count/kept").await;
    let before = registered_watches(&xenstored);
    assert_eq!(before, 1);
    for number in 0..100 {
        let path = format!("/count/{number}");
        let mut creation = Box::pin(store.watch(&path));
        assert!(poll_once(creation.as_mut()).await.is_none());
        // Some are dropped while the request is on its way, some when it was answered already.
        if number % 2 == 0 {
            tokio::task::yield_now().await;
        }
        if number % 10 == 0 {
            store.exists("/").await.unwrap();
        }
    }
    for number in 0..100 {
        drop(armed(&store, &format!("/count/{number}")).await);
    }
    // Requests are served in order, so that everything before this one is done.
    store.exists("/").await.unwrap();
    assert_eq!(registered_watches(&xenstored), 1);
    drop(kept);
    store.exists("/").await.unwrap();
    assert_eq!(registered_watches(&xenstored), 0);
}

#[tokio::test]
async fn domains_come_and_go() {
    let xenstored = Xenstored::start();
    let toolstack = xenstored.toolstack().await;
    let store = xenstored.store().await;
    let mut introduced = armed(&store, "@introduceDomain").await;
    let mut released = armed(&store, "@releaseDomain").await;
    assert!(!store.is_introduced(domid(7)).await.unwrap());
    toolstack.make_domain(7, &uuid(7).to_string(), "seven").await;
    assert_eq!(within("the news", introduced.next()).await, WatchEvent::Changed("@introduceDomain".into()));
    assert!(store.is_introduced(domid(7)).await.unwrap());
    assert_eq!(store.domain_path(domid(7)).await.unwrap(), "/local/domain/7");
    toolstack.destroy_domain(7).await;
    assert_eq!(within("the news", released.next()).await, WatchEvent::Changed("@releaseDomain".into()));
    assert!(!store.is_introduced(domid(7)).await.unwrap());
}
