//! What each request does and answers: messages in, messages out.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::tree::{Access, Event, Transaction, Tree};
use crate::xen::Domid;
use crate::xen::paths::{INTRODUCED, RELEASED};
use crate::xen::store::Permissions;
use crate::xen::store::wire::{self, Kind, MAX_PAYLOAD_BYTES, Message, check_path};

/// The home of a client's relative paths: every client is domain 0.
const HOME: &str = "/local/domain/0/";

/// Names one client's connection.
pub(super) type ClientId = u64;

/// The name of an errno, as xenstored answers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal(pub(super) &'static str);

/// The whole daemon, without its sockets.
#[derive(Debug)]
pub(super) struct Server {
    tree: Tree,
    introduced: BTreeSet<Domid>,
    clients: HashMap<ClientId, Client>,
    /// In the order of their registration, which is the order in which they fire.
    watches: Vec<Watch>,
    last_client: ClientId,
}

#[derive(Debug, Default)]
struct Client {
    /// The lowest free number is the next one.
    transactions: BTreeMap<u32, Transaction>,
}

#[derive(Debug)]
struct Watch {
    client: ClientId,
    path: String,
    /// As it was registered, to be repeated: relative paths are answered by relative ones.
    relative: bool,
    token: Vec<u8>,
}

/// What a request leads to, in this order: messages for clients.
pub(super) type Outgoing = Vec<(ClientId, Message)>;

impl Server {
    pub(super) fn new() -> Self {
        let mut tree = Tree::new();
        // The real one starts with these as well.
        let _ = tree.access(None).mkdir("/tool/xenstored");
        Self {
            tree,
            introduced: BTreeSet::from([Domid::ZERO]),
            clients: HashMap::new(),
            watches: Vec::new(),
            last_client: 0,
        }
    }

    /// A new connection.
    pub(super) fn connect(&mut self) -> ClientId {
        self.last_client += 1;
        self.clients.insert(self.last_client, Client::default());
        self.last_client
    }

    /// A connection's end: its watches and transactions go with it.
    pub(super) fn disconnect(&mut self, client: ClientId) {
        self.clients.remove(&client);
        self.watches.retain(|watch| watch.client != client);
    }

    /// Serves one request.
    pub(super) fn handle(&mut self, client: ClientId, request: &Message) -> Outgoing {
        let mut outgoing = Vec::new();
        let reply = self.answer(client, request, &mut outgoing);
        let (kind, payload) = match reply {
            Ok(payload) if payload.len() > MAX_PAYLOAD_BYTES => (Kind::Error, b"E2BIG\0".to_vec()),
            Ok(payload) => (request.kind, payload),
            Err(Refusal(name)) => (Kind::Error, wire::join_strings([name])),
        };
        let failed = kind == Kind::Error;
        let reply = Message { kind, request: request.request, transaction: request.transaction, payload };
        // The first event of a watch and the news of a release come after the reply, all others before it.
        let late = matches!(request.kind, Kind::Watch | Kind::Release) && !failed;
        outgoing.insert(if late { 0 } else { outgoing.len() }, (client, reply));
        outgoing
    }

    fn answer(
        &mut self,
        client: ClientId,
        request: &Message,
        outgoing: &mut Outgoing,
    ) -> Result<Vec<u8>, Refusal> {
        const OK: &[u8] = b"OK\0";
        match request.kind {
            Kind::Watch => self.watch(client, &request.payload, outgoing)?,
            Kind::Unwatch => self.unwatch(client, &request.payload)?,
            Kind::ResetWatches => self.watches.retain(|watch| watch.client != client),
            Kind::TransactionStart => return self.start(client, request.transaction),
            Kind::TransactionEnd => self.end(client, request, outgoing)?,
            Kind::Introduce => self.introduce(&request.payload, outgoing)?,
            Kind::Release => self.release(&request.payload, outgoing)?,
            Kind::Resume => {
                let domid = domid(&request.payload)?;
                self.introduced.get(&domid).ok_or(Refusal("ENOENT"))?;
            }
            Kind::IsDomainIntroduced => {
                let known = self.introduced.contains(&domid(&request.payload)?);
                return Ok(if known { b"T\0".to_vec() } else { b"F\0".to_vec() });
            }
            Kind::GetDomainPath => {
                return Ok(wire::join_strings([crate::xen::paths::home(domid(&request.payload)?)]));
            }
            _ => return self.about_node(client, request, outgoing),
        }
        Ok(OK.to_vec())
    }

