//! Displays without a token, told apart by what a bridge says of them: with network namespaces as guests and a real bridge
//! between them and the daemon.

use std::fs::File;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sched::{CloneFlags, setns};

use crate::displays::{assert_closed_unheard, await_display, serve_handshake};
use crate::host::{Host, installed};
use crate::real_displays::{X, await_red};
use crate::{ANY_PORT, ATTACH, await_log, await_row};

/// The host's own address on the bridge.
const HOST: Ipv4Addr = Ipv4Addr::new(10, 91, 0, 1);

/// A network of its own for one host, with a bridge called `xenbr0`. It ends with this value.
struct Network {
    host: String,
    guests: Vec<String>,
}

fn ip(arguments: &[&str]) {
    let output = Command::new(installed("ip".as_ref())).args(arguments).output().expect("ip");
    assert!(output.status.success(), "ip {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Network {
    fn new() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let host = format!("xenvnc-{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        ip(&["netns", "add", &host]);
        let network = Self { host, guests: Vec::new() };
        network.at_host(&["link", "set", "lo", "up"]);
        network.at_host(&["link", "add", "xenbr0", "type", "bridge"]);
        network.at_host(&["address", "add", &format!("{HOST}/24"), "dev", "xenbr0"]);
        network.at_host(&["link", "set", "xenbr0", "up"]);
        network
    }

    fn at_host(&self, arguments: &[&str]) {
        ip(&[&["-n", self.host.as_str()], arguments].concat());
    }

    /// A guest behind the bridge's port of this name. Gives the name of its namespace.
    fn add_guest(&mut self, port: &str, mac: &str, last: u8) -> String {
        let guest = format!("{}-{port}", self.host);
        ip(&["netns", "add", &guest]);
        self.guests.push(guest.clone());
        self.at_host(&["link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", &guest]);
        self.at_host(&["link", "set", port, "master", "xenbr0", "up"]);
        ip(&["-n", &guest, "link", "set", "eth0", "address", mac, "up"]);
        ip(&["-n", &guest, "address", "add", &format!("10.91.0.{last}/24"), "dev", "eth0"]);
        guest
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for name in self.guests.iter().chain([&self.host]) {
            let _ = Command::new("ip").args(["netns", "delete", name]).status();
        }
    }
}

/// Connects from within a namespace and begins with this.
fn dial_within(guest: &str, at: SocketAddr, send: &'static [u8]) -> TcpStream {
    let namespace = File::open(format!("/run/netns/{guest}")).expect("a network namespace");
    let dial = move || {
        // A namespace belongs to the thread; the socket stays in it.
        setns(namespace, CloneFlags::CLONE_NEWNET).expect("to enter the namespace");
        let mut stream = TcpStream::connect(at).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(90))).expect("a time limit");
        stream.write_all(send).expect("the daemon reads");
        stream
    };
    std::thread::spawn(dial).join().expect("a connection from the namespace")
}

/// What libxl writes for an interface on the bridge.
fn plug(host: &Host, domid: u16, mac: &str, bridge: &str, address: Option<&str>) {
    let device = format!("/libxl/{domid}/device/vif/0");
    host.write(&format!("{device}/mac"), mac.as_bytes());
    host.write(&format!("{device}/bridge"), bridge.as_bytes());
    if let Some(address) = address {
        host.write(&format!("/local/domain/0/backend/vif/{domid}/0/ip"), address.as_bytes());
    }
}

/// A daemon within the network that trusts this bridge.
fn start(network: &Network, trusted: &str) -> (Host, SocketAddr) {
    let at = SocketAddr::from((HOST, 5500));
    let mut host = Host::new(&[ATTACH, ANY_PORT]);
    host.set(&format!("reverse.listen={HOST}"));
    host.set(&format!("reverse.trust_bridge={trusted}"));
    host.launch_by(&["ip", "netns", "exec", &network.host]);
    host.start_daemon();
    (host, at)
}

const ONE: &str = "00:16:3e:00:00:07";
const TWO: &str = "00:16:3E:00:00:08";

