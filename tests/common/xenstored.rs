//! The real xenstored without Xen (see `scripts/xenstored`), and a toolstack that makes domains in it as libxl does.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tempfile::TempDir;
use xenvnc::xen::store::wire::{self, Kind, Message};
use xenvnc::xen::store::{Address, Permissions, Store, StoreError, Transaction};
use xenvnc::xen::{Domid, Uuid};

use super::DEADLINE;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/xenstored");

/// A running xenstored of our own, in a directory of its own. It ends with this value.
pub struct Xenstored {
    directory: TempDir,
    process: Option<Child>,
}

impl Xenstored {
    /// Starts one with an empty store; the test fails when the real xenstored cannot be had.
    pub fn start() -> Self {
        let prepared = Command::new(SCRIPT).arg("prepare").output().expect("scripts/xenstored cannot be run");
        let complaint = String::from_utf8_lossy(&prepared.stderr);
        assert!(prepared.status.success(), "the real xenstored cannot be had: {complaint}");

        let directory =
            tempfile::Builder::new().prefix("xenstored").tempdir().expect("no temporary directory");
        let mut xenstored = Self { directory, process: None };
        xenstored.restart();
        xenstored
    }

    /// Starts it again with an empty store, after killing it if it runs.
    pub fn restart(&mut self) {
        self.kill();
        let log = File::create(self.directory.path().join("log")).expect("no log file");
        let process = Command::new(SCRIPT)
            .arg("run")
            .arg(self.directory.path())
            .stdout(log.try_clone().expect("no second handle of the log file"))
            .stderr(log)
            .spawn()
            .expect("scripts/xenstored cannot be run");
        self.process = Some(process);
        let start = Instant::now();
        while UnixStream::connect(self.socket()).is_err() {
            let ended = self.process.as_mut().and_then(|process| process.try_wait().ok().flatten());
            let log = || fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
            assert!(ended.is_none(), "xenstored ended at its start: {}", log());
            assert!(start.elapsed() < DEADLINE, "xenstored does not listen: {}", log());
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Kills it without warning. Its store is lost.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("xenstored cannot be killed");
            process.wait().expect("xenstored cannot be waited for");
        }
    }

    /// The directory for `XENSTORED_RUNDIR`.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The socket for `XENSTORED_PATH`.
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("socket")
    }

    /// The address of its socket.
    pub fn address(&self) -> Address {
        Address::At(self.socket())
    }

    /// A connection of its own.
    pub async fn store(&self) -> Store {
        Store::connect(self.address()).await.expect("no connection to xenstored")
    }

    /// A toolstack on a connection of its own.
    pub async fn toolstack(&self) -> Toolstack {
        Toolstack { store: self.store().await }
    }

    /// [`Toolstack::make_domain`] on a connection of its own.
    pub async fn make_domain(&self, domid: u16, uuid: &str, name: &str) {
        self.toolstack().await.make_domain(domid, uuid, name).await;
    }

    /// [`Toolstack::destroy_domain`] on a connection of its own.
    pub async fn destroy_domain(&self, domid: u16) {
        self.toolstack().await.destroy_domain(domid).await;
    }

    /// What a client that we did not write (`xenstore-rs`) reads.
    pub fn independent_read(&self, path: &str) -> io::Result<String> {
        self.independent(path, "read")
    }

    /// The names that a client that we did not write (`xenstore-rs`) lists.
    pub fn independent_list(&self, path: &str) -> io::Result<Vec<String>> {
        self.independent(path, "directory").map(|names| names.lines().map(str::to_owned).collect())
    }

    /// `xenstore-rs` finds its socket by an environment variable only, hence a process of its own: this test binary,
    /// told to run nothing but [`reader_process`].
    fn independent(&self, path: &str, operation: &str) -> io::Result<String> {
        let answer = tempfile::NamedTempFile::new()?;
        let output = Command::new(std::env::current_exe()?)
            .args(["--exact", "common::xenstored::reader_process", "--test-threads=1"])
            .env("XENSTORED_PATH", self.socket())
            .env(READ_PATH, path)
            .env(READ_OPERATION, operation)
            .env(READ_ANSWER, answer.path())
            .output()?;
        assert!(output.status.success(), "{output:?}");
        let answer = fs::read_to_string(answer.path())?;
        match answer.split_once('\n') {
            Some(("found", value)) => Ok(value.to_owned()),
            Some((_, error)) => Err(io::Error::other(error.to_owned())),
            None => panic!("the reader process wrote no answer: {output:?}"),
        }
    }

    /// What Debian's `xenstore-ls -fp` prints of everything below `path`: paths, values and permissions.
    pub fn dump(&self, path: &str) -> String {
        let output = Command::new(SCRIPT)
            .args(["client", "xenstore-ls", "-fp", path])
            .env("XENSTORED_RUNDIR", self.directory())
            .output()
            .expect("scripts/xenstored cannot be run");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// What xenstored holds in memory, as its `memreport` says: connections, watches, transactions.
    pub fn memory_report(&self) -> String {
        let report = self.directory.path().join("memreport");
        // It appends.
        let _ = fs::remove_file(&report);
        let command = Message {
            kind: Kind::Control,
            request: 1,
            transaction: 0,
            payload: wire::join_strings(["memreport", report.to_str().expect("not a text path")]),
        };
        let mut request = BytesMut::new();
        wire::encode(&command, &mut request).expect("the request is too large");
        let mut socket = UnixStream::connect(self.socket()).expect("no connection");
        socket.write_all(&request).expect("xenstored went away");
        socket.read_exact(&mut [0; wire::HEADER_BYTES]).expect("xenstored went away");
        fs::read_to_string(&report).expect("xenstored wrote no report")
    }
}

