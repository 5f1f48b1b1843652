//! What viewers do to text: select, copy and paste it, scroll by the bar, search.

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
use common::scene::{ALL, F1, Scene};
use common::viewer::{EXTENDED_DESKTOP_SIZE, Viewer};
use xenvnc::geometry::Size;
use xenvnc::keysym::Keysym;
use xenvnc::rfb::tile::Colour;
use xenvnc::seat::{ClipboardPolicy, PastePolicy, SeatOptions};

const LEFT: u8 = 1;
const MIDDLE: u8 = 2;
const RIGHT: u8 = 4;
const WHEEL_UP: u8 = 8;
/// Where the last column of the small seat begins, in pixels; the scroll bar is there.
const LAST_COLUMN: u16 = 39 * 8;

/// A seat whose console has said more than fits, and one viewer.
fn talkative() -> (Scene, usize) {
    let mut scene = Scene::new();
    let viewer = scene.join_usual();
    for line in 0..60 {
        scene.write(&format!("line {line}\r\n"));
    }
    scene.settle();
    (scene, viewer)
}

fn click(viewer: &mut Viewer, button: u8) {
    viewer.pointer(button, 20, 20);
    viewer.pointer(0, 20, 20);
}

/// Drags with a button from one cell to another, by way of what is between.
fn drag(viewer: &mut Viewer, button: u8, from: (u16, u16), to: (u16, u16)) {
    let pixel = |cell: (u16, u16)| (cell.0 * 8 + 4, cell.1 * 16 + 8);
    let (from, to) = (pixel(from), pixel(to));
    viewer.pointer(0, from.0, from.1);
    viewer.pointer(button, from.0, from.1);
    viewer.pointer(button, (from.0 + to.0) / 2, (from.1 + to.1) / 2);
    viewer.pointer(button, to.0, to.1);
    viewer.pointer(0, to.0, to.1);
}

#[test]
fn what_is_dragged_over_is_inverted_for_one_viewer_and_copied_to_it() {
    let mut scene = Scene::new();
    scene.write("\x1b[?25lfirst line\r\nsecond line");
    let (viewer, other) = (scene.join_usual(), scene.join(ALL, Format::RGB565));
    drag(scene.viewer(viewer), LEFT, (6, 0), (5, 1));
    scene.settle();
    assert_eq!(scene.viewer(viewer).cut_text.as_deref(), Some("line\nsecond"));
    assert_eq!(scene.viewer(other).cut_text, None);
    assert_eq!(scene.take_typed(), "", "the guest was told");
    // The same as a guest would show that inverts these cells.
    let mut inverted = Scene::new();
    inverted.write("\x1b[?25lfirst \x1b[7mline\x1b[K                              \r\nsecond\x1b[0m line");
    let picture = inverted.seat.screenshot(F1).unwrap();
    assert_eq!(scene.viewer(viewer).differs(&picture), None);
    let plain = scene.seat.screenshot(F1).unwrap();
    assert_eq!(scene.viewer(other).differs(&plain), None);

    // Paste what was selected, also where the viewer has no clipboard.
    click(scene.viewer(viewer), MIDDLE);
    scene.settle();
    assert_eq!(scene.take_typed(), "line\rsecond");
    // A change elsewhere leaves it, one of its own text ends it.
    scene.write("\r\nthird");
    scene.settle();
    let plain = scene.seat.screenshot(F1).unwrap();
    assert_ne!(scene.viewer(viewer).differs(&plain), None);
    scene.write("\x1b[1;8HX");
    scene.settle();
    scene.assert_pictures();
}

#[test]
fn a_selection_stays_with_its_text_while_the_screen_scrolls() {
    let mut scene = Scene::new();
    let viewer = scene.join_usual();
    scene.write("\x1b[?25l");
    for line in 0..11 {
        scene.write(&format!("line {line}\r\n"));
    }
    drag(scene.viewer(viewer), LEFT, (0, 4), (5, 4));
    scene.settle();
    assert_eq!(scene.viewer(viewer).cut_text.as_deref(), Some("line 4"));
    scene.write("\r\n\r\nmore");
    scene.settle();
    let mut wanted = Scene::new();
    wanted.write("\x1b[?25l");
    for line in 2..11 {
        wanted.write(&if line == 4 {
            format!("\x1b[7mline {line}\x1b[m\r\n")
        } else {
            format!("line {line}\r\n")
        });
    }
    wanted.write("\r\n\r\nmore");
    let copies = scene.viewer(viewer).copies;
    assert!(copies > 0, "it was not a move");
    assert_eq!(scene.viewer(viewer).differs(&wanted.seat.screenshot(F1).unwrap()), None);
    // Out of sight, and back by looking at history.
    scene.write(&"\r\n".repeat(20));
    scene.settle();
    scene.assert_pictures();
    scene.viewer(viewer).chord(&[Keysym::SHIFT_L, Keysym::HOME]);
    scene.settle();
    let inverse = |scene: &mut Scene| {
        let picture = scene.viewer(viewer).picture();
        (0..12).filter(|row| picture.pixel(0, row * 16) != picture.pixel(100, row * 16)).collect::<Vec<_>>()
    };
    assert_eq!(inverse(&mut scene), [4]);
    // History is full some time, and then its text is gone.
    scene.write(&"new\r\n".repeat(200));
    scene.settle();
    assert_eq!(inverse(&mut scene).len(), 0);
}

