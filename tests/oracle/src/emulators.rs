//! Three emulators behind one trait, and the picture in which they are compared.

use alacritty_terminal::event::VoidListener;
use alacritty_terminal::grid::Dimensions;
use alacritty_terminal::index::{Column, Line};
use alacritty_terminal::term::cell::Flags;
use alacritty_terminal::term::{Config, Term, TermMode};
use alacritty_terminal::vte::ansi::{Color, NamedColor, Processor, StdSyncHandler};

use crate::terminal::{Options, Terminal, View, Width};

/// A colour before the palette.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    Foreground,
    Background,
    Indexed(u8),
    Rgb(u32),
}

impl Ink {
    /// Our palette, so that colours can be compared once they are resolved.
    fn resolve(self, bold: bool) -> u32 {
        const CONSOLE: [u32; 16] = [
            0x00_0000, 0xaa_0000, 0x00_aa00, 0xaa_5500, 0x00_00aa, 0xaa_00aa, 0x00_aaaa, 0xaa_aaaa,
            0x55_5555, 0xff_5555, 0x55_ff55, 0xff_ff55, 0x55_55ff, 0xff_55ff, 0x55_ffff, 0xff_ffff,
        ];
        let level = |step: u8| if step == 0 { 0 } else { 55 + 40 * u32::from(step) };
        match self {
            Self::Rgb(rgb) => rgb,
            Self::Background => CONSOLE[0],
            Self::Foreground => CONSOLE[if bold { 15 } else { 7 }],
            Self::Indexed(index @ 0..=7) if bold => CONSOLE[usize::from(index) + 8],
            Self::Indexed(index @ 0..=15) => CONSOLE[usize::from(index)],
            Self::Indexed(index @ 16..=231) => {
                let cube = index - 16;
                level(cube / 36) << 16 | level(cube / 6 % 6) << 8 | level(cube % 6)
            }
            Self::Indexed(index) => (8 + 10 * u32::from(index - 232)) * 0x01_0101,
        }
    }
}

/// One cell: what it shows, and how.
#[derive(Debug, Clone, Eq)]
pub struct Cell {
    /// The character, without marks: `avt` has none. NUL for the right half of a wide one.
    text: char,
    foreground: u32,
    background: u32,
    plain_background: u32,
    bold: bool,
    italic: bool,
    underline: bool,
    strike: bool,
}

impl PartialEq for Cell {
    fn eq(&self, other: &Self) -> bool {
        let seen = |cell: &Self| {
            (cell.text, cell.foreground, cell.background, cell.bold, cell.italic, cell.underline, cell.strike)
        };
        seen(self) == seen(other)
    }
}

impl Cell {
    fn new(text: char, fg: Ink, bg: Ink, attributes: [bool; 5]) -> Self {
        let [bold, italic, underline, strike, inverse] = attributes;
        let plain_background = bg.resolve(false);
        let (mut foreground, mut background) = (fg.resolve(bold), bg.resolve(false));
        if inverse {
            std::mem::swap(&mut foreground, &mut background);
        }
        let mut cell =
            Self { text, foreground, background, plain_background, bold, italic, underline, strike };
        // Of a blank only what can be seen counts.
        if cell.text == ' ' {
            (cell.bold, cell.italic) = (false, false);
            if !cell.underline && !cell.strike {
                cell.foreground = 0;
            }
        }
        cell
    }
}

/// What a terminal shows.
#[derive(Debug, PartialEq, Eq)]
pub struct Picture {
    pub columns: usize,
    pub cells: Vec<Cell>,
    /// Column and row, while it is shown.
    cursor: Option<(usize, usize)>,
}

impl Picture {
    /// Forgets how blanks look but for the background before inversion: `avt` erases with the whole pen. For streams
    /// that print no blanks.
    pub fn without_blanks(mut self) -> Self {
        for cell in &mut self.cells {
            if cell.text == ' ' {
                let background = cell.plain_background;
                *cell = Cell::new(' ', Ink::Foreground, Ink::Rgb(background), [false; 5]);
            }
        }
        self
    }

