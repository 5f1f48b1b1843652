//! The page on F12: what the seat is, which VTs it has, who looks, and what each chord does.
//!
//! It is text with a few ANSI sequences, fed to a terminal of its own when somebody looks and when something on it
//! changes while somebody looks.

use std::fmt::Write;

use super::chord::Chord;
use super::options::{DomainState, SeatOptions, ViewerInfo, VtInfo, VtKind};

/// The longest name or title that is shown, in characters.
const NAME_CHARS: usize = 60;

/// What the page tells of.
pub(super) struct Facts<'a> {
    pub(super) options: &'a SeatOptions,
    pub(super) state: &'a DomainState,
    pub(super) vts: &'a [VtInfo],
    pub(super) viewers: &'a [ViewerInfo],
    /// The size of the terminal that shows it.
    pub(super) columns: u16,
    pub(super) rows: u16,
}

/// The whole page, for a terminal in any state; not more lines than it has rows.
pub(super) fn page(facts: &Facts<'_>) -> String {
    let columns = usize::from(facts.columns);
    let mut lines = vec![heading(facts), String::new()];
    lines.extend(facts.vts.iter().map(vt_line));
    let chords = chord_lines(&facts.options.chords, columns);
    // The viewers come last: they are what may not fit.
    if !chords.is_empty() {
        lines.push(String::new());
        lines.extend(chords);
    }
    lines.push(String::new());
    lines.push(match facts.viewers.len() {
        1 => "1 viewer".to_owned(),
        n => format!("{n} viewers"),
    });
    lines.extend(facts.viewers.iter().map(viewer_line));

    let rows = usize::from(facts.rows).max(1);
    if lines.len() > rows {
        let hidden = lines.len() - (rows - 1);
        lines.truncate(rows - 1);
        lines.push(format!("  and {hidden} more"));
    }
    // Reset, cursor off, no wrapping, clear; the title in bold.
    let mut page = String::from("\x1b[0m\x1b[?25l\x1b[?7l\x1b[2J\x1b[H\x1b[1m");
    for (number, line) in lines.iter().enumerate() {
        if number > 0 {
            page.push_str("\x1b[0m\r\n");
        }
        page.push_str(line);
    }
    page.push_str("\x1b[0m");
    page
}

fn heading(facts: &Facts<'_>) -> String {
    let mut line = plain(&facts.options.name);
    if let Some(domid) = facts.options.domid {
        let _ = write!(line, "  domain {domid}");
    }
    if !facts.options.uuid.is_empty() {
        let _ = write!(line, "  {}", plain(&facts.options.uuid));
    }
    match facts.state {
        DomainState::Running => {}
        DomainState::NoConsole(reason) => {
            let _ = write!(line, "  no console: {}", plain(reason));
        }
        other => {
            let _ = write!(line, "  {}", other.notice());
        }
    }
    line
}

fn vt_line(vt: &VtInfo) -> String {
    let kind = match vt.kind {
        VtKind::Console => "console",
        VtKind::Graphics => "display",
        VtKind::Status => "this page",
    };
    let mut line = format!("  {:<4} {kind:<10} {}x{}", vt.number.to_string(), vt.columns, vt.rows);
    for text in [&vt.title, &vt.origin] {
        if !text.is_empty() {
            let _ = write!(line, "  {}", plain(text));
        }
    }
    line
}

fn viewer_line(viewer: &ViewerInfo) -> String {
    let mut line = format!("  {:<4} {}", viewer.vt.to_string(), plain(&viewer.peer));
    if viewer.pinned {
        line.push_str("  stays");
    }
    if !viewer.ready {
        line.push_str("  connecting");
    }
    line
}

