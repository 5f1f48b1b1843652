//! Domains with shells, as a daemon sees them: through the store and the console's pty.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::libc;
use xenvnc::demo::{DemoError, Domain, Host, Options};
use xenvnc::xen::store::{Store, WatchEvent};
use xenvnc::xen::{Domid, Uuid, paths};

use crate::common::{eventually, within};

/// No test of its own: the process that becomes a guest's shell. What follows this test's name is the terminal.
#[test]
fn guest_process() {
    let mut arguments = std::env::args();
    if arguments.any(|argument| argument == "--exact")
        && let Some(tty) = arguments.next_back().filter(|tty| tty.starts_with("/dev/pts/"))
    {
        let error = xenvnc::demo::run_guest(Path::new(&tty));
        panic!("no shell on {tty}: {error}");
    }
}

fn options(domains: usize) -> Options {
    let own = std::env::current_exe().expect("our own path").into_os_string();
    let arguments = ["--test-threads=1", "demo::domains::guest_process", "--exact"].map(OsString::from);
    let mut options = Options::new(domains, [own].into_iter().chain(arguments).collect());
    options.shell = Some(PathBuf::from("/bin/sh"));
    options.boot_pause = Duration::ZERO;
    options.reboot_pause = Duration::ZERO;
    options.churn_pause = Duration::from_millis(10);
    options
}

/// A console as `xl console` has it: the pty that the store names.
struct Console {
    pty: std::fs::File,
    seen: String,
}

impl Console {
    async fn open(store: &Store, domid: Domid) -> Self {
        let tty = store.read(&paths::console_node(domid, "tty")).await.expect("a tty");
        let pty = std::fs::File::options()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NOCTTY | libc::O_NONBLOCK)
            .open(String::from_utf8(tty).expect("a path"))
            .expect("the console's pty");
        Self { pty, seen: String::new() }
    }

    fn type_text(&mut self, text: &str) {
        self.pty.write_all(text.as_bytes()).expect("the console takes what is typed");
    }

    async fn wait_for(&mut self, text: &str) {
        let mut buffer = [0; 4096];
        eventually(text, || {
            if let Ok(read) = self.pty.read(&mut buffer) {
                self.seen.push_str(&String::from_utf8_lossy(&buffer[..read]));
            }
            let found = self.seen.find(text).map(|at| self.seen.drain(..at + text.len()).count());
            std::future::ready(found)
        })
        .await;
    }
}

async fn domain_named(host: &Host, name: &str, not: Option<Domid>) -> Domain {
    eventually(name, || {
        let found = host.domains().into_iter().find(|d| d.name == name && Some(d.domid) != not);
        std::future::ready(found)
    })
    .await
}

#[tokio::test]
async fn domains_have_the_nodes_that_libxl_writes() {
    let host = Host::start(options(2)).await.expect("a host");
    let store = Store::connect(host.store_address()).await.expect("its store");
    let domains = host.domains();
    assert_eq!(domains.iter().map(|d| d.name.as_str()).collect::<Vec<_>>().len(), 2);
    for domain in domains {
        let domid = domain.domid;
        assert!(store.is_introduced(domid).await.unwrap());
        assert_eq!(store.read(&paths::name(domid)).await.unwrap(), domain.name.as_bytes());
        let vm = store.read(&paths::vm(domid)).await.unwrap();
        assert_eq!(Uuid::from_vm_node(&vm), Ok(domain.uuid));
        for (node, value) in
            [("type", "xenconsoled"), ("output", "pty"), ("port", "2"), ("ring-ref", "1470466")]
        {
            assert_eq!(store.read(&paths::console_node(domid, node)).await.unwrap(), value.as_bytes());
        }
        let permissions = |node: &str| format!("{}/{node}", paths::home(domid));
        for (node, wanted) in [
            ("console/tty", format!("n0,r{domid}")),
            ("console/backend-id", format!("n{domid},r0")),
            ("data", format!("n{domid}")),
        ] {
            assert_eq!(store.permissions(&permissions(node)).await.unwrap().to_string(), wanted, "{node}");
        }
    }
}

