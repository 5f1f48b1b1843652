//! The virtual VT switch: displays of the guest on a seat, with scripted displays and scripted viewers.

#[allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]
#[allow(clippy::unwrap_used, clippy::expect_used, reason = "failing is how a test reports")]
mod common {
    pub mod display;
    pub mod pixels;
    pub mod scene;
    pub mod viewer;
}

use std::time::Duration;

use common::display::{Display, Said};
use common::pixels::Format;
use common::scene::{ALL, F1, STATUS, Scene, f};
use common::viewer::{
    COPY_RECT, CURSOR, DESKTOP_SIZE, EXTENDED_DESKTOP_SIZE, HEXTILE, RAW, TIGHT, ZLIB, ZRLE,
};
use xenvnc::geometry::{Point, Rect, Size};
use xenvnc::keysym::Keysym;
use xenvnc::seat::{
    ClipboardPolicy, EndReason, NOTICE, SeatOptions, Sharing, UPSTREAM_HANDSHAKE, UpstreamEnd, UpstreamError,
    VtKind,
};

const SIZE: Size = Size::new(200, 150);

fn painted(size: Size, salt: u32) -> Display {
    let mut display = Display::new(size);
    display.fill(size.rect(), |x, y| (u32::from(x) * 7919 + u32::from(y) * 104_729 + salt) & 0x00ff_ffff);
    display
}

/// A seat without notices, so that pictures are those of the displays.
fn scene() -> Scene {
    Scene::with(SeatOptions {
        name: "web1".to_owned(),
        columns: 40,
        rows: 12,
        notices: false,
        ..SeatOptions::default()
    })
}

/// Every viewer of a graphics VT shows what the display really has, not only what the seat believes.
fn assert_shows(scene: &Scene, viewer: usize, display: usize) {
    assert_eq!(scene.guests[viewer].viewer.differs(&scene.picture(display)), None);
}

fn chord(scene: &mut Scene, viewer: usize, key: Keysym) {
    scene.viewer(viewer).chord(&[Keysym::CONTROL_L, Keysym::ALT_L, key]);
    scene.settle();
}

#[test]
fn x_comes_and_the_same_viewer_shows_it_and_goes_back_when_it_goes() {
    let mut scene = scene();
    scene.write("booting\r\n");
    let viewer = scene.join_usual();
    let text = scene.viewer(viewer).canvas.size;
    let display = scene.connect(f(7), painted(SIZE, 1));
    scene.settle();
    assert_eq!(scene.seat.default_vt(), f(7));
    assert_eq!(scene.viewer(viewer).canvas.size, SIZE);
    assert_eq!(scene.viewer(viewer).name, "web1 (F7)");
    assert_shows(&scene, viewer, display);
    let info = scene.seat.vts();
    assert_eq!((info[1].kind, info[1].columns, info[1].rows), (VtKind::Graphics, 200, 150));
    assert_eq!((info[1].title.as_str(), info[1].origin.as_str()), ("desk", "a test"));
    chord(&mut scene, viewer, Keysym::F1);
    assert_eq!(scene.viewer(viewer).canvas.size, text);
    scene.assert_pictures();
    chord(&mut scene, viewer, Keysym(Keysym::F1.0 + 6));
    assert_shows(&scene, viewer, display);
    scene.disconnect(display);
    scene.settle();
    assert_eq!(scene.seat.default_vt(), F1);
    assert_eq!(scene.viewer(viewer).name, "web1 (F1)");
    scene.assert_pictures();
    assert_eq!(scene.seat.deadline(), None);
}

#[test]
fn a_display_is_shown_when_its_picture_is_there_and_not_before() {
    let mut scene = scene();
    let viewer = scene.join_usual();
    let mut slow = painted(SIZE, 2);
    slow.answers = false;
    let display = scene.connect(f(7), slow);
    scene.settle();
    // It asked for the picture, and shows the console until it comes.
    assert_eq!(scene.display(display).requests, 1);
    assert_eq!((scene.seat.default_vt(), scene.seat.viewers()[0].vt), (F1, F1));
    scene.viewer(viewer).type_text("x");
    scene.turn();
    assert_eq!(scene.take_typed(), "x");
    scene.display(display).answers = true;
    scene.settle();
    assert_eq!(scene.seat.viewers()[0].vt, f(7));
    assert_shows(&scene, viewer, display);
}

