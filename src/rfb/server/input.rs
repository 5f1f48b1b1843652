//! A viewer's bytes on their way to handshake and messages, through TLS where there is TLS.

use super::handshake::Next;
use super::{Phase, Place, ServerConnection, ServerError, ServerEvent};
use crate::rfb::message::handshake::ServerInit;
use crate::rfb::message::{ClientMessage, tight};
use crate::rfb::pixel_format::PixelFormat;
use crate::rfb::security::tls::TlsChannel;
use crate::rfb::wire::{Reader, Stop};

/// An input buffer larger than this is given back when it is empty; only long cut text needs more.
const KEPT_INPUT_BYTES: usize = 4096;

impl ServerConnection {
    /// Takes bytes from the viewer. On an error, send what the output holds (it may say why), then close.
    ///
    /// # Errors
    /// When the viewer broke the protocol or failed to authenticate; the connection has ended then.
    pub fn handle_input(&mut self, bytes: &[u8]) -> Result<(), ServerError> {
        let result = self.take_input(bytes);
        self.end_on(result)
    }

    /// Decides about the name and password of [`ServerEvent::Login`]. Without effect when there is nothing to decide, or
    /// not any more.
    ///
    /// # Errors
    /// [`ServerError::WrongLogin`] when they are not accepted: as after an error of [`handle_input`](Self::handle_input).
    pub fn decide_login(&mut self, accepted: bool) -> Result<(), ServerError> {
        let Phase::Handshake(handshake) = &mut self.phase else { return Ok(()) };
        let result = handshake.decide(accepted, &mut self.output);
        self.end_on(result)
    }

    /// The viewer has closed the connection.
    ///
    /// # Errors
    /// [`ServerError::ClosedEarly`] when it had to say more first; once it is through the handshake it may go any time.
    pub fn handle_end(&mut self) -> Result<(), ServerError> {
        let result = match &self.phase {
            Phase::Handshake(handshake) => Err(ServerError::ClosedEarly(handshake.place())),
            Phase::Ready | Phase::Ended => Ok(()),
        };
        self.end_on(result)
    }

    /// Where in the handshake the viewer is; `None` when it is through, or out.
    #[must_use]
    pub fn handshake_place(&self) -> Option<Place> {
        match &self.phase {
            Phase::Handshake(handshake) => Some(handshake.place()),
            Phase::Ready | Phase::Ended => None,
        }
    }

    /// True when what the viewer says is protected by TLS.
    #[must_use]
    pub fn is_secured(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| !tls.is_handshaking())
    }

    /// True when the viewer is through the handshake and had to prove that it knows a password.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        self.proven
    }

    const fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended)
    }

    fn end_on(&mut self, result: Result<(), ServerError>) -> Result<(), ServerError> {
        if result.is_err() && !self.has_ended() {
            self.phase = Phase::Ended;
            self.input = Vec::new();
            if let Some(tls) = &mut self.tls {
                tls.seal(&mut self.output);
                tls.close();
            }
        }
        result
    }

    fn take_input(&mut self, bytes: &[u8]) -> Result<(), ServerError> {
        if self.tls.is_some() {
            // TLS that has said farewell must not be asked again.
            return if self.has_ended() { Err(ServerError::Ended) } else { self.take_sealed(bytes) };
        }
        self.take_clear(bytes)?;
        if self.tls.is_none() {
            return Ok(());
        }
        // What stands behind the choice of TLS is TLS's already: nothing that came in the clear counts as protected.
        let behind = std::mem::take(&mut self.input);
        self.take_sealed(&behind)
    }

    /// Takes bytes that TLS protects. They are opened piece by piece, and each piece is used before the next is opened.
    fn take_sealed(&mut self, mut bytes: &[u8]) -> Result<(), ServerError> {
        let mut clear = Vec::new();
        while let Some(tls) = &mut self.tls
            && !bytes.is_empty()
        {
            clear.clear();
            tls.open(&mut bytes, &mut clear)?;
            if let Phase::Handshake(handshake) = &mut self.phase
                && !tls.is_handshaking()
            {
                handshake.secured(&mut self.output);
            }
            self.take_clear(&clear)?;
        }
        Ok(())
    }

    /// Uses as many whole messages as there are, and keeps what is left.
    fn take_clear(&mut self, bytes: &[u8]) -> Result<(), ServerError> {
        let mut held = std::mem::take(&mut self.input);
        let result = if held.is_empty() {
            self.consume(bytes).map(|consumed| held.extend_from_slice(&bytes[consumed..]))
        } else {
            held.extend_from_slice(bytes);
            self.consume(&held).map(|consumed| drop(held.drain(..consumed)))
        };
        if held.is_empty() && held.capacity() > KEPT_INPUT_BYTES {
            held = Vec::new();
        }
        self.input = held;
        result
    }

    /// Handles all whole messages at the front of `bytes`; the handshake takes none from where TLS begins. Returns their length.
    fn consume(&mut self, bytes: &[u8]) -> Result<usize, ServerError> {
        let mut reader = Reader::new(bytes);
        loop {
            if self.skip > 0 {
                let count = self.skip.min(reader.rest().len());
                // There are as many.
                let _ = reader.skip(count);
                self.skip -= count;
            }
            let mut attempt = reader;
            match self.consume_one(&mut attempt) {
                Ok(()) => reader = attempt,
                Err(Stop::NeedMore) => return Ok(reader.consumed()),
                Err(Stop::Failed(error)) => return Err(error),
            }
        }
    }

    fn consume_one(&mut self, reader: &mut Reader<'_>) -> Result<(), Stop<ServerError>> {
        match &mut self.phase {
            Phase::Handshake(handshake) => {
                let next = handshake.step(reader, &mut self.output)?;
                next.map_or(Ok(()), |next| self.go_on(next)).map_err(Stop::Failed)
            }
            Phase::Ready => {
                let message =
                    ClientMessage::decode(reader, self.forms).map_err(|stop| stop.map(Into::into))?;
                self.handle_message(message).map_err(Stop::Failed)
            }
            Phase::Ended => Err(Stop::Failed(ServerError::Ended)),
        }
    }

    /// Does what a step of the handshake leads to.
    fn go_on(&mut self, next: Next) -> Result<(), ServerError> {
        match next {
            Next::Tls(tls) => {
                let before = std::mem::take(&mut self.output);
                self.tls = Some(TlsChannel::server(&tls, before)?);
            }
            Next::Login(credentials) => self.events.push_back(ServerEvent::Login(credentials)),
            Next::Ready(init) => {
                self.phase = Phase::Ready;
                self.proven = init.proven;
                let size = self.updates.start();
                let name = self.name.clone();
                ServerInit { size, format: PixelFormat::RGB888, name }.encode(&mut self.output);
                if init.tight {
                    tight::encode_interaction(&mut self.output);
                }
                self.events.push_back(ServerEvent::Ready { shared: init.shared });
            }
        }
        Ok(())
    }
}
