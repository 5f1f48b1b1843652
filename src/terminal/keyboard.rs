//! Keys to bytes.

/// The modifier keys that are down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "one per key of the keyboard")]
pub struct Modifiers {
    /// Either Shift.
    pub shift: bool,
    /// Either Control.
    pub control: bool,
    /// Either Alt.
    pub alt: bool,
    /// Either Meta or Super.
    pub meta: bool,
}

/// Which bytes F1 to F5, Home and End send; everything else is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum FunctionKeys {
    /// As `Xterm`, until the guest shows by sequences that only the Linux console knows that it believes to talk
    /// to one.
    #[default]
    Auto,
    /// F1 is `ESC O P`: right for `TERM` xterm, vt220 and vt100.
    Xterm,
    /// F1 is `ESC [ [ A`: right for `TERM=linux` only.
    Linux,
}