#[test]
fn who_pinned_itself_stays_and_who_comes_later_sees_the_display() {
    let mut scene = scene();
    let stays = scene.join_usual();
    chord(&mut scene, stays, Keysym(Keysym::F1.0 + 11));
    let moves = scene.join_usual();
    let display = scene.connect(f(7), painted(SIZE, 3));
    scene.settle();
    let later = scene.join_usual();
    let at: Vec<_> = scene.seat.viewers().iter().map(|viewer| viewer.vt).collect();
    assert_eq!(at, [STATUS, f(7), f(7)]);
    for viewer in [moves, later] {
        assert_shows(&scene, viewer, display);
    }
}

#[test]
fn without_a_viewer_nothing_is_asked_of_a_display() {
    let mut scene = scene();
    let display = scene.connect(f(7), painted(SIZE, 4));
    for n in 0..100 {
        scene.display(display).fill(SIZE.rect(), |x, _| u32::from(x) * n);
        scene.now += Duration::from_millis(16);
        scene.turn();
    }
    assert_eq!(scene.display(display).requests, 0);
    assert_eq!(scene.seat.deadline(), None);
    let viewer = scene.join_usual();
    scene.settle();
    assert_shows(&scene, viewer, display);
    // It looks elsewhere: one request is out and is answered once, then there is rest.
    chord(&mut scene, viewer, Keysym::F1);
    let before = scene.display(display).requests;
    for n in 0..100 {
        scene.display(display).fill(SIZE.rect(), |_, y| u32::from(y) * n);
        scene.turn();
    }
    assert_eq!(scene.display(display).requests, before);
    // It comes back to a picture that is not the one that it left.
    chord(&mut scene, viewer, Keysym(Keysym::F1.0 + 6));
    assert_shows(&scene, viewer, display);
}

#[test]
fn a_picture_that_has_not_changed_is_shown_again_although_the_display_says_nothing() {
    let mut scene = scene();
    let viewer = scene.join_usual();
    let display = scene.connect(f(7), painted(SIZE, 5));
    scene.settle();
    chord(&mut scene, viewer, Keysym::F1);
    scene.display(display).fill(Rect::new(0, 0, 1, 1), |_, _| 0);
    scene.settle();
    scene.now += Duration::from_secs(60);
    chord(&mut scene, viewer, Keysym(Keysym::F1.0 + 6));
    assert_shows(&scene, viewer, display);
}

#[test]
fn viewers_of_every_kind_share_one_display_which_is_asked_once() {
    let mut scene = scene();
    let display = scene.connect(f(7), painted(SIZE, 6));
    let viewers = [
        scene.join_usual(),
        scene.join(&[RAW], Format::RGB888),
        scene.join(&[HEXTILE, COPY_RECT, DESKTOP_SIZE], Format::RGB565),
    ];
    scene.settle();
    let before = scene.display(display).requests;
    for n in 0..50 {
        let rect = Rect::new(n, n, 40, 20);
        scene.display(display).fill(rect, |x, y| u32::from(x ^ y ^ n) * 0x0001_0203);
        scene.settle();
    }
    let asked = scene.display(display).requests - before;
    assert!((50..=52).contains(&asked), "{asked} requests for 50 changes");
    for viewer in viewers {
        assert_shows(&scene, viewer, display);
    }
}

#[test]
fn a_display_that_always_has_something_small_is_asked_sixty_times_a_second() {
    let mut scene = scene();
    let display = scene.connect(f(7), painted(SIZE, 26));
    scene.join_usual();
    scene.settle();
    // As TigerVNC's server does with a pointer that it draws: each request is answered at once.
    let before = scene.display(display).requests;
    for n in 0..1000 {
        scene.now += Duration::from_millis(1);
        scene.seat.handle_timeout(scene.now);
        for _ in 0..3 {
            scene.display(display).fill(Rect::new(0, 0, 16, 16), |_, _| n);
            scene.turn();
        }
    }
    let asked = scene.display(display).requests - before;
    assert!((50..=66).contains(&asked), "{asked} requests in a second");
    // An echo is not held back.
    for n in 0..100 {
        let before = scene.display(display).requests;
        scene.viewer(0).type_text("x");
        scene.turn();
        scene.display(display).fill(Rect::new(0, 0, 16, 16), |_, y| n + u32::from(y));
        scene.turn();
        assert!(scene.display(display).requests > before, "the echo of key {n} waits");
    }
    // A film is not held back.
    scene.now += Duration::from_millis(20);
    scene.seat.handle_timeout(scene.now);
    let before = scene.display(display).requests;
    for n in 0..100 {
        scene.display(display).fill(SIZE.rect(), |_, y| n * u32::from(y));
        scene.turn();
    }
    assert!(scene.display(display).requests >= before + 95);
}

