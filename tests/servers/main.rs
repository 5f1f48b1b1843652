//! The library's client on servers that we did not write: TigerVNC's and TightVNC's X servers, x11vnc, and QEMU. What the
//! canvas shows is compared with the same screen read in another way: `xwd`, or QEMU's own screen dump.
//!
//! The programs come with `scripts/setup`. Each test has its own server, on a Unix socket or a free port of the loopback
//! interface, on a display of its own.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "failing is how a test reports")]

#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../common/certificates.rs"]
mod certificates;
mod display;
#[allow(dead_code, reason = "other tests use the rest")]
mod machine;
#[allow(dead_code, reason = "other tests use the rest")]
mod picture;
mod program;
mod qemu;
mod tiger_vnc;
mod tight_vnc;
mod upstream;
mod vencrypt;
mod x11vnc;
mod xvnc;
