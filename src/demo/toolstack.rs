//! The simulated toolstack: it writes what libxl writes for a PV guest without disks, in the same order (recorded on Xen
//! 4.17), through the store's own protocol.

use std::path::Path;

use tokio::sync::Mutex;

use crate::xen::store::{Permissions, Store, StoreError, Transaction};
use crate::xen::{Domid, Uuid, paths};

/// A toolstack with its connection to the store.
#[derive(Debug)]
pub(super) struct Toolstack {
    store: Store,
    /// Held while a domain is made. All domains share `/local/domain` and its like: of many transactions at once each
    /// would be refused many times. xl makes one domain at a time as well.
    making: Mutex<()>,
}

impl Toolstack {
    pub(super) fn new(store: Store) -> Self {
        Self { store, making: Mutex::default() }
    }

    /// Writes what is there before the first guest.
    pub(super) async fn prepare(&self) -> Result<(), StoreError> {
        self.store.write("/local/domain/0/domid", b"0").await?;
        self.store.write("/local/domain/0/name", b"Domain-0").await?;
        self.store.mkdir("/local/domain/0/backend").await
    }

    /// Makes and introduces a domain: `vm` and `name` first, console nodes last, `tty` still empty.
    pub(super) async fn create(&self, domid: Domid, uuid: Uuid, name: &str) -> Result<(), StoreError> {
        let _alone = self.making.lock().await;
        self.store.transaction(async |t: Transaction| make_home(&t, domid, uuid, name).await).await?;
        self.store.transaction(async |t: Transaction| finish_home(&t, domid).await).await?;
        self.store.introduce(domid, 1_470_465, 1).await?;
        self.store.transaction(async |t: Transaction| make_console(&t, domid).await).await
    }

    /// Publishes a console's pty, as xenconsoled does.
    pub(super) async fn set_tty(&self, domid: Domid, tty: &Path) -> Result<(), StoreError> {
        self.store.write(&paths::console_node(domid, "tty"), tty.as_os_str().as_encoded_bytes()).await
    }

    /// Removes a domain's nodes, then lets it die.
    pub(super) async fn destroy(&self, domid: Domid, uuid: Uuid) -> Result<(), StoreError> {
        for path in [
            paths::console(domid),
            format!("/local/domain/0/backend/console/{domid}"),
            paths::home(domid),
            format!("/vm/{uuid}"),
            format!("/libxl/{domid}"),
        ] {
            self.store.remove(&path).await?;
        }
        self.store.release(domid).await
    }
}

/// Only domain 0, the guest as owner, and domain 0 with the guest reading.
struct Access {
    private: Permissions,
    owned: Permissions,
    readable: Permissions,
}

impl Access {
    fn new(domid: Domid) -> Self {
        let mut owned = Permissions::private();
        owned.owner.domid = domid;
        Self { private: Permissions::private(), owned, readable: Permissions::readable_by(domid) }
    }
}

/// `libxl__domain_make`.
async fn make_home(t: &Transaction, domid: Domid, uuid: Uuid, name: &str) -> Result<(), StoreError> {
    let access = Access::new(domid);
    let (home, vm, libxl) = (paths::home(domid), format!("/vm/{uuid}"), format!("/libxl/{domid}"));
    t.remove(&home).await?;
    for (directory, permissions) in
        [(&home, &access.readable), (&vm, &access.readable), (&libxl, &access.private)]
    {
        t.mkdir(directory).await?;
        t.set_permissions(directory, permissions).await?;
    }
    t.write(&format!("{home}/vm"), vm.as_bytes()).await?;
    t.write(&format!("{home}/name"), name.as_bytes()).await?;
    for node in ["control", "device", "device/suspend"] {
        t.mkdir(&format!("{home}/{node}")).await?;
    }
    for node in [
        "data",
        "drivers",
        "feature",
        "attr",
        "error",
        "control/shutdown",
        "control/feature-poweroff",
        "control/feature-reboot",
        "control/feature-suspend",
        "control/sysrq",
        "device/suspend/event-channel",
    ] {
        let node = format!("{home}/{node}");
        t.mkdir(&node).await?;
        t.set_permissions(&node, &access.owned).await?;
    }
    for (node, value) in [("uuid", uuid.to_string().as_str()), ("name", name), ("image/ostype", "linux")] {
        t.write(&format!("{vm}/{node}"), value.as_bytes()).await?;
    }
    t.write(&format!("{libxl}/type"), b"pv").await?;
    t.write(&format!("{libxl}/dm-version"), b"qemu_xen").await
}

/// `libxl__build_post`.
async fn finish_home(t: &Transaction, domid: Domid) -> Result<(), StoreError> {
    let home = paths::home(domid);
    for (node, value) in [
        ("memory/static-max", "163840"),
        ("memory/target", "163840"),
        ("memory/videoram", "0"),
        ("domid", domid.to_string().as_str()),
        ("store/port", "1"),
        ("store/ring-ref", "1470465"),
        ("cpu/0/availability", "online"),
    ] {
        t.write(&format!("{home}/{node}"), value.as_bytes()).await?;
    }
    Ok(())
}

/// `libxl__device_console_add`.
async fn make_console(t: &Transaction, domid: Domid) -> Result<(), StoreError> {
    let access = Access::new(domid);
    let frontend = paths::console(domid);
    let backend = format!("/local/domain/0/backend/console/{domid}/0");
    let trusted = paths::libxl(domid, "device/console/0");
    for directory in [&frontend, &backend] {
        t.remove(directory).await?;
        t.mkdir(directory).await?;
        t.set_permissions(directory, &access.readable).await?;
    }
    let frontend_id = domid.to_string();
    let backend_nodes = [
        ("frontend", frontend.as_str()),
        ("frontend-id", &frontend_id),
        ("online", "1"),
        ("state", "1"),
        ("protocol", "vt100"),
    ];
    for (node, value) in backend_nodes {
        t.write(&format!("{backend}/{node}"), value.as_bytes()).await?;
        t.write(&format!("{trusted}/{node}"), value.as_bytes()).await?;
    }
    t.write(&format!("{trusted}/backend"), backend.as_bytes()).await?;
    for (node, value) in [
        ("backend", backend.as_str()),
        ("backend-id", "0"),
        ("limit", "1048576"),
        ("type", "xenconsoled"),
        ("output", "pty"),
        ("tty", ""),
        ("port", "2"),
        ("ring-ref", "1470466"),
    ] {
        t.write(&format!("{frontend}/{node}"), value.as_bytes()).await?;
    }
    // The guest owns this one on a real host as well, which is why nobody may trust it.
    let mut guests = access.owned;
    guests
        .others
        .push(crate::xen::store::Permission { right: crate::xen::store::Right::Read, domid: Domid::ZERO });
    t.set_permissions(&format!("{frontend}/backend-id"), &guests).await
}
