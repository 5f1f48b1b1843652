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
            all.extend(bytes.iter().map(|byte| char::from(*byte)));
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
        ("ab\x1b[D\x1b[3b", "ab@1,0"),
        ("a\x1b[1m\x1b[2b\x1b[b", "aaa@3,0"),
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
        ("\x1b(K[]\x1b(>a\x1b(B[", "ÄÜα[@4,0"),
        ("\x1b.A\x1bNdd\x1bnd", "ädä@3,0"),
        // A set of 96 has a character where others have DEL.
        ("\x1b.A\x1bN\x7fd\x7f", "ÿd@2,0"),
        // There is no right half in UTF-8.
        ("\x1b)0\x1b~ñ", "ñ@1,0"),
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
        ("\x1b[c", "\x1b[?64;6;9;21;22;28;52c"),
        ("\x1bZ", "\x1b[?64;6;9;21;22;28;52c"),
        ("\x1b[>c", "\x1b[>41;277;0c"),
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
        ("\x1b[1\"q\x1bP$q\"q\x1b\\", "\x1bP1$r1\"q\x1b\\"),
        ("\x1b[2*x\x1bP$q*x\x1b\\", "\x1bP1$r2*x\x1b\\"),
        ("\x1bP$q$|\x1b\\\x1bP$qt\x1b\\", "\x1bP1$r8$|\x1b\\\x1bP1$r4t\x1b\\"),
        ("\x1bP$q\"p\x1b\\", "\x1bP1$r64;1\"p\x1b\\"),
        // With 8-bit controls, as bytes.
        ("\x1b G\x1b[5n\x1b F\x1b[5n", "\u{9b}0n\x1b[0n"),
        ("\x1b[64;0\"p\x1bP$qz\x1b\\\x1b[62;1\"p\x1b[5n", "\u{90}0$r\u{9c}\x1b[0n"),
        // What systemd asks to learn TERM, and vim for its colours.
        ("\x1bP+q544E\x1b\\", "\x1bP1+r544E=787465726D2D323536636F6C6F72\x1b\\"),
        ("\x1bP+q436f;6b75\x1b\\", "\x1bP1+r436f=323536\x1b\\\x1bP0+r\x1b\\"),
        ("\x1b]4;1;?\x07", "\x1b]4;1;rgb:aaaa/0000/0000\x1b\\"),
        ("\x1b]10;?;?\x07", "\x1b]10;rgb:aaaa/aaaa/aaaa\x1b\\\x1b]11;rgb:0000/0000/0000\x1b\\"),
    ] {
        assert_eq!(replies(question), answer, "{}", question.escape_debug());
    }
}

/// OSC 52: the owner decides; what is no text or too long is no event, and nobody is told what the clipboard holds.
#[test]
fn what_the_guest_wants_in_the_clipboard_is_an_event() {
    let told = |bytes: &str| {
        let mut terminal = small();
        terminal.feed(bytes.as_bytes());
        let events: Vec<_> = std::iter::from_fn(|| terminal.poll_event()).collect();
        (events, terminal.memory_bytes())
    };
    let clipboard = |text: &str| vec![Event::Clipboard(text.into())];
    assert_eq!(told("\x1b]52;c;Zm9v\x07").0, clipboard("foo"));
    assert_eq!(told("\x1b]52;;Zm8=\x1b\\\x1b]52;p;w6Q=\x1b\\").0, clipboard("ä"));
    assert_eq!(told("\x1b]52;c;\x07").0, clipboard(""));
    assert_eq!(told("\x1b]52;c;?\x07\x1b]52;c;!!\x07\x1b]52;c;//8=\x07\x1b]52\x07").0, []);
    let long = |count: usize| told(&format!("\x1b]52;c;{}\x07", "Zm9v".repeat(count)));
    assert_eq!(long(20_000).0, clipboard(&"foo".repeat(20_000)));
    let (events, kept) = long(30_000);
    assert_eq!(events, []);
    assert!(kept < 64 << 10, "{kept} bytes");
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
    assert_eq!(show(&terminal), "1/2/3@1,2", "a screen that was full gets its rows back");
    terminal.feed(b"\r\n4");
    terminal.feed(b"\x1b[?1049h\x1b[5;12Hx");
    terminal.resize(6, 3);
    assert_eq!(show(&terminal), "@5,2", "the alternate screen is cut");
    terminal.feed(b"\x1b[?1049l");
    assert_eq!(show(&terminal), "2/3/4@1,2");
}

