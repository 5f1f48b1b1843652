//! What a client's connection tells its driver, and what the driver tells it.

use crate::geometry::{Point, Rect, Size};
use crate::rfb::encoding::pseudo::{CursorImage, LedState, PseudoError};
use crate::rfb::encoding::{DecodeError, Encoding};
use crate::rfb::message::handshake::HandshakeError;
use crate::rfb::message::vencrypt::Subtype;
use crate::rfb::message::{ClipboardError, ServerMessageError};
use crate::rfb::security::tls::{ClientTls, TlsError};
use crate::rfb::security::{Credentials, Password, SecurityType};

/// The framebuffer's area that is allowed when nobody says otherwise, in pixels: 8192 by 4096, or 128 MiB.
pub const MAX_PIXELS: u32 = 32 << 20;

/// What a client wants of its server.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// False to have the server turn other clients away (RFC 6143 §7.3.1).
    pub shared: bool,
    /// What to prove when the server asks for VNC authentication.
    pub password: Option<Password>,
    /// What to prove when the server asks for a name and a password (VeNCrypt X509Plain).
    pub login: Option<Credentials>,
    /// How to use TLS (VeNCrypt), and how to know the server by it; `None` for no TLS. Unless it is required, it is used
    /// only with servers that let nobody in without.
    pub tls: Option<ClientTls>,
    /// The largest area of a framebuffer, in pixels; four bytes of memory each.
    pub max_pixels: u32,
    /// Encodings for pictures, the most wanted first; only these, and Raw, are taken. CopyRect is one of them.
    /// [`Encoding::TIGHT_WITHOUT_ZLIB`] among them lets the server leave Tight uncompressed. [`Encoding::JPEG`] loses
    /// something, whatever [`quality`](Self::quality) says.
    pub encodings: Vec<Encoding>,
    /// How sharp lossy encodings shall be, 0 to 9; `None` for no loss, and then no JPEG is taken.
    pub quality: Option<u8>,
    /// How hard to compress, 0 to 9; `None` leaves it to the server.
    pub compression: Option<u8>,
}

impl ClientOptions {
    /// For a server on the same machine: Raw, and CopyRect for what only moves. It costs both sides one copy of the
    /// pixels; every other encoding costs the server a search and us its undoing, to save bytes of which there are
    /// plenty. Nothing else is listed, because servers prefer to compress when they may.
    #[must_use]
    pub fn local() -> Self {
        Self::with_encodings(vec![Encoding::COPY_RECT, Encoding::RAW])
    }

    /// For a server behind a network: without loss, and compressed as well as the server can.
    #[must_use]
    pub fn network() -> Self {
        let encodings = vec![
            Encoding::COPY_RECT,
            Encoding::TIGHT,
            Encoding::ZRLE,
            Encoding::ZLIB,
            Encoding::HEXTILE,
            Encoding::TRLE,
            Encoding::CORRE,
            Encoding::RRE,
            Encoding::RAW,
        ];
        Self { compression: Some(2), ..Self::with_encodings(encodings) }
    }

    fn with_encodings(encodings: Vec<Encoding>) -> Self {
        Self {
            shared: true,
            password: None,
            login: None,
            tls: None,
            max_pixels: MAX_PIXELS,
            encodings,
            quality: None,
            compression: None,
        }
    }
}

impl Default for ClientOptions {
    /// [`local`](Self::local).
    fn default() -> Self {
        Self::local()
    }
}

/// Something that a server did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientEvent {
    /// The handshake is complete, and there is a black canvas.
    Ready {
        /// Its size in pixels, not empty.
        size: Size,
        /// The desktop's name, at most [`NAME_BYTES`](crate::rfb::message::handshake::NAME_BYTES).
        name: String,
    },
    /// The canvas has another size now. What is in both sizes is as it was, the rest black; the next request asks for
    /// everything.
    Resized {
        /// The size in pixels, not empty.
        size: Size,
    },
    /// These pixels of the canvas were painted.
    Damaged(Rect),
    /// These pixels were copied from elsewhere on the canvas.
    Copied {
        /// Where they are now.
        destination: Rect,
        /// The upper left corner of where they were.
        source: Point,
    },
    /// These pixels came to be passed on, and are not on the canvas; see
    /// [`relayed`](super::ClientConnection::relayed).
    Relayed(Rect),
    /// An update is complete: what was painted since the last one belongs together. No request is outstanding.
    UpdateDone,
    /// The cursor looks like this; `None` for invisible.
    Cursor(Option<CursorImage>),
    /// The server has moved the pointer there.
    CursorMoved(Point),
    /// The desktop has another name.
    Renamed(String),
    /// Ring.
    Bell,
    /// The server's clipboard has this text; line ends are `\n`.
    CutText(String),
    /// The keyboard's lamps.
    Leds(LedState),
    /// The server has answered a wish for another size. If it was fulfilled, the new size is another event.
    ResizeAnswered {
        /// 0 for done, otherwise why not: 1 prohibited, 2 out of resources, 3 invalid layout.
        status: u16,
    },
    /// The server has come to a [`sync`](super::ClientConnection::sync): what it sent before has been handled.
    Synced,
}

