//! The directory with one history per guest: which guests it remembers, and for how long.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::history_file::HistoryFile;
use crate::xen::Uuid;

/// How many guests that are not there any more are remembered. Hosts that make and forget guests all day would fill
/// the directory otherwise; at the default size this is at most 16 MiB.
const ABSENT_GUESTS: usize = 64;

/// The name of the file that holds a guest's port.
const PORT: &str = "port";

/// The ports that guests had.
pub(super) fn ports(dir: &Path) -> Vec<(Uuid, u16)> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| {
            let uuid = entry.file_name().to_str()?.parse().ok()?;
            let port = fs::read_to_string(entry.path().join(PORT)).ok()?.trim().parse().ok()?;
            Some((uuid, port))
        })
        .collect()
}

/// Where a guest's console keeps what was read and not yet recorded.
pub(super) fn in_flight(dir: &Path, uuid: Uuid) -> PathBuf {
    dir.join(uuid.to_string()).join("in-flight")
}

/// Remembers the port of a guest for its next life and our next run.
pub(super) fn remember_port(history: &HistoryFile, port: u16) {
    if let Err(error) = history.remember(PORT, port.to_string().as_bytes()) {
        tracing::warn!(error = &error as &dyn std::error::Error, "the port is not remembered");
    }
}

/// Forgets the guests that have been absent longest, beyond [`ABSENT_GUESTS`].
pub(super) fn prune(dir: &Path, absent: impl Fn(&Uuid) -> bool) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    let mut old: Vec<_> = entries
        .flatten()
        .filter(|entry| {
            entry.file_name().to_str().and_then(|name| name.parse().ok()).is_some_and(|u| absent(&u))
        })
        .map(|entry| (last_written(&entry.path()), entry.path()))
        .collect();
    let beyond = old.len().saturating_sub(ABSENT_GUESTS);
    old.sort();
    for (_, path) in old.iter().take(beyond) {
        if let Err(error) = fs::remove_dir_all(path) {
            tracing::warn!(path = %path.display(), %error, "an old history cannot be removed");
        }
    }
}

/// When anything in a guest's directory was last written.
fn last_written(dir: &Path) -> Option<SystemTime> {
    fs::read_dir(dir).ok()?.flatten().filter_map(|file| file.metadata().ok()?.modified().ok()).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_remembered_and_the_oldest_absent_guests_are_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("not-a-uuid")).unwrap();
        let guests: Vec<Uuid> = (0..100).map(|n| Uuid::from_bytes([n; 16])).collect();
        for (n, uuid) in guests.iter().enumerate() {
            let history = HistoryFile::open(dir.path(), &uuid.to_string(), 4096).unwrap();
            remember_port(&history, 5900 + u16::try_from(n).unwrap());
            let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1000 + n as u64);
            for file in fs::read_dir(dir.path().join(uuid.to_string())).unwrap() {
                fs::File::options().write(true).open(file.unwrap().path()).unwrap().set_modified(at).unwrap();
            }
        }
        assert_eq!(ports(dir.path()).len(), 100);
        prune(dir.path(), |uuid| *uuid != guests[0]);
        let mut left = ports(dir.path());
        left.sort();
        let wanted: Vec<_> = std::iter::once(0)
            .chain(36..100)
            .map(|n| (guests[n], 5900 + u16::try_from(n).unwrap()))
            .collect();
        assert_eq!(left, wanted);
        assert!(dir.path().join("not-a-uuid").exists());
    }
}
