//! Each viewer on the daemon: security types, encodings, and all that is no picture.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use xenvnc::rfb::encoding::Encoding;

use crate::picture::Kind;
use crate::program::output;
use crate::programs::ViewerProgram;
use crate::relay::Relay;
use crate::scene::{NAME, Scene};
use crate::screen::{Fidelity, Place, is_red, shows};
use crate::security::Security;
use crate::table::{Cell, HOPE, Row, Stop, Table, patience};
use crate::text_picture::Picture;
use crate::viewer::{Opening, Viewer};

pub(crate) const TABLES: &[Table] = &[
    Table {
        title: "Viewers: security and pictures",
        columns: &[
            "None",
            "VncAuth",
            "X509None",
            "X509Vnc",
            "X509Plain",
            "Raw",
            "CopyRect",
            "RRE",
            "CoRRE",
            "Hextile",
            "Zlib",
            "Tight",
            "Tight with JPEG",
            "TightPNG",
            "TRLE",
            "ZRLE",
            "8 bit",
            "16 bit",
            "32 bit",
        ],
    },
    Table {
        title: "Viewers: all the rest",
        columns: &[
            SWITCH,
            COMES,
            SERVER_SIZE,
            VIEWER_SIZE,
            CURSOR,
            KEYS,
            MORE_KEYS,
            POINTER,
            BUTTONS,
            TEXT_OUT,
            MORE_OUT,
            TEXT_IN,
            MORE_IN,
            LAMPS,
            BELL,
            DESKTOP_NAME,
        ],
    },
];

const SWITCH: &str = "chord switches VTs";
const COMES: &str = "follows the display";
const SERVER_SIZE: &str = "guest resizes";
const VIEWER_SIZE: &str = "viewer resizes";
const CURSOR: &str = "cursor";
const KEYS: &str = "keys";
const MORE_KEYS: &str = "keys é €";
const POINTER: &str = "pointer";
const BUTTONS: &str = "buttons";
const TEXT_OUT: &str = "clipboard to viewer";
const MORE_OUT: &str = "to viewer, UTF-8";
const TEXT_IN: &str = "clipboard from viewer";
const MORE_IN: &str = "from viewer, UTF-8";
const LAMPS: &str = "lamps";
const BELL: &str = "bell";
const DESKTOP_NAME: &str = "name";

/// The encodings with their columns.
pub(crate) const ENCODINGS: &[(&str, Encoding)] = &[
    ("Raw", Encoding::RAW),
    ("Hextile", Encoding::HEXTILE),
    ("Zlib", Encoding::ZLIB),
    ("Tight", Encoding::TIGHT),
    ("TightPNG", Encoding::TIGHT_PNG),
    ("TRLE", Encoding::TRLE),
    ("ZRLE", Encoding::ZRLE),
];

/// Those that have no means against noise but more bytes.
pub(crate) const PLAIN_ENCODINGS: &[(&str, Encoding)] = &[("RRE", Encoding::RRE), ("CoRRE", Encoding::CORRE)];

fn is_picture(encoding: i32) -> bool {
    (0..=50).contains(&encoding) || encoding == Encoding::TIGHT_PNG.0
}

fn is_quality(encoding: i32) -> bool {
    (Encoding::QUALITY_LEVEL_0.0..=Encoding::QUALITY_LEVEL_9.0).contains(&encoding)
        || (Encoding::FINE_QUALITY_LEVEL_0.0..=Encoding::FINE_QUALITY_LEVEL_100.0).contains(&encoding)
}

/// One program on its scene.
struct Trial<'a> {
    program: &'a ViewerProgram,
    scene: Scene,
    /// What the document says about a column.
    written: &'a dyn Fn(&str) -> Option<String>,
    row: Row,
    /// Where its window shows the picture.
    place: std::cell::Cell<Option<Place>>,
    /// The connection of the checks that are not about pictures; made anew after one that failed.
    session: Option<(Box<dyn Viewer>, Relay)>,
}

/// Tries everything with one program.
pub(crate) fn row(program: &ViewerProgram, written: &dyn Fn(&str) -> Option<String>) -> Row {
    let row = Row { program: program.name.into(), version: (program.version)(), cells: Default::default() };
    let mut trial =
        Trial { program, scene: Scene::new(), written, row, place: Default::default(), session: None };
    trial.scene.start_display();
    trial.pictures();
    trial.formats();
    for (security, domid) in Security::SECURED.into_iter().zip(8..) {
        trial.check(security.name(), |this, patience| this.enter(security, domid, patience));
    }
    trial.everything_else();
    trial.row
}

