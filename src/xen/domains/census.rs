//! Who exists now.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::Path;

use super::{Domain, DomainError, Hypervisor, RunStates, read_domain};
use crate::xen::store::{Store, StoreError};
use crate::xen::{Domid, Uuid, paths};

/// How many domains are looked at at the same time: one fills a round trip with two to ten requests, and a few keep
/// xenstored busy.
const LOOK_AT_ONCE: usize = 16;

/// Who existed when we looked.
#[derive(Debug, Default)]
pub struct Census {
    /// The domains, by number.
    pub domains: Vec<Domain>,
    /// Those that exist and cannot be served, with the reason.
    pub skipped: Vec<(Domid, DomainError)>,
}

/// Looks at who exists, and remembers what a single look cannot tell.
///
/// A domain exists when it has `vm` and `name` and is not domain 0, and
/// * with a hypervisor, xenstored knows it as introduced;
/// * without one (tests, the demo), unless it was introduced when we looked before and is not any more.
///
/// Where the hypervisor can be asked, a domain that it does not know, or that is dying, does not exist whatever xenstore
/// says.
///
/// C xenstored looks at each domain's ring between any two requests, so that a census gets dearer with the square of
/// the number of domains. After the first one, [`glance`](Self::glance) asks a fifth.
#[derive(Debug)]
pub struct Lookout {
    store: Store,
    hypervisor: bool,
    /// Whom to ask how domains are, beside xenstore.
    oracle: Option<Box<dyn Hypervisor>>,
    /// Whether the oracle did not answer when it was asked last.
    is_mute: bool,
    /// Counts censuses and glances.
    taken: u64,
    /// What was found last, existing or not, by everything that has a home.
    known: HashMap<Domid, (Known, Domain)>,
}

/// What is remembered of a domain that has a home, beside its nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    uuid: Uuid,
    /// Whether it was ever seen introduced.
    was_introduced: bool,
    /// The census that saw it first in this life; `None` while it does not exist.
    appeared: Option<u64>,
}

/// One look without a memory: what a [`Lookout`] sees first.
pub async fn census(store: &Store, hypervisor: bool) -> Result<Census, StoreError> {
    Lookout::new(store.clone(), hypervisor).census().await
}

/// Whether we run on Xen, going by `/sys/hypervisor/type`.
#[must_use]
pub fn hypervisor_present() -> bool {
    is_xen(Path::new("/sys/hypervisor/type"))
}

fn is_xen(path: &Path) -> bool {
    std::fs::read_to_string(path).is_ok_and(|hypervisor| hypervisor.trim() == "xen")
}

impl Lookout {
    /// One that has seen nothing yet. `hypervisor` is normally [`hypervisor_present`].
    #[must_use]
    pub fn new(store: Store, hypervisor: bool) -> Self {
        Self { store, hypervisor, oracle: None, is_mute: false, taken: 0, known: HashMap::new() }
    }

    /// Asks the hypervisor as well from now on; see [`hypervisor`](super::hypervisor).
    #[must_use]
    pub fn asking(mut self, oracle: Box<dyn Hypervisor>) -> Self {
        self.oracle = Some(oracle);
        self
    }

    /// Whether the hypervisor is asked.
    #[must_use]
    pub const fn asks(&self) -> bool {
        self.oracle.is_some()
    }

    /// How all domains are, if the hypervisor can be asked and answers. One short hypercall; xenstore is not read.
    pub fn run_states(&mut self) -> Option<RunStates> {
        self.ask(RunStates::ask)
    }

    fn ask(&mut self, question: impl FnOnce(&dyn Hypervisor) -> io::Result<RunStates>) -> Option<RunStates> {
        let answer = question(self.oracle.as_deref()?);
        if let Err(error) = &answer
            && !self.is_mute
        {
            tracing::warn!(%error, "the hypervisor does not say how domains are; xenstore alone decides");
        }
        self.is_mute = answer.is_err();
        answer.ok()
    }

    /// Looks at everything. Fails only when the store cannot be read; a domain that cannot be understood fails by
    /// itself.
    pub async fn census(&mut self) -> Result<Census, StoreError> {
        self.survey(|_| true).await
    }

    /// Looks who exists, but reads only the domains in `changed` and those that are new; of the others it takes for
    /// granted that they are as they were found last.
    pub async fn glance(&mut self, changed: &BTreeSet<Domid>) -> Result<Census, StoreError> {
        self.survey(|domid| changed.contains(&domid)).await
    }

