//! What is said over the control socket: types only, shared by the command line and the daemon.
//!
//! A client sends one [`Request`] as a line of JSON and reads one [`Reply`] as a line of JSON; a reply that announces
//! a payload is followed by exactly that many bytes (a picture, a console's bytes). A connection may carry any
//! number of requests, one after another.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The longest request line that the daemon reads, in bytes; `type` is the only request that can be long.
pub const MAX_REQUEST_BYTES: usize = 1 << 20;

/// What a client asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// All domains that are served: [`Answer::Domains`].
    List,
    /// The daemon itself: [`Answer::Status`].
    Status,
    /// Look at xenstore again, now: [`Answer::Done`] when it is reconciled.
    Rescan,
    /// What a VT shows, as a PNG payload.
    Screenshot {
        /// The domain's name, UUID or domid.
        domain: String,
        /// The VT, 1 to 12; `None` is the one that a new viewer would get.
        vt: Option<u8>,
    },
    /// Show another VT to every viewer of a domain: [`Answer::Done`].
    Switch {
        /// The domain's name, UUID or domid.
        domain: String,
        /// The VT, 1 to 12.
        vt: u8,
    },
    /// What the console printed, oldest first, as payload.
    History {
        /// The domain's name, UUID or domid.
        domain: String,
        /// In which form.
        #[serde(default)]
        format: HistoryFormat,
    },
    /// Types on the console: [`Answer::Done`] when all of it was taken.
    Type {
        /// The domain's name, UUID or domid.
        domain: String,
        /// The text; a line feed is the Return key.
        text: String,
    },
}

/// The form in which a console's history is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HistoryFormat {
    /// Text without control sequences.
    #[default]
    Text,
    /// The very bytes.
    Raw,
    /// An asciicast, version 2.
    Asciicast,
}

/// What the daemon answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// It was done.
    Ok(Answer),
    /// It was refused, and why.
    Error(String),
}

/// The content of an [`Reply::Ok`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Nothing more to say.
    Done,
    /// The domains, by domid.
    Domains(Vec<DomainInfo>),
    /// The daemon.
    Status(Status),
    /// This many bytes follow the line.
    Payload(u64),
}

/// One domain that is served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainInfo {
    /// The guest's name; control characters are replaced.
    pub name: String,
    /// The guest's UUID.
    pub uuid: String,
    /// The domid of its present life.
    pub domid: u16,
    /// Where viewers connect: `ADDRESS:PORT`, or the path of a Unix socket.
    pub address: String,
    /// The VT that a new viewer gets, 1 to 12.
    pub vt: u8,
    /// How many viewers are connected.
    pub viewers: usize,
    /// How the console is reached: `interpose`, `own`, `attach`, or `none`.
    pub console: String,
    /// How the guest is: `running`, `paused`, `suspended`, `shutdown`, `rebooting` or `crashed`. `None` where nobody can
    /// tell: xenstore does not, so that it takes a build with the cargo feature `xenctrl`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// What is wrong with it: why there is no console, where there is none, and nodes that make no sense.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The guest's own displays, as far as they are connected or should be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub displays: Vec<DisplayInfo>,
}

/// A display of a guest: the picture of a VNC server inside of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisplayInfo {
    /// Its number within the guest, from 0.
    pub display: u8,
    /// The VT that shows it, 7 to 11.
    pub vt: u8,
    /// How it reaches us: `vchan`, `reverse TCP 10.0.0.7:41234 (token)`, `forward TCP 10.0.0.7:5901` and so on.
    pub origin: String,
    /// `connected`, or why it is not: `ended: REASON`, `not reached: REASON`.
    pub state: String,
}

impl DomainInfo {
    /// Whether a user who says `id` means this domain: by name, UUID or domid.
    #[must_use]
    pub fn is_called(&self, id: &str) -> bool {
        self.name == id || self.uuid.eq_ignore_ascii_case(id) || self.domid.to_string() == id
    }
}

/// The one of `domains` that a user means by a name, UUID or domid: its place among them. A name may look like a
/// domid; then it wins, as in xl.
///
/// # Errors
/// When there is none, or more than one; the text is for the user.
pub fn find_domain(domains: &[DomainInfo], id: &str) -> Result<usize, String> {
    let places = |is: fn(&DomainInfo, &str) -> bool| -> Vec<usize> {
        domains.iter().enumerate().filter(|(_, domain)| is(domain, id)).map(|(place, _)| place).collect()
    };
    let named = places(|domain, id| domain.name == id);
    let called = if named.is_empty() { places(DomainInfo::is_called) } else { named };
    match called[..] {
        [one] => Ok(one),
        [] => Err(format!("no domain is called {id:?}")),
        _ => Err(format!("more than one domain is called {id:?}: use the UUID or domid")),
    }
}

/// The daemon's own state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Its version.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// Seconds since it started.
    pub uptime_seconds: u64,
    /// xenstored's socket.
    pub xenstore: PathBuf,
    /// Whether xenstored answers.
    pub xenstore_connected: bool,
    /// How many domains are served.
    pub domains: usize,
    /// How many viewers are connected to all of them.
    pub viewers: usize,
    /// Domains that exist but cannot be served, and why.
    pub problems: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_replies_are_lines_of_plain_json() {
        let request = Request::Type { domain: "tiny".into(), text: "ls\n".into() };
        let line = serde_json::to_string(&request).unwrap();
        assert_eq!(line, r#"{"command":"type","domain":"tiny","text":"ls\n"}"#);
        assert_eq!(serde_json::from_str::<Request>(&line).unwrap(), request);
        assert_eq!(serde_json::from_str::<Request>(r#"{"command":"list"}"#).unwrap(), Request::List);
        assert_eq!(serde_json::to_string(&Reply::Ok(Answer::Payload(3))).unwrap(), r#"{"ok":{"payload":3}}"#);
        assert_eq!(serde_json::to_string(&Reply::Error("no".into())).unwrap(), r#"{"error":"no"}"#);
    }

    #[test]
    fn an_unknown_request_is_refused_by_name() {
        let error = serde_json::from_str::<Request>(r#"{"command":"destroy"}"#).unwrap_err().to_string();
        assert!(error.contains("destroy"), "{error}");
    }
}
