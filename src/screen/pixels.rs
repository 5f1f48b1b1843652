//! What of a screen of pixels a viewer's picture lacks: the counterpart of a text screen's
//! [`TextSeen`](super::TextSeen).
//!
//! A screen of pixels has no generations: what an upstream says to have changed is added to each viewer's debt at
//! once. The debt is a bounded region, so that a viewer that does not read costs no more than one that does.

use crate::geometry::{Point, Rect, Region, Size};

/// A move is not worth having when more than this part of what it moves has to be painted anyway.
const USELESS: u64 = 2;

/// The most moves that a debt keeps; what further ones move counts as changed.
const COPIES: usize = 128;

/// The debt towards one viewer: moves of what it has, one after the other, and then what is to be painted.
#[derive(Debug, Clone, Default)]
pub struct PixelDebt {
    copies: Vec<(Rect, Point)>,
    region: Region,
}

impl PixelDebt {
    /// A viewer that has nothing of a screen of this size.
    #[must_use]
    pub fn everything(size: Size) -> Self {
        Self { copies: Vec::new(), region: size.rect().into() }
    }

    /// What the viewer has to move, in this order: the destination, and the upper left corner of where the pixels are. The
    /// two may overlap.
    #[must_use]
    pub fn copies(&self) -> &[(Rect, Point)] {
        &self.copies
    }

    /// What is to be painted after the moves.
    #[must_use]
    pub const fn region(&self) -> &Region {
        &self.region
    }

