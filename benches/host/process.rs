//! What the kernel says about a process.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

/// One look at a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Usage {
    /// `VmRSS`, in KiB.
    pub(crate) resident_kib: u64,
    /// Context switches of all threads, voluntary and not.
    pub(crate) switches: u64,
    /// User and system time of all threads, in ms.
    pub(crate) cpu_ms: u64,
}

impl Usage {
    /// `proc_pid_status(5)` and `proc_pid_stat(5)`.
    pub(crate) fn of(process: u32) -> Self {
        let base = PathBuf::from("/proc").join(process.to_string());
        let status = fs::read_to_string(base.join("status")).expect("a process");
        let threads = fs::read_dir(base.join("task")).expect("threads").flatten();
        let switches = threads
            .filter_map(|thread| fs::read_to_string(thread.path().join("status")).ok())
            .map(|status| {
                field(&status, "voluntary_ctxt_switches:") + field(&status, "nonvoluntary_ctxt_switches:")
            })
            .sum();
        let stat = fs::read_to_string(base.join("stat")).expect("a process");
        // The second field, the name, is in brackets and may hold anything. utime and stime are fields 14 and 15, in ticks
        // of a hundredth of a second.
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split_whitespace().collect();
        let ticks =
            |index: usize| fields.get(index).and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
        Self { resident_kib: field(&status, "VmRSS:"), switches, cpu_ms: 10 * (ticks(11) + ticks(12)) }
    }
}

/// Waits until the process does nothing and its size stays the same for two seconds.
pub(crate) fn settled(process: u32) -> Usage {
    let mut last = Usage::of(process);
    for _ in 0..60 {
        thread::sleep(Duration::from_secs(2));
        let now = Usage::of(process);
        if now.resident_kib == last.resident_kib && now.cpu_ms == last.cpu_ms {
            return now;
        }
        last = now;
    }
    last
}

/// What of the memory counts as the process's own, its share of what it shares included (`proc_pid_smaps(5)`, `Pss`), in KiB,
/// once that stays the same.
pub(crate) fn settled_pss(process: u32) -> u64 {
    settled(process);
    let rollup = fs::read_to_string(PathBuf::from("/proc").join(process.to_string()).join("smaps_rollup"));
    field(&rollup.expect("a process"), "Pss:")
}

fn field(status: &str, name: &str) -> u64 {
    let line = status.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.split_whitespace().nth(1))
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}
