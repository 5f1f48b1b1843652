//! A scripted viewer: it speaks RFB 3.8 (RFC 6143), does what the test says, and keeps the picture that it was sent.

use xenvnc::geometry::{Rect, Size};
use xenvnc::keysym::Keysym;
use xenvnc::screen::Picture;
use zlib_rs::Inflate;

use super::pixels::{Bytes, Canvas, Format};

pub const RAW: i32 = 0;
pub const COPY_RECT: i32 = 1;
pub const HEXTILE: i32 = 5;
pub const ZLIB: i32 = 6;
pub const TIGHT: i32 = 7;
pub const ZRLE: i32 = 16;
pub const DESKTOP_SIZE: i32 = -223;
pub const LAST_RECT: i32 = -224;
pub const CURSOR: i32 = -239;
pub const DESKTOP_NAME: i32 = -307;
pub const EXTENDED_DESKTOP_SIZE: i32 = -308;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Version,
    SecurityTypes,
    SecurityResult,
    Init,
    Messages,
    /// In an update, with this many rectangles to come.
    Rects(u16),
    Refused,
}

pub struct Viewer {
    phase: Phase,
    received: Vec<u8>,
    /// What it wants to send.
    pub outgoing: Vec<u8>,
    format: Format,
    encodings: Vec<i32>,
    zrle: Inflate,
    zlib: Inflate,
    tight: [Inflate; 4],
    pub canvas: Canvas,
    pub name: String,
    pub bells: usize,
    /// Complete updates.
    pub updates: usize,
    /// CopyRect rectangles.
    pub copies: usize,
    /// Pixels that came in rectangles of pixels.
    pub painted: u64,
    pub cut_text: Option<String>,
    /// The size of the pointer that it was told to draw.
    pub cursor: Option<Size>,
    /// Status of the last ExtendedDesktopSize that answered a client.
    pub resize_status: Option<u16>,
    /// What came instead of being let in.
    pub refusal: Option<String>,
    /// A request is out.
    pub waiting: bool,
    /// The response to VncAuth's challenge; wrong for every password.
    pub response: [u8; 16],
}

impl Viewer {
    pub fn new(encodings: &[i32], format: Format) -> Self {
        Self {
            phase: Phase::Version,
            received: Vec::new(),
            outgoing: Vec::new(),
            format,
            encodings: encodings.to_vec(),
            zrle: Inflate::new(true, 15),
            zlib: Inflate::new(true, 15),
            tight: [(); 4].map(|()| Inflate::new(true, 15)),
            canvas: Canvas::new(Size::default()),
            name: String::new(),
            bells: 0,
            updates: 0,
            copies: 0,
            painted: 0,
            cut_text: None,
            cursor: None,
            resize_status: None,
            refusal: None,
            waiting: false,
            response: [0; 16],
        }
    }