#[tokio::test]
async fn a_shell_answers_on_the_console_after_the_boot_log() {
    let host = Host::start(options(1)).await.expect("a host");
    let store = Store::connect(host.store_address()).await.expect("its store");
    let mut console = Console::open(&store, host.domains()[0].domid).await;
    console.wait_for("Linux version").await;
    console.wait_for("boot number").await;
    console.type_text("echo $((6 * 7)) $TERM\n");
    console.wait_for("42 xterm-256color").await;
    // It is a terminal of its own, with job control and a size.
    console.type_text("stty size; tty\n");
    console.wait_for("25 80").await;
    console.wait_for("/dev/pts/").await;
    console.type_text("(echo sleep'ing'; exec sleep 1000)\n");
    console.wait_for("sleeping").await;
    console.type_text("\x03");
    console.type_text("echo inter'rup'ted\n");
    console.wait_for("interrupted").await;
}

#[tokio::test]
async fn reboot_is_a_new_life_of_the_same_guest() {
    let host = Host::start(options(1)).await.expect("a host");
    let store = Store::connect(host.store_address()).await.expect("its store");
    let mut released = store.watch(paths::RELEASED).await.expect("a watch");
    assert_eq!(within("the first event", released.next()).await, WatchEvent::Changed(paths::RELEASED.into()));
    let mut before = domain_named(&host, "demo-1", None).await;
    // By the command, and by the end of the shell.
    for ending in ["reboot\n", "exit\n"] {
        let mut console = Console::open(&store, before.domid).await;
        console.wait_for("poweroff").await;
        console.type_text(ending);
        console.wait_for("Restarting system").await;
        within("the release", released.next()).await;
        let after = domain_named(&host, "demo-1", Some(before.domid)).await;
        assert_eq!((after.uuid, after.domid.get()), (before.uuid, before.domid.get() + 1));
        assert!(!store.is_introduced(before.domid).await.unwrap());
        assert!(!store.exists(&paths::home(before.domid)).await.unwrap());
        eventually("the new console", async || {
            store.read(&paths::console_node(after.domid, "tty")).await.ok().filter(|tty| !tty.is_empty())
        })
        .await;
        before = after;
    }
}

#[tokio::test]
async fn poweroff_ends_one_domain_only() {
    let host = Host::start(options(2)).await.expect("a host");
    let store = Store::connect(host.store_address()).await.expect("its store");
    let gone = domain_named(&host, "demo-1", None).await;
    let mut console = Console::open(&store, gone.domid).await;
    console.wait_for("poweroff").await;
    console.type_text("poweroff\n");
    console.wait_for("Power down").await;
    eventually("the end", async || (!store.is_introduced(gone.domid).await.unwrap()).then_some(())).await;
    assert_eq!(host.domains().iter().map(|d| d.name.as_str()).collect::<Vec<_>>(), ["demo-2"]);
    assert_eq!(store.list_optional(&format!("/vm/{}", gone.uuid)).await.unwrap(), None);
}

#[tokio::test]
async fn output_that_nobody_reads_holds_no_guest_up() {
    let host = Host::start(options(1)).await.expect("a host");
    let store = Store::connect(host.store_address()).await.expect("its store");
    let mark = host.directory().join("written");
    let mut console = Console::open(&store, host.domains()[0].domid).await;
    // Far more than the ptys and the backlog hold.
    let flood = "i=0; while [ $i -lt 40 ]; do head -c 100000 /dev/zero | tr '\\0' x; i=$((i+1)); done";
    console.type_text(&format!("{flood}; touch {}\n", mark.display()));
    eventually("the end of the flood", async || mark.exists().then_some(())).await;
}

