//! PNG files as TightPNG has them in place of compressed streams. A two-colour tile's bits are a PNG's bits already.

use super::gather::{Form, Gathered};
use crate::rfb::tile::Colour;

/// Appends a file of what was gathered, in its form. False, and nothing is appended, when that is not possible.
pub(super) fn put_png(gathered: &Gathered, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let done = encode(gathered, out).is_ok();
    if !done {
        out.truncate(start);
    }
    done
}

fn encode(gathered: &Gathered, out: &mut Vec<u8>) -> Result<(), png::EncodingError> {
    let side = |pixels: usize| u32::try_from(pixels).unwrap_or(0);
    let mut encoder = png::Encoder::new(out, side(gathered.width), side(gathered.rows));
    encoder.set_compression(png::Compression::Fast);
    let bytes = |colours: &[Colour]| -> Vec<u8> {
        colours.iter().flat_map(|colour| [colour.red(), colour.green(), colour.blue()]).collect()
    };
    let pixels;
    let data = if gathered.form == Form::Pixels {
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        pixels = bytes(&gathered.pixels);
        &pixels
    } else {
        let bits = gathered.form == Form::Bits;
        encoder.set_color(png::ColorType::Indexed);
        encoder.set_depth(if bits { png::BitDepth::One } else { png::BitDepth::Eight });
        encoder.set_palette(bytes(&gathered.palette));
        &gathered.data
    };
    let mut writer = encoder.write_header()?;
    writer.write_image_data(data)?;
    writer.finish()
}
