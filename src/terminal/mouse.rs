//! Mouse reports.

use super::keyboard::Modifiers;

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
