//! A seat: what a viewer connects to. One for each guest; it holds the guest's VTs and the viewers who look at them.

pub mod chord;
pub mod keys;
pub mod pacing;
pub mod vt;
