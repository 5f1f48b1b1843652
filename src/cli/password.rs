//! `xenvnc password`: a line for a users file.

use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::os::fd::AsFd;

use anyhow::{Context, bail};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::daemon::user_line;

/// More than any password has, in bytes.
const LINE_BYTES: u64 = 4096;

pub(super) fn line(user: &str) -> anyhow::Result<()> {
    let stdin = io::stdin();
    let password = if stdin.is_terminal() {
        let _silence = Silence::new(&stdin).context("the terminal's echo")?;
        let first = ask("Password: ")?;
        if *first != *ask("Once more: ")? {
            bail!("the two are not the same");
        }
        first
    } else {
        read_line()?
    };
    writeln!(io::stdout(), "{}", user_line(user, &password)?)?;
    Ok(())
}

fn ask(prompt: &str) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let mut terminal = io::stderr();
    write!(terminal, "{prompt}")?;
    let line = read_line();
    writeln!(terminal)?;
    line
}

/// A line of standard input, without its end.
fn read_line() -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let mut line = Zeroizing::new(Vec::with_capacity(256));
    io::stdin().lock().take(LINE_BYTES).read_until(b'\n', &mut line).context("standard input")?;
    while line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
        line.pop();
    }
    Ok(line)
}

/// Keeps a terminal from showing what is typed, until this is dropped.
struct Silence(Termios);

impl Silence {
    fn new(terminal: &impl AsFd) -> nix::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut silent = before.clone();
        silent.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(terminal, SetArg::TCSAFLUSH, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // There is nobody left to tell.
        let _ = tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &self.0);
    }
}
