//! The loop: a display, a way to the host, bytes between them, and all over again.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::backoff::{Backoff, chance};
use super::config::{GuestConfig, ServerAddress, Via};
use super::display::Display;
use super::home::{Home, News};
use super::reverse::{ReverseError, Target};
use super::splice::Ended;
use super::xvnc::Starter;
use crate::xen::Domid;
use crate::xen::store::{Address, StoreError};
use crate::xen::vchan::{RingSizes, VchanError, VchanServer, VchanStream, publish, withdraw};

/// How long the host may leave a vchan alone before TCP is tried as well, where both are allowed.
const VCHAN_PATIENCE: Duration = Duration::from_secs(15);

/// How often the display is looked for while there is none: often enough that nobody waits for it at boot.
const DISPLAY_PAUSE: Duration = Duration::from_secs(1);

/// How long taking our nodes away may hold up what comes next.
const WITHDRAW_TIME: Duration = Duration::from_secs(2);

/// Makes a vchan server for a domain.
pub type Listen = Box<dyn FnMut(Domid, RingSizes) -> Result<VchanServer, VchanError> + Send + Sync>;

/// Connects one display with the host.
pub struct Agent {
    config: GuestConfig,
    address: Address,
    listen: Listen,
    stop: CancellationToken,
    xvnc: Option<Starter>,
    /// How long the host may leave a vchan alone before TCP is tried as well.
    patience: Duration,
    /// What was complained about last, by topic: the same is not said again and again.
    complaints: BTreeMap<&'static str, String>,
}

/// How an attempt ended.
#[derive(Debug)]
enum Outcome {
    /// The host took the display, for a while.
    Served,
    /// The display went before the host took it.
    DisplayGone,
    /// The host did not take it. The display is still there. What was offered for a while is no way to wait again.
    NotTaken { display: Display, failure: Failure, offered: bool },
    /// The host hung up before it said a word.
    Refused,
    /// This is another domain now.
    Moved,
    /// We shall end.
    Stopped,
}

