//! What we publish, read by clients that we did not write.

use std::path::Path;
use std::process::Command;

use xenvnc::xen::domains::{Domain, census, read_domain};
use xenvnc::xen::publish::{DEFAULT_PORTS, Endpoint, Invitation, Ports, Published, Publisher};
use xenvnc::xen::store::{Store, WatchEvent};
use zeroize::Zeroizing;

use crate::common::within;
use crate::common::xenstored::{Toolstack, Xenstored, domid, uuid};

/// A xenstored, a toolstack on it and a publisher with a connection of its own.
struct Host {
    xenstored: Xenstored,
    toolstack: Toolstack,
    store: Store,
    publisher: Publisher,
}

impl Host {
    async fn start() -> Self {
        let xenstored = Xenstored::start();
        let (toolstack, store) = (xenstored.toolstack().await, xenstored.store().await);
        let publisher = Publisher::new(store.clone());
        Self { xenstored, toolstack, store, publisher }
    }

    async fn make(&self, number: u16) -> Domain {
        self.toolstack.make_domain(number, &uuid(number).to_string(), "guest").await;
        self.read(number).await
    }

    async fn read(&self, number: u16) -> Domain {
        read_domain(&self.store, domid(number)).await.unwrap().unwrap()
    }

    async fn publish(&self, domain: &Domain, port: u16) -> Published {
        self.publisher.publish(domain, &endpoint(port)).await.unwrap()
    }

    /// A node beside the console's, read by another client.
    fn console(&self, number: u16, node: &str) -> Option<String> {
        self.xenstored.independent_read(&format!("/local/domain/{number}/console/{node}")).ok()
    }
}

fn endpoint(port: u16) -> Endpoint {
    Endpoint { listen: "127.0.0.1".into(), port, password: None }
}

fn with_password(port: u16, password: &str) -> Endpoint {
    Endpoint { password: Some(Zeroizing::new(password.into())), ..endpoint(port) }
}

#[tokio::test]
async fn another_client_reads_what_xl_vncviewer_needs() {
    let host = Host::start().await;
    let domain = host.make(7).await;
    assert_eq!(host.publish(&domain, 5999).await, Published::Visible);
    assert_eq!(host.console(7, "vnc-port").unwrap(), "5999");
    assert_eq!(host.console(7, "vnc-listen").unwrap(), "127.0.0.1");
    assert_eq!(host.console(7, "vnc-pass"), None);
    let dump = host.xenstored.dump("/local/domain/7/console");
    assert!(dump.contains("/vnc-port = \"5999\"   (n0,r7)"), "{dump}");
    // Our own record is for domain 0 only, every node of it.
    let record = host.xenstored.dump("/tool/xenvnc");
    assert!(record.contains(&format!("/tool/xenvnc/7/uuid = \"{}\"   (n0)", uuid(7))), "{record}");
    assert!(record.contains("/tool/xenvnc/7/port = \"5999\"   (n0)"), "{record}");
    assert!(record.lines().all(|line| line.ends_with("(n0)")), "{record}");

    host.publisher.withdraw(domain.domid, domain.uuid).await.unwrap();
    assert_eq!(host.console(7, "vnc-port"), None);
    assert_eq!(host.console(7, "vnc-listen"), None);
    assert!(host.xenstored.independent_list("/tool/xenvnc").is_err());
    // What the toolstack wrote is all there.
    assert_eq!(host.console(7, "ring-ref").unwrap(), "1470466");
}

/// Debian's `xl` and libxl are not part of what is unpacked, but its xenstore-read is what admins use.
#[tokio::test]
async fn debians_own_client_reads_it_too() {
    let host = Host::start().await;
    let domain = host.make(7).await;
    host.publish(&domain, 5999).await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/xenstored");
    let output = Command::new(script)
        .args(["client", "xenstore-read", "/local/domain/7/console/vnc-port"])
        .env("XENSTORED_PATH", host.xenstored.socket())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "5999\n");
}

