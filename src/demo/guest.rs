//! The inside of a simulated domain: a shell on a terminal of its own.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::PoisonError;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, setsid};
use tokio::process::Child;
use tokio::signal::unix::{SignalKind, signal};

use super::console::INHERITANCE;
use super::{DemoError, Options};

/// How a life ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Reboot,
    PowerOff,
}

/// The commands of a guest that end its life, with what they ask for.
const COMMANDS: [(&str, Ending); 4] = [
    ("reboot", Ending::Reboot),
    ("poweroff", Ending::PowerOff),
    ("halt", Ending::PowerOff),
    ("shutdown", Ending::PowerOff),
];

/// Turns this process into a guest's shell on the terminal `tty`: a new session, the terminal as its controlling one,
/// `$SHELL` in its place. Returns only when that fails.
///
/// It is a process of its own because a session can be made safely only before there are threads to share it with:
/// what runs between fork and exec in the host's own process would be unsafe code.
#[must_use]
pub fn run(tty: &Path) -> io::Error {
    let become_shell = || -> io::Result<io::Error> {
        // A shell cannot undo that a signal was ignored when it started, as SIGINT is in whatever a script put into
        // the background. A handler that is installed here becomes the default by the exec (execve(2)).
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let _inside = runtime.enter();
        let mut handlers = Vec::new();
        for number in SIGNALS {
            handlers.push(signal(SignalKind::from_raw(number as i32))?);
        }
        setsid()?;
        // The first terminal that a session's leader opens becomes the session's.
        let mut terminal = fs::File::options().read(true).write(true).open(tty)?;
        let shell = std::env::var_os("SHELL").unwrap_or_else(|| OsString::from(FALLBACK_SHELL));
        let (input, output, errors) = (terminal.try_clone()?, terminal.try_clone()?, terminal.try_clone()?);
        let mut command = Command::new(&shell);
        if kind(Path::new(&shell)) == ShellKind::Bash
            && let Some(file) = std::env::var_os(STARTUP)
        {
            command.arg("--rcfile").arg(file);
        }
        let error = command.env_remove(STARTUP).stdin(input).stdout(output).stderr(errors).exec();
        // Only this terminal is looked at by anybody.
        write!(terminal, "cannot run {shell:?}: {error}\r\n")?;
        Ok(error)
    };
    become_shell().unwrap_or_else(|error| error)
}

/// The signals that matter to an interactive shell and what it runs.
const SIGNALS: [Signal; 7] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGTSTP,
    Signal::SIGTTIN,
    Signal::SIGTTOU,
];

const FALLBACK_SHELL: &str = "/bin/sh";

/// Names the file that bash is to read at its start, from the host to [`run`].
const STARTUP: &str = "XENVNC_DEMO_STARTUP";

/// How a shell can be made to take our commands before those of the machine, whatever the user's own files do to
/// `PATH`: the `reboot` of a machine on which somebody tries the demo as root is a real one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ShellKind {
    /// Reads a file that is named on its command line, and takes functions from the environment.
    Bash,
    /// Reads the file that `ENV` names (POSIX.1-2024, `sh`, "ENV").
    Posix,
    /// It has our commands in `PATH` and nothing else.
    Other,
}

fn kind(shell: &Path) -> ShellKind {
    match shell.file_name().and_then(|name| name.to_str()) {
        Some("bash" | "rbash") => ShellKind::Bash,
        Some("sh" | "dash" | "ash" | "ksh" | "ksh93" | "mksh") => ShellKind::Posix,
        _ => ShellKind::Other,
    }
}

/// Whether `reboot` and its like, typed without a path, surely mean the domain in the shell of these options.
pub(super) fn commands_are_safe(options: &Options) -> bool {
    kind(Path::new(&shell(options))) != ShellKind::Other
}

/// A running shell. It is killed when this is dropped, by way of `child`.
pub(super) struct Guest {
    child: Child,
    /// The leader of its session.
    pub(super) leader: Pid,
    directory: PathBuf,
}

impl Guest {
    /// Starts a shell on the terminal `tty` with its commands in `directory`, which is made.
    pub(super) fn start(options: &Options, tty: &Path, directory: PathBuf) -> Result<Self, DemoError> {
        let failed = |source| DemoError::Guest { helper: options.helper.clone(), source };
        let commands = directory.join("bin");
        install_commands(&directory, &commands).map_err(failed)?;
        let shell = shell(options);
        let environment =
            shell_environment(kind(Path::new(&shell)), &directory, &commands).map_err(failed)?;
        let mut path = commands.into_os_string();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/bin:/bin")));
        let (program, arguments) =
            options.helper.split_first().ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
        let mut command = tokio::process::Command::new(program);
        command
            .args(arguments)
            .arg(tty)
            .env("PATH", path)
            .env("SHELL", shell)
            .envs(environment)
            .env("TERM", "xterm-256color")
            .env_remove("COLUMNS")
            .env_remove("LINES")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let child = {
            let _alone = INHERITANCE.lock().unwrap_or_else(PoisonError::into_inner);
            command.spawn().map_err(failed)?
        };
        let number = child.id().and_then(|id| i32::try_from(id).ok());
        let leader = Pid::from_raw(number.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?);
        fs::write(directory.join("pid"), leader.to_string()).map_err(failed)?;
        Ok(Self { child, leader, directory })
    }

