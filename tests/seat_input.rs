//! What viewers type, click, scroll and paste.

#[allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]
#[allow(clippy::unwrap_used, clippy::expect_used, reason = "failing is how a test reports")]
mod common {
    pub mod display;
    pub mod pixels;
    pub mod scene;
    pub mod viewer;
}

use std::time::Duration;

use common::pixels::Format;
use common::scene::{ALL, F1, STATUS, Scene};
use common::viewer::{EXTENDED_DESKTOP_SIZE, Viewer};
use xenvnc::geometry::Size;
use xenvnc::keysym::Keysym;
use xenvnc::seat::{INPUT_BYTES, PASTE_BYTES, SeatOptions, VtError};

const WHEEL_UP: u8 = 8;
const WHEEL_DOWN: u8 = 16;
const MIDDLE: u8 = 2;
/// Where the last column of the small seat begins, in pixels; the scroll bar is there.
const LAST_COLUMN: u16 = 39 * 8;
const SHIFT_PAGE_UP: [Keysym; 2] = [Keysym::SHIFT_L, Keysym::PAGE_UP];
const SHIFT_PAGE_DOWN: [Keysym; 2] = [Keysym::SHIFT_L, Keysym::PAGE_DOWN];

/// A seat whose console has said more than fits, and one viewer.
fn talkative() -> (Scene, usize) {
    let mut scene = Scene::new();
    let viewer = scene.join_usual();
    for line in 0..60 {
        scene.write(&format!("line {line}\r\n"));
    }
    scene.settle();
    scene.assert_pictures();
    (scene, viewer)
}

fn click(viewer: &mut Viewer, button: u8) {
    viewer.pointer(button, 20, 20);
    viewer.pointer(0, 20, 20);
}

#[test]
fn keys_and_modifiers_reach_the_guest() {
    let mut scene = Scene::new();
    let viewer = scene.join_usual();
    scene.viewer(viewer).type_text("ls ä€\n");
    scene.viewer(viewer).chord(&[Keysym::CONTROL_L, Keysym::from_char('c')]);
    scene.viewer(viewer).chord(&[Keysym::ALT_L, Keysym::from_char('x')]);
    scene.viewer(viewer).chord(&[Keysym::UP]);
    scene.turn();
    assert_eq!(scene.take_typed(), "ls ä€\r\x03\x1bx\x1b[A");
}

#[test]
fn pages_of_history_are_shown_to_the_one_who_scrolls() {
    let (mut scene, viewer) = talkative();
    let other = scene.join_usual();
    let live = scene.seat.screenshot(F1).unwrap();
    scene.viewer(viewer).chord(&SHIFT_PAGE_UP);
    scene.settle();
    assert!(scene.seat.viewers()[viewer].scrolled);
    assert!(!scene.viewer(viewer).shows(&live));
    assert!(scene.viewer(other).shows(&live));

    // What the guest says meanwhile does not move it.
    let seen = scene.viewer(viewer).picture();
    scene.write("more\r\nand more\r\n");
    scene.settle();
    assert_eq!(scene.viewer(viewer).differs_left_of(LAST_COLUMN, &seen), None);

    scene.viewer(viewer).chord(&SHIFT_PAGE_DOWN);
    scene.settle();
    assert!(scene.seat.viewers()[viewer].scrolled, "the guest has gone on by two lines");
    scene.viewer(viewer).chord(&SHIFT_PAGE_DOWN);
    scene.settle();
    scene.assert_pictures();

    // A typed key leads back, too.
    scene.viewer(viewer).chord(&[Keysym::SHIFT_R, Keysym::HOME]);
    scene.settle();
    assert!(scene.seat.viewers()[viewer].scrolled);
    assert_eq!(scene.take_typed(), "");
    scene.viewer(viewer).type_text("x");
    scene.settle();
    assert_eq!(scene.take_typed(), "x");
    scene.assert_pictures();
}

#[test]
fn a_page_back_is_what_was_on_the_screen_a_page_ago() {
    let (mut scene, viewer) = talkative();
    scene.write("\x1b[?25l\x1b[32mhere ─┐ \x1b[0m\r\n");
    let then = scene.seat.screenshot(F1).unwrap();
    // A page is the screen's 12 rows but one.
    scene.write(&"\r\nnew".repeat(11));
    scene.viewer(viewer).chord(&SHIFT_PAGE_UP);
    scene.settle();
    assert_eq!(scene.viewer(viewer).differs_left_of(LAST_COLUMN, &then), None);
}

