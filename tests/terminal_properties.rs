//! What must hold for any bytes: splits do not matter, memory is bounded, and every reader that follows the changes
//! ends with the cells that are there.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use proptest::prelude::*;
use xenvnc::terminal::{Cell, Changes, Cluster, Options, Style, Terminal, View, Width};

/// Pieces of what terminals get, more telling than random bytes.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let number =
        prop_oneof![Just(String::new()), (0u16..30).prop_map(|n| n.to_string()), Just("65535".into())];
    let csi = (
        prop_oneof![6 => Just(""), 1 => Just("?"), 1 => Just(">")],
        prop::collection::vec(number, 0..4),
        prop_oneof![8 => Just(""), 1 => Just(" "), 1 => Just("!"), 1 => Just("$"), 1 => Just("\""), 1 => Just("'"), 1 => Just("*")],
        prop_oneof![
            prop::sample::select(b"ABCDEFGHIJKLMPSTXZ@`abcdefghlmnpqrstuxvz{}~".to_vec()),
            prop::sample::select(b"LMSTrJKPX@ss".to_vec()),
        ],
    )
        .prop_map(|(private, numbers, intermediate, last)| {
            format!("\x1b[{private}{}{intermediate}{}", numbers.join(";"), char::from(last)).into_bytes()
        });
    let modes = (
        prop::sample::select(vec![
            "4", "20", "?1", "?5", "?6", "?7", "?25", "?45", "?47", "?1047", "?1048", "?1049", "?2004",
            "?69", "?69", "?2027",
        ]),
        any::<bool>(),
    )
        .prop_map(|(mode, on)| format!("\x1b[{mode}{}", if on { 'h' } else { 'l' }).into_bytes());
    let colours = (any::<bool>(), any::<[u8; 3]>())
        .prop_map(|(bg, [r, g, b])| format!("\x1b[{}8;2;{r};{g};{b}m", if bg { 4 } else { 3 }).into_bytes());
    let fixed = prop::sample::select(
        [
            "\n",
            "\r",
            "\r\n",
            "\x08",
            "\t",
            "\x07",
            "\x0e",
            "\x0f",
            "\x1bM",
            "\x1b6",
            "\x1b9",
            "👩\u{200d}👧❤\u{fe0f}",
            "\x1b[?69h\x1b[3;7s",
            "\x1bD",
            "\x1bE",
            "\x1b7",
            "\x1b8",
            "\x1bH",
            "\x1bc",
            "\x1b#8",
            "\x1b(0",
            "\x1b(B",
            "\x1b)0",
            "\x1b%@",
            "\x1b%G",
            "\x1b]P1aabbcc",
            "\x1b]R",
            "\x1b]0;title\x07",
            "\x1b]4;1;#123456\x1b\\",
            "\x1b]104\x07",
            "\x1bP$qm\x1b\\",
            "\x1b[[A",
            "漢字",
            "e\u{301}",
            "🙂",
            "│┌─┐",
            "\u{9b}31m",
            "\x1b[3J",
            "\x1b[44m",
            "\x1b[m",
            "\x1b[38;5;200;1m",
        ]
        .map(str::as_bytes)
        .map(<[u8]>::to_vec)
        .to_vec(),
    );
    prop_oneof![
        4 => "[ -~]{0,30}".prop_map(String::into_bytes),
        3 => "[a-z]{1,5}\r\n".prop_map(String::into_bytes),
        // More than a screenful of plain lines, some of which are too long, from the bottom of the screen.
        1 => (prop::collection::vec("[a-z ]{0,22}", 5..30), any::<bool>()).prop_map(|(lines, plain)| {
            let start = if plain { "\x1b[m\x0f\x1b[r\x1b[?6;69l\x1b[?7h\x1b[4l\x1b[99H\r\n" } else { "" };
            (start.to_owned() + &lines.join("\r\n") + "\r\n").into_bytes()
        }),
        4 => csi,
        1 => modes,
        1 => colours,
        4 => fixed,
        1 => prop::collection::vec(any::<u8>(), 0..8),
    ]
}

