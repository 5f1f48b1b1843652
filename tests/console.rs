//! Consoles on real ptys: the test plays xenconsoled and `xl console`.

#![expect(clippy::expect_used, reason = "the helpers of tests may fail as tests do")]

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, cfmakeraw, tcgetattr, tcsetattr};
use xenvnc::xen::console::{
    BACKLOG_LIMIT, CHUNK, Console, ConsoleError, ConsoleEvent, INPUT_LIMIT, PtyFactory,
};

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// What xenconsoled has of one domain: a pty whose slave is raw and stays open.
struct Xenconsoled {
    master: File,
    slave: OwnedFd,
    path: PathBuf,
}

impl Xenconsoled {
    fn new() -> Self {
        let pty = nix::pty::openpty(None, None).expect("a pty");
        set_raw(&pty.slave);
        let path = nix::unistd::ttyname(&pty.slave).expect("its name");
        Self { master: pty.master.into(), slave: pty.slave, path }
    }

    /// Reads exactly `count` bytes that were typed towards the guest.
    fn typed(&mut self, count: usize) -> Vec<u8> {
        read_exactly(&mut self.master, count)
    }
}

fn set_raw(terminal: impl AsFd) {
    let mut settings = tcgetattr(&terminal).expect("a terminal");
    cfmakeraw(&mut settings);
    tcsetattr(&terminal, SetArg::TCSANOW, &settings).expect("raw");
}

/// Opens a tty as `xl console` does.
fn xl_console(path: &Path) -> File {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOCTTY)
        .open(path)
        .expect("the published tty");
    set_raw(&file);
    file
}

fn is_readable(file: &File, wait: Duration) -> bool {
    let mut polled = [PollFd::new(file.as_fd(), PollFlags::POLLIN)];
    let timeout = PollTimeout::try_from(wait).expect("a timeout");
    nix::poll::poll(&mut polled, timeout).expect("poll") > 0
}

fn read_exactly(file: &mut File, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    let mut filled = 0;
    while filled < count {
        assert!(is_readable(file, PATIENCE), "only {filled} of {count} bytes came");
        filled += file.read(&mut bytes[filled..]).expect("read");
    }
    bytes
}

/// Bytes in which no piece looks like another.
fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1du64;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        })
        .collect()
}

async fn next(console: &mut Console, out: &mut Vec<u8>) -> ConsoleEvent {
    tokio::time::timeout(PATIENCE, console.next(out)).await.expect("nothing happened")
}

/// Collects guest output until there are `count` bytes of it.
async fn output(console: &mut Console, count: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < count {
        let before = all.len();
        assert_eq!(next(console, &mut all).await, ConsoleEvent::Output(None));
        assert!(all.len() > before && all.len() - before <= CHUNK);
    }
    all
}

/// Lets the console shuttle bytes while a blocking thread works.
async fn while_driving<T: Send + 'static>(
    console: &mut Console,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let mut work = tokio::task::spawn_blocking(work);
    let mut out = Vec::new();
    loop {
        tokio::select! {
            result = &mut work => return result.expect("the thread"),
            _ = console.next(&mut out) => out.clear(),
        }
    }
}

fn ptys() -> (tempfile::TempDir, PtyFactory) {
    let runtime = tempfile::tempdir().expect("a directory");
    let factory = PtyFactory::new(runtime.path()).expect("a pty factory");
    (runtime, factory)
}

