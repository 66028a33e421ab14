//! The worker on real folders. One process serves all tests, since the library is loaded once.

mod broken;
mod bundled;
mod cache;
mod conformance;
mod embedding;
mod export;
mod layouts;
mod onnx;
mod ranking;
