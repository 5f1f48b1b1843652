//! The console history of one guest on disk: append-only, bounded, replayed after a restart.
//!
//! A guest's directory `<history.dir>/<uuid>/` holds two segments, `current` and `previous`. Output is appended to
//! `current`; when that is full it becomes `previous`, whose predecessor is gone. A segment is a row of records
//! (`record.rs` has their form).
//!
//! Each record is one `write`, so that a killed daemon leaves whole records only; what a crash of the host tears is
//! found by length and CRC and cut off at the next start. Records are not forced to the disk: the host's crash ends the
//! guests too.
//!
//! Beside the segments lie small values ([`HistoryFile::remember`]). Nothing here follows a symlink in the guest's
//! directory, opens anything but regular files there, or lets anybody but the owner read.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::libc;

use crate::xen::console::RingPosition;

mod record;

pub use record::MAX_RECORD_BYTES;
use record::{Segment, after, header};

/// The most bytes of one of the two segments of a guest's history, by default.
pub const DEFAULT_SEGMENT_BYTES: u64 = 1024 * 1024;

/// The most bytes of a remembered value.
pub const MAX_VALUE_BYTES: usize = 4096;

/// The longest name of a remembered value, in bytes.
const MAX_NAME_BYTES: usize = 32;

/// The smallest segment, so that the largest record fits.
const MIN_SEGMENT_BYTES: u64 = 2 * MAX_RECORD_BYTES as u64;

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
    /// A remembered value is larger than [`MAX_VALUE_BYTES`].
    #[error("a value of {found} bytes cannot be remembered, at most {MAX_VALUE_BYTES}")]
    TooLong {
        /// Its size in bytes.
        found: usize,
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

/// A piece of guest output, as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Printed {
    /// When, in milliseconds since 1970, by the host's clock; records of earlier versions do not tell.
    pub at: Option<u64>,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// The console history of one guest. One process at a time may have it open.
pub struct HistoryFile {
    directory: PathBuf,
    current: File,
    /// The size of `current`, in bytes: where the next record goes.
    length: u64,
    segment_bytes: u64,
    last_position: Option<RingPosition>,
    /// What stands before the output of a record; reused.
    header: Vec<u8>,
}

impl fmt::Debug for HistoryFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("HistoryFile")
            .field("directory", &self.directory)
            .field("length", &self.length)
            .field("last_position", &self.last_position)
            .finish_non_exhaustive()
    }
}

impl HistoryFile {
    /// Opens or makes `<directory>/<uuid>/` with segments of at most `segment_bytes`. What a crash tore is cut off.
    ///
    /// # Errors
    /// When `uuid` is not one, the directory is not ours, or something cannot be opened.
    pub fn open(directory: &Path, uuid: &str, segment_bytes: u64) -> Result<Self, HistoryError> {
        if !is_uuid(uuid) {
            return Err(HistoryError::NotAUuid { name: uuid.to_owned() });
        }
        let directory = directory.join(uuid.to_ascii_lowercase());
        own_directory(&directory)?;
        let path = directory.join("current");
        let mut segment = Segment::open(&path)?;
        let mut last = None;
        for record in segment.by_ref() {
            last = Some(record.end());
        }
        let (whole, current) = (segment.offset, open_segment(&path)?);
        let length = file_length(&current, &path)?;
        if length > whole {
            current.set_len(whole).map_err(failed("cut the torn end of", &path))?;
        }
        let last_position = match last {
            Some(position) => position,
            // Right after a change of segments the last record is the other one's.
            None => Segment::open(&directory.join("previous"))?.last().and_then(|record| record.end()),
        };
        Ok(Self {
            directory,
            current,
            length: whole,
            segment_bytes: segment_bytes.max(MIN_SEGMENT_BYTES),
            last_position,
            header: Vec::new(),
        })
    }

