//! Seats, driven by scripted viewers: pictures, switching, pacing and limits.

#[allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]
#[allow(clippy::unwrap_used, clippy::expect_used, reason = "failing is how a test reports")]
mod common {
    pub mod certificates;
    pub mod display;
    pub mod pixels;
    pub mod scene;
    pub mod viewer;
}

use std::time::Duration;

use common::certificates::server_tls;
use common::pixels::Format;
use common::scene::{ALL, F1, STATUS, Scene, f};
use common::viewer::{COPY_RECT, DESKTOP_NAME, DESKTOP_SIZE, HEXTILE, RAW, Viewer, ZRLE};
use proptest::prelude::*;
use xenvnc::keysym::Keysym;
use xenvnc::rfb::client::{ClientConnection, ClientOptions};
use xenvnc::rfb::security::tls::{ClientTls, Trust};
use xenvnc::rfb::security::{Choice, Credentials, Method, Password, Security};
use xenvnc::rfb::server::ServerError;
use xenvnc::seat::{
    AddViewerError, Admission, DomainState, EndReason, HANDSHAKE, LOGIN, Seat, SeatOptions, SwitchTarget,
    VIEWERS, ViewerError, ViewerId, VtError,
};

#[test]
fn a_new_viewer_gets_the_whole_picture_at_once() {
    let mut scene = Scene::new();
    scene.write("login: \x1b[1;31mroot\x1b[0m ┌──┐ 漢字\r\n");
    let viewer = scene.join_usual();
    assert_eq!(scene.viewer(viewer).updates, 1);
    assert_eq!(scene.viewer(viewer).name, "web1 (F1)");
    scene.assert_pictures();
    let blank = Scene::new().seat.screenshot(F1);
    assert_ne!(scene.seat.screenshot(F1), blank, "the test sees nothing");
}

#[test]
fn the_echo_of_a_key_needs_no_timer() {
    let mut scene = Scene::new();
    let viewer = scene.join_usual();
    scene.now += Duration::from_secs(1);
    // Two keys in the same instant, each echoed.
    for key in ["a", "b"] {
        let updates = scene.viewer(viewer).updates;
        scene.viewer(viewer).type_text(key);
        scene.turn();
        assert_eq!(scene.take_typed(), key);
        scene.write(key);
        scene.turn();
        assert_eq!(scene.viewer(viewer).updates, updates + 1);
        assert_eq!(scene.seat.deadline(), None);
        scene.assert_pictures();
    }
}

#[test]
fn a_guest_that_dies_in_mid_frame_does_not_hide_what_comes_after() {
    let mut scene = Scene::new();
    scene.write("\x1b[?2026hhalf a frame");
    assert_eq!(scene.seat.deadline(), None, "a hold costs nothing while nobody looks");
    let viewer = scene.join_usual();
    scene.now += Duration::from_secs(1);
    scene.write("\x1b[?2026l\x1b[?2026hanother half");
    scene.turn();
    let before = scene.viewer(viewer).updates;
    let until = scene.seat.deadline().expect("an end of the hold");
    assert!(until > scene.now && until <= scene.now + Duration::from_millis(200));
    scene.now = until;
    assert!(scene.seat.handle_timeout(until).is_empty());
    scene.turn();
    assert_eq!(scene.viewer(viewer).updates, before + 1);
    assert_eq!(scene.seat.deadline(), None);
    scene.assert_pictures();
}

#[test]
fn a_seat_at_rest_has_no_deadline() {
    let mut scene = Scene::new();
    assert_eq!(scene.seat.deadline(), None);
    scene.join_usual();
    let other = scene.join_usual();
    scene.guests[other].follows = false;
    scene.now += Duration::from_secs(1);
    scene.turn();
    // One waits for a change, the other does not even wait.
    assert_eq!(scene.seat.deadline(), None);
    for _ in 0..100 {
        scene.write("x");
        scene.guests[0].follows = false;
        scene.turn();
    }
    assert_eq!(scene.seat.deadline(), None);
}

