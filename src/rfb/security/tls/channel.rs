//! One connection's TLS, between the bytes on the wire and those that RFB sees.

use std::io::{Read, Write};

use rustls::{ClientConnection, Connection, ServerConnection};

use super::{ClientTls, ServerTls, TlsError};

/// So many bytes of the wire are opened at a time, so that what they hold is looked at before more of it is collected.
const PIECE_BYTES: usize = 16 * 1024;

/// The types of the records with which a TLS connection can begin: an alert, a handshake (RFC 8446 §5.1).
const FIRST_RECORDS: [u8; 2] = [21, 22];

/// Memory for clear text larger than this is given back when it is empty.
const KEPT_BYTES: usize = 64 * 1024;

/// TLS on a connection. Memory: about 20 KiB, and what [`wire`](Self::wire) holds.
pub(in crate::rfb) struct TlsChannel {
    connection: Box<Connection>,
    wire: Vec<u8>,
    begun: bool,
}

impl TlsChannel {
    /// Begins as a server; `wire` is what has to go out in the clear before.
    pub(in crate::rfb) fn server(tls: &ServerTls, wire: Vec<u8>) -> Result<Self, TlsError> {
        Ok(Self::new(ServerConnection::new(tls.config())?.into(), wire))
    }

    /// Begins as a client; `wire` is what has to go out in the clear before.
    pub(in crate::rfb) fn client(tls: &ClientTls, wire: Vec<u8>) -> Result<Self, TlsError> {
        let mut channel = Self::new(ClientConnection::new(tls.config(), tls.name())?.into(), wire);
        channel.flush();
        Ok(channel)
    }

    fn new(connection: Connection, wire: Vec<u8>) -> Self {
        Self { connection: Box::new(connection), wire, begun: false }
    }

    /// True until both sides have proven what they have to.
    pub(in crate::rfb) fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Takes a piece from the front of `bytes`, never more than `PIECE_BYTES`, and appends what it says to `clear`. What comes
    /// behind the peer's farewell is dropped.
    pub(in crate::rfb) fn open(&mut self, bytes: &mut &[u8], clear: &mut Vec<u8>) -> Result<(), TlsError> {
        let (mut piece, rest) = bytes.split_at(bytes.len().min(PIECE_BYTES));
        if !std::mem::replace(&mut self.begun, true)
            && let Some(first) = piece.first().filter(|first| !FIRST_RECORDS.contains(first))
        {
            return Err(TlsError::NotTls(*first));
        }
        *bytes = rest;
        let result = self.open_piece(&mut piece, clear);
        // Also after a mistake: then it is an alert, which tells the peer.
        self.flush();
        result
    }

    fn open_piece(&mut self, piece: &mut &[u8], clear: &mut Vec<u8>) -> Result<(), TlsError> {
        let broken = |error: std::io::Error| TlsError::Broken(error.to_string());
        while !piece.is_empty() {
            if self.connection.read_tls(piece).map_err(broken)? == 0 {
                break;
            }
            let told = self.connection.process_new_packets()?.plaintext_bytes_to_read();
            let from = clear.len();
            clear.resize(from + told, 0);
            self.connection.reader().read_exact(&mut clear[from..]).map_err(broken)?;
        }
        Ok(())
    }

    /// Moves clear text to the wire. While the handshake lasts, there must be none.
    pub(in crate::rfb) fn seal(&mut self, clear: &mut Vec<u8>) {
        let mut sealed = 0;
        // Writing to memory does not fail; 0 means that rustls keeps no more before the handshake is over.
        while let Some(rest @ [_, ..]) = clear.get(sealed..)
            && let Ok(count @ 1..) = self.connection.writer().write(rest)
        {
            sealed += count;
            self.flush();
        }
        clear.drain(..sealed);
        if clear.is_empty() && clear.capacity() > KEPT_BYTES {
            *clear = Vec::new();
        }
    }

    /// Says farewell, so that the peer knows that nothing was cut off.
    pub(in crate::rfb) fn close(&mut self) {
        self.connection.send_close_notify();
        self.flush();
    }

    /// What has to go out.
    pub(in crate::rfb) fn wire(&mut self) -> &mut Vec<u8> {
        &mut self.wire
    }

    /// The bytes that have to go out.
    pub(in crate::rfb) fn unsent(&self) -> usize {
        self.wire.len()
    }

    fn flush(&mut self) {
        while self.connection.wants_write() {
            if self.connection.write_tls(&mut self.wire).is_err() {
                break;
            }
        }
    }
}
