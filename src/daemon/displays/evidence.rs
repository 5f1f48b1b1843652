//! Whom a connection without a token is from, by what a trusted bridge says of its sender.
//!
//! A guest can write any address into its packets. Where the administrator has declared a bridge trusted, three things
//! must agree all the same: the kernel's neighbour table has a MAC address for the sender's IP address on that
//! bridge; exactly one domain was configured with it; and the bridge has seen it behind that domain's own port.

use std::net::{IpAddr, Ipv4Addr};

use tokio::task::JoinSet;

use crate::net::bridge::{Mac, Tables};
use crate::xen::Domid;
use crate::xen::store::{Store, StoreError};
use crate::xen::vif::{self, Vif};

/// Why a sender is not known.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unknown {
    /// The table that is read has IPv4 addresses only.
    #[error("it has no IPv4 address, and only those are looked up on a bridge")]
    NotIpv4,
    /// It came by another way.
    #[error("it is no neighbour on the trusted bridges")]
    NoNeighbour,
    /// The kernel does not say, or reading is forbidden.
    #[error("the kernel's tables cannot be read: {0}")]
    Tables(std::io::Error),
    /// No domain was given this MAC address.
    #[error("no domain has the MAC address {mac} on bridge {bridge}")]
    NoDomain {
        /// The sender's.
        mac: Mac,
        /// Where it is a neighbour.
        bridge: String,
    },
    /// It could be any of them.
    #[error("domains {0} and {1} have the MAC address {2}")]
    Ambiguous(Domid, Domid, Mac),
    /// Somebody uses another guest's MAC address, or that guest is not behind its own port.
    #[error("the MAC address {mac} is domain {domid}'s, but was seen behind port {port:?}")]
    OtherPort {
        /// The sender's.
        mac: Mac,
        /// Whose it is.
        domid: Domid,
        /// Where it was seen; `None` when nowhere.
        port: Option<String>,
    },
    /// Its address is not one of those that were configured for the interface.
    #[error("the interface of domain {0} was configured for another IP address")]
    OtherAddress(Domid),
    /// xenstored did not answer.
    #[error("xenstore: {0}")]
    Store(#[from] StoreError),
}

/// The domain that is behind an address on one of these bridges.
pub(super) async fn domain_behind(
    store: &Store,
    tables: &Tables,
    bridges: &[String],
    address: IpAddr,
) -> Result<Domid, Unknown> {
    let IpAddr::V4(address) = address.to_canonical() else { return Err(Unknown::NotIpv4) };
    let sighting = {
        let (tables, bridges) = (tables.clone(), bridges.to_vec());
        let look = move || look(&tables, &bridges, address);
        tokio::task::spawn_blocking(look).await.map_err(|error| Unknown::Tables(error.into()))??
    };
    let mut found = None;
    for (domid, vif) in interfaces(store).await? {
        if vif.bridge != sighting.bridge || vif.mac.parse() != Ok(sighting.mac) {
            continue;
        }
        match &found {
            Some((other, _)) if *other != domid => {
                return Err(Unknown::Ambiguous(*other, domid, sighting.mac));
            }
            _ => found = Some((domid, vif)),
        }
    }
    let Some((domid, vif)) = found else {
        return Err(Unknown::NoDomain { mac: sighting.mac, bridge: sighting.bridge });
    };
    judge(&sighting, address, domid, &vif)
}

/// What the kernel knows of a sender.
#[derive(Debug)]
struct Sighting {
    bridge: String,
    mac: Mac,
    /// The port behind which it was seen last; the outer `None` where the bridge is not the kernel's, and cannot say.
    port: Option<Option<String>>,
}

fn look(tables: &Tables, bridges: &[String], address: Ipv4Addr) -> Result<Sighting, Unknown> {
    for bridge in bridges {
        if let Some(mac) = tables.neighbour(address, bridge).map_err(Unknown::Tables)? {
            let port = if tables.knows_ports(bridge) {
                Some(tables.port_of(mac, bridge).map_err(Unknown::Tables)?)
            } else {
                None
            };
            return Ok(Sighting { bridge: bridge.clone(), mac, port });
        }
    }
    Err(Unknown::NoNeighbour)
}

