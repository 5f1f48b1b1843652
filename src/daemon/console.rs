//! One task for each console: drains it, records what it printed, and carries what viewers typed.
//!
//! The task waits for nothing but the console itself and, when the terminal is [`BACKLOG`] chunks behind, for the
//! terminal: never for a viewer, an encoder, a disk (history is kept in memory by default) or xenstore.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, mpsc};

use super::history_file::HistoryFile;
use super::host::Look;
use super::seat::{Fall, end_of};
use crate::xen::Domid;
use crate::xen::console::{Console, ConsoleEvent, INPUT_LIMIT, RingPosition};

/// How many chunks of output (of up to 16 KiB) the terminal may be behind before the console is read more slowly: 1 MiB,
/// about 10 ms of a pty at full speed.
const BACKLOG: usize = 64;

/// What a console tells its seat.
#[derive(Debug)]
pub(super) enum FromConsole {
    /// The guest printed this. `answered`: another program reads the console too, and answers the guest's queries.
    Output { bytes: Vec<u8>, answered: bool },
    /// There is room for typed bytes again, after [`Input::push`] could not take all; or the guest has taken all,
    /// after [`Input::is_drained`] said that it had not.
    Room,
}

/// What the host asks of a console.
#[derive(Debug)]
pub(super) enum ConsoleCommand {
    /// xenconsoled was restarted and publishes this pty now.
    Reconnect(PathBuf),
}

/// Bytes on their way from viewers to the guest; bounded, shared by the seat's task and the console's.
#[derive(Debug, Default)]
pub(super) struct Input {
    queue: Mutex<Queue>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    bytes: Vec<u8>,
    refused: bool,
    /// Bytes that the console holds and the guest has not taken.
    held: usize,
    /// The seat waits until there are none.
    awaited: bool,
}

impl Input {
    /// Takes what fits and says how many bytes that was. After less than all, [`FromConsole::Room`] follows.
    pub(super) fn push(&self, bytes: &[u8]) -> usize {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = bytes.len().min(INPUT_LIMIT.saturating_sub(queue.bytes.len()));
        queue.bytes.extend_from_slice(&bytes[..taken]);
        queue.refused |= taken < bytes.len();
        drop(queue);
        self.filled.notify_one();
        taken
    }

    /// Whether the guest has taken all that was pushed; if not, [`FromConsole::Room`] follows when it has.
    pub(super) fn is_drained(&self) -> bool {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let drained = queue.bytes.is_empty() && queue.held == 0;
        if !drained && !std::mem::replace(&mut queue.awaited, true) {
            self.filled.notify_one();
        }
        drained
    }

    /// Moves to the console what it takes; true when the seat waits for this.
    fn pump(&self, console: &mut Console) -> bool {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if !queue.bytes.is_empty() {
            let sent = console.send(&queue.bytes);
            queue.bytes.drain(..sent);
            if queue.bytes.is_empty() {
                queue.bytes = Vec::new();
            }
        }
        queue.held = console.waiting();
        let room = queue.bytes.len() < INPUT_LIMIT && std::mem::take(&mut queue.refused);
        if queue.awaited && queue.held > 0 {
            console.tell_when_sent();
        }
        let drained = queue.bytes.is_empty() && queue.held == 0 && std::mem::take(&mut queue.awaited);
        room || drained
    }
}

/// The host's end of a running console. Dropping it ends the console.
#[derive(Debug)]
pub(super) struct ConsoleTask {
    pub(super) commands: mpsc::Sender<ConsoleCommand>,
    task: tokio::task::JoinHandle<()>,
}

/// What a seat needs of a running console.
#[derive(Debug)]
pub(super) struct ConsoleLink {
    pub(super) input: Arc<Input>,
    pub(super) output: mpsc::Receiver<FromConsole>,
}

