//! What a client needs for TLS: how a server has to prove who it is.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use ring::digest::{SHA256, digest};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme,
};

use super::{TlsConfigError, certificates, provider};

/// The SHA-256 fingerprint of a certificate, as `openssl x509 -fingerprint -sha256` prints it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

/// A text that is no [`Fingerprint`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a SHA-256 fingerprint: want 32 bytes in hexadecimal, such as 0A:1B:...")]
pub struct FingerprintError;

impl Fingerprint {
    fn of(certificate: &CertificateDer<'_>) -> Self {
        let mut bytes = [0; 32];
        bytes.iter_mut().zip(digest(&SHA256, certificate).as_ref()).for_each(|(to, from)| *to = *from);
        Self(bytes)
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    /// Colons are optional, and so is the case.
    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let digits = text.chars().filter(|c| *c != ':');
        let digits = digits.map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()));
        let digits = digits.collect::<Option<Vec<u8>>>().ok_or(FingerprintError)?;
        let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
        let whole = digits.len() == 64;
        bytes.try_into().ok().filter(|_| whole).map(Self).ok_or(FingerprintError)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            write!(f, "{}{byte:02X}", if at == 0 { "" } else { ":" })?;
        }
        Ok(())
    }
}

/// What convinces us that a server is the one that is meant. Cheap to clone.
#[derive(Clone)]
pub struct Trust(Arc<ClientConfig>);

impl Trust {
    /// Any certificate does: for a server that is known by other means, such as the shared memory by which it is reached.
    /// Over a network this hides the connection from those who listen, and not from those who can answer in its place.
    ///
    /// # Errors
    /// [`TlsConfigError::Setup`].
    pub fn anything() -> Result<Self, TlsConfigError> {
        Self::new(|provider| Ok(Arc::new(Verifier { rule: Rule::Anything, provider })))
    }

    /// Only the certificate with this fingerprint does, whatever it says of names and dates.
    ///
    /// # Errors
    /// [`TlsConfigError::Setup`].
    pub fn fingerprint(fingerprint: Fingerprint) -> Result<Self, TlsConfigError> {
        Self::new(|provider| Ok(Arc::new(Verifier { rule: Rule::Fingerprint(fingerprint), provider })))
    }

    /// A certificate does that one of these authorities has signed for the server's name and that is valid now; or one that
    /// is itself among them, whatever it says: that is how VNC servers with a self-signed certificate are known.
    ///
    /// # Errors
    /// [`TlsConfigError`].
    pub fn authorities(pem: &[u8]) -> Result<Self, TlsConfigError> {
        let known = certificates(pem)?;
        let mut roots = RootCertStore::empty();
        for certificate in &known {
            roots
                .add(certificate.clone())
                .map_err(|error| TlsConfigError::BadCertificate(error.to_string()))?;
        }
        Self::new(|provider| {
            let usual = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()
                .map_err(|error| TlsConfigError::Setup(error.to_string()))?;
            Ok(Arc::new(Verifier { rule: Rule::Authorities(known, usual), provider }))
        })
    }

    fn new(
        verifier: impl FnOnce(Arc<CryptoProvider>) -> Result<Arc<Verifier>, TlsConfigError>,
    ) -> Result<Self, TlsConfigError> {
        let provider = provider();
        let config = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsConfigError::Setup(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(verifier(provider)?)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trust(..)")
    }
}

/// How a client uses TLS. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ClientTls {
    trust: Trust,
    name: ServerName<'static>,
    /// Nothing without TLS is taken from the server.
    pub required: bool,
}

impl ClientTls {
    /// For a server with this host name or address, which [`Trust::authorities`] looks for in its certificate.
    ///
    /// # Errors
    /// [`TlsConfigError::BadName`].
    pub fn new(trust: Trust, name: &str, required: bool) -> Result<Self, TlsConfigError> {
        let bad = |_| TlsConfigError::BadName(name.to_owned());
        Ok(Self { trust, name: ServerName::try_from(name.to_owned()).map_err(bad)?, required })
    }

    pub(super) fn config(&self) -> Arc<ClientConfig> {
        self.trust.0.clone()
    }

    pub(super) fn name(&self) -> ServerName<'static> {
        self.name.clone()
    }
}

/// What a certificate must be.
#[derive(Debug)]
enum Rule {
    Anything,
    Fingerprint(Fingerprint),
    Authorities(Vec<CertificateDer<'static>>, Arc<WebPkiServerVerifier>),
}

/// Decides about a server's certificate. That the server has its key is checked in any case.
#[derive(Debug)]
struct Verifier {
    rule: Rule,
    provider: Arc<CryptoProvider>,
}

/// A certificate that is not the one that is pinned.
#[derive(Debug, thiserror::Error)]
#[error("its SHA-256 fingerprint is {0}, another one is wanted")]
struct OtherFingerprint(Fingerprint);

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match &self.rule {
            Rule::Anything => {}
            Rule::Fingerprint(wanted) => {
                let have = Fingerprint::of(certificate);
                if have != *wanted {
                    let error = OtherError(Arc::new(OtherFingerprint(have)));
                    return Err(CertificateError::Other(error).into());
                }
            }
            Rule::Authorities(known, _) if known.iter().any(|known| known == certificate) => {}
            Rule::Authorities(_, usual) => {
                return usual.verify_server_cert(certificate, intermediates, name, ocsp, now);
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_read_as_openssl_prints_them() {
        let text = "2A:FF:".to_owned() + &"00:".repeat(29) + "7b";
        let fingerprint: Fingerprint = text.parse().unwrap();
        assert_eq!((fingerprint.0[0], fingerprint.0[1], fingerprint.0[31]), (0x2a, 0xff, 0x7b));
        assert_eq!(fingerprint.to_string(), text.to_uppercase());
        assert_eq!(text.replace(':', "").parse(), Ok(fingerprint));
        for bad in ["", "2A", &text[..text.len() - 1], &(text.clone() + "0"), &text.replace('F', "G")] {
            assert_eq!(bad.parse::<Fingerprint>(), Err(FingerprintError), "{bad}");
        }
    }
}
