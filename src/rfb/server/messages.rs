//! What a viewer sends after the handshake.

use super::event::ResizeRefusal;
use super::{ServerConnection, ServerEvent};
use crate::geometry::{Rect, Size};
use crate::keysym::Keysym;
use crate::rfb::message::{ClientMessage, Screen};
use crate::rfb::wire::from_latin1;

impl ServerConnection {
    pub(super) fn handle_message(&mut self, message: ClientMessage<'_>) {
        match message {
            ClientMessage::SetPixelFormat(format) => self.updates.set_format(format),
            ClientMessage::SetEncodings(encodings) => self.updates.set_encodings(&encodings),
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
            ClientMessage::CutTextToSkip { bytes } => self.skip = bytes,
            ClientMessage::SetDesktopSize { size, screens } => self.set_desktop_size(size, &screens),
        }
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
