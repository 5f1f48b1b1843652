//! vchan streams between two ends on one machine, over memfds and eventfds. Real Xen and ends that we did not write
//! are in `tests/xen`.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "failing is how a test reports")]

mod common;

use std::future::poll_fn;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use common::vchan::Host;
use common::within;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use xenvnc::xen::vchan::{RingName, RingSizes, VchanError, VchanStream};

fn sizes(to_server: u32, to_client: u32) -> RingSizes {
    RingSizes::at_least(to_server, to_client).expect("sizes")
}

async fn pair(sizes: RingSizes) -> (Host, VchanStream, VchanStream) {
    let (server, host) = Host::listen(sizes, 8, 9);
    let client = host.connect().expect("a client");
    let server = within("the client", server.accept()).await.expect("accepted");
    (host, client, server)
}

/// Counts how often it is woken.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn server_waits_until_its_client_is_there() {
    let (server, host) = Host::listen(sizes(4096, 4096), 8, 9);
    assert_eq!((server.ring_ref(), server.event_channel()), (8, 9));
    let mut accepted = pin!(server.accept());
    host.event_to_server();
    let early = poll_fn(|cx| Poll::Ready(accepted.as_mut().poll(cx).is_ready())).await;
    assert!(!early, "an event alone is no client");
    let client = host.connect().expect("a client");
    let server = within("the client", accepted).await.expect("accepted");
    assert_eq!(client.try_write(b"hello").expect("room"), 5);
    let mut bytes = [0; 8];
    assert_eq!(server.try_read(&mut bytes).expect("bytes"), 5);
    assert_eq!(&bytes[..5], b"hello");
    assert_eq!(server.try_read(&mut bytes).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(server.try_read(&mut []).expect("nothing asked for"), 0);
}

