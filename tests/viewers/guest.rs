//! A guest as the daemon meets it: a pty that a (made-up) xenconsoled holds, with a real program behind it.
//!
//! A Linux guest has a line discipline of its own (its hvc0), and xenconsoled's pty is raw. So there are two ptys here:
//! the program runs on the first, which is cooked; a pump copies between its master and the master of the second,
//! whose slave is raw and is what gets published.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{OpenptyResult, openpty};
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};

/// What xenconsoled keeps of output that nobody reads, in bytes; its own limit is 1 MiB.
const PUMP_BYTES: usize = 1 << 20;

/// A running guest. The program and the ptys end with this value.
pub(crate) struct Guest {
    tty: PathBuf,
    program: Child,
    stop: UnixStream,
    pump: Option<JoinHandle<()>>,
}

impl Guest {
    /// A shell with a short prompt, as somebody who has logged in on the console would see it.
    pub(crate) fn shell() -> Self {
        let mut shell = Command::new("setsid");
        shell.args(["--ctty", "bash", "--norc", "--noprofile", "-i"]);
        Self::run(shell)
    }

    fn run(mut program: Command) -> Self {
        let OpenptyResult { master: inner, slave: terminal } = openpty(None, None).expect("a pty");
        let (outer, slave, tty) = raw_pty();
        let end = || Stdio::from(terminal.try_clone().expect("another handle of a pty"));
        program
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs([("TERM", "linux"), ("PS1", "guest$ "), ("LANG", "C.UTF-8"), ("HOME", "/")])
            .current_dir("/")
            .stdin(end())
            .stdout(end())
            .stderr(end());
        let program = program.spawn().expect("the guest's program");
        let (stop, stopped) = UnixStream::pair().expect("a pair of sockets");
        // The slave stays open in the pump, as it does in xenconsoled: the pty outlives its readers.
        let pump = thread::spawn(move || {
            pump(&inner.into(), &outer, &stopped);
            drop(slave);
        });
        Self { tty, program, stop, pump: Some(pump) }
    }

    /// What xenconsoled would publish as `console/tty`.
    pub(crate) fn tty(&self) -> &Path {
        &self.tty
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // A program that has ended already is no fault.
        let _ = self.program.kill();
        let _ = self.program.wait();
        let _ = self.stop.write_all(b"x");
        if let Some(pump) = self.pump.take() {
            let _ = pump.join();
        }
    }
}

/// A pty whose slave is raw: its master, its slave, and the slave's name.
pub(crate) fn raw_pty() -> (File, OwnedFd, PathBuf) {
    let OpenptyResult { master, slave } = openpty(None, None).expect("a pty");
    let mut mode = tcgetattr(&slave).expect("the mode of a pty");
    cfmakeraw(&mut mode);
    tcsetattr(&slave, SetArg::TCSANOW, &mode).expect("a raw pty");
    let tty = nix::unistd::ttyname(&slave).expect("the name of a pty");
    (master.into(), slave, tty)
}

/// Copies both ways until told to stop or until an end is gone. What one side does not take waits, up to a limit; then
/// the other side is not read any more.
fn pump(inner: &File, outer: &File, stopped: &UnixStream) {
    for end in [inner, outer] {
        let flags = nix::fcntl::OFlag::O_NONBLOCK;
        nix::fcntl::fcntl(end, nix::fcntl::FcntlArg::F_SETFL(flags)).expect("a non-blocking pty");
    }
    let (mut outwards, mut inwards) = (Vec::new(), Vec::new());
    loop {
        let interest = |towards: &Vec<u8>, from: &Vec<u8>| {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::POLLOUT, !towards.is_empty());
            flags.set(PollFlags::POLLIN, from.len() < PUMP_BYTES);
            flags
        };
        let mut waits = [
            PollFd::new(inner.as_fd(), interest(&inwards, &outwards)),
            PollFd::new(outer.as_fd(), interest(&outwards, &inwards)),
            PollFd::new(stopped.as_fd(), PollFlags::POLLIN),
        ];
        poll(&mut waits, PollTimeout::NONE).expect("poll");
        let ready = |index: usize| waits[index].revents().is_some_and(|flags| !flags.is_empty());
        if ready(2) {
            return;
        }
        let (inner_ready, outer_ready) = (ready(0), ready(1));
        if (inner_ready && !(copy_in(inner, &mut outwards) && copy_out(inner, &mut inwards)))
            || (outer_ready && !(copy_in(outer, &mut inwards) && copy_out(outer, &mut outwards)))
        {
            return;
        }
    }
}

/// Reads what is there; false when the end is gone.
fn copy_in(mut from: &File, into: &mut Vec<u8>) -> bool {
    let mut chunk = [0; 4096];
    if into.len() >= PUMP_BYTES {
        return true;
    }
    match from.read(&mut chunk) {
        Ok(0) => false,
        Ok(count) => {
            into.extend_from_slice(&chunk[..count]);
            true
        }
        Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
    }
}

/// Writes what fits; false when the end is gone.
fn copy_out(mut to: &File, from: &mut Vec<u8>) -> bool {
    if from.is_empty() {
        return true;
    }
    match to.write(from) {
        Ok(count) => {
            from.drain(..count);
            true
        }
        Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
    }
}
