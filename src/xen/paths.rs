//! Where things stand in xenstore (`docs/misc/xenstore-paths.pandoc` of the Xen tree, and our own).

use super::Domid;

/// The directory with one directory per domain.
pub const DOMAINS: &str = "/local/domain";

/// The directory of what only the toolstack sees, one directory per domain.
pub const LIBXL: &str = "/libxl";

/// The directory of our own records, one directory per domain, readable by domain 0 only.
pub const RECORDS: &str = "/tool/xenvnc";

/// The special watch that fires when a domain was introduced. It names no domain.
pub const INTRODUCED: &str = "@introduceDomain";

/// The special watch that fires when a domain shut down, crashed, died or was released. It names no domain.
pub const RELEASED: &str = "@releaseDomain";

/// A domain's home.
#[must_use]
pub fn home(domid: Domid) -> String {
    format!("{DOMAINS}/{domid}")
}

/// The node that holds `/vm/<uuid>`.
#[must_use]
pub fn vm(domid: Domid) -> String {
    format!("{DOMAINS}/{domid}/vm")
}

/// The node that holds the domain's name.
#[must_use]
pub fn name(domid: Domid) -> String {
    format!("{DOMAINS}/{domid}/name")
}

/// The directory of the primary console, which the toolstack removes and creates anew at times.
#[must_use]
pub fn console(domid: Domid) -> String {
    format!("{DOMAINS}/{domid}/console")
}

/// A node of the primary console: `tty`, `port`, `ring-ref`, `vnc-port` and so on.
#[must_use]
pub fn console_node(domid: Domid, node: &str) -> String {
    format!("{DOMAINS}/{domid}/console/{node}")
}

/// The directory of what we write for the guest itself: `reverse-address` and `token`.
#[must_use]
pub fn invitation(domid: Domid) -> String {
    format!("{DOMAINS}/{domid}/xenvnc")
}

/// The directory in which a guest says which displays it offers by vchan, one directory a display. The guest can write
/// anything there.
#[must_use]
pub fn displays(domid: Domid) -> String {
    format!("{DOMAINS}/{domid}/data/xenvnc/display")
}

/// A node that only the toolstack sees: `type`, `device/vfb/0` and so on.
#[must_use]
pub fn libxl(domid: Domid, node: &str) -> String {
    format!("/libxl/{domid}/{node}")
}

/// Our own record of a domain.
#[must_use]
pub fn record(domid: Domid) -> String {
    format!("{RECORDS}/{domid}")
}

/// A node of our own record of a domain.
#[must_use]
pub fn record_node(domid: Domid, node: &str) -> String {
    format!("{RECORDS}/{domid}/{node}")
}

/// The domain to which a path in its home, in `/libxl` or among our records belongs: from a watch event, for instance.
#[must_use]
pub fn domain_of(path: &str) -> Option<Domid> {
    let rest = [DOMAINS, "/libxl", RECORDS].iter().find_map(|directory| path.strip_prefix(directory))?;
    rest.strip_prefix('/')?.split('/').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_tell_their_domain() {
        let domid = Domid::new(7).ok();
        for path in ["/local/domain/7", "/local/domain/7/console/tty", "/libxl/7/type", "/tool/xenvnc/7/port"]
        {
            assert_eq!(domain_of(path), domid, "{path}");
        }
        for path in [
            "/",
            "/local/domain",
            "/local/domain/",
            "/local/domains/7",
            "/vm/7",
            "/libxl/x",
            "@releaseDomain",
        ] {
            assert_eq!(domain_of(path), None, "{path}");
        }
    }
}
