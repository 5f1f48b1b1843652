//! What sequences do, by the manuals: each case is bytes and the screen that they make.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use xenvnc::keysym::Keysym;
use xenvnc::terminal::{CursorShape, Event, Modifiers, Options, Rgb, Terminal, View, Width};

/// The rows of the screen, trailing blanks cut, joined by `/`, trailing blank rows cut; the cursor after an `@` as
/// column and row.
fn show(terminal: &Terminal) -> String {
    let mut scratch = Vec::new();
    let rows: Vec<String> = (0..terminal.rows())
        .map(|row| {
            let cells = terminal.row(View::Live, row, &mut scratch);
            let text: String = cells
                .iter()
                .filter(|cell| cell.width() != Width::Tail)
                .flat_map(|cell| {
                    let cluster = terminal.cluster(*cell);
                    std::iter::once(cluster.base).chain(cluster.marks.iter().copied())
                })
                .collect();
            text.trim_end().to_owned()
        })
        .collect();
    let cursor = terminal.cursor().map_or("-".into(), |c| format!("{},{}", c.column, c.row));
    format!("{}@{cursor}", rows.join("/").trim_end_matches('/'))
}

fn small() -> Terminal {
    Terminal::new(Options { columns: 8, rows: 4, history_lines: 10, ..Options::default() })
}

#[track_caller]
fn check(cases: &[(&str, &str)]) {
    for (bytes, wanted) in cases {
        let mut terminal = small();
        terminal.feed(bytes.as_bytes());
        assert_eq!(show(&terminal), *wanted, "{}", bytes.escape_debug());
    }
}

fn replies(bytes: &str) -> String {
    let mut terminal = small();
    terminal.feed(bytes.as_bytes());
    let mut all = String::new();
    while let Some(event) = terminal.poll_event() {
        if let Event::Reply(bytes) = event {
            all += std::str::from_utf8(&bytes).unwrap();
        }
    }
    all
}

/// DEC STD 070 and xterm: the last column sets a flag; only the next character wraps.
#[test]
fn the_last_column_waits() {
    check(&[
        ("12345678", "12345678@7,0"),
        ("123456789", "12345678/9@1,1"),
        ("12345678\r\n9", "12345678/9@1,1"),
        ("12345678\r9", "92345678@1,0"),
        ("12345678\x089", "12345698@7,0"),
        ("12345678\n9", "12345678/       9@7,1"),
        ("12345678\x1b[K9", "12345679@7,0"),
        ("12345678\x1b[D9", "12345698@7,0"),
        ("12345678\x1b[C9", "12345679@7,0"),
        ("12345678\x1b[A9", "12345679@7,0"),
        ("12345678\t9", "12345678/9@1,1"),
        ("12345678\x1b[1m9", "12345678/9@1,1"),
        // DECSC saves the flag, DECRC brings it back.
        ("12345678\x1b7\x1b[H\x1b89", "12345678/9@1,1"),
        ("\x1b[?7l1234567890", "12345670@7,0"),
        ("12345678\x1b[?7l9", "12345679@7,0"),
        // A wide character that does not fit wraps before it is printed; without wrapping it stays at the edge.
        ("1234567漢", "1234567/漢@2,1"),
        ("123456漢", "123456漢@7,0"),
        ("123456漢9", "123456漢/9@1,1"),
        ("\x1b[?7l1234567漢", "123456漢@7,0"),
        // At the bottom wrapping scrolls.
        ("\x1b[4;1Ha2345678b", "//a2345678/b@1,3"),
        ("e\u{301}", "e\u{301}@1,0"),
        ("1234567e\u{301}9", "1234567e\u{301}/9@1,1"),
        ("漢\u{301}x", "漢\u{301}x@3,0"),
        ("\u{301}x", "x@1,0"),
    ]);
}