fn pieces(most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(piece(), 0..most).prop_map(|pieces| pieces.concat())
}

fn small(columns: u16, rows: u16) -> Terminal {
    Terminal::new(Options { columns, rows, history_lines: 20, ..Options::default() })
}

/// What a reader sees of a cell.
#[derive(Debug, Clone, PartialEq)]
struct Seen(char, Vec<char>, Width, Style);

fn seen(terminal: &Terminal, cell: Cell) -> Seen {
    let Cluster { base, marks } = terminal.cluster(cell);
    Seen(base, marks.to_vec(), cell.width(), terminal.style(cell))
}

fn picture(terminal: &Terminal, view: View) -> Vec<Vec<Seen>> {
    let mut scratch = Vec::new();
    (0..terminal.rows())
        .map(|row| terminal.row(view, row, &mut scratch).iter().map(|cell| seen(terminal, *cell)).collect())
        .collect()
}

/// All that can be asked of a terminal.
fn everything(terminal: &mut Terminal) -> impl PartialEq + std::fmt::Debug {
    let mut events = Vec::new();
    while let Some(event) = terminal.poll_event() {
        events.push(event);
    }
    let lines = terminal.first_line()..terminal.live_line() + u64::from(terminal.rows());
    (
        picture(terminal, View::Live),
        picture(terminal, View::At(0)),
        terminal.text(lines),
        (terminal.cursor(), terminal.first_line(), terminal.live_line(), terminal.is_alternate()),
        events,
    )
}

/// One who keeps a copy of a view by applying changes to it.
struct Reader {
    view: View,
    generation: u64,
    copy: Vec<Vec<Seen>>,
}

impl Reader {
    fn new(terminal: &Terminal, view: View) -> Self {
        Self { view, generation: terminal.generation(), copy: picture(terminal, view) }
    }

