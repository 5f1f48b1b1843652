//! Who a domain is: the identifier that the hypervisor lent it, and the UUID that outlives it.

use std::fmt;
use std::str::FromStr;

/// A domain's number: a lease that ends with this life of the guest, and that may be given to another guest later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Domid(u16);

/// The first number that is not a domain's (`DOMID_FIRST_RESERVED`, `xen/include/public/xen.h`).
const FIRST_RESERVED: u16 = 0x7FF0;

impl Domid {
    /// The control domain, in which we run.
    pub const ZERO: Self = Self(0);

    /// The domain of this number, which must be below 0x7FF0 (`DOMID_FIRST_RESERVED`).
    pub fn new(number: u16) -> Result<Self, DomidError> {
        if number < FIRST_RESERVED { Ok(Self(number)) } else { Err(DomidError::Reserved { number }) }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Domid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Domid {
    type Err = DomidError;

    /// Decimal, as xenstore writes it: no sign, no leading zero.
    fn from_str(text: &str) -> Result<Self, DomidError> {
        let number: u16 = text.parse().map_err(|_| DomidError::NotANumber { text: shorten(text) })?;
        // `parse` takes "+7" and "007", which no toolstack writes and which would make two names for one domain.
        if number.to_string() != text {
            return Err(DomidError::NotANumber { text: shorten(text) });
        }
        Self::new(number)
    }
}

/// Why something is not a domain's number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DomidError {
    /// It is not a plain decimal number.
    #[error("{text:?} is not a domain number")]
    NotANumber {
        /// What was found, shortened.
        text: String,
    },
    /// The hypervisor keeps this number for itself.
    #[error("domain number {number} is reserved, wanted less than {FIRST_RESERVED}")]
    Reserved {
        /// The number found.
        number: u16,
    },
}

/// A guest's identity, which stays the same through reboots; its text form is safe as a file name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid([u8; 16]);

/// Where the hyphens stand in the text form of a UUID (RFC 9562 §4).
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

/// Length of the text form of a UUID, in bytes (RFC 9562 §4).
const UUID_TEXT_BYTES: usize = 36;

impl Uuid {
    /// The UUID of these 16 bytes, in the order in which they are written.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its 16 bytes, in the order in which they are written.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The UUID behind the value of a domain's `vm` node, which is `/vm/<uuid>`. Some toolstacks append `-<n>` when
    /// a `/vm` directory of that name exists already (xend did); that is not a UUID and is refused.
    pub fn from_vm_node(value: &[u8]) -> Result<Self, UuidError> {
        let text = std::str::from_utf8(value).ok().and_then(|text| text.strip_prefix("/vm/"));
        let text = text.ok_or_else(|| UuidError::NotAVmPath { value: shorten_bytes(value) })?;
        text.parse()
    }
}

impl FromStr for Uuid {
    type Err = UuidError;

    fn from_str(text: &str) -> Result<Self, UuidError> {
        let malformed = || UuidError::Malformed { text: shorten(text) };
        let text_bytes = text.as_bytes();
        if text_bytes.len() != UUID_TEXT_BYTES {
            return Err(malformed());
        }
        let mut bytes = [0; 16];
        let mut nibbles = 0_usize;
        for (at, &byte) in text_bytes.iter().enumerate() {
            if HYPHENS.contains(&at) {
                if byte != b'-' {
                    return Err(malformed());
                }
                continue;
            }
            let nibble = match byte {
                b'0'..=b'9' => byte - b'0',
                b'a'..=b'f' => byte - b'a' + 10,
                b'A'..=b'F' => byte - b'A' + 10,
                _ => return Err(malformed()),
            };
            let slot = bytes.get_mut(nibbles / 2).ok_or_else(malformed)?;
            *slot = (*slot << 4) | nibble;
            nibbles += 1;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Uuid {
    /// Lower case with hyphens, as libxl writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why something is not a UUID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UuidError {
    /// The `vm` node does not point below `/vm/`.
    #[error("vm node is {value:?}, wanted /vm/ and a uuid")]
    NotAVmPath {
        /// What was found, shortened.
        value: String,
    },
    /// It is not the 8-4-4-4-12 form.
    #[error("{text:?} is not a uuid")]
    Malformed {
        /// What was found, shortened.
        text: String,
    },
}

/// How much of a hostile value goes into an error, in characters: enough to recognise it in a log line.
const QUOTED_CHARS: usize = 64;

/// The beginning of a text that may be of any length.
pub(super) fn shorten(text: &str) -> String {
    text.chars().take(QUOTED_CHARS).collect()
}

/// The beginning of a value that may be of any length and hold any bytes.
pub(super) fn shorten_bytes(value: &[u8]) -> String {
    // A character has at most 4 bytes, hence this cuts nothing that `shorten` would keep.
    shorten(&String::from_utf8_lossy(value.get(..QUOTED_CHARS * 4).unwrap_or(value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TINY: &str = "2991347e-f9bd-4c25-ba56-ac5e9f225861";

    #[test]
    fn vm_node_of_libxl_is_read() {
        let uuid = Uuid::from_vm_node(format!("/vm/{TINY}").as_bytes()).unwrap();
        assert_eq!(uuid.to_string(), TINY);
        assert_eq!(&uuid.as_bytes()[..4], [0x29, 0x91, 0x34, 0x7e]);
    }

    #[test]
    fn upper_case_is_the_same_uuid() {
        assert_eq!(TINY.to_uppercase().parse::<Uuid>().unwrap().to_string(), TINY);
    }

    #[test]
    fn hostile_vm_nodes_are_named_errors() {
        for value in [
            &b""[..],
            b"/vm/",
            b"/vm",
            b"2991347e-f9bd-4c25-ba56-ac5e9f225861",
            b"/vm/../../etc/passwd/aaaa-aaaa-aaaaaaaa",
            b"/vm/2991347e-f9bd-4c25-ba56-ac5e9f225861-1",
            b"/vm/2991347e-f9bd-4c25-ba56-ac5e9f22586",
            b"/vm/2991347ef9bd-4c25-ba56--ac5e9f225861",
            b"/vm/2991347e-f9bd-4c25-ba56-ac5e9f22586g",
            b"/vm/\xff\xfe",
            b"/vm/2991347e-f9bd-4c25-ba56-ac5e9f225861\0",
        ] {
            assert!(Uuid::from_vm_node(value).is_err(), "{value:?}");
        }
        let long = vec![b'a'; 4096];
        let error = Uuid::from_vm_node(&long).unwrap_err().to_string();
        assert!(error.len() < 200, "{error}");
    }

    #[test]
    fn domid_is_a_plain_number_below_the_reserved_ones() {
        assert_eq!("7".parse(), Ok(Domid(7)));
        assert_eq!("32751".parse(), Ok(Domid(32751)));
        for text in ["", "-1", "+7", "07", "7 ", "65536", "seven"] {
            assert!(matches!(text.parse::<Domid>(), Err(DomidError::NotANumber { .. })), "{text:?}");
        }
        assert_eq!("32752".parse::<Domid>(), Err(DomidError::Reserved { number: 32752 }));
    }

    proptest! {
        #[test]
        fn uuid_text_round_trips(bytes: [u8; 16]) {
            let uuid = Uuid::from_bytes(bytes);
            prop_assert_eq!(uuid.to_string().parse(), Ok(uuid));
        }

        #[test]
        fn no_vm_node_panics(value: Vec<u8>) {
            let _ = Uuid::from_vm_node(&value);
        }
    }
}