#[tokio::test]
async fn publishing_again_writes_nothing() {
    let host = Host::start().await;
    let domain = host.make(7).await;
    for endpoint in [endpoint(5999), with_password(5999, "secret")] {
        host.publisher.publish(&domain, &endpoint).await.unwrap();
        let mut console = host.store.watch("/local/domain/7/console").await.unwrap();
        let mut records = host.store.watch("/tool/xenvnc").await.unwrap();
        within("the first events", async { (console.next().await, records.next().await) }).await;
        for _ in 0..5 {
            assert_eq!(host.publisher.publish(&domain, &endpoint).await.unwrap(), Published::Visible);
        }
        // Events come in the order of the changes: had there been any, they would stand before this one.
        for (watch, path) in
            [(&mut console, "/local/domain/7/console/marker"), (&mut records, "/tool/xenvnc/marker")]
        {
            host.toolstack.store.write(path, b"").await.unwrap();
            assert_eq!(within("the marker", watch.next()).await, WatchEvent::Changed(path.into()));
            host.toolstack.store.remove(path).await.unwrap();
        }
    }
}

#[tokio::test]
async fn password_is_never_readable_by_the_guest() {
    let host = Host::start().await;
    let domain = host.make(7).await;
    let publish = async |endpoint: &Endpoint| host.publisher.publish(&domain, endpoint).await.unwrap();
    let permissions = || {
        let dump = host.xenstored.dump("/local/domain/7/console");
        dump.lines().find(|line| line.contains("/vnc-pass")).map(str::to_owned)
    };
    publish(&with_password(5999, "secret")).await;
    assert_eq!(permissions().unwrap(), "/local/domain/7/console/vnc-pass = \"secret\"   (n0)");
    publish(&with_password(5999, "other")).await;
    assert_eq!(permissions().unwrap(), "/local/domain/7/console/vnc-pass = \"other\"   (n0)");
    assert!(!host.xenstored.dump("/tool").contains("other"));
    assert!(!format!("{:?}", with_password(5999, "other")).contains("other"));
    // A node that others can read, with the right value already.
    host.toolstack
        .store
        .set_permissions("/local/domain/7/console/vnc-pass", &"n0,r7".parse().unwrap())
        .await
        .unwrap();
    publish(&with_password(5999, "other")).await;
    assert!(permissions().unwrap().ends_with("(n0)"));
    publish(&endpoint(5999)).await;
    assert_eq!(permissions(), None);
    publish(&with_password(5999, "again")).await;
    host.publisher.withdraw(domain.domid, domain.uuid).await.unwrap();
    assert_eq!(permissions(), None);
}

#[tokio::test]
async fn console_made_anew_is_published_again() {
    let host = Host::start().await;
    let domain = host.make(7).await;
    host.publish(&domain, 5999).await;
    host.toolstack.make_console(7).await;
    assert_eq!(host.console(7, "vnc-port"), None);
    let domain = host.read(7).await;
    assert_eq!(domain.vnc_port, None);
    assert_eq!(host.publish(&domain, 5999).await, Published::Visible);
    assert_eq!(host.console(7, "vnc-port").unwrap(), "5999");
    assert_eq!(host.console(7, "vnc-listen").unwrap(), "127.0.0.1");
}

#[tokio::test]
async fn console_that_does_not_exist_yet_is_not_made_by_us() {
    let host = Host::start().await;
    host.toolstack.make_home(7, &uuid(7).to_string(), "guest", "pv").await;
    let domain = host.read(7).await;
    assert_eq!(host.publish(&domain, 5999).await, Published::NoConsole);
    assert!(!host.store.exists("/local/domain/7/console").await.unwrap());
    host.toolstack.make_console(7).await;
    assert_eq!(host.publish(&domain, 5999).await, Published::Visible);
}

