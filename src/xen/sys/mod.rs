//! System calls that `nix` has no safe form for: ioctls of the Xen devices and of terminals, and shared mappings.
#![expect(unsafe_code, reason = "this folder and console/ring.rs hold the crate's only unsafe code")]

pub mod reactor;
pub mod tty;
