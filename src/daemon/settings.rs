//! A domain's configuration made ready for use: files read, chords parsed.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use super::display_access::DisplayAccess;
use super::secrets::{Secret, Secrets};
use super::viewer_access::ViewerAccess;
use crate::config::{Config, ConfigError, DomainConfig};
use crate::screen::FontSize;
use crate::seat::{Chord, ClipboardPolicy, PastePolicy, Policies, Sharing};

/// What a seat needs to know beside its domain.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) config: DomainConfig,
    /// The password's text, for `console/vnc-pass`.
    pub(super) password: Option<Secret>,
    /// What viewers must prove.
    pub(super) access: ViewerAccess,
    pub(super) chords: Arc<[Chord]>,
    /// What the guest's own VNC servers ask for, and must prove.
    pub(super) display_access: DisplayAccess,
    pub(super) font: FontSize,
    /// A viewer's window chooses another.
    pub(super) fit_font: bool,
    pub(super) clipboard: ClipboardPolicy,
    pub(super) paste: PastePolicy,
    pub(super) sharing: Sharing,
}

impl Settings {
    /// Reads and parses what `config` names; `place` begins the key in errors.
    fn new(place: &str, config: DomainConfig, secrets: &mut Secrets) -> Result<Self, ConfigError> {
        let wrong = |key: &str, message: String| ConfigError::Value { key: format!("{place}{key}"), message };
        let password = config.password_file.as_deref().map(|path| secrets.password(path)).transpose();
        let password = password.map_err(|message| wrong("vnc.password_file", message))?;
        let access = ViewerAccess::new(&config, password.clone(), secrets)
            .map_err(|(key, message)| wrong(key, message))?;
        let display_access =
            DisplayAccess::new(&config, secrets).map_err(|(key, message)| wrong(key, message))?;
        let chords = match &config.chords {
            Some(texts) => texts
                .iter()
                .map(|text| text.parse().map_err(|error| wrong("seat.chords", format!("{text:?}: {error}"))))
                .collect::<Result<_, _>>()?,
            None => Chord::defaults().into(),
        };
        let fit_font = config.font.as_deref().is_none_or(|font| font == "auto");
        let font = config.font.clone().filter(|_| !fit_font);
        let font = word(&font).map_err(|message| wrong("console.font", format!("{message}, or auto")))?;
        let clipboard = word(&config.clipboard).map_err(|message| wrong("seat.clipboard", message))?;
        let paste = word(&config.paste).map_err(|message| wrong("seat.paste", message))?;
        let sharing = word(&config.sharing).map_err(|message| wrong("vnc.sharing", message))?;
        Ok(Self {
            config,
            password,
            access,
            chords,
            display_access,
            font,
            fit_font,
            clipboard,
            paste,
            sharing,
        })
    }

    /// The settings of one domain, with the passwords that [`Self::check`] read.
    ///
    /// # Errors
    /// None for a configuration that was checked.
    pub(super) fn of(
        config: &Config,
        secrets: &Secrets,
        name: &str,
        uuid: &str,
    ) -> Result<Self, ConfigError> {
        Self::new("", config.domain(name, uuid), &mut secrets.clone())
    }

    /// What may change while a seat runs.
    pub(super) fn policies(&self) -> Policies {
        Policies {
            clipboard: self.clipboard,
            paste: self.paste,
            allow_resize: self.config.resize,
            view_only: self.config.view_only,
            sharing: self.sharing,
            notices: self.config.notices,
            osc52: self.config.osc52,
            max_pixels: self.config.max_pixels,
            relay: self.config.relay,
        }
    }

    /// Whether a running seat must be told of these.
    pub(super) fn differs(&self, new: &Self) -> bool {
        self.chords != new.chords
            || self.password != new.password
            || self.access != new.access
            || self.display_access != new.display_access
            || self.config != new.config
    }

