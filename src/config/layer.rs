//! One layer of configuration as it is written: a file, or a `--set`.

use std::path::Path;

use serde::Deserialize;

use super::error::ConfigError;
use super::value::{
    Announce, Bytes, Cells, ConsoleMode, FilePath, Interfaces, Lines, Listen, Listens, Pixels, Ports, Switch,
    Targets, Word, Words,
};

/// One layer of configuration: a file, a `--set` or a `[[domain]]` block. What is `None` comes from below.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Layer {
    pub(super) control: ControlLayer,
    pub(super) xenstore: XenstoreLayer,
    pub(super) console: ConsoleLayer,
    pub(super) vnc: VncLayer,
    pub(super) history: HistoryLayer,
    pub(super) seat: SeatLayer,
    pub(super) reverse: ReverseLayer,
    pub(super) display: DisplayLayer,
    pub(super) domain: Vec<DomainLayer>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ControlLayer {
    pub(super) socket: Option<FilePath>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct XenstoreLayer {
    pub(super) socket: Option<FilePath>,
    pub(super) wait: Option<Switch>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ConsoleLayer {
    pub(super) mode: Option<ConsoleMode>,
    pub(super) runtime_dir: Option<FilePath>,
    pub(super) columns: Option<Cells>,
    pub(super) rows: Option<Cells>,
    pub(super) font: Option<Word>,
    pub(super) resize: Option<Switch>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct VncLayer {
    pub(super) enabled: Option<Switch>,
    pub(super) listen: Option<Listen>,
    pub(super) ports: Option<Ports>,
    pub(super) unix_dir: Option<FilePath>,
    pub(super) password_file: Option<FilePath>,
    pub(super) users_file: Option<FilePath>,
    pub(super) tls_certificate: Option<FilePath>,
    pub(super) tls_key: Option<FilePath>,
    pub(super) security: Option<Words>,
    pub(super) sharing: Option<Word>,
    pub(super) view_only: Option<Switch>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct HistoryLayer {
    pub(super) enabled: Option<Switch>,
    pub(super) dir: Option<FilePath>,
    pub(super) lines: Option<Lines>,
    pub(super) bytes: Option<Bytes>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SeatLayer {
    pub(super) chords: Option<Words>,
    pub(super) clipboard: Option<Word>,
    pub(super) paste: Option<Word>,
    pub(super) notices: Option<Switch>,
    pub(super) osc52: Option<Switch>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ReverseLayer {
    pub(super) listen: Option<Listens>,
    pub(super) announce: Option<Announce>,
    pub(super) trust_bridge: Option<Interfaces>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct DisplayLayer {
    pub(super) enabled: Option<Switch>,
    pub(super) forward: Option<Targets>,
    pub(super) password_file: Option<FilePath>,
    pub(super) user: Option<Word>,
    pub(super) tls_ca: Option<FilePath>,
    pub(super) tls_fingerprint: Option<Word>,
    pub(super) tls_name: Option<Word>,
    pub(super) tls_insecure: Option<Switch>,
    pub(super) pixels: Option<Pixels>,
    pub(super) relay: Option<Switch>,
}

/// A `[[domain]]` block: what may differ from domain to domain.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DomainLayer {
    #[serde(rename = "match")]
    pub(super) pattern: String,
    #[serde(default)]
    pub(super) console: ConsoleLayer,
    #[serde(default)]
    pub(super) vnc: VncLayer,
    #[serde(default)]
    pub(super) history: HistoryLayer,
    #[serde(default)]
    pub(super) seat: SeatLayer,
    #[serde(default)]
    pub(super) display: DisplayLayer,
}

/// A file's text.
pub(super) fn parse_file(path: &Path, text: &str) -> Result<Layer, ConfigError> {
    toml::from_str(text)
        .map_err(|source| ConfigError::File { path: path.to_owned(), source: Box::new(source) })
}

/// `section.key=value`.
pub(super) fn parse_set(argument: &str) -> Result<Layer, ConfigError> {
    let form = || ConfigError::SetForm { argument: argument.to_owned() };
    let (name, value) = argument.split_once('=').ok_or_else(form)?;
    let (section, key) = name.split_once('.').ok_or_else(form)?;
    if section.is_empty() || key.is_empty() || section == "domain" {
        return Err(form());
    }
    let leaf = toml::Table::from_iter([(key.to_owned(), toml::Value::String(value.to_owned()))]);
    let table = toml::Table::from_iter([(section.to_owned(), toml::Value::Table(leaf))]);
    table.try_into().map_err(|error: toml::de::Error| ConfigError::Set {
        argument: argument.to_owned(),
        message: error.message().to_owned(),
    })
}
