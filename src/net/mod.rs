//! Where viewers connect: listeners and byte streams, the same for TCP and Unix sockets.

mod listener;
mod stream;

pub use listener::{BindError, Listener};
pub use stream::Stream;
