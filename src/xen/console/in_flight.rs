//! Guest output between the pty and the history.
//!
//! A `read` takes bytes out of a pty for good; a process that is killed before it has recorded them takes them along.
//! So each read goes into a few pages of a file, where the next process finds what its predecessor had read and not
//! recorded. Reads that follow each other at once lie there one behind the other, and are recorded together.
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | 8 | the history's mark at the time of the reads, native-endian |
//! | 8 | 16376 | what was read, then zeros |
//!
//! The bytes are new if the history's mark is still the same; else they were recorded before the kill. Zeros at the end
//! of what was read cannot be told from the rest of the pages and are not restored: a terminal ignores them.

use std::fs::OpenOptions;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::libc;

use crate::xen::sys::mapping::FilePages;

/// How many pages: what one record of the history takes, rather than one for each read. Reserved for every console.
const PAGES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(3);

/// Where the bytes are.
const DATA: usize = 8;

/// The mark of a read that no history waits for: what it brought is not restored.
const NO_MARK: u64 = u64::MAX;

/// Pages that survive us.
#[derive(Debug)]
pub struct InFlight {
    pages: FilePages,
    /// How many bytes at [`DATA`] are not zero.
    length: usize,
}

impl InFlight {
    /// Opens or makes the file, which one console at a time may use; best in a memory file system such as `/run`. With it comes what was read and not
    /// recorded when the history had this `mark`: append that to the history, then say so by
    /// [`Self::recorded`].
    ///
    /// # Errors
    /// When the file cannot be opened, is a symlink or no regular file, or has no room.
    pub fn open(path: &Path, mark: u64) -> io::Result<(Self, Vec<u8>)> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        let pages = FilePages::new(file.as_fd(), PAGES)?;
        let mut contents = Vec::new();
        pages.copy_to(0..pages.length(), &mut contents);
        let mut left = contents.split_off(DATA);
        left.truncate(left.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1));
        let length = left.len();
        if contents != mark.to_ne_bytes() {
            left.clear();
        }
        Ok((Self { pages, length }, left))
    }

    /// The history has everything that was read, and this mark by now.
    pub fn recorded(&mut self, mark: u64) {
        // In this order: without bytes no mark does harm.
        const ZEROS: [u8; 4096] = [0; 4096];
        let end = DATA + self.length;
        for start in (DATA..end).step_by(ZEROS.len()) {
            self.pages.write(start, &ZEROS[..ZEROS.len().min(end - start)]);
        }
        self.length = 0;
        self.pages.write(0, &mark.to_ne_bytes());
    }

    /// The room for further reads, in bytes.
    pub(super) fn room(&self) -> usize {
        self.pages.length() - DATA - self.length
    }

    /// One `read` of a pty, appended to `out` and kept. Where there is no room, what was read before is nobody's concern
    /// any more, recorded or not.
    ///
    /// # Errors
    /// Those of `read(2)`.
    pub(super) fn read(&mut self, pty: BorrowedFd<'_>, out: &mut Vec<u8>) -> io::Result<usize> {
        if self.room() == 0 {
            self.recorded(NO_MARK);
        }
        let start = DATA + self.length;
        let count = self.pages.read_from(pty, start..self.pages.length())?;
        self.length += count;
        self.pages.copy_to(start..start + count, out);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pipe(bytes: &[u8]) -> std::os::fd::OwnedFd {
        let (reader, writer) = nix::unistd::pipe().expect("a pipe");
        nix::unistd::write(&writer, bytes).expect("write");
        reader
    }

    #[test]
    fn restores_what_was_read_and_not_recorded() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("page");
        let (mut first, left) = InFlight::open(&path, 100).expect("a page");
        assert_eq!(left, b"");
        first.recorded(100);
        let mut out = Vec::new();
        assert_eq!(first.read(pipe(b"one\0\0").as_fd(), &mut out).expect("read"), 5);
        assert_eq!(out, b"one\0\0");
        // Killed here: the history still has its mark.
        let (mut second, left) = InFlight::open(&path, 100).expect("a page");
        assert_eq!(left, b"one");
        // Killed again before that was appended, and then after it.
        assert_eq!(InFlight::open(&path, 100).expect("a page").1, b"one");
        assert_eq!(InFlight::open(&path, 103).expect("a page").1, b"");
        second.recorded(103);
        second.read(pipe(b"x").as_fd(), &mut out).expect("read");
        assert_eq!(InFlight::open(&path, 103).expect("a page").1, b"x", "nothing of the longer one is left");
        assert_eq!(InFlight::open(&path, 104).expect("a page").1, b"");
        // Several reads are recorded together.
        second.read(pipe(b"y").as_fd(), &mut out).expect("read");
        assert_eq!(InFlight::open(&path, 103).expect("a page").1, b"xy");
        assert_eq!(out, b"one\0\0xy");
        second.recorded(105);
        assert_eq!(InFlight::open(&path, 105).expect("a page").1, b"");
        // Where nobody records anything, reads go on, and are not restored once one is lost.
        second.read(pipe(b"old").as_fd(), &mut out).expect("read");
        while second.room() > 0 {
            second.read(pipe(&[b'x'; 4096]).as_fd(), &mut out).expect("read");
        }
        assert!(InFlight::open(&path, 105).expect("a page").1.starts_with(b"oldxxx"));
        second.read(pipe(b"new").as_fd(), &mut out).expect("read");
        assert!(out.ends_with(b"new"));
        assert_eq!(InFlight::open(&path, 105).expect("a page").1, b"");
    }

    #[test]
    fn any_file_opens_and_a_symlink_does_not() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("page");
        std::fs::write(&path, [0xff; 10_000]).expect("rubbish");
        let (mut page, left) = InFlight::open(&path, 5).expect("a page");
        assert_eq!(left, b"");
        page.recorded(5);
        assert_eq!(InFlight::open(&path, 5).expect("a page").1, b"");
        let symlink = directory.path().join("symlink");
        std::os::unix::fs::symlink(&path, &symlink).expect("a symlink");
        assert!(InFlight::open(&symlink, 5).is_err());
        assert!(InFlight::open(directory.path(), 5).is_err());
    }
}
