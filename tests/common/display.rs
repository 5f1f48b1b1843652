//! A scripted display: the server side of RFB 3.8 (RFC 6143), written from the specification and without the library's
//! help. It sends raw pixels and copies, or pixels through a compressed stream where Tight or ZRLE is asked for, and only
//! what it was asked for.

use xenvnc::geometry::{Point, Rect, Size};
use zlib_rs::{Deflate, DeflateConfig, DeflateFlush};

/// A message of the client behind the handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    Key { pressed: bool, keysym: u32 },
    Pointer { buttons: u8, x: u16, y: u16 },
    CutText(Vec<u8>),
    SetDesktopSize(Size),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Version,
    Security,
    Init,
    Messages,
}

pub struct Display {
    phase: Phase,
    received: Vec<u8>,
    pub outgoing: Vec<u8>,
    pub size: Size,
    /// 0x00RRGGBB.
    pub pixels: Vec<u32>,
    /// What the client does not have.
    damage: Vec<Rect>,
    copy: Option<(Rect, Point)>,
    resized: bool,
    /// An update that tells of another size has its pixels, too; otherwise those come with the next one.
    pub resizes_with_pixels: bool,
    /// A pointer to tell of: its size and hot spot, opaque, of one colour.
    cursor: Option<(Size, Point, u32)>,
    /// A request is out; true for an incremental one.
    asked: Option<bool>,
    /// How often it was asked for an update.
    pub requests: usize,
    pub encodings: Vec<i32>,
    pub said: Vec<Said>,
    /// While false, requests are not answered.
    pub answers: bool,
    /// The client's pixel format: shifts of red, green and blue; 32 bits, little-endian.
    shifts: [u8; 3],
    tight: Deflate,
    zrle: Deflate,
    /// How many rectangles it has sent in Tight or ZRLE.
    pub compressed: usize,
}

impl Display {
    pub fn new(size: Size) -> Self {
        Self {
            phase: Phase::Version,
            received: Vec::new(),
            outgoing: b"RFB 003.008\n".to_vec(),
            size,
            pixels: vec![0; usize::from(size.width) * usize::from(size.height)],
            damage: vec![size.rect()],
            copy: None,
            resized: false,
            resizes_with_pixels: false,
            cursor: None,
            asked: None,
            requests: 0,
            encodings: Vec::new(),
            said: Vec::new(),
            answers: true,
            shifts: [16, 8, 0],
            tight: Deflate::new_with_config(DeflateConfig::default()),
            zrle: Deflate::new_with_config(DeflateConfig::default()),
            compressed: 0,
        }
    }

    fn at(&self, x: u16, y: u16) -> usize {
        usize::from(y) * usize::from(self.size.width) + usize::from(x)
    }

    pub fn fill(&mut self, rect: Rect, colour: impl Fn(u16, u16) -> u32) {
        for y in rect.y..rect.y + rect.height {
            for x in rect.x..rect.x + rect.width {
                let at = self.at(x, y);
                self.pixels[at] = colour(x, y);
            }
        }
        self.damage.push(rect);
    }

    /// Moves pixels; told as a copy when nothing else is to be told.
    pub fn copy(&mut self, destination: Rect, source: Point) {
        let old = self.pixels.clone();
        for y in 0..destination.height {
            for x in 0..destination.width {
                let to = self.at(destination.x + x, destination.y + y);
                self.pixels[to] = old[self.at(source.x + x, source.y + y)];
            }
        }
        if self.damage.is_empty() && self.copy.is_none() {
            self.copy = Some((destination, source));
        } else {
            self.damage.push(destination);
        }
    }

    pub fn resize(&mut self, size: Size) {
        self.size = size;
        self.pixels = vec![0x20_2020; usize::from(size.width) * usize::from(size.height)];
        self.damage = vec![size.rect()];
        self.copy = None;
        self.resized = true;
    }

    /// Its pointer is a block of one colour.
    pub fn cursor(&mut self, size: Size, hotspot: Point, colour: u32) {
        self.cursor = Some((size, hotspot, colour));
    }

    pub fn bell(&mut self) {
        self.outgoing.push(2);
    }