#[test]
fn the_cursor_moves_and_stays_on_the_screen() {
    check(&[
        ("\x1b[3;4Hx", "//   x@4,2"),
        ("\x1b[99;99Hx", "///       x@7,3"),
        ("\x1b[;3Hx", "  x@3,0"),
        ("\x1b[0;0Hx", "x@1,0"),
        ("\x1b[2;2H\x1b[99A\x1b[99Dx", "x@1,0"),
        ("\x1b[2;2H\x1b[99B\x1b[99Cx", "///       x@7,3"),
        ("\x1b[2;2H\x1b[Ex", "//x@1,2"),
        ("\x1b[2;2H\x1b[Fx", "x@1,0"),
        ("\x1b[2;2H\x1b[5Gx\x1b[3dy", "/    x/     y@6,2"),
        ("ab\x1b[3ax\x1b[2ey", "ab   x//      y@7,2"),
        ("a\x08\x08\x08b", "b@1,0"),
        ("\x1b7\x1b[3;3Hx\x1b8y", "y//  x@1,0"),
        ("\x1b[s\x1b[3;3Hx\x1b[uy", "y//  x@1,0"),
        ("a\tb\x1b[Zc", "c      b@1,0"),
        ("\x1b[3gab\t\x08c", "ab    c@7,0"),
        ("\x1b[1;3H\x1bH\r\tx", "  x@3,0"),
        ("a\nb\x0bc\x0cd", "a/ b/  c/   d@4,3"),
        ("\x1b[20ha\nb", "a/b@1,1"),
        ("ab\x1bEc\x1bDd", "ab/c/ d@2,2"),
        ("\x1b[?25lx", "x@-"),
        // Reverse wrap.
        ("12345678\r\n\x1b[?45h\x08x", "1234567x@7,0"),
    ]);
}

#[test]
fn erasing_inserting_deleting() {
    check(&[
        ("12345678\x1b[1;4H\x1b[K", "123@3,0"),
        ("12345678\x1b[1;4H\x1b[1K", "    5678@3,0"),
        ("12345678\x1b[1;4H\x1b[2K", "@3,0"),
        ("a\r\nb\r\nc\x1b[2;1H\x1b[J", "a@0,1"),
        ("a\r\nb\r\nc\x1b[2;1H\x1b[1J", "//c@0,1"),
        ("a\r\nb\r\nc\x1b[2J", "@1,2"),
        ("12345678\x1b[1;3H\x1b[2X", "12  5678@2,0"),
        ("12345678\x1b[1;3H\x1b[2P", "125678@2,0"),
        ("12345678\x1b[1;3H\x1b[2@", "12  3456@2,0"),
        ("123\x1b[1;2H\x1b[4hab\x1b[4lc", "1abc3@4,0"),
        ("1\r\n2\r\n3\r\n4\x1b[2;3H\x1b[L", "1//2/3@0,1"),
        ("1\r\n2\r\n3\r\n4\x1b[2;3H\x1b[M", "1/3/4@0,1"),
        ("1\r\n2\r\n3\r\n4\x1b[2S", "3/4@1,3"),
        ("1\r\n2\r\n3\r\n4\x1b[T", "/1/2/3@1,3"),
        ("ab\x1b[3b", "abbbb@5,0"),
        ("\x1b#8", "EEEEEEEE/EEEEEEEE/EEEEEEEE/EEEEEEEE@0,0"),
        // Selective erase spares what is protected.
        ("\x1b[1\"qab\x1b[0\"qcd\r\x1b[?2K", "ab@0,0"),
        ("\x1b[1\"qab\x1b[0\"qcd\r\x1b[2K", "@0,0"),
    ]);
}

#[test]
fn the_scroll_region() {
    let four = "1\r\n2\r\n3\r\n4";
    let with = |rest: &str| format!("{four}{rest}");
    check(&[
        (&with("\x1b[2;3r"), "1/2/3/4@0,0"),
        (&with("\x1b[2;3r\x1b[3;1H\nx"), "1/3/x/4@1,2"),
        (&with("\x1b[2;3r\x1b[2;1H\x1bMx"), "1/x/2/4@1,1"),
        (&with("\x1b[2;3r\x1b[4;1H\n\n5"), "1/2/3/5@1,3"),
        (&with("\x1b[2;3r\x1b[1;1H\x1bM\x1bMx"), "x/2/3/4@1,0"),
        // Up and down stop at the margins they come to.
        (&with("\x1b[2;3r\x1b[3;1H\x1b[9Ax"), "1/x/3/4@1,1"),
        (&with("\x1b[2;3r\x1b[2;1H\x1b[9Bx"), "1/2/x/4@1,2"),
        (&with("\x1b[2;3r\x1b[9Ax"), "x/2/3/4@1,0"),
        // Origin mode counts from the top margin and stays inside.
        (&with("\x1b[2;3r\x1b[?6h\x1b[1;2Hx\x1b[9;3Hy"), "1/2x/3 y/4@3,2"),
        (&with("\x1b[2;3r\x1b[?6h\x1b[?6lx"), "x/2/3/4@1,0"),
        // IL and DL act inside the region only.
        (&with("\x1b[2;3r\x1b[2;1H\x1b[L"), "1//2/4@0,1"),
        (&with("\x1b[2;3r\x1b[4;1H\x1b[M"), "1/2/3/4@0,3"),
        // A region of fewer than two rows is none.
        (&with("\x1b[3;3rx"), "1/2/3/4x@2,3"),
        (&with("\x1b[3;2rx"), "1/2/3/4x@2,3"),
        (&with("\x1b[2;3r\x1b[rx"), "x/2/3/4@1,0"),
    ]);
    let mut terminal = small();
    terminal.feed(with("\x1b[2;3r\x1b[3;1H\n\n").as_bytes());
    assert_eq!(terminal.live_line(), 0, "what scrolls inside a region is not history");
}

