//! What a model is, as far as its files tell without an engine: bounded reading of GGUF and safetensors headers, of
//! ONNX graphs and of the settings beside them, metadata, and the catalog of what the configured places hold.
//!
//! Everything read here may be hostile. No length, count or offset in a file is believed before it is compared
//! with the size of the file and with a limit of our own, so reading one takes bounded time and memory.

mod broken;
mod catalog;
mod elsewhere;
mod excerpt;
mod footprint;
pub mod gguf;
mod metadata;
mod name;
mod ollama;
pub mod onnx;
mod path;
mod reference;
pub mod safetensors;
mod settings;
mod sha256;
#[cfg(test)]
mod testing;

pub use broken::{Broken, FolderProblem};
pub use catalog::{
    CANDLE_FORMAT, Catalog, FormatPattern, GGUF_FORMAT, Model, ONNX_FORMAT, Place, Problem, State,
};
pub use elsewhere::Elsewhere;
pub use footprint::{Footprint, FootprintParams, Share, footprint};
pub use metadata::{Metadata, Task};
pub use name::{ModelName, NameError};
pub use ollama::{OllamaLayer, OllamaManifest};
pub use path::RelativePath;
pub use reference::{MAIN, Reference, ReferenceError};
pub use sha256::{NoSha256, Sha256, from_hex};
