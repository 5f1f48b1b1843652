//! Where xenstored listens.

use std::env;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::net::UnixStream;

use super::device::Device;
use super::error::StoreError;

/// Where xenstored listens, or how to find that out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Address {
    /// Look where xenstored puts its socket: `$XENSTORED_PATH`; else `$XENSTORED_RUNDIR/socket`; else
    /// `/run/xenstored/socket`, `/var/run/xenstored/socket` and at last the kernel's `/dev/xen/xenbus`, whichever
    /// exists first. A variable that is set and not empty is taken at its word: there is no silent fall-back from it.
    #[default]
    Find,
    /// This socket or character device and no other.
    At(PathBuf),
}

/// Where xenstored puts its socket, and where the kernel offers its own road to xenstored (a xenstore domain has no
/// socket).
const PLACES: [&str; 3] = ["/run/xenstored/socket", "/var/run/xenstored/socket", "/dev/xen/xenbus"];

impl Address {
    /// The address from a configuration's optional path.
    #[must_use]
    pub fn from_option(path: Option<PathBuf>) -> Self {
        path.map_or(Self::Find, Self::At)
    }

    /// The path that a connection would be made to now, or every place looked at.
    pub fn resolve(&self) -> Result<PathBuf, StoreError> {
        match self {
            Self::At(path) => Ok(path.clone()),
            Self::Find => find(|name| env::var_os(name), Path::exists),
        }
    }

    /// Opens the connection.
    pub(super) async fn open(&self) -> Result<Connection, StoreError> {
        let path = self.resolve()?;
        match open(&path).await {
            Ok(connection) => Ok(connection),
            Err(source) => Err(StoreError::Connect { path, source }),
        }
    }
}

/// A connection to xenstored, whatever it runs over.
pub(super) enum Connection {
    Socket(UnixStream),
    Device(Device),
}

async fn open(path: &Path) -> std::io::Result<Connection> {
    use std::os::unix::fs::FileTypeExt;
    if std::fs::metadata(path)?.file_type().is_char_device() {
        let file = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY)
            .open(path)?;
        return Ok(Connection::Device(Device::new(file)?));
    }
    let start = Instant::now();
    loop {
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == ErrorKind::WouldBlock && start.elapsed() < LONGEST_QUEUE => {
                tokio::time::sleep(QUEUE_PAUSE).await;
            }
            result => return result.map(Connection::Socket),
        }
    }
}

/// How long to wait for a place in the queue of connections that xenstored has yet to accept. The queue holds one or
/// two (`listen(fd, 1)`, `tools/xenstored/posix.c`), and a full one refuses a connection that does not block.
const LONGEST_QUEUE: Duration = Duration::from_secs(5);

/// How long until the next look at that queue: xenstored serves a request within about 40 µs.
const QUEUE_PAUSE: Duration = Duration::from_millis(2);

fn find(
    variable: impl Fn(&str) -> Option<OsString>,
    exists: impl Fn(&Path) -> bool,
) -> Result<PathBuf, StoreError> {
    let variable = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(path) = variable("XENSTORED_PATH") {
        return Ok(path);
    }
    if let Some(directory) = variable("XENSTORED_RUNDIR") {
        return Ok(directory.join("socket"));
    }
    match PLACES.iter().map(Path::new).find(|place| exists(place)) {
        Some(place) => Ok(place.to_owned()),
        None => Err(StoreError::NotFound { looked_at: PLACES.iter().map(PathBuf::from).collect() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_come_before_places() {
        let both = |name: &str| Some(OsString::from(format!("/{name}")));
        assert_eq!(find(both, |_| true).unwrap(), Path::new("/XENSTORED_PATH"));
        let directory = |name: &str| (name == "XENSTORED_RUNDIR").then(|| OsString::from("/x"));
        assert_eq!(find(directory, |_| true).unwrap(), Path::new("/x/socket"));
        let empty = |_: &str| Some(OsString::new());
        assert_eq!(find(empty, |_| true).unwrap(), Path::new("/run/xenstored/socket"));
        let device = |path: &Path| path.starts_with("/dev");
        assert_eq!(find(|_| None, device).unwrap(), Path::new("/dev/xen/xenbus"));
    }

    #[test]
    fn absent_store_names_every_place() {
        let message = find(|_| None, |_| false).unwrap_err().to_string();
        for place in PLACES {
            assert!(message.contains(place), "{message}");
        }
    }
}