    /// The first difference, in words.
    pub fn difference(&self, wanted: &Self, own: &str, other: &str) -> String {
        for (at, (have, wanted)) in self.cells.iter().zip(&wanted.cells).enumerate() {
            if have != wanted {
                let (column, row) = (at % self.columns, at / self.columns);
                return format!("column {column}, row {row}: {own} {have:?}, {other} {wanted:?}");
            }
        }
        format!("cursor: {own} {:?}, {other} {:?}", self.cursor, wanted.cursor)
    }
}

pub trait Emulator {
    fn feed(&mut self, text: &str);
    fn picture(&self) -> Picture;
}

pub struct Ours(Terminal);

impl Ours {
    pub fn new(columns: usize, rows: usize) -> Self {
        let [columns, rows] = [columns, rows].map(|n| u16::try_from(n).unwrap_or(u16::MAX));
        Self(Terminal::new(Options { columns, rows, history_lines: 100, ..Options::default() }))
    }
}

impl Emulator for Ours {
    fn feed(&mut self, text: &str) {
        self.0.feed(text.as_bytes());
    }

    fn picture(&self) -> Picture {
        let mut scratch = Vec::new();
        let mut cells = Vec::new();
        for row in 0..self.0.rows() {
            for cell in self.0.row(View::Live, row, &mut scratch) {
                let style = self.0.style(*cell);
                let text = match cell.width() {
                    Width::Tail => '\0',
                    _ => self.0.cluster(*cell).base,
                };
                let attributes = [style.bold, style.italic, style.underline, style.strike, false];
                let mut shown =
                    Cell::new(text, Ink::Rgb(style.foreground.0), Ink::Rgb(style.background.0), attributes);
                if text == ' ' && !shown.underline && !shown.strike {
                    shown.foreground = 0;
                }
                cells.push(shown);
            }
        }
        let cursor = self.0.cursor().map(|c| (usize::from(c.column), usize::from(c.row)));
        Picture { columns: usize::from(self.0.columns()), cells, cursor }
    }
}

/// Columns and rows.
pub struct Screen(pub usize, pub usize);

impl Dimensions for Screen {
    fn total_lines(&self) -> usize {
        self.1
    }
    fn screen_lines(&self) -> usize {
        self.1
    }
    fn columns(&self) -> usize {
        self.0
    }
}

pub struct Alacritty {
    term: Term<VoidListener>,
    parser: Processor<StdSyncHandler>,
    filter: LinuxFilter,
}

impl Alacritty {
    pub fn new(columns: usize, rows: usize) -> Self {
        let config = Config { scrolling_history: 100, ..Config::default() };
        Self {
            term: Term::new(config, &Screen(columns, rows), VoidListener),
            parser: Processor::new(),
            filter: LinuxFilter::default(),
        }
    }
}

fn alacritty_ink(color: Color) -> Ink {
    match color {
        Color::Named(NamedColor::Foreground) => Ink::Foreground,
        Color::Named(NamedColor::Background) => Ink::Background,
        Color::Named(named) => u8::try_from(named as usize).map_or(Ink::Foreground, Ink::Indexed),
        Color::Spec(rgb) => Ink::Rgb(u32::from_be_bytes([0, rgb.r, rgb.g, rgb.b])),
        Color::Indexed(index) => Ink::Indexed(index),
    }
}

impl Emulator for Alacritty {
    fn feed(&mut self, text: &str) {
        let text = self.filter.filter(text);
        self.parser.advance(&mut self.term, text.as_bytes());
    }

