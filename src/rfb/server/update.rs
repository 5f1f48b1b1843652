//! What a viewer is sent: one FramebufferUpdate for each request (RFC 6143 §7.6.1), as far as there is something
//! to say.
//!
//! Once an update's header is in the output, its rectangles must follow. A large update is therefore written in
//! portions; while one is under way nothing else may be written, and it keeps the pixel format and encoding that it
//! began with.

use super::COPIES;
use super::event::{Damage, UpdateOutcome};
use super::relay::Streams;
use super::wishes::{CursorForm, Wishes};
use crate::geometry::{Point, Rect, Region, Size};
use crate::rfb::encoding::pseudo::{self, CursorImage, LayoutReason, LedState};
use crate::rfb::encoding::{Encoder, Encoding, PictureEncoding, copyrect, tight};
use crate::rfb::message::server::RECTS_UNTIL_LAST;
use crate::rfb::message::{RectHeader, Screen, ServerMessage};
use crate::rfb::pixel_format::{ColourModel, PixelFormat, Translator, cube_entry};
use crate::rfb::plan::{Cost, merge};
use crate::rfb::tile::TileSource;

/// An update's next portion waits when the output holds this many bytes.
const PORTION_BYTES: usize = 256 * 1024;

/// The most pixels of a rectangle that is not compressed: 256 KiB of 32 bits each.
const PLAIN_PIXELS: u32 = 64 * 1024;

/// The most pixels of a rectangle in RRE, which may take 12 bytes for each.
const RRE_PIXELS: u32 = 16 * 1024;

/// The sides of a rectangle in CoRRE, in pixels: below 256, and whole tiles of other encodings.
const COMPACT_SIDE: u16 = 240;

/// The most pixels of a compressed rectangle, so that an 80x25 console is one; 1 MiB of 32 bits each if nothing
/// compresses.
const COMPRESSED_PIXELS: u32 = 256 * 1024;

/// The most rectangles of an update's picture; more are sent with the next one.
const PIECES: usize = 16 * 1024;

/// Pieces are no longer cut when so many rectangles were added to them. One piece adds at most 4096, so that the count
/// of an update's rectangles fits into 16 bits.
const MORE_RECTS: usize = 32 * 1024;

/// Where in an update's header the number of its rectangles is.
const RECTS_AT: usize = 2;

/// The one screen's number. Not 0, which some viewers take for "none".
const SCREEN_ID: u32 = 1;

/// Things to be told with the next update.
#[derive(Debug, Default)]
struct News {
    layout: Option<LayoutReason>,
    name: bool,
    cursor: bool,
    leds: bool,
    extended_key: bool,
    extended_buttons: bool,
}

/// An update whose header has been written.
struct Flight {
    /// What is left of it, the last one first.
    pieces: Vec<Rect>,
    encoding: PictureEncoding,
    /// The header tells no number of rectangles: LastRect ends them.
    until_last: bool,
}

/// One viewer's updates.
pub(super) struct Updates {
    translator: Translator,
    /// The format that the next update begins with.
    next_format: Option<PixelFormat>,
    wishes: Wishes,
    /// What was told once and need not be again.
    layout_told: bool,
    keys_told: bool,
    buttons_told: bool,
    viewer_size: Size,
    screen_size: Size,
    news: News,
    cursor: Option<Option<CursorImage>>,
    leds: Option<LedState>,
    /// The area whose changes are sent without being asked for (ContinuousUpdates).
    continuous: Option<Rect>,
    /// Bounds of the areas asked for and not answered.
    asked: Option<Rect>,
    /// What is to be sent whatever the damage, inside of what is asked.
    requested: Region,
    /// The same outside of it.
    owed: Region,
    flight: Option<Flight>,
    encoder: Encoder,
    pub(super) streams: Streams,
}

impl Updates {
    pub(super) fn new(size: Size) -> Self {
        Self {
            translator: Translator::new(PixelFormat::RGB888),
            next_format: None,
            wishes: Wishes::default(),
            layout_told: false,
            keys_told: false,
            buttons_told: false,
            viewer_size: size,
            screen_size: size,
            news: News::default(),
            cursor: None,
            leds: None,
            continuous: None,
            asked: None,
            requested: Region::new(),
            owed: Region::new(),
            flight: None,
            encoder: Encoder::default(),
            streams: Streams::default(),
        }
    }

    /// The size that the viewer is told at first. It knows nothing of the picture yet.
    pub(super) fn start(&mut self) -> Size {
        self.viewer_size = self.screen_size;
        self.owed = self.viewer_size.rect().into();
        self.viewer_size
    }

