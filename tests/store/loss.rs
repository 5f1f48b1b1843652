//! A xenstored that is absent, dies and comes back.

use xenvnc::xen::store::{Address, Link, Store, StoreError, Transaction, WatchEvent};

use crate::common::xenstored::Xenstored;
use crate::common::{eventually, within};
use crate::{armed, registered_watches};

#[tokio::test]
async fn absent_xenstored_is_a_clear_error_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("socket");
    let error = Store::connect(Address::At(socket.clone())).await.unwrap_err();
    assert!(matches!(&error, StoreError::Connect { path, .. } if *path == socket), "{error:?}");
    assert!(error.to_string().contains(socket.to_str().unwrap()), "{error}");
}

#[tokio::test]
async fn killed_xenstored_fails_what_waits_and_resyncs_watchers() {
    let mut xenstored = Xenstored::start();
    let store = xenstored.store().await;
    let mut link = store.state();
    assert_eq!(*link.borrow_and_update(), Link::Connected);
    let mut watch = armed(&store, "/watched").await;
    store.write("/watched", b"1").await.unwrap();

    // Calls without pause, through the death: each ends, none hangs.
    let caller = store.clone();
    let calls = tokio::spawn(async move {
        loop {
            if let Err(error) = caller.read("/watched").await {
                return error;
            }
        }
    });
    tokio::task::yield_now().await;
    xenstored.kill();
    let error = within("the waiting call to fail", calls).await.unwrap();
    assert!(matches!(error, StoreError::ConnectionLost), "{error:?}");
    within("the loss to be reported", link.wait_for(|link| *link == Link::Disconnected)).await.unwrap();

    // While it is away everything fails at once, too.
    assert!(within("a read", store.read("/watched")).await.unwrap_err().is_disconnected());
    assert!(within("a watch", store.watch("/x")).await.unwrap_err().is_disconnected());
    let transaction = store.transaction(async |_| Ok::<_, StoreError>(()));
    assert!(within("a transaction", transaction).await.unwrap_err().is_disconnected());

    xenstored.restart();
    within("the link", link.wait_for(|link| *link == Link::Connected)).await.unwrap();
    // What waited from before stands behind the resync, or is swallowed by it.
    eventually("the resync", || {
        let event = watch.try_next();
        async move { (event == Some(WatchEvent::Resync)).then_some(()) }
    })
    .await;
    // Its store is empty now, and the watch works on the new one.
    assert_eq!(store.read_optional("/watched").await.unwrap(), None);
    store.write("/watched/again", b"2").await.unwrap();
    loop {
        if within("the change", watch.next()).await == WatchEvent::Changed("/watched/again".into()) {
            break;
        }
    }
    assert_eq!(xenstored.independent_read("/watched/again").unwrap(), "2");
}

#[tokio::test]
async fn watch_dropped_while_xenstored_is_away_does_not_come_back() {
    let mut xenstored = Xenstored::start();
    let store = xenstored.store().await;
    let mut link = store.state();
    let (dropped, _kept) = (armed(&store, "/count/a").await, armed(&store, "/count/b").await);
    xenstored.kill();
    within("the loss", link.wait_for(|link| *link == Link::Disconnected)).await.unwrap();
    drop(dropped);
    xenstored.restart();
    within("the link", link.wait_for(|link| *link == Link::Connected)).await.unwrap();
    store.exists("/").await.unwrap();
    assert_eq!(registered_watches(&xenstored), 1);
}

#[tokio::test]
async fn transaction_does_not_go_on_over_a_lost_connection() {
    let mut xenstored = Xenstored::start();
    let store = xenstored.store().await;
    let mut link = store.state();
    let (midway, at_midway) = tokio::sync::oneshot::channel();
    let (go_on, may_go_on) = tokio::sync::oneshot::channel::<()>();
    let channels = std::cell::RefCell::new(Some((midway, may_go_on)));
    let transaction = store.transaction(async |t: Transaction| {
        t.write("/half/a", b"1").await?;
        let (midway, may_go_on) = channels.take().unwrap();
        midway.send(()).unwrap();
        may_go_on.await.unwrap();
        // The new xenstored gives the same numbers again: this must not land in another's transaction.
        t.write("/half/b", b"2").await
    });
    let intervene = async {
        at_midway.await.unwrap();
        xenstored.restart();
        link.wait_for(|link| *link == Link::Disconnected).await.unwrap();
        link.wait_for(|link| *link == Link::Connected).await.unwrap();
        let whole = store.transaction(async |t: Transaction| {
            t.write("/other", b"x").await?;
            Ok::<_, StoreError>(())
        });
        whole.await.unwrap();
        go_on.send(()).unwrap();
    };
    let (result, ()) = within("both", async { tokio::join!(transaction, intervene) }).await;
    assert!(matches!(result, Err(StoreError::ConnectionLost)), "{result:?}");
    assert!(!store.exists("/half").await.unwrap());
    assert!(store.exists("/other").await.unwrap());
}

#[tokio::test]
async fn connection_ends_with_its_last_handle() {
    let xenstored = Xenstored::start();
    let store = xenstored.store().await;
    let mut link = store.state();
    let watch = armed(&store, "/count").await;
    drop(store);
    // A watch keeps it.
    assert_eq!(registered_watches(&xenstored), 1);
    drop(watch);
    within("the end", async { while link.changed().await.is_ok() {} }).await;
    eventually("xenstored to notice", async || (registered_watches(&xenstored) == 0).then_some(())).await;
}