    fn picture(&self) -> Picture {
        let grid = self.term.grid();
        let (columns, rows) = (grid.columns(), grid.screen_lines());
        let mut cells = Vec::new();
        for row in 0..rows {
            for column in 0..columns {
                let cell = &grid[Line(i32::try_from(row).unwrap_or(0))][Column(column)];
                let spacer = cell.flags.contains(Flags::WIDE_CHAR_SPACER);
                // A tab leaves its character for copying; nobody sees it.
                let text = if spacer {
                    '\0'
                } else if cell.c == '\t' {
                    ' '
                } else {
                    cell.c
                };
                let has = |flags| cell.flags.intersects(flags);
                let attributes = [
                    has(Flags::BOLD),
                    has(Flags::ITALIC),
                    has(Flags::ALL_UNDERLINES),
                    has(Flags::STRIKEOUT),
                    has(Flags::INVERSE),
                ];
                cells.push(Cell::new(text, alacritty_ink(cell.fg), alacritty_ink(cell.bg), attributes));
            }
        }
        let point = grid.cursor.point;
        let position = (point.column.0, usize::try_from(point.line.0).unwrap_or(0));
        Picture {
            columns,
            cells,
            cursor: self.term.mode().contains(TermMode::SHOW_CURSOR).then_some(position),
        }
    }
}

pub struct Avt {
    terminal: avt::Terminal,
    columns: usize,
    rows: usize,
    filter: LinuxFilter,
}

impl Avt {
    pub fn new(columns: usize, rows: usize) -> Self {
        let terminal = match avt::Terminal::new(columns, rows) {
            Ok(terminal) => terminal,
            Err(_) => unreachable!("the sizes are fixed"),
        };
        Self { terminal, columns, rows, filter: LinuxFilter::default() }
    }
}

fn avt_ink(color: Option<avt::Color>, default: Ink) -> Ink {
    match color {
        None => default,
        Some(avt::Color::Indexed(index)) => Ink::Indexed(index),
        Some(avt::Color::RGB(rgb)) => Ink::Rgb(u32::from_be_bytes([0, rgb.r, rgb.g, rgb.b])),
    }
}

impl Emulator for Avt {
    fn feed(&mut self, text: &str) {
        let text = self.filter.filter(text);
        self.terminal.feed(text.as_str());
    }

    fn picture(&self) -> Picture {
        let screen = self.terminal.screen();
        let mut cells = Vec::new();
        for row in 0..self.rows {
            let line = screen.line(row).map_or(&[][..], |line| line.cells());
            for column in 0..self.columns {
                let Some(cell) = line.get(column) else {
                    cells.push(Cell::new(' ', Ink::Foreground, Ink::Background, [false; 5]));
                    continue;
                };
                let pen = cell.pen();
                let text = if cell.width() == 0 { '\0' } else { cell.char() };
                let attributes = [
                    pen.is_bold(),
                    pen.is_italic(),
                    pen.is_underline(),
                    pen.is_strikethrough(),
                    pen.is_inverse(),
                ];
                let fg = avt_ink(pen.foreground(), Ink::Foreground);
                let bg = avt_ink(pen.background(), Ink::Background);
                cells.push(Cell::new(text, fg, bg, attributes));
            }
        }
        // A cursor that waits beyond the last column is drawn in it.
        let cursor =
            self.terminal.cursor().position().map(|(column, row)| (column.min(self.columns - 1), row));
        Picture { columns: self.columns, cells, cursor }
    }
}

/// Takes out `ESC ] R` and `ESC ] P nrrggbb`, which only we know to have no terminator.
#[derive(Default)]
struct LinuxFilter {
    held: String,
}

impl LinuxFilter {
    fn filter(&mut self, text: &str) -> String {
        let text = std::mem::take(&mut self.held) + text;
        let mut out = String::new();
        let mut rest = text.as_str();
        while let Some(at) = rest.find('\u{1b}') {
            out.push_str(&rest[..at]);
            rest = &rest[at..];
            let skip = if rest.starts_with("\u{1b}]R") {
                3
            } else if rest.starts_with("\u{1b}]P") {
                10
            } else if "\u{1b}]".starts_with(rest) {
                rest.len() + 1
            } else {
                out.push('\u{1b}');
                rest = &rest[1..];
                continue;
            };
            if rest.len() < skip {
                self.held = rest.to_owned();
                return out;
            }
            rest = &rest[skip..];
        }
        out + rest
    }
}