    /// Checks everything that any domain could need, so that mistakes show at the start and not when a guest boots.
    /// The passwords that were read stay valid until the configuration is read again, whatever becomes of the files.
    pub(super) fn check(config: &Config) -> Result<Secrets, ConfigError> {
        let mut secrets = Secrets::default();
        for (place, variant) in config.variants() {
            Self::new(&place, variant, &mut secrets)?;
        }
        Ok(secrets)
    }
}

/// The meaning of a word, or the default where there is none.
fn word<T: Default + FromStr<Err: Display>>(text: &Option<String>) -> Result<T, String> {
    let text = text.as_deref();
    text.map_or_else(|| Ok(T::default()), |text| text.parse().map_err(|error: T::Err| error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::rfb::security::Method;

    fn check(set: &str) -> Result<(), String> {
        let config = Config::load(Some(Path::new("/dev/null")), &[set.to_owned()]).unwrap();
        Settings::check(&config).map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn a_password_file_holds_one_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let set = format!("vnc.password_file={}", file.path().display());
        assert!(check(&set).unwrap_err().contains("is empty"));
        fs::write(file.path(), "secret\n").unwrap();
        assert_eq!(check(&set), Ok(()));
        fs::write(file.path(), "secret\nmore\n").unwrap();
        assert!(check(&set).unwrap_err().contains("more than one line"));
        let text = check("vnc.password_file=/nonexistent/pw").unwrap_err();
        assert!(text.starts_with("vnc.password_file: cannot read /nonexistent/pw"), "{text}");
    }

    /// Checks several values together.
    fn check_all(sets: &[String]) -> Result<(), String> {
        let config = Config::load(Some(Path::new("/dev/null")), sets).unwrap();
        Settings::check(&config).map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_missing_for_a_security_type_is_named() {
        let tls = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls");
        let dir = tempfile::tempdir().unwrap();
        let place = |name: &str| dir.path().join(name).display().to_string();
        fs::write(place("users"), crate::daemon::user_line("ann", b"x").unwrap()).unwrap();
        fs::write(place("password"), "sesame").unwrap();
        let [users, password] = ["users", "password"].map(|name| format!("vnc.{name}_file={}", place(name)));
        let certificate = format!("vnc.tls_certificate={tls}/self.pem");
        let [key, other] = ["self", "other"].map(|name| format!("vnc.tls_key={tls}/{name}.key"));
        let security = |words: &str| format!("vnc.security={words}");
        let cases = [
            (vec![certificate.clone()], "vnc.tls_key: is missing"),
            (vec![key.clone()], "vnc.tls_certificate: is missing"),
            (vec![certificate.clone(), other], "other.key: the private key is not that of the certificate"),
            (vec![users.clone()], "vnc.users_file: needs TLS"),
            (vec![security("x509none")], "vnc.security: x509none needs vnc.tls_certificate"),
            (vec![security("vncauth")], "vnc.security: vncauth needs vnc.password_file"),
            (
                vec![certificate.clone(), key.clone(), security("x509plain")],
                "vnc.security: x509plain needs vnc.users_file",
            ),
            (vec![security("none,none")], "vnc.security: none is there twice"),
            (vec![security("tight")], "vnc.security: tight needs none or vncauth"),
            (vec![security("")], "vnc.security: is empty"),
            (vec![security("tlsnone")], "vnc.security: \"tlsnone\" is not a security type"),
        ];
        for (sets, wanted) in cases {
            let text = check_all(&sets).unwrap_err();
            assert!(text.contains(wanted), "{text}");
        }
        let all = [certificate, key, users, password];
        assert_eq!(check_all(&all), Ok(()));
        let words = security("x509plain,x509vnc,x509none,tight,vncauth,none");
        assert_eq!(check_all(&[&all[..], &[words]].concat()), Ok(()));
    }

    /// What is offered when `vnc.security` does not say.
    #[test]
    fn security_types_follow_from_the_files() {
        let tls = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls");
        let dir = tempfile::tempdir().unwrap();
        let place = |name: &str| dir.path().join(name).display().to_string();
        fs::write(place("users"), crate::daemon::user_line("ann", b"x").unwrap()).unwrap();
        fs::write(place("password"), "sesame").unwrap();
        let password = [format!("vnc.password_file={}", place("password"))];
        let users = [format!("vnc.users_file={}", place("users"))];
        let tls = [format!("vnc.tls_certificate={tls}/self.pem"), format!("vnc.tls_key={tls}/self.key")];
        let cases: [(&[&[String]], &[&str]); 6] = [
            (&[], &["none"]),
            (&[&password], &["vncauth"]),
            (&[&tls], &["x509none", "none"]),
            (&[&tls, &password], &["x509vnc", "vncauth"]),
            (&[&tls, &users], &["x509plain"]),
            (&[&tls, &users, &password], &["x509plain", "x509vnc", "vncauth"]),
        ];
        for (sets, wanted) in cases {
            let config = Config::load(Some(Path::new("/dev/null")), &sets.concat()).unwrap();
            let secrets = Settings::check(&config).unwrap();
            let settings = Settings::of(&config, &secrets, "x", "y").unwrap();
            let wanted: Vec<Method> = wanted.iter().map(|name| name.parse().unwrap()).collect();
            assert_eq!(settings.access.security().unwrap().methods(), wanted);
            // Read again, they are the same, and nobody has to be told.
            let again = Settings::of(&config, &Settings::check(&config).unwrap(), "x", "y").unwrap();
            assert!(!settings.differs(&again));
            fs::write(place("password"), "simsalabim").unwrap();
            let other = Settings::of(&config, &Settings::check(&config).unwrap(), "x", "y").unwrap();
            assert_eq!(settings.differs(&other), settings.password.is_some());
            fs::write(place("password"), "sesame").unwrap();
        }
    }

    #[test]
    fn what_a_display_proves_itself_by_is_checked() {
        let ca = concat!("display.tls_ca=", env!("CARGO_MANIFEST_DIR"), "/tests/data/tls/ca.pem").to_owned();
        let fingerprint = format!("display.tls_fingerprint={}", "AB:".repeat(31) + "CD");
        let insecure = "display.tls_insecure=true".to_owned();
        let cases = [
            (vec!["display.tls_ca=/dev/null".to_owned()], "display.tls_ca: /dev/null: no certificate"),
            (vec!["display.tls_fingerprint=AB:CD".to_owned()], "display.tls_fingerprint: not a SHA-256"),
            (vec!["display.tls_name=a b".to_owned()], "display.tls_name: \"a b\" is neither"),
            (vec!["display.user=ann".to_owned()], "display.user: needs display.password_file"),
            (vec![ca.clone(), fingerprint.clone()], "display.tls_ca is set as well"),
            (vec![ca.clone(), insecure.clone()], "display.tls_ca: display.tls_insecure makes it void"),
            (vec![fingerprint.clone(), insecure.clone()], "display.tls_fingerprint: display.tls_insecure"),
        ];
        for (sets, wanted) in cases {
            let text = check_all(&sets).unwrap_err();
            assert!(text.contains(wanted), "{text}");
        }
        for sets in [vec![ca], vec![fingerprint], vec![insecure]] {
            assert_eq!(check_all(&sets), Ok(()));
        }
    }

    #[test]
    fn a_chord_that_is_none_is_named() {
        let text = check("seat.chords=ctrl-alt-f1,ctrl-nonsense").unwrap_err();
        assert!(text.starts_with("seat.chords: \"ctrl-nonsense\""), "{text}");
    }

    #[test]
    fn words_that_mean_nothing_are_named() {
        for (key, good, bad, wanted) in [
            ("console.font", "12x24", "7x14", "10x20"),
            ("console.font", "auto", "Auto", "or auto"),
            ("seat.clipboard", "to-guest", "some", "from-guest"),
            ("seat.paste", "raw", "", "filtered"),
            ("vnc.sharing", "displace", "never", "refuse"),
        ] {
            assert_eq!(check(&format!("{key}={good}")), Ok(()));
            let text = check(&format!("{key}={bad}")).unwrap_err();
            assert!(text.starts_with(&format!("{key}: ")) && text.contains(wanted), "{text}");
        }
    }
}
