//! Own mode against a ring in a memfd and event channels of eventfds: the test plays the guest, friendly or not.

#![expect(clippy::expect_used, reason = "the helpers of tests may fail as tests do")]

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::memfd::{MFdFlags, memfd_create};
use xenvnc::daemon::history_file::HistoryFile;
use xenvnc::xen::console::{
    Console, ConsoleError, ConsoleEvent, EventChannel, OUT_SIZE, PtyFactory, Ring, RingParts, RingPosition,
};
use xenvnc::xen::sys::mapping::Mapping;

const PATIENCE: Duration = Duration::from_secs(60);
const UUID: &str = "6f3a1c52-0b1e-4c58-9d0e-7a4c2b9f1e00";
const LIFE: u64 = 77;

const IN_CONS: u64 = 3072;
const IN_PROD: u64 = 3076;
const OUT_CONS: u64 = 3080;
const OUT_PROD: u64 = 3084;

/// A pair of event channel ends with the masking of `/dev/xen/evtchn`.
#[derive(Debug)]
struct Wire {
    to_us: EventFd,
    to_guest: EventFd,
    /// Whether our end is masked, and whether an event came meanwhile.
    masked: Mutex<(bool, bool)>,
    broken: AtomicBool,
}

impl Wire {
    fn event_to_us(&self) {
        let mut masked = self.masked.lock().expect("the lock");
        if masked.0 {
            masked.1 = true;
        } else {
            self.to_us.write(1).expect("an event");
        }
    }
}

#[derive(Debug)]
struct OurEnd(Arc<Wire>);

impl EventChannel for OurEnd {
    fn notify(&self, _: BorrowedFd<'_>) -> io::Result<()> {
        self.0.to_guest.write(1).map(drop).map_err(Into::into)
    }

    fn take(&self, events: BorrowedFd<'_>) -> io::Result<()> {
        if self.0.broken.load(Ordering::Relaxed) {
            return Err(io::Error::other("broken"));
        }
        nix::unistd::read(events, &mut [0; 8])?;
        self.0.masked.lock().expect("the lock").0 = true;
        Ok(())
    }

    fn unmask(&self, _: BorrowedFd<'_>) -> io::Result<()> {
        let mut masked = self.0.masked.lock().expect("the lock");
        if std::mem::take(&mut *masked).1 {
            self.0.to_us.write(1)?;
        }
        Ok(())
    }
}

/// The frontend: hvc_xen of a Linux guest, or worse.
#[derive(Debug, Clone)]
struct Guest {
    page: Arc<File>,
    wire: Arc<Wire>,
}

impl Guest {
    /// A new ring that starts at these free-running indices.
    fn new(start: u32) -> Self {
        let page = File::from(memfd_create("ring", MFdFlags::MFD_CLOEXEC).expect("a memfd"));
        page.set_len(4096).expect("a page");
        let flags = EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
        let event = || EventFd::from_flags(flags).expect("an eventfd");
        let wire = Wire {
            to_us: event(),
            to_guest: event(),
            masked: Mutex::default(),
            broken: AtomicBool::default(),
        };
        let guest = Self { page: Arc::new(page), wire: Arc::new(wire) };
        for index in [IN_CONS, IN_PROD, OUT_CONS, OUT_PROD] {
            guest.set(index, start);
        }
        guest.page.write_all_at(&[1], 3088).expect("connection");
        guest
    }

    /// What a new owner binds; it has an event at once, as with Xen.
    fn parts(&self) -> RingParts {
        let mapping = Mapping::new(self.page.as_fd(), 0).expect("a mapping");
        let events: OwnedFd = self.wire.to_us.as_fd().try_clone_to_owned().expect("a clone");
        *self.wire.masked.lock().expect("the lock") = (false, false);
        self.wire.event_to_us();
        RingParts {
            ring: Ring::new(Box::new(mapping)),
            channel: Box::new(OurEnd(self.wire.clone())),
            events,
            life: LIFE,
        }
    }

    fn own(&self, ptys: &PtyFactory, already_recorded: Option<RingPosition>) -> Console {
        Console::own_ring(self.parts(), ptys, 1, already_recorded).expect("a console")
    }

    fn get(&self, offset: u64) -> u32 {
        let mut bytes = [0; 4];
        self.page.read_exact_at(&mut bytes, offset).expect("read");
        u32::from_ne_bytes(bytes)
    }

