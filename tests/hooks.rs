//! The default configuration file says what the code does: every key that it shows exists, with the default it shows.

#![allow(clippy::unwrap_used, reason = "failing is how a test reports")]

use std::io::Write;

use xenvnc::config::Config;

const FILE: &str = include_str!("../xen-hooks/config.toml");

fn load(text: &str) -> Config {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    Config::load(Some(file.path()), &[]).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// The file with the keys that are commented out (`#key`, no space) in force, up to the first `[[domain]]`.
fn with_keys_in_force() -> String {
    let general = FILE.split("#[[domain]]").next().unwrap();
    // What has no default that could be written down.
    let no_default = ["#socket = \"/run/xenstored/socket\"", "#password_file", "#chords", "#announce"];
    general
        .lines()
        .filter(|line| !no_default.iter().any(|key| line.starts_with(key)))
        .map(|line| match line.strip_prefix('#') {
            Some(key) if !key.starts_with(' ') && !key.is_empty() => format!("{key}\n"),
            _ => format!("{line}\n"),
        })
        .collect()
}

#[test]
fn default_file_changes_nothing() {
    assert_eq!(format!("{:?}", load(FILE)), format!("{:?}", load("")));
}

#[test]
fn keys_of_the_default_file_show_the_defaults() {
    let text = with_keys_in_force();
    assert!(text.matches("\nlisten = ").count() == 2 && text.contains("\nbytes = "), "{text}");
    assert_eq!(format!("{:?}", load(&text)), format!("{:?}", load("")));
}

#[test]
fn example_of_a_domain_block_is_valid() {
    let (_, block) = FILE.split_once("#[[domain]]").unwrap();
    let text = format!("[[domain]]{}", block.replace("\n#", "\n"));
    assert_eq!(load(&text).domain("test-1", "").history_lines, 10_000);
}
