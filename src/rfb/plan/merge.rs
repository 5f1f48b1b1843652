//! Which of an update's rectangles are worth being sent as one.
//!
//! The model: a rectangle costs what some more pixels in another one would cost ([`Cost::rect`]): its header of 12 bytes,
//! the beginning and the end of its data, and on both sides the work that is done once for each (a call of the
//! compressor with codes of its own, above all). Two rectangles are replaced by the smallest that holds both where the
//! pixels that neither has are fewer than that. What is sent then covers all that was to be sent, and besides it only
//! pixels that the viewer has already, as they are.

use crate::geometry::Rect;

/// What decides whether rectangles are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// What a rectangle costs, in pixels.
    pub rect: u32,
}

impl Cost {
    /// Raw: the header is three pixels; the rest is the viewer's work.
    pub const RAW: Self = Self { rect: 16 };

    /// Encodings without a compressor, which take a fraction of a byte for a pixel of what screens mostly show.
    pub const PLAIN: Self = Self { rect: 64 };

    /// Encodings with a compressor. Measured on a scrolling terminal: from no merging to this, a quarter less time and
    /// fewer bytes, and little more from here on; words that change far from each other become larger with more.
    pub const COMPRESSED: Self = Self { rect: 256 };
}

/// How often the rectangles are gone through: merged ones may be worth being merged again.
const PASSES: usize = 3;

/// A pair is looked at closely when what lies between the two, others included, is worth so many rectangles at most.
const PROMISING: u64 = 4;

/// Merges `rects`, which do not overlap and are at most a few dozen. The answer's do not overlap either.
pub fn merge(mut rects: Vec<Rect>, cost: Cost) -> Vec<Rect> {
    for _ in 0..PASSES {
        let before = rects.len();
        let mut at = 0;
        while at < rects.len() {
            match best(&rects, at, cost) {
                Some(union) => {
                    rects.retain(|rect| !union.contains(*rect));
                    let at = at.min(rects.len());
                    rects.insert(at, union);
                }
                None => at += 1,
            }
        }
        if rects.len() == before {
            break;
        }
    }
    rects
}

/// The best rectangle that one of the later ones makes with the one at `at`, if any is worth it.
fn best(rects: &[Rect], at: usize, cost: Cost) -> Option<Rect> {
    let (one, later) = rects.get(at..)?.split_first()?;
    let mut best = None;
    for other in later {
        let union = one.union(*other);
        let more = u64::from(union.area()) - u64::from(one.area()) - u64::from(other.area());
        if more < PROMISING * u64::from(cost.rect)
            && let Some(gain) = gain(rects, union, cost)
            && best.is_none_or(|(most, _)| gain > most)
        {
            best = Some((gain, union));
        }
    }
    best.map(|(_, union)| union)
}

/// What is gained, in pixels, when `union` takes the place of what is inside of it. `None` for nothing, or when it would
/// overlap a rectangle that goes on outside of it.
fn gain(rects: &[Rect], union: Rect, cost: Cost) -> Option<u64> {
    let (mut saved, mut covered) = (0, 0);
    for rect in rects {
        if union.contains(*rect) {
            saved += u64::from(cost.rect);
            covered += u64::from(rect.area());
        } else if !union.intersect(*rect).is_empty() {
            return None;
        }
    }
    let price = u64::from(cost.rect) + u64::from(union.area()).saturating_sub(covered);
    saved.checked_sub(price).filter(|gain| *gain > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Region;
    use proptest::prelude::*;

    const COST: Cost = Cost { rect: 100 };

    #[test]
    fn near_ones_become_one_and_far_ones_stay() {
        let column = |y, height| Rect::new(51, y, 16, height);
        // Two pieces of one column, four rows apart, and one far to the right.
        let far = Rect::new(435, 252, 8, 7);
        let merged = merge(vec![column(252, 7), far, column(263, 50)], COST);
        assert_eq!(merged, [column(252, 61), far]);
        // Seven rows are 112 pixels, which is more than a rectangle costs.
        let apart = vec![column(252, 7), column(266, 50)];
        assert_eq!(merge(apart.clone(), COST), apart);
    }

    #[test]
    fn what_several_share_is_worth_more() {
        // A frame of four around 16 by 12 pixels.
        let frame = vec![
            Rect::new(0, 0, 32, 8),
            Rect::new(0, 8, 8, 12),
            Rect::new(24, 8, 8, 12),
            Rect::new(0, 20, 32, 8),
        ];
        assert_eq!(merge(frame.clone(), COST), [Rect::new(0, 0, 32, 28)]);
        assert_eq!(merge(frame.clone(), Cost { rect: 0 }), frame);
    }

    proptest! {
        #[test]
        fn all_is_covered_and_nothing_twice(
            parts in proptest::collection::vec((0u16..100, 0u16..100, 1u16..40, 1u16..40), 0..20),
            rect in 0u32..400,
        ) {
            let mut region = Region::new();
            parts.iter().for_each(|(x, y, width, height)| region.add(Rect::new(*x, *y, *width, *height)));
            let merged = merge(region.rects().to_vec(), Cost { rect });
            let more = merged.iter().map(|rect| u64::from(rect.area())).sum::<u64>() - region.area();
            let fewer = u64::try_from(region.rects().len() - merged.len()).expect("a few");
            prop_assert!(more == 0 || more < fewer * u64::from(rect), "{more} pixels for {fewer} rectangles");
            let mut covered = vec![0u8; 140 * 140];
            for part in &merged {
                for y in part.y..part.y + part.height {
                    for x in part.x..part.x + part.width {
                        covered[usize::from(y) * 140 + usize::from(x)] += 1;
                    }
                }
            }
            prop_assert!(covered.iter().all(|times| *times <= 1));
            for part in region.rects() {
                prop_assert!(merged.iter().any(|rect| rect.contains(*part)));
            }
        }
    }
}
