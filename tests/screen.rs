//! Text screens: golden pictures, and properties over random terminals.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "failing is how a test reports")]

mod screen {
    mod damage;
    mod golden;
    mod tiles;
    pub(crate) mod writing;
}
