//! The server's handshake (RFC 6143 §7.1 to §7.3), from version to ClientInit.

use super::event::ServerError;
use crate::rfb::message::handshake::{HandshakeError, SecurityOffer, SecurityResult, Version};
use crate::rfb::security::vnc_auth::{self, CHALLENGE_BYTES};
use crate::rfb::security::{Security, SecurityType};
use crate::rfb::wire::{Reader, Stop, Writer};

/// What the viewer has to send next.
#[derive(Debug, Clone, Copy)]
enum Stage {
    Version,
    Choice(Version),
    Response(Version),
    ClientInit,
}

/// A handshake that is under way.
#[derive(Debug)]
pub(super) struct Handshake {
    stage: Stage,
    security: Security,
    challenge: [u8; CHALLENGE_BYTES],
}

/// What the last step of a handshake tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClientInit {
    /// False when the viewer wants to be alone.
    pub(super) shared: bool,
}

impl Handshake {
    /// Begins: `out` gets the server's version.
    pub(super) fn new(security: Security, challenge: [u8; CHALLENGE_BYTES], out: &mut Vec<u8>) -> Self {
        out.put(Version::V3_8.line());
        Self { stage: Stage::Version, security, challenge }
    }

    /// Takes one message. The answer to it, also one of failure, is appended to `out`. Returns ClientInit when the
    /// handshake is complete.
    pub(super) fn step(
        &mut self,
        reader: &mut Reader<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Option<ClientInit>, Stop<ServerError>> {
        self.stage = match self.stage {
            Stage::Version => {
                let version = Version::decode(reader).map_err(|stop| stop.map(|e| refuse_version(e, out)))?;
                self.offer(version, out)
            }
            Stage::Choice(version) => {
                let (chosen, offered) = (SecurityType(reader.u8()?), self.security.offer());
                if chosen != offered {
                    SecurityResult::Failed("security type was not offered".into()).encode(version, out);
                    return Err(Stop::Failed(ServerError::SecurityNotOffered { chosen, offered }));
                }
                self.begin(version, out)
            }
            Stage::Response(version) => {
                let answer = reader.array()?;
                let passed = match &self.security {
                    Security::VncAuth(password) => vnc_auth::verify(password, &self.challenge, &answer),
                    Security::None => false,
                };
                if !passed {
                    SecurityResult::Failed("authentication failed".into()).encode(version, out);
                    return Err(Stop::Failed(ServerError::WrongPassword));
                }
                SecurityResult::Passed.encode(version, out);
                Stage::ClientInit
            }
            Stage::ClientInit => return Ok(Some(ClientInit { shared: reader.u8()? != 0 })),
        };
        Ok(None)
    }

    /// Offers the security type; version 3.3 leaves the viewer no choice.
    fn offer(&self, version: Version, out: &mut Vec<u8>) -> Stage {
        SecurityOffer::Types(vec![self.security.offer()]).encode(version, out);
        match version {
            Version::V3_3 => self.begin(version, out),
            Version::V3_7 | Version::V3_8 => Stage::Choice(version),
        }
    }

    /// Begins the security type that was chosen.
    fn begin(&self, version: Version, out: &mut Vec<u8>) -> Stage {
        match (&self.security, version) {
            (Security::VncAuth(_), _) => {
                out.put(&self.challenge);
                Stage::Response(version)
            }
            // Only version 3.8 has a result where nothing was to be proven (RFC 6143 appendix A).
            (Security::None, Version::V3_8) => {
                SecurityResult::Passed.encode(version, out);
                Stage::ClientInit
            }
            (Security::None, _) => Stage::ClientInit,
        }
    }
}

/// Who speaks an older RFB is told why it cannot go on, in the oldest form; who speaks no RFB is told nothing.
fn refuse_version(error: HandshakeError, out: &mut Vec<u8>) -> ServerError {
    if matches!(error, HandshakeError::TooOld { .. }) {
        SecurityOffer::Refused("RFB 3.3 or later wanted".into()).encode(Version::V3_3, out);
    }
    error.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rfb::security::Password;

    const CHALLENGE: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

    /// The response to [`CHALLENGE`] by the password "secret", from OpenSSL (see `vnc_auth`).
    const RESPONSE: [u8; 16] =
        [0xee, 0x22, 0x53, 0x9f, 0x33, 0xa5, 0x98, 0x3e, 0xc1, 0x2f, 0x9c, 0x2e, 0xdb, 0xc9, 0x95, 0xdd];

    fn secret() -> Security {
        Security::VncAuth(Password::new(b"secret"))
    }

    /// Runs a handshake on a viewer's bytes: how it ended, and what was sent.
    fn run(security: Security, viewer: &[&[u8]]) -> (Result<Option<ClientInit>, Stop<ServerError>>, Vec<u8>) {
        let mut out = Vec::new();
        let mut handshake = Handshake::new(security, CHALLENGE, &mut out);
        let bytes = viewer.concat();
        let mut reader = Reader::new(&bytes);
        loop {
            let mut attempt = reader;
            match handshake.step(&mut attempt, &mut out) {
                Ok(None) => reader = attempt,
                end => return (end, out),
            }
        }
    }

    const INIT: ClientInit = ClientInit { shared: true };

    #[test]
    fn without_a_password_only_version_3_8_sends_a_result() {
        let cases: [(&[u8], &[u8], &[u8]); 4] = [
            (b"RFB 003.003\n", &[], &[0, 0, 0, 1]),
            (b"RFB 003.005\n", &[], &[0, 0, 0, 1]),
            (b"RFB 003.007\n", &[1], &[1, 1]),
            (b"RFB 003.889\n", &[1], &[1, 1, 0, 0, 0, 0]),
        ];
        for (version, choice, answer) in cases {
            let (end, out) = run(Security::None, &[version, choice, &[1]]);
            assert_eq!(end, Ok(Some(INIT)));
            assert_eq!(out, [b"RFB 003.008\n", answer].concat());
        }
    }

    #[test]
    fn a_password_is_asked_for_and_checked_in_every_version() {
        let reason = b"\0\0\0\x15authentication failed".as_slice();
        let cases: [[&[u8]; 4]; 3] = [
            [b"RFB 003.003\n", &[], &[0, 0, 0, 2], &[]],
            [b"RFB 003.007\n", &[2], &[1, 2], &[]],
            [b"RFB 003.008\n", &[2], &[1, 2], reason],
        ];
        for [version, choice, offer, reason] in cases {
            let (end, out) = run(secret(), &[version, choice, &RESPONSE, &[0]]);
            assert_eq!(end, Ok(Some(ClientInit { shared: false })));
            assert_eq!(out, [b"RFB 003.008\n", offer, &CHALLENGE, &[0; 4]].concat());
            let (end, out) = run(secret(), &[version, choice, &[0; 16], &[0]]);
            assert_eq!(end, Err(Stop::Failed(ServerError::WrongPassword)));
            assert_eq!(out, [b"RFB 003.008\n", offer, &CHALLENGE, &[0, 0, 0, 1], reason].concat());
        }
    }

    #[test]
    fn a_security_type_that_was_not_offered_is_refused() {
        for (security, offered) in [(secret(), 2), (Security::None, 1)] {
            for chosen in (0..=255).filter(|chosen| *chosen != offered) {
                let wanted = Err(Stop::Failed(ServerError::SecurityNotOffered {
                    chosen: SecurityType(chosen),
                    offered: SecurityType(offered),
                }));
                // Whatever follows the choice, nothing of it is answered.
                let (end, out) = run(security.clone(), &[b"RFB 003.008\n", &[chosen], &[1; 40]]);
                assert_eq!(end, wanted);
                let reason = b"\0\0\0\x01\0\0\0\x1dsecurity type was not offered";
                assert_eq!(out, [b"RFB 003.008\n", &[1, offered][..], reason].concat());
                let (end, out) = run(security.clone(), &[b"RFB 003.007\n", &[chosen], &[1; 40]]);
                assert_eq!(end, wanted);
                assert_eq!(out, [b"RFB 003.008\n", &[1, offered, 0, 0, 0, 1][..]].concat());
            }
        }
    }

    #[test]
    fn other_protocols_are_told_nothing_and_old_versions_why() {
        let (end, out) = run(Security::None, &[b"GET / HTTP/1.1\r\n"]);
        assert!(matches!(end, Err(Stop::Failed(ServerError::Handshake(HandshakeError::NotRfb { .. })))));
        assert_eq!(out, b"RFB 003.008\n");
        let (end, out) = run(Security::None, &[b"RFB 002.008\n"]);
        assert!(matches!(
            end,
            Err(Stop::Failed(ServerError::Handshake(HandshakeError::TooOld { major: 2, .. })))
        ));
        assert_eq!(out[12..], *b"\0\0\0\0\0\0\0\x17RFB 3.3 or later wanted");
    }
}
