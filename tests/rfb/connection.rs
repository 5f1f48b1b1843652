//! Whole connections: a server, and a viewer made of the library's own decoders.

use proptest::prelude::*;
use xenvnc::geometry::{Point, Rect, Region, Size};
use xenvnc::rfb::encoding::Encoding;
use xenvnc::rfb::encoding::canvas::Canvas;
use xenvnc::rfb::encoding::pseudo::CursorImage;
use xenvnc::rfb::message::{ClientMessage, Fence, Screen};
use xenvnc::rfb::pixel_format::{ColourModel, PixelFormat, cube_entry};
use xenvnc::rfb::security::Security;
use xenvnc::rfb::server::{
    Damage, ResizeRefusal, ServerConnection, ServerError, ServerEvent, ServerOptions, UpdateOutcome,
};
use xenvnc::rfb::tile::Colour;

use crate::screen::{Mixed, any_size, lossless_formats, paint, patchwork};
use crate::viewer::Viewer;

pub(crate) fn server(size: Size) -> ServerConnection {
    ServerConnection::new(ServerOptions {
        name: "test".into(),
        size,
        security: Security::None,
        challenge: [0; 16],
    })
}

/// A server with a screen, and its viewer.
struct Pair {
    server: ServerConnection,
    viewer: Viewer,
    screen: Canvas,
    copy: Option<(Rect, Point)>,
    damage: Region,
    seed: u64,
}

impl Pair {
    fn new(size: Size, seed: u64) -> Self {
        let mut server = server(size);
        let viewer = Viewer::connect(&mut server);
        assert_eq!(server.poll_event(), Some(ServerEvent::Ready { shared: true }));
        Self { server, viewer, screen: patchwork(size, seed), copy: None, damage: Region::new(), seed }
    }

    fn with_encodings(size: Size, encodings: &[Encoding]) -> Self {
        let mut pair = Self::new(size, 7);
        Viewer::set_encodings(&mut pair.server, encodings);
        pair
    }

    fn events(&mut self) -> Vec<ServerEvent> {
        std::iter::from_fn(|| self.server.poll_event()).collect()
    }

    fn update(&mut self) -> UpdateOutcome {
        let source = Mixed { canvas: &self.screen, seed: self.seed };
        let outcome =
            self.server.update(&source, Damage { copies: self.copy.as_slice(), region: &self.damage });
        if outcome != UpdateOutcome::Nothing {
            self.copy = None;
            self.damage.clear();
        }
        outcome
    }

    /// Asks for changes, or for everything, until there is nothing more to say.
    fn settle(&mut self, mut incremental: bool) {
        for _ in 0..100 {
            Viewer::ask(&mut self.server, incremental, self.viewer.canvas.size());
            incremental = true;
            let outcome = self.update();
            self.viewer.drain(&mut self.server);
            if outcome == UpdateOutcome::Nothing {
                assert!(self.viewer.is_idle());
                assert!(self.server.requested().is_empty() && !self.server.has_news());
                return;
            }
        }
        panic!("never settled");
    }

    fn paint(&mut self, rect: Rect, seed: u64) {
        let rect = rect.intersect(self.screen.size().rect());
        paint(&mut self.screen, rect, seed);
        self.damage.add(rect);
    }

    fn scroll(&mut self, rect: Rect, lines: u16) {
        let rect = rect.intersect(self.screen.size().rect());
        if lines == 0 || rect.height <= lines {
            return;
        }
        let destination = Rect { height: rect.height - lines, ..rect };
        let from = Point { x: rect.x, y: rect.y + lines };
        self.screen.copy(destination, from);
        let exposed = Rect { y: rect.y + rect.height - lines, height: lines, ..rect };
        if self.copy.is_none() && self.damage.is_empty() {
            self.copy = Some((destination, from));
        } else {
            self.damage.add(destination);
        }
        self.paint(exposed, u64::from(lines) + 99);
    }

