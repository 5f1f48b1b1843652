//! Own mode: we are the backend of the console ring, in place of xenconsoled.
//!
//! The guest waits, its vCPU spinning, when the ring is full; so a ring with bytes is always drained at once, however
//! many there are. What is limited is what a guest can cost with events that bring little: see [`Throttle`].

use std::collections::VecDeque;
use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::time::Sleep;

use super::RingPosition;
use super::error::ConsoleError;
use super::ring::Ring;
use super::tty::system;
use crate::xen::event_channel::{EventChannel, LocalPort, Throttle};
use crate::xen::sys::evtchn;
use crate::xen::sys::gntdev::GrantedPage;
use crate::xen::sys::reactor::Watch;

/// The grant reference of a guest's console ring (`GNTTAB_RESERVED_CONSOLE`).
const CONSOLE_GRANT: u32 = 0;

/// A console ring with its event channel.
#[derive(Debug)]
pub struct RingParts {
    /// The page.
    pub ring: Ring,
    /// How events are sent and taken.
    pub channel: Box<dyn EventChannel>,
    /// The non-blocking descriptor that is readable when there are events.
    pub events: OwnedFd,
    /// Which life of the guest the ring's indices belong to.
    pub life: u64,
}

impl RingParts {
    /// Maps the ring of a domain and binds its `console/port`.
    pub(super) fn of_domain(domid: u16, remote_port: u32) -> Result<Self, ConsoleError> {
        let opened = |source| system("open /dev/xen/evtchn".to_owned(), source);
        let events = evtchn::open().map_err(opened)?;
        let page = GrantedPage::map(domid, CONSOLE_GRANT)
            .map_err(|source| system(format!("map the console ring of domain {domid}"), source))?;
        // Bound before the ring is touched: until then it may be another's.
        let port =
            evtchn::bind_interdomain(events.as_fd(), domid, remote_port).map_err(|source| {
                match source.kind() {
                    io::ErrorKind::InvalidInput => ConsoleError::Owned { domid, port: remote_port },
                    _ => system(format!("bind console port {remote_port} of domain {domid}"), source),
                }
            })?;
        Ok(Self {
            ring: Ring::new(Box::new(page)),
            channel: Box::new(LocalPort::new(port)),
            events,
            life: life(domid),
        })
    }
}

/// One life of a guest: the same for one domid during one boot of the host, whatever process asks.
fn life(domid: u16) -> u64 {
    // Without a boot id every boot looks like the same one: then only a record that fits the ring by chance misleads.
    let boot = std::fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    // FNV-1a, 64 bits: it has to be the same in the next release too, which `std`'s hashes do not promise.
    boot.iter()
        .chain(&domid.to_le_bytes())
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The backend of one console ring.
#[derive(Debug)]
pub(super) struct RingOwner {
    ring: Ring,
    channel: Box<dyn EventChannel>,
    events: Watch,
    life: u64,
    /// Where the output that was handed over ends, until it is consumed.
    handed_over: Option<u32>,
    /// Bytes at the start of the ring that the history has already; only of what was pending when we came.
    recorded: u32,
    /// Events were taken and the channel is masked.
    masked: bool,
    throttle: Throttle,
    /// When a masked channel may have events again.
    wait: Option<Pin<Box<Sleep>>>,
    broken: bool,
}

impl RingOwner {
    /// Takes the ring over; of what is pending, `already_recorded` says how much is not new.
    pub(super) fn new(
        parts: RingParts,
        already_recorded: Option<RingPosition>,
    ) -> Result<Self, ConsoleError> {
        let events = Watch::new(parts.events)
            .map_err(|source| system("watch the event channel".to_owned(), source))?;
        let pending = parts.ring.pending();
        let recorded = already_recorded
            .filter(|position| position.life == parts.life)
            .map(|position| position.index.wrapping_sub(pending.start))
            // More than what is pending: a record of before another owner went on.
            .filter(|&recorded| recorded <= pending.length)
            .unwrap_or(0);
        let throttle = Throttle::new(Instant::now());
        Ok(Self {
            ring: parts.ring,
            channel: parts.channel,
            events,
            life: parts.life,
            handed_over: None,
            recorded,
            masked: false,
            throttle,
            wait: None,
            broken: false,
        })
    }

    /// Gives the guest the room of the output that was handed over.
    pub(super) fn consumed(&mut self) {
        if let Some(index) = self.handed_over.take() {
            self.ring.consume(index);
            self.notify();
        }
    }

    /// Moves `input` to the guest as far as it takes it, and appends what the ring holds to `out`. Says where that
    /// starts, or `None` when the event channel is broken. The guest gets no new room until [`Self::consumed`].
    pub(super) fn poll(
        &mut self,
        context: &mut Context<'_>,
        input: &mut VecDeque<u8>,
        out: &mut Vec<u8>,
    ) -> Poll<Option<RingPosition>> {
        // A guest that fills the ring as fast as it is emptied would else hold the thread for ever.
        let Poll::Ready(budget) = tokio::task::coop::poll_proceed(context) else { return Poll::Pending };
        loop {
            let event = self.poll_event(context);
            // The guest sends an event when it has read, and there may be room by now.
            if !input.is_empty() && self.ring.produce(input) > 0 {
                self.notify();
            }
            let start = out.len();
            let position = self.drain(out);
            if self.masked && self.wait.is_none() {
                self.answer_event(out.len() - start);
            }
            if position.is_some() || self.broken {
                budget.made_progress();
                return Poll::Ready(position);
            }
            if event.is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Ready when an event was taken or a masked channel's time is over. Pending only with a wake-up to come.
    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(wait) = &mut self.wait {
            ready!(wait.as_mut().poll(context));
            self.wait = None;
            self.unmask();
            return Poll::Ready(());
        }
        match ready!(self.events.poll_read(context, |events| self.channel.take(events))) {
            Ok(()) => self.masked = true,
            Err(_) => self.broken = true,
        }
        Poll::Ready(())
    }

    /// Copies what is new in the ring.
    fn drain(&mut self, out: &mut Vec<u8>) -> Option<RingPosition> {
        let pending = self.ring.pending();
        if pending.length == 0 {
            return None;
        }
        let end = pending.start.wrapping_add(pending.length);
        let skip = std::mem::take(&mut self.recorded).min(pending.length);
        self.handed_over = Some(end);
        if skip == pending.length {
            self.consumed();
            return None;
        }
        self.ring.copy(pending, skip, out);
        Some(RingPosition { life: self.life, index: pending.start.wrapping_add(skip) })
    }

    /// Lets events come again, at once or after a while.
    fn answer_event(&mut self, bytes: usize) {
        match self.throttle.event(Instant::now(), bytes) {
            None => self.unmask(),
            Some(delay) => self.wait = Some(Box::pin(tokio::time::sleep(delay))),
        }
    }

    fn unmask(&mut self) {
        self.masked = false;
        self.broken |= self.channel.unmask(self.events.as_fd()).is_err();
    }

    fn notify(&mut self) {
        self.broken |= self.channel.notify(self.events.as_fd()).is_err();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lives_differ_by_domain_and_not_by_process() {
        assert_eq!(life(1), life(1));
        assert_ne!(life(1), life(2));
        assert_ne!(life(1), life(256));
    }

    #[test]
    fn without_xen_owning_is_a_named_error() {
        if std::path::Path::new("/dev/xen/evtchn").exists() {
            return;
        }
        let error = RingParts::of_domain(1, 2).expect_err("no Xen");
        assert!(matches!(error, ConsoleError::System { .. }));
        assert_eq!(error.to_string(), "cannot open /dev/xen/evtchn");
    }
}
