//! How a guest's VNC servers prove who they are, and what is proven to them; made of the domain's configuration.

use super::secrets::{Made, Secret, Secrets};
use super::upstream::UpstreamStream;
use crate::config::DomainConfig;
use crate::rfb::client::ClientOptions;
use crate::rfb::security::tls::{ClientTls, Fingerprint, TlsConfigError, Trust};
use crate::rfb::security::{Credentials, Password};

/// How a server behind a network is known.
#[derive(Debug, Clone, PartialEq)]
enum Proof {
    /// Not at all: only servers that ask for no TLS are spoken to.
    None,
    /// It is believed.
    Insecure,
    /// By one certificate.
    Fingerprint(Fingerprint),
    /// By those who signed its certificate.
    Authorities(Made<Trust>),
}

/// What is known to and of a guest's servers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct DisplayAccess {
    password: Option<Secret>,
    user: Option<String>,
    proof: Proof,
    /// The name that is in the certificate, where it is not the address.
    name: Option<String>,
}

impl Default for DisplayAccess {
    fn default() -> Self {
        Self { password: None, user: None, proof: Proof::None, name: None }
    }
}

impl DisplayAccess {
    /// What the configuration says; an error has the key that is at fault.
    pub(super) fn new(config: &DomainConfig, secrets: &mut Secrets) -> Result<Self, (&'static str, String)> {
        const CA: &str = "display.tls_ca";
        const FINGERPRINT: &str = "display.tls_fingerprint";
        let password = match &config.display_password_file {
            Some(path) => Some(secrets.password(path).map_err(|message| ("display.password_file", message))?),
            None => None,
        };
        let user = config.display_user.clone();
        if user.is_some() && password.is_none() {
            return Err(("display.user", "needs display.password_file".into()));
        }
        let insecure = config.display_tls_insecure;
        let proof = match (&config.display_tls_ca, &config.display_tls_fingerprint) {
            (Some(_), Some(_)) => {
                return Err((FINGERPRINT, "display.tls_ca is set as well: one of them can hold".into()));
            }
            (Some(_), None) if insecure => return Err((CA, "display.tls_insecure makes it void".into())),
            (None, Some(_)) if insecure => {
                return Err((FINGERPRINT, "display.tls_insecure makes it void".into()));
            }
            (Some(path), None) => {
                Proof::Authorities(secrets.authorities(path).map_err(|message| (CA, message))?)
            }
            (None, Some(text)) => {
                Proof::Fingerprint(text.parse().map_err(|error| (FINGERPRINT, format!("{error}")))?)
            }
            (None, None) if insecure => Proof::Insecure,
            (None, None) => Proof::None,
        };
        let name = config.display_tls_name.clone();
        if let Some(name) = &name {
            let tried = Trust::anything().and_then(|trust| ClientTls::new(trust, name, false));
            tried.map_err(|error| ("display.tls_name", error.to_string()))?;
        }
        Ok(Self { password, user, proof, name })
    }

    /// Adds to `options` what is to be proven, and how the server at the other end of `stream` has to prove itself.
    ///
    /// By shared memory or a socket file nobody else can answer: whatever certificate there is does, and TLS is used only
    /// where the server lets nobody in without. Behind a network, a server by whose certificate it can be known must use
    /// TLS, or anybody in between could say that it has none.
    pub(super) fn apply(
        &self,
        options: ClientOptions,
        stream: &UpstreamStream,
    ) -> Result<ClientOptions, TlsConfigError> {
        let password = self.password.as_ref().map(|secret| Password::new(secret.as_bytes()));
        let login = self.password.as_ref().zip(self.user.as_ref());
        let login = login.map(|(secret, user)| Credentials::new(user.as_bytes(), secret.as_bytes()));
        let (trust, required) = match (&self.proof, stream.is_tcp()) {
            (_, false) | (Proof::Insecure, true) => (Some(Trust::anything()?), false),
            (Proof::None, true) => (None, false),
            (Proof::Fingerprint(fingerprint), true) => (Some(Trust::fingerprint(*fingerprint)?), true),
            (Proof::Authorities(authorities), true) => (Some(authorities.value.clone()), true),
        };
        let peer = stream.peer_address().map(|at| at.ip().to_canonical().to_string());
        let name = self.name.clone().or(peer).unwrap_or_else(|| "localhost".into());
        let tls = trust.map(|trust| ClientTls::new(trust, &name, required)).transpose()?;
        Ok(ClientOptions { password, login, tls, ..options })
    }
}
