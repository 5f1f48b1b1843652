//! The clipboard: as Latin-1 (RFC 6143 §7.5.6, §7.6.4), or in UTF-8 with viewers that speak ExtendedClipboard (the
//! community's RFB specification). These are told that there is text, and ask for it; what they have is asked for at once.

use super::{ServerConnection, ServerError, ServerEvent};
use crate::rfb::message::{CUT_TEXT_BYTES, ClipboardCaps, ClipboardError, ClipboardMessage, ServerMessage};
use crate::rfb::wire::to_latin1;

/// What is known of both clipboards.
#[derive(Debug, Default)]
pub(super) struct Clipboard {
    /// The viewer has been told that this server speaks ExtendedClipboard.
    told: bool,
    /// What the viewer takes, once it has said so.
    caps: Option<ClipboardCaps>,
    /// The server's text, while the viewer may ask for it; at most [`CUT_TEXT_BYTES`].
    text: Option<String>,
    /// A message that waits until the output has room: of several only the last is sent.
    due: Option<Due>,
}

#[derive(Debug)]
enum Due {
    Latin1(Vec<u8>),
    Extended(ClipboardMessage),
}

impl Clipboard {
    /// The server's clipboard has this text now.
    pub(super) fn set(&mut self, text: &str) {
        let text = &text[..text.floor_char_boundary(CUT_TEXT_BYTES)];
        self.due = Some(match self.caps {
            Some(caps) if caps.text.is_some() && caps.takes(ClipboardCaps::NOTIFY) => {
                self.text = Some(text.to_owned());
                Due::Extended(ClipboardMessage::Notify { text: true })
            }
            Some(caps) if caps.takes(ClipboardCaps::PROVIDE) && fits(caps, text) => {
                Due::Extended(ClipboardMessage::Provide(Some(text.to_owned())))
            }
            _ => Due::Latin1(to_latin1(text)),
        });
    }

    /// Appends what waits.
    pub(super) fn flush(&mut self, out: &mut Vec<u8>) {
        match self.due.take() {
            Some(Due::Latin1(text)) => ServerMessage::CutText(text.into()).encode(out),
            Some(Due::Extended(message)) => extended(&message).encode(out),
            None => {}
        }
    }
}

impl ServerConnection {
    /// A viewer may use ExtendedClipboard once it has seen what the server takes.
    pub(super) fn offer_clipboard(&mut self) -> Result<(), ServerError> {
        if std::mem::replace(&mut self.clipboard.told, true) {
            return Ok(());
        }
        self.say(&extended(&ClipboardMessage::Caps(ClipboardCaps::OURS)))
    }

    /// Takes an ExtendedClipboard message's body.
    pub(super) fn handle_clipboard(&mut self, body: &[u8]) -> Result<(), ServerError> {
        if !self.clipboard.told {
            // It was not offered: the viewer will do without an answer.
            return Ok(());
        }
        let message = match ClipboardMessage::decode(body) {
            // It is not wrong to have much text.
            Err(ClipboardError::TextTooLong { .. }) => return Ok(()),
            other => other?,
        };
        match message {
            ClipboardMessage::Caps(caps) => {
                self.clipboard.caps = Some(caps);
                Ok(())
            }
            ClipboardMessage::Request { text } => match self.clipboard.text.clone().filter(|_| text) {
                Some(text) => self.say(&extended(&ClipboardMessage::Provide(Some(text)))),
                None => Ok(()),
            },
            ClipboardMessage::Peek => {
                let text = self.clipboard.text.is_some();
                self.say(&extended(&ClipboardMessage::Notify { text }))
            }
            // Theirs replaces ours.
            ClipboardMessage::Notify { text } => {
                self.clipboard.text = None;
                let asks = text && self.clipboard.caps.is_none_or(|caps| caps.takes(ClipboardCaps::REQUEST));
                if asks { self.say(&extended(&ClipboardMessage::Request { text })) } else { Ok(()) }
            }
            ClipboardMessage::Provide(text) => {
                self.events.extend(text.map(ServerEvent::CutText));
                Ok(())
            }
        }
    }
}

fn extended(message: &ClipboardMessage) -> ServerMessage<'static> {
    let mut body = Vec::new();
    message.encode(&mut body);
    ServerMessage::ExtendedClipboard(body.into())
}

/// True when the viewer takes so much text without having asked.
fn fits(caps: ClipboardCaps, text: &str) -> bool {
    // On the wire a line end has two bytes, and a 0 stands behind the text.
    let bytes = text.len() + text.matches('\n').count() + 1;
    caps.text.is_some_and(|limit| u32::try_from(bytes).is_ok_and(|bytes| bytes <= limit))
}
