//! Which sequence does what.
//!
//! Sources: ECMA-48; the VT220 and VT510 Programmer Reference Manuals; xterm's `ctlseqs`; Linux `console_codes(4)`.

use super::actions::{Actions, Sequence};
use super::charset::Charset;
use super::emulator::Emulator;
use super::keyboard::FunctionKeys;
use super::modes::Mode;
use super::style::Rgb;
use super::view::{CursorShape, Event};

impl Actions for Emulator {
    #[inline]
    fn print_ascii(&mut self, run: &[u8]) {
        self.print_run(run);
    }

    fn print(&mut self, characters: &[char]) {
        self.print_characters(characters);
    }

    #[inline]
    fn lines(&mut self, bytes: &[u8]) -> (usize, usize) {
        self.print_lines(bytes)
    }

    #[inline]
    fn control(&mut self, byte: u8) {
        match byte {
            0x0a..=0x0c => {
                self.index();
                if self.modes.has(Mode::NEWLINE) {
                    self.carriage_return();
                }
            }
            0x0d => self.carriage_return(),
            0x08 => self.backspace(),
            0x09 => self.tab(1),
            0x07 => self.events.push(Event::Bell),
            0x0e => self.cursor.charsets.shift(1),
            0x0f => self.cursor.charsets.shift(0),
            0x7f if self.cursor.charsets.has_delete() => self.print_char('\u{7f}'),
            _ => {}
        }
    }

    fn escape(&mut self, intermediate: u8, last: u8) {
        match (intermediate, last) {
            (0, b'6') => self.back_index(),
            (0, b'7') => self.save_cursor(),
            (0, b'8') => self.restore_cursor(),
            (0, b'9') => self.forward_index(),
            (0, b'=') => self.modes.set(Mode::APPLICATION_KEYPAD, true),
            (0, b'>') => self.modes.set(Mode::APPLICATION_KEYPAD, false),
            (0, b'D') => self.index(),
            (0, b'E') => {
                self.index();
                self.carriage_return();
            }
            (0, b'H') => self.tabs.set(self.cursor.column, true),
            (0, b'M') => self.reverse_index(),
            (0, b'N') => self.cursor.charsets.single_shift(2),
            (0, b'O') => self.cursor.charsets.single_shift(3),
            (0, b'Z') => self.report_attributes(),
            (0, b'c') => self.reset(),
            (0, b'n') => self.cursor.charsets.shift(2),
            (0, b'o') => self.cursor.charsets.shift(3),
            (b'#', b'8') => self.alignment_test(),
            (b' ', b'F') => self.eight_bit = false,
            (b' ', b'G') => self.eight_bit = true,
            (b'%', b'@') => self.latin1 = true,
            (b'%', b'G' | b'8') => {
                self.latin1 = false;
                self.cursor.charsets.shift_right(None);
            }
            (0, b'~') if self.latin1 => self.cursor.charsets.shift_right(Some(1)),
            (0, b'}') if self.latin1 => self.cursor.charsets.shift_right(Some(2)),
            (0, b'|') if self.latin1 => self.cursor.charsets.shift_right(Some(3)),
            (b'('..=b'+', set) => self.cursor.charsets.designate(intermediate - b'(', Charset::of_94(set)),
            (b'-'..=b'/', set) => {
                self.cursor.charsets.designate(intermediate - b'-' + 1, Charset::of_96(set))
            }
            _ => {}
        }
    }

    #[inline]
    fn csi(&mut self, sequence: &Sequence) {
        // REP repeats what came right before it.
        if !matches!(sequence.last, b'm' | b'b') {
            self.last = None;
        }
        match (sequence.private, sequence.intermediate) {
            (0, 0) => self.plain_csi(sequence),
            (b'?', 0) => self.private_csi(sequence),
            _ => self.rare_csi(sequence),
        }
    }

    fn osc(&mut self, text: &[u8]) {
        self.operating_system_command(text);
    }

    fn dcs(&mut self, head: &Sequence, text: &[u8]) {
        self.device_control(head, text);
    }

    fn linux_colour(&mut self, index: u8, colour: Rgb) {
        self.learned_keys = FunctionKeys::Linux;
        self.palette.set_colour(index & 15, colour.0);
        self.damage.everything();
    }

    fn linux_reset_palette(&mut self) {
        self.learned_keys = FunctionKeys::Linux;
        self.palette.reset_colours();
        self.damage.everything();
    }
}

