//! How what has changed on a screen becomes rectangles: [`merge`](mod@merge) says which of them are worth being one,
//! and [`cells`] how one is cut where its contents differ, for encodings whose rectangles have one form each.
//!
//! Planning looks at rectangles and pixels and writes nothing; encoders write what was planned.

pub mod cells;
pub mod merge;

pub use cells::{Class, Planner};
pub use merge::{Cost, merge};
