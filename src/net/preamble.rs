//! What a connection that comes to us says before RFB begins: which guest it is from.
//!
//! In a reverse connection the VNC server connects, and still speaks first. A repeater (UltraVNC's) asks for 250 bytes
//! before that, `ID:` and a word, padded with NULs; `x11vnc -connect repeater=ID:WORD+HOST:PORT` sends them. Here the
//! word is a token. A server that knows nothing of this begins with `RFB `.

use zeroize::Zeroizing;

/// How long a preamble is, in bytes (UltraVNC repeater, mode 2).
pub const PREAMBLE_BYTES: usize = 250;

/// The longest token, in bytes; ours have 32.
const TOKEN_BYTES_MAX: usize = 64;

/// What every preamble begins with.
const ID: &[u8] = b"ID:";

/// What every RFB server begins with (RFC 6143 §7.1.1).
const RFB: &[u8] = b"RFB ";

/// What a connection says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Greeting {
    /// `ID:TOKEN` or `ID:TOKEN:DISPLAY`.
    Token {
        /// The token, of printable ASCII characters.
        token: Zeroizing<Vec<u8>>,
        /// Which display of the guest it is; 0 when it does not say.
        display: u8,
    },
    /// It says nothing and begins with RFB.
    Rfb,
}

/// Reads a preamble: bytes go in as they come, a [`Greeting`] comes out. It never takes a byte that lies behind the
/// preamble.
#[derive(Debug, Default)]
pub struct Preamble {
    bytes: Zeroizing<Vec<u8>>,
}

impl Preamble {
    /// How many bytes may be given to [`Self::take`] at most.
    #[must_use]
    pub fn room(&self) -> usize {
        PREAMBLE_BYTES.saturating_sub(self.bytes.len())
    }

    /// Takes what has come; `None` as long as more must come. Bytes for which there is no [`Self::room`] are an error.
    ///
    /// # Errors
    /// When this can be neither a preamble nor RFB, as early as that shows.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Option<Greeting>, PreambleError> {
        if bytes.len() > self.room() {
            return Err(PreambleError::TooLong);
        }
        if self.bytes.capacity() == 0 {
            // At once, so that no copy of a token stays behind in memory.
            self.bytes.reserve_exact(PREAMBLE_BYTES);
        }
        self.bytes.extend_from_slice(bytes);
        if self.bytes.starts_with(RFB) {
            return Ok(Some(Greeting::Rfb));
        }
        let begins_like = |wanted: &[u8]| self.bytes.iter().zip(wanted).all(|(have, want)| have == want);
        if !begins_like(ID) && !begins_like(RFB) {
            return Err(PreambleError::Garbage);
        }
        if self.room() > 0 { Ok(None) } else { self.parse().map(Some) }
    }

    /// What was taken and belongs to RFB; nothing where there was a preamble.
    #[must_use]
    pub fn into_rest(self) -> Vec<u8> {
        if self.bytes.starts_with(RFB) { self.bytes.to_vec() } else { Vec::new() }
    }

    fn parse(&self) -> Result<Greeting, PreambleError> {
        // What comes behind the first NUL means nothing: some senders do not clear it.
        let text = self.bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        let word = text.strip_prefix(ID).ok_or(PreambleError::Garbage)?;
        let (token, display) = match word.iter().position(|byte| *byte == b':') {
            Some(at) => (word.get(..at).unwrap_or_default(), word.get(at + 1..).unwrap_or_default()),
            None => (word, &b"0"[..]),
        };
        if !(1..=TOKEN_BYTES_MAX).contains(&token.len()) || !token.iter().all(u8::is_ascii_graphic) {
            return Err(PreambleError::Token { bytes: token.len() });
        }
        // One digit is plenty, and leaves no two ways to write a number.
        let display = match display {
            [digit @ b'0'..=b'9'] => digit - b'0',
            _ => return Err(PreambleError::Display),
        };
        Ok(Greeting::Token { token: Zeroizing::new(token.to_vec()), display })
    }
}