#[test]
fn wrapped_text_is_wrapped_anew() {
    let mut terminal = small();
    terminal.feed("12345678abcd\r\n漢字漢x字".as_bytes());
    assert_eq!(show(&terminal), "12345678/abcd/漢字漢x/字@2,3");
    terminal.resize(5, 4);
    assert_eq!(show(&terminal), "678ab/cd/漢字/漢x字@4,3");
    assert_eq!(terminal.text(0..99).lines().next(), Some("12345678abcd"));
    terminal.resize(20, 4);
    assert_eq!(show(&terminal), "12345678abcd/漢字漢x字@9,1");
    terminal.resize(8, 4);
    assert_eq!(show(&terminal), "12345678/abcd/漢字漢x/字@2,3");
    // A cursor that waits at the edge goes on where there is room, and waits again where there is none.
    let mut terminal = small();
    terminal.feed(b"12345678");
    terminal.resize(10, 4);
    assert_eq!(show(&terminal), "12345678@8,0");
    terminal.resize(4, 4);
    terminal.feed(b"9");
    assert_eq!(show(&terminal), "1234/5678/9@1,2");
}

/// A line that somebody looks at is found again, although lines have other numbers after a change of the width.
#[test]
fn lines_are_found_again_after_a_resize() {
    let mut terminal =
        Terminal::new(Options { columns: 8, rows: 2, history_lines: 100, ..Options::default() });
    for line in 0..20 {
        terminal.feed(format!("line {line}, which is long\r\n").as_bytes());
    }
    let text = |terminal: &Terminal, line| terminal.line_text(line).unwrap_or_default();
    let (first, live) = (terminal.first_line(), terminal.live_line());
    let looked_at: Vec<u64> = (first..live).collect();
    let words: Vec<String> = looked_at.iter().map(|line| text(&terminal, *line)).collect();
    assert!(terminal.is_wrapped(first) && words[0] == "line 0, " && words[1] == "which is");
    let mut found = looked_at.clone();
    terminal.resize_keeping(30, 2, &mut found);
    for (word, line) in words.iter().zip(&found) {
        assert!(text(&terminal, *line).contains(word.trim()), "{word:?}, line {line}");
    }
    assert!(terminal.first_line() > live, "numbers are not used twice");
    terminal.resize_keeping(30, 5, &mut found);
    assert_eq!(text(&terminal, found[0]), "line 0, which is long", "a change of the height keeps them");
}

