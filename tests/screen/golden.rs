//! Screens as pictures: every `tests/data/screens/NAME.txt` is written to a terminal, and what it shows must be
//! `NAME.png`, pixel by pixel.
//!
//! The first line of a case is `COLUMNS ROWS`; the others are written with CR LF between them, `\e` standing for ESC.
//! `XENVNC_BLESS=1 cargo test --test screen` writes the pictures instead; look at each before you commit it.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;
use xenvnc::screen::{Font, FontSize, Picture, TextOverlay, TextView, picture};
use xenvnc::terminal::{Options, Terminal, View};

fn render(case: &str) -> Picture {
    let (size, text) = case.split_once('\n').expect("a first line with the size");
    let (columns, rows) = size.split_once(' ').expect("columns and rows");
    let (columns, rows) = (columns.parse().expect("columns"), rows.parse().expect("rows"));
    let mut terminal = Terminal::new(Options { columns, rows, ..Options::default() });
    let text = text.strip_suffix('\n').unwrap_or(text);
    terminal.feed(text.replace('\n', "\r\n").replace("\\e", "\x1b").as_bytes());
    let font = Font::builtin(FontSize::default());
    picture(&TextView {
        terminal: &terminal,
        view: View::Live,
        font,
        show_cursor: true,
        overlay: TextOverlay::default(),
    })
}

fn save(path: &Path, picture: &Picture) {
    let file = File::create(path).expect("the picture can be written");
    let mut encoder = png::Encoder::new(file, picture.size.width.into(), picture.size.height.into());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::High);
    let mut writer = encoder.write_header().expect("a header");
    writer.write_image_data(&picture.rgb()).expect("pixels");
}

fn load(path: &Path) -> (u32, u32, Vec<u8>) {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut reader = png::Decoder::new(BufReader::new(file)).read_info().expect("a PNG");
    let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
    let info = reader.next_frame(&mut pixels).expect("pixels");
    assert_eq!((info.color_type, info.bit_depth), (png::ColorType::Rgb, png::BitDepth::Eight));
    (info.width, info.height, pixels)
}

#[test]
fn screens_look_as_they_were_seen() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/screens");
    let mut cases = 0;
    for entry in fs::read_dir(&directory).expect("the directory of cases") {
        let path = entry.expect("a case").path();
        if path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        cases += 1;
        let picture = render(&fs::read_to_string(&path).expect("a case in UTF-8"));
        let golden = path.with_extension("png");
        if std::env::var_os("XENVNC_BLESS").is_some() {
            save(&golden, &picture);
        }
        let (width, height, pixels) = load(&golden);
        assert_eq!(
            (width, height),
            (picture.size.width.into(), picture.size.height.into()),
            "{}",
            path.display()
        );
        let differing = picture.rgb().chunks(3).zip(pixels.chunks(3)).position(|(have, want)| have != want);
        if let Some(at) = differing {
            let seen = Path::new(env!("CARGO_TARGET_TMPDIR")).join(golden.file_name().expect("a name"));
            save(&seen, &picture);
            let width = width as usize;
            panic!("{} differs at {},{}; see {}", golden.display(), at % width, at / width, seen.display());
        }
    }
    assert!(cases >= 4, "only {cases} cases");
}
