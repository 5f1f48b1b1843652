//! The client's handshake (RFC 6143 §7.1 to §7.3; for VeNCrypt the community's specification), from version to ServerInit.

use super::event::{ClientError, ClientOptions};
use crate::rfb::message::handshake::{HandshakeError, SecurityOffer, SecurityResult, ServerInit, Version};
use crate::rfb::message::vencrypt::{self, Subtype};
use crate::rfb::security::tls::ClientTls;
use crate::rfb::security::{Credentials, Password, SecurityType, vnc_auth};
use crate::rfb::wire::{Reader, Stop, Writer};

/// What the server has to send next.
#[derive(Debug, Clone, Copy)]
enum Stage {
    Version,
    Offer(Version),
    VeNCryptVersion(Version),
    VeNCryptAnswer(Version),
    Subtypes(Version),
    SubtypeAnswer(Version, Subtype),
    /// Nothing that is for us: TLS comes first.
    Tls(Version, Subtype),
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
    login: Option<Credentials>,
    tls: Option<ClientTls>,
}

/// What a step leads to beside the next step.
#[derive(Debug, Clone)]
pub(super) enum Next {
    /// TLS begins with the next byte, in both directions; then [`Handshake::secured`].
    Tls(ClientTls),
    /// The handshake is complete.
    Ready(ServerInit),
}

impl Handshake {
    pub(super) fn new(options: &ClientOptions) -> Self {
        Self {
            stage: Stage::Version,
            shared: options.shared,
            password: options.password.clone(),
            login: options.login.clone(),
            tls: options.tls.clone(),
        }
    }

    /// Takes one message; the answer to it is appended to `out`.
    pub(super) fn step(
        &mut self,
        reader: &mut Reader<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Option<Next>, Stop<ClientError>> {
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
            Stage::VeNCryptVersion(version) => {
                let given @ [major, minor] = reader.array()?;
                if given < vencrypt::VERSION {
                    let error = HandshakeError::VeNCryptVersion { major, minor };
                    return Err(Stop::Failed(error.into()));
                }
                out.put(&vencrypt::VERSION);
                Stage::VeNCryptAnswer(version)
            }
            Stage::VeNCryptAnswer(version) => match reader.u8()? {
                0 => Stage::Subtypes(version),
                _ => return Err(Stop::Failed(ClientError::VeNCryptRefused)),
            },
            Stage::Subtypes(version) => {
                let offered = vencrypt::decode_subtypes(reader).map_err(told)?;
                let chosen = self.choose_subtype(offered).map_err(Stop::Failed)?;
                out.put_u32(chosen.0);
                Stage::SubtypeAnswer(version, chosen)
            }
            Stage::SubtypeAnswer(version, chosen) => match (reader.u8()?, self.tls.clone()) {
                (1, Some(tls)) => {
                    self.stage = Stage::Tls(version, chosen);
                    return Ok(Some(Next::Tls(tls)));
                }
                _ => return Err(Stop::Failed(ClientError::VeNCryptRefused)),
            },
            // Whatever comes goes to TLS.
            Stage::Tls(..) => return Err(Stop::NeedMore),
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
            Stage::ServerInit => {
                return ServerInit::decode(reader).map_err(told).map(|init| Some(Next::Ready(init)));
            }
        };
        Ok(None)
    }

    /// TLS is set up, and the server has proven who it is; what comes and goes from now on is protected.
    pub(super) fn secured(&mut self, out: &mut Vec<u8>) {
        let Stage::Tls(version, subtype) = self.stage else { return };
        self.stage = match subtype {
            Subtype::X509_VNC => Stage::Challenge(version),
            _ => {
                if let (Subtype::X509_PLAIN, Some(login)) = (subtype, &self.login) {
                    vencrypt::encode_credentials(login, out);
                }
                Stage::Result(version)
            }
        };
    }

    /// The type that asks least of us among those offered; where TLS is required, nothing else.
    fn choose(&self, offered: Vec<SecurityType>) -> Result<SecurityType, ClientError> {
        let has = |kind| offered.contains(&kind);
        let required = self.tls.as_ref().is_some_and(|tls| tls.required);
        if has(SecurityType::NONE) && !required {
            return Ok(SecurityType::NONE);
        }
        if has(SecurityType::VNC_AUTH) && self.password.is_some() && !required {
            return Ok(SecurityType::VNC_AUTH);
        }
        match (has(SecurityType::VENCRYPT), &self.tls) {
            (true, Some(_)) => Ok(SecurityType::VENCRYPT),
            (false, Some(tls)) if tls.required => Err(ClientError::TlsRequired { offered }),
            _ if has(SecurityType::VNC_AUTH) => Err(ClientError::NoPassword),
            (true, None) => Err(ClientError::NoTrust),
            _ => Err(ClientError::NoSecurityType { offered }),
        }
    }

    /// The subtype that asks least of us among those offered; only those with a certificate.
    fn choose_subtype(&self, offered: Vec<Subtype>) -> Result<Subtype, ClientError> {
        let has = |subtype| offered.contains(&subtype);
        if has(Subtype::X509_NONE) {
            return Ok(Subtype::X509_NONE);
        }
        if has(Subtype::X509_PLAIN) && self.login.is_some() {
            return Ok(Subtype::X509_PLAIN);
        }
        match (has(Subtype::X509_VNC), &self.password) {
            (true, Some(_)) => Ok(Subtype::X509_VNC),
            (true, None) => Err(ClientError::NoPassword),
            (false, _) if has(Subtype::X509_PLAIN) => Err(ClientError::NoLogin),
            (false, _) => Err(ClientError::NoSubtype { offered }),
        }
    }

    /// Begins the type that was chosen; in version 3.3 the server did so.
    fn begin(&self, version: Version, chosen: SecurityType, out: &mut Vec<u8>) -> Stage {
        if version != Version::V3_3 {
            out.put_u8(chosen.0);
        }
        match (chosen, version) {
            (SecurityType::VNC_AUTH, _) => Stage::Challenge(version),
            (SecurityType::VENCRYPT, _) => Stage::VeNCryptVersion(version),
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
    fn run(password: Option<&[u8]>, server: &[&[u8]]) -> (Result<ServerInit, Stop<ClientError>>, Vec<u8>) {
        let bytes = server.concat();
        let run_in = |step: usize| {
            let mut out = Vec::new();
            let mut handshake = Handshake::new(&ClientOptions {
                password: password.map(Password::new),
                ..ClientOptions::local()
            });
            let (mut start, mut end) = (0, 0);
            loop {
                let mut reader = Reader::new(&bytes[start..end]);
                match handshake.step(&mut reader, &mut out) {
                    Ok(None) => start += reader.consumed(),
                    Err(Stop::NeedMore) if end < bytes.len() => end = bytes.len().min(end + step),
                    Ok(Some(Next::Ready(init))) => return (Ok(init), out),
                    Ok(Some(other)) => panic!("{other:?}"),
                    Err(stop) => return (Err(stop), out),
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
            assert_eq!(end, Ok(init()));
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
            assert_eq!(end, Ok(init()));
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
        let cases: [(&[&[u8]], ClientError); 9] = [
            (
                &[b"RFB 003.008\n", &[2, 30, 16]],
                ClientError::NoSecurityType { offered: vec![SecurityType(30), SecurityType(16)] },
            ),
            (&[b"RFB 003.008\n", &[2, 19, 16]], ClientError::NoTrust),
            (&[b"RFB 003.003\n", &[0, 0, 0, 19]], ClientError::NoTrust),
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