#[test]
fn clicks_take_words_and_lines_and_alt_takes_a_block() {
    let mut scene = Scene::new();
    let viewer = scene.join_usual();
    scene.write("see /etc/xen/a.cfg: ok\r\nabcdef\r\nghijkl\r\n");
    let at = |column: u16, row: u16| (column * 8 + 2, row * 16 + 5);
    let click_at = |scene: &mut Scene, (x, y): (u16, u16)| {
        scene.viewer(viewer).cut_text = None;
        scene.viewer(viewer).pointer(LEFT, x, y);
        scene.viewer(viewer).pointer(0, x, y);
        scene.settle();
        scene.viewer(viewer).cut_text.clone()
    };
    assert_eq!(click_at(&mut scene, at(6, 0)), None, "a click alone selects nothing");
    scene.assert_pictures();
    assert_eq!(click_at(&mut scene, at(6, 0)).as_deref(), Some("/etc/xen/a.cfg:"));
    assert_eq!(click_at(&mut scene, at(6, 0)).as_deref(), Some("see /etc/xen/a.cfg: ok"));
    assert_eq!(click_at(&mut scene, at(6, 0)), None, "a fourth is a first");
    assert_eq!(click_at(&mut scene, at(1, 1)), None, "elsewhere it is no double click");
    scene.now += Duration::from_secs(1);
    assert_eq!(click_at(&mut scene, at(1, 1)), None, "nor later");
    for key in [Keysym::ALT_L, Keysym::CONTROL_R] {
        scene.now += Duration::from_secs(1);
        scene.viewer(viewer).key(key, true);
        drag(scene.viewer(viewer), LEFT, (3, 2), (1, 1));
        scene.viewer(viewer).key(key, false);
        scene.settle();
        assert_eq!(scene.viewer(viewer).cut_text.take().as_deref(), Some("bcd\nhij"));
    }
    // The right button moves the end.
    drag(scene.viewer(viewer), LEFT, (0, 1), (1, 1));
    drag(scene.viewer(viewer), RIGHT, (2, 2), (2, 2));
    scene.settle();
    assert_eq!(scene.viewer(viewer).cut_text.as_deref(), Some("abcdef\nghi"));
}

#[test]
fn shift_takes_the_mouse_from_the_guest() {
    let mut scene = Scene::new();
    let viewer = scene.join_usual();
    scene.write("\x1b[?1003h\x1b[?1006hsome text");
    drag(scene.viewer(viewer), LEFT, (0, 0), (3, 0));
    scene.settle();
    assert_eq!(scene.viewer(viewer).cut_text, None);
    let told = scene.take_typed();
    assert!(told.contains("\x1b[<0;1;1M") && told.ends_with("\x1b[<0;4;1m"), "{told:?}");
    scene.viewer(viewer).key(Keysym::SHIFT_L, true);
    drag(scene.viewer(viewer), LEFT, (0, 0), (3, 0));
    scene.viewer(viewer).key(Keysym::SHIFT_L, false);
    scene.settle();
    assert_eq!(scene.viewer(viewer).cut_text.as_deref(), Some("some"));
    assert_eq!(scene.take_typed(), "");
}

#[test]
fn a_drag_at_the_edge_scrolls_on_and_the_wheel_extends_it() {
    let (mut scene, viewer) = talkative();
    assert_eq!(scene.seat.deadline(), None);
    scene.viewer(viewer).pointer(LEFT, 4, 2 * 16);
    scene.viewer(viewer).pointer(LEFT, 4, 0);
    scene.turn();
    // Line 49 is at the top; ten more go by.
    for _ in 0..10 {
        let at = scene.seat.deadline().expect("it scrolls on");
        scene.now = scene.now.max(at);
        scene.seat.handle_timeout(scene.now);
        scene.turn();
    }
    scene.viewer(viewer).pointer(LEFT, 4, 5);
    scene.turn();
    assert_eq!(scene.seat.deadline(), None, "away from the edge it stops");
    scene.viewer(viewer).pointer(LEFT | WHEEL_UP, 4, 5);
    scene.viewer(viewer).pointer(LEFT, 4, 5);
    scene.viewer(viewer).pointer(0, 4, 5);
    scene.settle();
    let text = scene.viewer(viewer).cut_text.clone().unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines.first(), lines.last(), lines.len()), (Some(&"line 36"), Some(&"l"), 16), "{text}");
}

