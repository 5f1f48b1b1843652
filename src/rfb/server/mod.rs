//! The server side of an RFB connection: one viewer's state machine.

use std::collections::VecDeque;

use super::security::Security;
use super::tile::{Colour, TileSource};
use crate::geometry::{Point, Rect, Region, Size};
use crate::keysym::Keysym;

/// What a server tells a new viewer.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// The desktop's name; shown in a viewer's title.
    pub name: String,
    /// The size of the first framebuffer.
    pub size: Size,
    /// What a viewer must prove.
    pub security: Security,
    /// Unpredictable bytes for [`Security::VncAuth`], fresh for every connection.
    pub challenge: [u8; 16],
}

/// Something that a viewer did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerEvent {
    /// The handshake is complete.
    Ready {
        /// False when the viewer asked to be alone.
        shared: bool,
    },
    /// The viewer asked for an update; see [`ServerConnection::update`].
    UpdateRequested {
        /// True when the viewer has the area and wants only changes.
        incremental: bool,
        /// What it asked about, clipped to its framebuffer.
        area: Rect,
    },
    /// A key went down, up, or repeats (another down).
    Key {
        /// What the viewer's layout made of it; 0 when the viewer had no name for it.
        keysym: Keysym,
        /// True when down.
        pressed: bool,
        /// The XT scan code (set 1; an `E0` prefix is bit 7) from viewers with QEMU's extended key events.
        keycode: Option<u32>,
    },
    /// The pointer moved or a button changed.
    Pointer {
        /// Bit n is button n+1: left, middle, right, wheel up, down, left, right; further ones as the viewer has.
        buttons: u16,
        /// Pixels from the left edge, below the framebuffer's width.
        x: u16,
        /// Pixels from the upper edge, below the framebuffer's height.
        y: u16,
    },
    /// The viewer's clipboard has this text now; line ends are `\n`.
    CutText(String),
    /// The viewer would like a framebuffer of this size. The driver answers by [`ServerConnection::resize`] or
    /// [`ServerConnection::refuse_resize`].
    SetDesktopSize {
        /// The size asked for, not empty.
        size: Size,
    },
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The peer's first line is not an RFB version.
    #[error("the peer sent {got:?} where an RFB version was expected")]
    NotRfb {
        /// What came.
        got: [u8; 12],
    },
}

/// What has changed on a screen since the driver's last call of [`ServerConnection::update`] that took its damage.
#[derive(Debug, Clone, Copy)]
pub struct Damage<'a> {
    /// Pixels that moved: destination and the source's upper left corner. Applied before `region`.
    pub copy: Option<(Rect, Point)>,
    /// What must be painted.
    pub region: &'a Region,
}

/// What [`ServerConnection::update`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateOutcome {
    /// Nothing: no request is outstanding, or there is nothing to say. The damage was not taken: give it again.
    Nothing,
    /// The damage was taken and one update is complete in the output.
    Complete,
    /// The damage was taken and the update has begun, but its output is large: drain the output, then call again
    /// (with what was damaged in between).
    Partial,
}

/// A cursor that the viewer draws.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CursorImage {
    /// Its size.
    pub size: Size,
    /// The pixel of it that is at the pointer's position.
    pub hotspot: Point,
    /// `size.area()` colours, row by row.
    pub pixels: Vec<Colour>,
    /// One bit a pixel, 1 where it is opaque, rows padded to bytes, most significant bit first.
    pub mask: Vec<u8>,
}

/// Why a viewer's wish for another size is not fulfilled (ExtendedDesktopSize status codes).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResizeRefusal {
    /// 1: this server does not do that for this viewer.
    Prohibited,
    /// 2: too large for the server's memory.
    OutOfResources,
    /// 3: the layout is not possible.
    InvalidLayout,
}

/// One viewer, seen from the server.
pub struct ServerConnection {
    events: VecDeque<ServerEvent>,
    output: Vec<u8>,
    requested: Region,
    size: Size,
}

impl ServerConnection {
    /// A new connection; its output begins with the server's version.
    #[must_use]
    pub fn new(options: ServerOptions) -> Self {
        Self {
            events: VecDeque::new(),
            output: b"RFB 003.008\n".to_vec(),
            requested: Region::new(),
            size: options.size,
        }
    }

    /// Takes bytes from the viewer. On an error, send what the output holds (it may say why), then close.
    ///
    /// # Errors
    /// When the viewer broke the protocol or failed to authenticate; the connection is dead then.
    pub fn handle_input(&mut self, _bytes: &[u8]) -> Result<(), ServerError> {
        Ok(())
    }

    /// The next thing that the viewer did.
    pub fn poll_event(&mut self) -> Option<ServerEvent> {
        self.events.pop_front()
    }

    /// Bytes for the viewer; the driver drains it.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// True once the viewer has sent ClientInit.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        false
    }

    /// True while a request of the viewer is outstanding, or an update has been begun.
    #[must_use]
    pub fn wants_update(&self) -> bool {
        false
    }

    /// What the viewer asked for regardless of damage and has not been sent.
    #[must_use]
    pub fn requested(&self) -> &Region {
        &self.requested
    }

    /// The size of the framebuffer that the viewer believes in.
    #[must_use]
    pub fn framebuffer_size(&self) -> Size {
        self.size
    }

    /// The screen has this size now. The viewer is told with the next update if it can take that; otherwise it
    /// keeps its framebuffer, black where the screen has no pixels.
    pub fn resize(&mut self, _size: Size) {}

    /// The answer "no" to [`ServerEvent::SetDesktopSize`].
    pub fn refuse_resize(&mut self, _refusal: ResizeRefusal) {}

    /// The desktop has this name now.
    pub fn rename(&mut self, _name: &str) {}

    /// Rings the viewer's bell.
    pub fn bell(&mut self) {}

    /// The server's clipboard has this text now.
    pub fn cut_text(&mut self, _text: &str) {}

    /// The cursor that the viewer shall draw; `None` for none.
    pub fn set_cursor(&mut self, _cursor: Option<CursorImage>) {}

    /// Encodes one update, if one is wanted and there is anything to say.
    pub fn update(&mut self, _source: &dyn TileSource, _damage: Damage<'_>) -> UpdateOutcome {
        UpdateOutcome::Nothing
    }
}
