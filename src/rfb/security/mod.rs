//! Security types (RFC 6143 §7.2): how a viewer proves that it may connect.

use zeroize::Zeroize;

/// The most bytes of a VNC password that count; more are ignored (RFC 6143 §7.2.2: the key is 8 bytes).
pub const PASSWORD_BYTES: usize = 8;

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

/// What a server asks of its viewers.
#[derive(Debug, Clone)]
pub enum Security {
    /// Nothing: security type 1.
    None,
    /// The VNC password: security type 2, DES challenge and response.
    VncAuth(Password),
}
