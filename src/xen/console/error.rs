//! Why a console cannot be had.

use std::io;
use std::path::PathBuf;

/// Why a console could not be opened. Paths come from xenstore: show them escaped.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// Nothing is published yet.
    #[error("the tty path is empty")]
    Empty,
    /// Such a path is never a pty; it is not looked up.
    #[error("tty path of {length} bytes is refused: {reason}")]
    BadPath {
        /// Length of the path in bytes.
        length: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// There is no such file, or a symlink to nothing.
    #[error("tty {path:?} does not exist")]
    Missing {
        /// The path as published.
        path: PathBuf,
    },
    /// The file is something else: a directory, a file, a FIFO, another device. It was not opened.
    #[error("tty {path:?} is {found}, not a pseudo terminal")]
    NotAPty {
        /// The path as published.
        path: PathBuf,
        /// What it is.
        found: String,
    },
    /// The pty is one that we publish ourselves: reading it would feed us our own output. The real one is in the
    /// record under `/tool`.
    #[error("tty {path:?} is our own")]
    OwnPty {
        /// The path as published.
        path: PathBuf,
    },
    /// Another process holds the domain's console port (the bind failed with EINVAL).
    #[error("console port {port} of domain {domid} is bound by another process")]
    Owned {
        /// The domain.
        domid: u16,
        /// Its `console/port`.
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
    /// Only consoles that read a pty can be given another one.
    #[error("this console owns its ring and has no upstream pty")]
    NoUpstream,
}