#[test]
fn side_margins() {
    let full = "12345678\r\nabcdefgh\r\nABCDEFGH";
    let with = |rest: &str| format!("{full}\x1b[?69h\x1b[3;6s{rest}");
    check(&[
        // Text wraps between the margins, and what is to the right of them stays.
        (&with("\x1b[1;3Hvwxyz"), "12vwxy78/abzdefgh/ABCDEFGH@3,1"),
        (&with("\x1b[1;7Hxyz"), "123456xy/abzdefgh/ABCDEFGH@3,1"),
        (&with("\x1b[2;5H\rx"), "12345678/abxdefgh/ABCDEFGH@3,1"),
        (&with("\x1b[2;1H\rx"), "12345678/xbcdefgh/ABCDEFGH@1,1"),
        (&with("\x1b[2;5H\x1b[9Dx"), "12345678/abxdefgh/ABCDEFGH@3,1"),
        (&with("\x1b[2;5H\x1b[9Cx"), "12345678/abcdexgh/ABCDEFGH@5,1"),
        (&with("\x1b[2;5H\x08\x08\x08\x08x"), "12345678/abxdefgh/ABCDEFGH@3,1"),
        (&with("\x1b[2;3H\tx"), "12345678/abcdexgh/ABCDEFGH@5,1"),
        // Scrolling moves the block only, and no history comes of it.
        (&with("\x1b[S"), "12cdef78/abCDEFgh/AB    GH@0,0"),
        (&with("\x1b[T"), "12    78/ab3456gh/ABcdefGH/  CDEF@0,0"),
        (&with("\x1b[1;3r\x1b[3;3H\n"), "12cdef78/abCDEFgh/AB    GH@2,2"),
        (&with("\x1b[1;3r\x1b[3;1H\n"), "12345678/abcdefgh/ABCDEFGH@0,2"),
        (&with("\x1b[1;3H\x1bM"), "12    78/ab3456gh/ABcdefGH/  CDEF@2,0"),
        (&with("\x1b[2;4H\x1b[L"), "12345678/ab    gh/ABcdefGH/  CDEF@2,1"),
        (&with("\x1b[2;4H\x1b[M"), "12345678/abCDEFgh/AB    GH@2,1"),
        (&with("\x1b[2;1H\x1b[M"), "12345678/abcdefgh/ABCDEFGH@0,1"),
        (&with("\x1b[2;4H\x1b[@"), "12345678/abc degh/ABCDEFGH@3,1"),
        (&with("\x1b[2;4H\x1b[P"), "12345678/abcef gh/ABCDEFGH@3,1"),
        (&with("\x1b[2;4H\x1b[4hx"), "12345678/abcxdegh/ABCDEFGH@4,1"),
        // Columns.
        (&with("\x1b[2;4H\x1b['}"), "123 4578/abc degh/ABC DEGH@3,1"),
        (&with("\x1b[2;4H\x1b[2'~"), "1236  78/abcf  gh/ABCF  GH@3,1"),
        (&with("\x1b[2;3H\x1b6"), "12 34578/ab cdegh/AB CDEGH@2,1"),
        (&with("\x1b[2;6H\x1b9"), "12456 78/abdef gh/ABDEF GH@5,1"),
        (&with("\x1b[2;4H\x1b6\x1b9x"), "12345678/abcxefgh/ABCDEFGH@4,1"),
        (&with("\x1b[ @"), "12456 78/abdef gh/ABDEF GH@0,0"),
        // Origin mode counts from both margins.
        (&with("\x1b[2;3r\x1b[?6h\x1b[1;1Hx\x1b[9;9Hy"), "12345678/abxdefgh/ABCDEyGH@5,2"),
        (&with("\x1b[2;3r\x1b[?6h\x1b[2Gx\x1b[88;1;1;9;1$x"), "12345678/abXxefgh/ABXDEFGH@4,1"),
        // Erasing does not care.
        (&with("\x1b[2;4H\x1b[K"), "12345678/abc/ABCDEFGH@3,1"),
        (&with("\x1b[2;4H\x1b[9X"), "12345678/abc/ABCDEFGH@3,1"),
        // The mode comes first, and takes the margins with it.
        ("ab\x1b[2;4scd", "abcd@4,0"),
        (&with("\x1b[?69l\x1b[2;4H\x1b[@"), "12345678/abc defg/ABCDEFGH@3,1"),
        (&with("\x1b[s\x1b[2;4H\x1b[@"), "12345678/abc defg/ABCDEFGH@3,1"),
        (&with("\x1b[6;3s\x1b[2;4H\x1b[@"), "12345678/abc degh/ABCDEFGH@3,1"),
        (&with("\x1b[!p\x1b[2;4H\x1b[@"), "12345678/abc defg/ABCDEFGH@3,1"),
        // Half a character at a margin goes.
        ("漢字漢字\x1b[?69h\x1b[2;5s\x1b[1;3H\x1b[@", "漢 字 字@2,0"),
        ("漢字漢字\x1b[?69h\x1b[2;5s\x1b[S", "      字@0,0"),
    ]);
    assert_eq!(
        replies("\x1b[?69h\x1b[3;6s\x1b[?6h\x1b[2;2H\x1b[6n\x1bP$qs\x1b\\"),
        "\x1b[2;2R\x1bP1$r3;6s\x1b\\"
    );
    let mut terminal = small();
    terminal.feed(with("\x1b[9S").as_bytes());
    assert_eq!(terminal.live_line(), 0);
}

