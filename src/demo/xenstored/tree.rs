//! Nodes, and transactions over them.
//!
//! As in the real xenstored every node is one record under its full path, with the names of its children inside, and a
//! generation that changes with it. A transaction works on copies of the records that it touched; it can be carried
//! out while every record that it looked at is still of the generation that it saw.

use std::collections::{BTreeMap, HashMap};

use super::server::Refusal;

/// One node.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) value: Vec<u8>,
    /// As on the wire: entries, each with a NUL, the owner's first.
    pub(super) permissions: Vec<u8>,
    /// In the order of their creation.
    pub(super) children: Vec<String>,
    /// Changes with every change of the node, never repeats.
    pub(super) generation: u64,
}

/// All nodes.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: BTreeMap<String, Node>,
    last_generation: u64,
}

/// What a transaction did so far.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    /// The generation of each record when it was first looked at; `None`: there was none.
    seen: HashMap<String, Option<u64>>,
    /// Records as they will be; `None`: removed.
    changed: BTreeMap<String, Option<Node>>,
    /// What watchers are to be told once it is carried out.
    pub(super) events: Vec<Event>,
}

/// A change that watchers are told.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) path: String,
    /// Tell only those who watch this very path: it vanished together with its parent.
    pub(super) exact: bool,
}

/// The tree, through a transaction or without.
pub(super) struct Access<'a> {
    tree: &'a mut Tree,
    transaction: Option<&'a mut Transaction>,
    /// Events of changes made without a transaction.
    events: Vec<Event>,
}

impl Tree {
    pub(super) fn new() -> Self {
        let root = Node { value: vec![], permissions: b"n0\0".to_vec(), children: vec![], generation: 1 };
        Self { nodes: BTreeMap::from([("/".to_owned(), root)]), last_generation: 1 }
    }

    pub(super) fn access<'a>(&'a mut self, transaction: Option<&'a mut Transaction>) -> Access<'a> {
        Access { tree: self, transaction, events: Vec::new() }
    }

    /// Carries a transaction out and returns its events, or refuses because somebody else was faster.
    pub(super) fn commit(&mut self, transaction: Transaction) -> Result<Vec<Event>, Refusal> {
        let generation = |path: &String| self.nodes.get(path).map(|node| node.generation);
        if transaction.seen.iter().any(|(path, seen)| generation(path) != *seen) {
            return Err(Refusal("EAGAIN"));
        }
        for (path, node) in transaction.changed {
            self.put(path, node);
        }
        Ok(transaction.events)
    }

    /// Removes what a domain owned, as xenstored does when a domain is gone. Watchers are not told.
    pub(super) fn remove_owned_by(&mut self, domid: u16) {
        let entry = domid.to_string();
        let owned = |node: &Node| {
            let owner = node.permissions.split(|byte| *byte == 0).next().and_then(|first| first.get(1..));
            owner == Some(entry.as_bytes())
        };
        let paths: Vec<String> =
            self.nodes.iter().filter(|(_, node)| owned(node)).map(|(path, _)| path.clone()).collect();
        for path in paths {
            // May be gone already, with its parent.
            let _ = self.access(None).remove(&path);
        }
    }

    fn put(&mut self, path: String, node: Option<Node>) {
        match node {
            Some(mut node) => {
                self.last_generation += 1;
                node.generation = self.last_generation;
                self.nodes.insert(path, node);
            }
            None => {
                self.nodes.remove(&path);
            }
        }
    }
}

