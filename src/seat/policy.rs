//! What the administrator allows: which way clipboard texts go, what a paste may contain, and who may be alone.

use std::str::FromStr;

/// What may change while a seat runs; see [`SeatOptions`](super::SeatOptions).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is explained there")]
pub struct Policies {
    pub clipboard: ClipboardPolicy,
    pub paste: PastePolicy,
    pub allow_resize: bool,
    pub view_only: bool,
    pub sharing: Sharing,
    pub notices: bool,
    pub osc52: bool,
    pub max_pixels: u32,
    pub relay: bool,
}

/// Which way texts may go between a viewer's clipboard and the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClipboardPolicy {
    /// Pasting and copying.
    #[default]
    Both,
    /// Pasting only: what the guest shows is not sent to a viewer's clipboard.
    ToGuest,
    /// Copying only: what viewers cut is not kept.
    FromGuest,
    /// Neither. What is selected can still be pasted on the same seat.
    Off,
}

impl ClipboardPolicy {
    /// Whether what a viewer cut may be pasted.
    #[must_use]
    pub const fn to_guest(self) -> bool {
        matches!(self, Self::Both | Self::ToGuest)
    }

    /// Whether what the guest shows may come to a viewer's clipboard.
    #[must_use]
    pub const fn from_guest(self) -> bool {
        matches!(self, Self::Both | Self::FromGuest)
    }
}

/// What becomes of control characters in a pasted text. Line ends become Return either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PastePolicy {
    /// All but Tab are dropped, so that a paste cannot press keys such as Ctrl-C or Escape.
    #[default]
    Filtered,
    /// They are typed. Even then the end of a bracketed paste cannot be part of its text.
    Raw,
}

/// What becomes of the other viewers when one asks to be alone (RFC 6143 §7.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sharing {
    /// They stay: everybody shares.
    #[default]
    Always,
    /// They are ended.
    Displace,
    /// It is ended if there are others.
    Refuse,
}

impl FromStr for Sharing {
    type Err = BadPolicy;

    fn from_str(text: &str) -> Result<Self, BadPolicy> {
        match text {
            "always" => Ok(Self::Always),
            "displace" => Ok(Self::Displace),
            "refuse" => Ok(Self::Refuse),
            _ => Err(BadPolicy { found: text.to_owned(), wanted: "always, displace or refuse" }),
        }
    }
}

/// A word that names no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not known: want {wanted}")]
pub struct BadPolicy {
    /// The word that was given.
    pub found: String,
    /// The words that there are.
    pub wanted: &'static str,
}

impl FromStr for ClipboardPolicy {
    type Err = BadPolicy;

    fn from_str(text: &str) -> Result<Self, BadPolicy> {
        match text {
            "both" => Ok(Self::Both),
            "to-guest" => Ok(Self::ToGuest),
            "from-guest" => Ok(Self::FromGuest),
            "off" => Ok(Self::Off),
            _ => Err(BadPolicy { found: text.to_owned(), wanted: "both, to-guest, from-guest or off" }),
        }
    }
}

impl FromStr for PastePolicy {
    type Err = BadPolicy;

    fn from_str(text: &str) -> Result<Self, BadPolicy> {
        match text {
            "filtered" => Ok(Self::Filtered),
            "raw" => Ok(Self::Raw),
            _ => Err(BadPolicy { found: text.to_owned(), wanted: "filtered or raw" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_and_others_refused() {
        for (word, to, from) in [
            ("both", true, true),
            ("to-guest", true, false),
            ("from-guest", false, true),
            ("off", false, false),
        ] {
            let policy: ClipboardPolicy = word.parse().unwrap();
            assert_eq!((policy.to_guest(), policy.from_guest()), (to, from), "{word}");
        }
        assert_eq!("raw".parse(), Ok(PastePolicy::Raw));
        assert_eq!("filtered".parse(), Ok(PastePolicy::default()));
        assert!("none".parse::<ClipboardPolicy>().unwrap_err().to_string().contains("to-guest"));
        assert!("Raw".parse::<PastePolicy>().is_err());
    }
}
