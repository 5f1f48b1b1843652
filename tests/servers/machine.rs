//! A machine of QEMU whose whole software is a boot sector, and which QEMU's built-in server shows.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;
use xenvnc::rfb::client::ClientOptions;
use xenvnc::rfb::encoding::canvas::Canvas;

use crate::certificates::{CA, SERVER, SERVER_KEY};
use crate::display::directory;
use crate::picture::from_ppm;
use crate::program::{Program, eventually};
use crate::upstream::Upstream;

/// 320 by 200 pixels of 256 colours, another pattern after each key; from a `t` to the next key 640 black ones by 480, and
/// from an `s` to the next key colours near grey that change slowly. Colours are `(x / 8 ^ y) + bl`, and `x / 2 + y / 4`.
const BOOT_SECTOR: [u8; 130] = [
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
    0x3c, 0x73, // cmp al, 's'
    0x74, 0x17, // je smooth
    0x3c, 0x74, // cmp al, 't'
    0x75, 0x0e, // jne next
    0xb8, 0x12, 0x00, // mov ax, 0x12: the other mode
    0xcd, 0x10, // int 0x10
    0x30, 0xe4, // xor ah, ah: until the next key
    0xcd, 0x16, // int 0x16
    0xb8, 0x13, 0x00, // mov ax, 0x13
    0xcd, 0x10, // int 0x10
    0x80, 0xc3, 0x25, // next: add bl, 0x25
    0xeb, 0xc8, // jmp paint
    0x31, 0xc0, // smooth: xor ax, ax
    0xba, 0xc8, 0x03, // mov dx, 0x3c8: the palette, from its first colour
    0xee, // out dx, al
    0x42, // inc dx
    0x88, 0xc4, // colour: mov ah, al
    0xb7, 0x03, // mov bh, 3
    0x88, 0xe0, // channel: mov al, ah
    0xc0, 0xe8, 0x02, // shr al, 2: they have 6 bits
    0xee, // out dx, al
    0xfe, 0xc4, // inc ah
    0xfe, 0xcf, // dec bh
    0x75, 0xf4, // jne channel
    0x88, 0xe0, // mov al, ah
    0x2c, 0x02, // sub al, 2
    0x75, 0xea, // jne colour
    0x31, 0xff, // xor di, di
    0x31, 0xd2, // shade: xor dx, dx
    0x89, 0xf8, // mov ax, di
    0xf7, 0xf1, // div cx
    0xd1, 0xea, // shr dx, 1
    0xc1, 0xe8, 0x02, // shr ax, 2
    0x00, 0xd0, // add al, dl
    0xaa, // stosb
    0x81, 0xff, 0x00, 0xfa, // cmp di, 64000
    0x75, 0xec, // jne shade
    0x30, 0xe4, // xor ah, ah: until the next key
    0xcd, 0x16, // int 0x16
    0xb8, 0x13, 0x00, // mov ax, 0x13, which has the old palette
    0xcd, 0x10, // int 0x10
    0xeb, 0xbd, // jmp next
];

pub(crate) struct Machine {
    control: BufReader<UnixStream>,
    _program: Program,
    directory: TempDir,
}

impl Machine {
    /// A machine that shows its first pattern.
    pub(crate) fn start() -> Self {
        Self::start_with(|_| (String::new(), Vec::new()))
    }

    /// The same, with more for `-vnc`, and more arguments, when its directory is known.
    fn start_with(more: impl FnOnce(&Path) -> (String, Vec<String>)) -> Self {
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

    /// A machine whose server wants TLS, by the certificates of tests/data/tls, and a password, and is told `more`.
    pub(crate) fn start_secured(tls: bool, password: Option<&str>, more: &str) -> Self {
        let mut machine = Self::start_with(|directory| {
            let mut options = more.to_owned();
            let mut arguments = Vec::new();
            if tls {
                // QEMU wants an authority beside its certificate, and none that is both.
                for (name, bytes) in
                    [("ca-cert.pem", CA), ("server-cert.pem", SERVER), ("server-key.pem", SERVER_KEY)]
                {
                    std::fs::write(directory.join(name), bytes).expect("a file");
                }
                let place = directory.display();
                let object = format!("tls-creds-x509,id=tls,dir={place},endpoint=server,verify-peer=no");
                arguments.extend(["-object".to_owned(), object]);
                options.push_str(",tls-creds=tls");
            }
            if password.is_some() {
                options.push_str(",password=on");
            }
            (options, arguments)
        });
        if let Some(password) = password {
            let arguments = format!(r#"{{"protocol":"vnc","password":"{password}"}}"#);
            machine.ask(&format!(r#"{{"execute":"set_password","arguments":{arguments}}}"#));
        }
        machine
    }

    fn ask(&mut self, command: &str) {
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

    /// Presses a key without VNC, by QEMU's name for it.
    pub(crate) fn press(&mut self, key: &str) {
        let keys = format!(r#"[{{"type":"qcode","data":"{key}"}}]"#);
        self.ask(&format!(r#"{{"execute":"send-key","arguments":{{"keys":{keys}}}}}"#));
    }

    /// The screen in its own dump.
    pub(crate) fn dump(&mut self) -> Canvas {
        let file = self.directory.path().join("screen.ppm");
        self.ask(&format!(r#"{{"execute":"screendump","arguments":{{"filename":"{}"}}}}"#, file.display()));
        eventually("the screen dump", || from_ppm(&std::fs::read(&file).unwrap_or_default()))
    }

    /// The screen when the machine has painted all of its picture.
    pub(crate) fn still(&mut self) -> Canvas {
        eventually("a picture that stays", || {
            let first = self.dump();
            std::thread::sleep(std::time::Duration::from_millis(100));
            (self.dump() == first).then_some(first)
        })
    }

    pub(crate) fn connect(&self, options: ClientOptions) -> Upstream {
        Upstream::unix(&self.directory.path().join("vnc.sock"), options)
    }
}
