//! Updates (RFC 6143 §7.6.1): what was asked for, and the rectangles that come.

use super::event::ClientOptions;
use super::{ClientConnection, ClientError, ClientEvent};
use crate::geometry::{Rect, Size};
use crate::rfb::encoding::pseudo::{self, CursorImage};
use crate::rfb::encoding::{Decoder, Encoding};
use crate::rfb::message::RectHeader;
use crate::rfb::message::server::RECTS_UNTIL_LAST;
use crate::rfb::pixel_format::{PixelFormat, Translator};
use crate::rfb::wire::{Reader, Stop};

/// What is taken in a rectangle's place, the more wanted of two that say the same first.
const PSEUDO: [Encoding; 16] = [
    Encoding::EXTENDED_DESKTOP_SIZE,
    Encoding::DESKTOP_SIZE,
    Encoding::LAST_RECT,
    Encoding::DESKTOP_NAME,
    Encoding::CURSOR_WITH_ALPHA,
    Encoding::VMWARE_CURSOR,
    Encoding::CURSOR,
    Encoding::X_CURSOR,
    Encoding::VMWARE_CURSOR_POSITION,
    Encoding::QEMU_LED_STATE,
    Encoding::VMWARE_LED_STATE,
    Encoding::QEMU_EXTENDED_KEY,
    Encoding::EXTENDED_MOUSE_BUTTONS,
    Encoding::EXTENDED_CLIPBOARD,
    Encoding::FENCE,
    Encoding::CONTINUOUS_UPDATES,
];

/// What one piece of input may have painted or copied: so many pixels, and so many times the whole framebuffer. Sixteen
/// bytes can copy all of it; a server that answers requests, however, has little more than one picture under way. This
/// takes about a quarter of a second.
const PIECE_PIXELS: u64 = 128 << 20;
/// See [`PIECE_PIXELS`].
const PIECE_REPAINTS: u64 = 8;

/// In an ExtendedDesktopSize rectangle: it answers our own SetDesktopSize.
const BY_US: u16 = 1;

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Nothing,
    Changes,
    All,
}

/// How far an update has come.
#[derive(Debug, Clone, Copy)]
enum Stage {
    /// None is under way.
    None,
    /// So many rectangles are to come, or [`RECTS_UNTIL_LAST`].
    Header(u16),
    /// One is under way, to be passed on or not, and so many are to come behind it.
    Body(u16, RectHeader, bool),
}

/// One server's updates.
pub(super) struct Updates {
    wanted: Vec<Encoding>,
    translator: Translator,
    decoder: Decoder,
    asked: Asked,
    /// The next request asks for everything, because nothing of the canvas is known to be right.
    all: bool,
    stage: Stage,
    /// The pixels that the current piece of input has had painted.
    painted: u64,
}

/// What a server is told: encodings for pictures, everything else that is taken, and levels.
pub(super) fn wanted(pictures: &[Encoding], quality: Option<u8>, compression: Option<u8>) -> Vec<Encoding> {
    let level =
        |first: Encoding, level: Option<u8>| level.map(|level| Encoding(first.0 + i32::from(level.min(9))));
    let mut wanted = pictures.to_vec();
    wanted.extend(PSEUDO);
    wanted.extend(level(Encoding::QUALITY_LEVEL_0, quality));
    wanted.extend(level(Encoding::COMPRESS_LEVEL_0, compression));
    wanted
}

impl Updates {
    pub(super) fn new(options: &ClientOptions) -> Self {
        let mut decoder = Decoder::new(options.quality.is_some());
        if options.encodings.contains(&Encoding::TIGHT_WITHOUT_ZLIB) {
            decoder = decoder.without_zlib();
        }
        Self {
            wanted: wanted(&options.encodings, options.quality, options.compression),
            translator: Translator::new(PixelFormat::RGB888),
            decoder,
            asked: Asked::Nothing,
            all: true,
            stage: Stage::None,
            painted: 0,
        }
    }

    /// The encodings that the server is told.
    pub(super) fn wanted(&self) -> &[Encoding] {
        &self.wanted
    }

