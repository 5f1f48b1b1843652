//! How a domain's console is to be reached: decided from what xenstore says and what runs, without doing anything.

use std::path::{Path, PathBuf};

use crate::config::ConsoleMode;

/// What is known about a domain's console.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts<'a> {
    pub(super) mode: ConsoleMode,
    /// `console/tty`, when it is not empty.
    pub(super) tty: Option<&'a Path>,
    /// `console/port`, when `console/ring-ref` is there too and there is a hypervisor.
    pub(super) ring_port: Option<u32>,
    /// Whether xenconsoled runs, so that an empty `tty` will be filled by it.
    pub(super) console_daemon: bool,
    /// What an earlier run recorded about this domain's tty.
    pub(super) record: Option<&'a TtyRecord>,
    /// The directory of the ttys that we publish; a path in it was published by us or an earlier run.
    pub(super) own_directory: &'a Path,
    /// The console that runs now.
    pub(super) running: Option<&'a How>,
    /// The tty that the running console publishes.
    pub(super) published: Option<&'a Path>,
}

/// What we put into `console/tty`, and what was there before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TtyRecord {
    pub(super) own: PathBuf,
    pub(super) upstream: Option<PathBuf>,
}

/// A way to reach a console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum How {
    Attach(PathBuf),
    Interpose(PathBuf),
    Own(u32),
}

