//! What of a text screen a viewer's picture lacks.

use super::overlay::SeenOverlay;
use super::{CursorPlace, TextView};
use crate::geometry::{Point, Rect, Region, Size};
use crate::rfb::tile::TileSource;
use crate::screen::{Copy, Damage};
use crate::terminal::{Changes, Scroll, View};

/// What a viewer's picture shows of one terminal. Kept per viewer and VT; the default is "nothing", as is right after a
/// switch of VTs. Comparing it with a [`TextView`] gives the damage; taking [`TextView::seen`] afterwards records that
/// the damage was repaired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TextSeen {
    generation: u64,
    /// `None`: nothing was seen.
    view: Option<View>,
    size: Size,
    cell: Size,
    cursor: Option<CursorPlace>,
    pub(super) overlay: SeenOverlay,
}

impl TextSeen {
    /// The generation of the terminal that was seen; 0 for none.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }
}

impl TextView<'_> {
    /// What a viewer sees once the damage of this view is repaired.
    #[must_use]
    pub fn seen(&self) -> TextSeen {
        TextSeen {
            generation: self.terminal.generation(),
            view: Some(self.effective_view()),
            size: self.size(),
            cell: self.font.cell(),
            cursor: self.cursor(&mut Vec::new()),
            overlay: self.seen_overlay(),
        }
    }

    /// What a picture that shows `seen` lacks to show this view: everything when another place in history, size or
    /// font was seen, else what the terminal knows to have changed.
    #[must_use]
    pub fn damage(&self, seen: &TextSeen) -> Damage {
        let now = self.seen();
        if *seen == now {
            return Damage::default();
        }
        let (Some(view), true) =
            (now.view, (seen.view, seen.size, seen.cell) == (now.view, now.size, now.cell))
        else {
            return Damage { copy: None, region: Region::from(now.size.rect()) };
        };
        let mut changes = Changes::default();
        self.terminal.changes(view, seen.generation, &mut changes);
        let mut region = Region::new();
        for span in &changes.rows {
            region.add(self.cells(span.row, span.columns.start, span.columns.end));
        }
        if changes.scroll.is_some() || seen.cursor != now.cursor {
            // The viewer's picture has the old cursor in it, and a copy carries that along.
            for place in [seen.cursor, now.cursor].into_iter().flatten() {
                region.add(self.cells(place.row, place.columns.0, place.columns.1));
            }
            if let (Some(scroll), Some(old)) = (changes.scroll, seen.cursor)
                && let Some(row) = moved(scroll, old.row)
            {
                region.add(self.cells(row, old.columns.0, old.columns.1));
            }
        }
        self.overlay_damage(seen, changes.scroll, &mut region);
        region.clip(now.size.rect());
        Damage { copy: changes.scroll.and_then(|scroll| self.copy(scroll)), region }
    }

    /// The pixels of the cells in `row` from column `start` to before `end`.
    pub(super) fn cells(&self, row: u16, start: u16, end: u16) -> Rect {
        let cell = self.font.cell();
        Rect::new(
            start.saturating_mul(cell.width),
            row.saturating_mul(cell.height),
            end.saturating_sub(start).saturating_mul(cell.width),
            cell.height,
        )
    }

    /// A scroll as a move of pixels.
    fn copy(&self, scroll: Scroll) -> Option<Copy> {
        let height = self.font.cell().height;
        let by = scroll.lines.unsigned_abs();
        let kept = scroll.bottom.checked_sub(scroll.top)?.checked_sub(by)?;
        if kept == 0 || by == 0 || scroll.bottom > self.terminal.rows() {
            return None;
        }
        let (from, to) =
            if scroll.lines > 0 { (scroll.top + by, scroll.top) } else { (scroll.top, scroll.top + by) };
        Some(Copy {
            destination: Rect::new(0, to * height, self.size().width, kept * height),
            source: Point { x: 0, y: from * height },
        })
    }
}

/// Where a scroll takes what was in `row`, unless that row is lost or not touched.
pub(super) fn moved(scroll: Scroll, row: u16) -> Option<u16> {
    let inside = scroll.top..scroll.bottom;
    if !inside.contains(&row) {
        return None;
    }
    let row = if scroll.lines > 0 {
        row.checked_sub(scroll.lines.unsigned_abs())
    } else {
        row.checked_add(scroll.lines.unsigned_abs())
    };
    row.filter(|row| inside.contains(row))
}
