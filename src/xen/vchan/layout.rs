//! Where things are in the pages of a vchan (Xen `xen/include/public/io/libxenvchan.h`).
//!
//! The control page:
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0, 4 | 4, 4 | consumer and producer index of the left ring, client to server |
//! | 8, 12 | 4, 4 | the same of the right ring, server to client |
//! | 16, 18 | 2, 2 | `left_order`, `right_order`: the rings' sizes as powers of two |
//! | 20, 21 | 1, 1 | `cli_live`, `srv_live`: 0 gone, 1 there, 2 not there yet (client only) |
//! | 22, 23 | 1, 1 | `cli_notify`, `srv_notify`: what the *other* end wants to be told by the client and by the server |
//! | 24 | 4 each | grant references of the rings' own pages: the left ring's, then the right one's |
//!
//! A ring of 1 KiB is at offset 1024 of the control page, one of 2 KiB at offset 2048; larger ones have pages of their own.

use super::VchanError;
use crate::xen::sys::mapping::PAGE;

pub(super) const LEFT_CONS: usize = 0;
pub(super) const RIGHT_CONS: usize = 8;
/// Where the orders are: the left one in the first two bytes.
pub(super) const ORDERS: usize = 16;
pub(super) const CLI_LIVE: usize = 20;
pub(super) const SRV_LIVE: usize = 21;
pub(super) const CLI_NOTIFY: usize = 22;
pub(super) const SRV_NOTIFY: usize = 23;
pub(super) const GRANTS: usize = 24;

/// "Tell me when you have written" (`VCHAN_NOTIFY_WRITE`).
pub(super) const NOTIFY_WRITE: u8 = 1;
/// "Tell me when you have read" (`VCHAN_NOTIFY_READ`).
pub(super) const NOTIFY_READ: u8 = 2;

/// The smallest ring, which has its place in the control page, as a power of two of bytes.
const SMALL: u16 = 10;
/// The second smallest, which has another.
const LARGE: u16 = 11;
/// From here on a ring has pages of its own.
const PAGES: u16 = 12;
/// The largest ring (`MAX_RING_SHIFT` of libxenvchan).
const LARGEST: u16 = 20;

/// Which ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RingName {
    /// The left ring, from the client to the server.
    ToServer,
    /// The right ring, from the server to the client.
    ToClient,
}

impl std::fmt::Display for RingName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ToServer => "to the server",
            Self::ToClient => "to the client",
        })
    }
}

/// The sizes of a vchan's two rings, which fit beside each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingSizes {
    left: u16,
    right: u16,
}

/// Where the bytes of one ring are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// At this offset of the control page.
    Control(usize),
    /// In pages of their own, so many.
    Own(usize),
}

impl RingSizes {
    /// What a display needs: 1 MiB for pictures, to the client, and 64 KiB for what a viewer types and pastes. A guest can
    /// share 1,024 pages in all, enough for three such displays but not for two with 1 MiB each way.
    pub const DISPLAY: Self = Self { left: 16, right: LARGEST };

    /// Rings of at least so many bytes: the next power of two from 4 KiB on.
    ///
    /// # Errors
    /// When a ring would be larger than 1 MiB.
    pub fn at_least(to_server: u32, to_client: u32) -> Result<Self, VchanError> {
        // More than the largest power of two has the order of one that `from_orders` refuses.
        let order = |bytes: u32| bytes.checked_next_power_of_two().map_or(32, u32::trailing_zeros).max(12);
        let [left, right] = [order(to_server), order(to_client)];
        Self::from_orders(left.try_into().unwrap_or(u16::MAX), right.try_into().unwrap_or(u16::MAX))
    }

