//! The library's client on the library's server: every encoding, pieces of every size, and all that is no picture.

use proptest::prelude::*;
use xenvnc::geometry::{Point, Rect, Region, Size};
use xenvnc::keysym::Keysym;
use xenvnc::rfb::client::{ClientConnection, ClientError, ClientEvent, ClientOptions};
use xenvnc::rfb::encoding::Encoding;
use xenvnc::rfb::encoding::canvas::Canvas;
use xenvnc::rfb::encoding::pseudo::CursorImage;
use xenvnc::rfb::security::{Password, Security};
use xenvnc::rfb::server::{
    Damage, ResizeRefusal, ServerConnection, ServerError, ServerEvent, ServerOptions, UpdateOutcome,
};
use xenvnc::rfb::tile::Colour;

use crate::screen::{Mixed, Numbers, any_size, paint, patchwork};

/// A server with a screen, and the client that looks at it.
struct Link {
    server: ServerConnection,
    client: ClientConnection,
    screen: Canvas,
    copy: Option<(Rect, Point)>,
    damage: Region,
    /// Where pieces are cut; 0 for not at all.
    cuts: Numbers,
    events: Vec<ClientEvent>,
    asked: Vec<ServerEvent>,
}

impl Link {
    fn new(size: Size, options: ClientOptions, security: Security, cuts: u64) -> Self {
        let server = ServerConnection::new(ServerOptions {
            name: "a screen".into(),
            size,
            security,
            challenge: *b"0123456789abcdef",
        });
        Self {
            server,
            client: ClientConnection::new(options),
            screen: patchwork(size, 5),
            copy: None,
            damage: Region::new(),
            cuts: Numbers(cuts),
            events: Vec::new(),
            asked: Vec::new(),
        }
    }

    fn with_encodings(size: Size, encodings: &[Encoding], cuts: u64) -> Self {
        let options = ClientOptions { encodings: encodings.to_vec(), ..ClientOptions::local() };
        let mut link = Self::new(size, options, Security::None, cuts);
        link.exchange().expect("a good handshake");
        assert!(link.client.is_ready());
        link
    }

    /// Moves bytes both ways until both are quiet. The server answers requests.
    fn exchange(&mut self) -> Result<(), Box<dyn std::error::Error>> {
        loop {
            let source = Mixed { canvas: &self.screen, seed: 3 };
            let outcome =
                self.server.update(&source, Damage { copies: self.copy.as_slice(), region: &self.damage });
            if outcome != UpdateOutcome::Nothing {
                self.copy = None;
                self.damage.clear();
            }
            let mut down = std::mem::take(self.server.output());
            let up = std::mem::take(self.client.output());
            if down.is_empty() && up.is_empty() && outcome == UpdateOutcome::Nothing {
                return Ok(());
            }
            let mut rest = &mut down[..];
            while !rest.is_empty() {
                let most = u32::try_from(rest.len()).expect("small");
                let at = if self.cuts.0 == 0 { most } else { 1 + self.cuts.below(most.min(900)) };
                let (piece, behind) = rest.split_at_mut(usize::try_from(at).expect("fits"));
                self.client.handle_input(piece)?;
                // Whoever looks at its input twice sees something else.
                piece.fill(0xaa);
                rest = behind;
            }
            self.server.handle_input(&up)?;
            self.events.extend(std::iter::from_fn(|| self.client.poll_event()));
            self.asked.extend(std::iter::from_fn(|| self.server.poll_event()));
        }
    }

