//! The control socket's client side.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::{Context, bail};

use crate::control::{Answer, Reply, Request};

/// The largest payload that is accepted, in bytes: a screenshot or a history, never near this.
const MAX_PAYLOAD_BYTES: u64 = 1 << 30;

/// A connection to the daemon.
pub(super) struct Client {
    stream: BufReader<UnixStream>,
}

impl Client {
    pub(super) fn connect(path: &Path) -> anyhow::Result<Self> {
        let stream = UnixStream::connect(path).with_context(|| {
            format!("no daemon answers at {} (is `xenvnc daemon` running?)", path.display())
        })?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Sends a request and waits for its answer.
    pub(super) fn ask(&mut self, request: &Request) -> anyhow::Result<Answer> {
        let mut line = serde_json::to_string(request)?;
        line.push('\n');
        // A daemon that refuses in mid-request says why before it closes.
        let sent = self.stream.get_mut().write_all(line.as_bytes());
        let mut reply = String::new();
        let read = self.stream.read_line(&mut reply);
        if reply.is_empty() {
            sent.context("the daemon closed the connection")?;
        }
        read.context("the daemon closed the connection")?;
        if reply.is_empty() {
            bail!("the daemon closed the connection without an answer");
        }
        match serde_json::from_str(&reply).context("the daemon's answer is not understood")? {
            Reply::Ok(answer) => Ok(answer),
            Reply::Error(message) => bail!(message),
        }
    }

    /// Sends a request whose answer is a payload, and reads that.
    pub(super) fn fetch(&mut self, request: &Request) -> anyhow::Result<Vec<u8>> {
        let Answer::Payload(length @ 0..=MAX_PAYLOAD_BYTES) = self.ask(request)? else {
            bail!("the daemon's answer is not understood");
        };
        let mut payload = Vec::new();
        let got = (&mut self.stream).take(length).read_to_end(&mut payload)?;
        if u64::try_from(got) != Ok(length) {
            bail!("the daemon closed the connection after {got} of {length} bytes");
        }
        Ok(payload)
    }
}