    /// Follows the changes; returns how many cells it had to repaint.
    fn follow(&mut self, terminal: &Terminal) -> usize {
        let mut changes = Changes::default();
        terminal.changes(self.view, self.generation, &mut changes);
        if let Some(scroll) = changes.scroll {
            assert!(scroll.lines != 0 && scroll.lines.unsigned_abs() < scroll.bottom - scroll.top);
            assert!(scroll.bottom <= terminal.rows());
            let block = &mut self.copy[usize::from(scroll.top)..usize::from(scroll.bottom)];
            let by = usize::from(scroll.lines.unsigned_abs());
            // What comes around is stale on purpose: the changes must name it.
            if scroll.lines > 0 { block.rotate_left(by) } else { block.rotate_right(by) }
        }
        let mut scratch = Vec::new();
        let mut painted = 0;
        let mut last = None;
        for span in &changes.rows {
            assert!(last < Some(span.row), "rows ascend");
            assert!(!span.columns.is_empty() && span.columns.end <= terminal.columns());
            last = Some(span.row);
            let cells = terminal.row(self.view, span.row, &mut scratch);
            for column in span.columns.clone().map(usize::from) {
                self.copy[usize::from(span.row)][column] = seen(terminal, cells[column]);
                painted += 1;
            }
        }
        self.generation = changes.generation;
        assert_eq!(self.generation, terminal.generation());
        painted
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_split_gives_the_same_terminal(
        bytes in pieces(60),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let mut whole = small(20, 6);
        whole.feed(&bytes);
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let mut split = small(20, 6);
        for cut in cuts.windows(2) {
            split.feed(&bytes[cut[0]..cut[1]]);
        }
        let mut single = small(20, 6);
        for byte in &bytes {
            single.feed(&[*byte]);
        }
        let wanted = everything(&mut whole);
        prop_assert_eq!(&everything(&mut split), &wanted);
        prop_assert_eq!(&everything(&mut single), &wanted);
    }

    /// The vital one: readers at any generation, of any view, that apply the changes have the cells that are there.
    #[test]
    fn a_reader_that_follows_the_changes_sees_the_screen(
        start in pieces(40),
        steps in prop::collection::vec((pieces(8), 0u8..6), 1..25),
        back in 0u64..25,
    ) {
        let mut terminal = small(12, 5);
        terminal.feed(&start);
        let at = View::At(terminal.live_line().saturating_sub(back));
        let mut readers = vec![
            // At every step; when its turn comes; from the start to the end; the same scrolled back.
            Reader::new(&terminal, View::Live),
            Reader::new(&terminal, View::Live),
            Reader::new(&terminal, View::Live),
            Reader::new(&terminal, at),
            Reader::new(&terminal, at),
            Reader::new(&terminal, View::At(0)),
        ];
        for (bytes, turn) in &steps {
            let before = terminal.generation();
            let (was, cursor) = (picture(&terminal, View::Live), terminal.cursor());
            terminal.feed(bytes);
            if before == terminal.generation() {
                prop_assert_eq!(was, picture(&terminal, View::Live), "a change without a generation");
                prop_assert_eq!(cursor, terminal.cursor());
            }
            for at in [0, usize::from(*turn).min(5)] {
                readers[at].follow(&terminal);
                prop_assert_eq!(&readers[at].copy, &picture(&terminal, readers[at].view));
            }
            if *turn == 5 {
                let seen_by_all = readers.iter().map(|r| r.generation).min().unwrap_or(0);
                terminal.forget_changes_before(seen_by_all);
            }
            if *turn == 4 {
                // Somebody forgets too much; the late ones must not suffer.
                terminal.forget_changes_before(terminal.generation());
            }
        }
        for reader in &mut readers {
            reader.follow(&terminal);
            prop_assert_eq!(&reader.copy, &picture(&terminal, reader.view), "{:?}", reader.view);
            prop_assert_eq!(reader.follow(&terminal), 0);
        }
    }

    /// A reader that paints in the middle of a held frame, or follows all along, ends with what is there.
    #[test]
    fn held_frames_are_seen_whole(
        steps in prop::collection::vec((pieces(6), 0u8..4), 1..25),
        back in 0u64..25,
    ) {
        let mut terminal = small(12, 5);
        let at = View::At(back);
        let mut readers = vec![Reader::new(&terminal, View::Live), Reader::new(&terminal, at)];
        for (bytes, mode) in &steps {
            let (before, held) = (terminal.generation(), terminal.is_held());
            terminal.feed(match mode { 0 => b"\x1b[?2026h", 1 => b"\x1b[?2026l", _ => b"" });
            terminal.feed(bytes);
            if held && terminal.is_held() && *mode > 1 && !bytes.windows(4).any(|b| b == b"2026") {
                prop_assert_eq!(before, terminal.generation());
            }
            readers[0].follow(&terminal);
            readers.extend([Reader::new(&terminal, View::Live), Reader::new(&terminal, at)]);
        }
        terminal.release();
        for reader in &mut readers {
            reader.follow(&terminal);
            prop_assert_eq!(&reader.copy, &picture(&terminal, reader.view), "{:?}", reader.view);
        }
    }

    #[test]
    fn random_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..2000), columns in 0u16..40, rows in 0u16..10) {
        let mut terminal = small(columns, rows);
        terminal.feed(&bytes);
        for (columns, rows) in [(1, 1), (90, 30), (3, 2), (columns, rows)] {
            terminal.resize(columns, rows);
            terminal.feed(&bytes);
        }
        everything(&mut terminal);
        prop_assert!(terminal.memory_bytes() < 1 << 20);
    }

    #[test]
    fn no_line_is_lost_by_resizing(lines in 1usize..30, sizes in prop::collection::vec((10u16..40, 1u16..12), 1..6)) {
        let mut terminal = Terminal::new(Options { columns: 20, rows: 8, ..Options::default() });
        let mut wanted = String::new();
        for line in 0..lines {
            terminal.feed(format!("line {line}\r\n").as_bytes());
            wanted += &format!("line {line}\n");
        }
        for (columns, rows) in sizes {
            terminal.resize(columns, rows);
            let text = terminal.text(0..u64::MAX);
            prop_assert_eq!(text.trim_end_matches('\n'), wanted.trim_end_matches('\n'));
            let cursor = terminal.cursor().unwrap();
            let line = terminal.live_line() + u64::from(cursor.row) - terminal.first_line();
            prop_assert_eq!(line, lines as u64, "the cursor's line");
        }
    }
}

