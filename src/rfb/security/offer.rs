//! What a server asks of its viewers.

use std::str::FromStr;
use std::sync::Arc;

use super::tls::ServerTls;
use super::{Password, SecurityType};
use crate::rfb::message::vencrypt::Subtype;

/// What a server asks of its viewers.
#[derive(Debug, Clone)]
pub enum Security {
    /// Nothing: [`SecurityType::NONE`].
    None,
    /// The VNC password: [`SecurityType::VNC_AUTH`].
    VncAuth(Password),
    /// One of several things, which the viewer chooses.
    Choice(Choice),
}

/// One way to prove that one may connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Nothing to prove, nothing hidden.
    None,
    /// The VNC password, by challenge and response; nothing hidden afterwards.
    VncAuth,
    /// The two above, as far as they are offered, in TightVNC's wrapping.
    Tight,
    /// TLS, and nothing to prove.
    X509None,
    /// TLS, and the VNC password.
    X509Vnc,
    /// TLS, and a name with its password, about which the driver decides
    /// ([`ServerEvent::Login`](crate::rfb::server::ServerEvent::Login)).
    X509Plain,
}

impl Method {
    /// All of them, with their names.
    pub const NAMES: [(&str, Self); 6] = [
        ("none", Self::None),
        ("vncauth", Self::VncAuth),
        ("tight", Self::Tight),
        ("x509none", Self::X509None),
        ("x509vnc", Self::X509Vnc),
        ("x509plain", Self::X509Plain),
    ];

    /// The security type of which it is, or is a part.
    #[must_use]
    pub const fn security_type(self) -> SecurityType {
        match self {
            Self::None => SecurityType::NONE,
            Self::VncAuth => SecurityType::VNC_AUTH,
            Self::Tight => SecurityType::TIGHT,
            Self::X509None | Self::X509Vnc | Self::X509Plain => SecurityType::VENCRYPT,
        }
    }

    /// Its number in VeNCrypt, if it is one of those.
    #[must_use]
    pub const fn subtype(self) -> Option<Subtype> {
        match self {
            Self::None | Self::VncAuth | Self::Tight => None,
            Self::X509None => Some(Subtype::X509_NONE),
            Self::X509Vnc => Some(Subtype::X509_VNC),
            Self::X509Plain => Some(Subtype::X509_PLAIN),
        }
    }

    const fn needs_password(self) -> bool {
        matches!(self, Self::VncAuth | Self::X509Vnc)
    }
}

/// A word that is no [`Method`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a security type: want none, vncauth, tight, x509none, x509vnc or x509plain")]
pub struct UnknownMethod(String);

impl FromStr for Method {
    type Err = UnknownMethod;

    fn from_str(text: &str) -> Result<Self, UnknownMethod> {
        let found = Self::NAMES.iter().find(|(name, _)| *name == text);
        found.map(|(_, method)| *method).ok_or_else(|| UnknownMethod(text.to_owned()))
    }
}

/// Several methods, of which a viewer may take one. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Choice(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    methods: Vec<Method>,
    password: Option<Password>,
    tls: Option<ServerTls>,
}

/// Why methods cannot be offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceError {
    /// There is none.
    #[error("no security type is offered")]
    Empty,
    /// One is there twice.
    #[error("{0:?} is there twice")]
    Twice(Method),
    /// A password is wanted and there is none.
    #[error("{0:?} needs a password")]
    NoPassword(Method),
    /// A certificate is wanted and there is none.
    #[error("{0:?} needs a certificate")]
    NoCertificate(Method),
    /// There is nothing to wrap.
    #[error("Tight needs None or VncAuth beside it, which it wraps")]
    TightAlone,
}

impl Choice {
    /// These methods, the best liked first; `password` for VncAuth and X509Vnc, `tls` for all that begin with X509.
    ///
    /// # Errors
    /// [`ChoiceError`].
    pub fn new(
        methods: Vec<Method>,
        password: Option<Password>,
        tls: Option<ServerTls>,
    ) -> Result<Self, ChoiceError> {
        if methods.is_empty() {
            return Err(ChoiceError::Empty);
        }
        for (at, method) in methods.iter().enumerate() {
            if methods[..at].contains(method) {
                return Err(ChoiceError::Twice(*method));
            }
            if method.needs_password() && password.is_none() {
                return Err(ChoiceError::NoPassword(*method));
            }
            if method.subtype().is_some() && tls.is_none() {
                return Err(ChoiceError::NoCertificate(*method));
            }
        }
        let wrapped = methods.contains(&Method::None) || methods.contains(&Method::VncAuth);
        if methods.contains(&Method::Tight) && !wrapped {
            return Err(ChoiceError::TightAlone);
        }
        Ok(Self(Arc::new(Parts { methods, password, tls })))
    }
}

impl Security {
    /// What is offered, the best liked first.
    #[must_use]
    pub fn methods(&self) -> &[Method] {
        match self {
            Self::None => &[Method::None],
            Self::VncAuth(_) => &[Method::VncAuth],
            Self::Choice(choice) => &choice.0.methods,
        }
    }

    /// The security types that are offered, each once.
    #[must_use]
    pub fn types(&self) -> Vec<SecurityType> {
        let mut types = Vec::new();
        for kind in self.methods().iter().map(|method| method.security_type()) {
            if !types.contains(&kind) {
                types.push(kind);
            }
        }
        types
    }

    /// The subtypes of VeNCrypt that are offered.
    #[must_use]
    pub fn subtypes(&self) -> Vec<Subtype> {
        self.methods().iter().filter_map(|method| method.subtype()).collect()
    }

    pub(in crate::rfb) fn password(&self) -> Option<&Password> {
        match self {
            Self::VncAuth(password) => Some(password),
            Self::Choice(choice) => choice.0.password.as_ref(),
            Self::None => None,
        }
    }

    pub(in crate::rfb) fn tls(&self) -> Option<&ServerTls> {
        match self {
            Self::Choice(choice) => choice.0.tls.as_ref(),
            Self::None | Self::VncAuth(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let password = || Some(Password::new(b"x"));
        for (methods, password, error) in [
            (vec![], password(), ChoiceError::Empty),
            (vec![Method::None, Method::None], None, ChoiceError::Twice(Method::None)),
            (vec![Method::None, Method::VncAuth], None, ChoiceError::NoPassword(Method::VncAuth)),
            (vec![Method::X509None], password(), ChoiceError::NoCertificate(Method::X509None)),
            (vec![Method::Tight], password(), ChoiceError::TightAlone),
        ] {
            assert_eq!(Choice::new(methods, password, None).err(), Some(error));
        }
    }

    #[test]
    fn types_are_offered_once_and_in_order() {
        let methods = vec![Method::VncAuth, Method::Tight, Method::None];
        let security = Security::Choice(Choice::new(methods, Some(Password::new(b"x")), None).unwrap());
        assert_eq!(security.types(), [SecurityType(2), SecurityType(16), SecurityType(1)]);
    }

    #[test]
    fn names_read_back() {
        for (name, method) in Method::NAMES {
            assert_eq!(name.parse(), Ok(method));
        }
        assert!("X509None".parse::<Method>().unwrap_err().to_string().contains("x509none"));
    }
}
