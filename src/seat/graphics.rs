//! A graphics VT: the picture of an RFB server in the guest, and what viewers say to it.
//!
//! The connection to the server is held for its whole life, whether or not anybody looks: the guest would not call
//! again. But without a viewer nothing is asked of it, and a server that is asked nothing sends nothing.

use std::fmt;
use std::time::{Duration, Instant};

use super::options::ViewerId;
use super::pacing::{Credit, Pace};
use super::relay::Relay;
use crate::geometry::{Point, Rect, Region, Size};
use crate::keysym::Keysym;
use crate::rfb::client::ClientConnection;
use crate::rfb::encoding::canvas::Canvas;
use crate::rfb::encoding::pseudo::LedState;
use crate::rfb::plan::Scrolls;
use crate::rfb::server::CursorImage;
use crate::screen::{Picture, Sprite};

/// How long viewers who come to a picture that was not kept up to date wait for what has changed meanwhile. A server
/// with something to say answers within a millisecond or two; one without does not answer at all.
const FRESH: Duration = Duration::from_millis(12);

/// How long after an update the picture counts as up to date although nothing more is asked for.
const RECENT: Duration = Duration::from_millis(50);

/// How long viewers wait for the first picture. Then they are shown what there is of it: the wait looks like a guest
/// that hangs.
const FIRST: Duration = Duration::from_secs(1);

/// How long an update may take to come in before viewers are shown the part that is there: longer than a whole screen
/// takes on one machine, short enough to see a slow one progress.
const TORN: Duration = Duration::from_millis(50);

/// An update of no more pixels is a small one. Small ones come at the pace of frames ([`Pace::FRAMES`]): there are servers
/// that answer every request at once with a pointer that they draw, and nobody sees more than 60 of those a second. What
/// a viewer types or moves brings fresh credit, so that no echo waits.
/// Larger ones cost their server enough to be slower by themselves, or are a film.
const SMALL_PIXELS: u64 = 64 * 64;

/// Names one connection to an RFB server; never used twice in a seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UpstreamId(pub(super) u64);

/// What an update has moved.
pub(super) struct Moves {
    /// All that it has painted.
    pub(super) painted: Region,
    /// Where pixels are now, and where they were.
    pub(super) moves: Vec<(Rect, Point)>,
    /// What it has painted besides.
    pub(super) rest: Region,
    /// Viewers that had all of the picture before it.
    pub(super) for_whom: Vec<ViewerId>,
}

/// A server in the guest that is through the handshake.
pub(super) struct Graphics {
    pub(super) id: UpstreamId,
    pub(super) connection: ClientConnection,
    /// How it is connected, for people.
    pub(super) origin: String,
    /// What it calls its desktop; guest text.
    pub(super) name: String,
    /// Viewers are moved here as soon as there is a picture.
    pub(super) awaited: bool,
    /// The shape of its pointer; `None` when it never said.
    cursor: Option<Option<CursorImage>>,
    /// Where its pointer is, as far as anybody has said.
    pointer_at: Option<Point>,
    /// The pointer, for viewers who do not draw it themselves; counted up with every change.
    sprite: Option<Sprite>,
    sprite_version: u64,
    /// What was cut in the guest last, and how often something was.
    pub(super) cut: (u64, String),
    /// Which of its keyboard's lamps are lit; `None` when it never said.
    pub(super) leds: Option<LedState>,
    /// Who asked for another size and waits for the answer.
    pub(super) resize_for: Option<ViewerId>,
    /// How far what it sends is passed on instead of painted.
    pub(super) relay: Relay,
    /// What of the canvas has never been painted, or is old.
    missing: Region,
    /// When the canvas was last brought up to date.
    whole_at: Option<Instant>,
    /// Somebody has come to look since the last turn.
    entered: bool,
    /// A part of an update is in the canvas, the rest is on its way; set when the part came.
    torn_until: Option<Instant>,
    /// Viewers wait for news that may be on their way.
    hold_until: Option<Instant>,
    /// Pixels of the update that comes in.
    painted: u64,
    /// What it has painted, and which viewers had all of the picture before it.
    fresh: Region,
    current: Vec<ViewerId>,
    /// Scrolls that the server does not tell of; `None` when it tells of some.
    scrolls: Option<Scrolls>,
    /// The last update was a small one; and the credit for more of them.
    was_small: bool,
    small: Credit,
    /// The next update may be asked for then.
    ask_at: Option<Instant>,
}

