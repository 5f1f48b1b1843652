//! A viewer's keyboard: which keys are down, who was told so, and which presses are chords.
//!
//! Two things are kept apart: what the user holds, which decides chords and modifiers, and who was told, which
//! decides who hears of the release. On a switch the VT that is left gets the releases of what it was told; the new
//! one is told of held modifiers only when another key is pressed with them.

use super::chord::{Chord, Target, plain_key};
use super::vt::VtNumber;
use crate::keysym::Keysym;

/// The most keys that one viewer can hold; people have ten fingers. One more releases the oldest, so that a viewer
/// that never sends releases can still type.
pub const HELD_KEYS: usize = 32;

/// The kinds of modifiers that are held, left and right alike. AltGr is none: its keysym already says what it made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Held {
    /// Shift.
    pub shift: bool,
    /// Control.
    pub control: bool,
    /// Alt, or Meta, which keyboards do not tell apart.
    pub alt: bool,
    /// Super, the key with a logo.
    pub logo: bool,
}

/// What became of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAction {
    /// The VT is told.
    Deliver {
        /// Who is told.
        vt: VtNumber,
        /// The key.
        keysym: Keysym,
        /// Its QEMU key code, where the viewer knows it.
        keycode: Option<u32>,
        /// Pressed or released.
        pressed: bool,
        /// The modifiers that go with it.
        held: Held,
    },
    /// A chord: the viewer wants another VT.
    Switch(Target),
}

/// One key that is down.
#[derive(Debug, Clone, Copy)]
struct Down {
    keysym: Keysym,
    keycode: Option<u32>,
    /// Who was told that it is down.
    told: Option<VtNumber>,
    /// It was the last key of a chord.
    chord: bool,
}

/// The keyboard of one viewer.
#[derive(Debug, Clone, Default)]
pub struct Keyboard {
    down: Vec<Down>,
}

impl Keyboard {
    /// The modifiers that are held.
    #[must_use]
    pub fn held(&self) -> Held {
        let any = |keys: [Keysym; 4]| self.down.iter().any(|down| keys.contains(&down.keysym));
        Held {
            shift: any([Keysym::SHIFT_L, Keysym::SHIFT_R, Keysym::SHIFT_L, Keysym::SHIFT_R]),
            control: any([Keysym::CONTROL_L, Keysym::CONTROL_R, Keysym::CONTROL_L, Keysym::CONTROL_R]),
            alt: any([Keysym::ALT_L, Keysym::ALT_R, Keysym::META_L, Keysym::META_R]),
            logo: any([Keysym::SUPER_L, Keysym::SUPER_R, Keysym::HYPER_L, Keysym::HYPER_R]),
        }
    }

    /// Takes a key from the viewer, who looks at VT `active`; appends what is to be done.
    pub fn key(
        &mut self,
        keysym: Keysym,
        keycode: Option<u32>,
        pressed: bool,
        active: VtNumber,
        chords: &[Chord],
        out: &mut Vec<KeyAction>,
    ) {
        if !pressed {
            self.release(keysym, keycode, out);
            return;
        }
        if keysym.is_modifier() {
            self.press(keysym, keycode, Some(active), out);
            return;
        }
        let held = self.held();
        let known = self.down.iter().find(|down| down.keysym == keysym && down.keycode == keycode);
        if known.is_some_and(|down| down.chord) && (held.control || held.alt || held.logo) {
            // The repetition of a chord's key.
            return;
        }
        if let Some(target) = Chord::find(chords, held, plain_key(keysym, keycode), active) {
            self.press(keysym, keycode, None, out);
            // The guest saw the modifiers go down, but will not see what they were for.
            self.leave(out);
            out.push(KeyAction::Switch(target));
            return;
        }
        self.tell_modifiers(active, out);
        self.press(keysym, keycode, Some(active), out);
    }

    /// Whoever was told of a key is told that it is up; what the user holds stays held. For a switch.
    pub fn leave(&mut self, out: &mut Vec<KeyAction>) {
        // In reverse order, as fingers do it: the modifier last.
        for at in (0..self.down.len()).rev() {
            self.tell_release(at, out);
        }
    }

    /// Releases everything. For a viewer that goes.
    pub fn release_all(&mut self, out: &mut Vec<KeyAction>) {
        self.leave(out);
        self.down.clear();
    }

