//! What each subcommand does with the daemon's answers.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process;

use anyhow::{Context, bail};

use super::client::Client;
use crate::config::Config;
use crate::control::{Answer, DomainInfo, HistoryFormat, Request, find_domain};
use crate::{daemon, demo};

fn domains(client: &mut Client) -> anyhow::Result<Vec<DomainInfo>> {
    match client.ask(&Request::List)? {
        Answer::Domains(domains) => Ok(domains),
        _ => bail!("the daemon's answer is not understood"),
    }
}

pub(super) fn list(client: &mut Client, json: bool) -> anyhow::Result<()> {
    let domains = domains(client)?;
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string_pretty(&domains)?)?;
        return Ok(());
    }
    let wide = |title: &str, width: fn(&DomainInfo) -> usize| {
        domains.iter().map(width).max().unwrap_or(0).max(title.len())
    };
    let state = |d: &DomainInfo| d.state.as_ref().map_or(0, |state| state.len());
    // Without anybody who can tell, there is no such column.
    let (state_title, state_width) = match domains.iter().map(state).max() {
        None | Some(0) => ("", 0),
        Some(longest) => ("STATE", longest.max("STATE".len()) + 2),
    };
    let name = wide("NAME", |d| d.name.chars().count());
    let address = wide("ADDRESS", |d| d.address.chars().count());
    writeln!(
        out,
        "{:name$}  {:>5}  {:address$}  {state_title:state_width$}VT   VIEWERS  CONSOLE",
        "NAME", "DOMID", "ADDRESS"
    )?;
    for d in &domains {
        let vt = format!("F{}", d.vt);
        let console = match &d.problem {
            Some(problem) => format!("{}: {problem}", d.console),
            None => d.console.clone(),
        };
        writeln!(
            out,
            "{:name$}  {:>5}  {:address$}  {:state_width$}{vt:3}  {:>7}  {console}",
            d.name,
            d.domid,
            d.address,
            d.state.as_deref().unwrap_or_default(),
            d.viewers
        )?;
    }
    Ok(())
}

pub(super) fn status(client: &mut Client, json: bool) -> anyhow::Result<()> {
    let Answer::Status(status) = client.ask(&Request::Status)? else {
        bail!("the daemon's answer is not understood");
    };
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string_pretty(&status)?)?;
        return Ok(());
    }
    let connected = if status.xenstore_connected { "connected" } else { "not connected" };
    writeln!(out, "xenvnc {}, process {}, up {} s", status.version, status.pid, status.uptime_seconds)?;
    writeln!(out, "xenstore: {} ({connected})", status.xenstore.display())?;
    writeln!(out, "domains: {}, viewers: {}", status.domains, status.viewers)?;
    for problem in &status.problems {
        writeln!(out, "problem: {problem}")?;
    }
    Ok(())
}

pub(super) fn rescan(client: &mut Client) -> anyhow::Result<()> {
    client.ask(&Request::Rescan).map(drop)
}

pub(super) fn switch(client: &mut Client, domain: String, vt: u8) -> anyhow::Result<()> {
    client.ask(&Request::Switch { domain, vt }).map(drop)
}

pub(super) fn screenshot(
    client: &mut Client,
    domain: String,
    vt: Option<u8>,
    file: &Path,
) -> anyhow::Result<()> {
    let png = client.fetch(&Request::Screenshot { domain, vt })?;
    if file == Path::new("-") {
        return Ok(io::stdout().lock().write_all(&png)?);
    }
    fs::write(file, png).with_context(|| format!("cannot write {}", file.display()))
}

pub(super) fn history(client: &mut Client, domain: String, format: HistoryFormat) -> anyhow::Result<()> {
    let bytes = client.fetch(&Request::History { domain, format })?;
    Ok(io::stdout().lock().write_all(&bytes)?)
}

pub(super) fn type_text(
    client: &mut Client,
    domain: String,
    words: &[String],
    enter: bool,
) -> anyhow::Result<()> {
    let mut text = words.join(" ");
    if words.is_empty() {
        io::stdin().lock().read_to_string(&mut text).context("standard input is not UTF-8 text")?;
    }
    if enter {
        text.push('\n');
    }
    client.ask(&Request::Type { domain, text }).map(drop)
}

/// Replaces this process by the viewer.
pub(super) fn view(client: &mut Client, domain: &str, arguments: &[OsString]) -> anyhow::Result<()> {
    let domains = domains(client)?;
    let found = find_domain(&domains, domain).map_err(anyhow::Error::msg)?;
    let Some(found) = domains.get(found) else { bail!("no domain is called {domain:?}") };
    // Two colons mark a port; viewers take one colon for a display number. A path is a Unix socket as it stands.
    let target = match found.address.rsplit_once(':') {
        Some((address, port)) if !found.address.starts_with('/') => format!("{address}::{port}"),
        _ => found.address.clone(),
    };
    let viewer = std::env::var_os("VNCVIEWER").unwrap_or_else(|| "vncviewer".into());
    let error = process::Command::new(&viewer).args(arguments).arg(&target).exec();
    Err(error).with_context(|| format!("cannot start {} on {target}", viewer.display()))
}

/// Serves a simulated host until Ctrl-C.
pub(super) fn demo(domains: u16, churn: u16, sets: &[String]) -> anyhow::Result<()> {
    let helper = vec![std::env::current_exe()?.into_os_string(), "demo-guest".into()];
    let options = demo::Options { churn: churn.into(), ..demo::Options::new(domains.into(), helper) };
    // The host's own threads: it knows nothing of the daemon, and ends after it.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let host = runtime.block_on(demo::Host::start(options)).context("cannot simulate a host")?;
    let directory = host.directory().to_owned();
    let path = |name: &str| directory.join(name).display().to_string();
    // What the demo needs comes first, so that a user's own --set wins.
    let mut all = vec![
        format!("xenstore.socket={}", host.store_address().resolve()?.display()),
        format!("control.socket={}", path("control.sock")),
        format!("console.runtime_dir={}", path("run")),
        format!("vnc.unix_dir={}", path("run")),
        format!("history.dir={}", path("history")),
    ];
    all.extend_from_slice(sets);
    let load = move || Config::load(Some(Path::new("/dev/null")), &all);
    let config = load()?;
    let socket = config.control_socket.clone();
    daemon::run_with(config, Box::new(load), move || {
        let mut client = Client::connect(&socket)?;
        let mut out = io::stdout().lock();
        for d in self::domains(&mut client)?.iter().filter(|d| d.name.starts_with("demo-")) {
            writeln!(out, "{} {}", d.name, d.address)?;
        }
        out.flush()?;
        writeln!(
            io::stderr(),
            "Connect a VNC viewer to an address above. Ctrl-Alt-F12 shows the status page, Ctrl-Alt-F1 the console.\n\
             `xenvnc list --socket {}` and its siblings work. Ctrl-C ends the demo.",
            socket.display()
        )?;
        Ok(())
    })?;
    drop(host);
    Ok(())
}