/// The interfaces of all domains, whether we serve them or not: a MAC address that two domains have proves nothing.
async fn interfaces(store: &Store) -> Result<Vec<(Domid, Vif)>, StoreError> {
    let domains = store.list_optional(crate::xen::paths::LIBXL).await?.unwrap_or_default();
    let mut reads = JoinSet::new();
    for domid in domains.iter().filter_map(|name| name.parse::<Domid>().ok()) {
        let store = store.clone();
        reads.spawn(async move { (domid, vif::read_vifs(&store, domid).await) });
    }
    let mut all = Vec::new();
    while let Some(read) = reads.join_next().await {
        let Ok((domid, vifs)) = read else { continue };
        all.extend(vifs?.into_iter().map(|vif| (domid, vif)));
    }
    Ok(all)
}

/// Whether what was seen fits to the interface that has the MAC address.
fn judge(sighting: &Sighting, address: Ipv4Addr, domid: Domid, vif: &Vif) -> Result<Domid, Unknown> {
    if let Some(port) = &sighting.port {
        // A guest with an emulated network card has a second device beside the paravirtual one.
        let is_its = |port: &String| port.strip_suffix("-emu").unwrap_or(port) == vif.device;
        if !port.as_ref().is_some_and(is_its) {
            return Err(Unknown::OtherPort { mac: sighting.mac, domid, port: port.clone() });
        }
    }
    let is_it =
        |configured: &String| configured.split('/').next().and_then(|ip| ip.parse().ok()) == Some(address);
    if !vif.addresses.is_empty() && !vif.addresses.iter().any(is_it) {
        return Err(Unknown::OtherAddress(domid));
    }
    Ok(domid)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 7);

    fn vif(addresses: &[&str]) -> Vif {
        Vif {
            number: 0,
            mac: "00:16:3e:00:00:07".into(),
            bridge: "xenbr0".into(),
            device: "vif7.0".into(),
            addresses: addresses.iter().map(|text| (*text).to_owned()).collect(),
        }
    }

    fn judged(port: Option<Option<&str>>, addresses: &[&str]) -> Result<u16, String> {
        let sighting = Sighting {
            bridge: "xenbr0".into(),
            mac: "00:16:3e:00:00:07".parse().unwrap(),
            port: port.map(|port| port.map(str::to_owned)),
        };
        let domid = Domid::new(7).unwrap();
        judge(&sighting, ADDRESS, domid, &vif(addresses)).map(Domid::get).map_err(|error| error.to_string())
    }

    #[test]
    fn the_port_must_be_the_domain_s_own() {
        assert_eq!(judged(Some(Some("vif7.0")), &[]), Ok(7));
        assert_eq!(judged(Some(Some("vif7.0-emu")), &[]), Ok(7));
        for port in [Some("vif8.0"), Some("vif7.1"), Some("eth0"), None] {
            let error = judged(Some(port), &[]).unwrap_err();
            assert!(error.contains("domain 7's") && error.contains(&format!("{port:?}")), "{error}");
        }
        // Open vSwitch does not say; the administrator has trusted it all the same.
        assert_eq!(judged(None, &[]), Ok(7));
    }

    #[test]
    fn a_configured_address_must_be_kept_to() {
        assert_eq!(judged(None, &["10.0.0.7"]), Ok(7));
        assert_eq!(judged(None, &["fd00::7", "10.0.0.7/24"]), Ok(7));
        for addresses in [&["10.0.0.70"][..], &["nonsense"], &["10.0.0.8", "10.0.0.9"]] {
            assert!(judged(None, addresses).unwrap_err().contains("another IP address"), "{addresses:?}");
        }
    }
}
