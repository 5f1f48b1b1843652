//! The RFB library, seen from outside: encoders against their decoders, whole connections against a viewer made of
//! the library's own decoders, against hostile input, and against a viewer that we did not write.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod abilities;
#[path = "../common/certificates.rs"]
mod certificates;
mod client;
mod client_hostile;
mod connection;
mod encodings;
mod foreign;
mod hostile;
mod oracles;
mod screen;
mod security;
mod security_hostile;
mod viewer;
