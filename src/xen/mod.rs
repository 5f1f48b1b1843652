//! What we know of Xen: its store, its domains and what we publish for them.
//!
//! This folder stands at the bottom: it uses nothing of the crate but itself, and only `daemon`, `guest` and `demo`
//! know it.

pub mod console;
pub mod domains;
pub mod event_channel;
mod identity;
pub mod offer;
pub mod paths;
pub mod publish;
pub mod store;
pub mod sys;
pub mod vchan;
pub mod vif;

pub use identity::{Domid, DomidError, Uuid, UuidError};
