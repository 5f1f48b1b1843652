//! Damage is enough: a viewer that applies it has the picture of one who painted everything.

use std::sync::OnceLock;

use proptest::prelude::*;
use xenvnc::geometry::Rect;
use xenvnc::rfb::tile::{Colour, TileBuf, TileSource};
use xenvnc::screen::{Banner, Damage, Font, FontSize, Picture, TextOverlay, TextSeen, TextView, picture};
use xenvnc::terminal::{Options, Place, SelectBy, Selected, Terminal, View};

use super::writing::writing;

/// A viewer that repaints only what it is told to.
struct Viewer {
    picture: Picture,
    seen: TextSeen,
    back: u64,
    show_cursor: bool,
    selection: Option<Selected>,
    banner: Option<Banner<'static>>,
}

/// One of two banners, in a row.
fn banner(which: bool, row: u16) -> Banner<'static> {
    static TERMINALS: OnceLock<[Terminal; 2]> = OnceLock::new();
    let made = |text: &str| {
        let mut terminal = Terminal::new(Options { rows: 1, columns: 24, ..Options::default() });
        terminal.feed(text.as_bytes());
        terminal
    };
    let [one, other] = TERMINALS.get_or_init(|| [made("\x1b[7mone 漢"), made("\x1b[44mother")]);
    Banner { terminal: if which { one } else { other }, digest: which.into(), row }
}

impl Viewer {
    fn new() -> Self {
        let picture = Picture::new(xenvnc::geometry::Size::default(), Colour::BLACK);
        Self { picture, seen: TextSeen::default(), back: 0, show_cursor: true, selection: None, banner: None }
    }

    fn view<'a>(&self, terminal: &'a Terminal) -> TextView<'a> {
        let view = match self.back {
            0 => View::Live,
            back => View::At(terminal.live_line().saturating_sub(back)),
        };
        let overlay = TextOverlay { selection: self.selection, scroll_bar: true, banner: self.banner };
        let font = Font::builtin(FontSize::default());
        TextView { terminal, view, font, show_cursor: self.show_cursor, overlay }
    }

    /// Looks: applies the damage, copy first.
    fn look(&mut self, terminal: &Terminal) -> Damage {
        let view = self.view(terminal);
        let damage = view.damage(&self.seen);
        if self.picture.size != view.size() {
            self.picture = Picture::new(view.size(), Colour(0x00ab_cdef));
        }
        if let Some(copy) = damage.copy {
            let before = self.picture.clone();
            for y in 0..copy.destination.height {
                for x in 0..copy.destination.width {
                    let to = Rect::new(copy.destination.x + x, copy.destination.y + y, 1, 1);
                    let colour = before.pixel(copy.source.x + x, copy.source.y + y);
                    self.picture.paint(to, &xenvnc::rfb::tile::Tile::Solid(colour));
                }
            }
        }
        let mut buf = TileBuf::default();
        for rect in damage.region.rects() {
            assert!(view.size().rect().contains(*rect), "{rect:?} is not on the screen");
            self.picture.paint(*rect, &view.tile(*rect, &mut buf));
        }
        self.seen = view.seen();
        damage
    }

    fn check(&self, terminal: &Terminal) -> Result<(), TestCaseError> {
        let whole = picture(&self.view(terminal));
        prop_assert_eq!(self.picture.size, whole.size);
        let (width, cell) = (usize::from(whole.size.width), Font::builtin(FontSize::default()).cell());
        for (at, (have, want)) in self.picture.pixels.iter().zip(&whole.pixels).enumerate() {
            let (column, row) = (at % width / usize::from(cell.width), at / width / usize::from(cell.height));
            prop_assert_eq!(have, want, "cell {},{} is stale", column, row);
        }
        Ok(())
    }
}

#[derive(Debug, Clone)]
enum Step {
    Write(String),
    Look(usize),
    ScrollTo(usize, u64),
    ShowCursor(usize, bool),
    Resize(u16, u16),
    Forget,
    Select(usize, Option<(Place, Place, bool)>),
    Banner(usize, Option<(bool, u16)>),
}

