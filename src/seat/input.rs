//! What viewers do: keys, pointer, clipboard, wishes for another size.

use std::time::Instant;

use super::chord::Target;
use super::keys::{Held, KeyAction};
use super::machine::Seat;
use super::options::{ViewerError, ViewerId};
use super::pointer::{CellPlace, ToldPointer};
use super::policy::{ClipboardPolicy, PastePolicy};
use super::scroll::{ScrollBy, WHEEL_LINES};
use super::viewer::Viewer;
use super::vt::{Vt, VtNumber, text_size};
use crate::geometry::Size;
use crate::keysym::Keysym;
use crate::rfb::server::{ResizeRefusal, ServerEvent};
use crate::screen::{Font, FontSize};
use crate::terminal::{Modifiers, MouseAction, MouseButton, MouseEvent, Terminal, View};

/// The widest text screen that a viewer may ask for, in columns: 4K with the smallest font. With [`RESIZE_ROWS`] it
/// bounds the memory that a viewer can make us take.
pub const RESIZE_COLUMNS: u16 = 640;
/// The highest text screen that a viewer may ask for, in rows.
pub const RESIZE_ROWS: u16 = 200;

impl From<Held> for Modifiers {
    fn from(held: Held) -> Self {
        Self { shift: held.shift, control: held.control, alt: held.alt, meta: held.logo }
    }
}

impl Seat {
    /// Takes bytes that a viewer sent.
    ///
    /// # Errors
    /// When there is no such viewer, or it broke the protocol or failed to authenticate: send what
    /// [`viewer_output`](Self::viewer_output) holds, close, and call [`remove_viewer`](Self::remove_viewer).
    pub fn viewer_input(&mut self, id: ViewerId, bytes: &[u8], now: Instant) -> Result<(), ViewerError> {
        let at = self.viewer_place(id).ok_or(ViewerError::Unknown { id })?;
        let Some(viewer) = self.viewers.get_mut(at).filter(|viewer| !viewer.dead) else { return Ok(()) };
        let result = viewer.connection.handle_input(bytes);
        viewer.dead = result.is_err();
        viewer.note_tls(now);
        while let Some(event) = self.viewers.get_mut(at).and_then(|viewer| viewer.connection.poll_event()) {
            self.event(at, event, now);
        }
        Ok(result?)
    }

    /// A viewer has closed its connection.
    ///
    /// # Errors
    /// When there is no such viewer, or it had to say more first; call [`remove_viewer`](Self::remove_viewer) either way.
    pub fn viewer_end(&mut self, id: ViewerId) -> Result<(), ViewerError> {
        let viewer = self.viewers.iter_mut().find(|viewer| viewer.id == id);
        Ok(viewer.ok_or(ViewerError::Unknown { id })?.connection.handle_end()?)
    }

    /// Bytes for a viewer; the driver takes what it can send. A viewer gets nothing new until all is taken.
    pub fn viewer_output(&mut self, id: ViewerId) -> Option<&mut Vec<u8>> {
        let at = self.viewer_place(id)?;
        self.viewers.get_mut(at).map(|viewer| viewer.connection.output())
    }

    fn event(&mut self, at: usize, event: ServerEvent, now: Instant) {
        let Some(viewer) = self.viewers.get_mut(at) else { return };
        match event {
            ServerEvent::Ready { shared } => {
                viewer.handshake_until = None;
                self.status_stale = true;
                self.meet(at);
                self.share(at, shared);
            }
            ServerEvent::Key { keysym, pressed, keycode } => self.key(at, keysym, keycode, pressed, now),
            ServerEvent::Pointer { buttons, x, y } => self.pointer(at, buttons, (x, y), now),
            ServerEvent::CutText(text) if self.options.clipboard.to_guest() => self.cut(at, text),
            ServerEvent::CutText(_) => {}
            ServerEvent::Login(credentials) => self.logins.push((viewer.id, credentials)),
            ServerEvent::SetDesktopSize { size } => self.resize(at, size),
            // Never enabled so far.
            ServerEvent::Power(_) => {}
            // One that asks for everything may have asked for nothing for long: the display is looked at anew.
            ServerEvent::UpdateRequested { incremental: false, .. } => {
                let vt = viewer.vt;
                if let Some(graphics) = self.graphics_at(vt) {
                    graphics.enter();
                }
            }
            // `render` asks the connection what it wants.
            ServerEvent::UpdateRequested { incremental: true, .. } => {}
        }
    }

