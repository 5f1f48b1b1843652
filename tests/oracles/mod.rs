//! What must hold for any bytes whatever, as plain functions: `fuzz/` searches for bytes that break them, and
//! `tests/oracles.rs` replays those in `tests/data/fuzz`.
//!
//! Each takes the bytes as instructions and as data, and panics when something does not hold.

mod bytes;
mod decoder;
mod input;
mod round_trip;
mod seat;
mod sequence;

pub use decoder::decoder;
pub use input::{client_input, server_input};
pub use round_trip::round_trip;
pub use seat::seat;
pub use sequence::sequence;

/// An oracle.
pub type Oracle = fn(&[u8]);

/// All of them, by the names of their targets and of the directories of their bytes.
pub const ALL: [(&str, Oracle); 6] = [
    ("server_input", server_input),
    ("client_input", client_input),
    ("decoder", decoder),
    ("sequence", sequence),
    ("round_trip", round_trip),
    ("seat", seat),
];
