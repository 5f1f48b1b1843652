//! The xenstore protocol on the wire, without any socket: how a message is framed and what its payloads mean.
//!
//! Source: `xen/include/public/io/xs_wire.h` and `docs/misc/xenstore.txt` of the Xen tree. Both ends of a connection
//! use this module: the client here, and the simulated store of the demo.

use bytes::{Buf, BufMut, BytesMut};

/// Length of a message's header, in bytes: four 32-bit numbers in the machine's byte order (`struct xsd_sockmsg`).
pub const HEADER_BYTES: usize = 16;

/// Most bytes that a payload may have in either direction (`XENSTORE_PAYLOAD_MAX`); xenstored drops a connection
/// that exceeds it.
pub const MAX_PAYLOAD_BYTES: usize = 4096;

/// Most bytes that an absolute path may have (`XENSTORE_ABS_PATH_MAX`).
pub const MAX_PATH_BYTES: usize = 3072;

/// What a message asks or answers (`enum xsd_sockmsg_type`). A reply carries the kind of its request, or `Error`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Administration of the daemon; we never send it.
    Control,
    /// List a node's children: `path NUL`; answered by the names, each with a NUL.
    Directory,
    /// Read a node: `path NUL`; answered by its bytes, without a NUL.
    Read,
    /// Read a node's permissions: `path NUL`; answered by entries, each with a NUL.
    GetPerms,
    /// Register a watch: `path NUL token NUL`.
    Watch,
    /// Take a watch away: `path NUL token NUL`.
    Unwatch,
    /// Start a transaction: `NUL`; answered by its decimal number and a NUL.
    TransactionStart,
    /// End a transaction: `T NUL` commits, `F NUL` discards.
    TransactionEnd,
    /// Tell of a new domain: `domid NUL gfn NUL port NUL`.
    Introduce,
    /// Tell that a domain is gone: `domid NUL`.
    Release,
    /// Ask for a domain's home: `domid NUL`; answered by a path and a NUL.
    GetDomainPath,
    /// Write a node: `path NUL value`, the value without a NUL.
    Write,
    /// Create a node unless it exists: `path NUL`.
    Mkdir,
    /// Remove a node and all below: `path NUL`.
    Rm,
    /// Set a node's permissions: `path NUL` and entries, each with a NUL.
    SetPerms,
    /// From the store only: `path NUL token NUL`, under request number 0.
    WatchEvent,
    /// From the store only: a request failed; the name of an errno and a NUL.
    Error,
    /// Ask whether a domain was introduced: `domid NUL`; answered by `T NUL` or `F NUL`.
    IsDomainIntroduced,
    /// Let `@releaseDomain` fire again for a domain: `domid NUL`.
    Resume,
    /// Give a domain the rights of another: `domid NUL target NUL`.
    SetTarget,
    /// Take all watches of a connection away: `NUL`.
    ResetWatches,
    /// List children in parts: `path NUL offset NUL`; answered by `generation NUL` and names, each with a NUL, and
    /// after the last part one more NUL.
    DirectoryPart,
    /// A number that we do not know.
    Other(u32),
}

impl Kind {
    /// The kind of this number on the wire.
    #[must_use]
    pub const fn from_wire(number: u32) -> Self {
        match number {
            0 => Self::Control,
            1 => Self::Directory,
            2 => Self::Read,
            3 => Self::GetPerms,
            4 => Self::Watch,
            5 => Self::Unwatch,
            6 => Self::TransactionStart,
            7 => Self::TransactionEnd,
            8 => Self::Introduce,
            9 => Self::Release,
            10 => Self::GetDomainPath,
            11 => Self::Write,
            12 => Self::Mkdir,
            13 => Self::Rm,
            14 => Self::SetPerms,
            15 => Self::WatchEvent,
            16 => Self::Error,
            17 => Self::IsDomainIntroduced,
            18 => Self::Resume,
            19 => Self::SetTarget,
            // 20 was RESTRICT, which is gone.
            21 => Self::ResetWatches,
            22 => Self::DirectoryPart,
            other => Self::Other(other),
        }
    }

    /// Its number on the wire.
    #[must_use]
    pub const fn to_wire(self) -> u32 {
        match self {
            Self::Control => 0,
            Self::Directory => 1,
            Self::Read => 2,
            Self::GetPerms => 3,
            Self::Watch => 4,
            Self::Unwatch => 5,
            Self::TransactionStart => 6,
            Self::TransactionEnd => 7,
            Self::Introduce => 8,
            Self::Release => 9,
            Self::GetDomainPath => 10,
            Self::Write => 11,
            Self::Mkdir => 12,
            Self::Rm => 13,
            Self::SetPerms => 14,
            Self::WatchEvent => 15,
            Self::Error => 16,
            Self::IsDomainIntroduced => 17,
            Self::Resume => 18,
            Self::SetTarget => 19,
            Self::ResetWatches => 21,
            Self::DirectoryPart => 22,
            Self::Other(other) => other,
        }
    }
}

