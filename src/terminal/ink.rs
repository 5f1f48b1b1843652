//! A colour as the guest names it, before the palette says what it is.

/// The default colour, one of the palette, or a true colour; packed so that a pair fits into eight bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub(super) struct Ink(u32);

/// An [`Ink`] taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InkKind {
    Default,
    /// A colour of the palette of 256.
    Indexed(u8),
    /// `0x00RRGGBB`.
    Rgb(u32),
}

const INDEXED: u32 = 1 << 24;
const RGB: u32 = 2 << 24;

impl Ink {
    pub(super) const DEFAULT: Self = Self(0);

    pub(super) const fn indexed(index: u8) -> Self {
        Self(INDEXED | index as u32)
    }

    /// A true colour, `0x00RRGGBB`.
    pub(super) const fn rgb(rgb: u32) -> Self {
        Self(RGB | (rgb & 0x00ff_ffff))
    }

    pub(super) const fn kind(self) -> InkKind {
        #[expect(clippy::cast_possible_truncation, reason = "the low byte is meant")]
        match self.0 & !0x00ff_ffff {
            RGB => InkKind::Rgb(self.0 & 0x00ff_ffff),
            INDEXED => InkKind::Indexed(self.0 as u8),
            _ => InkKind::Default,
        }
    }

    /// Nine bits that say what it is, unless it is a true colour: 0 is the default, 1 + n is colour n.
    pub(super) const fn palette_code(self) -> Option<u32> {
        match self.kind() {
            InkKind::Default => Some(0),
            InkKind::Indexed(index) => Some(index as u32 + 1),
            InkKind::Rgb(_) => None,
        }
    }

    /// The ink of [`Ink::palette_code`].
    pub(super) const fn from_palette_code(code: u32) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "codes go up to 256")]
        match code {
            0 => Self::DEFAULT,
            code => Self::indexed((code - 1) as u8),
        }
    }

    /// The closest ink that is not a true colour: one of the colour cube's, or itself.
    pub(super) const fn to_palette(self) -> Self {
        match self.kind() {
            InkKind::Rgb(rgb) => {
                let [_, r, g, b] = rgb.to_be_bytes();
                Self::indexed(16 + 36 * cube_step(r) + 6 * cube_step(g) + cube_step(b))
            }
            _ => self,
        }
    }

    pub(super) const fn to_bytes(self) -> [u8; 4] {
        self.0.to_le_bytes()
    }

    pub(super) const fn from_bytes(bytes: [u8; 4]) -> Self {
        Self(u32::from_le_bytes(bytes))
    }
}

/// The step of the 6×6×6 cube, whose levels are 0, 95, 135, 175, 215 and 255, that is nearest to a channel.
const fn cube_step(channel: u8) -> u8 {
    match channel {
        0..=47 => 0,
        48..=114 => 1,
        _ => (channel - 35) / 40,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inks_come_back_from_their_codes() {
        for ink in [Ink::DEFAULT, Ink::indexed(0), Ink::indexed(255)] {
            assert_eq!(Ink::from_palette_code(ink.palette_code().unwrap()), ink);
            assert_eq!(Ink::from_bytes(ink.to_bytes()), ink);
            assert_eq!(ink.to_palette(), ink);
        }
        assert_eq!(Ink::rgb(0xff12_3456).kind(), InkKind::Rgb(0x0012_3456));
    }

    #[test]
    fn true_colours_have_a_nearest_cube_colour() {
        for (rgb, index) in [(0, 16), (0x00ff_ffff, 231), (0x005f_0000, 52), (0x0000_00d0, 20), (0x87, 18)] {
            assert_eq!(Ink::rgb(rgb).to_palette(), Ink::indexed(index), "{rgb:#x}");
        }
    }
}
