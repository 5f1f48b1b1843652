//! Virtual network interfaces as the toolstack configured them: what a guest's MAC address is, and where it is plugged
//! in.
//!
//! Only nodes that the guest cannot write are read: libxl's copy of the device under `/libxl`, and the back end's nodes.

use super::store::{Nodes, StoreError};
use super::{Domid, paths};

/// The most interfaces of one domain that are looked at; libxl itself numbers them from 0 on.
const VIFS_MAX: usize = 32;

/// One interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vif {
    /// Its number within the domain.
    pub number: u16,
    /// Its MAC address as the toolstack wrote it.
    pub mac: String,
    /// The bridge that it is plugged into.
    pub bridge: String,
    /// What its back end is called on this host, where that was configured; else `vif<domid>.<number>`.
    pub device: String,
    /// The IP addresses that were configured for it; empty when none were.
    pub addresses: Vec<String>,
}

/// The interfaces of a domain that have a MAC address and a bridge.
pub async fn read_vifs(nodes: &Nodes, domid: Domid) -> Result<Vec<Vif>, StoreError> {
    let names = nodes.list_optional(&paths::libxl(domid, "device/vif")).await?.unwrap_or_default();
    let mut vifs = Vec::new();
    for number in names.iter().filter_map(|name| name.parse::<u16>().ok()).take(VIFS_MAX) {
        let node = |node: &str| paths::libxl(domid, &format!("device/vif/{number}/{node}"));
        let (mac, bridge, device) = (node("mac"), node("bridge"), node("vifname"));
        let addresses = format!("{}/backend/vif/{domid}/{number}/ip", paths::home(Domid::ZERO));
        let (mac, bridge, device, addresses) = tokio::try_join!(
            nodes.read_optional(&mac),
            nodes.read_optional(&bridge),
            nodes.read_optional(&device),
            nodes.read_optional(&addresses),
        )?;
        let text = |value: Option<Vec<u8>>| value.and_then(|value| String::from_utf8(value).ok());
        if let (Some(mac), Some(bridge)) = (text(mac), text(bridge)) {
            let named = text(device).filter(|device| !device.is_empty());
            let device = named.unwrap_or_else(|| format!("vif{domid}.{number}"));
            let addresses = text(addresses).unwrap_or_default();
            let addresses = addresses.split_ascii_whitespace().map(str::to_owned).collect();
            vifs.push(Vif { number, mac, bridge, device, addresses });
        }
    }
    Ok(vifs)
}
