//! Pictures of viewers and of what they should show.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use xenvnc::rfb::encoding::canvas::Canvas;

use crate::picture::from_ppm;
use crate::text_picture::Picture;

/// A canvas as a picture.
pub(crate) fn picture_of(canvas: &Canvas) -> Picture {
    let pixels = canvas.pixels().iter().map(|colour| [colour.red(), colour.green(), colour.blue()]).collect();
    let size = canvas.size();
    Picture { width: usize::from(size.width), height: usize::from(size.height), pixels }
}

/// A file in PNG, PPM or JPEG.
pub(crate) fn read_picture(path: &Path) -> Option<Picture> {
    let bytes = fs::read(path).ok()?;
    if bytes.starts_with(b"P6") {
        return from_ppm(&bytes).as_ref().map(picture_of);
    }
    if bytes.starts_with(&[0xff, 0xd8]) {
        let mut decoder = zune_jpeg::JpegDecoder::new(std::io::Cursor::new(&bytes));
        let pixels = decoder.decode().ok()?;
        let (width, height) = decoder.dimensions()?;
        return Some(Picture { width, height, pixels: pixels.as_chunks::<3>().0.to_vec() });
    }
    Picture::from_png(path)
}

/// The picture in a dump by `xwd` (`X11/XWDFile.h`) with true colours in any little-endian format of 16, 24 or 32 bits.
pub(crate) fn from_dump(dump: &[u8]) -> Picture {
    let number = |at: usize| u32::from_be_bytes(dump[4 * at..][..4].try_into().expect("four bytes"));
    let size = |at: usize| usize::try_from(number(at)).expect("small");
    let (width, height, bytes, stride) = (size(4), size(5), size(11) / 8, size(12));
    assert_eq!(number(7), 0, "byte order");
    let masks = [number(14), number(15), number(16)];
    let mut pixels = Vec::with_capacity(width * height);
    for row in dump[size(0) + 12 * size(19)..].chunks_exact(stride).take(height) {
        pixels.extend(row.chunks_exact(bytes).take(width).map(|pixel| {
            let value = pixel.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte));
            masks.map(|mask| {
                let max = mask >> mask.trailing_zeros();
                u8::try_from(((value & mask) >> mask.trailing_zeros()) * 255 / max.max(1))
                    .expect("at most 255")
            })
        }));
    }
    Picture { width, height, pixels }
}

/// How far what is shown may be from what should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fidelity {
    Exact,
    /// A pixel's channel may be off by a step of a format with 8 bits a pixel, which is the coarsest.
    Steps,
    /// The mean of a block of 16 by 16 pixels may be off by a few levels, as after JPEG.
    Blocks,
}

/// The greatest difference of a block's mean.
const LEVELS: u64 = 8;
const BLOCK: usize = 16;
/// So many pixels are looked at first, of which a quarter may be wrong.
const SAMPLES: usize = 64;

impl Fidelity {
    /// How far a single pixel may be off when its place is looked for.
    fn pixel(self) -> [u8; 3] {
        match self {
            Self::Exact => [0; 3],
            Self::Steps => [37, 37, 86],
            Self::Blocks => [40; 3],
        }
    }
}

/// Where in what a viewer shows a picture was found, and the sizes of both.
pub(crate) type Place = ([usize; 4], (usize, usize));

/// Whether the picture, in its place in what a viewer shows, is as it should be. The place is looked for once for pictures of
/// a size: a window does not move.
pub(crate) fn shows(
    shown: &Picture,
    wanted: &Picture,
    fidelity: Fidelity,
    place: &mut Option<Place>,
) -> Result<(), String> {
    let sizes = [shown.width, shown.height, wanted.width, wanted.height];
    let what = if fidelity == Fidelity::Blocks { "blocks of 16x16 pixels" } else { "pixels" };
    let wrong_at = |left, top| match fidelity {
        Fidelity::Blocks => wrong_blocks(shown, wanted, left, top),
        _ => wrong_pixels(shown, wanted, left, top, fidelity.pixel()),
    };
    if let Some((_, (left, top))) = place.filter(|(found, _)| *found == sizes) {
        let wrong = wrong_at(left, top);
        return if wrong == 0 { Ok(()) } else { Err(format!("{wrong} {what} are wrong")) };
    }
    let (Some(right), Some(down)) =
        (shown.width.checked_sub(wanted.width), shown.height.checked_sub(wanted.height))
    else {
        return Err(format!(
            "it shows {}x{} pixels instead of {}x{}",
            shown.width, shown.height, wanted.width, wanted.height
        ));
    };
    let samples = samples(wanted);
    let mut best = None;
    for top in 0..=down {
        for left in 0..=right {
            // Only where some pixels are right is it worth while to look at all.
            if (right, down) != (0, 0) && !agrees(shown, &samples, left, top, fidelity) {
                continue;
            }
            let wrong = wrong_at(left, top);
            if wrong == 0 {
                *place = Some((sizes, (left, top)));
                return Ok(());
            }
            best = Some(best.map_or(wrong, |best: usize| best.min(wrong)));
        }
    }
    Err(best.map_or("the picture is not to be found".to_owned(), |best| format!("{best} {what} are wrong")))
}

