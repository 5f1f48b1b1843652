//! What a seat tells: its VTs and viewers, screenshots, history, names, and the status page.

use std::time::Instant;

use super::machine::Seat;
use super::options::{ViewerInfo, VtInfo};
use super::status_page::{self, Facts};
use super::viewer::Viewer;
use super::vt::{Source, Vt, VtNumber, text_size};
use crate::geometry::Size;
use crate::screen::{Picture, TextOverlay, TextView, picture};
use crate::terminal::{FunctionKeys, Options, Terminal, View};

impl Seat {
    /// The text of a console, history first; `None` when there is no such VT.
    #[must_use]
    pub fn history_text(&self, vt: VtNumber) -> Option<String> {
        let terminal = self.vt(vt)?.terminal()?;
        let end = terminal.live_line() + u64::from(terminal.rows());
        let mut text = terminal.text(terminal.first_line()..end);
        text.truncate(text.trim_end_matches('\n').len());
        if !text.is_empty() {
            text.push('\n');
        }
        Some(text)
    }

    /// The picture of a VT, as a viewer sees it that is not scrolled back; `None` when there is no such VT. The picture of
    /// a display that nobody looks at may be old: see [`begin_screenshot`](Self::begin_screenshot).
    #[must_use]
    pub fn screenshot(&self, vt: VtNumber) -> Option<Picture> {
        let have = self.vt(vt)?;
        if let Some(graphics) = have.graphics() {
            return Some(picture(graphics.canvas()));
        }
        let font = self.font();
        let shot = |terminal: &Terminal| {
            picture(&TextView {
                terminal,
                view: View::Live,
                font,
                show_cursor: true,
                overlay: TextOverlay::default(),
            })
        };
        Some(have.terminal().map_or_else(|| shot(&self.new_status_terminal()), shot))
    }

    /// Brings a VT's picture up to date, as for a viewer that begins to look at it.
    pub fn begin_screenshot(&mut self, vt: VtNumber, now: Instant) {
        if let Some(graphics) = self.graphics_at(vt) {
            graphics.stop_relay(true, now);
            graphics.enter();
        }
    }

    /// True when a VT's picture is as up to date as it gets. Ask in each turn after
    /// [`begin_screenshot`](Self::begin_screenshot); it takes a second at most.
    pub fn is_screenshot_ready(&mut self, vt: VtNumber, now: Instant) -> bool {
        self.graphics_at(vt).is_none_or(|graphics| graphics.is_showable(now))
    }

    /// The VTs, by number.
    #[must_use]
    pub fn vts(&self) -> Vec<VtInfo> {
        let info = |vt: &Vt| VtInfo {
            number: vt.number,
            kind: vt.kind(),
            columns: match &vt.source {
                Source::Graphics(graphics) => graphics.size().width,
                _ => vt.terminal().map_or(self.options.columns, Terminal::columns),
            },
            rows: match &vt.source {
                Source::Graphics(graphics) => graphics.size().height,
                _ => vt.terminal().map_or(self.options.rows, Terminal::rows),
            },
            title: match &vt.source {
                Source::Console(console) => console.title().to_owned(),
                Source::Graphics(graphics) => graphics.name.clone(),
                Source::Status(_) => String::new(),
            },
            origin: vt.graphics().map_or_else(String::new, |graphics| graphics.origin.clone()),
            viewers: self.viewers.iter().filter(|viewer| viewer.vt == vt.number).count(),
        };
        self.vts.iter().map(info).collect()
    }

    /// The viewers, in the order in which they came.
    #[must_use]
    pub fn viewers(&self) -> Vec<ViewerInfo> {
        self.viewers.iter().map(Viewer::info).collect()
    }

    /// What a viewer of this VT has in its title bar.
    pub(super) fn desktop_name(&self, vt: VtNumber) -> String {
        match self.state.notice() {
            "" => format!("{} ({vt})", self.options.name),
            notice => format!("{} ({vt}, {notice})", self.options.name),
        }
    }

    /// Makes sure that a VT has something to show, and returns its size.
    pub(super) fn ensure_picture(&mut self, vt: VtNumber) -> Size {
        if let Some(graphics) = self.vt(vt).and_then(Vt::graphics) {
            return graphics.size();
        }
        let font = self.font();
        let missing = self.vt(vt).is_none_or(|vt| vt.terminal().is_none());
        if missing {
            let terminal = self.new_status_terminal();
            let size = text_size(&terminal, font);
            if let Some(Vt { source: Source::Status(place), .. }) =
                self.vts.iter_mut().find(|vt| vt.number == VtNumber::STATUS)
            {
                *place = Some(Box::new(terminal));
            }
            return size;
        }
        self.vt(vt).and_then(Vt::terminal).map(|terminal| text_size(terminal, font)).unwrap_or_default()
    }

    fn new_status_terminal(&self) -> Terminal {
        let mut terminal = Terminal::new(Options {
            columns: self.options.columns,
            rows: self.options.rows,
            history_lines: 0,
            function_keys: FunctionKeys::Auto,
        });
        terminal.feed(self.status_page(&terminal).as_bytes());
        terminal
    }

    fn status_page(&self, terminal: &Terminal) -> String {
        status_page::page(&Facts {
            options: &self.options,
            state: &self.state,
            vts: &self.vts(),
            viewers: &self.viewers(),
            columns: terminal.columns(),
            rows: terminal.rows(),
        })
    }

    /// Writes the status page again if somebody looks at it and it is out of date.
    pub(super) fn refresh_status(&mut self) {
        if !self.status_stale {
            return;
        }
        let page =
            self.vt(VtNumber::STATUS).and_then(Vt::terminal).map(|terminal| self.status_page(terminal));
        let status = self.vts.iter_mut().find(|vt| vt.number == VtNumber::STATUS);
        if let (Some(page), Some(terminal)) = (page, status.and_then(Vt::terminal_mut)) {
            terminal.feed(page.as_bytes());
            self.status_stale = false;
        }
    }

    pub(super) fn drop_unwatched_status(&mut self) {
        if self.viewers.iter().any(|viewer| viewer.vt == VtNumber::STATUS) {
            return;
        }
        for vt in &mut self.vts {
            if let Source::Status(terminal) = &mut vt.source {
                *terminal = None;
            }
        }
    }
}
