//! The command line.

mod client;
mod commands;
mod password;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, ConfigError};
use crate::control::HistoryFormat;
use crate::{daemon, demo, guest};

/// One VNC endpoint for every Xen domain: its console from the first boot message on.
#[derive(Debug, Parser)]
#[command(name = "xenvnc", version, arg_required_else_help = true, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve every domain of this host until SIGTERM; SIGHUP reads the configuration again
    Daemon(DaemonArguments),
    /// Inside a guest: connect its X display to the host, until SIGTERM
    Guest(GuestArguments),
    /// Serve a simulated host: no Xen and no root needed
    Demo(DemoArguments),
    /// List the domains that are served
    List {
        #[command(flatten)]
        socket: Socket,
        /// Print a JSON array instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Start a VNC viewer ($VNCVIEWER, else vncviewer) on a domain
    View {
        #[command(flatten)]
        socket: Socket,
        /// The domain's name, UUID or domid
        domain: String,
        /// Arguments for the viewer
        #[arg(last = true)]
        arguments: Vec<OsString>,
    },
    /// Show another VT to every viewer of a domain
    Switch {
        #[command(flatten)]
        socket: Socket,
        /// The domain's name, UUID or domid
        domain: String,
        /// The VT: 1 to 12, or F1 to F12
        #[arg(value_parser = parse_vt)]
        vt: u8,
    },
    /// Save what a domain shows as a PNG file
    Screenshot {
        #[command(flatten)]
        socket: Socket,
        /// The domain's name, UUID or domid
        domain: String,
        /// The VT instead of the one that a new viewer gets: 1 to 12, or F1 to F12
        #[arg(long, value_parser = parse_vt)]
        vt: Option<u8>,
        /// The file to write; - is standard output
        file: PathBuf,
    },
    /// Print what a domain's console has printed, oldest first
    History {
        #[command(flatten)]
        socket: Socket,
        /// The domain's name, UUID or domid
        domain: String,
        /// text, without control sequences; raw, the very bytes; or asciicast, with times, for asciinema
        #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = parse_format)]
        format: HistoryFormat,
        /// The same as --format raw
        #[arg(long, conflicts_with = "format")]
        raw: bool,
    },
    /// Type on a domain's console
    Type {
        #[command(flatten)]
        socket: Socket,
        /// The domain's name, UUID or domid
        domain: String,
        /// What to type, joined by blanks; without it, standard input is typed (a line feed is Return)
        text: Vec<String>,
        /// Press Return at the end
        #[arg(long)]
        enter: bool,
    },
    /// Make the daemon look at xenstore again, and wait until it has
    Rescan {
        #[command(flatten)]
        socket: Socket,
    },
    /// Show how the daemon is
    Status {
        #[command(flatten)]
        socket: Socket,
        /// Print a JSON object instead of lines
        #[arg(long)]
        json: bool,
    },
    /// Print a line for vnc.users_file: the user's name and a hash of the password
    ///
    /// The password is asked for on a terminal; otherwise it is the first line of standard input.
    Password {
        /// The name that the user gives to the viewer
        user: String,
    },
    /// Runs a simulated guest's shell; used by the demo
    #[command(hide = true)]
    DemoGuest {
        /// The guest's terminal
        tty: PathBuf,
    },
}

#[derive(Debug, Args)]
struct DaemonArguments {
    /// The configuration file [default: /etc/xenvnc/config.toml, if it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set one configuration value, over the file's; the value is not quoted
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    sets: Vec<String>,
    /// Check the configuration and exit
    #[arg(long)]
    check: bool,
}

#[derive(Debug, Args)]
struct GuestArguments {
    /// The configuration file [default: /etc/xenvnc/guest.toml, if it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How the host is reached: auto, vchan or tcp [default: auto, vchan first]
    #[arg(long, value_name = "WAY")]
    via: Option<guest::Via>,
    /// Which display of this guest it is, 0 to 4 [default: 0, which the host shows on F7]
    #[arg(long, value_name = "N", value_parser = guest::parse_number)]
    number: Option<u8>,
    /// The RFB server: unix:/PATH, or a port on loopback such as 127.0.0.1:5900 [default:
    /// unix:/run/xenvnc/display-N.sock]
    #[arg(long, value_name = "ADDRESS")]
    server: Option<guest::ServerAddress>,
    /// The host's listener, instead of what the host wrote into this guest's xenstore; with --token-file
    #[arg(long, value_name = "ADDR:PORT")]
    host: Option<guest::HostAddress>,
    /// A file with one line, the token, read anew for each connection; with --host
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Start an Xvnc on the server's Unix socket when nobody listens there
    #[arg(long)]
    xvnc: bool,
    /// The size of that Xvnc's screen [default: 1280x800]
    #[arg(long, value_name = "WIDTHxHEIGHT")]
    geometry: Option<guest::Geometry>,
    /// What to run on that Xvnc: a program and its arguments
    #[arg(last = true)]
    session: Vec<String>,
}

impl GuestArguments {
    fn layer(self) -> guest::Layer {
        guest::Layer {
            via: self.via,
            number: self.number,
            server: self.server,
            host: self.host,
            token_file: self.token_file,
            xvnc: guest::XvncLayer {
                start: self.xvnc.then_some(true),
                command: None,
                geometry: self.geometry,
                session: (!self.session.is_empty()).then_some(self.session),
            },
        }
    }
}