    fn resize(&mut self, size: Size) {
        self.screen.resize(size);
        self.server.resize(size);
        self.copy = None;
        self.damage = size.rect().into();
    }

    /// What the viewer should see: the screen, in its own size.
    fn assert_same(&self) {
        let mut wanted = self.screen.clone();
        wanted.resize(self.viewer.canvas.size());
        assert_eq!(self.viewer.canvas.size(), self.server.framebuffer_size());
        if let Some(at) = wanted.pixels().iter().zip(self.viewer.canvas.pixels()).position(|(a, b)| a != b) {
            let width = usize::from(wanted.size().width);
            panic!("pixel ({}, {}) differs in {:?}", at % width, at / width, wanted.size());
        }
    }
}

const RESIZABLE: [Encoding; 4] =
    [Encoding::ZRLE, Encoding::COPY_RECT, Encoding::EXTENDED_DESKTOP_SIZE, Encoding::DESKTOP_SIZE];

fn fence(flags: u32, payload: &[u8]) -> ClientMessage<'static> {
    ClientMessage::Fence(Fence { flags, payload: payload.to_vec() })
}

#[test]
fn fences_come_back_once_announced() {
    let mut pair = Pair::new(Size::new(20, 20), 1);
    Viewer::set_encodings(&mut pair.server, &[Encoding::RAW]);
    assert!(pair.server.output().is_empty());
    Viewer::set_encodings(&mut pair.server, &[Encoding::RAW, Encoding::FENCE]);
    Viewer::set_encodings(&mut pair.server, &[Encoding::FENCE]);
    pair.viewer.drain(&mut pair.server);
    assert_eq!(pair.viewer.fences, [Fence { flags: Fence::REQUEST, payload: Vec::new() }]);
    // The viewer's answer is none to be answered; flags that are not known do not come back.
    Viewer::send(&mut pair.server, &fence(0, b""));
    Viewer::send(&mut pair.server, &fence(u32::MAX, &[7; 64]));
    pair.viewer.drain(&mut pair.server);
    assert_eq!(pair.viewer.fences[1..], [Fence { flags: 7, payload: vec![7; 64] }]);
}

#[test]
fn fences_wait_for_the_update_that_is_under_way() {
    let mut pair = Pair::with_encodings(Size::new(700, 500), &[Encoding::RAW]);
    Viewer::ask(&mut pair.server, false, Size::new(700, 500));
    assert_eq!(pair.update(), UpdateOutcome::Partial);
    Viewer::set_encodings(&mut pair.server, &[Encoding::FENCE, Encoding::CONTINUOUS_UPDATES]);
    Viewer::send(&mut pair.server, &fence(Fence::REQUEST | Fence::SYNC_NEXT, b"x"));
    pair.viewer.drain(&mut pair.server);
    assert!(pair.viewer.fences.is_empty() && pair.viewer.ends == 0);
    while pair.update() == UpdateOutcome::Partial {
        pair.viewer.drain(&mut pair.server);
    }
    pair.viewer.drain(&mut pair.server);
    assert_eq!((pair.viewer.updates, pair.viewer.fences.len(), pair.viewer.ends), (1, 2, 1));
    assert_eq!(pair.viewer.fences[1], Fence { flags: Fence::SYNC_NEXT, payload: b"x".to_vec() });
}

#[test]
fn who_does_not_read_the_answers_is_turned_away() {
    let mut pair = Pair::new(Size::new(20, 20), 1);
    let flood = Viewer::bytes(&fence(Fence::REQUEST, &[0; 64])).repeat(1 << 16);
    assert!(matches!(pair.server.handle_input(&flood), Err(ServerError::UnreadAnswers(_))));
    assert!(pair.server.output().len() <= (4 << 20) + 73);
}

