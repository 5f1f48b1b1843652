//! Transactions against the real xenstored.

use xenvnc::xen::store::{Store, StoreError, Transaction};

use crate::common::xenstored::Xenstored;
use crate::poll_once;

#[tokio::test]
async fn transaction_is_seen_whole_or_not_at_all() {
    let xenstored = Xenstored::start();
    let store = xenstored.store().await;
    let outside = xenstored.store().await;
    store
        .transaction(async |t: Transaction| {
            t.write("/whole/a", b"1").await?;
            assert!(!outside.exists("/whole/a").await?);
            t.write("/whole/b", b"2").await?;
            assert_eq!(t.list("/whole").await?, ["a", "b"]);
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    assert_eq!(outside.list("/whole").await.unwrap(), ["a", "b"]);

    let discarded = store
        .transaction(async |t: Transaction| {
            t.write("/whole/c", b"3").await?;
            t.read("/no/such/node").await
        })
        .await;
    assert!(discarded.unwrap_err().is_not_found());
    assert!(!outside.exists("/whole/c").await.unwrap());
}

#[tokio::test]
async fn conflicting_transactions_are_tried_again() {
    let xenstored = Xenstored::start();
    let first = xenstored.store().await;
    first.write("/counter", b"0").await.unwrap();
    let count = async |store: Store| {
        for _ in 0..25 {
            store
                .transaction(async |t: Transaction| {
                    let value: u32 = String::from_utf8(t.read("/counter").await?).unwrap().parse().unwrap();
                    // Gives the others every chance to come in between.
                    tokio::task::yield_now().await;
                    t.write("/counter", (value + 1).to_string().as_bytes()).await
                })
                .await
                .unwrap();
        }
    };
    let (second, third) = (xenstored.store().await, first.clone());
    tokio::join!(count(first.clone()), count(second), count(third));
    assert_eq!(first.read("/counter").await.unwrap(), b"75");
}

#[tokio::test]
async fn steady_conflict_ends_with_an_error() {
    let xenstored = Xenstored::start();
    let (store, other) = (xenstored.store().await, xenstored.store().await);
    store.write("/contended", b"0").await.unwrap();
    let attempts = std::cell::Cell::new(0);
    let result = store
        .transaction(async |t: Transaction| {
            attempts.set(attempts.get() + 1);
            t.read("/contended").await?;
            other.write("/contended", b"theirs").await?;
            t.write("/contended", b"ours").await
        })
        .await;
    assert!(matches!(result, Err(StoreError::Conflict { attempts: 32 })), "{result:?}");
    assert_eq!(attempts.get(), 32);
    assert_eq!(store.read("/contended").await.unwrap(), b"theirs");
}

#[tokio::test]
async fn dropped_transaction_is_discarded() {
    let xenstored = Xenstored::start();
    let store = xenstored.store().await;
    // Guests may have 10 transactions open and domain 0 any number; a leak shows as the number of the next one, which
    // is the lowest free one.
    for _ in 0..50 {
        let mut transaction = Box::pin(store.transaction(async |t: Transaction| {
            t.write("/dropped", b"x").await?;
            std::future::pending::<Result<(), StoreError>>().await
        }));
        for _ in 0..5 {
            assert!(poll_once(transaction.as_mut()).await.is_none());
            store.exists("/").await.unwrap();
        }
    }
    store.exists("/").await.unwrap();
    assert!(!store.exists("/dropped").await.unwrap());
    let report = xenstored.memory_report();
    assert_eq!(report.matches("struct transaction ").count(), 0, "{report}");
}

#[tokio::test]
async fn a_copy_of_a_transaction_that_was_carried_out_is_dead() {
    let xenstored = Xenstored::start();
    let store = xenstored.store().await;
    let carried = store.transaction(async |t: Transaction| Ok::<_, StoreError>(t)).await.unwrap();
    assert!(carried.write("/late", b"x").await.unwrap_err().is_not_found());
    assert!(!store.exists("/late").await.unwrap());
}
