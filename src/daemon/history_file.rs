//! The console history of one guest on disk: append-only, bounded, replayed after a restart.

use std::io;
use std::path::{Path, PathBuf};

use crate::xen::console::RingPosition;

/// The most bytes of one of the two segments of a guest's history, by default.
pub const DEFAULT_SEGMENT_BYTES: u64 = 1024 * 1024;

/// Why the history on disk cannot be used. The console goes on without it.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// Names of guests are never paths: only a UUID in its usual form is.
    #[error("history is kept by UUID, not {name:?}")]
    NotAUuid {
        /// What was given.
        name: String,
    },
    /// Names of remembered values are fixed words.
    #[error("{name:?} is not a name for a remembered value")]
    BadName {
        /// What was given.
        name: String,
    },
    /// Something else lies where a file or directory of ours should be.
    #[error("{path:?} is not {wanted}")]
    Unexpected {
        /// Where.
        path: PathBuf,
        /// What should be there.
        wanted: &'static str,
    },
    /// A system call failed.
    #[error("cannot {action} {path:?}")]
    System {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

/// The console history of one guest.
#[derive(Debug)]
pub struct HistoryFile {}

impl HistoryFile {
    /// Opens or makes `<directory>/<uuid>/`. A record that a crash tore is cut off.
    ///
    /// # Errors
    /// When the directory is not ours or not writable.
    pub fn open(_directory: &Path, uuid: &str, _segment_bytes: u64) -> Result<Self, HistoryError> {
        Err(HistoryError::NotAUuid { name: uuid.to_owned() })
    }

    /// Appends guest output as one record in one `write`, with the ring position of its first byte where it has one.
    ///
    /// # Errors
    /// When the disk is full or gone; nothing is half written then.
    pub fn append(&mut self, _position: Option<RingPosition>, _bytes: &[u8]) -> Result<(), HistoryError> {
        Ok(())
    }

    /// The records' bytes, oldest first.
    ///
    /// # Errors
    /// When the files cannot be read.
    pub fn replay(&self) -> Result<impl Iterator<Item = Vec<u8>> + use<>, HistoryError> {
        Ok(std::iter::empty())
    }

    /// The position right after the last recorded byte, when the last record has one.
    #[must_use]
    pub fn last_position(&self) -> Option<RingPosition> {
        None
    }

    /// Keeps a small value (at most 4096 bytes) beside the history, for instance `port`. Replaced atomically.
    ///
    /// # Errors
    /// When the name is not made of `a-z`, `0-9` and `-`, or writing fails.
    pub fn remember(&self, name: &str, _value: &[u8]) -> Result<(), HistoryError> {
        Err(HistoryError::BadName { name: name.to_owned() })
    }

    /// A value kept by [`Self::remember`].
    ///
    /// # Errors
    /// When the name is bad or reading fails; a value that is not there is `None`.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, HistoryError> {
        Err(HistoryError::BadName { name: name.to_owned() })
    }
}
