//! Two domains on one machine: memory is a memfd, an event channel a pair of eventfds with the masking of
//! `/dev/xen/evtchn`.

use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex};

use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::memfd::{MFdFlags, memfd_create};
use xenvnc::xen::event_channel::EventChannel;
use xenvnc::xen::sys::mapping::{Access, Mapping};
use xenvnc::xen::sys::shared::Shared;
use xenvnc::xen::vchan::{End, Pages, RingSizes, VchanError, VchanServer, VchanStream};

/// The pages that a server shared; its client maps them by reference.
#[derive(Debug, Clone)]
pub struct Memory {
    pub control: Arc<File>,
    /// Reference 100 on: the left ring's pages. Reference 1000 on: the right one's.
    pub left: Arc<File>,
    pub right: Arc<File>,
}

const LEFT: u32 = 100;
const RIGHT: u32 = 1000;

/// Pages of a file, and the counter of those that are mapped.
#[derive(Debug)]
struct Mapped {
    memory: Shared,
    _alive: Arc<()>,
}

impl Pages for Mapped {
    fn memory(&self) -> &Shared {
        &self.memory
    }
}

fn file(pages: usize) -> Arc<File> {
    let file = File::from(memfd_create("vchan", MFdFlags::MFD_CLOEXEC).expect("a memfd"));
    file.set_len(4096 * pages as u64).expect("pages");
    Arc::new(file)
}

fn map(file: &File, pages: usize, access: Access, alive: &Arc<()>) -> Box<dyn Pages> {
    let pages = NonZeroUsize::new(pages).expect("pages");
    let mapping = Mapping::pages(file.as_fd(), 0, pages, access).expect("a mapping");
    Box::new(Mapped { memory: Shared::new(mapping), _alive: Arc::clone(alive) })
}

impl Memory {
    pub fn new() -> Self {
        Self { control: file(1), left: file(256), right: file(256) }
    }

    /// Writes to the control page, as its other owner can at any time.
    pub fn poke(&self, offset: u64, bytes: &[u8]) {
        self.control.write_all_at(bytes, offset).expect("poke");
    }

    pub fn peek<const N: usize>(&self, offset: u64) -> [u8; N] {
        let mut bytes = [0; N];
        self.control.read_exact_at(&mut bytes, offset).expect("peek");
        bytes
    }

    pub fn server_end(&self, sizes: RingSizes) -> End {
        let alive = Arc::new(());
        let mut rings = [(LEFT, &self.left), (RIGHT, &self.right)].into_iter();
        End::server(map(&self.control, 1, Access::ReadWrite, &alive), sizes, |count| {
            let (first, file) = rings.next().expect("two rings");
            let references = (first..).take(count.get()).collect();
            Ok((map(file, count.get(), Access::ReadWrite, &alive), references))
        })
        .expect("a server")
    }

    /// The client's end; all that it maps keeps `alive`.
    pub fn client_end(&self, alive: &Arc<()>) -> Result<End, VchanError> {
        End::client(map(&self.control, 1, Access::ReadWrite, alive), |references, access| {
            let first = references.first().copied().expect("references");
            assert!(references.iter().copied().eq((first..).take(references.len())), "in order");
            let file = match first {
                LEFT => &self.left,
                RIGHT => &self.right,
                // What a hypervisor says to a reference that is none.
                _ => {
                    return Err(VchanError::System {
                        action: "map".to_owned(),
                        source: io::ErrorKind::InvalidInput.into(),
                    });
                }
            };
            Ok(map(file, references.len(), access, alive))
        })
    }
}

/// One port of an event channel.
#[derive(Debug)]
struct Port {
    event: EventFd,
    /// Whether it is masked, and whether an event came meanwhile.
    masked: Mutex<(bool, bool)>,
    /// Events sent to it.
    count: std::sync::atomic::AtomicUsize,
}

impl Port {
    fn new() -> Arc<Self> {
        let flags = EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
        let event = EventFd::from_flags(flags).expect("an eventfd");
        Arc::new(Self { event, masked: Mutex::default(), count: Default::default() })
    }