#[test]
fn a_slow_viewer_holds_up_nobody_and_gets_the_last_picture() {
    let mut scene = scene();
    let display = scene.connect(f(7), painted(SIZE, 7));
    let (slow, quick) = (scene.join_usual(), scene.join_usual());
    scene.settle();
    scene.guests[slow].reads = false;
    let updates = scene.viewer(slow).updates;
    for n in 0..100 {
        scene.display(display).fill(SIZE.rect(), |x, y| u32::from(x * n + y));
        scene.settle();
        assert_shows(&scene, quick, display);
    }
    scene.guests[slow].reads = true;
    scene.settle();
    assert_shows(&scene, slow, display);
    let got = scene.viewer(slow).updates - updates;
    assert!(got <= 3, "{got} updates were kept for it");
}

#[test]
fn a_display_whose_only_viewer_does_not_read_is_not_asked() {
    let mut scene = scene();
    let display = scene.connect(f(7), painted(SIZE, 8));
    let viewer = scene.join_usual();
    scene.settle();
    scene.guests[viewer].reads = false;
    let before = scene.display(display).requests;
    for n in 0..100 {
        scene.display(display).fill(SIZE.rect(), |x, y| u32::from(x * n + y));
        scene.turn();
    }
    assert!(scene.display(display).requests <= before + 2);
}

#[test]
fn a_viewer_that_asks_for_everything_after_a_pause_gets_the_picture_of_now() {
    let mut scene = scene();
    let display = scene.connect(f(7), painted(SIZE, 27));
    let viewer = scene.join_usual();
    scene.settle();
    scene.guests[viewer].follows = false;
    for n in 1..20 {
        scene.display(display).fill(SIZE.rect(), |x, y| u32::from(x * n + y));
        scene.now += Duration::from_secs(1);
        scene.turn();
    }
    scene.viewer(viewer).request(false);
    let updates = scene.viewer(viewer).updates;
    scene.settle();
    assert_eq!(scene.viewer(viewer).updates, updates + 1);
    assert_shows(&scene, viewer, display);
}

#[test]
fn a_copy_stays_a_copy() {
    let mut scene = scene();
    let display = scene.connect(f(7), painted(SIZE, 9));
    let viewer = scene.join_usual();
    scene.settle();
    let (copies, painted) = (scene.viewer(viewer).copies, scene.viewer(viewer).painted);
    for _ in 0..10 {
        scene.display(display).copy(Rect::new(0, 0, 200, 134), Point { x: 0, y: 16 });
        scene.settle();
        scene.display(display).fill(Rect::new(0, 134, 200, 16), |x, _| u32::from(x));
        scene.settle();
        assert_shows(&scene, viewer, display);
    }
    assert_eq!(scene.viewer(viewer).copies, copies + 10);
    assert_eq!(scene.viewer(viewer).painted, painted + 10 * 200 * 16);
}

#[test]
fn a_scroll_that_the_display_does_not_tell_of_becomes_a_copy() {
    let mut scene = scene();
    let display = scene.connect(f(7), painted(SIZE, 9));
    let viewer = scene.join_usual();
    scene.settle();
    // Both have the picture; one of them cannot copy.
    let plain = scene.join(&[ZRLE], Format::RGB888);
    scene.settle();
    let (copies, painted) = (scene.viewer(viewer).copies, scene.viewer(viewer).painted);
    for n in 1..=10 {
        // All of it is told as painted: the contents 13 rows higher, and something new below.
        scene.display(display).fill(SIZE.rect(), |x, y| {
            (u32::from(x) * 7919 + (u32::from(y) + 13 * n) * 104_729 + 9) & 0x00ff_ffff
        });
        scene.settle();
        assert_shows(&scene, viewer, display);
        assert_shows(&scene, plain, display);
    }
    assert_eq!(scene.viewer(viewer).copies, copies + 10);
    assert_eq!(scene.viewer(viewer).painted, painted + 10 * 200 * 13);
    assert_eq!(scene.viewer(plain).copies, 0);
}