#[tokio::test]
async fn foreign_port_is_left_alone_from_beginning_to_end() {
    let host = Host::start().await;
    let domain = host.make(7).await;
    let port = "/local/domain/7/console/vnc-port";
    let listen = "/local/domain/7/console/vnc-listen";
    host.toolstack.store.write(port, b"5900").await.unwrap();
    host.toolstack.store.write(listen, b"0.0.0.0").await.unwrap();
    let untouched = || {
        assert_eq!(host.console(7, "vnc-port").unwrap(), "5900");
        assert_eq!(host.console(7, "vnc-listen").unwrap(), "0.0.0.0");
    };
    assert_eq!(host.publish(&domain, 5999).await, Published::Foreign { vnc_port: "5900".into() });
    untouched();
    // The record has our port, and does not claim theirs.
    assert_eq!(host.publisher.records().await.unwrap()[0].port, Some(5999));
    assert_eq!(host.publisher.records().await.unwrap()[0].published, None);
    host.publisher.withdraw(domain.domid, domain.uuid).await.unwrap();
    untouched();

    // The very port that we have is not ours either, as long as no record says that we wrote it.
    host.toolstack.store.write(port, b"5999").await.unwrap();
    assert_eq!(host.publish(&domain, 5999).await, Published::Foreign { vnc_port: "5999".into() });
    host.publisher.withdraw(domain.domid, domain.uuid).await.unwrap();
    assert_eq!(host.console(7, "vnc-port").unwrap(), "5999");

    host.toolstack.store.remove(port).await.unwrap();
    assert_eq!(host.publish(&domain, 5999).await, Published::Visible);
}

#[tokio::test]
async fn port_that_another_took_over_is_left_to_him() {
    let host = Host::start().await;
    let domain = host.make(7).await;
    host.publish(&domain, 5999).await;
    host.toolstack.store.write("/local/domain/7/console/vnc-port", b"5901").await.unwrap();
    assert_eq!(host.publish(&domain, 5999).await, Published::Foreign { vnc_port: "5901".into() });
    host.publisher.withdraw(domain.domid, domain.uuid).await.unwrap();
    assert_eq!(host.console(7, "vnc-port").unwrap(), "5901");
}

#[tokio::test]
async fn device_model_keeps_its_port_even_before_it_wrote_one() {
    let host = Host::start().await;
    host.toolstack.make_domain_of_kind(7, &uuid(7).to_string(), "hvm", "hvm", false).await;
    host.toolstack.make_domain_of_kind(8, &uuid(8).to_string(), "vfb", "pv", true).await;
    for number in [7, 8] {
        let domain = host.read(number).await;
        assert_eq!(host.publish(&domain, 5999 - number).await, Published::DeviceModel);
        assert_eq!(host.console(number, "vnc-port"), None);
    }
    assert_eq!(host.publisher.records().await.unwrap().len(), 2);
    // libxl writes QEMU's, later.
    host.toolstack.store.write("/local/domain/8/console/vnc-port", b"5900").await.unwrap();
    let domain = host.read(8).await;
    assert_eq!(host.publish(&domain, 5991).await, Published::DeviceModel);
    assert_eq!(host.console(8, "vnc-port").unwrap(), "5900");
}

#[tokio::test]
async fn framebuffer_that_came_after_we_published_gets_its_place() {
    let host = Host::start().await;
    let domain = host.make(7).await;
    assert_eq!(host.publish(&domain, 5999).await, Published::Visible);
    host.toolstack.store.write("/libxl/7/device/vfb/0/frontend", b"x").await.unwrap();
    // Even by what was read before: the nodes are looked at again.
    assert_eq!(host.publish(&domain, 5999).await, Published::DeviceModel);
    assert_eq!(host.console(7, "vnc-port"), None);
    assert_eq!(host.console(7, "vnc-listen"), None);
}

