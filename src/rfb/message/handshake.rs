//! The handshake's messages (RFC 6143 §7.1 to §7.3), whose forms differ between versions 3.3, 3.7 and 3.8.

use super::super::pixel_format::{PixelFormat, PixelFormatError};
use super::super::security::SecurityType;
use super::super::wire::{Reader, Stop, Writer};
use super::vencrypt;
use crate::geometry::Size;

/// The bytes of a version line.
pub const VERSION_BYTES: usize = 12;

/// The most bytes of a desktop name or of a reason, in UTF-8.
pub const NAME_BYTES: usize = 1024;

/// The versions that exist. Others that peers announce count as the nearest older one: 3.5 as 3.3, 3.889 (Apple) and
/// 4.1 (RealVNC) as 3.8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// 3.3: the server chooses the security type.
    V3_3,
    /// 3.7: the viewer chooses among those offered.
    V3_7,
    /// 3.8: as 3.7, and every failure has a reason.
    V3_8,
}

impl Version {
    /// Its line.
    #[must_use]
    pub fn line(self) -> &'static [u8; VERSION_BYTES] {
        match self {
            Self::V3_3 => b"RFB 003.003\n",
            Self::V3_7 => b"RFB 003.007\n",
            Self::V3_8 => b"RFB 003.008\n",
        }
    }

    /// Reads a version line, `RFB xxx.yyy\n`.
    ///
    /// # Errors
    /// [`HandshakeError::NotRfb`] and [`HandshakeError::TooOld`].
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, Stop<HandshakeError>> {
        // What cannot become a version line is refused at once: who speaks HTTP may never send a twelfth byte.
        let given = &reader.rest()[..reader.rest().len().min(VERSION_BYTES)];
        let fits = |(at, byte): (usize, &u8)| match at {
            4..=6 | 8..=10 => byte.is_ascii_digit(),
            _ => *byte == Self::V3_3.line()[at],
        };
        if !given.iter().enumerate().all(fits) {
            return Err(Stop::Failed(HandshakeError::NotRfb { got: given.to_vec() }));
        }
        let line: [u8; VERSION_BYTES] = reader.array()?;
        let number = |digits: &[u8]| digits.iter().fold(0, |n, digit| n * 10 + u16::from(digit - b'0'));
        let (major, minor) = (number(&line[4..7]), number(&line[8..11]));
        match (major, minor) {
            (0..3, _) | (3, 0..3) => Err(Stop::Failed(HandshakeError::TooOld { major, minor })),
            (3, 3..7) => Ok(Self::V3_3),
            (3, 7) => Ok(Self::V3_7),
            _ => Ok(Self::V3_8),
        }
    }
}

/// What no peer may do before the connection is ready.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// The first line is no version.
    #[error("\"{}\" where an RFB version line was expected", got.escape_ascii())]
    NotRfb {
        /// What came, at most [`VERSION_BYTES`].
        got: Vec<u8>,
    },
    /// A version from before 3.3.
    #[error("RFB version {major}.{minor}; 3.3 or later wanted")]
    TooOld {
        /// The major version.
        major: u16,
        /// The minor version.
        minor: u16,
    },
    /// The server refuses, for this reason.
    #[error("the server refuses: {}", reason.escape_debug())]
    Refused {
        /// What it says.
        reason: String,
    },
    /// A reason or a name is too long.
    #[error("text of {bytes} bytes; at most {NAME_BYTES} wanted")]
    TextTooLong {
        /// Its length.
        bytes: u32,
    },
    /// A number that is no security result.
    #[error("security result {0}; 0, 1 or 2 wanted")]
    UnknownResult(u32),
    /// A version of VeNCrypt other than 0.2.
    #[error("VeNCrypt version {major}.{minor}; 0.2 wanted")]
    VeNCryptVersion {
        /// The major version.
        major: u8,
        /// The minor version.
        minor: u8,
    },
    /// A name or password is too long.
    #[error(
        "name of {user} and password of {password} bytes; at most {} and {} wanted",
        vencrypt::USER_BYTES,
        vencrypt::PASSWORD_BYTES
    )]
    CredentialsTooLong {
        /// The name's length.
        user: u32,
        /// The password's length.
        password: u32,
    },
    /// The server's pixel format makes no sense.
    #[error("bad pixel format")]
    PixelFormat(#[from] PixelFormatError),
}

