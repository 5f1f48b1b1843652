//! What a server needs for TLS.

use std::fmt;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::{self, PemObject};

use super::{TlsConfigError, certificates, provider};

/// A server's certificate and key. Cheap to clone; the key is never printed.
#[derive(Clone)]
pub struct ServerTls(Arc<ServerConfig>);

impl ServerTls {
    /// From a certificate, with those of the authorities between it and what viewers know behind it, and its private key,
    /// both in PEM form.
    ///
    /// # Errors
    /// [`TlsConfigError`].
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, TlsConfigError> {
        let chain = certificates(certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| match error {
            pem::Error::NoItemsFound => TlsConfigError::NoKey,
            other => TlsConfigError::BadKey(other.to_string()),
        })?;
        let provider = provider();
        let signer = provider.key_provider.load_private_key(key.clone_key());
        signer.map_err(|error| TlsConfigError::BadKey(error.to_string()))?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsConfigError::Setup(error.to_string()))?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => TlsConfigError::OtherKey,
                other => TlsConfigError::BadCertificate(other.to_string()),
            })?;
        // There is nothing to resume.
        config.send_tls13_tickets = 0;
        Ok(Self(Arc::new(config)))
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        self.0.clone()
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerTls(..)")
    }
}
