//! What `xenvnc guest` is told: `/etc/xenvnc/guest.toml`, and command-line options over it.

use std::fmt;
use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;
use serde::de::{self, Deserializer};

use crate::config::DISPLAYS_MAX;

/// Where the guest looks when `--config` is not given. It may be missing; a file that was named may not.
pub const DEFAULT_FILE: &str = "/etc/xenvnc/guest.toml";

/// The largest configuration file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum GuestConfigError {
    /// The file that was named could not be read.
    #[error("cannot read configuration file {path:?}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file has an unknown key or a value that does not fit; the source names the key, line and column.
    #[error("configuration file {path:?}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// The key, line and column.
        source: Box<toml::de::Error>,
    },
    /// Two keys that exclude each other, or one without the other that it needs.
    #[error("{0}")]
    Together(&'static str),
}

/// How the host is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Via {
    /// By vchan; by TCP when nobody in the host takes the vchan up and an address for TCP is known.
    #[default]
    Auto,
    /// Shared memory only.
    Vchan,
    /// A TCP connection to the host only.
    Tcp,
}

/// Where an RFB server listens in this guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerAddress {
    /// A Unix socket.
    Unix(PathBuf),
    /// A port on loopback.
    Tcp(SocketAddr),
}

/// A host's listener, `HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostAddress(String);

/// The size of a new Xvnc's screen, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Pixels in a row.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

/// One layer of configuration, the file or the command line. What is `None` comes from below.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Layer {
    /// How the host is reached.
    #[serde(deserialize_with = "from_text")]
    pub via: Option<Via>,
    /// Which display of this guest this is, from 0.
    #[serde(deserialize_with = "number")]
    pub number: Option<u8>,
    /// The RFB server.
    #[serde(deserialize_with = "from_text")]
    pub server: Option<ServerAddress>,
    /// The host's listener, instead of what xenstore says.
    #[serde(deserialize_with = "from_text")]
    pub host: Option<HostAddress>,
    /// A file with the token, instead of what xenstore says.
    pub token_file: Option<PathBuf>,
    /// The Xvnc that is started.
    pub xvnc: XvncLayer,
}

/// What is said about an Xvnc of our own.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct XvncLayer {
    /// Whether one is started when none is found.
    pub start: Option<bool>,
    /// The program.
    pub command: Option<String>,
    /// The screen's size.
    #[serde(deserialize_with = "from_text")]
    pub geometry: Option<Geometry>,
    /// What runs on it: a program and its arguments.
    pub session: Option<Vec<String>>,
}

/// The whole configuration, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestConfig {
    /// How the host is reached.
    pub via: Via,
    /// Which display of this guest this is.
    pub number: u8,
    /// Where the RFB server is or will be.
    pub server: ServerAddress,
    /// The host's listener, instead of what xenstore says.
    pub host: Option<HostAddress>,
    /// A file with the token, instead of what xenstore says.
    pub token_file: Option<PathBuf>,
    /// The Xvnc to start when nobody listens at `server`.
    pub xvnc: Option<Xvnc>,
}

/// An Xvnc to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Xvnc {
    /// The program.
    pub command: String,
    /// The screen's size.
    pub geometry: Geometry,
    /// A program and its arguments; nothing for a bare screen.
    pub session: Vec<String>,
}

impl GuestConfig {
    /// Reads the file (the default one, if it exists, when none is named) and lays the command line over it.
    ///
    /// # Errors
    /// The first key that is unknown or does not fit.
    pub fn load(file: Option<&Path>, over: Layer) -> Result<Self, GuestConfigError> {
        let path = file.unwrap_or(Path::new(DEFAULT_FILE));
        let below = match read(path) {
            Err(GuestConfigError::Read { source, .. })
                if file.is_none() && source.kind() == std::io::ErrorKind::NotFound =>
            {
                Layer::default()
            }
            text => toml::from_str(&text?).map_err(|source| GuestConfigError::File {
                path: path.to_owned(),
                source: Box::new(source),
            })?,
        };
        Self::from_layers(below, over)
    }

