//! How a domain is, as only the hypervisor knows: `XEN_DOMCTL_getdomaininfo`.
//!
//! xenstore does not tell. It has a watch for "some domain has shut down or is gone" and a node for the toolstack's
//! request to shut down, but nothing that says which domain did, or that one is paused.

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use crate::xen::Domid;

/// How many domains one hypercall asks for. More take another: a page of answers is some 30 KiB.
const PAGE_DOMAINS: usize = 256;

/// Flags of `struct xen_domctl_getdomaininfo` (`xen/include/public/domctl.h`, `XEN_DOMINF_*`), the same since Xen 3.
mod flag {
    pub(super) const DYING: u32 = 1 << 0;
    pub(super) const SHUTDOWN: u32 = 1 << 2;
    pub(super) const PAUSED: u32 = 1 << 3;
    pub(super) const REASON_MASK: u32 = 255;
    pub(super) const REASON_SHIFT: u32 = 16;
}

/// How a domain is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// It runs, or waits for something to do.
    Running,
    /// A toolstack has paused it.
    Paused,
    /// Its kernel has stopped for good, and its toolstack has not taken it away (yet).
    Shutdown(Reason),
    /// Its toolstack has taken it away; it goes when nobody maps its memory any more.
    Dying,
}

/// Why a domain has shut down (`xen/include/public/sched.h`, `SHUTDOWN_*`). The guest says so itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It is done.
    Poweroff,
    /// It wants to be started again.
    Reboot,
    /// It waits to be saved, moved or resumed.
    Suspend,
    /// It crashed.
    Crash,
    /// It did not answer its watchdog in time.
    Watchdog,
    /// It wants its devices anew and to go on, for a crash kernel.
    SoftReset,
    /// Something that Xen does not define (yet).
    Other(u8),
}

impl RunState {
    /// Reads the flags of one domain. Where several hold, the last stage of a domain's life counts.
    #[must_use]
    pub fn from_flags(flags: u32) -> Self {
        if flags & flag::DYING != 0 {
            Self::Dying
        } else if flags & flag::SHUTDOWN != 0 {
            Self::Shutdown(Reason::from_code(flags >> flag::REASON_SHIFT & flag::REASON_MASK))
        } else if flags & flag::PAUSED != 0 {
            Self::Paused
        } else {
            Self::Running
        }
    }
}

impl Reason {
    fn from_code(code: u32) -> Self {
        match code {
            0 => Self::Poweroff,
            1 => Self::Reboot,
            2 => Self::Suspend,
            3 => Self::Crash,
            4 => Self::Watchdog,
            5 => Self::SoftReset,
            other => Self::Other(u8::try_from(other).unwrap_or(u8::MAX)),
        }
    }
}

impl fmt::Display for RunState {
    /// The word that `xenvnc list` has for it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Dying => "dying",
            Self::Shutdown(reason) => match reason {
                Reason::Poweroff | Reason::Other(_) => "shutdown",
                Reason::Reboot | Reason::SoftReset => "rebooting",
                Reason::Suspend => "suspended",
                Reason::Crash | Reason::Watchdog => "crashed",
            },
        })
    }
}

/// Somebody who can ask the hypervisor: libxenctrl, or a test.
pub trait Hypervisor: fmt::Debug + Send + Sync {
    /// The domains from this number on, in the order of their numbers, at most so many: number and flags of each
    /// (`xc_domain_getinfolist`). Fewer than asked for means that there are no more.
    ///
    /// # Errors
    /// What the hypercall said.
    fn domains(&self, first: u16, at_most: usize) -> io::Result<Vec<(u16, u32)>>;
}

