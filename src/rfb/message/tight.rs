//! The messages of the Tight security type (community specification, "Tight Security Type"): lists of capabilities, each
//! named by a code and two words, of which a peer may use only what it finds there.

use super::handshake::HandshakeError;
use crate::rfb::wire::{Reader, Stop, Writer};

/// Something that a server can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capability {
    /// Its number: a message type, an encoding, or what it is in the list that it is in.
    pub code: i32,
    /// Who has invented it.
    pub vendor: [u8; 4],
    /// Its name.
    pub signature: [u8; 8],
}

impl Capability {
    const fn new(code: i32, vendor: &[u8; 4], signature: &[u8; 8]) -> Self {
        Self { code, vendor: *vendor, signature: *signature }
    }

    /// Authentication: nothing to prove.
    pub const NO_AUTHENTICATION: Self = Self::new(1, b"STDV", b"NOAUTH__");
    /// Authentication: challenge and response.
    pub const VNC_AUTHENTICATION: Self = Self::new(2, b"STDV", b"VNCAUTH_");

    /// Appends it: code (S32), vendor, signature; 16 bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_i32(self.code);
        out.put(&self.vendor);
        out.put(&self.signature);
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`Stop::NeedMore`] only.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, Stop<HandshakeError>> {
        Ok(Self { code: reader.i32()?, vendor: reader.array()?, signature: reader.array()? })
    }
}

/// The messages that our server may send beyond those of RFC 6143.
const SERVER_MESSAGES: [Capability; 1] = [Capability::new(150, b"TGHT", b"CUS_EOCU")];

/// The messages that it understands beyond them.
const CLIENT_MESSAGES: [Capability; 1] = [Capability::new(150, b"TGHT", b"CUC_ENCU")];

/// Its encodings, as far as they are registered for these lists; the others are found out as by any other viewer.
const ENCODINGS: [Capability; 13] = [
    Capability::new(0, b"STDV", b"RAW_____"),
    Capability::new(1, b"STDV", b"COPYRECT"),
    Capability::new(2, b"STDV", b"RRE_____"),
    Capability::new(4, b"STDV", b"CORRE___"),
    Capability::new(5, b"STDV", b"HEXTILE_"),
    Capability::new(6, b"TRDV", b"ZLIB____"),
    Capability::new(7, b"TGHT", b"TIGHT___"),
    Capability::new(-32, b"TGHT", b"JPEGQLVL"),
    Capability::new(-223, b"TGHT", b"NEWFBSIZ"),
    Capability::new(-224, b"TGHT", b"LASTRECT"),
    Capability::new(-239, b"TGHT", b"RCHCURSR"),
    Capability::new(-240, b"TGHT", b"X11CURSR"),
    Capability::new(-256, b"TGHT", b"COMPRLVL"),
];

/// Appends a list of tunnels or authentication types: its length (U32), then each.
pub fn encode_list(capabilities: &[Capability], out: &mut Vec<u8>) {
    out.put_u32(u32::try_from(capabilities.len()).unwrap_or(u32::MAX));
    capabilities.iter().for_each(|capability| capability.encode(out));
}

/// Appends what follows `ServerInit` when the viewer has chosen this security type: what the server can do besides what
/// every server can.
pub fn encode_interaction(out: &mut Vec<u8>) {
    for list in [&SERVER_MESSAGES[..], &CLIENT_MESSAGES, &ENCODINGS] {
        out.put_u16(u16::try_from(list.len()).unwrap_or(u16::MAX));
    }
    out.put_u16(0);
    for capability in SERVER_MESSAGES.iter().chain(&CLIENT_MESSAGES).chain(&ENCODINGS) {
        capability.encode(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_the_specifications_bytes() {
        let mut out = Vec::new();
        encode_list(&[Capability::VNC_AUTHENTICATION], &mut out);
        assert_eq!(out, b"\0\0\0\x01\0\0\0\x02STDVVNCAUTH_");
        let mut reader = Reader::new(&out[4..]);
        assert_eq!(Capability::decode(&mut reader), Ok(Capability::VNC_AUTHENTICATION));
        out.clear();
        encode_interaction(&mut out);
        assert_eq!(out[..8], [0, 1, 0, 1, 0, 13, 0, 0]);
        assert_eq!(out.len(), 8 + 15 * 16);
        assert_eq!(out[8..24], *b"\0\0\0\x96TGHTCUS_EOCU");
        assert_eq!(out[out.len() - 16..], *b"\xff\xff\xff\x00TGHTCOMPRLVL");
    }
}
