//! The server side of an RFB connection: one viewer's state machine.
//!
//! Split by sub-protocol: `input` (through TLS, if there is TLS, to the others), `handshake`, `messages` (what the viewer
//! sends afterwards), `update` (what it is sent), `wishes` (what it understands).
//!
//! LastRect is sent to viewers that know it, where an update is written in portions: what is still to come then may become
//! any number of rectangles. Smaller updates are counted. Deviation from RFC 6143: an update that changes the size
//! carries nothing else, as the community's specification advises.

mod clipboard;
mod event;
mod handshake;
mod input;
mod messages;
mod relay;
mod update;
mod wishes;

use std::collections::VecDeque;

pub use super::encoding::pseudo::{CursorImage, LedState};
pub use event::{
    Damage, Place, PowerRequest, ResizeRefusal, ServerError, ServerEvent, ServerOptions, UpdateOutcome,
};

use super::encoding::Encoding;
use super::message::handshake::bounded_text;
use super::message::{ClientForms, ServerMessage, Xvp};
use super::relay::{RelayOffer, Relayed};
use super::security::tls::TlsChannel;
use super::tile::TileSource;
use crate::geometry::{Region, Size};
use clipboard::Clipboard;
use handshake::Handshake;
pub use handshake::refusal;
use update::Updates;

/// The most moves of pixels that an update sends as such; what further ones moved is painted.
pub const COPIES: usize = 256;

/// When the output holds this many bytes, a bell is not rung and cut text waits: a viewer that does not read shall
/// not pile them up.
const ASIDE_BYTES: usize = 64 * 1024;

/// How far a connection has come.
enum Phase {
    Handshake(Handshake),
    Ready,
    Ended,
}

/// One viewer, seen from the server.
///
/// The driver moves bytes: what it reads goes to [`handle_input`](Self::handle_input), what
/// [`output`](Self::output) holds goes to the viewer. After each `handle_input` it takes all events by
/// [`poll_event`](Self::poll_event); there are never more of them than bytes were put in. When the screen changed
/// or a request came, and the output has been drained, it calls [`update`](Self::update). How long the handshake may
/// take is the driver's business; until [`is_ready`](Self::is_ready) nothing but the handshake is answered.
///
/// Memory: about 4 KiB, with TLS some 20 KiB more and the output twice for a moment, and 272 KiB more for each compressed stream in use (ZRLE has one, Tight
/// one to three). The input buffer holds at most one message, 1 MiB
/// of cut text being the longest; the output grows by at most about 1.3 MiB a call of `update`, by the server's name
/// or by cut text, of which up to 1 MiB is kept while a viewer may ask for it. An error ends the connection for good.
pub struct ServerConnection {
    phase: Phase,
    /// What the viewer has sent of a message that is not complete.
    input: Vec<u8>,
    /// How many more bytes of a message to throw away.
    skip: usize,
    /// What goes to the viewer, before TLS where there is TLS.
    output: Vec<u8>,
    tls: Option<TlsChannel>,
    /// The viewer has proven that it knows a password.
    proven: bool,
    events: VecDeque<ServerEvent>,
    name: String,
    forms: ClientForms,
    /// The viewer waits for the answer to SetDesktopSize.
    resize_asked: bool,
    /// What was told once and need not be again.
    fence_told: bool,
    continuous_told: bool,
    /// Messages that wait for the end of the update that is under way.
    deferred: Vec<u8>,
    bell_due: bool,
    clipboard: Clipboard,
    /// The viewer may ask for shutdown, reboot and reset.
    xvp_enabled: bool,
    xvp_told: bool,
    updates: Updates,
}

impl ServerConnection {
    /// A new connection; its output begins with the server's version.
    #[must_use]
    pub fn new(options: ServerOptions) -> Self {
        let mut output = Vec::new();
        let handshake = Handshake::new(options.security, options.challenge, &mut output);
        Self {
            phase: Phase::Handshake(handshake),
            input: Vec::new(),
            skip: 0,
            output,
            tls: None,
            proven: false,
            events: VecDeque::new(),
            name: bounded_text(&options.name).to_owned(),
            forms: ClientForms::default(),
            resize_asked: false,
            fence_told: false,
            continuous_told: false,
            deferred: Vec::new(),
            bell_due: false,
            clipboard: Clipboard::default(),
            xvp_enabled: false,
            xvp_told: false,
            updates: Updates::new(options.size),
        }
    }

