//! The client's handshake (RFC 6143 §7.1 to §7.3), from version to ServerInit.

use super::event::ClientError;
use crate::rfb::message::handshake::{HandshakeError, SecurityOffer, SecurityResult, ServerInit, Version};
use crate::rfb::security::{Password, SecurityType, vnc_auth};
use crate::rfb::wire::{Reader, Stop, Writer};

/// What the server has to send next.
#[derive(Debug, Clone, Copy)]
enum Stage {
    Version,
    Offer(Version),
    Challenge(Version),
    Result(Version),
    ServerInit,
}

/// A handshake that is under way.
#[derive(Debug)]
pub(super) struct Handshake {
    stage: Stage,
    shared: bool,
    password: Option<Password>,
}

impl Handshake {
    pub(super) fn new(shared: bool, password: Option<Password>) -> Self {
        Self { stage: Stage::Version, shared, password }
    }

    /// Takes one message; the answer to it is appended to `out`. Returns ServerInit when the handshake is complete.
    pub(super) fn step(
        &mut self,
        reader: &mut Reader<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Option<ServerInit>, Stop<ClientError>> {
        self.stage = match self.stage {
            Stage::Version => {
                let version = Version::decode(reader).map_err(told)?;
                out.put(version.line());
                Stage::Offer(version)
            }
            Stage::Offer(version) => match SecurityOffer::decode(version, reader).map_err(told)? {
                SecurityOffer::Refused(reason) => {
                    return Err(Stop::Failed(HandshakeError::Refused { reason }.into()));
                }
                SecurityOffer::Types(offered) => {
                    let chosen = self.choose(offered).map_err(Stop::Failed)?;
                    self.begin(version, chosen, out)
                }
            },
            Stage::Challenge(version) => {
                let challenge = reader.array()?;
                let password = self.password.as_ref().ok_or(Stop::Failed(ClientError::NoPassword))?;
                out.put(&vnc_auth::response(password, &challenge));
                Stage::Result(version)
            }
            Stage::Result(version) => match SecurityResult::decode(version, reader).map_err(told)? {
                SecurityResult::Passed => self.init(out),
                SecurityResult::Failed(reason) => {
                    return Err(Stop::Failed(ClientError::AuthenticationFailed { reason }));
                }
            },
            Stage::ServerInit => return ServerInit::decode(reader).map_err(told).map(Some),
        };
        Ok(None)
    }

    /// The type that asks least of us among those offered.
    fn choose(&self, offered: Vec<SecurityType>) -> Result<SecurityType, ClientError> {
        if offered.contains(&SecurityType::NONE) {
            return Ok(SecurityType::NONE);
        }
        match (offered.contains(&SecurityType::VNC_AUTH), &self.password) {
            (true, Some(_)) => Ok(SecurityType::VNC_AUTH),
            (true, None) => Err(ClientError::NoPassword),
            (false, _) => Err(ClientError::NoSecurityType { offered }),
        }
    }

    /// Begins the type that was chosen; in version 3.3 the server did so.
    fn begin(&self, version: Version, chosen: SecurityType, out: &mut Vec<u8>) -> Stage {
        if version != Version::V3_3 {
            out.put_u8(chosen.0);
        }
        match (chosen, version) {
            (SecurityType::VNC_AUTH, _) => Stage::Challenge(version),
            // Only version 3.8 has a result where nothing was to be proven (RFC 6143 appendix A).
            (_, Version::V3_8) => Stage::Result(version),
            _ => self.init(out),
        }
    }

    /// Sends ClientInit.
    fn init(&self, out: &mut Vec<u8>) -> Stage {
        out.put_u8(u8::from(self.shared));
        Stage::ServerInit
    }
}

fn told(stop: Stop<HandshakeError>) -> Stop<ClientError> {
    stop.map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Size;
    use crate::rfb::pixel_format::PixelFormat;

    fn init() -> ServerInit {
        ServerInit { size: Size::new(640, 400), format: PixelFormat::RGB888, name: "x".into() }
    }

    /// Runs a handshake on a server's bytes, given at once and one by one: how it ended, and what was sent.
    fn run(
        password: Option<&[u8]>,
        server: &[&[u8]],
    ) -> (Result<Option<ServerInit>, Stop<ClientError>>, Vec<u8>) {
        let bytes = server.concat();
        let run_in = |step: usize| {
            let mut out = Vec::new();
            let mut handshake = Handshake::new(true, password.map(Password::new));
            let (mut start, mut end) = (0, 0);
            loop {
                let mut reader = Reader::new(&bytes[start..end]);
                match handshake.step(&mut reader, &mut out) {
                    Ok(None) => start += reader.consumed(),
                    Err(Stop::NeedMore) if end < bytes.len() => end = bytes.len().min(end + step),
                    finished => return (finished, out),
                }
            }
        };
        let result = run_in(bytes.len());
        assert_eq!(run_in(1), result);
        result
    }

    fn init_bytes() -> Vec<u8> {
        let mut out = Vec::new();
        init().encode(&mut out);
        out
    }

    #[test]
    fn without_a_password_only_version_3_8_sends_a_result() {
        let cases: [(&[u8], &[u8], &[u8]); 8] = [
            (b"RFB 003.003\n", &[0, 0, 0, 1], b"RFB 003.003\n\x01"),
            (b"RFB 003.004\n", &[0, 0, 0, 1], b"RFB 003.003\n\x01"),
            (b"RFB 003.006\n", &[0, 0, 0, 1], b"RFB 003.003\n\x01"),
            (b"RFB 003.007\n", &[2, 2, 1], b"RFB 003.007\n\x01\x01"),
            (b"RFB 003.008\n", &[3, 19, 16, 1, 0, 0, 0, 0], b"RFB 003.008\n\x01\x01"),
            (b"RFB 003.014\n", &[1, 1, 0, 0, 0, 0], b"RFB 003.008\n\x01\x01"),
            (b"RFB 003.889\n", &[2, 30, 1, 0, 0, 0, 0], b"RFB 003.008\n\x01\x01"),
            (b"RFB 005.000\n", &[1, 1, 0, 0, 0, 0], b"RFB 003.008\n\x01\x01"),
        ];
        for (version, offer, sent) in cases {
            let (end, out) = run(None, &[version, offer, &init_bytes()]);
            assert_eq!(end, Ok(Some(init())));
            assert_eq!(out, sent);
        }
    }

    /// The response to a challenge by the password "secret", from OpenSSL (see `vnc_auth`).
    #[test]
    fn a_challenge_is_answered_in_every_version() {
        let challenge: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
        let response =
            [0xee, 0x22, 0x53, 0x9f, 0x33, 0xa5, 0x98, 0x3e, 0xc1, 0x2f, 0x9c, 0x2e, 0xdb, 0xc9, 0x95, 0xdd];
        let reason = b"\0\0\0\x02no".as_slice();
        let cases: [[&[u8]; 4]; 3] = [
            [b"RFB 003.003\n", &[0, 0, 0, 2], &[], &[]],
            [b"RFB 003.007\n", &[2, 19, 2], &[2], &[]],
            [b"RFB 003.008\n", &[1, 2], &[2], reason],
        ];
        for [version, offer, choice, reason] in cases {
            let (end, out) = run(Some(b"secret"), &[version, offer, &challenge, &[0; 4], &init_bytes()]);
            assert_eq!(end, Ok(Some(init())));
            assert_eq!(out, [version, choice, &response, &[1]].concat());
            for result in [1, 2] {
                let (end, _) =
                    run(Some(b"secret"), &[version, offer, &challenge, &[0, 0, 0, result], reason]);
                let said = if reason.is_empty() { "" } else { "no" };
                let wanted = ClientError::AuthenticationFailed { reason: said.into() };
                assert_eq!(end, Err(Stop::Failed(wanted)));
            }
            let (end, out) = run(None, &[version, offer, &challenge]);
            assert_eq!(end, Err(Stop::Failed(ClientError::NoPassword)));
            assert_eq!(out, version);
        }
    }

    #[test]
    fn what_cannot_be_done_is_named() {
        let cases: [(&[&[u8]], ClientError); 7] = [
            (
                &[b"RFB 003.008\n", &[2, 19, 16]],
                ClientError::NoSecurityType { offered: vec![SecurityType(19), SecurityType(16)] },
            ),
            (
                &[b"RFB 003.003\n", &[0, 0, 1, 1]],
                ClientError::NoSecurityType { offered: vec![SecurityType(0)] },
            ),
            (
                &[b"RFB 003.003\n", &[0; 4], b"\0\0\0\x03why"],
                HandshakeError::Refused { reason: "why".into() }.into(),
            ),
            (
                &[b"RFB 003.008\n", &[0], b"\0\0\0\x03why"],
                HandshakeError::Refused { reason: "why".into() }.into(),
            ),
            (&[b"RFB 003.008\n", &[0], &[0, 0, 4, 1]], HandshakeError::TextTooLong { bytes: 1025 }.into()),
            (&[b"RFB 003.008\n", &[1, 1], &[0, 0, 0, 3]], HandshakeError::UnknownResult(3).into()),
            (
                &[b"RFB 003.008\n", &[1, 1], &[0; 4], &init_bytes()[..20], &[0xff; 4]],
                HandshakeError::TextTooLong { bytes: u32::MAX }.into(),
            ),
        ];
        for (server, error) in cases {
            assert_eq!(run(None, server).0, Err(Stop::Failed(error)));
        }
        assert!(matches!(
            run(None, &[b"H"]),
            (Err(Stop::Failed(ClientError::Handshake(HandshakeError::NotRfb { .. }))), out) if out.is_empty()
        ));
    }
}
