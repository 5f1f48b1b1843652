//! How what has changed on a screen becomes rectangles: [`merge`](mod@merge) says which of them are worth being one,
//! and [`cells`] how one is cut where its contents differ, for encodings whose rectangles have one form each. [`scroll`]
//! finds what has only moved, where the source of the pixels does not tell.
//!
//! Planning looks at rectangles and pixels and writes nothing; encoders write what was planned.

pub mod cells;
pub mod merge;
pub mod scroll;

pub use cells::{Class, Planner};
pub use merge::{Cost, merge};
pub use scroll::Scrolls;
