//! Answering the control socket. What takes a seat's time is handed to a task, so that the host loop waits for none.

use tokio::sync::{mpsc, oneshot};

use super::Host;
use super::guest::Guest;
use crate::control::{Answer, DomainInfo, HistoryFormat, Request, Status, find_domain};
use crate::daemon::asciicast::asciicast;
use crate::daemon::control_socket::{Call, Outcome};
use crate::daemon::history_file::Printed;
use crate::daemon::picture_png::png;
use crate::daemon::plain_text::plain_text;
use crate::daemon::seat::SeatCommand;
use crate::seat::VtNumber;
use crate::xen::store::Link;

/// Said when a seat ended between the question and its answer.
const WENT_AWAY: &str = "the domain went away meanwhile";

impl Host {
    /// Answers a call, now or from a task of its own.
    pub(super) async fn answer(&mut self, call: Call) {
        let outcome = match call.request {
            Request::List => {
                self.ask_run_states().await;
                Outcome::Answer(Answer::Domains(self.infos()))
            }
            Request::Status => Outcome::Answer(Answer::Status(self.status())),
            Request::Rescan => {
                self.reconcile().await;
                Outcome::Answer(Answer::Done)
            }
            Request::Screenshot { .. }
            | Request::Switch { .. }
            | Request::History { .. }
            | Request::Type { .. } => match self.hand_on(call.request) {
                Ok(task) => {
                    tokio::spawn(async move { call.reply.send(task.await) });
                    return;
                }
                Err(reason) => Outcome::Refused(reason),
            },
        };
        // A client that has left does not want to know.
        let _ = call.reply.send(outcome);
    }

    /// The work for a request about one domain.
    fn hand_on(&self, request: Request) -> Result<impl Future<Output = Outcome> + Send + use<>, String> {
        let domain = match &request {
            Request::Screenshot { domain, .. }
            | Request::Switch { domain, .. }
            | Request::History { domain, .. }
            | Request::Type { domain, .. } => domain,
            Request::List | Request::Status | Request::Rescan => {
                return Err("it is not about a domain".into());
            }
        };
        let guest = self.find(domain)?;
        let seat = guest.seat.commands.clone();
        let recorded = guest.recorded();
        let size = (guest.settings.config.columns, guest.settings.config.rows);
        let name = guest.name().to_owned();
        Ok(async move {
            match request {
                Request::Screenshot { vt, .. } => screenshot(&seat, vt).await,
                Request::Switch { vt, .. } => switch(&seat, vt).await,
                Request::Type { text, .. } => done(ask(&seat, |reply| SeatCommand::Type(text, reply)).await),
                Request::History { format, .. } => match recorded {
                    Some(read) => history(read, format, name, size).await,
                    None if format == HistoryFormat::Asciicast => {
                        Outcome::Refused("the console is not recorded (history.enabled)".into())
                    }
                    None => match ask(&seat, SeatCommand::History).await {
                        Some(text) => Outcome::Payload(text.into_bytes()),
                        None => Outcome::Refused(WENT_AWAY.into()),
                    },
                },
                Request::List | Request::Status | Request::Rescan => Outcome::Answer(Answer::Done),
            }
        })
    }

    /// The guest that a user means by a name, UUID or domid.
    fn find(&self, id: &str) -> Result<&Guest, String> {
        let here: Vec<&Guest> = self.guests.values().filter(|guest| guest.gone.is_none()).collect();
        let infos: Vec<DomainInfo> = here.iter().map(|guest| guest.info()).collect();
        here.get(find_domain(&infos, id)?).copied().ok_or_else(|| WENT_AWAY.into())
    }

    fn infos(&self) -> Vec<DomainInfo> {
        let here = self.guests.values().filter(|guest| guest.gone.is_none());
        let with_displays = |guest: &Guest| {
            let displays = self.displays.registry().infos(guest.domain.uuid);
            DomainInfo { displays, ..guest.info() }
        };
        let mut infos: Vec<_> = here.map(with_displays).collect();
        infos.sort_by_key(|info| info.domid);
        infos
    }

    fn status(&self) -> Status {
        let infos = self.infos();
        let of_all = self.displays.problems().iter().cloned();
        let troubled = infos
            .iter()
            .filter_map(|info| info.problem.as_ref().map(|problem| format!("{}: {problem}", info.name)));
        let unserved = self.problems.iter().map(|(domid, problem)| format!("domain {domid}: {problem}"));
        Status {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            uptime_seconds: self.started.elapsed().as_secs(),
            xenstore: self.address.clone(),
            xenstore_connected: *self.store.state().borrow() == Link::Connected,
            domains: infos.len(),
            viewers: self.guests.values().map(Guest::viewers).sum(),
            problems: of_all.chain(unserved).chain(troubled).collect(),
        }
    }
}

/// Asks a seat; `None` when it has ended.
async fn ask<T>(
    seat: &mpsc::Sender<SeatCommand>,
    command: impl FnOnce(oneshot::Sender<T>) -> SeatCommand,
) -> Option<T> {
    let (reply, answer) = oneshot::channel();
    seat.send(command(reply)).await.ok()?;
    answer.await.ok()
}

fn done(result: Option<Result<(), String>>) -> Outcome {
    match result {
        Some(Ok(())) => Outcome::Answer(Answer::Done),
        Some(Err(reason)) => Outcome::Refused(reason),
        None => Outcome::Refused(WENT_AWAY.into()),
    }
}

fn vt_number(vt: u8) -> Result<VtNumber, Outcome> {
    VtNumber::new(vt).ok_or_else(|| Outcome::Refused(format!("there is no VT {vt}: want 1 to 12")))
}

async fn switch(seat: &mpsc::Sender<SeatCommand>, vt: u8) -> Outcome {
    match vt_number(vt) {
        Ok(vt) => done(ask(seat, |reply| SeatCommand::Switch(vt, reply)).await),
        Err(refused) => refused,
    }
}

async fn screenshot(seat: &mpsc::Sender<SeatCommand>, vt: Option<u8>) -> Outcome {
    let vt = match vt.map(vt_number).transpose() {
        Ok(vt) => vt,
        Err(refused) => return refused,
    };
    match ask(seat, |reply| SeatCommand::Screenshot(vt, reply)).await {
        Some(Some(picture)) => match tokio::task::spawn_blocking(move || png(&picture)).await {
            Ok(Ok(file)) => Outcome::Payload(file),
            Ok(Err(error)) => Outcome::Refused(format!("the picture cannot be encoded: {error}")),
            Err(_) => Outcome::Refused("the picture cannot be encoded".into()),
        },
        Some(None) => Outcome::Refused("the domain has no such VT".into()),
        None => Outcome::Refused(WENT_AWAY.into()),
    }
}

async fn history(
    read: impl FnOnce() -> Vec<Printed> + Send + 'static,
    format: HistoryFormat,
    name: String,
    size: (u16, u16),
) -> Outcome {
    let work = move || {
        let printed = read();
        let all =
            |printed: Vec<Printed>| printed.into_iter().flat_map(|piece| piece.bytes).collect::<Vec<u8>>();
        match format {
            HistoryFormat::Text => plain_text(&all(printed)).into_bytes(),
            HistoryFormat::Raw => all(printed),
            HistoryFormat::Asciicast => asciicast(&name, size, &printed),
        }
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(bytes) => Outcome::Payload(bytes),
        Err(_) => Outcome::Refused("the history cannot be read".into()),
    }
}