#[test]
fn a_flood_is_coalesced_and_its_end_is_shown() {
    let mut scene = Scene::new();
    let viewer = scene.join_usual();
    scene.now += Duration::from_secs(1);
    let before = scene.viewer(viewer).updates;
    for line in 0..5000 {
        scene.write(&format!("line {line} of many\r\n"));
        scene.turn();
    }
    assert_eq!(scene.viewer(viewer).updates, before + 3);
    let deadline = scene.seat.deadline().expect("a frame waits for credit");
    assert!(deadline > scene.now && deadline < scene.now + Duration::from_millis(20));
    scene.now = deadline;
    scene.seat.handle_timeout(scene.now);
    scene.turn();
    assert_eq!(scene.viewer(viewer).updates, before + 4);
    assert_eq!(scene.seat.deadline(), None);
    scene.assert_pictures();
}

#[test]
fn a_viewer_that_does_not_read_is_sent_one_update_and_no_more() {
    let mut scene = Scene::new();
    let slow = scene.join_usual();
    let quick = scene.join_usual();
    scene.guests[slow].reads = false;
    let mut most = 0;
    for round in 0..300 {
        scene.now += Duration::from_millis(20);
        scene.write(&format!("\x07{}\r\n", "flood ".repeat(20)));
        scene.seat.set_name(&format!("name {round}"));
        scene.viewer(slow).request(round % 2 == 0);
        scene.turn();
        let id = scene.guests[slow].id;
        let output = scene.seat.viewer_output(id).unwrap();
        most = most.max(output.len());
        assert!(round == 0 || !output.is_empty());
    }
    assert!(most < 20_000, "{most} bytes wait for a viewer that does not read");
    assert_eq!(scene.viewer(quick).name, "name 299 (F1)");
    assert!(scene.viewer(quick).bells > 10);
    // Once it reads, it is brought up to date at once, past everything that it missed.
    let before = scene.viewer(slow).updates;
    scene.guests[slow].reads = true;
    scene.settle();
    assert!(scene.viewer(slow).updates <= before + 4);
    assert!(scene.viewer(slow).bells <= 3);
    assert_eq!(scene.viewer(slow).name, "name 299 (F1)");
    scene.assert_pictures();
}

#[test]
fn bells_of_a_flood_are_dropped() {
    let mut scene = Scene::new();
    let viewer = scene.join_usual();
    for _ in 0..100 {
        scene.write("\x07\x07\x07");
        scene.turn();
    }
    assert_eq!(scene.viewer(viewer).bells, 2);
}

#[test]
fn viewers_of_all_formats_and_encodings_see_the_same() {
    let mut scene = Scene::new();
    let sets: &[&[i32]] = &[
        &[RAW],
        &[RAW, COPY_RECT],
        &[HEXTILE, RAW, DESKTOP_SIZE],
        &[ZRLE, HEXTILE, COPY_RECT, DESKTOP_NAME],
        ALL,
    ];
    for encodings in sets {
        for format in Format::ALL {
            scene.join(encodings, format);
        }
    }
    for round in 0..30u32 {
        scene.write(&format!("\x1b[3{};4{}mround {round} ░▒▓ ä\x1b[0m\r\n", round % 8, (round + 3) % 8));
        if round % 7 == 0 {
            scene.write("\x1b[2;9r\x1b[9;1H\n\n\x1b[r\x1b[5;5H\x1b[1Mtext\x1b[11;1H");
        }
        scene.now += Duration::from_millis(5);
        scene.turn();
    }
    scene.settle();
    scene.assert_pictures();
    let copies: usize = scene.guests.iter().map(|guest| guest.viewer.copies).sum();
    assert!(copies > 0, "scrolling was never said by CopyRect");
}