/// Why a connection ended. Each is the server's doing except [`Ended`](Self::Ended), and those that name what is not
/// configured here: [`NoPassword`](Self::NoPassword), [`NoLogin`](Self::NoLogin), [`NoTrust`](Self::NoTrust).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The server broke the handshake, or refused.
    #[error("server broke the handshake: {0}")]
    Handshake(#[from] HandshakeError),
    /// None of the security types that the server offers can be done here.
    #[error("server offers the security types {:?} only", .offered.iter().map(|kind| kind.0).collect::<Vec<_>>())]
    NoSecurityType {
        /// What it offers.
        offered: Vec<SecurityType>,
    },
    /// The server asks for a password, and there is none.
    #[error("server asks for a password, and none is configured")]
    NoPassword,
    /// The server asks for a name and a password, and there are none.
    #[error("server asks for a user's name and password, and none are configured")]
    NoLogin,
    /// The server lets nobody in without TLS, and it is not said how to know it by that.
    #[error("server wants TLS, and nothing is configured by which to know its certificate")]
    NoTrust,
    /// The server offers no TLS where it has to.
    #[error("server must use TLS, and offers the security types {:?} only", .offered.iter().map(|kind| kind.0).collect::<Vec<_>>())]
    TlsRequired {
        /// What it offers.
        offered: Vec<SecurityType>,
    },
    /// None of the VeNCrypt subtypes that the server offers can be done here.
    #[error("server offers the VeNCrypt subtypes {:?} only", .offered.iter().map(|kind| kind.0).collect::<Vec<_>>())]
    NoSubtype {
        /// What it offers.
        offered: Vec<Subtype>,
    },
    /// The server says no to what it has offered itself.
    #[error("server refuses the version or subtype of VeNCrypt that it has offered")]
    VeNCryptRefused,
    /// The server broke the TLS of a VeNCrypt subtype, or has not proven who it is.
    #[error("server broke VeNCrypt: {0}")]
    Tls(#[from] TlsError),
    /// The server closed the connection where it had to say more.
    #[error("server closed the connection in the handshake")]
    ClosedEarly,
    /// The server did not accept the password, or anybody.
    #[error("server refused authentication: {}", reason.escape_debug())]
    AuthenticationFailed {
        /// What it says, which may be nothing.
        reason: String,
    },
    /// A framebuffer without pixels.
    #[error("server has a framebuffer of {} by {} pixels", .0.width, .0.height)]
    EmptyFramebuffer(Size),
    /// A framebuffer that is larger than allowed.
    #[error("server has a framebuffer of {} by {} pixels; at most {limit} are allowed", size.width, size.height)]
    FramebufferTooLarge {
        /// Its size.
        size: Size,
        /// The pixels that are allowed.
        limit: u32,
    },
    /// A few bytes that paint or copy large areas over and over.
    #[error("server paints {pixels} pixels at once; at most {limit} are allowed")]
    TooMuchPainted {
        /// The pixels of the rectangles and sizes in one piece of input.
        pixels: u64,
        /// The pixels that are allowed.
        limit: u64,
    },
    /// The server sent a message that does not exist.
    #[error("server broke the protocol: {0}")]
    Message(#[from] ServerMessageError),
    /// The server sent a rectangle in an encoding that it was not asked for.
    #[error("server sent encoding {}, which was not asked for, for rectangle {rect:?}", encoding.0)]
    UnwantedEncoding {
        /// The encoding.
        encoding: Encoding,
        /// The rectangle.
        rect: Rect,
    },
    /// A picture cannot be decoded.
    #[error("server sent a bad rectangle in encoding {}: {error}", encoding.0)]
    Decode {
        /// The rectangle's encoding.
        encoding: Encoding,
        /// What is wrong.
        error: DecodeError,
    },
    /// A rectangle to be passed on is longer than [`RECT_BYTES`](crate::rfb::relay::RECT_BYTES), or there are more than an
    /// update can have and nobody has taken them.
    #[error("server sent more than can be passed on, for rectangle {0:?}")]
    RelayTooLong(Rect),
    /// A pseudo-encoding cannot be decoded.
    #[error("server sent a bad pseudo-encoding: {0}")]
    Pseudo(#[from] PseudoError),
    /// A message about the clipboard cannot be decoded.
    #[error("server broke the protocol: {0}")]
    Clipboard(#[from] ClipboardError),
    /// The server sends what must be answered and does not read the answers.
    #[error("server leaves {0} bytes unread and asks for more")]
    UnreadAnswers(usize),
    /// The driver went on after an error.
    #[error("the connection has ended with an earlier error")]
    Ended,
}
