//! Points, sizes, rectangles and regions on a screen.
//!
//! All lengths are in pixels. RFB carries positions and sizes as unsigned 16-bit numbers (RFC 6143 §7.6.1), so
//! everything here is `u16`; sums are formed in `u32`.

/// A position on a screen, in pixels from its upper left corner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Point {
    /// Pixels from the left edge.
    pub x: u16,
    /// Pixels from the upper edge.
    pub y: u16,
}

/// The size of a screen or rectangle, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Size {
    /// Width in pixels.
    pub width: u16,
    /// Height in pixels.
    pub height: u16,
}

impl Size {
    /// A size of `width` by `height` pixels.
    #[must_use]
    pub const fn new(width: u16, height: u16) -> Self {
        Self { width, height }
    }

    /// The number of pixels.
    #[must_use]
    pub const fn area(self) -> u32 {
        self.width as u32 * self.height as u32
    }

    /// The rectangle of this size whose corner is the origin.
    #[must_use]
    pub const fn rect(self) -> Rect {
        Rect::new(0, 0, self.width, self.height)
    }
}

/// A rectangle of pixels: columns `x..x+width`, rows `y..y+height`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Rect {
    /// Left edge, in pixels.
    pub x: u16,
    /// Upper edge, in pixels.
    pub y: u16,
    /// Width in pixels.
    pub width: u16,
    /// Height in pixels.
    pub height: u16,
}

impl Rect {
    /// The rectangle at (`x`, `y`) of `width` by `height` pixels.
    #[must_use]
    pub const fn new(x: u16, y: u16, width: u16, height: u16) -> Self {
        Self { x, y, width, height }
    }

    /// True when it holds no pixel.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.width == 0 || self.height == 0
    }

    /// The number of pixels.
    #[must_use]
    pub const fn area(self) -> u32 {
        self.size().area()
    }

    /// Its size.
    #[must_use]
    pub const fn size(self) -> Size {
        Size::new(self.width, self.height)
    }

    /// Its upper left corner.
    #[must_use]
    pub const fn origin(self) -> Point {
        Point { x: self.x, y: self.y }
    }

    /// The first column right of it; may exceed `u16::MAX` for what a peer sent.
    #[must_use]
    pub const fn right(self) -> u32 {
        self.x as u32 + self.width as u32
    }

    /// The first row below it; may exceed `u16::MAX` for what a peer sent.
    #[must_use]
    pub const fn bottom(self) -> u32 {
        self.y as u32 + self.height as u32
    }

    /// The pixels that both have; an empty rectangle when there are none.
    #[must_use]
    pub fn intersect(self, other: Self) -> Self {
        let (x, y) = (self.x.max(other.x), self.y.max(other.y));
        let (right, bottom) = (self.right().min(other.right()), self.bottom().min(other.bottom()));
        // Each difference is at most the smaller width or height, hence fits.
        let width = u16::try_from(right.saturating_sub(u32::from(x))).unwrap_or(u16::MAX);
        let height = u16::try_from(bottom.saturating_sub(u32::from(y))).unwrap_or(u16::MAX);
        if width == 0 || height == 0 { Self::default() } else { Self { x, y, width, height } }
    }

    /// The smallest rectangle that holds both; an empty one adds nothing.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        if self.is_empty() {
            return other;
        }
        if other.is_empty() {
            return self;
        }
        let (x, y) = (self.x.min(other.x), self.y.min(other.y));
        let (right, bottom) = (self.right().max(other.right()), self.bottom().max(other.bottom()));
        Self {
            x,
            y,
            width: u16::try_from(right - u32::from(x)).unwrap_or(u16::MAX),
            height: u16::try_from(bottom - u32::from(y)).unwrap_or(u16::MAX),
        }
    }

    /// True when every pixel of `other` is in it; an empty rectangle is in every one.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        other.is_empty()
            || (other.x >= self.x
                && other.y >= self.y
                && other.right() <= self.right()
                && other.bottom() <= self.bottom())
    }
}

/// The most rectangles that a [`Region`] keeps apart; more are merged, so that damage is bounded for every
/// viewer however slow it is.
pub const REGION_RECTS: usize = 64;