impl fmt::Debug for Graphics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Graphics").field("id", &self.id).field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl Graphics {
    /// The server behind a connection that is through the handshake.
    pub(super) fn new(id: UpstreamId, connection: ClientConnection, origin: String, name: String) -> Self {
        let missing = connection.canvas().size().rect().into();
        Self {
            id,
            connection,
            missing,
            relay: Relay::default(),
            origin,
            name,
            awaited: false,
            cursor: None,
            pointer_at: None,
            sprite: None,
            sprite_version: 0,
            cut: (0, String::new()),
            leds: None,
            resize_for: None,
            whole_at: None,
            entered: false,
            torn_until: None,
            hold_until: None,
            painted: 0,
            fresh: Region::new(),
            current: Vec::new(),
            scrolls: Some(Scrolls::default()),
            was_small: false,
            small: Credit::new(Pace::FRAMES),
            ask_at: None,
        }
    }

    /// What it shows.
    pub(super) fn canvas(&self) -> &Canvas {
        self.connection.canvas()
    }

    /// Its size in pixels.
    pub(super) fn size(&self) -> Size {
        self.canvas().size()
    }

    /// True when there is a whole picture.
    pub(super) fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }

    /// Somebody begins to look.
    pub(super) const fn enter(&mut self) {
        self.entered = true;
    }

    /// A part of an update is there.
    pub(super) fn part(&mut self, rect: Rect, now: Instant) {
        self.painted += u64::from(rect.area());
        self.missing.remove(rect);
        self.torn_until.get_or_insert(now + TORN);
    }

    /// Pixels of an update have been painted; `viewers` are those who have all of the picture as it was before.
    pub(super) fn painted(&mut self, rect: Rect, viewers: impl Iterator<Item = ViewerId>) {
        if self.fresh.is_empty() {
            self.current.clear();
            self.current.extend(viewers);
        }
        self.fresh.add(rect);
    }

    /// The server moves pixels itself: there is nothing to be found besides.
    pub(super) fn moves_itself(&mut self) {
        self.scrolls = None;
        self.current.clear();
    }

    /// What an update that is whole has moved without saying so: the moves, what is to be painted besides, and for whom.
    pub(super) fn find_moves(&mut self) -> Option<Moves> {
        let painted = std::mem::take(&mut self.fresh);
        let for_whom = std::mem::take(&mut self.current);
        let moves = self.scrolls.as_mut()?.find(self.connection.canvas(), &painted);
        if moves.is_empty() || for_whom.is_empty() {
            return None;
        }
        let mut rest = painted.clone();
        moves.iter().for_each(|(destination, _)| rest.remove(*destination));
        Some(Moves { painted, moves, rest, for_whom })
    }

    /// A part of an update is there, to be passed on.
    pub(super) fn relayed(&mut self, rect: Rect, now: Instant) {
        self.painted += u64::from(rect.area());
        self.torn_until.get_or_insert(now + TORN);
        if !self.relay.is_on() && self.is_complete() {
            // It came late: the canvas lacks it.
            self.forget_picture(true, now);
        }
    }

    /// The canvas is old, until the server has sent everything once more; viewers who look wait for that.
    pub(super) fn forget_picture(&mut self, looked_at: bool, now: Instant) {
        self.connection.forget_canvas();
        // What viewers have is not what the canvas had.
        self.scrolls.as_mut().map(std::mem::take);
        self.current.clear();
        self.missing = self.size().rect().into();
        if looked_at {
            self.hold_until = Some(now + FIRST);
            self.connection.request_update(true);
        }
    }

    /// True while a part of an update is there, and the rest on its way.
    pub(super) const fn is_torn(&self) -> bool {
        self.torn_until.is_some()
    }

    /// True when the picture is whole and shown.
    pub(super) fn is_settled(&self) -> bool {
        self.is_complete() && self.torn_until.is_none() && self.hold_until.is_none()
    }

    /// The canvas has another size. Viewers see it with its picture.
    pub(super) fn resized(&mut self, now: Instant) {
        self.missing = self.size().rect().into();
        self.hold_until = Some(now + FIRST);
        self.resize_for = None;
    }

    /// An update is whole. True when it makes the first whole picture. One without pixels, which may tell of names and
    /// pointers before the picture that was asked for, brings nothing up to date.
    pub(super) fn whole(&mut self, now: Instant) -> bool {
        self.torn_until = None;
        let painted = std::mem::take(&mut self.painted);
        self.was_small = painted <= SMALL_PIXELS;
        if self.relay.is_on() {
            return false;
        }
        if painted == 0 || !self.is_complete() {
            self.ask_again(now);
            return false;
        }
        self.hold_until = None;
        self.whole_at.replace(now).is_none()
    }

    /// True when viewers may be shown the canvas as it is.
    pub(super) fn is_showable(&mut self, now: Instant) -> bool {
        if std::mem::take(&mut self.entered) {
            // While a request is out, whatever changes is sent: then the canvas is up to date already.
            let recent = self.whole_at.is_some_and(|at| now < at + RECENT);
            let current = self.is_complete() && (recent || self.connection.is_waiting());
            self.connection.request_update(true);
            if !current {
                self.hold_until = Some(now + if self.is_complete() { FRESH } else { FIRST });
            }
        }
        self.torn_until.is_none() && self.hold_until.is_none()
    }

    /// Asks for the next update, of what viewers do not have yet, unless it is too early for one. The first request asks for
    /// everything by itself. To ask for that again would get nowhere with TigerVNC's server, which answers it with the
    /// layout of its screens alone, and sends the pixels with the incremental request after it.
    pub(super) fn ask(&mut self, now: Instant) {
        if self.torn_until.is_some() || self.connection.is_waiting() {
            return;
        }
        if self.was_small && !self.small.take(now) {
            self.ask_at = self.small.available_at(now);
            return;
        }
        self.connection.request_update(true);
    }

    /// Asks once more when somebody waits for a picture: the last request was answered without one.
    fn ask_again(&mut self, now: Instant) {
        if self.hold_until.is_some() || self.awaited {
            self.ask(now);
        }
    }

    /// When viewers are shown what there is, or the next update may be asked for, if nothing comes before.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.torn_until.into_iter().chain(self.hold_until).chain(self.ask_at).min()
    }

    /// Time has passed.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.torn_until.take_if(|until| *until <= now).is_some() {
            // Viewers are shown a part of the update: neither the old picture nor the new one.
            self.current.clear();
        }
        self.hold_until.take_if(|until| *until <= now);
        if self.ask_at.take_if(|at| *at <= now).is_some() {
            self.ask_again(now);
        }
    }

    /// Passes a key on.
    pub(super) fn key(&mut self, keysym: Keysym, keycode: Option<u32>, pressed: bool) {
        self.connection.key(keysym, keycode, pressed);
        self.expect_answer();
    }

    /// Somebody did something: what the display answers is wanted at once, however much it has said before.
    fn expect_answer(&mut self) {
        self.small = Credit::new(Pace::FRAMES);
        self.ask_at = None;
    }

    /// Passes the pointer on; returns where it was put, which is inside of the picture.
    pub(super) fn pointer(&mut self, buttons: u16, x: u16, y: u16) -> (u16, u16) {
        let size = self.size();
        let (x, y) = (x.min(size.width.saturating_sub(1)), y.min(size.height.saturating_sub(1)));
        self.connection.pointer(buttons, x, y);
        self.expect_answer();
        self.pointer_moved(Point { x, y });
        (x, y)
    }

    /// The shape of its pointer; `None` when it never said.
    pub(super) const fn cursor(&self) -> Option<&Option<CursorImage>> {
        self.cursor.as_ref()
    }

    /// Its pointer has this shape now.
    pub(super) fn set_cursor(&mut self, cursor: Option<CursorImage>) {
        self.cursor = Some(cursor);
        self.place_sprite();
    }

    /// Its pointer is here now.
    pub(super) fn pointer_moved(&mut self, place: Point) {
        if self.pointer_at != Some(place) {
            self.pointer_at = Some(place);
            self.place_sprite();
        }
    }

    /// The pointer as a part of the picture, and a number that changes with it.
    pub(super) fn sprite(&self) -> (Option<&Sprite>, u64) {
        (self.sprite.as_ref(), self.sprite_version)
    }

    fn place_sprite(&mut self) {
        self.sprite_version += 1;
        self.sprite = match (&self.cursor, self.pointer_at) {
            (Some(Some(cursor)), Some(place)) => Some(Sprite {
                x: i32::from(place.x) - i32::from(cursor.hotspot.x),
                y: i32::from(place.y) - i32::from(cursor.hotspot.y),
                picture: Picture { size: cursor.size, pixels: cursor.pixels.clone() },
                opacity: Some(cursor.opacities()),
            }),
            _ => None,
        };
    }
}