    /// Appends guest output as one record in one `write`, with the ring position of its first byte where it has one.
    /// More than [`MAX_RECORD_BYTES`] become several records.
    ///
    /// # Errors
    /// When the disk is full or gone. The record that failed is not there then, not even in part.
    pub fn append(&mut self, position: Option<RingPosition>, bytes: &[u8]) -> Result<(), HistoryError> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let mut position = position;
        for bytes in bytes.chunks(MAX_RECORD_BYTES) {
            header(now, position, bytes, &mut self.header);
            let size = (self.header.len() + bytes.len()) as u64;
            if self.length + size > self.segment_bytes {
                self.change_segments()?;
            }
            self.write_record(bytes)?;
            self.length += size;
            position = position.map(|position| after(position, bytes.len()));
            self.last_position = position;
        }
        Ok(())
    }

    /// What was recorded, oldest first. What is appended meanwhile may be seen or not.
    ///
    /// # Errors
    /// When the files cannot be opened. What cannot be read ends its segment.
    pub fn replay(&self) -> Result<impl Iterator<Item = Printed> + use<>, HistoryError> {
        let previous = Segment::open(&self.directory.join("previous"))?;
        let current = Segment::open(&self.directory.join("current"))?;
        Ok(previous.chain(current).map(|record| Printed { at: record.at, bytes: record.bytes }))
    }

    /// The position right after the last recorded byte, when the last record has one: what
    /// [`crate::xen::console::Console::own`] wants to know.
    #[must_use]
    pub fn last_position(&self) -> Option<RingPosition> {
        self.last_position
    }

    /// A number that every successful append changes and nothing else does: tells
    /// [`crate::xen::console::InFlight`] whether what was read before a kill has been recorded.
    #[must_use]
    pub fn mark(&self) -> u64 {
        // A segment begins anew when the next record would not fit, so by its first record it is much shorter.
        self.length
    }

    /// Keeps a small value beside the history, for instance `port`. Replaced atomically.
    ///
    /// # Errors
    /// When the name is not made of `a-z`, `0-9` and `-`, the value is too long, or writing fails.
    pub fn remember(&self, name: &str, value: &[u8]) -> Result<(), HistoryError> {
        let path = self.value_path(name)?;
        if value.len() > MAX_VALUE_BYTES {
            return Err(HistoryError::TooLong { found: value.len() });
        }
        let new = path.with_extension("new");
        match fs::remove_file(&new) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed("replace", &new)(error)),
            _ => {}
        }
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)
            .and_then(|mut file| file.write_all(value))
            .and_then(|()| fs::rename(&new, &path));
        written.map_err(failed("write", &path))
    }

    /// A value kept by [`Self::remember`].
    ///
    /// # Errors
    /// When the name is bad, the value too long or not a file, or reading fails; one that is not there is `None`.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, HistoryError> {
        let path = self.value_path(name)?;
        let file = match OpenOptions::new().read(true).custom_flags(SAFE_OPEN).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(open_error(&path)(error)),
        };
        file_length(&file, &path)?;
        let mut value = Vec::new();
        file.take(MAX_VALUE_BYTES as u64 + 1).read_to_end(&mut value).map_err(failed("read", &path))?;
        if value.len() > MAX_VALUE_BYTES {
            return Err(HistoryError::TooLong { found: value.len() });
        }
        Ok(Some(value))
    }

    fn value_path(&self, name: &str) -> Result<PathBuf, HistoryError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let reserved = ["current", "previous"].contains(&name);
        if name.is_empty() || name.len() > MAX_NAME_BYTES || reserved || !name.bytes().all(allowed) {
            return Err(HistoryError::BadName { name: name.to_owned() });
        }
        Ok(self.directory.join(name))
    }

    /// Makes the full segment the previous one and begins an empty one. A crash in between is found as a missing
    /// segment, which is an empty one.
    fn change_segments(&mut self) -> Result<(), HistoryError> {
        let (path, previous) = (self.directory.join("current"), self.directory.join("previous"));
        // First, although a rename would do both: file systems on a disk (ext4 with `auto_da_alloc`) take the rename of a
        // file over another for a careful save, and write all of it to the disk at once.
        match fs::remove_file(&previous) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(failed("remove", &previous)(error));
            }
            _ => {}
        }
        match fs::rename(&path, &previous) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed("rename", &path)(error)),
            _ => {}
        }
        self.current = open_segment(&path)?;
        self.length = file_length(&self.current, &path)?;
        Ok(())
    }

    /// One `write` of the whole record, or none of it.
    fn write_record(&mut self, bytes: &[u8]) -> Result<(), HistoryError> {
        let record = [IoSlice::new(&self.header), IoSlice::new(bytes)];
        let written = loop {
            match self.current.write_vectored(&record) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(count) if count < self.header.len() + bytes.len() => {
                    break Err(ErrorKind::StorageFull.into());
                }
                result => break result,
            }
        };
        written.map(drop).map_err(|error| {
            // If this fails too, the next start cuts the torn record off.
            let _ = self.current.set_len(self.length);
            failed("append to", &self.directory.join("current"))(error)
        })
    }
}

