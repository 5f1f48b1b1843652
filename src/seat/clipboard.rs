//! What a viewer has cut, until it pastes it. Each viewer has its own: what one copies is not shown to another.

/// The longest text that is kept, in bytes: what a console takes as one paste. A longer one is cut.
pub const CLIPBOARD_BYTES: usize = super::paste::PASTE_BYTES;

/// One viewer's clipboard.
#[derive(Debug, Default)]
pub(super) struct Clipboard {
    text: String,
}

impl Clipboard {
    /// Keeps `text`, cut at [`CLIPBOARD_BYTES`].
    pub(super) fn set(&mut self, mut text: String) {
        text.truncate(text.floor_char_boundary(CLIPBOARD_BYTES));
        text.shrink_to_fit();
        self.text = text;
    }

    /// The text that was cut last.
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let mut clipboard = Clipboard::default();
        clipboard.set(format!("x{}", "€".repeat(CLIPBOARD_BYTES)));
        let kept = clipboard.text().len();
        assert!(kept <= CLIPBOARD_BYTES && kept > CLIPBOARD_BYTES - 3);
        clipboard.set("short".to_owned());
        assert_eq!(clipboard.text(), "short");
    }
}