/// One message, in either direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What it asks or answers.
    pub kind: Kind,
    /// Chosen by the client and repeated in the reply; 0 in a watch event.
    pub request: u32,
    /// The transaction it belongs to, 0 for none.
    pub transaction: u32,
    /// At most [`MAX_PAYLOAD_BYTES`] bytes.
    pub payload: Vec<u8>,
}

/// Why bytes are not a message. The framing is lost then: the connection must end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The header names a payload that no message may have.
    #[error("{kind:?} message with a payload of {bytes} bytes, at most {MAX_PAYLOAD_BYTES} are allowed")]
    PayloadTooLarge {
        /// The kind that the header names.
        kind: Kind,
        /// The length that the header names, in bytes.
        bytes: usize,
    },
}

/// Appends `message` to `output`; nothing is appended when its payload is too large.
pub fn encode(message: &Message, output: &mut BytesMut) -> Result<(), WireError> {
    let Message { kind, request, transaction, payload } = message;
    let too_large = || WireError::PayloadTooLarge { kind: *kind, bytes: payload.len() };
    let length = u32::try_from(payload.len()).map_err(|_| too_large())?;
    if payload.len() > MAX_PAYLOAD_BYTES {
        return Err(too_large());
    }
    output.reserve(HEADER_BYTES + payload.len());
    for number in [kind.to_wire(), *request, *transaction, length] {
        output.put_u32_ne(number);
    }
    output.put_slice(payload);
    Ok(())
}

/// Takes the first message from `input`; `None` leaves an incomplete one where it is.
pub fn decode(input: &mut BytesMut) -> Result<Option<Message>, WireError> {
    let mut header = match input.get(..HEADER_BYTES) {
        Some(header) => header,
        None => return Ok(None),
    };
    let kind = Kind::from_wire(header.get_u32_ne());
    let request = header.get_u32_ne();
    let transaction = header.get_u32_ne();
    let bytes = usize::try_from(header.get_u32_ne()).unwrap_or(usize::MAX);
    if bytes > MAX_PAYLOAD_BYTES {
        return Err(WireError::PayloadTooLarge { kind, bytes });
    }
    if input.len() < HEADER_BYTES + bytes {
        return Ok(None);
    }
    input.advance(HEADER_BYTES);
    let payload = input.split_to(bytes).to_vec();
    Ok(Some(Message { kind, request, transaction, payload }))
}

/// A payload of strings, each followed by a NUL.
#[must_use]
pub fn join_strings<S: AsRef<[u8]>>(strings: impl IntoIterator<Item = S>) -> Vec<u8> {
    let mut payload = Vec::new();
    for string in strings {
        payload.extend_from_slice(string.as_ref());
        payload.push(0);
    }
    payload
}

/// The strings of a payload; the NUL of the last one may be missing.
pub fn split_strings(payload: &[u8]) -> impl Iterator<Item = &[u8]> {
    let payload = payload.strip_suffix(&[0]).unwrap_or(payload);
    // An empty payload holds no string, where one NUL alone holds one that is empty; callers take both as none.
    payload.split(|&byte| byte == 0).filter(move |_| !payload.is_empty())
}

/// The part of a payload before its first NUL and what follows that NUL; `None` when there is no NUL.
#[must_use]
pub fn split_first(payload: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = payload.iter().position(|&byte| byte == 0)?;
    Some((payload.get(..end)?, payload.get(end + 1..)?))
}

/// Why a path is not one that xenstore knows (`docs/misc/xenstore.txt`, "a path").
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// More than [`MAX_PATH_BYTES`].
    #[error("it has {bytes} bytes, at most {MAX_PATH_BYTES} are allowed")]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// It is neither absolute nor a special watch such as `@introduceDomain`.
    #[error("it does not start with '/' or '@'")]
    NotAbsolute,
    /// Only letters, digits and `-/_@` may stand in a path.
    #[error("byte {byte:#04x} may not stand in a path")]
    Character {
        /// The first byte that may not.
        byte: u8,
    },
    /// A name in it is empty: two slashes in a row, or one at its end.
    #[error("a name in it is empty")]
    EmptyName,
}

