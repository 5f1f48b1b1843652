//! The one task that owns the connection to xenstored.
//!
//! It never waits for a consumer: replies go to one-shot channels, whose receivers may be gone, and watch events to
//! queues that coalesce. Callers wait instead, for a permit, before they send anything.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};
use tracing::{debug, info, warn};

use super::Link;
use super::address::{Address, Connection};
use super::error::ErrorName;
use super::transaction::Ticket;
use super::watch::Queue;
use super::wire::{self, Kind, Message, WireError};

/// First wait between two attempts to reconnect: a xenstored that was restarted listens within milliseconds.
const FIRST_BACKOFF: Duration = Duration::from_millis(20);

/// Longest wait between two attempts to reconnect.
const LONGEST_BACKOFF: Duration = Duration::from_secs(2);

/// How much is read at once, in bytes: some dozens of typical replies.
const READ_BYTES: usize = 16 * 1024;

/// What handles and watches ask of the actor.
#[derive(Debug)]
pub(super) enum Command {
    Call(Call),
    Start {
        reply: oneshot::Sender<Result<Ticket, Failure>>,
        permit: OwnedSemaphorePermit,
        ticket: Ticket,
    },
    /// Ends a transaction whose owner is gone.
    Abandon {
        connection: u64,
        transaction: u32,
    },
    Watch {
        id: u64,
        path: String,
        queue: Arc<Queue>,
        reply: oneshot::Sender<Result<(), Failure>>,
    },
    Unwatch {
        id: u64,
    },
}

/// A request and the road for its answer.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) kind: Kind,
    pub(super) payload: Vec<u8>,
    /// The transaction and the connection on which it was started; a transaction does not outlive its connection.
    pub(super) transaction: Option<(u64, u32)>,
    pub(super) reply: oneshot::Sender<Result<Vec<u8>, Failure>>,
    /// Held until the answer is here, even when the caller is gone, so that it bounds what is on the wire.
    pub(super) permit: OwnedSemaphorePermit,
}

/// Why a request has no answer. The caller adds what it had asked.
#[derive(Debug)]
pub(super) enum Failure {
    Lost,
    Protocol(WireError),
    Refused(ErrorName),
    WrongAnswer(&'static str),
}

/// A request on the wire, waiting for its answer.
enum Pending {
    Call {
        kind: Kind,
        reply: oneshot::Sender<Result<Vec<u8>, Failure>>,
        _permit: OwnedSemaphorePermit,
    },
    Start {
        reply: oneshot::Sender<Result<Ticket, Failure>>,
        _permit: OwnedSemaphorePermit,
        ticket: Ticket,
    },
    Watch {
        id: u64,
        reply: oneshot::Sender<Result<(), Failure>>,
    },
    /// A watch that was registered on an earlier connection.
    WatchAgain {
        id: u64,
    },
    /// Nobody waits for it.
    Unattended,
}

struct Registered {
    path: String,
    queue: Arc<Queue>,
}

/// Why a connection is not served any more.
enum End {
    /// No handle and no watch is left.
    Unused,
    Lost(std::io::Error),
    Protocol(WireError),
}

pub(super) struct Actor {
    address: Address,
    commands: mpsc::UnboundedReceiver<Command>,
    link: watch::Sender<Link>,
    watches: HashMap<u64, Registered>,
    pending: HashMap<u32, Pending>,
    /// Counts connections, so that nothing of an earlier one is taken for something of this one.
    connection: u64,
    last_request: u32,
    output: BytesMut,
}

impl Actor {
    pub(super) fn new(
        address: Address,
        commands: mpsc::UnboundedReceiver<Command>,
        link: watch::Sender<Link>,
    ) -> Self {
        Self {
            address,
            commands,
            link,
            watches: HashMap::new(),
            pending: HashMap::new(),
            connection: 0,
            last_request: 0,
            output: BytesMut::new(),
        }
    }

    /// Serves `connection` and every one after it until nobody is left to serve.
    pub(super) async fn run(mut self, connection: Connection) {
        let mut next = Some(connection);
        while let Some(connection) = next {
            let end = match connection {
                Connection::Socket(socket) => self.serve(socket).await,
                Connection::Device(device) => self.serve(device).await,
            };
            // Before anyone learns that a call failed: who then asks for the state is told the truth.
            self.link.send_replace(Link::Disconnected);
            match end {
                End::Unused => return,
                End::Lost(error) => {
                    warn!(error = %error, "connection to xenstored lost");
                    self.fail_pending(|| Failure::Lost);
                }
                End::Protocol(error) => {
                    warn!(error = %error, "xenstored broke the protocol, connection dropped");
                    self.fail_pending(|| Failure::Protocol(error.clone()));
                }
            }
            next = self.reconnect().await;
        }
    }