impl ConsoleTask {
    /// Starts draining. `left` is what an earlier run had read and not recorded when it was killed; the history has
    /// it by now, the terminal has not.
    pub(super) fn start(
        domid: Domid,
        console: Console,
        left: Vec<u8>,
        history: Option<Arc<Mutex<HistoryFile>>>,
        look: Look,
    ) -> (Self, ConsoleLink) {
        let (commands, orders) = mpsc::channel(4);
        let (seat, output) = mpsc::channel(BACKLOG);
        let input = Arc::new(Input::default());
        let fall_look = look.clone();
        let pump = Pump { domid, console, history, look, seat, input: input.clone(), broken: false };
        let task = tokio::spawn(async move {
            let _fall = Fall(move || fall_look.lost_console(domid));
            pump.run(left, orders).await;
        });
        (Self { commands, task }, ConsoleLink { input, output })
    }

    /// Ends the console and waits until it is closed, so that another can be opened on the same domain.
    pub(super) async fn stop(mut self) {
        self.task.abort();
        end_of(&mut self.task).await;
    }
}

impl Drop for ConsoleTask {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Pump {
    domid: Domid,
    console: Console,
    history: Option<Arc<Mutex<HistoryFile>>>,
    look: Look,
    seat: mpsc::Sender<FromConsole>,
    input: Arc<Input>,
    /// The history could not be written; it is said once.
    broken: bool,
}

impl Pump {
    async fn run(mut self, left: Vec<u8>, mut orders: mpsc::Receiver<ConsoleCommand>) {
        if !left.is_empty()
            && self.seat.send(FromConsole::Output { bytes: left, answered: true }).await.is_err()
        {
            return;
        }
        let mut out = Vec::new();
        loop {
            let event = tokio::select! {
                event = self.console.next(&mut out) => Some(event),
                () = self.input.filled.notified() => None,
                order = orders.recv() => {
                    let Some(order) = order else { return };
                    self.obey(&order);
                    None
                }
            };
            match event {
                Some(ConsoleEvent::Output(position)) => {
                    self.record(position, &out);
                    let bytes = std::mem::take(&mut out);
                    let answered = self.console.another_reader();
                    if self.seat.send(FromConsole::Output { bytes, answered }).await.is_err() {
                        return;
                    }
                }
                // Where we publish nothing, the same path may name a new pty, and nothing else would tell.
                Some(ConsoleEvent::UpstreamGone) if self.console.published_tty().is_none() => {
                    self.look.lost_console(self.domid);
                    return;
                }
                Some(ConsoleEvent::UpstreamGone) => self.look.at(self.domid),
                Some(ConsoleEvent::Closed) => {
                    self.look.lost_console(self.domid);
                    return;
                }
                // What waits is moved below.
                Some(ConsoleEvent::Room) | None => {}
            }
            if self.input.pump(&mut self.console) && self.seat.send(FromConsole::Room).await.is_err() {
                return;
            }
        }
    }

    fn obey(&mut self, order: &ConsoleCommand) {
        match order {
            ConsoleCommand::Reconnect(upstream) => match self.console.reconnect(upstream) {
                Ok(()) => tracing::info!(domid = %self.domid, "following the restarted console daemon"),
                Err(error) => {
                    tracing::warn!(domid = %self.domid, error = &error as &dyn std::error::Error, "console lost");
                    self.look.lost_console(self.domid);
                }
            },
        }
    }

    /// Records what was printed, and tells the console that it has been: what was recorded need not be kept for the
    /// case of a kill. Without a history nothing is kept.
    fn record(&mut self, position: Option<RingPosition>, bytes: &[u8]) {
        let Some(history) = &self.history else {
            self.console.consumed();
            return;
        };
        let mut history = history.lock().unwrap_or_else(PoisonError::into_inner);
        let result = history.append(position, bytes);
        self.console.recorded(history.mark());
        match result {
            Ok(()) => self.broken = false,
            Err(error) if !self.broken => {
                self.broken = true;
                tracing::warn!(domid = %self.domid, error = &error as &dyn std::error::Error, "history is not recorded");
            }
            Err(_) => {}
        }
    }
}
