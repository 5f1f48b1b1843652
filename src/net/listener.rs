//! Listeners that remove what they leave behind.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::task::{Context, Poll};

use nix::sys::socket::{Backlog, listen};
use tokio::net::{TcpListener, UnixListener};

use super::Stream;

/// Why an address could not be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Something else listens there.
    #[error("{0} is in use")]
    InUse(String),
    /// The path exists and is not a socket; it is left as it is.
    #[error("{0:?} exists and is not a socket")]
    NotASocket(PathBuf),
    /// The system refused.
    #[error("cannot listen on {address}")]
    System {
        /// The address or path.
        address: String,
        /// What the system said.
        source: io::Error,
    },
}

/// A listening socket. A Unix socket's file is removed when the listener is dropped.
#[derive(Debug)]
pub enum Listener {
    /// On a TCP port.
    Tcp(TcpListener),
    /// On a Unix socket.
    Unix(UnixListener, PathBuf),
}

impl Listener {
    /// Listens on a TCP address; port 0 lets the system choose one.
    ///
    /// # Errors
    /// [`BindError::InUse`] when another socket listens there, else what the system says.
    pub fn tcp(at: SocketAddr) -> Result<Self, BindError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse(at.to_string()),
            _ => BindError::System { address: at.to_string(), source },
        };
        let listener = std::net::TcpListener::bind(at).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        TcpListener::from_std(listener).map(Self::Tcp).map_err(failed)
    }

    /// Like [`Self::tcp`], for callers that a flood must not keep out: so many may wait to be accepted as the system
    /// allows, instead of 128.
    ///
    /// # Errors
    /// As [`Self::tcp`].
    pub fn tcp_for_many(at: SocketAddr) -> Result<Self, BindError> {
        let listener = Self::tcp(at)?;
        if let Self::Tcp(socket) = &listener {
            // Listening again sets nothing but this number.
            listen(socket, Backlog::MAXCONN)
                .map_err(|error| BindError::System { address: at.to_string(), source: error.into() })?;
        }
        Ok(listener)
    }

    /// Listens on a Unix socket that only its owner may use. A socket file that nobody listens on any more (a
    /// crashed run's) is replaced.
    ///
    /// # Errors
    /// [`BindError::InUse`] when somebody listens there, [`BindError::NotASocket`] when the path is something else,
    /// else what the system says.
    pub fn unix(path: &Path) -> Result<Self, BindError> {
        let failed = |source| BindError::System { address: path.display().to_string(), source };
        match fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => {
                return Err(BindError::NotASocket(path.to_owned()));
            }
            Ok(_) if StdUnixStream::connect(path).is_ok() => {
                return Err(BindError::InUse(path.display().to_string()));
            }
            Ok(_) => fs::remove_file(path).map_err(failed)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        let listener = UnixListener::bind(path).map_err(failed)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(Self::Unix(listener, path.to_owned()))
    }

    /// The TCP address, with the port that the system chose.
    #[must_use]
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(..) => None,
        }
    }

    /// Where viewers connect, as people write it: `ADDRESS:PORT` or a path.
    #[must_use]
    pub fn address(&self) -> String {
        match self {
            Self::Tcp(_) => self.tcp_address().map_or_else(String::new, |at| at.to_string()),
            Self::Unix(_, path) => path.display().to_string(),
        }
    }

    /// The next viewer, with its address for the log.
    ///
    /// # Errors
    /// What the system says; such as too many open files, after which the caller must wait before it asks again.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Stream, String)>> {
        match self {
            Self::Tcp(listener) => listener
                .poll_accept(cx)
                .map(|accepted| accepted.map(|(stream, peer)| (Stream::tcp(stream), peer.to_string()))),
            Self::Unix(listener, path) => listener.poll_accept(cx).map(|accepted| {
                accepted.map(|(stream, _)| (Stream::Unix(stream), format!("unix:{}", path.display())))
            }),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix(_, path) = self {
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_busy_port_is_named() {
        let first = Listener::tcp(([127, 0, 0, 1], 0).into()).unwrap();
        let at = first.tcp_address().unwrap();
        let error = Listener::tcp(at).unwrap_err();
        assert!(matches!(error, BindError::InUse(_)));
        assert_eq!(error.to_string(), format!("{at} is in use"));
    }

    #[tokio::test]
    async fn a_unix_socket_is_private_replaced_when_dead_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.vnc");
        // Dropping std's listener leaves the file: what a crash leaves.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let listener = Listener::unix(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(Listener::unix(&path), Err(BindError::InUse(_))));
        drop(listener);
        assert!(!path.exists());
        fs::write(&path, "precious").unwrap();
        assert!(matches!(Listener::unix(&path), Err(BindError::NotASocket(_))));
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }
}
