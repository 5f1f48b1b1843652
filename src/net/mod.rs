//! Where viewers connect, and guests' VNC servers: listeners and byte streams, the same for TCP and Unix sockets, and
//! what is known of a peer before it has said anything.

pub mod admission;
pub mod bridge;
mod listener;
pub mod preamble;
mod stream;

pub use listener::{BindError, Listener};
pub use stream::Stream;
