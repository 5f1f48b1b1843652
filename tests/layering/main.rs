//! Reads the project's own sources and fails on what ARCHITECTURE.md forbids: an edge between modules that is not in
//! the table below, input or output in a pure module, `unsafe` outside its two places, a file that holds two ideas,
//! and a path of the machine on which something was written.
//!
//! The reader in `source.rs` is a lexer and a path collector, not a Rust parser. It sees every path that starts with `crate`,
//! `super`, `self` or (in the binary) the library's name, in `use` trees and in expressions alike. A bare name can only
//! reach a module's own children, so nothing else can leave a top-level module, as long as nobody imports the crate
//! root as a whole; that is refused too.

#![expect(clippy::expect_used, reason = "a test may stop at the first thing that cannot be read")]

mod source;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use source::{Kind, Named, Source};

/// What each top-level module may name. The same table stands in ARCHITECTURE.md, and a test compares the two.
const MAY_USE: &[(&str, &[&str])] = &[
    ("geometry", &[]),
    ("keysym", &[]),
    ("terminal", &["geometry", "keysym"]),
    ("rfb", &["geometry", "keysym"]),
    ("screen", &["geometry", "keysym", "terminal", "rfb::tile"]),
    ("seat", &["geometry", "keysym", "terminal", "rfb", "screen"]),
    ("xen", &["geometry", "keysym"]),
    ("net", &["geometry", "keysym"]),
    ("qemu", &["geometry", "keysym"]),
    ("control", &[]),
    ("config", &["geometry", "keysym"]),
    ("guest", &["geometry", "keysym", "xen", "net", "qemu", "config"]),
    ("web", &["net", "control", "config"]),
    (
        "daemon",
        &[
            "geometry", "keysym", "terminal", "rfb", "screen", "seat", "xen", "net", "qemu", "control",
            "config",
        ],
    ),
    ("demo", &["geometry", "keysym", "xen", "net", "qemu", "control", "config", "daemon"]),
    ("cli", &["geometry", "keysym", "control", "config", "daemon", "demo", "guest", "web"]),
    ("lib", &[]),
    ("main", &["cli"]),
];

/// Modules that take bytes, events and `now`, and give bytes, events and deadlines.
const PURE: &[&str] = &["geometry", "keysym", "terminal", "rfb", "screen", "seat", "control"];

/// What a pure module must not name outside its tests: sockets, files, threads, clocks, randomness, the runtime.
const IMPURE: &[&[&str]] = &[
    &["std", "net"],
    &["std", "fs"],
    &["std", "thread"],
    &["std", "process"],
    &["std", "env"],
    &["std", "os"],
    &["Instant", "now"],
    &["SystemTime", "now"],
    &["tokio"],
    &["nix"],
    &["getrandom"],
];

/// The only places where `unsafe` may stand.
const UNSAFE_PLACES: &[&str] = &["src/xen/sys/", "src/xen/sys.rs", "src/xen/console/ring.rs"];

/// Lines of a source file without its test module. Most files have 100 to 400.
const FILE_LINES_MAX: usize = 600;

/// Top-level directories that every Linux system has: a path under one of these says nothing about a machine.
const COMMON_DIRECTORIES: &[&str] = &[
    "bin", "boot", "builds", "dev", "etc", "home", "lib", "media", "mnt", "opt", "proc", "root", "run",
    "sbin", "srv", "sys", "tmp", "usr", "var",
];

#[test]
fn every_edge_is_in_the_table() {
    let found: Vec<String> = sources().iter().flat_map(edges_outside_the_table).collect();
    assert!(found.is_empty(), "edges that ARCHITECTURE.md does not allow:\n{}", found.join("\n"));
}

#[test]
fn pure_modules_do_no_input_or_output() {
    let found: Vec<String> = sources().iter().flat_map(impurities).collect();
    assert!(found.is_empty(), "input or output in a pure module:\n{}", found.join("\n"));
}

#[test]
fn unsafe_stays_in_its_places() {
    let found: Vec<String> = sources().iter().flat_map(misplaced_unsafe).collect();
    assert!(found.is_empty(), "`unsafe` belongs in {UNSAFE_PLACES:?} only:\n{}", found.join("\n"));
}

#[test]
fn files_hold_one_idea() {
    let found: Vec<String> = sources().iter().filter_map(too_long).collect();
    assert!(found.is_empty(), "split these by idea:\n{}", found.join("\n"));
}

#[test]
fn the_architecture_page_has_the_same_table() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let written = table_of(&page);
    let meant: BTreeMap<String, Vec<String>> = MAY_USE
        .iter()
        .map(|(module, uses)| ((*module).to_owned(), sorted(uses.iter().map(|name| (*name).to_owned()))))
        .collect();
    assert_eq!(written, meant, "the table in ARCHITECTURE.md (left) and the one in this test (right)");
}

