//! What of a screen of pixels a viewer's picture lacks: the counterpart of a text screen's
//! [`TextSeen`](super::TextSeen).
//!
//! A screen of pixels has no generations: what an upstream says to have changed is added to each viewer's debt at
//! once. The debt is a bounded region, so that a viewer that does not read costs no more than one that does.

use super::{Copy, Damage};
use crate::geometry::{Point, Rect, Size};

/// A move is not worth having when more than this part of what it moves has to be painted anyway.
const USELESS: u64 = 2;

/// The debt towards one viewer.
#[derive(Debug, Clone, Default)]
pub struct PixelDebt {
    damage: Damage,
}

impl PixelDebt {
    /// A viewer that has nothing of a screen of this size.
    #[must_use]
    pub fn everything(size: Size) -> Self {
        Self { damage: Damage { copy: None, region: size.rect().into() } }
    }

    /// What the viewer's picture lacks.
    #[must_use]
    pub const fn damage(&self) -> &Damage {
        &self.damage
    }

    /// True when its picture is the screen's.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.damage.is_empty()
    }

    /// The debt is paid.
    pub fn clear(&mut self) {
        self.damage.copy = None;
        self.damage.region.clear();
    }

    /// These pixels of the screen have changed.
    pub fn changed(&mut self, rect: Rect) {
        self.damage.region.add(rect);
        if let Some(copy) = self.damage.copy
            && self.damage.region.rects().iter().any(|rect| rect.contains(copy.destination))
        {
            self.damage.copy = None;
        }
    }

    /// The pixels at `source` have been copied to `destination`; the two may overlap. Passed on as a copy where one
    /// such move (of one or several rectangles that make one) happened since the debt was last paid; else the
    /// destination counts as changed.
    pub fn moved(&mut self, destination: Rect, source: Point) {
        let Some(whole) = self.joined(destination, source) else { return self.changed(destination) };
        let origin = Rect { x: source.x, y: source.y, ..destination };
        // What the viewer does not have at the origin, it will not have at the destination.
        let wrong: Vec<Rect> = self
            .damage
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
        if lost * USELESS > u64::from(destination.area()) {
            return self.changed(destination);
        }
        self.damage.region.remove(destination);
        self.damage.copy = Some(whole);
        wrong.into_iter().for_each(|rect| self.damage.region.add(rect));
    }

    /// The one copy that this move and the one that is known make; `None` when they make none.
    fn joined(&self, destination: Rect, source: Point) -> Option<Copy> {
        let this = Copy { destination, source };
        let Some(known) = self.damage.copy else { return Some(this) };
        let by = |copy: Copy| {
            (
                i32::from(copy.destination.x) - i32::from(copy.source.x),
                i32::from(copy.destination.y) - i32::from(copy.source.y),
            )
        };
        let origin = Rect { x: source.x, y: source.y, ..destination };
        // The two are sent as one, from the picture before both: the second must not move what the first has written.
        if by(this) != by(known) || !origin.intersect(known.destination).is_empty() {
            return None;
        }
        let both = known.destination.union(destination);
        let exact = u64::from(both.area())
            == u64::from(known.destination.area()) + u64::from(destination.area())
            && known.destination.intersect(destination).is_empty();
        exact.then(|| Copy {
            destination: both,
            source: Point { x: known.source.x.min(source.x), y: known.source.y.min(source.y) },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Region;
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
        if let Some(copy) = debt.damage().copy {
            viewer.copy(copy.destination, copy.source);
        }
        for rect in debt.damage().region.rects() {
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
    fn a_scroll_in_bands_is_one_copy() {
        let mut debt = PixelDebt::default();
        for band in 0..4 {
            debt.moved(Rect::new(0, band * 16, 640, 16), Point { x: 0, y: 100 + band * 16 });
        }
        let copy = Copy { destination: Rect::new(0, 0, 640, 64), source: Point { x: 0, y: 100 } };
        assert_eq!(*debt.damage(), Damage { copy: Some(copy), region: Region::new() });
        debt.changed(Rect::new(0, 0, 640, 80));
        assert_eq!(debt.damage().copy, None);
    }
}