    /// Requests about one node, in a transaction or not.
    fn about_node(
        &mut self,
        client: ClientId,
        request: &Message,
        outgoing: &mut Outgoing,
    ) -> Result<Vec<u8>, Refusal> {
        let transaction = match request.transaction {
            0 => None,
            number => {
                let transactions = self.clients.get_mut(&client).map(|client| &mut client.transactions);
                Some(transactions.and_then(|all| all.get_mut(&number)).ok_or(Refusal("ENOENT"))?)
            }
        };
        let mut access = self.tree.access(transaction);
        let answer = node_request(&mut access, request.kind, &request.payload)?;
        let events = access.into_events();
        self.fire(&events, outgoing);
        Ok(answer)
    }

    fn watch(&mut self, client: ClientId, payload: &[u8], outgoing: &mut Outgoing) -> Result<(), Refusal> {
        let (path, token, relative) = self.watch_arguments(payload)?;
        if self.watches.iter().any(|w| w.client == client && w.path == path && w.token == token) {
            return Err(Refusal("EEXIST"));
        }
        let watch = Watch { client, path, relative, token };
        outgoing.push((client, watch.event(&watch.path)));
        self.watches.push(watch);
        Ok(())
    }

    fn unwatch(&mut self, client: ClientId, payload: &[u8]) -> Result<(), Refusal> {
        let (path, token, _) = self.watch_arguments(payload)?;
        let at = self.watches.iter().position(|w| w.client == client && w.path == path && w.token == token);
        self.watches.remove(at.ok_or(Refusal("ENOENT"))?);
        Ok(())
    }

    fn watch_arguments(&self, payload: &[u8]) -> Result<(String, Vec<u8>, bool), Refusal> {
        let (path, rest) = wire::split_first(payload).ok_or(Refusal("EINVAL"))?;
        let (token, rest) = wire::split_first(rest).ok_or(Refusal("EINVAL"))?;
        if !rest.is_empty() {
            return Err(Refusal("EINVAL"));
        }
        if path.starts_with(b"@") {
            // Names of events that never happen are taken as well.
            check_path(path).map_err(|_| Refusal("EINVAL"))?;
            let event = String::from_utf8(path.to_vec()).map_err(|_| Refusal("EINVAL"))?;
            return Ok((event, token.to_vec(), false));
        }
        Ok((absolute(path)?, token.to_vec(), !path.starts_with(b"/")))
    }

    fn start(&mut self, client: ClientId, inside: u32) -> Result<Vec<u8>, Refusal> {
        if inside != 0 {
            return Err(Refusal("EBUSY"));
        }
        let transactions = &mut self.clients.entry(client).or_default().transactions;
        let free = (1..).find(|number| !transactions.contains_key(number)).ok_or(Refusal("ENOSPC"))?;
        transactions.insert(free, Transaction::default());
        Ok(wire::join_strings([free.to_string()]))
    }

    fn end(&mut self, client: ClientId, request: &Message, outgoing: &mut Outgoing) -> Result<(), Refusal> {
        let commit = match request.payload.as_slice() {
            b"T\0" => true,
            b"F\0" => false,
            _ => return Err(Refusal("EINVAL")),
        };
        let transactions = self.clients.get_mut(&client).map(|client| &mut client.transactions);
        let transaction = transactions.and_then(|all| all.remove(&request.transaction));
        let transaction = transaction.ok_or(Refusal("ENOENT"))?;
        if commit {
            let events = self.tree.commit(transaction)?;
            self.fire(&events, outgoing);
        }
        Ok(())
    }

    fn introduce(&mut self, payload: &[u8], outgoing: &mut Outgoing) -> Result<(), Refusal> {
        let arguments: Vec<&[u8]> = wire::split_strings(payload).collect();
        let &[number, frame, port, ..] = arguments.as_slice() else { return Err(Refusal("EINVAL")) };
        let numbers = [frame, port].map(|text| std::str::from_utf8(text).map(str::parse::<u64>));
        if !matches!(numbers, [Ok(Ok(_)), Ok(Ok(1..))]) {
            return Err(Refusal("EINVAL"));
        }
        if self.introduced.insert(parse_domid(number)?) {
            self.fire(&[Event { path: INTRODUCED.to_owned(), exact: false }], outgoing);
        }
        Ok(())
    }

