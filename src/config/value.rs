//! The values that a configuration can hold, each read from text: a file and `--set` accept the same.

use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

/// The most history lines that may be asked for a domain; at about 100 bytes each, 100 MB.
const MAX_HISTORY_LINES: usize = 1_000_000;

/// How a domain's console is reached (`console.mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConsoleMode {
    /// `interpose` where another console daemon runs, `own` where none does.
    #[default]
    Auto,
    /// Between xenconsoled's pty and everybody else.
    Interpose,
    /// Instead of xenconsoled, on the console ring itself.
    Own,
    /// Open the published pty and share it; for tests and simple set-ups.
    Attach,
}

impl FromStr for ConsoleMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "interpose" => Ok(Self::Interpose),
            "own" => Ok(Self::Own),
            "attach" => Ok(Self::Attach),
            other => Err(format!("{other:?} is not a console mode: want auto, interpose, own or attach")),
        }
    }
}

/// Where viewers may connect (`vnc.listen`): an address, and a port where one is wanted instead of the range's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen {
    /// The address to bind.
    pub address: IpAddr,
    /// A port to use before the range's; 0 lets the system choose a free one for every domain.
    pub port: Option<u16>,
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self { address, port: None });
        }
        if text == "localhost" {
            return Ok(Self { address: IpAddr::from([127, 0, 0, 1]), port: None });
        }
        let with_port = text.replace("localhost:", "127.0.0.1:");
        with_port
            .parse::<SocketAddr>()
            .map(|at| Self { address: at.ip(), port: Some(at.port()) })
            .map_err(|_| format!("{text:?} is not an address: want ADDR or ADDR:PORT, such as 127.0.0.1"))
    }
}

/// Several addresses (`reverse.listen`), separated by commas in `--set`; none of them may be there twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listens(pub Vec<Listen>);

impl FromStr for Listens {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = words(text).map(str::parse).collect::<Result<Vec<Listen>, _>>()?;
        match all.iter().enumerate().find(|(at, listen)| all[..*at].contains(listen)) {
            Some((_, Listen { address, .. })) => Err(format!("{address} is there twice")),
            None => Ok(Self(all)),
        }
    }
}

/// What guests are told to connect to (`reverse.announce`): an address or host name, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announce(pub String);

impl FromStr for Announce {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        /// The longest name that DNS knows, in bytes (RFC 1035 §2.3.4).
        const HOST_BYTES_MAX: usize = 255;
        let wrong =
            || format!("{text:?} is not what a guest can connect to: want HOST:PORT, such as 10.0.0.1:5500");
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_host = match literal {
            Some(literal) => literal.parse::<std::net::Ipv6Addr>().is_ok(),
            None => (1..=HOST_BYTES_MAX).contains(&host.len()) && host.bytes().all(plain),
        };
        match port.parse::<u16>() {
            Ok(1..) if is_host => Ok(Self(text.to_owned())),
            _ => Err(wrong()),
        }
    }
}

/// Names of network interfaces (`reverse.trust_bridge`), separated by commas in `--set`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interfaces(pub Vec<String>);

impl FromStr for Interfaces {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        /// The longest name of an interface, in bytes (`IFNAMSIZ` without its NUL).
        const NAME_BYTES_MAX: usize = 15;
        let check = |name: &str| {
            let fits = name.len() <= NAME_BYTES_MAX && !matches!(name, "." | "..");
            let plain = name.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'/' | b':'));
            if fits && plain {
                Ok(name.to_owned())
            } else {
                Err(format!("{name:?} is not an interface's name"))
            }
        };
        words(text).map(check).collect::<Result<_, _>>().map(Self)
    }
}

/// Where a VNC server inside of a guest listens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// `ADDR:PORT`.
    Tcp(SocketAddr),
    /// `unix:/path`: a socket on this host.
    Unix(PathBuf),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(at) => at.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The VNC servers of one guest (`display.forward`): the first is its display 0, and so on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Targets(pub Vec<Target>);

/// How many displays a guest can have: VTs 7 to 11.
pub const DISPLAYS_MAX: u8 = 5;

