//! Mouse reports (xterm's `ctlseqs`, "Mouse Tracking").

use std::io::Write;

use super::keyboard::Modifiers;
use super::modes::{Mode, Modes};

/// A button, or a notch of a wheel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MouseButton {
    /// The first button.
    Left,
    /// The second button.
    Middle,
    /// The third button.
    Right,
    /// One notch away from the user.
    WheelUp,
    /// One notch towards the user.
    WheelDown,
    /// One notch to the left.
    WheelLeft,
    /// One notch to the right.
    WheelRight,
}

impl MouseButton {
    const fn code(self) -> u16 {
        match self {
            Self::Left => 0,
            Self::Middle => 1,
            Self::Right => 2,
            Self::WheelUp => 64,
            Self::WheelDown => 65,
            Self::WheelLeft => 66,
            Self::WheelRight => 67,
        }
    }
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MouseAction {
    /// A button went down, or the wheel turned by a notch.
    Press(MouseButton),
    /// A button went up. Wheels are never released.
    Release(MouseButton),
    /// The pointer came to another cell, with this button held.
    Motion(Option<MouseButton>),
}

/// What a viewer did with its mouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MouseEvent {
    /// What happened.
    pub action: MouseAction,
    /// Column of the live screen, from 0.
    pub column: u16,
    /// Row of the live screen, from 0.
    pub row: u16,
    /// The modifier keys that are down.
    pub modifiers: Modifiers,
}

/// Rows that a notch of the wheel is worth on the alternate screen, where it sends cursor keys.
const WHEEL_ROWS: usize = 3;

/// True when the guest asked for any reports.
pub(super) const fn wanted(modes: Modes) -> bool {
    modes.has(Mode::MOUSE_X10)
        || modes.has(Mode::MOUSE_BUTTONS)
        || modes.has(Mode::MOUSE_DRAG)
        || modes.has(Mode::MOUSE_MOTION)
}