    pub(super) fn viewer_size(&self) -> Size {
        self.viewer_size
    }

    pub(super) fn requested(&self) -> &Region {
        &self.requested
    }

    pub(super) fn wanted(&self) -> bool {
        self.flight.is_some() || self.asked.is_some() || self.answer_due()
    }

    /// True when the viewer waits for the answer to its SetDesktopSize. It must have it as soon as possible, asked for or
    /// not: libvncclient asks for nothing until then.
    fn answer_due(&self) -> bool {
        self.news.layout.is_some_and(|reason| reason.by == LayoutReason::VIEWER)
    }

    pub(super) fn is_partial(&self) -> bool {
        self.flight.is_some()
    }

    pub(super) fn buttons_acknowledged(&self) -> bool {
        self.buttons_told
    }

    pub(super) fn resize_due(&self) -> bool {
        self.viewer_size != self.screen_size && self.wishes.resizes()
    }

    /// How many rectangles of news the next update with pixels has.
    pub(super) fn news_rects(&self) -> u16 {
        let News { layout: _, name, cursor, leds, extended_key, extended_buttons } = &self.news;
        u16::from(*name)
            + u16::from(*cursor)
            + u16::from(*leds)
            + u16::from(*extended_key)
            + u16::from(*extended_buttons)
    }

    pub(super) fn has_news(&self) -> bool {
        self.resize_due() || self.news.layout.is_some() || self.news_rects() > 0
    }

    pub(super) fn set_format(&mut self, format: PixelFormat) {
        self.next_format = Some(format);
    }

    pub(super) fn set_encodings(&mut self, encodings: &[Encoding]) {
        let native = self.format() == PixelFormat::RGB888;
        let (picture, relay) = self.streams.choose(encodings, native, self.encoder.has_begun_zrle());
        self.wishes = Wishes { picture, relay, ..Wishes::new(encodings) };
        let Self { wishes, news, .. } = self;
        // A viewer may resize only after it has seen an ExtendedDesktopSize; the keys and buttons alike.
        match (wishes.extended_desktop_size, self.layout_told) {
            (true, false) => news.layout = news.layout.or(Some(LayoutReason::SERVER)),
            (false, _) => news.layout = None,
            (true, true) => {}
        }
        news.extended_key = wishes.extended_key && !self.keys_told;
        news.extended_buttons = wishes.extended_buttons && !self.buttons_told;
        news.name &= wishes.desktop_name;
        news.cursor = wishes.cursor.is_some() && self.cursor.is_some();
        news.leds = wishes.leds.is_some() && self.leds.is_some();
    }

    pub(super) fn wishes(&self) -> &Wishes {
        &self.wishes
    }

    /// The pixel format that the next update has.
    pub(super) fn format(&self) -> PixelFormat {
        self.next_format.unwrap_or(*self.translator.format())
    }

    /// True when the next update has to be one without pixels.
    pub(super) fn is_bare_due(&self) -> bool {
        self.resize_due() || self.news.layout.is_some()
    }

    /// True when nothing is to be sent whatever the damage.
    pub(super) fn owes_nothing(&self) -> bool {
        self.requested.is_empty() && self.owed.is_empty()
    }

    /// False when an update of less than `area` is asked for.
    pub(super) fn asks_for_all_of(&self, area: Rect) -> bool {
        self.asked.is_none_or(|asked| asked.contains(area))
    }

    /// Counts the request as answered if it is one of all of `area`.
    pub(super) fn take_request_of(&mut self, area: Rect) -> bool {
        let takes = self.asked.is_some_and(|asked| asked.contains(area));
        if takes {
            self.asked = None;
            self.keep_asking();
        }
        takes
    }

    pub(super) fn is_continuous(&self) -> bool {
        self.continuous.is_some()
    }

    /// From now on the changes of an area are sent without being asked for, or no longer.
    pub(super) fn set_continuous(&mut self, area: Option<Rect>) {
        let ends = self.continuous.is_some() && area.is_none();
        self.continuous = area;
        if ends && self.requested.is_empty() {
            // What was asked for incrementally in the meantime was not counted.
            self.asked = None;
        }
        self.keep_asking();
    }

    /// Continuous updates are an incremental request that never ends.
    fn keep_asking(&mut self) {
        if let Some(area) = self.continuous {
            let area = area.intersect(self.viewer_size.rect());
            self.asked = Some(self.asked.unwrap_or_default().union(area));
            self.promote();
        }
    }

