//! TightVNC's X server, the Tight encoding's first home; it knows the gradient filter.

use std::process::{Command, Stdio};

use xenvnc::geometry::{Point, Size};
use xenvnc::rfb::client::ClientOptions;
use xenvnc::rfb::encoding::Encoding;

use crate::display::{Display, directory};
use crate::picture::{Kind, picture};
use crate::program::free_port;
use crate::upstream::{Upstream, compare};

const AT: Point = Point { x: 23, y: 17 };

fn server(port: u16) -> Display {
    Display::start_numbered(directory(), |number| {
        let mut command = Command::new("Xtightvnc");
        command.args([&format!(":{number}"), "-rfbport", &port.to_string(), "-localhost", "-alwaysshared"]);
        command.args(["-geometry", "640x400", "-depth", "24", "-nolisten", "tcp"]).stdout(Stdio::null());
        command
    })
}

#[test]
fn every_encoding_shows_the_screen() {
    let port = free_port();
    let mut display = server(port);
    display.show(&picture(Size::new(500, 300), Kind::Mixed, 1), AT);
    let used =
        [(Encoding::RAW, false), (Encoding::HEXTILE, true), (Encoding::ZLIB, true), (Encoding::TIGHT, true)];
    compare(&display.dump(), &used, |options| Upstream::tcp(port, options));
    display.show(&picture(Size::new(500, 300), Kind::Plain, 1), AT);
    compare(&display.dump(), &[(Encoding::RRE, true), (Encoding::CORRE, true)], |options| {
        Upstream::tcp(port, options)
    });
}

#[test]
fn gradients_are_undone() {
    let port = free_port();
    let mut display = server(port);
    display.show(&picture(Size::new(500, 300), Kind::Smooth, 1), AT);
    let bytes = [1, 9].map(|compression| {
        let options = ClientOptions { compression: Some(compression), ..ClientOptions::network() };
        let mut upstream = Upstream::tcp(port, options);
        upstream.until_picture(&display.dump());
        upstream.refresh()
    });
    // The server filters from a certain level on only.
    assert!(bytes[1] * 2 < bytes[0], "{bytes:?} bytes without and with the filter");
}

#[test]
fn the_picture_follows_the_screen() {
    let port = free_port();
    let mut display = server(port);
    let mut upstream = Upstream::tcp(port, ClientOptions::network());
    for seed in 1..3 {
        let shown = picture(Size::new(300, 200), Kind::Mixed, seed);
        display.show(&shown, AT);
        upstream.until_picture(&display.dump());
        display.show(&shown, Point { x: 140, y: 90 });
        upstream.until_picture(&display.dump());
    }
}