#[test]
fn the_scroll_bar_is_there_while_looking_back_and_can_be_dragged() {
    let (mut scene, viewer) = talkative();
    let bar = |scene: &mut Scene| {
        let picture = scene.viewer(viewer).picture();
        let column: Vec<_> = (0..192).map(|y| picture.pixel(LAST_COLUMN + 4, y).0).collect();
        let (top, bottom) =
            (column.iter().position(|c| *c == 0x00a8_a8a8), column.iter().rposition(|c| *c == 0x00a8_a8a8));
        top.zip(bottom)
    };
    assert_eq!(bar(&mut scene), None, "the live screen is covered");
    scene.viewer(viewer).chord(&[Keysym::SHIFT_L, Keysym::HOME]);
    scene.settle();
    // 61 lines, 12 of them shown, on 192 pixels.
    assert_eq!(bar(&mut scene), Some((0, 36)));
    // Taken by the thumb it goes with the hand.
    scene.viewer(viewer).pointer(LEFT, LAST_COLUMN + 2, 10);
    scene.viewer(viewer).pointer(LEFT, LAST_COLUMN + 2, 60);
    scene.settle();
    let (top, _) = bar(&mut scene).unwrap();
    assert!((47..=53).contains(&top), "{top}");
    // However far to the side the hand is.
    scene.viewer(viewer).pointer(LEFT, 30, 200);
    scene.viewer(viewer).pointer(0, 30, 200);
    scene.settle();
    assert_eq!(bar(&mut scene), None);
    scene.assert_pictures();
    assert!(!scene.seat.viewers()[viewer].scrolled);
    assert_eq!(scene.viewer(viewer).cut_text, None);
    // A press beside the thumb brings it there.
    scene.viewer(viewer).chord(&[Keysym::SHIFT_L, Keysym::HOME]);
    scene.viewer(viewer).pointer(LEFT, LAST_COLUMN + 2, 100);
    scene.viewer(viewer).pointer(0, LAST_COLUMN + 2, 100);
    scene.settle();
    let (top, bottom) = bar(&mut scene).unwrap();
    assert!((98..=102).contains(&usize::midpoint(top, bottom)), "{top} {bottom}");
}

#[test]
fn a_viewers_window_chooses_the_font_for_that_viewer() {
    let encodings = [ALL, &[EXTENDED_DESKTOP_SIZE]].concat();
    let text = "\x1b[?25lText 漢字 ─┐\r\nmore \x1b[1mtext";
    let mut scene = Scene::with(SeatOptions { fit_font: true, ..SeatOptions::default() });
    scene.write(text);
    let viewer = scene.join(&encodings, Format::RGB888);
    let other = scene.join(&encodings, Format::RGB888);
    let drawn = |size: &str| {
        let font = size.parse().unwrap();
        let mut scene = Scene::with(SeatOptions { font, ..SeatOptions::default() });
        scene.write(text);
        scene.seat.screenshot(F1).unwrap()
    };
    for (window, font) in [((1000, 700), "12x24"), ((1900, 1000), "16x32"), ((90, 60), "6x12")] {
        scene.viewer(viewer).set_desktop_size(Size::new(window.0, window.1));
        scene.settle();
        assert_eq!(scene.viewer(viewer).resize_status, Some(0));
        assert_eq!(scene.viewer(viewer).differs(&drawn(font)), None, "{font}");
        assert_eq!(scene.viewer(other).differs(&drawn("8x16")), None);
    }
    // It stays when another VT is looked at, and the mouse is where it seems to be.
    scene.viewer(viewer).chord(&[Keysym::CONTROL_L, Keysym::ALT_L, Keysym::F12]);
    scene.settle();
    assert_eq!(scene.viewer(viewer).canvas.size, Size::new(480, 300));
    scene.viewer(viewer).chord(&[Keysym::CONTROL_L, Keysym::ALT_L, Keysym::F1]);
    scene.viewer(viewer).pointer(LEFT, 2, 14);
    scene.viewer(viewer).pointer(LEFT, 3 * 6 + 3, 20);
    scene.viewer(viewer).pointer(0, 3 * 6 + 3, 20);
    scene.settle();
    assert_eq!(scene.viewer(viewer).cut_text.as_deref(), Some("more"));
}