#[test]
fn character_sets() {
    check(&[
        ("\x1b(0lqk\x1b(Bq", "┌─┐q@4,0"),
        ("\x1b)0a\x0eq\x0fq", "a─q@3,0"),
        ("\x1b*0\x1bNqq\x1bnq", "─q─@3,0"),
        ("\x1b(A#", "£@1,0"),
        ("\x1b(0\x1b7\x1b(B\x1b8q", "─@1,0"),
        ("\x1b(0\x1b[!pq", "q@1,0"),
        ("\x1b]P1aabbccx\x1b]Ry", "xy@2,0"),
    ]);
}

#[test]
fn the_alternate_screen() {
    check(&[
        ("ab\x1b[?1049hxy", "  xy@4,0"),
        ("ab\x1b[?1049h\x1b[3;3Hxy\x1b[?1049l", "ab@2,0"),
        ("ab\x1b[?1049h\x1b[?1049hx\x1b[?1049lc", "abc@3,0"),
        ("\x1b[?1049l\x1b[?1049lab", "ab@2,0"),
        ("ab\x1b[?47hxy\x1b[?47lc", "ab  c@5,0"),
        ("ab\x1b[?47hxy\x1b[?47lc\x1b[?47h", "  xy@5,0"),
        ("ab\x1b[?1047hxy\x1b[?1047lc\x1b[?1047h", "@5,0"),
        ("ab\x1b[?1048h\x1b[3;3H\x1b[?1048lc", "abc@3,0"),
    ]);
    let mut terminal = small();
    terminal.feed(b"\x1b[?1049h1\r\n2\r\n3\r\n4\r\n5\r\n6");
    assert!(terminal.is_alternate());
    assert_eq!(terminal.live_line(), 0, "the alternate screen has no history");
}

#[test]
fn resets() {
    check(&[
        ("ab\x1b[2;3r\x1b[?6h\x1b[4h\x1b(0\x1b[?25l\x1bcq", "q@1,0"),
        ("ab\x1b[2;3r\x1b[?6h\x1b[4h\x1b[?25l\x1b[!p\x1b[4;1Hx", "ab///x@1,3"),
        ("ab\x1b[?1049hcd\x1bcx", "x@1,0"),
    ]);
    let mut terminal = small();
    terminal.feed(b"one\r\ntwo\x1bcthree");
    assert_eq!(terminal.text(0..99), "one\ntwo\nthree\n\n\n\n", "a reset hides nothing that was said");
}

#[test]
fn history_keeps_lines_with_their_colours() {
    let mut terminal = small();
    terminal.feed("\x1b[31mred\x1b[m\r\n漢e\u{301}\x1b[38;2;1;2;3mx\x1b[m\r\n123456789\r\n".as_bytes());
    terminal.feed(b"4\r\n5\r\n6\r\n7");
    assert_eq!((terminal.first_line(), terminal.live_line()), (0, 4));
    assert_eq!(terminal.text(0..4), "red\n漢e\u{301}x\n123456789\n");
    let mut scratch = Vec::new();
    let cell = terminal.row(View::At(0), 0, &mut scratch)[0];
    assert_eq!(terminal.style(cell).foreground, Rgb(0x00aa_0000));
    let cells = terminal.row(View::At(0), 1, &mut scratch).to_vec();
    assert_eq!((cells.len(), cells[0].width(), cells[1].width()), (8, Width::Wide, Width::Tail));
    assert_eq!(terminal.cluster(cells[2]).marks, ['\u{301}']);
    assert_eq!(terminal.style(cells[3]).foreground, Rgb(0x0001_0203));
    // The last row of a view that reaches into the screen.
    let cell = terminal.row(View::At(2), 2, &mut scratch)[0];
    assert_eq!(terminal.cluster(cell).base, '4');
    terminal.feed(b"\x1b[3J");
    assert_eq!((terminal.first_line(), terminal.live_line()), (4, 4));
}

