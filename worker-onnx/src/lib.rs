//! ONNX exports on ONNX Runtime.