#[tokio::test]
async fn vanished_domain_is_not_brought_back_by_a_write() {
    let host = Host::start().await;
    let domain = host.make(7).await;
    host.publish(&domain, 5999).await;
    host.toolstack.destroy_domain(7).await;
    assert_eq!(host.publish(&domain, 5998).await, Published::Vanished);
    assert!(!host.store.exists("/local/domain/7").await.unwrap());
    host.publisher.withdraw(domain.domid, domain.uuid).await.unwrap();
    assert!(!host.store.exists("/local/domain/7").await.unwrap());
    assert!(!host.store.exists("/tool/xenvnc").await.unwrap());
    // Nothing is written for a domain that nobody ever recorded.
    assert_eq!(host.publish(&domain, 5998).await, Published::Vanished);
    assert!(!host.store.exists("/tool/xenvnc").await.unwrap());
}

#[tokio::test]
async fn domain_that_vanishes_at_any_moment_stays_vanished() {
    let host = Host::start().await;
    for round in 0..40_u16 {
        let number = 10 + round;
        let domain = host.make(number).await;
        let destroy = async {
            // A little later each time, so that the destruction meets every step of the publication.
            for _ in 0..round / 2 {
                host.toolstack.store.exists("/").await.unwrap();
            }
            host.toolstack.destroy_domain(number).await;
        };
        let (outcome, ()) = tokio::join!(host.publish(&domain, 5999), destroy);
        assert!(
            matches!(outcome, Published::Visible | Published::Vanished | Published::NoConsole),
            "{outcome:?}"
        );
        host.publisher.withdraw(domain.domid, domain.uuid).await.unwrap();
        assert!(!host.store.exists(&format!("/local/domain/{number}")).await.unwrap());
    }
    assert!(!host.store.exists("/tool/xenvnc").await.unwrap());
}

#[tokio::test]
async fn number_that_passed_to_another_guest_is_not_written_to() {
    let host = Host::start().await;
    let before = host.make(7).await;
    host.publish(&before, 5999).await;
    host.toolstack.destroy_domain(7).await;
    host.toolstack.make_domain(7, &uuid(70).to_string(), "another").await;
    assert_eq!(host.publish(&before, 5999).await, Published::Vanished);
    assert_eq!(host.console(7, "vnc-port"), None);
    // Its own publication starts with a record of its own.
    let after = host.read(7).await;
    assert_eq!(host.publish(&after, 5998).await, Published::Visible);
    let records = host.publisher.records().await.unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!((records[0].uuid, records[0].port), (Some(uuid(70)), Some(5998)));
    // A late withdrawal of the first touches nothing of the second.
    host.publisher.withdraw(before.domid, before.uuid).await.unwrap();
    assert_eq!(host.console(7, "vnc-port").unwrap(), "5998");
}

#[tokio::test]
async fn preserved_domain_that_got_another_uuid_keeps_no_node_of_ours() {
    let host = Host::start().await;
    let before = host.make(7).await;
    host.publish(&before, 5999).await;
    // on_crash="preserve": same number, same nodes, another UUID and name.
    let vm = format!("/vm/{}", uuid(70));
    host.toolstack.store.write("/local/domain/7/vm", vm.as_bytes()).await.unwrap();
    host.publisher.withdraw(before.domid, before.uuid).await.unwrap();
    assert_eq!(host.console(7, "vnc-port"), None);

    // The same while we were not there.
    let before = host.make(8).await;
    host.publish(&before, 5998).await;
    let vm = format!("/vm/{}", uuid(80));
    host.toolstack.store.write("/local/domain/8/vm", vm.as_bytes()).await.unwrap();
    let alive = census(&host.store, false).await.unwrap().domains;
    host.publisher.take_over(&alive).await.unwrap();
    assert_eq!(host.console(8, "vnc-port"), None);
    assert!(host.publisher.records().await.unwrap().is_empty());

    // And when nobody cleaned up before the new one is published.
    let before = host.make(9).await;
    host.publish(&before, 5997).await;
    let vm = format!("/vm/{}", uuid(90));
    host.toolstack.store.write("/local/domain/9/vm", vm.as_bytes()).await.unwrap();
    let after = host.read(9).await;
    assert_eq!(host.publish(&after, 5996).await, Published::Visible);
    assert_eq!(host.console(9, "vnc-port").unwrap(), "5996");
}