#[test]
fn no_path_of_this_machine() {
    let Some(place) = telling_prefix(root()) else { return };
    let found: Vec<String> = tracked_files()
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok().map(|text| (path, text)))
        .flat_map(|(path, text)| lines_naming(&place, path, &text))
        .collect();
    assert!(found.is_empty(), "paths of the machine that this was written on:\n{}", found.join("\n"));
}

// The rules, on made-up files: each must be able to fail.

#[test]
fn a_bad_edge_is_found_in_every_form() {
    for (path, line) in [
        ("src/terminal/grid.rs", "use crate::seat::Seat;"),
        ("src/terminal/grid.rs", "use crate::{geometry::Size, seat::Seat};"),
        ("src/terminal/grid.rs", "use crate::{geometry::{Size, self}, seat::{vt::{Vt}}};"),
        ("src/terminal/grid.rs", "use super::super::seat::Seat;"),
        ("src/terminal/grid.rs", "fn f() { let x = crate::daemon::run(); }"),
        ("src/terminal/grid.rs", "fn f() -> Vec<super::super::rfb::tile::Tile> { vec![] }"),
        ("src/terminal/mod.rs", "use super::rfb;"),
        ("src/terminal/mod.rs", "mod tests { use super::super::rfb::tile; }"),
        ("src/terminal/mod.rs", "macro_rules! m { () => { $crate::seat::go() } }"),
        ("src/screen/text.rs", "use crate::rfb::server::ServerConnection;"),
        ("src/screen/text.rs", "use crate::rfb;"),
        ("src/screen/text.rs", "use crate::rfb::{self, tile::Tile};"),
        ("src/seat/mod.rs", "use crate::xen::store::Store;"),
        ("src/xen/publish.rs", "use crate::net::tcp;"),
        ("src/daemon/mod.rs", "use crate::cli;"),
        ("src/control.rs", "use crate::daemon::Host;"),
        ("src/geometry.rs", "use crate::keysym::Keysym;"),
        ("src/seat/mod.rs", "use crate::*;"),
        ("src/seat/mod.rs", "use super::*;"),
        ("src/seat/mod.rs", "use crate as everything;"),
        ("src/seat/mod.rs", "use crate::{self as everything};"),
        ("src/seat/mod.rs", "use crate::unknown::Thing;"),
        ("src/seat/mod.rs", "#[path = \"../xen/mod.rs\"] mod hidden;"),
        ("src/seat/mod.rs", "include!(\"../xen/mod.rs\");"),
        ("src/main.rs", "use xenvnc::daemon;"),
        ("src/new_room/mod.rs", "use crate::geometry::Size;"),
    ] {
        let file = Source::new(path, line);
        assert!(!edges_outside_the_table(&file).is_empty(), "{path} with `{line}` should be refused");
    }
}

#[test]
fn a_good_edge_is_not_reported() {
    for (path, line) in [
        (
            "src/terminal/grid.rs",
            "use crate::{geometry::Size, keysym::{self, Keysym}, terminal::cell::Cell};",
        ),
        ("src/terminal/grid.rs", "// use crate::seat::Seat;\n/* crate::daemon::x /* nested */ crate::cli */"),
        ("src/terminal/grid.rs", "//! See [`crate::seat`].\nconst S: &str = \"crate::seat\";"),
        (
            "src/terminal/grid.rs",
            "const S: &str = r#\"\"crate::seat\"#; const C: char = '\"'; fn f<'a>(x: &'a u8) {}",
        ),
        ("src/terminal/grid.rs", "const C: &[char] = &['\\'', '\"']; const S: &[u8] = b\"\\\"crate::seat\";"),
        ("src/terminal/grid.rs", "mod tests { use super::*; use super::super::cell; }"),
        (
            "src/terminal/grid.rs",
            "pub(crate) fn f() {} pub(super) fn g() {} pub(in crate::terminal) fn h() {}",
        ),
        ("src/screen/text.rs", "use crate::rfb::tile::{Tile, TileSource}; use crate::terminal::View;"),
        ("src/seat/mod.rs", "use crate::rfb; use crate::screen::{Font, TextView};"),
        ("src/xen/store/mod.rs", "use crate::xen::paths; use super::paths::domain; use self::wire::Header;"),
        ("src/daemon/mod.rs", "use crate::{config::Config, control, seat::Seat, xen::{self, store::Store}};"),
        ("src/main.rs", "fn main() -> std::process::ExitCode { xenvnc::cli::main() }"),
        ("src/lib.rs", "pub mod geometry; pub mod seat;"),
    ] {
        assert_eq!(edges_outside_the_table(&Source::new(path, line)), Vec::<String>::new(), "{path}: {line}");
    }
}