    /// An update of `area` is wanted. Returns the part of it in the viewer's framebuffer.
    pub(super) fn ask(&mut self, incremental: bool, area: Rect) -> Rect {
        let area = area.intersect(self.viewer_size.rect());
        if incremental && self.continuous.is_some() {
            return area;
        }
        self.asked = Some(self.asked.unwrap_or_default().union(area));
        if !incremental {
            self.owed.add(area);
        }
        self.promote();
        area
    }

    /// Moves what is owed inside of what is asked to what is requested.
    fn promote(&mut self) {
        let Some(asked) = self.asked else { return };
        if asked.is_empty() || self.owed.is_empty() {
            return;
        }
        for rect in self.owed.rects() {
            self.requested.add(rect.intersect(asked));
        }
        self.owed.remove(asked);
    }

    pub(super) fn resize(&mut self, size: Size, ready: bool) {
        if size == self.screen_size {
            return;
        }
        self.screen_size = size;
        if ready {
            // Should the viewer not follow, what it shows changes at the edges.
            self.owed.add(self.viewer_size.rect());
            self.promote();
        }
    }

    /// The answer to SetDesktopSize; 0 is yes.
    pub(super) fn answer_resize(&mut self, status: u16) {
        if self.wishes.extended_desktop_size {
            self.news.layout = Some(LayoutReason { by: LayoutReason::VIEWER, status });
        }
    }

    pub(super) fn rename(&mut self) {
        self.news.name = self.wishes.desktop_name;
    }

    pub(super) fn draws_cursor(&self) -> bool {
        self.wishes.cursor.is_some()
    }

    pub(super) fn set_cursor(&mut self, cursor: Option<CursorImage>) {
        if self.cursor.as_ref() != Some(&cursor) {
            self.cursor = Some(cursor);
            self.news.cursor = self.wishes.cursor.is_some();
        }
    }

    pub(super) fn set_leds(&mut self, leds: LedState) {
        if self.leds != Some(leds) {
            self.leds = Some(leds);
            self.news.leds = self.wishes.leds.is_some();
        }
    }

    /// Begins an update or goes on with one.
    pub(super) fn write(
        &mut self,
        source: &dyn TileSource,
        damage: Damage<'_>,
        name: &str,
        out: &mut Vec<u8>,
    ) -> UpdateOutcome {
        if self.flight.is_some() {
            // The pieces of this update that are still to come may show what is newer than the damage: nothing of
            // them can be copied.
            let bounds = self.viewer_size.rect();
            damage.copies.iter().for_each(|(moved, _)| self.owed.add(moved.intersect(bounds)));
            damage.region.rects().iter().for_each(|rect| self.owed.add(rect.intersect(bounds)));
            self.promote();
            return self.fly(source, out, 0).0;
        }
        if self.asked.is_none() && !self.answer_due() {
            return UpdateOutcome::Nothing;
        }
        if self.resize_due() {
            self.apply_format(out);
            self.write_size(out);
            self.keep_asking();
            return UpdateOutcome::Complete;
        }
        if let Some(reason) = self.news.layout.take() {
            self.write_layout_alone(reason, out);
            // What the call was told of remains to be shown.
            damage.copies.iter().for_each(|(moved, _)| self.owed.add(*moved));
            self.owed.add_region(damage.region);
            self.owed.clip(self.viewer_size.rect());
            self.keep_asking();
            return UpdateOutcome::Complete;
        }
        let Some(asked) = self.asked else { return UpdateOutcome::Nothing };
        let (copies, mut picture) = self.plan(damage);
        let mut rest = picture.clone();
        rest.remove(asked);
        picture.clip(asked);
        let mut pieces = split(&picture, self.wishes.picture);
        let news = self.news_rects();
        if pieces.is_empty() && copies.is_empty() && news == 0 {
            return UpdateOutcome::Nothing;
        }
        pieces.drain(PIECES.min(pieces.len())..).for_each(|piece| rest.add(piece));
        // What was asked for as it is stays longer than what has only changed, as a rule.
        let whole = !self.requested.is_empty();
        self.asked = None;
        self.requested.clear();
        self.owed = rest;
        self.keep_asking();
        self.apply_format(out);
        let count = usize::from(news) + copies.len() + pieces.len();
        let header = out.len();
        ServerMessage::Update { rects: 0 }.encode(out);
        self.write_news(name, out);
        for (rect, from) in copies {
            RectHeader { rect, encoding: Encoding::COPY_RECT }.encode(out);
            copyrect::encode(from, out);
        }
        pieces.reverse();
        self.flight = Some(Flight { pieces, encoding: self.wishes.picture, until_last: false });
        let level = self.wishes.level;
        // Pixels as they are rely on the compressor for all; they would grow by half.
        let keep = whole || !source.has_pixels() || self.wishes.picture == PictureEncoding::Zlib;
        self.encoder.set_level(if keep { level } else { level.for_changes() });
        self.encoder.set_quality(self.wishes.quality, self.wishes.jpeg);
        let (outcome, more) = self.fly(source, out, MORE_RECTS);
        // Only now it is known how many rectangles the pieces have become; those that are still to come may become
        // several only if they need not be counted.
        let mut count = u16::try_from(count + more).unwrap_or(u16::MAX);
        if let Some(flight) = self.flight.as_mut().filter(|_| self.wishes.last_rect) {
            flight.until_last = true;
            count = RECTS_UNTIL_LAST;
        }
        out[header + RECTS_AT..][..2].copy_from_slice(&count.to_be_bytes());
        outcome
    }

