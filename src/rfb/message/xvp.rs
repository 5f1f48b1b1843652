//! xvp (the community's RFB specification, "xvp Client Message" and "xvp Server Message"): a viewer may ask for the
//! machine to be shut down, rebooted or reset. The message is the same in both directions.

use crate::rfb::wire::{NeedMore, Reader, Writer};

/// What a side says.
///
/// Wire: type 250, a byte of padding, the extension's version (8 bits), the code (8 bits).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Xvp {
    /// The extension's version: 1.
    pub version: u8,
    /// One of the codes below; others are to be ignored.
    pub code: u8,
}

impl Xvp {
    /// The one version that exists.
    pub const VERSION: u8 = 1;
    /// From a server: what was asked for could not be done.
    pub const FAIL: u8 = 0;
    /// From a server: the extension may be used.
    pub const INIT: u8 = 1;
    /// From a viewer: shut down in good order.
    pub const SHUTDOWN: u8 = 2;
    /// From a viewer: shut down in good order and start again.
    pub const REBOOT: u8 = 3;
    /// From a viewer: start again at once.
    pub const RESET: u8 = 4;

    /// Reads what stands behind the type.
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, NeedMore> {
        let [_, version, code] = reader.array()?;
        Ok(Self { version, code })
    }

    /// Appends what stands behind the type.
    pub(super) fn encode(self, out: &mut Vec<u8>) {
        out.put(&[0, self.version, self.code]);
    }
}