#[test]
fn the_clipboard_goes_where_it_may() {
    for (policy, to, from) in [
        (ClipboardPolicy::Both, true, true),
        (ClipboardPolicy::ToGuest, true, false),
        (ClipboardPolicy::FromGuest, false, true),
        (ClipboardPolicy::Off, false, false),
    ] {
        let mut scene = Scene::with(SeatOptions { clipboard: policy, ..SeatOptions::default() });
        let viewer = scene.join_usual();
        scene.write("shown");
        scene.viewer(viewer).cut("cut");
        click(scene.viewer(viewer), MIDDLE);
        scene.settle();
        assert_eq!(scene.take_typed(), if to { "cut" } else { "" }, "{policy:?}");
        drag(scene.viewer(viewer), LEFT, (0, 0), (4, 0));
        scene.settle();
        assert_eq!(scene.viewer(viewer).cut_text.as_deref(), from.then_some("shown"), "{policy:?}");
        click(scene.viewer(viewer), MIDDLE);
        scene.settle();
        assert_eq!(scene.take_typed(), "shown", "what was selected here can be pasted here");
    }
}

#[test]
fn a_guest_writes_clipboards_only_where_it_may() {
    for (osc52, clipboard, cut) in [
        (false, ClipboardPolicy::Both, None),
        (true, ClipboardPolicy::ToGuest, None),
        (true, ClipboardPolicy::Both, Some("hello")),
    ] {
        let mut scene = Scene::with(SeatOptions { osc52, clipboard, ..SeatOptions::default() });
        let viewer = scene.join_usual();
        scene.viewer(viewer).cut("own");
        scene.turn();
        // The text is base64; `?` asks for the clipboard, which is never told.
        scene.write("\x1b]52;c;aGVsbG8=\x07\x1b]52;c;?\x07");
        scene.settle();
        assert_eq!(scene.viewer(viewer).cut_text.as_deref(), cut, "{osc52} {clipboard:?}");
        assert_eq!(scene.take_typed(), "");
        click(scene.viewer(viewer), MIDDLE);
        scene.settle();
        assert_eq!(scene.take_typed(), cut.unwrap_or("own"));
    }
}

#[test]
fn a_long_paste_says_so_waits_for_the_console_and_can_be_stopped() {
    let mut scene = Scene::new();
    let (viewer, other) = (scene.join_usual(), scene.join_usual());
    scene.write("\x1b[?2004h");
    let text = "0123456789abcdef".repeat(1024);
    scene.viewer(viewer).cut(&text);
    click(scene.viewer(viewer), MIDDLE);
    scene.turn();
    let first = scene.take_typed();
    assert!(first.starts_with("\x1b[200~0123") && first.len() <= 256, "{}", first.len());
    // Both see what is going on, over the first row only.
    let screen = scene.seat.screenshot(F1).unwrap();
    for at in [viewer, other] {
        assert_ne!(scene.viewer(at).differs(&screen), None);
        let below = scene.viewer(at).picture();
        assert_eq!(below.pixels[640 / 2 * 16..], screen.pixels[640 / 2 * 16..]);
    }
    // A console that takes nothing gets nothing, and the seat sleeps.
    scene.seat.set_console_drained(F1, false);
    scene.settle();
    let sent = scene.take_typed();
    assert!(sent.len() <= 256);
    scene.now += Duration::from_secs(60);
    scene.seat.handle_timeout(scene.now);
    scene.settle();
    assert_eq!((scene.take_typed().as_str(), scene.seat.deadline()), ("", None));
    // What is typed meanwhile comes after it; Escape stops it and is not typed.
    scene.seat.set_console_drained(F1, true);
    scene.viewer(other).type_text("x");
    scene.viewer(other).chord(&[Keysym::ESCAPE]);
    scene.settle();
    assert_eq!(scene.take_typed(), "\x1b[201~x");
    assert_eq!(scene.viewer(other).bells, 1);
    scene.assert_pictures();
    scene.viewer(other).chord(&[Keysym::ESCAPE]);
    scene.settle();
    assert_eq!(scene.take_typed(), "\x1b");
    // Ctrl-C does both.
    click(scene.viewer(viewer), MIDDLE);
    scene.viewer(viewer).chord(&[Keysym::CONTROL_L, Keysym::from_char('c')]);
    scene.settle();
    assert!(scene.take_typed().ends_with("\x1b[201~\x03"));
    // And without any of that all of it arrives.
    click(scene.viewer(viewer), MIDDLE);
    scene.settle();
    assert_eq!(scene.take_typed(), format!("\x1b[200~{text}\x1b[201~"));
    scene.assert_pictures();
}

