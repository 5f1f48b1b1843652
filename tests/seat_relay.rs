//! Rectangles of a display that are passed on as they are, with scripted displays and viewers whose decoders are the test's
//! own: whatever happens, the viewer shows what the display has, and no compressed stream breaks.

#[allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]
#[allow(clippy::unwrap_used, clippy::expect_used, reason = "failing is how a test reports")]
mod common {
    pub mod display;
    pub mod pixels;
    pub mod scene;
    pub mod viewer;
}

use std::time::Duration;

use common::display::Display;
use common::pixels::Format;
use common::scene::{F1, Scene, f};
use common::viewer::{COPY_RECT, CURSOR, DESKTOP_SIZE, HEXTILE, TIGHT, ZLIB, ZRLE};
use xenvnc::geometry::{Point, Rect, Size};
use xenvnc::keysym::Keysym;
use xenvnc::seat::{SeatOptions, UpstreamError};

const SIZE: Size = Size::new(200, 150);
const TIGHT_FIRST: &[i32] = &[TIGHT, COPY_RECT, ZRLE, HEXTILE, CURSOR, DESKTOP_SIZE];
const ZRLE_FIRST: &[i32] = &[ZRLE, COPY_RECT, TIGHT, ZLIB, HEXTILE, CURSOR, DESKTOP_SIZE];

fn scene() -> Scene {
    Scene::with(SeatOptions {
        name: "web1".to_owned(),
        columns: 40,
        rows: 12,
        notices: false,
        relay: true,
        ..SeatOptions::default()
    })
}

fn painted(size: Size) -> Display {
    let mut display = Display::new(size);
    display.fill(size.rect(), |x, y| (u32::from(x) * 7919) ^ (u32::from(y) * 0x0101));
    display
}

/// The display changes so many times; the viewers always show it.
fn change(scene: &mut Scene, display: usize, viewers: &[usize], times: u16) {
    for n in 0..times {
        scene.display(display).fill(Rect::new(n * 7 % 150, n * 5 % 110, 50, 40), |x, y| {
            u32::from(x ^ y) * 0x0201 + u32::from(n) * 0x0001_0305
        });
        scene.now += Duration::from_millis(20);
        scene.settle();
        for viewer in viewers {
            let differs = scene.guests[*viewer].viewer.differs(&scene.picture(display));
            assert_eq!(differs, None, "change {n}");
        }
    }
}

fn switch(scene: &mut Scene, viewer: usize, number: u32) {
    scene.viewer(viewer).chord(&[Keysym::CONTROL_L, Keysym::ALT_L, Keysym(Keysym::F1.0 + number - 1)]);
    scene.settle();
}

/// What the display is asked for is what it compresses.
fn is_relayed(scene: &mut Scene, display: usize) -> bool {
    scene.display(display).encodings.iter().any(|encoding| matches!(*encoding, TIGHT | ZRLE))
}

#[test]
fn a_viewer_that_looks_alone_is_passed_what_the_display_compressed() {
    for encodings in [TIGHT_FIRST, ZRLE_FIRST] {
        let mut scene = scene();
        scene.write("booting\r\n");
        let viewer = scene.join(encodings, Format::RGB888);
        scene.assert_pictures();
        let display = scene.connect(f(7), painted(SIZE));
        change(&mut scene, display, &[viewer], 3);
        assert!(!is_relayed(&mut scene, display));
        change(&mut scene, display, &[viewer], 10);
        assert!(is_relayed(&mut scene, display));
        let before = scene.display(display).compressed;
        change(&mut scene, display, &[viewer], 20);
        assert_eq!(scene.display(display).compressed, before + 20);
        // A copy stays a copy.
        let copies = scene.viewer(viewer).copies;
        scene.display(display).copy(Rect::new(0, 0, 200, 134), Point { x: 0, y: 16 });
        scene.settle();
        assert_eq!(scene.viewer(viewer).copies, copies + 1);
        change(&mut scene, display, &[viewer], 1);
        assert!(is_relayed(&mut scene, display));
        assert_eq!(scene.seat.deadline(), None);
    }
}