    /// Asks until there is nothing more to say.
    fn settle(&mut self) {
        for _ in 0..50 {
            let waiting = self.client.is_waiting();
            self.client.request_update(true);
            self.exchange().expect("two good sides");
            if waiting && self.client.is_waiting() {
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

    fn assert_same(&self) {
        assert_eq!(self.client.canvas().size(), self.screen.size());
        assert!(self.client.canvas() == &self.screen, "the canvas differs from the screen");
    }
}

const PICTURES: [Encoding; 7] = [
    Encoding::RAW,
    Encoding::HEXTILE,
    Encoding::ZRLE,
    Encoding::TIGHT,
    Encoding::RRE,
    Encoding::ZLIB,
    Encoding::TRLE,
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Painting, scrolling and sizes, in every encoding, in pieces of every size.
    #[test]
    fn the_client_sees_what_the_server_shows(
        size in any_size(150),
        encoding in 0..PICTURES.len(),
        cuts: u64,
        steps in prop::collection::vec((0u8..8, any_size(150), 0u16..90, 0u16..90, any::<u64>()), 1..6),
    ) {
        let encodings = [PICTURES[encoding], Encoding::COPY_RECT];
        let mut link = Link::with_encodings(size, &encodings, cuts);
        link.settle();
        link.assert_same();
        for (kind, part, x, y, seed) in steps {
            match kind {
                0 => {
                    link.screen.resize(part);
                    link.server.resize(part);
                    (link.copy, link.damage) = (None, part.rect().into());
                }
                1 => {
                    let all = link.screen.size();
                    let lines = y.min(all.height - 1);
                    let destination = Rect { height: all.height - lines, ..all.rect() };
                    let from = Point { x: 0, y: lines };
                    link.screen.copy(destination, from);
                    link.copy = Some((destination, from));
                }
                _ => link.paint(Rect::new(x, y, part.width, part.height), seed),
            }
            link.settle();
            link.assert_same();
        }
    }
}

#[test]
fn events_tell_all_that_happened() {
    let mut link = Link::with_encodings(Size::new(60, 40), &[Encoding::COPY_RECT, Encoding::ZRLE], 0);
    let ready = ClientEvent::Ready { size: Size::new(60, 40), name: "a screen".into() };
    assert_eq!(std::mem::take(&mut link.events), [ready]);
    link.settle();
    let events = std::mem::take(&mut link.events);
    // What the screens are is told in an update of its own.
    let painted = ClientEvent::Damaged(Rect::new(0, 0, 60, 40));
    assert_eq!(events, [ClientEvent::UpdateDone, painted, ClientEvent::UpdateDone]);

    let (destination, from) = (Rect::new(0, 0, 60, 30), Point { x: 0, y: 10 });
    link.screen.copy(destination, from);
    link.copy = Some((destination, from));
    link.paint(Rect::new(0, 30, 60, 10), 4);
    link.settle();
    let events = std::mem::take(&mut link.events);
    let copied = ClientEvent::Copied { destination, source: from };
    assert_eq!(events, [copied, ClientEvent::Damaged(Rect::new(0, 30, 60, 10)), ClientEvent::UpdateDone]);

    link.server.bell();
    link.server.rename("näme");
    link.server.cut_text("cut é");
    let cursor = CursorImage {
        size: Size::new(2, 2),
        hotspot: Point { x: 1, y: 0 },
        pixels: [1, 2, 3, 4].map(Colour).to_vec(),
        mask: vec![0x80, 0x40],
        alpha: None,
    };
    link.server.set_cursor(Some(cursor.clone()));
    link.settle();
    for wanted in [
        ClientEvent::Bell,
        ClientEvent::Renamed("näme".into()),
        ClientEvent::CutText("cut é".into()),
        // What is transparent has no colour.
        ClientEvent::Cursor(Some(CursorImage {
            pixels: [1, 0, 0, 4].map(Colour).to_vec(),
            alpha: Some(vec![255, 0, 0, 255]),
            ..cursor
        })),
    ] {
        assert!(link.events.contains(&wanted), "{wanted:?} is not in {:?}", link.events);
    }
    link.events.clear();
    link.server.set_cursor(None);
    link.settle();
    assert!(link.events.contains(&ClientEvent::Cursor(None)));

    // A new size, and all of the picture anew.
    link.events.clear();
    link.screen.resize(Size::new(50, 50));
    link.server.resize(Size::new(50, 50));
    link.settle();
    assert_eq!(link.events[0], ClientEvent::Resized { size: Size::new(50, 50) });
    assert!(link.events.contains(&ClientEvent::Damaged(Rect::new(0, 0, 50, 50))));
    link.assert_same();
}

#[test]
fn commands_arrive_in_the_form_that_was_agreed() {
    let mut link = Link::new(Size::new(60, 40), ClientOptions::local(), Security::None, 0);
    // Before the handshake is complete nothing is sent.
    link.client.key(Keysym(0x61), None, true);
    link.client.pointer(1, 2, 3);
    link.client.cut_text("early");
    link.client.request_update(false);
    assert!(!link.client.set_desktop_size(Size::new(9, 9)) && !link.client.sync());
    assert!(link.client.output().is_empty() && !link.client.is_waiting());
    link.exchange().expect("a good handshake");
    assert_eq!(std::mem::take(&mut link.asked), [ServerEvent::Ready { shared: true }]);

    // The server has not acknowledged anything yet.
    link.client.key(Keysym(0x61), Some(30), true);
    link.client.key(Keysym(0), Some(30), true);
    link.client.pointer(0x1ff, 100, 100);
    link.client.cut_text("té漢\n");
    link.exchange().expect("two good sides");
    let key = |keysym, pressed, keycode| ServerEvent::Key { keysym: Keysym(keysym), pressed, keycode };
    let wanted = [
        key(0x61, true, None),
        ServerEvent::Pointer { buttons: 0x7f, x: 59, y: 39 },
        ServerEvent::CutText("té漢\n".into()),
    ];
    assert_eq!(std::mem::take(&mut link.asked), wanted);

    link.settle();
    link.asked.clear();
    assert!(link.client.supports_resize() && link.client.set_desktop_size(Size::new(80, 50)));
    link.client.key(Keysym(0x61), Some(30), true);
    link.client.key(Keysym(0), Some(0x9d), false);
    link.client.key(Keysym(0x62), None, false);
    link.client.pointer(0x1ff, 1, 2);
    link.exchange().expect("two good sides");
    let wanted = [
        ServerEvent::SetDesktopSize { size: Size::new(80, 50) },
        key(0x61, true, Some(30)),
        key(0, false, Some(0x9d)),
        key(0x62, false, None),
        ServerEvent::Pointer { buttons: 0x1ff, x: 1, y: 2 },
    ];
    assert_eq!(std::mem::take(&mut link.asked), wanted);
    link.events.clear();
    link.server.refuse_resize(ResizeRefusal::OutOfResources);
    link.settle();
    assert!(link.events.contains(&ClientEvent::ResizeAnswered { status: 2 }));
    assert!(link.client.set_desktop_size(Size::new(80, 50)));
    link.exchange().expect("two good sides");
    link.screen.resize(Size::new(80, 50));
    link.server.resize(Size::new(80, 50));
    link.settle();
    assert!(link.events.contains(&ClientEvent::Resized { size: Size::new(80, 50) }));
    assert!(link.events.contains(&ClientEvent::ResizeAnswered { status: 0 }));
    link.assert_same();

    // A mark in the stream, of which only the last counts.
    link.events.clear();
    assert!(link.client.sync() && link.client.sync());
    link.exchange().expect("two good sides");
    assert_eq!(link.events, [ClientEvent::Synced]);
}

#[test]
fn one_request_is_outstanding() {
    let mut link = Link::with_encodings(Size::new(60, 40), &[Encoding::RAW], 0);
    let requests = |link: &mut Link| {
        link.exchange().expect("two good sides");
        let asked = std::mem::take(&mut link.asked);
        let request = |event: ServerEvent| match event {
            ServerEvent::UpdateRequested { incremental, area } => Some((incremental, area.area())),
            _ => None,
        };
        asked.into_iter().filter_map(request).collect::<Vec<_>>()
    };
    // The first one is for everything.
    link.client.request_update(true);
    link.client.request_update(true);
    link.client.request_update(false);
    assert!(link.client.is_waiting());
    assert_eq!(requests(&mut link), [(false, 2400)]);
    assert!(!link.client.is_waiting());
    link.settle();
    link.asked.clear();
    assert!(link.client.is_waiting());
    link.client.request_update(true);
    assert_eq!(requests(&mut link), []);
    link.client.request_update(false);
    link.client.request_update(false);
    assert_eq!(requests(&mut link), [(false, 2400)]);
    link.assert_same();
}

#[test]
fn passwords_open_and_wrong_ones_do_not() {
    let secret = || Security::VncAuth(Password::new(b"secret"));
    let with = |password: Option<&[u8]>| ClientOptions {
        password: password.map(Password::new),
        ..ClientOptions::network()
    };
    let mut link = Link::new(Size::new(30, 20), with(Some(b"secret")), secret(), 7);
    link.exchange().expect("a good handshake");
    link.settle();
    link.assert_same();
    let mut link = Link::new(Size::new(30, 20), with(Some(b"Secret")), secret(), 7);
    let error = link.exchange().expect_err("a wrong password");
    assert_eq!(error.downcast_ref(), Some(&ServerError::WrongPassword));
    let refusal = std::mem::take(link.server.output());
    let wanted = ClientError::AuthenticationFailed { reason: "authentication failed".into() };
    assert_eq!(link.client.handle_input(&refusal), Err(wanted));
    assert_eq!(link.client.handle_input(&[]), Err(ClientError::Ended));
    let mut link = Link::new(Size::new(30, 20), with(None), secret(), 7);
    let error = link.exchange().expect_err("no password");
    assert_eq!(error.downcast_ref(), Some(&ClientError::NoPassword));
    // A server without a password is not shown one.
    let mut link = Link::new(Size::new(30, 20), with(Some(b"secret")), Security::None, 7);
    link.exchange().expect("a good handshake");
    assert!(link.client.is_ready());
}
