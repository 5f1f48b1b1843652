//! Chords: key combinations that switch the VT instead of reaching the guest.
//!
//! As text, in a configuration file: `[FROM:] [MODIFIER-]...KEY [-> TARGET]`.
//!
//! * `ctrl-alt-f7` goes to F7 from everywhere; the keys F1 to F12 and 1 to 9 (and 0 for F10) name their target, Left
//!   and Right mean `previous` and `next`. Every other key needs a target.
//! * `f1: ctrl-alt-f12 -> f7` goes from F1 to F7 only; on other VTs another chord may use the same keys.
//!
//! Modifiers are `ctrl`, `alt` (also Meta), `shift` and `super`; they must be held exactly. Case does not matter.

use std::fmt;
use std::str::FromStr;

use super::keys::Held;
use super::vt::{BadVtNumber, VtNumber};
use crate::keysym::Keysym;

/// Where a chord leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// To this VT.
    Vt(VtNumber),
    /// To the next VT that the seat has, after the last one to the first.
    Next,
    /// To the VT before, before the first one to the last.
    Previous,
}

/// A key combination that switches the VT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chord {
    /// The modifiers that must be held, no more and no less.
    pub modifiers: Held,
    /// The key that is pressed last, in the form that [`plain_key`] gives.
    pub key: Keysym,
    /// The VT on which it works; `None`: on every VT.
    pub from: Option<VtNumber>,
    /// Where it leads.
    pub to: Target,
}

/// A text that is not a chord.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChordError {
    /// The part before the colon, or the target, is no VT.
    #[error(transparent)]
    Vt(#[from] BadVtNumber),
    /// No key has this name.
    #[error("no key is called {found:?}")]
    Key {
        /// The name that was given.
        found: String,
    },
    /// No modifier has this name.
    #[error("no modifier is called {found:?}, wanted ctrl, alt, shift or super")]
    Modifier {
        /// The name that was given.
        found: String,
    },
    /// The chord would take an ordinary key away from the guest.
    #[error("{chord:?} has neither ctrl, alt nor super, so that the guest could not be typed to")]
    Bare {
        /// The whole chord.
        chord: String,
    },
    /// The key does not name a target, and none was given.
    #[error("{chord:?} leads nowhere, wanted for example {chord:?} -> f7")]
    NoTarget {
        /// The whole chord.
        chord: String,
    },
}

/// Keys of chords that have a name of their own. The first name of a key is the one that is shown.
const NAMED_KEYS: &[(&str, Keysym)] = &[
    ("left", Keysym::LEFT),
    ("right", Keysym::RIGHT),
    ("up", Keysym::UP),
    ("down", Keysym::DOWN),
    ("home", Keysym::HOME),
    ("end", Keysym::END),
    ("pageup", Keysym::PAGE_UP),
    ("pgup", Keysym::PAGE_UP),
    ("pagedown", Keysym::PAGE_DOWN),
    ("pgdn", Keysym::PAGE_DOWN),
    ("insert", Keysym::INSERT),
    ("delete", Keysym::DELETE),
    ("tab", Keysym::TAB),
    ("enter", Keysym::RETURN),
    ("return", Keysym::RETURN),
    ("escape", Keysym::ESCAPE),
    ("esc", Keysym::ESCAPE),
    ("backspace", Keysym::BACKSPACE),
    ("space", Keysym::SPACE),
    ("minus", Keysym(0x2d)),
    ("print", Keysym::PRINT),
    ("pause", Keysym::PAUSE),
    ("scrolllock", Keysym::SCROLL_LOCK),
    ("menu", Keysym::MENU),
];

impl Chord {
    /// The chords of a seat that configures none: Ctrl-Alt-F1 to F12, and, because many desktops keep those for
    /// themselves, Ctrl-Alt-digit and Ctrl-Alt-Left and Right.
    #[must_use]
    pub fn defaults() -> Vec<Self> {
        let modifiers = Held { control: true, alt: true, ..Held::default() };
        let to_vt = |key, number| {
            VtNumber::new(number).map(|vt| Self { modifiers, key, from: None, to: Target::Vt(vt) })
        };
        let function_keys = (1..=12u8).filter_map(|n| to_vt(Keysym(Keysym::F1.0 + u32::from(n) - 1), n));
        let digits = (1..=10u8).filter_map(|n| to_vt(Keysym(u32::from(b'0' + n % 10)), n));
        let arrows = [(Keysym::LEFT, Target::Previous), (Keysym::RIGHT, Target::Next)];
        let arrows = arrows.into_iter().map(|(key, to)| Self { modifiers, key, from: None, to });
        function_keys.chain(digits).chain(arrows).collect()
    }

    /// True when pressing `key` with `held` on VT `active` is this chord.
    #[must_use]
    pub fn matches(&self, held: Held, key: Keysym, active: VtNumber) -> bool {
        self.key == key && self.modifiers == held && self.from.is_none_or(|from| from == active)
    }

