//! The simulated xenstored's socket.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::server::{ClientId, Server};
use crate::xen::store::wire::{self, Message};

/// The most messages that wait for one client; one that reads so little is cut off.
const MAX_QUEUED: usize = 65_536;

/// A bound socket.
pub(in crate::demo) struct Listener(UnixListener);

#[derive(Debug)]
struct Shared {
    server: Server,
    queues: HashMap<ClientId, mpsc::Sender<Message>>,
}

impl Listener {
    /// Binds `path`, which only this user can connect to.
    pub(in crate::demo) fn bind(path: &Path) -> io::Result<Self> {
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self(listener))
    }

    /// Serves clients until it is dropped, and all of them with it.
    pub(in crate::demo) async fn serve(self) {
        let shared = Arc::new(Mutex::new(Shared { server: Server::new(), queues: HashMap::new() }));
        let mut clients = JoinSet::new();
        loop {
            // A failed accept concerns that client only; without descriptors the next end of a client frees one.
            tokio::select! {
                accepted = self.0.accept() => match accepted {
                    Ok((stream, _)) => {
                        clients.spawn(client(stream, Arc::clone(&shared)));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the simulated store cannot accept a client");
                        clients.join_next().await;
                    }
                },
                Some(_) = clients.join_next() => {}
            }
        }
    }
}

/// Serves one client until it goes away or breaks the protocol.
async fn client(mut stream: UnixStream, shared: Arc<Mutex<Shared>>) {
    let lock = || shared.lock().unwrap_or_else(PoisonError::into_inner);
    let (queue, mut queued) = mpsc::channel(MAX_QUEUED);
    let id = {
        let mut shared = lock();
        let id = shared.server.connect();
        shared.queues.insert(id, queue);
        id
    };
    let mut input = BytesMut::new();
    let mut output = BytesMut::new();
    'connection: loop {
        tokio::select! {
            read = stream.read_buf(&mut input) => {
                if !matches!(read, Ok(1..)) {
                    break;
                }
                loop {
                    match wire::decode(&mut input) {
                        Ok(Some(request)) => lock().serve(id, &request),
                        Ok(None) => break,
                        Err(_) => break 'connection,
                    }
                }
            }
            message = queued.recv() => {
                let Some(message) = message else { break };
                output.clear();
                let mut next = Some(message);
                while let Some(message) = next {
                    if wire::encode(&message, &mut output).is_err() {
                        break 'connection;
                    }
                    next = queued.try_recv().ok();
                }
                if stream.write_all(&output).await.is_err() {
                    break;
                }
            }
        }
    }
    let mut shared = lock();
    shared.server.disconnect(id);
    shared.queues.remove(&id);
}

impl Shared {
    fn serve(&mut self, client: ClientId, request: &Message) {
        for (to, message) in self.server.handle(client, request) {
            let full = self.queues.get(&to).is_some_and(|queue| queue.try_send(message).is_err());
            if full {
                // Its task ends when its queue does.
                self.queues.remove(&to);
            }
        }
    }
}