impl How {
    /// The name of the way, as in `console.mode`.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Attach(_) => "attach",
            Self::Interpose(_) => "interpose",
            Self::Own(_) => "own",
        }
    }
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Plan {
    /// It is as it should be.
    Keep,
    /// End what runs, and open this.
    Open(How),
    /// Keep our pty and its readers, and read this one from now on.
    Reconnect(PathBuf),
    /// There is nothing to open yet, for this reason.
    Wait(&'static str),
}

/// Decides; see the tests for every case.
pub(super) fn plan(facts: &Facts<'_>) -> Plan {
    match facts.mode {
        ConsoleMode::Attach => match facts.tty {
            Some(tty) => open_unless_running(facts, How::Attach(tty.to_owned())),
            None => Plan::Wait("no console/tty yet"),
        },
        ConsoleMode::Interpose => interpose(facts).unwrap_or(Plan::Wait("no console/tty yet")),
        ConsoleMode::Own => own(facts),
        ConsoleMode::Auto => {
            if matches!(facts.running, Some(How::Own(_))) {
                return own(facts);
            }
            match interpose(facts) {
                Some(plan) => plan,
                None if facts.console_daemon => Plan::Wait("no console/tty yet"),
                None => own(facts),
            }
        }
    }
}

/// The plan for interposing; `None` when there is nobody to interpose.
fn interpose(facts: &Facts<'_>) -> Option<Plan> {
    let tty = facts.tty?;
    if let Some(How::Interpose(_)) = facts.running {
        return Some(match facts.published {
            Some(published) if published == tty => Plan::Keep,
            _ => Plan::Reconnect(tty.to_owned()),
        });
    }
    // The value alone proves nothing: an earlier run may have written it, and numbers of ptys repeat. Our record of
    // it decides.
    let upstream = match facts.record {
        Some(record) if record.own == tty => record.upstream.clone()?,
        _ if tty.starts_with(facts.own_directory) => {
            return Some(Plan::Wait(
                "console/tty was left by an earlier run, and what it replaced is not known",
            ));
        }
        _ => tty.to_owned(),
    };
    Some(Plan::Open(How::Interpose(upstream)))
}

fn own(facts: &Facts<'_>) -> Plan {
    match facts.ring_port {
        Some(port) => open_unless_running(facts, How::Own(port)),
        None => Plan::Wait("no console ring yet"),
    }
}

fn open_unless_running(facts: &Facts<'_>, how: How) -> Plan {
    if facts.running == Some(&how) { Plan::Keep } else { Plan::Open(how) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "/run/xenvnc/tty/7";
    const PTS: &str = "/dev/pts/3";

    struct Case {
        mode: ConsoleMode,
        tty: Option<&'static str>,
        ring_port: Option<u32>,
        console_daemon: bool,
        record: Option<TtyRecord>,
        running: Option<How>,
    }

    impl Default for Case {
        fn default() -> Self {
            Self {
                mode: ConsoleMode::Auto,
                tty: Some(PTS),
                ring_port: Some(2),
                console_daemon: true,
                record: None,
                running: None,
            }
        }
    }

    fn decide(case: &Case) -> Plan {
        plan(&Facts {
            mode: case.mode,
            tty: case.tty.map(Path::new),
            ring_port: case.ring_port,
            console_daemon: case.console_daemon,
            record: case.record.as_ref(),
            own_directory: Path::new("/run/xenvnc/tty"),
            running: case.running.as_ref(),
            published: case.running.as_ref().map(|_| Path::new(OWN)),
        })
    }

    fn recorded(upstream: Option<&str>) -> Option<TtyRecord> {
        Some(TtyRecord { own: OWN.into(), upstream: upstream.map(Into::into) })
    }

    fn interposing() -> Option<How> {
        Some(How::Interpose(PTS.into()))
    }

    #[test]
    fn a_published_tty_is_interposed_and_stays_so() {
        assert_eq!(decide(&Case::default()), Plan::Open(How::Interpose(PTS.into())));
        let ours =
            Case { tty: Some(OWN), running: interposing(), record: recorded(Some(PTS)), ..Case::default() };
        assert_eq!(decide(&ours), Plan::Keep);
    }

    #[test]
    fn a_restarted_console_daemon_is_followed_even_when_the_number_is_the_same() {
        let restarted = Case { running: interposing(), record: recorded(Some(PTS)), ..Case::default() };
        assert_eq!(decide(&restarted), Plan::Reconnect(PTS.into()));
    }

    #[test]
    fn after_a_crash_the_record_tells_the_upstream() {
        let left = Case { tty: Some(OWN), record: recorded(Some(PTS)), ..Case::default() };
        assert_eq!(decide(&left), Plan::Open(How::Interpose(PTS.into())));
        let lost = Case { tty: Some(OWN), ..Case::default() };
        assert!(matches!(decide(&lost), Plan::Wait(_)));
        let owned = Case { tty: Some(OWN), record: recorded(None), console_daemon: false, ..Case::default() };
        assert_eq!(decide(&owned), Plan::Open(How::Own(2)));
    }

    #[test]
    fn without_a_console_daemon_the_ring_is_ours() {
        let alone = Case { tty: None, console_daemon: false, ..Case::default() };
        assert_eq!(decide(&alone), Plan::Open(How::Own(2)));
        let running = Case { tty: Some(OWN), running: Some(How::Own(2)), ..Case::default() };
        assert_eq!(decide(&running), Plan::Keep);
        let moved = Case { ring_port: Some(5), running: Some(How::Own(2)), ..Case::default() };
        assert_eq!(decide(&moved), Plan::Open(How::Own(5)));
        let awaited = Case { tty: None, ..Case::default() };
        assert!(matches!(decide(&awaited), Plan::Wait(_)));
        let early = Case { tty: None, ring_port: None, console_daemon: false, ..Case::default() };
        assert!(matches!(decide(&early), Plan::Wait(_)));
    }

    #[test]
    fn a_forced_mode_is_kept_to() {
        let attach = Case { mode: ConsoleMode::Attach, ..Case::default() };
        assert_eq!(decide(&attach), Plan::Open(How::Attach(PTS.into())));
        let attached = Case { running: Some(How::Attach(PTS.into())), ..attach };
        assert_eq!(decide(&attached), Plan::Keep);
        let own = Case { mode: ConsoleMode::Own, ..Case::default() };
        assert_eq!(decide(&own), Plan::Open(How::Own(2)));
        let no_ring = Case { mode: ConsoleMode::Interpose, tty: None, ..Case::default() };
        assert!(matches!(decide(&no_ring), Plan::Wait(_)));
    }
}