/// Flags for files in a guest's directory: no symlink, and no waiting for the other end of a FIFO.
const SAFE_OPEN: libc::c_int = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;

/// Whether this is a UUID in its usual form of 36 characters; nothing else becomes part of a path.
fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Makes a directory that is ours alone, or checks the one that is there.
fn own_directory(path: &Path) -> Result<(), HistoryError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(failed("make the directory", path))?;
    let metadata = fs::symlink_metadata(path).map_err(failed("look at", path))?;
    if !metadata.is_dir() || metadata.uid() != nix::unistd::geteuid().as_raw() {
        return Err(HistoryError::Unexpected { path: path.to_owned(), wanted: "a directory of ours" });
    }
    if metadata.mode() & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(failed("close", path))?;
    }
    Ok(())
}

/// Opens a segment for appending.
fn open_segment(path: &Path) -> Result<File, HistoryError> {
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(SAFE_OPEN)
        .open(path)
        .map_err(open_error(path))?;
    file_length(&file, path)?;
    Ok(file)
}

/// The size of a file, which must be a regular one.
fn file_length(file: &File, path: &Path) -> Result<u64, HistoryError> {
    let metadata = file.metadata().map_err(failed("look at", path))?;
    if metadata.is_file() { Ok(metadata.len()) } else { Err(unexpected(path)) }
}

fn unexpected(path: &Path) -> HistoryError {
    HistoryError::Unexpected { path: path.to_owned(), wanted: "a regular file" }
}

