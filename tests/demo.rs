//! The simulated host: its store answers as the real xenstored does, and its domains live as guests do.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "failing is how a test reports")]

mod common;

mod demo {
    mod domains;
    mod store;
}
