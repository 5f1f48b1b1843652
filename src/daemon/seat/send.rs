//! Sending what a connection takes, the same for viewers and for servers in the guest.

use std::io;

/// Sends from the front of `output` what `write` takes, and keeps the rest. True when the other side is full.
///
/// # Errors
/// What `write` says, other than that it would block.
pub(super) fn send(output: &mut Vec<u8>, write: impl Fn(&[u8]) -> io::Result<usize>) -> io::Result<bool> {
    let mut sent = 0;
    let mut result = Ok(false);
    while sent < output.len() {
        match write(&output[sent..]) {
            Ok(count) => sent += count,
            Err(error) => {
                result = if error.kind() == io::ErrorKind::WouldBlock { Ok(true) } else { Err(error) };
                break;
            }
        }
    }
    output.drain(..sent);
    result
}
