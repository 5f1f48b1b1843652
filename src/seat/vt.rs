//! Virtual terminals: their numbers and what they show.

use std::fmt;
use std::str::FromStr;

use super::console::Console;
use super::graphics::Graphics;
use super::options::VtKind;
use crate::geometry::Size;
use crate::screen::Font;
use crate::terminal::Terminal;

/// The number of a virtual terminal, F1 to F12, named like the key that chooses it.
///
/// F1 is the guest's first console, F2 to F6 are further consoles, F7 to F11 are graphics, F12 is the status page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VtNumber(u8);

impl VtNumber {
    /// The guest's first console.
    pub const CONSOLE: Self = Self(1);
    /// The first graphics VT.
    pub const GRAPHICS: Self = Self(7);
    /// The last graphics VT.
    pub const LAST_GRAPHICS: Self = Self(11);
    /// The status page.
    pub const STATUS: Self = Self(12);

    /// The VT of key F`number`, 1 to 12.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        match number {
            1..=12 => Some(Self(number)),
            _ => None,
        }
    }

    /// True for F7 to F11.
    #[must_use]
    pub const fn is_graphics(self) -> bool {
        Self::GRAPHICS.0 <= self.0 && self.0 <= Self::LAST_GRAPHICS.0
    }

    /// Its number, 1 to 12.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl fmt::Display for VtNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "F{}", self.0)
    }
}

/// A text that names no virtual terminal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no virtual terminal is called {found:?}, wanted f1 to f12")]
pub struct BadVtNumber {
    /// The text that was given.
    pub found: String,
}

impl FromStr for VtNumber {
    type Err = BadVtNumber;

    /// Reads `f7`, `F7` or `7`.
    fn from_str(text: &str) -> Result<Self, BadVtNumber> {
        let digits = text.strip_prefix(['f', 'F']).unwrap_or(text);
        // `parse` would also take a sign.
        let number = Some(digits).filter(|d| d.bytes().all(|b| b.is_ascii_digit()));
        number
            .and_then(|digits| digits.parse().ok())
            .and_then(Self::new)
            .ok_or_else(|| BadVtNumber { found: text.to_owned() })
    }
}

/// One VT of a seat.
#[derive(Debug)]
pub(super) struct Vt {
    pub(super) number: VtNumber,
    pub(super) source: Source,
}

/// Where a VT's picture comes from.
#[derive(Debug)]
pub(super) enum Source {
    /// A console of the guest.
    Console(Box<Console>),
    /// An RFB server in the guest.
    Graphics(Box<Graphics>),
    /// Our own page. It has a terminal only while somebody looks.
    Status(Option<Box<Terminal>>),
}

impl Vt {
    /// Its cells, where it has them.
    pub(super) fn terminal(&self) -> Option<&Terminal> {
        match &self.source {
            Source::Console(console) => Some(&console.terminal),
            Source::Graphics(_) => None,
            Source::Status(terminal) => terminal.as_deref(),
        }
    }

    /// Its cells, where it has them.
    pub(super) fn terminal_mut(&mut self) -> Option<&mut Terminal> {
        match &mut self.source {
            Source::Console(console) => Some(&mut console.terminal),
            Source::Graphics(_) => None,
            Source::Status(terminal) => terminal.as_deref_mut(),
        }
    }

    /// The console that it shows.
    pub(super) fn console(&self) -> Option<&Console> {
        match &self.source {
            Source::Console(console) => Some(console),
            Source::Graphics(_) | Source::Status(_) => None,
        }
    }

    /// The console that it shows.
    pub(super) fn console_mut(&mut self) -> Option<&mut Console> {
        match &mut self.source {
            Source::Console(console) => Some(console),
            Source::Graphics(_) | Source::Status(_) => None,
        }
    }

    /// The server whose picture it shows.
    pub(super) fn graphics(&self) -> Option<&Graphics> {
        match &self.source {
            Source::Graphics(graphics) => Some(graphics),
            Source::Console(_) | Source::Status(_) => None,
        }
    }

    /// The server whose picture it shows.
    pub(super) fn graphics_mut(&mut self) -> Option<&mut Graphics> {
        match &mut self.source {
            Source::Graphics(graphics) => Some(graphics),
            Source::Console(_) | Source::Status(_) => None,
        }
    }

    /// What kind of picture it shows.
    pub(super) const fn kind(&self) -> VtKind {
        match self.source {
            Source::Console(_) => VtKind::Console,
            Source::Graphics(_) => VtKind::Graphics,
            Source::Status(_) => VtKind::Status,
        }
    }
}

/// The size in pixels of a terminal in this font.
pub(super) fn text_size(terminal: &Terminal, font: &Font) -> Size {
    let cell = font.cell();
    Size::new(terminal.columns().saturating_mul(cell.width), terminal.rows().saturating_mul(cell.height))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written() {
        for number in 1..=12 {
            let vt = VtNumber::new(number).unwrap();
            assert_eq!(vt.to_string().parse(), Ok(vt));
            assert_eq!(vt.to_string().to_lowercase().parse(), Ok(vt));
            assert_eq!(number.to_string().parse(), Ok(vt));
        }
    }

    #[test]
    fn other_names_are_refused() {
        for text in
            ["", "f", "f0", "0", "13", "F13", "+1", "f+1", "-1", "f1 ", "ff1", "256", "99999999999999999999"]
        {
            assert_eq!(text.parse::<VtNumber>(), Err(BadVtNumber { found: text.to_owned() }), "{text:?}");
        }
    }
}
