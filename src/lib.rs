//! VNC Everywhere: one VNC endpoint for every Xen domain.
//!
//! The modules and what each may use are described in `ARCHITECTURE.md`; `tests/layering.rs` enforces it.

pub mod demo;
pub mod geometry;
pub mod keysym;
pub mod rfb;
pub mod screen;
pub mod terminal;
pub mod xen;