impl Emulator {
    /// `CSI ... last`.
    fn plain_csi(&mut self, sequence: &Sequence) {
        let p = &sequence.parameters;
        match sequence.last {
            b'm' => self.cursor.pen.apply(p),
            b'H' | b'f' => {
                self.address_column(p.or_one(1) - 1);
                self.go_to_row(p.or_one(0) - 1);
            }
            b'A' => self.go_up(p.or_one(0)),
            b'B' | b'e' => self.go_down(p.or_one(0)),
            b'C' | b'a' => self.go_right(p.or_one(0)),
            b'D' => self.go_left(p.or_one(0)),
            b'E' => {
                self.go_down(p.or_one(0));
                self.carriage_return();
            }
            b'F' => {
                self.go_up(p.or_one(0));
                self.carriage_return();
            }
            b'G' | b'`' => self.address_column(p.or_one(0) - 1),
            b'd' => self.go_to_row(p.or_one(0) - 1),
            b'I' => self.tab(p.or_one(0)),
            b'Z' => self.back_tab(p.or_one(0)),
            b'J' => self.erase_in_display(p.get(0), false),
            b'K' => self.erase_in_line(p.get(0), false),
            b'X' => self.erase_characters(p.or_one(0)),
            b'@' => self.insert_characters(p.or_one(0)),
            b'P' => self.delete_characters(p.or_one(0)),
            b'L' => self.insert_lines(p.or_one(0)),
            b'M' => self.delete_lines(p.or_one(0)),
            b'S' => self.scroll_up(p.or_one(0)),
            // With more parameters it is a mouse tracking mode that nobody uses.
            b'T' if p.values().len() == 1 => self.scroll_down(self.top, p.or_one(0)),
            b'b' => self.repeat(p.or_one(0)),
            b'c' if p.get(0) == 0 => self.report_attributes(),
            b'g' => match p.get(0) {
                0 => self.tabs.set(self.cursor.column, false),
                3 => self.tabs.clear(),
                _ => {}
            },
            b'h' | b'l' => self.set_modes(sequence, sequence.last == b'h'),
            b'n' => self.report_status(false, p.get(0)),
            b'r' => self.set_region(p.get(0), p.get(1)),
            b's' if self.modes.has(Mode::MARGINS) => self.set_side_margins(p.get(0), p.get(1)),
            b's' => self.save_cursor(),
            b'u' => self.restore_cursor(),
            b't' => match (p.get(0), p.get(1)) {
                (22, 0 | 2) => self.push_title(),
                (23, 0 | 2) => self.pop_title(),
                (what, _) => self.window_report(what),
            },
            b'x' => self.report_parameters(p.get(0)),
            _ => {}
        }
    }

    /// `CSI ? ... last`.
    fn private_csi(&mut self, sequence: &Sequence) {
        let p = &sequence.parameters;
        match sequence.last {
            b'h' | b'l' => self.set_modes(sequence, sequence.last == b'h'),
            b'J' if p.get(0) < 3 => self.erase_in_display(p.get(0), true),
            b'K' => self.erase_in_line(p.get(0), true),
            b'n' => self.report_status(true, p.get(0)),
            b'm' if p.get(0) == 4 => self.reply(&format!("\x1b[>4;{}m", self.other_keys)),
            b's' => self.saved_modes = self.modes,
            b'r' => {
                for number in p.values() {
                    if let Some(mode) = Mode::from_number(true, *number) {
                        self.set_mode(mode, self.saved_modes.has(mode));
                    }
                }
            }
            // The Linux console's cursor (console_codes(4), "private sequences"): only terminfo's linux uses it.
            b'c' => {
                self.learned_keys = FunctionKeys::Linux;
                match p.get(0) & 15 {
                    2 => self.set_shape(CursorShape::Underline),
                    0 | 3..=8 => self.set_shape(CursorShape::Block),
                    // 1 is "invisible", for which `CSI ? 25 l` is sent as well.
                    _ => {}
                }
            }
            _ => {}
        }
    }

