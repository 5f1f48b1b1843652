//! Displays by vchan: a guest says in xenstore where its server is, and we connect. That it is this guest, the hypervisor
//! vouches for.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::attempts::{Attempts, DEAF, LOOK_PAUSE, Restlessness};
use super::registry::{Arrival, Caller, End, NotTaken, Registry, Way};
use crate::config::DISPLAYS_MAX;
use crate::daemon::host::chain;
use crate::daemon::limits::{TooManyFiles, check_open_files};
use crate::daemon::upstream::UpstreamStream;
use crate::xen::Domid;
use crate::xen::offer::{Offer, read_offer};
use crate::xen::paths;
use crate::xen::store::{Store, Watch, WatchEvent};
use crate::xen::vchan::{VchanClient, VchanError};

/// How displays by this way are called.
const ORIGIN: &str = "vchan";

/// How long after the first change is looked: a server writes its two numbers one after the other.
const SETTLE: Duration = Duration::from_millis(20);

/// How long to wait before setting a watch is tried again: xenstored may be away.
const WATCH_PAUSE: Duration = Duration::from_secs(5);

/// Connects what a guest offers, for as long as this life of it lasts.
pub(super) async fn follow(registry: Registry, store: Store, caller: Caller) {
    let (ends, ended) = mpsc::channel(usize::from(DISPLAYS_MAX));
    let mut follower = Follower { registry, store, caller, attempts: Attempts::default(), ends, ended };
    loop {
        let Ok(mut watch) = follower.store.watch(&paths::displays(follower.caller.domid)).await else {
            tokio::time::sleep(WATCH_PAUSE).await;
            continue;
        };
        // Until the guest writes without pause; then without a watch for a while, so that its writing costs us nothing.
        follower.listen(&mut watch).await;
        drop(watch);
        let (domain, domid) = (&follower.caller.name, follower.caller.domid);
        tracing::warn!(?domain, %domid, "it changes data/xenvnc/display without pause; not listened to for {} s", DEAF.as_secs());
        let deaf = Instant::now() + DEAF;
        while follower.wait(deaf).await {}
    }
}

struct Follower {
    registry: Registry,
    store: Store,
    caller: Caller,
    attempts: Attempts,
    ends: mpsc::Sender<(u8, Offer)>,
    ended: mpsc::Receiver<(u8, Offer)>,
}

impl Follower {
    /// Looks and tries whenever there is a reason; returns when there are too many.
    async fn listen(&mut self, watch: &mut Watch) {
        let mut restless = Restlessness::default();
        loop {
            let mut written = tokio::select! {
                event = watch.next() => self.written(event).into_iter().collect(),
                Some((display, offer)) = self.ended.recv() => {
                    self.over(display, offer);
                    continue;
                }
                () = sleep_until(self.attempts.deadline()) => {
                    self.try_due().await;
                    continue;
                }
            };
            self.wait_all(SETTLE).await;
            self.take(watch, &mut written);
            let mut changed = true;
            while changed {
                self.look(&std::mem::take(&mut written)).await;
                self.wait_all(LOOK_PAUSE).await;
                changed = self.take(watch, &mut written);
                if restless.looked(changed) {
                    return;
                }
            }
        }
    }

    /// Takes all events that wait, adding the displays whose nodes were written; false when there are none.
    fn take(&self, watch: &mut Watch, written: &mut BTreeSet<u8>) -> bool {
        let mut any = false;
        while let Some(event) = watch.try_next() {
            any = true;
            written.extend(self.written(event));
        }
        any
    }

    /// The display whose nodes an event is about, if it is about one.
    fn written(&self, event: WatchEvent) -> Option<u8> {
        let WatchEvent::Changed(path) = event else { return None };
        let below = path.strip_prefix(&paths::displays(self.caller.domid))?.strip_prefix('/')?;
        below.split('/').next()?.parse().ok()
    }