    fn set(&self, offset: u64, value: u32) {
        self.page.write_all_at(&value.to_ne_bytes(), offset).expect("write");
    }

    /// Writes what fits and says how much; the event is for the caller to send.
    fn write_some(&self, bytes: &[u8]) -> usize {
        let (consumed, start) = (self.get(OUT_CONS), self.get(OUT_PROD));
        let room = OUT_SIZE - start.wrapping_sub(consumed);
        let count = bytes.len().min(room as usize);
        let slot = (start % OUT_SIZE) as usize;
        let first = count.min(OUT_SIZE as usize - slot);
        self.page.write_all_at(&bytes[..first], 1024 + slot as u64).expect("write");
        self.page.write_all_at(&bytes[first..count], 1024).expect("write");
        self.set(OUT_PROD, start.wrapping_add(u32::try_from(count).expect("small")));
        count
    }

    /// Writes everything, waiting for room as a guest does.
    fn print(&self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = &rest[self.write_some(rest)..];
            self.wire.event_to_us();
            if !rest.is_empty() {
                self.wait_for_event();
            }
        }
    }

    fn wait_for_event(&self) {
        let mut polled = [PollFd::new(self.wire.to_guest.as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(PATIENCE).expect("a timeout");
        assert!(nix::poll::poll(&mut polled, timeout).expect("poll") > 0, "no event came");
        let _ = self.wire.to_guest.read();
    }

    /// Reads everything that was typed so far, and tells.
    fn read_typed(&self) -> Vec<u8> {
        let (consumed, produced) = (self.get(IN_CONS), self.get(IN_PROD));
        let count = produced.wrapping_sub(consumed);
        assert!(count <= 1024);
        let typed = (0..count)
            .map(|at| {
                let mut byte = [0];
                self.page
                    .read_exact_at(&mut byte, u64::from(consumed.wrapping_add(at) % 1024))
                    .expect("read");
                byte[0]
            })
            .collect();
        self.set(IN_CONS, produced);
        self.wire.event_to_us();
        typed
    }
}

fn ptys() -> (tempfile::TempDir, PtyFactory) {
    let runtime = tempfile::tempdir().expect("a directory");
    let factory = PtyFactory::new(runtime.path()).expect("a pty factory");
    (runtime, factory)
}

async fn next(console: &mut Console, out: &mut Vec<u8>) -> ConsoleEvent {
    tokio::time::timeout(PATIENCE, console.next(out)).await.expect("nothing happened")
}

fn at(index: u32) -> Option<RingPosition> {
    Some(RingPosition { life: LIFE, index })
}

fn lines(from: u32, count: u32) -> Vec<u8> {
    (from..from + count).flat_map(|number| format!("line {number}\r\n").into_bytes()).collect()
}

#[tokio::test]
async fn room_is_given_back_when_the_output_was_consumed() {
    let (_runtime, factory) = ptys();
    // The indices wrap in the middle of it.
    let start = u32::MAX - 4;
    let guest = Guest::new(start);
    assert_eq!(guest.write_some(b"before we came "), 15);
    let mut console = guest.own(&factory, None);
    let mut connection = [9];
    guest.page.read_exact_at(&mut connection, 3088).expect("read");
    assert_eq!(connection, [0], "the guest is told that somebody listens");

    let mut out = Vec::new();
    assert_eq!(next(&mut console, &mut out).await, ConsoleEvent::Output(at(start)));
    assert_eq!(out, b"before we came ");
    assert_eq!(guest.get(OUT_CONS), start, "not before it was recorded");
    console.consumed();
    assert_eq!(guest.get(OUT_CONS), start.wrapping_add(15));
    guest.wait_for_event();

    // A full ring, and a caller that says nothing but asks for more.
    assert_eq!(guest.write_some(&[b'x'; 3000]), 2048);
    guest.wire.event_to_us();
    out.clear();
    assert_eq!(next(&mut console, &mut out).await, ConsoleEvent::Output(at(start.wrapping_add(15))));
    assert_eq!(out.len(), 2048);
    guest.write_some(b"none fits");
    let nothing = tokio::time::timeout(Duration::from_millis(20), console.next(&mut out)).await;
    assert!(nothing.is_err());
    assert_eq!(guest.get(OUT_CONS), start.wrapping_add(15 + 2048));
    guest.wait_for_event();
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_at_any_moment_neither_lose_nor_double_a_byte() {
    const LINES: u32 = 20_000;
    let (runtime, factory) = ptys();
    let guest = Guest::new(u32::MAX - 1000);
    let all = lines(0, LINES);
    let printing = {
        let (guest, all) = (guest.clone(), all.clone());
        std::thread::spawn(move || guest.print(&all))
    };
    let (mut seen, mut turns) = (0, 0u32);
    let mut doubled = 0;
    while seen < all.len() {
        let mut history = HistoryFile::open(runtime.path(), UUID, 64 << 20).expect("a history");
        seen = history.replay().expect("a replay").map(|printed| printed.bytes.len()).sum();
        let mut console = guest.own(&factory, history.last_position());
        let mut out = Vec::new();
        while seen < all.len() {
            turns += 1;
            out.clear();
            let ConsoleEvent::Output(position) = next(&mut console, &mut out).await else {
                panic!("the ring broke")
            };
            if turns % 13 == 5 {
                break; // Killed before the bytes are recorded.
            }
            history.append(position, &out).expect("append");
            seen += out.len();
            if turns % 17 == 3 {
                doubled += 1;
                break; // Killed between the record and `out_cons`.
            }
            console.consumed();
        }
    }
    printing.join().expect("the guest");
    assert!(doubled > 5, "the window was hit {doubled} times");
    let history = HistoryFile::open(runtime.path(), UUID, 64 << 20).expect("a history");
    let recorded: Vec<u8> = history.replay().expect("a replay").flat_map(|printed| printed.bytes).collect();
    assert!(recorded == all, "{} of {} bytes", recorded.len(), all.len());
}

#[tokio::test]
async fn record_that_does_not_fit_the_ring_skips_nothing() {
    let (_runtime, factory) = ptys();
    let others_life = Some(RingPosition { life: LIFE + 1, index: 103 });
    // Of an earlier life; of before another owner went on; of a ring that started anew.
    for recorded in [others_life, at(50), at(111)] {
        let guest = Guest::new(100);
        guest.write_some(b"0123456789");
        let (mut console, mut out) = (guest.own(&factory, recorded), Vec::new());
        assert_eq!(next(&mut console, &mut out).await, ConsoleEvent::Output(at(100)), "{recorded:?}");
        assert_eq!(out, b"0123456789");
    }
    let guest = Guest::new(100);
    guest.write_some(b"0123456789");
    let (mut console, mut out) = (guest.own(&factory, at(104)), Vec::new());
    assert_eq!(next(&mut console, &mut out).await, ConsoleEvent::Output(at(104)));
    assert_eq!(out, b"456789");
    drop(console);
    // All of it is recorded: the room is given back at once, and the next bytes are new.
    let (mut console, mut out) = (guest.own(&factory, at(110)), Vec::new());
    let nothing = tokio::time::timeout(Duration::from_millis(20), console.next(&mut out)).await;
    assert!(nothing.is_err());
    assert_eq!(guest.get(OUT_CONS), 110);
    guest.print(b"new");
    assert_eq!(next(&mut console, &mut out).await, ConsoleEvent::Output(at(110)));
    assert_eq!(out, b"new");
}

#[tokio::test(flavor = "multi_thread")]
async fn typing_of_both_reaches_a_guest_that_reads_slowly() {
    let (_runtime, factory) = ptys();
    let guest = Guest::new(0);
    let mut console = guest.own(&factory, None);
    let paste: Vec<u8> = (b' '..=b'~').cycle().take(10_000).collect();
    assert_eq!(console.send(&paste), paste.len());
    let tty = console.published_tty().expect("a tty").to_owned();
    let mut reader = {
        let guest = guest.clone();
        tokio::task::spawn_blocking(move || {
            let mut typed = Vec::new();
            while typed.len() < 10_000 {
                guest.wait_for_event();
                typed.extend(guest.read_typed());
            }
            let mut xl = open(&tty);
            xl.write_all(b"and xl console").expect("type");
            while typed.len() < 10_014 {
                guest.wait_for_event();
                typed.extend(guest.read_typed());
            }
            typed
        })
    };
    let mut out = Vec::new();
    let typed = tokio::select! {
        typed = &mut reader => typed.expect("the guest"),
        event = console.next(&mut out) => panic!("{event:?}"),
    };
    assert!(typed.starts_with(&paste) && typed.ends_with(b"and xl console"));
}

fn open(tty: &Path) -> File {
    File::options().read(true).write(true).open(tty).expect("the published tty")
}

#[tokio::test(flavor = "multi_thread")]
async fn xl_console_sees_what_the_guest_printed_before_it_came() {
    let (_runtime, factory) = ptys();
    let guest = Guest::new(0);
    let mut console = guest.own(&factory, None);
    let all = lines(0, 20_000);
    let printing = {
        let (guest, all) = (guest.clone(), all.clone());
        std::thread::spawn(move || guest.print(&all))
    };
    let mut seen = Vec::new();
    while seen.len() < all.len() {
        next(&mut console, &mut seen).await;
    }
    printing.join().expect("the guest");
    assert!(seen == all);
    let (mut xl, total) = (open(console.published_tty().expect("a tty")), all.len());
    let mut reader = tokio::task::spawn_blocking(move || {
        let mut read = vec![0; total];
        xl.read_exact(&mut read).expect("read");
        read
    });
    let read = loop {
        tokio::select! {
            read = &mut reader => break read.expect("the reader"),
            _ = console.next(&mut seen) => {}
        }
    };
    assert!(read == all);
    assert!(matches!(console.reconnect(Path::new("/dev/null")), Err(ConsoleError::NoUpstream)));
}

#[tokio::test(flavor = "multi_thread")]
async fn guest_that_changes_indices_all_the_time_costs_a_bounded_amount_and_recovers() {
    let (_runtime, factory) = ptys();
    let guest = Guest::new(0);
    let mut console = guest.own(&factory, None);
    console.send(&[b'i'; 5000]);
    let stop = Arc::new(AtomicBool::default());
    let hostile = {
        let (guest, stop) = (guest.clone(), stop.clone());
        std::thread::spawn(move || {
            let mut state = 1u32;
            while !stop.load(Ordering::Relaxed) {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let offset = [IN_CONS, IN_PROD, OUT_CONS, OUT_PROD][(state >> 30) as usize];
                // Often near each other, so that they make sense by chance; else anything.
                let value = if state & 0x100 == 0 { (state >> 16) & 0xfff } else { state };
                guest.set(offset, value);
                guest.wire.event_to_us();
            }
        })
    };
    let (mut out, mut outputs) = (Vec::new(), 0);
    while outputs < 300 {
        out.clear();
        assert!(matches!(next(&mut console, &mut out).await, ConsoleEvent::Output(Some(_))));
        assert!((1..=OUT_SIZE as usize).contains(&out.len()), "{} bytes", out.len());
        outputs += 1;
        console.consumed();
    }
    stop.store(true, Ordering::Relaxed);
    hostile.join().expect("the guest");

    // A sane guest again: everything goes on.
    for index in [IN_CONS, IN_PROD, OUT_CONS, OUT_PROD] {
        guest.set(index, 7);
    }
    console.consumed();
    guest.set(OUT_CONS, 7);
    guest.print(b"sane");
    out.clear();
    while !out.ends_with(b"sane") {
        next(&mut console, &mut out).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn storm_of_empty_events_does_not_hold_up_data_or_other_tasks() {
    let (_runtime, factory) = ptys();
    let guest = Guest::new(0);
    let mut console = guest.own(&factory, None);
    let stop = Arc::new(AtomicBool::default());
    let storm = {
        let (guest, stop) = (guest.clone(), stop.clone());
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                guest.wire.event_to_us();
            }
        })
    };
    let all = lines(0, 5000);
    let printing = {
        let (guest, all) = (guest.clone(), all.clone());
        std::thread::spawn(move || guest.print(&all))
    };
    let mut seen = Vec::new();
    while seen.len() < all.len() {
        next(&mut console, &mut seen).await;
    }
    printing.join().expect("the guest");
    assert!(seen == all);
    // Nothing to read, events without end: the task still lets others run.
    let other = tokio::time::sleep(Duration::from_millis(20));
    tokio::select! {
        event = console.next(&mut seen) => panic!("{event:?}"),
        () = other => {}
    }
    stop.store(true, Ordering::Relaxed);
    storm.join().expect("the guest");
}

#[tokio::test]
async fn broken_event_channel_closes_the_console() {
    let (_runtime, factory) = ptys();
    let guest = Guest::new(0);
    let mut console = guest.own(&factory, None);
    guest.wire.broken.store(true, Ordering::Relaxed);
    guest.wire.event_to_us();
    let mut out = Vec::new();
    assert_eq!(next(&mut console, &mut out).await, ConsoleEvent::Closed);
    let nothing = tokio::time::timeout(Duration::from_millis(20), console.next(&mut out)).await;
    assert!(nothing.is_err(), "said once");
}
