//! What a viewer sends after the handshake.

use super::event::{PowerRequest, ResizeRefusal};
use super::{ServerConnection, ServerError, ServerEvent};
use crate::geometry::{Rect, Size};
use crate::keysym::Keysym;
use crate::rfb::encoding::Encoding;
use crate::rfb::message::{ClientMessage, Fence, Screen, ServerMessage, Xvp};
use crate::rfb::wire::from_latin1;

/// A viewer that leaves this many bytes unread and goes on to send what must be answered is not one. The output for
/// pictures, names and cut text stays below.
const UNREAD_BYTES: usize = 4 << 20;

impl ServerConnection {
    pub(super) fn handle_message(&mut self, message: ClientMessage<'_>) -> Result<(), ServerError> {
        match message {
            ClientMessage::SetPixelFormat(format) => self.updates.set_format(format),
            ClientMessage::SetEncodings(encodings) => self.set_encodings(&encodings)?,
            ClientMessage::UpdateRequest { incremental, area } => {
                let area = self.updates.ask(incremental, area);
                let event = ServerEvent::UpdateRequested { incremental, area };
                // A viewer that asks the same twice gets one answer.
                if self.events.back() != Some(&event) {
                    self.events.push_back(event);
                }
            }
            ClientMessage::Key { pressed, keysym } => {
                self.events.push_back(ServerEvent::Key { keysym, pressed, keycode: None });
            }
            ClientMessage::ExtendedKey { pressed, keysym, keycode } => {
                self.extended_key(pressed, keysym, keycode)
            }
            ClientMessage::Pointer { buttons, x, y } => {
                let size = self.updates.viewer_size();
                self.events.push_back(ServerEvent::Pointer {
                    buttons,
                    x: x.min(size.width.saturating_sub(1)),
                    y: y.min(size.height.saturating_sub(1)),
                });
            }
            ClientMessage::CutText(text) => {
                let text = from_latin1(&text).replace("\r\n", "\n");
                self.events.push_back(ServerEvent::CutText(text));
            }
            ClientMessage::ExtendedClipboard(body) => self.handle_clipboard(&body)?,
            ClientMessage::Xvp(xvp) => self.handle_xvp(xvp),
            ClientMessage::CutTextToSkip { bytes } => self.skip = bytes,
            ClientMessage::SetDesktopSize { size, screens } => self.set_desktop_size(size, &screens),
            ClientMessage::EnableContinuousUpdates { enable, area } => {
                self.updates.set_continuous(enable.then_some(area));
                if !enable {
                    self.say(&ServerMessage::EndOfContinuousUpdates)?;
                }
            }
            // Messages take effect one after the other, and the output is in that order too: whatever the flags ask
            // for is so already, if only the answer does not stand inside an update.
            ClientMessage::Fence(fence) if fence.is_request() => {
                self.say(&ServerMessage::Fence(fence.answer()))?;
            }
            ClientMessage::Fence(_) => {}
        }
        Ok(())
    }

    /// A viewer may use fences and continuous updates once it has seen the server do so.
    fn set_encodings(&mut self, encodings: &[Encoding]) -> Result<(), ServerError> {
        self.updates.set_encodings(encodings);
        if self.updates.wishes().fence && !std::mem::replace(&mut self.fence_told, true) {
            self.say(&ServerMessage::Fence(Fence { flags: Fence::REQUEST, payload: Vec::new() }))?;
        }
        if self.updates.wishes().continuous_updates && !std::mem::replace(&mut self.continuous_told, true) {
            self.say(&ServerMessage::EndOfContinuousUpdates)?;
        }
        if self.updates.wishes().extended_clipboard {
            self.offer_clipboard()?;
        }
        if self.updates.wishes().xvp && self.xvp_enabled && !std::mem::replace(&mut self.xvp_told, true) {
            self.say(&ServerMessage::Xvp(Xvp { version: Xvp::VERSION, code: Xvp::INIT }))?;
        }
        Ok(())
    }

    /// What was not offered, and what is not known, is not done.
    fn handle_xvp(&mut self, xvp: Xvp) {
        let request = match xvp.code {
            Xvp::SHUTDOWN => PowerRequest::Shutdown,
            Xvp::REBOOT => PowerRequest::Reboot,
            Xvp::RESET => PowerRequest::Reset,
            _ => return self.refuse_power(),
        };
        if self.xvp_told && xvp.version == Xvp::VERSION {
            self.events.push_back(ServerEvent::Power(request));
        } else {
            self.refuse_power();
        }
    }

    /// Writes a message, behind the update that is under way.
    pub(super) fn say(&mut self, message: &ServerMessage<'_>) -> Result<(), ServerError> {
        let unread = self.unsent() + self.deferred.len();
        if unread >= UNREAD_BYTES {
            return Err(ServerError::UnreadAnswers(unread));
        }
        let partial = self.updates.is_partial();
        message.encode(if partial { &mut self.deferred } else { &mut self.output });
        Ok(())
    }

    fn extended_key(&mut self, pressed: bool, keysym: Keysym, keycode: u32) {
        // 0 is the viewer's way to say that it does not know the position.
        let keycode = Some(keycode).filter(|code| *code != 0);
        self.events.push_back(ServerEvent::Key { keysym, pressed, keycode });
    }

    fn set_desktop_size(&mut self, size: Size, screens: &[Screen]) {
        self.resize_asked = true;
        let inside = |screen: &Screen| !screen.area.is_empty() && size.rect().contains(screen.area);
        if Rect::is_empty(size.rect()) || screens.is_empty() || !screens.iter().all(inside) {
            return self.refuse_resize(ResizeRefusal::InvalidLayout);
        }
        self.events.push_back(ServerEvent::SetDesktopSize { size });
    }
}
