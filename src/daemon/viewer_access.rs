//! What a domain's viewers must prove, made of its configuration.

use std::sync::Arc;

use super::secrets::{Made, Secret, Secrets};
use super::users::Users;
use crate::config::DomainConfig;
use crate::rfb::security::tls::ServerTls;
use crate::rfb::security::{Choice, ChoiceError, Method, Password, Security};

/// What is offered to viewers, and what their answers are compared with.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ViewerAccess {
    methods: Vec<Method>,
    password: Option<Secret>,
    identity: Option<Made<ServerTls>>,
    users: Option<Arc<Users>>,
}

impl ViewerAccess {
    /// What the configuration says; an error has the key that is at fault.
    pub(super) fn new(
        config: &DomainConfig,
        password: Option<Secret>,
        secrets: &mut Secrets,
    ) -> Result<Self, (&'static str, String)> {
        let identity = match (&config.tls_certificate, &config.tls_key) {
            (Some(certificate), Some(key)) => Some(secrets.identity(certificate, key)?),
            (None, None) => None,
            (Some(_), None) => {
                return Err(("vnc.tls_key", "is missing: vnc.tls_certificate needs it".into()));
            }
            (None, Some(_)) => {
                return Err(("vnc.tls_certificate", "is missing: vnc.tls_key needs it".into()));
            }
        };
        let users = match &config.users_file {
            Some(path) => Some(secrets.users(path).map_err(|message| ("vnc.users_file", message))?),
            None => None,
        };
        if users.is_some() && identity.is_none() {
            let message = "needs TLS, or passwords would cross the network as they are: set vnc.tls_certificate \
                           and vnc.tls_key";
            return Err(("vnc.users_file", message.into()));
        }
        let methods = match &config.security {
            Some(words) => words
                .iter()
                .map(|word| word.parse().map_err(|error| ("vnc.security", format!("{error}"))))
                .collect::<Result<_, _>>()?,
            None => usual(password.is_some(), identity.is_some(), users.is_some()),
        };
        if methods.contains(&Method::X509Plain) && users.is_none() {
            return Err(("vnc.security", "x509plain needs vnc.users_file".into()));
        }
        let access = Self { methods, password, identity, users };
        access.choice().map_err(|error| ("vnc.security", explain(error)))?;
        Ok(access)
    }

    fn choice(&self) -> Result<Choice, ChoiceError> {
        let password = self.password.as_ref().map(|secret| Password::new(secret.as_bytes()));
        let tls = self.identity.as_ref().map(|identity| identity.value.clone());
        Choice::new(self.methods.clone(), password, tls)
    }

    /// What is offered.
    ///
    /// # Errors
    /// None: it was tried when this was made.
    pub(super) fn security(&self) -> Result<Security, ChoiceError> {
        self.choice().map(Security::Choice)
    }

    /// Who may log in by name.
    pub(super) fn users(&self) -> Option<Arc<Users>> {
        self.users.clone()
    }
}

/// What is offered when `vnc.security` does not say: the most that is asked of a viewer by the files that are named, with
/// and without TLS.
fn usual(password: bool, tls: bool, users: bool) -> Vec<Method> {
    match (users, password, tls) {
        (true, true, _) => vec![Method::X509Plain, Method::X509Vnc, Method::VncAuth],
        (true, false, _) => vec![Method::X509Plain],
        (false, true, true) => vec![Method::X509Vnc, Method::VncAuth],
        (false, true, false) => vec![Method::VncAuth],
        (false, false, true) => vec![Method::X509None, Method::None],
        (false, false, false) => vec![Method::None],
    }
}

/// The same in the configuration's words.
fn explain(error: ChoiceError) -> String {
    let name = |method| Method::NAMES.iter().find(|(_, have)| *have == method).map_or("", |(name, _)| name);
    match error {
        ChoiceError::Empty => "is empty: nobody could connect".into(),
        ChoiceError::Twice(method) => format!("{} is there twice", name(method)),
        ChoiceError::NoPassword(method) => format!("{} needs vnc.password_file", name(method)),
        ChoiceError::NoCertificate(method) => {
            format!("{} needs vnc.tls_certificate and vnc.tls_key", name(method))
        }
        ChoiceError::TightAlone => "tight needs none or vncauth beside it".into(),
    }
}
