//! Screenshots as PNG files.

use crate::screen::Picture;

/// The picture as a PNG file: 8 bits a channel, no alpha.
pub(super) fn png(picture: &Picture) -> Result<Vec<u8>, png::EncodingError> {
    let mut file = Vec::new();
    let mut encoder =
        png::Encoder::new(&mut file, u32::from(picture.size.width), u32::from(picture.size.height));
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    let channels: Vec<u8> = picture.pixels.iter().flat_map(|c| [c.red(), c.green(), c.blue()]).collect();
    writer.write_image_data(&channels)?;
    writer.finish()?;
    Ok(file)
}