#[test]
fn keys_and_buttons_go_to_whoever_is_looked_at_and_are_released_on_a_switch() {
    let mut scene = scene();
    let display = scene.connect(f(7), painted(SIZE, 10));
    let viewer = scene.join_usual();
    scene.settle();
    scene.display(display).said.clear();
    scene.viewer(viewer).key(Keysym::CONTROL_L, true);
    scene.viewer(viewer).key(Keysym::from_char('a'), true);
    scene.viewer(viewer).pointer(1, 30, 40);
    scene.turn();
    let key = |pressed, keysym: Keysym| Said::Key { pressed, keysym: keysym.0 };
    let a = Keysym::from_char('a');
    assert_eq!(
        std::mem::take(&mut scene.display(display).said),
        [key(true, Keysym::CONTROL_L), key(true, a), Said::Pointer { buttons: 1, x: 30, y: 40 }]
    );
    scene.viewer(viewer).key(Keysym::ALT_L, true);
    scene.viewer(viewer).key(Keysym::F1, true);
    scene.settle();
    let said = std::mem::take(&mut scene.display(display).said);
    for wanted in [
        key(false, Keysym::CONTROL_L),
        key(false, Keysym::ALT_L),
        key(false, a),
        Said::Pointer { buttons: 0, x: 30, y: 40 },
    ] {
        assert!(said.contains(&wanted), "{wanted:?} is not in {said:?}");
    }
    assert!(!said.contains(&key(true, Keysym::F1)), "the chord reached the guest");
    for key in [Keysym::F1, Keysym::ALT_L, Keysym::CONTROL_L, a] {
        scene.viewer(viewer).key(key, false);
    }
    scene.viewer(viewer).type_text("b");
    scene.turn();
    assert_eq!(scene.take_typed(), "b");
    assert_eq!(scene.display(display).said, []);
}

#[test]
fn a_viewer_that_leaves_releases_what_it_held_in_the_display() {
    let mut scene = scene();
    let display = scene.connect(f(7), painted(SIZE, 11));
    let viewer = scene.join_usual();
    scene.settle();
    scene.viewer(viewer).key(Keysym::SHIFT_L, true);
    scene.viewer(viewer).pointer(4, 1, 2);
    scene.turn();
    scene.display(display).said.clear();
    let gone = scene.guests.remove(viewer);
    scene.seat.remove_viewer(gone.id);
    scene.turn();
    let said = &scene.display(display).said;
    assert!(said.contains(&Said::Key { pressed: false, keysym: Keysym::SHIFT_L.0 }), "{said:?}");
    assert!(said.contains(&Said::Pointer { buttons: 0, x: 1, y: 2 }), "{said:?}");
}

#[test]
fn clipboards_are_handed_over_both_ways_and_once() {
    let mut scene = scene();
    let viewer = scene.join_usual();
    scene.viewer(viewer).cut("from the viewer");
    scene.turn();
    let display = scene.connect(f(7), painted(SIZE, 12));
    scene.settle();
    assert_eq!(scene.display(display).said, [Said::CutText(b"from the viewer".to_vec())]);
    scene.display(display).said.clear();
    scene.viewer(viewer).cut("second");
    scene.turn();
    assert_eq!(scene.display(display).said, [Said::CutText(b"second".to_vec())]);
    scene.display(display).said.clear();
    scene.display(display).cut(b"from the guest");
    scene.settle();
    assert_eq!(scene.viewer(viewer).cut_text.take().as_deref(), Some("from the guest"));
    let late = scene.join_usual();
    assert_eq!(scene.viewer(late).cut_text.take().as_deref(), Some("from the guest"));
    // What was cut in the display is pasted on the console.
    chord(&mut scene, viewer, Keysym::F1);
    scene.viewer(viewer).chord(&[Keysym::SHIFT_L, Keysym::INSERT]);
    scene.turn();
    assert_eq!(scene.take_typed(), "from the guest");
    chord(&mut scene, viewer, Keysym(Keysym::F1.0 + 6));
    assert_eq!(scene.viewer(viewer).cut_text, None, "it knows that already");
    assert!(!scene.display(display).said.iter().any(|said| matches!(said, Said::CutText(_))));
}

