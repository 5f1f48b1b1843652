//! The client against a xenstored that misbehaves: one that we play ourselves, message by message.

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use xenvnc::xen::store::wire::{self, Kind, Message};
use xenvnc::xen::store::{Address, ErrorName, Link, Store, StoreError, WatchEvent};

use crate::common::within;

/// The other end of a client's connection.
struct Server {
    listener: UnixListener,
    socket: UnixStream,
    input: BytesMut,
    _directory: tempfile::TempDir,
}

impl Server {
    async fn start() -> (Self, Store) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let store = Store::connect(Address::At(path)).await.unwrap();
        let (socket, _) = listener.accept().await.unwrap();
        (Self { listener, socket, input: BytesMut::new(), _directory: directory }, store)
    }

    /// Takes the client's next connection.
    async fn accept_again(&mut self) {
        self.socket = within("the client to come back", self.listener.accept()).await.unwrap().0;
        self.input.clear();
    }

    /// The client's next request; `None` when it hung up.
    async fn request(&mut self) -> Option<Message> {
        loop {
            if let Some(message) = wire::decode(&mut self.input).unwrap() {
                return Some(message);
            }
            if within("a request", self.socket.read_buf(&mut self.input)).await.unwrap() == 0 {
                return None;
            }
        }
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.unwrap();
    }

    async fn answer(&mut self, request: &Message, kind: Kind, payload: &[u8]) {
        let message = Message { kind, payload: payload.to_vec(), ..*request };
        let mut output = BytesMut::new();
        wire::encode(&message, &mut output).unwrap();
        self.send(&output).await;
    }
}

