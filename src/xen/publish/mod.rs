//! What we publish for other programs, and our own records of it.

mod ports;

pub use self::ports::{DEFAULT_PORTS, Ports};
