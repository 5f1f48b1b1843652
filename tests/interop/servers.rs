//! Our client on each server: security types, encodings, and all that is no picture.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use xenvnc::rfb::client::ClientOptions;
use xenvnc::rfb::encoding::Encoding;

use crate::picture::{Kind, difference};
use crate::programs::debian_version;
use crate::qemu_server::qemu;
use crate::security::Security;
use crate::server::{Server, set_size, shows, until};
use crate::table::{Cell, Row, Stop, Table, patience};
use crate::upstream::{Upstream, only};
use crate::viewers::{ENCODINGS, PLAIN_ENCODINGS};
use crate::wayland_server::wayvnc;
use crate::x_server::{tiger_vnc, tight_vnc, x11vnc};

pub(crate) const TABLES: &[Table] = &[
    Table {
        title: "Servers: security and pictures",
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
        ],
    },
    Table {
        title: "Servers: all the rest",
        columns: &[
            "server resizes",
            "client resizes",
            "cursor",
            "keys",
            "pointer",
            "clipboard from server",
            "from server, UTF-8",
            "clipboard to server",
            "to server, UTF-8",
            "lamps",
        ],
    },
];

/// One of the checks that are not about pictures.
type Check = fn(&mut dyn Server, &mut Upstream, Duration) -> Result<(), Stop>;

/// On one connection, or on a new one after a check that failed. What changes the size comes last.
const CHECKS: &[(&str, Check)] = &[
    ("pointer", |server, upstream, patience| server.pointer(upstream, patience)),
    ("cursor", |server, upstream, patience| server.cursor(upstream, patience)),
    ("keys", |server, upstream, patience| server.keys(upstream, patience)),
    ("clipboard from server", |server, upstream, patience| server.text_out(upstream, "für dich", patience)),
    ("from server, UTF-8", |server, upstream, patience| server.text_out(upstream, "ä漢€", patience)),
    ("clipboard to server", |server, upstream, patience| server.text_in(upstream, "für uns", patience)),
    ("to server, UTF-8", |server, upstream, patience| server.text_in(upstream, "é漢€", patience)),
    ("lamps", |server, upstream, patience| server.lamps(upstream, patience)),
    ("client resizes", set_size),
    ("server resizes", |server, upstream, patience| server.resize(upstream, patience)),
];

pub(crate) struct ServerProgram {
    pub(crate) name: &'static str,
    version: fn() -> String,
    /// Starts it with this security type and no other; stops where it does not have it.
    start: fn(Security) -> Result<Box<dyn Server>, Stop>,
}

pub(crate) const SERVERS: &[ServerProgram] = &[
    ServerProgram {
        name: "Xtigervnc",
        version: || debian_version("tigervnc-standalone-server"),
        start: tiger_vnc,
    },
    ServerProgram { name: "Xtightvnc", version: || debian_version("tightvncserver"), start: tight_vnc },
    ServerProgram { name: "x11vnc", version: || debian_version("x11vnc"), start: x11vnc },
    ServerProgram { name: "QEMU", version: || debian_version("qemu-system-x86"), start: qemu },
    ServerProgram { name: "wayvnc", version: || debian_version("wayvnc"), start: wayvnc },
];

struct Trial<'a> {
    name: &'static str,
    written: &'a dyn Fn(&str) -> Option<String>,
    row: Row,
}

/// Tries everything with one program.
pub(crate) fn row(program: &ServerProgram, written: &dyn Fn(&str) -> Option<String>) -> Row {
    let row = Row { program: program.name.into(), version: (program.version)(), cells: Default::default() };
    let mut trial = Trial { name: program.name, written, row };
    match (program.start)(Security::None) {
        Ok(mut server) => {
            trial.pictures(&mut *server);
            trial.everything_else(&mut *server);
        }
        Err(stop) => trial.check("None", |_, _| Err(stop)),
    }
    for security in Security::SECURED {
        trial.check(security.name(), |_, patience| {
            let mut server = (program.start)(security)?;
            server.show(Kind::Mixed);
            let options = security.options(server.tls());
            shows(&mut server.connect(options), &mut *server, patience)
        });
    }
    trial.row
}

impl Trial<'_> {
    fn check(&mut self, column: &'static str, check: impl FnOnce(&mut Self, Duration) -> Result<(), Stop>) {
        let patience = patience((self.written)(column).as_deref());
        let started = Instant::now();
        // A server that hangs up makes the client's helpers panic.
        let result = catch_unwind(AssertUnwindSafe(|| check(self, patience)));
        let result = result.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Err(Stop::No(text.unwrap_or_else(|| "it failed".into())))
        });
        println!("{:>12}  {column:<24} {result:?} {:.1} s", self.name, started.elapsed().as_secs_f32());
        if let Some(cell) = Cell::of(result) {
            self.row.cells.insert(column.into(), cell);
        }
    }

    fn pictures(&mut self, server: &mut dyn Server) {
        server.show(Kind::Mixed);
        self.check("None", |_, patience| {
            shows(&mut server.connect(ClientOptions::local()), server, patience)
        });
        for (kind, encodings) in [(Kind::Mixed, ENCODINGS), (Kind::Plain, PLAIN_ENCODINGS)] {
            server.show(kind);
            for (column, encoding) in encodings {
                self.check(column, |_, patience| alone(server, *encoding, patience));
            }
        }
        server.show(Kind::Smooth);
        self.check("Tight with JPEG", |_, patience| {
            let options = ClientOptions { quality: Some(server.quality()), ..only(Encoding::TIGHT) };
            let mut upstream = server.connect(options);
            until(&mut upstream, patience, |upstream| {
                let (size, wanted) = (upstream.client.canvas().size(), server.dump().size());
                if size == wanted { Ok(()) } else { Err(Stop::No(format!("a size of {size:?}"))) }
            })?;
            upstream.refresh();
            match difference(upstream.client.canvas(), &server.dump()) {
                (..10_000, _) => Err(Stop::Cannot),
                (_, mean) if mean < 2.0 => Ok(()),
                (_, mean) => Err(Stop::No(format!("a mean difference of {mean} levels"))),
            }
        });
        self.check("CopyRect", |_, patience| {
            let mut upstream = server.connect(ClientOptions::local());
            server.copies(&mut upstream, patience)
        });
    }

    fn everything_else(&mut self, server: &mut dyn Server) {
        let mut session = None;
        for (column, check) in CHECKS {
            self.check(column, |_, patience| {
                let mut upstream = session.take().unwrap_or_else(|| server.connect(ClientOptions::local()));
                check(server, &mut upstream, patience)?;
                session = Some(upstream);
                Ok(())
            });
        }
    }
}

/// Connects with nothing but this encoding.
fn alone(server: &mut dyn Server, encoding: Encoding, patience: Duration) -> Result<(), Stop> {
    let mut upstream = server.connect(only(encoding));
    shows(&mut upstream, server, patience)?;
    let bytes = upstream.refresh();
    shows(&mut upstream, server, patience)?;
    // A server that does not know an encoding sends raw pixels.
    let raw = 4 * upstream.client.canvas().pixels().len();
    if (bytes < raw) == (encoding != Encoding::RAW) { Ok(()) } else { Err(Stop::Cannot) }
}
