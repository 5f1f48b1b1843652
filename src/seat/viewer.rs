//! One viewer of a seat: its connection, where it looks, what it has seen and what it may be sent.

use std::time::{Duration, Instant};

use super::banner::Line;
use super::clipboard::Clipboard;
use super::graphics::{Graphics, UpstreamId};
use super::hand::Hand;
use super::keys::Keyboard;
use super::notice::Notice;
use super::options::{HANDSHAKE, ViewerId, ViewerInfo};
use super::pacing::{Credit, Pace};
use super::pointer::{Pointer, ToldPointer};
use super::policy::ClipboardPolicy;
use super::search::Search;
use super::vt::VtNumber;
use crate::geometry::{Point, Rect, Region, Size};
use crate::rfb::encoding::Encoding;
use crate::rfb::encoding::pseudo::LedState;
use crate::rfb::server::{CursorImage, Damage, ServerConnection, UpdateOutcome};
use crate::rfb::tile::TileSource;
use crate::screen::{Font, FontSize, Overlaid, PixelDebt, Sprite, TextOverlay, TextSeen, TextView};
use crate::terminal::{Terminal, View};

/// What a viewer is shown: what its VT shows at this moment.
pub(super) enum Shown<'a> {
    /// A terminal, and what is to be shown over its first row.
    Text(&'a Terminal, Option<&'a Line>),
    /// The picture of a server in the guest.
    Pixels(&'a Graphics),
}

/// A viewer.
pub(super) struct Viewer {
    pub(super) id: ViewerId,
    pub(super) peer: String,
    pub(super) since: Instant,
    pub(super) connection: ServerConnection,
    /// The VT that it looks at.
    pub(super) vt: VtNumber,
    pub(super) pinned: bool,
    /// Where in the VT's history it looks.
    pub(super) view: View,
    /// What text is drawn with for it.
    pub(super) font: FontSize,
    pub(super) keyboard: Keyboard,
    pub(super) pointer: Pointer,
    pub(super) clipboard: Clipboard,
    pub(super) hand: Hand,
    pub(super) search: Option<Search>,
    /// It broke the protocol: what its output holds is its last.
    pub(super) dead: bool,
    /// When it must be through the handshake; `None` when it is.
    pub(super) handshake_until: Option<Instant>,
    /// The time that it has for that.
    pub(super) handshake_limit: Duration,
    /// When it gets the frame that it waits for; `None` when nothing but credit keeps it from one.
    pub(super) frame_at: Option<Instant>,
    /// What its picture shows of the VT, if that is text.
    pub(super) seen: TextSeen,
    /// What its picture lacks of the VT, if that is graphics.
    pub(super) debt: PixelDebt,
    /// The server whose rectangles it is passed as they are, for good, and their encoding.
    pub(super) bound: Option<(UpstreamId, Encoding)>,
    /// What it told the guest's display of its pointer.
    pub(super) told_pointer: ToldPointer,
    /// What lies over its picture for a moment.
    pub(super) notice: Option<Notice>,
    /// What must be painted anew because something lay over it.
    uncovered: Region,
    /// It was told the shape of a pointer.
    has_cursor: bool,
    /// It was told which lamps are lit.
    has_leds: bool,
    /// Where the guest's pointer is in its picture, and which one; for viewers that do not draw it.
    pointer_drawn: (Rect, u64),
    /// Which server's clipboard it knows, and how many cuts of it.
    cut_known: Option<(UpstreamId, u64)>,
    frames: Credit,
    bells: Credit,
    /// The bell rings as soon as its output is empty.
    bell: bool,
    /// An update is begun and its rest follows when the output is empty, without new credit.
    begun: bool,
}

impl Viewer {
    pub(super) fn new(
        id: ViewerId,
        peer: String,
        connection: ServerConnection,
        vt: VtNumber,
        font: FontSize,
        now: Instant,
    ) -> Self {
        Self {
            id,
            peer,
            since: now,
            connection,
            vt,
            pinned: false,
            view: View::Live,
            font,
            keyboard: Keyboard::default(),
            pointer: Pointer::default(),
            clipboard: Clipboard::default(),
            hand: Hand::default(),
            search: None,
            dead: false,
            handshake_until: Some(now + HANDSHAKE),
            handshake_limit: HANDSHAKE,
            frame_at: None,
            seen: TextSeen::default(),
            debt: PixelDebt::default(),
            bound: None,
            told_pointer: ToldPointer::default(),
            notice: None,
            uncovered: Region::new(),
            has_cursor: false,
            has_leds: false,
            pointer_drawn: (Rect::default(), 0),
            cut_known: None,
            frames: Credit::new(Pace::FRAMES),
            bells: Credit::new(Pace::BELLS),
            bell: false,
            begun: false,
        }
    }

