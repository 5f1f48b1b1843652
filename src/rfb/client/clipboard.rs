//! The clipboard: as Latin-1 (RFC 6143 §7.5.6, §7.6.4), or in UTF-8 with servers that speak ExtendedClipboard. These are
//! told that there is text, and ask for it; what they have is asked for at once.

use super::{ClientConnection, ClientError, ClientEvent};
use crate::rfb::message::{CUT_TEXT_BYTES, ClientMessage, ClipboardCaps, ClipboardError, ClipboardMessage};
use crate::rfb::wire::to_latin1;

/// What is known of both clipboards.
#[derive(Debug, Default)]
pub(super) struct Clipboard {
    /// What the server takes, if it speaks ExtendedClipboard.
    caps: Option<ClipboardCaps>,
    /// Our text as a message's body, while the server may ask for it. It is compressed once, however often it is asked
    /// for.
    offered: Option<Vec<u8>>,
}

impl ClientConnection {
    /// Our clipboard has this text now. It is cut at [`CUT_TEXT_BYTES`]; what Latin-1 lacks becomes `?` for servers
    /// that know nothing else.
    pub fn cut_text(&mut self, text: &str) {
        if !self.is_ready() {
            return;
        }
        let text = &text[..text.floor_char_boundary(CUT_TEXT_BYTES)];
        match self.clipboard.caps {
            Some(caps) if caps.text.is_some() && caps.takes(ClipboardCaps::NOTIFY) => {
                self.clipboard.offered = Some(body(&ClipboardMessage::Provide(Some(text.to_owned()))));
                self.send_clipboard(&ClipboardMessage::Notify { text: true });
            }
            // A server that cannot be notified is libvncserver's. It takes these texts in the name of programs that may know
            // only the others, and x11vnc is one.
            Some(caps) if caps.takes(ClipboardCaps::PROVIDE) && fits(caps, text) && !is_latin1(text) => {
                self.send_clipboard(&ClipboardMessage::Provide(Some(text.to_owned())));
            }
            _ => self.send(&ClientMessage::CutText(to_latin1(text).into())),
        }
    }

    /// Takes an ExtendedClipboard message's body.
    pub(super) fn handle_clipboard(&mut self, body: &[u8]) -> Result<(), ClientError> {
        let message = match ClipboardMessage::decode(body) {
            // It is not wrong to have much text.
            Err(ClipboardError::TextTooLong { .. }) => return Ok(()),
            other => other?,
        };
        match message {
            ClipboardMessage::Caps(caps) => {
                self.clipboard.caps = Some(caps);
                self.answer_clipboard(&ClipboardMessage::Caps(ClipboardCaps::OURS))
            }
            ClipboardMessage::Request { text } => match self.clipboard.offered.clone().filter(|_| text) {
                Some(body) => self.answer(&ClientMessage::ExtendedClipboard(body.into())),
                None => Ok(()),
            },
            ClipboardMessage::Peek => {
                let text = self.clipboard.offered.is_some();
                self.answer_clipboard(&ClipboardMessage::Notify { text })
            }
            // Theirs replaces ours.
            ClipboardMessage::Notify { text } => {
                self.clipboard.offered = None;
                let asks = text && self.clipboard.caps.is_none_or(|caps| caps.takes(ClipboardCaps::REQUEST));
                if asks { self.answer_clipboard(&ClipboardMessage::Request { text }) } else { Ok(()) }
            }
            ClipboardMessage::Provide(text) => {
                if let Some(text) = text {
                    self.events.push(ClientEvent::CutText(text));
                }
                Ok(())
            }
        }
    }

    fn answer_clipboard(&mut self, message: &ClipboardMessage) -> Result<(), ClientError> {
        self.answer(&ClientMessage::ExtendedClipboard(body(message).into()))
    }

    fn send_clipboard(&mut self, message: &ClipboardMessage) {
        self.send(&ClientMessage::ExtendedClipboard(body(message).into()));
    }
}

fn is_latin1(text: &str) -> bool {
    text.chars().all(|character| u32::from(character) < 0x100)
}

fn body(message: &ClipboardMessage) -> Vec<u8> {
    let mut body = Vec::new();
    message.encode(&mut body);
    body
}

/// True when the server takes so much text without having asked.
fn fits(caps: ClipboardCaps, text: &str) -> bool {
    // On the wire a line end has two bytes, and a 0 stands behind the text.
    let bytes = text.len() + text.matches('\n').count() + 1;
    caps.text.is_some_and(|limit| u32::try_from(bytes).is_ok_and(|bytes| bytes <= limit))
}
