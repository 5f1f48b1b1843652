//! QEMU's built-in server, on a machine whose whole software is a boot sector.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;
use xenvnc::keysym::Keysym;
use xenvnc::rfb::client::{ClientEvent, ClientOptions};
use xenvnc::rfb::encoding::Encoding;
use xenvnc::rfb::encoding::canvas::Canvas;

use crate::display::directory;
use crate::picture::from_ppm;
use crate::program::{Program, eventually};
use crate::upstream::{Upstream, compare};

/// 320 by 200 pixels of 256 colours, another pattern after each key; from a `t` to the next key 640 black ones by 480.
/// Colours are `(x / 8 ^ y) + bl`.
const BOOT_SECTOR: [u8; 64] = [
    0x31, 0xc0, // xor ax, ax
    0xb0, 0x13, // mov al, 0x13: the graphics mode
    0xcd, 0x10, // int 0x10
    0x68, 0x00, 0xa0, // push 0xa000: its memory
    0x07, // pop es
    0x31, 0xdb, // xor bx, bx
    0x31, 0xff, // paint: xor di, di
    0x31, 0xd2, // pixel: xor dx, dx
    0xb9, 0x40, 0x01, // mov cx, 320
    0x89, 0xf8, // mov ax, di
    0xf7, 0xf1, // div cx
    0xc1, 0xea, 0x03, // shr dx, 3
    0x31, 0xd0, // xor ax, dx
    0x00, 0xd8, // add al, bl
    0xaa, // stosb
    0x81, 0xff, 0x00, 0xfa, // cmp di, 64000
    0x75, 0xe9, // jne pixel
    0x30, 0xe4, // xor ah, ah: a key
    0xcd, 0x16, // int 0x16
    0x3c, 0x74, // cmp al, 't'
    0x75, 0x0e, // jne next
    0xb8, 0x12, 0x00, // mov ax, 0x12: the other mode
    0xcd, 0x10, // int 0x10
    0x30, 0xe4, // xor ah, ah: until the next key
    0xcd, 0x16, // int 0x16
    0xb8, 0x13, 0x00, // mov ax, 0x13
    0xcd, 0x10, // int 0x10
    0x80, 0xc3, 0x25, // next: add bl, 0x25
    0xeb, 0xcc, // jmp paint
];

pub(crate) struct Machine {
    control: BufReader<UnixStream>,
    _program: Program,
    directory: TempDir,
}

impl Machine {
    /// A machine that shows its first pattern.
    fn start() -> Self {
        Self::start_with(|_| (String::new(), Vec::new()))
    }

