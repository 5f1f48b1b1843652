//! The server's handshake (RFC 6143 §7.1 to §7.3; for VeNCrypt and Tight the community's specification), from version
//! to ClientInit.

use super::event::{Place, ServerError};
use crate::rfb::message::handshake::{HandshakeError, SecurityOffer, SecurityResult, Version};
use crate::rfb::message::tight::{self, Capability};
use crate::rfb::message::vencrypt::{self, Subtype};
use crate::rfb::security::tls::ServerTls;
use crate::rfb::security::vnc_auth::{self, CHALLENGE_BYTES};
use crate::rfb::security::{Credentials, Method, Security, SecurityType};
use crate::rfb::wire::{Reader, Stop, Writer};

/// What the viewer is told when its proof is none; not more, lest it learn what was wrong.
const FAILED: &str = "authentication failed";

/// What the viewer has to send next.
#[derive(Debug, Clone, Copy)]
enum Stage {
    Version,
    Choice(Version),
    VeNCryptVersion(Version),
    Subtype(Version),
    /// Nothing that is for us: TLS comes first.
    Tls(Version, Method),
    TightChoice(Version),
    Response(Version),
    Credentials(Version),
    /// Nothing: the driver has to decide.
    Verdict(Version),
    ClientInit,
}

/// A handshake that is under way.
#[derive(Debug)]
pub(super) struct Handshake {
    stage: Stage,
    security: Security,
    challenge: [u8; CHALLENGE_BYTES],
    tight: bool,
    proven: bool,
}

/// What the last step of a handshake tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClientInit {
    /// False when the viewer wants to be alone.
    pub(super) shared: bool,
    /// ServerInit is followed by what the server can do (Tight).
    pub(super) tight: bool,
    /// The viewer has proven that it knows a password.
    pub(super) proven: bool,
}

/// What a step leads to beside the next step.
#[derive(Debug, Clone)]
pub(super) enum Next {
    /// TLS begins with the next byte, in both directions; then [`Handshake::secured`].
    Tls(ServerTls),
    /// [`Handshake::decide`] is to be called.
    Login(Credentials),
    /// The handshake is complete.
    Ready(ClientInit),
}

impl Handshake {
    /// Begins: `out` gets the server's version.
    pub(super) fn new(security: Security, challenge: [u8; CHALLENGE_BYTES], out: &mut Vec<u8>) -> Self {
        out.put(Version::V3_8.line());
        Self { stage: Stage::Version, security, challenge, tight: false, proven: false }
    }

    /// How far it has come.
    pub(super) const fn place(&self) -> Place {
        match self.stage {
            Stage::Version => Place::Version,
            Stage::Choice(_) | Stage::VeNCryptVersion(_) | Stage::Subtype(_) | Stage::TightChoice(_) => {
                Place::Choice
            }
            Stage::Tls(..) => Place::Tls,
            Stage::Response(_) | Stage::Credentials(_) | Stage::Verdict(_) => Place::Proof,
            Stage::ClientInit => Place::ClientInit,
        }
    }