    /// The next thing that the viewer did.
    pub fn poll_event(&mut self) -> Option<ServerEvent> {
        self.events.pop_front()
    }

    /// Bytes for the viewer; the driver drains it.
    pub fn output(&mut self) -> &mut Vec<u8> {
        match &mut self.tls {
            Some(tls) => {
                tls.seal(&mut self.output);
                tls.wire()
            }
            None => &mut self.output,
        }
    }

    /// The bytes that the driver has not drained, about.
    fn unsent(&self) -> usize {
        self.output.len() + self.tls.as_ref().map_or(0, TlsChannel::unsent)
    }

    /// True from the viewer's ClientInit on, until an error.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Ready)
    }

    /// True while a request of the viewer is outstanding, or an update is [`UpdateOutcome::Partial`]. A viewer that
    /// takes continuous updates wants one whenever the output has been drained, so that there is one at a time.
    #[must_use]
    pub fn wants_update(&self) -> bool {
        self.is_ready() && self.updates.wanted() && !self.must_drain()
    }

    /// True when the next continuous update has to wait.
    fn must_drain(&self) -> bool {
        self.updates.is_continuous() && !self.updates.is_partial() && self.unsent() > 0
    }

    /// What the viewer shall get whatever the damage: areas that it asked for not incrementally, and what an
    /// earlier update left out. Together with [`has_news`](Self::has_news) it says whether
    /// [`update`](Self::update) has something to send without damage.
    #[must_use]
    pub fn requested(&self) -> &Region {
        self.updates.requested()
    }

    /// True when the next update has something to say besides pixels: a size, a name, a cursor.
    #[must_use]
    pub fn has_news(&self) -> bool {
        self.updates.has_news()
    }

    /// The size of the framebuffer that the viewer believes in.
    #[must_use]
    pub fn framebuffer_size(&self) -> Size {
        self.updates.viewer_size()
    }

    /// The screen has this size now. The viewer is told with the next update if it can take that; otherwise it
    /// keeps its framebuffer, black where the screen has no pixels. Everything counts as damaged. Also the answer
    /// "yes" to [`ServerEvent::SetDesktopSize`].
    pub fn resize(&mut self, size: Size) {
        if std::mem::take(&mut self.resize_asked) {
            self.updates.answer_resize(0);
        }
        self.updates.resize(size, self.is_ready());
    }

    /// The answer "no" to [`ServerEvent::SetDesktopSize`].
    pub fn refuse_resize(&mut self, refusal: ResizeRefusal) {
        if std::mem::take(&mut self.resize_asked) {
            self.updates.answer_resize(refusal.status());
        }
    }

    /// The desktop has this name now; the viewer is told with the next update if it can take that.
    pub fn rename(&mut self, name: &str) {
        let name = bounded_text(name);
        if name != self.name {
            name.clone_into(&mut self.name);
            if self.is_ready() {
                self.updates.rename();
            }
        }
    }

    /// Rings the viewer's bell. A viewer that is far behind is not rung.
    pub fn bell(&mut self) {
        self.bell_due = self.is_ready() && self.unsent() < ASIDE_BYTES;
        self.flush_asides();
    }

    /// The server's clipboard has this text now. It is cut at [`CUT_TEXT_BYTES`](super::message::CUT_TEXT_BYTES). A viewer
    /// that speaks ExtendedClipboard is told, and gets it when it asks; for others what Latin-1 lacks becomes `?`. A
    /// viewer that is far behind gets only the last.
    pub fn cut_text(&mut self, text: &str) {
        if self.is_ready() {
            self.clipboard.set(text);
            self.flush_asides();
        }
    }

    /// The keyboard's lamps are lit like this now; the viewer is told with the next update if it can take that.
    pub fn set_leds(&mut self, leds: LedState) {
        self.updates.set_leds(leds);
    }

    /// Lets the viewer ask for shutdown, reboot and reset (xvp), which come as [`ServerEvent::Power`]. Off at first; to
    /// be called before the viewer has said what it understands, that is, with the connection.
    pub fn enable_xvp(&mut self) {
        self.xvp_enabled = true;
    }

    /// Keeps the streams of the encoding that the viewer wants most for rectangles of another server, where there is
    /// something else for our own pictures. Off at first; to be called with the connection.
    pub fn keep_streams(&mut self) {
        self.updates.streams.keep = true;
    }

    /// What the viewer could take of another server's rectangles now, if those are in our own native format
    /// ([`PixelFormat::RGB888`](super::pixel_format::PixelFormat::RGB888)).
    #[must_use]
    pub fn relay_offer(&self) -> Option<RelayOffer> {
        self.updates.relay_offer().filter(|_| self.is_ready())
    }

    /// Gives the streams of an encoding to another server, for good: our own pictures are never sent in it any more, and
    /// what [`relay`](Self::relay) is given must be all of that server's rectangles in it from the first one on.
    pub fn give_streams(&mut self, encoding: Encoding) {
        self.updates.give_streams(encoding);
    }

    /// True when the viewer has all that [`update`](Self::update) has to say, and was told the size.
    #[must_use]
    pub fn is_even(&self) -> bool {
        self.is_ready() && self.updates.is_even()
    }

    /// Passes on another server's rectangles, as one update, if the viewer wants one of its whole framebuffer and
    /// [`is_even`](Self::is_even). They are taken out of `relayed` then.
    pub fn relay(&mut self, relayed: &mut Relayed) -> UpdateOutcome {
        if !self.is_ready() || self.must_drain() {
            return UpdateOutcome::Nothing;
        }
        self.flush_asides();
        let outcome = self.updates.relay(relayed, &self.name, &mut self.output);
        self.forms.extended_buttons |= self.updates.buttons_acknowledged();
        outcome
    }

    /// The answer "no", or "it failed", to [`ServerEvent::Power`]. There is none for "yes".
    pub fn refuse_power(&mut self) {
        if self.xvp_told && self.unsent() < ASIDE_BYTES {
            let fail = ServerMessage::Xvp(Xvp { version: Xvp::VERSION, code: Xvp::FAIL });
            let partial = self.updates.is_partial();
            fail.encode(if partial { &mut self.deferred } else { &mut self.output });
        }
    }

    /// The cursor that the viewer shall draw; `None` for an invisible one. It is sent in the best form that the viewer
    /// knows. A viewer that has never been told one shows its own.
    pub fn set_cursor(&mut self, cursor: Option<CursorImage>) {
        self.updates.set_cursor(cursor);
    }

    /// True when the viewer draws the cursor of [`set_cursor`](Self::set_cursor); for others it must be in the picture.
    #[must_use]
    pub fn draws_cursor(&self) -> bool {
        self.updates.draws_cursor()
    }

    /// Encodes one update, if one is wanted and there is anything to say. `source` is the whole screen as it is
    /// now; `damage` is what changed on it since the last call that did not answer [`UpdateOutcome::Nothing`].
    pub fn update(&mut self, source: &dyn TileSource, damage: Damage<'_>) -> UpdateOutcome {
        if !self.is_ready() || self.must_drain() {
            return UpdateOutcome::Nothing;
        }
        self.flush_asides();
        let outcome = self.updates.write(source, damage, &self.name, &mut self.output);
        if !self.updates.is_partial() {
            self.output.extend(std::mem::take(&mut self.deferred));
        }
        // What the update has just acknowledged may be used from now on.
        self.forms.extended_buttons |= self.updates.buttons_acknowledged();
        outcome
    }

    /// Appends what must not stand inside an update and need not be in one.
    fn flush_asides(&mut self) {
        if self.updates.is_partial() || self.unsent() >= ASIDE_BYTES {
            return;
        }
        if std::mem::take(&mut self.bell_due) {
            ServerMessage::Bell.encode(&mut self.output);
        }
        self.clipboard.flush(&mut self.output);
    }
}
