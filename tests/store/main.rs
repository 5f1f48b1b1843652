//! The client against the real xenstored.

#![allow(clippy::unwrap_used, reason = "failing is how a test reports")]

#[path = "../common/mod.rs"]
mod common;
mod loss;
mod scripted;
mod transactions;
mod watches;

use std::collections::HashSet;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use common::within;
use common::xenstored::{Xenstored, uuid};
use xenvnc::xen::store::{ErrorName, Permissions, Store, StoreError, Watch, WatchEvent};

/// A watch whose first event, which comes right after its registration, is taken.
async fn armed(store: &Store, path: &str) -> Watch {
    let mut watch = store.watch(path).await.unwrap();
    assert_eq!(within("the first event", watch.next()).await, WatchEvent::Changed(path.into()));
    watch
}

/// How many watches below `/count` xenstored has, of all its clients.
fn registered_watches(xenstored: &Xenstored) -> usize {
    let report = xenstored.memory_report();
    report.lines().filter(|line| line.trim_start().starts_with("/count")).count()
}

/// The result of a future if it has one at its first poll.
async fn poll_once<T>(mut future: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    std::future::poll_fn(|context| {
        Poll::Ready(match future.as_mut().poll(context) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test]
async fn what_we_write_another_client_reads() {
    let xenstored = Xenstored::start();
    let store = xenstored.store().await;
    store.write("/test/a", "grüß dich".as_bytes()).await.unwrap();
    store.mkdir("/test/b").await.unwrap();
    assert_eq!(xenstored.independent_read("/test/a").unwrap(), "grüß dich");
    assert_eq!(xenstored.independent_list("/test").unwrap(), ["a", "b"]);
    assert_eq!(store.list("/test").await.unwrap(), ["a", "b"]);
    store.remove("/test").await.unwrap();
    assert!(xenstored.independent_read("/test/a").is_err());
    assert_eq!(store.read_optional("/test/a").await.unwrap(), None);
    assert_eq!(store.list_optional("/test").await.unwrap(), None);
    assert!(!store.exists("/test").await.unwrap());
    store.remove("/test").await.unwrap();
}

#[tokio::test]
async fn errors_keep_the_name_that_xenstored_gave_and_the_path() {
    let xenstored = Xenstored::start();
    let store = xenstored.store().await;
    let error = store.read("/no/such/node").await.unwrap_err();
    assert_eq!(error.name(), Some(&ErrorName::Enoent));
    assert!(error.is_not_found());
    assert!(error.to_string().contains("/no/such/node"), "{error}");
    let error = store.remove("/").await.unwrap_err();
    assert_eq!(error.name(), Some(&ErrorName::Einval));
}

#[tokio::test]
async fn values_are_bytes() {
    let xenstored = Xenstored::start();
    let store = xenstored.store().await;
    let every_byte: Vec<u8> = (0..=255).collect();
    for value in [&b""[..], b"\0", b"a\0b\0", b"\xff\xfe\x80", &every_byte] {
        store.write("/value", value).await.unwrap();
        assert_eq!(store.read("/value").await.unwrap(), value);
    }
}

#[tokio::test]
async fn oversize_write_is_refused_before_it_is_sent() {
    let xenstored = Xenstored::start();
    let store = xenstored.store().await;
    let error = within("the refusal", store.write("/big", &[b'x'; 5000])).await.unwrap_err();
    assert!(matches!(error, StoreError::TooLarge { bytes: 5005, .. }), "{error:?}");

    // The connection is the same and in order: a watch on it was not lost.
    let mut watch = armed(&store, "/big").await;
    let largest = vec![b'x'; 4096 - "/big\0".len()];
    store.write("/big", &largest).await.unwrap();
    assert_eq!(within("the change", watch.next()).await, WatchEvent::Changed("/big".into()));
    assert_eq!(store.read("/big").await.unwrap(), largest);
    assert!(store.write("/big", &[b'x'; 4092]).await.is_err());
}

#[tokio::test]
async fn paths_that_xenstored_would_not_take_are_never_sent() {
    let xenstored = Xenstored::start();
    let store = xenstored.store().await;
    let deep = format!("/{}", "x".repeat(3072));
    for path in ["", "relative", "/a b", "/a//b", "/a/", "/a\0b", "/ä", deep.as_str()] {
        let error = store.read(path).await.unwrap_err();
        assert!(matches!(error, StoreError::Path { .. }), "{path:?}: {error:?}");
        assert!(matches!(store.watch(path).await, Err(StoreError::Path { .. })), "{path:?}");
    }
}

#[tokio::test]
async fn directory_of_1500_domains_is_listed_whole() {
    let xenstored = Xenstored::start();
    let store = xenstored.store().await;
    for number in 1..=1500 {
        store.write(&format!("/local/domain/{number}/name"), b"x").await.unwrap();
    }
    // It does not fit into one message: the other client has no second way.
    assert!(xenstored.independent_list("/local/domain").is_err());
    let names = store.list("/local/domain").await.unwrap();
    let wanted: HashSet<String> = (1..=1500).map(|number| number.to_string()).collect();
    assert_eq!(names.len(), 1500);
    assert_eq!(names.into_iter().collect::<HashSet<_>>(), wanted);
}

#[tokio::test]
async fn large_directory_is_listed_whole_while_it_changes() {
    let xenstored = Xenstored::start();
    let store = xenstored.store().await;
    for number in 0..1500 {
        store.mkdir(&format!("/many/{number}")).await.unwrap();
    }
    let writer = xenstored.store().await;
    let changes = async {
        for number in 0..300 {
            writer.mkdir(&format!("/many/new-{number}")).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let listings = async {
        for _ in 0..20 {
            let names = store.list("/many").await.unwrap();
            let unique: HashSet<&String> = names.iter().collect();
            assert_eq!(unique.len(), names.len());
            assert_eq!(names.iter().filter(|name| !name.starts_with("new")).count(), 1500);
        }
    };
    tokio::join!(changes, listings);
    assert_eq!(store.list("/many").await.unwrap().len(), 1800);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_calls_at_once_all_get_their_own_answer() {
    let xenstored = Xenstored::start();
    let store = xenstored.store().await;
    for number in 0..200 {
        store.write(&format!("/at-once/{number}"), number.to_string().as_bytes()).await.unwrap();
    }
    let calls: Vec<_> = (0..200)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move { (number, store.read(&format!("/at-once/{number}")).await) })
        })
        .collect();
    for call in calls {
        let (number, value) = within("a reply", call).await.unwrap();
        assert_eq!(value.unwrap(), number.to_string().as_bytes());
    }
}

#[tokio::test]
async fn a_dropped_call_disturbs_no_other() {
    let xenstored = Xenstored::start();
    let store = xenstored.store().await;
    store.write("/a", b"1").await.unwrap();
    for _ in 0..500 {
        // Polled once, which sends the request, and dropped.
        let mut call = Box::pin(store.read("/a"));
        assert!(poll_once(call.as_mut()).await.is_none());
    }
    assert_eq!(within("a reply", store.read("/a")).await.unwrap(), b"1");
}

#[tokio::test]
async fn permissions_are_what_others_see() {
    let xenstored = Xenstored::start();
    let toolstack = xenstored.toolstack().await;
    toolstack.make_domain(5, &uuid(5).to_string(), "five").await;
    let store = xenstored.store().await;
    let console: Permissions = "n0,r5".parse().unwrap();
    assert_eq!(store.permissions("/local/domain/5/console/tty").await.unwrap(), console);
    // A new node has those of its parent, hence the guest would read it.
    store.write("/local/domain/5/console/secret", b"x").await.unwrap();
    assert_eq!(store.permissions("/local/domain/5/console/secret").await.unwrap(), console);
    store.set_permissions("/local/domain/5/console/secret", &Permissions::private()).await.unwrap();
    let dump = xenstored.dump("/local/domain/5/console");
    assert!(dump.contains("/secret = \"x\"   (n0)\n"), "{dump}");
    assert!(dump.contains("/backend-id = \"0\"   (n5,r0)\n"), "{dump}");
}
