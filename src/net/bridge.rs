//! What the kernel knows of a neighbour on a bridge: which MAC address an IPv4 address has, and behind which of the
//! bridge's ports that is.
//!
//! Both are read from files of the kernel: `/proc/net/arp`, and `brforward` and `brif` of the bridge under
//! `/sys/class/net` (`struct __fdb_entry` of `linux/if_bridge.h`). That takes no netlink socket and no capability.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The most that is read of a table, in bytes: 60,000 entries.
const TABLE_BYTES_MAX: u64 = 1 << 20;

/// The most ports that are looked at; the kernel allows a bridge 1023.
const PORTS_MAX: usize = 1024;

/// A MAC address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl FromStr for Mac {
    type Err = ();

    /// Six pairs of hexadecimal digits with colons.
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut bytes = [0; 6];
        let mut pairs = text.split(':');
        for byte in &mut bytes {
            let pair = pairs.next().filter(|pair| pair.len() == 2 && !pair.starts_with('+')).ok_or(())?;
            *byte = u8::from_str_radix(pair, 16).map_err(drop)?;
        }
        pairs.next().is_none().then_some(Self(bytes)).ok_or(())
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// Where the kernel's tables are.
#[derive(Debug, Clone)]
pub struct Tables {
    arp: PathBuf,
    devices: PathBuf,
}

impl Default for Tables {
    fn default() -> Self {
        Self { arp: "/proc/net/arp".into(), devices: "/sys/class/net".into() }
    }
}

impl Tables {
    /// The MAC address of a neighbour on this bridge, if there is one. Blocks for the time of reading a small file.
    ///
    /// # Errors
    /// When the table cannot be read.
    pub fn neighbour(&self, address: Ipv4Addr, bridge: &str) -> io::Result<Option<Mac>> {
        let table = read(&self.arp)?;
        Ok(find_neighbour(&String::from_utf8_lossy(&table), address, bridge))
    }

    /// Whether this is one of the kernel's own bridges, which say what is behind which port.
    #[must_use]
    pub fn knows_ports(&self, bridge: &str) -> bool {
        self.devices.join(bridge).join("brforward").exists()
    }

    /// The name of the bridge's port behind which a MAC address was seen last; `None` where it was not seen, and where
    /// it is the host's own. Blocks for the time of reading a few small files.
    ///
    /// # Errors
    /// When the bridge's tables cannot be read.
    pub fn port_of(&self, mac: Mac, bridge: &str) -> io::Result<Option<String>> {
        let bridge = self.devices.join(bridge);
        let Some(number) = find_port(&read(&bridge.join("brforward"))?, mac) else { return Ok(None) };
        for port in fs::read_dir(bridge.join("brif"))?.take(PORTS_MAX) {
            let port = port?;
            let text = fs::read_to_string(port.path().join("port_no"));
            // A port that has just gone has no number any more.
            if text.is_ok_and(|text| parse_port_number(&text) == Some(number)) {
                return Ok(port.file_name().into_string().ok());
            }
        }
        Ok(None)
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(TABLE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Looks into `/proc/net/arp`: a heading, then address, hardware type, flags, MAC address, mask and device.
fn find_neighbour(table: &str, address: Ipv4Addr, device: &str) -> Option<Mac> {
    /// `ATF_COM` of `linux/if_arp.h`: the entry is complete.
    const COMPLETE: u32 = 2;
    table.lines().skip(1).find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let [is, _kind, flags, mac, _mask, on] = std::array::from_fn(|_| words.next().unwrap_or_default());
        let flags = u32::from_str_radix(flags.strip_prefix("0x")?, 16).ok()?;
        let fits = is.parse() == Ok(address) && on == device && flags & COMPLETE != 0;
        fits.then(|| mac.parse().ok()).flatten()
    })
}

/// Looks into `brforward`: entries of 16 bytes, with the MAC address, the low byte of the port's number, whether it is
/// the host's own, 4 bytes of age, the high byte of the port's number, and 3 bytes of nothing.
fn find_port(table: &[u8], mac: Mac) -> Option<u16> {
    let mut entries = table.chunks_exact(16);
    entries.find_map(|entry| match entry {
        [a, b, c, d, e, f, low, 0, _, _, _, _, high, ..] if [*a, *b, *c, *d, *e, *f] == mac.0 => {
            Some(u16::from_be_bytes([*high, *low]))
        }
        _ => None,
    })
}

fn parse_port_number(text: &str) -> Option<u16> {
    u16::from_str_radix(text.trim().strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ARP: &str = "\
IP address       HW type     Flags       HW address            Mask     Device
10.0.0.7         0x1         0x2         00:16:3e:00:00:07     *        xenbr0
10.0.0.8         0x1         0x0         00:00:00:00:00:00     *        xenbr0
10.0.0.9         0x1         0x6         00:16:3E:00:00:09     *        xenbr1
10.0.0.70        0x1         0x2         00:16:3e:00:00:70     *        xenbr0
broken line
";

    #[test]
    fn neighbours_are_found_by_address_and_device() {
        let find = |last, device| find_neighbour(ARP, Ipv4Addr::new(10, 0, 0, last), device);
        assert_eq!(find(7, "xenbr0").unwrap().to_string(), "00:16:3e:00:00:07");
        assert_eq!(find(7, "xenbr1"), None);
        assert_eq!(find(7, "xenbr"), None);
        assert_eq!(find(8, "xenbr0"), None, "an incomplete entry");
        assert_eq!(find(9, "xenbr1").unwrap().to_string(), "00:16:3e:00:00:09");
        assert_eq!(find(10, "xenbr0"), None);
    }

    #[test]
    fn ports_are_found_by_mac_unless_it_is_our_own() {
        let mut table = Vec::new();
        for (mac, port, own) in [(7_u8, 3_u16, 0), (8, 0x102, 0), (9, 1, 1)] {
            let [high, low] = port.to_be_bytes();
            table.extend([0, 0x16, 0x3e, 0, 0, mac, low, own, 1, 2, 3, 4, high, 0, 0, 0]);
        }
        let find = |last| find_port(&table, Mac([0, 0x16, 0x3e, 0, 0, last]));
        assert_eq!((find(7), find(8), find(9), find(10)), (Some(3), Some(0x102), None, None));
        assert_eq!(parse_port_number("0x102\n"), Some(0x102));
        assert_eq!(parse_port_number("3"), None);
    }

    #[test]
    fn a_mac_has_six_pairs() {
        for text in [
            "",
            "00:16:3e:00:00",
            "00:16:3e:00:00:07:08",
            "0:16:3e:00:00:07",
            "00-16-3e-00-00-07",
            "+1:+2:+3:+4:+5:+6",
        ] {
            assert_eq!(text.parse::<Mac>(), Err(()), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_table_panics(table: Vec<u8>, mac: [u8; 6]) {
            let _ = find_port(&table, Mac(mac));
            let _ = find_neighbour(&String::from_utf8_lossy(&table), Ipv4Addr::LOCALHOST, "xenbr0");
        }
    }
}
