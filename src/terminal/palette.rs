//! The palette: 16 colours of the console, the 6×6×6 cube and 24 greys, and what the guest made of them.

use super::cell::Attributes;
use super::ink::{Ink, InkKind};
use super::style::{Rgb, Style};

/// The first 16 colours: those of the PC's text mode, which the Linux console has (`drivers/tty/vt/vt.c`).
const CONSOLE: [u32; 16] = [
    0x00_0000, 0xaa_0000, 0x00_aa00, 0xaa_5500, 0x00_00aa, 0xaa_00aa, 0x00_aaaa, 0xaa_aaaa, 0x55_5555,
    0xff_5555, 0x55_ff55, 0xff_ff55, 0x55_55ff, 0xff_55ff, 0x55_ffff, 0xff_ffff,
];
/// The colour of text without one.
const FOREGROUND: u8 = 7;
/// The colour behind it.
const BACKGROUND: u8 = 0;

/// The palette of one terminal.
#[derive(Debug, Default)]
pub(super) struct Palette {
    /// All 256 colours, once one is not as it was.
    changed: Option<Box<[u32; 256]>>,
    foreground: Option<u32>,
    background: Option<u32>,
    /// The cursor's, which nothing draws yet but programs ask for.
    cursor: Option<u32>,
    /// Reverse video of the whole screen (DECSCNM).
    pub(super) reversed: bool,
}

/// A colour that OSC 10 to 12 name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dynamic {
    Foreground,
    Background,
    Cursor,
}

fn standard(index: u8) -> u32 {
    match index {
        0..=15 => CONSOLE[usize::from(index)],
        16..=231 => {
            let level = |step: u8| if step == 0 { 0 } else { 55 + 40 * u32::from(step) };
            let cube = index - 16;
            level(cube / 36) << 16 | level(cube / 6 % 6) << 8 | level(cube % 6)
        }
        232..=255 => (8 + 10 * u32::from(index - 232)) * 0x01_0101,
    }
}

/// `over` mixed half and half with `under`.
const fn halfway(over: u32, under: u32) -> u32 {
    ((over & 0x00fe_fefe) >> 1) + ((under & 0x00fe_fefe) >> 1)
}

impl Palette {
    /// The bytes that it holds on the heap.
    pub(super) const fn heap_bytes(&self) -> usize {
        if self.changed.is_some() { size_of::<[u32; 256]>() } else { 0 }
    }

    pub(super) fn colour(&self, index: u8) -> u32 {
        self.changed.as_ref().map_or_else(|| standard(index), |all| all[usize::from(index)])
    }

    pub(super) fn set_colour(&mut self, index: u8, rgb: u32) {
        let all = self.changed.get_or_insert_with(|| {
            let mut all = Box::new([0; 256]);
            for (index, rgb) in (0..=255).zip(all.iter_mut()) {
                *rgb = standard(index);
            }
            all
        });
        all[usize::from(index)] = rgb;
    }

    pub(super) fn reset_colour(&mut self, index: u8) {
        if self.changed.is_some() {
            self.set_colour(index, standard(index));
        }
    }

    /// All 256 colours are as they were.
    pub(super) fn reset_colours(&mut self) {
        self.changed = None;
    }

    pub(super) fn dynamic(&self, which: Dynamic) -> u32 {
        match which {
            Dynamic::Foreground => self.foreground.unwrap_or_else(|| self.colour(FOREGROUND)),
            Dynamic::Background => self.background.unwrap_or_else(|| self.colour(BACKGROUND)),
            Dynamic::Cursor => self.cursor.unwrap_or_else(|| self.dynamic(Dynamic::Foreground)),
        }
    }

    /// Sets a dynamic colour, or lets it follow the palette again.
    pub(super) const fn set_dynamic(&mut self, which: Dynamic, rgb: Option<u32>) {
        match which {
            Dynamic::Foreground => self.foreground = rgb,
            Dynamic::Background => self.background = rgb,
            Dynamic::Cursor => self.cursor = rgb,
        }
    }

    /// What a painter has to do for these inks and attributes.
    pub(super) fn style(&self, attributes: Attributes, foreground: Ink, background: Ink) -> Style {
        let bold = attributes.has(Attributes::BOLD);
        let mut fg = match foreground.kind() {
            // Bold is bright as well, as on the Linux console.
            InkKind::Indexed(index @ 0..=7) if bold => self.colour(index + 8),
            InkKind::Indexed(index) => self.colour(index),
            InkKind::Rgb(rgb) => rgb,
            InkKind::Default if bold && self.foreground.is_none() => self.colour(FOREGROUND + 8),
            InkKind::Default => self.dynamic(Dynamic::Foreground),
        };
        let mut bg = match background.kind() {
            InkKind::Default => self.dynamic(Dynamic::Background),
            InkKind::Indexed(index) => self.colour(index),
            InkKind::Rgb(rgb) => rgb,
        };
        if attributes.has(Attributes::DIM) {
            fg = halfway(fg, bg);
        }
        if attributes.has(Attributes::INVERSE) != self.reversed {
            std::mem::swap(&mut fg, &mut bg);
        }
        if attributes.has(Attributes::HIDDEN) {
            fg = bg;
        }
        let double_underline = attributes.has(Attributes::DOUBLE_UNDERLINE);
        Style {
            foreground: Rgb(fg),
            background: Rgb(bg),
            bold,
            dim: attributes.has(Attributes::DIM),
            italic: attributes.has(Attributes::ITALIC),
            underline: attributes.has(Attributes::UNDERLINE) || double_underline,
            double_underline,
            blink: attributes.has(Attributes::BLINK),
            strike: attributes.has(Attributes::STRIKE),
        }
    }
}