/// Why a file could not be opened: a symlink, FIFO, socket or directory in its place is somebody's trick or mistake.
fn open_error(path: &Path) -> impl FnOnce(io::Error) -> HistoryError {
    move |source| match source.raw_os_error() {
        Some(libc::ELOOP | libc::ENXIO | libc::EISDIR) => unexpected(path),
        _ => failed("open", path)(source),
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> HistoryError {
    move |source| HistoryError::System { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use proptest::prelude::*;

    use super::*;

    const UUID: &str = "6f3a1c52-0b1e-4c58-9d0e-7a4c2b9f1e00";

    fn open(directory: &tempfile::TempDir) -> HistoryFile {
        HistoryFile::open(directory.path(), UUID, 0).expect("a history")
    }

    fn replayed(history: &HistoryFile) -> Vec<u8> {
        history.replay().expect("a replay").flat_map(|printed| printed.bytes).collect()
    }

    fn position(index: u32) -> Option<RingPosition> {
        Some(RingPosition { life: 0x0102_0304_0506_0708, index })
    }

    #[test]
    fn survives_being_closed_and_opened() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut history = open(&directory);
        history.append(None, b"one ").expect("append");
        history.append(position(u32::MAX), b"two ").expect("append");
        assert_eq!(history.last_position(), position(3), "wraps as the ring does");
        drop(history);
        let mut history = open(&directory);
        assert_eq!(history.last_position(), position(3));
        history.append(None, b"three").expect("append");
        assert_eq!(replayed(&history), b"one two three");
        assert_eq!(open(&directory).last_position(), None, "the last record has no position");
    }

    #[test]
    fn is_bounded_and_keeps_the_newest() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut history = open(&directory);
        let mut all = Vec::new();
        for number in 0..100_000u32 {
            let line = format!("line {number}\n");
            all.extend_from_slice(line.as_bytes());
            history.append(position(number), line.as_bytes()).expect("append");
        }
        let size = |name: &str| fs::metadata(history.directory.join(name)).expect("a segment").len();
        assert!(size("current") <= MIN_SEGMENT_BYTES && size("previous") <= MIN_SEGMENT_BYTES);
        let kept = replayed(&history);
        assert!(kept.starts_with(b"line ") && all.ends_with(&kept) && kept.len() > 50_000);
        assert_eq!(replayed(&open(&directory)), kept);
    }

    #[test]
    fn position_is_known_right_after_a_change_of_segments() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut history = open(&directory);
        history.append(position(7), b"abc").expect("append");
        history.change_segments().expect("change");
        drop(history);
        assert_eq!(open(&directory).last_position(), position(10));
        // Killed between the rename and the new file.
        fs::remove_file(directory.path().join(UUID).join("current")).expect("remove");
        let history = open(&directory);
        assert_eq!((history.last_position(), replayed(&history)), (position(10), b"abc".to_vec()));
        drop(history);
        // Killed before the rename.
        let place = |name: &str| directory.path().join(UUID).join(name);
        fs::rename(place("previous"), place("current")).expect("rename");
        let history = open(&directory);
        assert_eq!((history.last_position(), replayed(&history)), (position(10), b"abc".to_vec()));
    }

    #[test]
    fn large_output_is_split_with_positions() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut history = open(&directory);
        let bytes: Vec<u8> = (0..MAX_RECORD_BYTES + 5).map(|index| index.to_le_bytes()[0]).collect();
        history.append(position(1), &bytes).expect("append");
        assert_eq!(history.last_position(), position(u32::try_from(bytes.len()).expect("small") + 1));
        assert_eq!(
            history.replay().expect("a replay").map(|printed| printed.bytes.len()).max(),
            Some(MAX_RECORD_BYTES)
        );
        assert_eq!(replayed(&open(&directory)), bytes);
    }

    #[test]
    fn remembers_small_values() {
        let directory = tempfile::tempdir().expect("a directory");
        let history = open(&directory);
        assert_eq!(history.read("port").expect("read"), None);
        history.remember("port", b"5999").expect("remember");
        history.remember("port", b"5998").expect("remember");
        assert_eq!(open(&directory).read("port").expect("read").as_deref(), Some(&b"5998"[..]));
        for name in ["", ".", "..", "a/b", "current", "Port", "port.new", &"x".repeat(33)] {
            assert!(matches!(history.remember(name, b""), Err(HistoryError::BadName { .. })), "{name:?}");
            assert!(matches!(history.read(name), Err(HistoryError::BadName { .. })), "{name:?}");
        }
        assert!(matches!(
            history.remember("big", &[0; MAX_VALUE_BYTES + 1]),
            Err(HistoryError::TooLong { found: 4097 })
        ));
    }

    #[test]
    fn only_uuids_become_paths() {
        let directory = tempfile::tempdir().expect("a directory");
        for name in ["", "../../etc", "guest", &UUID[..35], &UUID.replace('-', "/"), &format!("{UUID}0")] {
            let result = HistoryFile::open(directory.path(), name, 0);
            assert!(matches!(result, Err(HistoryError::NotAUuid { .. })), "{name:?}");
        }
        // One guest has one history however its UUID is written.
        open(&directory).append(None, b"x").expect("append");
        let history = HistoryFile::open(directory.path(), &UUID.to_uppercase(), 0).expect("a history");
        assert_eq!(replayed(&history), b"x");
    }

    #[test]
    fn is_for_the_owner_only() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(UUID);
        fs::create_dir(&path).expect("a directory");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("open permissions");
        let history = open(&directory);
        history.remember("port", b"1").expect("remember");
        let mode = |path: &Path| fs::metadata(path).expect("metadata").mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
        assert_eq!((mode(&path.join("current")), mode(&path.join("port"))), (0o600, 0o600));
    }

    #[test]
    fn never_follows_a_symlink_or_opens_something_else() {
        let directory = tempfile::tempdir().expect("a directory");
        let victim = directory.path().join("victim");
        fs::write(&victim, b"precious").expect("a file");
        let path = directory.path().join(UUID);
        let history = open(&directory);
        for name in ["port", "current", "previous"] {
            let _ = fs::remove_file(path.join(name));
            symlink(&victim, path.join(name)).expect("a symlink");
        }
        assert!(matches!(history.read("port"), Err(HistoryError::Unexpected { .. })));
        assert!(history.replay().is_err());
        let opened = HistoryFile::open(directory.path(), UUID, 0);
        assert!(matches!(opened, Err(HistoryError::Unexpected { .. })), "{opened:?}");
        history.remember("port", b"5999").expect("the symlink itself is replaced");
        assert_eq!(history.read("port").expect("read").as_deref(), Some(&b"5999"[..]));
        fs::remove_file(path.join("current")).expect("remove");
        nix::unistd::mkfifo(&path.join("current"), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
        let opened = HistoryFile::open(directory.path(), UUID, 0);
        assert!(matches!(opened, Err(HistoryError::Unexpected { .. })), "{opened:?}");
        fs::remove_dir_all(&path).expect("remove");
        symlink(directory.path(), &path).expect("a symlink");
        let opened = HistoryFile::open(directory.path(), UUID, 0);
        assert!(opened.is_err(), "{opened:?}");
        assert_eq!(fs::read(&victim).expect("read"), b"precious");
    }

    fn records() -> impl Strategy<Value = Vec<(Option<u32>, Vec<u8>)>> {
        prop::collection::vec((any::<Option<u32>>(), prop::collection::vec(any::<u8>(), 1..200)), 1..20)
    }

    fn write_all(directory: &tempfile::TempDir, records: &[(Option<u32>, Vec<u8>)]) -> Vec<u8> {
        let mut history = open(directory);
        for (index, bytes) in records {
            history.append(index.and_then(position), bytes).expect("append");
        }
        fs::read(directory.path().join(UUID).join("current")).expect("the segment")
    }

    proptest! {
        #[test]
        fn torn_end_is_cut_and_the_rest_kept(records in records(), cut in any::<prop::sample::Index>()) {
            let directory = tempfile::tempdir().expect("a directory");
            let file = write_all(&directory, &records);
            let cut = cut.index(file.len() + 1);
            fs::write(directory.path().join(UUID).join("current"), &file[..cut]).expect("tear");
            // What a whole record before the cut holds is there; what the cut is in is not.
            let (mut kept, mut offset) = (Vec::new(), 0);
            for (index, bytes) in &records {
                offset += if index.is_some() { 32 } else { 20 } + bytes.len();
                if offset > cut { break; }
                kept.extend_from_slice(bytes);
            }
            let mut history = open(&directory);
            prop_assert_eq!(&replayed(&history), &kept);
            history.append(position(0), b"after").expect("append");
            kept.extend_from_slice(b"after");
            prop_assert_eq!(&replayed(&history), &kept);
            prop_assert_eq!(&replayed(&open(&directory)), &kept);
        }

        #[test]
        fn damage_never_shows_as_output(
            records in records(),
            at in any::<prop::sample::Index>(),
            bits in 1u8..,
        ) {
            let directory = tempfile::tempdir().expect("a directory");
            let mut file = write_all(&directory, &records);
            let at = at.index(file.len());
            file[at] ^= bits;
            fs::write(directory.path().join(UUID).join("current"), &file).expect("damage");
            let all: Vec<u8> = records.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
            let history = open(&directory);
            let kept = replayed(&history);
            prop_assert!(kept.len() < all.len() && all.starts_with(&kept));
        }

        #[test]
        fn any_file_opens(file in prop::collection::vec(any::<u8>(), 0..4000)) {
            let directory = tempfile::tempdir().expect("a directory");
            drop(open(&directory));
            for name in ["current", "previous"] {
                fs::write(directory.path().join(UUID).join(name), &file).expect("rubbish");
            }
            let mut history = open(&directory);
            history.append(None, b"x").expect("append");
            prop_assert!(replayed(&history).ends_with(b"x"));
        }
    }
}
