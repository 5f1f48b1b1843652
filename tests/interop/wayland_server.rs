//! wayvnc, on a Wayland session without a screen: sway, which shows pictures as its background and programs in windows.

use std::fs;
use std::io::Write;
use std::os::unix::fs::chown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::unistd::{Uid, User};
use tempfile::TempDir;
use xenvnc::geometry::Size;
use xenvnc::keysym::Keysym;
use xenvnc::rfb::client::{ClientEvent, ClientOptions};
use xenvnc::rfb::encoding::canvas::Canvas;
use xenvnc::rfb::security::tls::{ClientTls, Trust};

use crate::display::directory;
use crate::host::installed;
use crate::picture::{Kind, difference, from_ppm, picture, to_ppm};
use crate::program::{Program, eventually, output};
use crate::security::Security;
use crate::server::{Server, event, resized, shows, told, until};
use crate::table::Stop;
use crate::upstream::Upstream;
use crate::xvnc::{NAME, SOCKET, make_certificate};

struct WaylandServer {
    tls: Option<ClientTls>,
    server: (Command, Program),
    _compositor: Program,
    directory: TempDir,
}

/// The session's only output.
const OUTPUT: &str = "HEADLESS-1";

pub(crate) fn wayvnc(security: Security) -> Result<Box<dyn Server>, Stop> {
    // With a secret it has TLS and a user's name, or nothing.
    if !matches!(security, Security::None | Security::X509Plain) {
        return Err(Stop::Cannot);
    }
    let directory = directory();
    let place = |name: &str| directory.path().join(name);
    fs::write(place("sway.conf"), format!("output {OUTPUT} resolution 640x400\nxwayland disable\n"))
        .expect("a configuration file");
    // sway does not run as root.
    let mut compositor = Command::new(installed(Path::new(if Uid::effective().is_root() {
        let nobody = User::from_name("nobody").expect("users").expect("nobody");
        let (user, group) = (nobody.uid.as_raw(), nobody.gid.as_raw());
        chown(directory.path(), Some(user), Some(group)).expect("another owner");
        "setpriv"
    } else {
        "sway"
    })));
    if Uid::effective().is_root() {
        compositor.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]);
        compositor.arg(installed(Path::new("sway")));
    }
    compositor.arg("-c").arg(place("sway.conf")).env("XDG_RUNTIME_DIR", directory.path());
    compositor.env("HOME", directory.path()).stdout(Stdio::null());
    compositor.envs([
        ("WLR_BACKENDS", "headless"),
        ("WLR_RENDERER", "pixman"),
        ("WLR_LIBINPUT_NO_DEVICES", "1"),
        ("XKB_DEFAULT_LAYOUT", "it"),
    ]);
    let compositor = Program::start(&mut compositor, &place("sway.log"));
    eventually("the compositor", || place("wayland-1").exists().then_some(()));
    let mut server = on(directory.path(), "wayvnc");
    let mut tls = None;
    if security.is_tls() {
        let certificate = make_certificate(directory.path(), NAME, &format!("DNS:{NAME}"));
        let pem = fs::read(&certificate).expect("a certificate");
        let trust = Trust::authorities(&pem).expect("a certificate");
        tls = Some(ClientTls::new(trust, NAME, true).expect("a name"));
        let text = format!(
            "enable_auth=true\nusername={}\npassword={}\ncertificate_file={}\nprivate_key_file={}\n",
            security.user().unwrap_or_default(),
            security.password().unwrap_or_default(),
            certificate.display(),
            place("server-key.pem").display()
        );
        fs::write(place("wayvnc.conf"), text).expect("a configuration file");
        server.arg("-C").arg(place("wayvnc.conf"));
    }
    server.args(["-k", "it", "-u"]).arg(place(SOCKET)).stdout(Stdio::null());
    let program = Program::start(&mut server, &place("wayvnc.log"));
    Ok(Box::new(WaylandServer { tls, server: (server, program), _compositor: compositor, directory }))
}

