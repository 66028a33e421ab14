//! A worker for a format of its own, as somebody else would write one: a `Backend`, and the runtime does the rest.

use std::process::ExitCode;

use impetus_tests::fake::Fake;

fn main() -> ExitCode {
    impetus_runtime::run::<Fake>()
}
