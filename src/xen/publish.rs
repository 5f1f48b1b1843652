//! What we publish.
