//! The seat itself: its VTs, its viewers, and who looks at what.

use std::sync::Arc;
use std::time::Instant;

use super::chord::Chord;
use super::console::{Console, Told};
use super::graphics::Graphics;
use super::options::{
    AddViewerError, DomainState, EndedViewer, SeatOptions, SwitchTarget, VIEWERS, ViewerId, VtError,
};
use super::policy::Policies;
use super::upstreams::{Arriving, EndedUpstream};
use super::viewer::Viewer;
use super::vt::{Source, Vt, VtNumber, text_size};
use crate::rfb::security::{Credentials, Security};
use crate::rfb::server::{ServerConnection, ServerOptions};
use crate::screen::Font;
use crate::terminal::{FunctionKeys, MouseAction, MouseEvent, Options};

/// One guest's seat; see the [module](super) for the order in which it is driven.
pub struct Seat {
    pub(super) options: SeatOptions,
    pub(super) state: DomainState,
    /// By number.
    pub(super) vts: Vec<Vt>,
    pub(super) viewers: Vec<Viewer>,
    next_viewer: u64,
    default_vt: VtNumber,
    pub(super) next_upstream: u64,
    /// Servers in the guest that are not through the handshake.
    pub(super) arriving: Vec<Arriving>,
    /// Servers that the seat has ended and the driver does not know of.
    pub(super) ended: Vec<EndedUpstream>,
    /// Viewers that must leave and are still there.
    pub(super) displaced: Vec<EndedViewer>,
    /// Names and passwords of viewers, about which the driver has to decide.
    pub(super) logins: Vec<(ViewerId, Credentials)>,
    /// The status page does not show how things are.
    pub(super) status_stale: bool,
}

impl Seat {
    /// A seat with a status page and no console yet.
    #[must_use]
    pub fn new(options: SeatOptions) -> Self {
        Self {
            options,
            state: DomainState::default(),
            vts: vec![Vt { number: VtNumber::STATUS, source: Source::Status(None) }],
            viewers: Vec::new(),
            next_viewer: 1,
            default_vt: VtNumber::CONSOLE,
            next_upstream: 1,
            arriving: Vec::new(),
            ended: Vec::new(),
            displaced: Vec::new(),
            logins: Vec::new(),
            status_stale: true,
        }
    }

