//! Scrolls that nobody told of: large parts of a picture that are what was above or below them a moment ago.
//!
//! A server that sends CopyRect finds its scrolls itself. For others, a hash is kept of each row of each band of
//! [`BAND`] columns. When an update is complete, the hashes of what it painted are made anew and compared with those of
//! before: the distance by which most rows have moved is found in a few bands, and in every band the longest stretch
//! of rows that have moved by it. Neighbouring bands that agree become one rectangle.
//!
//! The model of cost: a CopyRect is 16 bytes; painting takes at best a byte for some dozens of pixels, and some
//! nanoseconds a pixel on either side. So a move is worth it from [`MOVE_PIXELS`] on, and looking for one, which takes
//! about a nanosecond a pixel and memory of a sixteenth of the picture, from [`SEARCH_PIXELS`] on.
//!
//! Hashes have 64 bits. Who would draw two different rows with one hash could do so in a picture of its own only.

use std::collections::BTreeMap;

use crate::geometry::{Point, Rect, Region, Size};
use crate::rfb::encoding::canvas::Canvas;
use crate::rfb::tile::Colour;

/// The width of a band in pixels; bands begin at multiples of it.
pub const BAND: u16 = 32;

/// A scroll is looked for in updates of so many pixels.
pub const SEARCH_PIXELS: u64 = 16 * 1024;

/// A move has so many pixels at least.
pub const MOVE_PIXELS: u32 = 4 * 1024;

/// A distance is believed when so many rows tell it.
const VOTES: u32 = 16;

/// In so many bands rows are asked for the distance.
const ASKED: usize = 4;

/// A band joins its neighbour when at least so many quarters of the rows stay.
const QUARTERS: u16 = 3;

/// A picture's hashes.
#[derive(Debug, Default)]
pub struct Scrolls {
    size: Size,
    /// Of the last complete picture, band by band, each from the top down; empty before the first.
    hashes: Vec<u64>,
    next: Vec<u64>,
}

impl Scrolls {
    /// What an update has moved: the destinations, and the upper left corners of where the pixels were. `canvas` shows
    /// the picture after the update, and `painted` is all that the update has changed. No destination overlaps another's
    /// source, so that their order does not matter. Nothing is found in the first update, and in the first of a new size.
    pub fn find(&mut self, canvas: &Canvas, painted: &Region) -> Vec<(Rect, Point)> {
        let size = canvas.size();
        if size != self.size || self.hashes.is_empty() {
            self.size = size;
            self.hashes = vec![0; usize::from(size.width.div_ceil(BAND)) * usize::from(size.height)];
            self.next = self.hashes.clone();
            self.hash(canvas, size.rect());
            self.hashes.clone_from(&self.next);
            return Vec::new();
        }
        painted.rects().iter().for_each(|rect| self.hash(canvas, rect.intersect(size.rect())));
        let mut moves = Vec::new();
        let bounds = painted.bounds().intersect(size.rect());
        if painted.area() >= SEARCH_PIXELS
            && let Some(distance) = self.distance(bounds)
        {
            moves = self.moves(bounds, distance);
        }
        // Cheaper than to look for what is different.
        self.hashes.clone_from(&self.next);
        moves
    }

    /// Makes the hashes anew that `rect` takes part in.
    fn hash(&mut self, canvas: &Canvas, rect: Rect) {
        if rect.is_empty() {
            return;
        }
        let width = usize::from(self.size.width);
        for band in bands(rect) {
            let left = usize::from(band * BAND);
            let right = (left + usize::from(BAND)).min(width);
            for y in rect.y..rect.y + rect.height {
                let start = usize::from(y) * width;
                let row = canvas.pixels().get(start + left..start + right).unwrap_or_default();
                let at = self.at(band, y);
                if let Some(hash) = self.next.get_mut(at) {
                    *hash = hash_of(row);
                }
            }
        }
    }

    fn at(&self, band: u16, y: u16) -> usize {
        usize::from(band) * usize::from(self.size.height) + usize::from(y)
    }

    /// The hashes of a band, before and after.
    fn band(&self, band: u16) -> (&[u64], &[u64]) {
        let (start, end) = (self.at(band, 0), self.at(band + 1, 0));
        (self.hashes.get(start..end).unwrap_or_default(), self.next.get(start..end).unwrap_or_default())
    }

