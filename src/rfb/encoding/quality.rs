//! How sharp a viewer wants photographic contents (the community's RFB specification, "JPEG Quality Level
//! Pseudo-encoding", "JPEG Fine-Grained Quality Level Pseudo-encoding" and "JPEG Subsampling Level Pseudo-encoding"),
//! and JPEG files of that quality.

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use super::Encoding;

/// What the ten levels mean: JPEG's own quality in percent, and how many pixels share a colour.
const LEVELS: [(u8, u8); 10] =
    [(15, 4), (29, 4), (41, 4), (42, 2), (62, 2), (77, 2), (79, 1), (86, 1), (92, 1), (100, 1)];

/// The least quality that is used, in percent: 0 would not be a picture.
const LEAST_PERCENT: i32 = 1;

/// How pictures may lose something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quality {
    /// 1 to 100.
    percent: u8,
    /// How many pixels share a colour: 1, 2 or 4; 0 for no colours at all.
    sharing: u8,
}

impl Quality {
    /// What a viewer asks for. `None` when it names no level of quality, and so wants nothing to be lost.
    #[must_use]
    pub fn asked(wishes: &[Encoding]) -> Option<Self> {
        let find = |first: Encoding, last: Encoding| {
            let number = wishes.iter().find(|wish| (first..=last).contains(wish))?.0 - first.0;
            usize::try_from(number).ok()
        };
        let coarse = find(Encoding::QUALITY_LEVEL_0, Encoding::QUALITY_LEVEL_9);
        let fine = find(Encoding::FINE_QUALITY_LEVEL_0, Encoding::FINE_QUALITY_LEVEL_100);
        let sampling = find(Encoding::SUBSAMPLING_1X, Encoding::SUBSAMPLING_GREY);
        let (percent, sharing) = match (fine, coarse.and_then(|level| LEVELS.get(level))) {
            (Some(percent), level) => {
                let percent = i32::try_from(percent).unwrap_or(LEAST_PERCENT).max(LEAST_PERCENT);
                (u8::try_from(percent).unwrap_or(100), level.map_or(2, |level| level.1))
            }
            (None, Some(level)) => *level,
            (None, None) => return None,
        };
        // In the order of their numbers: 1X, 4X, 2X, grey.
        let sharing = sampling.and_then(|number| [1, 4, 2, 0].get(number).copied()).unwrap_or(sharing);
        Some(Self { percent, sharing })
    }

    /// Appends a JPEG file of `width` by `height` pixels, which are red, green and blue in `rgb`. False, and nothing is
    /// appended, when that is not possible.
    pub(super) fn put_jpeg(self, rgb: &[u8], width: u16, height: u16, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        let grey: Vec<u8>;
        let mut encoder = Encoder::new(&mut *out, self.percent);
        encoder.set_sampling_factor(match self.sharing {
            0 | 1 => SamplingFactor::F_1_1,
            2 => SamplingFactor::F_2_1,
            _ => SamplingFactor::F_2_2,
        });
        let (pixels, kind) = if self.sharing == 0 {
            // The weights of ITU-R BT.601, in 65536ths.
            let level = |[r, g, b]: [u8; 3]| {
                let sum = 19_595 * u32::from(r) + 38_470 * u32::from(g) + 7_471 * u32::from(b) + 32_768;
                u8::try_from(sum >> 16).unwrap_or(u8::MAX)
            };
            grey = rgb.as_chunks::<3>().0.iter().map(|pixel| level(*pixel)).collect();
            (&grey[..], ColorType::Luma)
        } else {
            (rgb, ColorType::Rgb)
        };
        let done = encoder.encode(pixels, width, height, kind).is_ok();
        if !done {
            out.truncate(start);
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_those_of_the_specification() {
        let asked = |numbers: &[i32]| {
            let wishes: Vec<_> = numbers.iter().map(|number| Encoding(*number)).collect();
            Quality::asked(&wishes).map(|quality| (quality.percent, quality.sharing))
        };
        assert_eq!(asked(&[7, -33, -22, -513, -411, -768]), None);
        assert_eq!(asked(&[7, -32]), Some((15, 4)));
        assert_eq!(asked(&[-23, 7]), Some((100, 1)));
        assert_eq!(asked(&[-26, -768 + 1]), Some((79, 4)));
        // The finer one counts, and says nothing of colours.
        assert_eq!(asked(&[-26, -512]), Some((1, 1)));
        assert_eq!(asked(&[-412]), Some((100, 2)));
        assert_eq!(asked(&[-462, -766]), Some((50, 2)));
        assert_eq!(asked(&[-462, -765]), Some((50, 0)));
    }
}