#[test]
fn nothing_is_relayed_unless_allowed_or_where_our_own_pictures_would_have_no_encoding() {
    let mut quiet = Scene::with(SeatOptions { notices: false, ..SeatOptions::default() });
    let viewer = quiet.join(TIGHT_FIRST, Format::RGB888);
    let display = quiet.connect(f(7), painted(SIZE));
    change(&mut quiet, display, &[viewer], 20);
    assert!(!is_relayed(&mut quiet, display));
    for (encodings, format) in [
        (&[TIGHT, COPY_RECT, DESKTOP_SIZE, CURSOR][..], Format::RGB888),
        (&[ZRLE, COPY_RECT, DESKTOP_SIZE, CURSOR], Format::RGB888),
        (&[HEXTILE, ZRLE, TIGHT, COPY_RECT, DESKTOP_SIZE], Format::RGB888),
        (&[ZRLE, TIGHT, DESKTOP_SIZE], Format::RGB888),
        (TIGHT_FIRST, Format::BGR888_BIG),
        (ZRLE_FIRST, Format::RGB565),
    ] {
        let mut scene = scene();
        let viewer = scene.join(encodings, format);
        let display = scene.connect(f(7), painted(SIZE));
        change(&mut scene, display, &[viewer], 20);
        assert!(!is_relayed(&mut scene, display), "{encodings:?}");
    }
}

#[test]
fn two_hundred_switches_with_a_relay_corrupt_no_stream() {
    for encodings in [TIGHT_FIRST, ZRLE_FIRST] {
        let mut scene = scene();
        let viewer = scene.join(encodings, Format::RGB888);
        let display = scene.connect(f(7), painted(SIZE));
        let mut relayed = 0;
        for n in 0..100_u16 {
            change(&mut scene, display, &[viewer], if n % 10 == 0 { 40 } else { 3 });
            relayed += u32::from(is_relayed(&mut scene, display));
            switch(&mut scene, viewer, 1);
            scene.write(&format!("\x1b[{}mline {n}\r\n", 31 + n % 7));
            scene.settle();
            scene.assert_pictures();
            switch(&mut scene, viewer, 7);
        }
        assert!(relayed >= 3, "{relayed} times");
    }
}

#[test]
fn a_switch_while_an_update_is_under_way_ends_the_relay_for_good() {
    let mut scene = scene();
    let viewer = scene.join(TIGHT_FIRST, Format::RGB888);
    let display = scene.connect(f(7), painted(SIZE));
    change(&mut scene, display, &[viewer], 10);
    assert!(is_relayed(&mut scene, display));
    // Compressed for this viewer, and never delivered.
    scene.display(display).fill(SIZE.rect(), |x, y| u32::from(x + y));
    scene.display(display).answer();
    let late = std::mem::take(&mut scene.display(display).outgoing);
    let id = scene.displays[display].id;
    scene.seat.upstream_input(id, &late[..late.len() / 2], scene.now).unwrap();
    switch(&mut scene, viewer, 1);
    scene.seat.upstream_input(id, &late[late.len() / 2..], scene.now).unwrap();
    scene.settle();
    scene.assert_pictures();
    switch(&mut scene, viewer, 7);
    change(&mut scene, display, &[viewer], 50);
    assert!(!is_relayed(&mut scene, display));
    switch(&mut scene, viewer, 1);
    scene.assert_pictures();
}

#[test]
fn an_update_that_comes_in_pieces_is_passed_on_whole() {
    let mut scene = scene();
    let viewer = scene.join(ZRLE_FIRST, Format::RGB888);
    let display = scene.connect(f(7), painted(SIZE));
    change(&mut scene, display, &[viewer], 10);
    assert!(is_relayed(&mut scene, display));
    for n in 0..5 {
        scene.display(display).fill(SIZE.rect(), |x, y| u32::from(x * y) ^ n);
        scene.display(display).answer();
        let update = std::mem::take(&mut scene.display(display).outgoing);
        let id = scene.displays[display].id;
        for piece in update.chunks(1 + update.len() / 37) {
            scene.seat.upstream_input(id, piece, scene.now).unwrap();
            scene.turn();
        }
        assert_eq!(scene.guests[viewer].viewer.differs(&scene.picture(display)), None);
    }
    assert!(is_relayed(&mut scene, display));
}

#[test]
fn who_joins_gets_the_whole_picture_and_the_relay_goes_on_when_it_leaves() {
    let mut scene = scene();
    let first = scene.join(TIGHT_FIRST, Format::RGB888);
    let display = scene.connect(f(7), painted(SIZE));
    change(&mut scene, display, &[first], 10);
    assert!(is_relayed(&mut scene, display));
    let second = scene.join(ZRLE_FIRST, Format::RGB888);
    change(&mut scene, display, &[first, second], 10);
    assert!(!is_relayed(&mut scene, display));
    let gone = scene.guests.remove(second);
    scene.seat.remove_viewer(gone.id);
    change(&mut scene, display, &[first], 20);
    assert!(is_relayed(&mut scene, display));
    // The streams are the first one's: nobody else is ever given them.
    let gone = scene.guests.remove(first);
    scene.seat.remove_viewer(gone.id);
    let third = scene.join(TIGHT_FIRST, Format::RGB888);
    change(&mut scene, display, &[third], 50);
    assert!(!is_relayed(&mut scene, display));
}