    async fn serve(&mut self, connection: impl AsyncRead + AsyncWrite) -> End {
        let (mut reader, mut writer) = tokio::io::split(connection);
        let mut input = BytesMut::with_capacity(READ_BYTES);
        self.connection += 1;
        self.output.clear();
        self.watch_again();
        self.link.send_replace(Link::Connected);
        loop {
            input.reserve(READ_BYTES);
            tokio::select! {
                read = reader.read_buf(&mut input) => match read {
                    Ok(0) => return End::Lost(std::io::ErrorKind::UnexpectedEof.into()),
                    Ok(_) => loop {
                        match wire::decode(&mut input) {
                            Ok(Some(message)) => self.receive(message),
                            Ok(None) => break,
                            Err(error) => return End::Protocol(error),
                        }
                    },
                    Err(error) => return End::Lost(error),
                },
                written = writer.write_buf(&mut self.output), if !self.output.is_empty() => {
                    if let Err(error) = written {
                        return End::Lost(error);
                    }
                }
                command = self.commands.recv() => match command {
                    Some(command) => self.command(command),
                    None => return End::Unused,
                },
            }
        }
    }

    /// Connects again, however long it takes; `None` when nobody is left to serve.
    async fn reconnect(&mut self) -> Option<Connection> {
        let mut backoff = FIRST_BACKOFF;
        loop {
            let address = self.address.clone();
            let attempt = async move {
                tokio::time::sleep(backoff).await;
                address.open().await
            };
            tokio::pin!(attempt);
            let result = loop {
                tokio::select! {
                    result = &mut attempt => break result,
                    command = self.commands.recv() => self.refuse(command?),
                }
            };
            match result {
                Ok(connection) => {
                    info!("connected to xenstored again");
                    return Some(connection);
                }
                Err(error) => debug!(error = %error, "xenstored is still away"),
            }
            backoff = (backoff * 2).min(LONGEST_BACKOFF);
        }
    }

    /// Answers a command while there is no connection.
    fn refuse(&mut self, command: Command) {
        // A receiver that is gone wants no answer.
        match command {
            Command::Call(call) => drop(call.reply.send(Err(Failure::Lost))),
            Command::Start { reply, .. } => drop(reply.send(Err(Failure::Lost))),
            Command::Watch { reply, .. } => drop(reply.send(Err(Failure::Lost))),
            Command::Unwatch { id } => drop(self.watches.remove(&id)),
            Command::Abandon { .. } => {}
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Call(Call { kind, payload, transaction, reply, permit }) => {
                let transaction = match transaction {
                    None => 0,
                    Some((connection, transaction)) if connection == self.connection => transaction,
                    Some(_) => {
                        let _ = reply.send(Err(Failure::Lost));
                        return;
                    }
                };
                self.send(kind, transaction, payload, Pending::Call { kind, reply, _permit: permit });
            }
            Command::Start { reply, permit, ticket } => {
                let pending = Pending::Start { reply, _permit: permit, ticket };
                self.send(Kind::TransactionStart, 0, wire::join_strings([""]), pending);
            }
            Command::Abandon { connection, transaction } if connection == self.connection => {
                let discard = wire::join_strings(["F"]);
                self.send(Kind::TransactionEnd, transaction, discard, Pending::Unattended);
            }
            // It ended with its connection.
            Command::Abandon { .. } => {}
            Command::Watch { id, path, queue, reply } => {
                let payload = watch_payload(&path, id);
                self.watches.insert(id, Registered { path, queue });
                self.send(Kind::Watch, 0, payload, Pending::Watch { id, reply });
            }
            Command::Unwatch { id } => {
                // Not there when its registration was refused. Where the answer to the registration is still on its
                // way, this request stands behind it.
                if let Some(Registered { path, .. }) = self.watches.remove(&id) {
                    self.send(Kind::Unwatch, 0, watch_payload(&path, id), Pending::Unattended);
                }
            }
        }
    }