/// The chords, several a line. The usual twenty-four are said in one.
fn chord_lines(chords: &[Chord], columns: usize) -> Vec<String> {
    let defaults = Chord::defaults();
    let (usual, own): (Vec<_>, Vec<_>) = chords.iter().partition(|chord| defaults.contains(chord));
    let mut words: Vec<String> = Vec::new();
    if usual.len() == defaults.len() {
        words.push("Ctrl-Alt-F1..F12 or Ctrl-Alt-1..9 -> that one".to_owned());
        words.push("Ctrl-Alt-Left, Right -> previous, next".to_owned());
    } else {
        words.extend(usual.iter().map(ToString::to_string));
    }
    words.extend(own.iter().map(ToString::to_string));
    words.push("Shift-PgUp, PgDn, Home, End -> history".to_owned());
    words.push("Ctrl-Shift-F -> search".to_owned());
    words.push("mouse -> select".to_owned());
    words.push("middle button, Shift-Insert -> paste".to_owned());
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if line.len() + 3 + word.len() <= columns => {
                line.push_str("   ");
                line.push_str(&word);
            }
            _ => lines.push(format!("  {word}")),
        }
    }
    lines
}

/// Text of others without anything that a terminal would act on, and not too long.
fn plain(text: &str) -> String {
    let shown = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut plain: String = text.chars().take(NAME_CHARS).map(shown).collect();
    if text.chars().nth(NAME_CHARS).is_some() {
        plain.push('…');
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seat::vt::VtNumber;
    use crate::terminal::{Options, Terminal};

    fn shown(options: &SeatOptions, state: &DomainState, viewers: &[ViewerInfo]) -> String {
        let vt = VtInfo {
            number: VtNumber::CONSOLE,
            kind: VtKind::Console,
            columns: 80,
            rows: 25,
            title: "vim".to_owned(),
            origin: String::new(),
            viewers: viewers.len(),
        };
        let facts = Facts { options, state, vts: &[vt], viewers, columns: 80, rows: 25 };
        let mut terminal = Terminal::new(Options::default());
        terminal.feed(page(&facts).as_bytes());
        assert_eq!(terminal.live_line(), 0, "it scrolled");
        assert!(terminal.cursor().is_none());
        terminal.text(0..25)
    }

    fn viewer(peer: &str) -> ViewerInfo {
        ViewerInfo {
            id: super::super::options::ViewerId(1),
            peer: peer.to_owned(),
            vt: VtNumber::STATUS,
            pinned: true,
            since: std::time::Instant::now(),
            ready: true,
            scrolled: false,
        }
    }

    #[test]
    fn it_tells_of_the_guest_the_vts_the_viewers_and_the_chords() {
        let options = SeatOptions {
            name: "web1".to_owned(),
            uuid: "c2b1".to_owned(),
            domid: Some(7),
            chords: Chord::defaults().into_iter().chain("f1: ctrl-alt-x -> f7".parse()).collect(),
            ..SeatOptions::default()
        };
        let text = shown(&options, &DomainState::Paused, &[viewer("192.0.2.1:5000")]);
        for wanted in [
            "web1  domain 7  c2b1  paused",
            "F1   console    80x25  vim",
            "Ctrl-Alt-F1..F12",
            "F1: Ctrl-Alt-x -> F7",
            "1 viewer\n  F12  192.0.2.1:5000  stays",
        ] {
            assert!(text.contains(wanted), "{wanted:?} is not in {text}");
        }
    }

    #[test]
    fn names_cannot_act_on_the_terminal_and_many_viewers_do_not_scroll_it() {
        let name = format!("\x1b[2Jevil\r\n{}", "x".repeat(10_000));
        let options = SeatOptions { name, ..SeatOptions::default() };
        let viewers: Vec<_> = (0..100).map(|n| viewer(&format!("peer {n}"))).collect();
        let text = shown(&options, &DomainState::NoConsole("\u{9b}5n".to_owned()), &viewers);
        assert!(
            text.contains("[2Jevil") && text.contains("no console: ") && text.contains(" more"),
            "{text}"
        );
    }
}
