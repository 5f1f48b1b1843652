//! TigerVNC's X server.

use std::io::Write;
use std::process::{Command, Stdio};

use xenvnc::geometry::{Point, Rect, Size};
use xenvnc::keysym::Keysym;
use xenvnc::rfb::client::{ClientError, ClientEvent, ClientOptions};
use xenvnc::rfb::encoding::Encoding;
use xenvnc::rfb::security::Password;

use crate::display::{Display, directory};
use crate::picture::{Kind, difference, picture};
use crate::program::{Program, eventually, output};
use crate::upstream::{Upstream, compare};

const SIZE: Size = Size::new(640, 400);
const AT: Point = Point { x: 23, y: 17 };

fn server(arguments: &[&str]) -> Display {
    let directory = directory();
    let mut command = Command::new("Xtigervnc");
    command.args(["-geometry", "640x400", "-depth", "24", "-nolisten", "tcp", "-rfbport", "-1"]);
    command.arg("-rfbunixpath").arg(directory.path().join("vnc.sock")).args(arguments);
    Display::start(directory, &mut command)
}

fn open() -> Display {
    server(&["-SecurityTypes", "None"])
}

fn connect(display: &Display, options: ClientOptions) -> Upstream {
    Upstream::unix(&display.path().join("vnc.sock"), options)
}

#[test]
fn every_encoding_shows_the_screen() {
    let mut display = open();
    display.show(&picture(Size::new(500, 300), Kind::Mixed, 1), AT);
    let used = [
        (Encoding::RAW, false),
        (Encoding::RRE, true),
        (Encoding::HEXTILE, true),
        (Encoding::TIGHT, true),
        (Encoding::ZRLE, true),
    ];
    compare(&display.dump(), &used, |options| connect(&display, options));
}

#[test]
fn the_picture_follows_the_screen() {
    for options in [ClientOptions::local(), ClientOptions::network()] {
        let mut display = open();
        let mut upstream = connect(&display, options);
        for seed in 1..4 {
            let shown = picture(Size::new(300, 200), Kind::Mixed, seed);
            display.show(&shown, AT);
            upstream.until_picture(&display.dump());
            upstream.events.clear();
            display.shift(&shown, Point { x: 100 + AT.x, y: 90 });
            upstream.until_picture(&display.dump());
            let copied = |event: &ClientEvent| matches!(event, ClientEvent::Copied { .. });
            assert!(upstream.events.iter().any(copied), "what moves is copied");
        }
    }
}

#[test]
fn photographs_come_as_jpeg_when_asked_for() {
    let mut display = open();
    display.show(&picture(Size::new(500, 300), Kind::Smooth, 1), AT);
    let wanted = display.dump();
    let options = ClientOptions { quality: Some(8), ..ClientOptions::network() };
    let mut upstream = connect(&display, options);
    upstream.until("a picture", |this| this.client.canvas().size() == SIZE);
    upstream.refresh();
    let (differing, mean) = difference(upstream.client.canvas(), &wanted);
    assert!(differing > 10_000, "lossless after all: {differing} pixels differ");
    assert!(mean < 2.0, "a mean difference of {mean} levels");
}

#[test]
fn sizes_are_negotiated() {
    let mut display = open();
    display.show(&picture(Size::new(500, 300), Kind::Mixed, 3), AT);
    let mut upstream = connect(&display, ClientOptions::network());
    upstream.until_picture(&display.dump());
    assert!(upstream.client.supports_resize());
    let size = Size::new(800, 333);
    assert!(upstream.client.set_desktop_size(size));
    let status = upstream.take("an answer", |event| match event {
        ClientEvent::ResizeAnswered { status } => Some(*status),
        _ => None,
    });
    assert_eq!(status, 0);
    upstream.take("a size", |event| (*event == ClientEvent::Resized { size }).then_some(()));
    eventually("the display's size", || (display.dump().size() == size).then_some(()));
    upstream.until_picture(&display.dump());
    // One that is not possible is refused.
    assert!(upstream.client.set_desktop_size(Size::new(0, 10)));
    let status = upstream.take("an answer", |event| match event {
        ClientEvent::ResizeAnswered { status } => Some(*status),
        _ => None,
    });
    assert_ne!(status, 0);
    // The other side may do it, too.
    output(display.command("xrandr").args(["-s", "640x480"]));
    let size = Size::new(640, 480);
    upstream.take("a size", |event| (*event == ClientEvent::Resized { size }).then_some(()));
    upstream.until_picture(&display.dump());
}