    pub(super) fn info(&self) -> ViewerInfo {
        ViewerInfo {
            id: self.id,
            peer: self.peer.clone(),
            vt: self.vt,
            pinned: self.pinned,
            since: self.since,
            ready: self.connection.is_ready(),
            scrolled: self.view != View::Live,
        }
    }

    /// Looks at another VT, of this size, whose picture it has nothing of.
    pub(super) fn show(&mut self, vt: VtNumber, size: Size, name: &str) {
        self.vt = vt;
        self.view = View::Live;
        self.notice = None;
        self.resized(size);
        self.connection.rename(name);
    }

    /// Its VT has this size now, and it has nothing of the picture.
    pub(super) fn resized(&mut self, size: Size) {
        self.seen = TextSeen::default();
        self.hand.clear();
        self.search = None;
        self.debt = PixelDebt::everything(size);
        self.uncovered.clear();
        self.pointer_drawn = (Rect::default(), 0);
        self.frame_at = None;
        self.connection.resize(size);
    }

    /// Looks at a server's picture from now on. A viewer that may only look hands nothing over.
    pub(super) fn meet(&mut self, graphics: &mut Graphics, clipboard: ClipboardPolicy, view_only: bool) {
        self.debt = PixelDebt::everything(graphics.size());
        if let Some(cursor) = graphics.cursor() {
            self.set_cursor(cursor.clone());
        } else {
            self.leave_graphics();
        }
        if let Some(leds) = graphics.leds {
            self.set_leds(leds);
        }
        if clipboard.from_guest() {
            self.cut_in_guest(graphics.id, &graphics.cut);
        }
        if !view_only
            && clipboard.to_guest()
            && let Some(text) = self.clipboard.take_news()
        {
            graphics.connection.cut_text(text);
        }
    }

    /// The server has cut this, and that many times something; the viewer is told what it has not heard of.
    pub(super) fn cut_in_guest(&mut self, server: UpstreamId, (number, text): &(u64, String)) {
        let known = Some((server, *number));
        if *number > 0 && self.cut_known != known {
            self.cut_known = known;
            self.connection.cut_text(text);
            self.clipboard.set_from_guest(text);
        }
    }

    /// The pointer has this shape.
    pub(super) fn set_cursor(&mut self, cursor: Option<CursorImage>) {
        self.has_cursor = true;
        self.connection.set_cursor(cursor);
    }

    /// The guest's keyboard has these lamps lit.
    pub(super) fn set_leds(&mut self, leds: LedState) {
        self.has_leds = true;
        self.connection.set_leds(leds);
    }

    /// Looks at a picture without a pointer and lamps of its own: a pointer of ours takes the place of the guest's, and the
    /// lamps are out.
    pub(super) fn leave_graphics(&mut self) {
        if self.has_cursor {
            self.connection.set_cursor(Some(super::cursor::arrow()));
        }
        if self.has_leds {
            self.connection.set_leds(LedState::default());
        }
    }

    /// True when it has the whole picture, so that more can be asked for. What is written and not sent yet is one
    /// update at most.
    pub(super) fn keeps_up(&self) -> bool {
        !self.dead && self.connection.is_ready() && self.debt.is_empty() && !self.begun
    }

