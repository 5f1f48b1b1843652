//! A simulated xenstored: the wire protocol of the real one on a Unix socket, its nodes in memory.
//!
//! It follows the C xenstored of Xen 4.17 in what clients can see: error names, the order of events and replies, when
//! a transaction conflicts, how a long directory is listed in parts. Every client counts as domain 0.

mod server;
mod socket;
mod tree;

pub(super) use socket::Listener;