    pub fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Messages | Phase::Rects(_))
    }

    /// Asks for what has changed.
    pub fn request(&mut self, incremental: bool) {
        self.request_rect(incremental, self.canvas.size.rect());
    }

    pub fn request_rect(&mut self, incremental: bool, rect: Rect) {
        self.outgoing.extend([3, u8::from(incremental)]);
        for value in [rect.x, rect.y, rect.width, rect.height] {
            self.outgoing.extend(value.to_be_bytes());
        }
        self.waiting = true;
    }

    pub fn key(&mut self, keysym: Keysym, pressed: bool) {
        self.outgoing.extend([4, u8::from(pressed), 0, 0]);
        self.outgoing.extend(keysym.0.to_be_bytes());
    }

    /// Presses these keys, then releases them in reverse order.
    pub fn chord(&mut self, keys: &[Keysym]) {
        keys.iter().for_each(|key| self.key(*key, true));
        keys.iter().rev().for_each(|key| self.key(*key, false));
    }

    pub fn type_text(&mut self, text: &str) {
        for c in text.chars() {
            self.chord(&[if c == '\n' { Keysym::RETURN } else { Keysym::from_char(c) }]);
        }
    }

    pub fn pointer(&mut self, buttons: u8, x: u16, y: u16) {
        self.outgoing.extend([5, buttons]);
        self.outgoing.extend(x.to_be_bytes());
        self.outgoing.extend(y.to_be_bytes());
    }

    pub fn cut(&mut self, text: &str) {
        self.outgoing.extend([6, 0, 0, 0]);
        let latin1: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect();
        self.outgoing.extend(u32::try_from(latin1.len()).unwrap().to_be_bytes());
        self.outgoing.extend(latin1);
    }

    pub fn set_desktop_size(&mut self, size: Size) {
        self.outgoing.extend([251, 0]);
        self.outgoing.extend(size.width.to_be_bytes());
        self.outgoing.extend(size.height.to_be_bytes());
        self.outgoing.extend([1, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
        self.outgoing.extend(size.width.to_be_bytes());
        self.outgoing.extend(size.height.to_be_bytes());
        self.outgoing.extend([0; 4]);
    }

    pub fn set_encodings(&mut self, encodings: &[i32]) {
        self.outgoing.extend([2, 0]);
        self.outgoing.extend(u16::try_from(encodings.len()).unwrap().to_be_bytes());
        self.outgoing.extend(encodings.iter().flat_map(|encoding| encoding.to_be_bytes()));
    }

    /// Wants pixels in this format from the next update on.
    pub fn set_format(&mut self, format: Format) {
        self.format = format;
        self.outgoing.extend([0, 0, 0, 0]);
        self.outgoing.extend(format.encode());
    }

    /// True when it shows exactly this picture, as far as its pixel format can.
    pub fn shows(&self, picture: &Picture) -> bool {
        self.differs(picture).is_none()
    }

    /// The first pixel that is not as in the picture, for messages.
    pub fn differs(&self, picture: &Picture) -> Option<String> {
        if self.canvas.size != picture.size {
            return Some(format!("size {:?}, wanted {:?}", self.canvas.size, picture.size));
        }
        let pairs = self.canvas.pixels.iter().zip(&picture.pixels);
        let (at, (shown, wanted)) =
            pairs.enumerate().find(|(_, (shown, wanted))| !self.format.shows(**shown, **wanted))?;
        let width = usize::from(picture.size.width);
        Some(format!("pixel ({}, {}) is {shown:x?}, wanted {wanted:x?}", at % width, at / width))
    }

    /// The same without what is right of `width` pixels, where a scroll bar may be.
    pub fn differs_left_of(&self, width: u16, picture: &Picture) -> Option<String> {
        let mut picture = picture.clone();
        let row = usize::from(picture.size.width);
        for (pixel, shown) in picture
            .pixels
            .iter_mut()
            .zip(&self.canvas.pixels)
            .enumerate()
            .filter_map(|(at, pair)| (at % row >= usize::from(width)).then_some(pair))
        {
            *pixel = *shown;
        }
        self.differs(&picture)
    }

    /// What it shows, as it is sent without a loss of colours.
    pub fn picture(&self) -> Picture {
        Picture { size: self.canvas.size, pixels: self.canvas.pixels.clone() }
    }

    /// Takes bytes from the server, in pieces of any size.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.received.extend_from_slice(bytes);
        let received = std::mem::take(&mut self.received);
        let mut bytes = Bytes(&received);
        loop {
            let before = bytes.0;
            if bytes.0.is_empty() || self.step(&mut bytes).is_none() {
                self.received = before.to_vec();
                return;
            }
        }
    }

    /// Reads one thing; `None` when it is not complete.
    fn step(&mut self, bytes: &mut Bytes<'_>) -> Option<()> {
        match self.phase {
            Phase::Version => {
                assert_eq!(bytes.take(12)?, b"RFB 003.008\n");
                self.outgoing.extend(b"RFB 003.008\n");
                self.phase = Phase::SecurityTypes;
            }
            Phase::SecurityTypes => {
                let count = bytes.u8()?;
                let types = bytes.take(usize::from(count))?;
                if types.contains(&1) {
                    self.outgoing.push(1);
                    self.phase = Phase::SecurityResult;
                } else {
                    assert!(types.contains(&2), "no security type that the test knows: {types:?}");
                    self.outgoing.push(2);
                    // It does not look at the challenge: the response is wrong anyway.
                    self.outgoing.extend(self.response);
                    self.phase = Phase::Refused;
                }
            }
            Phase::Refused => {
                let rest = bytes.take(bytes.0.len())?;
                self.refusal.get_or_insert_default().push_str(&String::from_utf8_lossy(rest));
            }
            Phase::SecurityResult => {
                assert_eq!(bytes.u32()?, 0, "the handshake failed");
                self.outgoing.push(1);
                self.phase = Phase::Init;
            }
            Phase::Init => {
                let size = Size::new(bytes.u16()?, bytes.u16()?);
                bytes.take(16)?;
                let length = bytes.u32()? as usize;
                self.name = String::from_utf8(bytes.take(length)?.to_vec()).unwrap();
                self.canvas = Canvas::new(size);
                self.outgoing.extend([0, 0, 0, 0]);
                self.outgoing.extend(self.format.encode());
                let encodings = self.encodings.clone();
                self.set_encodings(&encodings);
                self.phase = Phase::Messages;
            }
            Phase::Messages => self.message(bytes)?,
            Phase::Rects(0) => self.complete(),
            Phase::Rects(left) => {
                let last = self.rect(bytes)?;
                self.phase =
                    Phase::Rects(if last { 0 } else { left.saturating_sub(u16::from(left != u16::MAX)) });
                if self.phase == Phase::Rects(0) {
                    self.complete();
                }
            }
        }
        Some(())
    }

    fn complete(&mut self) {
        self.updates += 1;
        self.waiting = false;
        self.phase = Phase::Messages;
    }

    fn message(&mut self, bytes: &mut Bytes<'_>) -> Option<()> {
        match bytes.u8()? {
            0 => {
                bytes.u8()?;
                let rects = bytes.u16()?;
                self.phase = Phase::Rects(rects);
                if rects == 0 {
                    self.complete();
                }
            }
            2 => self.bells += 1,
            3 => {
                bytes.take(3)?;
                let length = bytes.u32()? as usize;
                let text = bytes.take(length)?;
                self.cut_text = Some(text.iter().map(|byte| char::from(*byte)).collect());
            }
            other => panic!("message type {other} was not asked for"),
        }
        Some(())
    }

    /// Reads one rectangle; true when it is the last.
    fn rect(&mut self, bytes: &mut Bytes<'_>) -> Option<bool> {
        let rect = Rect::new(bytes.u16()?, bytes.u16()?, bytes.u16()?, bytes.u16()?);
        let encoding = bytes.u32()?.cast_signed();
        assert!(
            encoding == RAW || self.encodings.contains(&encoding),
            "encoding {encoding} was not asked for"
        );
        match encoding {
            RAW => self.canvas.raw(rect, self.format, bytes)?,
            COPY_RECT => {
                self.canvas.copy(rect, bytes)?;
                self.copies += 1;
                return Some(false);
            }
            HEXTILE => self.canvas.hextile(rect, self.format, bytes)?,
            ZLIB => self.canvas.zlib(rect, self.format, &mut self.zlib, bytes)?,
            TIGHT => self.canvas.tight(rect, &mut self.tight, bytes)?,
            ZRLE => self.canvas.zrle(rect, self.format, &mut self.zrle, bytes)?,
            DESKTOP_SIZE => {
                self.canvas.resize(rect.size());
                return Some(false);
            }
            EXTENDED_DESKTOP_SIZE => {
                let screens = bytes.u8()?;
                bytes.take(3 + 16 * usize::from(screens))?;
                if rect.x == 1 {
                    self.resize_status = Some(rect.y);
                }
                if rect.x != 1 || rect.y == 0 {
                    self.canvas.resize(rect.size());
                }
                return Some(false);
            }
            DESKTOP_NAME => {
                let length = bytes.u32()? as usize;
                self.name = String::from_utf8(bytes.take(length)?.to_vec()).unwrap();
                return Some(false);
            }
            CURSOR => {
                let mask = usize::from(rect.width).div_ceil(8) * usize::from(rect.height);
                bytes.take(rect.area() as usize * self.format.bytes() + mask)?;
                self.cursor = Some(rect.size());
                return Some(false);
            }
            LAST_RECT => return Some(true),
            other => panic!("encoding {other} is not known"),
        }
        self.painted += u64::from(rect.area());
        Some(false)
    }
}