#[test]
fn questions_are_answered() {
    for (question, answer) in [
        ("\x1b[c", "\x1b[?62;22c"),
        ("\x1bZ", "\x1b[?62;22c"),
        ("\x1b[>c", "\x1b[>1;277;0c"),
        ("\x1b[5n", "\x1b[0n"),
        ("\x1b[2;3H\x1b[6n", "\x1b[2;3R"),
        ("\x1b[2;3r\x1b[?6h\x1b[2;3H\x1b[6n", "\x1b[2;3R"),
        ("12345678\x1b[6n", "\x1b[1;8R"),
        ("\x1b[?6n", "\x1b[?1;1;1R"),
        ("\x1b[18t", "\x1b[8;4;8t"),
        ("\x1b[21t", ""),
        ("\x1b[?25$p\x1b[?1049$p\x1b[4$p\x1b[?9999$p", "\x1b[?25;1$y\x1b[?1049;2$y\x1b[4;2$y\x1b[?9999;0$y"),
        ("\x1b[1;31m\x1bP$qm\x1b\\", "\x1bP1$r0;1;31m\x1b\\"),
        ("\x1b[2;3r\x1bP$qr\x1b\\", "\x1bP1$r2;3r\x1b\\"),
        ("\x1bP$qz\x1b\\", "\x1bP0$r\x1b\\"),
        // What systemd asks to learn TERM, and vim for its colours.
        ("\x1bP+q544E\x1b\\", "\x1bP1+r544E=787465726D2D323536636F6C6F72\x1b\\"),
        ("\x1bP+q436f;6b75\x1b\\", "\x1bP1+r436f=323536\x1b\\\x1bP0+r\x1b\\"),
        ("\x1b]4;1;?\x07", "\x1b]4;1;rgb:aaaa/0000/0000\x1b\\"),
        ("\x1b]10;?;?\x07", "\x1b]10;rgb:aaaa/aaaa/aaaa\x1b\\\x1b]11;rgb:0000/0000/0000\x1b\\"),
    ] {
        assert_eq!(replies(question), answer, "{}", question.escape_debug());
    }
}

#[test]
fn events_other_than_answers() {
    let mut terminal = small();
    terminal.feed("\x07\x07\x1b]0;a\u{7}\x1b]2;my\ttitle é\x1b\\".as_bytes());
    assert_eq!(terminal.poll_event(), Some(Event::Bell));
    assert_eq!(terminal.poll_event(), Some(Event::Title("mytitle é".into())));
    assert_eq!(terminal.poll_event(), None);
}

#[test]
fn colours_follow_the_palette() {
    let mut terminal = small();
    terminal.feed(b"\x1b[31mx\x1b[44m\x1b[K");
    let style = |terminal: &Terminal, column: usize| {
        let mut scratch = Vec::new();
        let cell = terminal.row(View::Live, 0, &mut scratch)[column];
        terminal.style(cell)
    };
    assert_eq!(style(&terminal, 0).foreground, Rgb(0x00aa_0000));
    assert_eq!(style(&terminal, 5).background, Rgb(0x0000_00aa), "erasing takes the background");
    let before = terminal.generation();
    terminal.feed(b"\x1b]P1123456");
    assert!(terminal.generation() > before);
    assert_eq!(style(&terminal, 0).foreground, Rgb(0x0012_3456));
    terminal.feed(b"\x1b]R\x1b]4;1;rgb:ff/00/ff\x07");
    assert_eq!(style(&terminal, 0).foreground, Rgb(0x00ff_00ff));
    terminal.feed(b"\x1b]104\x07\x1b[?5h");
    let reversed = style(&terminal, 0);
    assert_eq!((reversed.foreground, reversed.background), (Rgb(0), Rgb(0x00aa_0000)));
}

