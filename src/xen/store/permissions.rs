//! Who may read and write a node.

use std::fmt;
use std::str::FromStr;

use super::wire;
use crate::xen::Domid;

/// What a domain may do with a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Right {
    /// `n`: nothing.
    None,
    /// `r`: read it.
    Read,
    /// `w`: write it.
    Write,
    /// `b`: both.
    Both,
}

/// One entry of a node's permissions, `r5` for instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Permission {
    /// What the domain may do.
    pub right: Right,
    /// Which domain.
    pub domid: Domid,
}

/// A node's permissions: its owner and what others may do (`docs/misc/xenstore.txt`, GET_PERMS).
///
/// The first entry names the owner, who may do everything, and what domains without an entry may do. Clients of
/// xenstored's socket count as domain 0, which may always do everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Permissions {
    /// The owner, and what a domain may do that `others` does not name.
    pub owner: Permission,
    /// What the domains named here may do.
    pub others: Vec<Permission>,
}

/// Most entries that we take from a node; xenstored itself allows guests 5.
const MAX_ENTRIES: usize = 64;

impl Permissions {
    /// `n0`: domain 0 only.
    #[must_use]
    pub const fn private() -> Self {
        Self { owner: Permission { right: Right::None, domid: Domid::ZERO }, others: Vec::new() }
    }

    /// `n0,r<domid>`: owned by domain 0, readable by that guest.
    #[must_use]
    pub fn readable_by(domid: Domid) -> Self {
        Self { others: vec![Permission { right: Right::Read, domid }], ..Self::private() }
    }

    /// The permissions in a reply to GET_PERMS.
    pub fn parse(payload: &[u8]) -> Result<Self, PermissionError> {
        let mut entries = wire::split_strings(payload).map(Permission::parse);
        let owner = entries.next().ok_or(PermissionError::Empty)??;
        let others = entries.take(MAX_ENTRIES).collect::<Result<_, _>>()?;
        Ok(Self { owner, others })
    }

    /// The entries, the owner's first.
    pub fn entries(&self) -> impl Iterator<Item = &Permission> {
        std::iter::once(&self.owner).chain(&self.others)
    }

    /// The entries for SET_PERMS, each with a NUL.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        wire::join_strings(self.entries().map(Permission::to_string))
    }
}

impl Permission {
    fn parse(entry: &[u8]) -> Result<Self, PermissionError> {
        let malformed = || PermissionError::Malformed { entry: crate::xen::identity::shorten_bytes(entry) };
        let (letter, number) = entry.split_first().ok_or_else(malformed)?;
        let right = match letter {
            b'n' => Right::None,
            b'r' => Right::Read,
            b'w' => Right::Write,
            b'b' => Right::Both,
            _ => return Err(malformed()),
        };
        let number = std::str::from_utf8(number).map_err(|_| malformed())?;
        Ok(Self { right, domid: number.parse().map_err(|_| malformed())? })
    }
}

impl FromStr for Permissions {
    type Err = PermissionError;

    /// The form in which xenstore-ls prints them: `n0,r5`.
    fn from_str(text: &str) -> Result<Self, PermissionError> {
        Self::parse(&wire::join_strings(text.split(',')))
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = match self.right {
            Right::None => 'n',
            Right::Read => 'r',
            Right::Write => 'w',
            Right::Both => 'b',
        };
        write!(f, "{letter}{}", self.domid)
    }
}

impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, entry) in self.entries().enumerate() {
            write!(f, "{}{entry}", if at == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

/// Why something is not a list of permissions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PermissionError {
    /// There is no entry, not even the owner's.
    #[error("permissions without an owner")]
    Empty,
    /// An entry is not a letter of `nrwb` and a domain's number.
    #[error("permission {entry:?} is not one of n, r, w, b and a domain number")]
    Malformed {
        /// The entry, shortened.
        entry: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_xenstore_ls_round_trip() {
        for text in ["n0", "n0,r1", "n1,r0", "b3", "n0,r5,w6,b7"] {
            let permissions: Permissions = text.parse().unwrap();
            assert_eq!(permissions.to_string(), text);
            assert_eq!(Permissions::parse(&permissions.encode()).unwrap(), permissions);
        }
        assert_eq!(Permissions::readable_by(Domid::new(5).unwrap()).encode(), b"n0\0r5\0");
        assert_eq!(Permissions::private().encode(), b"n0\0");
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        assert_eq!(Permissions::parse(b""), Err(PermissionError::Empty));
        for text in ["x0", "n", "0", "n0,", "n0,r", "n0,r99999", "n-1"] {
            assert!(matches!(text.parse::<Permissions>(), Err(PermissionError::Malformed { .. })), "{text}");
        }
    }
}
