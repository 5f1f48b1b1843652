//! What the process may use.

use std::fs::File;
use std::os::fd::AsRawFd;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// How many descriptors we would like: a thousand domains with a console, a pty and a listener each, and viewers.
const WANTED_FILES: u64 = 65_536;

/// How many descriptors domains and viewers leave free: for the control socket's clients, for xenstore's next
/// connection, and for files that are open for a moment. Without them nobody could ask what is wrong.
const RESERVED_FILES: u64 = 64;

/// Raises the limit of open files as far as it may go; the usual 1024 is enough for about 200 domains only.
pub(super) fn raise_open_files() {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
    let wanted = hard.min(WANTED_FILES).max(soft);
    if wanted > soft
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, wanted, hard)
    {
        tracing::warn!(%error, soft, "the limit of open files stays");
    }
}

/// There is no room for another domain or viewer.
#[derive(Debug, thiserror::Error)]
#[error(
    "fewer than {RESERVED_FILES} of the {limit} files that may be open are left: raise the limit (LimitNOFILE)"
)]
pub(super) struct TooManyFiles {
    limit: u64,
}

/// Whether descriptors are left for another domain or viewer.
///
/// # Errors
/// When only those are left that are kept back.
pub(super) fn check_open_files() -> Result<(), TooManyFiles> {
    let Ok((limit, _)) = getrlimit(Resource::RLIMIT_NOFILE) else { return Ok(()) };
    // The system gives out the lowest number that is free, so a new one tells how many there are about.
    let next = File::open("/dev/null").ok().and_then(|file| u64::try_from(file.as_raw_fd()).ok());
    match next {
        Some(next) if next + RESERVED_FILES < limit => Ok(()),
        _ => Err(TooManyFiles { limit }),
    }
}
