//! TLS for VeNCrypt's X509 subtypes, by rustls, whose connections are state machines without I/O like ours.
//!
//! [`ServerTls`] is what a server needs, [`ClientTls`] what a client needs; both are made from bytes, and are cheap to
//! clone. TLS 1.2 and 1.3 with what rustls offers; no resumption, because a viewer connects once. Randomness, and the
//! time of day for certificates, are rustls's own affair: the only things in this library that come from the system.

mod channel;
mod client;
mod server;

pub(in crate::rfb) use channel::TlsChannel;
pub use client::{ClientTls, Fingerprint, FingerprintError, Trust};
pub use server::ServerTls;

use std::sync::Arc;

use rustls::CertificateError;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// The most characters of what rustls says that are kept: it may quote a certificate.
const MESSAGE_CHARS: usize = 200;

/// What a peer did wrong in TLS.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// It went on in the clear.
    #[error("byte {0:#04x} where TLS was to begin: nothing is taken in the clear")]
    NotTls(u8),
    /// It does not want to go on.
    #[error("it refuses TLS: {0}")]
    Alert(String),
    /// Its certificate does not prove who it is.
    #[error("its certificate is refused: {0}")]
    Certificate(String),
    /// It cannot do what is needed here, or broke the protocol.
    #[error("TLS failed: {0}")]
    Broken(String),
}

impl From<rustls::Error> for TlsError {
    fn from(error: rustls::Error) -> Self {
        let cut = |text: String| text.escape_debug().take(MESSAGE_CHARS).collect();
        match error {
            rustls::Error::AlertReceived(alert) => Self::Alert(cut(format!("{alert:?}"))),
            rustls::Error::InvalidCertificate(error) => Self::Certificate(cut(match error {
                CertificateError::UnknownIssuer => "no authority that is trusted has signed it".into(),
                CertificateError::Other(error) => match error.0.to_string() {
                    // What webpki says of one that signs itself.
                    text if text == "CaUsedAsEndEntity" => {
                        "it is an authority's own, and none of those that are trusted".into()
                    }
                    text => text,
                },
                other => other.to_string(),
            })),
            other => Self::Broken(cut(other.to_string())),
        }
    }
}

/// Why certificates or keys cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsConfigError {
    /// There is no certificate in the text.
    #[error("no certificate in PEM form (-----BEGIN CERTIFICATE-----)")]
    NoCertificate,
    /// A certificate cannot be read.
    #[error("bad certificate: {0}")]
    BadCertificate(String),
    /// There is no private key in the text.
    #[error("no private key in PEM form (-----BEGIN PRIVATE KEY-----)")]
    NoKey,
    /// A key that cannot be used.
    #[error("bad private key: {0}")]
    BadKey(String),
    /// Key and certificate do not belong together.
    #[error("the private key is not that of the certificate")]
    OtherKey,
    /// A name that no server can have.
    #[error("{0:?} is neither a host name nor an address")]
    BadName(String),
    /// rustls cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Setup(String),
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The certificates in a PEM text, at least one.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsConfigError> {
    let all = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TlsConfigError::BadCertificate(error.to_string()))?;
    if all.is_empty() { Err(TlsConfigError::NoCertificate) } else { Ok(all) }
}