#[test]
fn what_history_has_forgotten_is_not_shown() {
    let (mut scene, viewer) = talkative();
    scene.viewer(viewer).chord(&[Keysym::SHIFT_L, Keysym::HOME]);
    scene.settle();
    for line in 0..1000 {
        scene.write(&format!("later {line}\r\n"));
    }
    scene.settle();
    assert!(scene.seat.viewers()[viewer].scrolled);
    scene.viewer(viewer).chord(&[Keysym::SHIFT_L, Keysym::END]);
    scene.settle();
    scene.assert_pictures();
}

#[test]
fn the_wheel_scrolls_and_goes_to_the_guest_only_when_it_asked() {
    let (mut scene, viewer) = talkative();
    click(scene.viewer(viewer), WHEEL_UP);
    scene.settle();
    assert!(scene.seat.viewers()[viewer].scrolled);
    click(scene.viewer(viewer), WHEEL_DOWN);
    scene.settle();
    assert!(!scene.seat.viewers()[viewer].scrolled);
    assert_eq!(scene.take_typed(), "");

    // SGR mouse reports: column 20 / 8, row 20 / 16, from 1.
    scene.write("\x1b[?1000h\x1b[?1006h");
    click(scene.viewer(viewer), WHEEL_UP);
    scene.settle();
    assert_eq!(scene.take_typed(), "\x1b[<64;3;2M");
    assert!(!scene.seat.viewers()[viewer].scrolled);

    // With Shift the wheel is the viewer's.
    scene.viewer(viewer).key(Keysym::SHIFT_L, true);
    click(scene.viewer(viewer), WHEEL_UP);
    scene.viewer(viewer).key(Keysym::SHIFT_L, false);
    scene.settle();
    assert_eq!(scene.take_typed(), "");
    assert!(scene.seat.viewers()[viewer].scrolled);
}

#[test]
fn in_the_alternate_screen_the_wheel_sends_arrows_and_the_keys_are_the_guests() {
    let (mut scene, viewer) = talkative();
    scene.write("\x1b[?1049h");
    click(scene.viewer(viewer), WHEEL_DOWN);
    scene.settle();
    assert_eq!(scene.take_typed(), "\x1b[B\x1b[B\x1b[B");
    scene.viewer(viewer).chord(&SHIFT_PAGE_UP);
    scene.settle();
    assert!(!scene.take_typed().is_empty());
    assert!(!scene.seat.viewers()[viewer].scrolled);
}

#[test]
fn buttons_are_released_when_the_viewer_goes() {
    let mut scene = Scene::new();
    let viewer = scene.join_usual();
    scene.write("\x1b[?1000h\x1b[?1006h");
    scene.viewer(viewer).pointer(1, 0, 0);
    scene.turn();
    assert_eq!(scene.take_typed(), "\x1b[<0;1;1M");
    let guest = scene.guests.remove(viewer);
    scene.seat.remove_viewer(guest.id);
    scene.turn();
    assert_eq!(scene.take_typed(), "\x1b[<0;1;1m");
    assert!(scene.seat.viewers().is_empty());
}

#[test]
fn the_viewers_own_clipboard_is_pasted() {
    let mut scene = Scene::new();
    let (viewer, other) = (scene.join_usual(), scene.join_usual());
    scene.viewer(viewer).cut("echo hi\n");
    scene.viewer(other).cut("other");
    scene.viewer(viewer).chord(&[Keysym::SHIFT_L, Keysym::INSERT]);
    scene.turn();
    assert_eq!(scene.take_typed(), "echo hi\r");
    scene.write("\x1b[?2004h");
    click(scene.viewer(other), MIDDLE);
    scene.turn();
    assert_eq!(scene.take_typed(), "\x1b[200~other\x1b[201~");
}

#[test]
fn what_does_not_fit_is_refused_with_a_bell() {
    let mut scene = Scene::new();
    let viewer = scene.join_usual();
    scene.seat.set_console_drained(F1, false);
    scene.seat.type_text(F1, "x").unwrap();
    scene.viewer(viewer).type_text(&"a".repeat(INPUT_BYTES));
    scene.turn();
    assert_eq!((scene.viewer(viewer).bells, scene.take_typed().as_str()), (0, ""));
    scene.viewer(viewer).type_text("b");
    scene.turn();
    assert_eq!(scene.viewer(viewer).bells, 1);
    // Pastes have a limit of their own.
    scene.viewer(viewer).cut(&"y".repeat(PASTE_BYTES));
    scene.viewer(viewer).chord(&[Keysym::SHIFT_L, Keysym::INSERT]);
    scene.now += Duration::from_secs(1);
    scene.turn();
    assert_eq!(scene.viewer(viewer).bells, 2);
    scene.seat.set_console_drained(F1, true);
    scene.settle();
    assert_eq!(scene.take_typed(), "x".to_owned() + &"a".repeat(INPUT_BYTES));
    scene.viewer(viewer).type_text("abc");
    scene.turn();
    assert_eq!(scene.take_typed(), "abc");
}

