//! The lives of a simulated domain.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::console::{Console, Pty};
use super::guest::{Ending, Guest, commands_are_safe, kill_sessions};
use super::{DemoError, Domain, Shared, boot_log};
use crate::xen::{Domid, Uuid};

/// How long the last words of a domain may wait for a reader.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// How long a guest that was told to shut down takes.
const FIRST_RESTART: Duration = Duration::from_millis(50);

/// A domain that stays until it is powered off from inside. `ready` hears when it first has a console.
pub(super) async fn stay(shared: Arc<Shared>, name: String, ready: oneshot::Sender<Result<(), DemoError>>) {
    let (_nobody, mut orders) = mpsc::channel(1);
    lives(&shared, &name, &mut orders, Some(ready)).await;
}

/// A domain that comes, reboots and goes for ever.
pub(super) async fn churn(shared: Arc<Shared>, number: usize) {
    let name = format!("churn-{number}");
    // A row of numbers that looks random and is the same in every run.
    let mut dice = u32::try_from(number).unwrap_or(1).wrapping_mul(2_654_435_761) | 1;
    let mut roll = move |sides: u32| {
        dice ^= dice << 13;
        dice ^= dice >> 17;
        dice ^= dice << 5;
        dice % sides
    };
    let pause = shared.options.churn_pause;
    loop {
        tokio::time::sleep(pause * (1 + roll(3))).await;
        let (order, mut orders) = mpsc::channel(1);
        let reboots = roll(4);
        let waits: Vec<u32> = (0..=reboots).map(|_| 1 + roll(5)).collect();
        let give_orders = async {
            for (at, wait) in waits.iter().enumerate() {
                tokio::time::sleep(pause * *wait).await;
                let last = at + 1 == waits.len();
                // Nobody hears it when the domain went by itself.
                let _ = order.send(if last { Ending::PowerOff } else { Ending::Reboot }).await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = lives(&shared, &name, &mut orders, None) => {}
            () = give_orders => {}
        }
    }
}

/// Lives one after another until one ends with a power-off or cannot begin.
async fn lives(
    shared: &Shared,
    name: &str,
    orders: &mut mpsc::Receiver<Ending>,
    mut ready: Option<oneshot::Sender<Result<(), DemoError>>>,
) {
    let uuid = uuid_of(name);
    for life in 1.. {
        match one_life(shared, name, uuid, life, orders, &mut ready).await {
            Ok(Ending::PowerOff) => return,
            Ok(Ending::Reboot) => tokio::time::sleep(shared.options.reboot_pause.max(FIRST_RESTART)).await,
            Err(error) => {
                tracing::warn!(name, %error, "a simulated domain failed");
                if let Some(ready) = ready.take() {
                    let _ = ready.send(Err(error));
                }
                return;
            }
        }
    }
}

async fn one_life(
    shared: &Shared,
    name: &str,
    uuid: Uuid,
    life: u32,
    orders: &mut mpsc::Receiver<Ending>,
    ready: &mut Option<oneshot::Sender<Result<(), DemoError>>>,
) -> Result<Ending, DemoError> {
    let domid = {
        let mut state = shared.state();
        let domid = state.take_domid()?;
        state.running.insert(domid, Domain { name: name.to_owned(), uuid, domid });
        domid
    };
    // On every way out, also when this future is dropped, the domain no longer counts as running.
    let _running = Running { shared, domid };
    shared.toolstack.create(domid, uuid, name).await?;
    let ended = with_console(shared, name, domid, life, orders, ready).await;
    shared.toolstack.destroy(domid, uuid).await?;
    ended
}

async fn with_console(
    shared: &Shared,
    name: &str,
    domid: Domid,
    life: u32,
    orders: &mut mpsc::Receiver<Ending>,
    ready: &mut Option<oneshot::Sender<Result<(), DemoError>>>,
) -> Result<Ending, DemoError> {
    let mut console = Console::open().map_err(DemoError::Console)?;
    shared.toolstack.set_tty(domid, console.path()).await?;
    if let Some(ready) = ready.take() {
        let _ = ready.send(Ok(()));
    }
    for line in boot_log::boot(name, life, commands_are_safe(&shared.options)) {
        console.print(line.as_bytes());
        console.print(b"\r\n");
        // It has until the next line to reach a reader, and keeps waiting for one.
        if let Ok(failed) = tokio::time::timeout(shared.options.boot_pause, console.drain()).await {
            failed.map_err(DemoError::Console)?;
        }
    }
    let terminal = Pty::open(false).map_err(DemoError::Console)?;
    let directory = shared.directory.0.join(format!("domain-{domid}"));
    let mut guest = Guest::start(&shared.options, &terminal.path, directory.clone())?;
    let session = Session { shared, leader: guest.leader };
    shared.state().leaders.push(guest.leader);
    let ending = tokio::select! {
        ending = guest.wait() => ending,
        Some(order) = orders.recv() => order,
        failed = console.copy(&terminal) => {
            failed.map_err(DemoError::Console)?;
            Ending::Reboot
        }
    };
    drop(session);
    // What the shell said last, then what the kernel says last.
    let _ = tokio::time::timeout(LAST_WORDS / 4, console.copy(&terminal)).await;
    console.print(boot_log::goodbye(ending == Ending::Reboot).as_bytes());
    let _ = tokio::time::timeout(LAST_WORDS, console.drain()).await;
    if let Err(error) = std::fs::remove_dir_all(&directory) {
        tracing::debug!(%error, "cannot remove a simulated domain's directory");
    }
    Ok(ending)
}

/// Ends with a life.
struct Running<'a> {
    shared: &'a Shared,
    domid: Domid,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.shared.state().running.remove(&self.domid);
    }
}

/// The processes of a shell; all are killed at its end.
struct Session<'a> {
    shared: &'a Shared,
    leader: nix::unistd::Pid,
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        let known = {
            let mut state = self.shared.state();
            let before = state.leaders.len();
            state.leaders.retain(|leader| *leader != self.leader);
            state.leaders.len() != before
        };
        // The host's own end has killed them already, and their number may be another's by now.
        if known {
            kill_sessions(&[self.leader]);
        }
    }
}

/// A UUID that depends on the name only: FNV-1a of 128 bits, marked as version 8, "custom" (RFC 9562 §5.8).
fn uuid_of(name: &str) -> Uuid {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let hash = format!("xenvnc demo {name}")
        .bytes()
        .fold(OFFSET, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME));
    let mut bytes = hash.to_be_bytes();
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Uuid::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_depend_on_the_name_only() {
        assert_eq!(uuid_of("demo-1"), uuid_of("demo-1"));
        assert_ne!(uuid_of("demo-1"), uuid_of("demo-2"));
        let text = uuid_of("demo-1").to_string();
        assert_eq!(&text[14..15], "8", "{text}");
    }
}