#[test]
fn a_display_is_attributed_by_mac_and_port() {
    let mut network = Network::new();
    let one = network.add_guest("vif7.0", ONE, 7);
    let two = network.add_guest("vif8.0-emu", TWO, 8);
    let (mut host, at) = start(&network, "xenbr1,xenbr0");
    for (domid, name, mac) in [(7, "one", ONE), (8, "two", TWO)] {
        host.add_domain(domid, name);
        plug(&host, domid, mac, "xenbr0", None);
    }
    for (guest, domid, address) in [(&one, 7, "10.91.0.7"), (&two, 8, "10.91.0.8")] {
        let mut display = dial_within(guest, at, b"");
        serve_handshake(&mut display);
        await_display(&host, domid, &format!("reverse TCP {address}:"), "connected");
        await_display(&host, domid, "trusted bridge", "connected");
    }
}

#[test]
fn who_claims_to_be_another_is_refused_with_the_reason() {
    let mut network = Network::new();
    let (mut host, at) = start(&network, "xenbr0");
    // Domain 9 uses the address of domain 7; 10 is not plugged in there; 11 and 12 have the same; 13 keeps not to its
    // IP address; and nobody has the last one.
    for domid in 7..=13 {
        host.add_domain(domid, &format!("guest-{domid}"));
    }
    let mac = |n: u8| format!("00:16:3e:00:01:{n:02x}");
    for (domid, mac, bridge, address) in [
        (7, mac(7), "xenbr0", None),
        (9, mac(9), "xenbr0", None),
        (10, mac(10), "xenbr9", None),
        (11, mac(11), "xenbr0", None),
        (12, mac(11), "xenbr0", None),
        (13, mac(13), "xenbr0", Some("10.91.0.130")),
    ] {
        plug(&host, domid, &mac, bridge, address);
    }
    for (port, mac, last, reason) in [
        ("vif9.0", mac(7), 9, "is domain 7's, but was seen behind port Some(\"vif9.0\")"),
        ("vif10.0", mac(10), 10, "no domain has the MAC address 00:16:3e:00:01:0a on bridge xenbr0"),
        ("vif11.0", mac(11), 11, "have the MAC address 00:16:3e:00:01:0b"),
        ("vif13.0", mac(13), 13, "the interface of domain 13 was configured for another IP address"),
        ("eth9", mac(99), 99, "no domain has the MAC address 00:16:3e:00:01:63"),
    ] {
        let guest = network.add_guest(port, &mac, last);
        assert_closed_unheard(dial_within(&guest, at, b"RFB 003.008\n"), reason);
        await_log(&host, reason);
    }
    for domid in 7..=13 {
        let row = await_row(&host, domid, "the domain", |_| true);
        assert!(row["displays"].is_null(), "{row}");
    }
}

#[test]
fn a_bridge_that_is_not_trusted_tells_nothing() {
    let mut network = Network::new();
    let one = network.add_guest("vif7.0", ONE, 7);
    let (mut host, at) = start(&network, "xenbr1");
    host.add_domain(7, "one");
    plug(&host, 7, ONE, "xenbr0", None);
    assert_closed_unheard(dial_within(&one, at, b"RFB 003.008\n"), "another bridge");
    await_log(&host, "no neighbour on the trusted bridges");
    let row = await_row(&host, 7, "the domain", |_| true);
    assert!(row["displays"].is_null(), "{row}");
}

#[test]
fn xvnc_connects_as_an_installer_does() {
    let mut network = Network::new();
    let one = network.add_guest("vif7.0", ONE, 7);
    let (mut host, at) = start(&network, "xenbr0");
    host.add_domain(7, "one");
    plug(&host, 7, ONE, "xenbr0", Some("10.91.0.7"));
    let x = X::start_by(&["ip", "netns", "exec", &one]);
    x.connect_to(at);
    await_display(&host, 7, "trusted bridge", "connected");
    await_red(&host, "one", 7);
}