    /// When it is to be rendered again although nothing happens.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let notice = self.notice.as_ref().and_then(Notice::until);
        let search = self.search.as_ref().and_then(Search::due);
        self.frame_at.into_iter().chain(notice).chain(self.hand.scroll_at()).chain(search).min()
    }

    /// Time has passed.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.frame_at.is_some_and(|at| at <= now) {
            self.frame_at = None;
        }
        let size = self.connection.framebuffer_size();
        if let Some(notice) = self.notice.take_if(|notice| notice.until().is_some_and(|until| until <= now)) {
            self.uncovered.add(notice.area(size));
        }
    }

    /// Rings the bell when the viewer can take it. However often the guest rings, one bell waits at most.
    pub(super) const fn ring(&mut self) {
        self.bell = true;
    }

    /// True when it wants an update and has taken everything before. Rings the bell.
    pub(super) fn is_ready_for_update(&mut self, now: Instant) -> bool {
        if self.dead || !self.connection.is_ready() || !self.connection.output().is_empty() {
            return false;
        }
        if std::mem::take(&mut self.bell) && self.bells.take(now) {
            self.connection.bell();
        }
        self.connection.wants_update()
    }

    /// True when nothing lies over what its VT shows, and nothing did that is still to be painted anew.
    pub(super) fn shows_only_the_picture(&self) -> bool {
        self.notice.is_none() && self.uncovered.is_empty() && self.pointer_drawn.0.is_empty()
    }

    /// Encodes what the viewer's picture lacks, if it wants that, has credit, and has taken everything before.
    pub(super) fn render(&mut self, shown: &Shown<'_>, now: Instant) {
        if !self.is_ready_for_update(now) {
            return;
        }
        match *shown {
            Shown::Text(terminal, notice) => {
                self.render_text(terminal, Font::builtin(self.font), notice, now)
            }
            // A server is asked for no more than viewers take, so that nothing has to be held back here.
            Shown::Pixels(graphics) => {
                let pointer = self.pointer(graphics);
                let mut debt = std::mem::take(&mut self.debt);
                if self.update(graphics.canvas(), debt.copies(), debt.region(), pointer, now) {
                    debt.clear();
                }
                self.debt = debt;
            }
        }
    }

    /// The guest's pointer, where the viewer does not draw it. What it covered, or covers now, is painted anew when it has
    /// changed.
    fn pointer<'a>(&mut self, graphics: &'a Graphics) -> Option<&'a Sprite> {
        let (sprite, version) = graphics.sprite();
        let sprite = sprite.filter(|_| !self.connection.draws_cursor());
        let area = sprite.map_or(Rect::default(), |sprite| sprite.area(graphics.size()));
        if self.pointer_drawn != (area, version) {
            self.uncovered.add(self.pointer_drawn.0);
            self.uncovered.add(area);
            self.pointer_drawn = (area, version);
        }
        sprite
    }

    fn render_text(&mut self, terminal: &Terminal, font: &Font, notice: Option<&Line>, now: Instant) {
        let credit_at = if self.begun { None } else { self.frames.available_at(now) };
        if credit_at.is_some() && self.frame_at.is_some() {
            // It is known to lack something; what exactly matters when it can be sent.
            return;
        }
        self.hand.check(terminal);
        // Lent to the view until the end.
        let search = self.search.take();
        self.render_cells(terminal, font, notice, search.as_ref(), credit_at, now);
        self.search = search;
    }

    fn render_cells(
        &mut self,
        terminal: &Terminal,
        font: &Font,
        notice: Option<&Line>,
        search: Option<&Search>,
        credit_at: Option<Instant>,
        now: Instant,
    ) {
        let prompt = search.map(|search| search.line().at(terminal.rows().saturating_sub(1)));
        let banner = prompt.or_else(|| notice.map(|notice| notice.at(0)));
        let overlay = TextOverlay { selection: self.hand.selected(), scroll_bar: true, banner };
        let view = TextView { terminal, view: self.view, font, show_cursor: true, overlay };
        let damage = view.damage(&self.seen);
        if let Some(at) = credit_at {
            let lacks = !damage.is_empty()
                || !self.uncovered.is_empty()
                || !self.connection.requested().is_empty()
                || self.connection.has_news();
            self.frame_at = lacks.then_some(at);
            return;
        }
        self.frame_at = None;
        let begins = !self.begun;
        let copy = damage.copy.map(|copy| (copy.destination, copy.source));
        if self.update(&view, copy.as_slice(), &damage.region, None, now) {
            if begins {
                self.frames.take(now);
            }
            self.seen = view.seen();
        }
    }

    /// Writes an update; true when it has taken the damage.
    fn update(
        &mut self,
        screen: &dyn TileSource,
        copies: &[(Rect, Point)],
        region: &Region,
        pointer: Option<&Sprite>,
        now: Instant,
    ) -> bool {
        let notice = self.notice.as_mut().map(|notice| notice.place(screen.size(), now));
        let outcome = if notice.is_none() && pointer.is_none() && self.uncovered.is_empty() {
            self.connection.update(screen, Damage { copies, region })
        } else {
            // What lies over the picture must not move with it.
            let mut region = region.clone();
            region.add_region(&self.uncovered);
            copies.iter().for_each(|(destination, _)| region.add(*destination));
            let sprites: Vec<&Sprite> = pointer.into_iter().chain(notice).collect();
            let source = Overlaid { below: screen, sprites: &sprites };
            self.connection.update(&source, Damage { copies: &[], region: &region })
        };
        if outcome == UpdateOutcome::Nothing {
            return false;
        }
        self.begun = outcome == UpdateOutcome::Partial;
        self.uncovered.clear();
        true
    }
}
