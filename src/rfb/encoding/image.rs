//! Whole image files inside of Tight rectangles: JPEG, and PNG for TightPNG.

use super::DecodeError;
use super::canvas::Canvas;
use crate::geometry::Rect;
use crate::rfb::tile::Colour;

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// The memory that a PNG decoder may take beside the picture itself: its window, and rows of the widest rectangle.
const PNG_BYTES: usize = 4 << 20;

/// Paints `rect` with a JPEG of its size.
pub(super) fn paint_jpeg(file: &[u8], rect: Rect, canvas: &mut Canvas) -> Result<(), DecodeError> {
    let bad =
        |reason: &dyn std::fmt::Display| DecodeError::Image { kind: "jpeg", reason: reason.to_string() };
    let (width, height) = (usize::from(rect.width), usize::from(rect.height));
    // How large it may be is checked below, by a better name.
    let most = usize::from(u16::MAX);
    let options = DecoderOptions::new_safe()
        .set_max_width(most)
        .set_max_height(most)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(file), options);
    decoder.decode_headers().map_err(|error| bad(&error))?;
    check_size(decoder.dimensions().unwrap_or_default(), rect)?;
    let pixels = decoder.decode().map_err(|error| bad(&error))?;
    if pixels.len() != width * height * 3 {
        return Err(bad(&"not in red, green and blue"));
    }
    put(rect, &pixels, &|[red, green, blue]: [u8; 3]| Colour::rgb(red, green, blue), canvas);
    Ok(())
}

/// Paints `rect` with a PNG of its size. Its opacities are left out.
pub(super) fn paint_png(file: &[u8], rect: Rect, canvas: &mut Canvas) -> Result<(), DecodeError> {
    let bad = |reason: &dyn std::fmt::Display| DecodeError::Image { kind: "png", reason: reason.to_string() };
    let mut decoder =
        png::Decoder::new_with_limits(std::io::Cursor::new(file), png::Limits { bytes: PNG_BYTES });
    decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::STRIP_16);
    let mut image = decoder.read_info().map_err(|error| bad(&error))?;
    let size =
        [image.info().width, image.info().height].map(|side| usize::try_from(side).unwrap_or(usize::MAX));
    check_size((size[0], size[1]), rect)?;
    let (kind, _) = image.output_color_type();
    let mut pixels = vec![0; image.output_buffer_size().ok_or_else(|| bad(&"too large"))?];
    image.next_frame(&mut pixels).map_err(|error| bad(&error))?;
    match kind {
        png::ColorType::Rgb => put(rect, &pixels, &|[r, g, b]: [u8; 3]| Colour::rgb(r, g, b), canvas),
        png::ColorType::Rgba => put(rect, &pixels, &|[r, g, b, _]: [u8; 4]| Colour::rgb(r, g, b), canvas),
        png::ColorType::Grayscale => {
            put(rect, &pixels, &|[level]: [u8; 1]| Colour::rgb(level, level, level), canvas)
        }
        png::ColorType::GrayscaleAlpha => {
            put(rect, &pixels, &|[level, _]: [u8; 2]| Colour::rgb(level, level, level), canvas);
        }
        png::ColorType::Indexed => return Err(bad(&"a palette that was not expanded")),
    }
    Ok(())
}

/// A picture that is not as large as its rectangle is refused before it takes memory.
fn check_size((width, height): (usize, usize), rect: Rect) -> Result<(), DecodeError> {
    if (width, height) == (usize::from(rect.width), usize::from(rect.height)) {
        Ok(())
    } else {
        Err(DecodeError::ImageSize { width, height, rect })
    }
}

fn put<const N: usize>(rect: Rect, pixels: &[u8], colour: &dyn Fn([u8; N]) -> Colour, canvas: &mut Canvas) {
    let width = usize::from(rect.width);
    for (y, row) in (rect.y..rect.y.saturating_add(rect.height)).zip(pixels.chunks_exact((width * N).max(1)))
    {
        for (to, from) in canvas.row_mut(rect.x, y, width).iter_mut().zip(row.as_chunks::<N>().0) {
            *to = colour(*from);
        }
    }
}