#[tokio::test]
async fn the_end_of_a_host_leaves_nothing_behind() {
    let host = Host::start(options(2)).await.expect("a host");
    let store = Store::connect(host.store_address()).await.expect("its store");
    let directory = host.directory().to_owned();
    let mut console = Console::open(&store, host.domains()[0].domid).await;
    let pids = directory.join("pids");
    // A background process that ignores the hang-up of its terminal, in a process group of its own.
    console.type_text(
        "set -m; (trap '' HUP; exec sleep 1000) & echo $! $$ >$HOME_OF_TEST\n"
            .replace("$HOME_OF_TEST", &format!("{0}.new; mv {0}.new {0}", pids.display()))
            .as_str(),
    );
    let processes = eventually("both numbers", async || std::fs::read_to_string(&pids).ok()).await;
    drop(host);
    assert!(!directory.exists());
    for process in processes.split_whitespace() {
        let stat = PathBuf::from(format!("/proc/{process}/stat"));
        eventually("the process to end", async || {
            let alive = std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
            (!alive).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn many_domains_start_together() {
    let host = Host::start(options(100)).await.expect("a host");
    let mut names: Vec<String> = host.domains().into_iter().map(|domain| domain.name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 100);
}

#[tokio::test]
async fn churn_brings_reboots_and_goes() {
    let mut options = options(1);
    options.churn = 3;
    let host = Host::start(options).await.expect("a host");
    let (mut came, mut went) = (0, 0);
    let mut before = host.domains();
    eventually("ten domains to come and go", || {
        let now = host.domains();
        came += now.iter().filter(|domain| !before.contains(domain)).count();
        went += before.iter().filter(|domain| !now.contains(domain)).count();
        before = now;
        std::future::ready((came >= 10 && went >= 10).then_some(()))
    })
    .await;
    assert!(before.iter().any(|domain| domain.name == "demo-1"), "the one that stays went");
}

#[tokio::test]
async fn a_host_that_cannot_be_is_refused_by_name() {
    assert!(matches!(Host::start(options(100_000)).await, Err(DemoError::TooMany { wanted: 100_000 })));
}

/// A home whose startup files do their worst: `PATH` without our commands, and an alias. The programs that are found
/// then are made up, too: they leave a mark.
fn careless_home() -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("a home");
    let bin = home.path().join("bin");
    std::fs::create_dir(&bin).expect("a directory");
    for name in ["reboot", "poweroff", "halt", "shutdown"] {
        let program = bin.join(name);
        std::fs::write(&program, format!("#!/bin/sh\n: >{}/escaped\n", home.path().display()))
            .expect("a script");
        std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .expect("its mode");
    }
    let startup = format!("PATH={}:/usr/bin:/bin\nalias reboot='{0}/reboot'\nmy_own=read\n", bin.display());
    std::fs::write(home.path().join(".bashrc"), &startup).expect("a startup file");
    std::fs::write(home.path().join("env"), &startup).expect("a startup file");
    home
}

/// As [`options`], for a user with this home.
fn options_at(home: &Path, shell: &str) -> Options {
    let mut options = options(1);
    let variables = [format!("HOME={}", home.display()), format!("XENVNC_TEST_HOME={}", home.display())];
    options.helper = std::iter::once(OsString::from("env"))
        .chain(variables.map(OsString::from))
        .chain(std::mem::take(&mut options.helper))
        .collect();
    options.shell = Some(PathBuf::from(shell));
    options
}

#[tokio::test]
async fn a_startup_file_that_resets_path_does_not_bring_the_machines_reboot() {
    for shell in ["/bin/bash", "/bin/sh"] {
        let home = careless_home();
        let host = Host::start(options_at(home.path(), shell)).await.expect("a host");
        let store = Store::connect(host.store_address()).await.expect("its store");
        let before = domain_named(&host, "demo-1", None).await;
        let mut console = Console::open(&store, before.domid).await;
        console.wait_for("act on this domain only").await;
        if shell == "/bin/bash" {
            console.type_text("echo \"$my_own\" first\n");
            console.wait_for("read first").await;
            console.type_text("bash --norc -c 'type -t poweroff' | tr a-z A-Z\n");
            console.wait_for("FUNCTION").await;
        } else {
            console.type_text("PATH=$XENVNC_TEST_HOME/bin:/usr/bin:/bin\n");
        }
        console.type_text("reboot\n");
        domain_named(&host, "demo-1", Some(before.domid)).await;
        assert!(!home.path().join("escaped").exists(), "{shell} ran the machine's reboot");
    }
}

#[tokio::test]
async fn a_shell_that_is_not_known_is_told_the_truth() {
    let home = careless_home();
    let shell = home.path().join("strange");
    std::os::unix::fs::symlink("/bin/sh", &shell).expect("a symlink");
    let host = Host::start(options_at(home.path(), shell.to_str().expect("a path"))).await.expect("a host");
    let store = Store::connect(host.store_address()).await.expect("its store");
    let mut console = Console::open(&store, host.domains()[0].domid).await;
    console.wait_for("may be your machine's own").await;
}
