//! The seat's task: waits until something is ready, and takes a turn.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Sleep;

use super::door::Door;
use super::upstreams::Upstreams;
use super::viewers::Connection;
use super::{SeatCommand, SeatCounts};
use crate::daemon::console::{ConsoleLink, FromConsole};
use crate::daemon::host::Look;
use crate::net::{Listener, Stream};
use crate::screen::Picture;
use crate::seat::{DomainState, Seat, SwitchTarget, UpstreamId, ViewerId, VtError, VtNumber};

/// How many orders are taken, and chunks of console output, before the viewers have their turn.
const CHUNKS_PER_TURN: usize = 64;

/// How much console output is parsed before the viewers have their turn, in bytes: about 1 ms of work.
const OUTPUT_PER_TURN: usize = 256 * 1024;

/// Everything that became ready while the task slept.
#[derive(Default)]
struct Ready {
    output: Vec<FromConsole>,
    console_gone: bool,
    orders: Vec<SeatCommand>,
    host_gone: bool,
    accepted: Vec<io::Result<(Stream, String)>>,
    readable: Vec<ViewerId>,
    displays: Vec<UpstreamId>,
    verdicts: Vec<(ViewerId, bool)>,
    timer: bool,
    writable: bool,
}

impl Ready {
    fn any(&self) -> bool {
        self.console_gone
            || self.host_gone
            || self.timer
            || self.writable
            || !(self.output.is_empty()
                && self.orders.is_empty()
                && self.accepted.is_empty()
                && self.readable.is_empty()
                && self.displays.is_empty()
                && self.verdicts.is_empty())
    }
}

/// A running seat.
pub(super) struct Driver {
    pub(super) name: String,
    pub(super) seat: Seat,
    listener: Listener,
    pub(super) door: Door,
    /// Names and passwords that are being checked.
    pub(super) checks: JoinSet<(ViewerId, bool)>,
    pub(super) accept_after: Option<Instant>,
    pub(super) viewers: Vec<Connection>,
    pub(super) upstreams: Upstreams,
    console: Option<ConsoleLink>,
    orders: mpsc::Receiver<SeatCommand>,
    counts: Arc<SeatCounts>,
    look: Look,
    /// What there is to say about the console.
    console_state: DomainState,
    /// What there is to say about the guest.
    guest_state: DomainState,
    timer: Option<Pin<Box<Sleep>>>,
    /// Typed bytes that the console has not taken yet.
    typed: Vec<u8>,
    /// Screenshots that wait for an up-to-date picture.
    screenshots: Vec<(VtNumber, oneshot::Sender<Option<Picture>>)>,
}

impl Driver {
    pub(super) fn new(
        name: &str,
        seat: Seat,
        listener: Listener,
        door: Door,
        orders: mpsc::Receiver<SeatCommand>,
        counts: Arc<SeatCounts>,
        look: Look,
    ) -> Self {
        Self {
            name: name.to_owned(),
            seat,
            listener,
            door,
            checks: JoinSet::new(),
            accept_after: None,
            viewers: Vec::new(),
            upstreams: Upstreams::default(),
            console: None,
            orders,
            counts,
            look,
            console_state: DomainState::Running,
            guest_state: DomainState::Running,
            timer: None,
            typed: Vec::new(),
            screenshots: Vec::new(),
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            self.set_timer();
            let ready = poll_fn(|cx| self.poll(cx)).await;
            if ready.host_gone {
                return;
            }
            self.turn(ready);
        }
    }

    /// Arms the timer for the next deadline, if there is one.
    fn set_timer(&mut self) {
        let deadline = [self.seat.deadline(), self.accept_after].into_iter().flatten().min();
        match (deadline, &mut self.timer) {
            (None, timer) => *timer = None,
            (Some(at), Some(timer)) if timer.deadline() == at.into() => {}
            (Some(at), Some(timer)) => timer.as_mut().reset(at.into()),
            (Some(at), timer) => *timer = Some(Box::pin(tokio::time::sleep_until(at.into()))),
        }
    }

