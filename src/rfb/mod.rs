//! The RFB protocol (RFC 6143 and the community's extensions).

pub mod pixel_format;
pub mod security;
pub mod server;
pub mod tile;
