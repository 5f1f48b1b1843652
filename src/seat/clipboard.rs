//! What a viewer has cut, until it pastes it. Each viewer has its own: what one copies is not shown to another.

/// The longest text that is kept, in bytes: what a console takes as one paste. A longer one is cut.
pub const CLIPBOARD_BYTES: usize = super::paste::PASTE_BYTES;

/// One viewer's clipboard.
#[derive(Debug, Default)]
pub(super) struct Clipboard {
    text: String,
    /// No display in the guest was told of it.
    is_news: bool,
}

impl Clipboard {
    /// Keeps `text` that the viewer has cut, cut at [`CLIPBOARD_BYTES`].
    pub(super) fn set(&mut self, mut text: String) {
        text.truncate(text.floor_char_boundary(CLIPBOARD_BYTES));
        text.shrink_to_fit();
        self.text = text;
        self.is_news = true;
    }

    /// Keeps `text` that was cut in the guest.
    pub(super) fn set_from_guest(&mut self, text: &str) {
        self.set(text.to_owned());
        self.is_news = false;
    }

    /// What the viewer has cut, if no display was told of it; now one is.
    pub(super) fn take_news(&mut self) -> Option<&str> {
        std::mem::take(&mut self.is_news).then_some(&*self.text)
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

    #[test]
    fn a_display_is_told_once_and_never_of_what_came_from_the_guest() {
        let mut clipboard = Clipboard::default();
        assert_eq!(clipboard.take_news(), None);
        clipboard.set("mine".to_owned());
        assert_eq!(clipboard.take_news(), Some("mine"));
        assert_eq!(clipboard.take_news(), None);
        clipboard.set_from_guest("theirs");
        assert_eq!(clipboard.take_news(), None);
        assert_eq!(clipboard.text(), "theirs");
    }
}
