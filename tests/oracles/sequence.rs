//! Our client on our server, whatever both do: in the end it shows what the server shows.

use xenvnc::geometry::{Point, Rect, Region, Size};
use xenvnc::keysym::Keysym;
use xenvnc::rfb::client::{ClientConnection, ClientOptions};
use xenvnc::rfb::encoding::Encoding;
use xenvnc::rfb::encoding::canvas::Canvas;
use xenvnc::rfb::encoding::pseudo::{CursorImage, LedState};
use xenvnc::rfb::security::Security;
use xenvnc::rfb::server::{
    Damage, ResizeRefusal, ServerConnection, ServerEvent, ServerOptions, UpdateOutcome,
};

use super::bytes::{Bytes, PICTURES};

/// The most operations of a case, which bounds its time.
const STEPS: usize = 40;

/// The largest side of a screen.
const SIDE: u16 = 150;

struct Pair {
    server: ServerConnection,
    client: ClientConnection,
    screen: Canvas,
    copy: Option<(Rect, Point)>,
    damage: Region,
}

impl Pair {
    /// Moves what both have said, and lets the server update.
    fn turn(&mut self) -> bool {
        let damage = Damage { copies: self.copy.as_slice(), region: &self.damage };
        let outcome = self.server.update(&self.screen, damage);
        if outcome != UpdateOutcome::Nothing {
            self.copy = None;
            self.damage.clear();
        }
        let down = std::mem::take(self.server.output());
        let up = std::mem::take(self.client.output());
        self.client.handle_input(&down).expect("a good server");
        self.server.handle_input(&up).expect("a good client");
        while self.client.poll_event().is_some() {}
        while let Some(event) = self.server.poll_event() {
            if let ServerEvent::SetDesktopSize { size } = event {
                if size.width <= SIDE && size.height <= SIDE {
                    self.resize(size);
                } else {
                    self.server.refuse_resize(ResizeRefusal::Prohibited);
                }
            }
        }
        outcome != UpdateOutcome::Nothing || !down.is_empty() || !up.is_empty()
    }

    fn resize(&mut self, size: Size) {
        self.screen.resize(size);
        self.server.resize(size);
        (self.copy, self.damage) = (None, size.rect().into());
    }

    fn step(&mut self, bytes: &mut Bytes<'_>) {
        let size = self.screen.size();
        match bytes.byte() % 14 {
            0 => {
                let size = bytes.size(SIDE);
                self.resize(size);
            }
            1 | 2 => {
                let rect = bytes.rect(size);
                bytes.paint(&mut self.screen, rect);
                self.damage.add(rect);
            }
            3 => {
                let lines = bytes.below(size.height);
                let destination = Rect { height: size.height - lines, ..size.rect() };
                // Two copies at a time cannot be told.
                if self.copy.is_none() && self.damage.is_empty() && !destination.is_empty() {
                    let from = Point { x: 0, y: lines };
                    self.screen.copy(destination, from);
                    self.copy = Some((destination, from));
                }
            }
            4 => {
                let side = bytes.size(20);
                let pixels = vec![
                    xenvnc::rfb::tile::Colour(0x0012_3456);
                    usize::from(side.width) * usize::from(side.height)
                ];
                let mask = vec![0x5a; usize::from(side.width).div_ceil(8) * usize::from(side.height)];
                let hotspot = Point { x: bytes.below(30), y: bytes.below(30) };
                self.server.set_cursor(Some(CursorImage { size: side, hotspot, pixels, mask, alpha: None }));
            }
            5 => self.server.set_cursor(None),
            6 => self.server.set_leds(LedState { caps_lock: bytes.byte() & 1 == 1, ..LedState::default() }),
            7 => {
                let text = String::from_utf8_lossy(bytes.take(9)).into_owned();
                self.server.cut_text(&text);
                self.server.rename(&text);
                self.server.bell();
            }
            8 => {
                let text = String::from_utf8_lossy(bytes.take(9)).into_owned();
                self.client.cut_text(&text);
            }
            9 => {
                self.client.key(Keysym(u32::from(bytes.byte())), Some(30), true);
                self.client.pointer(bytes.below(512), bytes.below(999), bytes.below(999));
            }
            10 => {
                let wish = bytes.size(2 * SIDE);
                self.client.set_desktop_size(wish);
                self.client.sync();
            }
            _ => {
                self.client.request_update(bytes.byte() & 1 == 1);
                self.turn();
            }
        }
    }
}

/// Both sides do what the bytes say.
pub fn sequence(data: &[u8]) {
    let mut bytes = Bytes(data);
    let size = bytes.size(SIDE);
    let mut encodings = vec![bytes.pick(&PICTURES)];
    if bytes.byte() & 1 == 1 {
        encodings.push(Encoding::COPY_RECT);
    }
    let compression = Some(bytes.byte() % 10);
    let mut pair = Pair {
        server: ServerConnection::new(ServerOptions {
            name: "any".into(),
            size,
            security: Security::None,
            challenge: [0; 16],
        }),
        client: ClientConnection::new(ClientOptions { encodings, compression, ..ClientOptions::local() }),
        screen: Canvas::new(size),
        copy: None,
        damage: Region::new(),
    };
    for _ in 0..STEPS {
        if bytes.is_empty() {
            break;
        }
        pair.step(&mut bytes);
    }
    // When both are quiet, and the client has asked for what changed and waits in vain, it has everything.
    for _ in 0..1000 {
        if !pair.turn() {
            if pair.client.is_waiting() {
                break;
            }
            pair.client.request_update(true);
        }
    }
    assert!(pair.client.is_ready() && pair.client.is_waiting(), "never quiet");
    assert!(pair.client.canvas() == &pair.screen, "the client shows another picture");
}