    fn from_layers(below: Layer, over: Layer) -> Result<Self, GuestConfigError> {
        let number = over.number.or(below.number).unwrap_or(0);
        let server = over.server.or(below.server);
        let host = over.host.or(below.host);
        let token_file = over.token_file.or(below.token_file);
        let via = over.via.or(below.via).unwrap_or_default();
        if token_file.is_some() != host.is_some() {
            return Err(GuestConfigError::Together("host and token_file: one needs the other"));
        }
        if host.is_some() && via == Via::Vchan {
            return Err(GuestConfigError::Together("host is of no use with via = \"vchan\""));
        }
        let (over, below) = (over.xvnc, below.xvnc);
        let start = over.start.or(below.start).unwrap_or(false);
        if start && matches!(server, Some(ServerAddress::Tcp(_))) {
            return Err(GuestConfigError::Together(
                "xvnc.start needs a Unix socket as server: an Xvnc of ours does not listen on TCP",
            ));
        }
        let xvnc = start.then(|| Xvnc {
            command: over.command.or(below.command).unwrap_or_else(|| "Xvnc".to_owned()),
            geometry: over.geometry.or(below.geometry).unwrap_or(Geometry { width: 1280, height: 800 }),
            session: over.session.or(below.session).unwrap_or_default(),
        });
        let server = server
            .unwrap_or_else(|| ServerAddress::Unix(format!("/run/xenvnc/display-{number}.sock").into()));
        Ok(Self { via, number, server, host, token_file, xvnc })
    }
}

fn read(path: &Path) -> Result<String, GuestConfigError> {
    let failed = |source| GuestConfigError::Read { path: path.to_owned(), source };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    // What is beyond the limit is cut off in the middle of a key or comment that long.
    file.take(MAX_FILE_BYTES).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 == MAX_FILE_BYTES {
        return Err(failed(std::io::ErrorKind::FileTooLarge.into()));
    }
    Ok(text)
}

impl FromStr for Via {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "vchan" => Ok(Self::Vchan),
            "tcp" => Ok(Self::Tcp),
            other => Err(format!("{other:?} is no way to the host: want auto, vchan or tcp")),
        }
    }
}

impl FromStr for ServerAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is no RFB server of this guest: want unix:/PATH, or a port on loopback such as 127.0.0.1:5900"
            )
        };
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.starts_with('/') { Ok(Self::Unix(path.into())) } else { Err(wrong()) };
        }
        let (address, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let address = match address.trim_start_matches('[').trim_end_matches(']') {
            "localhost" => IpAddr::from([127, 0, 0, 1]),
            address => address.parse().map_err(|_| wrong())?,
        };
        let port = port.parse().map_err(|_| wrong())?;
        if !address.is_loopback() || port == 0 {
            return Err(wrong());
        }
        Ok(Self::Tcp(SocketAddr::new(address, port)))
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => address.fmt(f),
        }
    }
}

impl FromStr for HostAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let good = text.rsplit_once(':').is_some_and(|(host, port)| {
            let name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]%".contains(&byte);
            !host.is_empty() && host.bytes().all(name) && port.parse::<u16>().is_ok_and(|port| port != 0)
        });
        if good { Ok(Self(text.to_owned())) } else { Err(format!("{text:?} is no host: want ADDR:PORT")) }
    }
}

impl HostAddress {
    /// `HOST:PORT`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Geometry {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let size = |text: &str| text.parse().ok().filter(|pixels| (1..=16_384).contains(pixels));
        text.split_once('x')
            .and_then(|(width, height)| Some(Self { width: size(width)?, height: size(height)? }))
            .ok_or_else(|| format!("{text:?} is no size: want WIDTHxHEIGHT in pixels, such as 1280x800"))
    }
}

impl fmt::Display for Geometry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

fn from_text<'de, D: Deserializer<'de>, T: FromStr<Err = String>>(value: D) -> Result<Option<T>, D::Error> {
    String::deserialize(value)?.parse().map(Some).map_err(de::Error::custom)
}

fn number<'de, D: Deserializer<'de>>(value: D) -> Result<Option<u8>, D::Error> {
    parse_number(&i64::deserialize(value)?.to_string()).map(Some).map_err(de::Error::custom)
}

