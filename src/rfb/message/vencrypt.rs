//! The messages of VeNCrypt 0.2 (community specification, "VeNCrypt"): an umbrella under which a server offers subtypes,
//! most of which begin with a TLS handshake.

use super::handshake::HandshakeError;
use crate::rfb::security::Credentials;
use crate::rfb::wire::{Reader, Stop, Writer};

/// The only version that is spoken here, major and minor. 0.1 has other numbers for its subtypes and no users.
pub const VERSION: [u8; 2] = [0, 2];

/// The most bytes of a user's name.
pub const USER_BYTES: usize = 256;

/// The most bytes of a password in the Plain subtypes.
pub const PASSWORD_BYTES: usize = 1024;

/// The number of a subtype.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subtype(pub u32);

impl Subtype {
    /// Name and password in the clear. Never offered and never chosen.
    pub const PLAIN: Self = Self(256);
    /// Anonymous TLS, and nothing to prove. rustls has no anonymous key exchange: never offered and never chosen, like the
    /// other `TLS` subtypes.
    pub const TLS_NONE: Self = Self(257);
    /// TLS with a certificate, and nothing to prove inside.
    pub const X509_NONE: Self = Self(260);
    /// TLS with a certificate; VNC authentication inside.
    pub const X509_VNC: Self = Self(261);
    /// TLS with a certificate; name and password inside.
    pub const X509_PLAIN: Self = Self(262);
}

/// Appends a list of subtypes: their number (U8), then each (U32).
pub fn encode_subtypes(subtypes: &[Subtype], out: &mut Vec<u8>) {
    let count = u8::try_from(subtypes.len()).unwrap_or(u8::MAX);
    out.put_u8(count);
    subtypes.iter().take(usize::from(count)).for_each(|subtype| out.put_u32(subtype.0));
}

/// Reads a list of subtypes.
///
/// # Errors
/// [`Stop::NeedMore`] only.
pub fn decode_subtypes(reader: &mut Reader<'_>) -> Result<Vec<Subtype>, Stop<HandshakeError>> {
    let count = reader.u8()?;
    let mut bytes = Reader::new(reader.bytes(4 * usize::from(count))?);
    Ok((0..count).map(|_| bytes.u32().map(Subtype)).collect::<Result<_, _>>()?)
}

/// Appends name and password: both lengths (U32), then both texts.
pub fn encode_credentials(credentials: &Credentials, out: &mut Vec<u8>) {
    for text in [credentials.user(), credentials.password()] {
        out.put_u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
    }
    out.put(credentials.user());
    out.put(credentials.password());
}

/// Reads name and password. What is too long is refused by its length, before any of it is collected.
///
/// # Errors
/// [`HandshakeError::CredentialsTooLong`].
pub fn decode_credentials(reader: &mut Reader<'_>) -> Result<Credentials, Stop<HandshakeError>> {
    let (user, password) = (reader.u32()?, reader.u32()?);
    let within = |bytes: u32, limit| usize::try_from(bytes).ok().filter(|bytes| *bytes <= limit);
    match (within(user, USER_BYTES), within(password, PASSWORD_BYTES)) {
        (Some(user), Some(password)) => {
            let (user, password) = (reader.bytes(user)?, reader.bytes(password)?);
            Ok(Credentials::new(user, password))
        }
        _ => Err(Stop::Failed(HandshakeError::CredentialsTooLong { user, password })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subtypes_read_back_and_no_prefix_does() {
        let subtypes = [Subtype::X509_PLAIN, Subtype::X509_VNC, Subtype(0x1234_5678)];
        let mut out = Vec::new();
        encode_subtypes(&subtypes, &mut out);
        assert_eq!(out, [3, 0, 0, 1, 6, 0, 0, 1, 5, 0x12, 0x34, 0x56, 0x78]);
        assert_eq!(decode_subtypes(&mut Reader::new(&out)), Ok(subtypes.to_vec()));
        for end in 0..out.len() {
            assert_eq!(decode_subtypes(&mut Reader::new(&out[..end])), Err(Stop::NeedMore));
        }
    }

    #[test]
    fn credentials_read_back_and_no_prefix_does() {
        let credentials = Credentials::new(b"ann", b"pass word");
        let mut out = Vec::new();
        encode_credentials(&credentials, &mut out);
        assert_eq!(out, b"\0\0\0\x03\0\0\0\x09annpass word");
        assert_eq!(decode_credentials(&mut Reader::new(&out)), Ok(credentials));
        for end in 0..out.len() {
            assert_eq!(decode_credentials(&mut Reader::new(&out[..end])), Err(Stop::NeedMore));
        }
    }

    #[test]
    fn credentials_are_refused_by_their_length() {
        let lengths = |user: u32, password: u32| [user.to_be_bytes(), password.to_be_bytes()].concat();
        for (user, password) in [(257, 0), (0, 1025), (u32::MAX, u32::MAX)] {
            let wanted = HandshakeError::CredentialsTooLong { user, password };
            let bytes = lengths(user, password);
            assert_eq!(decode_credentials(&mut Reader::new(&bytes)), Err(Stop::Failed(wanted)));
        }
        let longest = [lengths(256, 1024), vec![b'x'; 1280]].concat();
        let read = decode_credentials(&mut Reader::new(&longest)).unwrap();
        assert_eq!((read.user().len(), read.password().len()), (256, 1024));
    }
}