    /// Collects what is ready; pending, with every source's waker set, when nothing is.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ready> {
        let mut ready = Ready::default();
        while ready.orders.len() < CHUNKS_PER_TURN {
            match self.orders.poll_recv(cx) {
                Poll::Ready(Some(order)) => ready.orders.push(order),
                Poll::Ready(None) => {
                    ready.host_gone = true;
                    break;
                }
                Poll::Pending => break,
            }
        }
        if let Some(console) = &mut self.console {
            let mut bytes = 0;
            while ready.output.len() < CHUNKS_PER_TURN && bytes < OUTPUT_PER_TURN {
                match console.output.poll_recv(cx) {
                    Poll::Ready(Some(output)) => {
                        if let FromConsole::Output { bytes: output, .. } = &output {
                            bytes += output.len();
                        }
                        ready.output.push(output);
                    }
                    Poll::Ready(None) => {
                        ready.console_gone = true;
                        break;
                    }
                    Poll::Pending => break,
                }
            }
        }
        if self.accept_after.is_none()
            && let Poll::Ready(accepted) = self.listener.poll_accept(cx)
        {
            ready.accepted.push(accepted);
        }
        for viewer in &self.viewers {
            if viewer.stream.poll_read_ready(cx).is_ready() {
                ready.readable.push(viewer.id);
            }
            if viewer.blocked && viewer.stream.poll_write_ready(cx).is_ready() {
                ready.writable = true;
            }
        }
        ready.writable |= self.upstreams.poll(cx, &mut ready.displays);
        while let Poll::Ready(Some(checked)) = self.checks.poll_join_next(cx) {
            // A check whose viewer has left was given up.
            ready.verdicts.extend(checked.ok());
        }
        if let Some(timer) = &mut self.timer {
            ready.timer = timer.as_mut().poll(cx).is_ready();
        }
        if ready.any() { Poll::Ready(ready) } else { Poll::Pending }
    }

    fn turn(&mut self, ready: Ready) {
        let now = Instant::now();
        for order in ready.orders {
            self.obey(order, now);
        }
        for message in ready.output {
            if let FromConsole::Output { bytes, answered } = message {
                self.seat.set_answering(VtNumber::CONSOLE, !answered);
                self.seat.console_output(VtNumber::CONSOLE, &bytes, now);
            }
        }
        if ready.console_gone {
            self.console = None;
            self.forget_typed();
        }
        for (id, accepted) in ready.verdicts {
            self.decide(id, accepted, now);
        }
        for id in ready.readable {
            self.read(id, now);
        }
        self.check_logins();
        for id in ready.displays {
            self.read_upstream(id, now);
        }
        if self.accept_after.is_some_and(|at| at <= now) {
            self.accept_after = None;
        }
        for accepted in ready.accepted {
            self.accept(accepted, now);
        }
        if ready.timer {
            for ended in self.seat.handle_timeout(now) {
                self.end(ended.id, &ended.reason.to_string());
            }
        }
        for displaced in self.seat.take_displaced_viewers() {
            self.end(displaced.id, &displaced.reason.to_string());
        }
        self.type_on();
        self.answer_screenshots(now);
        // Keys and pointers go before pictures, and so does what a screenshot asks of a display.
        self.flush_upstreams();
        loop {
            self.seat.render(now);
            // What a viewer took at once makes room for the rest of a large update, and a display that has just turned out
            // to be gone sends its viewers elsewhere. No new request is read meanwhile, so that this ends.
            let took_all = self.flush();
            let gone = self.flush_upstreams() | self.close_ended_upstreams();
            if !took_all && !gone {
                break;
            }
        }
        for change in self.seat.take_relay_changes() {
            let relayed = change.relayed;
            tracing::debug!(domain = ?self.name, vt = %change.vt, relayed, "a display's rectangles");
        }
        let before = self.counts.viewers.swap(self.viewers.len(), Ordering::Relaxed);
        if before == 0 && !self.viewers.is_empty() {
            self.look.run_states();
        }
        self.counts.vt.store(self.seat.default_vt().get(), Ordering::Relaxed);
    }

    fn obey(&mut self, order: SeatCommand, now: Instant) {
        match order {
            SeatCommand::Console(link) => {
                self.forget_typed();
                self.console = Some(link);
                self.console_state = DomainState::Running;
                self.show_state();
            }
            SeatCommand::State(state) => {
                self.console = None;
                self.forget_typed();
                if matches!(state, DomainState::Rebooting | DomainState::Stopped) {
                    self.end_upstreams("the guest's domain is gone");
                }
                self.console_state = state;
                self.show_state();
            }
            SeatCommand::Guest(state) => {
                self.guest_state = state;
                self.show_state();
            }
            SeatCommand::Rename(name) => {
                self.seat.set_name(&name);
                self.name = name;
            }
            SeatCommand::Domid(domid) => {
                self.end_upstreams("the guest has a new domain");
                self.seat.set_domid(Some(domid.into()));
            }
            SeatCommand::Reconfigure(settings) => {
                match settings.access.security() {
                    Ok(security) => self.seat.set_security(security),
                    Err(error) => tracing::error!(domain = ?self.name, %error, "security types stay"),
                }
                self.door.users = settings.access.users();
                self.seat.set_policies(settings.policies());
                self.seat.set_chords(settings.chords);
            }
            SeatCommand::Upstream(link) => self.connect_upstream(*link, now),
            // Whoever asked may have left meanwhile; that is their affair.
            SeatCommand::Switch(vt, reply) => {
                let _ = reply.send(self.switch(vt).map_err(|error| error.to_string()));
            }
            #[cfg(test)]
            SeatCommand::Panic => panic!("as ordered"),
            SeatCommand::Screenshot(vt, reply) => {
                let vt = vt.unwrap_or_else(|| self.seat.default_vt());
                self.seat.begin_screenshot(vt, now);
                self.screenshots.push((vt, reply));
            }
            SeatCommand::History(reply) => {
                let _ = reply.send(self.seat.history_text(VtNumber::CONSOLE).unwrap_or_default());
            }
            SeatCommand::Type(text, reply) => {
                let result = match &self.console {
                    None => Err("the domain has no console now".to_owned()),
                    Some(_) => {
                        self.seat.type_text(VtNumber::CONSOLE, &text).map_err(|error| error.to_string())
                    }
                };
                let _ = reply.send(result);
            }
        }
    }

    fn answer_screenshots(&mut self, now: Instant) {
        let seat = &mut self.seat;
        for (vt, reply) in
            self.screenshots.extract_if(.., |(vt, _)| seat.is_screenshot_ready(*vt, now)).collect::<Vec<_>>()
        {
            // Whoever asked may have left meanwhile; that is their affair.
            let _ = reply.send(seat.screenshot(vt));
        }
    }

    /// Tells viewers how things are. That there is no console is more than how the guest is without it.
    fn show_state(&mut self) {
        let state = match &self.console_state {
            DomainState::Running => &self.guest_state,
            console => console,
        };
        self.seat.set_state(state.clone());
    }

    /// Moves every viewer, even one that chose its VT by a chord: an operator asked for it by name.
    fn switch(&mut self, vt: VtNumber) -> Result<(), VtError> {
        self.seat.switch(SwitchTarget::All, vt, false)?;
        for viewer in &self.viewers {
            self.seat.switch(SwitchTarget::One(viewer.id), vt, false)?;
        }
        Ok(())
    }

    /// What was typed for one console is not for another.
    fn forget_typed(&mut self) {
        self.typed = Vec::new();
        self.seat.forget_console_input(VtNumber::CONSOLE);
    }

    /// Hands typed bytes to the console. What it does not take stays, and the seat takes no more until it did.
    fn type_on(&mut self) {
        match &self.console {
            Some(console) => loop {
                let drained = !self.seat.is_pasting(VtNumber::CONSOLE)
                    || (self.typed.is_empty() && console.input.is_drained());
                self.seat.set_console_drained(VtNumber::CONSOLE, drained);
                if self.typed.is_empty() {
                    self.seat.take_console_input(VtNumber::CONSOLE, &mut self.typed);
                }
                if self.typed.is_empty() {
                    break;
                }
                let taken = console.input.push(&self.typed);
                self.typed.drain(..taken);
                if !self.typed.is_empty() {
                    // Room will be told.
                    break;
                }
            },
            None => {
                // Nobody is there to read it, and a later console must not.
                self.forget_typed();
            }
        }
    }
}