fn place() -> impl Strategy<Value = Place> {
    (0u64..20, 0u16..26).prop_map(|(line, column)| Place { line, column })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => writing(6).prop_map(Step::Write),
        8 => (0usize..3).prop_map(Step::Look),
        2 => (0usize..3, prop_oneof![Just(0), 0u64..12]).prop_map(|(viewer, back)| Step::ScrollTo(viewer, back)),
        1 => (0usize..3, any::<bool>()).prop_map(|(viewer, shown)| Step::ShowCursor(viewer, shown)),
        1 => (2u16..30, 1u16..9).prop_map(|(columns, rows)| Step::Resize(columns, rows)),
        2 => Just(Step::Forget),
        3 => (0usize..3, prop::option::of((place(), place(), any::<bool>())))
            .prop_map(|(viewer, selection)| Step::Select(viewer, selection)),
        1 => (0usize..3, prop::option::of((any::<bool>(), 0u16..6)))
            .prop_map(|(viewer, banner)| Step::Banner(viewer, banner)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn repairing_the_damage_gives_the_whole_picture(steps in prop::collection::vec(step(), 1..50)) {
        let mut terminal = Terminal::new(Options { columns: 24, rows: 6, history_lines: 8, ..Options::default() });
        let mut viewers = [Viewer::new(), Viewer::new(), Viewer::new()];
        for step in steps {
            match step {
                Step::Write(text) => terminal.feed(text.as_bytes()),
                Step::Look(viewer) => {
                    viewers[viewer].look(&terminal);
                    viewers[viewer].check(&terminal)?;
                }
                Step::ScrollTo(viewer, back) => viewers[viewer].back = back,
                Step::ShowCursor(viewer, shown) => viewers[viewer].show_cursor = shown,
                Step::Resize(columns, rows) => terminal.resize(columns, rows),
                Step::Select(viewer, selection) => {
                    viewers[viewer].selection = selection.map(|(a, b, block)| {
                        let by = if block { SelectBy::Block } else { SelectBy::Characters };
                        terminal.select(a, b, by)
                    });
                }
                Step::Banner(viewer, new) => viewers[viewer].banner = new.map(|(which, row)| banner(which, row)),
                Step::Forget => {
                    let oldest = viewers.iter().map(|v| v.seen.generation()).min().unwrap_or(0);
                    terminal.forget_changes_before(oldest);
                }
            }
        }
        for viewer in &mut viewers {
            viewer.look(&terminal);
            viewer.check(&terminal)?;
            prop_assert!(viewer.look(&terminal).is_empty(), "nothing happened and yet there is damage");
        }
    }
}

fn seen_by(terminal: &mut Terminal, before: &str) -> Viewer {
    let mut viewer = Viewer::new();
    terminal.feed(before.as_bytes());
    viewer.look(terminal);
    terminal.forget_changes_before(terminal.generation());
    viewer
}

#[test]
fn a_typed_letter_damages_two_cells() {
    let mut terminal = Terminal::default();
    let mut viewer = seen_by(&mut terminal, "$ ");
    terminal.feed(b"l");
    let damage = viewer.look(&terminal);
    assert_eq!(damage.copy, None);
    // The letter's cell, where the cursor was, and the one where it is now.
    assert_eq!(damage.region.rects(), [Rect::new(16, 0, 16, 16)]);
}

#[test]
fn a_line_feed_at_the_bottom_is_a_copy_and_a_row() {
    let mut terminal = Terminal::default();
    let mut viewer = seen_by(&mut terminal, &"line\r\n".repeat(30));
    terminal.feed(b"one\r\n");
    let damage = viewer.look(&terminal);
    let copy = damage.copy.expect("a scroll is a copy");
    assert_eq!((copy.destination, copy.source.y), (Rect::new(0, 0, 640, 384), 16));
    assert!(damage.region.area() <= 2 * 640 * 16, "{:?}", damage.region);
    viewer.check(&terminal).expect("the picture is whole");
}

#[test]
fn nothing_is_damaged_by_looking_twice() {
    let mut terminal = Terminal::default();
    let mut viewer = seen_by(&mut terminal, "text");
    assert!(viewer.look(&terminal).is_empty());
    // The default has seen nothing, as after a switch of VTs.
    viewer.seen = TextSeen::default();
    assert_eq!(viewer.look(&terminal).region.rects(), [Rect::new(0, 0, 640, 400)]);
}
