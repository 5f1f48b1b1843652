//! Where a seat listens: a port of the range, stable for each guest, or a Unix socket when the range is used up.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use crate::daemon::settings::Settings;
use crate::net::{BindError, Listener};
use crate::xen::Uuid;
use crate::xen::publish::Ports;

/// The ports that guests have and had. Domains may be configured with different ranges; each is a book of its own,
/// and where ranges overlap, what is in use shows when it is bound.
#[derive(Debug, Default)]
pub(super) struct PortBook {
    remembered: Vec<(Uuid, u16)>,
    ranges: BTreeMap<(u16, u16), Ports>,
}

impl PortBook {
    /// Says that a guest had this port in an earlier run.
    pub(super) fn remember(&mut self, uuid: Uuid, port: u16) {
        self.remembered.push((uuid, port));
    }

    /// Says that the guest's seat does not listen any more.
    pub(super) fn release(&mut self, uuid: Uuid) {
        self.ranges.values_mut().for_each(|ports| ports.release(uuid));
    }

    fn range(&mut self, range: &RangeInclusive<u16>) -> &mut Ports {
        self.ranges.entry((*range.start(), *range.end())).or_insert_with(|| {
            let mut ports = Ports::new(range.clone());
            self.remembered.iter().for_each(|(uuid, port)| ports.remember(*uuid, *port));
            ports
        })
    }
}

/// Listens for a guest's viewers. `ports` remembers the guest's port, and is told which one it has now.
pub(super) fn listen(
    settings: &Settings,
    ports: &mut PortBook,
    uuid: Uuid,
    name: &str,
    unix_dir: &Path,
) -> Result<Listener, BindError> {
    let address = settings.config.listen.address;
    if let Some(port) = settings.config.listen.port {
        match Listener::tcp(SocketAddr::new(address, port)) {
            Ok(listener) => return Ok(listener),
            Err(BindError::InUse(at)) => {
                tracing::warn!(domain = ?name, "{at} is in use: a port of vnc.ports is used instead");
            }
            Err(error) => return Err(error),
        }
    }
    let range = &settings.config.ports.0;
    let ports = ports.range(range);
    for port in ports.candidates(uuid) {
        match Listener::tcp(SocketAddr::new(address, port)) {
            Ok(listener) => {
                ports.assign(uuid, port);
                return Ok(listener);
            }
            Err(BindError::InUse(_)) => {}
            Err(error) => return Err(error),
        }
    }
    let listener = listen_unix(unix_dir, uuid, name)?;
    tracing::warn!(
        domain = ?name,
        address = %listener.address(),
        "no port is free in {}-{}: viewers that can must use the Unix socket, xl vncviewer will not find it",
        range.start(),
        range.end()
    );
    Ok(listener)
}

/// The socket is called like the guest where that is a plain word and not taken by another, else like its UUID.
fn listen_unix(dir: &Path, uuid: Uuid, name: &str) -> Result<Listener, BindError> {
    if let Some(path) = plain_word(name).then(|| socket_path(dir, name)) {
        match Listener::unix(&path) {
            Ok(listener) => return Ok(listener),
            // Whatever it is, the other name may do.
            Err(error) => tracing::debug!(error = &error as &dyn std::error::Error, "another name is tried"),
        }
    }
    Listener::unix(&socket_path(dir, &uuid.to_string()))
}

/// Removes the sockets that a crashed run left behind and nobody listens on; a guest may have a port by now.
pub(super) fn sweep(dir: &Path) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_socket = entry.file_type().is_ok_and(|kind| kind.is_socket());
        if is_socket
            && path.extension().is_some_and(|extension| extension == "vnc")
            && UnixStream::connect(&path).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
            && let Err(error) = std::fs::remove_file(&path)
        {
            tracing::warn!(path = %path.display(), %error, "an old socket cannot be removed");
        }
    }
}

fn socket_path(dir: &Path, stem: &str) -> PathBuf {
    dir.join(format!("{stem}.vnc"))
}

/// Whether a guest's name can be part of a path: names are guest-adjacent text.
fn plain_word(name: &str) -> bool {
    /// Keeps the path within the 107 bytes of a Unix socket's address for any reasonable directory.
    const LONGEST: usize = 48;
    (1..=LONGEST).contains(&name.len())
        && !name.starts_with('.')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_words_become_paths() {
        for name in ["tiny", "web-1.example_x"] {
            assert!(plain_word(name), "{name}");
        }
        for name in ["", ".", "..", ".hidden", "a/b", "../x", "a b", "ü", "a\0b", &"x".repeat(49)] {
            assert!(!plain_word(name), "{name:?}");
        }
    }

    #[tokio::test]
    async fn a_taken_name_falls_back_to_the_uuid() {
        let dir = tempfile::tempdir().unwrap();
        let [one, two] = [1, 2].map(|n| Uuid::from_bytes([n; 16]));
        let first = listen_unix(dir.path(), one, "same").unwrap();
        assert_eq!(first.address(), dir.path().join("same.vnc").display().to_string());
        let second = listen_unix(dir.path(), two, "same").unwrap();
        assert_eq!(second.address(), dir.path().join(format!("{two}.vnc")).display().to_string());
    }
}