    /// The pixel format that the server was told.
    pub(super) fn format(&self) -> &PixelFormat {
        self.translator.format()
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.asked != Asked::Nothing
    }

    pub(super) fn is_under_way(&self) -> bool {
        !matches!(self.stage, Stage::None)
    }

    pub(super) fn ask_for_all(&mut self) {
        self.all = true;
    }

    /// Notes a request, if one is to be sent; returns whether it is for changes only.
    pub(super) fn ask(&mut self, incremental: bool) -> Option<bool> {
        let incremental = incremental && !self.all;
        match (self.asked, incremental) {
            (Asked::All, _) | (Asked::Changes, true) => return None,
            (_, true) => self.asked = Asked::Changes,
            (_, false) => self.asked = Asked::All,
        }
        self.all = false;
        Some(incremental)
    }

    /// Begins an update; true when it is complete already.
    pub(super) fn begin(&mut self, rects: u16) -> bool {
        self.stage = Stage::Header(rects);
        self.finish_if_complete()
    }

    /// Another piece of input begins.
    pub(super) fn forgive(&mut self) {
        self.painted = 0;
    }

    /// Counts pixels that are about to be painted.
    pub(super) fn charge(&mut self, pixels: u32, size: Size) -> Result<(), ClientError> {
        self.painted += u64::from(pixels);
        let limit = PIECE_PIXELS + PIECE_REPAINTS * u64::from(size.area());
        if self.painted > limit {
            return Err(ClientError::TooMuchPainted { pixels: self.painted, limit });
        }
        Ok(())
    }

    /// Begins a rectangle, unless it is `relayed`.
    fn begin_rect(&mut self, header: RectHeader, relayed: bool, size: Size) -> Result<(), ClientError> {
        let RectHeader { rect, encoding } = header;
        if relayed {
            return self.charge(rect.area(), size);
        }
        if encoding != Encoding::RAW && !self.wanted.contains(&encoding) {
            return Err(ClientError::UnwantedEncoding { encoding, rect });
        }
        if !PSEUDO.contains(&encoding) {
            self.charge(rect.area(), size)?;
            self.decoder.begin(encoding).map_err(|error| ClientError::Decode { encoding, error })?;
        }
        Ok(())
    }

    /// Ends the update when no rectangle is left.
    fn finish_if_complete(&mut self) -> bool {
        let complete = matches!(self.stage, Stage::Header(0));
        if complete {
            self.stage = Stage::None;
            self.asked = Asked::Nothing;
        }
        complete
    }
}

impl ClientConnection {
    /// Uses what there is of an update's rectangle.
    pub(super) fn consume_rect(&mut self, reader: &mut Reader<'_>) -> Result<(), Stop<ClientError>> {
        let (left, header, relayed) = match self.updates.stage {
            Stage::None => return Ok(()),
            Stage::Header(left) => {
                let mut attempt = *reader;
                let header = RectHeader::decode(&mut attempt)?;
                *reader = attempt;
                let relayed = self.relay.takes(header.encoding);
                self.updates.begin_rect(header, relayed, self.canvas.size()).map_err(Stop::Failed)?;
                // A count that means "until the last" stays.
                let left = if left == RECTS_UNTIL_LAST { left } else { left - 1 };
                self.updates.stage = Stage::Body(left, header, relayed);
                (left, header, relayed)
            }
            Stage::Body(left, header, relayed) => (left, header, relayed),
        };
        let is_last = if relayed {
            self.consume_relayed(reader, header)?;
            self.events.push(ClientEvent::Relayed(header.rect));
            false
        } else {
            self.consume_body(reader, header)?
        };
        self.updates.stage = Stage::Header(if is_last { 0 } else { left });
        if self.updates.finish_if_complete() {
            self.events.push(ClientEvent::UpdateDone);
        }
        Ok(())
    }