    fn send(&self) -> io::Result<()> {
        self.count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut masked = self.masked.lock().expect("the lock");
        if masked.0 {
            masked.1 = true;
            return Ok(());
        }
        self.event.write(1).map(drop).map_err(Into::into)
    }

    fn descriptor(&self) -> OwnedFd {
        self.event.as_fd().try_clone_to_owned().expect("a descriptor")
    }
}

/// One end's view: its own port and the peer's.
#[derive(Debug)]
struct Channel {
    own: Arc<Port>,
    peer: Arc<Port>,
}

impl EventChannel for Channel {
    fn notify(&self, _: BorrowedFd<'_>) -> io::Result<()> {
        self.peer.send()
    }

    fn take(&self, events: BorrowedFd<'_>) -> io::Result<()> {
        nix::unistd::read(events, &mut [0; 8])?;
        self.own.masked.lock().expect("the lock").0 = true;
        Ok(())
    }

    fn unmask(&self, _: BorrowedFd<'_>) -> io::Result<()> {
        if std::mem::take(&mut *self.own.masked.lock().expect("the lock")).1 {
            self.own.event.write(1)?;
        }
        Ok(())
    }
}

/// A server that listens, and what its client needs.
#[derive(Debug, Clone)]
pub struct Host {
    pub memory: Memory,
    server: Arc<Port>,
    client: Arc<Port>,
}

impl Host {
    /// A server as a guest has it, with the numbers that it publishes.
    pub fn listen(sizes: RingSizes, ring_ref: u32, event_channel: u32) -> (VchanServer, Self) {
        let host = Self { memory: Memory::new(), server: Port::new(), client: Port::new() };
        let channel = Channel { own: Arc::clone(&host.server), peer: Arc::clone(&host.client) };
        let end = host.memory.server_end(sizes);
        let stream = VchanStream::new(end, Box::new(channel), host.server.descriptor()).expect("a stream");
        (VchanServer::from_parts(stream, ring_ref, event_channel), host)
    }

    /// Connects as dom0 does.
    pub fn connect(&self) -> Result<VchanStream, VchanError> {
        self.connect_with(&Arc::new(()))
    }

    /// Connects; everything that is mapped keeps `alive`.
    pub fn connect_with(&self, alive: &Arc<()>) -> Result<VchanStream, VchanError> {
        let channel = Channel { own: Arc::clone(&self.client), peer: Arc::clone(&self.server) };
        let end = self.memory.client_end(alive)?;
        let stream = VchanStream::new(end, Box::new(channel), self.client.descriptor())?;
        self.event_to_server();
        Ok(stream)
    }

    pub fn event_to_server(&self) {
        self.server.send().expect("an event");
    }

    pub fn event_to_client(&self) {
        self.client.send().expect("an event");
    }

    /// Events sent to the server, and to the client.
    pub fn events(&self) -> (usize, usize) {
        let count = |port: &Port| port.count.load(std::sync::atomic::Ordering::Relaxed);
        (count(&self.server), count(&self.client))
    }

    /// Open descriptors of the client's port.
    pub fn client_descriptors(&self) -> usize {
        let id = |path: &std::path::Path| std::fs::read_to_string(path).ok();
        let own =
            format!("/proc/self/fdinfo/{}", std::os::fd::AsRawFd::as_raw_fd(&self.client.event.as_fd()));
        let identity =
            |text: String| text.lines().find(|line| line.starts_with("eventfd-id")).map(str::to_owned);
        let own = id(own.as_ref()).and_then(identity).expect("an eventfd's identity");
        let all = std::fs::read_dir("/proc/self/fdinfo").expect("descriptors").flatten();
        all.filter(|entry| id(&entry.path()).and_then(identity).as_ref() == Some(&own)).count()
    }

    /// What the kernel does when the client's process is killed.
    pub fn client_was_killed(&self) {
        self.memory.poke(20, &[0]);
        self.event_to_server();
    }

    /// What the kernel does when the server's process is killed.
    pub fn server_was_killed(&self) {
        self.memory.poke(21, &[0]);
        self.event_to_client();
    }
}
