//! TLS between the wire and the rest (VeNCrypt).

use super::{ClientConnection, ClientError, Phase};
use crate::rfb::security::tls::{ClientTls, TlsChannel};

impl ClientConnection {
    /// The server has closed the connection.
    ///
    /// # Errors
    /// [`ClientError::ClosedEarly`] when it had to say more first; once it is through the handshake it may go any time.
    pub fn handle_end(&mut self) -> Result<(), ClientError> {
        let early = matches!(self.phase, Phase::Handshake(_));
        self.end_on(if early { Err(ClientError::ClosedEarly) } else { Ok(()) })
    }

    const fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended)
    }

    /// An error is the end.
    pub(super) fn end_on(&mut self, result: Result<(), ClientError>) -> Result<(), ClientError> {
        if result.is_err() && !self.has_ended() {
            self.phase = Phase::Ended;
            self.input = Vec::new();
            if let Some(tls) = &mut self.tls {
                tls.close();
            }
        }
        result
    }

    /// Takes bytes as they come from the wire.
    pub(super) fn take_wire(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        if self.tls.is_some() {
            // TLS that has said farewell must not be asked again.
            return if self.has_ended() { Err(ClientError::Ended) } else { self.take_sealed(bytes) };
        }
        self.take_input(bytes)?;
        if self.tls.is_none() {
            return Ok(());
        }
        // What stands behind the answer with which TLS begins is TLS's already: nothing that came in the clear counts as
        // protected.
        let behind = std::mem::take(&mut self.input);
        self.take_sealed(&behind)
    }

    /// Takes bytes that TLS protects. They are opened piece by piece, and each piece is used before the next is opened.
    fn take_sealed(&mut self, mut bytes: &[u8]) -> Result<(), ClientError> {
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
            self.take_input(&clear)?;
        }
        Ok(())
    }

    /// TLS begins, behind what is to be said in the clear.
    pub(super) fn begin_tls(&mut self, tls: &ClientTls) -> Result<(), ClientError> {
        let before = std::mem::take(&mut self.output);
        self.tls = Some(TlsChannel::client(tls, before)?);
        Ok(())
    }
}