#[test]
fn the_guest_resizes_its_display_and_every_viewer_follows() {
    let mut scene = scene();
    let display = scene.connect(f(7), painted(SIZE, 13));
    let follows = scene.join_usual();
    let keeps = scene.join(&[ZRLE], Format::RGB888);
    scene.settle();
    scene.display(display).resize(Size::new(320, 100));
    scene.settle();
    assert_shows(&scene, follows, display);
    assert_eq!(scene.viewer(keeps).canvas.size, SIZE);
    scene.display(display).resize(SIZE);
    scene.settle();
    for viewer in [follows, keeps] {
        assert_shows(&scene, viewer, display);
    }
}

#[test]
fn a_display_that_cannot_be_resized_refuses_and_the_viewer_is_told() {
    let mut scene = scene();
    scene.connect(f(7), painted(SIZE, 14));
    let viewer = scene.join(&[ZRLE, EXTENDED_DESKTOP_SIZE], Format::RGB888);
    scene.settle();
    scene.viewer(viewer).set_desktop_size(Size::new(300, 300));
    scene.settle();
    assert_eq!(scene.viewer(viewer).resize_status, Some(1));
}

#[test]
fn a_second_display_gets_its_own_vt_and_moves_nobody() {
    let mut scene = scene();
    let viewer = scene.join_usual();
    let first = scene.connect(f(7), painted(SIZE, 15));
    scene.settle();
    let second = scene.connect(f(8), painted(Size::new(90, 60), 16));
    scene.settle();
    assert_eq!(scene.seat.viewers()[0].vt, f(7));
    assert_eq!(scene.display(second).requests, 0);
    chord(&mut scene, viewer, Keysym(Keysym::F1.0 + 7));
    assert_shows(&scene, viewer, second);
    // The one that everybody sees goes: the other is the next best.
    scene.disconnect(first);
    assert_eq!(scene.seat.default_vt(), f(8));
    let late = scene.join_usual();
    assert_shows(&scene, late, 0);
}

#[test]
fn a_display_that_connects_anew_takes_the_place_of_the_old_one() {
    let mut scene = scene();
    let viewer = scene.join_usual();
    scene.connect(f(7), painted(SIZE, 17));
    scene.settle();
    let old = scene.displays[0].id;
    scene.connect(f(7), painted(Size::new(120, 80), 18));
    scene.settle();
    assert_eq!(scene.ended.len(), 1);
    assert_eq!((scene.ended[0].id, scene.ended[0].reason), (old, UpstreamEnd::Replaced));
    assert_eq!(scene.displays.len(), 1);
    assert_shows(&scene, viewer, 0);
    assert!(matches!(scene.seat.upstream_input(old, b"x", scene.now), Err(UpstreamError::Unknown)));
}

#[test]
fn one_that_does_not_get_through_the_handshake_disturbs_nobody_and_is_ended() {
    let mut scene = scene();
    let viewer = scene.join_usual();
    let display = scene.connect(f(7), painted(SIZE, 19));
    scene.settle();
    let options = xenvnc::rfb::client::ClientOptions::local();
    let silent = scene.seat.add_upstream(f(7), "a silent one".to_owned(), options, scene.now).unwrap();
    scene.settle();
    assert_shows(&scene, viewer, display);
    let until = scene.seat.deadline().unwrap();
    assert_eq!(until, scene.now + UPSTREAM_HANDSHAKE);
    scene.now = until;
    scene.seat.handle_timeout(until);
    let ended = scene.seat.take_ended_upstreams();
    assert_eq!((ended.len(), ended[0].id), (1, silent));
    assert_eq!(ended[0].reason, UpstreamEnd::Handshake { limit: UPSTREAM_HANDSHAKE });
    scene.settle();
    assert_shows(&scene, viewer, display);
}

