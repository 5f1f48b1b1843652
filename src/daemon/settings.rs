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
        Ok(Self { config, password, access, chords, display_access, font, fit_font, clipboard, paste, sharing })
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
