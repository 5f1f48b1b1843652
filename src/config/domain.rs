//! What holds for one domain.

use std::net::IpAddr;
use std::path::PathBuf;

use super::layer::{ConsoleLayer, DisplayLayer, DomainLayer, HistoryLayer, SeatLayer, VncLayer};
use super::value::{ConsoleMode, FilePath, Listen, Ports, Target};

/// The most pixels of a guest's display unless told otherwise: two screens of 4K side by side. A pixel takes four bytes.
const DISPLAY_PIXELS: u32 = 2 * 3840 * 2160;

/// What holds for one domain after the `[[domain]]` blocks that match it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainConfig {
    /// `vnc.enabled`: whether this domain is served at all.
    pub enabled: bool,
    /// `console.mode`.
    pub mode: ConsoleMode,
    /// `console.columns`.
    pub columns: u16,
    /// `console.rows`.
    pub rows: u16,
    /// `console.font`: `auto` or a size in the syntax of `screen`; `None` is `auto`.
    pub font: Option<String>,
    /// `console.resize`: whether a viewer's window may change the number of columns and rows.
    pub resize: bool,
    /// `vnc.listen`.
    pub listen: Listen,
    /// `vnc.ports`.
    pub ports: Ports,
    /// `vnc.password_file`: a file with one line; viewers must know it (VncAuth, X509Vnc).
    pub password_file: Option<PathBuf>,
    /// `vnc.users_file`: a file with a line for each user; viewers must know one of them and its password (X509Plain).
    pub users_file: Option<PathBuf>,
    /// `vnc.tls_certificate`: what viewers know us by (PEM).
    pub tls_certificate: Option<PathBuf>,
    /// `vnc.tls_key`: its private key (PEM).
    pub tls_key: Option<PathBuf>,
    /// `vnc.security`: security types in the syntax of `rfb`, the best liked first; `None` follows from the files.
    pub security: Option<Vec<String>>,
    /// `history.lines`: lines that a viewer can scroll back.
    pub history_lines: usize,
    /// `history.bytes`: bytes of console output that are kept in `history.dir`.
    pub history_bytes: u64,
    /// `seat.chords`: key chords in the syntax of `seat`; `None` means the built-in ones.
    pub chords: Option<Vec<String>>,
    /// `display.enabled`: whether the guest's own VNC servers are shown.
    pub displays: bool,
    /// `display.forward`: VNC servers to connect to, the first for display 0.
    pub forward: Vec<Target>,
    /// `display.password_file`: a file with one line; what the guest's VNC servers ask for.
    pub display_password_file: Option<PathBuf>,
    /// `display.user`: the name that goes with that password where a server asks for one (X509Plain).
    pub display_user: Option<String>,
    /// `display.tls_ca`: the certificates that prove who a server is (PEM).
    pub display_tls_ca: Option<PathBuf>,
    /// `display.tls_fingerprint`: the SHA-256 fingerprint of the only certificate that does.
    pub display_tls_fingerprint: Option<String>,
    /// `display.tls_name`: the name that must be in a server's certificate; `None` is its address.
    pub display_tls_name: Option<String>,
    /// `display.tls_insecure`: any certificate does.
    pub display_tls_insecure: bool,
    /// `seat.clipboard`: which way texts may go, in the syntax of `seat`.
    pub clipboard: Option<String>,
    /// `seat.paste`: what becomes of control characters, in the syntax of `seat`.
    pub paste: Option<String>,
    /// `seat.osc52`: whether a program in the guest may write viewers' clipboards.
    pub osc52: bool,
    /// `seat.notices`: whether viewers are told when they are moved to another VT.
    pub notices: bool,
    /// `vnc.sharing`: what becomes of the others when a viewer asks to be alone, in the syntax of `seat`.
    pub sharing: Option<String>,
    /// `vnc.view_only`: whether viewers may only look.
    pub view_only: bool,
    /// `display.pixels`: the most pixels that a guest's display may have.
    pub max_pixels: u32,
    /// `display.relay`: whether a display's rectangles may be passed on as they are to a viewer that looks at it alone.
    pub relay: bool,
}

