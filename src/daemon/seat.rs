//! One task for each seat: its listener, its viewers' sockets, and the state machine between them and the console.
//!
//! There is no task for a viewer: the seat's task polls all its sockets itself, so that a key press reaches the
//! console and its echo reaches the viewers without a detour. A seat without viewers sleeps until its console prints.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::time::Sleep;

use super::console::{ConsoleLink, FromConsole};
use super::host::Look;
use super::limits::check_open_files;
use crate::net::{Listener, Stream};
use crate::rfb::security::Password;
use crate::screen::Picture;
use crate::seat::{DomainState, Seat, SwitchTarget, ViewerId, VtError, VtNumber};
use crate::xen::Uuid;

/// How much one viewer may send before the others have their turn, in bytes.
const READ_BYTES: usize = 16 * 1024;

/// How many orders are taken, and chunks of console output, before the viewers have their turn.
const CHUNKS_PER_TURN: usize = 64;

/// How much console output is parsed before the viewers have their turn, in bytes: about 1 ms of work.
const OUTPUT_PER_TURN: usize = 256 * 1024;

/// How long a listener rests after a failed accept: the usual reason, too many open files, does not go away at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// How long the end of a task may take, or its listening to an order. A task never blocks, so that one that takes this
/// long is in an endless loop, a defect which must not stop the other domains.
pub(super) const TASK_LIMIT: Duration = Duration::from_secs(5);

/// What the host asks of a seat.
#[derive(Debug)]
pub(super) enum SeatCommand {
    /// The guest's console is this one now.
    Console(ConsoleLink),
    /// The guest has no console now; the state says why.
    State(DomainState),
    /// How the guest itself is, whether or not it has a console.
    Guest(DomainState),
    /// The guest has this name now.
    Rename(String),
    /// The guest has this domid now.
    Domid(u16),
    /// The configuration changed: the password and chords for viewers from now on.
    Reconfigure(Box<super::settings::Settings>),
    /// Show a VT to every viewer.
    Switch(VtNumber, oneshot::Sender<Result<(), String>>),
    /// What a VT shows; `None` is the one that a new viewer gets.
    Screenshot(Option<VtNumber>, oneshot::Sender<Option<Picture>>),
    /// The console's text, for where its bytes are not recorded.
    History(oneshot::Sender<String>),
    /// Type on the console; answers why it was not taken.
    Type(String, oneshot::Sender<Result<(), String>>),
    /// Have a defect.
    #[cfg(test)]
    Panic,
}

/// What others may know of a seat without asking it.
#[derive(Debug, Default)]
pub(super) struct SeatCounts {
    pub(super) viewers: AtomicUsize,
    pub(super) vt: AtomicU8,
}

/// The host's end of a running seat. Dropping it ends the seat and every viewer's connection.
#[derive(Debug)]
pub(super) struct SeatTask {
    pub(super) commands: mpsc::Sender<SeatCommand>,
    pub(super) counts: Arc<SeatCounts>,
    task: tokio::task::JoinHandle<()>,
}

impl SeatTask {
    /// Starts serving the viewers of the guest `uuid` at `listener`. When it ends by itself, `look` is told.
    pub(super) fn start(name: &str, uuid: Uuid, seat: Seat, listener: Listener, look: Look) -> Self {
        let (commands, orders) = mpsc::channel(16);
        let counts = Arc::new(SeatCounts::default());
        counts.vt.store(seat.default_vt().get(), Ordering::Relaxed);
        let driver = Driver {
            name: name.to_owned(),
            seat,
            listener,
            accept_after: None,
            viewers: Vec::new(),
            console: None,
            orders,
            counts: counts.clone(),
            look: look.clone(),
            console_state: DomainState::Running,
            guest_state: DomainState::Running,
            timer: None,
            typed: Vec::new(),
        };
        let task = tokio::spawn(async move {
            let _fall = Fall(move || look.lost_seat(uuid));
            driver.run().await;
        });
        Self { commands, counts, task }
    }

    /// Ends the seat and waits until its listener is closed.
    pub(super) async fn stop(mut self) {
        self.task.abort();
        end_of(&mut self.task).await;
    }
}

/// Waits for the end of a task that was aborted.
pub(super) async fn end_of(task: &mut tokio::task::JoinHandle<()>) {
    // Else the only outcomes are "cancelled" and "was over already".
    if tokio::time::timeout(TASK_LIMIT, task).await.is_err() {
        tracing::error!("a task does not end; it is left alone");
    }
}

/// Says that a task panicked, when it does.
pub(super) struct Fall<F: Fn()>(pub(super) F);

