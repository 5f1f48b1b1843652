//! Text in slices that may end anywhere: runs of ASCII, and UTF-8 one character at a time.

/// What the first bytes of a slice are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decoded {
    /// A character of this many bytes.
    Char(char, usize),
    /// This many bytes that can never become a character: shown as one U+FFFD, as the Unicode standard recommends
    /// (section 3.9, "substitution of maximal subparts").
    Invalid(usize),
    /// The beginning of a character.
    Incomplete,
}

/// Decodes the start of `bytes`, which must not be empty.
// Inlined into the loops over text, which are twice as slow with a call for each character.
#[inline(always)]
pub(super) fn decode(bytes: &[u8]) -> Decoded {
    let first = bytes.first().copied().unwrap_or(0);
    // Length, bits of the first byte, and the range of the second byte, which excludes overlong forms, surrogates
    // and what is above U+10FFFF.
    let (length, bits, low, high) = match first {
        0..=0x7f => return Decoded::Char(char::from(first), 1),
        0xc2..=0xdf => (2, first & 0x1f, 0x80, 0xbf),
        0xe0 => (3, 0, 0xa0, 0xbf),
        0xe1..=0xec | 0xee | 0xef => (3, first & 0x0f, 0x80, 0xbf),
        0xed => (3, 0x0d, 0x80, 0x9f),
        0xf0 => (4, 0, 0x90, 0xbf),
        0xf1..=0xf3 => (4, first & 0x07, 0x80, 0xbf),
        0xf4 => (4, 4, 0x80, 0x8f),
        _ => return Decoded::Invalid(1),
    };
    let mut code = u32::from(bits);
    for at in 1..length {
        let Some(&byte) = bytes.get(at) else { return Decoded::Incomplete };
        let allowed = if at == 1 { low..=high } else { 0x80..=0xbf };
        if !allowed.contains(&byte) {
            return Decoded::Invalid(at);
        }
        code = code << 6 | u32::from(byte & 0x3f);
    }
    char::from_u32(code).map_or(Decoded::Invalid(length), |c| Decoded::Char(c, length))
}

/// How many bytes at the start of `bytes` are printable ASCII, 0x20 to 0x7e.
#[inline]
pub(super) fn printable_ascii(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = ONES * 0x80;
    let (words, tail) = bytes.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // The top bit of each byte that is below 0x20, is 0x7f, or is above. Borrows can only add false hits above
        // a true one, and the lowest hit is all that we want.
        let low = word.wrapping_sub(ONES * 0x20) & !word;
        let delete = word ^ (ONES * 0x7f);
        let delete = delete.wrapping_sub(ONES) & !delete;
        let hits = (low | delete | word) & TOPS;
        if hits != 0 {
            return at * 8 + hits.trailing_zeros() as usize / 8;
        }
    }
    words.len() * 8 + tail.iter().take_while(|b| matches!(b, 0x20..=0x7e)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lossy(mut bytes: &[u8]) -> String {
        let mut text = String::new();
        while !bytes.is_empty() {
            let used = match decode(bytes) {
                Decoded::Char(c, used) => {
                    text.push(c);
                    used
                }
                Decoded::Invalid(used) => {
                    text.push('\u{fffd}');
                    used
                }
                Decoded::Incomplete => {
                    text.push('\u{fffd}');
                    break;
                }
            };
            bytes = &bytes[used..];
        }
        text
    }

    proptest! {
        #[test]
        fn agrees_with_the_standard_library(bytes in prop::collection::vec(prop_oneof![
            any::<u8>(), 0x80..=0xbfu8, 0xe0..=0xf5u8,
        ], 0..40)) {
            prop_assert_eq!(lossy(&bytes), String::from_utf8_lossy(&bytes));
        }
    }

    #[test]
    fn agrees_with_the_standard_library_on_every_character() {
        for c in (0..=0x0010_ffff).filter_map(char::from_u32) {
            let mut buffer = [0; 4];
            let bytes = c.encode_utf8(&mut buffer).as_bytes();
            assert_eq!(decode(bytes), Decoded::Char(c, bytes.len()));
            for end in 1..bytes.len() {
                assert_eq!(decode(&bytes[..end]), Decoded::Incomplete);
            }
        }
    }

    #[test]
    fn runs_end_at_the_first_byte_that_is_not_printable() {
        for stop in (0..=255u8).filter(|b| !matches!(b, 0x20..=0x7e)) {
            for length in 0..20 {
                let mut bytes = vec![b'~'; length];
                bytes.extend([stop, b' ', 0x80, 0, 0x7f, b'a', b'b', b'c', b'd']);
                assert_eq!(printable_ascii(&bytes), length);
            }
        }
        assert_eq!(printable_ascii(b" ~ text of more than one word"), 29);
    }
}