/// Why the host did not take the display.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("no vchan")]
    Vchan(#[from] VchanError),
    #[error("no vchan: the client did not stay")]
    Accept(#[source] std::io::Error),
    #[error("no connection by TCP")]
    Reverse(#[from] ReverseError),
    #[error("no xenstore")]
    Store(#[from] StoreError),
    #[error("nobody in the host takes the vchan up")]
    Nobody,
    #[error("this is no guest of Xen's, or its xenstore cannot be reached")]
    NoHome,
}

/// What came while a vchan server waited.
enum Waited {
    Client(Box<VchanStream>),
    Broken(std::io::Error),
    DisplayGone,
    Nobody,
    Moved,
    Stopped,
}

impl Outcome {
    fn not_taken(display: Display, failure: impl Into<Failure>) -> Self {
        Self::NotTaken { display, failure: failure.into(), offered: false }
    }
}

impl Agent {
    /// An agent that ends when `stop` is cancelled. xenstore is at `address`, vchan servers come from `listen`.
    #[must_use]
    pub fn new(config: GuestConfig, address: Address, listen: Listen, stop: CancellationToken) -> Self {
        let xvnc = match (&config.xvnc, &config.server) {
            (Some(xvnc), ServerAddress::Unix(socket)) => Some(Starter::new(xvnc.clone(), socket.clone())),
            _ => None,
        };
        Self { config, address, listen, stop, xvnc, patience: VCHAN_PATIENCE, complaints: BTreeMap::new() }
    }

    /// Serves until it is stopped. Whatever fails is tried again.
    pub async fn run(mut self) {
        let (mut backoff, mut home, mut waiting) = (Backoff::new(), None, None);
        let stop = self.stop.clone();
        loop {
            let display = match waiting.take() {
                Some(display) => display,
                None => tokio::select! {
                    display = self.display() => display,
                    () = stop.cancelled() => break,
                },
            };
            if home.is_none() {
                home = self.home().await;
            }
            let started = Instant::now();
            let pause = match self.attempt(display, &mut home).await {
                Outcome::Served => {
                    backoff.succeeded();
                    self.patience = VCHAN_PATIENCE;
                    self.complaints.clear();
                    Duration::ZERO
                }
                Outcome::DisplayGone => Duration::ZERO,
                Outcome::NotTaken { display, failure, offered } => {
                    self.complain(failure.topic(), &failure);
                    waiting = Some(display);
                    let pause = backoff.failed(chance());
                    // The next offer by vchan is the pause before the next attempt by TCP.
                    self.patience = VCHAN_PATIENCE.max(pause);
                    if offered { Duration::ZERO } else { pause }
                }
                Outcome::Refused => {
                    info!("the host closed the connection before it said a word");
                    backoff.failed(chance())
                }
                Outcome::Moved => {
                    info!("this guest has moved, or xenstored has started anew");
                    home = None;
                    Duration::ZERO
                }
                Outcome::Stopped => break,
            };
            // However fast an attempt ends, and whatever the host changes: one a second is enough.
            let earliest = started + super::backoff::FIRST;
            let enough = async {
                sleep_until(earliest).await;
                tokio::select! {
                    () = sleep(pause) => {}
                    () = news(&mut home) => {}
                    () = closed(&mut waiting) => {}
                }
            };
            tokio::select! {
                () = enough => {}
                () = stop.cancelled() => break,
            }
        }
        if let Some(xvnc) = &mut self.xvnc {
            xvnc.stop().await;
        }
    }

    /// Waits for a display, starting an Xvnc where that is asked for.
    async fn display(&mut self) -> Display {
        let mut backoff = Backoff::new();
        loop {
            let error = match Display::connect(&self.config.server).await {
                Ok(display) => {
                    info!(server = %self.config.server, "found the display");
                    return display;
                }
                Err(error) => error,
            };
            let pause = match self.xvnc.as_mut() {
                Some(xvnc) => match xvnc.ensure().await {
                    Ok(()) => DISPLAY_PAUSE,
                    Err(error) => {
                        self.complain("xvnc", &error);
                        backoff.failed(chance())
                    }
                },
                None => {
                    self.complain(
                        "display",
                        &NoDisplay { server: self.config.server.clone(), source: error },
                    );
                    DISPLAY_PAUSE
                }
            };
            sleep(pause).await;
        }
    }

    /// This guest's place in xenstore, if there is one and it is of use.
    async fn home(&mut self) -> Option<Home> {
        if self.config.via == Via::Tcp && self.config.host.is_some() {
            return None;
        }
        match Home::find(&self.address).await {
            Ok(home) => Some(home),
            Err(error) => {
                self.complain("xenstore", &Failure::Store(error));
                None
            }
        }
    }

    /// One attempt by the way that is asked for.
    async fn attempt(&mut self, display: Display, home: &mut Option<Home>) -> Outcome {
        match self.config.via {
            Via::Tcp => self.by_tcp(display, home).await,
            Via::Vchan => self.by_vchan(display, home, None).await,
            Via::Auto => match self.by_vchan(display, home, Some(self.patience)).await {
                Outcome::NotTaken { display, failure, offered: was_offered } => {
                    self.complain(failure.topic(), &failure);
                    match self.by_tcp(display, home).await {
                        Outcome::NotTaken { display, failure, .. } => {
                            Outcome::NotTaken { display, failure, offered: was_offered }
                        }
                        outcome => outcome,
                    }
                }
                outcome => outcome,
            },
        }
    }

    async fn by_tcp(&mut self, display: Display, home: &mut Option<Home>) -> Outcome {
        let stop = self.stop.clone();
        let connected = async {
            let target = self.target(home.as_ref()).await?;
            target.connect().await.map(|stream| (stream, target.address.clone()))
        };
        let connected = tokio::select! {
            connected = connected => connected,
            () = stop.cancelled() => return Outcome::Stopped,
        };
        match connected {
            Ok((mut stream, address)) => {
                info!(%address, "connected to the host by TCP");
                self.serve(display, &mut stream, home).await
            }
            Err(error) => Outcome::not_taken(display, error),
        }
    }

    /// Where the host listens and the token, as they are now.
    async fn target(&self, home: Option<&Home>) -> Result<Target, ReverseError> {
        let number = self.config.number;
        match (&self.config.host, &self.config.token_file, home) {
            (Some(host), Some(file), _) => Target::from_file(host.clone(), file, number).await,
            (_, _, Some(home)) => Target::from_store(&home.store, &home.path(), number).await,
            _ => Err(ReverseError::NotOffered("xenvnc/reverse-address")),
        }
    }

    /// Offers the display by vchan. With `patience`, nobody needs to come when there is another way.
    async fn by_vchan(
        &mut self,
        mut display: Display,
        home: &mut Option<Home>,
        patience: Option<Duration>,
    ) -> Outcome {
        let Some(place) = home else {
            return Outcome::not_taken(display, Failure::NoHome);
        };
        let again = self.patience > VCHAN_PATIENCE;
        let server = match (self.listen)(Domid::ZERO, RingSizes::DISPLAY) {
            Ok(server) => server,
            Err(error) => return Outcome::not_taken(display, error),
        };
        let directory = place.display(self.config.number);
        if let Err(error) = publish(&place.store, &directory, place.domid, Domid::ZERO, &server).await {
            return Outcome::not_taken(display, error);
        }
        if again {
            debug!(directory, "offered the display to the host by vchan");
        } else {
            info!(directory, "offered the display to the host by vchan");
        }
        let waited = self.wait_for_client(server, &mut display, place, patience).await;
        let outcome = match waited {
            Waited::Client(mut stream) => {
                info!("the host has connected by vchan");
                let outcome = self.serve(display, &mut *stream, home).await;
                if matches!(outcome, Outcome::Moved) {
                    stream.was_restored();
                }
                // The nodes go before the stream does: who sees the end finds nothing to connect to.
                self.withdraw(home.as_ref(), &directory).await;
                return outcome;
            }
            Waited::Broken(error) => Outcome::not_taken(display, Failure::Accept(error)),
            Waited::Nobody => Outcome::NotTaken { display, failure: Failure::Nobody, offered: true },
            Waited::DisplayGone => Outcome::DisplayGone,
            Waited::Moved => Outcome::Moved,
            Waited::Stopped => Outcome::Stopped,
        };
        self.withdraw(home.as_ref(), &directory).await;
        outcome
    }

    async fn wait_for_client(
        &self,
        server: VchanServer,
        display: &mut Display,
        home: &mut Home,
        patience: Option<Duration>,
    ) -> Waited {
        let has_other_way = self.target(Some(home)).await.is_ok();
        let start = Instant::now();
        let mut deadline = patience.filter(|_| has_other_way).map(|patience| start + patience);
        loop {
            let late = async {
                match deadline {
                    Some(deadline) => sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                client = server.client() => return match client {
                    Ok(()) => Waited::Client(Box::new(server.into_stream())),
                    Err(error) => Waited::Broken(error),
                },
                () = display.closed() => return Waited::DisplayGone,
                () = late => return Waited::Nobody,
                () = self.stop.cancelled() => return Waited::Stopped,
                news = home.news() => match news {
                    News::Moved => {
                        server.into_stream().was_restored();
                        return Waited::Moved;
                    }
                    News::Offers => {}
                },
            }
            if deadline.is_none() && self.target(Some(home)).await.is_ok() {
                deadline = patience.map(|patience| Instant::now() + patience);
            }
        }
    }

    /// Moves bytes until the display, the host, the guest's place or we end.
    async fn serve(
        &self,
        display: Display,
        host: &mut (impl AsyncRead + AsyncWrite + Unpin),
        home: &mut Option<Home>,
    ) -> Outcome {
        tokio::select! {
            (ended, from_host) = display.splice(host) => {
                match &ended {
                    Ended::Display(reason) => info!(?reason, "the display has closed its connection"),
                    Ended::Host(reason) => info!(?reason, "the host has closed its connection"),
                }
                let refused = matches!(ended, Ended::Host(_)) && from_host == 0;
                if refused { Outcome::Refused } else { Outcome::Served }
            }
            () = moved(home) => Outcome::Moved,
            () = self.stop.cancelled() => Outcome::Stopped,
        }
    }

    async fn withdraw(&self, home: Option<&Home>, directory: &str) {
        let Some(home) = home else { return };
        match timeout(WITHDRAW_TIME, withdraw(&home.store, directory)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(%error, directory, "the nodes stay"),
            Err(_) => debug!(directory, "xenstored does not answer; the nodes stay"),
        }
    }

    /// Says what is wrong, once.
    fn complain(&mut self, topic: &'static str, error: &(dyn std::error::Error + 'static)) {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            text = format!("{text}: {error}");
            source = error.source();
        }
        if self.complaints.get(topic) == Some(&text) {
            debug!("still: {text}");
        } else {
            warn!("{text}");
            self.complaints.insert(topic, text);
        }
    }
}

impl Failure {
    /// What it is about.
    const fn topic(&self) -> &'static str {
        match self {
            Self::Vchan(_) | Self::Accept(_) | Self::Nobody => "vchan",
            Self::Reverse(_) => "tcp",
            Self::Store(_) => "xenstore",
            Self::NoHome => "home",
        }
    }
}

/// There is no RFB server.
#[derive(Debug, thiserror::Error)]
#[error("no RFB server at {server}")]
struct NoDisplay {
    server: ServerAddress,
    source: std::io::Error,
}

/// Waits until the guest has moved. What the host offers meanwhile is not looked at.
async fn moved(home: &mut Option<Home>) {
    match home {
        Some(home) => while home.news().await != News::Moved {},
        None => std::future::pending().await,
    }
}

/// Waits until anything changed in xenstore.
async fn news(home: &mut Option<Home>) {
    match home {
        Some(place) => {
            if place.news().await == News::Moved {
                *home = None;
            }
        }
        None => std::future::pending().await,
    }
}

/// Waits until the display that nobody took has gone.
async fn closed(display: &mut Option<Display>) {
    match display {
        Some(waiting) => {
            waiting.closed().await;
            *display = None;
        }
        None => std::future::pending().await,
    }
}