impl Drop for Xenstored {
    fn drop(&mut self) {
        self.kill();
    }
}

const READ_PATH: &str = "XENVNC_TEST_READ_PATH";
const READ_OPERATION: &str = "XENVNC_TEST_READ_OPERATION";
const READ_ANSWER: &str = "XENVNC_TEST_READ_ANSWER";

/// No test of its own: the process behind [`Xenstored::independent_read`].
#[test]
fn reader_process() {
    use xenstore_rs::Xs as _;

    let Ok(path) = std::env::var(READ_PATH) else { return };
    let store = xenstore_rs::unix::XsUnix::new().expect("xenstore-rs cannot connect");
    let answer = match std::env::var(READ_OPERATION).as_deref() {
        Ok("directory") => store.directory(&path).map(|names| names.join("\n")),
        _ => store.read(&path).map(String::from),
    };
    let answer = match answer {
        Ok(value) => format!("found\n{value}"),
        Err(error) => format!("failed\n{error}"),
    };
    fs::write(std::env::var(READ_ANSWER).expect("no place for the answer"), answer)
        .expect("answer not written");
}

/// Makes and destroys domains, writing what libxl writes in the order in which it does (Xen 4.17, a PV guest without
/// disks).
pub struct Toolstack {
    /// Its connection.
    pub store: Store,
}

/// The UUID number `number` of a row of made-up ones.
pub fn uuid(number: u16) -> Uuid {
    let [high, low] = number.to_be_bytes();
    Uuid::from_bytes([
        0x29, 0x91, 0x34, 0x7e, 0xf9, 0xbd, 0x4c, 0x25, 0xba, 0x56, 0xac, 0x5e, 0, 0, high, low,
    ])
}

/// The domain of this number.
pub fn domid(number: u16) -> Domid {
    Domid::new(number).expect("not a domain number")
}

impl Toolstack {
    /// A whole domain: home, introduction, console with a ring and no tty yet.
    pub async fn make_domain(&self, domid: u16, uuid: &str, name: &str) {
        self.make_domain_of_kind(domid, uuid, name, "pv", false).await;
    }

    /// A whole domain of `kind` (`pv`, `pvh`, `hvm`), with or without a virtual framebuffer.
    pub async fn make_domain_of_kind(&self, domid: u16, uuid: &str, name: &str, kind: &str, vfb: bool) {
        self.make_home(domid, uuid, name, kind).await;
        self.introduce(domid).await;
        if vfb {
            self.store.write(&format!("/libxl/{domid}/device/vfb/0/frontend"), b"vfb").await.expect("no vfb");
        }
        self.make_console(domid).await;
    }