#[test]
fn all_that_is_no_picture_arrives() {
    let display = open();
    let mut upstream = connect(&display, ClientOptions::local());
    upstream.take("the end of the handshake", |event| match event {
        ClientEvent::Ready { size, name } if *size == SIZE && !name.is_empty() => Some(()),
        _ => None,
    });
    upstream.until_picture(&display.dump());

    // A pointer that somebody else has moved is part of the picture.
    upstream.client.pointer(0, 320, 200);
    output(display.command("xsetroot").args(["-cursor_name", "watch", "-fg", "red"]));
    let cursor = upstream.take("a cursor", |event| match event {
        ClientEvent::Cursor(Some(cursor)) if cursor.mask.iter().any(|bits| *bits != 0) => {
            Some(cursor.clone())
        }
        _ => None,
    });
    assert!(cursor.alpha.is_some(), "the best form is chosen");
    assert!(cursor.size.rect().contains(Rect::new(cursor.hotspot.x, cursor.hotspot.y, 1, 1)));

    output(display.command("tigervncconfig").args(["-set", "desktop=näme"]));
    upstream.take("a name", |event| (*event == ClientEvent::Renamed("näme".into())).then_some(()));

    output(display.command("xdotool").args(["key", "Caps_Lock"]));
    upstream.take("a lamp", |event| matches!(event, ClientEvent::Leds(leds) if leds.caps_lock).then_some(()));

    assert!(upstream.client.sync());
    upstream.take("the fence", |event| (*event == ClientEvent::Synced).then_some(()));

    upstream.client.pointer(0, 123, 45);
    upstream.until("the pointer's place", |_| {
        let place = output(display.command("xdotool").arg("getmouselocation"));
        String::from_utf8_lossy(&place).starts_with("x:123 y:45 ")
    });
    output(display.command("xdotool").args(["mousemove", "300", "200"]));
    let place = Point { x: 300, y: 200 };
    upstream.take("the pointer's move", |event| (*event == ClientEvent::CursorMoved(place)).then_some(()));
}

#[test]
fn keys_arrive_as_their_keysyms_and_positions() {
    let display = open();
    let log = display.path().join("xev");
    let mut command = display.command("xev");
    command.args(["-event", "keyboard", "-geometry", "640x400+0+0"]);
    command.stdout(std::fs::File::create(&log).expect("a file"));
    let _xev = Program::start(&mut command, &display.path().join("xev.log"));
    let mut upstream = connect(&display, ClientOptions::local());
    upstream.until_picture(&display.dump());
    eventually("xev's window", || {
        let found = display.command("xdotool").args(["search", "--name", "Event Tester"]).output();
        found.expect("xdotool").status.success().then_some(())
    });
    // Without a window manager the window under the pointer has the keyboard.
    upstream.client.pointer(0, 100, 100);
    let mut seen = String::new();
    upstream.until("the keys", |this| {
        for (keysym, keycode) in [(0x61, Some(0x1e)), (0xff52, Some(0xc8)), (0xe9, None)] {
            this.client.key(Keysym(keysym), keycode, true);
            this.client.key(Keysym(keysym), keycode, false);
        }
        seen = std::fs::read_to_string(&log).unwrap_or_default();
        ["(keysym 0x61, a)", "(keysym 0xff52, Up)", "(keysym 0xe9, eacute)"]
            .iter()
            .all(|key| seen.contains(key))
    });
}

#[test]
fn text_is_exchanged_in_utf_8() {
    let display = open();
    let mut upstream = connect(&display, ClientOptions::local());
    upstream.until_picture(&display.dump());
    let text = "ä漢\n✓";
    let mut owner = display.command("xclip");
    owner.args(["-selection", "clipboard", "-quiet"]).stdin(Stdio::piped());
    let mut owner = Program(owner.spawn().expect("xclip"));
    owner.0.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("text");
    upstream.take("their text", |event| (*event == ClientEvent::CutText(text.into())).then_some(()));
    let text = "ours: é漢\nend";
    upstream.client.cut_text(text);
    upstream.until("our text", |this| {
        let log = std::fs::File::create(display.path().join("xclip.log")).expect("a file");
        let mut paste = display
            .command("xclip")
            .args(["-selection", "clipboard", "-o"])
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("xclip");
        // The server asks for the text when somebody pastes.
        while paste.try_wait().expect("its state").is_none() {
            this.pump().expect("a good server");
        }
        let pasted = paste.wait_with_output().expect("its output").stdout;
        pasted == text.as_bytes()
    });
}

#[test]
fn a_password_is_proven() {
    let directory = directory();
    let file = directory.path().join("password");
    output(Command::new("x11vnc").args(["-quiet", "-storepasswd", "secret"]).arg(&file));
    let mut display =
        server(&["-SecurityTypes", "VncAuth,TLSNone", "-PasswordFile", &file.display().to_string()]);
    display.show(&picture(Size::new(300, 200), Kind::Mixed, 3), AT);
    let with = |password: &[u8]| ClientOptions {
        password: Some(Password::new(password)),
        ..ClientOptions::network()
    };
    let mut upstream = connect(&display, with(b"secret"));
    upstream.until_picture(&display.dump());
    let mut upstream = connect(&display, with(b"wrong"));
    let error = eventually("a refusal", || upstream.pump().err());
    assert!(matches!(error, ClientError::AuthenticationFailed { .. }), "{error}");
    let mut upstream = connect(&display, ClientOptions::local());
    assert_eq!(eventually("a refusal", || upstream.pump().err()), ClientError::NoPassword);
}