/// The hypervisor, where this build can ask one: with the cargo feature `xenctrl`. `None` without.
///
/// # Errors
/// When `/dev/xen/privcmd` cannot be used.
pub fn hypervisor() -> io::Result<Option<Box<dyn Hypervisor>>> {
    #[cfg(feature = "xenctrl")]
    {
        let xenctrl = crate::xen::sys::xenctrl::Xenctrl::open()?;
        // Whether it may be asked shows when it is.
        xenctrl.domains(0, 1)?;
        Ok(Some(Box::new(xenctrl)))
    }
    #[cfg(not(feature = "xenctrl"))]
    Ok(None)
}

#[cfg(feature = "xenctrl")]
impl Hypervisor for crate::xen::sys::xenctrl::Xenctrl {
    fn domains(&self, first: u16, at_most: usize) -> io::Result<Vec<(u16, u32)>> {
        self.domain_flags(first, at_most)
    }
}

/// How all domains were when the hypervisor was asked. A domain that is not in here was gone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunStates(BTreeMap<Domid, RunState>);

impl RunStates {
    /// Asks for all domains.
    ///
    /// # Errors
    /// What the hypercall said.
    pub fn ask(hypervisor: &dyn Hypervisor) -> io::Result<Self> {
        let mut states = BTreeMap::new();
        let mut first = 0;
        loop {
            let page = hypervisor.domains(first, PAGE_DOMAINS)?;
            let last = page.last().map(|&(number, _)| number);
            states.extend(page.iter().filter_map(|&(number, flags)| {
                Some((Domid::new(number).ok()?, RunState::from_flags(flags)))
            }));
            match last.and_then(|last| last.checked_add(1)) {
                Some(next) if page.len() >= PAGE_DOMAINS && next > first => first = next,
                _ => return Ok(Self(states)),
            }
        }
    }

    /// Asks for one domain; the others are not in the answer.
    ///
    /// # Errors
    /// What the hypercall said.
    pub fn ask_for(hypervisor: &dyn Hypervisor, domid: Domid) -> io::Result<Self> {
        // The hypervisor answers with the next domain where this one is gone.
        let found = hypervisor.domains(domid.get(), 1)?;
        let found = found.into_iter().filter(|&(number, _)| number == domid.get());
        Ok(Self(found.map(|(_, flags)| (domid, RunState::from_flags(flags))).collect()))
    }

