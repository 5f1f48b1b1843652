//! A user's name and password, as the Plain subtypes of VeNCrypt carry them.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A name and a password. Both are bytes: the specification advises UTF-8 and demands nothing. The password is wiped when
/// dropped and never printed.
#[derive(Clone)]
pub struct Credentials {
    user: Vec<u8>,
    password: Zeroizing<Vec<u8>>,
}

impl Credentials {
    /// The credentials of these bytes.
    #[must_use]
    pub fn new(user: &[u8], password: &[u8]) -> Self {
        Self { user: user.to_vec(), password: Zeroizing::new(password.to_vec()) }
    }

    /// The name.
    #[must_use]
    pub fn user(&self) -> &[u8] {
        &self.user
    }

    /// The password.
    #[must_use]
    pub fn password(&self) -> &[u8] {
        &self.password
    }
}

impl PartialEq for Credentials {
    fn eq(&self, other: &Self) -> bool {
        self.user == other.user && bool::from(self.password.ct_eq(&other.password))
    }
}

impl Eq for Credentials {}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials {{ user: \"{}\", password: .. }}", self.user.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_printed() {
        let credentials = Credentials::new(b"ann\x1b", b"hunter2");
        assert_eq!(format!("{credentials:?}"), r#"Credentials { user: "ann\x1b", password: .. }"#);
        assert_eq!(credentials, credentials.clone());
        assert_ne!(credentials, Credentials::new(b"ann\x1b", b"hunter3"));
    }
}