#[test]
fn switching_under_constant_damage_keeps_every_stream_intact() {
    let mut scene = Scene::new();
    scene.seat.add_console(f(2));
    let zrle = scene.join(ALL, Format::RGB888);
    scene.join(&[ZRLE], Format::RGB565);
    let hextile = scene.join(&[HEXTILE, COPY_RECT, DESKTOP_SIZE], Format::RGB888);
    for round in 0..200u32 {
        scene.write(&format!("round {round}\r\n"));
        scene.seat.console_output(f(2), format!("\x1b[7m{round}\x1b[0m,").as_bytes(), scene.now);
        let vt = [F1, f(2), STATUS][round as usize % 3];
        scene.seat.switch(SwitchTarget::All, vt, false).unwrap();
        if round % 5 == 0 {
            let id = scene.guests[hextile].id;
            scene.seat.switch(SwitchTarget::One(id), f(2), false).unwrap();
        }
        scene.turn();
        scene.now += Duration::from_millis(u64::from(round) % 37);
        if round % 4 == 0 {
            scene.settle();
            scene.assert_pictures();
        }
    }
    scene.settle();
    scene.assert_pictures();
    assert!(scene.viewer(zrle).updates > 100);
}

#[test]
fn chords_move_the_viewer_that_pressed_them_and_pin_it() {
    let mut scene = Scene::new();
    scene.seat.add_console(f(2));
    let (one, other) = (scene.join_usual(), scene.join_usual());
    let ctrl_alt = |key| [Keysym::CONTROL_L, Keysym::ALT_L, key];
    let vts =
        |scene: &Scene| scene.seat.viewers().iter().map(|info| (info.vt, info.pinned)).collect::<Vec<_>>();

    scene.viewer(one).chord(&ctrl_alt(Keysym::F12));
    scene.settle();
    assert_eq!(vts(&scene), [(STATUS, true), (F1, false)]);
    assert_eq!(scene.viewer(one).name, "web1 (F12)");
    assert_eq!(scene.viewer(other).name, "web1 (F1)");
    scene.assert_pictures();

    // Automatic switches leave it there, and move the other and those who come.
    scene.seat.switch(SwitchTarget::All, f(2), false).unwrap();
    scene.join_usual();
    assert_eq!(vts(&scene), [(STATUS, true), (f(2), false), (f(2), false)]);

    // Where everybody is, it follows again.
    scene.viewer(one).chord(&ctrl_alt(Keysym::LEFT));
    scene.settle();
    assert_eq!(vts(&scene)[0], (f(2), false));
    scene.viewer(one).chord(&ctrl_alt(Keysym::LEFT));
    scene.viewer(one).chord(&ctrl_alt(Keysym::LEFT));
    scene.settle();
    assert_eq!(vts(&scene)[0], (STATUS, true));

    // One that leads nowhere rings.
    let bells = scene.viewer(one).bells;
    scene.viewer(one).chord(&ctrl_alt(Keysym::F5));
    scene.settle();
    assert_eq!(vts(&scene)[0], (STATUS, true));
    assert_eq!(scene.viewer(one).bells, bells + 1);
    assert_eq!(scene.take_typed(), "", "the guest was told of a chord");
    scene.assert_pictures();
}

#[test]
fn a_removed_console_leaves_its_viewers_somewhere() {
    let mut scene = Scene::new();
    scene.seat.add_console(f(2));
    let viewer = scene.join_usual();
    scene.seat.switch(SwitchTarget::One(scene.guests[viewer].id), f(2), true).unwrap();
    scene.seat.remove_console(f(2));
    assert_eq!(scene.seat.viewers()[viewer].vt, F1);
    scene.seat.remove_console(F1);
    assert_eq!(scene.seat.viewers()[viewer].vt, STATUS);
    scene.seat.remove_console(STATUS);
    scene.settle();
    scene.assert_pictures();
    let error = scene.seat.switch(SwitchTarget::All, F1, false).unwrap_err();
    assert_eq!(error, VtError::NoSuchVt { vt: F1 });
    // A console that comes back takes the viewers who follow.
    scene.seat.switch(SwitchTarget::One(scene.guests[viewer].id), STATUS, false).unwrap();
    scene.seat.add_console(F1);
    scene.settle();
    assert_eq!(scene.seat.viewers()[viewer].vt, F1);
    scene.assert_pictures();
}

