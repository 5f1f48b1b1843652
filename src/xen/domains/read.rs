//! Reading one domain's nodes, whoever wrote them.

use super::{ConsoleKind, ConsoleNodes, Domain, DomainName, Kind, NameProblem};
use crate::xen::identity::{UuidError, shorten_bytes};
use crate::xen::store::{Nodes, StoreError};
use crate::xen::{Domid, Uuid, paths};

/// Most bytes of a path that the kernel takes, without its NUL (`PATH_MAX`).
const MAX_PATH_BYTES: usize = 4095;

/// How often a domain is read again because another one took its number meanwhile.
const MAX_READINGS: u32 = 4;

/// Why a domain cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum DomainError {
    /// Its `vm` node does not tell who it is.
    #[error("domain {domid} has no identity")]
    Identity {
        /// Its number.
        domid: Domid,
        /// What is wrong with its `vm` node.
        #[source]
        source: UuidError,
    },
    /// Its number changed hands each time it was read. The watches of those changes bring us back.
    #[error("domain {domid} changes too fast to be read")]
    Unsteady {
        /// Its number.
        domid: Domid,
    },
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is wrong with a domain's nodes while it can be served all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Its name had to be changed to be shown.
    #[error(transparent)]
    Name(#[from] NameProblem),
    /// Its console's `tty` is unusable.
    #[error(transparent)]
    Tty(#[from] TtyProblem),
    /// A node that should hold a number, or one of a few words, holds something else; it counts as absent.
    #[error("node {node} is {value:?}, wanted {wanted}")]
    Value {
        /// The node, relative to the domain's home or to `/libxl/<domid>`.
        node: &'static str,
        /// What was found, shortened.
        value: String,
        /// What would be understood.
        wanted: &'static str,
    },
}

/// Why a `tty` node names no pty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TtyProblem {
    /// It is not an absolute path.
    #[error("console/tty is {value:?}, wanted an absolute path")]
    NotAbsolute {
        /// What was found, shortened.
        value: String,
    },
    /// It holds a NUL, a control character or bytes that are no text; no pty's path does.
    #[error("console/tty is {value:?}, which is no path of a pty")]
    NotText {
        /// What was found, shortened.
        value: String,
    },
    /// It is longer than a path may be.
    #[error("console/tty has {bytes} bytes, at most {MAX_PATH_BYTES} make a path")]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
}

/// Reads a domain; `None` when it does not exist, that is when it lacks `vm` or `name`. Whether xenstored knows it as
/// introduced is not asked here.
pub async fn read_domain(nodes: &Nodes, domid: Domid) -> Result<Option<Domain>, DomainError> {
    let vm = paths::vm(domid);
    for _ in 0..MAX_READINGS {
        let Some((owner, domain)) = read_once(nodes, domid, &vm).await? else { return Ok(None) };
        // Its number may have passed to another guest between two of the reads above; then they are a mixture.
        match nodes.read_optional(&vm).await? {
            Some(owner_now) if owner_now == owner => return domain.map(Some),
            Some(_) => {}
            None => return Ok(None),
        }
    }
    Err(DomainError::Unsteady { domid })
}

/// Reads a domain once: what its `vm` node holds, and the domain.
async fn read_once(
    nodes: &Nodes,
    domid: Domid,
    vm: &str,
) -> Result<Option<(Vec<u8>, Result<Domain, DomainError>)>, DomainError> {
    let console = paths::console(domid);
    let console = |node: &str| format!("{console}/{node}");
    let (tty, ring_ref, port) = (console("tty"), console("ring-ref"), console("port"));
    let (console_kind, vnc_port) = (console("type"), console("vnc-port"));
    let (name, kind, vfb) =
        (paths::name(domid), paths::libxl(domid, "type"), paths::libxl(domid, "device/vfb/0"));
    // All at once: the answers come in one round trip.
    let (owner, name, kind, has_vfb, tty, ring_ref, port, console_kind, vnc_port) = tokio::try_join!(
        nodes.read_optional(vm),
        nodes.read_optional(&name),
        nodes.read_optional(&kind),
        nodes.exists(&vfb),
        nodes.read_optional(&tty),
        nodes.read_optional(&ring_ref),
        nodes.read_optional(&port),
        nodes.read_optional(&console_kind),
        nodes.read_optional(&vnc_port),
    )?;
    let (Some(owner), Some(name)) = (owner, name) else { return Ok(None) };
    let uuid = match Uuid::from_vm_node(&owner) {
        Ok(uuid) => uuid,
        Err(source) => return Ok(Some((owner, Err(DomainError::Identity { domid, source })))),
    };
    let mut problems = Vec::new();
    let (name, problem) = DomainName::from_node(&name);
    problems.extend(problem.map(Problem::Name));
    let tty = parse_tty(tty.as_deref().unwrap_or_default()).unwrap_or_else(|problem| {
        problems.push(Problem::Tty(problem));
        None
    });
    let mut parse = Parser { problems: &mut problems };
    let console = ConsoleNodes {
        tty,
        ring_ref: parse.number("console/ring-ref", ring_ref),
        port: parse.number("console/port", port),
        kind: parse.word(
            "console/type",
            console_kind,
            "xenconsoled or ioemu",
            &[("xenconsoled", ConsoleKind::Xenconsoled), ("ioemu", ConsoleKind::Ioemu)],
        ),
    };
    let kind = parse.word(
        "type",
        kind,
        "pv, pvh or hvm",
        &[("pv", Kind::Pv), ("pvh", Kind::Pvh), ("hvm", Kind::Hvm)],
    );
    let vnc_port = parse.number("console/vnc-port", vnc_port);
    let domain =
        Domain { domid, uuid, name, kind, has_vfb, console, vnc_port, appeared: 0, run: None, problems };
    Ok(Some((owner, Ok(domain))))
}

