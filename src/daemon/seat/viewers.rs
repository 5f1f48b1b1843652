//! The seat's viewers: accepting them, reading what they send, and sending what their sockets take.

use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use tokio::task::AbortHandle;

use super::driver::Driver;
use super::send::send;
use crate::daemon::limits::check_open_files;
use crate::net::Stream;
use crate::rfb::server::refusal;
use crate::seat::{Admission, ViewerId};

/// How much one viewer may send before the others have their turn, in bytes.
const READ_BYTES: usize = 16 * 1024;

/// How long a listener rests after a failed accept: the usual reason, too many open files, does not go away at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// A viewer's connection.
pub(super) struct Connection {
    pub(super) id: ViewerId,
    pub(super) stream: Stream,
    peer: String,
    /// Whose guesses of passwords are counted; none of those who come by a Unix socket.
    pub(super) address: Option<IpAddr>,
    /// Its name and password are being checked.
    pub(super) check: Option<AbortHandle>,
    /// The socket is full; the rest of the output waits.
    pub(super) blocked: bool,
}

impl Driver {
    pub(super) fn accept(&mut self, accepted: io::Result<(Stream, String)>, now: Instant) {
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(domain = ?self.name, %error, "cannot accept a viewer");
                self.accept_after = Some(now + ACCEPT_PAUSE);
                return;
            }
        };
        if let Err(error) = check_open_files() {
            tracing::warn!(domain = ?self.name, viewer = %peer, %error, "viewer refused");
            return;
        }
        let address = stream.peer_address().map(|at| at.ip());
        if let Err(held) = self.door.logins.check(address, now) {
            tracing::info!(domain = ?self.name, viewer = %peer, reason = %held, "viewer refused");
            // A viewer that does not take it learns nothing.
            let _ = stream.try_write(&refusal(&held.to_string()));
            return;
        }
        let mut challenge = [0; 16];
        if let Err(error) = getrandom::fill(&mut challenge) {
            tracing::error!(%error, "no random bytes: the viewer is refused");
            return;
        }
        match self.seat.add_viewer(peer.clone(), challenge, now) {
            Ok(id) => {
                tracing::info!(domain = ?self.name, viewer = %peer, "viewer came");
                self.viewers.push(Connection { id, stream, peer, address, check: None, blocked: false });
            }
            Err(error) => tracing::warn!(domain = ?self.name, viewer = %peer, %error, "viewer refused"),
        }
    }

    pub(super) fn read(&mut self, id: ViewerId, now: Instant) {
        if !self.may_go_on(id, now) {
            return;
        }
        let Some(viewer) = self.viewers.iter().find(|v| v.id == id) else { return };
        let mut buffer = [0; READ_BYTES];
        let reason = match viewer.stream.try_read(&mut buffer) {
            Ok(0) => match self.seat.viewer_end(id) {
                Ok(()) => "it closed the connection".to_owned(),
                Err(error) => error.to_string(),
            },
            Ok(count) => {
                let pending = self.seat.admission(id) == Some(Admission::Pending);
                match self.seat.viewer_input(id, &buffer[..count], now) {
                    Ok(()) if pending => return self.note_success(id),
                    Ok(()) => return,
                    Err(error) => return self.fail(id, &error, now),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) => error.to_string(),
        };
        self.end(id, &reason);
    }

    /// Ends one viewer; what it is still owed (a reason for a refusal) is sent if the socket takes it.
    pub(super) fn end(&mut self, id: ViewerId, reason: &str) {
        let Some(at) = self.viewers.iter().position(|v| v.id == id) else { return };
        let viewer = self.viewers.swap_remove(at);
        if let Some(check) = &viewer.check {
            check.abort();
        }
        if let Some(output) = self.seat.viewer_output(id) {
            let _ = viewer.stream.try_write(output);
        }
        self.seat.remove_viewer(id);
        tracing::info!(domain = ?self.name, viewer = %viewer.peer, reason, "viewer left");
    }

    /// Writes what each viewer's socket takes. True when one took all of something.
    pub(super) fn flush(&mut self) -> bool {
        let mut took_all = false;
        let mut ended = Vec::new();
        for viewer in &mut self.viewers {
            let Some(output) = self.seat.viewer_output(viewer.id) else { continue };
            let had_some = !output.is_empty();
            match send(output, |bytes| viewer.stream.try_write(bytes)) {
                Ok(blocked) => viewer.blocked = blocked,
                Err(error) => ended.push((viewer.id, error.to_string())),
            }
            took_all |= had_some && output.is_empty();
        }
        for (id, reason) in ended {
            self.end(id, &reason);
        }
        took_all
    }
}
