//! The ONNX worker's process.

use std::process::ExitCode;

fn main() -> ExitCode {
    impetus_runtime::run::<impetus_worker_onnx::Onnx>()
}