#[test]
fn continuous_updates_come_one_at_a_time_without_being_asked_for() {
    let mut pair = Pair::with_encodings(Size::new(80, 60), &[Encoding::TIGHT, Encoding::CONTINUOUS_UPDATES]);
    pair.viewer.drain(&mut pair.server);
    assert_eq!(pair.viewer.ends, 1);
    assert!(!pair.server.wants_update());
    let enable = |enable, area| ClientMessage::EnableContinuousUpdates { enable, area };
    Viewer::send(&mut pair.server, &enable(true, Rect::new(0, 0, 80, 40)));
    assert!(pair.server.wants_update());
    for step in 0..5 {
        pair.paint(Rect::new(3, 5, 20 + step, 20), 9 + u64::from(step));
        assert_eq!(pair.update(), UpdateOutcome::Complete);
        // Not before that has been taken.
        pair.paint(Rect::new(40, 5, 30, 40), 90 + u64::from(step));
        assert!(!pair.server.wants_update());
        assert_eq!(pair.update(), UpdateOutcome::Nothing);
        pair.viewer.drain(&mut pair.server);
        assert!(pair.server.wants_update());
    }
    assert_eq!(pair.update(), UpdateOutcome::Complete);
    pair.viewer.drain(&mut pair.server);
    assert_eq!(pair.viewer.updates, 6);
    assert_eq!(pair.update(), UpdateOutcome::Nothing, "what is outside of the area waits");
    // The area may change at any time.
    Viewer::send(&mut pair.server, &enable(true, Rect::new(0, 0, u16::MAX, u16::MAX)));
    assert_eq!(pair.update(), UpdateOutcome::Complete);
    pair.viewer.drain(&mut pair.server);
    pair.assert_same();
    // Incremental requests do not count meanwhile, and the end is told.
    Viewer::ask(&mut pair.server, true, Size::new(80, 60));
    Viewer::send(&mut pair.server, &enable(false, Rect::default()));
    assert!(!pair.server.wants_update());
    pair.viewer.drain(&mut pair.server);
    assert_eq!(pair.viewer.ends, 2);
    pair.paint(Rect::new(0, 0, 9, 9), 3);
    assert_eq!(pair.update(), UpdateOutcome::Nothing);
    // Another end does not take a request away.
    Viewer::ask(&mut pair.server, true, Size::new(80, 60));
    Viewer::send(&mut pair.server, &enable(false, Rect::default()));
    pair.viewer.drain(&mut pair.server);
    assert_eq!(pair.viewer.ends, 3);
    assert_eq!(pair.update(), UpdateOutcome::Complete);
    pair.viewer.drain(&mut pair.server);
    pair.settle(true);
    pair.assert_same();
}

#[test]
fn the_first_answer_is_the_whole_picture_also_to_an_incremental_request() {
    for incremental in [false, true] {
        let mut pair = Pair::with_encodings(Size::new(100, 70), &[Encoding::ZRLE]);
        assert_eq!(pair.update(), UpdateOutcome::Nothing);
        Viewer::ask(&mut pair.server, incremental, Size::new(100, 70));
        assert_eq!(
            pair.events(),
            [ServerEvent::UpdateRequested { incremental, area: Rect::new(0, 0, 100, 70) }]
        );
        assert_eq!(pair.server.requested().area(), 7000);
        assert_eq!(pair.update(), UpdateOutcome::Complete);
        pair.viewer.drain(&mut pair.server);
        pair.assert_same();
        // One request, one answer.
        pair.paint(Rect::new(0, 0, 9, 9), 3);
        assert_eq!(pair.update(), UpdateOutcome::Nothing);
        assert!(!pair.damage.is_empty());
        pair.settle(true);
        pair.assert_same();
    }
}

#[test]
fn nothing_new_is_not_answered() {
    let mut pair = Pair::with_encodings(Size::new(64, 64), &[Encoding::HEXTILE]);
    pair.settle(false);
    assert!(pair.server.wants_update());
    assert_eq!(pair.update(), UpdateOutcome::Nothing);
    assert!(pair.server.output().is_empty());
    // Not incremental: the same again.
    let updates = pair.viewer.updates;
    Viewer::ask(&mut pair.server, false, Size::new(64, 64));
    assert_eq!(pair.update(), UpdateOutcome::Complete);
    pair.viewer.drain(&mut pair.server);
    assert_eq!(pair.viewer.updates, updates + 1);
}

