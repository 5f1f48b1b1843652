//! The pen: attributes and colours of what is printed next (SGR: ECMA-48 §8.3.117, xterm's `ctlseqs`).

use super::actions::Parameters;
use super::cell::{Attributes, Look};
use super::ink::Ink;
use super::tables::InkPair;

/// Attributes and colours of what is printed next.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pen {
    pub(super) attributes: Attributes,
    pub(super) inks: InkPair,
    /// The look of these, once it was needed.
    pub(super) look: Option<Look>,
}

impl Pen {
    /// True when text looks as at the start.
    pub(super) fn is_default(&self) -> bool {
        self.attributes == Attributes::default() && self.inks == InkPair::default()
    }

    fn set(&mut self, attributes: u16) {
        self.attributes.0 |= attributes;
    }

    fn reset(&mut self, attributes: u16) {
        self.attributes.0 &= !attributes;
    }

    /// Applies `CSI ... m`.
    pub(super) fn apply(&mut self, parameters: &Parameters) {
        let values = parameters.values();
        self.look = None;
        let mut at = 0;
        while let Some(&value) = values.get(at) {
            let end = parameters.group_end(at);
            let group = &values[at..end];
            at = end;
            match value {
                0 => {
                    // Protection is not one of SGR's attributes.
                    let protected = self.attributes.0 & Attributes::PROTECTED;
                    *self = Self { attributes: Attributes(protected), ..Self::default() };
                }
                1 => self.set(Attributes::BOLD),
                2 => self.set(Attributes::DIM),
                3 => self.set(Attributes::ITALIC),
                4 => {
                    self.reset(Attributes::UNDERLINE | Attributes::DOUBLE_UNDERLINE);
                    match group.get(1) {
                        Some(0) => {}
                        Some(2) => self.set(Attributes::DOUBLE_UNDERLINE),
                        // Curly, dotted and dashed lines are drawn straight.
                        _ => self.set(Attributes::UNDERLINE),
                    }
                }
                5 | 6 => self.set(Attributes::BLINK),
                7 => self.set(Attributes::INVERSE),
                8 => self.set(Attributes::HIDDEN),
                9 => self.set(Attributes::STRIKE),
                21 => {
                    self.reset(Attributes::UNDERLINE);
                    self.set(Attributes::DOUBLE_UNDERLINE);
                }
                22 => self.reset(Attributes::BOLD | Attributes::DIM),
                23 => self.reset(Attributes::ITALIC),
                24 => self.reset(Attributes::UNDERLINE | Attributes::DOUBLE_UNDERLINE),
                25 => self.reset(Attributes::BLINK),
                27 => self.reset(Attributes::INVERSE),
                28 => self.reset(Attributes::HIDDEN),
                29 => self.reset(Attributes::STRIKE),
                30..=37 => self.inks.foreground = palette(value - 30),
                39 => self.inks.foreground = Ink::DEFAULT,
                40..=47 => self.inks.background = palette(value - 40),
                49 => self.inks.background = Ink::DEFAULT,
                90..=97 => self.inks.foreground = palette(value - 90 + 8),
                100..=107 => self.inks.background = palette(value - 100 + 8),
                38 | 48 | 58 => {
                    let ink = if group.len() > 1 {
                        extended_by_colons(group)
                    } else {
                        let (ink, used) = extended(&values[at..]);
                        at += used;
                        ink
                    };
                    match (value, ink) {
                        (38, Some(ink)) => self.inks.foreground = ink,
                        (48, Some(ink)) => self.inks.background = ink,
                        // 58 colours the underline, which is drawn in the colour of the text.
                        _ => {}
                    }
                }
                _ => {}
            }
        }
    }

    /// The parameters that would set this pen, for DECRQSS.
    pub(super) fn describe(&self) -> String {
        use super::ink::InkKind;
        use std::fmt::Write;
        let mut text = String::from("0");
        for (attribute, number) in [
            (Attributes::BOLD, "1"),
            (Attributes::DIM, "2"),
            (Attributes::ITALIC, "3"),
            (Attributes::UNDERLINE, "4"),
            (Attributes::DOUBLE_UNDERLINE, "21"),
            (Attributes::BLINK, "5"),
            (Attributes::INVERSE, "7"),
            (Attributes::HIDDEN, "8"),
            (Attributes::STRIKE, "9"),
        ] {
            if self.attributes.has(attribute) {
                text.push(';');
                text.push_str(number);
            }
        }
        for (ink, base) in [(self.inks.foreground, 30), (self.inks.background, 40)] {
            // Writing to a string cannot fail.
            let _ = match ink.kind() {
                InkKind::Default => Ok(()),
                InkKind::Indexed(index @ 0..=7) => write!(text, ";{}", base + u16::from(index)),
                InkKind::Indexed(index @ 8..=15) => write!(text, ";{}", base + 52 + u16::from(index)),
                InkKind::Indexed(index) => write!(text, ";{};5;{index}", base + 8),
                InkKind::Rgb(rgb) => {
                    let [_, r, g, b] = rgb.to_be_bytes();
                    write!(text, ";{};2;{r};{g};{b}", base + 8)
                }
            };
        }
        text
    }
}

