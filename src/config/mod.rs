//! The configuration file and `--set`.
//!
//! The file is TOML; `xen-hooks/config.toml` explains every key. A file or `--set` is first parsed into a
//! [`Layer`], in which everything is optional; layers are laid over the defaults, and `[[domain]]` blocks over those
//! for the domains that they match. Values are checked when they are parsed, so that an error names the key and
//! where it stands, and nothing is opened before the whole configuration is known to be good.

mod domain;
mod error;
mod layer;
mod value;

use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use domain::set;
use layer::{DomainLayer, Layer, parse_file, parse_set};

pub use domain::DomainConfig;
pub use error::ConfigError;
pub use value::{
    Announce, Bytes, Cells, ConsoleMode, DISPLAYS_MAX, FilePath, Interfaces, Lines, Listen, Listens, Pixels,
    Ports, Switch, Target, Targets, Word, Words,
};

/// The port on which VNC servers expect a listening viewer, for `reverse.listen` without one.
pub const REVERSE_PORT: u16 = 5500;

/// Where the daemon looks when `--config` is not given. It may be missing; a file that was named may not.
pub const DEFAULT_FILE: &str = "/etc/xenvnc/config.toml";

/// The largest configuration file that is read, in bytes: far above any real one, far below what hurts.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The whole configuration, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// `control.socket`: where the daemon answers `xenvnc list` and its siblings.
    pub control_socket: PathBuf,
    /// `xenstore.socket`: xenstored's socket; `None` looks in the usual places.
    pub xenstore_socket: Option<PathBuf>,
    /// `xenstore.wait`: wait for xenstored instead of giving up when it is not there at the start.
    pub xenstore_wait: bool,
    /// `console.runtime_dir`: where the ptys that we publish live.
    pub runtime_dir: PathBuf,
    /// `vnc.unix_dir`: where domains beyond the port range get a Unix socket.
    pub unix_dir: PathBuf,
    /// `history.dir`: where consoles are recorded; `None` when `history.enabled` is false.
    pub history_dir: Option<PathBuf>,
    /// `reverse.listen`: where guests' VNC servers may connect to us; none by default.
    pub reverse_listen: Vec<SocketAddr>,
    /// `reverse.announce`: what guests are told to connect to; `None` means the first address of `reverse.listen`.
    pub reverse_announce: Option<String>,
    /// `reverse.trust_bridge`: the bridges on which a MAC address tells which guest it is.
    pub trust_bridge: Vec<String>,
    base: DomainConfig,
    overrides: Vec<DomainLayer>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            control_socket: "/run/xenvnc/control.sock".into(),
            xenstore_socket: None,
            xenstore_wait: false,
            runtime_dir: "/run/xenvnc".into(),
            unix_dir: "/run/xenvnc".into(),
            // In memory, so that no disk can hold up a console; it outlives the daemon, and the guests do not
            // outlive the memory.
            history_dir: Some("/run/xenvnc/history".into()),
            reverse_listen: Vec::new(),
            reverse_announce: None,
            trust_bridge: Vec::new(),
            base: DomainConfig::default(),
            overrides: Vec::new(),
        }
    }
}

impl Config {
    /// Reads `file`, or the default file if there is one, and lays the `--set` arguments over it.
    ///
    /// # Errors
    /// A file that was named and cannot be read, an unknown key, a value that does not fit: the error names the
    /// file, line and key, or the argument.
    pub fn load(file: Option<&Path>, sets: &[String]) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        let path = file.unwrap_or(Path::new(DEFAULT_FILE));
        match read_bounded(path) {
            Ok(text) => config.apply(parse_file(path, &text)?)?,
            Err(ConfigError::Read { source, .. })
                if file.is_none() && source.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        for argument in sets {
            config.apply(parse_set(argument)?)?;
        }
        Ok(config)
    }

    /// What holds for the domain of this name and UUID: later blocks win over earlier ones.
    #[must_use]
    pub fn domain(&self, name: &str, uuid: &str) -> DomainConfig {
        let mut config = self.base.clone();
        for layer in &self.overrides {
            if glob_match::glob_match(&layer.pattern, name) || glob_match::glob_match(&layer.pattern, uuid) {
                config.apply_block(layer);
            }
        }
        config
    }

    /// What guests are told to connect to, where there is something to tell: an address of ours that is one.
    #[must_use]
    pub fn announced(&self) -> Option<String> {
        let named = |at: &&SocketAddr| !at.ip().is_unspecified();
        self.reverse_announce
            .clone()
            .or_else(|| self.reverse_listen.iter().find(named).map(ToString::to_string))
    }

