//! The ONNX worker's process.

fn main() {}