    /// Rings of these orders, as a server published them.
    pub(super) fn from_orders(left: u16, right: u16) -> Result<Self, VchanError> {
        for (ring, order) in [(RingName::ToServer, left), (RingName::ToClient, right)] {
            if !(SMALL..=LARGEST).contains(&order) {
                return Err(VchanError::Order { ring, order });
            }
        }
        let sizes = Self { left, right };
        let grants_end = GRANTS + sizes.grants() * size_of::<u32>();
        let overlap = [sizes.left(), sizes.right()]
            .iter()
            .any(|place| matches!(place, Place::Control(start) if grants_end > *start));
        if overlap || (left == right && left < PAGES) {
            return Err(VchanError::Overlap { left, right });
        }
        Ok(sizes)
    }

    /// Bytes of the left ring, client to server.
    #[must_use]
    pub const fn to_server(self) -> u32 {
        1 << self.left
    }

    /// Bytes of the right ring, server to client.
    #[must_use]
    pub const fn to_client(self) -> u32 {
        1 << self.right
    }

    /// The left and the right order.
    pub(super) const fn orders(self) -> (u16, u16) {
        (self.left, self.right)
    }

    /// Where the left ring is.
    pub(super) const fn left(self) -> Place {
        place(self.left)
    }

    /// Where the right ring is.
    pub(super) const fn right(self) -> Place {
        place(self.right)
    }

    /// Grant references in the control page.
    pub(super) const fn grants(self) -> usize {
        self.left().pages() + self.right().pages()
    }
}

const fn place(order: u16) -> Place {
    match order {
        SMALL => Place::Control(1024),
        LARGE => Place::Control(2048),
        _ => Place::Own((1 << order) / PAGE.get()),
    }
}

impl Place {
    /// Pages of its own.
    pub(super) const fn pages(self) -> usize {
        match self {
            Self::Control(_) => 0,
            Self::Own(pages) => pages,
        }
    }
}

// The references of the two largest rings fit in the control page.
const _: () = assert!(GRANTS + 2 * place(LARGEST).pages() * size_of::<u32>() <= PAGE.get());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_are_where_the_header_says() {
        let sizes = RingSizes::from_orders(10, 11).expect("the two small rings");
        assert_eq!((sizes.left(), sizes.right()), (Place::Control(1024), Place::Control(2048)));
        let sizes = RingSizes::from_orders(12, 20).expect("pages of their own");
        assert_eq!((sizes.left(), sizes.right(), sizes.grants()), (Place::Own(1), Place::Own(256), 257));
        assert_eq!((sizes.to_server(), sizes.to_client()), (4096, 1 << 20));
    }

    #[test]
    fn orders_that_make_no_sense_are_refused() {
        for order in [0, 9, 21, 31, 32, 64, u16::MAX] {
            let left = RingSizes::from_orders(order, 12).expect_err("an order that is not allowed");
            assert!(
                matches!(left, VchanError::Order { ring: RingName::ToServer, order: seen } if seen == order)
            );
            let right = RingSizes::from_orders(12, order).expect_err("an order that is not allowed");
            assert!(matches!(right, VchanError::Order { ring: RingName::ToClient, .. }));
        }
        for (left, right) in [(10, 10), (11, 11), (10, 20), (20, 10)] {
            let error = RingSizes::from_orders(left, right).expect_err("they lie over each other");
            assert!(matches!(error, VchanError::Overlap { .. }), "{left} {right}");
        }
        assert!(RingSizes::from_orders(11, 20).is_ok(), "256 references end before 2048");
    }

    #[test]
    fn sizes_are_rounded_up_to_what_there_is() {
        let sizes = RingSizes::at_least(0, 4097).expect("sizes");
        assert_eq!((sizes.to_server(), sizes.to_client()), (4096, 8192));
        assert_eq!(RingSizes::at_least(65_536, 1 << 20).expect("sizes"), RingSizes::DISPLAY);
        for bytes in [(1 << 20) + 1, u32::MAX] {
            assert!(matches!(RingSizes::at_least(1, bytes), Err(VchanError::Order { .. })));
        }
    }

    #[test]
    fn three_displays_fit_into_a_guest() {
        assert!(3 * (1 + RingSizes::DISPLAY.grants()) <= 1024);
    }
}
