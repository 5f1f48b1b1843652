//! VNC Everywhere: one VNC endpoint for every Xen domain.
//!
//! The modules and what each may use are described in `ARCHITECTURE.md`; `tests/layering.rs` enforces it.

pub mod cli;
pub mod config;
pub mod control;
pub mod daemon;
pub mod demo;
pub mod geometry;
pub mod guest;
pub mod keysym;
pub mod net;
pub mod rfb;
pub mod screen;
pub mod seat;
pub mod terminal;
pub mod xen;