    /// By how many rows most of what has changed has moved: what is in row y now was in row y + distance.
    fn distance(&self, bounds: Rect) -> Option<i32> {
        let all = bands(bounds);
        let step = all.len().div_ceil(ASKED).max(1);
        let mut votes: BTreeMap<i32, u32> = BTreeMap::new();
        for band in all.step_by(step) {
            let (before, after) = self.band(band);
            // What scrolls stays where changes are.
            let (top, rows) = (usize::from(bounds.y), usize::from(bounds.height));
            let mut places: Vec<(u64, usize)> =
                before.iter().enumerate().skip(top).take(rows).map(|(y, hash)| (*hash, y)).collect();
            places.sort_unstable();
            for y in usize::from(bounds.y)..usize::from(bounds.y + bounds.height) {
                let (Some(hash), Some(old)) = (after.get(y), before.get(y)) else { continue };
                if hash == old {
                    continue;
                }
                // A row that is there more than once, such as an empty one, tells nothing.
                let first = places.partition_point(|(other, _)| other < hash);
                let twice = places.get(first + 1).is_some_and(|(other, _)| other == hash);
                if let Some((_, from)) = places.get(first).filter(|(other, _)| other == hash && !twice) {
                    let to_i32 = |n: usize| i32::try_from(n).unwrap_or(0);
                    *votes.entry(to_i32(*from) - to_i32(y)).or_default() += 1;
                }
            }
        }
        let (distance, votes) = votes.into_iter().max_by_key(|(_, votes)| *votes)?;
        (votes >= VOTES).then_some(distance)
    }

    /// The longest stretch of rows of a band that have moved, if any of them shows something else than before.
    fn stretch(&self, band: u16, bounds: Rect, distance: i32) -> Option<(u16, u16)> {
        let (before, after) = self.band(band);
        let (mut best, mut start, mut changed) = ((0, 0), bounds.y, 0u16);
        let mut most = 0;
        for y in bounds.y..bounds.y + bounds.height {
            let from = usize::try_from(i32::from(y) + distance).ok();
            let old = from.and_then(|from| before.get(from));
            let (have, had) = (after.get(usize::from(y)), before.get(usize::from(y)));
            if old.is_none() || old != have {
                (start, changed) = (y + 1, 0);
                continue;
            }
            changed += u16::from(have != had);
            if changed > most {
                (most, best) = (changed, (start, y + 1));
            }
        }
        (most > 0).then_some(best)
    }

    fn moves(&self, bounds: Rect, distance: i32) -> Vec<(Rect, Point)> {
        let mut moves = Vec::new();
        // The first band of the rectangle that grows, and its rows.
        let mut grows: Option<(u16, (u16, u16))> = None;
        let mut end = |first: u16, behind: u16, (top, bottom): (u16, u16)| {
            let left = first * BAND;
            let width = (behind * BAND).min(self.size.width) - left;
            let rect = Rect::new(left, top, width, bottom - top);
            if let Ok(y) = u16::try_from(i32::from(top) + distance)
                && rect.area() >= MOVE_PIXELS
            {
                moves.push((rect, Point { x: left, y }));
            }
        };
        let all = bands(bounds);
        let behind = all.end;
        for band in all {
            let found = self.stretch(band, bounds, distance);
            grows = match (grows, found) {
                (None, found) => found.map(|rows| (band, rows)),
                (Some((first, rows)), found) => {
                    let both = found.map(|found| (rows.0.max(found.0), rows.1.min(found.1)));
                    let height = |rows: (u16, u16)| u32::from(rows.1.saturating_sub(rows.0));
                    let most = height(rows).max(found.map_or(0, height));
                    match both.filter(|both| height(*both) * 4 >= most * u32::from(QUARTERS)) {
                        Some(both) => Some((first, both)),
                        None => {
                            end(first, band, rows);
                            found.map(|rows| (band, rows))
                        }
                    }
                }
            };
        }
        if let Some((first, rows)) = grows {
            end(first, behind, rows);
        }
        moves
    }
}

/// The bands that a rectangle, which is not empty, takes part in.
fn bands(rect: Rect) -> std::ops::Range<u16> {
    rect.x / BAND..(rect.x + rect.width).div_ceil(BAND)
}