#[test]
fn scrolling_is_a_copy_only_for_viewers_that_can() {
    for (encodings, copies) in [(&[Encoding::ZRLE, Encoding::COPY_RECT][..], 1), (&[Encoding::ZRLE], 0)] {
        let mut pair = Pair::with_encodings(Size::new(120, 90), encodings);
        pair.settle(false);
        pair.viewer.encodings.clear();
        pair.scroll(Rect::new(0, 0, 120, 90), 16);
        pair.settle(true);
        pair.assert_same();
        let have = pair.viewer.encodings.iter().filter(|e| **e == Encoding::COPY_RECT).count();
        assert_eq!(have, copies);
    }
}

#[test]
fn a_copy_of_what_the_viewer_lacks_is_painted() {
    let size = Size::new(40, 40);
    let mut pair = Pair::with_encodings(size, &[Encoding::COPY_RECT, Encoding::RAW]);
    // The viewer has asked for the upper half only, so that it has nothing of the lower.
    let area = Rect::new(0, 0, 40, 20);
    Viewer::send(&mut pair.server, &ClientMessage::UpdateRequest { incremental: false, area });
    assert_eq!(pair.update(), UpdateOutcome::Complete);
    Viewer::ask(&mut pair.server, true, size);
    pair.scroll(Rect::new(0, 0, 40, 40), 10);
    assert_eq!(pair.update(), UpdateOutcome::Complete);
    pair.viewer.drain(&mut pair.server);
    pair.assert_same();
}

#[test]
fn only_what_is_asked_for_is_sent() {
    let mut pair = Pair::with_encodings(Size::new(60, 60), &[Encoding::RAW]);
    pair.settle(false);
    pair.paint(Rect::new(0, 0, 60, 60), 5);
    let area = Rect::new(10, 10, 20, 20);
    Viewer::send(&mut pair.server, &ClientMessage::UpdateRequest { incremental: true, area });
    pair.settle(true);
    pair.assert_same();
    let mut pair = Pair::with_encodings(Size::new(60, 60), &[Encoding::RAW]);
    Viewer::send(&mut pair.server, &ClientMessage::UpdateRequest { incremental: false, area });
    assert_eq!(pair.update(), UpdateOutcome::Complete);
    // 4 bytes of message, 12 of rectangle, 400 pixels.
    assert_eq!(pair.server.output().len(), 16 + 1600);
}

#[test]
fn a_large_update_comes_in_portions_and_stays_one_update() {
    let size = Size::new(800, 600);
    let mut pair = Pair::with_encodings(size, &[Encoding::RAW]);
    Viewer::ask(&mut pair.server, false, size);
    assert_eq!(pair.update(), UpdateOutcome::Partial);
    // What comes now must wait for the update's end: other formats, encodings, bells, sizes.
    pair.viewer.drain(&mut pair.server);
    let format = lossless_formats()[3];
    pair.viewer.set_format(&mut pair.server, format);
    Viewer::set_encodings(&mut pair.server, &RESIZABLE);
    pair.server.bell();
    pair.server.cut_text("aside");
    pair.resize(Size::new(640, 480));
    pair.scroll(Rect::new(0, 0, 640, 480), 16);
    while pair.update() == UpdateOutcome::Partial {
        assert!(pair.server.output().len() < 600 * 1024);
        assert!(pair.server.wants_update());
        pair.viewer.drain(&mut pair.server);
    }
    pair.viewer.drain(&mut pair.server);
    assert_eq!((pair.viewer.updates, pair.viewer.canvas.size()), (1, size));
    pair.settle(true);
    pair.assert_same();
    assert_eq!(pair.viewer.canvas.size(), Size::new(640, 480));
    assert_eq!((pair.viewer.bells, pair.viewer.cut_text.as_deref()), (1, Some(&b"aside"[..])));
}