/// Why the beginning of a connection is no preamble. None of these repeats what was sent: it may hold a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PreambleError {
    /// It begins with something else.
    #[error("it begins with neither \"RFB \" nor \"ID:\"")]
    Garbage,
    /// The caller gave more than there is room for.
    #[error("more than the {PREAMBLE_BYTES} bytes of a preamble")]
    TooLong,
    /// The token has a wrong length or strange characters.
    #[error("a token of {bytes} bytes that is not 1 to {TOKEN_BYTES_MAX} printable characters")]
    Token {
        /// Its length.
        bytes: usize,
    },
    /// Behind the token comes something that is no display.
    #[error("what follows the token is not a display's number of one digit")]
    Display,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn padded(text: &[u8]) -> Vec<u8> {
        let mut bytes = text.to_vec();
        bytes.resize(PREAMBLE_BYTES, 0);
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Option<Greeting>, PreambleError> {
        Preamble::default().take(bytes)
    }

    fn token(token: &[u8], display: u8) -> Result<Option<Greeting>, PreambleError> {
        Ok(Some(Greeting::Token { token: Zeroizing::new(token.to_vec()), display }))
    }

    #[test]
    fn a_token_is_read_with_and_without_a_display() {
        assert_eq!(read(&padded(b"ID:0123abcd")), token(b"0123abcd", 0));
        assert_eq!(read(&padded(b"ID:0123abcd:3")), token(b"0123abcd", 3));
        let mut dirty = padded(b"ID:0123abcd\0");
        dirty[20..].fill(b'x');
        assert_eq!(read(&dirty), token(b"0123abcd", 0));
    }

    #[test]
    fn rfb_is_kept_for_who_reads_on() {
        let mut preamble = Preamble::default();
        assert_eq!(preamble.take(b"RF"), Ok(None));
        assert_eq!(preamble.take(b"B 003.008\n"), Ok(Some(Greeting::Rfb)));
        assert_eq!(preamble.into_rest(), b"RFB 003.008\n");
        let mut preamble = Preamble::default();
        preamble.take(&padded(b"ID:x")).unwrap();
        assert_eq!(preamble.into_rest(), b"");
    }

    #[test]
    fn one_byte_at_a_time_is_the_same_and_every_prefix_needs_more() {
        let mut preamble = Preamble::default();
        let bytes = padded(b"ID:0123abcd:1");
        for byte in &bytes[..PREAMBLE_BYTES - 1] {
            assert_eq!(preamble.take(&[*byte]), Ok(None));
        }
        assert_eq!(preamble.room(), 1);
        assert_eq!(preamble.take(&[0]), token(b"0123abcd", 1));
        assert_eq!(preamble.room(), 0);
        assert_eq!(preamble.take(&[0]), Err(PreambleError::TooLong));
    }

    #[test]
    fn what_is_none_is_refused_as_early_as_it_shows() {
        for garbage in [&b"GET / HTTP/1.1\r\n"[..], b"\x16\x03\x01", b"\0", b"RFC", b"I:", b"IDX"] {
            assert_eq!(read(garbage), Err(PreambleError::Garbage), "{garbage:?}");
        }
        assert_eq!(read(&padded(b"ID:")), Err(PreambleError::Token { bytes: 0 }));
        assert_eq!(read(&padded(b"ID::1")), Err(PreambleError::Token { bytes: 0 }));
        assert_eq!(read(&padded(b"ID:a b")), Err(PreambleError::Token { bytes: 3 }));
        assert_eq!(read(&padded(b"ID:a\x1b")), Err(PreambleError::Token { bytes: 2 }));
        let endless = [b"ID:".as_slice(), &[b'a'; PREAMBLE_BYTES - 3]].concat();
        assert_eq!(read(&endless), Err(PreambleError::Token { bytes: PREAMBLE_BYTES - 3 }));
        for display in ["ID:a:", "ID:a:x", "ID:a:10", "ID:a:-1", "ID:a:1:1"] {
            assert_eq!(read(&padded(display.as_bytes())), Err(PreambleError::Display), "{display}");
        }
        assert_eq!(read(&[b'I'; PREAMBLE_BYTES + 1]), Err(PreambleError::TooLong));
    }

    proptest! {
        #[test]
        fn nothing_panics_and_nothing_grows(chunks: Vec<Vec<u8>>) {
            let mut preamble = Preamble::default();
            for chunk in chunks {
                let _ = preamble.take(&chunk);
                prop_assert!(preamble.bytes.len() <= PREAMBLE_BYTES);
            }
        }
    }
}
