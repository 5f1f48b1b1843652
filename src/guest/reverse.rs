//! A TCP connection to the host, with the token that tells it which guest this is.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::config::HostAddress;
use crate::xen::store::{Nodes, StoreError};

/// What goes before RFB, in bytes: `ID:`, the token, for another display than the first `:` and its number, and NULs, as
/// UltraVNC's repeater takes it.
pub const PREAMBLE_BYTES: usize = 250;

/// The longest token, in bytes: a display's number and one NUL at least stay behind it.
const MAX_TOKEN_BYTES: usize = PREAMBLE_BYTES - "ID:".len() - ":255".len() - 1;

/// How long the host may take to answer a connection.
const CONNECT_TIME: Duration = Duration::from_secs(10);

/// How long the connection may be silent before the kernel asks whether the host is still there.
const KEEPALIVE_IDLE_SECONDS: u32 = 60;

/// Where the host listens and what to say first.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    /// The host's listener.
    pub address: HostAddress,
    preamble: [u8; PREAMBLE_BYTES],
}

/// Without the token.
impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Why there is no connection to the host.
#[derive(Debug, thiserror::Error)]
pub enum ReverseError {
    /// The host has not written into xenstore where it listens, or no token.
    #[error("the host offers no connection by TCP: there is no node {0} in this guest's xenstore")]
    NotOffered(&'static str),
    /// What the host wrote is no address.
    #[error("the host's address: {0}")]
    Address(String),
    /// A token that cannot be sent.
    #[error(
        "the token has {bytes} bytes, wanted 1 to {MAX_TOKEN_BYTES} without blanks and control characters"
    )]
    Token {
        /// Its length in bytes.
        bytes: usize,
    },
    /// The file with the token cannot be read.
    #[error("cannot read token file {path:?}")]
    TokenFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// xenstore cannot be asked.
    #[error("cannot read this guest's xenstore")]
    Store(#[from] StoreError),
    /// The host is not reached.
    #[error("cannot connect to {address}")]
    Connect {
        /// The host's listener.
        address: HostAddress,
        /// Why.
        source: io::Error,
    },
}

impl Target {
    /// A host, a token of at most [`PREAMBLE_BYTES`] - 8 bytes, and which display of this guest it is.
    ///
    /// # Errors
    /// When the token cannot be sent.
    pub fn new(address: HostAddress, token: &[u8], display: u8) -> Result<Self, ReverseError> {
        let token = token.trim_ascii_end();
        if token.is_empty() || token.len() > MAX_TOKEN_BYTES || !token.iter().all(u8::is_ascii_graphic) {
            return Err(ReverseError::Token { bytes: token.len() });
        }
        let mut preamble = [0; PREAMBLE_BYTES];
        let number = if display == 0 { String::new() } else { format!(":{display}") };
        for (byte, said) in preamble.iter_mut().zip(b"ID:".iter().chain(token).chain(number.as_bytes())) {
            *byte = *said;
        }
        Ok(Self { address, preamble })
    }

    /// What the host wrote into this guest's home. A token is good for one connection: read it anew for each.
    ///
    /// # Errors
    /// When a node is missing or holds what cannot be used.
    pub async fn from_store(store: &Nodes, home: &str, display: u8) -> Result<Self, ReverseError> {
        let (address, token) = ("xenvnc/reverse-address", "xenvnc/token");
        let node = async |name| {
            let value = store.read_optional(&format!("{home}/{name}")).await?;
            value.ok_or(ReverseError::NotOffered(name))
        };
        let (address, token) = (node(address).await?, node(token).await?);
        let text = std::str::from_utf8(address.trim_ascii_end()).unwrap_or("\u{fffd}");
        Self::new(text.parse().map_err(ReverseError::Address)?, &token, display)
    }

    /// A host that was given in the configuration, and the first line of a file, which is read anew for each connection.
    ///
    /// # Errors
    /// When the file cannot be read or holds no token.
    pub async fn from_file(address: HostAddress, path: &PathBuf, display: u8) -> Result<Self, ReverseError> {
        let text = tokio::fs::read(path).await;
        let text = text.map_err(|source| ReverseError::TokenFile { path: path.clone(), source })?;
        Self::new(address, text.split(|byte| *byte == b'\n').next().unwrap_or_default(), display)
    }

    /// Connects and says who we are.
    ///
    /// # Errors
    /// When the host does not answer or hangs up at once.
    pub async fn connect(&self) -> Result<TcpStream, ReverseError> {
        let connect = async {
            let mut stream = TcpStream::connect(self.address.as_str()).await?;
            stream.set_nodelay(true)?;
            setsockopt(&stream, sockopt::KeepAlive, &true)?;
            setsockopt(&stream, sockopt::TcpKeepIdle, &KEEPALIVE_IDLE_SECONDS)?;
            stream.write_all(&self.preamble).await?;
            Ok(stream)
        };
        let connected = tokio::time::timeout(CONNECT_TIME, connect).await;
        connected
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(|source| ReverseError::Connect { address: self.address.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(token: &[u8]) -> Result<Target, ReverseError> {
        Target::new("10.0.0.1:5500".parse().expect("an address"), token, 0)
    }

    #[test]
    fn preamble_is_the_token_padded_to_250_bytes() {
        let preamble = target(b"0123abcd\n").expect("a token").preamble;
        assert_eq!(preamble.len(), 250);
        assert_eq!(&preamble[..11], b"ID:0123abcd");
        assert!(preamble[11..].iter().all(|byte| *byte == 0));
        let address: HostAddress = "10.0.0.1:5500".parse().expect("an address");
        let second = Target::new(address.clone(), b"0123abcd", 1).expect("a token").preamble;
        assert_eq!(&second[..14], b"ID:0123abcd:1\0");
        let longest = Target::new(address, &[b'x'; 242], 255).expect("the longest token").preamble;
        assert_eq!(&longest[243..], b"xx:255\0");
    }

    #[test]
    fn token_that_cannot_be_sent_is_refused_and_never_shown() {
        for token in [&b""[..], b"\n", b"two words", b"nul\0", &[b'x'; 243], "t\u{f6}ken".as_bytes()] {
            assert!(matches!(target(token), Err(ReverseError::Token { .. })));
        }
        let said = format!("{:?}", target(b"secret").expect("a token"));
        assert!(
            said.contains("10.0.0.1:5500") && !said.contains("secret") && !said.contains("115"),
            "{said}"
        );
    }
}