#[test]
fn text_is_typed_to_consoles_only() {
    let mut scene = Scene::new();
    scene.seat.type_text(F1, "root\n").unwrap();
    scene.turn();
    assert_eq!(scene.take_typed(), "root\r");
    assert_eq!(scene.seat.type_text(STATUS, "x"), Err(VtError::NoConsole { vt: STATUS }));
    let f4 = common::scene::f(4);
    assert_eq!(scene.seat.type_text(f4, "x"), Err(VtError::NoSuchVt { vt: f4 }));
}

#[test]
fn queries_are_answered_unless_another_reader_does() {
    let mut scene = Scene::new();
    scene.write("\x1b[5n");
    scene.turn();
    assert_eq!(scene.take_typed(), "\x1b[0n");
    scene.seat.set_answering(F1, false);
    scene.write("\x1b[5n");
    scene.turn();
    assert_eq!(scene.take_typed(), "");
}

#[test]
fn another_size_is_refused_unless_it_is_allowed() {
    let encodings = [ALL, &[EXTENDED_DESKTOP_SIZE]].concat();
    for allow_resize in [false, true] {
        let mut scene = Scene::with(SeatOptions { allow_resize, ..SeatOptions::default() });
        let viewer = scene.join(&encodings, Format::RGB888);
        let other = scene.join(&encodings, Format::RGB565);
        let before = scene.viewer(other).canvas.size;
        assert_eq!(before, Size::new(640, 400));
        scene.viewer(viewer).set_desktop_size(Size::new(805, 490));
        scene.settle();
        let (status, size) = if allow_resize { (0, Size::new(800, 480)) } else { (1, before) };
        assert_eq!(scene.viewer(viewer).resize_status, Some(status));
        assert_eq!(scene.viewer(viewer).canvas.size, size);
        assert_eq!(scene.viewer(other).canvas.size, size);
        scene.assert_pictures();
        // More than we keep cells for.
        scene.viewer(viewer).set_desktop_size(Size::new(u16::MAX, u16::MAX));
        scene.settle();
        assert_ne!(scene.viewer(viewer).resize_status, Some(0));
        assert_eq!(scene.viewer(other).canvas.size, size);
        scene.assert_pictures();
    }
}

#[test]
fn a_viewer_that_looks_back_keeps_its_place_when_another_makes_the_screen_wider() {
    let mut scene = Scene::with(SeatOptions {
        name: "web1".to_owned(),
        columns: 40,
        rows: 12,
        history_lines: 1000,
        allow_resize: true,
        ..SeatOptions::default()
    });
    let looks_back = scene.join_usual();
    let resizes = scene.join(&[ALL, &[EXTENDED_DESKTOP_SIZE]].concat(), Format::RGB888);
    // Each of the first lines is two rows of 40 columns, and one of 90; it looks at those behind.
    for line in 0..30 {
        scene.write(&format!("line {line} {}\r\n", "x".repeat(50)));
    }
    for line in 0..60 {
        scene.write(&format!("short line {line}\r\n"));
    }
    scene.write(&"\r\n".repeat(100));
    scene.settle();
    for _ in 0..9 {
        scene.viewer(looks_back).chord(&SHIFT_PAGE_UP);
    }
    scene.settle();
    let first_row = |scene: &Scene| {
        let canvas = &scene.guests[looks_back].viewer.canvas;
        let rows = canvas.pixels.chunks(usize::from(canvas.size.width)).take(16);
        rows.flat_map(|row| row[..300].to_vec()).collect::<Vec<_>>()
    };
    let before = first_row(&scene);
    assert!(before.iter().any(|pixel| *pixel != before[0]), "nothing is written there");
    scene.viewer(resizes).set_desktop_size(Size::new(90 * 8, 12 * 16));
    scene.settle();
    assert_eq!(scene.viewer(looks_back).canvas.size, Size::new(90 * 8, 12 * 16));
    assert!(first_row(&scene) == before, "it looks elsewhere");
}