/// The path in a `tty` node, `None` while it is empty.
fn parse_tty(value: &[u8]) -> Result<Option<String>, TtyProblem> {
    if value.is_empty() {
        return Ok(None);
    }
    if value.len() > MAX_PATH_BYTES {
        return Err(TtyProblem::TooLong { bytes: value.len() });
    }
    let not_text = || TtyProblem::NotText { value: shorten_bytes(value) };
    let path = std::str::from_utf8(value).map_err(|_| not_text())?;
    if !path.starts_with('/') {
        return Err(TtyProblem::NotAbsolute { value: shorten_bytes(value) });
    }
    if path.chars().any(char::is_control) {
        return Err(not_text());
    }
    Ok(Some(path.to_owned()))
}

/// Understands small values and notes those that make no sense.
struct Parser<'a> {
    problems: &'a mut Vec<Problem>,
}

impl Parser<'_> {
    fn number<N: std::str::FromStr>(&mut self, node: &'static str, value: Option<Vec<u8>>) -> Option<N> {
        let value = value.filter(|value| !value.is_empty())?;
        let number = std::str::from_utf8(&value).ok().and_then(|text| text.parse().ok());
        self.noted(node, number, &value, "a decimal number in range")
    }

    fn word<T: Copy>(
        &mut self,
        node: &'static str,
        value: Option<Vec<u8>>,
        wanted: &'static str,
        words: &[(&str, T)],
    ) -> Option<T> {
        let value = value.filter(|value| !value.is_empty())?;
        let found = words.iter().find(|(word, _)| word.as_bytes() == value).map(|&(_, meaning)| meaning);
        self.noted(node, found, &value, wanted)
    }

    fn noted<T>(
        &mut self,
        node: &'static str,
        found: Option<T>,
        value: &[u8],
        wanted: &'static str,
    ) -> Option<T> {
        if found.is_none() {
            self.problems.push(Problem::Value { node, value: shorten_bytes(value), wanted });
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tty_is_an_absolute_path_or_nothing() {
        assert_eq!(parse_tty(b""), Ok(None));
        assert_eq!(parse_tty(b"/dev/pts/0"), Ok(Some("/dev/pts/0".into())));
        assert!(matches!(parse_tty(b"pts/0"), Err(TtyProblem::NotAbsolute { .. })));
        for hostile in [&b"/dev/pts/0\0x"[..], b"/dev/\x1b[2J", b"/dev/\xff", b"\0"] {
            assert!(
                matches!(
                    parse_tty(hostile),
                    Err(TtyProblem::NotText { .. } | TtyProblem::NotAbsolute { .. })
                ),
                "{hostile:?}"
            );
        }
        assert_eq!(parse_tty(&[b'/'; 4096]), Err(TtyProblem::TooLong { bytes: 4096 }));
    }

    #[test]
    fn nonsense_counts_as_absent_and_is_noted() {
        let mut problems = Vec::new();
        let mut parse = Parser { problems: &mut problems };
        assert_eq!(parse.number::<u32>("console/port", Some(b"2".to_vec())), Some(2));
        assert_eq!(parse.number::<u32>("console/port", Some(Vec::new())), None);
        assert_eq!(parse.number::<u32>("console/port", None), None);
        assert_eq!(parse.number::<u32>("console/port", Some(b"-2".to_vec())), None);
        assert_eq!(parse.number::<u16>("console/vnc-port", Some(b"70000".to_vec())), None);
        assert_eq!(parse.word("type", Some(b"arm".to_vec()), "pv", &[("pv", Kind::Pv)]), None);
        assert_eq!(problems.len(), 3);
        assert_eq!(
            problems[1].to_string(),
            r#"node console/vnc-port is "70000", wanted a decimal number in range"#
        );
    }

    proptest! {
        #[test]
        fn no_value_panics(value: Vec<u8>) {
            let _ = parse_tty(&value);
            let _ = Parser { problems: &mut Vec::new() }.number::<u64>("console/ring-ref", Some(value));
        }
    }
}
