//! The seat's connections to RFB servers in the guest: reading what they send, sending what they take.

use std::io;
use std::task::Context;
use std::time::Instant;

use tokio::sync::oneshot;

use super::driver::Driver;
use super::send::send;
use crate::daemon::upstream::{UpstreamLink, UpstreamStream};
use crate::rfb::client::ClientOptions;
use crate::rfb::encoding::Encoding;
use crate::seat::{UpstreamId, VtNumber};

/// How much is read of a server at a time, in bytes: a quarter of a megabyte keeps the price of a call small against
/// that of the bytes.
const READ_BYTES: usize = 256 * 1024;

/// How often a server is read before the viewers have their turn.
const READS_PER_TURN: usize = 8;

/// A connection to a server.
struct Upstream {
    id: UpstreamId,
    stream: UpstreamStream,
    origin: String,
    /// The socket is full; the rest of the output waits.
    blocked: bool,
    ended: oneshot::Sender<String>,
}

/// All of a seat's.
#[derive(Default)]
pub(super) struct Upstreams {
    all: Vec<Upstream>,
    /// Where bytes are read to; there while there are servers.
    buffer: Vec<u8>,
}

impl Upstreams {
    /// Appends those that can be read; true when one that was full takes more.
    pub(super) fn poll(&self, cx: &mut Context<'_>, readable: &mut Vec<UpstreamId>) -> bool {
        let mut writable = false;
        for upstream in &self.all {
            if upstream.stream.poll_read_ready(cx).is_ready() {
                readable.push(upstream.id);
            }
            writable |= upstream.blocked && upstream.stream.poll_write_ready(cx).is_ready();
        }
        writable
    }
}

impl Driver {
    /// Takes in a display that the guest has connected.
    pub(super) fn connect_upstream(&mut self, link: UpstreamLink, now: Instant) {
        let vt = VtNumber::GRAPHICS.get().checked_add(link.display).and_then(VtNumber::new);
        let preset = if link.network { ClientOptions::network() } else { ClientOptions::local() };
        let options = ClientOptions { max_pixels: self.seat.max_pixels(), ..preset };
        let mut options = match link.access.apply(options, &link.stream) {
            Ok(options) => options,
            Err(error) => {
                tracing::warn!(domain = ?self.name, origin = link.origin, %error, "display refused");
                // Whoever handed it over may have left.
                let _ = link.ended.send(error.to_string());
                return;
            }
        };
        if self.seat.may_relay() {
            // What is decoded here cannot be passed on.
            options.encodings.retain(|encoding| *encoding != Encoding::TIGHT);
        }
        let Some(id) = vt.and_then(|vt| self.seat.add_upstream(vt, link.origin.clone(), options, now)) else {
            let reason = format!("there is no VT for display {}", link.display);
            tracing::warn!(domain = ?self.name, origin = link.origin, reason, "display refused");
            // Whoever handed it over may have left.
            let _ = link.ended.send(reason);
            return;
        };
        tracing::info!(domain = ?self.name, origin = link.origin, "display came");
        let UpstreamLink { stream, origin, ended, received, .. } = link;
        self.upstreams.all.push(Upstream { id, stream, origin, blocked: false, ended });
        if !received.is_empty()
            && let Err(error) = self.seat.upstream_input(id, &received, now)
        {
            self.end_upstream(id, &error.to_string());
        }
    }

    /// Reads what a server has sent, within the limits of a turn.
    pub(super) fn read_upstream(&mut self, id: UpstreamId, now: Instant) {
        let Some(upstream) = self.upstreams.all.iter().find(|upstream| upstream.id == id) else { return };
        self.upstreams.buffer.resize(READ_BYTES, 0);
        let mut end = None;
        for _ in 0..READS_PER_TURN {
            match upstream.stream.try_read(&mut self.upstreams.buffer) {
                Ok(0) => {
                    let early = self.seat.upstream_end(id).err();
                    end =
                        Some(early.map_or_else(|| "it closed the connection".to_owned(), |e| e.to_string()));
                }
                Ok(count) => {
                    let bytes = &self.upstreams.buffer[..count];
                    match self.seat.upstream_input(id, bytes, now) {
                        Err(error) => end = Some(error.to_string()),
                        // There is hardly more.
                        Ok(()) if count < READ_BYTES => break,
                        Ok(()) => continue,
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => end = Some(error.to_string()),
            }
            break;
        }
        if let Some(reason) = end {
            self.end_upstream(id, &reason);
        }
    }

    /// Sends what each server takes; true when one of them is gone.
    pub(super) fn flush_upstreams(&mut self) -> bool {
        let mut failed = Vec::new();
        for upstream in &mut self.upstreams.all {
            let Some(output) = self.seat.upstream_output(upstream.id) else { continue };
            match send(output, |bytes| upstream.stream.try_write(bytes)) {
                Ok(blocked) => upstream.blocked = blocked,
                Err(error) => failed.push((upstream.id, error.to_string())),
            }
        }
        for (id, reason) in &failed {
            self.end_upstream(*id, reason);
        }
        !failed.is_empty()
    }

    /// Closes the connections that the seat has no use for any more; true when there were any.
    pub(super) fn close_ended_upstreams(&mut self) -> bool {
        let ended = self.seat.take_ended_upstreams();
        for ended in &ended {
            self.end_upstream(ended.id, &ended.reason.to_string());
        }
        !ended.is_empty()
    }

    /// Closes all of them: what is mapped of a domain that is gone keeps it from going.
    pub(super) fn end_upstreams(&mut self, reason: &str) {
        let ids: Vec<_> = self.upstreams.all.iter().map(|upstream| upstream.id).collect();
        ids.into_iter().for_each(|id| self.end_upstream(id, reason));
    }

    fn end_upstream(&mut self, id: UpstreamId, reason: &str) {
        let Some(at) = self.upstreams.all.iter().position(|upstream| upstream.id == id) else { return };
        let upstream = self.upstreams.all.swap_remove(at);
        self.seat.remove_upstream(id);
        tracing::info!(domain = ?self.name, origin = upstream.origin, reason, "display left");
        // Whoever handed it over may have left.
        let _ = upstream.ended.send(reason.to_owned());
        if self.upstreams.all.is_empty() {
            self.upstreams.buffer = Vec::new();
        }
    }
}
