//! A seat with scripted viewers and a clock that the test turns.

use std::time::{Duration, Instant};

use xenvnc::rfb::client::ClientOptions;
use xenvnc::screen::Picture;
use xenvnc::seat::{EndedUpstream, Seat, SeatOptions, UpstreamId, ViewerId, VtNumber};

use super::display::Display;
use super::pixels::Format;
use super::viewer::{self, Viewer};

pub const F1: VtNumber = VtNumber::CONSOLE;
pub const STATUS: VtNumber = VtNumber::STATUS;
pub const ALL: &[i32] =
    &[viewer::ZRLE, viewer::COPY_RECT, viewer::DESKTOP_SIZE, viewer::DESKTOP_NAME, viewer::LAST_RECT];

pub fn f(number: u8) -> VtNumber {
    VtNumber::new(number).unwrap()
}

pub struct Guest {
    pub id: ViewerId,
    pub viewer: Viewer,
    /// False while it does not take what it is sent.
    pub reads: bool,
    /// Asks for the next update as soon as it has one.
    pub follows: bool,
}

/// A display of the guest that is connected to the seat.
pub struct Connected {
    pub id: UpstreamId,
    pub display: Display,
}

pub struct Scene {
    pub seat: Seat,
    pub guests: Vec<Guest>,
    pub displays: Vec<Connected>,
    /// Displays that the seat has ended.
    pub ended: Vec<EndedUpstream>,
    pub now: Instant,
    /// What was typed to F1.
    pub typed: Vec<u8>,
}

impl Scene {
    /// A small seat with a console.
    pub fn new() -> Self {
        Self::with(SeatOptions {
            name: "web1".to_owned(),
            columns: 40,
            rows: 12,
            history_lines: 100,
            ..SeatOptions::default()
        })
    }

    pub fn with(options: SeatOptions) -> Self {
        let mut seat = Seat::new(options);
        seat.add_console(F1);
        Self {
            seat,
            guests: Vec::new(),
            displays: Vec::new(),
            ended: Vec::new(),
            now: Instant::now(),
            typed: Vec::new(),
        }
    }

    /// A viewer that is through the handshake and has the whole picture.
    pub fn join(&mut self, encodings: &[i32], format: Format) -> usize {
        let id = self.seat.add_viewer(format!("peer {}", self.guests.len()), [7; 16], self.now).unwrap();
        let viewer = Viewer::new(encodings, format);
        self.guests.push(Guest { id, viewer, reads: true, follows: true });
        let at = self.guests.len() - 1;
        self.turn();
        assert!(self.guests[at].viewer.is_ready());
        self.guests[at].viewer.request(false);
        self.settle();
        at
    }

    /// One that takes what most viewers take.
    pub fn join_usual(&mut self) -> usize {
        self.join(ALL, Format::RGB888)
    }

    /// The guest connects a display for this VT, and lets the seat answer.
    pub fn connect(&mut self, vt: VtNumber, display: Display) -> usize {
        let options = ClientOptions::local();
        let id = self.seat.add_upstream(vt, "a test".to_owned(), options, self.now).unwrap();
        self.displays.push(Connected { id, display });
        self.turn();
        self.displays.len() - 1
    }

    pub fn display(&mut self, at: usize) -> &mut Display {
        &mut self.displays[at].display
    }

    /// The display's connection is lost.
    pub fn disconnect(&mut self, at: usize) {
        let gone = self.displays.remove(at);
        self.seat.remove_upstream(gone.id);
        self.turn();
    }

    pub fn viewer(&mut self, at: usize) -> &mut Viewer {
        &mut self.guests[at].viewer
    }

    /// The guest writes.
    pub fn write(&mut self, text: &str) {
        self.seat.console_output(F1, text.as_bytes(), self.now);
    }

    /// Carries bytes to and fro until nothing moves any more. No time passes.
    pub fn turn(&mut self) {
        loop {
            let mut moved = false;
            for guest in &mut self.guests {
                if guest.follows
                    && guest.viewer.is_ready()
                    && !guest.viewer.waiting
                    && guest.viewer.updates > 0
                {
                    guest.viewer.request(true);
                }
                let sent = std::mem::take(&mut guest.viewer.outgoing);
                if !sent.is_empty() {
                    moved = true;
                    self.seat.viewer_input(guest.id, &sent, self.now).unwrap();
                }
            }
            for connected in &mut self.displays {
                connected.display.answer();
                let sent = std::mem::take(&mut connected.display.outgoing);
                if !sent.is_empty() {
                    moved = true;
                    self.seat.upstream_input(connected.id, &sent, self.now).unwrap();
                }
            }
            self.seat.take_console_input(F1, &mut self.typed);
            self.seat.render(self.now);
            for connected in &mut self.displays {
                let Some(output) = self.seat.upstream_output(connected.id) else { continue };
                let output = std::mem::take(output);
                if !output.is_empty() {
                    moved = true;
                    connected.display.feed(&output);
                }
            }
            for ended in self.seat.take_ended_upstreams() {
                self.displays.retain(|connected| connected.id != ended.id);
                self.ended.push(ended);
            }
            for guest in self.guests.iter_mut().filter(|guest| guest.reads) {
                let output = std::mem::take(self.seat.viewer_output(guest.id).unwrap());
                if !output.is_empty() {
                    moved = true;
                    guest.viewer.feed(&output);
                }
            }
            if !moved {
                return;
            }
        }
    }

    /// Lets time pass until the seat waits for nothing but handshakes.
    pub fn settle(&mut self) {
        self.turn();
        for _ in 0..1000 {
            match self.seat.deadline() {
                Some(at) if at < self.now + Duration::from_secs(1) => self.now = self.now.max(at),
                _ => return,
            }
            assert_eq!(self.seat.handle_timeout(self.now), []);
            self.turn();
        }
        panic!("the seat does not come to rest");
    }

    /// Every viewer shows what it looks at.
    pub fn assert_pictures(&self) {
        for info in self.seat.viewers() {
            let guest = self.guests.iter().find(|guest| guest.id == info.id).unwrap();
            let picture = self.seat.screenshot(info.vt).unwrap();
            assert_eq!(guest.viewer.differs(&picture), None, "{info:?}");
        }
    }

    /// What a display shows.
    pub fn picture(&self, at: usize) -> Picture {
        let display = &self.displays[at].display;
        let pixels = display.pixels.iter().map(|pixel| xenvnc::rfb::tile::Colour(*pixel)).collect();
        Picture { size: display.size, pixels }
    }

    pub fn take_typed(&mut self) -> String {
        String::from_utf8(std::mem::take(&mut self.typed)).unwrap()
    }
}