/// A command in the session.
fn on(directory: &Path, program: &str) -> Command {
    let mut command = Command::new(installed(Path::new(program)));
    command.env("XDG_RUNTIME_DIR", directory).env("WAYLAND_DISPLAY", "wayland-1").env("HOME", directory);
    command
}

impl WaylandServer {
    fn command(&self, program: &str) -> Command {
        on(self.directory.path(), program)
    }

    fn place(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Tells the compositor something.
    fn tell(&self, words: &[&str]) {
        let files = fs::read_dir(self.directory.path()).expect("a directory");
        let mut paths = files.filter_map(|file| file.ok().map(|file| file.path()));
        let is_socket = |path: &PathBuf| path.to_string_lossy().contains("sway-ipc.");
        let socket = paths.find(is_socket).expect("the compositor's socket");
        output(self.command("swaymsg").env("SWAYSOCK", socket).args(words));
    }

    /// Runs a program in a terminal, which has the whole screen.
    fn terminal(&self, script: &str) -> Program {
        let mut command = self.command("foot");
        command.args(["--override=cursor.blink=no", "sh", "-c", script]).stdout(Stdio::null());
        Program::start(&mut command, &self.place("foot.log"))
    }
}

/// It knows nothing of Extended Clipboard.
fn latin1(text: &str) -> Result<(), Stop> {
    if text.chars().all(|c| u8::try_from(c).is_ok()) { Ok(()) } else { Err(Stop::Cannot) }
}

impl Server for WaylandServer {
    fn connect(&mut self, options: ClientOptions) -> Upstream {
        let socket = self.place(SOCKET);
        let log = self.place("wayvnc.log");
        // A new one each time: wayvnc 0.5 may crash when a viewer hangs up.
        let (command, program) = &mut self.server;
        let _ = program.0.kill();
        let _ = program.0.wait();
        let _ = fs::remove_file(&socket);
        *program = Program::start(command, &log);
        let stream = eventually("the server's socket", || UnixStream::connect(&socket).ok());
        Upstream::over(stream, options)
    }

    fn dump(&mut self) -> Canvas {
        from_ppm(&output(self.command("grim").args(["-t", "ppm", "-"]))).expect("a picture")
    }

    fn show(&mut self, kind: Kind) {
        let wanted = picture(Size::new(640, 400), kind, 1);
        let file = self.place("picture.ppm");
        fs::write(&file, to_ppm(&wanted)).expect("a file");
        self.tell(&["output", OUTPUT, "bg", &file.display().to_string(), "center"]);
        // The cursor is in it.
        eventually("the picture", || (difference(&self.dump(), &wanted).0 < 2000).then_some(()));
    }

    fn quality(&self) -> u8 {
        // It knows the best and the worst, and none between.
        9
    }

    fn tls(&self) -> Option<ClientTls> {
        self.tls.clone()
    }

    fn copies(&mut self, upstream: &mut Upstream, patience: Duration) -> Result<(), Stop> {
        shows(upstream, self, patience)?;
        upstream.events.clear();
        let _terminal =
            self.terminal("seq 200; for n in 1 2 3 4 5 6 7 8; do sleep 0.2; echo $n; done; sleep 600");
        let is_copy = |event: &ClientEvent| matches!(event, ClientEvent::Copied { .. });
        let copied = event(upstream, patience, is_copy).is_ok();
        shows(upstream, self, patience)?;
        if copied { Ok(()) } else { Err(Stop::Cannot) }
    }

