//! The `xenvnc` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    xenvnc::cli::main()
}