    /// True when its picture is the screen's.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.copies.is_empty() && self.region.is_empty()
    }

    /// The debt is paid.
    pub fn clear(&mut self) {
        self.copies.clear();
        self.region.clear();
    }

    /// These pixels of the screen have changed.
    pub fn changed(&mut self, rect: Rect) {
        self.region.add(rect);
        // A move whose result is painted over is of no use, if no later one takes from it.
        while let Some((destination, _)) = self.copies.last()
            && self.region.rects().iter().any(|rect| rect.contains(*destination))
        {
            self.copies.pop();
        }
    }

    /// Takes moves, and what is to be painted after them, for what has been painted, if that is all that is owed. The
    /// destinations must not overlap other moves' sources.
    pub fn exchange(&mut self, painted: &Region, moves: &[(Rect, Point)], rest: &Region) {
        if self.copies.is_empty() && self.region == *painted {
            self.clear();
            moves.iter().for_each(|(destination, source)| self.moved(*destination, *source));
            rest.rects().iter().for_each(|rect| self.changed(*rect));
        }
    }

    /// The pixels at `source` have been copied to `destination`; the two may overlap.
    pub fn moved(&mut self, destination: Rect, source: Point) {
        let origin = Rect { x: source.x, y: source.y, ..destination };
        // What the viewer does not have at the origin, it will not have at the destination.
        let wrong: Vec<Rect> = self
            .region
            .rects()
            .iter()
            .map(|rect| rect.intersect(origin))
            .filter(|rect| !rect.is_empty())
            .map(|rect| Rect {
                x: destination.x + (rect.x - source.x),
                y: destination.y + (rect.y - source.y),
                ..rect
            })
            .collect();
        let lost: u64 = wrong.iter().map(|rect| u64::from(rect.area())).sum();
        if lost * USELESS > u64::from(destination.area()) || self.copies.len() >= COPIES {
            return self.changed(destination);
        }
        self.region.remove(destination);
        self.copies.push((destination, source));
        wrong.into_iter().for_each(|rect| self.region.add(rect));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SIDE: u16 = 24;

    /// A small screen whose every change is a number never seen before.
    #[derive(Clone)]
    struct Pixels(Vec<u32>);

    impl Pixels {
        fn at(x: u16, y: u16) -> usize {
            usize::from(y) * usize::from(SIDE) + usize::from(x)
        }

        fn copy(&mut self, destination: Rect, source: Point) {
            let old = self.0.clone();
            for y in 0..destination.height {
                for x in 0..destination.width {
                    self.0[Self::at(destination.x + x, destination.y + y)] =
                        old[Self::at(source.x + x, source.y + y)];
                }
            }
        }

        fn paint(&mut self, rect: Rect, mut pixel: impl FnMut(usize) -> u32) {
            for y in rect.y..rect.y + rect.height {
                for x in rect.x..rect.x + rect.width {
                    self.0[Self::at(x, y)] = pixel(Self::at(x, y));
                }
            }
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Change(Rect),
        Move(Rect, Point),
        Pay,
    }

    fn rect() -> impl Strategy<Value = Rect> {
        (0..SIDE, 0..SIDE)
            .prop_flat_map(|(x, y)| (Just(x), Just(y), 1..=SIDE - x, 1..=SIDE - y))
            .prop_map(|(x, y, width, height)| Rect::new(x, y, width, height))
    }

    fn step() -> impl Strategy<Value = Step> {
        let place = |rect: Rect| {
            (Just(rect), 0..=SIDE - rect.width, 0..=SIDE - rect.height)
                .prop_map(|(rect, x, y)| Step::Move(rect, Point { x, y }))
        };
        prop_oneof![
            3 => rect().prop_map(Step::Change),
            4 => rect().prop_flat_map(place),
            1 => Just(Step::Pay),
        ]
    }

    fn pay(viewer: &mut Pixels, debt: &mut PixelDebt, screen: &Pixels) {
        for (destination, source) in debt.copies() {
            viewer.copy(*destination, *source);
        }
        for rect in debt.region().rects() {
            viewer.paint(*rect, |at| screen.0[at]);
        }
        debt.clear();
    }

    proptest! {
        #[test]
        fn a_viewer_whose_debt_is_paid_shows_the_screen(steps in prop::collection::vec(step(), 1..40)) {
            let mut screen = Pixels(vec![0; usize::from(SIDE) * usize::from(SIDE)]);
            let mut viewer = screen.clone();
            let mut debt = PixelDebt::default();
            let mut next = 1;
            for step in steps {
                match step {
                    Step::Change(rect) => {
                        screen.paint(rect, |_| { next += 1; next });
                        debt.changed(rect);
                    }
                    Step::Move(destination, source) => {
                        screen.copy(destination, source);
                        debt.moved(destination, source);
                    }
                    Step::Pay => pay(&mut viewer, &mut debt, &screen),
                }
            }
            pay(&mut viewer, &mut debt, &screen);
            prop_assert!(viewer.0 == screen.0);
        }
    }

    #[test]
    fn moves_take_the_place_of_what_was_painted_only() {
        let painted = Region::from(Rect::new(0, 0, 640, 100));
        let moves = [(Rect::new(0, 0, 640, 84), Point { x: 0, y: 16 })];
        let rest = Region::from(Rect::new(0, 84, 640, 16));
        let mut debt = PixelDebt::default();
        debt.changed(painted.bounds());
        debt.exchange(&painted, &moves, &rest);
        assert_eq!((debt.copies(), debt.region()), (&moves[..], &rest));
        // A viewer that lacks something more gets all of it painted.
        let mut debt = PixelDebt::default();
        debt.changed(Rect::new(0, 200, 8, 8));
        debt.changed(painted.bounds());
        let before = debt.region().clone();
        debt.exchange(&painted, &moves, &rest);
        assert_eq!((debt.copies(), debt.region()), (&[][..], &before));
    }

    #[test]
    fn a_scroll_in_pieces_stays_a_scroll() {
        let mut debt = PixelDebt::default();
        let moves: Vec<_> = (0..4)
            .map(|band| (Rect::new(0, band * 16, 640, 16), Point { x: 0, y: 100 + band * 16 }))
            .collect();
        moves.iter().for_each(|(destination, source)| debt.moved(*destination, *source));
        assert_eq!((debt.copies(), debt.region().is_empty()), (&moves[..], true));
        debt.changed(Rect::new(0, 0, 640, 80));
        assert!(debt.copies().is_empty(), "what is painted over need not be moved");
        (0..1000).for_each(|n| debt.moved(Rect::new(n % 100, 200, 1, 1), Point { x: 300, y: 300 }));
        assert!(debt.copies().len() <= COPIES);
    }
}
