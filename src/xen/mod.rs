//! Everything that touches Xen: the store, consoles, event channels and grants.

pub mod console;
pub mod sys;
