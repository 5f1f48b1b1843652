//! The client side of an RFB connection: one upstream server's state machine.
//!
//! Split by sub-protocol: `handshake`, `messages` (what the server sends afterwards), `update` (the rectangles of its
//! updates), `commands` (what it is sent), `clipboard`, `sealed` (TLS before them all, where there is TLS).
//!
//! Deviations from RFC 6143: the server's own pixel format and its colour map are never used, because another format is
//! set before the first request; a rectangle in an encoding that was not asked for is an error, Raw excepted.

mod clipboard;
mod commands;
mod event;
mod handshake;
mod messages;
mod queue;
mod relay;
mod sealed;
mod update;

pub use super::encoding::pseudo::{CursorImage, LedState};
pub use event::{ClientError, ClientEvent, ClientOptions, MAX_PIXELS};

use super::encoding::canvas::Canvas;
use super::message::handshake::ServerInit;
use super::message::{ClientForms, ClientMessage};
use super::security::tls::TlsChannel;
use super::wire::{Reader, Stop};
use crate::geometry::Size;
use clipboard::Clipboard;
use commands::Abilities;
use handshake::{Handshake, Next};
use queue::Events;
use relay::Relay;
use update::Updates;

/// So many bytes are put behind what is left of the input before, as a beginning; see
/// [`handle_input`](ClientConnection::handle_input).
const TOP_UP_BYTES: usize = 512;

/// An input buffer larger than this is given back when it is empty.
const KEPT_INPUT_BYTES: usize = 4096;

/// A server that leaves this many bytes unread and goes on to send what must be answered is not one. Commands, which the
/// driver gives, do not count until then.
const UNREAD_BYTES: usize = 4 << 20;

/// How far a connection has come.
enum Phase {
    Handshake(Handshake),
    Ready,
    Ended,
}

/// One server, seen from the client.
///
/// The driver moves bytes: what it reads goes to [`handle_input`](Self::handle_input), which paints the
/// [`canvas`](Self::canvas) as the pixels come; what [`output`](Self::output) holds goes to the server. After each
/// `handle_input` it takes all events by [`poll_event`](Self::poll_event); there are never more of them than bytes were
/// put in. The server sends pictures on request only: the driver calls [`request_update`](Self::request_update) after
/// [`ClientEvent::Ready`] and whenever it can use another one, best on each [`ClientEvent::UpdateDone`]. How long the
/// handshake may take is the driver's business; until [`is_ready`](Self::is_ready) all commands do nothing.
///
/// Memory: the canvas, 4 bytes a pixel and at most [`ClientOptions::max_pixels`]; what the decoders take (see
/// [`Decoder`](super::encoding::Decoder)). Raw pixels are painted without being collected; the input buffer holds only
/// what cannot be used in part: a tile, a row, a cursor (1 MiB), cut text (1 MiB), or an image file (4 MiB). An error
/// ends the connection for good; the canvas stays.
pub struct ClientConnection {
    phase: Phase,
    options: ClientOptions,
    /// What the server has sent and could not be used yet.
    input: Vec<u8>,
    /// How many more bytes of a message to throw away.
    skip: usize,
    /// What goes to the server, before TLS where there is TLS.
    output: Vec<u8>,
    tls: Option<TlsChannel>,
    events: Events,
    canvas: Canvas,
    updates: Updates,
    forms: ClientForms,
    abilities: Abilities,
    clipboard: Clipboard,
    relay: Relay,
}

impl ClientConnection {
    /// A new connection. The server speaks first.
    #[must_use]
    pub fn new(options: ClientOptions) -> Self {
        Self {
            phase: Phase::Handshake(Handshake::new(&options)),
            input: Vec::new(),
            skip: 0,
            output: Vec::new(),
            tls: None,
            events: Events::default(),
            canvas: Canvas::new(Size::default()),
            updates: Updates::new(&options),
            forms: ClientForms::default(),
            abilities: Abilities::default(),
            clipboard: Clipboard::default(),
            relay: Relay::default(),
            options,
        }
    }

    /// Takes bytes from the server, and paints. On an error, close. What a call may cost is bounded by the framebuffer's
    /// size, not by the length of `bytes` alone; with pieces of up to 1 MiB no honest server comes near.
    ///
    /// # Errors
    /// When the server broke the protocol or does not let us in; the connection has ended then.
    pub fn handle_input(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        self.updates.forgive();
        let result = self.take_wire(bytes);
        self.end_on(result)
    }