    fn press(
        &mut self,
        keysym: Keysym,
        keycode: Option<u32>,
        told: Option<VtNumber>,
        out: &mut Vec<KeyAction>,
    ) {
        match self.down.iter_mut().find(|down| down.keysym == keysym && down.keycode == keycode) {
            Some(down) => (down.told, down.chord) = (told, told.is_none()),
            None => {
                if self.down.len() >= HELD_KEYS {
                    self.tell_release(0, out);
                    self.down.remove(0);
                }
                self.down.push(Down { keysym, keycode, told, chord: told.is_none() });
            }
        }
        if let Some(vt) = told {
            out.push(KeyAction::Deliver { vt, keysym, keycode, pressed: true, held: self.held_for(keysym) });
        }
    }

    fn release(&mut self, keysym: Keysym, keycode: Option<u32>, out: &mut Vec<KeyAction>) {
        let same_code = |down: &Down| keycode.is_some() && down.keycode == keycode;
        let same_key = |down: &Down| down.keysym == keysym;
        // Shift may have come or gone since the press, so that the release carries the key's other name.
        let same_letter = |down: &Down| plain_key(down.keysym, None) == plain_key(keysym, None);
        let at = self
            .down
            .iter()
            .position(same_code)
            .or_else(|| self.down.iter().position(same_key))
            .or_else(|| self.down.iter().position(same_letter));
        // A release without a press is nothing that anybody was told of.
        if let Some(at) = at {
            self.tell_release(at, out);
            self.down.remove(at);
        }
    }

    fn tell_release(&mut self, at: usize, out: &mut Vec<KeyAction>) {
        let held = self.held();
        if let Some(down) = self.down.get_mut(at)
            && let Some(vt) = down.told.take()
        {
            let (keysym, keycode) = (down.keysym, down.keycode);
            out.push(KeyAction::Deliver { vt, keysym, keycode, pressed: false, held });
        }
    }

    /// Tells the VT of held modifiers that it does not know of: they were pressed before the switch to it.
    fn tell_modifiers(&mut self, active: VtNumber, out: &mut Vec<KeyAction>) {
        let held = self.held();
        for down in self.down.iter_mut().filter(|down| down.keysym.is_modifier() && down.told.is_none()) {
            down.told = Some(active);
            let (keysym, keycode) = (down.keysym, down.keycode);
            out.push(KeyAction::Deliver { vt: active, keysym, keycode, pressed: true, held });
        }
    }