#[tokio::test]
async fn answers_may_come_in_any_order_and_in_pieces() {
    let (mut server, store) = Server::start().await;
    let serve = async {
        let (first, second) = (server.request().await.unwrap(), server.request().await.unwrap());
        server.answer(&second, Kind::Read, b"second").await;
        let mut output = BytesMut::new();
        wire::encode(&Message { payload: b"first".to_vec(), ..first }, &mut output).unwrap();
        for byte in output {
            server.send(&[byte]).await;
            server.socket.flush().await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let (first, second, ()) = tokio::join!(store.read("/first"), store.read("/second"), serve);
    assert_eq!((first.unwrap(), second.unwrap()), (b"first".to_vec(), b"second".to_vec()));
}

#[tokio::test]
async fn answers_that_nobody_asked_for_are_survived() {
    let (mut server, store) = Server::start().await;
    let serve = async {
        let request = server.request().await.unwrap();
        let stray = Message { request: request.request.wrapping_add(1000), ..request.clone() };
        server.answer(&stray, Kind::Read, b"stray").await;
        server.answer(&Message { request: 0, ..stray }, Kind::WatchEvent, b"/no/token").await;
        server.answer(&request, Kind::WatchEvent, b"/path\0not a number\0").await;
        server.answer(&request, Kind::WatchEvent, b"").await;
        server.answer(&request, Kind::Read, b"value").await;
    };
    let (value, ()) = tokio::join!(store.read("/a"), serve);
    assert_eq!(value.unwrap(), b"value");
}

#[tokio::test]
async fn answer_of_another_kind_fails_its_own_call_only() {
    let (mut server, store) = Server::start().await;
    let serve = async {
        for (kind, payload) in
            [(Kind::Write, &b"OK\0"[..]), (Kind::Error, b"ENOSYS\0"), (Kind::Read, b"fine")]
        {
            let request = server.request().await.unwrap();
            server.answer(&request, kind, payload).await;
        }
    };
    let calls = async {
        assert!(matches!(store.read("/a").await, Err(StoreError::Answer { request: Kind::Read, .. })));
        assert_eq!(store.read("/a").await.unwrap_err().name(), Some(&ErrorName::Enosys));
        assert_eq!(store.read("/a").await.unwrap(), b"fine");
    };
    tokio::join!(serve, calls);
}

#[tokio::test]
async fn lie_about_a_length_ends_the_connection_and_not_the_client() {
    let (mut server, store) = Server::start().await;
    let mut link = store.state();
    let serve = async {
        let request = server.request().await.unwrap();
        for word in [Kind::Read.to_wire(), request.request, 0, u32::MAX] {
            server.send(&word.to_ne_bytes()).await;
        }
        assert!(server.request().await.is_none());
        server.accept_again().await;
        let request = server.request().await.unwrap();
        server.answer(&request, Kind::Read, b"value").await;
    };
    let calls = async {
        let error = store.read("/a").await.unwrap_err();
        assert!(matches!(error, StoreError::Protocol(_)) && error.is_disconnected(), "{error:?}");
        within("the link", link.wait_for(|link| *link == Link::Connected)).await.unwrap();
        assert_eq!(store.read("/a").await.unwrap(), b"value");
    };
    tokio::join!(serve, calls);
}

#[tokio::test]
async fn refused_watch_says_so_and_is_not_taken_away_again() {
    let (mut server, store) = Server::start().await;
    let serve = async {
        let request = server.request().await.unwrap();
        assert_eq!(request.kind, Kind::Watch);
        server.answer(&request, Kind::Error, b"ENOSPC\0").await;
        // No UNWATCH follows.
        let request = server.request().await.unwrap();
        assert_eq!(request.kind, Kind::Read);
        server.answer(&request, Kind::Read, b"").await;
    };
    let calls = async {
        assert_eq!(store.watch("/a").await.unwrap_err().name(), Some(&ErrorName::Enospc));
        store.read("/a").await.unwrap();
    };
    tokio::join!(serve, calls);
}

#[tokio::test]
async fn watches_are_registered_again_before_anything_else_and_then_told() {
    let (mut server, store) = Server::start().await;
    let register = async {
        let request = server.request().await.unwrap();
        assert_eq!(request.payload, b"/a\x001\0");
        server.answer(&request, Kind::Watch, b"OK\0").await;
    };
    let (watch, ()) = tokio::join!(store.watch("/a"), register);
    let mut watch = watch.unwrap();
    drop(std::mem::replace(&mut server.socket, UnixStream::pair().unwrap().0));
    server.accept_again().await;
    let request = server.request().await.unwrap();
    assert_eq!((request.kind, request.payload.as_slice()), (Kind::Watch, &b"/a\x001\0"[..]));
    assert_eq!(watch.try_next(), None);
    // Refused this time: its watcher has to look all the same, for it has no other way to learn of anything.
    server.answer(&request, Kind::Error, b"ENOSPC\0").await;
    assert_eq!(within("the resync", watch.next()).await, WatchEvent::Resync);
}

#[tokio::test]
async fn endless_listing_is_given_up() {
    let (mut server, store) = Server::start().await;
    let calls = tokio::spawn(async move {
        let without_end = store.list("/without-end").await;
        (without_end, store.list("/restless").await)
    });
    let mut generation = 0;
    while let Some(request) = server.request().await {
        match (request.kind, request.payload.starts_with(b"/without-end\0")) {
            (Kind::Directory, _) => server.answer(&request, Kind::Error, b"E2BIG\0").await,
            // A part that never is the last.
            (_, true) => {
                let part = [b"1\0".as_slice(), &b"abcdefg\0".repeat(500)].concat();
                server.answer(&request, Kind::DirectoryPart, &part).await;
            }
            // A directory that changes between any two parts.
            (_, false) => {
                generation += 1;
                let part = format!("{generation}\0name\0");
                server.answer(&request, Kind::DirectoryPart, part.as_bytes()).await;
            }
        }
    }
    let (without_end, restless) = calls.await.unwrap();
    assert!(without_end.unwrap_err().to_string().contains("more than 1 MiB of names"));
    assert!(restless.unwrap_err().to_string().contains("kept changing"));
}
