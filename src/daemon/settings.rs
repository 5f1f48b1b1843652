//! A domain's configuration made ready for use: files read, chords parsed.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::config::{Config, ConfigError, DomainConfig};
use crate::rfb::security::PASSWORD_BYTES;
use crate::screen::FontSize;
use crate::seat::{Chord, ClipboardPolicy, PastePolicy, Policies, Sharing};

/// The largest password file, in bytes; a VNC password has 8.
const MAX_PASSWORD_FILE_BYTES: u64 = 4096;

/// A password's text. Wiped when dropped, never printed.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(Zeroizing<String>);

impl Secret {
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    pub(super) fn text(&self) -> Zeroizing<String> {
        self.0.clone()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The passwords that a configuration names, by file.
#[derive(Debug, Clone, Default)]
pub(super) struct Secrets(BTreeMap<PathBuf, Secret>);

impl Secrets {
    fn get(&mut self, path: &Path) -> Result<Secret, String> {
        if let Some(secret) = self.0.get(path) {
            return Ok(secret.clone());
        }
        let secret = read_password(path)?;
        self.0.insert(path.to_owned(), secret.clone());
        Ok(secret)
    }
}

/// What a seat needs to know beside its domain.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) config: DomainConfig,
    /// The password's text, for viewers and for `console/vnc-pass`.
    pub(super) password: Option<Secret>,
    pub(super) chords: Arc<[Chord]>,
    /// What the guest's own VNC servers ask for.
    pub(super) display_password: Option<Secret>,
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
        let mut password_in = |file: &Option<PathBuf>, key: &str| match file {
            Some(path) => secrets.get(path).map(Some).map_err(|message| wrong(key, message)),
            None => Ok(None),
        };
        let password = password_in(&config.password_file, "vnc.password_file")?;
        let display_password = password_in(&config.display_password_file, "display.password_file")?;
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
        Ok(Self { config, password, chords, display_password, font, fit_font, clipboard, paste, sharing })
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
            || self.display_password != new.display_password
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

/// The first line of the password file.
fn read_password(path: &Path) -> Result<Secret, String> {
    let unreadable = |error| format!("cannot read {}: {error}", path.display());
    let mut text = Zeroizing::new(String::new());
    fs::File::open(path)
        .and_then(|file| file.take(MAX_PASSWORD_FILE_BYTES + 1).read_to_string(&mut text))
        .map_err(unreadable)?;
    if u64::try_from(text.len()).is_ok_and(|bytes| bytes > MAX_PASSWORD_FILE_BYTES) {
        return Err(format!("{} has more than {MAX_PASSWORD_FILE_BYTES} bytes", path.display()));
    }
    let mut lines = text.lines();
    let line = Zeroizing::new(lines.next().unwrap_or_default().to_owned());
    if line.is_empty() {
        return Err(format!("{} is empty: want one line with the password", path.display()));
    }
    if lines.next().is_some() {
        return Err(format!("{} has more than one line", path.display()));
    }
    if line.chars().any(char::is_control) {
        return Err(format!("{} holds a control character", path.display()));
    }
    if line.len() > PASSWORD_BYTES {
        tracing::warn!(file = %path.display(), "only the first {PASSWORD_BYTES} bytes of a VNC password count");
    }
    Ok(Secret(line))
}

#[cfg(test)]
mod tests {
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
        assert_eq!(read_password(file.path()).unwrap().as_bytes(), b"secret");
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