    /// How a domain is; `None` when it is gone or going.
    #[must_use]
    pub fn living(&self, domid: Domid) -> Option<RunState> {
        self.0.get(&domid).copied().filter(|&state| state != RunState::Dying)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn flags_are_read_as_the_header_defines_them() {
        // As Xen reports them: 0x10 is "blocked", 0x20 "running on a CPU", 0x2 "HVM", 0x100 "uses nested paging".
        for (flags, wanted, word) in [
            (0x0000_0010, RunState::Running, "running"),
            (0x0000_0122, RunState::Running, "running"),
            (0x0000_0018, RunState::Paused, "paused"),
            (0x0000_0004, RunState::Shutdown(Reason::Poweroff), "shutdown"),
            (0x0001_0014, RunState::Shutdown(Reason::Reboot), "rebooting"),
            (0x0002_0004, RunState::Shutdown(Reason::Suspend), "suspended"),
            (0x0003_0004, RunState::Shutdown(Reason::Crash), "crashed"),
            (0x0003_000C, RunState::Shutdown(Reason::Crash), "crashed"),
            (0x0004_0004, RunState::Shutdown(Reason::Watchdog), "crashed"),
            (0x0005_0004, RunState::Shutdown(Reason::SoftReset), "rebooting"),
            (0x00FF_0004, RunState::Shutdown(Reason::Other(255)), "shutdown"),
            // A reason without the flag means nothing.
            (0x0003_0000, RunState::Running, "running"),
            // Beyond the reason's eight bits there may be other flags one day.
            (0xFF03_0004, RunState::Shutdown(Reason::Crash), "crashed"),
            (0x0000_000D, RunState::Dying, "dying"),
            (u32::MAX, RunState::Dying, "dying"),
        ] {
            let state = RunState::from_flags(flags);
            assert_eq!((state, state.to_string().as_str()), (wanted, word), "{flags:#x}");
        }
    }

    /// So many domains with even numbers; notes what was asked.
    #[derive(Debug, Default)]
    struct Even {
        count: u16,
        asked: Mutex<Vec<u16>>,
    }

    impl Hypervisor for Even {
        fn domains(&self, first: u16, at_most: usize) -> io::Result<Vec<(u16, u32)>> {
            self.asked.lock().unwrap().push(first);
            let all = (0..self.count).map(|n| (2 * n, if n % 2 == 0 { 8 } else { 1 }));
            Ok(all.filter(|&(number, _)| number >= first).take(at_most).collect())
        }
    }

    fn domid(number: u16) -> Domid {
        Domid::new(number).unwrap()
    }

    #[test]
    fn all_pages_are_asked_for() {
        for (count, asked) in [(0, vec![0]), (255, vec![0]), (256, vec![0, 511]), (600, vec![0, 511, 1023])] {
            let hypervisor = Even { count, ..Even::default() };
            let states = RunStates::ask(&hypervisor).unwrap();
            assert_eq!(states.0.len(), usize::from(count));
            assert_eq!(*hypervisor.asked.lock().unwrap(), asked);
        }
    }

    #[test]
    fn only_the_living_are_found() {
        let hypervisor = Even { count: 10, ..Even::default() };
        let states = RunStates::ask(&hypervisor).unwrap();
        for (number, wanted) in [(4, Some(RunState::Paused)), (5, None), (6, None)] {
            assert_eq!(states.living(domid(number)), wanted, "{number}");
        }
        for (number, wanted) in [(4, Some(RunState::Paused)), (5, None), (6, None)] {
            let states = RunStates::ask_for(&hypervisor, domid(number)).unwrap();
            assert_eq!(states.living(domid(number)), wanted, "{number}");
        }
    }

    /// A hypervisor that always answers the same must not keep us for ever.
    #[test]
    fn an_answer_that_does_not_go_on_ends() {
        #[derive(Debug)]
        struct Stuck;
        impl Hypervisor for Stuck {
            fn domains(&self, _: u16, at_most: usize) -> io::Result<Vec<(u16, u32)>> {
                Ok(vec![(3, 0); at_most])
            }
        }
        assert_eq!(RunStates::ask(&Stuck).unwrap().0.len(), 1);
    }

    #[cfg(feature = "xenctrl")]
    mod with_xenctrl {
        use super::super::*;
        use xenctrl_sys as xc;

        #[test]
        fn constants_are_those_of_the_headers() {
            assert_eq!(
                (flag::DYING, flag::SHUTDOWN, flag::PAUSED, flag::REASON_MASK, flag::REASON_SHIFT),
                (
                    xc::XEN_DOMINF_dying,
                    xc::XEN_DOMINF_shutdown,
                    xc::XEN_DOMINF_paused,
                    xc::XEN_DOMINF_shutdownmask,
                    xc::XEN_DOMINF_shutdownshift
                )
            );
            for (code, reason) in [
                (xc::SHUTDOWN_poweroff, Reason::Poweroff),
                (xc::SHUTDOWN_reboot, Reason::Reboot),
                (xc::SHUTDOWN_suspend, Reason::Suspend),
                (xc::SHUTDOWN_crash, Reason::Crash),
                (xc::SHUTDOWN_watchdog, Reason::Watchdog),
                (xc::SHUTDOWN_soft_reset, Reason::SoftReset),
            ] {
                assert_eq!(Reason::from_code(code), reason);
            }
        }

        #[test]
        fn without_xen_the_reason_is_named() {
            if !std::path::Path::new("/dev/xen/privcmd").exists() {
                let error = hypervisor().unwrap_err();
                assert!(error.to_string().contains("/dev/xen/privcmd"), "{error}");
            }
        }
    }
}