    fn key(&mut self, at: usize, keysym: Keysym, keycode: Option<u32>, pressed: bool, now: Instant) {
        let mut actions = Vec::new();
        let Some(viewer) = self.viewers.get_mut(at) else { return };
        viewer.keyboard.key(keysym, keycode, pressed, viewer.vt, &self.options.chords, &mut actions);
        self.apply(at, &actions, Some(now));
    }

    /// Tells the VT that the viewer leaves that keys and buttons are up. What the user holds stays known.
    pub(super) fn leave_input(&mut self, at: usize) {
        let mut actions = Vec::new();
        self.release_buttons(at);
        if let Some(viewer) = self.viewers.get_mut(at) {
            viewer.keyboard.leave(&mut actions);
        }
        self.apply(at, &actions, None);
    }

    /// The same for a viewer that goes for good.
    pub(super) fn release_input(&mut self, at: usize) {
        self.leave_input(at);
        if let Some(viewer) = self.viewers.get_mut(at) {
            viewer.keyboard.release_all(&mut Vec::new());
        }
    }

    /// Does what keys mean. Without a time they are releases only.
    fn apply(&mut self, at: usize, actions: &[KeyAction], now: Option<Instant>) {
        for action in actions {
            match *action {
                KeyAction::Switch(target) => self.chord(at, target),
                // A display hears of everything; a console of presses only, and modifiers go with the other keys.
                KeyAction::Deliver { vt, keysym, keycode, pressed, held } => {
                    let view_only = self.options.view_only;
                    if let Some(graphics) = self.graphics_at(vt) {
                        if !view_only {
                            graphics.key(keysym, keycode, pressed);
                        }
                    } else if pressed
                        && !keysym.is_modifier()
                        && !now.is_some_and(|now| self.search_key(at, vt, keysym, held, now))
                    {
                        self.type_key(at, vt, keysym, held);
                    }
                }
            }
        }
    }

    /// A viewer goes to another VT by a chord, and stays there, unless that is where everybody goes anyway.
    fn chord(&mut self, at: usize, target: Target) {
        let Some(viewer) = self.viewers.get_mut(at) else { return };
        let Some(vt) = neighbour(&self.vts, viewer.vt, target) else {
            viewer.ring();
            return;
        };
        self.show(at, vt);
        self.pin(at, vt != self.default_vt());
    }

    /// A key for a text VT, or for where the viewer looks in it.
    fn type_key(&mut self, at: usize, number: VtNumber, keysym: Keysym, held: Held) {
        let Some(viewer) = self.viewers.get_mut(at) else { return };
        let Some(vt) = self.vts.iter_mut().find(|vt| vt.number == number) else { return };
        // The alternate screen has no history: there the keys are the guest's.
        if let Some(by) = ScrollBy::from_key(keysym, held)
            && let Some(terminal) = vt.terminal()
            && (!terminal.is_alternate() || viewer.view != View::Live)
        {
            viewer.view = by.apply(viewer.view, terminal);
            return;
        }
        let Some(console) = vt.console_mut() else { return };
        if self.options.view_only {
            viewer.ring();
            return;
        }
        viewer.view = View::Live;
        if stops_paste(keysym, held) && console.stop_pasting() {
            viewer.ring();
            if keysym == Keysym::ESCAPE {
                return;
            }
        }
        let insert = matches!(keysym, Keysym::INSERT | Keysym::KP_INSERT);
        let taken = if insert && held == (Held { shift: true, ..Held::default() }) {
            console.paste(viewer.clipboard.text(), self.options.paste)
        } else {
            console.key(keysym, held.into())
        };
        if !taken {
            viewer.ring();
        }
    }