#[test]
fn the_state_is_told_by_name_and_status_page_and_history_outlives_a_reboot() {
    let mut scene = Scene::new();
    let viewer = scene.join_usual();
    let watcher = scene.join_usual();
    scene.seat.switch(SwitchTarget::One(scene.guests[watcher].id), STATUS, true).unwrap();
    scene.write("first life\r\n");
    scene.settle();
    let picture = scene.seat.screenshot(F1);
    let page = scene.seat.screenshot(STATUS);

    scene.seat.set_state(DomainState::Rebooting);
    scene.settle();
    assert_eq!(scene.viewer(viewer).name, "web1 (F1, rebooting)");
    assert_eq!(scene.seat.screenshot(F1), picture, "the guest's terminal was written to");
    assert_ne!(scene.seat.screenshot(STATUS), page);
    scene.assert_pictures();

    scene.seat.set_state(DomainState::Running);
    scene.seat.set_domid(Some(9));
    scene.write("second life\r\n");
    scene.settle();
    assert_eq!(scene.viewer(viewer).name, "web1 (F1)");
    assert_eq!(scene.seat.history_text(F1).unwrap(), "first life\nsecond life\n");
    assert_eq!(scene.seat.history_text(f(3)), None);
    scene.assert_pictures();
}

#[test]
fn who_does_not_get_through_the_handshake_in_time_is_ended() {
    let mut scene = Scene::new();
    scene.join_usual();
    let silent = scene.seat.add_viewer("silent".to_owned(), [0; 16], scene.now).unwrap();
    scene.now += Duration::from_secs(10);
    let later = scene.seat.add_viewer("later".to_owned(), [0; 16], scene.now).unwrap();
    assert_eq!(scene.seat.deadline(), Some(scene.now - Duration::from_secs(10) + HANDSHAKE));
    assert_eq!(scene.seat.handle_timeout(scene.now), []);
    scene.now = scene.seat.deadline().unwrap();
    let ended = scene.seat.handle_timeout(scene.now);
    assert_eq!((ended.len(), ended[0].id, ended[0].peer.as_str()), (1, silent, "silent"));
    assert_eq!(ended[0].reason, EndReason::Handshake { limit: HANDSHAKE });
    assert_eq!(ended[0].reason.to_string(), "the viewer was not through the handshake after 30 s");
    scene.now = scene.seat.deadline().unwrap();
    assert_eq!(scene.seat.handle_timeout(scene.now)[0].id, later);
    assert_eq!(scene.seat.viewers().len(), 1);
    assert_eq!(scene.seat.deadline(), None);
}

#[test]
fn a_full_seat_takes_nobody_more_until_one_leaves() {
    let mut scene = Scene::new();
    let add = |scene: &mut Scene| scene.seat.add_viewer(String::new(), [0; 16], scene.now);
    let ids: Vec<_> = (0..VIEWERS).map(|_| add(&mut scene).unwrap()).collect();
    assert_eq!(add(&mut scene), Err(AddViewerError::TooMany { limit: VIEWERS }));
    scene.seat.remove_viewer(ids[5]);
    let new = add(&mut scene).unwrap();
    assert!(!ids.contains(&new));
    assert!(scene.seat.viewer_output(ids[5]).is_none());
    let error = scene.seat.viewer_input(ids[5], b"x", scene.now).unwrap_err();
    assert!(matches!(error, ViewerError::Unknown { id } if id == ids[5]));
}