    /// Waits until the shell ends, by whatever means, and says what was asked for.
    pub(super) async fn wait(&mut self) -> Ending {
        // An error means that it was reaped already, and so that it ended.
        let _ = self.child.wait().await;
        let request = fs::read_to_string(self.directory.join("request")).unwrap_or_default();
        if request.trim() == "poweroff" { Ending::PowerOff } else { Ending::Reboot }
    }
}

/// Writes the scripts that end a life. Each names its own domain's files, hence acts on that domain only.
fn install_commands(directory: &Path, commands: &Path) -> io::Result<()> {
    fs::create_dir_all(commands)?;
    let quoted = quoted(directory);
    for (name, ending) in COMMANDS {
        let request = if ending == Ending::Reboot { "reboot" } else { "poweroff" };
        let script = format!(
            "#!/bin/sh\n# Ends this simulated domain, and nothing else.\n\
             echo {request} >{quoted}/request && kill -KILL \"$(cat {quoted}/pid)\"\n"
        );
        let path = commands.join(name);
        fs::write(&path, script)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// A path as one word of a shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

/// What makes a shell prefer our commands. Writes the file that it reads at its start, which reads the user's own one
/// first: functions go before `PATH`, and aliases, which go before functions, are taken away.
fn shell_environment(
    kind: ShellKind,
    directory: &Path,
    commands: &Path,
) -> io::Result<Vec<(String, OsString)>> {
    let users = match kind {
        ShellKind::Bash => "if [ -r ~/.bashrc ]; then . ~/.bashrc; fi\n".to_owned(),
        ShellKind::Posix => std::env::var_os("ENV").map_or_else(String::new, |file| {
            let file = quoted(Path::new(&file));
            format!("if [ -r {file} ]; then . {file}; fi\n")
        }),
        ShellKind::Other => return Ok(Vec::new()),
    };
    let mut startup = format!("{users}PATH={}:$PATH\n", quoted(commands));
    let mut environment = Vec::new();
    for (name, _) in COMMANDS {
        let body = format!("{{ {} \"$@\"; }}", quoted(&commands.join(name)));
        startup.push_str(&format!("unalias {name} 2>/dev/null || :\n{name}() {body}\n"));
        if kind == ShellKind::Bash {
            // For every bash below this one, too.
            environment.push((format!("BASH_FUNC_{name}%%"), format!("() {body}").into()));
        }
    }
    let file = directory.join("startup");
    fs::write(&file, startup)?;
    let variable = if kind == ShellKind::Bash { STARTUP } else { "ENV" };
    environment.push((variable.to_owned(), file.into()));
    Ok(environment)
}

/// The shell to run: the one asked for, else the user's, else the one that every system has.
fn shell(options: &Options) -> OsString {
    let users = || std::env::var_os("SHELL").filter(|shell| Path::new(shell).is_file());
    let wanted = options.shell.as_ref().map(|shell| shell.clone().into_os_string());
    wanted.or_else(users).unwrap_or_else(|| OsString::from(FALLBACK_SHELL))
}

/// Kills every process of these sessions, background ones included.
pub(super) fn kill_sessions(leaders: &[Pid]) {
    if leaders.is_empty() {
        return;
    }
    // A process may fork between being listed and being killed; its child is found in the next round.
    for _ in 0..3 {
        let mut found = false;
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(number) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            if session(&stat).is_some_and(|(alive, session)| alive && leaders.contains(&session)) {
                found = true;
                let _ = kill(Pid::from_raw(number), Signal::SIGKILL);
            }
        }
        if !found {
            return;
        }
    }
}

/// Whether a process lives, and its session, from `/proc/PID/stat` (proc_pid_stat(5)). The name in it may hold
/// anything, hence what counts comes after the last parenthesis: state, parent, group, session.
fn session(stat: &str) -> Option<(bool, Pid)> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let alive = !matches!(fields.next()?, "Z" | "X");
    Some((alive, Pid::from_raw(fields.nth(2)?.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_read_behind_hostile_names() {
        assert_eq!(session("12 (sh) S 1 12 12 0 -1"), Some((true, Pid::from_raw(12))));
        assert_eq!(session("12 (a) S 9 9 9 (b) Z 1 7 8 0"), Some((false, Pid::from_raw(8))));
        assert_eq!(session(""), None);
        let own = session(&fs::read_to_string("/proc/self/stat").unwrap()).unwrap();
        assert_eq!(own.1, nix::unistd::getsid(None).unwrap());
    }

    #[test]
    fn commands_quote_their_directory() {
        let directory = tempfile::Builder::new().prefix("it's a ").tempdir().unwrap();
        let commands = directory.path().join("bin");
        install_commands(directory.path(), &commands).unwrap();
        fs::write(directory.path().join("pid"), "not a number").unwrap();
        let ran = Command::new(commands.join("reboot")).stderr(Stdio::null()).status().unwrap();
        assert!(!ran.success());
        assert_eq!(fs::read_to_string(directory.path().join("request")).unwrap(), "reboot\n");
    }
}