#[test]
fn what_is_not_counted_beforehand_ends_with_last_rect() {
    let size = Size::new(1600, 1000);
    let noise = |pair: &mut Pair| {
        let mut state = 1u32;
        let pixels: Vec<Colour> = (0..size.area())
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                Colour(state >> 8)
            })
            .collect();
        // Noise, and in the lower half a large part of one colour, which is worth rectangles of its own.
        pair.screen.put(size.rect(), &pixels);
        pair.screen.fill(Rect::new(640, 700, 640, 192), Colour::WHITE);
        pair.seed = 0;
    };
    let mut counts = Vec::new();
    for encodings in [&[Encoding::TIGHT][..], &[Encoding::TIGHT, Encoding::LAST_RECT]] {
        let mut pair = Pair::with_encodings(size, encodings);
        noise(&mut pair);
        Viewer::ask(&mut pair.server, false, size);
        while pair.update() == UpdateOutcome::Partial {
            pair.viewer.drain(&mut pair.server);
        }
        pair.viewer.drain(&mut pair.server);
        assert!(pair.viewer.is_idle());
        assert_eq!(pair.viewer.counted, [encodings.len() == 1], "one update");
        pair.assert_same();
        counts.push(pair.viewer.encodings.len());
        // A small one is counted.
        pair.paint(Rect::new(3, 3, 5, 5), 2);
        Viewer::ask(&mut pair.server, true, size);
        assert_eq!(pair.update(), UpdateOutcome::Complete);
        pair.viewer.drain(&mut pair.server);
        assert_eq!(pair.viewer.counted.last(), Some(&true));
    }
    assert!(counts[1] > counts[0], "{counts:?} rectangles: the rest was not cut where it is worth it");
}

#[test]
fn a_new_size_is_told_alone_and_the_picture_follows() {
    for encodings in [&[Encoding::RAW, Encoding::DESKTOP_SIZE][..], &RESIZABLE] {
        let mut pair = Pair::with_encodings(Size::new(80, 50), encodings);
        pair.settle(false);
        pair.viewer.encodings.clear();
        pair.resize(Size::new(90, 40));
        assert_eq!(pair.server.framebuffer_size(), Size::new(80, 50));
        assert_eq!(pair.update(), UpdateOutcome::Complete);
        assert_eq!(pair.server.framebuffer_size(), Size::new(90, 40));
        pair.viewer.drain(&mut pair.server);
        assert_eq!(pair.viewer.encodings.len(), 1);
        assert_eq!(pair.viewer.canvas.size(), Size::new(90, 40));
        pair.settle(true);
        pair.assert_same();
    }
}

#[test]
fn the_screens_are_told_without_pixels() {
    let told = [Encoding::EXTENDED_DESKTOP_SIZE];
    let mut pair = Pair::with_encodings(Size::new(80, 50), &RESIZABLE);
    Viewer::ask(&mut pair.server, false, pair.viewer.canvas.size());
    assert_eq!(pair.update(), UpdateOutcome::Complete);
    pair.viewer.drain(&mut pair.server);
    assert_eq!(pair.viewer.encodings, told);
    // That was the answer; the picture is the next.
    assert_eq!(pair.update(), UpdateOutcome::Nothing);
    pair.settle(true);
    pair.assert_same();

    // Nor is a refusal, with changes at hand, an answer with pixels; and the changes are not lost.
    let wish = ClientMessage::SetDesktopSize {
        size: Size::new(9, 9),
        screens: vec![Screen { id: 1, area: Rect::new(0, 0, 9, 9), flags: 0 }],
    };
    Viewer::send(&mut pair.server, &wish);
    pair.server.refuse_resize(ResizeRefusal::Prohibited);
    pair.paint(Rect::new(3, 4, 50, 20), 9);
    pair.viewer.encodings.clear();
    Viewer::ask(&mut pair.server, true, pair.viewer.canvas.size());
    assert_eq!(pair.update(), UpdateOutcome::Complete);
    pair.viewer.drain(&mut pair.server);
    assert_eq!(pair.viewer.encodings, told);
    pair.settle(true);
    pair.assert_same();
}