    fn pointer(&mut self, upstream: &mut Upstream, patience: Duration) -> Result<(), Stop> {
        let (from, to) = ((40, 50), (321, 123));
        let mut shots = Vec::new();
        for (x, y) in [from, to] {
            for x in [x + 1, x] {
                upstream.client.pointer(0, x, y);
                shows(upstream, self, patience)?;
            }
            shots.push(self.dump());
        }
        // Nothing has changed but where the cursor was, and where it should be.
        let width = usize::from(shots[0].size().width);
        let changed =
            shots[0].pixels().iter().zip(shots[1].pixels()).enumerate().filter(|(_, (a, b))| a != b);
        let changed: Vec<_> = changed.map(|(at, _)| (at % width, at / width)).collect();
        let is_at = |place: &(usize, usize), (x, y): (u16, u16)| {
            place.0.abs_diff(x.into()) < 32 && place.1.abs_diff(y.into()) < 32
        };
        let others = changed.iter().filter(|place| !is_at(place, from) && !is_at(place, to)).count();
        let there = changed.iter().filter(|place| is_at(place, to)).count();
        if there > 10 && others == 0 {
            Ok(())
        } else {
            Err(Stop::No(format!("the cursor has {there} pixels there, and {others} elsewhere")))
        }
    }

    fn cursor(&mut self, upstream: &mut Upstream, patience: Duration) -> Result<(), Stop> {
        upstream.client.pointer(0, 200, 200);
        event(upstream, patience, |event| matches!(event, ClientEvent::Cursor(_))).map_err(|_| Stop::Cannot)
    }

    fn keys(&mut self, upstream: &mut Upstream, patience: Duration) -> Result<(), Stop> {
        let log = self.place("keys");
        let _terminal = self.terminal(&format!("stty raw -echo; exec cat >{}", log.display()));
        until(upstream, patience, |upstream| {
            for (keysym, keycode) in [(0x61, Some(0x1e)), (0xff52, Some(0xc8)), (0xe9, None)] {
                upstream.client.key(Keysym(keysym), keycode, true);
                upstream.client.key(Keysym(keysym), keycode, false);
            }
            let seen = fs::read_to_string(&log).unwrap_or_default();
            let missing = ["a", "\x1b[A", "é"].into_iter().find(|key| !seen.contains(key));
            missing.map_or(Ok(()), |key| Err(Stop::No(format!("no {key:?}"))))
        })
    }

    fn text_out(&mut self, upstream: &mut Upstream, text: &str, patience: Duration) -> Result<(), Stop> {
        latin1(text)?;
        let mut owner = self.command("wl-copy");
        owner.arg("--foreground").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut owner = Program(owner.spawn().expect("wl-copy"));
        owner.0.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("text");
        told(upstream, patience, text)
    }

    fn text_in(&mut self, upstream: &mut Upstream, text: &str, patience: Duration) -> Result<(), Stop> {
        latin1(text)?;
        until(upstream, patience, |upstream| {
            upstream.client.cut_text(text);
            let mut paste = self.command("timeout");
            paste.args(["3", "wl-paste", "--no-newline"]).stderr(Stdio::null());
            let mut paste = paste.stdout(Stdio::piped()).spawn().expect("wl-paste");
            while paste.try_wait().expect("its state").is_none() {
                upstream.pump().map_err(|error| Stop::No(error.to_string()))?;
            }
            let have = paste.wait_with_output().expect("its output").stdout;
            let have = String::from_utf8_lossy(&have).into_owned();
            if have == text { Ok(()) } else { Err(Stop::No(format!("the session has {have:?}"))) }
        })
    }

    fn lamps(&mut self, upstream: &mut Upstream, patience: Duration) -> Result<(), Stop> {
        shows(upstream, self, patience)?;
        // Who tells of lamps tells of them at once.
        if !upstream.events.iter().any(|event| matches!(event, ClientEvent::Leds(_))) {
            return Err(Stop::Cannot);
        }
        for pressed in [true, false] {
            upstream.client.key(Keysym(0xffe5), Some(0x3a), pressed);
        }
        event(upstream, patience, |event| matches!(event, ClientEvent::Leds(leds) if leds.caps_lock))
    }

    fn resize(&mut self, upstream: &mut Upstream, patience: Duration) -> Result<(), Stop> {
        shows(upstream, self, patience)?;
        self.tell(&["output", OUTPUT, "resolution", "720x480"]);
        eventually("another size", || (self.dump().size() == Size::new(720, 480)).then_some(()));
        resized(self, upstream, patience)
    }
}
