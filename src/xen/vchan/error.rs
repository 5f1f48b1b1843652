//! Why a vchan cannot be had, or not any longer.

use std::io;

use super::layout::RingName;

/// Why a vchan could not be opened or went wrong.
#[derive(Debug, thiserror::Error)]
pub enum VchanError {
    /// A ring's size is none that there is: the peer's mistake, or that of the caller who asked for it.
    #[error("the ring {ring} has order {order}, wanted 10 to 20")]
    Order {
        /// Which ring.
        ring: RingName,
        /// The power of two found.
        order: u16,
    },
    /// The rings lie over each other or over the list of their pages.
    #[error("rings of orders {left} and {right} lie over each other")]
    Overlap {
        /// The order of the ring to the server.
        left: u16,
        /// The order of the ring to the client.
        right: u16,
    },
    /// There are pages, but nobody serves them.
    #[error("no server is there: its live byte is {live}, wanted 1")]
    NoServer {
        /// The byte found.
        live: u8,
    },
    /// The peer moved its index to where it cannot be.
    #[error("the peer broke the ring {ring}: {used} bytes are in it, it holds {size}")]
    Index {
        /// Which ring.
        ring: RingName,
        /// Bytes between the two indices.
        used: u32,
        /// The ring's size in bytes.
        size: u32,
    },
    /// The event channel is bound already, or is not there any more (`EINVAL`): another client, or a server that is gone.
    #[error("event channel {port} of domain {domid} is taken or gone")]
    EventChannel {
        /// The domain.
        domid: u16,
        /// Its port.
        port: u32,
    },
    /// A system call failed.
    #[error("cannot {action}")]
    System {
        /// What was tried.
        action: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

impl VchanError {
    /// The failure of a system call.
    pub(super) fn system(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        move |source| Self::System { action, source }
    }
}

impl From<VchanError> for io::Error {
    fn from(error: VchanError) -> Self {
        match error {
            VchanError::System { source, .. } => source,
            error => Self::new(io::ErrorKind::InvalidData, error),
        }
    }
}
