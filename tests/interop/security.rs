//! How the two ends know each other: the columns about it.

use xenvnc::rfb::client::ClientOptions;
use xenvnc::rfb::security::tls::ClientTls;
use xenvnc::rfb::security::{Credentials, Password};

use crate::xvnc::{LOGIN, PASSWORD};

/// A security type, or a subtype of VeNCrypt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Security {
    None,
    VncAuth,
    X509None,
    X509Vnc,
    X509Plain,
}

impl Security {
    /// Those that have to do with a secret or a certificate.
    pub(crate) const SECURED: [Self; 4] = [Self::VncAuth, Self::X509None, Self::X509Vnc, Self::X509Plain];

    /// Its column, and what programs call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::VncAuth => "VncAuth",
            Self::X509None => "X509None",
            Self::X509Vnc => "X509Vnc",
            Self::X509Plain => "X509Plain",
        }
    }

    pub(crate) fn is_tls(self) -> bool {
        !matches!(self, Self::None | Self::VncAuth)
    }

    pub(crate) fn user(self) -> Option<&'static str> {
        (self == Self::X509Plain).then_some(LOGIN.0)
    }

    pub(crate) fn password(self) -> Option<&'static str> {
        match self {
            Self::None | Self::X509None => None,
            Self::VncAuth | Self::X509Vnc => Some(PASSWORD),
            Self::X509Plain => Some(LOGIN.1),
        }
    }

    /// What our client needs for it.
    pub(crate) fn options(self, tls: Option<ClientTls>) -> ClientOptions {
        let secret = self.password().unwrap_or_default().as_bytes();
        ClientOptions {
            tls,
            password: (self.password().is_some() && self.user().is_none()).then(|| Password::new(secret)),
            login: self.user().map(|user| Credentials::new(user.as_bytes(), secret)),
            ..ClientOptions::local()
        }
    }
}