proptest! {
    /// Sizes come and go; nothing that was said is lost, and the size that was left shows the same when it comes back.
    #[test]
    fn resizing_there_and_back_loses_nothing(
        texts in prop::collection::vec("(\u{1b}\\[(38;2;1;2;|48;2;7;8;|38;5;)[1-9]m)?[a-z漢é ]{0,60}", 1..40),
        sizes in prop::collection::vec((2u16..50, 1u16..12), 1..6),
    ) {
        let (columns, rows) = (20, 6);
        let mut terminal =
            Terminal::new(Options { columns, rows, history_lines: 1000, ..Options::default() });
        let mut wanted = String::new();
        for text in &texts {
            // What ends in the last column would leave an empty row to tell it from the next text.
            let text = format!("{text}.");
            terminal.feed(format!("{text}\x1b[m\r\n").as_bytes());
            let (_, shown) = text.split_once('m').filter(|_| text.starts_with('\u{1b}')).unwrap_or(("", &text));
            wanted += shown;
            wanted.push('\n');
        }
        terminal.feed(b"end");
        wanted += "end";
        let full = terminal.live_line() > 0;
        // Of a blank only the background is seen.
        let painted = |terminal: &Terminal| {
            let mut rows = picture(terminal, View::Live);
            for cell in rows.iter_mut().flatten().filter(|cell| cell.0 == ' ') {
                cell.3 = Style { background: cell.3.background, ..Style::default() };
            }
            (rows, terminal.cursor())
        };
        let before = painted(&terminal);
        let lines = terminal.live_line() - terminal.first_line();
        for (columns, rows) in sizes {
            terminal.resize(columns, rows);
            let text = terminal.text(0..u64::MAX);
            prop_assert_eq!(text.trim_end_matches('\n'), &wanted, "{}x{}", columns, rows);
            let cursor = terminal.cursor().unwrap();
            let line = terminal.live_line() + u64::from(cursor.row);
            // Two columns wrap even the last text.
            if columns > 3 {
                prop_assert_eq!(terminal.line_text(line).unwrap(), "end");
                prop_assert_eq!(cursor.column, 3);
            }
        }
        terminal.resize(columns, rows);
        if full {
            let after = painted(&terminal);
            prop_assert_eq!(after.1, before.1);
            for (row, (have, wanted)) in after.0.iter().zip(&before.0).enumerate() {
                for (column, (have, wanted)) in have.iter().zip(wanted).enumerate() {
                    prop_assert_eq!(have, wanted, "column {}, row {}", column, row);
                }
            }
            prop_assert_eq!(terminal.live_line() - terminal.first_line(), lines);
        }
    }
}

/// 80 columns, 25 rows, 10,000 lines: what one guest can make us keep at the most.
const WORST_BYTES: usize = 3 << 20;

fn hostile(name: &str, chunk: &[u8], times: usize) {
    let mut terminal = Terminal::default();
    for _ in 0..times {
        terminal.feed(chunk);
        let kept = terminal.memory_bytes();
        assert!(kept <= WORST_BYTES, "{name}: {kept} bytes");
    }
    terminal.feed(b"\x07\x1b\\\x18\x1bcalive");
    let mut scratch = Vec::new();
    let cells = terminal.row(View::Live, 0, &mut scratch);
    assert_eq!(terminal.cluster(cells[0]).base, 'a', "{name}");
}

