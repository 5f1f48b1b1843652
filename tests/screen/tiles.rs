//! Every tile of a text screen shows the same pixels, in the simplest form, whatever the rectangle.

use proptest::prelude::*;
use std::collections::BTreeSet;
use xenvnc::geometry::{Rect, Size};
use xenvnc::rfb::tile::{Colour, Tile, TileBuf, TileSource};
use xenvnc::screen::{Font, FontSize, Picture, TextOverlay, TextView};
use xenvnc::terminal::{Options, Terminal, View};

use super::writing::writing;

fn terminal(columns: u16, rows: u16, bytes: &str) -> Terminal {
    let mut terminal = Terminal::new(Options { columns, rows, ..Options::default() });
    terminal.feed(bytes.as_bytes());
    terminal
}

fn live(terminal: &Terminal) -> TextView<'_> {
    TextView {
        terminal,
        view: View::Live,
        font: Font::builtin(FontSize::default()),
        show_cursor: true,
        overlay: TextOverlay::default(),
    }
}

/// The pixels of `rect`, as a picture of its own.
fn crop(source: &dyn TileSource, rect: Rect) -> Picture {
    let mut picture = Picture::new(rect.size(), Colour(0xdead_beef));
    picture.paint(rect.size().rect(), &source.tile(rect, &mut TileBuf::default()));
    picture
}

/// Checks the promises of [`Tile`] that a wrong picture would not reveal.
fn check_form(rect: Rect, tile: &Tile<'_>, picture: &Picture) {
    let colours: BTreeSet<Colour> = picture.pixels.iter().copied().collect();
    let area = rect.area() as usize;
    match tile {
        Tile::Solid(_) => {}
        Tile::TwoColour { bits, .. } => {
            let row_bytes = usize::from(rect.width).div_ceil(8);
            assert_eq!(bits.len(), row_bytes * usize::from(rect.height));
            let padding = if rect.width.is_multiple_of(8) { 0 } else { 0xff >> (rect.width % 8) };
            assert!(bits.chunks(row_bytes).all(|row| row[row_bytes - 1] & padding == 0), "padding is not 0");
        }
        Tile::Indexed { palette, indices } => {
            assert_eq!(indices.len(), area);
            let used: BTreeSet<Colour> = palette.iter().copied().collect();
            assert_eq!(
                (used.len(), &used),
                (palette.len(), &colours),
                "a colour is unused or twice in the palette"
            );
            assert!(palette.len() > 2, "an index for each pixel where a bit is enough");
        }
        Tile::Pixels(pixels) => {
            assert_eq!(pixels.len(), area);
            assert!(colours.len() > 256);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn tiles_of_any_rect_agree_pixel_by_pixel(
        text in writing(60),
        rects in prop::collection::vec((0u16..220, 0u16..130, 1u16..220, 1u16..130), 6),
    ) {
        let terminal = terminal(25, 7, &text);
        let view = live(&terminal);
        prop_assert_eq!(view.size(), Size::new(200, 112));
        // Single pixels are the reference: there is nothing that they could misplace.
        let mut whole = Picture::new(Size::new(440, 260), Colour::BLACK);
        let mut buf = TileBuf::default();
        for y in 0..112 {
            for x in 0..200 {
                let pixel = Rect::new(x, y, 1, 1);
                whole.paint(pixel, &view.tile(pixel, &mut buf));
            }
        }
        for (x, y, width, height) in rects {
            let rect = Rect::new(x, y, width, height);
            let tile = view.tile(rect, &mut buf);
            let mut have = Picture::new(rect.size(), Colour(0xdead_beef));
            have.paint(rect.size().rect(), &tile);
            for row in 0..height {
                for column in 0..width {
                    let (have, want) = (have.pixel(column, row), whole.pixel(x + column, y + row));
                    prop_assert_eq!(have, want, "{:?} pixel {},{}", rect, column, row);
                }
            }
            check_form(rect, &tile, &have);
        }
    }
}

#[test]
fn plain_text_is_two_colours_and_its_bits_are_the_fonts_bytes() {
    let terminal = terminal(80, 25, "\x1b[?25lAB");
    let mut buf = TileBuf::default();
    let font = Font::builtin(FontSize::default());
    match live(&terminal).tile(Rect::new(0, 0, 640, 400), &mut buf) {
        Tile::TwoColour { bg, bits, .. } => {
            assert_eq!(bg, Colour::BLACK);
            for y in 0..16 {
                assert_eq!(bits[y * 80], font.glyph('A', false).bits[y]);
                assert_eq!(bits[y * 80 + 1], font.glyph('B', false).bits[y]);
                assert!(bits[y * 80 + 2..(y + 1) * 80].iter().all(|byte| *byte == 0));
            }
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn reverse_video_is_still_two_colours() {
    let terminal = terminal(10, 2, "\x1b[?25lab\x1b[7mcd\x1b[m ef\r\n\x1b[7m          ");
    let view = live(&terminal);
    let mut buf = TileBuf::default();
    assert!(matches!(view.tile(Rect::new(0, 0, 80, 32), &mut buf), Tile::TwoColour { .. }));
    assert!(matches!(view.tile(Rect::new(3, 3, 70, 20), &mut buf), Tile::TwoColour { .. }));
    assert!(matches!(view.tile(Rect::new(0, 16, 80, 16), &mut buf), Tile::Solid(_)));
}

#[test]
fn blank_places_are_solid_and_the_outside_is_black() {
    let terminal = terminal(10, 2, "\x1b[?25l\x1b[44m\x1b[2J");
    let view = live(&terminal);
    let mut buf = TileBuf::default();
    let Tile::Solid(blue) = view.tile(Rect::new(0, 0, 80, 32), &mut buf) else { panic!("not one colour") };
    assert_ne!(blue, Colour::BLACK);
    assert_eq!(view.tile(Rect::new(80, 0, 5, 5), &mut buf), Tile::Solid(Colour::BLACK));
    assert_eq!(view.tile(Rect::new(u16::MAX, u16::MAX, 7, 7), &mut buf), Tile::Solid(Colour::BLACK));
    let edge = crop(&view, Rect::new(78, 30, 4, 4));
    assert_eq!((edge.pixel(0, 0), edge.pixel(1, 1)), (blue, blue));
    assert_eq!((edge.pixel(2, 0), edge.pixel(0, 2)), (Colour::BLACK, Colour::BLACK));
}

#[test]
fn many_colours_become_indices_and_then_pixels() {
    let colourful = |count: u32| -> String {
        (0..count).map(|i| format!("\x1b[48;2;{};{};7m ", i % 200 + 1, i / 200 + 1)).collect()
    };
    let mut buf = TileBuf::default();
    let whole = Rect::new(0, 0, 40 * 8, 10 * 16);
    let terminal_of = |count| terminal(40, 10, &format!("\x1b[?25l{}", colourful(count)));
    assert!(
        matches!(live(&terminal_of(255)).tile(whole, &mut buf), Tile::Indexed { palette, .. } if palette.len() == 256)
    );
    assert!(matches!(live(&terminal_of(256)).tile(whole, &mut buf), Tile::Pixels(_)));
}

#[test]
fn hidden_text_does_not_hide_the_cursor() {
    let terminal = terminal(4, 1, "\x1b[8mab\x1b[1;1H");
    let colours: BTreeSet<Colour> =
        crop(&live(&terminal), Rect::new(0, 0, 16, 16)).pixels.into_iter().collect();
    assert!(colours.len() > 1);
}