#[test]
fn a_wish_for_a_size_is_answered_without_a_request() {
    let mut pair = Pair::with_encodings(Size::new(80, 50), &RESIZABLE);
    pair.settle(false);
    for size in [Size::new(100, 60), Size::new(7, 7)] {
        // Whatever was asked for is answered.
        pair.paint(Rect::new(0, 0, 9, 9), 3);
        pair.update();
        pair.viewer.drain(&mut pair.server);
        pair.viewer.encodings.clear();
        let screens = vec![Screen { id: 1, area: size.rect(), flags: 0 }];
        Viewer::send(&mut pair.server, &ClientMessage::SetDesktopSize { size, screens });
        assert_eq!(pair.update(), UpdateOutcome::Nothing);
        if size.width == 100 {
            pair.resize(size);
        } else {
            pair.server.refuse_resize(ResizeRefusal::Prohibited);
        }
        assert!(pair.server.wants_update());
        assert_eq!(pair.update(), UpdateOutcome::Complete);
        pair.viewer.drain(&mut pair.server);
        assert_eq!(pair.viewer.encodings, [Encoding::EXTENDED_DESKTOP_SIZE]);
        assert!(!pair.server.wants_update());
        pair.settle(true);
        pair.assert_same();
    }
}

#[test]
fn a_viewer_that_cannot_resize_sees_black_outside() {
    let mut pair = Pair::with_encodings(Size::new(80, 50), &[Encoding::HEXTILE]);
    pair.settle(false);
    for size in [Size::new(70, 60), Size::new(100, 30), Size::new(80, 50)] {
        pair.resize(size);
        pair.settle(true);
        assert_eq!(pair.viewer.canvas.size(), Size::new(80, 50));
        pair.assert_same();
    }
}

#[test]
fn a_viewer_may_ask_for_another_size() {
    let mut pair = Pair::with_encodings(Size::new(80, 50), &RESIZABLE);
    pair.settle(false);
    // The ability is announced with the first update.
    let screen = |size: Size| Screen { id: 1, area: size.rect(), flags: 0 };
    assert_eq!(pair.viewer.layouts, [(0, 0, vec![screen(Size::new(80, 50))])]);
    pair.events();
    let wish = |size: Size, screens| ClientMessage::SetDesktopSize { size, screens };
    let new = Size::new(100, 60);
    Viewer::send(&mut pair.server, &wish(new, vec![screen(new)]));
    assert_eq!(pair.events(), [ServerEvent::SetDesktopSize { size: new }]);
    pair.resize(new);
    pair.settle(true);
    assert_eq!(pair.viewer.layouts[1], (1, 0, vec![screen(new)]));
    pair.assert_same();

    Viewer::send(&mut pair.server, &wish(Size::new(9, 9), vec![screen(Size::new(9, 9))]));
    pair.server.refuse_resize(ResizeRefusal::Prohibited);
    pair.settle(true);
    assert_eq!(pair.viewer.layouts[2], (1, 1, vec![screen(new)]));
    pair.events();
    // Layouts that make no sense never reach the driver.
    for bad in [
        wish(Size::new(0, 9), vec![screen(Size::new(9, 9))]),
        wish(Size::new(9, 9), vec![]),
        wish(Size::new(9, 9), vec![screen(Size::new(10, 9))]),
    ] {
        Viewer::send(&mut pair.server, &bad);
        assert_eq!(pair.events(), []);
        pair.settle(true);
        assert_eq!(pair.viewer.layouts.last().map(|(by, status, _)| (*by, *status)), Some((1, 3)));
        pair.events();
    }
}