    /// What to copy, in this order, and what to paint, for the viewer's whole framebuffer.
    fn plan(&self, damage: Damage<'_>) -> (Vec<(Rect, Point)>, Region) {
        let bounds = self.viewer_size.rect();
        let mut picture = self.requested.clone();
        picture.add_region(&self.owed);
        let mut copies = Vec::new();
        for &(destination, from) in damage.copies {
            let origin = Rect { x: from.x, y: from.y, ..destination };
            let useful = self.wishes.copy_rect
                && copies.len() < COPIES
                && !destination.is_empty()
                && bounds.contains(destination)
                && bounds.contains(origin)
                && self.asked.is_some_and(|asked| asked.contains(destination))
                && !picture.rects().iter().any(|rect| rect.contains(destination));
            if !useful {
                picture.add(destination);
                continue;
            }
            copies.push((destination, from));
            // What the viewer does not have at the origin, it does not have at the destination then.
            let missing: Vec<_> = picture.rects().iter().map(|rect| rect.intersect(origin)).collect();
            for rect in missing {
                let (x, y) = (rect.x.wrapping_sub(from.x), rect.y.wrapping_sub(from.y));
                picture.add(Rect {
                    x: destination.x.saturating_add(x),
                    y: destination.y.saturating_add(y),
                    ..rect
                });
            }
        }
        picture.add_region(damage.region);
        picture.clip(bounds);
        (copies, picture)
    }

    /// Encodes pieces until the update is complete or its output is large. As long as there were fewer than `more`
    /// additional rectangles, or when they are not counted, pieces may become several; returns how many were added.
    fn fly(&mut self, source: &dyn TileSource, out: &mut Vec<u8>, more: usize) -> (UpdateOutcome, usize) {
        let mut added = 0;
        while let Some(flight) = &mut self.flight {
            if out.len() >= PORTION_BYTES {
                return (UpdateOutcome::Partial, added);
            }
            let Some(rect) = flight.pieces.pop() else {
                self.flight = None;
                break;
            };
            let Flight { encoding, until_last, .. } = *flight;
            if added < more || until_last {
                let count = self.encoder.encode_rects(encoding, source, rect, &self.translator, out);
                added += usize::from(count).saturating_sub(1);
            } else {
                RectHeader { rect, encoding: encoding.number() }.encode(out);
                self.encoder.encode(encoding, source, rect, &self.translator, out);
            }
            if flight.pieces.is_empty() {
                self.flight = None;
                if until_last {
                    pseudo::encode_bare(Encoding::LAST_RECT, out);
                }
            }
        }
        (UpdateOutcome::Complete, added)
    }

    /// Changes to the pixel format that the viewer set last, and tells it the colours if it wants a map.
    pub(super) fn apply_format(&mut self, out: &mut Vec<u8>) {
        let Some(format) = self.next_format.take() else { return };
        if format != *self.translator.format() {
            self.translator = Translator::new(format);
        }
        if format.model() == ColourModel::ColourMap {
            let colours = (0..=u8::MAX).map(cube_entry).collect();
            ServerMessage::ColourMap { first: 0, colours }.encode(out);
        }
    }

    fn write_layout(&mut self, reason: LayoutReason, out: &mut Vec<u8>) {
        let size = self.viewer_size;
        let screen = Screen { id: SCREEN_ID, area: size.rect(), flags: 0 };
        pseudo::encode_extended_desktop_size(reason, size, &[screen], out);
        self.layout_told = true;
    }

    /// An update that tells the layout of screens. It must not have pixels (ExtendedDesktopSize in the community's
    /// specification), and answers the request; so what was requested is owed until the next.
    fn write_layout_alone(&mut self, reason: LayoutReason, out: &mut Vec<u8>) {
        ServerMessage::Update { rects: 1 }.encode(out);
        self.write_layout(reason, out);
        self.owed.add_region(&std::mem::take(&mut self.requested));
        self.asked = None;
    }

