//! Selecting, pasting and typing much, through viewers that we did not write.

use std::fmt::Write;

use super::{INTERPOSE, host_with_one_domain};
use crate::foreign::TigerVnc;
use crate::host::eventually;

#[test]
fn tigervnc_selects_with_the_mouse_and_pastes_with_it() {
    let (host, port) = host_with_one_domain(&[INTERPOSE]);
    host.await_history("tiny", "guest$");
    let viewer = TigerVnc::connect(port, "Tight");
    viewer.await_text("guest$");
    viewer.type_text("clear; printf 'first \\303\\251t\\303\\251 line\\nsecond line\\n'");
    viewer.key("Return");
    viewer.await_text("second line");

    // From the sixth column of the first row to the sixth of the second.
    let (left, top) = viewer.corner();
    viewer.drag((left + 6 * 8 + 4, top + 8), (left + 5 * 8 + 4, top + 16 + 8));
    eventually("the selection in the X clipboard", || match viewer.clipboard() {
        text if text == "été line\nsecond" => Ok(()),
        text => Err(format!("{text:?}{}", viewer.log())),
    });

    // What another program of that display copies is pasted by the middle button. The shell asks for brackets, so that a
    // line end in it runs nothing yet.
    viewer.copy("echo pasted-$((6*7))\n");
    eventually("the paste", || {
        let history = host.history("tiny");
        if history.contains("guest$ echo pasted-") {
            return Ok(());
        }
        // The viewer tells of the copy when it gets to it. Until then a click pastes what was selected before, which is
        // taken away again.
        viewer.key("ctrl+c");
        viewer.click(2, (left + 100, top + 100));
        std::thread::sleep(std::time::Duration::from_millis(300));
        Err(history)
    });
    assert!(!host.history("tiny").contains("pasted-42"));
    viewer.key("Return");
    host.await_history("tiny", "\npasted-42");
}

#[test]
fn tigervncs_window_chooses_the_font() {
    let (host, port) = host_with_one_domain(&[INTERPOSE]);
    host.await_history("tiny", "guest$");
    // A window of 800 by 600 pixels, in which 80 by 25 characters of 10 by 20 fit.
    let viewer = TigerVnc::connect_resizing(port, "Tight", "800x600");
    let light = |pixel: &[u8; 3]| *pixel == [0xaa; 3];
    eventually("a cursor of 10 by 20 pixels", || {
        let picture = viewer.capture();
        let rows = picture.pixels.chunks(picture.width);
        // The cursor is the only thing that is light from its left to its right.
        let runs = rows.map(|row| row.split(|pixel| !light(pixel)).map(<[_]>::len).max().unwrap_or(0));
        match runs.filter(|run| *run == 10).count() {
            20 => Ok(()),
            other => Err(format!("{other} rows of it{}", viewer.log())),
        }
    });
}

#[test]
fn not_a_byte_of_a_long_text_is_lost_in_a_slow_guest() {
    let (host, _port) = host_with_one_domain(&[INTERPOSE]);
    host.await_history("tiny", "guest$");
    // A shell's `read` takes a byte at a time, and its lines are printed as it goes.
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("received");
    let typed = |text: &str| {
        let output = host.xenvnc_with_input(&["type", "tiny"], text);
        assert!(output.status.success(), "{output:?}");
    };
    typed(&format!(
        "echo ready-$((6*7)); while IFS= read -r l; do echo \"$l\" >> {}; done\n",
        file.display()
    ));
    // Before that the terminal is the shell's line editor's, which has Return left as it is.
    host.await_history("tiny", "ready-42");
    let mut text = String::new();
    for line in 0..400 {
        let _ =
            writeln!(text, "{line:05} {}", "the quick brown fox jumps over the lazy dog; ".repeat(line % 3));
    }
    typed(&text);
    eventually("all of the text", || {
        let received = std::fs::read_to_string(&file).unwrap_or_default();
        if received.len() < text.len() {
            Err(format!("{} of {} bytes", received.len(), text.len()))
        } else {
            Ok(())
        }
    });
    let received = std::fs::read_to_string(&file).expect("the file");
    let wrong = received.lines().zip(text.lines()).find(|(received, sent)| received != sent);
    assert_eq!((wrong, received.len()), (None, text.len()));
}
