//! What a client sends on its own account.

use super::ClientConnection;
use crate::geometry::Size;
use crate::keysym::Keysym;
use crate::rfb::message::{ClientMessage, Fence, Screen};

/// The marks that a client sets in the server's stream have this in front of their number, so that the answer to nothing
/// else is taken for one.
const SYNC: [u8; 4] = *b"sync";

/// What a server has shown that it can do.
#[derive(Debug, Default)]
pub(super) struct Abilities {
    /// It reads QEMU's extended key events.
    pub(super) extended_key: bool,
    /// It has sent a fence.
    pub(super) fences: bool,
    /// Its screens, once it has told them: it reads SetDesktopSize then.
    pub(super) screens: Option<Vec<Screen>>,
    /// The number of the last sync, and of the last that was answered.
    synced: (u64, u64),
}

impl Abilities {
    /// Takes the answer to a fence; true when it is the one to the last sync.
    pub(super) fn take_answer(&mut self, fence: &Fence) -> bool {
        let (sent, answered) = &mut self.synced;
        let number = fence.payload.strip_prefix(&SYNC).and_then(|number| number.try_into().ok());
        let last = number.map(u64::from_be_bytes) == Some(*sent) && sent != answered;
        if last {
            *answered = *sent;
        }
        last
    }
}

impl ClientConnection {
    /// Asks for an update of the whole framebuffer: for what has changed, or for everything, which the first request and
    /// the first one behind a new size do anyway. While a request is outstanding, another one is sent only if it asks for
    /// everything and the other one did not; the server may answer each or both at once.
    pub fn request_update(&mut self, incremental: bool) {
        if self.is_ready()
            && let Some(incremental) = self.updates.ask(incremental)
        {
            let area = self.canvas.size().rect();
            self.send(&ClientMessage::UpdateRequest { incremental, area });
        }
    }

    /// True while a request is outstanding.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.is_ready() && self.updates.is_waiting()
    }

    /// A key went down or up. `keycode`, its XT scan code (set 1, an `E0` prefix as bit 7), goes to servers that
    /// understand it; others are not told of a key without a keysym (0).
    pub fn key(&mut self, keysym: Keysym, keycode: Option<u32>, pressed: bool) {
        match keycode {
            _ if !self.is_ready() => {}
            Some(keycode) if self.abilities.extended_key => {
                self.send(&ClientMessage::ExtendedKey { pressed, keysym, keycode });
            }
            _ if keysym.0 != 0 => self.send(&ClientMessage::Key { pressed, keysym }),
            _ => {}
        }
    }

    /// Forgets what the canvas shows: the next request asks for everything.
    pub fn forget_canvas(&mut self) {
        self.updates.ask_for_all();
    }

    /// The pointer's state. Bit n of `buttons` is button n+1; servers without extended mouse buttons are told of the
    /// first seven. `x` and `y` are pixels of the framebuffer; what is outside counts as its edge.
    pub fn pointer(&mut self, buttons: u16, x: u16, y: u16) {
        if self.is_ready() {
            let size = self.canvas.size();
            let (x, y) = (x.min(size.width.saturating_sub(1)), y.min(size.height.saturating_sub(1)));
            self.send(&ClientMessage::Pointer { buttons, x, y });
        }
    }

    /// Asks the server for a framebuffer of `size`. The answer is
    /// [`ClientEvent::ResizeAnswered`](super::ClientEvent::ResizeAnswered). False when the server cannot do that, or has
    /// not said yet that it can.
    pub fn set_desktop_size(&mut self, size: Size) -> bool {
        let Some(screens) = self.abilities.screens.as_ref().filter(|_| self.is_ready()) else { return false };
        // The first screen goes on, alone.
        let first = screens.first().copied();
        let screen =
            Screen { area: size.rect(), ..first.unwrap_or(Screen { id: 0, area: size.rect(), flags: 0 }) };
        self.send(&ClientMessage::SetDesktopSize { size, screens: vec![screen] });
        true
    }

    /// True when the server has said that its size can be set.
    #[must_use]
    pub fn supports_resize(&self) -> bool {
        self.abilities.screens.is_some()
    }

    /// Asks the server for a sign in its stream behind all that it has sent so far, which becomes
    /// [`ClientEvent::Synced`](super::ClientEvent::Synced). Of several at once only the last is answered. False when the
    /// server cannot do that, or has not said yet that it can.
    pub fn sync(&mut self) -> bool {
        if !self.is_ready() || !self.abilities.fences {
            return false;
        }
        let number = &mut self.abilities.synced.0;
        *number += 1;
        let payload = [&SYNC[..], &number.to_be_bytes()].concat();
        self.send(&ClientMessage::Fence(Fence { flags: Fence::REQUEST | Fence::BLOCK_BEFORE, payload }));
        true
    }
}