#[tokio::test(flavor = "multi_thread")]
async fn both_readers_see_every_byte_and_both_can_type() {
    const TOTAL: usize = 6 * 1024 * 1024;
    const WINDOW: usize = BACKLOG_LIMIT / 2;
    let (_runtime, factory) = ptys();
    let mut upstream = Xenconsoled::new();
    let mut console = Console::interpose(&upstream.path, &factory, 3).expect("a console");
    let mut xl = xl_console(console.published_tty().expect("a tty"));

    // The guest is held to what `xl console` is behind, because we never are.
    let seen = Arc::new(AtomicUsize::new(0));
    let guest = {
        let (seen, mut master) = (seen.clone(), upstream.master.try_clone().expect("a clone"));
        std::thread::spawn(move || {
            for (index, piece) in noise(TOTAL).chunks(16 * 1024).enumerate() {
                while index * 16 * 1024 > seen.load(Ordering::Acquire) + WINDOW {
                    std::thread::yield_now();
                }
                master.write_all(piece).expect("write");
            }
        })
    };
    let other = {
        let mut xl = xl.try_clone().expect("a clone");
        std::thread::spawn(move || {
            let mut all = Vec::new();
            while all.len() < TOTAL {
                all.extend(read_exactly(&mut xl, 1));
                let mut more = [0; 65536];
                if is_readable(&xl, Duration::ZERO) {
                    let count = xl.read(&mut more).expect("read");
                    all.extend_from_slice(&more[..count]);
                }
                seen.store(all.len(), Ordering::Release);
            }
            all
        })
    };
    let ours = output(&mut console, TOTAL).await;
    guest.join().expect("the guest");
    let theirs = while_driving(&mut console, move || other.join().expect("the reader")).await;
    assert!(ours == noise(TOTAL), "what the VNC side saw");
    assert!(theirs == ours, "what xl console saw");
    assert_eq!(console.dropped_bytes(), 0);

    assert_eq!(console.send(b"vnc"), 3);
    xl.write_all(b"xl").expect("type");
    let typed = while_driving(&mut console, move || upstream.typed(5)).await;
    assert!(typed == b"vncxl" || typed == b"xlvnc", "{typed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pty_and_reader_stay_while_xenconsoled_restarts() {
    let (_runtime, factory) = ptys();
    let mut upstream = Xenconsoled::new();
    let mut console = Console::interpose(&upstream.path, &factory, 3).expect("a console");
    let published = console.published_tty().expect("a tty").to_owned();
    let target = fs::read_link(&published).expect("a symlink");
    let mut xl = xl_console(&published);
    for life in 0..3u8 {
        upstream.master.write_all(&[b'a' + life; 100]).expect("write");
        assert_eq!(output(&mut console, 100).await, [b'a' + life; 100]);
        // Its last words are not promised (the kernel throws the buffer of a closed master away), the news is.
        drop(upstream);
        let mut out = Vec::new();
        assert_eq!(next(&mut console, &mut out).await, ConsoleEvent::UpstreamGone);
        // Said once; typing waits for the next upstream.
        console.send(b"typed ");
        xl.write_all(b"meanwhile").expect("type");
        let mut again = Vec::new();
        let quiet = tokio::time::timeout(Duration::from_millis(50), console.next(&mut again)).await;
        assert!(quiet.is_err(), "{quiet:?}");
        upstream = Xenconsoled::new();
        assert!(matches!(
            console.reconnect(Path::new("/dev/pts/no-such")),
            Err(ConsoleError::Missing { .. })
        ));
        console.reconnect(&upstream.path).expect("the new upstream");
        let (typed, back) = while_driving(&mut console, move || (upstream.typed(15), upstream)).await;
        assert_eq!(typed, b"typed meanwhile");
        upstream = back;
    }
    assert_eq!(console.published_tty(), Some(published.as_path()));
    assert_eq!(fs::read_link(&published).expect("a symlink"), target);
    assert_eq!(read_exactly(&mut xl, 300), [[b'a'; 100], [b'b'; 100], [b'c'; 100]].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn absent_reader_never_holds_the_guest_up_and_finds_oldest_and_newest() {
    const TOTAL: usize = 4 * 1024 * 1024;
    let (_runtime, factory) = ptys();
    let upstream = Xenconsoled::new();
    let mut console = Console::interpose(&upstream.path, &factory, 3).expect("a console");
    let all: Vec<u8> = (0..).flat_map(|number: u32| format!("{number}\n").into_bytes()).take(TOTAL).collect();
    let guest = {
        let (mut master, all) = (upstream.master.try_clone().expect("a clone"), all.clone());
        std::thread::spawn(move || master.write_all(&all).expect("write"))
    };
    assert!(output(&mut console, TOTAL).await == all);
    guest.join().expect("the guest");
    assert!(!console.another_reader());

    let kept = TOTAL - usize::try_from(console.dropped_bytes()).expect("a size");
    assert!(kept > BACKLOG_LIMIT / 2 && kept < BACKLOG_LIMIT + 256 * 1024, "{kept} bytes wait");
    let mut xl = xl_console(console.published_tty().expect("a tty"));
    let read = while_driving(&mut console, move || read_exactly(&mut xl, kept)).await;
    let prefix = read.iter().zip(&all).take_while(|(found, wanted)| found == wanted).count();
    assert!(prefix >= 4000, "the oldest {prefix} bytes are there");
    assert!(all.ends_with(&read[prefix..]), "and the newest without a hole");
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_reader_gets_the_rest_when_it_goes_on() {
    const TOTAL: usize = 512 * 1024;
    let (_runtime, factory) = ptys();
    let upstream = Xenconsoled::new();
    let mut console = Console::interpose(&upstream.path, &factory, 3).expect("a console");
    let mut xl = xl_console(console.published_tty().expect("a tty"));
    let all = noise(TOTAL);
    let guest = {
        let (mut master, all) = (upstream.master.try_clone().expect("a clone"), all.clone());
        std::thread::spawn(move || master.write_all(&all).expect("write"))
    };
    assert!(output(&mut console, TOTAL).await == all, "drained at once");
    guest.join().expect("the guest");
    // Sizes around those of the kernel's buffers, so that each way of being woken is met.
    let read = while_driving(&mut console, move || {
        let mut read = Vec::new();
        for size in [1, 4095, 1, 4096, 127, 128, 129, 8192, 100, 65536, 3000].into_iter().cycle() {
            read.extend(read_exactly(&mut xl, size.min(TOTAL - read.len())));
            if read.len() == TOTAL {
                return read;
            }
        }
        read
    })
    .await;
    assert!(read == all);
}

#[tokio::test(flavor = "multi_thread")]
async fn guest_output_is_never_echoed_back_as_input() {
    let (_runtime, factory) = ptys();
    let mut upstream = Xenconsoled::new();
    // Even if the upstream was left in the mode of a new terminal.
    let mut cooked = tcgetattr(&upstream.slave).expect("a terminal");
    cooked.local_flags |= LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG;
    tcsetattr(&upstream.slave, SetArg::TCSANOW, &cooked).expect("cooked");
    let mut console = Console::interpose(&upstream.path, &factory, 3).expect("a console");
    upstream.master.write_all(b"login: \x03\x04\r\n$ ").expect("write");
    assert_eq!(output(&mut console, 13).await, b"login: \x03\x04\r\n$ ");
    console.send(b"!");
    let (typed, upstream) = while_driving(&mut console, move || (upstream.typed(1), upstream)).await;
    assert_eq!(typed, b"!", "the first byte towards the guest is the first that was typed");

    // Another program makes our pty cooked: repaired at its first typing.
    let xl = xl_console(console.published_tty().expect("a tty"));
    let mut settings = tcgetattr(&xl).expect("a terminal");
    settings.local_flags |= LocalFlags::ECHO;
    tcsetattr(&xl, SetArg::TCSANOW, &settings).expect("echo");
    let mut typing = xl.try_clone().expect("a clone");
    typing.write_all(b"?").expect("type");
    let mut upstream = upstream;
    let typed = while_driving(&mut console, move || upstream.typed(1)).await;
    assert_eq!(typed, b"?");
    assert!(!tcgetattr(&xl).expect("a terminal").local_flags.contains(LocalFlags::ECHO));
}

#[tokio::test(flavor = "multi_thread")]
async fn input_is_bounded_and_what_was_taken_arrives() {
    let (_runtime, factory) = ptys();
    let mut upstream = Xenconsoled::new();
    let mut console = Console::interpose(&upstream.path, &factory, 3).expect("a console");
    let paste = noise(INPUT_LIMIT + 1000);
    let mut taken = console.send(&paste);
    assert_eq!(taken, INPUT_LIMIT);
    assert_eq!(console.send(&paste[taken..]), 0, "refused, not dropped");
    // The guest does not read: what fits into its pty goes, the rest stays ours.
    let mut out = Vec::new();
    let quiet = tokio::time::timeout(Duration::from_millis(50), console.next(&mut out)).await;
    assert!(quiet.is_err());
    taken += console.send(&paste[taken..]);
    let (typed, mut upstream) = while_driving(&mut console, move || (upstream.typed(taken), upstream)).await;
    assert!(typed == paste[..taken]);
    upstream.master.write_all(b"x").expect("write");
    assert_eq!(output(&mut console, 1).await, b"x");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_reader_is_noticed_by_what_it_reads() {
    let (_runtime, factory) = ptys();
    let mut upstream = Xenconsoled::new();
    let mut console = Console::interpose(&upstream.path, &factory, 3).expect("a console");
    assert!(!console.another_reader(), "before the first byte");
    upstream.master.write_all(b"prompt$ ").expect("write");
    output(&mut console, 8).await;
    assert!(!console.another_reader());
    wait_until(|| !console.another_reader()).await;
    let mut xl = xl_console(console.published_tty().expect("a tty"));
    let read = while_driving(&mut console, move || (read_exactly(&mut xl, 8), xl)).await;
    assert_eq!(read.0, b"prompt$ ");
    wait_until(|| console.another_reader()).await;
    // A query comes right behind other output: the verdict from before holds.
    upstream.master.write_all(b"\x1b[6n").expect("write");
    output(&mut console, 4).await;
    assert!(console.another_reader());
    drop(read);
    upstream.master.write_all(b"nobody").expect("write");
    output(&mut console, 6).await;
    while_driving(&mut console, || std::thread::sleep(Duration::from_millis(1))).await;
    wait_until(|| !console.another_reader()).await;
}

async fn wait_until(condition: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "it did not come true");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attached_console_shares_the_pty() {
    let mut upstream = Xenconsoled::new();
    let mut console = Console::attach(&upstream.path).expect("a console");
    assert_eq!(console.published_tty(), None);
    assert!(!console.another_reader());
    upstream.master.write_all(b"hello").expect("write");
    assert_eq!(output(&mut console, 5).await, b"hello");
    // Another program may ask to be told at once when nothing is there; that is not the end.
    let mut settings = tcgetattr(&upstream.slave).expect("a terminal");
    settings.control_chars[SpecialCharacterIndices::VMIN as usize] = 0;
    tcsetattr(&upstream.slave, SetArg::TCSANOW, &settings).expect("VMIN 0");
    upstream.master.write_all(b"again").expect("write");
    assert_eq!(output(&mut console, 5).await, b"again");
    console.send(b"typed");
    let (typed, mut upstream) = while_driving(&mut console, move || (upstream.typed(5), upstream)).await;
    assert_eq!(typed, b"typed");
    upstream.master.write_all(b"more").expect("write");
    assert_eq!(output(&mut console, 4).await, b"more");
    drop(upstream);
    assert_eq!(next(&mut console, &mut Vec::new()).await, ConsoleEvent::UpstreamGone);
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_in_quick_succession_all_come_while_something_is_typed_and_so_does_the_end() {
    const LINES: usize = 40_000;
    let mut upstream = Xenconsoled::new();
    let mut console = Console::attach(&upstream.path).expect("a console");
    let lines: Vec<String> = (0..LINES).map(|number| format!("line {number}\n")).collect();
    let printed = lines.concat();
    console.send(b"typed");
    let guest = std::thread::spawn(move || {
        // The console rests now and then, which holds up neither what is typed nor the end.
        for (number, line) in lines.iter().enumerate() {
            upstream.master.write_all(line.as_bytes()).expect("write");
            if number == LINES / 2 {
                assert_eq!(upstream.typed(5), b"typed");
            }
        }
        upstream
    });
    let seen = output(&mut console, printed.len()).await;
    assert!(seen == printed.as_bytes(), "not what was printed");
    drop(guest.join().expect("the guest"));
    assert_eq!(next(&mut console, &mut Vec::new()).await, ConsoleEvent::UpstreamGone);
}

/// A kill leaves the symlink and closes the pty; the tests play it by putting the symlink back.
#[tokio::test(flavor = "multi_thread")]
async fn dead_tty_is_nobodys_and_numbers_that_come_again_do_not_confuse() {
    let (runtime, factory) = ptys();
    let upstream = Xenconsoled::new();
    let console = Console::interpose(&upstream.path, &factory, 3).expect("a console");
    let published = console.published_tty().expect("a tty").to_owned();
    let target = fs::read_link(&published).expect("a symlink");
    let device = fs::metadata(&published).map(|found| (found.dev(), found.rdev())).expect("metadata");
    drop(console);
    assert!(fs::symlink_metadata(&published).is_err(), "an orderly end leaves no symlink");
    std::os::unix::fs::symlink(&target, &published).expect("a symlink");

    // A restarted daemon finds its own dead path in the store: never an upstream.
    let result = Console::interpose(&published, &factory, 3);
    assert!(matches!(result, Err(ConsoleError::OwnPty { .. })), "{result:?}");
    if factory.fallback().is_none() {
        // Other programs open terminals; none of them gets the dead one.
        let strangers: Vec<_> = (0..20).map(|_| nix::pty::openpty(None, None).expect("a pty")).collect();
        assert!(OpenOptions::new().read(true).write(true).open(&published).is_err());
        drop(strangers);
    }
    drop(factory);

    // The new run hands the same number to another domain; the dead symlink must not lead there.
    let factory = PtyFactory::new(runtime.path()).expect("a factory");
    let mut other = Xenconsoled::new();
    let mut console = Console::interpose(&other.path, &factory, 4).expect("a console");
    assert!(fs::symlink_metadata(&published).is_err());
    if factory.fallback().is_none() {
        assert_eq!(fs::read_link(console.published_tty().expect("a tty")).expect("a symlink"), target);
        let found = fs::metadata(&target).expect("metadata");
        assert_eq!(found.rdev(), device.1, "the same number");
    }
    other.master.write_all(b"alive").expect("write");
    assert_eq!(output(&mut console, 5).await, b"alive");

    // And the first domain is there again, under the same name as ever.
    let back = Console::interpose(&upstream.path, &factory, 3).expect("a console");
    assert_eq!(back.published_tty(), Some(published.as_path()));
    let target = fs::read_link(&published).expect("a symlink");
    let result = Console::interpose(&target, &factory, 5);
    if factory.fallback().is_none() {
        assert!(matches!(result, Err(ConsoleError::OwnPty { .. })), "{result:?}");
    }
}

/// Root can hang a terminal up (`vhangup`, as `getty` does), which closes it for everybody, us too.
#[tokio::test(flavor = "multi_thread")]
async fn own_pty_survives_being_hung_up() {
    const HANG_UP: &str = "open my $tty, '+<', $ARGV[0] or die; ioctl($tty, 0x5437, 0) or exit 3";
    let (_runtime, factory) = ptys();
    let mut upstream = Xenconsoled::new();
    let mut console = Console::interpose(&upstream.path, &factory, 3).expect("a console");
    let tty = console.published_tty().expect("a tty").to_owned();
    let run = std::process::Command::new("perl").args(["-e", HANG_UP]).arg(&tty).status();
    if !run.is_ok_and(|status| status.success()) {
        return; // Neither root nor perl here: then nobody hangs it up.
    }
    // What the guest prints now must not find the mode of a new terminal.
    upstream.master.write_all(b"prompt\n").expect("write");
    assert_eq!(output(&mut console, 7).await, b"prompt\n");
    let mut xl = while_driving(&mut console, move || {
        File::options().read(true).write(true).open(&tty).expect("the published tty")
    })
    .await;
    let found = tcgetattr(&xl).expect("a terminal");
    assert!(!found.local_flags.intersects(LocalFlags::ECHO | LocalFlags::ICANON));
    xl.write_all(b"typed").expect("type");
    let (typed, seen) =
        while_driving(&mut console, move || (upstream.typed(5), read_exactly(&mut xl, 7))).await;
    assert_eq!((typed, seen), (b"typed".to_vec(), b"prompt\n".to_vec()));
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_console_is_not_woken() {
    let (_runtime, factory) = ptys();
    let upstream = Xenconsoled::new();
    let mut console = Console::interpose(&upstream.path, &factory, 3).expect("a console");
    // What an absent reader did not read waits, and that costs nothing either.
    let mut master = upstream.master.try_clone().expect("a clone");
    let guest = std::thread::spawn(move || master.write_all(&[b'x'; 100_000]).expect("write"));
    output(&mut console, 100_000).await;
    guest.join().expect("the guest");
    let mut out = Vec::new();
    for settled in [false, true] {
        let mut polls = 0;
        let mut next = std::pin::pin!(console.next(&mut out));
        let counted = std::future::poll_fn(|context| {
            polls += 1;
            next.as_mut().poll(context)
        });
        let quiet = tokio::time::timeout(Duration::from_millis(100), counted).await;
        assert!(quiet.is_err(), "{quiet:?}");
        // Once to ask and once because the time is over.
        assert!(!settled || polls <= 2, "{polls} polls");
    }
}

#[tokio::test]
async fn hostile_tty_paths_have_names() {
    use std::os::unix::ffi::OsStrExt;

    let directory = tempfile::tempdir().expect("a directory");
    let file = |name: &str| directory.path().join(name);
    fs::write(file("regular"), b"").expect("a file");
    nix::unistd::mkfifo(&file("fifo"), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    let _socket = std::os::unix::net::UnixListener::bind(file("socket")).expect("a socket");
    std::os::unix::fs::symlink("loop", file("loop")).expect("a symlink");
    std::os::unix::fs::symlink("nowhere", file("dangling")).expect("a symlink");
    let non_utf8 = Path::new(std::ffi::OsStr::from_bytes(b"/dev/pts/\xff"));
    let huge = PathBuf::from(format!("/{}", "x".repeat(100_000)));

    let error = |path: &Path| Console::attach(path).expect_err("refused");
    let not_a_pty = |path: &Path| match error(path) {
        ConsoleError::NotAPty { found, .. } => found,
        other => panic!("{path:?}: {other:?}"),
    };
    assert!(matches!(error(Path::new("")), ConsoleError::Empty));
    for path in [Path::new("dev/pts/0"), Path::new("/dev/pts/../zero"), non_utf8, &huge] {
        assert!(matches!(error(path), ConsoleError::BadPath { .. }));
    }
    assert!(matches!(error(Path::new("/dev/pts/\0")), ConsoleError::BadPath { .. }));
    for path in [file("missing"), file("dangling"), file("regular/below"), "/dev/pts/4000000".into()] {
        assert!(matches!(error(&path), ConsoleError::Missing { .. }), "{path:?}");
    }
    assert_eq!(not_a_pty(directory.path()), "a directory");
    assert_eq!(not_a_pty(&file("regular")), "a regular file");
    assert_eq!(not_a_pty(&file("fifo")), "a FIFO");
    assert_eq!(not_a_pty(&file("socket")), "a socket");
    assert_eq!(not_a_pty(&file("loop")), "a loop of symlinks");
    assert_eq!(not_a_pty(Path::new("/dev/zero")), "character device 1:5");
    assert_eq!(not_a_pty(Path::new("/dev/ptmx")), "character device 5:2");

    let gone = Xenconsoled::new().path;
    assert!(matches!(error(&gone), ConsoleError::Missing { .. }), "a pty whose master was closed");
}

#[test]
fn without_a_runtime_is_an_error() {
    let upstream = Xenconsoled::new();
    assert!(matches!(Console::attach(&upstream.path), Err(ConsoleError::System { .. })));
}
