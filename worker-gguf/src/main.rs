//! The GGUF worker's process.

use std::process::ExitCode;

fn main() -> ExitCode {
    impetus_runtime::run::<impetus_worker_gguf::Gguf>()
}
