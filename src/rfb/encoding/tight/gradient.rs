//! Tight's gradient filter: each channel travels as the difference to what the neighbours at the left, above, and above
//! at the left predict. Only decoded here: it is for photographs, for which JPEG is the better form.

use crate::rfb::encoding::pixels::Pixels;
use crate::rfb::pixel_format::{Channel, ColourModel, Translator};
use crate::rfb::tile::Colour;

/// A pixel's red, green and blue as its format has them.
pub(super) type Levels = [u16; 3];

/// The channels of a format that may be filtered: true colour of 16 or 32 bits.
pub(super) fn channels(translator: &Translator) -> Option<[Channel; 3]> {
    match translator.format().model() {
        ColourModel::TrueColour { red, green, blue } if translator.bytes() > 1 => Some([red, green, blue]),
        _ => None,
    }
}

/// Paints a row. `above` has the row above, nothing above the first, and gets this one.
pub(super) fn paint<const N: usize>(
    bytes: &[u8],
    pixels: Pixels<'_, N>,
    above: &mut Vec<Levels>,
    row: &mut [Colour],
) {
    let translator = pixels.translator();
    let Some(channels) = channels(translator) else { return };
    above.resize(row.len(), [0; 3]);
    let (mut left, mut above_left) = ([0; 3], [0; 3]);
    for ((to, from), above) in row.iter_mut().zip(bytes.as_chunks::<N>().0).zip(above) {
        let difference = translator.value(Pixels::<N>::number(*from));
        let (mut levels, mut value) = ([0; 3], 0);
        for (at, channel) in channels.iter().enumerate() {
            let (shift, max) = (channel.shift & 31, i32::from(channel.max));
            let predicted = i32::from(left[at]) + i32::from(above[at]) - i32::from(above_left[at]);
            let predicted = u32::try_from(predicted.clamp(0, max)).unwrap_or(0);
            let level = predicted.wrapping_add(difference >> shift) & u32::from(channel.max);
            levels[at] = u16::try_from(level).unwrap_or(0);
            value |= level << shift;
        }
        *to = translator.colour_of(value);
        (left, above_left) = (levels, *above);
        *above = levels;
    }
}
