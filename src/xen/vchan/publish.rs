//! How a server is found: two nodes in xenstore.

use super::VchanServer;
use crate::xen::Domid;
use crate::xen::store::{Permission, Permissions, Right, Store, StoreError};

/// The nodes of a server in a directory of the domain `owner`, readable by `peer` as well: `ring-ref` and
/// `event-channel`, decimal. They come at once, in place of what a server that was killed has left there.
///
/// # Errors
/// When xenstored is away or refuses: the directory must be in one that the domain may write, such as `data` in its home.
pub async fn publish(
    store: &Store,
    directory: &str,
    owner: Domid,
    peer: Domid,
    server: &VchanServer,
) -> Result<(), StoreError> {
    let permissions = Permissions {
        owner: Permission { right: Right::None, domid: owner },
        others: vec![Permission { right: Right::Read, domid: peer }],
    };
    let (ring_ref, event_channel) = (server.ring_ref().to_string(), server.event_channel().to_string());
    let nodes = [("ring-ref", ring_ref.as_str()), ("event-channel", event_channel.as_str())];
    let permissions = &permissions;
    store
        .transaction(|transaction| async move {
            transaction.remove(directory).await?;
            transaction.mkdir(directory).await?;
            transaction.set_permissions(directory, permissions).await?;
            for (name, value) in nodes {
                let path = format!("{directory}/{name}");
                transaction.write(&path, value.as_bytes()).await?;
                transaction.set_permissions(&path, permissions).await?;
            }
            Ok(())
        })
        .await
}

/// Takes the nodes of a server away; it is no error when they are gone.
///
/// # Errors
/// When xenstored is away.
pub async fn withdraw(store: &Store, directory: &str) -> Result<(), StoreError> {
    store.remove(directory).await
}