fn hash_of(row: &[Colour]) -> u64 {
    // The odd number nearest to 2^64 divided by the golden ratio, as in Fibonacci hashing.
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(FACTOR).rotate_left(29);
    let (groups, rest) = row.as_chunks::<8>();
    // Four at a time, which do not wait for each other.
    let mut lanes = [1, 2, 3, 4].map(|lane| FACTOR.wrapping_mul(lane));
    for [a, b, c, d, e, f, g, h] in groups {
        let words = [(a, b), (c, d), (e, f), (g, h)].map(|(a, b)| u64::from(a.0) << 32 | u64::from(b.0));
        for (lane, word) in lanes.iter_mut().zip(words) {
            *lane = mix(*lane, word);
        }
    }
    let hash = rest.iter().map(|colour| u64::from(colour.0)).chain(lanes).fold(FACTOR, mix);
    hash ^ hash >> 29
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SIZE: Size = Size::new(300, 200);

    /// Pixels that are nearly all different, and some rows of one colour.
    fn picture(seed: u32) -> Canvas {
        let mut canvas = Canvas::new(SIZE);
        paint(&mut canvas, SIZE.rect(), seed);
        canvas.fill(Rect::new(0, 50, SIZE.width, 9), Colour::WHITE);
        canvas
    }

    fn paint(canvas: &mut Canvas, rect: Rect, seed: u32) {
        let mut state = seed.wrapping_mul(0x9e37_79b1) | 1;
        let pixels: Vec<_> = (0..rect.area())
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                Colour(state & 0x00ff_ffff)
            })
            .collect();
        canvas.put(rect, &pixels);
    }

    /// Moves the contents of `window` up by so many rows, or down, and paints what that leaves.
    fn scroll(canvas: &mut Canvas, window: Rect, rows: i32, seed: u32) {
        let by = u16::try_from(rows.unsigned_abs()).expect("small").min(window.height);
        let kept = Rect { height: window.height - by, ..window };
        let (to, from) = if rows > 0 { (window.y, window.y + by) } else { (window.y + by, window.y) };
        canvas.copy(Rect { y: to, ..kept }, Point { x: window.x, y: from });
        let exposed = if rows > 0 { window.y + window.height - by } else { window.y };
        paint(canvas, Rect { y: exposed, height: by, ..window }, seed);
    }

    #[test]
    fn a_window_that_scrolls_is_moved() {
        let window = Rect::new(32, 10, 224, 180);
        for rows in [16, -16, 3, -40] {
            let mut scrolls = Scrolls::default();
            let mut canvas = picture(1);
            assert_eq!(scrolls.find(&canvas, &SIZE.rect().into()), [], "the first picture");
            scroll(&mut canvas, window, rows, 2);
            let by = u16::try_from(rows.unsigned_abs()).expect("small");
            let (to, from) = if rows > 0 { (10, 10 + by) } else { (10 + by, 10) };
            let wanted = (Rect::new(32, to, 224, 180 - by), Point { x: 32, y: from });
            assert_eq!(scrolls.find(&canvas, &window.into()), [wanted], "{rows}");
            // What has not moved since has not moved.
            assert_eq!(scrolls.find(&canvas, &window.into()), []);
        }
    }

    #[test]
    fn the_inside_of_a_window_is_moved_wherever_its_edges_are() {
        let (mut scrolls, mut canvas) = (Scrolls::default(), picture(1));
        scrolls.find(&canvas, &SIZE.rect().into());
        let window = Rect::new(20, 10, 250, 150);
        scroll(&mut canvas, window, 13, 5);
        // The bands at the edges have parts that stay.
        assert_eq!(
            scrolls.find(&canvas, &window.into()),
            [(Rect::new(32, 10, 224, 137), Point { x: 32, y: 23 })]
        );
    }

    #[test]
    fn a_film_is_no_scroll_and_small_changes_are_not_looked_at() {
        let (mut scrolls, mut canvas) = (Scrolls::default(), picture(1));
        scrolls.find(&canvas, &SIZE.rect().into());
        paint(&mut canvas, SIZE.rect(), 9);
        assert_eq!(scrolls.find(&canvas, &SIZE.rect().into()), []);
        let small = Rect::new(64, 0, 64, 200);
        scroll(&mut canvas, small, 8, 3);
        assert_eq!(scrolls.find(&canvas, &small.into()), []);
    }

    proptest! {
        #[test]
        fn moves_and_paint_make_the_picture(
            steps in proptest::collection::vec((0u16..280, 0u16..180, 20u16..300, 20u16..200, -60i32..60, 0u8..4), 1..8),
        ) {
            let mut canvas = picture(1);
            let mut scrolls = Scrolls::default();
            scrolls.find(&canvas, &SIZE.rect().into());
            for (seed, (x, y, width, height, rows, kind)) in (2u32..).zip(steps) {
                let before = canvas.clone();
                let window = Rect::new(x, y, width, height).intersect(SIZE.rect());
                let mut painted = Region::from(window);
                match kind {
                    0 => paint(&mut canvas, window, seed),
                    1 => canvas.fill(window, Colour::WHITE),
                    _ => scroll(&mut canvas, window, rows, seed),
                }
                if kind == 3 {
                    let other = Rect::new(y, x / 2, 60, 40).intersect(SIZE.rect());
                    paint(&mut canvas, other, seed + 100);
                    painted.add(other);
                }
                let mut shown = before;
                for (destination, source) in scrolls.find(&canvas, &painted) {
                    prop_assert!(destination.area() >= MOVE_PIXELS);
                    shown.copy(destination, source);
                    painted.remove(destination);
                }
                for rect in painted.rects() {
                    for y in rect.y..rect.y + rect.height {
                        let start = usize::from(y) * usize::from(SIZE.width) + usize::from(rect.x);
                        let row = &canvas.pixels()[start..start + usize::from(rect.width)];
                        shown.put(Rect { y, height: 1, ..*rect }, row);
                    }
                }
                prop_assert!(shown == canvas);
            }
        }
    }
}
