//! What can go wrong between us and xenstored.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::permissions::PermissionError;
use super::wire::{Kind, PathError, WireError};

/// Why a call to the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No socket was named and none stands where xenstored puts it.
    #[error("no xenstored found; looked at {}", list_places(.looked_at))]
    NotFound {
        /// Every place looked at, in order.
        looked_at: Vec<PathBuf>,
    },
    /// The socket or device cannot be opened.
    #[error("cannot connect to xenstored at {}", path.display())]
    Connect {
        /// The socket or device.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// xenstored refused the request.
    #[error("xenstored refused {request:?} of {path}: {error}")]
    Refused {
        /// Its name of the error.
        error: ErrorName,
        /// What was asked.
        request: Kind,
        /// The path asked about, or the domain's number for requests about a domain.
        path: String,
    },
    /// xenstored went away while the call waited, or is not there now. We reconnect by ourselves.
    #[error("connection to xenstored lost")]
    ConnectionLost,
    /// The path is none that xenstored would take; nothing was sent.
    #[error("{path:?} is not a xenstore path: {reason}")]
    Path {
        /// The path, shortened.
        path: String,
        /// What is wrong with it.
        #[source]
        reason: PathError,
    },
    /// Path and value together exceed what one message may hold; nothing was sent.
    #[error("request about {path} has {bytes} bytes, at most {} fit", super::wire::MAX_PAYLOAD_BYTES)]
    TooLarge {
        /// The path.
        path: String,
        /// Size of the request's payload, in bytes.
        bytes: usize,
    },
    /// xenstored said something that the protocol does not allow; the connection was dropped.
    #[error("xenstored broke the protocol")]
    Protocol(#[from] WireError),
    /// xenstored's answer to this request makes no sense.
    #[error("xenstored's answer to {request:?} of {path} makes no sense: {reason}")]
    Answer {
        /// What was asked.
        request: Kind,
        /// The path asked about.
        path: String,
        /// What is wrong with the answer.
        reason: &'static str,
    },
    /// The permissions of a node cannot be understood.
    #[error("permissions of {path} make no sense")]
    Permissions {
        /// The node.
        path: String,
        /// Why.
        #[source]
        source: PermissionError,
    },
    /// Others kept changing what the transaction had read.
    #[error("transaction met a conflict {attempts} times in a row")]
    Conflict {
        /// How often it was tried.
        attempts: u32,
    },
}

impl StoreError {
    /// True when the node does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { error: ErrorName::Enoent, .. })
    }

    /// True when the connection was lost, so that the same call may succeed later.
    #[must_use]
    pub fn is_disconnected(&self) -> bool {
        matches!(self, Self::ConnectionLost | Self::Protocol(_))
    }

    /// xenstored's own name of the error, when it was xenstored that refused.
    #[must_use]
    pub fn name(&self) -> Option<&ErrorName> {
        match self {
            Self::Refused { error, .. } => Some(error),
            _ => None,
        }
    }
}

fn list_places(places: &[PathBuf]) -> String {
    places.iter().map(|place| place.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// The name of an errno, as xenstored sends it (`xsd_errors` in `xs_wire.h`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ErrorName {
    /// The request is malformed.
    Einval,
    /// Permission denied.
    Eacces,
    /// The node exists already.
    Eexist,
    /// It is a directory.
    Eisdir,
    /// No such node, watch, transaction or domain.
    Enoent,
    /// xenstored has no memory left.
    Enomem,
    /// A quota is used up.
    Enospc,
    /// An input or output error inside xenstored.
    Eio,
    /// The directory has entries.
    Enotempty,
    /// xenstored does not know this request.
    Enosys,
    /// The store is read-only.
    Erofs,
    /// Busy.
    Ebusy,
    /// The transaction met a conflict and may be tried again.
    Eagain,
    /// Connected already.
    Eisconn,
    /// The answer does not fit into a message.
    E2big,
    /// Not permitted.
    Eperm,
    /// Any other, shortened.
    Other(String),
}

/// How much of an unknown error name is kept, in characters.
const MAX_NAME_CHARS: usize = 32;

impl ErrorName {
    /// The name in the payload of an ERROR reply.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Self {
        let name = payload.strip_suffix(&[0]).unwrap_or(payload);
        match name {
            b"EINVAL" => Self::Einval,
            b"EACCES" => Self::Eacces,
            b"EEXIST" => Self::Eexist,
            b"EISDIR" => Self::Eisdir,
            b"ENOENT" => Self::Enoent,
            b"ENOMEM" => Self::Enomem,
            b"ENOSPC" => Self::Enospc,
            b"EIO" => Self::Eio,
            b"ENOTEMPTY" => Self::Enotempty,
            b"ENOSYS" => Self::Enosys,
            b"EROFS" => Self::Erofs,
            b"EBUSY" => Self::Ebusy,
            b"EAGAIN" => Self::Eagain,
            b"EISCONN" => Self::Eisconn,
            b"E2BIG" => Self::E2big,
            b"EPERM" => Self::Eperm,
            other => {
                Self::Other(String::from_utf8_lossy(other).escape_debug().take(MAX_NAME_CHARS).collect())
            }
        }
    }

    /// The name as xenstored sends it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Einval => "EINVAL",
            Self::Eacces => "EACCES",
            Self::Eexist => "EEXIST",
            Self::Eisdir => "EISDIR",
            Self::Enoent => "ENOENT",
            Self::Enomem => "ENOMEM",
            Self::Enospc => "ENOSPC",
            Self::Eio => "EIO",
            Self::Enotempty => "ENOTEMPTY",
            Self::Enosys => "ENOSYS",
            Self::Erofs => "EROFS",
            Self::Ebusy => "EBUSY",
            Self::Eagain => "EAGAIN",
            Self::Eisconn => "EISCONN",
            Self::E2big => "E2BIG",
            Self::Eperm => "EPERM",
            Self::Other(name) => name,
        }
    }
}

impl fmt::Display for ErrorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for name in ["EINVAL", "EACCES", "ENOENT", "EAGAIN", "E2BIG", "ENOSYS", "EPERM", "EQUOTA"] {
            assert_eq!(ErrorName::parse(format!("{name}\0").as_bytes()).as_str(), name);
        }
    }

    #[test]
    fn hostile_name_is_escaped_and_short() {
        let name = ErrorName::parse(&[b"\x1b[2J\n".as_slice(), &[b'x'; 4000]].concat());
        assert!(name.as_str().starts_with("\\u{1b}[2J\\n"));
        assert_eq!(name.as_str().chars().count(), MAX_NAME_CHARS);
    }
}
