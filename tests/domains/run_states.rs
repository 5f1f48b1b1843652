//! The census where a hypervisor can be asked: a stand-in here, because there is none under a test's xenstored.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use super::common::xenstored::{Xenstored, domid, uuid};
use super::domids;
use xenvnc::xen::domains::{Hypervisor, Lookout, Reason, RunState};

/// Domains with the flags that Xen would report; `None` fails every call.
#[derive(Debug, Clone, Default)]
struct Fake(Arc<Mutex<Option<BTreeMap<u16, u32>>>>);

impl Fake {
    fn set(&self, domains: &[(u16, u32)]) {
        *self.0.lock().unwrap() = Some(domains.iter().copied().collect());
    }
}

impl Hypervisor for Fake {
    fn domains(&self, first: u16, at_most: usize) -> io::Result<Vec<(u16, u32)>> {
        let domains = self.0.lock().unwrap();
        let domains = domains.as_ref().ok_or_else(|| io::Error::from(io::ErrorKind::PermissionDenied))?;
        Ok(domains.range(first..).take(at_most).map(|(&number, &flags)| (number, flags)).collect())
    }
}

const RUNNING: u32 = 0x10;
const DYING: u32 = 0x01;
const PAUSED: u32 = 0x08;
const CRASHED: u32 = 0x0003_0004;

#[tokio::test]
async fn the_hypervisor_says_who_is_gone_and_how_the_others_are() {
    let xenstored = Xenstored::start();
    let toolstack = xenstored.toolstack().await;
    for number in [3, 5, 7, 9] {
        toolstack.make_domain(number, &uuid(number).to_string(), "guest").await;
    }
    let fake = Fake::default();
    let mut lookout = Lookout::new(toolstack.store.clone(), true).asking(Box::new(fake.clone()));

    // 5 is dying and 9 is not known, whatever xenstore says.
    fake.set(&[(0, RUNNING), (3, PAUSED), (5, DYING), (7, CRASHED)]);
    let found = lookout.census().await.unwrap();
    assert_eq!(domids(&found), [3, 7]);
    let states: Vec<_> = found.domains.iter().map(|domain| domain.run).collect();
    assert_eq!(states, [Some(RunState::Paused), Some(RunState::Shutdown(Reason::Crash))]);
    for (number, wanted) in [(3, Some(RunState::Paused)), (5, None), (9, None)] {
        let seen = lookout.look(domid(number)).await.unwrap();
        assert_eq!(seen.and_then(|domain| domain.run), wanted, "{number}");
    }

    // The next question finds what has changed without reading xenstore; a glance finds who is gone.
    fake.set(&[(0, RUNNING), (3, RUNNING), (7, DYING)]);
    let states = lookout.run_states().unwrap();
    assert_eq!((states.living(domid(3)), states.living(domid(7))), (Some(RunState::Running), None));
    assert_eq!(domids(&lookout.glance(&[].into()).await.unwrap()), [3]);

    // Xen knows a domain long before it has a console: it exists for us when xenstored introduces it.
    toolstack.make_home(11, &uuid(11).to_string(), "new", "pv").await;
    fake.set(&[(0, RUNNING), (3, RUNNING), (11, PAUSED)]);
    assert_eq!(domids(&lookout.census().await.unwrap()), [3]);
    toolstack.introduce(11).await;
    assert_eq!(domids(&lookout.census().await.unwrap()), [3, 11]);
}

#[tokio::test]
async fn a_hypervisor_that_does_not_answer_leaves_it_to_xenstore() {
    let xenstored = Xenstored::start();
    let toolstack = xenstored.toolstack().await;
    toolstack.make_domain(7, &uuid(7).to_string(), "seven").await;
    let fake = Fake::default();
    let mut lookout = Lookout::new(toolstack.store.clone(), true).asking(Box::new(fake.clone()));
    assert_eq!(lookout.run_states(), None);
    let found = lookout.census().await.unwrap();
    assert_eq!((domids(&found), found.domains[0].run), (vec![7], None));
    fake.set(&[(0, RUNNING), (7, PAUSED)]);
    assert_eq!(lookout.census().await.unwrap().domains[0].run, Some(RunState::Paused));
}
