//! One end of a vchan's two rings, without a descriptor: what to read, where to write, whom to tell.
//!
//! An index runs freely and wraps at 2³²; a byte's slot is its index modulo the size of its ring. The peer can write
//! every byte of the control page at any moment. So our own indices are kept here and only published there; the peer's
//! are read once for each use and checked; sizes and places are copied before the first use and never looked at again.
//!
//! Whoever waits sets a bit in the byte that the peer looks at, and then looks at the indices again. Whoever has moved
//! an index takes the bit, and sends an event if it was set. Both with full barriers between: then either the one
//! sees the index or the other the bit.

use std::fmt::Debug;
use std::num::NonZeroUsize;

use super::VchanError;
use super::layout::{
    CLI_LIVE, CLI_NOTIFY, GRANTS, LEFT_CONS, NOTIFY_READ, NOTIFY_WRITE, ORDERS, Place, RIGHT_CONS, RingName,
    RingSizes, SRV_LIVE, SRV_NOTIFY,
};
use crate::xen::sys::gntalloc::SharedPages;
use crate::xen::sys::gntdev::GrantedPages;
use crate::xen::sys::mapping::Access;
use crate::xen::sys::shared::Shared;

/// Who keeps pages mapped: a grant, or in tests an ordinary mapping.
pub trait Pages: Send + Debug {
    /// The pages. The same ones each time.
    fn memory(&self) -> &Shared;
}

impl Pages for GrantedPages {
    fn memory(&self) -> &Shared {
        self.memory()
    }
}

impl Pages for SharedPages {
    fn memory(&self) -> &Shared {
        self.memory()
    }
}

impl Pages for Shared {
    fn memory(&self) -> &Shared {
        self
    }
}

/// Whether the other end is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// A client that has not come yet.
    Expected,
    /// It is there.
    Here,
    /// It is gone, and does not come back to these rings.
    Gone,
}

/// What one can wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Bytes from the peer.
    Read,
    /// Room for bytes to the peer.
    Write,
}

/// What happened to an attempt to move bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// Bytes moved.
    pub count: usize,
    /// The peer wants an event for it.
    pub notify: bool,
}

/// One end of a vchan.
#[derive(Debug)]
pub struct End {
    // Unmapped in this order: the control page last, which tells the peer.
    read: Ring,
    write: Ring,
    control: Box<dyn Pages>,
    server: bool,
    gone: bool,
}

/// One ring, as one end sees it.
#[derive(Debug)]
struct Ring {
    name: RingName,
    /// Where the consumer's index is in the control page; the producer's follows it.
    indices: usize,
    /// The ring's own pages, or `None` when it is in the control page at `start`.
    pages: Option<Box<dyn Pages>>,
    start: usize,
    size: u32,
    /// Our index: the consumer's where we read, the producer's where we write.
    own: u32,
}

impl End {
    /// The client's end. `map` maps the pages of a ring by their grant references.
    ///
    /// # Errors
    /// When nobody serves the control page, or the sizes in it make no sense, or `map` fails.
    pub fn client(
        control: Box<dyn Pages>,
        mut map: impl FnMut(&[u32], Access) -> Result<Box<dyn Pages>, VchanError>,
    ) -> Result<Self, VchanError> {
        let memory = control.memory();
        let live = memory.load_u8(SRV_LIVE);
        if live != 1 {
            return Err(VchanError::NoServer { live });
        }
        let mut orders = [0; 4];
        memory.read(ORDERS, &mut orders);
        let [a, b, c, d] = orders;
        let sizes = RingSizes::from_orders(u16::from_ne_bytes([a, b]), u16::from_ne_bytes([c, d]))?;
        let grants: Vec<u32> =
            (0..sizes.grants()).map(|index| memory.load_u32(GRANTS + index * size_of::<u32>())).collect();
        let (left, right) = grants.split_at(sizes.left().pages());
        let mut pages = |grants: &[u32], access| -> Result<_, VchanError> {
            if grants.is_empty() { Ok(None) } else { map(grants, access).map(Some) }
        };
        let to_server = pages(left, Access::ReadWrite)?;
        let to_client = pages(right, Access::Read)?;
        // A server may go on with another client where the last one stopped.
        let (read_from, write_from) = (memory.load_u32(RIGHT_CONS), memory.load_u32(LEFT_CONS + 4));
        let end = Self {
            read: Ring::new(RingName::ToClient, sizes, to_client, read_from),
            write: Ring::new(RingName::ToServer, sizes, to_server, write_from),
            control,
            server: false,
            gone: false,
        };
        end.check_sizes()?;
        let memory = end.control.memory();
        memory.store_u8(CLI_LIVE, 1);
        memory.set_bits(SRV_NOTIFY, NOTIFY_WRITE);
        Ok(end)
    }