#[test]
fn control_characters_are_pasted_only_where_that_is_wanted() {
    for (paste, typed) in [(PastePolicy::Filtered, "ab\rc"), (PastePolicy::Raw, "a\x03b\rc")] {
        let mut scene = Scene::with(SeatOptions { paste, ..SeatOptions::default() });
        let viewer = scene.join_usual();
        scene.viewer(viewer).cut("a\x03b\nc");
        click(scene.viewer(viewer), MIDDLE);
        scene.settle();
        assert_eq!(scene.take_typed(), typed);
    }
}

const CTRL_SHIFT_F: [Keysym; 3] = [Keysym::CONTROL_L, Keysym::SHIFT_L, Keysym::from_char('F')];

#[test]
fn text_is_found_in_history_and_shown_selected() {
    let mut scene = Scene::new();
    let viewer = scene.join_usual();
    scene.write("\x1b[?25l");
    for line in 0..100 {
        scene.write(&format!("{} {line}\r\n", if line % 30 == 7 { "Needle" } else { "hay" }));
    }
    scene.settle();
    // The row in which something is selected, and the line there.
    let found = |scene: &mut Scene| {
        let picture = scene.viewer(viewer).picture();
        let row = (0..11).find(|row| picture.pixel(0, row * 16) == Colour(0x00aa_aaaa));
        (scene.seat.viewers()[viewer].scrolled, row)
    };
    scene.viewer(viewer).chord(&CTRL_SHIFT_F);
    scene.settle();
    assert_eq!(found(&mut scene), (false, None));
    let prompt = scene.viewer(viewer).picture();
    assert_eq!(prompt.pixel(2, 11 * 16 + 1), Colour(0x00ff_d700), "the prompt's colour");
    scene.viewer(viewer).type_text("nee");
    scene.settle();
    // Line 97 is on the screen, line 67 is shown in the middle, and so on.
    assert_eq!(found(&mut scene), (false, Some(8)));
    scene.viewer(viewer).type_text("dle\n");
    scene.settle();
    assert_eq!(found(&mut scene), (true, Some(6)));
    scene.viewer(viewer).type_text("\n\n");
    scene.settle();
    assert_eq!(found(&mut scene), (true, Some(6)));
    let bells = scene.viewer(viewer).bells;
    scene.viewer(viewer).type_text("\n");
    scene.settle();
    assert_eq!(
        (found(&mut scene), scene.viewer(viewer).bells),
        ((true, Some(6)), bells + 1),
        "there is no more"
    );
    for _ in 0..3 {
        scene.viewer(viewer).chord(&[Keysym::SHIFT_L, Keysym::RETURN]);
    }
    scene.settle();
    assert_eq!(found(&mut scene), (false, Some(8)));
    // What is not there is not shown; less text is.
    scene.viewer(viewer).type_text("x");
    scene.settle();
    assert_eq!(found(&mut scene).1, None);
    scene.viewer(viewer).chord(&[Keysym::BACKSPACE]);
    scene.settle();
    assert_eq!(found(&mut scene), (false, Some(8)));
    assert_eq!(scene.take_typed(), "", "the guest was told of it");
    // After Escape the keys are the guest's.
    scene.viewer(viewer).chord(&[Keysym::ESCAPE]);
    scene.viewer(viewer).type_text("q");
    scene.settle();
    assert_eq!(scene.take_typed(), "q");
    // On the alternate screen all of them are.
    scene.write("\x1b[?1049h");
    scene.viewer(viewer).chord(&CTRL_SHIFT_F);
    scene.settle();
    assert_eq!(scene.take_typed(), "\x06");
}

#[test]
fn a_search_through_a_long_history_leaves_others_their_turn() {
    let mut scene = Scene::with(SeatOptions { history_lines: 20_000, ..SeatOptions::default() });
    let viewer = scene.join_usual();
    scene.write("needle\r\n");
    scene.write(&"hay\r\n".repeat(15_000));
    scene.viewer(viewer).chord(&CTRL_SHIFT_F);
    scene.viewer(viewer).type_text("needle");
    scene.turn();
    assert!(!scene.seat.viewers()[viewer].scrolled, "all of it in one turn");
    scene.settle();
    assert!(scene.seat.viewers()[viewer].scrolled);
    assert_eq!(scene.seat.deadline(), None);
}
