//! A guest's server, a seat that may relay it, and viewers, all of them ours, whatever they do: in the end every viewer
//! shows what its VT shows, and no compressed stream has broken.

use std::time::{Duration, Instant};

use xenvnc::geometry::{Point, Rect, Region, Size};
use xenvnc::rfb::client::{ClientConnection, ClientEvent, ClientOptions};
use xenvnc::rfb::encoding::Encoding;
use xenvnc::rfb::encoding::canvas::Canvas;
use xenvnc::rfb::security::Security;
use xenvnc::rfb::server::{Damage, ServerConnection, ServerOptions, UpdateOutcome};
use xenvnc::seat::{Seat, SeatOptions, SwitchTarget, UpstreamId, ViewerId, VtNumber};

use super::bytes::Bytes;

/// The most operations of a case, which bounds its time.
const STEPS: usize = 60;

/// The largest side of the guest's screen.
const SIDE: u16 = 120;

/// The most viewers.
const VIEWERS: usize = 3;

/// What viewers list; the first is what they want most.
const LISTS: [&[Encoding]; 4] = [
    &[Encoding::TIGHT, Encoding::COPY_RECT, Encoding::ZRLE, Encoding::HEXTILE],
    &[Encoding::ZRLE, Encoding::COPY_RECT, Encoding::TIGHT, Encoding::ZLIB],
    &[Encoding::ZRLE, Encoding::TIGHT],
    &[Encoding::HEXTILE, Encoding::COPY_RECT],
];

/// The guest's server, and its screen.
struct Guest {
    id: UpstreamId,
    server: ServerConnection,
    screen: Canvas,
    copy: Option<(Rect, Point)>,
    damage: Region,
    /// Sent, and not arrived yet.
    under_way: Vec<u8>,
}

struct Scene {
    seat: Seat,
    now: Instant,
    guest: Guest,
    viewers: Vec<(ViewerId, ClientConnection)>,
    graphics: VtNumber,
}

fn server(seat: &mut Seat, vt: VtNumber, size: Size, now: Instant) -> Guest {
    let options = ServerOptions { name: "x".into(), size, security: Security::None, challenge: [0; 16] };
    let id = seat.add_upstream(vt, "x".into(), ClientOptions::local(), now).expect("a graphics VT");
    Guest {
        id,
        server: ServerConnection::new(options),
        screen: Canvas::new(size),
        copy: None,
        damage: Region::new(),
        under_way: Vec::new(),
    }
}

impl Guest {
    /// Takes what the seat has said, and answers as far as `count` bytes of it arrive.
    fn turn(&mut self, seat: &mut Seat, count: usize, now: Instant) -> bool {
        let said = seat.upstream_output(self.id).map(std::mem::take).unwrap_or_default();
        self.server.handle_input(&said).expect("a good client");
        while self.server.poll_event().is_some() {}
        let damage = Damage { copies: self.copy.as_slice(), region: &self.damage };
        let outcome = self.server.update(&self.screen, damage);
        if outcome != UpdateOutcome::Nothing {
            self.copy = None;
            self.damage.clear();
        }
        self.under_way.append(self.server.output());
        let some: Vec<u8> = self.under_way.drain(..count.min(self.under_way.len())).collect();
        seat.upstream_input(self.id, &some, now).expect("a good server");
        !said.is_empty() || !some.is_empty()
    }
}

impl Scene {
    /// Moves bytes; of what the guest's server has sent, so many.
    fn turn(&mut self, count: usize) -> bool {
        let mut moved = self.guest.turn(&mut self.seat, count, self.now);
        for (id, viewer) in &mut self.viewers {
            let said = std::mem::take(viewer.output());
            moved |= !said.is_empty();
            self.seat.viewer_input(*id, &said, self.now).expect("a good viewer");
        }
        self.seat.render(self.now);
        for (id, viewer) in &mut self.viewers {
            let told = self.seat.viewer_output(*id).map(std::mem::take).unwrap_or_default();
            moved |= !told.is_empty();
            viewer.handle_input(&told).expect("a stream that goes on");
            while let Some(event) = viewer.poll_event() {
                if let ClientEvent::Ready { .. } = event {
                    viewer.request_update(true);
                }
            }
        }
        // What the seat has only now asked of the guest's server is on its way as well.
        moved |= self.seat.upstream_output(self.guest.id).is_some_and(|output| !output.is_empty());
        moved
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        if self.seat.deadline().is_some_and(|at| at <= self.now) {
            self.seat.handle_timeout(self.now);
        }
    }

    fn paint(&mut self, bytes: &mut Bytes<'_>) {
        let rect = bytes.rect(self.guest.screen.size());
        bytes.paint(&mut self.guest.screen, rect);
        self.guest.damage.add(rect);
    }