    /// The server's end, on zeroed pages that `share` grants to the client; the control page is one of them. `share`
    /// also says by which references the client maps them.
    ///
    /// # Errors
    /// Those of `share`.
    pub fn server(
        control: Box<dyn Pages>,
        sizes: RingSizes,
        mut share: impl FnMut(NonZeroUsize) -> Result<(Box<dyn Pages>, Vec<u32>), VchanError>,
    ) -> Result<Self, VchanError> {
        let mut references = Vec::with_capacity(sizes.grants());
        let mut pages = |place: Place| -> Result<_, VchanError> {
            let Some(count) = NonZeroUsize::new(place.pages()) else { return Ok(None) };
            let (pages, granted) = share(count)?;
            references.extend(granted);
            Ok(Some(pages))
        };
        let to_server = pages(sizes.left())?;
        let to_client = pages(sizes.right())?;
        let end = Self {
            read: Ring::new(RingName::ToServer, sizes, to_server, 0),
            write: Ring::new(RingName::ToClient, sizes, to_client, 0),
            control,
            server: true,
            gone: false,
        };
        end.check_sizes()?;
        let memory = end.control.memory();
        for (index, reference) in references.iter().take(sizes.grants()).enumerate() {
            memory.store_u32(GRANTS + index * size_of::<u32>(), *reference);
        }
        let (left, right) = sizes.orders();
        memory.write(ORDERS, &left.to_ne_bytes());
        memory.write(ORDERS + 2, &right.to_ne_bytes());
        memory.store_u8(CLI_NOTIFY, NOTIFY_WRITE);
        memory.store_u8(CLI_LIVE, 2);
        memory.store_u8(SRV_LIVE, 1);
        Ok(end)
    }

    /// Whether the other end is there.
    pub fn peer(&mut self) -> Peer {
        if self.gone {
            return Peer::Gone;
        }
        let live = self.control.memory().load_u8(if self.server { CLI_LIVE } else { SRV_LIVE });
        match live {
            0 => {
                self.gone = true;
                Peer::Gone
            }
            2 if self.server => Peer::Expected,
            _ => Peer::Here,
        }
    }

    /// Whether an attempt in this direction has a result: bytes or room, an error, or the end.
    pub fn is_ready(&mut self, direction: Direction) -> bool {
        let possible = match direction {
            Direction::Read => self.readable(),
            Direction::Write => self.writable(),
        };
        !matches!(possible, Ok(0)) || self.peer() == Peer::Gone
    }

    /// Asks the peer for an event when [`Self::is_ready`] may have changed; look again after this.
    pub fn want(&self, direction: Direction) {
        let bit = match direction {
            Direction::Read => NOTIFY_WRITE,
            Direction::Write => NOTIFY_READ,
        };
        self.control.memory().set_bits(if self.server { CLI_NOTIFY } else { SRV_NOTIFY }, bit);
    }