    fn watch_again(&mut self) {
        let watches: Vec<_> = self.watches.iter().map(|(&id, watch)| (id, watch.path.clone())).collect();
        for (id, path) in watches {
            self.send(Kind::Watch, 0, watch_payload(&path, id), Pending::WatchAgain { id });
        }
    }

    fn send(&mut self, kind: Kind, transaction: u32, payload: Vec<u8>, pending: Pending) {
        let request = self.next_request();
        match wire::encode(&Message { kind, request, transaction, payload }, &mut self.output) {
            Ok(()) => drop(self.pending.insert(request, pending)),
            // Handles check sizes before they get here.
            Err(error) => self.fail(pending, Failure::Protocol(error)),
        }
    }

    /// A number that no pending request has; 0 belongs to watch events.
    fn next_request(&mut self) -> u32 {
        loop {
            self.last_request = self.last_request.wrapping_add(1);
            if self.last_request != 0 && !self.pending.contains_key(&self.last_request) {
                return self.last_request;
            }
        }
    }

    fn receive(&mut self, message: Message) {
        if message.kind == Kind::WatchEvent {
            self.watch_event(&message.payload);
            return;
        }
        let Some(pending) = self.pending.remove(&message.request) else {
            debug!(kind = ?message.kind, request = message.request, "xenstored answered what was not asked");
            return;
        };
        if message.kind == Kind::Error {
            self.fail(pending, Failure::Refused(ErrorName::parse(&message.payload)));
            return;
        }
        match pending {
            Pending::Call { kind, reply, .. } if kind == message.kind => {
                drop(reply.send(Ok(message.payload)))
            }
            Pending::Start { reply, ticket, .. } if message.kind == Kind::TransactionStart => {
                let number = message.payload.strip_suffix(&[0]).unwrap_or(&message.payload);
                let number = std::str::from_utf8(number).ok().and_then(|text| text.parse().ok());
                // When the caller is gone, the ticket comes back here, is dropped and ends the transaction.
                drop(reply.send(match number {
                    Some(number) => Ok(ticket.issued(self.connection, number)),
                    None => Err(Failure::WrongAnswer("it is not a transaction number")),
                }));
            }
            Pending::Watch { reply, .. } if message.kind == Kind::Watch => drop(reply.send(Ok(()))),
            Pending::WatchAgain { id } if message.kind == Kind::Watch => {
                if let Some(watch) = self.watches.get(&id) {
                    watch.queue.resync();
                }
            }
            Pending::Unattended => {}
            other => self.fail(other, Failure::WrongAnswer("it answers another kind of request")),
        }
    }

    fn watch_event(&self, payload: &[u8]) {
        let mut strings = wire::split_strings(payload).map(|string| std::str::from_utf8(string).ok());
        let (path, token) = (strings.next().flatten(), strings.next().flatten());
        let watch = token.and_then(|token| token.parse().ok()).and_then(|id: u64| self.watches.get(&id));
        match (path, watch) {
            (Some(path), Some(watch)) => watch.queue.changed(path),
            // An event that was on its way when its watch was dropped.
            _ => debug!("watch event for no watch of ours"),
        }
    }

    fn fail(&mut self, pending: Pending, failure: Failure) {
        match pending {
            Pending::Call { reply, .. } => drop(reply.send(Err(failure))),
            Pending::Start { reply, .. } => drop(reply.send(Err(failure))),
            Pending::Watch { id, reply } => {
                self.watches.remove(&id);
                let _ = reply.send(Err(failure));
            }
            Pending::WatchAgain { id } => {
                if let Some(watch) = self.watches.get(&id) {
                    // Stays declared: the next connection tries it again. Its watcher looks once, at least.
                    warn!(path = %watch.path, failure = ?failure, "watch could not be registered again");
                    watch.queue.resync();
                }
            }
            Pending::Unattended => debug!(failure = ?failure, "xenstored refused what nobody waits for"),
        }
    }

    fn fail_pending(&mut self, failure: impl Fn() -> Failure) {
        let pending = std::mem::take(&mut self.pending);
        for (_, pending) in pending {
            // Watches of earlier connections stay declared, and those that were about to be are refused; only a
            // connection that lives is worth a word about either.
            match pending {
                Pending::WatchAgain { .. } | Pending::Unattended => {}
                other => self.fail(other, failure()),
            }
        }
    }
}

fn watch_payload(path: &str, id: u64) -> Vec<u8> {
    wire::join_strings([path, &id.to_string()])
}