impl Trial<'_> {
    fn check(&mut self, column: &'static str, check: impl FnOnce(&mut Self, Duration) -> Result<(), Stop>) {
        let patience = patience((self.written)(column).as_deref());
        let started = Instant::now();
        let result = check(self, patience);
        println!(
            "{:>12}  {column:<24} {result:?} {:.1} s",
            self.program.name,
            started.elapsed().as_secs_f32()
        );
        if result.is_err() {
            self.session = None;
        }
        if let Some(cell) = Cell::of(result) {
            self.row.cells.insert(column.into(), cell);
        }
    }

    fn open(
        &self,
        port: u16,
        bits: u8,
        security: Security,
        allowed: impl Fn(i32) -> bool + Send + Sync + 'static,
    ) -> Result<(Box<dyn Viewer>, Relay), Stop> {
        let without = self.program.without;
        let is_given = move |number| !without.contains(&Encoding(number));
        let relay = Relay::start(port, move |number| is_given(number) && allowed(number));
        let certificate = self.scene.certificate.clone();
        let viewer = (self.program.open)(&Opening { port: relay.port, bits, security, certificate })?;
        Ok((viewer, relay))
    }

    /// Connects with nothing but this encoding, waits for the picture, and says how much that took.
    fn only(
        &self,
        wanted: Encoding,
        quality: bool,
        picture: &Picture,
        fidelity: Fidelity,
        patience: Duration,
    ) -> Result<usize, Stop> {
        let allowed = move |number: i32| {
            if is_picture(number) { number == wanted.0 } else { quality || !is_quality(number) }
        };
        let (mut viewer, relay) = self.open(self.scene.port, 32, Security::None, allowed)?;
        let fidelity = if viewer.is_lossy() { Fidelity::Blocks } else { fidelity };
        self.wait_for(&mut *viewer, picture, fidelity, patience)?;
        Ok(relay.seen().from_server)
    }

    fn pictures(&mut self) {
        let mixed = self.scene.show(Kind::Mixed);
        let mut offered = Vec::new();
        self.check("None", |this, patience| {
            let (mut viewer, relay) =
                this.open(this.scene.port, 32, Security::None, |number| !is_quality(number))?;
            let fidelity = if viewer.is_lossy() { Fidelity::Blocks } else { Fidelity::Exact };
            this.wait_for(&mut *viewer, &mixed, fidelity, patience)?;
            offered = relay.seen().offered;
            Ok(())
        });
        println!("{:>12}  offers {offered:?}", self.program.name);
        self.encodings(&offered, &mixed, ENCODINGS);
        let plain = self.scene.show(Kind::Plain);
        self.encodings(&offered, &plain, PLAIN_ENCODINGS);
        let smooth = self.scene.show(Kind::Smooth);
        self.check("Tight with JPEG", |this, patience| {
            if !offered.contains(&Encoding::TIGHT.0) || !offered.iter().any(|number| is_quality(*number)) {
                return Err(Stop::Cannot);
            }
            let lossless = this.only(Encoding::TIGHT, false, &smooth, Fidelity::Exact, patience)?;
            let bytes = this.only(Encoding::TIGHT, true, &smooth, Fidelity::Blocks, patience)?;
            if bytes * 3 > lossless * 2 {
                return Err(Stop::No(format!("{bytes} bytes, and {lossless} without JPEG: it was not used")));
            }
            Ok(())
        });
        let copies = offered.contains(&Encoding::COPY_RECT.0);
        self.check(
            "CopyRect",
            |this, patience| if copies { this.copies(patience) } else { Err(Stop::Cannot) },
        );
    }

    /// Connects with one of these encodings after the other.
    fn encodings(&mut self, offered: &[i32], picture: &Picture, encodings: &[(&'static str, Encoding)]) {
        let raw = 4 * picture.pixels.len();
        for (column, encoding) in encodings {
            // Every viewer must take raw pixels, whether it says so or not.
            let knows = offered.contains(&encoding.0) || *encoding == Encoding::RAW;
            self.check(column, |this, patience| {
                if !knows {
                    return Err(Stop::Cannot);
                }
                let bytes = this.only(*encoding, false, picture, Fidelity::Exact, patience)?;
                if (bytes < raw) == (*encoding == Encoding::RAW) {
                    return Err(Stop::No(format!(
                        "{bytes} bytes instead of {raw}: another encoding was used"
                    )));
                }
                Ok(())
            });
        }
    }

    /// The console scrolls, and only what is new is painted.
    fn copies(&mut self, patience: Duration) -> Result<(), Stop> {
        let allowed = |number: i32| !is_picture(number) || number == Encoding::COPY_RECT.0;
        let (mut viewer, relay) = self.open(self.scene.port, 32, Security::None, allowed)?;
        if matches!(viewer.command("key ctrl-alt-1"), Err(Stop::Cannot)) {
            return Err(Stop::Cannot);
        }
        self.scene.host.type_line(NAME, "seq 100 130; echo scrolled-$((6*7))");
        self.scene.host.await_history(NAME, "\nscrolled-42");
        self.wait_for(&mut *viewer, &self.scene.console(NAME), Fidelity::Exact, patience)?;
        let before = relay.seen().from_server;
        self.scene.host.type_line(NAME, "echo once-$((6*7))");
        self.scene.host.await_history(NAME, "\nonce-42");
        self.wait_for(&mut *viewer, &self.scene.console(NAME), Fidelity::Exact, patience)?;
        let (bytes, raw) = (relay.seen().from_server - before, 4 * 640 * 400);
        viewer.command("key ctrl-alt-7")?;
        if bytes > raw { Err(Stop::No(format!("{bytes} bytes: everything was painted"))) } else { Ok(()) }
    }

    /// Pixels of 8, 16 and 32 bits.
    fn formats(&mut self) {
        let mixed = self.scene.show(Kind::Mixed);
        for (column, bits) in [("8 bit", 8), ("16 bit", 16), ("32 bit", 32)] {
            let fidelity = if bits == 32 { Fidelity::Exact } else { Fidelity::Steps };
            self.check(column, |this, patience| {
                let (mut viewer, relay) =
                    this.open(this.scene.port, bits, Security::None, |number| !is_quality(number))?;
                let fidelity = if viewer.is_lossy() { Fidelity::Blocks } else { fidelity };
                this.wait_for(&mut *viewer, &mixed, fidelity, patience)?;
                let asked = relay.seen().bits;
                if asked == bits { Ok(()) } else { Err(Stop::No(format!("it asked for {asked} bits"))) }
            });
        }
    }

    /// Comes in by this.
    fn enter(&mut self, security: Security, domid: u16, patience: Duration) -> Result<(), Stop> {
        let port = self.scene.add_secured(security, domid);
        let (mut viewer, _relay) = self.open(port, 32, security, |_| true)?;
        let fidelity = if viewer.is_lossy() { Fidelity::Blocks } else { Fidelity::Exact };
        let wanted = self.scene.console(security.name());
        self.wait_for(&mut *viewer, &wanted, fidelity, patience)
    }

    fn wait_for(
        &self,
        viewer: &mut dyn Viewer,
        wanted: &Picture,
        fidelity: Fidelity,
        patience: Duration,
    ) -> Result<(), Stop> {
        let mut place = self.place.get();
        let seen =
            wait(patience, || shows(&viewer.picture()?, wanted, fidelity, &mut place).map_err(Stop::No));
        self.place.set(place);
        seen
    }

    /// Waits until the session shows this.
    fn shows(&mut self, wanted: &Picture, patience: Duration) -> Result<(), Stop> {
        self.viewer()?;
        let (mut viewer, relay) = self.session.take().ok_or(Stop::Cannot)?;
        let fidelity = if viewer.is_lossy() { Fidelity::Blocks } else { Fidelity::Exact };
        let seen = self.wait_for(&mut *viewer, wanted, fidelity, patience);
        self.session = Some((viewer, relay));
        seen
    }

    fn viewer(&mut self) -> Result<&mut dyn Viewer, Stop> {
        if self.session.is_none() {
            self.session = Some(self.open(self.scene.port, 32, Security::None, |_| true)?);
        }
        let (viewer, _) = self.session.as_mut().ok_or(Stop::Cannot)?;
        Ok(&mut **viewer)
    }

    /// Stops unless the viewer says that it knows one of these.
    fn knows(&mut self, encodings: &[Encoding]) -> Result<(), Stop> {
        self.viewer()?;
        let (_, relay) = self.session.as_ref().ok_or(Stop::Cannot)?;
        // It has said so when it has a picture, at the latest.
        let has_said = || {
            if relay.seen().offered.is_empty() { Err(Stop::No("it offers nothing".into())) } else { Ok(()) }
        };
        wait(HOPE, has_said)?;
        let offered = relay.seen().offered;
        let knows = encodings.iter().any(|encoding| offered.contains(&encoding.0));
        if knows { Ok(()) } else { Err(Stop::Cannot) }
    }

    fn say(&mut self, command: &str) -> Result<String, Stop> {
        self.viewer()?.command(command)
    }

    /// Says it again and again until the answer is right.
    fn until(&mut self, patience: Duration, command: &str, right: impl Fn(&str) -> bool) -> Result<(), Stop> {
        wait(patience, || {
            let answer = self.say(command)?;
            if right(&answer) { Ok(()) } else { Err(Stop::No(format!("{command}: {answer:?}"))) }
        })
    }

    fn shows_display(&mut self, patience: Duration) -> Result<(), Stop> {
        let wanted = self.scene.shown();
        self.shows(&wanted, patience)
    }

    fn shows_console(&mut self, patience: Duration) -> Result<(), Stop> {
        let wanted = self.scene.console(NAME);
        self.shows(&wanted, patience)
    }

    fn everything_else(&mut self) {
        self.scene.host.type_line(NAME, "clear; echo console-$((6*7))");
        self.scene.host.await_history(NAME, "console-42");
        self.scene.show(Kind::Plain);
        self.check(SWITCH, |this, patience| {
            this.shows_display(patience)?;
            for _ in 0..2 {
                this.say("key ctrl-alt-1")?;
                this.shows_console(patience)?;
                this.say("key ctrl-alt-7")?;
                this.shows_display(patience)?;
            }
            Ok(())
        });
        self.check(CURSOR, |this, patience| {
            let draws = this.say("cursor").map(drop);
            this.say("move 300 350")?;
            this.scene.set_pointer(true);
            let seen = this.say("move 302 351").and_then(|_| match draws {
                // It is in the picture then.
                Err(_) => wait(patience, || {
                    let picture = this.viewer()?.picture()?;
                    let red = picture.pixels.into_iter().filter(|pixel| is_red(*pixel)).count();
                    if red > 10 {
                        Ok(())
                    } else {
                        Err(Stop::No(format!("{red} pixels of it are in the picture")))
                    }
                }),
                Ok(()) => {
                    this.until(patience, "cursor", |answer| answer.parse().is_ok_and(|red: u32| red > 10))
                }
            });
            this.scene.set_pointer(false);
            seen
        });
        self.check(POINTER, |this, patience| {
            wait(patience, || {
                this.say("move 321 123")?;
                let place = output(this.scene.command("xdotool").arg("getmouselocation"));
                let place = String::from_utf8_lossy(&place).into_owned();
                if place.starts_with("x:321 y:123 ") { Ok(()) } else { Err(Stop::No(place)) }
            })
        });
        let events = self.scene.run(&["xev", "-root", "-event", "button"], "xev");
        self.check(BUTTONS, |this, patience| {
            wait(patience, || {
                (1..=3).try_for_each(|button| this.say(&format!("click {button} 600 380")).map(drop))?;
                let seen = fs::read_to_string(&events).unwrap_or_default();
                let pressed = |n: &&str| seen.contains(&format!("button {n},"));
                let missing = ["1", "2", "3"].into_iter().find(|button| !pressed(button));
                missing.map_or(Ok(()), |button| Err(Stop::No(format!("button {button} did not arrive"))))
            })
        });
        for (column, text) in [(TEXT_IN, "für uns"), (MORE_IN, "é漢€")] {
            self.check(column, |this, patience| {
                if column == MORE_IN {
                    this.knows(&[Encoding::EXTENDED_CLIPBOARD])?;
                }
                wait(patience, || {
                    this.say(&format!("copy {text}"))?;
                    let have = this.scene.clipboard();
                    if have == text { Ok(()) } else { Err(Stop::No(format!("the guest got {have:?}"))) }
                })
            });
        }
        self.check(LAMPS, |this, patience| {
            this.knows(&[Encoding::QEMU_LED_STATE, Encoding::VMWARE_LED_STATE])?;
            this.say("lamps")?;
            output(this.scene.command("xdotool").args(["key", "Caps_Lock"]));
            let lit = this.until(patience, "lamps", |answer| answer == "caps");
            output(this.scene.command("xdotool").args(["key", "Caps_Lock"]));
            lit?;
            this.until(patience, "lamps", str::is_empty)
        });
        self.check(SERVER_SIZE, |this, patience| {
            this.knows(&[Encoding::DESKTOP_SIZE, Encoding::EXTENDED_DESKTOP_SIZE])?;
            output(this.scene.command("xrandr").args(["-s", "800x600"]));
            let told = this.shows_display(patience);
            output(this.scene.command("xrandr").args(["-s", "640x400"]));
            told?;
            this.shows_display(patience)
        });
        self.check(VIEWER_SIZE, |this, patience| {
            this.knows(&[Encoding::EXTENDED_DESKTOP_SIZE])?;
            this.say("resize 720 480")?;
            wait(patience, || {
                let picture = this.scene.shown();
                let size = format!("the guest has {}x{} pixels", picture.width, picture.height);
                if (700..=720).contains(&picture.width) { Ok(()) } else { Err(Stop::No(size)) }
            })?;
            this.shows_display(patience)
        });
        self.session = None;
        self.on_the_console();
        // Who has not chosen a VT by a chord goes with the display.
        self.session = None;
        self.check(COMES, |this, patience| {
            this.shows_display(patience)?;
            this.scene.end_display();
            let console = this.shows_console(patience);
            this.scene.start_display();
            console?;
            this.scene.show(Kind::Plain);
            this.shows_display(patience)
        });
        self.check(DESKTOP_NAME, |this, patience| {
            this.knows(&[Encoding::DESKTOP_NAME])?;
            this.until(patience, "name", |answer| answer.contains(NAME))?;
            this.scene.rename("another");
            let told = this.until(patience, "name", |answer| answer.contains("another"));
            this.scene.rename(NAME);
            told
        });
        for (column, text) in [(TEXT_OUT, "für dich"), (MORE_OUT, "ä漢€")] {
            self.check(column, |this, patience| {
                if column == MORE_OUT {
                    this.knows(&[Encoding::EXTENDED_CLIPBOARD])?;
                }
                this.say("clipboard")?;
                this.scene.copy(text);
                this.until(patience, "clipboard", |answer| answer == text)
            });
        }
        self.check(BELL, |this, patience| {
            this.say("key ctrl-alt-1")?;
            let before = this.say("bells")?;
            this.scene.host.type_line(NAME, "sleep 0.3; printf '\\a'");
            this.until(patience, "bells", |answer| answer != before)
        });
    }

    fn on_the_console(&mut self) {
        self.check(KEYS, |this, patience| {
            this.say("key ctrl-alt-1")?;
            this.shows_console(patience)?;
            this.say("type echo 'Keys_|-42 ~!@#%^&*()'")?;
            this.say("key enter")?;
            let wanted = "\nKeys_|-42 ~!@#%^&*()";
            wait(patience, || {
                let history = this.scene.host.history(NAME).replace('\r', "");
                if history.contains(wanted) { Ok(()) } else { Err(Stop::No(last_line(&history))) }
            })
        });
        self.check(MORE_KEYS, |this, patience| {
            this.say("key ctrl-alt-1")?;
            this.say("type echo more-é€")?;
            this.say("key enter")?;
            wait(patience, || {
                let history = this.scene.host.history(NAME).replace('\r', "");
                if history.contains("\nmore-é€") { Ok(()) } else { Err(Stop::No(last_line(&history))) }
            })
        });
    }
}

fn last_line(history: &str) -> String {
    history.lines().rev().find(|line| line.len() > 7).unwrap_or_default().to_owned()
}

/// Tries until it is right, for so long.
pub(crate) fn wait(patience: Duration, mut attempt: impl FnMut() -> Result<(), Stop>) -> Result<(), Stop> {
    let start = Instant::now();
    loop {
        match attempt() {
            Err(Stop::No(why)) if start.elapsed() > patience => return Err(Stop::No(why)),
            Err(Stop::No(_)) => thread::sleep(Duration::from_millis(20)),
            other => return other,
        }
    }
}