#[test]
fn the_other_rules_can_fail_too() {
    let source =
        "use std::net::TcpStream; fn f() { let now = std::time::Instant::now(); tokio::spawn(g()); }";
    assert_eq!(impurities(&Source::new("src/seat/mod.rs", source)).len(), 3);
    assert_eq!(impurities(&Source::new("src/daemon/mod.rs", source)).len(), 0);
    let in_tests = "#[cfg(test)]\nmod tests { use std::time::Instant; fn f() { Instant::now(); } }";
    assert_eq!(impurities(&Source::new("src/seat/mod.rs", in_tests)).len(), 0);
    let grouped = "use std::{collections::BTreeMap, fs};";
    assert_eq!(impurities(&Source::new("src/rfb/wire.rs", grouped)).len(), 1);

    let source = "fn f() { unsafe { g() } }";
    assert_eq!(misplaced_unsafe(&Source::new("src/terminal/mod.rs", source)).len(), 1);
    assert_eq!(misplaced_unsafe(&Source::new("src/xen/sys/evtchn.rs", source)).len(), 0);
    assert_eq!(misplaced_unsafe(&Source::new("src/xen/store.rs", "#![allow(unsafe_code)]")).len(), 1);
    assert_eq!(misplaced_unsafe(&Source::new("src/xen/store.rs", "// unsafe\n")).len(), 0);

    let code = "fn f() {}\n".repeat(FILE_LINES_MAX);
    assert!(too_long(&Source::new("src/seat/mod.rs", &code)).is_none());
    assert!(too_long(&Source::new("src/seat/mod.rs", &format!("{code}fn g() {{}}\n"))).is_some());
    let tests = format!("#[cfg(test)]\nmod tests {{\n{code}}}\n");
    assert!(too_long(&Source::new("src/seat/mod.rs", &format!("fn g() {{}}\n{tests}"))).is_none());

    let place = telling_prefix(Path::new("/workshop/a/b")).expect("not a common directory");
    assert_eq!(place, "/workshop/");
    assert_eq!(telling_prefix(Path::new("/home/someone/b")).as_deref(), Some("/home/someone/"));
    let text = "cd /workshop/x\nsee docs/workshop/y\n";
    assert_eq!(lines_naming(&place, Path::new("README.md"), text).len(), 1);
}

fn edges_outside_the_table(file: &Source) -> Vec<String> {
    let row = file.row();
    let Some((_, allowed)) = MAY_USE.iter().find(|(module, _)| *module == row) else {
        return vec![format!("{}: the table has no row for `{row}`", file.path)];
    };
    let mut found = Vec::new();
    let is_main = file.path == "src/main.rs";
    let starts = |word: &str| matches!(word, "crate" | "super" | "self") || (is_main && word == "xenvnc");
    for named in file.paths(starts) {
        let Some(target) = resolve(&file.module(), &named) else { continue };
        let inside = target.first().is_some_and(|first| *first == row);
        let is_allowed = allowed.iter().any(|permitted| is_under(&target, permitted));
        if !inside && !is_allowed {
            let what = if target.is_empty() { "the crate root".to_owned() } else { target.join("::") };
            found.push(format!("{}:{}: `{row}` names {what}", file.path, named.line));
        }
    }
    for index in 0..file.tokens.len() {
        let hides = match file.word(index) {
            Some("path") => {
                index >= 2 && file.is(index - 1, &Kind::Sign('[')) && file.is(index + 1, &Kind::Sign('='))
            }
            Some("include") => file.is(index + 1, &Kind::Sign('!')),
            Some("extern") => file.word(index + 1) == Some("crate"),
            _ => false,
        };
        if hides {
            found.push(format!("{}:{}: hides an edge from this test", file.path, file.tokens[index].line));
        }
    }
    found
}

/// The module path from the crate's root that a name means. `None` where it only names something in its own root file.
fn resolve(module: &[String], named: &Named) -> Option<Vec<String>> {
    let mut at: Vec<String> = module.to_vec();
    at.extend(named.place.modules.iter().cloned());
    let mut rest = named.segments.as_slice();
    let mut is_relative = false;
    while let Some((first, tail)) = rest.split_first() {
        match first.as_str() {
            "crate" | "xenvnc" if !is_relative => at.clear(),
            "self" => {}
            "super" => {
                at.pop();
            }
            _ => break,
        }
        is_relative = true;
        rest = tail;
    }
    at.extend(rest.iter().filter(|segment| *segment != "self").cloned());
    if at.last().is_some_and(|last| last == "*") {
        at.pop();
    }
    let is_own_root = module.is_empty() && named.segments.first().is_some_and(|first| first == "self");
    (!is_own_root).then_some(at)
}

fn is_under(target: &[String], permitted: &str) -> bool {
    let permitted: Vec<&str> = permitted.split("::").collect();
    target.len() >= permitted.len() && target.iter().zip(&permitted).all(|(seen, wanted)| seen == wanted)
}