    /// The configuration of the domains that no `[[domain]]` block matches, and of each block laid over it, with
    /// the prefix that names it in errors: everything that must be checked before the daemon starts.
    pub fn variants(&self) -> impl Iterator<Item = (String, DomainConfig)> + '_ {
        let blocks = self.overrides.iter().map(|layer| {
            let mut config = self.base.clone();
            config.apply_block(layer);
            (format!("[[domain]] match = {:?}: ", layer.pattern), config)
        });
        std::iter::once((String::new(), self.base.clone())).chain(blocks)
    }

    fn apply(&mut self, layer: Layer) -> Result<(), ConfigError> {
        self.base.apply(&layer.console, &layer.vnc, &layer.history, &layer.seat);
        self.base.apply_display(&layer.display);
        set(&mut self.control_socket, layer.control.socket.map(|p| p.0));
        set(&mut self.xenstore_wait, layer.xenstore.wait.map(|w| w.0));
        set(&mut self.runtime_dir, layer.console.runtime_dir.map(|p| p.0));
        set(&mut self.unix_dir, layer.vnc.unix_dir.map(|p| p.0));
        if let Some(socket) = layer.xenstore.socket {
            self.xenstore_socket = Some(socket.0);
        }
        if let Some(dir) = layer.history.dir {
            self.history_dir = Some(dir.0);
        }
        if layer.history.enabled == Some(Switch(false)) {
            self.history_dir = None;
        }
        if let Some(Listens(listens)) = layer.reverse.listen {
            let at = |listen: Listen| SocketAddr::new(listen.address, listen.port.unwrap_or(REVERSE_PORT));
            self.reverse_listen = listens.into_iter().map(at).collect();
        }
        if let Some(Announce(announce)) = layer.reverse.announce {
            self.reverse_announce = Some(announce);
        }
        set(&mut self.trust_bridge, layer.reverse.trust_bridge.map(|bridges| bridges.0));
        for block in &layer.domain {
            let everywhere_only = [
                ("console.runtime_dir", block.console.runtime_dir.is_some()),
                ("vnc.unix_dir", block.vnc.unix_dir.is_some()),
                ("history.dir", block.history.dir.is_some()),
                ("history.enabled", block.history.enabled.is_some()),
            ];
            if let Some((key, _)) = everywhere_only.into_iter().find(|(_, given)| *given) {
                return Err(ConfigError::Value {
                    key: format!("[[domain]] match = {:?}: {key}", block.pattern),
                    message: "holds for all domains and cannot differ for one".into(),
                });
            }
        }
        self.overrides.extend(layer.domain);
        Ok(())
    }
}

