//! A viewer's pointer: from the buttons' state that RFB sends (RFC 6143 §7.5.5) to what changed, in cells.

use crate::geometry::Size;
use crate::terminal::{MouseAction, MouseButton};

/// Bit n of RFB's button mask.
const BUTTONS: [MouseButton; 7] = [
    MouseButton::Left,
    MouseButton::Middle,
    MouseButton::Right,
    MouseButton::WheelUp,
    MouseButton::WheelDown,
    MouseButton::WheelLeft,
    MouseButton::WheelRight,
];

/// The most that one message can bring: a motion and a change of each button.
const ACTIONS: usize = BUTTONS.len() + 1;

/// The bits of the buttons that can be held, as opposed to wheels.
const HOLDABLE: u16 = 0b111;

/// A place on a text screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct CellPlace {
    pub(super) column: u16,
    pub(super) row: u16,
}

impl CellPlace {
    /// The cell at a pixel, on a screen of this many columns and rows (at least one each).
    pub(super) fn at(x: u16, y: u16, cell: Size, columns: u16, rows: u16) -> Self {
        Self {
            column: (x / cell.width.max(1)).min(columns.saturating_sub(1)),
            row: (y / cell.height.max(1)).min(rows.saturating_sub(1)),
        }
    }
}

/// What a viewer has told a display in the guest of its pointer.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ToldPointer {
    pub(super) buttons: u16,
    pub(super) x: u16,
    pub(super) y: u16,
}

/// The pointer of one viewer.
#[derive(Debug, Clone, Default)]
pub(super) struct Pointer {
    place: CellPlace,
    buttons: u16,
    /// Those of the buttons whose press the guest was told of.
    told: u16,
}

impl Pointer {
    /// Where it is.
    pub(super) const fn place(&self) -> CellPlace {
        self.place
    }

    /// Takes a message of the viewer and says what it changes: motion first, then releases and presses.
    pub(super) fn update(
        &mut self,
        buttons: u16,
        place: CellPlace,
    ) -> impl Iterator<Item = MouseAction> + use<> {
        let mut actions = [None; ACTIONS];
        if place != self.place {
            let held = BUTTONS.iter().zip(0..).find(|(_, bit)| self.buttons & HOLDABLE & (1 << bit) != 0);
            actions[0] = Some(MouseAction::Motion(held.map(|(button, _)| *button)));
        }
        let changed = self.buttons ^ buttons;
        for ((button, bit), action) in BUTTONS.iter().zip(0..).zip(&mut actions[1..]) {
            let mask = 1 << bit;
            if changed & mask == 0 {
                continue;
            }
            if buttons & mask != 0 {
                *action = Some(MouseAction::Press(*button));
            } else if HOLDABLE & mask != 0 {
                *action = Some(MouseAction::Release(*button));
            }
        }
        (self.buttons, self.place) = (buttons, place);
        actions.into_iter().flatten()
    }

    /// The guest was told that this button is down.
    pub(super) fn told_press(&mut self, button: MouseButton) {
        self.told |= mask(button) & HOLDABLE;
    }

    /// True when the guest is to be told that this button is up; it is then.
    pub(super) fn take_told(&mut self, button: MouseButton) -> bool {
        let told = self.told & mask(button) != 0;
        self.told &= !mask(button);
        told
    }

    /// The buttons that the guest believes to be down; it is to be told that they are up. For a switch.
    pub(super) fn leave(&mut self) -> impl Iterator<Item = MouseButton> + use<> {
        let told = std::mem::take(&mut self.told);
        BUTTONS.into_iter().filter(move |button| told & mask(*button) != 0)
    }
}

fn mask(button: MouseButton) -> u16 {
    BUTTONS.iter().zip(0..).find(|(known, _)| **known == button).map_or(0, |(_, bit)| 1 << bit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: CellPlace = CellPlace { column: 3, row: 4 };

    fn update(pointer: &mut Pointer, buttons: u16, place: CellPlace) -> Vec<MouseAction> {
        pointer.update(buttons, place).collect()
    }

    #[test]
    fn messages_become_motion_releases_and_presses() {
        let mut pointer = Pointer::default();
        assert_eq!(update(&mut pointer, 0, HERE), [MouseAction::Motion(None)]);
        assert_eq!(update(&mut pointer, 0, HERE), []);
        let press = [MouseAction::Press(MouseButton::Left), MouseAction::Press(MouseButton::WheelUp)];
        assert_eq!(update(&mut pointer, 0b1001, HERE), press);
        let there = CellPlace::default();
        let drag = [MouseAction::Motion(Some(MouseButton::Left)), MouseAction::Press(MouseButton::Right)];
        assert_eq!(update(&mut pointer, 0b101, there), drag);
        assert_eq!(update(&mut pointer, 0xff80, there).len(), 2);
        assert_eq!(update(&mut pointer, 0xffff, there).len(), BUTTONS.len());
    }

    #[test]
    fn only_buttons_that_the_guest_knows_of_are_released_to_it() {
        let mut pointer = Pointer::default();
        pointer.told_press(MouseButton::Left);
        pointer.told_press(MouseButton::Right);
        pointer.told_press(MouseButton::WheelDown);
        assert!(pointer.take_told(MouseButton::Left));
        assert!(!pointer.take_told(MouseButton::Left));
        assert!(!pointer.take_told(MouseButton::Middle));
        assert_eq!(pointer.leave().collect::<Vec<_>>(), [MouseButton::Right]);
        assert_eq!(pointer.leave().count(), 0);
    }

    #[test]
    fn pixels_beyond_the_last_cell_belong_to_it() {
        let cell = Size::new(8, 16);
        assert_eq!(CellPlace::at(24, 79, cell, 80, 25), HERE);
        assert_eq!(CellPlace::at(u16::MAX, u16::MAX, cell, 80, 25), CellPlace { column: 79, row: 24 });
        assert_eq!(CellPlace::at(5, 5, Size::default(), 1, 1), CellPlace::default());
    }
}