    fn release(&mut self, payload: &[u8], outgoing: &mut Outgoing) -> Result<(), Refusal> {
        let domid = domid(payload)?;
        if domid == Domid::ZERO {
            return Err(Refusal("EINVAL"));
        }
        if !self.introduced.remove(&domid) {
            return Err(Refusal("ENOENT"));
        }
        self.tree.remove_owned_by(domid.get());
        self.fire(&[Event { path: RELEASED.to_owned(), exact: false }], outgoing);
        Ok(())
    }

    /// Tells the watchers.
    fn fire(&self, events: &[Event], outgoing: &mut Outgoing) {
        for event in events {
            for watch in &self.watches {
                if watch.path == event.path || (!event.exact && is_below(&event.path, &watch.path)) {
                    outgoing.push((watch.client, watch.event(&event.path)));
                }
            }
        }
    }
}

impl Watch {
    fn event(&self, path: &str) -> Message {
        let path = if self.relative { path.strip_prefix(HOME).unwrap_or(path) } else { path };
        let payload = wire::join_strings([path.as_bytes(), &self.token]);
        Message { kind: Kind::WatchEvent, request: 0, transaction: 0, payload }
    }
}

/// Whether `path` is a node below `directory`.
fn is_below(path: &str, directory: &str) -> bool {
    path.starts_with('/')
        && (directory == "/" || path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/')))
}

/// The domain that a request with one argument names.
fn domid(payload: &[u8]) -> Result<Domid, Refusal> {
    let (number, rest) = wire::split_first(payload).ok_or(Refusal("EINVAL"))?;
    if rest.is_empty() { parse_domid(number) } else { Err(Refusal("EINVAL")) }
}

fn parse_domid(number: &[u8]) -> Result<Domid, Refusal> {
    std::str::from_utf8(number).ok().and_then(|text| text.parse().ok()).ok_or(Refusal("EINVAL"))
}

/// A node's full path; relative ones belong to domain 0.
fn absolute(path: &[u8]) -> Result<String, Refusal> {
    let text = std::str::from_utf8(path).map_err(|_| Refusal("EINVAL"))?;
    let full = if text.starts_with('/') { text.to_owned() } else { format!("{HOME}{text}") };
    match check_path(full.as_bytes()) {
        Ok(()) if !full.starts_with('@') => Ok(full),
        _ => Err(Refusal("EINVAL")),
    }
}

/// Carries out a request about a node.
fn node_request(access: &mut Access<'_>, kind: Kind, payload: &[u8]) -> Result<Vec<u8>, Refusal> {
    let known = matches!(
        kind,
        Kind::Read
            | Kind::Directory
            | Kind::DirectoryPart
            | Kind::GetPerms
            | Kind::Write
            | Kind::Mkdir
            | Kind::Rm
            | Kind::SetPerms
    );
    if !known {
        return Err(Refusal("ENOSYS"));
    }
    let (path, rest) = wire::split_first(payload).ok_or(Refusal("EINVAL"))?;
    if path.starts_with(b"@") {
        // The special watches have permissions that a privileged client may set, and nothing else.
        let special = [INTRODUCED, RELEASED].iter().any(|special| special.as_bytes() == path);
        return if special && kind == Kind::SetPerms { Ok(b"OK\0".to_vec()) } else { Err(Refusal("EINVAL")) };
    }
    let path = absolute(path)?;
    // Every other request ends with its path.
    if !matches!(kind, Kind::Write | Kind::SetPerms | Kind::DirectoryPart) && !rest.is_empty() {
        return Err(Refusal("EINVAL"));
    }
    match kind {
        Kind::Read => return Ok(access.node(&path)?.value.clone()),
        Kind::GetPerms => return Ok(access.node(&path)?.permissions.clone()),
        Kind::Directory => return Ok(wire::join_strings(&access.node(&path)?.children)),
        Kind::DirectoryPart => return directory_part(access, &path, rest),
        Kind::Write => access.write(&path, rest)?,
        Kind::Mkdir => access.mkdir(&path)?,
        Kind::Rm => access.remove(&path)?,
        _ => {
            let permissions = Permissions::parse(rest).map_err(|_| Refusal("EINVAL"))?;
            access.set_permissions(&path, permissions.encode())?;
        }
    }
    Ok(b"OK\0".to_vec())
}

/// As many whole names as fit, from an offset in bytes (`send_directory_part`, `tools/xenstored/core.c`).
fn directory_part(access: &mut Access<'_>, path: &str, rest: &[u8]) -> Result<Vec<u8>, Refusal> {
    let (offset, _) = wire::split_first(rest).ok_or(Refusal("EINVAL"))?;
    let offset = std::str::from_utf8(offset).ok().and_then(|text| text.parse::<usize>().ok());
    let offset = offset.ok_or(Refusal("EINVAL"))?;
    let node = access.node(path)?;
    let names = wire::join_strings(&node.children);
    let mut answer = wire::join_strings([node.generation.to_string()]);
    let Some(left) = names.get(offset..).filter(|left| !left.is_empty()) else {
        // Behind the end there is one empty name.
        return Ok(vec![0]);
    };
    // One byte is kept for the NUL that marks the last part.
    let room = MAX_PAYLOAD_BYTES - answer.len() - 1;
    let fitting = left.get(..left.len().min(room)).unwrap_or(left);
    let whole = fitting.iter().rposition(|byte| *byte == 0).map_or(0, |at| at + 1);
    answer.extend_from_slice(left.get(..whole).unwrap_or_default());
    if whole == left.len() {
        answer.push(0);
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends one request and returns what all clients get.
    fn ask(
        server: &mut Server,
        client: ClientId,
        kind: Kind,
        transaction: u32,
        payload: &[u8],
    ) -> Vec<String> {
        let request = Message { kind, request: 1, transaction, payload: payload.to_vec() };
        let show = |(to, message): (ClientId, Message)| {
            let payload = String::from_utf8_lossy(&message.payload).replace('\0', "|");
            format!("{to} {:?} {payload}", message.kind)
        };
        server.handle(client, &request).into_iter().map(show).collect()
    }

    /// The recorded conversation with the real xenstored: same requests, same answers, in the same order.
    #[test]
    fn answers_as_the_real_one_did() {
        let mut server = Server::new();
        let c = server.connect();
        let mut log =
            |kind, transaction, payload: &[u8]| ask(&mut server, c, kind, transaction, payload).join("; ");
        assert_eq!(
            log(Kind::Watch, 0, b"@introduceDomain\0tok1\0"),
            "1 Watch OK|; 1 WatchEvent @introduceDomain|tok1|"
        );
        log(Kind::Watch, 0, b"@releaseDomain\0tok2\0");
        log(Kind::Watch, 0, b"/local/domain\0tok3\0");
        assert_eq!(log(Kind::GetDomainPath, 0, b"7\0"), "1 GetDomainPath /local/domain/7|");
        assert_eq!(log(Kind::IsDomainIntroduced, 0, b"7\0"), "1 IsDomainIntroduced F|");
        assert_eq!(log(Kind::IsDomainIntroduced, 0, b"0\0"), "1 IsDomainIntroduced T|");
        assert_eq!(
            log(Kind::Introduce, 0, b"7\x001470465\x001\0\0"),
            "1 WatchEvent @introduceDomain|tok1|; 1 Introduce OK|"
        );
        assert_eq!(log(Kind::Release, 0, b"7\0"), "1 Release OK|; 1 WatchEvent @releaseDomain|tok2|");
        assert_eq!(log(Kind::Write, 0, b"@introduceDomain\0x"), "1 Error EINVAL|");
        assert_eq!(log(Kind::GetPerms, 0, b"@introduceDomain\0"), "1 Error EINVAL|");
        assert_eq!(log(Kind::SetPerms, 0, b"@releaseDomain\0n0\0"), "1 SetPerms OK|");
        assert_eq!(log(Kind::TransactionStart, 0, b"\0"), "1 TransactionStart 1|");
        assert_eq!(log(Kind::Write, 1, b"/local/domain/9/x\0bin"), "1 Write OK|");
        assert_eq!(
            log(Kind::TransactionEnd, 1, b"T\0"),
            "1 WatchEvent /local/domain/9/x|tok3|; 1 TransactionEnd OK|"
        );
        assert_eq!(log(Kind::Read, 0, b"/local/domain/9/x\0"), "1 Read bin");
        assert_eq!(log(Kind::Read, 0, b"/nope\0"), "1 Error ENOENT|");
        assert_eq!(log(Kind::Directory, 0, b"/local/domain\0"), "1 Directory 9|");
        assert_eq!(log(Kind::Unwatch, 0, b"/local/domain\0tok3\0"), "1 Unwatch OK|");
    }

    #[test]
    fn nonsense_is_refused_by_the_right_name() {
        let mut server = Server::new();
        let c = server.connect();
        for (kind, transaction, payload, name) in [
            (Kind::Read, 0, &b"/no-nul"[..], "EINVAL"),
            (Kind::Read, 0, b"/a b\0", "EINVAL"),
            (Kind::Read, 0, b"\0", "EINVAL"),
            (Kind::Read, 9, b"/\0", "ENOENT"),
            (Kind::Rm, 0, b"/\0", "EINVAL"),
            (Kind::Rm, 0, b"/no/where\0", "ENOENT"),
            (Kind::Watch, 0, b"/a b\0t\0", "EINVAL"),
            (Kind::Watch, 0, b"/a\0t", "EINVAL"),
            (Kind::Unwatch, 0, b"/a\0t\0", "ENOENT"),
            (Kind::TransactionEnd, 1, b"T\0", "ENOENT"),
            (Kind::TransactionEnd, 1, b"\0", "EINVAL"),
            (Kind::TransactionStart, 1, b"\0", "EBUSY"),
            (Kind::SetPerms, 0, b"/tool\0x\0", "EINVAL"),
            (Kind::Release, 0, b"5\0", "ENOENT"),
            (Kind::Introduce, 0, b"5\0", "EINVAL"),
            (Kind::Introduce, 0, b"99999\x001\x001\0", "EINVAL"),
            (Kind::Control, 0, b"help\0", "ENOSYS"),
            (Kind::Other(23), 0, b"\0", "ENOSYS"),
        ] {
            let answer = ask(&mut server, c, kind, transaction, payload);
            assert_eq!(answer, [format!("{c} Error {name}|")], "{kind:?} {payload:?}");
        }
        assert_eq!(ask(&mut server, c, Kind::Rm, 0, b"/none\0"), ["1 Rm OK|"]);
    }

    #[test]
    fn watchers_hear_of_nodes_below_and_of_what_vanishes() {
        let mut server = Server::new();
        let (a, b) = (server.connect(), server.connect());
        for (client, watch) in [(a, &b"/a/b/c\0c\0"[..]), (a, b"/a\0a\0"), (b, b"rel\0r\0"), (b, b"/ab\0n\0")]
        {
            ask(&mut server, client, Kind::Watch, 0, watch);
        }
        let heard = ask(&mut server, b, Kind::Write, 0, b"/a/b/c/d\0x");
        assert_eq!(heard, ["1 WatchEvent /a/b/c/d|c|", "1 WatchEvent /a/b/c/d|a|", "2 Write OK|"]);
        let heard = ask(&mut server, b, Kind::Rm, 0, b"/a\0");
        assert_eq!(heard, ["1 WatchEvent /a|a|", "1 WatchEvent /a/b/c|c|", "2 Rm OK|"]);
        let heard = ask(&mut server, b, Kind::Write, 0, b"/local/domain/0/rel/x\0x");
        assert_eq!(heard, ["2 WatchEvent rel/x|r|", "2 Write OK|"]);
        server.disconnect(a);
        assert_eq!(ask(&mut server, b, Kind::Write, 0, b"/a/b/c\0x"), ["2 Write OK|"]);
    }

    #[test]
    fn long_directories_come_in_parts_that_fit() {
        let mut server = Server::new();
        let c = server.connect();
        for number in 0..1500 {
            ask(&mut server, c, Kind::Mkdir, 0, format!("/many/{number}\0").as_bytes());
        }
        assert_eq!(ask(&mut server, c, Kind::Directory, 0, b"/many\0"), ["1 Error E2BIG|"]);
        let (mut names, mut offset) = (Vec::new(), 0);
        loop {
            let payload = format!("/many\0{offset}\0").into_bytes();
            let request = Message { kind: Kind::DirectoryPart, request: 1, transaction: 0, payload };
            let answer = server.handle(c, &request).remove(0).1.payload;
            assert!(answer.len() <= MAX_PAYLOAD_BYTES);
            let (_, part) = wire::split_first(&answer).unwrap();
            let last = part.ends_with(b"\0\0");
            let part = if last { &part[..part.len() - 1] } else { part };
            names.extend(wire::split_strings(part).map(<[u8]>::to_vec));
            offset += part.len();
            if last {
                break;
            }
        }
        assert_eq!(names.len(), 1500);
    }
}