#[tokio::test]
async fn guest_has_its_port_again_after_a_reboot_and_a_restart_of_ours() {
    let host = Host::start().await;
    let mut ports = Ports::new(DEFAULT_PORTS);
    for (number, port) in [(5, 5999), (6, 5998)] {
        let domain = host.make(number).await;
        assert_eq!(ports.candidates(domain.uuid)[0], port);
        ports.assign(domain.uuid, port);
        host.publish(&domain, port).await;
    }
    // The first reboots: gone for a while, then there under another number.
    host.toolstack.destroy_domain(5).await;
    host.publisher.withdraw(domid(5), uuid(5)).await.unwrap();
    ports.release(uuid(5));
    host.toolstack.make_domain(9, &uuid(5).to_string(), "guest").await;
    assert_eq!(ports.candidates(uuid(5))[0], 5999);
    ports.assign(uuid(5), 5999);
    assert_eq!(host.publish(&host.read(9).await, 5999).await, Published::Visible);

    // We die, and meanwhile both reboot, one of them not back yet; then we start again.
    let publisher = Publisher::new(host.xenstored.store().await);
    host.toolstack.destroy_domain(9).await;
    host.toolstack.destroy_domain(6).await;
    host.toolstack.make_domain(12, &uuid(5).to_string(), "guest").await;
    let alive = census(&host.store, true).await.unwrap().domains;
    let mut ports = Ports::new(DEFAULT_PORTS);
    for record in publisher.take_over(&alive).await.unwrap() {
        ports.remember(record.uuid.unwrap(), record.port.unwrap());
    }
    assert_eq!(ports.candidates(uuid(5))[0], 5999);
    assert_eq!(ports.candidates(uuid(6))[0], 5998);
    assert_eq!(ports.candidates(uuid(7))[0], 5997);
    // Records of lives that ended are gone.
    assert!(publisher.records().await.unwrap().is_empty());
    assert!(!host.store.exists("/tool/xenvnc").await.unwrap());
}

#[tokio::test]
async fn record_of_a_crashed_run_is_taken_over() {
    let host = Host::start().await;
    let domain = host.make(7).await;
    host.publish(&domain, 5999).await;
    let publisher = Publisher::new(host.xenstored.store().await);
    let alive = census(&host.store, true).await.unwrap().domains;
    let records = publisher.take_over(&alive).await.unwrap();
    assert_eq!((records.len(), records[0].port, records[0].published), (1, Some(5999), Some(5999)));
    // Our port of the run before is busy now: the node is ours all the same, and is put right.
    assert_eq!(publisher.publish(&domain, &endpoint(5990)).await.unwrap(), Published::Visible);
    assert_eq!(host.console(7, "vnc-port").unwrap(), "5990");
    publisher.withdraw(domain.domid, domain.uuid).await.unwrap();
    assert_eq!(host.console(7, "vnc-port"), None);
}

