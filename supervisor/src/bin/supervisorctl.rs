//! The program that shows and steers a running server.

use std::process::ExitCode;

fn main() -> ExitCode {
    impetus_supervisor::ctl::run()
}
