//! `make chaos`

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    impetus_tests::chaos::run()
}
