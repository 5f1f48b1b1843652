//! The `xenvnc` command.
fn main() {}