/// Checks what xenstored would refuse, so that nothing invalid is ever sent.
pub fn check_path(path: &[u8]) -> Result<(), PathError> {
    if path.len() > MAX_PATH_BYTES {
        return Err(PathError::TooLong { bytes: path.len() });
    }
    if !matches!(path.first(), Some(b'/' | b'@')) {
        return Err(PathError::NotAbsolute);
    }
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-/_@".contains(byte);
    if let Some(&byte) = path.iter().find(|byte| !allowed(byte)) {
        return Err(PathError::Character { byte });
    }
    if path != b"/" && (path.ends_with(b"/") || path.windows(2).any(|pair| pair == b"//")) {
        return Err(PathError::EmptyName);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(kind: Kind, payload: &[u8]) -> Message {
        Message { kind, request: 7, transaction: 3, payload: payload.to_vec() }
    }

    /// What a client of libxenstore sent for `xenstore-read /a`, from `struct xsd_sockmsg` on a little-endian machine.
    #[test]
    #[cfg(target_endian = "little")]
    fn header_is_four_words_in_machine_order() {
        let mut output = BytesMut::new();
        encode(&message(Kind::Read, b"/a\0"), &mut output).unwrap();
        assert_eq!(output.as_ref(), b"\x02\0\0\0\x07\0\0\0\x03\0\0\0\x03\0\0\0/a\0");
    }

    #[test]
    fn numbers_are_those_of_xs_wire_h() {
        for (kind, number) in [
            (Kind::Directory, 1),
            (Kind::Write, 11),
            (Kind::WatchEvent, 15),
            (Kind::Error, 16),
            (Kind::IsDomainIntroduced, 17),
            (Kind::SetTarget, 19),
            (Kind::Other(20), 20),
            (Kind::ResetWatches, 21),
            (Kind::DirectoryPart, 22),
        ] {
            assert_eq!(kind.to_wire(), number);
            assert_eq!(Kind::from_wire(number), kind);
        }
    }

    #[test]
    fn payload_limit_holds_in_both_directions() {
        let mut bytes = BytesMut::new();
        let error = encode(&message(Kind::Write, &[0; MAX_PAYLOAD_BYTES + 1]), &mut bytes).unwrap_err();
        assert_eq!(error, WireError::PayloadTooLarge { kind: Kind::Write, bytes: 4097 });
        assert!(bytes.is_empty());

        for number in [2, 1, 0, u32::MAX] {
            bytes.put_u32_ne(number);
        }
        assert!(decode(&mut bytes).is_err());
    }

    #[test]
    fn strings_are_split_at_each_nul() {
        let split = |payload: &[u8]| split_strings(payload).map(<[u8]>::to_vec).collect::<Vec<_>>();
        assert_eq!(split(b"a\0b\0"), [b"a", b"b"]);
        assert_eq!(split(b"a\0b"), [b"a", b"b"]);
        assert!(split(b"").is_empty());
        assert!(split(b"\0").is_empty());
        assert_eq!(join_strings(["a", "b"]), b"a\0b\0");
        assert_eq!(split_first(b"path\0va\0lue"), Some((&b"path"[..], &b"va\0lue"[..])));
        assert_eq!(split_first(b"path"), None);
    }

    #[test]
    fn only_paths_that_xenstored_takes_pass() {
        for path in ["/", "/local/domain/1/name", "@releaseDomain", "/tool/x-y_z@1"] {
            assert_eq!(check_path(path.as_bytes()), Ok(()), "{path}");
        }
        assert_eq!(check_path(b""), Err(PathError::NotAbsolute));
        assert_eq!(check_path(b"data/x"), Err(PathError::NotAbsolute));
        assert_eq!(check_path(b"/a\0b"), Err(PathError::Character { byte: 0 }));
        assert_eq!(check_path(b"/a b"), Err(PathError::Character { byte: b' ' }));
        assert_eq!(check_path(b"/a/"), Err(PathError::EmptyName));
        assert_eq!(check_path(b"/a//b"), Err(PathError::EmptyName));
        assert_eq!(check_path(&[b'/'; 3073]), Err(PathError::TooLong { bytes: 3073 }));
    }

    fn any_message() -> impl Strategy<Value = Message> {
        let payload = prop::collection::vec(any::<u8>(), 0..=MAX_PAYLOAD_BYTES);
        (any::<u32>(), any::<u32>(), any::<u32>(), payload).prop_map(
            |(kind, request, transaction, payload)| Message {
                kind: Kind::from_wire(kind),
                request,
                transaction,
                payload,
            },
        )
    }

    proptest! {
        #[test]
        fn one_byte_at_a_time_equals_all_at_once(messages in prop::collection::vec(any_message(), 1..3)) {
            let mut whole = BytesMut::new();
            for message in &messages {
                encode(message, &mut whole).unwrap();
            }
            let mut input = BytesMut::new();
            let mut found = Vec::new();
            for &byte in whole.iter() {
                input.put_u8(byte);
                found.extend(decode(&mut input).unwrap());
            }
            prop_assert!(input.is_empty());
            prop_assert_eq!(&found, &messages);

            let mut at_once = Vec::new();
            while let Some(message) = decode(&mut whole).unwrap() {
                at_once.push(message);
            }
            prop_assert_eq!(&at_once, &messages);
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = decode(&mut BytesMut::from(bytes.as_slice()));
            let _ = check_path(&bytes);
            let _ = split_strings(&bytes).count();
        }
    }
}
