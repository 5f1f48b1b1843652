//! What integration tests share.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "failing is how a test reports")]

pub mod vchan;
pub mod xenstored;

use std::future::Future;
use std::time::Duration;

/// How long a condition may take to come true before a test gives up: far beyond what a loaded machine needs.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Waits for `future`, and fails the test when it takes longer than [`DEADLINE`].
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(value) => value,
        Err(_) => panic!("gave up waiting for {what}"),
    }
}

/// Asks until the answer is `Some`.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    within(what, async {
        loop {
            if let Some(value) = ask().await {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}