#[test]
fn one_viewers_mistake_ends_that_viewer_only() {
    let mut scene = Scene::new();
    let good = scene.join_usual();
    let bad = scene.seat.add_viewer("bad".to_owned(), [0; 16], scene.now).unwrap();
    let error = scene.seat.viewer_input(bad, b"GET / HTTP/1.1\r\n\r\n", scene.now).unwrap_err();
    assert!(matches!(error, ViewerError::Protocol(_)), "{error}");
    scene.seat.viewer_input(bad, b"more of it", scene.now).unwrap();
    scene.write("still here");
    scene.settle();
    scene.seat.remove_viewer(bad);
    assert_eq!(scene.seat.viewers().len(), 1);
    assert!(scene.viewer(good).updates > 1);
    scene.assert_pictures();
}

#[test]
fn a_wrong_password_is_refused() {
    let options =
        SeatOptions { security: Security::VncAuth(Password::new(b"secret")), ..SeatOptions::default() };
    let mut scene = Scene::with(options);
    let id = scene.seat.add_viewer("peer".to_owned(), [3; 16], scene.now).unwrap();
    let mut viewer = Viewer::new(ALL, Format::RGB888);
    let mut refused = None;
    for _ in 0..10 {
        viewer.feed(&std::mem::take(scene.seat.viewer_output(id).unwrap()));
        let sent = std::mem::take(&mut viewer.outgoing);
        if let Err(error) = scene.seat.viewer_input(id, &sent, scene.now) {
            refused = Some(error);
        }
    }
    assert!(matches!(refused, Some(ViewerError::Protocol(_))), "{refused:?}");
    assert!(viewer.refusal.is_some() && !viewer.is_ready());
    assert!(!scene.seat.viewers()[0].ready);
}

/// A viewer by our own client, moved until nothing moves, or until it has sent so many bytes.
#[allow(clippy::unwrap_used, reason = "failing is how a test reports")]
fn handshake(scene: &mut Scene, id: ViewerId, client: &mut ClientConnection, most: usize) {
    let mut sent = 0;
    loop {
        let down = std::mem::take(scene.seat.viewer_output(id).unwrap());
        client.handle_input(&down).unwrap();
        let up: Vec<u8> = client.output().drain(..).take(most - sent).collect();
        if down.is_empty() && up.is_empty() {
            return;
        }
        sent += up.len();
        scene.seat.viewer_input(id, &up, scene.now).unwrap();
    }
}

#[test]
fn a_login_is_decided_by_the_driver_and_there_is_time_to_type_it() {
    let choice = Choice::new(vec![Method::X509Plain], None, Some(server_tls())).unwrap();
    let security = Security::Choice(choice);
    let mut scene = Scene::with(SeatOptions { security, ..SeatOptions::default() });
    let login = Credentials::new(b"ann", b"open sesame");
    let client = || {
        let tls = ClientTls::new(Trust::anything().unwrap(), "localhost", true).unwrap();
        let options = ClientOptions { tls: Some(tls), login: Some(login.clone()), ..ClientOptions::local() };
        ClientConnection::new(options)
    };
    let mut come = |most| {
        let id = scene.seat.add_viewer(String::new(), [0; 16], scene.now).unwrap();
        handshake(&mut scene, id, &mut client(), most);
        (id, scene.seat.take_logins())
    };
    let (stuck, logins) = come(100);
    assert_eq!(logins, []);
    let (wrong, logins) = come(usize::MAX);
    assert_eq!(logins, [(wrong, login.clone())]);
    let (slow, _) = come(usize::MAX);
    assert_eq!(scene.seat.admission(wrong), Some(Admission::Pending));
    let error = scene.seat.decide_login(wrong, false).unwrap_err();
    assert!(matches!(error, ViewerError::Protocol(ServerError::WrongLogin)), "{error}");
    assert_eq!(scene.seat.admission(wrong), None);
    scene.seat.remove_viewer(wrong);
    // Whoever is gone is no concern.
    scene.seat.decide_login(wrong, true).unwrap();

    scene.now += HANDSHAKE;
    let ended = scene.seat.handle_timeout(scene.now);
    assert_eq!(ended.iter().map(|ended| ended.id).collect::<Vec<_>>(), [stuck]);
    scene.now += LOGIN - HANDSHAKE;
    let ended = scene.seat.handle_timeout(scene.now);
    assert_eq!((ended[0].id, ended[0].reason), (slow, EndReason::Handshake { limit: LOGIN }));

    let mut right = client();
    let id = scene.seat.add_viewer(String::new(), [0; 16], scene.now).unwrap();
    handshake(&mut scene, id, &mut right, usize::MAX);
    scene.seat.take_logins();
    scene.seat.decide_login(id, true).unwrap();
    handshake(&mut scene, id, &mut right, usize::MAX);
    assert!(right.is_ready());
    assert_eq!(scene.seat.admission(id), Some(Admission::Proven));
    scene.seat.viewer_end(id).unwrap();
}