    pub fn cut(&mut self, text: &[u8]) {
        self.outgoing.extend([3, 0, 0, 0]);
        self.outgoing.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
        self.outgoing.extend(text);
    }

    /// Takes bytes of the client and answers what can be answered.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.received.extend_from_slice(bytes);
        while self.step().is_some() {}
        self.answer();
    }

    fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        (self.received.len() >= count).then(|| self.received.drain(..count).collect())
    }

    fn step(&mut self) -> Option<()> {
        match self.phase {
            Phase::Version => {
                assert_eq!(self.take(12)?, b"RFB 003.008\n");
                self.outgoing.extend([1, 1]);
                self.phase = Phase::Security;
            }
            Phase::Security => {
                assert_eq!(self.take(1)?, [1]);
                self.outgoing.extend([0; 4]);
                self.phase = Phase::Init;
            }
            Phase::Init => {
                self.take(1)?;
                for value in [self.size.width, self.size.height] {
                    self.outgoing.extend(value.to_be_bytes());
                }
                self.outgoing.extend([32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0]);
                self.outgoing.extend([0, 0, 0, 4]);
                self.outgoing.extend(b"desk");
                self.phase = Phase::Messages;
            }
            Phase::Messages => return self.message(),
        }
        Some(())
    }

    fn message(&mut self) -> Option<()> {
        let number = |bytes: &[u8]| bytes.iter().fold(0_usize, |n, byte| n << 8 | usize::from(*byte));
        let short = |bytes: &[u8]| u16::from_be_bytes([bytes[0], bytes[1]]);
        let length = match *self.received.first()? {
            0 => 20,
            2 => 4 + 4 * number(self.received.get(2..4)?),
            3 => 10,
            4 => 8,
            5 => 6,
            6 => 8 + number(self.received.get(4..8)?),
            251 => 8 + 16 * usize::from(*self.received.get(6)?),
            other => panic!("message {other} was not agreed on"),
        };
        let message = self.take(length)?;
        match message[0] {
            0 => {
                assert_eq!(
                    (message[4], message[6], message[7]),
                    (32, 0, 1),
                    "wanted: 32 bits, little-endian"
                );
                self.shifts = [message[14], message[15], message[16]];
            }
            2 => {
                let numbers = message[4..].chunks(4);
                self.encodings = numbers.map(|n| i32::from_be_bytes(n.try_into().unwrap())).collect();
            }
            3 => {
                let incremental = message[1] != 0 && self.asked != Some(false);
                self.asked = Some(incremental);
                self.requests += 1;
            }
            4 => self.said.push(Said::Key {
                pressed: message[1] != 0,
                keysym: u32::from_be_bytes(message[4..8].try_into().unwrap()),
            }),
            5 => self.said.push(Said::Pointer {
                buttons: message[1],
                x: short(&message[2..]),
                y: short(&message[4..]),
            }),
            6 => self.said.push(Said::CutText(message[8..].to_vec())),
            251 => {
                self.said.push(Said::SetDesktopSize(Size::new(short(&message[2..]), short(&message[4..]))));
            }
            _ => unreachable!(),
        }
        Some(())
    }

    /// Sends an update, if one is asked for and there is something to say.
    pub fn answer(&mut self) {
        let Some(incremental) = self.asked.filter(|_| self.answers) else { return };
        if !incremental {
            self.damage = vec![self.size.rect()];
            self.copy = None;
        }
        if self.damage.is_empty() && self.copy.is_none() && !self.resized && self.cursor.is_none() {
            return;
        }
        self.asked = None;
        let resized = std::mem::take(&mut self.resized);
        if resized && !self.resizes_with_pixels {
            assert!(self.encodings.contains(&-223), "DesktopSize was not agreed on");
            self.outgoing.extend([0, 0, 0, 1]);
            self.head(self.size.rect(), -223);
            return;
        }
        let damage = std::mem::take(&mut self.damage);
        let copy = self.copy.take();
        let cursor = self.cursor.take();
        let count =
            damage.len() + usize::from(copy.is_some()) + usize::from(resized) + usize::from(cursor.is_some());
        self.outgoing.extend([0, 0]);
        self.outgoing.extend(u16::try_from(count).unwrap().to_be_bytes());
        if resized {
            assert!(self.encodings.contains(&-223), "DesktopSize was not agreed on");
            self.head(self.size.rect(), -223);
        }
        if let Some((destination, source)) = copy {
            assert!(self.encodings.contains(&1), "CopyRect was not agreed on");
            self.head(destination, 1);
            self.outgoing.extend(source.x.to_be_bytes());
            self.outgoing.extend(source.y.to_be_bytes());
        }
        if let Some((size, hotspot, colour)) = cursor {
            assert!(self.encodings.contains(&-239), "Cursor was not agreed on");
            self.head(Rect { x: hotspot.x, y: hotspot.y, ..size.rect() }, -239);
            (0..size.area()).for_each(|_| self.pixel(colour));
            let mask = usize::from(size.width).div_ceil(8) * usize::from(size.height);
            self.outgoing.extend(vec![0xff; mask]);
        }
        for rect in damage {
            match self.encodings.iter().find(|encoding| matches!(encoding, 0 | 7 | 16)) {
                Some(7) => self.tight(rect),
                Some(16) => self.zrle(rect),
                _ => self.raw(rect),
            }
        }
    }

    fn raw(&mut self, rect: Rect) {
        self.head(rect, 0);
        for y in rect.y..rect.y + rect.height {
            for x in rect.x..rect.x + rect.width {
                self.pixel(self.pixels[self.at(x, y)]);
            }
        }
    }

    /// Plain pixels through stream 0 (the community's specification, Tight).
    fn tight(&mut self, rect: Rect) {
        self.head(rect, 7);
        self.compressed += 1;
        self.outgoing.push(0);
        let mut data = Vec::new();
        for y in rect.y..rect.y + rect.height {
            for x in rect.x..rect.x + rect.width {
                data.extend(&self.pixels[self.at(x, y)].to_be_bytes()[1..]);
            }
        }
        if data.len() < 12 {
            self.outgoing.extend(data);
            return;
        }
        let packed = pack(&mut self.tight, &data);
        let mut length = packed.len();
        while length >= 0x80 {
            self.outgoing.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
            length >>= 7;
        }
        self.outgoing.push(u8::try_from(length).unwrap());
        self.outgoing.extend(packed);
    }

    /// Raw tiles (RFC 6143 §7.7.6).
    fn zrle(&mut self, rect: Rect) {
        self.head(rect, 16);
        self.compressed += 1;
        let mut data = Vec::new();
        for top in (rect.y..rect.y + rect.height).step_by(64) {
            for left in (rect.x..rect.x + rect.width).step_by(64) {
                data.push(0);
                for y in top..(top + 64).min(rect.y + rect.height) {
                    for x in left..(left + 64).min(rect.x + rect.width) {
                        data.extend(&self.pixels[self.at(x, y)].to_le_bytes()[..3]);
                    }
                }
            }
        }
        let packed = pack(&mut self.zrle, &data);
        self.outgoing.extend(u32::try_from(packed.len()).unwrap().to_be_bytes());
        self.outgoing.extend(packed);
    }

    fn pixel(&mut self, colour: u32) {
        let [_, red, green, blue] = colour.to_be_bytes();
        let value = [red, green, blue]
            .iter()
            .zip(self.shifts)
            .fold(0_u32, |value, (channel, shift)| value | u32::from(*channel) << shift);
        self.outgoing.extend(value.to_le_bytes());
    }

    fn head(&mut self, rect: Rect, encoding: i32) {
        for value in [rect.x, rect.y, rect.width, rect.height] {
            self.outgoing.extend(value.to_be_bytes());
        }
        self.outgoing.extend(encoding.to_be_bytes());
    }
}

/// Data through a stream that goes on.
fn pack(stream: &mut Deflate, data: &[u8]) -> Vec<u8> {
    let mut out = vec![0; data.len() + data.len() / 100 + 1000];
    let before = stream.total_out();
    stream.compress(data, &mut out, DeflateFlush::SyncFlush).unwrap();
    out.truncate(usize::try_from(stream.total_out() - before).unwrap());
    out
}
