//! Forward connections: to VNC servers in guests that do not connect to us. A graphical installer of SUSE is one, and
//! any server whose reverse connection was lost and that will not connect again.

use std::time::{Duration, Instant};

use super::pace::Backoff;
use super::registry::{Arrival, Caller, NotTaken, Registry, Way};
use crate::config::Target;
use crate::daemon::limits::check_open_files;
use crate::daemon::upstream::UpstreamStream;
use crate::net::Stream;

/// How long one try may take. A guest that is not there answers nothing at all.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Keeps one display of a guest connected to a server, for ever.
pub(super) async fn keep_connected(registry: Registry, caller: Caller, display: u8, target: Target) {
    let origin = match &target {
        Target::Tcp(at) => format!("forward TCP {at}"),
        Target::Unix(_) => format!("forward {target}"),
    };
    let mut backoff = Backoff::default();
    while let Some(changes) = registry.changes(&caller) {
        let changed = changes.notified();
        // Another way that proves more is left alone while it lasts.
        if registry.way(&caller, display).is_some_and(|way| way > Way::Forward) {
            changed.await;
            continue;
        }
        let start = Instant::now();
        let result = match connect(&target).await {
            Ok(stream) => {
                let arrival = Arrival {
                    stream: UpstreamStream::Net(stream),
                    received: Vec::new(),
                    display,
                    way: Way::Forward,
                    origin: origin.clone(),
                    network: matches!(&target, Target::Tcp(at) if !at.ip().to_canonical().is_loopback()),
                };
                registry.deliver(&caller, arrival).await
            }
            Err(reason) => {
                // The first time tells what is wrong; that it is still so is in `xenvnc list`.
                if backoff.failures() == 0 {
                    let number = display;
                    tracing::info!(domain = ?caller.name, domid = %caller.domid, number, origin, reason, "display not reached yet");
                }
                registry.failed(&caller, display, Way::Forward, &origin, &format!("not reached: {reason}"));
                tokio::time::sleep(backoff.pause(start.elapsed().min(CONNECT_LIMIT / 2))).await;
                continue;
            }
        };
        let pause = match result {
            Ok(end) => {
                // Dropped or told, it is over.
                let _ = end.await;
                backoff.pause(start.elapsed())
            }
            Err(NotTaken::Gone | NotTaken::NoSuchDisplay(_)) => return,
            Err(NotTaken::Held { .. }) => continue,
            Err(NotTaken::TooOften(often)) => {
                if often.first {
                    let number = display;
                    tracing::warn!(domain = ?caller.name, domid = %caller.domid, number, origin, reason = %often, "display held back");
                }
                often.hold
            }
        };
        tokio::time::sleep(pause).await;
    }
}

async fn connect(target: &Target) -> Result<Stream, String> {
    check_open_files().map_err(|error| error.to_string())?;
    let connecting = async {
        match target {
            Target::Tcp(at) => Stream::connect_tcp(*at).await,
            Target::Unix(path) => Stream::connect_unix(path).await,
        }
    };
    match tokio::time::timeout(CONNECT_LIMIT, connecting).await {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err(format!("it did not answer within {} s", CONNECT_LIMIT.as_secs())),
    }
}