/// A set of pixels as a bounded list of rectangles that do not overlap. It may grow to cover more than was
/// added (when [`REGION_RECTS`] is reached), never less.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Region {
    rects: Vec<Rect>,
}

impl Region {
    /// The empty region.
    #[must_use]
    pub const fn new() -> Self {
        Self { rects: Vec::new() }
    }

    /// True when it holds no pixel.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rects.is_empty()
    }

    /// Removes every pixel.
    pub fn clear(&mut self) {
        self.rects.clear();
    }

    /// Its rectangles, none empty, none overlapping another, in no particular order.
    #[must_use]
    pub fn rects(&self) -> &[Rect] {
        &self.rects
    }

    /// The number of pixels.
    #[must_use]
    pub fn area(&self) -> u64 {
        self.rects.iter().map(|r| u64::from(r.area())).sum()
    }

    /// The smallest rectangle that holds it.
    #[must_use]
    pub fn bounds(&self) -> Rect {
        self.rects.iter().fold(Rect::default(), |all, r| all.union(*r))
    }

    /// Adds the pixels of `rect`.
    pub fn add(&mut self, rect: Rect) {
        if rect.is_empty() || self.rects.iter().any(|r| r.contains(rect)) {
            return;
        }
        self.rects.retain(|r| !rect.contains(*r));
        // What is not covered yet is added in pieces, so that no pixel is sent twice.
        let mut pieces = vec![rect];
        for have in &self.rects {
            if pieces.iter().all(|p| p.intersect(*have).is_empty()) {
                continue;
            }
            pieces = pieces.into_iter().flat_map(|piece| subtract(piece, *have)).collect();
        }
        for piece in pieces {
            self.append(piece);
        }
        if self.rects.len() > REGION_RECTS {
            self.coarsen();
        }
    }

    /// Makes far fewer rectangles of many, so that the price of it is paid rarely; those are merged whose union covers
    /// the least that neither has.
    fn coarsen(&mut self) {
        while self.rects.len() > REGION_RECTS / 2 {
            let mut best: Option<(u64, usize, usize)> = None;
            for (j, b) in self.rects.iter().enumerate() {
                for (i, a) in self.rects[..j].iter().enumerate() {
                    let more = u64::from(a.union(*b).area()) - u64::from(a.area()) - u64::from(b.area());
                    if best.is_none_or(|(least, ..)| more < least) {
                        best = Some((more, i, j));
                    }
                }
            }
            let Some((_, i, j)) = best else { return };
            // `j` lies behind `i`, which therefore stays where it is.
            let mut union = self.rects.swap_remove(j);
            union = union.union(self.rects.swap_remove(i));
            // What the union overlaps becomes part of it: none may overlap another.
            while let Some(at) = self.rects.iter().position(|r| !r.intersect(union).is_empty()) {
                union = union.union(self.rects.swap_remove(at));
            }
            self.rects.push(union);
        }
    }

    /// Adds every pixel of `other`.
    pub fn add_region(&mut self, other: &Self) {
        for rect in &other.rects {
            self.add(*rect);
        }
    }

    /// Removes every pixel outside `bounds`.
    pub fn clip(&mut self, bounds: Rect) {
        for rect in &mut self.rects {
            *rect = rect.intersect(bounds);
        }
        self.rects.retain(|r| !r.is_empty());
    }

    /// Removes the pixels of `rect`.
    pub fn remove(&mut self, rect: Rect) {
        if self.rects.iter().any(|r| !r.intersect(rect).is_empty()) {
            self.rects = self.rects.iter().flat_map(|have| subtract(*have, rect)).collect();
        }
    }

    /// Appends a rectangle that overlaps none, joined to a neighbour where the two make one rectangle.
    fn append(&mut self, mut rect: Rect) {
        while let Some(at) = self.rects.iter().position(|r| joins(*r, rect)) {
            rect = rect.union(self.rects.swap_remove(at));
        }
        self.rects.push(rect);
    }
}

impl From<Rect> for Region {
    fn from(rect: Rect) -> Self {
        let mut region = Self::new();
        region.add(rect);
        region
    }
}

