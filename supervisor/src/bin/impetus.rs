//! The program with the verbs of everyday use.

use std::process::ExitCode;

fn main() -> ExitCode {
    impetus_supervisor::ctl::impetus::run()
}
