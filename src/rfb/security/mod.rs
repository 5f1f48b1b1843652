//! Security types (RFC 6143 §7.2 and the community's specification): how a viewer proves that it may connect, and how a
//! server proves who it is.
//!
//! [`Security`] is what a server asks for. Passwords are compared in constant time and wiped when dropped.

pub mod backoff;
mod credentials;
mod offer;
pub mod tls;
pub mod vnc_auth;

pub use credentials::Credentials;
pub use offer::{Choice, ChoiceError, Method, Security};

use zeroize::Zeroize;

/// The most bytes of a VNC password that count; more are ignored (RFC 6143 §7.2.2: the key is 8 bytes).
pub const PASSWORD_BYTES: usize = 8;

/// The number of a security type on the wire (RFC 6143 §7.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SecurityType(pub u8);

impl SecurityType {
    /// Says that the connection failed; never a choice.
    pub const INVALID: Self = Self(0);
    /// No proof is needed.
    pub const NONE: Self = Self(1);
    /// Challenge and response by DES.
    pub const VNC_AUTH: Self = Self(2);
    /// TightVNC's wrapping of the above, with lists of what the server can do.
    pub const TIGHT: Self = Self(16);
    /// An umbrella for TLS and others.
    pub const VENCRYPT: Self = Self(19);
}

/// A VNC password, cut or padded to its 8 bytes. Wiped when dropped, never printed.
#[derive(Clone)]
pub struct Password([u8; PASSWORD_BYTES]);

impl Password {
    /// The password of these bytes; those after the eighth do not count.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        let mut key = [0; PASSWORD_BYTES];
        for (to, from) in key.iter_mut().zip(bytes) {
            *to = *from;
        }
        Self(key)
    }
}

impl Drop for Password {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_printed() {
        let security = Security::VncAuth(Password::new(b"hunter2"));
        assert_eq!(format!("{security:?}"), "VncAuth(Password(..))");
    }
}
