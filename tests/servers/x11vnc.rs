//! x11vnc on the screen of an X server that knows nothing of VNC.

use std::process::Command;

use xenvnc::geometry::{Point, Size};
use xenvnc::rfb::client::{ClientEvent, ClientOptions};
use xenvnc::rfb::encoding::Encoding;
use xenvnc::rfb::security::Password;

use crate::display::{Display, directory};
use crate::picture::{Kind, difference, picture};
use crate::program::{Program, output};
use crate::upstream::{Upstream, compare};

const SIZE: Size = Size::new(640, 400);
const AT: Point = Point { x: 23, y: 17 };

fn display() -> Display {
    let mut command = Command::new("Xvfb");
    command.args(["-screen", "0", "640x400x24", "-nolisten", "tcp"]);
    Display::start(directory(), &mut command)
}

/// x11vnc on a Unix socket, with all that it has. Without shared memory, which would outlive it: it is killed in the end,
/// and a machine has 4096 segments.
fn serve_plain(display: &Display, name: &str, arguments: &[&str]) -> Program {
    let mut command = display.command("x11vnc");
    command.args(["-display", display.name(), "-rfbport", "0", "-no6", "-noipv6", "-noshm"]);
    command.args(["-quiet", "-nocmds"]).args(arguments);
    command.arg("-unixsock").arg(display.path().join(name)).stdout(std::process::Stdio::null());
    Program::start(&mut command, &display.path().join("x11vnc.log"))
}

/// The same for several connections, quick, and with nothing but the screen's picture.
fn serve(display: &Display, name: &str, arguments: &[&str]) -> Program {
    let quick = ["-forever", "-shared", "-wait", "5", "-defer", "1", "-nowcr", "-nocursor", "-noscr"];
    serve_plain(display, name, &[&quick, arguments].concat())
}

fn connect(display: &Display, name: &str, options: ClientOptions) -> Upstream {
    Upstream::unix(&display.path().join(name), options)
}

#[test]
fn every_encoding_shows_the_screen() {
    let mut display = display();
    let _server = serve(&display, "vnc.sock", &["-nopw"]);
    display.show(&picture(Size::new(500, 300), Kind::Mixed, 1), AT);
    let used = [
        (Encoding::RAW, false),
        (Encoding::HEXTILE, true),
        (Encoding::ZLIB, true),
        (Encoding::TIGHT, true),
        (Encoding::ZRLE, true),
    ];
    compare(&display.dump(), &used, |options| connect(&display, "vnc.sock", options));
    display.show(&picture(Size::new(500, 300), Kind::Plain, 1), AT);
    compare(&display.dump(), &[(Encoding::RRE, true), (Encoding::CORRE, true)], |options| {
        connect(&display, "vnc.sock", options)
    });
}

#[test]
fn the_picture_follows_the_screen() {
    let mut display = display();
    let _server = serve(&display, "vnc.sock", &["-nopw"]);
    for options in [ClientOptions::local(), ClientOptions::network()] {
        let mut upstream = connect(&display, "vnc.sock", options);
        for seed in 1..3 {
            let shown = picture(Size::new(300, 200), Kind::Mixed, seed);
            display.show(&shown, AT);
            upstream.until_picture(&display.dump());
            display.shift(&shown, Point { x: 140, y: 90 });
            upstream.until_picture(&display.dump());
        }
    }
}

#[test]
fn photographs_come_as_jpeg_when_asked_for() {
    let mut display = display();
    let _server = serve(&display, "vnc.sock", &["-nopw"]);
    display.show(&picture(Size::new(500, 300), Kind::Smooth, 1), AT);
    let options = ClientOptions { quality: Some(8), ..ClientOptions::network() };
    let mut upstream = connect(&display, "vnc.sock", options);
    upstream.until("a picture", |this| this.client.canvas().size() == SIZE);
    upstream.refresh();
    let (differing, mean) = difference(upstream.client.canvas(), &display.dump());
    assert!(differing > 10_000, "lossless after all: {differing} pixels differ");
    assert!(mean < 2.0, "a mean difference of {mean} levels");
}

#[test]
fn every_version_lets_us_in() {
    let mut display = display();
    display.show(&picture(Size::new(300, 200), Kind::Mixed, 3), AT);
    for version in ["3.3", "3.4", "3.6", "3.7", "3.8"] {
        for (name, arguments) in [("open", &["-nopw"][..]), ("closed", &["-passwd", "secret"])] {
            let name = format!("{name}-{version}");
            let server = serve(&display, &name, &[arguments, &["-rfbversion", version]].concat());
            let options =
                ClientOptions { password: Some(Password::new(b"secret")), ..ClientOptions::local() };
            let mut upstream = connect(&display, &name, options);
            upstream.until_picture(&display.dump());
            drop(server);
        }
    }
}

#[test]
fn cursors_and_pointers_arrive() {
    let display = display();
    let _server = serve_plain(&display, "vnc.sock", &["-nopw"]);
    let mut upstream = connect(&display, "vnc.sock", ClientOptions::local());
    upstream.take("a cursor", |event| match event {
        ClientEvent::Cursor(Some(cursor)) if cursor.mask.iter().any(|bits| *bits != 0) => Some(()),
        _ => None,
    });
    upstream.client.pointer(0, 123, 45);
    upstream.until("the pointer's place", |_| {
        let place = output(display.command("xdotool").arg("getmouselocation"));
        String::from_utf8_lossy(&place).starts_with("x:123 y:45 ")
    });
}

#[test]
fn texts_arrive() {
    let display = display();
    // With XFixes it ends with SIGSEGV where the display has no cursor to tell of.
    let _server = serve_plain(&display, "vnc.sock", &["-nopw", "-noxfixes", "-forever"]);
    let mut upstream = connect(&display, "vnc.sock", ClientOptions::local());
    upstream.until_picture(&display.dump());
    // It says that it takes texts of ExtendedClipboard, and throws them away; and it begins to take any after 45 seconds.
    upstream.until("our text", |this| {
        this.client.cut_text("ours\nend");
        let log = std::fs::File::create(display.path().join("xclip.log")).expect("a file");
        let mut paste = display.command("timeout");
        paste.args(["3", "xclip", "-selection", "clipboard", "-o"]);
        paste.stderr(log).output().expect("xclip").stdout == b"ours\nend"
    });
}