impl FromStr for Targets {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = |word: &str| match word.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') && !path.contains('\0') => Ok(Target::Unix(path.into())),
            None if word.parse::<SocketAddr>().is_ok_and(|at| at.port() != 0) => {
                word.parse().map(Target::Tcp).map_err(|_| String::new())
            }
            _ => Err(format!("{word:?} is not a VNC server's address: want ADDR:PORT or unix:/PATH")),
        };
        let all = words(text).map(parse).collect::<Result<Vec<_>, _>>()?;
        if all.len() > usize::from(DISPLAYS_MAX) {
            return Err(format!(
                "{} VNC servers are too many: a guest has at most {DISPLAYS_MAX} displays",
                all.len()
            ));
        }
        Ok(Self(all))
    }
}

/// The words of a list as `--set` and [`Text`] give it.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty())
}

/// A range of TCP ports (`vnc.ports`), first and last included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ports(pub RangeInclusive<u16>);

impl FromStr for Ports {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a range of ports: want FIRST-LAST, such as 5900-5999");
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let first: u16 = first.trim().parse().map_err(|_| wrong())?;
        let last: u16 = last.trim().parse().map_err(|_| wrong())?;
        if first == 0 || first > last {
            return Err(wrong());
        }
        Ok(Self(first..=last))
    }
}

/// A number of lines, at most [`MAX_HISTORY_LINES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lines(pub usize);

impl FromStr for Lines {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(lines) if lines <= MAX_HISTORY_LINES => Ok(Self(lines)),
            _ => Err(format!("{text:?} is not a number of lines from 0 to {MAX_HISTORY_LINES}")),
        }
    }
}

/// The most pixels of a display, from [`MIN_PIXELS`] to [`MAX_PIXELS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pixels(pub u32);

/// The least that is of use: 640 by 480.
const MIN_PIXELS: u32 = 640 * 480;

/// A gigabyte of pixels.
const MAX_PIXELS: u32 = 1 << 28;

impl FromStr for Pixels {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(pixels) if (MIN_PIXELS..=MAX_PIXELS).contains(&pixels) => Ok(Self(pixels)),
            _ => Err(format!("{text:?} is not a number of pixels from {MIN_PIXELS} to {MAX_PIXELS}")),
        }
    }
}

/// Columns or rows of a text screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cells(pub u16);

impl FromStr for Cells {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(cells @ 2..=500) => Ok(Self(cells)),
            _ => Err(format!("{text:?} is not a number of cells from 2 to 500")),
        }
    }
}

/// An amount of bytes, from 4 KiB to 1 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(bytes @ 4096..=0x4000_0000) => Ok(Self(bytes)),
            _ => Err(format!("{text:?} is not a number of bytes from 4096 to 1073741824")),
        }
    }
}

/// A yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Switch(pub bool);

impl FromStr for Switch {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "true" => Ok(Self(true)),
            "false" => Ok(Self(false)),
            other => Err(format!("{other:?} is neither true nor false")),
        }
    }
}

/// A path that is not empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePath(pub PathBuf);

impl FromStr for FilePath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.contains('\0') {
            return Err(format!("{text:?} is not a path"));
        }
        Ok(Self(PathBuf::from(text)))
    }
}

/// Words whose meaning is another module's, and is checked there; separated by commas in `--set`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words(pub Vec<String>);

impl FromStr for Words {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Self(words(text).map(str::to_owned).collect()))
    }
}

/// A word whose meaning is another module's, and is checked there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word(pub String);

impl FromStr for Word {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

/// Deserializes what a TOML file gives (a string, a number, a boolean or an array of strings) through `FromStr`, so
/// that a file and `--set` accept the same values and give the same errors.
macro_rules! deserialize_by_from_str {
    ($($type:ty),*) => { $(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(Text).and_then(|text| text.parse().map_err(de::Error::custom))
            }
        }
    )* };
}
deserialize_by_from_str!(
    ConsoleMode,
    Listen,
    Ports,
    Lines,
    Pixels,
    Cells,
    Bytes,
    Switch,
    FilePath,
    Word,
    Words,
    Listens,
    Announce,
    Interfaces,
    Targets
);

struct Text;

impl<'de> Visitor<'de> for Text {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, a number, true or false, or an array of strings")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<String, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element::<String>()? {
            all.push(item);
        }
        Ok(all.join(","))
    }
}