#[test]
fn the_generation_grows_with_what_can_be_seen_only() {
    let mut terminal = small();
    let mut grows = |bytes: &str| {
        let before = terminal.generation();
        terminal.feed(bytes.as_bytes());
        terminal.generation() > before
    };
    assert!(grows("x"));
    assert!(grows("\x1b[H"));
    assert!(!grows("\x1b[H"));
    assert!(!grows("\x1b[31m\x1b[?2004h\x1b]0;t\x07\x07"));
    assert!(grows("\x1b[?25l"));
    assert!(!grows("\x1b[5;5H"));
    assert!(grows("\x1b[?25h"));
    assert!(grows("\x1b[4 q"));
    assert!(!grows("\x1b[2"));
    assert!(grows("J"));
}

#[test]
fn cursor_shapes() {
    for (bytes, shape) in [
        ("\x1b[4 q", CursorShape::Underline),
        ("\x1b[6 q", CursorShape::Bar),
        ("\x1b[6 q\x1b[0 q", CursorShape::Block),
        ("\x1b[?2c", CursorShape::Underline),
        ("\x1b[?2c\x1b[?0c", CursorShape::Block),
    ] {
        let mut terminal = small();
        terminal.feed(bytes.as_bytes());
        assert_eq!(terminal.cursor().map(|c| c.shape), Some(shape));
    }
}