    /// The first transaction of a creation: from here on `vm` and `name` exist.
    pub async fn make_home(&self, number: u16, uuid: &str, name: &str, kind: &str) {
        let guest = domid(number);
        let readable = Permissions::readable_by(guest);
        let owned: Permissions = format!("n{guest}").parse().expect("not permissions");
        let home = format!("/local/domain/{guest}");
        let vm = format!("/vm/{uuid}");
        let transaction = async |t: Transaction| -> Result<(), StoreError> {
            t.remove(&home).await?;
            for directory in [&home, &vm] {
                t.mkdir(directory).await?;
                t.set_permissions(directory, &readable).await?;
            }
            let libxl = format!("/libxl/{guest}");
            t.mkdir(&libxl).await?;
            t.set_permissions(&libxl, &Permissions::private()).await?;
            t.write(&format!("{libxl}/type"), kind.as_bytes()).await?;
            t.write(&format!("{libxl}/dm-version"), b"qemu_xen").await?;
            t.write(&format!("{vm}/uuid"), uuid.as_bytes()).await?;
            t.write(&format!("{vm}/name"), name.as_bytes()).await?;
            t.write(&format!("{home}/vm"), vm.as_bytes()).await?;
            t.write(&format!("{home}/name"), name.as_bytes()).await?;
            t.write(&format!("{home}/domid"), guest.to_string().as_bytes()).await?;
            t.mkdir(&format!("{home}/device")).await?;
            for directory in ["data", "drivers", "feature", "attr", "error", "control/shutdown"] {
                let directory = format!("{home}/{directory}");
                t.mkdir(&directory).await?;
                t.set_permissions(&directory, &owned).await?;
            }
            Ok(())
        };
        self.store.transaction(transaction).await.expect("the domain's home cannot be made");
    }

    /// Introduces the domain to xenstored.
    pub async fn introduce(&self, number: u16) {
        self.store.introduce(domid(number), 1_470_465, 1).await.expect("the domain cannot be introduced");
    }

    /// Releases the domain from xenstored, as its death does.
    pub async fn release(&self, number: u16) {
        self.store.release(domid(number)).await.expect("the domain cannot be released");
    }

    /// The transaction that makes `console/`. Whatever was in it is gone, as after a soft reset.
    pub async fn make_console(&self, number: u16) {
        let guest = domid(number);
        let readable = Permissions::readable_by(guest);
        let guest_owned: Permissions = format!("n{guest},r0").parse().expect("not permissions");
        let frontend = format!("/local/domain/{guest}/console");
        let backend = format!("/local/domain/0/backend/console/{guest}/0");
        let transaction = async |t: Transaction| -> Result<(), StoreError> {
            t.remove(&frontend).await?;
            t.remove(&backend).await?;
            for directory in [&frontend, &backend] {
                t.mkdir(directory).await?;
                t.set_permissions(directory, &readable).await?;
            }
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
            t.set_permissions(&format!("{frontend}/backend-id"), &guest_owned).await?;
            for (node, value) in
                [("frontend", frontend.as_str()), ("online", "1"), ("state", "1"), ("protocol", "vt100")]
            {
                t.write(&format!("{backend}/{node}"), value.as_bytes()).await?;
            }
            Ok(())
        };
        self.store.transaction(transaction).await.expect("the console cannot be made");
    }

    /// Publishes a pty, as xenconsoled does.
    pub async fn set_tty(&self, number: u16, tty: &str) {
        let node = format!("/local/domain/{number}/console/tty");
        self.store.write(&node, tty.as_bytes()).await.expect("tty cannot be written");
    }

    /// Renames the domain.
    pub async fn rename(&self, number: u16, name: &str) {
        let node = format!("/local/domain/{number}/name");
        self.store.write(&node, name.as_bytes()).await.expect("name cannot be written");
    }

    /// Removes what belongs to a domain, then lets it die.
    pub async fn destroy_domain(&self, number: u16) {
        self.remove_home(number).await;
        self.release(number).await;
    }

    /// Removes what belongs to a domain, as the destruction does before the domain is gone.
    pub async fn remove_home(&self, number: u16) {
        let home = format!("/local/domain/{number}");
        let vm = self.store.read_optional(&format!("{home}/vm")).await.expect("vm cannot be read");
        let vm = vm.and_then(|vm| String::from_utf8(vm).ok()).filter(|vm| vm.starts_with("/vm/"));
        let backend = format!("/local/domain/0/backend/console/{number}");
        for directory in vm.into_iter().chain([home, format!("/libxl/{number}"), backend]) {
            self.store.remove(&directory).await.expect("the domain cannot be removed");
        }
    }
}