impl Default for DomainConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            mode: ConsoleMode::Auto,
            columns: 80,
            rows: 25,
            font: Some("auto".into()),
            resize: false,
            listen: Listen { address: IpAddr::from([127, 0, 0, 1]), port: None },
            ports: Ports(5900..=5999),
            password_file: None,
            users_file: None,
            tls_certificate: None,
            tls_key: None,
            security: None,
            history_lines: 10_000,
            history_bytes: 256 << 10,
            chords: None,
            displays: true,
            forward: Vec::new(),
            display_password_file: None,
            display_user: None,
            display_tls_ca: None,
            display_tls_fingerprint: None,
            display_tls_name: None,
            display_tls_insecure: false,
            clipboard: Some("both".into()),
            paste: Some("filtered".into()),
            osc52: false,
            notices: true,
            sharing: Some("always".into()),
            view_only: false,
            max_pixels: DISPLAY_PIXELS,
            relay: false,
        }
    }
}

impl DomainConfig {
    /// Whether a seat that runs with `other` listens where this one says and reaches its console as this one says,
    /// so that it can go on when the configuration changes.
    #[must_use]
    pub fn same_place(&self, other: &Self) -> bool {
        let place = |c: &Self| {
            (
                c.mode,
                c.columns,
                c.rows,
                c.font.clone(),
                c.listen,
                c.ports.clone(),
                c.history_lines,
                c.history_bytes,
            )
        };
        place(self) == place(other)
    }

    /// Lays a `[[domain]]` block over it.
    pub(super) fn apply_block(&mut self, block: &DomainLayer) {
        self.apply(&block.console, &block.vnc, &block.history, &block.seat);
        self.apply_display(&block.display);
    }

    /// Lays a `[display]` section over it.
    pub(super) fn apply_display(&mut self, display: &DisplayLayer) {
        set(&mut self.displays, display.enabled.map(|enabled| enabled.0));
        set(&mut self.forward, display.forward.clone().map(|targets| targets.0));
        set(&mut self.max_pixels, display.pixels.map(|pixels| pixels.0));
        set(&mut self.relay, display.relay.map(|relay| relay.0));
        set(&mut self.display_tls_insecure, display.tls_insecure.map(|insecure| insecure.0));
        set_file(&mut self.display_password_file, &display.password_file);
        set_file(&mut self.display_tls_ca, &display.tls_ca);
        for (place, word) in [
            (&mut self.display_user, &display.user),
            (&mut self.display_tls_fingerprint, &display.tls_fingerprint),
            (&mut self.display_tls_name, &display.tls_name),
        ] {
            if let Some(word) = word {
                *place = Some(word.0.clone());
            }
        }
    }

    /// Lays the other sections over it.
    pub(super) fn apply(
        &mut self,
        console: &ConsoleLayer,
        vnc: &VncLayer,
        history: &HistoryLayer,
        seat: &SeatLayer,
    ) {
        set(&mut self.mode, console.mode);
        set(&mut self.columns, console.columns.map(|c| c.0));
        set(&mut self.rows, console.rows.map(|c| c.0));
        set(&mut self.resize, console.resize.map(|r| r.0));
        set(&mut self.enabled, vnc.enabled.map(|e| e.0));
        set(&mut self.view_only, vnc.view_only.map(|v| v.0));
        set(&mut self.notices, seat.notices.map(|n| n.0));
        set(&mut self.osc52, seat.osc52.map(|o| o.0));
        set(&mut self.listen, vnc.listen);
        set(&mut self.ports, vnc.ports.clone());
        set(&mut self.history_lines, history.lines.map(|l| l.0));
        set(&mut self.history_bytes, history.bytes.map(|b| b.0));
        set_file(&mut self.password_file, &vnc.password_file);
        set_file(&mut self.users_file, &vnc.users_file);
        set_file(&mut self.tls_certificate, &vnc.tls_certificate);
        set_file(&mut self.tls_key, &vnc.tls_key);
        if let Some(chords) = &seat.chords {
            self.chords = Some(chords.0.clone());
        }
        if let Some(security) = &vnc.security {
            self.security = Some(security.0.clone());
        }
        for (place, word) in [
            (&mut self.font, &console.font),
            (&mut self.clipboard, &seat.clipboard),
            (&mut self.paste, &seat.paste),
            (&mut self.sharing, &vnc.sharing),
        ] {
            if let Some(word) = word {
                *place = Some(word.0.clone());
            }
        }
    }
}

/// Takes a value that is given.
pub(super) fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn set_file(place: &mut Option<PathBuf>, file: &Option<FilePath>) {
    if let Some(file) = file {
        *place = Some(file.0.clone());
    }
}