    /// Takes as many bytes as there are and fit.
    ///
    /// # Errors
    /// When the peer broke the ring.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<Moved, VchanError> {
        let count = self.readable()?.min(limit(buffer.len()));
        if count == 0 {
            return Ok(Moved { count: 0, notify: false });
        }
        let ring = &mut self.read;
        let memory = ring.pages.as_ref().unwrap_or(&self.control).memory();
        let (first, second) = ring.slots(count);
        let (head, tail) = buffer.split_at_mut(first.1);
        memory.read(ring.start + first.0, head);
        if let Some(tail) = tail.get_mut(..second) {
            memory.read(ring.start, tail);
        }
        ring.own = ring.own.wrapping_add(count);
        let (index, own) = (ring.indices, ring.own);
        self.control.memory().store_u32(index, own);
        Ok(Moved { count: count as usize, notify: self.is_wanted(NOTIFY_READ) })
    }

    /// Gives as many bytes as there is room for.
    ///
    /// # Errors
    /// When the peer broke the ring.
    pub fn write(&mut self, bytes: &[u8]) -> Result<Moved, VchanError> {
        let count = self.writable()?.min(limit(bytes.len()));
        if count == 0 {
            return Ok(Moved { count: 0, notify: false });
        }
        let ring = &mut self.write;
        let memory = ring.pages.as_ref().unwrap_or(&self.control).memory();
        let (first, second) = ring.slots(count);
        let (head, tail) = bytes.split_at(first.1);
        memory.write(ring.start + first.0, head);
        if let Some(tail) = tail.get(..second) {
            memory.write(ring.start, tail);
        }
        ring.own = ring.own.wrapping_add(count);
        let (index, own) = (ring.indices + 4, ring.own);
        self.control.memory().store_u32(index, own);
        Ok(Moved { count: count as usize, notify: self.is_wanted(NOTIFY_WRITE) })
    }

    /// Tells the peer, in memory, that we are gone; it wants an event for it.
    pub fn leave(&mut self) {
        self.control.memory().store_u8(if self.server { SRV_LIVE } else { CLI_LIVE }, 0);
    }

    /// Bytes that can be read.
    fn readable(&self) -> Result<u32, VchanError> {
        let produced = self.control.memory().load_u32(self.read.indices + 4);
        self.read.used(produced.wrapping_sub(self.read.own))
    }

    /// Bytes that can be written.
    fn writable(&self) -> Result<u32, VchanError> {
        let consumed = self.control.memory().load_u32(self.write.indices);
        Ok(self.write.size - self.write.used(self.write.own.wrapping_sub(consumed))?)
    }

    /// After an index was moved: whether the peer asked to be told, which it then has to ask again.
    fn is_wanted(&self, bit: u8) -> bool {
        self.control.memory().take_bits(if self.server { SRV_NOTIFY } else { CLI_NOTIFY }, bit) != 0
    }

    /// Whoever maps or shares pages must bring as many as the ring needs.
    fn check_sizes(&self) -> Result<(), VchanError> {
        for ring in [&self.read, &self.write] {
            let memory = ring.pages.as_ref().unwrap_or(&self.control).memory();
            if ring.start + ring.size as usize > memory.length() {
                let source = std::io::Error::other("there are fewer pages than the ring needs");
                return Err(VchanError::System { action: format!("map the ring {}", ring.name), source });
            }
        }
        Ok(())
    }
}

impl Ring {
    fn new(name: RingName, sizes: RingSizes, pages: Option<Box<dyn Pages>>, own: u32) -> Self {
        let (indices, place, size) = match name {
            RingName::ToServer => (LEFT_CONS, sizes.left(), sizes.to_server()),
            RingName::ToClient => (RIGHT_CONS, sizes.right(), sizes.to_client()),
        };
        let start = match place {
            Place::Control(start) => start,
            Place::Own(_) => 0,
        };
        Self { name, indices, pages, start, size, own }
    }

    /// Checks how many bytes are between the indices.
    fn used(&self, used: u32) -> Result<u32, VchanError> {
        if used > self.size {
            return Err(VchanError::Index { ring: self.name, used, size: self.size });
        }
        Ok(used)
    }

    /// Where `count` bytes from our index on are: offset and length up to the end of the ring, and what is left then.
    fn slots(&self, count: u32) -> ((usize, usize), usize) {
        let at = self.own % self.size;
        let first = count.min(self.size - at);
        ((at as usize, first as usize), (count - first) as usize)
    }
}

/// A length of ours in the ring's terms. More than 4 GiB is not moved at once.
fn limit(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