/// Text behind its length, at most [`NAME_BYTES`]; what is not UTF-8 is replaced.
fn decode_text(reader: &mut Reader<'_>) -> Result<String, Stop<HandshakeError>> {
    let bytes = reader.u32()?;
    let length = usize::try_from(bytes).unwrap_or(usize::MAX);
    if length > NAME_BYTES {
        return Err(Stop::Failed(HandshakeError::TextTooLong { bytes }));
    }
    Ok(String::from_utf8_lossy(reader.bytes(length)?).into_owned())
}

/// The longest beginning of `text` that has at most [`NAME_BYTES`] bytes.
#[must_use]
pub fn bounded_text(text: &str) -> &str {
    &text[..text.floor_char_boundary(NAME_BYTES)]
}

/// What a server offers (§7.1.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecurityOffer {
    /// These types; in version 3.3 the first of them is decreed.
    Types(Vec<SecurityType>),
    /// None, for this reason.
    Refused(String),
}

impl SecurityOffer {
    /// Appends the offer.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        match (self, version) {
            (Self::Types(types), Version::V3_3) => {
                out.put_u32(types.first().map_or(0, |kind| u32::from(kind.0)));
            }
            (Self::Types(types), _) => {
                let count = u8::try_from(types.len()).unwrap_or(u8::MAX);
                out.put_u8(count);
                out.extend(types.iter().take(usize::from(count)).map(|kind| kind.0));
            }
            (Self::Refused(reason), _) => {
                match version {
                    Version::V3_3 => out.put_u32(0),
                    Version::V3_7 | Version::V3_8 => out.put_u8(0),
                }
                out.put_counted(bounded_text(reason).as_bytes());
            }
        }
    }

    /// Reads an offer.
    ///
    /// # Errors
    /// [`HandshakeError::TextTooLong`].
    pub fn decode(version: Version, reader: &mut Reader<'_>) -> Result<Self, Stop<HandshakeError>> {
        let types = match version {
            // A number that no type has is kept as the invalid type, so that a client refuses it.
            Version::V3_3 => match reader.u32()? {
                0 => Vec::new(),
                kind => vec![SecurityType(u8::try_from(kind).unwrap_or(0))],
            },
            Version::V3_7 | Version::V3_8 => {
                let count = usize::from(reader.u8()?);
                reader.bytes(count)?.iter().map(|kind| SecurityType(*kind)).collect()
            }
        };
        if types.is_empty() { Ok(Self::Refused(decode_text(reader)?)) } else { Ok(Self::Types(types)) }
    }
}

/// How the security handshake ended (§7.1.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecurityResult {
    /// The viewer may go on.
    Passed,
    /// It may not; only version 3.8 carries the reason, in others it is empty.
    Failed(String),
}

impl SecurityResult {
    /// Appends the result.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        match self {
            Self::Passed => out.put_u32(0),
            Self::Failed(reason) => {
                out.put_u32(1);
                if version == Version::V3_8 {
                    out.put_counted(bounded_text(reason).as_bytes());
                }
            }
        }
    }

    /// Reads a result.
    ///
    /// # Errors
    /// [`HandshakeError::UnknownResult`] and [`HandshakeError::TextTooLong`].
    pub fn decode(version: Version, reader: &mut Reader<'_>) -> Result<Self, Stop<HandshakeError>> {
        match reader.u32()? {
            0 => Ok(Self::Passed),
            // 2 is "too many attempts" of VNC authentication's older description.
            1 | 2 if version == Version::V3_8 => Ok(Self::Failed(decode_text(reader)?)),
            1 | 2 => Ok(Self::Failed(String::new())),
            other => Err(Stop::Failed(HandshakeError::UnknownResult(other))),
        }
    }
}

/// What a server says last in the handshake (§7.3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerInit {
    /// The framebuffer's size.
    pub size: Size,
    /// The server's own pixel format, used until the viewer sets another.
    pub format: PixelFormat,
    /// The desktop's name, at most [`NAME_BYTES`].
    pub name: String,
}