fn read_bounded(path: &Path) -> Result<String, ConfigError> {
    let failed = |source| ConfigError::Read { path: path.to_owned(), source };
    let mut text = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    let bytes = file.take(MAX_FILE_BYTES + 1).read_to_end(&mut text).map_err(failed)?;
    // A device or pipe has no size to ask for beforehand.
    if u64::try_from(bytes).is_ok_and(|bytes| bytes > MAX_FILE_BYTES) {
        return Err(ConfigError::TooLarge { path: path.to_owned() });
    }
    String::from_utf8(text)
        .map_err(|error| failed(std::io::Error::new(std::io::ErrorKind::InvalidData, error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sets(arguments: &[&str]) -> Result<Config, ConfigError> {
        let empty = tempfile::NamedTempFile::new().unwrap();
        let arguments: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
        Config::load(Some(empty.path()), &arguments)
    }

    fn file(text: &str) -> Result<Config, ConfigError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Config::load(Some(file.path()), &[])
    }

    fn message(result: Result<Config, ConfigError>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn set_takes_values_unquoted() {
        let config = sets(&[
            "vnc.ports=5950-5960",
            "vnc.listen=0.0.0.0",
            "history.lines=17",
            "console.mode=attach",
            "xenstore.socket=/tmp/a b/socket",
            "xenstore.wait=true",
        ])
        .unwrap();
        let domain = config.domain("any", "");
        assert_eq!(domain.ports, Ports(5950..=5960));
        assert_eq!(domain.listen, Listen { address: [0, 0, 0, 0].into(), port: None });
        assert_eq!((domain.history_lines, domain.mode), (17, ConsoleMode::Attach));
        assert_eq!(config.xenstore_socket.as_deref(), Some(Path::new("/tmp/a b/socket")));
        assert!(config.xenstore_wait);
    }

    #[test]
    fn reverse_listeners_have_a_usual_port_and_are_announced_where_they_have_an_address() {
        assert_eq!(sets(&[]).unwrap().reverse_listen, []);
        let config = sets(&["reverse.listen=0.0.0.0,10.0.0.1:5501,[::1]:7"]).unwrap();
        let listen: Vec<String> = config.reverse_listen.iter().map(ToString::to_string).collect();
        assert_eq!(listen, ["0.0.0.0:5500", "10.0.0.1:5501", "[::1]:7"]);
        assert_eq!(config.announced().as_deref(), Some("10.0.0.1:5501"));
        assert_eq!(sets(&["reverse.listen=0.0.0.0"]).unwrap().announced(), None);
        let named = sets(&["reverse.listen=::", "reverse.announce=dom0.example:55"]).unwrap();
        assert_eq!(named.announced().as_deref(), Some("dom0.example:55"));
        let off = sets(&["reverse.listen=127.0.0.1", "reverse.listen="]).unwrap();
        assert_eq!(off.reverse_listen, []);
        let config =
            file("[reverse]\nlisten = [\"127.0.0.1\"]\ntrust_bridge = [\"xenbr0\", \"xenbr1\"]\n").unwrap();
        assert_eq!(config.trust_bridge, ["xenbr0", "xenbr1"]);
        assert_eq!(config.reverse_listen, ["127.0.0.1:5500".parse().unwrap()]);
    }

    #[test]
    fn displays_differ_from_domain_to_domain() {
        let config = file(
            "[[domain]]\nmatch = \"suse\"\ndisplay.forward = \"10.0.0.7:5901\"\n\
             display.password_file = \"/x\"\n[[domain]]\nmatch = \"two\"\n\
             display.forward = [\"unix:/run/x.sock\", \"[fe80::1]:5902\"]\n[[domain]]\nmatch = \"none\"\n\
             display.enabled = false\n",
        )
        .unwrap();
        let suse = config.domain("suse", "");
        assert_eq!(suse.forward, [Target::Tcp(([10, 0, 0, 7], 5901).into())]);
        assert_eq!((suse.displays, suse.display_password_file), (true, Some("/x".into())));
        let two = config.domain("two", "").forward;
        assert_eq!(
            two.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["unix:/run/x.sock", "[fe80::1]:5902"]
        );
        assert!(!config.domain("none", "").displays);
        assert_eq!(config.domain("other", "").forward, []);
    }

    #[test]
    fn set_errors_name_the_argument_and_what_was_wanted() {
        for (argument, part) in [
            ("vnc.prots=1-2", "unknown field `prots`"),
            ("nothing.here=1", "unknown field `nothing`"),
            ("vnc.ports=9-1", "FIRST-LAST"),
            ("vnc.ports=0-70000", "FIRST-LAST"),
            ("history.lines=-1", "number of lines"),
            ("console.mode=steal", "interpose"),
            ("vnc.listen=everywhere", "ADDR:PORT"),
            ("vnc.enabled=maybe", "true nor false"),
            ("reverse.listen=somewhere", "ADDR:PORT"),
            ("reverse.listen=::1,127.0.0.1,::1", "twice"),
            ("reverse.announce=dom0", "HOST:PORT"),
            ("reverse.announce=a b:5500", "HOST:PORT"),
            ("reverse.announce=dom0:0", "HOST:PORT"),
            ("reverse.trust_bridge=xenbr0,a/b", "\"a/b\""),
            ("reverse.trust_bridge=..", "interface's name"),
            ("display.forward=guest", "ADDR:PORT"),
            ("display.forward=10.0.0.7:0", "ADDR:PORT"),
            ("display.forward=unix:relative", "unix:/PATH"),
            ("display.forward=[::1]:1,[::1]:2,[::1]:3,[::1]:4,[::1]:5,[::1]:6", "at most 5"),
            ("vncports", "section.key=value"),
            ("domain.match=x", "section.key=value"),
        ] {
            let text = message(sets(&[argument]));
            assert!(text.contains(argument) && text.contains(part), "{argument}: {text}");
        }
    }

    #[test]
    fn file_errors_name_the_key_and_line() {
        let text = message(file("[vnc]\nports = \"5900-5999\"\nlisen = \"127.0.0.1\"\n"));
        assert!(text.contains("line 3") && text.contains("lisen"), "{text}");
        let text = message(file("[history]\n\nlines = \"many\"\n"));
        assert!(text.contains("line 3") && text.contains("many"), "{text}");
        let text = message(Config::load(Some(Path::new("/nonexistent/x.toml")), &[]));
        assert!(text.contains("/nonexistent/x.toml"), "{text}");
    }

    #[test]
    fn domain_blocks_override_by_name_or_uuid_and_later_ones_win() {
        let config = file(
            "[history]\nlines = 5\n[[domain]]\nmatch = \"web-*\"\nhistory.lines = 7\nvnc.enabled = false\n\
             [[domain]]\nmatch = \"2991347e-*\"\nhistory.lines = 9\nseat.chords = [\"ctrl-alt-f7\"]\n",
        )
        .unwrap();
        assert_eq!(config.domain("db", "1").history_lines, 5);
        assert_eq!(config.domain("web-1", "1").history_lines, 7);
        assert!(!config.domain("web-1", "1").enabled);
        let both = config.domain("web-1", "2991347e-f9bd");
        assert_eq!((both.history_lines, both.chords), (9, Some(vec!["ctrl-alt-f7".to_owned()])));
        let text = message(file("[[domain]]\nmatch = \"a\"\nhistory.dir = \"/x\"\n"));
        assert!(text.contains("history.dir") && text.contains("\"a\""), "{text}");
        let text = message(file("[[domain]]\nmatch = \"a\"\nvnc.port = 1\n"));
        assert!(text.contains("port") && text.contains("line 3"), "{text}");
    }
}
