//! The same requests to the simulated store and to the real xenstored must have the same outcome.

use std::collections::HashSet;

use xenvnc::demo::{Host, Options};
use xenvnc::xen::store::{ErrorName, Permissions, Store, StoreError, Transaction, Watch, WatchEvent};

use crate::common::within;
use crate::common::xenstored::{Toolstack, Xenstored, domid, uuid};

/// Runs a function with two connections to each of the two stores.
macro_rules! on_both {
    ($($name:ident)*) => {
        mod simulated { $(
            #[tokio::test]
            async fn $name() {
                let host = super::Host::start(super::Options::new(0, vec![])).await.unwrap();
                let connect = async || super::Store::connect(host.store_address()).await.unwrap();
                super::$name(connect().await, connect().await).await;
            }
        )* }
        mod real { $(
            #[tokio::test]
            async fn $name() {
                let xenstored = super::Xenstored::start();
                super::$name(xenstored.store().await, xenstored.store().await).await;
            }
        )* }
    };
}

on_both! {
    values_are_bytes
    errors_have_their_names
    permissions_are_inherited_and_set
    long_directories_are_listed_whole
    domains_come_and_go
    watches_fire_for_what_lies_below
    watches_fire_in_order_when_a_transaction_is_carried_out
    transactions_are_whole_or_nothing
    conflicts_are_refused_until_tried_again
    a_guests_nodes_go_with_it
}

async fn armed(store: &Store, path: &str) -> Watch {
    let mut watch = store.watch(path).await.unwrap();
    assert_eq!(next(&mut watch).await, path);
    watch
}

async fn next(watch: &mut Watch) -> String {
    match within("an event", watch.next()).await {
        WatchEvent::Changed(path) => path,
        WatchEvent::Resync => panic!("the connection was lost"),
    }
}

async fn values_are_bytes(store: Store, other: Store) {
    let every_byte: Vec<u8> = (0..=255).collect();
    let largest = vec![b'x'; 4096 - "/v/value\0".len()];
    for value in [&b""[..], b"\0", b"a\0b\0", b"\xff", &every_byte, &largest] {
        store.write("/v/value", value).await.unwrap();
        assert_eq!(other.read("/v/value").await.unwrap(), value);
    }
    assert_eq!(other.read("/v").await.unwrap(), b"");
    store.mkdir("/v/value").await.unwrap();
    assert_eq!(other.read("/v/value").await.unwrap(), largest);
    for name in ["z", "a", "m"] {
        store.mkdir(&format!("/v/{name}")).await.unwrap();
    }
    let mut names = other.list("/v").await.unwrap();
    names.sort();
    assert_eq!(names, ["a", "m", "value", "z"]);
}

async fn errors_have_their_names(store: Store, _: Store) {
    let named = |what: &str, result: Result<(), StoreError>, wanted: ErrorName| {
        let error = result.expect_err(what);
        assert_eq!(error.name(), Some(&wanted), "{what}");
    };
    let (absent, invalid) = (ErrorName::Enoent, ErrorName::Einval);
    named("read", store.read("/none").await.map(drop), absent.clone());
    named("list", store.list("/none").await.map(drop), absent.clone());
    named("permissions", store.permissions("/none").await.map(drop), absent.clone());
    named("set", store.set_permissions("/none", &Permissions::private()).await, absent.clone());
    named("release", store.release(domid(77)).await, absent);
    named("remove", store.remove("/").await, invalid.clone());
    named("write", store.write("@introduceDomain", b"x").await, invalid.clone());
    named("introduce", store.introduce(domid(78), 1, 0).await, invalid);
    store.remove("/none").await.unwrap();
    store.remove("/none/below").await.unwrap();
}

async fn permissions_are_inherited_and_set(store: Store, other: Store) {
    store.mkdir("/p").await.unwrap();
    assert_eq!(other.permissions("/p").await.unwrap(), other.permissions("/").await.unwrap());
    for text in ["n0", "n0,r5", "b5,w7,r0"] {
        store.set_permissions("/p", &text.parse().unwrap()).await.unwrap();
        assert_eq!(other.permissions("/p").await.unwrap().to_string(), text);
    }
    store.set_permissions("/p", &"n0,r5".parse().unwrap()).await.unwrap();
    store.write("/p/a/b", b"x").await.unwrap();
    assert_eq!(other.permissions("/p/a/b").await.unwrap().to_string(), "n0,r5");
}

async fn long_directories_are_listed_whole(store: Store, other: Store) {
    for number in 0..1500 {
        store.mkdir(&format!("/many/{number}")).await.unwrap();
    }
    let names: HashSet<String> = other.list("/many").await.unwrap().into_iter().collect();
    assert_eq!(names, (0..1500).map(|number| number.to_string()).collect());
}

