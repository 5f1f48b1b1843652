//! The RFB protocol (RFC 6143 and the community's extensions), as state machines without sockets or clocks: bytes
//! in, events and bytes out.
//!
//! [`server::ServerConnection`] is one viewer as a server sees it, [`client::ClientConnection`] one server as a client
//! sees it. Below them lie the parts that both directions share: [`message`]s, [`pixel_format`]s, [`encoding`]s with encoder and decoder side by side, and [`security`].

pub mod client;
pub mod deflate;
pub mod encoding;
pub mod message;
pub mod pixel_format;
pub mod plan;
pub mod relay;
pub mod security;
pub mod server;
pub mod tile;
pub mod wire;
