//! More domains than the usual limits allow.

use nix::sys::signal::Signal;

use crate::common::xenstored::uuid;
use crate::guest::raw_pty;
use crate::host::{Host, eventually};
use crate::{ANY_PORT, ATTACH, problems, status};

/// Domains with as little as makes one, because a thousand whole ones take long to make. One in `introduced` is
/// introduced to xenstored, which looks at the rings of all such domains between any two requests.
fn make_domains(host: &Host, domids: std::ops::RangeInclusive<u16>, introduced: u16, tty: &str) {
    host.toolstack(async |t| {
        for domid in domids {
            let home = format!("/local/domain/{domid}");
            for (node, value) in [
                ("vm", format!("/vm/{}", uuid(domid))),
                ("console/tty", tty.to_owned()),
                ("name", format!("guest-{domid}")),
            ] {
                t.store.write(&format!("{home}/{node}"), value.as_bytes()).await.expect("xenstore");
            }
            if domid % introduced == 0 {
                t.introduce(domid).await;
            }
        }
    });
}

#[test]
fn a_thousand_domains_are_served() {
    let mut host = Host::new(&[ATTACH, ANY_PORT]);
    host.quiet();
    // The usual soft limit would do for a third of them; the hard one allows more.
    host.launch_by(&["prlimit", "--nofile=1024:8192"]);
    let (_guest, _slave, tty) = raw_pty();
    make_domains(&host, 1..=1000, 10, &tty.display().to_string());
    host.start_daemon();
    let list = host.list();
    assert_eq!(list.len(), 1000);
    assert!(list.iter().all(|row| row["problem"].is_null() && row["console"] == "attach"), "{}", host.log());
    assert_eq!(problems(&host), Vec::<String>::new());
    assert_eq!(host.value("/local/domain/1000/console/vnc-listen").as_deref(), Some("127.0.0.1"));
    assert!(host.end_daemon(Signal::SIGTERM).success());
    for domid in 1..=1000 {
        assert_eq!(host.value(&format!("/local/domain/{domid}/console/vnc-port")), None);
    }
    assert_eq!(host.value("/tool/xenvnc"), None);
}

#[test]
fn without_descriptors_the_rest_is_reported_and_served_later() {
    let mut host = Host::new(&[ATTACH, ANY_PORT]);
    host.launch_by(&["prlimit", "--nofile=160:160"]);
    let (_guest, _slave, tty) = raw_pty();
    make_domains(&host, 1..=50, 1, &tty.display().to_string());
    host.start_daemon();
    let served = || host.list().iter().filter(|row| row["problem"].is_null()).count();
    let few = served();
    assert!((5..50).contains(&few), "{few} are served: {}", host.log());
    assert!(problems(&host).iter().any(|problem| problem.contains("LimitNOFILE")), "{:?}", problems(&host));
    // Viewers do not take what the control socket needs.
    let address = host.list()[0]["address"].as_str().expect("a text").to_owned();
    let viewers: Vec<_> = (0..100).map(|_| std::net::TcpStream::connect(&address)).collect();
    assert!(status(&host)["domains"].as_u64() >= Some(5));
    drop(viewers);
    host.toolstack(async |t| {
        for domid in 1..=40 {
            t.store.remove(&format!("/local/domain/{domid}")).await.expect("xenstore");
            t.release(domid).await;
        }
    });
    eventually("the rest", || {
        let served = served();
        if served == 10 { Ok(()) } else { Err(format!("{served}: {:?}", problems(&host))) }
    });
}
