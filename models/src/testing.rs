//! Writers of model files for tests, correct ones and any other.

pub(crate) mod gguf;
pub(crate) mod onnx;
pub(crate) mod safetensors;
