//! How many columns a character takes.

use unicode_width::UnicodeWidthChar;

/// The columns that `c`, 0xa0 or above or ASCII, takes: 1 or 2; 0 for one that combines with the character before;
/// `None` for one that shows nothing and combines with nothing.
#[inline]
pub(super) fn width(c: char) -> Option<u8> {
    match u32::from(c) {
        ..0x300 => Some(1),
        // Marks that only steer: zero-width space, directions, word joiners, byte order mark, tags.
        0x200b | 0x200e | 0x200f | 0x202a..=0x202e | 0x2060..=0x206f | 0xfeff | 0xe0000..=0xe007f => None,
        // The most frequent ones without a look into the table: Greek and Cyrillic; box drawing, blocks and shapes;
        // kana, Chinese characters and Korean syllables.
        0x370..=0x482 | 0x2500..=0x25fc => Some(1),
        0x3041..=0x3096 | 0x30a1..=0x30fa | 0x4e00..=0x9fff | 0xac00..=0xd7a3 => Some(2),
        _ => match c.width() {
            Some(0) => Some(0),
            Some(2) => Some(2),
            _ => Some(1),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths() {
        for (c, columns) in [
            ('a', Some(1)),
            ('\u{ad}', Some(1)),
            ('\u{301}', Some(0)),
            ('漢', Some(2)),
            ('🙂', Some(2)),
            ('│', Some(1)),
            ('\u{200d}', Some(0)),
            ('\u{fe0f}', Some(0)),
            ('\u{200b}', None),
            ('\u{e000}', Some(1)),
            ('\u{fffd}', Some(1)),
        ] {
            assert_eq!(width(c), columns, "{c:?}");
        }
    }

    #[test]
    fn shortcuts_agree_with_the_table() {
        for c in ('\u{300}'..='\u{10ffff}').filter(|c| width(*c).is_some()) {
            let columns = c.width().filter(|columns| matches!(columns, 0 | 2)).unwrap_or(1);
            assert_eq!(width(c).map(usize::from), Some(columns), "{c:?}");
        }
    }
}
