//! What can be wrong with a model folder, in words for whoever has to repair it.

use std::path::Path;

use impetus_runtime::{engine::LoadError, huggingface::FolderError};

/// Why a folder is not a model that this worker can run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ModelError {
    /// A file of the folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A setting in `config.json` that is missing or impossible.
    #[error("`{field}` in config.json {problem}")]
    Config {
        /// The setting's name.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A kind of model that nobody has implemented here.
    #[error("the architecture `{name}` is not known; known are {known}")]
    Architecture {
        /// As config.json has it.
        name: String,
        /// All that are known.
        known: String,
    },
    /// The weights lack a tensor.
    #[error("the tensor `{name}` is missing from {files}")]
    MissingTensor {
        /// Its name.
        name: String,
        /// Where it was looked for.
        files: String,
    },
    /// A tensor does not fit config.json.
    #[error("the tensor `{name}` has the shape {found:?} where config.json asks for {expected:?}")]
    Shape {
        /// Its name.
        name: String,
        /// What config.json implies.
        expected: Vec<usize>,
        /// What the file has.
        found: Vec<usize>,
    },
    /// A tensor cannot be read or converted.
    #[error("the tensor `{name}` could not be loaded: {reason}")]
    Tensor {
        /// Its name.
        name: String,
        /// The library's words.
        reason: String,
    },
    /// Weights quantized in a way that is not implemented.
    #[error("the weights are quantized with {method}, which is not supported; {instead}")]
    Quantization {
        /// The method's name.
        method: String,
        /// What to use instead.
        instead: &'static str,
    },
}

impl ModelError {
    /// The error for the runtime: somebody has to replace the model at `path`.
    pub(crate) fn broken(&self, path: &Path) -> LoadError {
        LoadError::Broken { path: path.to_owned(), reason: self.to_string() }
    }

    /// A file that is not what its name says.
    pub(crate) fn damaged(file: &str, reason: impl Into<String>) -> Self {
        FolderError::Damaged { file: file.to_owned(), reason: reason.into() }.into()
    }

    /// A setting that is wrong.
    pub(crate) fn config(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Config { field: field.into(), problem: problem.into() }
    }

    /// A tensor that the library refused.
    pub(crate) fn tensor(name: impl Into<String>, reason: impl std::fmt::Display) -> Self {
        Self::Tensor { name: name.into(), reason: reason.to_string() }
    }
}