/// Reads a colour as XParseColor does: `#rgb`, `#rrggbb` and longer, or `rgb:r/g/b` with 1 to 4 digits each.
pub(super) fn parse_colour(text: &str) -> Option<u32> {
    let channel = |digits: &str| {
        if digits.is_empty() || digits.len() > 4 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let value = u32::from_str_radix(digits, 16).ok()?;
        let most = (1u32 << (4 * digits.len())) - 1;
        Some((value, most))
    };
    let mut rgb = 0;
    if let Some(digits) = text.strip_prefix('#') {
        let each = digits.len() / 3;
        if !digits.is_ascii() || digits.len() % 3 != 0 {
            return None;
        }
        for at in 0..3 {
            // The digits are the most significant ones of the channel.
            let (value, _) = channel(digits.get(at * each..(at + 1) * each)?)?;
            let byte = if each == 1 { value << 4 } else { value >> (4 * each - 8) };
            rgb = rgb << 8 | byte;
        }
        return Some(rgb);
    }
    let mut channels = text.strip_prefix("rgb:")?.split('/');
    for _ in 0..3 {
        let (value, most) = channel(channels.next()?)?;
        let byte = (value * 255 + most / 2) / most;
        rgb = rgb << 8 | byte;
    }
    channels.next().is_none().then_some(rgb)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_of_the_cube_and_the_greys() {
        for (index, rgb) in [
            (1, 0xaa_0000),
            (16, 0),
            (21, 0x00_00ff),
            (52, 0x5f_0000),
            (231, 0xff_ffff),
            (232, 0x08_0808),
            (255, 0xee_eeee),
        ] {
            assert_eq!(Palette::default().colour(index), rgb, "{index}");
        }
    }

    #[test]
    fn attributes_are_applied() {
        let palette = Palette::default();
        let style = |attributes, fg, bg| palette.style(Attributes(attributes), fg, bg);
        let (red, blue) = (Ink::indexed(1), Ink::indexed(4));
        let bold = style(Attributes::BOLD, red, blue);
        assert_eq!((bold.foreground, bold.background, bold.bold), (Rgb(0xff_5555), Rgb(0x00_00aa), true));
        let inverse = style(Attributes::INVERSE, Ink::DEFAULT, Ink::DEFAULT);
        assert_eq!((inverse.foreground, inverse.background), (Rgb(0), Rgb(0xaa_aaaa)));
        let hidden = style(Attributes::HIDDEN | Attributes::INVERSE, red, blue);
        assert_eq!((hidden.foreground, hidden.background), (Rgb(0xaa_0000), Rgb(0xaa_0000)));
        assert_eq!(style(Attributes::DIM, Ink::rgb(0xff_ffff), Ink::DEFAULT).foreground, Rgb(0x7f_7f7f));
        assert_eq!(style(Attributes::BOLD, Ink::rgb(0x12_3456), Ink::DEFAULT).foreground, Rgb(0x12_3456));
    }

    #[test]
    fn changed_colours_come_back_on_reset() {
        let mut palette = Palette::default();
        palette.set_colour(7, 0x12_3456);
        assert_eq!(palette.dynamic(Dynamic::Foreground), 0x12_3456, "default text is colour 7");
        palette.set_dynamic(Dynamic::Foreground, Some(1));
        assert_eq!(palette.dynamic(Dynamic::Cursor), 1);
        palette.set_dynamic(Dynamic::Foreground, None);
        palette.reset_colour(7);
        assert_eq!(palette.colour(7), 0xaa_aaaa);
        palette.reset_colours();
        assert_eq!(palette.heap_bytes(), 0);
    }

    #[test]
    fn colours_are_read_as_x_does() {
        for (text, rgb) in [
            ("#fff", Some(0xf0_f0f0)),
            ("#123456", Some(0x12_3456)),
            ("#111122223333", Some(0x11_2233)),
            ("rgb:f/0/8", Some(0xff_0088)),
            ("rgb:12/34/56", Some(0x12_3456)),
            ("rgb:ffff/8000/0", Some(0xff_8000)),
            ("rgb:1/2", None),
            ("rgb:1/2/3/4", None),
            ("rgb:12345/0/0", None),
            ("#12", None),
            ("#", None),
            ("#€", None),
            ("red", None),
        ] {
            assert_eq!(parse_colour(text), rgb, "{text}");
        }
    }
}