    /// Uses what there is of a rectangle's body; true when it is the last one for sure.
    fn consume_body(
        &mut self,
        reader: &mut Reader<'_>,
        header: RectHeader,
    ) -> Result<bool, Stop<ClientError>> {
        let RectHeader { rect, encoding } = header;
        if PSEUDO.contains(&encoding) {
            let mut attempt = *reader;
            let is_last = self.consume_pseudo(&mut attempt, header)?;
            *reader = attempt;
            return Ok(is_last);
        }
        let Updates { decoder, translator, .. } = &mut self.updates;
        let source = decoder.decode(reader, rect, translator, &mut self.canvas);
        let source = source.map_err(|stop| stop.map(|error| ClientError::Decode { encoding, error }))?;
        if !rect.is_empty() {
            match source {
                Some(source) => self.events.push(ClientEvent::Copied { destination: rect, source }),
                None => self.note_damage(rect),
            }
        }
        Ok(false)
    }

    /// Servers cut large pictures: what makes one rectangle with the one before is told as one.
    fn note_damage(&mut self, rect: Rect) {
        if let Some(ClientEvent::Damaged(last)) = self.events.last_mut() {
            let union = last.union(rect);
            if u64::from(union.area()) <= u64::from(last.area()) + u64::from(rect.area()) {
                *last = union;
                return;
            }
        }
        self.events.push(ClientEvent::Damaged(rect));
    }

    fn consume_pseudo(
        &mut self,
        reader: &mut Reader<'_>,
        header: RectHeader,
    ) -> Result<bool, Stop<ClientError>> {
        let RectHeader { rect, encoding } = header;
        let translator = &self.updates.translator;
        let told = |stop: Stop<pseudo::PseudoError>| stop.map(ClientError::from);
        match encoding {
            Encoding::LAST_RECT => return Ok(true),
            Encoding::DESKTOP_SIZE => self.apply_size(rect.size()).map_err(Stop::Failed)?,
            Encoding::EXTENDED_DESKTOP_SIZE => {
                let screens = pseudo::decode_screens(reader)?;
                let Rect { x: by, y: status, .. } = rect;
                if by != BY_US || status == 0 {
                    self.abilities.screens = Some(screens);
                    self.apply_size(rect.size()).map_err(Stop::Failed)?;
                }
                if by == BY_US {
                    self.events.push(ClientEvent::ResizeAnswered { status });
                }
            }
            Encoding::DESKTOP_NAME => {
                let name = pseudo::decode_desktop_name(reader).map_err(told)?;
                self.events.push(ClientEvent::Renamed(name));
            }
            Encoding::CURSOR => {
                let cursor = pseudo::decode_cursor(reader, rect, translator).map_err(told)?;
                self.note_cursor(cursor);
            }
            Encoding::X_CURSOR => {
                let cursor = pseudo::decode_x_cursor(reader, rect).map_err(told)?;
                self.note_cursor(cursor);
            }
            Encoding::CURSOR_WITH_ALPHA => {
                let cursor = pseudo::decode_alpha_cursor(reader, rect).map_err(told)?;
                self.note_cursor(cursor);
            }
            Encoding::VMWARE_CURSOR => {
                let cursor = pseudo::decode_vmware_cursor(reader, rect, translator).map_err(told)?;
                self.note_cursor(cursor);
            }
            Encoding::VMWARE_CURSOR_POSITION => {
                self.events.push(ClientEvent::CursorMoved(rect.origin()));
            }
            Encoding::QEMU_LED_STATE | Encoding::VMWARE_LED_STATE => {
                let leds = pseudo::decode_leds(encoding, reader)?;
                self.events.push(ClientEvent::Leds(leds));
            }
            Encoding::QEMU_EXTENDED_KEY => self.abilities.extended_key = true,
            Encoding::EXTENDED_MOUSE_BUTTONS => self.forms.extended_buttons = true,
            // No rectangle comes of the others.
            other => return Err(Stop::Failed(ClientError::UnwantedEncoding { encoding: other, rect })),
        }
        Ok(false)
    }

    fn apply_size(&mut self, size: Size) -> Result<(), ClientError> {
        if size != self.canvas.size() {
            self.resize(size)?;
            self.events.push(ClientEvent::Resized { size });
        }
        Ok(())
    }

    fn note_cursor(&mut self, cursor: CursorImage) {
        let cursor = Some(cursor).filter(|cursor| !cursor.size.rect().is_empty());
        self.events.push(ClientEvent::Cursor(cursor));
    }
}