    /// What is left over from the last time mostly needs a few bytes more. Only those are put behind it, so that the
    /// bulk of the input is never copied into a buffer.
    fn take_input(&mut self, mut bytes: &[u8]) -> Result<(), ClientError> {
        while !self.input.is_empty() {
            let before = self.input.len();
            let (some, behind) = bytes.split_at(bytes.len().min(before.max(TOP_UP_BYTES)));
            let mut held = std::mem::take(&mut self.input);
            held.extend_from_slice(some);
            let consumed = self.consume(&held)?;
            if let Some(used) = consumed.checked_sub(before) {
                if held.capacity() <= KEPT_INPUT_BYTES {
                    held.clear();
                    self.input = held;
                }
                bytes = &bytes[used..];
                break;
            }
            held.drain(..consumed);
            self.input = held;
            bytes = behind;
            if bytes.is_empty() {
                return Ok(());
            }
        }
        let consumed = self.consume(bytes)?;
        self.input.extend_from_slice(&bytes[consumed..]);
        Ok(())
    }

    /// Uses as much of the front of `bytes` as it can; returns how much.
    fn consume(&mut self, bytes: &[u8]) -> Result<usize, ClientError> {
        let mut reader = Reader::new(bytes);
        loop {
            if self.skip > 0 {
                let count = self.skip.min(reader.rest().len());
                // There are as many.
                let _ = reader.skip(count);
                self.skip -= count;
            }
            match self.consume_one(&mut reader) {
                Ok(()) => {}
                Err(Stop::NeedMore) => return Ok(reader.consumed()),
                Err(Stop::Failed(error)) => return Err(error),
            }
        }
    }

    /// On [`Stop::NeedMore`] the reader has consumed what could be used.
    fn consume_one(&mut self, reader: &mut Reader<'_>) -> Result<(), Stop<ClientError>> {
        match &mut self.phase {
            Phase::Ended => Err(Stop::Failed(ClientError::Ended)),
            Phase::Handshake(handshake) => {
                let mut attempt = *reader;
                let next = handshake.step(&mut attempt, &mut self.output)?;
                *reader = attempt;
                match next {
                    Some(Next::Tls(tls)) => self.begin_tls(&tls).map_err(Stop::Failed),
                    Some(Next::Ready(init)) => self.start(init).map_err(Stop::Failed),
                    None => Ok(()),
                }
            }
            Phase::Ready if self.updates.is_under_way() => self.consume_rect(reader),
            Phase::Ready => self.consume_message(reader),
        }
    }

    /// Goes on from the handshake.
    fn start(&mut self, init: ServerInit) -> Result<(), ClientError> {
        self.resize(init.size)?;
        self.phase = Phase::Ready;
        self.send(&ClientMessage::SetPixelFormat(*self.updates.format()));
        self.send(&ClientMessage::SetEncodings(self.updates.wanted().to_vec()));
        self.events.push(ClientEvent::Ready { size: init.size, name: init.name });
        Ok(())
    }

    /// Gives the canvas another size.
    fn resize(&mut self, size: Size) -> Result<(), ClientError> {
        if size.rect().is_empty() {
            return Err(ClientError::EmptyFramebuffer(size));
        }
        let limit = self.options.max_pixels;
        if size.area() > limit {
            return Err(ClientError::FramebufferTooLarge { size, limit });
        }
        self.updates.charge(size.area(), self.canvas.size())?;
        self.canvas.resize(size);
        self.updates.ask_for_all();
        Ok(())
    }

    fn send(&mut self, message: &ClientMessage<'_>) {
        message.encode(self.forms, &mut self.output);
    }

    /// Sends what the server has asked for.
    fn answer(&mut self, message: &ClientMessage<'_>) -> Result<(), ClientError> {
        let unread = self.output.len() + self.tls.as_ref().map_or(0, TlsChannel::unsent);
        if unread >= UNREAD_BYTES {
            return Err(ClientError::UnreadAnswers(unread));
        }
        self.send(message);
        Ok(())
    }

    /// The next thing that the server did. Of texts, cursors, pointer positions, names and lamps only the last one waits
    /// here, in the first one's place.
    pub fn poll_event(&mut self) -> Option<ClientEvent> {
        self.events.pop()
    }

    /// Bytes for the server; the driver drains it.
    pub fn output(&mut self) -> &mut Vec<u8> {
        match &mut self.tls {
            Some(tls) => {
                tls.seal(&mut self.output);
                tls.wire()
            }
            None => &mut self.output,
        }
    }

    /// True from the end of the handshake on, until an error.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Ready)
    }

    /// The server's framebuffer, as far as it has been told. While an update is under way, it may show part of it.
    #[must_use]
    pub fn canvas(&self) -> &Canvas {
        &self.canvas
    }
}