impl<F: Fn()> Drop for Fall<F> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            (self.0)();
        }
    }
}

impl Drop for SeatTask {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Connection {
    id: ViewerId,
    stream: Stream,
    peer: String,
    /// The socket is full; the rest of the output waits.
    blocked: bool,
}

/// Everything that became ready while the task slept.
#[derive(Default)]
struct Ready {
    output: Vec<FromConsole>,
    console_gone: bool,
    orders: Vec<SeatCommand>,
    host_gone: bool,
    accepted: Vec<io::Result<(Stream, String)>>,
    readable: Vec<ViewerId>,
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
                && self.readable.is_empty())
    }
}

struct Driver {
    name: String,
    seat: Seat,
    listener: Listener,
    accept_after: Option<Instant>,
    viewers: Vec<Connection>,
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
}

impl Driver {
    async fn run(mut self) {
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
        if let Some(timer) = &mut self.timer {
            ready.timer = timer.as_mut().poll(cx).is_ready();
        }
        if ready.any() { Poll::Ready(ready) } else { Poll::Pending }
    }

    fn turn(&mut self, ready: Ready) {
        let now = Instant::now();
        for order in ready.orders {
            self.obey(order);
        }
        for message in ready.output {
            if let FromConsole::Output { bytes, answered } = message {
                self.seat.set_answering(VtNumber::CONSOLE, !answered);
                self.seat.console_output(VtNumber::CONSOLE, &bytes, now);
            }
        }
        if ready.console_gone {
            self.console = None;
            self.typed = Vec::new();
        }
        for id in ready.readable {
            self.read(id, now);
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
        self.type_on();
        loop {
            self.seat.render(now);
            // What a viewer took at once makes room for the rest of a large update; no new request is read meanwhile,
            // so that this ends.
            if !self.flush() {
                break;
            }
        }
        let before = self.counts.viewers.swap(self.viewers.len(), Ordering::Relaxed);
        if before == 0 && !self.viewers.is_empty() {
            self.look.run_states();
        }
        self.counts.vt.store(self.seat.default_vt().get(), Ordering::Relaxed);
    }

    fn obey(&mut self, order: SeatCommand) {
        match order {
            SeatCommand::Console(link) => {
                self.typed = Vec::new();
                self.console = Some(link);
                self.console_state = DomainState::Running;
                self.show_state();
            }
            SeatCommand::State(state) => {
                self.console = None;
                self.typed = Vec::new();
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
            SeatCommand::Domid(domid) => self.seat.set_domid(Some(domid.into())),
            SeatCommand::Reconfigure(settings) => {
                self.seat.set_password(settings.password.as_ref().map(|p| Password::new(p.as_bytes())));
                self.seat.set_chords(settings.chords);
            }
            // Whoever asked may have left meanwhile; that is their affair.
            SeatCommand::Switch(vt, reply) => {
                let _ = reply.send(self.switch(vt).map_err(|error| error.to_string()));
            }
            #[cfg(test)]
            SeatCommand::Panic => panic!("as ordered"),
            SeatCommand::Screenshot(vt, reply) => {
                let vt = vt.unwrap_or_else(|| self.seat.default_vt());
                let _ = reply.send(self.seat.screenshot(vt));
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

    fn accept(&mut self, accepted: io::Result<(Stream, String)>, now: Instant) {
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
        let mut challenge = [0; 16];
        if let Err(error) = getrandom::fill(&mut challenge) {
            tracing::error!(%error, "no random bytes: the viewer is refused");
            return;
        }
        match self.seat.add_viewer(peer.clone(), challenge, now) {
            Ok(id) => {
                tracing::info!(domain = ?self.name, viewer = %peer, "viewer came");
                self.viewers.push(Connection { id, stream, peer, blocked: false });
            }
            Err(error) => tracing::warn!(domain = ?self.name, viewer = %peer, %error, "viewer refused"),
        }
    }

    fn read(&mut self, id: ViewerId, now: Instant) {
        let Some(viewer) = self.viewers.iter().find(|v| v.id == id) else { return };
        let mut buffer = [0; READ_BYTES];
        let result = match viewer.stream.try_read(&mut buffer) {
            Ok(0) => Err("it closed the connection".to_owned()),
            Ok(count) => self.seat.viewer_input(id, &buffer[..count], now).map_err(|error| error.to_string()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(reason) = result {
            self.end(id, &reason);
        }
    }

    /// Ends one viewer; what it is still owed (a reason for a refusal) is sent if the socket takes it.
    fn end(&mut self, id: ViewerId, reason: &str) {
        let Some(at) = self.viewers.iter().position(|v| v.id == id) else { return };
        let viewer = self.viewers.swap_remove(at);
        if let Some(output) = self.seat.viewer_output(id) {
            let _ = viewer.stream.try_write(output);
        }
        self.seat.remove_viewer(id);
        tracing::info!(domain = ?self.name, viewer = %viewer.peer, reason, "viewer left");
    }

    /// Hands typed bytes to the console. What it does not take stays, and the seat takes no more until it did.
    fn type_on(&mut self) {
        match &self.console {
            Some(console) => loop {
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
                self.seat.take_console_input(VtNumber::CONSOLE, &mut self.typed);
                self.typed.clear();
            }
        }
    }

    /// Writes what each viewer's socket takes. True when one took all of something.
    fn flush(&mut self) -> bool {
        let mut took_all = false;
        let mut ended = Vec::new();
        for viewer in &mut self.viewers {
            let Some(output) = self.seat.viewer_output(viewer.id) else { continue };
            viewer.blocked = false;
            let mut sent = 0;
            while sent < output.len() {
                match viewer.stream.try_write(&output[sent..]) {
                    Ok(count) => sent += count,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        viewer.blocked = true;
                        break;
                    }
                    Err(error) => {
                        ended.push((viewer.id, error.to_string()));
                        break;
                    }
                }
            }
            took_all |= sent > 0 && sent == output.len();
            output.drain(..sent);
        }
        for (id, reason) in ended {
            self.end(id, &reason);
        }
        took_all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seat::SeatOptions;

    #[tokio::test]
    async fn a_defect_ends_one_seat_and_is_told() {
        let look = Look::default();
        let uuids = [1, 2].map(|n| Uuid::from_bytes([n; 16]));
        let [bad, good] = uuids.map(|uuid| {
            let listener = Listener::tcp(([127, 0, 0, 1], 0).into()).unwrap();
            SeatTask::start("x", uuid, Seat::new(SeatOptions::default()), listener, look.clone())
        });
        bad.commands.send(SeatCommand::Panic).await.unwrap();
        let pending = look.next().await;
        assert_eq!(pending.lost_seats.into_iter().collect::<Vec<_>>(), uuids[..1]);
        bad.commands.closed().await;
        // To tell it is no use and no harm.
        assert!(bad.commands.send(SeatCommand::Rename("y".into())).await.is_err());
        let (reply, answer) = oneshot::channel();
        good.commands.send(SeatCommand::History(reply)).await.unwrap();
        assert_eq!(answer.await.unwrap(), "");
        good.stop().await;
    }

    /// What a new viewer has in its title bar.
    async fn title(address: std::net::SocketAddr) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        // RFC 6143 §7.1 to §7.3: version, security types and result, ServerInit with its name.
        for (wanted, answer) in [(12, &b"RFB 003.008\n"[..]), (2, b"\x01"), (4, b"\x01"), (20, b"")] {
            stream.read_exact(&mut vec![0; wanted]).await.unwrap();
            stream.write_all(answer).await.unwrap();
        }
        let mut name = vec![0; stream.read_u32().await.unwrap().try_into().unwrap()];
        stream.read_exact(&mut name).await.unwrap();
        String::from_utf8(name).unwrap()
    }

    #[tokio::test]
    async fn viewers_are_told_how_the_guest_is_unless_its_console_is_worse() {
        let look = Look::default();
        let listener = Listener::tcp(([127, 0, 0, 1], 0).into()).unwrap();
        let address = listener.tcp_address().unwrap();
        let seat = Seat::new(SeatOptions { name: "x".into(), ..SeatOptions::default() });
        let task = SeatTask::start("x", Uuid::from_bytes([1; 16]), seat, listener, look.clone());
        for (command, notice) in [
            (SeatCommand::Guest(DomainState::Paused), "paused"),
            (SeatCommand::State(DomainState::NoConsole("none".into())), "no console"),
            (SeatCommand::Guest(DomainState::Crashed), "no console"),
            (SeatCommand::State(DomainState::Running), "crashed"),
        ] {
            task.commands.send(command).await.unwrap();
            let title = title(address).await;
            assert!(title.contains(notice), "{title:?} without {notice:?}");
            // The first viewer makes the host ask how the guest is now.
            assert!(look.next().await.run_states);
            while task.counts.viewers.load(Ordering::Relaxed) > 0 {
                tokio::task::yield_now().await;
            }
        }
        task.stop().await;
    }
}
