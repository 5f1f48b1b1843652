//! The wiring: tasks, files and sockets around the sans-io parts.

pub mod history_file;
