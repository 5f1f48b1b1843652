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

    /// Takes as many bytes as there are and fit. A peer that waits for room is told when half of the ring is free: it then
    /// has something to do for the event.
    ///
    /// # Errors
    /// When the peer broke the ring.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<Moved, VchanError> {
        let readable = self.readable()?;
        let count = readable.min(limit(buffer.len()));
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
        let roomy = readable - count <= ring.size / 2;
        self.control.memory().store_u32(index, own);
        Ok(Moved { count: count as usize, notify: roomy && self.is_wanted(NOTIFY_READ) })
    }

    /// Gives as many bytes as there is room for.
    ///
    /// # Errors
    /// When the peer broke the ring.
    pub fn write(&mut self, bytes: &[u8]) -> Result<Moved, VchanError> {
        let count = self.write_quietly(bytes)?;
        Ok(Moved { count, notify: count > 0 && self.is_told_of_bytes() })
    }

    /// As [`Self::write`], without asking whether the peer wants an event: [`Self::is_told_of_bytes`] is to follow, after
    /// this or further ones.
    ///
    /// # Errors
    /// When the peer broke the ring.
    pub fn write_quietly(&mut self, bytes: &[u8]) -> Result<usize, VchanError> {
        let count = self.writable()?.min(limit(bytes.len()));
        if count == 0 {
            return Ok(0);
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
        Ok(count as usize)
    }

    /// Whether the peer wants an event for bytes that were written.
    pub fn is_told_of_bytes(&self) -> bool {
        self.is_wanted(NOTIFY_WRITE)
    }

    /// How many bytes the ring holds that we write to.
    #[must_use]
    pub fn write_size(&self) -> usize {
        self.write.size as usize
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

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::fs::File;
    use std::os::fd::AsFd;
    use std::os::unix::fs::FileExt;
    use std::sync::Arc;

    use nix::sys::memfd::{MFdFlags, memfd_create};
    use proptest::prelude::*;

    use super::*;
    use crate::xen::sys::mapping::Mapping;

    /// A file that both ends map; what the peer does beyond its role is done to the file.
    fn pages(count: usize) -> Arc<File> {
        let file = File::from(memfd_create("vchan", MFdFlags::MFD_CLOEXEC).expect("a memfd"));
        file.set_len(4096 * count as u64).expect("pages");
        Arc::new(file)
    }

    fn map(file: &File, count: usize, access: Access) -> Box<dyn Pages> {
        let count = NonZeroUsize::new(count).expect("pages");
        Box::new(Shared::new(Mapping::pages(file.as_fd(), 0, count, access).expect("a mapping")))
    }

    struct Pair {
        control: Arc<File>,
        client: End,
        server: End,
    }

    /// Both ends of a vchan whose indices start at `start`, as after many bytes.
    fn pair(left: u16, right: u16, start: u32) -> Pair {
        let sizes = RingSizes::from_orders(left, right).expect("sizes");
        let control = pages(1);
        let mut shared = Vec::new();
        let mut server = End::server(map(&control, 1, Access::ReadWrite), sizes, |count| {
            let file = pages(count.get());
            let reference = u32::try_from(shared.len()).expect("two rings");
            shared.push((reference, Arc::clone(&file)));
            Ok((map(&file, count.get(), Access::ReadWrite), vec![reference; count.get()]))
        })
        .expect("a server");
        for offset in [0, 4, 8, 12] {
            control.write_all_at(&start.to_ne_bytes(), offset).expect("an index");
        }
        (server.read.own, server.write.own) = (start, start);
        assert_eq!(server.peer(), Peer::Expected);
        let client = End::client(map(&control, 1, Access::ReadWrite), |references, access| {
            let first = *references.first().expect("references");
            let file = shared.iter().find(|(reference, _)| *reference == first).expect("a known reference");
            Ok(map(&file.1, references.len(), access))
        })
        .expect("a client");
        assert_eq!(server.peer(), Peer::Here);
        Pair { control, client, server }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Write { server: bool, count: usize },
        Read { server: bool, count: usize },
        Want { server: bool, direction: Direction },
    }

    fn step() -> impl Strategy<Value = Step> {
        let count = prop_oneof![0usize..20, 900usize..1200, 3000usize..9000];
        let direction = prop_oneof![Just(Direction::Read), Just(Direction::Write)];
        prop_oneof![
            (any::<bool>(), count.clone()).prop_map(|(server, count)| Step::Write { server, count }),
            (any::<bool>(), count).prop_map(|(server, count)| Step::Read { server, count }),
            (any::<bool>(), direction).prop_map(|(server, direction)| Step::Want { server, direction }),
        ]
    }

    /// Values at which indices and their differences turn over, and any others.
    fn index() -> impl Strategy<Value = u32> {
        prop_oneof![
            any::<u32>(),
            (0u32..20_000).prop_map(|near| near.wrapping_sub(10_000)),
            (0u32..20_000).prop_map(|near| 0x8000_0000u32.wrapping_add(near).wrapping_sub(10_000)),
        ]
    }

    fn orders() -> impl Strategy<Value = (u16, u16)> {
        prop_oneof![Just((10, 11)), Just((11, 10)), Just((11, 12)), Just((12, 13)), Just((13, 10))]
    }

    /// What a ring holds and what was asked for, kept beside it.
    #[derive(Default)]
    struct Model {
        in_flight: VecDeque<u8>,
        next: usize,
        /// Whether its reader wants to be told of bytes, and its writer of room.
        wants: [bool; 2],
    }

    proptest! {
        /// Two honest ends: bytes come out as they went in, and an event is due exactly when the other end asked, once half
        /// of the ring is free where it asked for room.
        #[test]
        fn bytes_come_in_order_and_events_when_asked(
            (left, right) in orders(),
            start in index(),
            steps in prop::collection::vec(step(), 1..120),
        ) {
            let Pair { mut client, mut server, .. } = pair(left, right, start);
            // The rings that the client and the server write. Both ends start by wanting bytes.
            let mut models: [Model; 2] = Default::default();
            let sizes = [1usize << left, 1 << right];
            for model in &mut models {
                model.wants = [true, false];
            }
            for step in steps {
                match step {
                    Step::Write { server: by_server, count } => {
                        let end = if by_server { &mut server } else { &mut client };
                        let model = &mut models[usize::from(by_server)];
                        let bytes: Vec<u8> = (0..count).map(|at| (model.next + at).to_le_bytes()[0]).collect();
                        let fits = count.min(sizes[usize::from(by_server)] - model.in_flight.len());
                        let moved = end.write(&bytes).expect("an honest peer");
                        prop_assert_eq!(moved.count, fits);
                        prop_assert_eq!(moved.notify, fits > 0 && std::mem::take(&mut model.wants[0]));
                        model.in_flight.extend(&bytes[..fits]);
                        model.next += fits;
                    }
                    Step::Read { server: by_server, count } => {
                        let end = if by_server { &mut server } else { &mut client };
                        let model = &mut models[usize::from(!by_server)];
                        let mut buffer = vec![0xEE; count];
                        let there = count.min(model.in_flight.len());
                        let moved = end.read(&mut buffer).expect("an honest peer");
                        prop_assert_eq!(moved.count, there);
                        let half = sizes[usize::from(!by_server)] / 2;
                        let roomy = there > 0 && model.in_flight.len() - there <= half;
                        prop_assert_eq!(moved.notify, roomy && std::mem::take(&mut model.wants[1]));
                        let wanted: Vec<u8> = model.in_flight.drain(..there).collect();
                        prop_assert_eq!(&buffer[..there], &wanted[..]);
                        prop_assert!(buffer[there..].iter().all(|byte| *byte == 0xEE));
                    }
                    Step::Want { server: by_server, direction } => {
                        let end = if by_server { &server } else { &client };
                        end.want(direction);
                        match direction {
                            Direction::Read => models[usize::from(!by_server)].wants[0] = true,
                            Direction::Write => models[usize::from(by_server)].wants[1] = true,
                        }
                    }
                }
                for (by_server, end) in [(false, &mut client), (true, &mut server)] {
                    let inward = models[usize::from(!by_server)].in_flight.len();
                    let outward = models[usize::from(by_server)].in_flight.len();
                    prop_assert_eq!(end.is_ready(Direction::Read), inward > 0);
                    prop_assert_eq!(end.is_ready(Direction::Write), outward < sizes[usize::from(by_server)]);
                }
            }
        }

        /// A peer that writes whatever it likes over the whole control page, between any two calls.
        #[test]
        fn corrupt_control_page_is_an_error_or_a_count_within_bounds(
            by_server in any::<bool>(),
            rounds in prop::collection::vec(
                (prop::collection::vec(any::<u8>(), 1024), [index(), index(), index(), index()], any::<bool>(), 0usize..9000),
                1..20,
            ),
        ) {
            let Pair { control, mut client, mut server } = pair(12, 13, u32::MAX - 100);
            let (end, read_size, write_size) =
                if by_server { (&mut server, 4096, 8192) } else { (&mut client, 8192, 4096) };
            for (page, indices, near, count) in rounds {
                control.write_all_at(&page, 0).expect("write");
                let before = (end.read.own, end.write.own);
                for (slot, index) in indices.into_iter().enumerate() {
                    // Sometimes near our own, so that it may pass for right.
                    let own = if slot < 2 { before.0 } else { before.1 };
                    let index = if near { own.wrapping_add(index % 10_000) } else { index };
                    control.write_all_at(&index.to_ne_bytes(), 4 * slot as u64).expect("write");
                }
                let mut buffer = vec![0; count];
                match end.read(&mut buffer) {
                    Ok(moved) => {
                        prop_assert!(moved.count <= count.min(read_size));
                        prop_assert_eq!(end.read.own, before.0.wrapping_add(limit(moved.count)));
                    }
                    Err(VchanError::Index { used, size, .. }) => {
                        prop_assert!(used > size);
                        prop_assert_eq!(end.read.own, before.0);
                    }
                    Err(other) => prop_assert!(false, "{other}"),
                }
                match end.write(&buffer) {
                    Ok(moved) => prop_assert!(moved.count <= count.min(write_size)),
                    Err(VchanError::Index { .. }) => prop_assert_eq!(end.write.own, before.1),
                    Err(other) => prop_assert!(false, "{other}"),
                }
            }
        }

        /// A page that is anything at all.
        #[test]
        fn no_page_makes_a_client_panic_or_map_too_much(
            page in prop::collection::vec(any::<u8>(), 4096),
            (left, right, live) in (0u16..24, 0u16..24, 0u8..3),
        ) {
            let control = pages(1);
            control.write_all_at(&page, 0).expect("write");
            control.write_all_at(&[left.to_ne_bytes(), right.to_ne_bytes()].concat(), 16).expect("write");
            control.write_all_at(&[live], 21).expect("write");
            let rings = pages(256);
            let mut mapped = 0;
            let client = End::client(map(&control, 1, Access::ReadWrite), |references, access| {
                mapped += references.len();
                Ok(map(&rings, references.len(), access))
            });
            prop_assert!(mapped <= 512);
            prop_assert_eq!(client.is_ok(), live == 1 && RingSizes::from_orders(left, right).is_ok());
        }
    }

    #[test]
    fn fewer_pages_than_the_ring_needs_are_refused() {
        let Pair { control, .. } = pair(12, 13, 0);
        let one = pages(1);
        let error = End::client(map(&control, 1, Access::ReadWrite), |_, access| Ok(map(&one, 1, access)))
            .expect_err("a ring of two pages in one");
        assert!(matches!(error, VchanError::System { .. }));
    }

    #[test]
    fn pages_have_the_layout_of_the_header() {
        let Pair { control, mut client, mut server } = pair(12, 20, 0);
        let page = || {
            let mut page = [0; 4096];
            control.read_exact_at(&mut page, 0).expect("read");
            page
        };
        let at = page();
        assert_eq!(at[16..20], [12, 0, 20, 0], "orders");
        assert_eq!(at[20..24], [1, 1, 1, 1], "both are there, and want to be told of bytes");
        assert_eq!(at[24..32], [0, 0, 0, 0, 1, 0, 0, 0], "the left ring's page, then the right one's");
        assert_eq!(
            (at[1048..1052].iter().max(), at[1052..].iter().max()),
            (Some(&1), Some(&0)),
            "257 references"
        );
        assert_eq!(client.write(b"abc").expect("room"), Moved { count: 3, notify: true });
        assert_eq!(page()[..8], [0, 0, 0, 0, 3, 0, 0, 0], "left: consumed, produced");
        assert_eq!(page()[22], 0, "the server is told once, until it asks again");
        assert_eq!(server.read(&mut [0; 2]).expect("bytes"), Moved { count: 2, notify: false });
        assert_eq!(page()[..8], [2, 0, 0, 0, 3, 0, 0, 0]);
        assert_eq!(server.write(b"defg").expect("room"), Moved { count: 4, notify: true });
        assert_eq!(page()[8..16], [0, 0, 0, 0, 4, 0, 0, 0], "right: consumed, produced");
        client.want(Direction::Write);
        server.want(Direction::Write);
        assert_eq!(page()[22..24], [2, 2], "they want to be told of room");
        client.leave();
        assert_eq!((page()[20], server.peer()), (0, Peer::Gone));
        server.leave();
        assert_eq!((page()[21], client.peer()), (0, Peer::Gone));
    }
}