#[test]
fn a_display_that_breaks_the_protocol_ends_alone() {
    let mut scene = scene();
    let viewer = scene.join_usual();
    let display = scene.connect(f(7), painted(SIZE, 20));
    scene.settle();
    let id = scene.displays[display].id;
    // A rectangle outside of the framebuffer.
    let bad = [0, 0, 0, 1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
    let error = scene.seat.upstream_input(id, &bad, scene.now).unwrap_err();
    assert!(matches!(error, UpstreamError::Protocol(_)), "{error}");
    scene.disconnect(display);
    scene.settle();
    assert_eq!(scene.seat.viewers()[viewer].vt, F1);
    scene.assert_pictures();
    assert!(
        scene
            .seat
            .add_upstream(f(6), String::new(), xenvnc::rfb::client::ClientOptions::local(), scene.now)
            .is_none()
    );
}

#[test]
fn the_bell_of_a_display_rings_for_those_who_look() {
    let mut scene = scene();
    let display = scene.connect(f(7), painted(SIZE, 21));
    let looks = scene.join_usual();
    let elsewhere = scene.join_usual();
    chord(&mut scene, elsewhere, Keysym::F1);
    scene.display(display).bell();
    scene.settle();
    assert_eq!((scene.viewer(looks).bells, scene.viewer(elsewhere).bells), (1, 0));
}

#[test]
fn a_viewer_that_draws_no_pointer_has_it_in_the_picture() {
    let mut scene = scene();
    let display = scene.connect(f(7), painted(SIZE, 25));
    let plain = scene.join_usual();
    let draws = scene.join(&[ZRLE, DESKTOP_SIZE, CURSOR], Format::RGB888);
    scene.settle();
    scene.display(display).cursor(Size::new(6, 4), Point { x: 2, y: 1 }, 0x00ff_8040);
    scene.settle();
    assert_shows(&scene, plain, display);
    for (x, y) in [(50, 60), (0, 0), (199, 149), (50, 60)] {
        scene.viewer(draws).pointer(0, x, y);
        scene.settle();
        let mut with_pointer = scene.picture(display);
        for py in 0..4 {
            for px in 0..6 {
                let (x, y) = (i32::from(x) - 2 + px, i32::from(y) - 1 + py);
                if (0..200).contains(&x) && (0..150).contains(&y) {
                    with_pointer.pixels[usize::try_from(y * 200 + x).unwrap()].0 = 0x00ff_8040;
                }
            }
        }
        assert_eq!(scene.guests[plain].viewer.differs(&with_pointer), None);
        assert_shows(&scene, draws, display);
        // What scrolls below the pointer does not take it along.
        scene.display(display).copy(Rect::new(0, 0, 200, 140), Point { x: 0, y: 10 });
        scene.settle();
        assert_shows(&scene, draws, display);
    }
    assert_eq!(scene.viewer(draws).cursor, Some(Size::new(6, 4)));
    // On text the viewer gets a pointer that is not the guest's.
    chord(&mut scene, draws, Keysym::F1);
    assert_eq!(scene.viewer(draws).cursor, Some(Size::new(11, 16)));
    let console = scene.seat.screenshot(F1).unwrap();
    assert_eq!(scene.viewer(draws).differs(&console), None);
}

#[test]
fn a_notice_says_where_one_is_and_goes_by_itself() {
    let mut scene = Scene::new();
    let viewer = scene.join_usual();
    let display = scene.connect(f(7), painted(Size::new(640, 100), 22));
    scene.settle();
    assert!(!scene.guests[viewer].viewer.shows(&scene.picture(display)), "there is no notice");
    // A copy does not carry it along.
    scene.display(display).copy(Rect::new(0, 40, 640, 60), Point { x: 0, y: 0 });
    scene.settle();
    let lower = |picture: &xenvnc::screen::Picture| picture.pixels[640 * 40..].to_vec();
    let shown = scene.guests[viewer].viewer.canvas.pixels[640 * 40..].to_vec();
    let wanted = lower(&scene.picture(display));
    assert!(shown.iter().zip(&wanted).all(|(shown, wanted)| Format::RGB888.shows(*shown, *wanted)));
    scene.now = scene.seat.deadline().expect("the notice goes");
    assert!(scene.seat.handle_timeout(scene.now).is_empty());
    scene.settle();
    assert_shows(&scene, viewer, display);
    assert_eq!(scene.seat.deadline(), None);
    scene.disconnect(display);
    scene.now += Duration::from_secs(1);
    scene.turn();
    assert!(scene.seat.deadline().is_some_and(|at| at <= scene.now + NOTICE));
    scene.now += NOTICE;
    scene.seat.handle_timeout(scene.now);
    scene.settle();
    scene.assert_pictures();
}

#[test]
fn clipboards_are_handed_over_where_they_may_be() {
    for policy in [ClipboardPolicy::ToGuest, ClipboardPolicy::FromGuest, ClipboardPolicy::Off] {
        let mut scene =
            Scene::with(SeatOptions { clipboard: policy, notices: false, ..SeatOptions::default() });
        let viewer = scene.join_usual();
        scene.viewer(viewer).cut("before");
        scene.turn();
        let display = scene.connect(f(7), painted(SIZE, 12));
        scene.settle();
        scene.viewer(viewer).cut("after");
        scene.display(display).cut(b"from the guest");
        scene.settle();
        let told = scene.display(display).said.contains(&Said::CutText(b"after".to_vec()));
        assert_eq!(told, policy.to_guest(), "{policy:?}");
        let told = scene.display(display).said.iter().any(|said| matches!(said, Said::CutText(_)));
        assert_eq!(told, policy.to_guest(), "{policy:?}");
        let cut = scene.viewer(viewer).cut_text.take();
        assert_eq!(cut.as_deref(), policy.from_guest().then_some("from the guest"), "{policy:?}");
    }
}

#[test]
fn who_may_only_look_changes_nothing_in_the_guest() {
    let mut scene = Scene::with(SeatOptions {
        view_only: true,
        notices: false,
        columns: 40,
        rows: 12,
        ..SeatOptions::default()
    });
    let viewer = scene.join_usual();
    scene.viewer(viewer).cut("secret");
    scene.viewer(viewer).type_text("x");
    scene.viewer(viewer).chord(&[Keysym::SHIFT_L, Keysym::INSERT]);
    scene.viewer(viewer).pointer(2, 1, 1);
    scene.turn();
    assert_eq!(scene.take_typed(), "");
    let display = scene.connect(f(7), painted(SIZE, 23));
    scene.settle();
    scene.viewer(viewer).type_text("y");
    scene.viewer(viewer).pointer(1, 5, 5);
    scene.viewer(viewer).cut("more");
    scene.settle();
    assert_eq!(scene.display(display).said, []);
    assert_shows(&scene, viewer, display);
    chord(&mut scene, viewer, Keysym::F1);
    assert_eq!(scene.seat.viewers()[0].vt, F1);
}

#[test]
fn a_wish_to_be_alone_is_followed_as_configured() {
    // The scripted viewer shares; ClientInit is its last byte before the messages.
    for (sharing, ended) in [
        (Sharing::Always, None),
        (Sharing::Displace, Some((0, EndReason::Displaced))),
        (Sharing::Refuse, Some((1, EndReason::NotAlone))),
    ] {
        let mut scene = Scene::with(SeatOptions { sharing, columns: 40, rows: 12, ..SeatOptions::default() });
        scene.join_usual();
        let alone = scene.seat.add_viewer("alone".to_owned(), [1; 16], scene.now).unwrap();
        scene.seat.viewer_input(alone, b"RFB 003.008\n\x01\x00", scene.now).unwrap();
        let displaced = scene.seat.take_displaced_viewers();
        let ids = [scene.guests[0].id, alone];
        let wanted = ended.map(|(at, reason)| (ids[at], reason));
        assert_eq!(displaced.first().map(|ended| (ended.id, ended.reason)), wanted);
        assert_eq!(scene.seat.take_displaced_viewers(), []);
    }
}

#[test]
fn two_hundred_switches_under_constant_change_corrupt_no_stream() {
    let mut scene = scene();
    let display = scene.connect(f(7), painted(SIZE, 24));
    let viewers = [
        scene.join_usual(),
        scene.join(&[HEXTILE, DESKTOP_SIZE], Format::RGB565),
        scene.join(&[ZRLE, EXTENDED_DESKTOP_SIZE], Format::RGB888),
        scene.join(&[TIGHT, COPY_RECT, DESKTOP_SIZE], Format::RGB888),
        scene.join(&[ZLIB, DESKTOP_SIZE], Format::RGB888),
    ];
    for n in 0..200_u16 {
        scene.write(&format!("\x1b[{}mline {n}\r\n", 31 + n % 7));
        scene
            .display(display)
            .fill(Rect::new(n % 160, n % 120, 40, 30), |x, y| u32::from(x ^ y) * 0x0100 + u32::from(n));
        let key = if n % 2 == 0 { Keysym::F1 } else { Keysym(Keysym::F1.0 + 6) };
        for viewer in viewers {
            scene.viewer(viewer).chord(&[Keysym::CONTROL_L, Keysym::ALT_L, key]);
        }
        scene.settle();
        if n % 2 == 1 {
            viewers.iter().for_each(|viewer| assert_shows(&scene, *viewer, display));
        } else {
            scene.assert_pictures();
        }
    }
    assert_eq!(scene.viewer(0).canvas.size, SIZE);
    assert!(ALL.contains(&ZRLE));
}
