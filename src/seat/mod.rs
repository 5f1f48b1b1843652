//! A seat: what a viewer connects to. One for each guest; it holds the guest's VTs and the viewers who look at them.
//!
//! A [`Seat`] does no input or output and owns no clock. Its driver, in each turn:
//!
//! 1. hands over what has come: [`Seat::console_output`], [`Seat::viewer_input`], [`Seat::upstream_input`],
//!    [`Seat::handle_timeout`] when [`Seat::deadline`] has passed, commands such as [`Seat::switch`]; what
//!    [`Seat::take_logins`] gives it decides, in this turn or later, by [`Seat::decide_login`];
//! 2. takes [`Seat::take_console_input`] for each console that can take more;
//! 3. calls [`Seat::render`];
//! 4. sends what [`Seat::viewer_output`] and [`Seat::upstream_output`] hold, as much as the other side takes, and calls
//!    [`Seat::render`] again when a viewer has taken all;
//! 5. waits for input, for room to send, or for [`Seat::deadline`], which any of the calls above may change.
//!
//! The echo of a key needs no timer: its bytes leave in step 2 of the turn that brought it, and the picture leaves in
//! step 4 of the turn that brings the guest's answer.
//!
//! Everything here is bounded, whatever guests and viewers do: viewers ([`VIEWERS`]), what waits for a console
//! ([`INPUT_BYTES`], [`PASTE_BYTES`]), clipboards ([`CLIPBOARD_BYTES`]), keys ([`keys::HELD_KEYS`]), and one update at a time for a
//! viewer that does not read. A viewer's mistake ends that viewer only.

mod admission;
mod banner;
pub mod chord;
mod clipboard;
mod console;
mod cursor;
mod graphics;
mod hand;
mod input;
pub mod keys;
mod machine;
mod notice;
mod options;
pub mod pacing;
mod paste;
mod pointer;
mod policy;
mod relay;
mod render;
mod report;
pub mod scroll;
mod search;
mod sharing;
mod status_page;
mod upstreams;
mod viewer;
mod vt;

pub use admission::Admission;
pub use chord::{Chord, ChordError, Target};
pub use clipboard::CLIPBOARD_BYTES;
pub use console::{INPUT_BYTES, REPLY_BYTES};
pub use graphics::UpstreamId;
pub use hand::SELECTION_BYTES;
pub use input::{RESIZE_COLUMNS, RESIZE_ROWS};
pub use machine::Seat;
pub use notice::NOTICE;
pub use options::{
    AddViewerError, DomainState, EndReason, EndedViewer, HANDSHAKE, LOGIN, MAX_PIXELS, SeatOptions,
    SwitchTarget, VIEWERS, ViewerError, ViewerId, ViewerInfo, VtError, VtInfo, VtKind,
};
pub use paste::PASTE_BYTES;
pub use policy::{BadPolicy, ClipboardPolicy, PastePolicy, Policies, Sharing};
pub use relay::RelayChange;
pub use upstreams::{EndedUpstream, UPSTREAM_HANDSHAKE, UpstreamEnd, UpstreamError};
pub use vt::{BadVtNumber, VtNumber};