#[test]
fn a_screenshot_of_a_relayed_display_is_of_this_moment() {
    let mut scene = scene();
    let viewer = scene.join(TIGHT_FIRST, Format::RGB888);
    let display = scene.connect(f(7), painted(SIZE));
    change(&mut scene, display, &[viewer], 10);
    assert!(is_relayed(&mut scene, display));
    scene.seat.begin_screenshot(f(7), scene.now);
    assert!(!scene.seat.is_screenshot_ready(f(7), scene.now));
    scene.turn();
    assert!(scene.seat.is_screenshot_ready(f(7), scene.now));
    assert_eq!(scene.seat.screenshot(f(7)).unwrap().pixels, scene.picture(display).pixels);
    change(&mut scene, display, &[viewer], 20);
    assert!(is_relayed(&mut scene, display));
}

#[test]
fn whatever_a_viewer_asks_for_it_is_shown() {
    let mut scene = scene();
    let viewer = scene.join(ZRLE_FIRST, Format::RGB888);
    let display = scene.connect(f(7), painted(SIZE));
    for n in 0..20_u16 {
        change(&mut scene, display, &[viewer], 1 + n * 2);
        scene.guests[viewer].follows = false;
        scene.turn();
        // Everything; a part only; in other colours; in another encoding.
        match n % 4 {
            0 => scene.viewer(viewer).request(false),
            1 => scene.viewer(viewer).request_rect(true, Rect::new(10, 10, 20, 20)),
            2 => {
                let format = if n % 8 == 2 { Format::BGR888_BIG } else { Format::RGB888 };
                scene.viewer(viewer).set_format(format);
                scene.viewer(viewer).request(false);
            }
            _ => scene.viewer(viewer).set_encodings(if n % 8 == 3 { TIGHT_FIRST } else { ZRLE_FIRST }),
        }
        scene.guests[viewer].follows = true;
        scene.turn();
        scene.viewer(viewer).request(true);
        scene.settle();
    }
    change(&mut scene, display, &[viewer], 5);
    switch(&mut scene, viewer, 1);
    scene.assert_pictures();
}

#[test]
fn another_size_is_followed_and_relayed_again() {
    let mut scene = scene();
    let viewer = scene.join(TIGHT_FIRST, Format::RGB888);
    let display = scene.connect(f(7), painted(SIZE));
    change(&mut scene, display, &[viewer], 10);
    for size in [Size::new(320, 200), Size::new(200, 160), SIZE] {
        assert!(is_relayed(&mut scene, display), "before {size:?}");
        scene.display(display).resize(size);
        scene.settle();
        change(&mut scene, display, &[viewer], 40);
    }
    assert!(is_relayed(&mut scene, display));
    // Rectangles for the new size that the viewer was not told of yet cannot be passed on.
    scene.display(display).resizes_with_pixels = true;
    scene.display(display).resize(Size::new(160, 120));
    scene.settle();
    let differs = scene.guests[viewer].viewer.differs(&scene.picture(display));
    assert_eq!(differs, None);
    switch(&mut scene, viewer, 1);
    scene.assert_pictures();
}

#[test]
fn tight_is_relayed_of_a_display_that_connects_anew_and_zrle_is_not() {
    for (encodings, again) in [(TIGHT_FIRST, true), (ZRLE_FIRST, false)] {
        let mut scene = scene();
        let viewer = scene.join(encodings, Format::RGB888);
        for n in 0..3 {
            let display = scene.connect(f(7), painted(SIZE));
            change(&mut scene, display, &[viewer], 20);
            assert_eq!(is_relayed(&mut scene, display), again || n == 0, "life {n}");
            scene.disconnect(display);
            scene.settle();
            scene.assert_pictures();
        }
    }
}

#[test]
fn a_second_display_is_not_given_streams_that_the_first_one_has() {
    let mut scene = scene();
    let viewer = scene.join(TIGHT_FIRST, Format::RGB888);
    let first = scene.connect(f(7), painted(SIZE));
    change(&mut scene, first, &[viewer], 10);
    let second = scene.connect(f(8), painted(SIZE));
    switch(&mut scene, viewer, 8);
    change(&mut scene, second, &[viewer], 20);
    assert!(!is_relayed(&mut scene, second));
    switch(&mut scene, viewer, 7);
    change(&mut scene, first, &[viewer], 20);
    assert!(is_relayed(&mut scene, first));
    assert_eq!(scene.seat.default_vt(), f(7));
}

