//! The control socket: reads requests, hands them to the host loop, writes what comes back.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::control::{Answer, MAX_REQUEST_BYTES, Reply, Request};

/// How many clients may talk at once; more wait in the socket's queue.
const MAX_CLIENTS: usize = 32;

/// What the host loop gives back for a request.
#[derive(Debug)]
pub(super) enum Outcome {
    /// An answer that fits on the line.
    Answer(Answer),
    /// Bytes that follow the line.
    Payload(Vec<u8>),
    /// Why it was refused.
    Refused(String),
}

/// A request on its way through the daemon, with the place where its outcome goes.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) request: Request,
    pub(super) reply: oneshot::Sender<Outcome>,
}

/// Why the control socket cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ControlSocketError {
    /// Another daemon answers there.
    #[error("control.socket: another daemon serves {0}")]
    InUse(PathBuf),
    /// The system refused.
    #[error("control.socket: cannot listen on {path}")]
    Listen {
        /// The socket's path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The listening control socket; its file is removed when it is dropped.
#[derive(Debug)]
pub(super) struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl ControlSocket {
    /// Listens at `path`, for the owner only. A dead daemon's socket file is replaced; missing directories are made.
    pub(super) fn open(path: &Path) -> Result<Self, ControlSocketError> {
        let failed = |source| ControlSocketError::Listen { path: path.to_owned(), source };
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(ControlSocketError::InUse(path.to_owned()));
        }
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        let is_socket = |m: std::fs::Metadata| std::os::unix::fs::FileTypeExt::is_socket(&m.file_type());
        if std::fs::symlink_metadata(path).is_ok_and(is_socket) {
            std::fs::remove_file(path).map_err(failed)?;
        }
        let listener = UnixListener::bind(path).map_err(failed)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(Self { listener, path: path.to_owned() })
    }

    /// Serves clients for as long as the host loop takes their calls.
    pub(super) async fn serve(self, calls: mpsc::Sender<Call>) {
        let places = Arc::new(Semaphore::new(MAX_CLIENTS));
        while let Ok(place) = places.clone().acquire_owned().await {
            let stream = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = calls.closed() => return,
            };
            match stream {
                Ok((stream, _)) => {
                    let calls = calls.clone();
                    tokio::spawn(async move {
                        // A client that goes away in mid-answer is its own affair.
                        let _ = serve_client(stream, &calls).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "control socket: cannot accept a client");
                    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                }
            }
        }
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn serve_client(stream: UnixStream, calls: &mpsc::Sender<Call>) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        let limit = u64::try_from(MAX_REQUEST_BYTES).unwrap_or(u64::MAX);
        if (&mut stream).take(limit).read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        let complete = line.ends_with(b"\n");
        let outcome = match serde_json::from_slice(&line) {
            _ if !complete && line.len() >= MAX_REQUEST_BYTES => {
                Outcome::Refused(format!("the request is longer than {MAX_REQUEST_BYTES} bytes"))
            }
            Ok(request) => ask(request, calls).await,
            Err(error) => Outcome::Refused(format!("the request is not understood: {error}")),
        };
        let (reply, payload) = match outcome {
            Outcome::Answer(answer) => (Reply::Ok(answer), Vec::new()),
            Outcome::Payload(bytes) => {
                (Reply::Ok(Answer::Payload(u64::try_from(bytes.len()).unwrap_or(u64::MAX))), bytes)
            }
            Outcome::Refused(message) => (Reply::Error(message), Vec::new()),
        };
        let mut text = serde_json::to_vec(&reply)?;
        text.push(b'\n');
        stream.get_mut().write_all(&text).await?;
        stream.get_mut().write_all(&payload).await?;
        if !complete {
            return Ok(());
        }
    }
}

async fn ask(request: Request, calls: &mpsc::Sender<Call>) -> Outcome {
    let (reply, outcome) = oneshot::channel();
    if calls.send(Call { request, reply }).await.is_err() {
        return Outcome::Refused("the daemon is stopping".into());
    }
    outcome.await.unwrap_or_else(|_| Outcome::Refused("the domain went away meanwhile".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn exchange(path: &Path, send: &[u8]) -> String {
        let mut stream = UnixStream::connect(path).await.unwrap();
        stream.write_all(send).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn calls_are_answered_in_order_and_nonsense_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/control.sock");
        let socket = ControlSocket::open(&path).unwrap();
        assert!(matches!(ControlSocket::open(&path), Err(ControlSocketError::InUse(_))));
        let (calls, mut received) = mpsc::channel(4);
        let server = tokio::spawn(socket.serve(calls));
        let host = tokio::spawn(async move {
            while let Some(call) = received.recv().await {
                let outcome = match call.request {
                    Request::Rescan => Outcome::Answer(Answer::Done),
                    Request::History { .. } => Outcome::Payload(b"abc".to_vec()),
                    _ => Outcome::Refused("no".into()),
                };
                call.reply.send(outcome).unwrap();
            }
        });
        let text = exchange(
            &path,
            b"{\"command\":\"rescan\"}\nrubbish\n{\"command\":\"history\",\"domain\":\"a\"}\n{\"command\":\"list\"}\n",
        )
        .await;
        let lines: Vec<&str> = text.split('\n').collect();
        assert_eq!(lines[0], r#"{"ok":"done"}"#);
        assert!(lines[1].starts_with(r#"{"error":"the request is not understood"#), "{}", lines[1]);
        assert_eq!(lines[2], r#"{"ok":{"payload":3}}"#);
        assert_eq!(lines[3], r#"abc{"error":"no"}"#);
        let long = exchange(&path, &vec![b'x'; MAX_REQUEST_BYTES + 10]).await;
        assert!(long.contains("longer than"), "{long}");
        host.abort();
        server.await.unwrap();
        assert!(!path.exists(), "the socket's file must go with it");
    }
}
