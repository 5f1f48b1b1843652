//! What a seat is made of, what it says about itself, and what can go wrong.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::chord::Chord;
use super::policy::{ClipboardPolicy, PastePolicy, Sharing};
use super::vt::VtNumber;
use crate::rfb::security::Security;
use crate::rfb::server::ServerError;
use crate::screen::FontSize;

/// The most viewers of one seat: a classroom. More are refused, so that no peer can make us hold compressors
/// (some 160 KiB a viewer) without bound.
pub const VIEWERS: usize = 32;

/// The time that a viewer has to get through the handshake, a person's typing of a password included.
pub const HANDSHAKE: Duration = Duration::from_secs(30);

/// The time that it has from when TLS is set up: its user may have to look at a certificate, and then types a name and a
/// password.
pub const LOGIN: Duration = Duration::from_secs(120);

/// The most pixels of a guest's display unless told otherwise: two screens of 4K side by side. A pixel takes four bytes.
pub const MAX_PIXELS: u32 = 2 * 3840 * 2160;

/// How a seat is made.
#[derive(Debug, Clone)]
pub struct SeatOptions {
    /// The guest's name; guest-adjacent text, shown to viewers.
    pub name: String,
    /// The guest's UUID as text, for the status page.
    pub uuid: String,
    /// The domid that the guest has now.
    pub domid: Option<u32>,
    /// Columns of its text VTs.
    pub columns: u16,
    /// Rows of its text VTs.
    pub rows: u16,
    /// Lines of history that each console keeps.
    pub history_lines: usize,
    /// The font of its text VTs.
    pub font: FontSize,
    /// Whether a viewer's window chooses another font: the largest in which the screen fits into it.
    pub fit_font: bool,
    /// The key combinations that switch VTs; one list for all seats that are configured alike.
    pub chords: Arc<[Chord]>,
    /// What viewers must prove.
    pub security: Security,
    /// Whether a viewer may give a text VT another size. The guest cannot learn it from its console, except by asking
    /// the terminal, so that most programs go on with the old one: off unless asked for.
    pub allow_resize: bool,
    /// Whether viewers may only look: what they type, click and cut does not reach the guest. They may still change VTs.
    pub view_only: bool,
    /// What becomes of the others when a viewer asks to be alone.
    pub sharing: Sharing,
    /// Whether a viewer that is moved to another VT by the seat itself sees a short notice.
    pub notices: bool,
    /// The most pixels of a guest's display.
    pub max_pixels: u32,
    /// Whether the rectangles of a guest's display may be passed on as they are to a viewer that looks at it alone. It saves
    /// decoding and encoding; the guest's compressed data then reaches the viewer unchecked.
    pub relay: bool,
    /// Which way clipboard texts may go.
    pub clipboard: ClipboardPolicy,
    /// What becomes of control characters in a paste.
    pub paste: PastePolicy,
    /// Whether a program in the guest may write the clipboards of those who look at it (OSC 52). A guest that is not trusted
    /// could so have its user paste elsewhere what the user has not chosen: off unless asked for.
    pub osc52: bool,
}

impl Default for SeatOptions {
    fn default() -> Self {
        Self {
            name: String::new(),
            uuid: String::new(),
            domid: None,
            columns: 80,
            rows: 25,
            history_lines: 1000,
            font: FontSize::default(),
            fit_font: false,
            chords: Chord::defaults().into(),
            security: Security::None,
            allow_resize: false,
            view_only: false,
            sharing: Sharing::default(),
            notices: true,
            max_pixels: MAX_PIXELS,
            relay: false,
            clipboard: ClipboardPolicy::default(),
            paste: PastePolicy::default(),
            osc52: false,
        }
    }
}

/// How the guest is, as far as its viewers are told: in the desktop's name and on the status page, never in the
/// guest's own terminal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum DomainState {
    /// It runs.
    #[default]
    Running,
    /// It is paused: the last picture stays.
    Paused,
    /// It is stopped for the moment, to be saved or moved: the last picture stays.
    Suspended,
    /// It crashed, and its domain was kept: the last picture stays.
    Crashed,
    /// It has shut down or is gone: the last picture stays.
    Stopped,
    /// It is gone and its successor is awaited.
    Rebooting,
    /// It runs, but its console cannot be had, for this reason.
    NoConsole(String),
}

