//! The `fetcher` program; the supervisor starts it.

use std::process::ExitCode;

fn main() -> ExitCode {
    impetus_fetcher::run()
}