fn palette(index: u16) -> Ink {
    Ink::indexed(channel(index))
}

fn channel(value: u16) -> u8 {
    u8::try_from(value).unwrap_or(u8::MAX)
}

fn rgb(r: u16, g: u16, b: u16) -> Ink {
    Ink::rgb(u32::from_be_bytes([0, channel(r), channel(g), channel(b)]))
}

/// The colour after 38 or 48 where semicolons separate, and how many parameters it took. A colour that is cut short
/// takes what there is.
fn extended(values: &[u16]) -> (Option<Ink>, usize) {
    match values {
        [5, index, ..] => (u8::try_from(*index).ok().map(Ink::indexed), 2),
        [2, r, g, b, ..] => (Some(rgb(*r, *g, *b)), 4),
        [2 | 5, ..] => (None, values.len()),
        // An unknown colour space has an unknown number of parameters; xterm takes just its number.
        [_, ..] => (None, 1),
        [] => (None, 0),
    }
}

/// The colour of `38:...` or `48:...` (ISO 8613-6), with or without a colour space before the channels.
fn extended_by_colons(group: &[u16]) -> Option<Ink> {
    match group {
        [_, 5, index, ..] => u8::try_from(*index).ok().map(Ink::indexed),
        [_, 2, r, g, b] | [_, 2, _, r, g, b, ..] => Some(rgb(*r, *g, *b)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pen(text: &str) -> Pen {
        let mut parameters = Parameters::default();
        for byte in text.bytes() {
            match byte {
                b'0'..=b'9' => parameters.digit(byte - b'0'),
                byte => parameters.next(byte == b':'),
            }
        }
        let mut pen = Pen::default();
        pen.apply(&parameters);
        pen
    }

    #[test]
    fn colours_of_all_notations() {
        let fg = |text| pen(text).inks.foreground;
        assert_eq!(fg("31"), Ink::indexed(1));
        assert_eq!(fg("97"), Ink::indexed(15));
        assert_eq!(fg("38;5;200"), Ink::indexed(200));
        assert_eq!(fg("38:5:200"), Ink::indexed(200));
        assert_eq!(fg("38;2;1;2;3"), Ink::rgb(0x01_0203));
        assert_eq!(fg("38:2:1:2:3"), Ink::rgb(0x01_0203));
        assert_eq!(fg("38:2::1:2:3"), Ink::rgb(0x01_0203));
        assert_eq!(fg("38;2;1;2"), Ink::DEFAULT);
        assert_eq!(fg("38;5;999"), Ink::DEFAULT);
        assert_eq!(fg("31;39"), Ink::DEFAULT);
        assert_eq!(pen("58;2;1;2;3;41").inks.background, Ink::indexed(1), "58 takes its own parameters");
        assert_eq!(pen("38;2;1;2;3;48;5;7;1").attributes, Attributes(Attributes::BOLD));
    }

    #[test]
    fn attributes_come_and_go() {
        assert_eq!(pen("1;2;3;4;5;7;8;9").attributes.0, 0x1ef);
        assert_eq!(pen("1;2;3;4;5;7;8;9;22;23;24;25;27;28;29").attributes.0, 0);
        assert_eq!(pen("4:2").attributes.0, Attributes::DOUBLE_UNDERLINE);
        assert_eq!(pen("4:3").attributes.0, Attributes::UNDERLINE);
        assert_eq!(pen("4;4:0").attributes.0, 0);
        assert_eq!(pen("1;31;0").attributes.0, 0);
        assert_eq!(pen("1;31;").inks.foreground, Ink::DEFAULT, "a missing parameter is 0");
    }

    #[test]
    fn a_pen_describes_itself() {
        for text in ["0", "0;1;4;31;102", "0;7;38;5;200;48;2;1;2;3"] {
            assert_eq!(pen(text).describe(), text);
        }
    }
}