type Sample = (usize, usize, [u8; 3]);

/// Some pixels from all over the picture, and none of its commonest colour, which may be all around it as well.
fn samples(picture: &Picture) -> Vec<Sample> {
    let mut counts = HashMap::new();
    picture.pixels.iter().for_each(|pixel| *counts.entry(*pixel).or_insert(0) += 1);
    let common = counts.into_iter().max_by_key(|(_, count)| *count).map(|(colour, _)| colour);
    let all = 0..picture.pixels.len();
    let mut places: Vec<usize> = all.clone().filter(|at| Some(picture.pixels[*at]) != common).collect();
    if places.len() < SAMPLES {
        places = all.collect();
    }
    (0..SAMPLES)
        .map(|n| places[n * 104_729 % places.len()])
        .map(|at| (at % picture.width, at / picture.width, picture.pixels[at]))
        .collect()
}

fn agrees(shown: &Picture, samples: &[Sample], left: usize, top: usize, fidelity: Fidelity) -> bool {
    let mut wrong = 0;
    samples.iter().all(|(x, y, pixel)| {
        let have = shown.pixels[(top + y) * shown.width + left + x];
        let off = fidelity.pixel();
        wrong += usize::from((0..3).any(|channel| have[channel].abs_diff(pixel[channel]) > off[channel]));
        wrong <= SAMPLES / 4
    })
}

fn wrong_pixels(shown: &Picture, wanted: &Picture, left: usize, top: usize, off: [u8; 3]) -> usize {
    let mut wrong = 0;
    for y in 0..wanted.height {
        let have = &shown.pixels[(top + y) * shown.width + left..][..wanted.width];
        let want = &wanted.pixels[y * wanted.width..][..wanted.width];
        if have != want {
            let pairs = have.iter().zip(want);
            let is_off = |(have, want): &(&[u8; 3], &[u8; 3])| {
                (0..3).any(|channel| have[channel].abs_diff(want[channel]) > off[channel])
            };
            wrong += pairs.filter(is_off).count();
        }
    }
    wrong
}

fn mean(picture: &Picture, left: usize, top: usize, channel: usize) -> u64 {
    let rows = picture.pixels[top * picture.width..].chunks(picture.width).take(BLOCK);
    let sum: u64 = rows.flat_map(|row| &row[left..left + BLOCK]).map(|pixel| u64::from(pixel[channel])).sum();
    sum / (BLOCK * BLOCK) as u64
}

fn wrong_blocks(shown: &Picture, wanted: &Picture, left: usize, top: usize) -> usize {
    let mut wrong = 0;
    for y in (0..wanted.height - BLOCK + 1).step_by(BLOCK) {
        for x in (0..wanted.width - BLOCK + 1).step_by(BLOCK) {
            let is_off = |channel| {
                mean(shown, left + x, top + y, channel).abs_diff(mean(wanted, x, y, channel)) > LEVELS
            };
            wrong += usize::from((0..3).any(is_off));
        }
    }
    wrong
}

/// Whether this is the colour of the pointer that viewers must show; some forms of it are not exact.
pub(crate) fn is_red([red, green, blue]: [u8; 3]) -> bool {
    red > 247 && green < 8 && blue < 8
}

#[test]
fn pictures_are_compared() {
    let picture = |width: usize, height: usize, colour: &dyn Fn(usize, usize) -> [u8; 3]| Picture {
        width,
        height,
        pixels: (0..height)
            .flat_map(|y| (0..width).map(move |x| (x, y)))
            .map(|(x, y)| colour(x, y))
            .collect(),
    };
    let noise = |x: usize, y: usize| {
        [(x * 37 + y * 91) % 256, (x * y) % 251, (x + 5 * y) % 253]
            .map(|n| u8::try_from(n).expect("below 256"))
    };
    let wanted = picture(64, 48, &noise);
    let frame = picture(100, 90, &|x, y| {
        if (7..71).contains(&x) && (9..57).contains(&y) { noise(x - 7, y - 9) } else { [9, 9, 9] }
    });
    assert_eq!(shows(&frame, &wanted, Fidelity::Exact, &mut None), Ok(()));
    let mut off = frame.clone();
    off.pixels[30 * 100 + 30][1] ^= 1;
    assert!(shows(&off, &wanted, Fidelity::Exact, &mut None).is_err());
    assert_eq!(shows(&off, &wanted, Fidelity::Steps, &mut None), Ok(()));
    let mut block = wanted.clone();
    (0..16).for_each(|x| block.pixels[x] = [255; 3]);
    assert!(shows(&block, &wanted, Fidelity::Steps, &mut None).is_err());
    (0..16 * 64).for_each(|x| block.pixels[x] = [255; 3]);
    assert!(shows(&block, &wanted, Fidelity::Blocks, &mut None).is_err());
    assert!(shows(&wanted, &frame, Fidelity::Exact, &mut None).is_err());
}