    /// The modifiers that go with this key.
    ///
    /// Windows says AltGr as Control_L with Alt_R. Then a character that is no ASCII letter is what AltGr made, and
    /// not meant with Control and Alt.
    fn held_for(&self, keysym: Keysym) -> Held {
        let held = self.held();
        let down = |key| self.down.iter().any(|down| down.keysym == key);
        let alt_gr = down(Keysym::CONTROL_L) && down(Keysym::ALT_R) && !down(Keysym::ALT_L);
        match keysym.to_char() {
            Some(c) if alt_gr && !c.is_ascii_alphabetic() && c != ' ' => {
                Held { control: false, alt: false, ..held }
            }
            _ => held,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const F1: VtNumber = VtNumber::CONSOLE;
    const F7: VtNumber = VtNumber::GRAPHICS;

    struct Hands {
        keyboard: Keyboard,
        chords: Vec<Chord>,
    }

    impl Hands {
        fn new() -> Self {
            Self { keyboard: Keyboard::default(), chords: Chord::defaults() }
        }

        fn key(&mut self, keysym: Keysym, pressed: bool, active: VtNumber) -> Vec<KeyAction> {
            let mut out = Vec::new();
            self.keyboard.key(keysym, None, pressed, active, &self.chords, &mut out);
            out
        }
    }

    fn told(actions: &[KeyAction]) -> Vec<(VtNumber, Keysym, bool)> {
        let tell = |action: &KeyAction| match *action {
            KeyAction::Deliver { vt, keysym, pressed, .. } => Some((vt, keysym, pressed)),
            KeyAction::Switch(_) => None,
        };
        actions.iter().filter_map(tell).collect()
    }

    #[test]
    fn a_chord_is_swallowed_and_its_modifiers_are_released() {
        let mut hands = Hands::new();
        hands.key(Keysym::CONTROL_L, true, F7);
        hands.key(Keysym::ALT_L, true, F7);
        let actions = hands.key(Keysym::F1, true, F7);
        assert_eq!(told(&actions), [(F7, Keysym::ALT_L, false), (F7, Keysym::CONTROL_L, false)]);
        assert_eq!(actions.last(), Some(&KeyAction::Switch(Target::Vt(F1))));
        // Repetition and releases reach nobody.
        for (key, pressed) in
            [(Keysym::F1, true), (Keysym::F1, false), (Keysym::ALT_L, false), (Keysym::CONTROL_L, false)]
        {
            assert_eq!(hands.key(key, pressed, F1), []);
        }
    }

    #[test]
    fn chords_can_follow_each_other_while_the_modifiers_are_held() {
        let mut hands = Hands::new();
        hands.key(Keysym::CONTROL_L, true, F1);
        hands.key(Keysym::ALT_L, true, F1);
        for _ in 0..3 {
            assert!(hands.key(Keysym::RIGHT, true, F1).contains(&KeyAction::Switch(Target::Next)));
            assert_eq!(hands.key(Keysym::RIGHT, false, F1), []);
        }
    }

    #[test]
    fn modifiers_held_through_a_switch_are_told_with_the_next_key() {
        let mut hands = Hands::new();
        hands.key(Keysym::CONTROL_L, true, F1);
        let mut out = Vec::new();
        hands.keyboard.leave(&mut out);
        assert_eq!(told(&out), [(F1, Keysym::CONTROL_L, false)]);
        let c = Keysym::from_char('c');
        let actions = hands.key(c, true, F7);
        assert_eq!(told(&actions), [(F7, Keysym::CONTROL_L, true), (F7, c, true)]);
        assert!(matches!(actions[1], KeyAction::Deliver { held: Held { control: true, .. }, .. }));
        assert_eq!(told(&hands.key(Keysym::CONTROL_L, false, F7)), [(F7, Keysym::CONTROL_L, false)]);
    }

    #[test]
    fn the_release_may_carry_the_other_case() {
        let mut hands = Hands::new();
        let (lower, upper) = (Keysym::from_char('a'), Keysym::from_char('A'));
        hands.key(lower, true, F1);
        hands.key(Keysym::SHIFT_L, true, F1);
        assert_eq!(told(&hands.key(upper, false, F1)), [(F1, lower, false)]);
    }

    #[test]
    fn a_repeated_key_is_delivered_each_time() {
        let mut hands = Hands::new();
        let key = Keysym::from_char('x');
        for _ in 0..3 {
            assert_eq!(told(&hands.key(key, true, F1)), [(F1, key, true)]);
        }
        assert_eq!(told(&hands.key(key, false, F1)), [(F1, key, false)]);
        assert_eq!(hands.key(key, false, F1), []);
    }

    #[test]
    fn what_alt_gr_made_is_not_meant_with_control_and_alt() {
        let mut hands = Hands::new();
        hands.key(Keysym::CONTROL_L, true, F1);
        hands.key(Keysym::ALT_R, true, F1);
        let held = |actions: &[KeyAction]| match actions.last() {
            Some(KeyAction::Deliver { held, .. }) => *held,
            _ => panic!("not delivered"),
        };
        assert_eq!(held(&hands.key(Keysym::from_char('@'), true, F1)), Held::default());
        let both = Held { control: true, alt: true, ..Held::default() };
        assert_eq!(held(&hands.key(Keysym::from_char('c'), true, F1)), both);
    }

    proptest! {
        /// Whatever is pressed, in whatever order, each VT hears a release for each key that it was told of, keys are
        /// bounded, and nothing is left after the viewer has gone.
        #[test]
        fn who_was_told_of_a_press_is_told_of_the_release(
            keys in prop::collection::vec((0u32..60, any::<bool>(), prop::option::of(0u32..4), any::<bool>()), 0..300)
        ) {
            let mut hands = Hands::new();
            let mut active = F1;
            let mut actions = Vec::new();
            for (key, pressed, keycode, switch) in keys {
                let keysym = match key {
                    0..=13 => Keysym(Keysym::SHIFT_L.0 + key),
                    14..=25 => Keysym(Keysym::F1.0 + key - 14),
                    other => Keysym(0x41 + other),
                };
                hands.keyboard.key(keysym, keycode, pressed, active, &hands.chords, &mut actions);
                prop_assert!(hands.keyboard.down.len() <= HELD_KEYS);
                if switch {
                    hands.keyboard.leave(&mut actions);
                    active = if active == F1 { F7 } else { F1 };
                }
            }
            hands.keyboard.release_all(&mut actions);
            let mut down = std::collections::HashSet::new();
            for action in actions {
                if let KeyAction::Deliver { vt, keysym, keycode, pressed, .. } = action {
                    if pressed {
                        down.insert((vt, keysym, keycode));
                    } else {
                        prop_assert!(down.remove(&(vt, keysym, keycode)));
                    }
                }
            }
            prop_assert!(down.is_empty());
        }
    }
}