#[test]
fn keys_follow_what_the_guest_believes_to_talk_to() {
    let mut terminal = small();
    let f1 = |terminal: &mut Terminal| {
        let mut out = Vec::new();
        terminal.key(Keysym::F1, Modifiers::default(), &mut out);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(f1(&mut terminal), "\x1bOP");
    // ncurses with TERM=linux hides the cursor so.
    terminal.feed(b"\x1b[?25l\x1b[?1c");
    assert_eq!(f1(&mut terminal), "\x1b[[A");
    terminal.feed(b"\x1b[?1049h");
    assert_eq!(f1(&mut terminal), "\x1bOP");
}

#[test]
fn pasted_text_presses_no_keys() {
    let mut terminal = small();
    let paste = |terminal: &mut Terminal, text: &str| {
        let mut out = Vec::new();
        terminal.paste(text, &mut out);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(paste(&mut terminal, "a\r\nb\nc\td\x1b[201~é\u{9b}"), "a\rb\rc\td[201~é");
    terminal.feed(b"\x1b[?2004h");
    assert_eq!(paste(&mut terminal, "a\x1b[201~b"), "\x1b[200~a[201~b\x1b[201~");
    let mut out = Vec::new();
    terminal.focus(true, &mut out);
    assert!(out.is_empty());
    terminal.feed(b"\x1b[?1004h");
    terminal.focus(true, &mut out);
    terminal.focus(false, &mut out);
    assert_eq!(out, b"\x1b[I\x1b[O");
}

#[test]
fn resizing_keeps_what_is_at_the_bottom() {
    let mut terminal = small();
    terminal.feed(b"1\r\n2\r\n3");
    terminal.resize(8, 3);
    assert_eq!((show(&terminal).as_str(), terminal.live_line()), ("1/2/3@1,2", 0), "a blank row goes first");
    terminal.resize(8, 2);
    assert_eq!((show(&terminal).as_str(), terminal.live_line()), ("2/3@1,1", 1));
    assert_eq!(terminal.text(0..1), "1\n");
    terminal.resize(12, 5);
    terminal.feed(b"\r\n4");
    assert_eq!(show(&terminal), "2/3/4@1,2");
    terminal.feed(b"\x1b[?1049h\x1b[5;12Hx");
    terminal.resize(6, 3);
    terminal.feed(b"\x1b[?1049l");
    assert_eq!(show(&terminal), "2/3/4@1,2");
}

/// The limits that operators are promised.
#[test]
fn memory_is_small() {
    let mut terminal = Terminal::default();
    let idle = terminal.memory_bytes();
    assert!(idle <= 20 << 10, "{idle} bytes idle");
    for line in 0..1100 {
        let text = format!(
            "[{:12.6}] \x1b[1;32mdevice\x1b[m {line}: a line of a boot log that is nearly as wide",
            line
        );
        terminal.feed(format!("{text}\r\n").as_bytes());
    }
    let full = terminal.memory_bytes();
    assert!(full <= 300 << 10, "{full} bytes with 1,000 lines");
    assert!(terminal.live_line() - terminal.first_line() == 1000);
}

/// What stood in a last column that a wide character does not fit into is not part of the text that flows past it.
#[test]
fn a_wide_character_that_wraps_leaves_a_blank_behind() {
    check(&[("abcdefgh\x1b[1;8H漢", "abcdefg/漢@2,1"), ("abcdefg漢\x1b[1;1Hx", "xbcdefg/漢@1,0")]);
    let mut terminal = small();
    terminal.feed("abcdefgh\x1b[1;8H\x1b[44m漢".as_bytes());
    let mut scratch = Vec::new();
    let cell = terminal.row(View::Live, 0, &mut scratch)[7];
    assert_eq!(terminal.style(cell).background, Rgb(0x00_00aa));
}

/// VT420 and VT510 Programmer Reference: rectangles.
#[test]
fn rectangles_are_filled_erased_and_copied() {
    check(&[
        ("\x1b[88;2;3;3;5$x", "/  XXX/  XXX@0,0"),
        ("\x1b[88$x", "XXXXXXXX/XXXXXXXX/XXXXXXXX/XXXXXXXX@0,0"),
        ("\x1b[7;1;1;2;2$x\x1b[88;3;1;2;9$x\x1b[88;9;9;9;9$x", "@0,0"),
        ("\x1b#8\x1b[2;2;3;7$z", "EEEEEEEE/E      E/E      E/EEEEEEEE@0,0"),
        ("ab\x1b[1\"qcd\x1b[0\"qef\x1b[1;2;1;5${", "a cd f@6,0"),
        ("abcd\r\nefgh\x1b[1;1;2;3;1;2;4;1$v", "abcd/efgabc/   efg@4,1"),
        ("abcd\r\nefgh\x1b[1;1;2;4;1;1;2;1$v", "aabcd/eefgh@4,1"),
        ("abcdefgh\x1b[1;1;1;8;1;4;6;1$v", "abcdefgh///     abc@7,0"),
        // Half a character does not come along, and what is overwritten by half goes.
        ("漢字x\r\nabcd\x1b[1;2;1;3;1;2;1;1$v", "漢字x/  cd@4,1"),
        ("漢字x\x1b[88;1;2;1;2$x", " X字x@5,0"),
        // In origin mode rows count from the region's top.
        ("\x1b[2;3r\x1b[?6h\x1b[88;1;1;9;2$x", "/XX/XX@0,1"),
    ]);
    assert_eq!(replies("ab\x1b[7;1;1;1;1;2*y"), "\x1bP7!~FF3D\x1b\\");
    assert_eq!(replies("\x1b[1ma\x1b[1;1;1;1;1;1*y"), "\x1bP1!~FF1F\x1b\\");
}

#[test]
fn titles_are_pushed_and_popped_within_bounds() {
    let mut terminal = small();
    let titles = |terminal: &mut Terminal, bytes: &str| {
        let mut all = Vec::new();
        for piece in bytes.split_inclusive(['t', '\x07']) {
            terminal.feed(piece.as_bytes());
            while let Some(event) = terminal.poll_event() {
                if let Event::Title(title) = event {
                    all.push(title);
                }
            }
        }
        all
    };
    assert_eq!(
        titles(&mut terminal, "\x1b]0;A\x07\x1b[22;0t\x1b]2;B\x07\x1b[23;0t\x1b[23t"),
        ["A", "B", "A"]
    );
    let before = terminal.memory_bytes();
    terminal.feed("\x1b[22t".repeat(1000).as_bytes());
    assert!(terminal.memory_bytes() < before + 1024);
    assert_eq!(titles(&mut terminal, &"\x1b[23t".repeat(100)).len(), 9);
}

#[test]
fn the_guest_turns_on_modified_keys() {
    assert_eq!(
        replies("\x1b[>4;2m\x1b[?4m\x1b[>4m\x1b[?4m\x1b[>4;1m\x1bc\x1b[?4m"),
        "\x1b[>4;2m\x1b[>4;0m\x1b[>4;0m"
    );
    let mut terminal = small();
    terminal.feed(b"\x1b[>4;2m");
    let mut out = Vec::new();
    terminal.key(Keysym::from_char('c'), Modifiers { control: true, ..Modifiers::default() }, &mut out);
    assert_eq!(out, b"\x1b[27;5;99~");
}