#[test]
fn names_and_cursors_are_told_to_who_understands_them() {
    let all = [Encoding::RAW, Encoding::DESKTOP_NAME, Encoding::CURSOR];
    for (encodings, understands) in [(&all[..], true), (&all[..1], false)] {
        let mut pair = Pair::with_encodings(Size::new(20, 20), encodings);
        pair.settle(false);
        assert_eq!(pair.viewer.name, "test");
        pair.server.rename("other ✓");
        let cursor = CursorImage {
            size: Size::new(3, 1),
            hotspot: Point { x: 1, y: 0 },
            pixels: vec![Colour::WHITE; 3],
            mask: vec![0xe0],
            alpha: None,
        };
        pair.server.set_cursor(Some(cursor.clone()));
        pair.settle(true);
        assert_eq!(pair.viewer.name, if understands { "other ✓" } else { "test" });
        assert_eq!(pair.viewer.cursor, understands.then_some(cursor));
        pair.server.set_cursor(None);
        pair.settle(true);
        assert_eq!(pair.viewer.cursor.map(|c| c.size), understands.then_some(Size::new(0, 0)));
    }
}

#[test]
fn a_colour_map_is_set_before_it_is_used() {
    let mut pair = Pair::with_encodings(Size::new(20, 20), &[Encoding::ZRLE]);
    let format = PixelFormat::new(8, 8, false, ColourModel::ColourMap).expect("a good format");
    pair.viewer.set_format(&mut pair.server, format);
    pair.settle(false);
    let map = pair.viewer.colour_map.expect("a map");
    assert_eq!(map, (0..=255).map(cube_entry).collect::<Vec<_>>());
    assert_eq!(
        (map[0], map[7], map[0x38], map[0xc0], map[255]),
        ([0; 3], [65535, 0, 0], [0, 65535, 0], [0, 0, 65535], [65535; 3])
    );
}

#[test]
fn keys_pointers_and_text_become_events() {
    let mut pair = Pair::with_encodings(Size::new(20, 10), &[Encoding::RAW]);
    pair.server.handle_input(&[4, 1, 0, 0, 0, 0, 0, b'a', 4, 0, 0, 0, 0, 0, 0, b'a']).expect("keys");
    pair.server.handle_input(&[255, 0, 0, 1, 0, 0, 0xff, 0x0d, 0, 0, 0, 0x1c]).expect("a key");
    pair.server.handle_input(&[5, 0x81, 0, 5, 0xff, 0xff]).expect("a pointer");
    pair.server.handle_input(&[6, 0, 0, 0, 0, 0, 0, 4, b'x', 13, 10, 0xe9]).expect("text");
    let key = |keysym, pressed, keycode| ServerEvent::Key { keysym, pressed, keycode };
    let a = xenvnc::keysym::Keysym(0x61);
    let wanted = [
        key(a, true, None),
        key(a, false, None),
        key(xenvnc::keysym::Keysym::RETURN, true, Some(0x1c)),
        ServerEvent::Pointer { buttons: 0x81, x: 5, y: 9 },
        ServerEvent::CutText("x\né".into()),
    ];
    assert_eq!(pair.events(), wanted);
}

#[test]
fn more_buttons_are_understood_once_acknowledged() {
    let mut pair = Pair::with_encodings(Size::new(20, 10), &[Encoding::EXTENDED_MOUSE_BUTTONS]);
    pair.settle(false);
    assert!(pair.viewer.encodings.contains(&Encoding::EXTENDED_MOUSE_BUTTONS));
    pair.events();
    pair.server.handle_input(&[5, 0x81, 0, 1, 0, 2, 3]).expect("a pointer");
    assert_eq!(pair.events(), [ServerEvent::Pointer { buttons: 0b1_1000_0001, x: 1, y: 2 }]);
}

#[test]
fn a_viewer_that_does_not_read_costs_little() {
    let mut pair = Pair::with_encodings(Size::new(20, 10), &[Encoding::RAW]);
    for _ in 0..200_000 {
        pair.server.bell();
    }
    for _ in 0..10 {
        pair.server.cut_text(&"x".repeat(3 << 20));
    }
    assert!(pair.server.output().len() < 2 << 20);
}

