//! System calls that `nix` has no safe form for: ioctls of the Xen devices and of terminals, and shared mappings.