    async fn survey(&mut self, has_changed: impl Fn(Domid) -> bool) -> Result<Census, StoreError> {
        let names = self.store.list_optional(paths::DOMAINS).await?.unwrap_or_default();
        let mut rest =
            names.iter().filter_map(|name| name.parse().ok()).filter(|&domid| domid != Domid::ZERO);
        self.taken += 1;
        let mut census = Census::default();
        let mut found = Vec::with_capacity(names.len());
        let mut looks = tokio::task::JoinSet::new();
        loop {
            while looks.len() < LOOK_AT_ONCE
                && let Some(domid) = rest.next()
            {
                let store = self.store.clone();
                let last = self.known.get(&domid).filter(|_| !has_changed(domid));
                let last = last.map(|(_, domain)| domain.clone());
                looks.spawn(async move { (domid, look_at(&store, domid, last).await) });
            }
            let (domid, look) = match looks.join_next().await {
                None => break,
                Some(Ok(look)) => look,
                // Nobody cancels a look, and a panic in one is a defect of ours that must not be hidden.
                Some(Err(error)) => match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(_) => continue,
                },
            };
            match look {
                Ok(Some(look)) => found.push(look),
                Ok(None) => {}
                Err(DomainError::Store(error)) => return Err(error),
                Err(error) => census.skipped.push((domid, error)),
            }
        }
        // After xenstore: who is new since then is announced by a watch, and who has gone since then is seen now.
        let states = self.run_states();
        let mut known = HashMap::with_capacity(found.len());
        for (domain, introduced) in found {
            let (now, domain) = self.weigh(domain, introduced, states.as_ref(), self.taken);
            if now.appeared.is_some() {
                census.domains.push(domain.clone());
            }
            known.insert(domain.domid, (now, domain));
        }
        self.known = known;
        census.domains.sort_by_key(|domain| domain.domid);
        census.skipped.sort_by_key(|&(domid, _)| domid);
        Ok(census)
    }

    /// Looks at one domain again; `None` when it does not exist.
    pub async fn look(&mut self, domid: Domid) -> Result<Option<Domain>, DomainError> {
        if domid == Domid::ZERO {
            return Ok(None);
        }
        let Some((domain, introduced)) = look_at(&self.store, domid, None).await? else {
            self.known.remove(&domid);
            return Ok(None);
        };
        let states = self.ask(|hypervisor| RunStates::ask_for(hypervisor, domid));
        // One that no census has seen is newer than any that one has.
        let (now, domain) = self.weigh(domain, introduced, states.as_ref(), self.taken + 1);
        self.known.insert(domid, (now, domain.clone()));
        Ok(now.appeared.map(|_| domain))
    }

    /// Puts together what xenstore says, what the hypervisor says, and what is remembered.
    fn weigh(
        &self,
        domain: Domain,
        introduced: bool,
        states: Option<&RunStates>,
        taken: u64,
    ) -> (Known, Domain) {
        let before = self.known.get(&domain.domid).map(|&(known, _)| known);
        let run = states.and_then(|states| states.living(domain.domid));
        let introduced = introduced && (states.is_none() || run.is_some());
        let now = judge(before, domain.uuid, introduced, self.hypervisor, taken);
        (now, Domain { appeared: now.appeared.unwrap_or(0), run, ..domain })
    }
}

/// Finds a domain and whether it is introduced. When `last` is still who it is, its nodes are not read again.
async fn look_at(
    store: &Store,
    domid: Domid,
    last: Option<Domain>,
) -> Result<Option<(Domain, bool)>, DomainError> {
    if let Some(domain) = last {
        let vm = paths::vm(domid);
        let (vm, introduced) = tokio::try_join!(store.read_optional(&vm), store.is_introduced(domid))?;
        match vm.as_deref().map(Uuid::from_vm_node) {
            Some(Ok(uuid)) if uuid == domain.uuid => return Ok(Some((domain, introduced))),
            Some(_) => {}
            None => return Ok(None),
        }
    }
    let (domain, introduced) = tokio::join!(read_domain(store, domid), store.is_introduced(domid));
    match domain? {
        Some(domain) => Ok(Some((domain, introduced?))),
        None => Ok(None),
    }
}

/// Whether a domain with a home exists, in the census of number `taken`.
fn judge(before: Option<Known>, uuid: Uuid, introduced: bool, hypervisor: bool, taken: u64) -> Known {
    // Another guest under the same number is another domain.
    let before = before.filter(|before| before.uuid == uuid);
    let was_introduced = introduced || before.is_some_and(|before| before.was_introduced);
    let exists = introduced || !hypervisor && !was_introduced;
    let appeared = before.and_then(|before| before.appeared).unwrap_or(taken);
    Known { uuid, was_introduced, appeared: exists.then_some(appeared) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const A: Uuid = Uuid::from_bytes([1; 16]);
    const B: Uuid = Uuid::from_bytes([2; 16]);

    #[test]
    fn with_a_hypervisor_only_the_introduced_exist() {
        let new = judge(None, A, false, true, 1);
        assert_eq!(new.appeared, None);
        let introduced = judge(Some(new), A, true, true, 2);
        assert_eq!(introduced.appeared, Some(2));
        let still = judge(Some(introduced), A, true, true, 3);
        assert_eq!(still.appeared, Some(2));
        assert_eq!(judge(Some(still), A, false, true, 4).appeared, None);
    }

    #[test]
    fn without_one_a_home_is_enough_until_the_release() {
        let home = judge(None, A, false, false, 1);
        assert_eq!(home.appeared, Some(1));
        let introduced = judge(Some(home), A, true, false, 2);
        assert_eq!(introduced.appeared, Some(1));
        let released = judge(Some(introduced), A, false, false, 3);
        assert_eq!(released.appeared, None);
        assert_eq!(judge(Some(released), A, false, false, 4).appeared, None);
        assert_eq!(judge(Some(released), A, true, false, 5).appeared, Some(5));
        // The number passed to another guest, which is not introduced yet.
        assert_eq!(judge(Some(released), B, false, false, 5).appeared, Some(5));
    }

    #[test]
    fn xen_is_known_by_its_file() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"xen\n").unwrap();
        assert!(is_xen(file.path()));
        file.write_all(b"kvm\n").unwrap();
        assert!(!is_xen(file.path()));
        assert!(!is_xen(Path::new("/no/such/file")));
    }
}