impl Access<'_> {
    /// The events of what was done without a transaction; those of a transaction wait for its end.
    pub(super) fn into_events(self) -> Vec<Event> {
        self.events
    }

    /// A node as this access sees it.
    pub(super) fn node(&mut self, path: &str) -> Result<&Node, Refusal> {
        self.look(path).ok_or(Refusal("ENOENT"))
    }

    fn look(&mut self, path: &str) -> Option<&Node> {
        let node = self.tree.nodes.get(path);
        let Some(transaction) = &mut self.transaction else { return node };
        if let Some(changed) = transaction.changed.get(path) {
            return changed.as_ref();
        }
        if !transaction.seen.contains_key(path) {
            transaction.seen.insert(path.to_owned(), node.map(|node| node.generation));
        }
        node
    }

    fn put(&mut self, path: &str, node: Option<Node>) {
        match &mut self.transaction {
            Some(transaction) => {
                transaction.changed.insert(path.to_owned(), node);
            }
            None => self.tree.put(path.to_owned(), node),
        }
    }

    fn tell(&mut self, path: &str, exact: bool) {
        let event = Event { path: path.to_owned(), exact };
        match &mut self.transaction {
            Some(transaction) => transaction.events.push(event),
            None => self.events.push(event),
        }
    }

    /// Sets a value; creates the node, and those above it, as needed.
    pub(super) fn write(&mut self, path: &str, value: &[u8]) -> Result<(), Refusal> {
        let mut node = match self.look(path) {
            Some(node) => node.clone(),
            None => self.create(path)?,
        };
        node.value = value.to_vec();
        self.put(path, Some(node));
        self.tell(path, false);
        Ok(())
    }

    /// Creates an empty node unless it exists.
    pub(super) fn mkdir(&mut self, path: &str) -> Result<(), Refusal> {
        if self.look(path).is_none() {
            self.create(path)?;
            self.tell(path, false);
        }
        Ok(())
    }

    /// Creates an empty node that does not exist; it has its parent's permissions.
    fn create(&mut self, path: &str) -> Result<Node, Refusal> {
        // The missing ones, from `path` upwards, then the one that exists.
        let mut missing = vec![path];
        let mut above = parent(path).ok_or(Refusal("EINVAL"))?;
        while self.look(above).is_none() {
            missing.push(above);
            above = parent(above).ok_or(Refusal("EINVAL"))?;
        }
        let mut made = self.node(above)?.clone();
        for path in missing.into_iter().rev() {
            made.children.push(name(path).to_owned());
            let permissions = made.permissions.clone();
            self.put(above, Some(made));
            made = Node { value: vec![], permissions, children: vec![], generation: 0 };
            self.put(path, Some(made.clone()));
            above = path;
        }
        Ok(made)
    }

    /// Removes a node and all below it.
    pub(super) fn remove(&mut self, path: &str) -> Result<(), Refusal> {
        let above = parent(path).ok_or(Refusal("EINVAL"))?;
        if self.look(path).is_none() {
            // It did not exist already: fine when its parent does.
            return self.node(above).map(|_| ());
        }
        let mut holder = self.node(above)?.clone();
        holder.children.retain(|child| child != name(path));
        self.put(above, Some(holder));
        let mut doomed = vec![path.to_owned()];
        while let Some(next) = doomed.pop() {
            let children = self.look(&next).map(|node| node.children.clone()).unwrap_or_default();
            doomed.extend(children.iter().map(|child| join(&next, child)));
            self.put(&next, None);
            self.tell(&next, next != path);
        }
        Ok(())
    }

    /// Sets the permissions of a node that exists.
    pub(super) fn set_permissions(&mut self, path: &str, permissions: Vec<u8>) -> Result<(), Refusal> {
        let mut node = self.node(path)?.clone();
        node.permissions = permissions;
        self.put(path, Some(node));
        self.tell(path, false);
        Ok(())
    }
}

/// The path of the node above; `None` for the root.
fn parent(path: &str) -> Option<&str> {
    match path.rfind('/')? {
        0 if path.len() == 1 => None,
        0 => Some("/"),
        at => path.get(..at),
    }
}

/// The last name of a path.
fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

fn join(directory: &str, name: &str) -> String {
    if directory == "/" { format!("/{name}") } else { format!("{directory}/{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn children(tree: &mut Tree, path: &str) -> Vec<String> {
        tree.access(None).node(path).unwrap().children.clone()
    }

    #[test]
    fn nodes_above_are_made_and_share_permissions() {
        let mut tree = Tree::new();
        tree.access(None).mkdir("/a").unwrap();
        tree.access(None).set_permissions("/a", b"n0\0r5\0".to_vec()).unwrap();
        tree.access(None).write("/a/b/c", b"x").unwrap();
        assert_eq!(tree.access(None).node("/a/b/c").unwrap().permissions, b"n0\0r5\0");
        assert_eq!(children(&mut tree, "/a/b"), ["c"]);
        tree.access(None).remove("/a").unwrap();
        assert!(tree.access(None).node("/a/b/c").is_err());
        assert!(children(&mut tree, "/").is_empty());
    }

    #[test]
    fn removal_tells_what_vanished_with_it_exactly() {
        let mut tree = Tree::new();
        tree.access(None).write("/a/b/c", b"x").unwrap();
        let mut access = tree.access(None);
        access.remove("/a").unwrap();
        let events: Vec<(String, bool)> =
            access.into_events().into_iter().map(|event| (event.path, event.exact)).collect();
        assert_eq!(events, [("/a".into(), false), ("/a/b".into(), true), ("/a/b/c".into(), true)]);
    }

    #[test]
    fn a_transaction_conflicts_with_a_change_of_what_it_read() {
        let mut tree = Tree::new();
        tree.access(None).write("/n", b"0").unwrap();
        for (change, refused) in [("/n", true), ("/other", false)] {
            let mut transaction = Transaction::default();
            tree.access(Some(&mut transaction)).node("/n").unwrap();
            tree.access(Some(&mut transaction)).write("/n", b"1").unwrap();
            tree.access(None).write(change, b"theirs").unwrap();
            assert_eq!(tree.commit(transaction).is_err(), refused, "{change}");
        }
        assert_eq!(tree.access(None).node("/n").unwrap().value, b"1");
    }

    #[test]
    fn a_domains_own_nodes_go_with_it() {
        let mut tree = Tree::new();
        tree.access(None).write("/d/data/x", b"x").unwrap();
        tree.access(None).set_permissions("/d/data", b"n15\0".to_vec()).unwrap();
        tree.remove_owned_by(1);
        assert_eq!(children(&mut tree, "/d"), ["data"]);
        tree.remove_owned_by(15);
        assert!(children(&mut tree, "/d").is_empty());
    }
}