#[test]
fn hostile_streams_are_bounded() {
    hostile("endless OSC", &[b"\x1b]0;".to_vec(), vec![b'x'; 1 << 20]].concat(), 8);
    hostile("endless DCS", &[b"\x1bP$q".to_vec(), vec![b'x'; 1 << 20]].concat(), 8);
    hostile("combining marks", "\u{301}".repeat(100_000).as_bytes(), 2);
    hostile("CSI 65535 b", &b"x\x1b[65535b".repeat(4), 8);
    hostile(
        "huge counts",
        b"\x1b[99999999L\x1b[99999999M\x1b[99999999S\x1b[99999999T\x1b[99999999P\x1b[99999999@",
        99,
    );
    hostile("questions", &b"\x1b[c\x1b[6n\x1b[18t\x1b]4;1;?\x07\x1bP$qm\x1b\\".repeat(1000), 8);
    hostile("parameters", &[b"\x1b[".to_vec(), b"1;".repeat(100_000), b"m".to_vec()].concat(), 2);
    hostile("bells and titles", &b"\x07\x1b]0;t\x07".repeat(1000), 8);
}

#[test]
fn distinct_colours_and_clusters_are_bounded_and_still_shown() {
    let mut terminal = Terminal::default();
    let mut bytes = Vec::new();
    for n in 0..400_000u32 {
        let [_, r, g, b] = (n * 41).to_be_bytes();
        bytes.extend(format!("\x1b[38;2;{r};{g};{b};48;2;{b};{r};{g}mx").bytes());
        bytes.extend(char::from_u32(0x300 + n % 100).unwrap().to_string().bytes());
        bytes.extend(char::from_u32(0x300 + n / 100 % 100).unwrap().to_string().bytes());
        if bytes.len() > 1 << 16 {
            terminal.feed(&bytes);
            bytes.clear();
        }
    }
    terminal.feed(&bytes);
    let kept = terminal.memory_bytes();
    assert!(kept <= WORST_BYTES, "{kept} bytes");
    // A new screen has all its colours and marks again.
    terminal.feed("\x1bc\x1b[3J\x1b[38;2;1;2;3mé e\u{301}".as_bytes());
    let mut scratch = Vec::new();
    let cells = terminal.row(View::Live, 0, &mut scratch);
    assert_eq!(terminal.style(cells[0]).foreground.0, 0x0001_0203);
    assert_eq!(terminal.cluster(cells[2]).marks, ['\u{301}']);
}

#[test]
fn a_reader_that_is_many_feeds_late_sees_the_screen() {
    let mut terminal = small(12, 5);
    let mut readers: Vec<_> = Vec::new();
    for feed in 0..100 {
        readers.push(Reader::new(&terminal, View::Live));
        // The upper rows move now and then, the lower ones all the time.
        let upper = if feed % 30 == 0 && feed < 70 { "\x1b[1;3r\x1b[3;1H\nupper" } else { "" };
        terminal.feed(format!("{upper}\x1b[4;5r\x1b[5;1H\r\n{feed}").as_bytes());
    }
    for mut reader in readers {
        reader.follow(&terminal);
        assert_eq!(reader.copy, picture(&terminal, View::Live));
    }
}

#[test]
fn a_scrolled_back_reader_follows_what_history_forgets() {
    let mut terminal =
        Terminal::new(Options { columns: 12, rows: 5, history_lines: 600, ..Options::default() });
    let mut readers: Vec<_> = Vec::new();
    for line in 0..2000u64 {
        if line % 50 == 0 {
            let oldest = terminal.first_line();
            readers.push(Reader::new(&terminal, View::At(oldest)));
            readers.push(Reader::new(&terminal, View::At(oldest + 300)));
        }
        terminal.feed(format!("line {line}\r\n").as_bytes());
        if line % 70 == 0 {
            for reader in &mut readers {
                let still = matches!(reader.view, View::At(line) if line >= terminal.first_line()
                    && line + 300 < terminal.live_line() && terminal.generation() - reader.generation < 100);
                let painted = reader.follow(&terminal);
                assert_eq!(reader.copy, picture(&terminal, reader.view), "{:?}", reader.view);
                assert!(!still || painted == 0, "history that is kept does not change");
            }
        }
    }
}
