//! A viewer made of the library's own decoders.

use xenvnc::geometry::{Rect, Size};
use xenvnc::rfb::encoding::canvas::Canvas;
use xenvnc::rfb::encoding::pseudo::{self, CursorImage};
use xenvnc::rfb::encoding::{Decoder, Encoding};
use xenvnc::rfb::message::handshake::ServerInit;
use xenvnc::rfb::message::server::RECTS_UNTIL_LAST;
use xenvnc::rfb::message::{ClientForms, ClientMessage, Fence, RectHeader, Screen, ServerMessage};
use xenvnc::rfb::pixel_format::{PixelFormat, Translator};
use xenvnc::rfb::server::ServerConnection;
use xenvnc::rfb::wire::{Reader, Stop};

/// What is under way.
enum State {
    Messages,
    Rects(u16),
    Picture(Rect, u16),
}

/// The viewer's side of a connection that is past its handshake.
pub(crate) struct Viewer {
    pub(crate) canvas: Canvas,
    pub(crate) name: String,
    pub(crate) cursor: Option<CursorImage>,
    /// The reason, status and screens of each ExtendedDesktopSize.
    pub(crate) layouts: Vec<(u16, u16, Vec<Screen>)>,
    /// The encoding of every rectangle that came.
    pub(crate) encodings: Vec<Encoding>,
    pub(crate) updates: usize,
    /// Of each update: whether its rectangles were counted, or LastRect ended them.
    pub(crate) counted: Vec<bool>,
    pub(crate) bells: usize,
    pub(crate) fences: Vec<Fence>,
    /// How many EndOfContinuousUpdates came.
    pub(crate) ends: usize,
    pub(crate) cut_text: Option<Vec<u8>>,
    pub(crate) colour_map: Option<Vec<[u16; 3]>>,
    /// Formats that were set and not yet used by the server: a new one begins with an update.
    translator: Translator,
    next_format: Option<PixelFormat>,
    decoder: Decoder,
    state: State,
    pending: Vec<u8>,
}

impl Viewer {
    /// A viewer that is past a handshake with `server` without a password, version 3.8.
    pub(crate) fn connect(server: &mut ServerConnection) -> Self {
        server.handle_input(b"RFB 003.008\n\x01\x01").expect("a good handshake");
        let output = std::mem::take(server.output());
        assert_eq!(&output[..18], b"RFB 003.008\n\x01\x01\0\0\0\0");
        let mut reader = Reader::new(&output[18..]);
        let init = ServerInit::decode(&mut reader).expect("a server init");
        assert!(reader.rest().is_empty());
        Self {
            canvas: Canvas::new(init.size),
            name: init.name,
            cursor: None,
            layouts: Vec::new(),
            encodings: Vec::new(),
            updates: 0,
            counted: Vec::new(),
            bells: 0,
            fences: Vec::new(),
            ends: 0,
            cut_text: None,
            colour_map: None,
            translator: Translator::new(init.format),
            next_format: None,
            decoder: Decoder::default(),
            state: State::Messages,
            pending: Vec::new(),
        }
    }

    /// The bytes of a message.
    pub(crate) fn bytes(message: &ClientMessage<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        message.encode(ClientForms::default(), &mut out);
        out
    }

    pub(crate) fn send(server: &mut ServerConnection, message: &ClientMessage<'_>) {
        server.handle_input(&Self::bytes(message)).expect("a good message");
    }

    pub(crate) fn set_encodings(server: &mut ServerConnection, encodings: &[Encoding]) {
        Self::send(server, &ClientMessage::SetEncodings(encodings.to_vec()));
    }

    pub(crate) fn ask(server: &mut ServerConnection, incremental: bool, size: Size) {
        Self::send(server, &ClientMessage::UpdateRequest { incremental, area: size.rect() });
    }

    pub(crate) fn set_format(&mut self, server: &mut ServerConnection, format: PixelFormat) {
        self.next_format = Some(format);
        Self::send(server, &ClientMessage::SetPixelFormat(format));
    }

    /// True when everything that came was whole messages.
    pub(crate) fn is_idle(&self) -> bool {
        self.pending.is_empty() && matches!(self.state, State::Messages)
    }

