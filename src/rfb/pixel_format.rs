//! Pixel formats (RFC 6143 §7.4).