impl ServerInit {
    /// Appends the message.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_u16(self.size.width);
        out.put_u16(self.size.height);
        self.format.encode(out);
        out.put_counted(bounded_text(&self.name).as_bytes());
    }

    /// Reads the message.
    ///
    /// # Errors
    /// [`HandshakeError::PixelFormat`] and [`HandshakeError::TextTooLong`].
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, Stop<HandshakeError>> {
        let size = Size::new(reader.u16()?, reader.u16()?);
        let format = PixelFormat::decode(reader)?.map_err(|e| Stop::Failed(e.into()))?;
        Ok(Self { size, format, name: decode_text(reader)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(line: &[u8]) -> Result<Version, Stop<HandshakeError>> {
        Version::decode(&mut Reader::new(line))
    }

    #[test]
    fn odd_versions_count_as_the_nearest_older_one() {
        for (line, wanted) in [
            (b"RFB 003.003\n", Version::V3_3),
            (b"RFB 003.005\n", Version::V3_3),
            (b"RFB 003.006\n", Version::V3_3),
            (b"RFB 003.007\n", Version::V3_7),
            (b"RFB 003.008\n", Version::V3_8),
            (b"RFB 003.889\n", Version::V3_8),
            (b"RFB 004.001\n", Version::V3_8),
        ] {
            assert_eq!(version(line), Ok(wanted));
            for end in 0..VERSION_BYTES {
                assert_eq!(version(&line[..end]), Err(Stop::NeedMore));
            }
        }
    }

    #[test]
    fn what_is_no_version_is_refused_at_the_first_wrong_byte() {
        for line in [&b"G"[..], b"RFB x", b"RFB 003,", b"RFB 003.00a", b"RFB 003.008\r", b"RFB 003.008\0"] {
            assert_eq!(version(line), Err(Stop::Failed(HandshakeError::NotRfb { got: line.to_vec() })));
            assert_eq!(version(&line[..line.len() - 1]), Err(Stop::NeedMore));
        }
        assert!(matches!(
            version(b"RFB 003.002\n"),
            Err(Stop::Failed(HandshakeError::TooOld { major: 3, minor: 2 }))
        ));
    }

    #[test]
    fn offers_and_results_have_each_versions_form() {
        let offer = SecurityOffer::Types(vec![SecurityType::VNC_AUTH]);
        let refused = SecurityOffer::Refused("no".into());
        let failed = SecurityResult::Failed("no".into());
        let bytes = |encode: &dyn Fn(&mut Vec<u8>)| {
            let mut out = Vec::new();
            encode(&mut out);
            out
        };
        for (version, offer_bytes, refused_bytes, failed_bytes) in [
            (Version::V3_3, &[0, 0, 0, 2][..], &[0, 0, 0, 0, 0, 0, 0, 2, b'n', b'o'][..], &[0, 0, 0, 1][..]),
            (Version::V3_7, &[1, 2], &[0, 0, 0, 0, 2, b'n', b'o'], &[0, 0, 0, 1]),
            (Version::V3_8, &[1, 2], &[0, 0, 0, 0, 2, b'n', b'o'], &[0, 0, 0, 1, 0, 0, 0, 2, b'n', b'o']),
        ] {
            assert_eq!(bytes(&|out| offer.encode(version, out)), offer_bytes);
            assert_eq!(bytes(&|out| refused.encode(version, out)), refused_bytes);
            assert_eq!(bytes(&|out| failed.encode(version, out)), failed_bytes);
            assert_eq!(SecurityOffer::decode(version, &mut Reader::new(offer_bytes)), Ok(offer.clone()));
            assert_eq!(SecurityOffer::decode(version, &mut Reader::new(refused_bytes)), Ok(refused.clone()));
            let wanted = if version == Version::V3_8 { "no" } else { "" };
            assert_eq!(
                SecurityResult::decode(version, &mut Reader::new(failed_bytes)),
                Ok(SecurityResult::Failed(wanted.into()))
            );
        }
    }

    #[test]
    fn server_init_reads_back_and_is_bounded() {
        let mut init =
            ServerInit { size: Size::new(640, 400), format: PixelFormat::RGB888, name: "dom0 ü".into() };
        let mut out = Vec::new();
        init.encode(&mut out);
        assert_eq!(out[..4], [2, 128, 1, 144]);
        assert_eq!(out[20..24], [0, 0, 0, 7]);
        assert_eq!(ServerInit::decode(&mut Reader::new(&out)), Ok(init.clone()));
        init.name = "ü".repeat(NAME_BYTES);
        out.clear();
        init.encode(&mut out);
        assert_eq!(out.len(), 24 + NAME_BYTES);
        out[20..24].copy_from_slice(&[0xff; 4]);
        assert_eq!(
            ServerInit::decode(&mut Reader::new(&out[..24])),
            Err(Stop::Failed(HandshakeError::TextTooLong { bytes: u32::MAX }))
        );
    }
}