    /// Takes what the server's output holds.
    pub(crate) fn drain(&mut self, server: &mut ServerConnection) {
        self.pending.append(server.output());
        let pending = std::mem::take(&mut self.pending);
        let mut reader = Reader::new(&pending);
        loop {
            let mut attempt = reader;
            match self.step(&mut attempt) {
                Ok(()) => reader = attempt,
                Err(Stop::NeedMore) => break,
                Err(Stop::Failed(error)) => panic!("the server sent what cannot be decoded: {error}"),
            }
        }
        self.pending = reader.rest().to_vec();
    }

    fn step(&mut self, reader: &mut Reader<'_>) -> Result<(), Stop<String>> {
        match std::mem::replace(&mut self.state, State::Messages) {
            State::Messages => self.message(reader),
            State::Rects(0) => {
                self.counted.push(true);
                self.updates += 1;
                Ok(())
            }
            State::Rects(left) => {
                self.state = State::Rects(left);
                self.rect(reader, left)
            }
            State::Picture(rect, left) => {
                let before = reader.consumed();
                match self.decoder.decode(reader, rect, &self.translator, &mut self.canvas) {
                    Ok(_) => {
                        self.state = State::Rects(fewer(left));
                        Ok(())
                    }
                    Err(Stop::NeedMore) => {
                        self.state = State::Picture(rect, left);
                        if reader.consumed() > before { Ok(()) } else { Err(Stop::NeedMore) }
                    }
                    Err(stop) => Err(stop.map(|error| error.to_string())),
                }
            }
        }
    }

    fn message(&mut self, reader: &mut Reader<'_>) -> Result<(), Stop<String>> {
        match ServerMessage::decode(reader).map_err(|stop| stop.map(|error| error.to_string()))? {
            ServerMessage::Update { rects } => {
                if let Some(format) = self.next_format.take() {
                    self.translator = Translator::new(format);
                }
                self.state = State::Rects(rects);
            }
            ServerMessage::ColourMap { colours, .. } => self.colour_map = Some(colours),
            ServerMessage::EndOfContinuousUpdates => self.ends += 1,
            ServerMessage::Fence(fence) => self.fences.push(fence),
            ServerMessage::Bell => self.bells += 1,
            ServerMessage::CutText(text) => self.cut_text = Some(text.into_owned()),
            ServerMessage::CutTextToSkip { bytes } => panic!("cut text of {bytes} bytes"),
            other => panic!("{other:?} was not asked for"),
        }
        Ok(())
    }

    fn rect(&mut self, reader: &mut Reader<'_>, left: u16) -> Result<(), Stop<String>> {
        let RectHeader { rect, encoding } = RectHeader::decode(reader)?;
        let Self { canvas, translator, .. } = self;
        let oddity = |stop: Stop<pseudo::PseudoError>| stop.map(|error| error.to_string());
        match encoding {
            Encoding::DESKTOP_SIZE => canvas.resize(rect.size()),
            Encoding::EXTENDED_DESKTOP_SIZE => {
                let screens = pseudo::decode_screens(reader)?;
                if rect.x != 1 || rect.y == 0 {
                    canvas.resize(rect.size());
                }
                self.layouts.push((rect.x, rect.y, screens));
            }
            Encoding::DESKTOP_NAME => self.name = pseudo::decode_desktop_name(reader).map_err(oddity)?,
            Encoding::CURSOR => {
                self.cursor = Some(pseudo::decode_cursor(reader, rect, translator).map_err(oddity)?);
            }
            Encoding::LAST_RECT if left == RECTS_UNTIL_LAST => {
                self.updates += 1;
                self.counted.push(false);
                self.state = State::Messages;
                return Ok(());
            }
            Encoding::QEMU_EXTENDED_KEY | Encoding::EXTENDED_MOUSE_BUTTONS => {}
            picture => {
                self.decoder.begin(picture).map_err(|error| Stop::Failed(error.to_string()))?;
                self.encodings.push(encoding);
                self.state = State::Picture(rect, left);
                return Ok(());
            }
        }
        self.encodings.push(encoding);
        self.state = State::Rects(fewer(left));
        Ok(())
    }
}

/// How many rectangles are left after one of `left`, unless LastRect tells.
fn fewer(left: u16) -> u16 {
    if left == RECTS_UNTIL_LAST { left } else { left - 1 }
}
