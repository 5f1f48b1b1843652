//! What is wrong with a configuration.

use std::path::PathBuf;

use super::MAX_FILE_BYTES;

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file that was named could not be read.
    #[error("cannot read configuration file {path:?}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is larger than any configuration.
    #[error("configuration file {path:?} has more than {MAX_FILE_BYTES} bytes")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file has an unknown key or a value that does not fit; the source names the key, line and column.
    #[error("configuration file {path:?}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// The key, line and column.
        source: Box<toml::de::Error>,
    },
    /// A `--set` is not of the form `section.key=value`.
    #[error("--set {argument:?}: want section.key=value")]
    SetForm {
        /// The argument as it was given.
        argument: String,
    },
    /// A `--set` names an unknown key, or its value does not fit.
    #[error("--set {argument:?}: {message}")]
    Set {
        /// The argument as it was given.
        argument: String,
        /// What is wrong with it.
        message: String,
    },
    /// A value that is checked against the system (a password file, a glob) does not hold.
    #[error("{key}: {message}")]
    Value {
        /// The key, as `section.key`.
        key: String,
        /// What is wrong with it.
        message: String,
    },
}
