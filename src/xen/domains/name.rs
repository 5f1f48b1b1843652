//! What a domain is called: text that a toolstack took from a user, hence any bytes.

use std::fmt;

/// Most characters of a name that are kept; xl and libvirt set no limit, and xenstore allows about 4,000 bytes.
const MAX_CHARS: usize = 128;

/// A domain's name, made fit to be shown: at most 128 characters of valid Unicode, none of them a control character.
///
/// It is text for people. Two domains may have the same name, and the name may change at any time; for identity and
/// for file names there is the UUID.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainName(String);

/// What had to be changed about a name to make it fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameProblem {
    /// It is empty; the domain is served nevertheless.
    #[error("its name is empty")]
    Empty,
    /// Bytes that are not UTF-8, or control characters; each was replaced.
    #[error("its name holds bytes that are no text")]
    NotText,
    /// It is longer than 128 characters, and was cut.
    #[error("its name has more than {MAX_CHARS} characters")]
    TooLong,
}

impl DomainName {
    /// The name in the bytes of a `name` node, and what had to be changed about it.
    #[must_use]
    pub fn from_node(value: &[u8]) -> (Self, Option<NameProblem>) {
        let text = String::from_utf8_lossy(value);
        let mut characters = text.chars().map(|c| if is_fit(c) { c } else { char::REPLACEMENT_CHARACTER });
        let name: String = characters.by_ref().take(MAX_CHARS).collect();
        let problem = if name.is_empty() {
            Some(NameProblem::Empty)
        } else if characters.next().is_some() {
            Some(NameProblem::TooLong)
        } else if name.as_bytes() != value {
            Some(NameProblem::NotText)
        } else {
            None
        };
        (Self(name), problem)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Neither a control character nor one that turns the direction of the text around it, by which one name could be
/// made to look like another (Unicode Standard Annex 9, §2).
fn is_fit(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn usual_names_stay_as_they_are() {
        for name in ["tiny", "web-1", "Größe", "a b", "guest--migratedaway", "../../etc/passwd"] {
            let (found, problem) = DomainName::from_node(name.as_bytes());
            assert_eq!((found.as_str(), problem), (name, None));
        }
    }

    #[test]
    fn hostile_names_are_made_fit_and_reported() {
        let fit = |value: &[u8]| {
            let (name, problem) = DomainName::from_node(value);
            (name.0, problem)
        };
        assert_eq!(fit(b""), (String::new(), Some(NameProblem::Empty)));
        assert_eq!(fit(b"a\x1b[2Jb\n"), ("a\u{fffd}[2Jb\u{fffd}".into(), Some(NameProblem::NotText)));
        assert_eq!(fit(b"\xff"), ("\u{fffd}".into(), Some(NameProblem::NotText)));
        assert_eq!(fit("a\u{202e}b".as_bytes()), ("a\u{fffd}b".into(), Some(NameProblem::NotText)));
        assert_eq!(fit(&[b'x'; 4000]), ("x".repeat(128), Some(NameProblem::TooLong)));
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_bounded_printable_name(value: Vec<u8>) {
            let (name, _) = DomainName::from_node(&value);
            prop_assert!(name.0.chars().count() <= MAX_CHARS);
            prop_assert!(name.0.chars().all(is_fit));
        }
    }
}