/// The number of a display, 0 to 4.
///
/// # Errors
/// What it should be.
pub fn parse_number(text: &str) -> Result<u8, String> {
    let number = text.parse().ok().filter(|number| *number < DISPLAYS_MAX);
    number.ok_or_else(|| format!("a display's number is 0 to {}", DISPLAYS_MAX - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Result<GuestConfig, GuestConfigError> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        GuestConfig::load(Some(file.path()), Layer::default())
    }

    #[test]
    fn defaults_are_a_socket_of_ours_and_any_way() {
        let config = file("").expect("an empty file");
        assert_eq!((config.via, config.number, config.xvnc), (Via::Auto, 0, None));
        assert_eq!(config.server.to_string(), "unix:/run/xenvnc/display-0.sock");
        assert_eq!((config.host, config.token_file), (None, None));
    }

    #[test]
    fn command_line_is_laid_over_the_file() {
        let text = "via = \"tcp\"\nnumber = 2\nhost = \"10.0.0.1:5500\"\ntoken_file = \"/t\"\n\
                    [xvnc]\nstart = true\ngeometry = \"640x480\"\nsession = [\"twm\"]\n";
        let config = file(text).expect("a file with every key but command");
        let xvnc = config.xvnc.expect("an Xvnc");
        assert_eq!((xvnc.command.as_str(), xvnc.geometry.to_string().as_str()), ("Xvnc", "640x480"));
        assert_eq!((xvnc.session, config.number), (vec!["twm".to_owned()], 2));
        assert_eq!(config.server.to_string(), "unix:/run/xenvnc/display-2.sock");

        let below: Layer = toml::from_str(text).expect("a layer");
        let over = Layer { via: Some(Via::Auto), number: Some(3), ..Layer::default() };
        let config = GuestConfig::from_layers(below, over).expect("both");
        assert_eq!((config.via, config.number), (Via::Auto, 3));
        assert_eq!(config.host.expect("a host").as_str(), "10.0.0.1:5500");
    }

    #[test]
    fn errors_name_the_key_or_what_was_wanted() {
        for (text, part) in [
            ("vai = \"auto\"", "unknown field `vai`"),
            ("[xvnc]\nstrat = true", "unknown field `strat`"),
            ("via = \"carrier pigeon\"", "auto, vchan or tcp"),
            ("number = -1", "0 to 4"),
            ("number = 5", "0 to 4"),
            ("number = \"x\"", "invalid type"),
            ("server = \"unix:relative\"", "unix:/PATH"),
            ("server = \"192.0.2.1:5900\"", "loopback"),
            ("server = \"127.0.0.1:0\"", "loopback"),
            ("server = \"5900\"", "loopback"),
            ("host = \"example\"", "ADDR:PORT"),
            ("host = \"a b:5500\"", "ADDR:PORT"),
            ("host = \"10.0.0.1:5500\"", "one needs the other"),
            ("token_file = \"/t\"", "one needs the other"),
            ("via = \"vchan\"\nhost = \"10.0.0.1:5500\"\ntoken_file = \"/t\"", "of no use"),
            ("server = \"127.0.0.1:5900\"\n[xvnc]\nstart = true", "Unix socket"),
            ("[xvnc]\ngeometry = \"0x800\"", "1280x800"),
            ("[xvnc]\ngeometry = \"huge\"", "1280x800"),
        ] {
            let said = file(text).expect_err(text).to_string();
            assert!(said.contains(part), "{text:?} gave {said:?}");
        }
        let missing = GuestConfig::load(Some(Path::new("/nonexistent/guest.toml")), Layer::default());
        assert!(matches!(missing, Err(GuestConfigError::Read { .. })));
        assert!(matches!(file(&"#".repeat(65_536)), Err(GuestConfigError::Read { .. })), "too large");
    }

    #[test]
    fn servers_of_this_guest_are_understood() {
        let parsed = |text: &str| text.parse::<ServerAddress>().expect(text).to_string();
        assert_eq!(parsed("unix:/tmp/x.sock"), "unix:/tmp/x.sock");
        assert_eq!(parsed("localhost:5901"), "127.0.0.1:5901");
        assert_eq!(parsed("[::1]:5900"), "[::1]:5900");
    }
}
