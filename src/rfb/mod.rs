//! The RFB protocol (RFC 6143 and the community's extensions).

pub mod tile;