impl DomainState {
    /// The word for it; empty when there is nothing to say.
    #[must_use]
    pub const fn notice(&self) -> &'static str {
        match self {
            Self::Running => "",
            Self::Paused => "paused",
            Self::Suspended => "suspended",
            Self::Crashed => "crashed",
            Self::Stopped => "stopped",
            Self::Rebooting => "rebooting",
            Self::NoConsole(_) => "no console",
        }
    }
}

/// Names one viewer of a seat; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ViewerId(pub(super) u64);

impl std::fmt::Display for ViewerId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Which viewers a switch moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SwitchTarget {
    /// This viewer, pinned or not.
    One(ViewerId),
    /// Every viewer that has not pinned itself, and those who come later.
    All,
}

/// What a seat tells about one of its viewers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewerInfo {
    /// Its name in the seat.
    pub id: ViewerId,
    /// Where it comes from, as the driver gave it.
    pub peer: String,
    /// What it looks at.
    pub vt: VtNumber,
    /// True when it stays there whatever happens, because its user went there by a chord.
    pub pinned: bool,
    /// When it connected.
    pub since: Instant,
    /// True once it is through the handshake.
    pub ready: bool,
    /// True when it is scrolled back into history.
    pub scrolled: bool,
}

/// What kind of picture a VT shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VtKind {
    /// A console of the guest.
    Console,
    /// The picture of an RFB server in the guest.
    Graphics,
    /// Our own page about the seat.
    Status,
}

/// What a seat tells about one of its VTs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VtInfo {
    /// Its number.
    pub number: VtNumber,
    /// What it shows.
    pub kind: VtKind,
    /// Columns; of a graphics VT pixels.
    pub columns: u16,
    /// Rows; of a graphics VT pixels.
    pub rows: u16,
    /// What the guest called its window, if it did; guest text, for a graphics VT as it came.
    pub title: String,
    /// How a graphics VT is connected.
    pub origin: String,
    /// How many viewers look at it.
    pub viewers: usize,
}

/// A viewer that the seat has ended; its connection is to be closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedViewer {
    /// Which one.
    pub id: ViewerId,
    /// Where it came from.
    pub peer: String,
    /// Why.
    pub reason: EndReason,
}

/// Why a seat ended a viewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EndReason {
    /// It did not get through the handshake in time.
    #[error("the viewer was not through the handshake after {} s", .limit.as_secs())]
    Handshake {
        /// The time that it had.
        limit: Duration,
    },
    /// Another viewer asked to be alone, and [`Sharing::Displace`] holds.
    #[error("another viewer asked to be alone")]
    Displaced,
    /// It asked to be alone, others were there, and [`Sharing::Refuse`] holds.
    #[error("the viewer asked to be alone and there are others")]
    NotAlone,
}

/// Why a viewer is not let in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddViewerError {
    /// The seat is full.
    #[error("the seat has {limit} viewers already")]
    TooMany {
        /// The most that it takes.
        limit: usize,
    },
}

/// Why a viewer ends.
#[derive(Debug, thiserror::Error)]
pub enum ViewerError {
    /// The caller named a viewer that is not there (any more).
    #[error("the seat has no viewer {id}")]
    Unknown {
        /// Who was named.
        id: ViewerId,
    },
    /// The viewer broke the protocol or failed to authenticate.
    #[error(transparent)]
    Protocol(#[from] ServerError),
}

/// Why a command about VTs cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VtError {
    /// The seat has no such VT.
    #[error("the seat has no {vt}")]
    NoSuchVt {
        /// The VT that was named.
        vt: VtNumber,
    },
    /// The seat has no such viewer.
    #[error("the seat has no viewer {id}")]
    NoSuchViewer {
        /// Who was named.
        id: ViewerId,
    },
    /// What this VT shows cannot be typed to.
    #[error("{vt} is no console")]
    NoConsole {
        /// The VT that was named.
        vt: VtNumber,
    },
    /// The console does not take input, and what waits for it leaves no room for this. Nothing was typed.
    #[error("{wanted} bytes do not fit, {waiting} of {limit} wait for the console already")]
    InputFull {
        /// Bytes to be typed.
        wanted: usize,
        /// Bytes that wait.
        waiting: usize,
        /// The most that may wait.
        limit: usize,
    },
}