    fn pointer(&mut self, at: usize, buttons: u16, (x, y): (u16, u16), now: Instant) {
        let policies = (self.options.clipboard, self.options.paste);
        let view_only = self.options.view_only;
        let Some(viewer) = self.viewers.get_mut(at) else { return };
        let font = Font::builtin(viewer.font);
        let cell = font.cell();
        let Some(vt) = self.vts.iter_mut().find(|vt| vt.number == viewer.vt) else { return };
        if let Some(graphics) = vt.graphics_mut() {
            if !view_only {
                let (x, y) = graphics.pointer(buttons, x, y);
                viewer.told_pointer = ToldPointer { buttons, x, y };
            }
            return;
        }
        let Some(terminal) = vt.terminal() else { return };
        let place = CellPlace::at(x, y, cell, terminal.columns(), terminal.rows());
        let held = viewer.keyboard.held();
        for action in viewer.pointer.update(buttons, place) {
            let event = MouseEvent { action, column: place.column, row: place.row, modifiers: held.into() };
            // Shift keeps the mouse for the viewer's own use, as in xterm; and what is shown of the past is not
            // where the guest would believe the pointer to be.
            let for_guest = !held.shift && viewer.view == View::Live && !view_only;
            match action {
                MouseAction::Release(button) => {
                    if viewer.pointer.take_told(button) {
                        if let Some(console) = vt.console_mut() {
                            console.mouse(event);
                        }
                    } else if let Some(terminal) = vt.terminal() {
                        viewer.hand_drag(terminal, font, (place, y), now);
                        copy(viewer, terminal, policies.0);
                    }
                }
                MouseAction::Motion(_) => {
                    if for_guest
                        && !viewer.hand.is_busy()
                        && let Some(console) = vt.console_mut()
                    {
                        console.mouse(event);
                    }
                }
                MouseAction::Press(button) => {
                    let taken = for_guest && vt.console_mut().is_some_and(|console| console.mouse(event));
                    if taken {
                        viewer.pointer.told_press(button);
                    } else {
                        let hand = vt.terminal().is_some_and(|terminal| {
                            viewer.hand_press(terminal, font, button, (place, y), held, now)
                        });
                        if !hand {
                            own_press(viewer, vt, button, policies.1, view_only);
                        }
                    }
                }
            }
        }
        if viewer.hand.is_busy()
            && let Some(terminal) = vt.terminal()
        {
            viewer.hand_drag(terminal, font, (place, y), now);
        }
    }

    fn cut(&mut self, at: usize, text: String) {
        let Some(viewer) = self.viewers.get_mut(at) else { return };
        viewer.clipboard.set(text);
        let found = self.vts.iter_mut().find(|vt| vt.number == viewer.vt);
        if let Some(graphics) = found.and_then(Vt::graphics_mut)
            && !self.options.view_only
            && let Some(text) = viewer.clipboard.take_news()
        {
            graphics.connection.cut_text(text);
        }
    }

    fn resize(&mut self, at: usize, wanted: Size) {
        let Some(viewer) = self.viewers.get(at) else { return };
        if viewer.vt.is_graphics() {
            return self.resize_display(at, wanted);
        }
        let Some(viewer) = self.viewers.get_mut(at) else { return };
        let number = viewer.vt;
        let cell = Font::builtin(viewer.font).cell();
        let (columns, rows) = (wanted.width / cell.width.max(1), wanted.height / cell.height.max(1));
        let Some(vt) = self.vts.iter_mut().find(|vt| vt.number == number) else { return };
        let may_resize = self.options.allow_resize && !self.options.view_only;
        let refusal = match vt.console_mut() {
            Some(_) if may_resize && (columns < 2 || rows < 1) => ResizeRefusal::InvalidLayout,
            Some(_) if may_resize && (columns > RESIZE_COLUMNS || rows > RESIZE_ROWS) => {
                ResizeRefusal::OutOfResources
            }
            Some(console) if may_resize => {
                // Who looks back goes on seeing the same line, whatever its number is then.
                let there = |viewer: &&mut Viewer| viewer.vt == number;
                let looked_at = |viewer: &Viewer| match viewer.view {
                    View::At(line) => line,
                    View::Live => 0,
                };
                let mut lines: Vec<u64> =
                    self.viewers.iter_mut().filter(there).map(|viewer| looked_at(viewer)).collect();
                console.terminal.resize_keeping(columns, rows, &mut lines);
                for (viewer, line) in self.viewers.iter_mut().filter(there).zip(lines) {
                    if viewer.view != View::Live {
                        viewer.view = View::At(line);
                    }
                    viewer.connection.resize(text_size(&console.terminal, Font::builtin(viewer.font)));
                }
                self.status_stale = true;
                return;
            }
            _ => {
                // The guest's screen stays as it is; only how large this viewer sees it is the viewer's own affair.
                if let Some(terminal) = vt.terminal().filter(|_| self.options.fit_font) {
                    viewer.font = FontSize::fitting(terminal.columns(), terminal.rows(), wanted);
                    viewer.connection.resize(text_size(terminal, Font::builtin(viewer.font)));
                    return;
                }
                ResizeRefusal::Prohibited
            }
        };
        viewer.connection.refuse_resize(refusal);
    }
}