    /// The guest's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.options.name
    }

    /// How the guest is.
    #[must_use]
    pub const fn state(&self) -> &DomainState {
        &self.state
    }

    /// The VT at which new viewers look, if the seat has it; the status page otherwise.
    #[must_use]
    pub const fn default_vt(&self) -> VtNumber {
        self.default_vt
    }

    pub(super) fn set_default_vt(&mut self, vt: VtNumber) {
        self.default_vt = vt;
    }

    /// The guest has this name now.
    pub fn set_name(&mut self, name: &str) {
        if self.options.name != name {
            name.clone_into(&mut self.options.name);
            self.rename_all();
        }
    }

    /// The guest has this domid now. Its terminals stay as they are: a reboot goes on below what was said before.
    pub fn set_domid(&mut self, domid: Option<u32>) {
        self.status_stale |= self.options.domid != domid;
        self.options.domid = domid;
    }

    /// The guest is in this state now.
    pub fn set_state(&mut self, state: DomainState) {
        if self.state != state {
            self.state = state;
            self.rename_all();
        }
    }

    /// New viewers must prove this. Those who are in stay.
    pub fn set_security(&mut self, security: Security) {
        self.options.security = security;
    }

    /// These key combinations switch VTs from now on.
    pub fn set_chords(&mut self, chords: Arc<[Chord]>) {
        self.options.chords = chords;
        self.status_stale = true;
    }

    /// What viewers may do from now on: how clipboards and pastes are treated, and whether a window changes the size.
    pub fn set_policies(&mut self, policies: Policies) {
        let Policies {
            clipboard,
            paste,
            allow_resize,
            view_only,
            sharing,
            notices,
            osc52,
            max_pixels,
            relay,
        } = policies;
        let options = &mut self.options;
        (options.clipboard, options.paste, options.allow_resize) = (clipboard, paste, allow_resize);
        (options.view_only, options.sharing, options.notices) = (view_only, sharing, notices);
        (options.max_pixels, options.osc52, options.relay) = (max_pixels, osc52, relay);
    }

    /// Adds a console. Viewers who were waiting for this VT are moved to it. Nothing happens when it is there, or
    /// when the number is the status page's.
    pub fn add_console(&mut self, vt: VtNumber) {
        let Err(place) = self.vts.binary_search_by_key(&vt, |vt| vt.number) else { return };
        let console = Console::new(Options {
            columns: self.options.columns,
            rows: self.options.rows,
            history_lines: self.options.history_lines,
            function_keys: FunctionKeys::Auto,
        });
        self.vts.insert(place, Vt { number: vt, source: Source::Console(Box::new(console)) });
        self.status_stale = true;
        if vt == self.default_vt {
            self.move_unpinned(vt);
        }
    }

    /// Removes a console with all that it showed. Its viewers are moved to the default VT, or to the status page.
    pub fn remove_console(&mut self, vt: VtNumber) {
        let Some(at) = self.vts.iter().position(|have| have.number == vt && have.number != VtNumber::STATUS)
        else {
            return;
        };
        let refuge = if vt == self.default_vt { VtNumber::STATUS } else { self.initial_vt() };
        for viewer in 0..self.viewers.len() {
            if self.viewers.get(viewer).is_some_and(|viewer| viewer.vt == vt) {
                self.show(viewer, refuge);
            }
        }
        self.vts.remove(at);
        self.status_stale = true;
    }

    /// Takes what the guest wrote to its console. Unknown VTs are ignored. The cost is that of the terminal, however
    /// many viewers there are.
    pub fn console_output(&mut self, vt: VtNumber, bytes: &[u8], now: Instant) {
        let Some(console) = self.console_mut(vt) else { return };
        let Told { bell, cut } = console.feed(bytes, now);
        let cut = cut.filter(|_| self.options.osc52 && self.options.clipboard.from_guest());
        for viewer in self.viewers.iter_mut().filter(|viewer| viewer.vt == vt) {
            if bell {
                viewer.ring();
            }
            if let Some(text) = &cut {
                viewer.connection.cut_text(text);
                viewer.clipboard.set_from_guest(text);
            }
        }
    }

    /// Moves what was typed, and answers to the guest's queries, to the end of `out`. Call it only when the console
    /// can take more: what is left here is bounded and tells the viewer by its bell when it is full.
    pub fn take_console_input(&mut self, vt: VtNumber, out: &mut Vec<u8>) {
        if let Some(console) = self.console_mut(vt) {
            console.take_input(out);
        }
    }

    /// Whether the console has passed on all that [`Self::take_console_input`] gave: until it has, no more of a long
    /// text is given. Drivers that cannot know leave it at true.
    pub fn set_console_drained(&mut self, vt: VtNumber, drained: bool) {
        if let Some(console) = self.console_mut(vt) {
            console.set_drained(drained);
        }
    }

    /// Whether a long text is on its way to this console.
    #[must_use]
    pub fn is_pasting(&self, vt: VtNumber) -> bool {
        self.vt(vt).and_then(Vt::console).is_some_and(Console::is_pasting)
    }

    /// Forgets what was typed to a console and not taken: whoever was to read it is gone.
    pub fn forget_console_input(&mut self, vt: VtNumber) {
        if let Some(console) = self.console_mut(vt) {
            console.forget_input();
        }
    }

    /// Whether this terminal answers the guest's queries (DA, CPR). Off while another reader of the console, such as
    /// `xl console` in a terminal, answers them. On at first.
    pub fn set_answering(&mut self, vt: VtNumber, answering: bool) {
        if let Some(console) = self.console_mut(vt) {
            console.set_answering(answering);
        }
    }

    /// Types plain text as it is, line ends as Return.
    ///
    /// # Errors
    /// When there is no such console, or the text does not fit; then none of it is typed.
    pub fn type_text(&mut self, vt: VtNumber, text: &str) -> Result<(), VtError> {
        let found = self.vts.iter_mut().find(|have| have.number == vt).ok_or(VtError::NoSuchVt { vt })?;
        found.console_mut().ok_or(VtError::NoConsole { vt })?.type_text(text)
    }

    /// Adds a viewer that comes from `peer`. `challenge` is unpredictable and fresh.
    ///
    /// # Errors
    /// When the seat is full.
    pub fn add_viewer(
        &mut self,
        peer: String,
        challenge: [u8; 16],
        now: Instant,
    ) -> Result<ViewerId, AddViewerError> {
        if self.viewers.len() >= VIEWERS {
            return Err(AddViewerError::TooMany { limit: VIEWERS });
        }
        let id = ViewerId(self.next_viewer);
        self.next_viewer += 1;
        let vt = self.initial_vt();
        let mut connection = ServerConnection::new(ServerOptions {
            name: self.desktop_name(vt),
            size: self.ensure_picture(vt),
            security: self.options.security.clone(),
            challenge,
        });
        if self.options.relay {
            connection.keep_streams();
        }
        self.viewers.push(Viewer::new(id, peer, connection, vt, self.options.font, now));
        self.status_stale = true;
        self.focus(vt, 1, true);
        Ok(id)
    }

    /// Forgets a viewer whose connection is closed. What it held down is released.
    pub fn remove_viewer(&mut self, id: ViewerId) {
        if let Some(at) = self.viewer_place(id) {
            self.release_input(at);
            let viewer = self.viewers.remove(at);
            self.status_stale = true;
            self.focus(viewer.vt, 0, false);
            self.drop_unwatched_status();
        }
    }

    /// Moves one viewer, or all that have not pinned themselves and those who come later. With `pin`, those who are
    /// moved stay whatever happens.
    ///
    /// # Errors
    /// When the seat has no such VT or viewer; nothing has changed then.
    pub fn switch(&mut self, target: SwitchTarget, vt: VtNumber, pin: bool) -> Result<(), VtError> {
        if self.vt(vt).is_none() {
            return Err(VtError::NoSuchVt { vt });
        }
        match target {
            SwitchTarget::One(id) => {
                let at = self.viewer_place(id).ok_or(VtError::NoSuchViewer { id })?;
                self.show(at, vt);
                self.pin(at, pin);
            }
            SwitchTarget::All => {
                self.default_vt = vt;
                for at in self.move_unpinned(vt) {
                    self.pin(at, pin);
                }
            }
        }
        Ok(())
    }

    /// Moves everybody who is not pinned; returns who that was.
    pub(super) fn move_unpinned(&mut self, vt: VtNumber) -> Vec<usize> {
        let unpinned: Vec<usize> =
            self.viewers.iter().enumerate().filter(|(_, viewer)| !viewer.pinned).map(|(at, _)| at).collect();
        for at in &unpinned {
            self.show(*at, vt);
        }
        unpinned
    }

    /// Makes a viewer and the server whose picture it sees known to each other: pointer, clipboards. On a text VT the
    /// viewer gets a pointer of ours in place of the guest's.
    pub(super) fn meet(&mut self, at: usize) {
        let Some(viewer) = self.viewers.get_mut(at) else { return };
        let found = self.vts.iter_mut().find(|vt| vt.number == viewer.vt).and_then(Vt::graphics_mut);
        match found {
            Some(graphics) => {
                graphics.enter();
                viewer.meet(graphics, self.options.clipboard, self.options.view_only);
            }
            None => viewer.leave_graphics(),
        }
    }

    pub(super) fn pin(&mut self, at: usize, pin: bool) {
        if let Some(viewer) = self.viewers.get_mut(at) {
            self.status_stale |= viewer.pinned != pin;
            viewer.pinned = pin;
        }
    }

    /// Makes a viewer look at a VT that exists.
    pub(super) fn show(&mut self, at: usize, vt: VtNumber) {
        let Some(old) = self.viewers.get(at).map(|viewer| viewer.vt).filter(|old| *old != vt) else { return };
        self.leave_input(at);
        let mut size = self.ensure_picture(vt);
        let name = self.desktop_name(vt);
        let terminal = self.vts.iter().find(|have| have.number == vt).and_then(Vt::terminal);
        if let Some(viewer) = self.viewers.get_mut(at) {
            if let Some(terminal) = terminal {
                size = text_size(terminal, Font::builtin(viewer.font));
            }
            viewer.show(vt, size, &name);
        }
        self.meet(at);
        self.status_stale = true;
        self.focus(old, 0, false);
        self.focus(vt, 1, true);
        self.drop_unwatched_status();
    }

    /// Tells a console that somebody looks, or nobody, when exactly `watchers` viewers do.
    fn focus(&mut self, vt: VtNumber, watchers: usize, focused: bool) {
        if self.viewers.iter().filter(|viewer| viewer.vt == vt).count() == watchers
            && let Some(console) = self.console_mut(vt)
        {
            console.focus(focused);
        }
    }

    /// Tells the VT that the viewer leaves that the buttons it knows of are up.
    pub(super) fn release_buttons(&mut self, at: usize) {
        let Some(viewer) = self.viewers.get_mut(at) else { return };
        let (vt, place, modifiers) = (viewer.vt, viewer.pointer.place(), viewer.keyboard.held().into());
        let buttons = viewer.pointer.leave();
        let told = std::mem::take(&mut viewer.told_pointer);
        if told.buttons != 0
            && let Some(graphics) = self.graphics_at(vt)
        {
            graphics.pointer(0, told.x, told.y);
        }
        if let Some(console) = self.console_mut(vt) {
            for button in buttons {
                let action = MouseAction::Release(button);
                console.mouse(MouseEvent { action, column: place.column, row: place.row, modifiers });
            }
        }
    }

    /// The VT for a new viewer.
    pub(super) fn initial_vt(&self) -> VtNumber {
        if self.vt(self.default_vt).is_some() { self.default_vt } else { VtNumber::STATUS }
    }

    fn rename_all(&mut self) {
        self.status_stale = true;
        for at in 0..self.viewers.len() {
            let Some(name) = self.viewers.get(at).map(|viewer| self.desktop_name(viewer.vt)) else {
                continue;
            };
            if let Some(viewer) = self.viewers.get_mut(at) {
                viewer.connection.rename(&name);
            }
        }
    }

    pub(super) fn font(&self) -> &'static Font {
        Font::builtin(self.options.font)
    }

    pub(super) fn vt(&self, vt: VtNumber) -> Option<&Vt> {
        self.vts.iter().find(|have| have.number == vt)
    }

    pub(super) fn console_mut(&mut self, vt: VtNumber) -> Option<&mut Console> {
        self.vts.iter_mut().find(|have| have.number == vt)?.console_mut()
    }

    /// The server whose picture a VT shows, if it is such a VT.
    pub(super) fn graphics_at(&mut self, vt: VtNumber) -> Option<&mut Graphics> {
        self.vts.iter_mut().find(|have| have.number == vt)?.graphics_mut()
    }

    pub(super) fn viewer_place(&self, id: ViewerId) -> Option<usize> {
        self.viewers.iter().position(|viewer| viewer.id == id)
    }
}