/// Appends the report of `event`; true when there was one to make.
pub(super) fn report(modes: Modes, alternate: bool, event: MouseEvent, out: &mut Vec<u8>) -> bool {
    if !wanted(modes) {
        return alternate && modes.has(Mode::ALTERNATE_SCROLL) && wheel_as_keys(modes, event, out);
    }
    let x10 = modes.has(Mode::MOUSE_X10);
    let sgr = modes.has(Mode::MOUSE_SGR);
    let (mut code, release) = match event.action {
        MouseAction::Press(button) => (button.code(), false),
        MouseAction::Release(_) if x10 => return false,
        // Only the SGR form can say which button went up.
        MouseAction::Release(button) => (if sgr { button.code() } else { 3 }, true),
        MouseAction::Motion(None) if modes.has(Mode::MOUSE_MOTION) => (3 + 32, false),
        MouseAction::Motion(Some(button)) if modes.has(Mode::MOUSE_MOTION) || modes.has(Mode::MOUSE_DRAG) => {
            (button.code() + 32, false)
        }
        MouseAction::Motion(_) => return false,
    };
    if !x10 {
        code += 4 * u16::from(event.modifiers.shift)
            + 8 * u16::from(event.modifiers.alt || event.modifiers.meta)
            + 16 * u16::from(event.modifiers.control);
    }
    let (column, row) = (event.column.saturating_add(1), event.row.saturating_add(1));
    // Writing to a vector cannot fail.
    if sgr {
        let last = if release { 'm' } else { 'M' };
        let _ = write!(out, "\x1b[<{code};{column};{row}{last}");
    } else if modes.has(Mode::MOUSE_URXVT) {
        let _ = write!(out, "\x1b[{};{column};{row}M", code + 32);
    } else {
        let utf8 = modes.has(Mode::MOUSE_UTF8);
        // A position that the form cannot say is not reported: 223 as a byte, 2,015 as two bytes of UTF-8.
        let most = if utf8 { 2015 } else { 223 };
        if column > most || row > most {
            return false;
        }
        out.extend_from_slice(b"\x1b[M");
        for value in [code, column, row] {
            match u8::try_from(value + 32) {
                Ok(byte) if !utf8 || byte < 0x80 => out.push(byte),
                _ => {
                    let c = char::from_u32(u32::from(value) + 32).unwrap_or(' ');
                    out.extend(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
            }
        }
    }
    true
}

fn wheel_as_keys(modes: Modes, event: MouseEvent, out: &mut Vec<u8>) -> bool {
    let last = match event.action {
        MouseAction::Press(MouseButton::WheelUp) => b'A',
        MouseAction::Press(MouseButton::WheelDown) => b'B',
        _ => return false,
    };
    let middle = if modes.has(Mode::APPLICATION_CURSOR) { b'O' } else { b'[' };
    for _ in 0..WHEEL_ROWS {
        out.extend([0x1b, middle, last]);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(action: MouseAction, column: u16, row: u16) -> MouseEvent {
        MouseEvent { action, column, row, modifiers: Modifiers::default() }
    }

    fn modes(on: &[Mode]) -> Modes {
        let mut modes = Modes::default();
        for mode in on {
            modes.set(*mode, true);
        }
        modes
    }

    fn told(on: &[Mode], event: MouseEvent) -> String {
        let mut out = Vec::new();
        let reported = report(modes(on), false, event, &mut out);
        assert_eq!(reported, !out.is_empty());
        out.escape_ascii().to_string()
    }

    const PRESS: MouseAction = MouseAction::Press(MouseButton::Left);
    const RELEASE: MouseAction = MouseAction::Release(MouseButton::Right);

    #[test]
    fn each_form_says_the_same() {
        let buttons = Mode::MOUSE_BUTTONS;
        assert_eq!(told(&[buttons], event(PRESS, 0, 1)), r#"\x1b[M !\""#);
        assert_eq!(told(&[buttons], event(RELEASE, 0, 1)), r#"\x1b[M#!\""#);
        assert_eq!(told(&[buttons, Mode::MOUSE_SGR], event(PRESS, 299, 1)), r"\x1b[<0;300;2M");
        assert_eq!(told(&[buttons, Mode::MOUSE_SGR], event(RELEASE, 0, 1)), r"\x1b[<2;1;2m");
        assert_eq!(told(&[buttons, Mode::MOUSE_URXVT], event(PRESS, 299, 1)), r"\x1b[32;300;2M");
        assert_eq!(told(&[buttons, Mode::MOUSE_UTF8], event(PRESS, 299, 1)), r#"\x1b[M \xc5\x8c\""#);
        assert_eq!(told(&[buttons], event(PRESS, 299, 1)), "", "too far right for a byte");
        let wheel = MouseAction::Press(MouseButton::WheelDown);
        assert_eq!(told(&[buttons, Mode::MOUSE_SGR], event(wheel, 0, 0)), r"\x1b[<65;1;1M");
    }

    #[test]
    fn only_what_was_asked_for_is_reported() {
        let drag = event(MouseAction::Motion(Some(MouseButton::Left)), 0, 0);
        let motion = event(MouseAction::Motion(None), 0, 0);
        assert_eq!(told(&[], event(PRESS, 0, 0)), "");
        assert_eq!(told(&[Mode::MOUSE_X10], event(RELEASE, 0, 0)), "");
        assert_eq!(told(&[Mode::MOUSE_BUTTONS], drag), "");
        assert_eq!(told(&[Mode::MOUSE_DRAG], drag), r"\x1b[M@!!");
        assert_eq!(told(&[Mode::MOUSE_DRAG], motion), "");
        assert_eq!(told(&[Mode::MOUSE_MOTION, Mode::MOUSE_SGR], motion), r"\x1b[<35;1;1M");
    }

    #[test]
    fn the_wheel_scrolls_pagers() {
        let wheel = event(MouseAction::Press(MouseButton::WheelUp), 0, 0);
        let mut out = Vec::new();
        assert!(report(Modes::default(), true, wheel, &mut out));
        assert_eq!(out, b"\x1b[A\x1b[A\x1b[A");
        assert!(!report(Modes::default(), false, wheel, &mut out));
    }
}