#[test]
fn a_display_that_paints_what_was_not_asked_for_is_decoded_from_then_on() {
    let mut scene = scene();
    let viewer = scene.join(TIGHT_FIRST, Format::RGB888);
    let display = scene.connect(f(7), painted(SIZE));
    change(&mut scene, display, &[viewer], 10);
    assert!(is_relayed(&mut scene, display));
    scene.display(display).encodings = vec![0];
    change(&mut scene, display, &[viewer], 30);
    assert!(!is_relayed(&mut scene, display));
}

#[test]
fn a_pointer_that_the_viewer_does_not_draw_is_not_left_out() {
    let mut scene = scene();
    let viewer = scene.join(&[TIGHT, COPY_RECT, ZRLE, DESKTOP_SIZE], Format::RGB888);
    let mut display = painted(SIZE);
    display.cursor(Size::new(8, 8), Point { x: 0, y: 0 }, 0x00ff_0000);
    let display = scene.connect(f(7), display);
    scene.settle();
    scene.viewer(viewer).pointer(0, 100, 100);
    scene.settle();
    for n in 0..30 {
        scene.display(display).fill(Rect::new(0, 0, 50, 50), |_, _| n);
        scene.now += Duration::from_millis(20);
        scene.settle();
    }
    assert!(!is_relayed(&mut scene, display));
    let at = 100 * usize::from(SIZE.width) + 100;
    assert_eq!(scene.guests[viewer].viewer.canvas.pixels[at].0, 0x00ff_0000);
}

#[test]
fn what_a_hostile_display_relays_ends_it_alone() {
    // A rectangle in Tight; what makes it bad; the message.
    let head = |rect: Rect, encoding: i32, body: &[u8]| {
        let mut bytes = vec![0, 0, 0, 1];
        bytes.extend([rect.x, rect.y, rect.width, rect.height].iter().flat_map(|value| value.to_be_bytes()));
        bytes.extend(encoding.to_be_bytes());
        bytes.extend(body);
        bytes
    };
    for (bytes, says) in [
        (head(Rect::new(150, 0, 100, 10), TIGHT, &[0x80, 1, 2, 3]), "outside"),
        (head(Rect::new(0, 0, 10, 10), COPY_RECT, &[0, 195, 0, 0]), "outside"),
        (head(Rect::new(0, 0, 10, 10), TIGHT, &[0xb0]), "control byte 0xb0"),
        (head(Rect::new(0, 0, 10, 10), TIGHT, &[0x90, 1, 0xff]), "control byte 0x90"),
        (head(Rect::new(0, 0, 10, 10), TIGHT, &[0x40, 9]), "tight filter 9"),
        (head(Rect::new(0, 0, 10, 10), ZRLE, &[1, 0, 0, 0]), "encoding 16"),
    ] {
        let mut scene = scene();
        let viewer = scene.join(TIGHT_FIRST, Format::RGB888);
        scene.write("still here");
        let display = scene.connect(f(7), painted(SIZE));
        change(&mut scene, display, &[viewer], 10);
        assert!(is_relayed(&mut scene, display));
        let id = scene.displays[display].id;
        let error = scene.seat.upstream_input(id, &bytes, scene.now).unwrap_err();
        assert!(matches!(error, UpstreamError::Protocol(_)));
        assert!(error.to_string().contains(says), "{error}");
        scene.disconnect(display);
        scene.settle();
        assert_eq!(scene.seat.viewers()[0].vt, F1);
        scene.assert_pictures();
    }
}

#[test]
fn a_viewer_that_does_not_read_is_not_sent_a_stream_with_a_gap() {
    let mut scene = scene();
    let viewer = scene.join(ZRLE_FIRST, Format::RGB888);
    let display = scene.connect(f(7), painted(SIZE));
    change(&mut scene, display, &[viewer], 10);
    assert!(is_relayed(&mut scene, display));
    scene.guests[viewer].reads = false;
    for n in 0..50 {
        scene.display(display).fill(SIZE.rect(), |x, y| u32::from(x ^ y) + n);
        scene.now += Duration::from_millis(20);
        scene.turn();
    }
    // It is not asked for more than the viewer takes.
    let requests = scene.display(display).requests;
    scene.display(display).fill(SIZE.rect(), |x, y| u32::from(x * y));
    scene.turn();
    assert_eq!(scene.display(display).requests, requests);
    scene.guests[viewer].reads = true;
    scene.settle();
    assert_eq!(scene.guests[viewer].viewer.differs(&scene.picture(display)), None);
    change(&mut scene, display, &[viewer], 10);
}