#[test]
fn attributes_of_rectangles_change() {
    let bold = |bytes: &str| {
        let mut terminal = small();
        terminal.feed(bytes.as_bytes());
        let mut scratch = Vec::new();
        (0..3u16)
            .map(|row| {
                let cells = terminal.row(View::Live, row, &mut scratch);
                cells
                    .iter()
                    .map(|cell| if terminal.style(*cell).bold { '#' } else { '.' })
                    .collect::<String>()
            })
            .collect::<Vec<_>>()
            .join("/")
    };
    assert_eq!(bold("\x1b[2*x\x1b[1;3;2;5;1$r"), "..###.../..###.../........");
    assert_eq!(bold("\x1b[1;3;2;5;1$r"), "..######/#####.../........", "as text flows, until told otherwise");
    assert_eq!(bold("\x1b[2*x\x1b[1;3;2;5;1$r\x1b[1;1;2;4;1$t"), "##..#.../##..#.../........");
    assert_eq!(bold("\x1b[2*x\x1b[1;3;2;5;1$r\x1b[1;4;3;9;0$r"), "..#...../..#...../........");
}

/// Private mode 2027: by default each character takes what `wcwidth` says; then a cluster is one character.
#[test]
fn clusters() {
    let family = "👩\u{200d}👧";
    check(&[
        (&format!("{family}x"), &format!("{family}x@5,0")),
        (&format!("\x1b[?2027h{family}x"), &format!("{family}x@3,0")),
        ("❤\u{fe0f}x", "❤\u{fe0f}x@2,0"),
        ("\x1b[?2027h❤\u{fe0f}x", "❤\u{fe0f}x@3,0"),
        ("🇩🇪x", "🇩🇪x@3,0"),
        ("\x1b[?2027h🇩🇪x", "🇩🇪x@3,0"),
        ("\x1b[?2027h🇩🇪🇫🇷", "🇩🇪🇫🇷@4,0"),
        ("👍🏽x", "👍🏽x@5,0"),
        ("\x1b[?2027h👍🏽x", "👍🏽x@3,0"),
        // Jamo are marks in either case.
        ("\u{1112}\u{1161}\u{11ab}x", "\u{1112}\u{1161}\u{11ab}x@3,0"),
        // A cluster that becomes wide at the edge of the line stays narrow there.
        ("\x1b[?2027h1234567❤\u{fe0f}x", "1234567❤\u{fe0f}/x@1,1"),
        ("\x1b[?2027h123456❤\u{fe0f}x", "123456❤\u{fe0f}/x@1,1"),
    ]);
    assert_eq!(replies("\x1b[?2027$p\x1b[?2027h\x1b[?2027$p"), "\x1b[?2027;2$y\x1b[?2027;1$y");
}

/// The limits that operators are promised.
#[test]
fn memory_is_small() {
    let terminal = Terminal::default();
    let idle = terminal.memory_bytes();
    assert!(idle <= 20 << 10, "{idle} bytes idle");
    let mut terminal = Terminal::new(Options { history_lines: 1000, ..Options::default() });
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
    let mut terminal = Terminal::default();
    for line in 0..11_000 {
        let text = format!(
            "[{line:12.6}] \x1b[1;32mdevice\x1b[m {line}: a line of a boot log as wide as the screen is"
        );
        terminal.feed(format!("{text:>90}\r\n").as_bytes());
    }
    let full = terminal.memory_bytes();
    assert!(full <= 2560 << 10, "{full} bytes with 10,000 lines");
    assert_eq!(terminal.live_line() - terminal.first_line(), 10_000);
    // Whatever the lines hold.
    for line in 0..30_000 {
        let cell = |at: u32| format!("\x1b[38;5;{}mx", (at * 7 + line) % 256);
        terminal.feed(((0..80).map(cell).collect::<String>() + "\r\n").as_bytes());
    }
    let full = terminal.memory_bytes();
    assert!(full <= 2560 << 10, "{full} bytes with {} lines", terminal.live_line() - terminal.first_line());
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