/// True when the two touch along a whole side, so that their union holds no other pixel.
fn joins(a: Rect, b: Rect) -> bool {
    let stacked =
        a.x == b.x && a.width == b.width && (a.bottom() == u32::from(b.y) || b.bottom() == u32::from(a.y));
    let abreast =
        a.y == b.y && a.height == b.height && (a.right() == u32::from(b.x) || b.right() == u32::from(a.x));
    stacked || abreast
}

/// The pixels of `from` that are not in `hole`, as at most four rectangles.
fn subtract(from: Rect, hole: Rect) -> Vec<Rect> {
    let cut = from.intersect(hole);
    if cut.is_empty() {
        return vec![from];
    }
    // `cut` lies inside `from`, so that every difference is non-negative and fits.
    let above = cut.y - from.y;
    let below_y = cut.y + cut.height;
    let right_x = cut.x + cut.width;
    let below = u16::try_from(from.bottom() - u32::from(below_y)).unwrap_or(0);
    let right = u16::try_from(from.right() - u32::from(right_x)).unwrap_or(0);
    [
        Rect::new(from.x, from.y, from.width, above),
        Rect::new(from.x, cut.y, cut.x - from.x, cut.height),
        Rect::new(right_x, cut.y, right, cut.height),
        Rect::new(from.x, below_y, from.width, below),
    ]
    .into_iter()
    .filter(|r| !r.is_empty())
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn small_rect() -> impl Strategy<Value = Rect> {
        (0u16..40, 0u16..40, 0u16..20, 0u16..20).prop_map(|(x, y, w, h)| Rect::new(x, y, w, h))
    }

    fn covers(rects: &[Rect], x: u16, y: u16) -> usize {
        rects.iter().filter(|r| r.contains(Rect::new(x, y, 1, 1))).count()
    }

    #[test]
    fn intersection_of_rects_that_do_not_touch_is_empty() {
        assert!(Rect::new(0, 0, 5, 5).intersect(Rect::new(5, 0, 5, 5)).is_empty());
        let far = Rect::new(u16::MAX, u16::MAX, u16::MAX, u16::MAX);
        assert_eq!(far.intersect(Rect::new(0, 0, u16::MAX, u16::MAX)), Rect::default());
    }

    #[test]
    fn rows_that_stack_become_one_rect() {
        let mut region = Region::new();
        for row in [3, 1, 2, 0] {
            region.add(Rect::new(0, row * 16, 640, 16));
        }
        assert_eq!(region.rects(), [Rect::new(0, 0, 640, 64)]);
    }

    #[test]
    fn a_region_of_many_pieces_is_merged_and_covers_them_all() {
        let mut region = Region::new();
        for i in 0..1000u16 {
            region.add(Rect::new((i % 100) * 3, (i / 100) * 3, 1, 1));
        }
        assert!(region.rects().len() <= REGION_RECTS);
        for i in 0..1000u16 {
            assert_eq!(covers(region.rects(), (i % 100) * 3, (i / 100) * 3), 1);
        }
    }

    #[test]
    fn pieces_that_are_far_apart_are_not_merged_into_one() {
        let mut region = Region::new();
        for i in 0..40u16 {
            region.add(Rect::new((i % 8) * 10, (i / 8) * 10, 8, 8));
            region.add(Rect::new(1000 + (i % 8) * 10, 700 + (i / 8) * 10, 8, 8));
        }
        assert!(region.area() <= 2 * 80 * 50, "{} pixels", region.area());
    }

    proptest! {
        #[test]
        fn a_region_holds_each_added_pixel_once(rects in prop::collection::vec(small_rect(), 0..12), hole in small_rect()) {
            let mut region = Region::new();
            for rect in &rects {
                region.add(*rect);
            }
            let merged = region.rects().len() == 1;
            for y in 0..60 {
                for x in 0..60 {
                    let wanted = covers(&rects, x, y) > 0;
                    let have = covers(region.rects(), x, y);
                    prop_assert!(have <= 1 && (have == 1 || !wanted) && (have == 0 || wanted || merged));
                }
            }
            region.remove(hole);
            for y in 0..60 {
                for x in 0..60 {
                    let inside = hole.contains(Rect::new(x, y, 1, 1));
                    prop_assert!(!inside || covers(region.rects(), x, y) == 0);
                    prop_assert!(inside || covers(&rects, x, y) == 0 || covers(region.rects(), x, y) == 1);
                }
            }
        }
    }
}