    /// Where the first matching chord leads. One that names the VT it works on goes before those that do not.
    #[must_use]
    pub fn find(chords: &[Self], held: Held, key: Keysym, active: VtNumber) -> Option<Target> {
        let matching = || chords.iter().filter(|chord| chord.matches(held, key, active));
        matching().find(|chord| chord.from.is_some()).or_else(|| matching().next()).map(|chord| chord.to)
    }
}

/// The key's name that chords are compared by, whatever the viewer's layout made of the key.
///
/// X turns Ctrl-Alt-Fn into `XF86Switch_VT_n` (0x1008fe00 + n); the keypad's digits count as digits; letters are
/// compared in lower case. With a QEMU key code (an XT scan code) the digit row is known on layouts where it needs
/// Shift, too.
#[must_use]
pub fn plain_key(keysym: Keysym, keycode: Option<u32>) -> Keysym {
    match (keysym.0, keycode) {
        (0x1008_fe01..=0x1008_fe0c, _) => Keysym(Keysym::F1.0 + (keysym.0 - 0x1008_fe01)),
        (_, Some(code @ 0x02..=0x0a)) => Keysym(u32::from(b'1') + (code - 0x02)),
        (_, Some(0x0b)) => Keysym(u32::from(b'0')),
        (0xffb0..=0xffb9, _) => Keysym(u32::from(b'0') + (keysym.0 - Keysym::KP_0.0)),
        (0x41..=0x5a, _) => Keysym(keysym.0 + 0x20),
        _ => match keysym {
            Keysym::KP_LEFT => Keysym::LEFT,
            Keysym::KP_RIGHT => Keysym::RIGHT,
            Keysym::KP_UP => Keysym::UP,
            Keysym::KP_DOWN => Keysym::DOWN,
            Keysym::KP_PAGE_UP => Keysym::PAGE_UP,
            Keysym::KP_PAGE_DOWN => Keysym::PAGE_DOWN,
            Keysym::KP_HOME => Keysym::HOME,
            Keysym::KP_END => Keysym::END,
            Keysym::KP_INSERT => Keysym::INSERT,
            Keysym::KP_DELETE => Keysym::DELETE,
            Keysym::KP_ENTER => Keysym::RETURN,
            other => other,
        },
    }
}

/// The key of this name, in lower case.
fn key_named(name: &str) -> Option<Keysym> {
    if let Some((_, key)) = NAMED_KEYS.iter().find(|(known, _)| *known == name) {
        return Some(*key);
    }
    let mut chars = name.chars();
    match (chars.next(), chars.as_str()) {
        (Some(c), "") if c.is_ascii_graphic() => Some(Keysym::from_char(c)),
        (Some('f'), _) => {
            let vt: VtNumber = name.parse().ok()?;
            Some(Keysym(Keysym::F1.0 + u32::from(vt.get()) - 1))
        }
        _ => None,
    }
}

/// Where a key leads that names its target.
fn natural_target(key: Keysym) -> Option<Target> {
    let number = match key.0 {
        code @ 0xffbe..=0xffc9 => u8::try_from(code - Keysym::F1.0 + 1).ok()?,
        0x30 => 10,
        code @ 0x31..=0x39 => u8::try_from(code - 0x30).ok()?,
        _ if key == Keysym::LEFT => return Some(Target::Previous),
        _ if key == Keysym::RIGHT => return Some(Target::Next),
        _ => return None,
    };
    VtNumber::new(number).map(Target::Vt)
}

impl FromStr for Target {
    type Err = BadVtNumber;

    fn from_str(text: &str) -> Result<Self, BadVtNumber> {
        match text {
            "next" => Ok(Self::Next),
            "previous" => Ok(Self::Previous),
            vt => vt.parse().map(Self::Vt),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vt(vt) => vt.fmt(f),
            Self::Next => f.write_str("next"),
            Self::Previous => f.write_str("previous"),
        }
    }
}

impl FromStr for Chord {
    type Err = ChordError;

    fn from_str(text: &str) -> Result<Self, ChordError> {
        let whole = text.trim().to_lowercase();
        let (rest, target) = match whole.split_once("->") {
            Some((rest, target)) => (rest, Some(target.trim().parse()?)),
            None => (whole.as_str(), None),
        };
        let (from, keys) = match rest.split_once(':') {
            Some((from, keys)) => (Some(from.trim().parse()?), keys.trim()),
            None => (None, rest.trim()),
        };
        let (modifiers, key) = keys.rsplit_once('-').map_or((None, keys), |(all, key)| (Some(all), key));
        let key = key_named(key).ok_or_else(|| ChordError::Key { found: key.to_owned() })?;
        let mut held = Held::default();
        for modifier in modifiers.into_iter().flat_map(|all| all.split('-')) {
            match modifier {
                "ctrl" | "control" => held.control = true,
                "alt" | "meta" => held.alt = true,
                "shift" => held.shift = true,
                "super" | "win" => held.logo = true,
                other => return Err(ChordError::Modifier { found: other.to_owned() }),
            }
        }
        if !(held.control || held.alt || held.logo) {
            return Err(ChordError::Bare { chord: text.trim().to_owned() });
        }
        let to = target
            .or_else(|| natural_target(key))
            .ok_or_else(|| ChordError::NoTarget { chord: text.trim().to_owned() })?;
        Ok(Self { modifiers: held, key, from, to })
    }
}