impl Seat {
    /// Hands a viewer's wish for another size on to the guest's display; the guest answers.
    fn resize_display(&mut self, at: usize, wanted: Size) {
        let most = self.options.max_pixels;
        let Some(viewer) = self.viewers.get_mut(at) else { return };
        let found = self.vts.iter_mut().find(|vt| vt.number == viewer.vt);
        let Some(graphics) = found.and_then(Vt::graphics_mut) else { return };
        let refusal = if wanted.area() > most {
            ResizeRefusal::OutOfResources
        } else if self.options.view_only || !graphics.connection.set_desktop_size(wanted) {
            ResizeRefusal::Prohibited
        } else {
            graphics.resize_for = Some(viewer.id);
            return;
        };
        viewer.connection.refuse_resize(refusal);
    }
}

/// Copies what a drag has selected: to be pasted here, and to the viewer's clipboard where that is allowed.
fn copy(viewer: &mut Viewer, terminal: &Terminal, policy: ClipboardPolicy) {
    if let Some(text) = viewer.hand_release(terminal) {
        if policy.from_guest() {
            viewer.connection.cut_text(&text);
        }
        viewer.clipboard.set(text);
    }
}

/// Whether a key stops a paste that is under way: Escape, which does nothing else then, or Ctrl-C.
fn stops_paste(keysym: Keysym, held: Held) -> bool {
    let control_c = held.control && matches!(keysym.to_char(), Some('c' | 'C'));
    control_c || keysym == Keysym::ESCAPE
}

/// A press that is not the guest's: the wheel scrolls, the middle button pastes.
fn own_press(viewer: &mut Viewer, vt: &mut Vt, button: MouseButton, policy: PastePolicy, view_only: bool) {
    let (lines, arrow) = match button {
        MouseButton::WheelUp => (-WHEEL_LINES, Keysym::UP),
        MouseButton::WheelDown => (WHEEL_LINES, Keysym::DOWN),
        MouseButton::Middle => {
            if !view_only && let Some(console) = vt.console_mut() {
                viewer.view = View::Live;
                if !console.paste(viewer.clipboard.text(), policy) {
                    viewer.ring();
                }
            }
            return;
        }
        _ => return,
    };
    let alternate = viewer.view == View::Live && vt.terminal().is_some_and(Terminal::is_alternate);
    match vt.console_mut() {
        // The alternate screen has no history; what shows there mostly scrolls by arrow keys.
        Some(console) if alternate && !view_only => {
            for _ in 0..WHEEL_LINES {
                console.key(arrow, Modifiers::default());
            }
        }
        _ => {
            if let Some(terminal) = vt.terminal() {
                viewer.view = ScrollBy::Lines(lines).apply(viewer.view, terminal);
            }
        }
    }
}

/// The VT to which a chord leads from `from`, if the seat has it.
fn neighbour(vts: &[Vt], from: VtNumber, target: Target) -> Option<VtNumber> {
    let at = vts.iter().position(|vt| vt.number == from);
    let found = match target {
        Target::Vt(number) => vts.iter().find(|vt| vt.number == number),
        Target::Next => at.and_then(|at| vts.get(at + 1)).or_else(|| vts.first()),
        Target::Previous => {
            at.and_then(|at| at.checked_sub(1)).and_then(|at| vts.get(at)).or_else(|| vts.last())
        }
    };
    found.map(|vt| vt.number)
}
