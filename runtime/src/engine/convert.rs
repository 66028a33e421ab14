//! How an engine library makes a GGUF file of a model.

use std::{io, path::PathBuf};

/// A file that is to be made.
#[derive(Debug, Clone)]
pub struct Conversion {
    /// The model's file, the first file of a split, or its folder.
    pub path: PathBuf,
    /// The folder that no file of the model may lie outside of, links resolved.
    pub root: PathBuf,
    /// The file to write, which is not there yet.
    pub target: PathBuf,
    /// How its weights are to be stored, `q4_k_m` for example; `None`: as exactly as the model has them.
    pub kind: Option<String>,
    /// What the file is to call the model.
    pub name: String,
    /// Threads that may compute; at least one.
    pub threads: u32,
}

/// Why no file was made, by what can be done about it.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// Nobody has written how.
    #[error(
        "models of the format {format} cannot be converted; use the safetensors, PyTorch, MLX or GGUF form of this one"
    )]
    Format {
        /// The worker's format.
        format: &'static str,
    },
    /// The model is damaged, or of a kind that cannot be expressed.
    #[error("{} cannot be converted: {reason}", path.display())]
    Unfit {
        /// The model.
        path: PathBuf,
        /// What is in the way.
        reason: String,
    },
    /// The disk says no.
    #[error("cannot write {}: {source}; check the disk of models.store", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the kernel answered.
        source: io::Error,
    },
}