    fn step(&mut self, bytes: &mut Bytes<'_>) {
        let size = self.guest.screen.size();
        match bytes.byte() % 16 {
            0 => {
                let size = bytes.size(SIDE);
                self.guest.screen.resize(size);
                self.guest.server.resize(size);
                (self.guest.copy, self.guest.damage) = (None, size.rect().into());
            }
            1..=6 => {
                // Enough of them are relayed.
                for _ in 0..1 + bytes.byte() % 8 {
                    self.paint(bytes);
                    for _ in 0..4 {
                        self.turn(usize::MAX);
                        self.viewers.iter_mut().for_each(|(_, viewer)| viewer.request_update(true));
                    }
                    self.pass(Duration::from_millis(17));
                }
            }
            7 => {
                let lines = bytes.below(size.height);
                let destination = Rect { height: size.height - lines, ..size.rect() };
                if self.guest.copy.is_none() && self.guest.damage.is_empty() && !destination.is_empty() {
                    let from = Point { x: 0, y: lines };
                    self.guest.screen.copy(destination, from);
                    self.guest.copy = Some((destination, from));
                }
            }
            8 => {
                // Only a part arrives.
                self.paint(bytes);
                for _ in 0..2 {
                    let count = usize::from(bytes.byte());
                    self.turn(count);
                }
            }
            9 if self.viewers.len() < VIEWERS => {
                let id = self.seat.add_viewer("peer".into(), [0; 16], self.now).expect("room");
                let encodings = bytes.pick(&LISTS).to_vec();
                let options = ClientOptions { encodings, ..ClientOptions::local() };
                self.viewers.push((id, ClientConnection::new(options)));
            }
            10 if self.viewers.len() > 1 => {
                let at = usize::from(bytes.below(2));
                let (id, _) = self.viewers.remove(at);
                self.seat.remove_viewer(id);
            }
            11 | 12 => {
                let at = usize::from(bytes.byte()) % self.viewers.len();
                let vt = if bytes.byte() & 1 == 1 { VtNumber::CONSOLE } else { self.graphics };
                if self.seat.vts().iter().any(|have| have.number == vt) {
                    let target = SwitchTarget::One(self.viewers[at].0);
                    self.seat.switch(target, vt, true).expect("a VT that is there");
                }
            }
            13 => {
                self.seat.console_output(VtNumber::CONSOLE, bytes.take(20), self.now);
                self.seat.begin_screenshot(self.graphics, self.now);
            }
            14 if bytes.byte() & 7 == 0 => {
                self.seat.remove_upstream(self.guest.id);
                self.guest = server(&mut self.seat, self.graphics, size, self.now);
            }
            _ => {
                let all = bytes.byte() & 1 == 1;
                for (_, viewer) in &mut self.viewers {
                    if all {
                        viewer.forget_canvas();
                    }
                    viewer.request_update(true);
                }
                self.turn(usize::MAX);
            }
        }
    }
}

/// All sides do what the bytes say.
pub fn seat(data: &[u8]) {
    let mut bytes = Bytes(data);
    let now = Instant::now();
    let graphics = VtNumber::GRAPHICS;
    let mut seat = Seat::new(SeatOptions {
        columns: 20,
        rows: 5,
        history_lines: 10,
        notices: bytes.byte() & 1 == 1,
        relay: bytes.byte() & 3 != 3,
        ..SeatOptions::default()
    });
    seat.add_console(VtNumber::CONSOLE);
    let size = bytes.size(SIDE);
    let guest = server(&mut seat, graphics, size, now);
    let mut scene = Scene { seat, now, guest, viewers: Vec::new(), graphics };
    let id = scene.seat.add_viewer("peer".into(), [0; 16], now).expect("room");
    let encodings = bytes.pick(&LISTS).to_vec();
    scene.viewers.push((id, ClientConnection::new(ClientOptions { encodings, ..ClientOptions::local() })));
    for _ in 0..STEPS {
        if bytes.is_empty() {
            break;
        }
        scene.step(&mut bytes);
    }
    // Until all are quiet, and every viewer waits in vain for what has changed.
    let mut quiet = false;
    for _ in 0..2000 {
        if scene.turn(usize::MAX) {
            continue;
        }
        let idle: Vec<bool> = scene.viewers.iter_mut().map(|(_, viewer)| viewer.is_waiting()).collect();
        if idle.iter().all(|waits| *waits) && scene.seat.deadline().is_none() {
            quiet = true;
            break;
        }
        scene.viewers.iter_mut().for_each(|(_, viewer)| viewer.request_update(true));
        scene.pass(Duration::from_millis(40));
    }
    assert!(quiet, "never quiet");
    for (info, (_, viewer)) in scene.seat.viewers().iter().zip(&scene.viewers) {
        if info.vt == scene.graphics {
            let (shown, wanted) = (viewer.canvas(), &scene.guest.screen);
            assert_eq!(shown.size(), wanted.size(), "the display's size");
            let width = usize::from(wanted.size().width);
            let pixels = shown.pixels().iter().zip(wanted.pixels());
            let differs = pixels.enumerate().find(|(_, (shown, wanted))| shown != wanted);
            if let Some((at, (shown, wanted))) = differs {
                panic!("the display at ({}, {}): {shown:x?} instead of {wanted:x?}", at % width, at / width);
            }
        } else {
            let wanted = scene.seat.screenshot(info.vt).expect("the VT");
            assert_eq!(viewer.canvas().size(), wanted.size);
            assert!(
                viewer.canvas().pixels() == wanted.pixels,
                "a viewer shows another picture of the console"
            );
        }
    }
}