#[test]
fn many_idle_seats_hold_no_more_than_their_cells() {
    // The status page's terminal lives only while somebody looks.
    let mut seat = Seat::new(SeatOptions::default());
    assert!(seat.vts().iter().all(|vt| vt.viewers == 0));
    assert!(seat.screenshot(STATUS).is_some());
    let now = std::time::Instant::now();
    let viewer = seat.add_viewer(String::new(), [0; 16], now).unwrap();
    assert_eq!(seat.viewers()[0].vt, STATUS, "without a console");
    seat.add_console(F1);
    assert_eq!(seat.viewers()[0].vt, F1);
    seat.remove_viewer(viewer);
    assert_eq!(seat.deadline(), None);
}

/// What may happen to a seat, in any order.
#[derive(Debug, Clone)]
enum Deed {
    Output(Vec<u8>),
    Request { viewer: usize, incremental: bool },
    Switch { viewer: usize, vt: usize },
    Key { viewer: usize, key: u32 },
    Pointer { viewer: usize, buttons: u8, x: u16, y: u16 },
    Reading { viewer: usize, reads: bool },
    Resize { viewer: usize, width: u16, height: u16 },
    Pass(u64),
    Turn,
}

fn output() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => "[ -~]{0,30}".prop_map(String::into_bytes),
        2 => Just(b"\r\n".to_vec()),
        1 => Just(b"\n\n\n\n\n\n\n\n\n\n\n\n\n\n".to_vec()),
        2 => "\x1b\\[[0-9;]{0,6}[ABCDGHJKLMPSTX@dfmr]".prop_map(String::into_bytes),
        1 => "[äöü漢字é🙂─┼]{1,8}".prop_map(String::into_bytes),
        1 => prop::sample::select(vec![
            "\x1b[?1049h", "\x1b[?1049l", "\x1b[?25l", "\x1b[?25h", "\x1bM", "\x1b7", "\x1b8", "\x1bc", "\x1b#8",
            "\x1b[?5h", "\x1b[?5l", "\x1b]P1ff8800", "\x1b[4 q", "\x07", "\x1b[6n", "\x1b]2;title\x07",
        ]).prop_map(|text: &str| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ];
    prop::collection::vec(piece, 1..8).prop_map(|pieces| pieces.concat())
}

