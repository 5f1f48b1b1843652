//! What a server sends after the handshake, its updates' rectangles excepted.

use super::{ClientConnection, ClientError, ClientEvent};
use crate::rfb::message::{ClientMessage, ServerMessage};
use crate::rfb::wire::{Reader, Stop, from_latin1};

impl ClientConnection {
    pub(super) fn consume_message(&mut self, reader: &mut Reader<'_>) -> Result<(), Stop<ClientError>> {
        let mut attempt = *reader;
        let message = ServerMessage::decode(&mut attempt).map_err(|stop| stop.map(Into::into))?;
        *reader = attempt;
        self.handle_message(message).map_err(Stop::Failed)
    }

    fn handle_message(&mut self, message: ServerMessage<'_>) -> Result<(), ClientError> {
        match message {
            ServerMessage::Update { rects } => {
                if self.updates.begin(rects) {
                    self.events.push(ClientEvent::UpdateDone);
                }
            }
            ServerMessage::Bell => self.events.push(ClientEvent::Bell),
            ServerMessage::CutText(text) => {
                let text = from_latin1(&text).replace("\r\n", "\n");
                self.events.push(ClientEvent::CutText(text));
            }
            ServerMessage::ExtendedClipboard(body) => self.handle_clipboard(&body)?,
            ServerMessage::CutTextToSkip { bytes } => self.skip = bytes,
            ServerMessage::Fence(fence) => {
                self.abilities.fences = true;
                if fence.is_request() {
                    // Everything before it has been handled, and nothing behind it.
                    self.answer(&ClientMessage::Fence(fence.answer()))?;
                } else if self.abilities.take_answer(&fence) {
                    self.events.push(ClientEvent::Synced);
                }
            }
            // Pixels come in true colour; updates come on request; the machine behind is not ours to switch off.
            ServerMessage::ColourMap { .. }
            | ServerMessage::EndOfContinuousUpdates
            | ServerMessage::Xvp(_) => {}
        }
        Ok(())
    }
}