#[tokio::test]
async fn nonsense_among_the_records_is_survived() {
    let host = Host::start().await;
    let domain = host.make(7).await;
    let write = async |path: &str, value: &[u8]| host.toolstack.store.write(path, value).await.unwrap();
    write("/tool/xenvnc/config", b"not a record").await;
    write("/tool/xenvnc/7/uuid", b"\xff").await;
    write("/tool/xenvnc/7/port", b"70000").await;
    write("/tool/xenvnc/7/vnc-port", b"-1").await;
    let records = host.publisher.take_over(std::slice::from_ref(&domain)).await.unwrap();
    assert_eq!((records.len(), records[0].uuid, records[0].port), (1, None, None));
    assert_eq!(host.publish(&domain, 5999).await, Published::Visible);
    host.publisher.withdraw(domain.domid, domain.uuid).await.unwrap();
    assert_eq!(host.xenstored.independent_list("/tool/xenvnc").unwrap(), ["config"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_domains_are_published_at_once() {
    let host = Host::start().await;
    for number in 1..=100 {
        host.toolstack.make_domain(number, &uuid(number).to_string(), "guest").await;
    }
    let domains = census(&host.store, true).await.unwrap().domains;
    let start = std::time::Instant::now();
    let publications: Vec<_> = domains
        .into_iter()
        .map(|domain| {
            let publisher = host.publisher.clone();
            tokio::spawn(async move {
                let port = 6000 - domain.domid.get();
                publisher.publish(&domain, &endpoint(port)).await
            })
        })
        .collect();
    for publication in publications {
        assert_eq!(within("a publication", publication).await.unwrap().unwrap(), Published::Visible);
    }
    println!("100 domains published: {:?}", start.elapsed());
    assert_eq!(host.publisher.records().await.unwrap().len(), 100);
    assert_eq!(host.console(100, "vnc-port").unwrap(), "5900");
}

/// What a guest is told.
fn invitation(token: &str) -> Invitation {
    Invitation { address: Some("10.0.0.1:5500".into()), token: Zeroizing::new(token.into()) }
}

#[tokio::test]
async fn an_invitation_is_for_its_guest_only_and_is_removed_with_its_record() {
    let host = Host::start().await;
    let domain = host.make(7).await;
    let publisher = &host.publisher;
    assert!(publisher.invite(domain.domid, domain.uuid, &invitation("first")).await.unwrap());
    let dump = host.xenstored.dump("/local/domain/7");
    for line in [
        "/local/domain/7/xenvnc/reverse-address = \"10.0.0.1:5500\"   (n0,r7)",
        "/local/domain/7/xenvnc/token = \"first\"   (n0,r7)",
    ] {
        assert!(dump.contains(line), "{dump}");
    }
    assert!(!host.xenstored.dump("/tool").contains("first"));

    // Replaced by the next one, and an address that is not known is not told.
    let next = Invitation { address: None, token: Zeroizing::new("second".into()) };
    assert!(publisher.invite(domain.domid, domain.uuid, &next).await.unwrap());
    assert_eq!(host.xenstored.independent_list("/local/domain/7/xenvnc").unwrap(), ["token"]);
    assert_eq!(host.xenstored.independent_read("/local/domain/7/xenvnc/token").unwrap(), "second");

    // The endpoint comes and goes without it, and it without the endpoint.
    host.publish(&domain, 5999).await;
    publisher.withdraw(domain.domid, domain.uuid).await.unwrap();
    assert_eq!(host.xenstored.independent_read("/local/domain/7/xenvnc/token").unwrap(), "second");
    host.publish(&domain, 5999).await;
    publisher.withdraw_invitation(domain.domid, domain.uuid).await.unwrap();
    assert!(host.xenstored.independent_list("/local/domain/7/xenvnc").is_err());
    assert_eq!(host.console(7, "vnc-port").unwrap(), "5999");
    publisher.withdraw(domain.domid, domain.uuid).await.unwrap();
    assert!(host.xenstored.independent_list("/tool/xenvnc").is_err());
}

#[tokio::test]
async fn an_invitation_of_another_life_is_neither_written_nor_left() {
    let host = Host::start().await;
    let domain = host.make(7).await;
    let publisher = &host.publisher;
    assert!(!publisher.invite(domain.domid, uuid(8), &invitation("x")).await.unwrap());
    assert!(host.xenstored.independent_list("/local/domain/7/xenvnc").is_err());
    assert!(!publisher.invite(domid(9), uuid(9), &invitation("x")).await.unwrap());
    assert!(host.xenstored.independent_list("/local/domain/9").is_err(), "a home was made");

    // What a crashed run left to a guest that is preserved under another UUID.
    assert!(publisher.invite(domain.domid, domain.uuid, &invitation("x")).await.unwrap());
    host.toolstack.store.write("/local/domain/7/vm", format!("/vm/{}", uuid(8)).as_bytes()).await.unwrap();
    let preserved = host.read(7).await;
    publisher.take_over(&[preserved]).await.unwrap();
    assert!(host.xenstored.independent_list("/local/domain/7/xenvnc").is_err());
    assert!(host.xenstored.independent_list("/tool/xenvnc").is_err());
}