    /// The same, with more for `-vnc`, and more arguments, when its directory is known.
    pub(crate) fn start_with(more: impl FnOnce(&Path) -> (String, Vec<String>)) -> Self {
        let directory = directory();
        let place = |name: &str| directory.path().join(name).display().to_string();
        let mut disk = BOOT_SECTOR.to_vec();
        disk.resize(510, 0);
        disk.extend([0x55, 0xaa]);
        std::fs::write(place("disk"), disk).expect("a disk");
        let mut command = Command::new("qemu-system-x86_64");
        command.args(["-machine", "pc", "-accel", "tcg", "-m", "16", "-nodefaults", "-no-user-config"]);
        let (options, arguments) = more(directory.path());
        command.args(arguments).args(["-vga", "std", "-display", "none"]);
        command.args(["-vnc", &format!("unix:{}{options}", place("vnc.sock"))]);
        command.args(["-drive", &format!("file={},format=raw", place("disk"))]);
        command.args(["-qmp", &format!("unix:{},server=on,wait=off", place("qmp.sock"))]);
        let program = Program::start(command.stdout(Stdio::null()), &directory.path().join("qemu.log"));
        let control =
            eventually("the control socket", || UnixStream::connect(directory.path().join("qmp.sock")).ok());
        let mut machine = Self { control: BufReader::new(control), _program: program, directory };
        machine.ask(r#"{"execute":"qmp_capabilities"}"#);
        eventually("the first pattern", || {
            let (first, second) = (machine.dump(), machine.dump());
            let colours: std::collections::HashSet<_> = first.pixels().iter().collect();
            (first == second && colours.len() > 50).then_some(())
        });
        machine
    }

    pub(crate) fn ask(&mut self, command: &str) {
        writeln!(self.control.get_mut(), "{command}").expect("a command");
        loop {
            let mut line = String::new();
            self.control.read_line(&mut line).expect("an answer");
            assert!(!line.is_empty() && !line.contains("\"error\""), "{command}: {line}");
            if line.starts_with("{\"return\"") {
                return;
            }
        }
    }

    /// The screen in its own dump.
    pub(crate) fn dump(&mut self) -> Canvas {
        let file = self.directory.path().join("screen.ppm");
        self.ask(&format!(r#"{{"execute":"screendump","arguments":{{"filename":"{}"}}}}"#, file.display()));
        eventually("the screen dump", || from_ppm(&std::fs::read(&file).unwrap_or_default()))
    }

    /// Waits until the machine has painted all of its picture, and the client has all of it.
    fn settled(&mut self, upstream: &mut Upstream) {
        let picture = eventually("a picture that stays", || {
            let first = self.dump();
            std::thread::sleep(std::time::Duration::from_millis(100));
            (self.dump() == first).then_some(first)
        });
        upstream.until_picture(&picture);
    }

    pub(crate) fn connect(&self, options: ClientOptions) -> Upstream {
        Upstream::unix(&self.directory.path().join("vnc.sock"), options)
    }
}

fn press(upstream: &mut Upstream, keysym: Keysym, keycode: Option<u32>) {
    upstream.client.key(keysym, keycode, true);
    upstream.client.key(keysym, keycode, false);
}

#[test]
fn every_encoding_shows_the_screen() {
    let mut machine = Machine::start();
    let used = [
        (Encoding::RAW, false),
        (Encoding::HEXTILE, true),
        (Encoding::ZLIB, true),
        (Encoding::TIGHT, true),
        (Encoding::TIGHT_PNG, true),
        (Encoding::ZRLE, true),
    ];
    compare(&machine.dump(), &used, |options| machine.connect(options));
}

#[test]
fn keys_reach_the_machine_by_keysym_and_by_position() {
    let mut machine = Machine::start();
    for options in [ClientOptions::local(), ClientOptions::network()] {
        let mut upstream = machine.connect(options);
        upstream.until_picture(&machine.dump());
        // The second key has no keysym: only the position tells which.
        for (keysym, keycode) in [(0x61, None), (0, Some(0x1e))] {
            let before = machine.dump();
            press(&mut upstream, Keysym(keysym), keycode);
            upstream.until("another pattern", |_| machine.dump() != before);
            machine.settled(&mut upstream);
        }
    }
}

#[test]
fn a_new_size_and_lamps_are_told() {
    let mut machine = Machine::start();
    let mut upstream = machine.connect(ClientOptions::network());
    upstream.until_picture(&machine.dump());
    let before = upstream.client.canvas().size();
    press(&mut upstream, Keysym(0x74), None);
    let size = upstream.take("another size", |event| match event {
        ClientEvent::Resized { size } => Some(*size),
        _ => None,
    });
    assert_ne!(size, before);
    upstream.until_picture(&machine.dump());
    press(&mut upstream, Keysym(0x61), None);
    upstream.take("the old size", |event| (*event == ClientEvent::Resized { size: before }).then_some(()));
    machine.settled(&mut upstream);
    press(&mut upstream, Keysym(0xffe5), Some(0x3a));
    // The firmware lights the lamp when it is asked for a key.
    press(&mut upstream, Keysym(0x61), None);
    upstream.take("a lamp", |event| matches!(event, ClientEvent::Leds(leds) if leds.caps_lock).then_some(()));
}