    /// Everything with other private or intermediate characters.
    fn rare_csi(&mut self, sequence: &Sequence) {
        let p = &sequence.parameters;
        match (sequence.private, sequence.intermediate, sequence.last) {
            (b'>', 0, b'c') if p.get(0) == 0 => self.report_secondary_attributes(),
            (b'=', 0, b'c') if p.get(0) == 0 => self.report_unit(),
            (b'>', 0, b'q') if p.get(0) == 0 => self.report_version(),
            (b'>', 0, b'm') if matches!(p.get(0), 0 | 4) => {
                self.other_keys = u8::try_from(p.get(1)).unwrap_or(0).min(2);
            }
            (b'>', 0, b'n') if p.get(0) == 4 => self.other_keys = 0,
            (0, b' ', b'@') => self.shift_columns(self.left, i32::from(p.or_one(0))),
            (0, b' ', b'A') => self.shift_columns(self.left, -i32::from(p.or_one(0))),
            (0, b'\'', b'}') => self.insert_columns(p.or_one(0), false),
            (0, b'\'', b'~') => self.insert_columns(p.or_one(0), true),
            (0, b'$', b'r') => self.change_attributes(p, false),
            (0, b'$', b't') => self.change_attributes(p, true),
            (0, b'*', b'x') => self.stream_extent = p.get(0) < 2,
            (0, b'$', b'v') => self.copy_rectangle(p),
            (0, b'$', b'x') => self.fill_rectangle(p),
            (0, b'$', b'z') => self.erase_rectangle(p, false),
            (0, b'$', b'{') => self.erase_rectangle(p, true),
            (0, b'*', b'y') => self.report_checksum(p),
            (0, b'!', b'p') => self.soft_reset(),
            // DECSCL: only the form of the answers changes.
            (0, b'"', b'p') if matches!(p.get(0), 61..=65) => {
                self.soft_reset();
                self.eight_bit = p.get(0) > 61 && p.get(1) != 1;
            }
            (0, b'$', b'p') => self.report_mode(false, p.get(0)),
            (b'?', b'$', b'p') => self.report_mode(true, p.get(0)),
            (0, b' ', b'q') => match p.get(0) {
                0..=2 => self.set_shape(CursorShape::Block),
                3 | 4 => self.set_shape(CursorShape::Underline),
                5 | 6 => self.set_shape(CursorShape::Bar),
                _ => {}
            },
            (0, b'"', b'q') => {
                let protected = super::cell::Attributes::PROTECTED;
                let attributes = &mut self.cursor.pen.attributes.0;
                *attributes = if p.get(0) == 1 { *attributes | protected } else { *attributes & !protected };
                self.cursor.pen.look = None;
            }
            _ => {}
        }
    }

    const fn set_shape(&mut self, shape: CursorShape) {
        self.shape = shape;
    }

    fn set_modes(&mut self, sequence: &Sequence, on: bool) {
        let private = sequence.private == b'?';
        for number in sequence.parameters.values() {
            match (private, *number) {
                (true, 3) => self.set_columns_mode(),
                (true, 47) => self.show_alternate(on),
                (true, 1047) => self.alternate_cleared(on),
                (true, 1048) if on => self.save_cursor(),
                (true, 1048) => self.restore_cursor(),
                (true, 1049) => {
                    // terminfo's linux has no alternate screen.
                    self.learned_keys = FunctionKeys::Xterm;
                    if on {
                        if !self.alternate {
                            self.save_cursor();
                        }
                        self.alternate_cleared(true);
                        self.erase_in_display(2, false);
                    } else if self.alternate {
                        self.alternate_cleared(false);
                        self.restore_cursor();
                    }
                }
                (_, number) => {
                    if let Some(mode) = Mode::from_number(private, number) {
                        self.set_mode(mode, on);
                    }
                }
            }
        }
    }

    /// The alternate screen, of which nothing is kept once it is left.
    fn alternate_cleared(&mut self, on: bool) {
        let was = self.alternate;
        self.show_alternate(on);
        if was && !on {
            self.hidden = None;
        }
    }

    fn set_mode(&mut self, mode: Mode, on: bool) {
        let was = self.modes.has(mode);
        self.modes.set(mode, on);
        match mode {
            Mode::ORIGIN => {
                self.cursor.origin = on;
                self.home();
            }
            Mode::MARGINS if !on => (self.left, self.right) = (0, self.columns),
            Mode::SYNCHRONIZED => self.synchronize(was, on),
            Mode::AUTOWRAP if !on => self.cursor.pending_wrap = false,
            Mode::REVERSE if was != on => {
                self.palette.reversed = on;
                self.damage.everything();
            }
            // Only one kind of mouse reports is on at a time.
            Mode::MOUSE_X10 | Mode::MOUSE_BUTTONS | Mode::MOUSE_DRAG | Mode::MOUSE_MOTION if on => {
                for other in [Mode::MOUSE_X10, Mode::MOUSE_BUTTONS, Mode::MOUSE_DRAG, Mode::MOUSE_MOTION] {
                    self.modes.set(other, other == mode);
                }
            }
            _ => {}
        }
    }

    /// DECCOLM: our width is the viewers' business, but the screen is cleared and the region reset.
    fn set_columns_mode(&mut self) {
        if self.modes.has(Mode::ALLOW_COLUMNS) {
            self.modes.set(Mode::MARGINS, false);
            self.reset_margins();
            self.erase_in_display(2, false);
            self.home();
        }
    }
}