    /// Takes one message. The answer to it, also one of failure, is appended to `out`.
    pub(super) fn step(
        &mut self,
        reader: &mut Reader<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Option<Next>, Stop<ServerError>> {
        match self.stage {
            Stage::Version => {
                let version = Version::decode(reader).map_err(|stop| stop.map(|e| refuse_version(e, out)))?;
                self.stage = self.offer(version, out).map_err(Stop::Failed)?;
            }
            Stage::Choice(version) => {
                let (chosen, offered) = (SecurityType(reader.u8()?), self.security.types());
                if !offered.contains(&chosen) {
                    SecurityResult::Failed("security type was not offered".into()).encode(version, out);
                    return Err(Stop::Failed(ServerError::SecurityNotOffered { chosen, offered }));
                }
                self.stage = self.begin(version, chosen, out);
            }
            Stage::VeNCryptVersion(version) => {
                let given @ [major, minor] = reader.array()?;
                if given != vencrypt::VERSION {
                    out.put_u8(1);
                    let error = HandshakeError::VeNCryptVersion { major, minor };
                    return Err(Stop::Failed(error.into()));
                }
                out.put_u8(0);
                vencrypt::encode_subtypes(&self.security.subtypes(), out);
                self.stage = Stage::Subtype(version);
            }
            Stage::Subtype(version) => {
                let chosen = Subtype(reader.u32()?);
                let found = self.security.methods().iter().find(|method| method.subtype() == Some(chosen));
                let (Some(method), Some(tls)) = (found.copied(), self.security.tls()) else {
                    out.put_u8(0);
                    let offered = self.security.subtypes();
                    return Err(Stop::Failed(ServerError::SubtypeNotOffered { chosen, offered }));
                };
                out.put_u8(1);
                self.stage = Stage::Tls(version, method);
                return Ok(Some(Next::Tls(tls.clone())));
            }
            // Whatever comes goes to TLS.
            Stage::Tls(..) => return Err(Stop::NeedMore),
            Stage::TightChoice(version) => {
                let (chosen, offered) = (reader.i32()?, self.capabilities());
                let Some(kind) = offered.iter().find(|capability| capability.code == chosen) else {
                    let offered = offered.iter().map(|capability| capability.code).collect();
                    SecurityResult::Failed("authentication type was not offered".into()).encode(version, out);
                    return Err(Stop::Failed(ServerError::TightNotOffered { chosen, offered }));
                };
                let none = *kind == Capability::NO_AUTHENTICATION;
                let kind = if none { SecurityType::NONE } else { SecurityType::VNC_AUTH };
                self.stage = self.begin(version, kind, out);
            }
            Stage::Response(version) => {
                let answer = reader.array()?;
                let password = self.security.password();
                let passed = password.is_some_and(|pw| vnc_auth::verify(pw, &self.challenge, &answer));
                self.judge(version, passed, ServerError::WrongPassword, out).map_err(Stop::Failed)?;
            }
            Stage::Credentials(version) => {
                let credentials =
                    vencrypt::decode_credentials(reader).map_err(|stop| stop.map(Into::into))?;
                self.stage = Stage::Verdict(version);
                return Ok(Some(Next::Login(credentials)));
            }
            Stage::Verdict(_) => {
                return Err(match reader.rest().len() {
                    0 => Stop::NeedMore,
                    bytes => Stop::Failed(ServerError::EarlyBytes { bytes }),
                });
            }
            Stage::ClientInit => {
                let shared = reader.u8()? != 0;
                let init = ClientInit { shared, tight: self.tight, proven: self.proven };
                return Ok(Some(Next::Ready(init)));
            }
        }
        Ok(None)
    }

    /// TLS is set up; what comes and goes from now on is protected by it.
    pub(super) fn secured(&mut self, out: &mut Vec<u8>) {
        let Stage::Tls(version, method) = self.stage else { return };
        self.stage = match method {
            Method::X509Plain => Stage::Credentials(version),
            Method::X509Vnc => self.challenge(version, out),
            _ => {
                SecurityResult::Passed.encode(version, out);
                Stage::ClientInit
            }
        };
    }

    /// The driver's decision about [`Next::Login`]; without effect when there is none to be made.
    pub(super) fn decide(&mut self, accepted: bool, out: &mut Vec<u8>) -> Result<(), ServerError> {
        let Stage::Verdict(version) = self.stage else { return Ok(()) };
        self.judge(version, accepted, ServerError::WrongLogin, out)
    }

    /// Tells the viewer whether its proof was one.
    fn judge(
        &mut self,
        version: Version,
        passed: bool,
        error: ServerError,
        out: &mut Vec<u8>,
    ) -> Result<(), ServerError> {
        if !passed {
            SecurityResult::Failed(FAILED.into()).encode(version, out);
            return Err(error);
        }
        SecurityResult::Passed.encode(version, out);
        self.proven = true;
        self.stage = Stage::ClientInit;
        Ok(())
    }

    /// Offers the security types; version 3.3 leaves the viewer no choice.
    fn offer(&self, version: Version, out: &mut Vec<u8>) -> Result<Stage, ServerError> {
        let mut types = self.security.types();
        if version != Version::V3_3 {
            SecurityOffer::Types(types).encode(version, out);
            return Ok(Stage::Choice(version));
        }
        types.retain(|kind| matches!(*kind, SecurityType::NONE | SecurityType::VNC_AUTH));
        let Some(decreed) = types.first().copied() else {
            SecurityOffer::Refused("RFB 3.7 or later wanted".into()).encode(version, out);
            return Err(ServerError::TooOldForSecurity);
        };
        SecurityOffer::Types(types).encode(version, out);
        Ok(self.begin_known(version, decreed, out))
    }

    /// Begins the security type that was chosen.
    fn begin(&mut self, version: Version, chosen: SecurityType, out: &mut Vec<u8>) -> Stage {
        match chosen {
            SecurityType::VENCRYPT => {
                out.put(&vencrypt::VERSION);
                Stage::VeNCryptVersion(version)
            }
            SecurityType::TIGHT => {
                self.tight = true;
                // No tunnels.
                tight::encode_list(&[], out);
                let capabilities = self.capabilities();
                // Where there is nothing to prove, there is nothing to choose.
                if capabilities == [Capability::NO_AUTHENTICATION] {
                    tight::encode_list(&[], out);
                    return self.begin_known(version, SecurityType::NONE, out);
                }
                tight::encode_list(&capabilities, out);
                Stage::TightChoice(version)
            }
            kind => self.begin_known(version, kind, out),
        }
    }

    /// Begins one of the two security types of RFC 6143.
    fn begin_known(&self, version: Version, kind: SecurityType, out: &mut Vec<u8>) -> Stage {
        match (kind, version) {
            (SecurityType::VNC_AUTH, _) => self.challenge(version, out),
            // Only version 3.8 has a result where nothing was to be proven (RFC 6143 appendix A).
            (_, Version::V3_8) => {
                SecurityResult::Passed.encode(version, out);
                Stage::ClientInit
            }
            _ => Stage::ClientInit,
        }
    }

    fn challenge(&self, version: Version, out: &mut Vec<u8>) -> Stage {
        out.put(&self.challenge);
        Stage::Response(version)
    }

    /// What the Tight security type wraps.
    fn capabilities(&self) -> Vec<Capability> {
        let wrapped = |method: &Method| match method {
            Method::None => Some(Capability::NO_AUTHENTICATION),
            Method::VncAuth => Some(Capability::VNC_AUTHENTICATION),
            _ => None,
        };
        self.security.methods().iter().filter_map(wrapped).collect()
    }
}

/// All that is said to a viewer that is not to be listened to: the oldest version, whose refusal has a reason, and that it
/// is refused. Then close. No answer is needed to say so, and nothing is kept of the viewer.
#[must_use]
pub fn refusal(reason: &str) -> Vec<u8> {
    let mut out = Version::V3_3.line().to_vec();
    SecurityOffer::Refused(reason.to_owned()).encode(Version::V3_3, &mut out);
    out
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
    fn run(security: Security, viewer: &[&[u8]]) -> (Result<ClientInit, Stop<ServerError>>, Vec<u8>) {
        let mut out = Vec::new();
        let mut handshake = Handshake::new(security, CHALLENGE, &mut out);
        let bytes = viewer.concat();
        let mut reader = Reader::new(&bytes);
        loop {
            let mut attempt = reader;
            match handshake.step(&mut attempt, &mut out) {
                Ok(None) => reader = attempt,
                Ok(Some(Next::Ready(init))) => return (Ok(init), out),
                Ok(Some(other)) => panic!("{other:?}"),
                Err(stop) => return (Err(stop), out),
            }
        }
    }

    const INIT: ClientInit = ClientInit { shared: true, tight: false, proven: false };

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
            assert_eq!(end, Ok(INIT));
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
            assert_eq!(end, Ok(ClientInit { shared: false, tight: false, proven: true }));
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
                    offered: vec![SecurityType(offered)],
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
