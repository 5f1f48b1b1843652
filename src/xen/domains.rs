//! Which domains there are.