fn impurities(file: &Source) -> Vec<String> {
    if !PURE.contains(&file.row().as_str()) {
        return Vec::new();
    }
    let roots = ["std", "tokio", "nix", "getrandom", "Instant", "SystemTime"];
    file.paths(|word| roots.contains(&word))
        .into_iter()
        .filter(|named| !named.place.in_tests)
        .filter(|named| {
            IMPURE.iter().any(|banned| {
                named.segments.windows(banned.len()).any(|part| part.iter().zip(*banned).all(|(a, b)| a == b))
            })
        })
        .map(|named| format!("{}:{}: {}", file.path, named.line, named.segments.join("::")))
        .collect()
}

fn misplaced_unsafe(file: &Source) -> Vec<String> {
    if UNSAFE_PLACES.iter().any(|place| file.path.starts_with(place)) {
        return Vec::new();
    }
    let is_unsafe = |index: &usize| matches!(file.word(*index), Some("unsafe" | "unsafe_code"));
    (0..file.tokens.len())
        .filter(is_unsafe)
        // The module list of `xen` is where the two places are let out of the crate-wide lint.
        .filter(|index| !(file.path == "src/xen/console/mod.rs" && file.word(*index) == Some("unsafe_code")))
        .filter(|index| !(file.path == "src/xen/mod.rs" && file.word(*index) == Some("unsafe_code")))
        .map(|index| format!("{}:{}", file.path, file.tokens[index].line))
        .collect()
}

fn too_long(file: &Source) -> Option<String> {
    let is_tests = file.path.ends_with("/tests.rs") || file.path.contains("/tests/");
    let mut test_lines = 0;
    let mut start = None;
    for (token, place) in file.tokens.iter().zip(&file.places) {
        match (start, place.in_tests) {
            (None, true) => start = Some(token.line),
            (Some(first), false) => {
                test_lines += token.line - first;
                start = None;
            }
            _ => {}
        }
    }
    test_lines += start.map_or(0, |first| file.lines + 1 - first);
    let lines = file.lines - test_lines.min(file.lines);
    (!is_tests && lines > FILE_LINES_MAX)
        .then(|| format!("{}: {lines} lines, at most {FILE_LINES_MAX}", file.path))
}

/// The rows of the first table after the heading "Dependency table": module, then what it may use.
fn table_of(page: &str) -> BTreeMap<String, Vec<String>> {
    let Some((_, section)) = page.split_once("Dependency table") else { return BTreeMap::new() };
    section
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .filter_map(|line| {
            let mut columns = line.trim_matches('|').split('|');
            let module = columns.next()?.trim().trim_matches('`').to_owned();
            let uses = columns.next()?.split(',').map(|name| name.trim().trim_matches('`').to_owned());
            Some((module, sorted(uses.filter(|name| !name.is_empty() && name != "nothing"))))
        })
        .collect()
}

fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// The shortest directory above the package that tells where it was written; `None` for a package in `/usr` itself.
fn telling_prefix(package: &Path) -> Option<String> {
    let parts: Vec<&str> = package.iter().skip(1).filter_map(|part| part.to_str()).collect();
    let first = parts.first()?;
    let length = if COMMON_DIRECTORIES.contains(first) { 2 } else { 1 };
    (parts.len() >= length).then(|| format!("/{}/", parts[..length].join("/")))
}

fn lines_naming(place: &str, path: &Path, text: &str) -> Vec<String> {
    let starts_a_path = |line: &str, at: usize| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !(c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '}')))
    };
    text.lines()
        .enumerate()
        .filter(|(_, line)| line.match_indices(place).any(|(at, _)| starts_a_path(line, at)))
        .map(|(number, line)| format!("{}:{}: {line}", path.display(), number + 1))
        .collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    let mut paths = Vec::new();
    collect(&root().join("src"), &mut paths);
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    assert!(paths.len() > 3, "the sources were not found");
    paths
        .iter()
        .map(|path| {
            let name = path.strip_prefix(root()).expect("under the package").display().to_string();
            Source::new(&name, &fs::read_to_string(path).expect("a readable source"))
        })
        .collect()
}

/// The files of the package, without what is built or fetched.
fn tracked_files() -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(root()).expect("the package").flatten() {
        let name = entry.file_name();
        if name != "target" && name != ".git" {
            collect(&entry.path(), &mut paths);
        }
    }
    paths
}

fn collect(path: &Path, paths: &mut Vec<PathBuf>) {
    if path.is_dir() && !path.ends_with("target") && !path.ends_with("__pycache__") {
        for entry in fs::read_dir(path).expect("a readable directory").flatten() {
            collect(&entry.path(), paths);
        }
    } else if path.is_file() {
        paths.push(path.to_owned());
    }
}