    /// An update that only changes the size. The viewer has nothing of the new picture then.
    fn write_size(&mut self, out: &mut Vec<u8>) {
        let answer = self.news.layout.take();
        let refusal = answer.filter(|reason| reason.status != 0 && self.wishes.extended_desktop_size);
        ServerMessage::Update { rects: 1 + u16::from(refusal.is_some()) }.encode(out);
        if let Some(reason) = refusal {
            // A viewer takes no size from a refusal: it is told by a rectangle of its own.
            self.write_layout(reason, out);
        }
        self.viewer_size = self.screen_size;
        self.asked = None;
        self.requested = self.viewer_size.rect().into();
        self.owed.clear();
        if self.wishes.extended_desktop_size {
            let reason = answer.filter(|reason| reason.status == 0).unwrap_or(LayoutReason::SERVER);
            self.write_layout(reason, out);
        } else {
            pseudo::encode_desktop_size(self.viewer_size, out);
        }
    }

    pub(super) fn write_news(&mut self, name: &str, out: &mut Vec<u8>) {
        let News { layout: _, name: renamed, cursor, leds, extended_key, extended_buttons } =
            std::mem::take(&mut self.news);
        if renamed {
            pseudo::encode_desktop_name(name, out);
        }
        if cursor {
            let image = self.cursor.as_ref().and_then(Option::as_ref);
            match self.wishes.cursor {
                Some(CursorForm::Alpha) => pseudo::encode_alpha_cursor(image, out),
                Some(CursorForm::VMware) => pseudo::encode_vmware_cursor(image, out),
                Some(CursorForm::TwoColours) => pseudo::encode_x_cursor(image, out),
                Some(CursorForm::Masked) | None => pseudo::encode_cursor(image, &self.translator, out),
            }
        }
        if leds {
            let encoding = self.wishes.leds.unwrap_or(Encoding::QEMU_LED_STATE);
            pseudo::encode_leds(encoding, self.leds.unwrap_or_default(), out);
        }
        if extended_key {
            pseudo::encode_bare(Encoding::QEMU_EXTENDED_KEY, out);
            self.keys_told = true;
        }
        if extended_buttons {
            pseudo::encode_bare(Encoding::EXTENDED_MOUSE_BUTTONS, out);
            self.buttons_told = true;
        }
    }
}

/// The rectangles of a region, from the top down, cut so that none is too large for one portion.
fn split(region: &Region, encoding: PictureEncoding) -> Vec<Rect> {
    let (most, grid, cost) = match encoding {
        PictureEncoding::Raw => (PLAIN_PIXELS, 1, Cost::RAW),
        PictureEncoding::Hextile | PictureEncoding::Trle => (PLAIN_PIXELS, 16, Cost::PLAIN),
        PictureEncoding::Rre => (RRE_PIXELS, 16, Cost::PLAIN),
        PictureEncoding::Zlib => (COMPRESSED_PIXELS, 1, Cost::COMPRESSED),
        PictureEncoding::Zrle => (COMPRESSED_PIXELS, 64, Cost::COMPRESSED),
        PictureEncoding::Tight | PictureEncoding::TightPng => (COMPRESSED_PIXELS, 16, Cost::COMPRESSED),
        PictureEncoding::CoRre => (RRE_PIXELS, 16, Cost::PLAIN),
    };
    let mut rects = merge(region.rects().to_vec(), cost);
    rects.sort_unstable_by_key(|rect| (rect.y, rect.x));
    let mut pieces = Vec::with_capacity(rects.len());
    for rect in rects {
        // The tiles' grid is kept, so that only the last piece of a rectangle has broken tiles.
        let compact = encoding == PictureEncoding::CoRre;
        let (wide, high) = if compact { (COMPACT_SIDE, COMPACT_SIDE) } else { (tight::MAX_WIDTH, u16::MAX) };
        let width = rect.width.min(wide);
        let rows = u16::try_from(most / u32::from(width.max(1))).unwrap_or(u16::MAX);
        let rows = (rows / grid * grid).max(grid).min(high);
        for y in (0..rect.height).step_by(usize::from(rows)) {
            for x in (0..rect.width).step_by(usize::from(width)) {
                let (width, height) = (width.min(rect.width - x), rows.min(rect.height - y));
                pieces.push(Rect::new(rect.x + x, rect.y + y, width, height));
            }
        }
    }
    pieces
}