/// Both directions at once, with rings much smaller than what goes through: a lost wake-up would end it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bulk_goes_through_in_both_directions_at_once() {
    const TOTAL: usize = 4 << 20;
    let pattern = |seed: usize| -> Vec<u8> {
        (0..TOTAL).map(|index| ((index * 31 + index / 4096 + seed) % 251).to_le_bytes()[0]).collect()
    };
    let (_host, client, server) = pair(sizes(4096, 65_536)).await;
    let ends = [(client, 1, 2), (server, 2, 1)].map(|(stream, sends, gets)| {
        tokio::spawn(async move {
            let (out, wanted) = (pattern(sends), pattern(gets));
            let (mut sent, mut got) = (0, Vec::with_capacity(TOTAL));
            let mut buffer = vec![0; 10_007];
            // One task for both directions, as a seat's: every turn looks at both.
            poll_fn(|cx| {
                while got.len() < TOTAL && stream.poll_read_ready(cx).is_ready() {
                    match stream.try_read(&mut buffer) {
                        Ok(count) => got.extend_from_slice(&buffer[..count]),
                        Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                    }
                }
                while sent < TOTAL && stream.poll_write_ready(cx).is_ready() {
                    let end = TOTAL.min(sent + 7_919);
                    match stream.try_write(&out[sent..end]) {
                        Ok(count) => sent += count,
                        Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                    }
                }
                if got.len() == TOTAL && sent == TOTAL { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            assert!(got == wanted, "the bytes arrive as they were sent");
            stream
        })
    });
    for end in ends {
        within("the bulk", end).await.expect("an end");
    }
}

#[tokio::test]
async fn reader_and_writer_interfaces_of_tokio_work() {
    let (_host, mut client, mut server) = pair(sizes(4096, 4096)).await;
    let sends = tokio::spawn(async move {
        client.write_all(&[7; 50_000]).await.expect("written");
        client.flush().await.expect("flushed");
    });
    let mut got = Vec::new();
    within("all bytes and the end", server.read_to_end(&mut got)).await.expect("read");
    within("the writer", sends).await.expect("no panic");
    assert!(got == [7; 50_000], "the writer went after its last byte, and none was lost: {}", got.len());
}

/// The ring is in the peer's memory at once; that it is told of each piece would have two domains take turns for each.
#[tokio::test]
async fn pieces_are_told_of_at_the_flush_or_when_they_fill_a_quarter() {
    let (host, client, mut server) = pair(sizes(4096, 65_536)).await;
    // A reader that waits asks for an event; so does a client from the start.
    let mut context = Context::from_waker(Waker::noop());
    assert!(client.poll_read_ready(&mut context).is_pending());
    let before = host.events().1;
    for _ in 0..15 {
        server.write_all(&[7; 1000]).await.expect("written");
    }
    assert_eq!(host.events().1, before);
    assert_eq!(client.try_read(&mut [0; 65_536]).expect("bytes"), 15_000, "they are there");
    assert!(client.poll_read_ready(&mut context).is_pending());
    server.flush().await.expect("flushed");
    assert_eq!(host.events().1, before + 1);
    server.flush().await.expect("flushed");
    assert_eq!(host.events().1, before + 1, "once");
    within(
        "the event",
        poll_fn(|cx| {
            let _ = client.poll_read_ready(cx);
            Poll::Ready(())
        }),
    )
    .await;
    for _ in 0..17 {
        server.write_all(&[7; 1000]).await.expect("written");
    }
    assert_eq!(host.events().1, before + 2, "a quarter of the ring");
    // Without a flush, the peer is told when there is no more room.
    let sends = tokio::spawn(async move {
        server.write_all(&[7; 300_000]).await.expect("written");
        server
    });
    let mut client = client;
    within("all bytes", client.read_exact(&mut vec![0; 317_000])).await.expect("read");
    within("the writer", sends).await.expect("no panic");
}

/// Room that is not worth a turn of the writer's is not told of.
#[tokio::test]
async fn room_is_told_of_when_half_of_the_ring_is_free() {
    let (host, client, server) = pair(sizes(4096, 4096)).await;
    assert_eq!(client.try_write(&[1; 4096]).expect("room"), 4096);
    let mut context = Context::from_waker(Waker::noop());
    assert!(client.poll_write_ready(&mut context).is_pending());
    let before = host.events().1;
    assert_eq!(server.try_read(&mut [0; 2047]).expect("bytes"), 2047);
    assert_eq!(host.events().1, before);
    assert_eq!(server.try_read(&mut [0; 1]).expect("bytes"), 1);
    assert_eq!(host.events().1, before + 1);
    assert_eq!(server.try_read(&mut [0; 4096]).expect("bytes"), 2048);
    assert_eq!(host.events().1, before + 1, "once");
}

/// An event for the one direction that is taken while polling the other must not be lost.
#[tokio::test]
async fn event_taken_by_the_other_direction_wakes_as_well() {
    let (_host, client, server) = pair(sizes(4096, 4096)).await;
    assert_eq!(client.try_write(&[1; 4096]).expect("room"), 4096);
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let mut context = Context::from_waker(&waker);
    assert!(client.poll_write_ready(&mut context).is_pending(), "the ring is full");
    assert_eq!(server.try_read(&mut [0; 4096]).expect("bytes"), 4096);
    // The reactor has to see the event first.
    for _ in 0..100 {
        tokio::task::yield_now().await;
        if count.0.swap(0, Ordering::Relaxed) > 0 {
            break;
        }
    }
    assert!(client.poll_read_ready(&mut context).is_pending(), "nothing to read; but it took the event");
    assert!(count.0.load(Ordering::Relaxed) > 0, "who waits for room is woken");
    assert!(client.poll_write_ready(&mut context).is_ready());
}

#[tokio::test]
async fn nobody_is_told_what_nobody_asked_for() {
    let (host, client, server) = pair(sizes(4096, 4096)).await;
    // Both ends start by asking for the first bytes.
    client.try_write(b"first").expect("room");
    server.try_write(b"first").expect("room");
    let before = host.events();
    for _ in 0..100 {
        client.try_write(b"more").expect("room");
        server.try_write(b"more").expect("room");
        client.try_read(&mut [0; 3]).expect("bytes");
        server.try_read(&mut [0; 3]).expect("bytes");
    }
    assert_eq!(host.events(), before, "no end waits, so no event is sent");
}

#[tokio::test]
async fn peer_that_leaves_or_is_killed_is_seen_after_its_last_byte() {
    type End = fn(&Host, VchanStream);
    let leaves: [(bool, End); 2] = [
        (true, |_, stream| drop(stream)),
        // The memory is still mapped, as the dying end's is; only the kernel has spoken.
        (false, |host, stream| {
            host.client_was_killed();
            host.server_was_killed();
            std::mem::forget(stream);
        }),
    ];
    for (orderly, end) in leaves {
        for client_goes in [true, false] {
            let (host, client, server) = pair(sizes(4096, 4096)).await;
            let (goes, stays) = if client_goes { (client, server) } else { (server, client) };
            goes.try_write(b"last words").expect("room");
            if orderly || client_goes {
                end(&host, goes);
            } else {
                host.server_was_killed();
                std::mem::forget(goes);
            }
            let mut bytes = [0; 16];
            within("the bytes", poll_fn(|cx| stays.poll_read_ready(cx))).await.expect("ready");
            assert_eq!(stays.try_read(&mut bytes).expect("bytes"), 10);
            within("the end", poll_fn(|cx| stays.poll_read_ready(cx))).await.expect("ready");
            assert_eq!(stays.try_read(&mut bytes).expect("the end"), 0);
            within("the end", poll_fn(|cx| stays.poll_write_ready(cx))).await.expect("ready");
            assert_eq!(stays.try_write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
            // Gone is gone, whatever the byte says later.
            host.memory.poke(20, &[1, 1]);
            assert_eq!(stays.try_read(&mut bytes).expect("the end"), 0);
        }
    }
}

#[tokio::test]
async fn dropping_a_client_unmaps_everything() {
    let (server, host) = Host::listen(RingSizes::DISPLAY, 8, 9);
    let alive = Arc::new(());
    let client = host.connect_with(&alive).expect("a client");
    assert_eq!(Arc::strong_count(&alive), 1 + 3, "the control page and two rings");
    drop(client);
    assert_eq!(Arc::strong_count(&alive), 1, "or the domain would stay a zombie");
    let error = within("the end", server.accept()).await.expect_err("it came and went");
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
}

#[tokio::test]
async fn server_that_is_gone_or_never_was_is_refused() {
    let (server, host) = Host::listen(sizes(4096, 4096), 8, 9);
    drop(server);
    assert!(matches!(host.connect(), Err(VchanError::NoServer { live: 0 })));
    // A page that is somebody else's by now.
    host.memory.poke(0, &[0xFF; 4096]);
    assert!(matches!(host.connect(), Err(VchanError::NoServer { live: 0xFF })));
    let (_server, host) = Host::listen(sizes(4096, 4096), 8, 9);
    host.memory.poke(16, &[0xFF; 4]);
    assert!(matches!(host.connect(), Err(VchanError::Order { ring: RingName::ToServer, order: 0xFFFF })));
    assert_eq!(host.memory.peek::<1>(20), [2], "nothing is written to a page that is refused");
    let (_server, host) = Host::listen(sizes(4096, 4096), 8, 9);
    host.memory.poke(24, &[0xEE; 4]);
    assert!(matches!(host.connect(), Err(VchanError::System { .. })), "a reference that cannot be mapped");
}

#[tokio::test]
async fn indices_that_make_no_sense_are_an_error_that_names_the_ring() {
    let broken = |error: std::io::Error| {
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        error.into_inner().expect("a source").downcast::<VchanError>().expect("a vchan error").to_string()
    };
    let (host, client, server) = pair(sizes(4096, 8192)).await;
    server.try_write(b"good").expect("room");
    host.memory.poke(12, &8193u32.to_ne_bytes());
    host.memory.poke(0, &1u32.to_ne_bytes());
    within("the fault", poll_fn(|cx| client.poll_read_ready(cx))).await.expect("ready");
    let said = broken(client.try_read(&mut [0; 9000]).unwrap_err());
    assert_eq!(said, "the peer broke the ring to the client: 8193 bytes are in it, it holds 8192");
    within("the fault", poll_fn(|cx| client.poll_write_ready(cx))).await.expect("ready");
    let said = broken(client.try_write(b"x").unwrap_err());
    assert_eq!(said, "the peer broke the ring to the server: 4294967295 bytes are in it, it holds 4096");
    // Sizes are those of the start, whatever the page says now, and our own index is not read back.
    host.memory.poke(0, &0u32.to_ne_bytes());
    host.memory.poke(4, &77u32.to_ne_bytes());
    host.memory.poke(16, &20u16.to_ne_bytes());
    assert_eq!(client.try_write(&[5; 5000]).expect("room"), 4096);
    assert_eq!(host.memory.peek(4), 4096u32.to_ne_bytes());
}

/// Closing an event channel that a restore has taken away kills a Linux guest's process.
#[tokio::test]
async fn restored_stream_keeps_its_descriptor_open_and_unmaps() {
    let (host, client, _server) = pair(sizes(4096, 4096)).await;
    drop(client);
    let alive = Arc::new(());
    let client = host.connect_with(&alive).expect("a client");
    let open = |host: &Host| host.client_descriptors();
    let before = open(&host);
    client.was_restored();
    drop(client);
    assert_eq!(Arc::strong_count(&alive), 1, "memory is given back");
    assert_eq!(open(&host), before, "the descriptor is not");
    let client = host.connect().expect("a client");
    assert_eq!(open(&host), before + 1);
    drop(client);
    assert_eq!(open(&host), before, "without a restore it is closed");
}

/// A peer that sends events and nothing else.
#[tokio::test]
async fn flood_of_events_costs_a_bounded_number_of_wake_ups() {
    let (host, client, _server) = pair(sizes(4096, 4096)).await;
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&taken);
    let reads = tokio::spawn(async move {
        poll_fn(|cx| {
            counter.fetch_add(1, Ordering::Relaxed);
            client.poll_read_ready(cx)
        })
        .await
        .expect("ready");
        client
    });
    let mut sent = 0;
    let started = std::time::Instant::now();
    while started.elapsed() < std::time::Duration::from_millis(400) {
        host.event_to_client();
        sent += 1;
        tokio::task::yield_now().await;
    }
    let polls = taken.load(Ordering::Relaxed);
    // 200 in each started period of 200 ms and one each 5 ms; far less than what was sent.
    let periods = started.elapsed().as_millis() as usize / 200 + 2;
    assert!(polls <= periods * (200 + 40), "{polls} polls for {sent} events");
    host.memory.right.write_all_at(b"!", 0).expect("a byte");
    host.memory.poke(12, &1u32.to_ne_bytes());
    host.event_to_client();
    let client = within("the byte", reads).await.expect("the reader");
    assert_eq!(client.try_read(&mut [0; 4]).expect("a byte"), 1);
}