    /// Goes on with what is known for a while.
    async fn wait_all(&mut self, pause: Duration) {
        let until = Instant::now() + pause;
        while self.wait(until).await {}
    }

    /// Waits for the next thing to do and does it; false when it is that late.
    async fn wait(&mut self, until: Instant) -> bool {
        tokio::select! {
            () = tokio::time::sleep_until(until.into()) => return false,
            Some((display, offer)) = self.ended.recv() => self.over(display, offer),
            () = sleep_until(self.attempts.deadline()) => self.try_due().await,
        }
        true
    }

    /// Reads what is offered: ten nodes, however many the guest has written. Those of `written` have been since the last look.
    async fn look(&mut self, written: &BTreeSet<u8>) {
        for display in 0..DISPLAYS_MAX {
            let offer = match read_offer(&self.store, self.caller.domid, display).await {
                Ok(Ok(offer)) => offer,
                Ok(Err(error)) => {
                    let reason = error.to_string();
                    self.registry.failed(&self.caller, display, Way::Vchan, ORIGIN, &reason);
                    let (domain, domid) = (&self.caller.name, self.caller.domid);
                    let number = display;
                    tracing::debug!(?domain, %domid, number, reason, "display offered by nonsense");
                    None
                }
                // The watch tells when xenstored is back.
                Err(_) => return,
            };
            if self.attempts.seen(display, offer, written.contains(&display), Instant::now()) {
                self.registry.withdrawn(&self.caller, display, Way::Vchan);
            }
        }
        self.try_due().await;
    }

    async fn try_due(&mut self) {
        for (display, offer) in self.attempts.due(Instant::now()) {
            match self.connect(display, offer).await {
                Ok(end) => {
                    self.attempts.connected(display, Instant::now());
                    let ends = self.ends.clone();
                    tokio::spawn(async move {
                        // Dropped or told, it is over.
                        let _ = end.await;
                        // The follower may have left.
                        let _ = ends.send((display, offer)).await;
                    });
                }
                Err(Failure::NotTaken(NotTaken::TooOften(often))) => {
                    if often.first {
                        self.say(display, &often.to_string());
                    }
                    self.attempts.postpone(display, often.hold, Instant::now());
                }
                Err(failure) => {
                    let reason = failure.to_string();
                    self.registry.failed(
                        &self.caller,
                        display,
                        Way::Vchan,
                        ORIGIN,
                        &format!("not reached: {reason}"),
                    );
                    if self.attempts.failed(display, offer, Instant::now()) {
                        self.say(display, &reason);
                    }
                }
            }
        }
    }

    async fn connect(&self, display: u8, offer: Offer) -> Result<End, Failure> {
        check_open_files()?;
        let arrival = Arrival {
            stream: connect(self.caller.domid, offer)?,
            received: Vec::new(),
            display,
            way: Way::Vchan,
            origin: ORIGIN.to_owned(),
            network: false,
        };
        self.registry.deliver(&self.caller, arrival).await.map_err(Failure::NotTaken)
    }

    fn over(&mut self, display: u8, offer: Offer) {
        self.attempts.failed(display, offer, Instant::now());
    }

    fn say(&self, display: u8, reason: &str) {
        let (domain, domid) = (&self.caller.name, self.caller.domid);
        let number = display;
        tracing::warn!(?domain, %domid, number, reason, "display by vchan not connected");
    }
}

/// Connects to a guest's server.
fn connect(domid: Domid, offer: Offer) -> Result<UpstreamStream, Failure> {
    let stream = VchanClient::connect(domid, offer.ring_ref, offer.event_channel)?;
    Ok(UpstreamStream::Vchan(Box::new(stream)))
}

/// Why an offer is not connected.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Files(#[from] TooManyFiles),
    #[error("{}", chain(.0))]
    Vchan(#[from] VchanError),
    #[error(transparent)]
    NotTaken(NotTaken),
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
