//! The supervisor's program.

use std::process::ExitCode;

fn main() -> ExitCode {
    impetus_supervisor::cli::run()
}
