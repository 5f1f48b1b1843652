//! Pictures of a text screen, and reading the text in them: what a person in front of a viewer would see.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;

use xenvnc::screen::{Font, FontSize};

/// A picture as some program gave it to us.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// Red, green and blue, row by row from the top.
    pub(crate) pixels: Vec<[u8; 3]>,
}

impl Picture {
    /// Reads a PNG file with 8 bits a channel.
    pub(crate) fn from_png(path: &Path) -> Option<Self> {
        let mut decoder = png::Decoder::new(BufReader::new(File::open(path).ok()?));
        decoder.set_transformations(png::Transformations::normalize_to_color8());
        let mut reader = decoder.read_info().ok()?;
        let mut bytes = vec![0; reader.output_buffer_size()?];
        let info = reader.next_frame(&mut bytes).ok()?;
        let pixels = match info.color_type {
            png::ColorType::Rgb => bytes.chunks_exact(3).map(|p| [p[0], p[1], p[2]]).collect(),
            png::ColorType::Rgba => bytes.chunks_exact(4).map(|p| [p[0], p[1], p[2]]).collect(),
            png::ColorType::Grayscale => bytes.iter().map(|p| [*p; 3]).collect(),
            _ => return None,
        };
        Some(Self { width: info.width as usize, height: info.height as usize, pixels })
    }

    /// Reads the frame buffer that `Xvfb -fbdir` keeps: an XWD file (`X11/XWDFile.h`) with 32 bits a pixel.
    pub(crate) fn from_xwd(path: &Path) -> Option<Self> {
        let bytes = fs::read(path).ok()?;
        let field = |index: usize| {
            let word = bytes.get(4 * index..4 * index + 4)?;
            Some(u32::from_be_bytes([word[0], word[1], word[2], word[3]]) as usize)
        };
        let (header, width, height) = (field(0)?, field(4)?, field(5)?);
        let (bits, stride, colours) = (field(11)?, field(12)?, field(19)?);
        // Each colour map entry has 12 bytes; the pixels follow.
        let start = header + 12 * colours;
        if bits != 32 {
            return None;
        }
        let mut pixels = Vec::with_capacity(width * height);
        for y in 0..height {
            let row = bytes.get(start + y * stride..)?.get(..4 * width)?;
            pixels.extend(row.chunks_exact(4).map(|p| [p[2], p[1], p[0]]));
        }
        Some(Self { width, height, pixels })
    }

    /// Whether the other picture is somewhere in it, to the pixel.
    pub(crate) fn holds(&self, other: &Self) -> bool {
        let (Some(right), Some(down)) =
            (self.width.checked_sub(other.width), self.height.checked_sub(other.height))
        else {
            return false;
        };
        let is_at = |left: usize, top: usize| {
            (0..other.height).all(|y| {
                let start = (top + y) * self.width + left;
                let row = &other.pixels[y * other.width..(y + 1) * other.width];
                self.pixels[start..start + other.width] == *row
            })
        };
        (0..=down).any(|top| (0..=right).any(|left| is_at(left, top)))
    }

    /// The lines of text on a screen whose first cell starts at the picture's corner. What is no ASCII character of our
    /// font is shown as `?`.
    pub(crate) fn text(&self) -> Vec<String> {
        self.text_from(0, 0)
    }

    /// Whether the picture shows this text in one line, wherever in the picture the screen is.
    pub(crate) fn shows(&self, text: &str) -> bool {
        let has = |lines: Vec<String>| lines.iter().any(|line| line.contains(text));
        let cell = Font::builtin(FontSize::Size8x16).cell();
        (0..usize::from(cell.height))
            .flat_map(|y| (0..usize::from(cell.width)).map(move |x| (x, y)))
            .any(|(x, y)| has(self.text_from(x, y)))
    }

    fn text_from(&self, left: usize, top: usize) -> Vec<String> {
        let font = Font::builtin(FontSize::Size8x16);
        let (width, height) = (usize::from(font.cell().width), usize::from(font.cell().height));
        let mut characters = HashMap::new();
        for bold in [true, false] {
            for c in ' '..='~' {
                let glyph = font.glyph(c, bold);
                // A row's leftmost pixel is the most significant of 32 bits.
                let rows: Vec<u32> = (0..height).map(|y| glyph.row(y) >> (32 - width)).collect();
                characters.insert(rows, c);
            }
        }
        let rows = (self.height.saturating_sub(top)) / height;
        let columns = (self.width.saturating_sub(left)) / width;
        (0..rows)
            .map(|row| {
                (0..columns)
                    .map(|column| {
                        let bits = self.cell(left + column * width, top + row * height, width, height);
                        characters.get(&bits).copied().unwrap_or('?')
                    })
                    .collect::<String>()
                    .trim_end()
                    .to_owned()
            })
            .collect()
    }

    /// The ink of one cell: every pixel that differs from the cell's first, which no ASCII character reaches.
    fn cell(&self, left: usize, top: usize, width: usize, height: usize) -> Vec<u32> {
        let at = |x: usize, y: usize| self.pixels[(top + y) * self.width + left + x];
        let ground = at(0, 0);
        (0..height).map(|y| (0..width).fold(0, |row, x| row << 1 | u32::from(at(x, y) != ground))).collect()
    }
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "picture of {}x{}:", self.width, self.height)?;
        self.text().iter().filter(|line| !line.is_empty()).try_for_each(|line| writeln!(f, "  |{line}"))
    }
}

/// Different pixels, and the box around them, for a message.
pub(crate) fn difference(one: &Picture, other: &Picture) -> Option<String> {
    if (one.width, one.height) != (other.width, other.height) {
        return Some(format!("{}x{} and {}x{}", one.width, one.height, other.width, other.height));
    }
    let differing: Vec<(usize, usize)> = one
        .pixels
        .iter()
        .zip(&other.pixels)
        .enumerate()
        .filter(|(_, (a, b))| a != b)
        .map(|(index, _)| (index % one.width, index / one.width))
        .collect();
    let (left, right) = (differing.iter().map(|p| p.0).min()?, differing.iter().map(|p| p.0).max()?);
    let (top, bottom) = (differing.iter().map(|p| p.1).min()?, differing.iter().map(|p| p.1).max()?);
    Some(format!("{} pixels in {left},{top} to {right},{bottom}", differing.len()))
}
