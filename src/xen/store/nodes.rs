//! Reading and changing nodes, inside a transaction or outside of any.

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc, oneshot};

use super::actor::{Call, Command, Failure};
use super::error::StoreError;
use super::permissions::Permissions;
use super::transaction::Ticket;
use super::wire::{self, Kind};
use crate::xen::identity;

/// Most requests on the wire at once; further callers wait. It bounds memory (each at most 4 KiB) and is enough to
/// keep xenstored busy: its speed does not grow beyond about 16.
const MAX_OUTSTANDING: usize = 128;

/// How often the listing of a directory in parts is started over because the directory changed meanwhile.
const MAX_LISTINGS: u32 = 64;

/// Most bytes that the names of one directory may have together. All domain numbers together have 190 KiB.
const MAX_LISTING_BYTES: usize = 1024 * 1024;

/// What the handles of one connection share.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) commands: mpsc::UnboundedSender<Command>,
    permits: Arc<Semaphore>,
}

impl Client {
    pub(super) fn new(commands: mpsc::UnboundedSender<Command>) -> Self {
        Self { commands, permits: Arc::new(Semaphore::new(MAX_OUTSTANDING)) }
    }

    /// Sends a request and waits for its answer. `subject` is what errors name: a path or a domain's number.
    pub(super) async fn call(
        &self,
        kind: Kind,
        subject: &str,
        payload: Vec<u8>,
        transaction: Option<(u64, u32)>,
    ) -> Result<Vec<u8>, StoreError> {
        if payload.len() > wire::MAX_PAYLOAD_BYTES {
            return Err(StoreError::TooLarge { path: subject.to_owned(), bytes: payload.len() });
        }
        let permit = self.permit().await?;
        let (reply, answer) = oneshot::channel();
        self.send(Command::Call(Call { kind, payload, transaction, reply, permit }))?;
        wait(answer, kind, subject).await
    }

    pub(super) async fn start(&self) -> Result<Ticket, StoreError> {
        let permit = self.permit().await?;
        let (reply, answer) = oneshot::channel();
        let ticket = Ticket::new(self.commands.clone());
        self.send(Command::Start { reply, permit, ticket })?;
        wait(answer, Kind::TransactionStart, "a transaction").await
    }

    pub(super) async fn commit(&self, ticket: Ticket) -> Result<(), StoreError> {
        let permit = self.permit().await?;
        let (reply, answer) = oneshot::channel();
        // Nothing is awaited between taking the duty over and sending, so that no cancellation can lose it.
        let transaction = ticket.redeem();
        let payload = wire::join_strings(["T"]);
        let kind = Kind::TransactionEnd;
        self.send(Command::Call(Call { kind, payload, transaction, reply, permit }))?;
        wait(answer, kind, "a transaction").await.map(drop)
    }

    async fn permit(&self) -> Result<tokio::sync::OwnedSemaphorePermit, StoreError> {
        Arc::clone(&self.permits).acquire_owned().await.map_err(|_| StoreError::ConnectionLost)
    }

    /// The actor ends only with the runtime, or by a defect of ours; either way the connection is gone.
    pub(super) fn send(&self, command: Command) -> Result<(), StoreError> {
        self.commands.send(command).map_err(|_| StoreError::ConnectionLost)
    }
}

/// Waits for an answer and says in an error what was asked.
pub(super) async fn wait<T>(
    answer: oneshot::Receiver<Result<T, Failure>>,
    request: Kind,
    subject: &str,
) -> Result<T, StoreError> {
    let path = || subject.to_owned();
    match answer.await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(Failure::Refused(error))) => Err(StoreError::Refused { error, request, path: path() }),
        Ok(Err(Failure::WrongAnswer(reason))) => Err(StoreError::Answer { request, path: path(), reason }),
        Ok(Err(Failure::Protocol(error))) => Err(StoreError::Protocol(error)),
        Ok(Err(Failure::Lost)) | Err(_) => Err(StoreError::ConnectionLost),
    }
}

/// Access to nodes. Through a [`super::Store`] every call stands for itself; through a [`super::Transaction`] the
/// calls belong together.
///
/// Paths are absolute. Values are bytes: guests can put anything into nodes of theirs. Every call fails with
/// [`StoreError::ConnectionLost`] while xenstored is away. Dropping the future of a call is safe: its answer is then
/// thrown away, but a change that was sent still happens.
#[derive(Debug, Clone)]
pub struct Nodes {
    pub(super) client: Arc<Client>,
    pub(super) transaction: Option<(u64, u32)>,
}

impl Nodes {
    /// A node's value: at most 4,096 bytes, any bytes.
    pub async fn read(&self, path: &str) -> Result<Vec<u8>, StoreError> {
        self.about(Kind::Read, path, &[]).await
    }

    /// A node's value, or `None` when there is no such node.
    pub async fn read_optional(&self, path: &str) -> Result<Option<Vec<u8>>, StoreError> {
        optional(self.read(path).await)
    }

