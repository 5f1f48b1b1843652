//! One task for each seat: its listener, its viewers' sockets, and the state machine between them and the console.
//!
//! There is no task for a viewer: the seat's task polls all its sockets itself, so that a key press reaches the
//! console and its echo reaches the viewers without a detour. A seat without viewers sleeps until its console prints.
//!
//! `driver` holds the task's turn, `viewers` and `upstreams` the two kinds of connections, `door` who of the former comes in.

mod door;
mod driver;
mod send;
mod upstreams;
mod viewers;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::console::ConsoleLink;
use super::host::Look;
use super::upstream::UpstreamLink;
use crate::net::Listener;
use crate::screen::Picture;
use crate::seat::{DomainState, Seat, VtNumber};
use crate::xen::Uuid;
pub(super) use door::Door;
use driver::Driver;

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
    /// The configuration changed: what viewers must prove from now on, chords, and what they may do.
    Reconfigure(Box<super::settings::Settings>),
    /// The guest has connected a display.
    Upstream(Box<UpstreamLink>),
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
    pub(super) fn start(
        name: &str,
        uuid: Uuid,
        seat: Seat,
        listener: Listener,
        door: Door,
        look: Look,
    ) -> Self {
        let (commands, orders) = mpsc::channel(16);
        let counts = Arc::new(SeatCounts::default());
        counts.vt.store(seat.default_vt().get(), Ordering::Relaxed);
        let driver = Driver::new(name, seat, listener, door, orders, counts.clone(), look.clone());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::display_access::DisplayAccess;
    use crate::seat::SeatOptions;

    #[tokio::test]
    async fn a_defect_ends_one_seat_and_is_told() {
        let look = Look::default();
        let uuids = [1, 2].map(|n| Uuid::from_bytes([n; 16]));
        let [bad, good] = uuids.map(|uuid| {
            let listener = Listener::tcp(([127, 0, 0, 1], 0).into()).unwrap();
            SeatTask::start(
                "x",
                uuid,
                Seat::new(SeatOptions::default()),
                listener,
                Door::default(),
                look.clone(),
            )
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
        let task =
            SeatTask::start("x", Uuid::from_bytes([1; 16]), seat, listener, Door::default(), look.clone());
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

    /// The guest's side of a display of 20 by 10 pixels, up to its first whole picture.
    async fn serve_display(stream: &mut tokio::net::UnixStream) {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        // RFC 6143 §7.1 to §7.3, with no authentication.
        stream.write_all(b"RFB 003.008\n").await.unwrap();
        stream.read_exact(&mut [0; 12]).await.unwrap();
        stream.write_all(&[1, 1]).await.unwrap();
        stream.read_exact(&mut [0; 1]).await.unwrap();
        stream.write_all(&[0; 4]).await.unwrap();
        stream.read_exact(&mut [0; 1]).await.unwrap();
        let init = [0, 20, 0, 10, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0, 0, 0, 0, 0];
        stream.write_all(&init).await.unwrap();
        loop {
            let rest = match stream.read_u8().await.unwrap() {
                0 => 19,
                2 => {
                    stream.read_u8().await.unwrap();
                    4 * usize::from(stream.read_u16().await.unwrap())
                }
                3 => break,
                other => panic!("message {other}"),
            };
            stream.read_exact(&mut vec![0; rest]).await.unwrap();
        }
        stream.read_exact(&mut [0; 9]).await.unwrap();
        stream.write_all(&display_update()).await.unwrap();
    }

    /// An update of all its pixels, raw.
    fn display_update() -> Vec<u8> {
        let mut update = vec![0, 0, 0, 1, 0, 0, 0, 0, 0, 20, 0, 10, 0, 0, 0, 0];
        update.resize(update.len() + 20 * 10 * 4, 7);
        update
    }

    /// Reads updates of raw pixels and sizes until the screen is this wide.
    async fn until_width(stream: &mut tokio::net::TcpStream, width: u16) {
        use tokio::io::AsyncReadExt;
        loop {
            match stream.read_u8().await.unwrap() {
                0 => {}
                // EndOfContinuousUpdates: the server knows them.
                150 => continue,
                other => panic!("message {other}"),
            }
            stream.read_u8().await.unwrap();
            let mut found = false;
            for _ in 0..stream.read_u16().await.unwrap() {
                stream.read_u32().await.unwrap();
                let (w, h) = (stream.read_u16().await.unwrap(), stream.read_u16().await.unwrap());
                if stream.read_i32().await.unwrap() == 0 {
                    stream.read_exact(&mut vec![0; usize::from(w) * usize::from(h) * 4]).await.unwrap();
                } else {
                    found |= w == width;
                }
            }
            if found {
                return;
            }
        }
    }

    #[tokio::test]
    async fn a_display_that_takes_no_more_is_left_at_once() {
        use super::super::upstream::UpstreamStream;
        use crate::net::Stream;
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = Listener::tcp(([127, 0, 0, 1], 0).into()).unwrap();
        let address = listener.tcp_address().unwrap();
        let mut seat = Seat::new(SeatOptions { columns: 10, rows: 5, ..SeatOptions::default() });
        seat.add_console(VtNumber::CONSOLE);
        let task =
            SeatTask::start("x", Uuid::from_bytes([1; 16]), seat, listener, Door::default(), Look::default());
        let (ours, mut guest) = tokio::net::UnixStream::pair().unwrap();
        let (ended, end) = oneshot::channel();
        let link = UpstreamLink {
            stream: UpstreamStream::Net(Stream::Unix(ours)),
            received: Vec::new(),
            origin: "a test".into(),
            display: 0,
            access: DisplayAccess::default(),
            network: false,
            ended,
        };
        let mut viewer = tokio::net::TcpStream::connect(address).await.unwrap();
        for (wanted, answer) in [(12, &b"RFB 003.008\n"[..]), (2, b"\x01"), (4, b"\x01"), (24, b"")] {
            viewer.read_exact(&mut vec![0; wanted]).await.unwrap();
            viewer.write_all(answer).await.unwrap();
        }
        // The name, then raw pixels, DesktopSize and continuous updates: nothing more is asked for after this.
        viewer.read_exact(&mut vec![0; " (F1)".len()]).await.unwrap();
        let encodings = [2, 0, 0, 3, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0x21, 0xff, 0xff, 0xfe, 0xc7];
        viewer.write_all(&encodings).await.unwrap();
        viewer.write_all(&[150, 1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]).await.unwrap();
        viewer.write_all(&[3, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]).await.unwrap();
        task.commands.send(SeatCommand::Upstream(Box::new(link))).await.unwrap();
        serve_display(&mut guest).await;
        until_width(&mut viewer, 20).await;
        // The display reads nothing more. That shows when it is asked for the update after this one; nothing follows that.
        let guest = guest.into_std().unwrap();
        guest.shutdown(std::net::Shutdown::Read).unwrap();
        std::io::Write::write_all(&mut &guest, &display_update()).unwrap();
        let back = until_width(&mut viewer, 80);
        tokio::time::timeout(TASK_LIMIT, back).await.expect("the console");
        assert!(end.await.unwrap().contains("Broken pipe"));
        task.stop().await;
    }
}
