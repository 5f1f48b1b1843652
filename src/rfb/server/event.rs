//! What a server's connection tells its driver, and what the driver tells it.

use crate::geometry::{Point, Rect, Region, Size};
use crate::keysym::Keysym;
use crate::rfb::message::handshake::HandshakeError;
use crate::rfb::message::vencrypt::Subtype;
use crate::rfb::message::{ClientMessageError, ClipboardError};
use crate::rfb::security::tls::TlsError;
use crate::rfb::security::{Credentials, Security, SecurityType};

/// What a server tells a new viewer.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// The desktop's name; shown in a viewer's title. What exceeds
    /// [`NAME_BYTES`](crate::rfb::message::handshake::NAME_BYTES) is cut.
    pub name: String,
    /// The size of the first framebuffer.
    pub size: Size,
    /// What a viewer must prove.
    pub security: Security,
    /// Unpredictable bytes for VNC authentication, fresh for every connection.
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
    /// The viewer asked for an update; see [`ServerConnection::update`](super::ServerConnection::update).
    UpdateRequested {
        /// True when the viewer has the area and wants only changes.
        incremental: bool,
        /// What it asked about, clipped to its framebuffer; may be empty.
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
        /// Bit n is button n+1: left, middle, right, wheel up, down, left, right, back, forward.
        buttons: u16,
        /// Pixels from the left edge, below the framebuffer's width.
        x: u16,
        /// Pixels from the upper edge, below the framebuffer's height.
        y: u16,
    },
    /// The viewer has given a name and a password (VeNCrypt X509Plain). The driver answers by
    /// [`ServerConnection::decide_login`](super::ServerConnection::decide_login), now or later; until then the viewer
    /// waits, and must not say anything.
    Login(Credentials),
    /// The viewer's clipboard has this text now; line ends are `\n`.
    CutText(String),
    /// The viewer asks for something to be done with the machine (xvp); only after
    /// [`ServerConnection::enable_xvp`](super::ServerConnection::enable_xvp). What cannot be done is answered by
    /// [`ServerConnection::refuse_power`](super::ServerConnection::refuse_power).
    Power(PowerRequest),
    /// The viewer would like a framebuffer of this size. The driver answers by
    /// [`ServerConnection::resize`](super::ServerConnection::resize) or
    /// [`ServerConnection::refuse_resize`](super::ServerConnection::refuse_resize).
    SetDesktopSize {
        /// The size asked for, not empty.
        size: Size,
    },
}

/// What a viewer can ask of a machine (xvp).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PowerRequest {
    /// Shut down in good order.
    Shutdown,
    /// Shut down in good order, and start again.
    Reboot,
    /// Start again at once.
    Reset,
}

/// Why a connection ended. Each is the viewer's doing except [`Ended`](Self::Ended).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    /// The viewer broke the handshake.
    #[error("viewer broke the handshake: {0}")]
    Handshake(#[from] HandshakeError),
    /// The viewer chose a security type that it was not offered.
    #[error("viewer chose security type {}, offered was {:?}", chosen.0, .offered.iter().map(|kind| kind.0).collect::<Vec<_>>())]
    SecurityNotOffered {
        /// What it chose.
        chosen: SecurityType,
        /// What it was offered.
        offered: Vec<SecurityType>,
    },
    /// The viewer chose a subtype of VeNCrypt that it was not offered.
    #[error("viewer chose VeNCrypt subtype {}, offered was {:?}", chosen.0, .offered.iter().map(|kind| kind.0).collect::<Vec<_>>())]
    SubtypeNotOffered {
        /// What it chose.
        chosen: Subtype,
        /// What it was offered.
        offered: Vec<Subtype>,
    },
    /// The viewer chose an authentication of the Tight security type that it was not offered.
    #[error("viewer chose Tight authentication {chosen}, offered was {offered:?}")]
    TightNotOffered {
        /// The code that it chose.
        chosen: i32,
        /// The codes that it was offered.
        offered: Vec<i32>,
    },
    /// The viewer speaks version 3.3, in which the server decrees the security type, and can do none that is allowed.
    #[error("viewer speaks RFB 3.3, which has none of the security types that are allowed")]
    TooOldForSecurity,
    /// The viewer broke the TLS of a VeNCrypt subtype.
    #[error("viewer broke VeNCrypt: {0}")]
    Tls(#[from] TlsError),
    /// The viewer does not know the password.
    #[error("viewer gave a wrong password")]
    WrongPassword,
    /// The driver did not accept the viewer's name and password.
    #[error("viewer gave a wrong name or password")]
    WrongLogin,
    /// The viewer went on before it was told whether it may.
    #[error("viewer sent {bytes} bytes before its login was decided")]
    EarlyBytes {
        /// How many, at least.
        bytes: usize,
    },
    /// The viewer closed the connection where it had to say more.
    #[error("viewer closed the connection {0}")]
    ClosedEarly(Place),
    /// The viewer sent a message that does not exist.
    #[error("viewer broke the protocol: {0}")]
    Message(#[from] ClientMessageError),
    /// The viewer's clipboard message is broken.
    #[error("viewer broke the protocol: {0}")]
    Clipboard(#[from] ClipboardError),
    /// The viewer sends what must be answered and does not read the answers.
    #[error("viewer leaves {0} bytes unread and asks for more")]
    UnreadAnswers(usize),
    /// The driver went on after an error.
    #[error("the connection has ended with an earlier error")]
    Ended,
}

/// Where in the handshake a viewer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Place {
    /// Nothing was heard of it.
    #[error("before its version")]
    Version,
    /// It has to choose what to prove.
    #[error("before its choice of a security type")]
    Choice,
    /// VeNCrypt's TLS is being set up.
    #[error("in the TLS handshake")]
    Tls,
    /// It has to prove something.
    #[error("before it has authenticated itself")]
    Proof,
    /// It may come in, and has to say so.
    #[error("before its ClientInit")]
    ClientInit,
}

/// What has changed on a screen since the last [`ServerConnection::update`](super::ServerConnection::update) that
/// took its damage.
#[derive(Debug, Clone, Copy)]
pub struct Damage<'a> {
    /// Pixels that moved: destination, and the upper left corner of where they were. Applied one after the other and before
    /// `region`, which is what is wrong after the last of them. At most [`COPIES`](super::COPIES) are sent as copies.
    pub copies: &'a [(Rect, Point)],
    /// What must be painted.
    pub region: &'a Region,
}

/// What [`ServerConnection::update`](super::ServerConnection::update) did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateOutcome {
    /// Nothing: no request is outstanding, or there is nothing to say. The damage was not taken: give it again.
    Nothing,
    /// The damage was taken, and one update is complete in the output.
    Complete,
    /// The damage was taken, and the update has begun, but its output is large: drain the output, then call again
    /// (with what was damaged in between).
    Partial,
}

/// Why a viewer's wish for another size is not fulfilled (ExtendedDesktopSize).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResizeRefusal {
    /// Status 1: this server does not do that for this viewer.
    Prohibited,
    /// Status 2: too large for the server's memory.
    OutOfResources,
    /// Status 3: the layout is not possible.
    InvalidLayout,
}

impl ResizeRefusal {
    /// The status code on the wire.
    pub(super) fn status(self) -> u16 {
        match self {
            Self::Prohibited => 1,
            Self::OutOfResources => 2,
            Self::InvalidLayout => 3,
        }
    }
}