#[derive(Debug, Args)]
struct DemoArguments {
    /// How many domains the simulated host starts with
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(0..=1000))]
    domains: u16,
    /// Let this many further domains come, reboot and go all the time
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=1000))]
    churn: u16,
    /// Set one configuration value of the daemon; the value is not quoted
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    sets: Vec<String>,
}

#[derive(Debug, Args)]
struct Socket {
    /// The daemon's control socket [default: control.socket of /etc/xenvnc/config.toml, else
    /// /run/xenvnc/control.sock]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

fn parse_vt(text: &str) -> Result<u8, String> {
    match text.trim_start_matches(['f', 'F']).parse() {
        Ok(vt @ 1..=12) => Ok(vt),
        _ => Err("a VT is 1 to 12, or F1 to F12".into()),
    }
}

fn parse_format(text: &str) -> Result<HistoryFormat, String> {
    match text {
        "text" => Ok(HistoryFormat::Text),
        "raw" => Ok(HistoryFormat::Raw),
        "asciicast" => Ok(HistoryFormat::Asciicast),
        _ => Err("a format is text, raw or asciicast".into()),
    }
}

/// Exit status for a command line or configuration that cannot be used.
const EXIT_USAGE: u8 = 2;

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments.command) {
        Ok(status) => status,
        Err(error) => {
            let wrong_usage = error.chain().any(|e| {
                e.is::<ConfigError>()
                    || e.is::<guest::GuestConfigError>()
                    || e.downcast_ref::<daemon::DaemonError>().is_some_and(daemon::DaemonError::is_usage)
            });
            // The process ends either way: there is nobody left to tell when stderr is closed.
            let _ = writeln!(std::io::stderr(), "xenvnc: {error:#}");
            if wrong_usage { ExitCode::from(EXIT_USAGE) } else { ExitCode::FAILURE }
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Daemon(arguments) => {
            let load = move || Config::load(arguments.config.as_deref(), &arguments.sets);
            let config = load()?;
            if arguments.check {
                daemon::check(&config)?;
                writeln!(std::io::stdout(), "the configuration is good")?;
                return Ok(ExitCode::SUCCESS);
            }
            init_logging();
            daemon::run(config, Box::new(load))?;
        }
        Command::Demo(arguments) => {
            init_logging();
            commands::demo(arguments.domains, arguments.churn, &arguments.sets)?;
        }
        Command::Guest(mut arguments) => {
            let file = arguments.config.take();
            let config = guest::GuestConfig::load(file.as_deref(), arguments.layer())?;
            init_logging();
            guest::run(config)?;
        }
        Command::Password { user } => password::line(&user)?,
        Command::DemoGuest { tty } => return Err(demo::run_guest(&tty).into()),
        Command::List { socket, json } => commands::list(&mut connect(&socket)?, json)?,
        Command::Status { socket, json } => commands::status(&mut connect(&socket)?, json)?,
        Command::Rescan { socket } => commands::rescan(&mut connect(&socket)?)?,
        Command::Switch { socket, domain, vt } => commands::switch(&mut connect(&socket)?, domain, vt)?,
        Command::View { socket, domain, arguments } => {
            commands::view(&mut connect(&socket)?, &domain, &arguments)?;
        }
        Command::Screenshot { socket, domain, vt, file } => {
            commands::screenshot(&mut connect(&socket)?, domain, vt, &file)?;
        }
        Command::History { socket, domain, format, raw } => {
            let format = if raw { HistoryFormat::Raw } else { format };
            commands::history(&mut connect(&socket)?, domain, format)?;
        }
        Command::Type { socket, domain, text, enter } => {
            commands::type_text(&mut connect(&socket)?, domain, &text, enter)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn connect(socket: &Socket) -> anyhow::Result<client::Client> {
    let path = match &socket.socket {
        Some(path) => path.clone(),
        None => Config::load(None, &[])?.control_socket,
    };
    client::Client::connect(&path)
}

/// Logs go to stderr, where journald and a terminal both find them; `RUST_LOG` chooses what.
fn init_logging() {
    use std::io::IsTerminal;
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // journald stamps each line itself.
    if journal { builder.without_time().init() } else { builder.init() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_vt_is_a_number_or_a_function_key() {
        assert_eq!(parse_vt("F7"), Ok(7));
        assert_eq!(parse_vt("12"), Ok(12));
        assert!(parse_vt("0").is_err() && parse_vt("f13").is_err() && parse_vt("x").is_err());
    }

    #[test]
    fn the_socket_may_follow_the_command() {
        let parsed = Arguments::try_parse_from(["xenvnc", "type", "--socket", "/s", "tiny", "ls", "-l"]);
        assert!(parsed.is_err(), "an unknown option must not be typed silently");
        let parsed =
            Arguments::try_parse_from(["xenvnc", "type", "tiny", "--socket", "/s", "--", "ls", "-l"])
                .unwrap();
        let Command::Type { socket, domain, text, .. } = parsed.command else { panic!() };
        assert_eq!((socket.socket, domain.as_str()), (Some(PathBuf::from("/s")), "tiny"));
        assert_eq!(text, ["ls", "-l"]);
    }
}
