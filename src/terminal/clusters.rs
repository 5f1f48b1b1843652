//! Grapheme clusters (Unicode Standard Annex 29), for guests that count by them.
//!
//! By default every character takes the columns that `wcwidth` of the guest's C library says, because that is what
//! programs count with: emoji joined by U+200D stand side by side, and a variation selector changes no width. With
//! private mode 2027 a cluster is one character, one or two columns wide.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use super::style::{CLUSTER_MARKS, Cluster};

/// Bytes that a cluster and one more character take in UTF-8.
const BYTES: usize = 4 * (CLUSTER_MARKS + 2);

/// A cluster, with `more` if there is more, as text in `buffer`.
fn text<'a>(cluster: Cluster<'_>, more: Option<char>, buffer: &'a mut [u8; BYTES]) -> &'a str {
    let mut length = 0;
    for c in std::iter::once(cluster.base).chain(cluster.marks.iter().copied()).chain(more) {
        let Some(room) = buffer.get_mut(length..length + 4) else { break };
        length += c.encode_utf8(room).len();
    }
    std::str::from_utf8(&buffer[..length]).unwrap_or_default()
}

/// True when `c` goes on with the cluster rather than being a character of its own.
pub(super) fn joins(cluster: Cluster<'_>, c: char) -> bool {
    // Between two of ASCII there is always a boundary.
    if cluster.marks.is_empty() && cluster.base.is_ascii() && c.is_ascii() {
        return false;
    }
    text(cluster, Some(c), &mut [0; BYTES]).graphemes(true).nth(1).is_none()
}

/// True for a cluster of two columns.
pub(super) fn is_wide(cluster: Cluster<'_>) -> bool {
    text(cluster, None, &mut [0; BYTES]).width() >= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster_of(characters: &[char]) -> Cluster<'_> {
        Cluster { base: characters[0], marks: &characters[1..] }
    }

    #[test]
    fn clusters_are_those_of_the_standard() {
        for (before, c, joined) in [
            (&['a'][..], 'b', false),
            (&['e'], '\u{301}', true),
            // A family: woman, ZWJ, girl.
            (&['👩', '\u{200d}'], '👧', true),
            (&['👩'], '👧', false),
            // A skin tone.
            (&['👍'], '🏽', true),
            (&['a'], '🏽', true),
            // Two regional indicators are a flag, three are not.
            (&['🇩'], '🇪', true),
            (&['🇩', '🇪'], '🇫', false),
            // Jamo, and a syllable.
            (&['\u{1100}'], '\u{1161}', true),
            (&['가'], '나', false),
            // A spacing mark of Devanagari.
            (&['क'], '\u{93f}', true),
        ] {
            assert_eq!(joins(cluster_of(before), c), joined, "{before:?} {c:?}");
        }
    }

    #[test]
    fn selectors_and_flags_are_wide() {
        for (characters, wide) in [
            (&['❤'][..], false),
            (&['❤', '\u{fe0f}'], true),
            (&['🇩', '🇪'], true),
            (&['e', '\u{301}'], false),
            (&['👩', '\u{200d}', '👧'], true),
        ] {
            assert_eq!(is_wide(cluster_of(characters)), wide, "{characters:?}");
        }
    }
}