impl fmt::Display for Chord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(from) = self.from {
            write!(f, "{from}: ")?;
        }
        let held = self.modifiers;
        let modifiers =
            [(held.control, "Ctrl-"), (held.alt, "Alt-"), (held.shift, "Shift-"), (held.logo, "Super-")];
        for (_, name) in modifiers.iter().filter(|(held, _)| *held) {
            f.write_str(name)?;
        }
        match (NAMED_KEYS.iter().find(|(_, key)| *key == self.key), self.key.to_char()) {
            (Some((name, _)), _) => f.write_str(name)?,
            (None, Some(c)) => write!(f, "{c}")?,
            (None, None) => write!(f, "F{}", self.key.0.saturating_sub(Keysym::F1.0) + 1)?,
        }
        write!(f, " -> {}", self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CTRL_ALT: Held = Held { shift: false, control: true, alt: true, logo: false };

    fn vt(number: u8) -> VtNumber {
        VtNumber::new(number).unwrap()
    }

    #[test]
    fn keys_that_name_their_target_need_no_arrow() {
        let cases = [
            ("ctrl-alt-f7", Keysym::F7, Target::Vt(vt(7))),
            ("Ctrl-Alt-F12", Keysym::F12, Target::Vt(vt(12))),
            ("ctrl-alt-3", Keysym(0x33), Target::Vt(vt(3))),
            ("control-meta-0", Keysym(0x30), Target::Vt(vt(10))),
            ("ctrl-alt-left", Keysym::LEFT, Target::Previous),
            (" ctrl-alt-right ", Keysym::RIGHT, Target::Next),
            ("ctrl-alt-x -> next", Keysym(0x78), Target::Next),
        ];
        for (text, key, to) in cases {
            let chord = Chord { modifiers: CTRL_ALT, key, from: None, to };
            assert_eq!(text.parse(), Ok(chord), "{text}");
        }
    }

    #[test]
    fn a_chord_with_a_direction_works_there_and_goes_first() {
        let chords: Vec<Chord> = ["ctrl-alt-f12", "f1: ctrl-alt-f12 -> f7", "f7:ctrl-alt-f12->f1"]
            .iter()
            .map(|text| text.parse().unwrap())
            .collect();
        let lead = |from| Chord::find(&chords, CTRL_ALT, Keysym::F12, vt(from));
        assert_eq!(lead(1), Some(Target::Vt(vt(7))));
        assert_eq!(lead(7), Some(Target::Vt(vt(1))));
        assert_eq!(lead(2), Some(Target::Vt(vt(12))));
        let with_shift = Held { shift: true, ..CTRL_ALT };
        assert_eq!(Chord::find(&chords, with_shift, Keysym::F12, vt(1)), None);
    }

    #[test]
    fn texts_that_are_no_chord_say_why() {
        let cases = [
            ("", "no key is called \"\""),
            ("ctrl-alt-", "no key is called \"\""),
            ("ctrl-alt-f13", "no key is called \"f13\""),
            ("hyper-alt-f1", "no modifier is called \"hyper\", wanted ctrl, alt, shift or super"),
            ("ctrl--f1", "no modifier is called \"\", wanted ctrl, alt, shift or super"),
            ("f1", "\"f1\" has neither ctrl, alt nor super, so that the guest could not be typed to"),
            (
                "shift-a -> f1",
                "\"shift-a -> f1\" has neither ctrl, alt nor super, so that the guest could not be typed to",
            ),
            ("ctrl-alt-x", "\"ctrl-alt-x\" leads nowhere, wanted for example \"ctrl-alt-x\" -> f7"),
            ("ctrl-alt-x -> f99", "no virtual terminal is called \"f99\", wanted f1 to f12"),
            ("home: ctrl-alt-f1", "no virtual terminal is called \"home\", wanted f1 to f12"),
        ];
        for (text, message) in cases {
            let error = text.parse::<Chord>().unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }

    #[test]
    fn every_chord_can_be_written_and_read_back() {
        let mut chords = Chord::defaults();
        for (_, key) in NAMED_KEYS {
            let modifiers = Held { shift: true, control: false, alt: false, logo: true };
            chords.push(Chord { modifiers, key: *key, from: Some(vt(2)), to: Target::Next });
        }
        for chord in chords {
            assert_eq!(chord.to_string().parse(), Ok(chord.clone()), "{chord}");
        }
    }

    #[test]
    fn keys_are_known_under_the_names_that_viewers_give_them() {
        assert_eq!(plain_key(Keysym(0x1008_fe07), None), Keysym::F7);
        assert_eq!(plain_key(Keysym(0x1008_fe0c), None), Keysym::F12);
        assert_eq!(plain_key(Keysym::KP_3, None), Keysym(0x33));
        assert_eq!(plain_key(Keysym::from_char('X'), None), Keysym::from_char('x'));
        // The key 1 of a French keyboard.
        assert_eq!(plain_key(Keysym::from_char('&'), Some(2)), Keysym::from_char('1'));
        assert_eq!(plain_key(Keysym::from_char('à'), Some(11)), Keysym::from_char('0'));
    }
}