async fn domains_come_and_go(store: Store, other: Store) {
    let mut introduced = armed(&store, "@introduceDomain").await;
    let mut released = armed(&store, "@releaseDomain").await;
    let toolstack = Toolstack { store: other };
    assert!(store.is_introduced(domid(0)).await.unwrap());
    assert!(!store.is_introduced(domid(7)).await.unwrap());
    toolstack.make_domain(7, &uuid(7).to_string(), "seven").await;
    assert_eq!(next(&mut introduced).await, "@introduceDomain");
    assert!(store.is_introduced(domid(7)).await.unwrap());
    assert_eq!(store.domain_path(domid(7)).await.unwrap(), "/local/domain/7");
    // A second introduction of the same domain is no news.
    toolstack.introduce(7).await;
    assert_eq!(introduced.try_next(), None);
    toolstack.destroy_domain(7).await;
    assert_eq!(next(&mut released).await, "@releaseDomain");
    assert!(!store.is_introduced(domid(7)).await.unwrap());
}

async fn watches_fire_for_what_lies_below(store: Store, other: Store) {
    let mut above = armed(&store, "/w").await;
    let mut below = armed(&store, "/w/a/b").await;
    let mut beside = armed(&store, "/wide").await;
    other.write("/w/a/b/c", b"x").await.unwrap();
    assert_eq!((next(&mut above).await, next(&mut below).await), ("/w/a/b/c".into(), "/w/a/b/c".into()));
    other.mkdir("/w/a").await.unwrap();
    other.set_permissions("/w/a", &Permissions::private()).await.unwrap();
    assert_eq!(next(&mut above).await, "/w/a");
    // What vanishes with its parent is told to those who watch it, by its own name.
    other.remove("/w/a").await.unwrap();
    assert_eq!((next(&mut above).await, next(&mut below).await), ("/w/a".into(), "/w/a/b".into()));
    // Everything so far was in order, hence nothing else is on its way.
    store.write("/wide", b"x").await.unwrap();
    assert_eq!(next(&mut beside).await, "/wide");
    assert_eq!((above.try_next(), below.try_next(), beside.try_next()), (None, None, None));
}

async fn watches_fire_in_order_when_a_transaction_is_carried_out(store: Store, other: Store) {
    let mut watch = armed(&store, "/t").await;
    let result = other
        .transaction(async |t: Transaction| {
            t.write("/t/b", b"1").await?;
            t.write("/t/a", b"2").await?;
            store.exists("/").await?;
            assert_eq!(watch_is_quiet(&store, "/t/a").await, Ok(()));
            Ok::<_, StoreError>(())
        })
        .await;
    result.unwrap();
    let told = HashSet::from([next(&mut watch).await, next(&mut watch).await]);
    assert_eq!(told, HashSet::from(["/t/a".to_owned(), "/t/b".to_owned()]));
    let discarded: Result<(), StoreError> = other
        .transaction(async |t: Transaction| {
            t.write("/t/c", b"1").await?;
            t.read("/none").await.map(drop)
        })
        .await;
    assert!(discarded.is_err());
    store.write("/t/end", b"").await.unwrap();
    assert_eq!(next(&mut watch).await, "/t/end");
}

/// The node is not seen from outside.
async fn watch_is_quiet(store: &Store, path: &str) -> Result<(), String> {
    if store.exists(path).await.unwrap() { Err(format!("{path} is seen too early")) } else { Ok(()) }
}

async fn transactions_are_whole_or_nothing(store: Store, other: Store) {
    store.write("/x/old", b"1").await.unwrap();
    store
        .transaction(async |t: Transaction| {
            t.write("/x/new/deep", b"2").await?;
            t.remove("/x/old").await?;
            assert!(other.exists("/x/old").await?);
            assert!(!other.exists("/x/new").await?);
            assert_eq!(t.list("/x").await?, ["new"]);
            assert_eq!(t.read_optional("/x/old").await?, None);
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    assert_eq!(other.list("/x").await.unwrap(), ["new"]);
    assert_eq!(other.read("/x/new/deep").await.unwrap(), b"2");
}

async fn conflicts_are_refused_until_tried_again(store: Store, other: Store) {
    store.write("/counter", b"0").await.unwrap();
    let count = async |store: &Store| {
        for _ in 0..20 {
            store
                .transaction(async |t: Transaction| {
                    let value: u32 = String::from_utf8(t.read("/counter").await?).unwrap().parse().unwrap();
                    tokio::task::yield_now().await;
                    t.write("/counter", (value + 1).to_string().as_bytes()).await
                })
                .await
                .unwrap();
        }
    };
    tokio::join!(count(&store), count(&other));
    assert_eq!(store.read("/counter").await.unwrap(), b"40");
    // A change of what was read is a conflict each time.
    let result = store
        .transaction(async |t: Transaction| {
            t.read("/counter").await?;
            other.write("/counter", b"theirs").await?;
            t.write("/counter", b"ours").await
        })
        .await;
    assert!(matches!(result, Err(StoreError::Conflict { .. })), "{result:?}");
}

async fn a_guests_nodes_go_with_it(store: Store, other: Store) {
    let toolstack = Toolstack { store };
    toolstack.make_domain(9, &uuid(9).to_string(), "nine").await;
    other.write("/local/domain/9/data/x", b"x").await.unwrap();
    toolstack.release(9).await;
    assert!(!other.exists("/local/domain/9/data").await.unwrap());
    assert!(other.exists("/local/domain/9/name").await.unwrap());
    assert!(!other.exists("/local/domain/9/console/backend-id").await.unwrap());
}