#[derive(Debug, Clone)]
enum Step {
    Paint(Rect, u64),
    Scroll(Rect, u16),
    Resize(Size),
    Format(prop::sample::Index),
    Encodings(u8),
    Ask(bool, Rect),
    Update,
    Drain,
}

fn steps() -> impl Strategy<Value = Step> {
    let rect =
        || (0u16..320, 0u16..260, any_size(300)).prop_map(|(x, y, s)| Rect::new(x, y, s.width, s.height));
    prop_oneof![
        4 => (rect(), any::<u64>()).prop_map(|(rect, seed)| Step::Paint(rect, seed)),
        4 => (rect(), 0u16..40).prop_map(|(rect, lines)| Step::Scroll(rect, lines)),
        1 => any_size(350).prop_map(Step::Resize),
        1 => any::<prop::sample::Index>().prop_map(Step::Format),
        1 => any::<u8>().prop_map(Step::Encodings),
        4 => (any::<bool>(), rect()).prop_map(|(incremental, rect)| Step::Ask(incremental, rect)),
        6 => Just(Step::Update),
        3 => Just(Step::Drain),
    ]
}

/// A refusal and a new size of another cause, both due at once: the viewer must not take the size for refused.
#[test]
fn a_refusal_does_not_hide_a_new_size() {
    let size = Size::new(40, 30);
    let mut pair = Pair::with_encodings(size, &[Encoding::EXTENDED_DESKTOP_SIZE]);
    pair.settle(false);
    let screen = Screen { id: 1, area: Rect::new(0, 0, 90, 90), flags: 0 };
    let wish = ClientMessage::SetDesktopSize { size: Size::new(90, 90), screens: vec![screen] };
    Viewer::send(&mut pair.server, &wish);
    pair.server.refuse_resize(ResizeRefusal::Prohibited);
    pair.screen.resize(Size::new(50, 20));
    pair.server.resize(Size::new(50, 20));
    pair.settle(true);
    assert_eq!(pair.viewer.canvas.size(), Size::new(50, 20));
    let told: Vec<_> = pair.viewer.layouts.iter().map(|(by, status, _)| (*by, *status)).collect();
    assert_eq!(told, [(0, 0), (1, 1), (0, 0)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever happens in between, in the end the viewer's picture is the screen's.
    #[test]
    fn the_viewer_sees_the_screen_in_the_end(
        size in any_size(320),
        seed: u64,
        steps in prop::collection::vec(steps(), 0..40),
    ) {
        let mut pair = Pair::new(size, seed);
        for step in steps {
            match step {
                Step::Paint(rect, seed) => pair.paint(rect, seed),
                Step::Scroll(rect, lines) => pair.scroll(rect, lines),
                Step::Resize(size) => pair.resize(size),
                Step::Format(at) => {
                    // A viewer cannot tell in which format an update is that it has not seen the beginning of.
                    pair.viewer.drain(&mut pair.server);
                    pair.viewer.set_format(&mut pair.server, *at.get(&lossless_formats()));
                }
                Step::Encodings(bits) => {
                    let picture = [Encoding::RAW, Encoding::HEXTILE, Encoding::ZRLE, Encoding::TIGHT];
                    let mut wishes = vec![picture[usize::from(bits & 3)]];
                    for (bit, encoding) in RESIZABLE[1..].iter().enumerate() {
                        if bits & (4 << bit) != 0 {
                            wishes.push(*encoding);
                        }
                    }
                    Viewer::set_encodings(&mut pair.server, &wishes);
                }
                Step::Ask(incremental, area) => {
                    Viewer::send(&mut pair.server, &ClientMessage::UpdateRequest { incremental, area });
                }
                Step::Update => {
                    pair.update();
                }
                Step::Drain => pair.viewer.drain(&mut pair.server),
            }
        }
        pair.viewer.drain(&mut pair.server);
        pair.settle(true);
        pair.assert_same();
    }
}
