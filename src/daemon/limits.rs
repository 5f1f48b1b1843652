//! What the process may use.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// How many descriptors we would like: a thousand domains with a console, a pty and a listener each, and viewers.
const WANTED_FILES: u64 = 65_536;

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