fn deed() -> impl Strategy<Value = Deed> {
    let key = prop::sample::select(vec![
        0x61, 0xff0d, 0xff55, 0xff56, 0xff50, 0xff57, 0xffe1, 0xffe3, 0xffe9, 0xffc9, 0xffbe,
    ]);
    prop_oneof![
        8 => output().prop_map(Deed::Output),
        3 => (0usize..3, any::<bool>()).prop_map(|(viewer, incremental)| Deed::Request { viewer, incremental }),
        1 => (0usize..3, 0usize..3).prop_map(|(viewer, vt)| Deed::Switch { viewer, vt }),
        2 => (0usize..3, key).prop_map(|(viewer, key)| Deed::Key { viewer, key }),
        1 => (0usize..3, any::<u8>(), 0u16..400, 0u16..300).prop_map(|(viewer, buttons, x, y)| Deed::Pointer { viewer, buttons, x, y }),
        1 => (0usize..3, any::<bool>()).prop_map(|(viewer, reads)| Deed::Reading { viewer, reads }),
        1 => (0usize..3, 0u16..500, 0u16..300).prop_map(|(viewer, width, height)| Deed::Resize { viewer, width, height }),
        3 => (0u64..40).prop_map(Deed::Pass),
        4 => Just(Deed::Turn),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever the guest writes and the viewers do, once everything has come to rest each viewer shows exactly what
    /// it looks at.
    #[test]
    fn every_viewers_picture_is_what_the_screenshot_shows(deeds in prop::collection::vec(deed(), 1..60)) {
        let mut scene = Scene::with(SeatOptions {
            name: "random".to_owned(), columns: 24, rows: 8, history_lines: 40, allow_resize: true,
            ..SeatOptions::default()
        });
        scene.seat.add_console(f(2));
        scene.join(ALL, Format::RGB888);
        scene.join(&[HEXTILE, COPY_RECT, DESKTOP_SIZE], Format::RGB565);
        scene.join(&[RAW, DESKTOP_SIZE], Format::BGR888_BIG);
        for guest in &mut scene.guests {
            guest.follows = false;
        }
        for deed in deeds {
            match deed {
                Deed::Output(bytes) => scene.seat.console_output(F1, &bytes, scene.now),
                Deed::Request { viewer, incremental } => scene.viewer(viewer).request(incremental),
                Deed::Switch { viewer, vt } => {
                    let id = scene.guests[viewer].id;
                    scene.seat.switch(SwitchTarget::One(id), [F1, f(2), STATUS][vt], false).unwrap();
                }
                Deed::Key { viewer, key } => {
                    scene.viewer(viewer).key(Keysym(key), true);
                    scene.viewer(viewer).key(Keysym(key), false);
                }
                Deed::Pointer { viewer, buttons, x, y } => scene.viewer(viewer).pointer(buttons, x, y),
                Deed::Reading { viewer, reads } => scene.guests[viewer].reads = reads,
                Deed::Resize { viewer, width, height } => {
                    let size = xenvnc::geometry::Size::new(width, height);
                    if !size.rect().is_empty() {
                        scene.viewer(viewer).set_desktop_size(size);
                    }
                }
                Deed::Pass(milliseconds) => {
                    scene.now += Duration::from_millis(milliseconds);
                    scene.seat.handle_timeout(scene.now);
                }
                Deed::Turn => scene.turn(),
            }
        }
        // A press that waits to be taken would make a double click of the one below, which selects a word.
        scene.turn();
        scene.now += Duration::from_secs(1);
        for guest in &mut scene.guests {
            (guest.reads, guest.follows) = (true, true);
            // Nothing selected; Shift, because the guest may have the mouse; at the left, because the last column may be
            // the scroll bar.
            guest.viewer.key(Keysym::SHIFT_L, true);
            [0, 1, 0].iter().for_each(|buttons| guest.viewer.pointer(*buttons, 0, 20));
            guest.viewer.key(Keysym::SHIFT_L, false);
            // Back from history.
            guest.viewer.chord(&[Keysym::SHIFT_L, Keysym::END]);
            guest.viewer.key(Keysym::from_char('q'), true);
            guest.viewer.key(Keysym::from_char('q'), false);
        }
        scene.settle();
        for info in scene.seat.viewers() {
            prop_assert!(!info.scrolled);
            let guest = scene.guests.iter().find(|guest| guest.id == info.id).unwrap();
            let picture = scene.seat.screenshot(info.vt).unwrap();
            prop_assert_eq!(guest.viewer.differs(&picture), None, "{:?}", info);
        }
    }
}