    /// Sets a node's value, creating the node and those above it as needed; new ones have their parent's permissions.
    ///
    /// Path and value may have 4,095 bytes together; more is refused here, before anything is sent.
    pub async fn write(&self, path: &str, value: &[u8]) -> Result<(), StoreError> {
        self.about(Kind::Write, path, value).await.map(drop)
    }

    /// Creates an empty node, and those above it as needed; one that exists is left as it is.
    pub async fn mkdir(&self, path: &str) -> Result<(), StoreError> {
        self.about(Kind::Mkdir, path, &[]).await.map(drop)
    }

    /// Removes a node and all below it; it is no error when it does not exist.
    pub async fn remove(&self, path: &str) -> Result<(), StoreError> {
        optional(self.about(Kind::Rm, path, &[]).await).map(drop)
    }

    /// Whether there is such a node.
    pub async fn exists(&self, path: &str) -> Result<bool, StoreError> {
        // Its permissions are the shortest answer about a node.
        Ok(optional(self.about(Kind::GetPerms, path, &[]).await)?.is_some())
    }

    /// The names of a node's children, without their paths, in the order in which xenstored keeps them. Directories
    /// of any size are listed whole.
    pub async fn list(&self, path: &str) -> Result<Vec<String>, StoreError> {
        match self.about(Kind::Directory, path, &[]).await {
            Ok(names) => names_of(&names).ok_or_else(|| foreign_name(Kind::Directory, path)),
            Err(StoreError::Refused { error: super::ErrorName::E2big, .. }) => self.list_in_parts(path).await,
            Err(error) => Err(error),
        }
    }

    /// The names of a node's children; `None` when there is no such node.
    pub async fn list_optional(&self, path: &str) -> Result<Option<Vec<String>>, StoreError> {
        optional(self.list(path).await)
    }

    /// A node's permissions.
    pub async fn permissions(&self, path: &str) -> Result<Permissions, StoreError> {
        let answer = self.about(Kind::GetPerms, path, &[]).await?;
        Permissions::parse(&answer)
            .map_err(|source| StoreError::Permissions { path: path.to_owned(), source })
    }

    /// Sets a node's permissions.
    pub async fn set_permissions(&self, path: &str, permissions: &Permissions) -> Result<(), StoreError> {
        self.about(Kind::SetPerms, path, &permissions.encode()).await.map(drop)
    }

    /// Asks about a node: its path, a NUL and `rest`.
    async fn about(&self, kind: Kind, path: &str, rest: &[u8]) -> Result<Vec<u8>, StoreError> {
        check_path(path)?;
        let mut payload = Vec::with_capacity(path.len() + 1 + rest.len());
        payload.extend_from_slice(path.as_bytes());
        payload.push(0);
        payload.extend_from_slice(rest);
        self.client.call(kind, path, payload, self.transaction).await
    }

    async fn list_in_parts(&self, path: &str) -> Result<Vec<String>, StoreError> {
        let unreadable =
            |reason| StoreError::Answer { request: Kind::DirectoryPart, path: path.to_owned(), reason };
        'listing: for _ in 0..MAX_LISTINGS {
            let mut names = Vec::new();
            let mut first_generation = None;
            loop {
                let offset = wire::join_strings([names.len().to_string()]);
                let answer = self.about(Kind::DirectoryPart, path, &offset).await?;
                let (generation, part) =
                    wire::split_first(&answer).ok_or_else(|| unreadable("it has no generation"))?;
                if first_generation.get_or_insert_with(|| generation.to_vec()) != generation {
                    // The directory changed, and offsets into it with it.
                    continue 'listing;
                }
                // The last part ends with an empty name.
                let is_last = part == [0] || part.ends_with(&[0, 0]);
                let part = if is_last { part.get(..part.len() - 1).unwrap_or_default() } else { part };
                if part.is_empty() && !is_last {
                    return Err(unreadable("a part is empty"));
                }
                names.extend_from_slice(part);
                if names.len() > MAX_LISTING_BYTES {
                    return Err(unreadable("the directory has more than 1 MiB of names"));
                }
                if is_last {
                    return names_of(&names).ok_or_else(|| foreign_name(Kind::DirectoryPart, path));
                }
            }
        }
        Err(unreadable("the directory kept changing while it was listed"))
    }
}

/// The names in a listing; `None` when one is not text, which xenstored allows no name to be.
fn names_of(listing: &[u8]) -> Option<Vec<String>> {
    wire::split_strings(listing).map(|name| std::str::from_utf8(name).ok().map(str::to_owned)).collect()
}

fn foreign_name(request: Kind, path: &str) -> StoreError {
    StoreError::Answer { request, path: path.to_owned(), reason: "a name in it is not text" }
}

/// Refuses a path that xenstored would not take.
pub(super) fn check_path(path: &str) -> Result<(), StoreError> {
    wire::check_path(path.as_bytes())
        .map_err(|reason| StoreError::Path { path: identity::shorten(path), reason })
}

/// Makes "no such node" an answer.
fn optional<T>(result: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
