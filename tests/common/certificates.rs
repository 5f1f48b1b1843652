//! The certificates of tests/data/tls.

use xenvnc::rfb::security::tls::ServerTls;

/// Signs itself.
pub(crate) const SELF: &[u8] = include_bytes!("../data/tls/self.pem");
pub(crate) const SELF_KEY: &[u8] = include_bytes!("../data/tls/self.key");
/// The authority of the next two.
pub(crate) const CA: &[u8] = include_bytes!("../data/tls/ca.pem");
/// For vnc.example and 192.0.2.7.
pub(crate) const SERVER: &[u8] = include_bytes!("../data/tls/server.pem");
pub(crate) const SERVER_KEY: &[u8] = include_bytes!("../data/tls/server.key");

/// A server with a certificate that the authority has signed.
pub(crate) fn server_tls() -> ServerTls {
    ServerTls::from_pem(SERVER, SERVER_KEY).expect("a certificate and its key")
}
