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
    /// What is not computed but by the processor.
    #[error(
        "only decoders of known families that generate text are computed on `{name}`; use `device = \"cpu\"`"
    )]
    Device {
        /// The device that was asked for.
        name: &'static str,
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
    /// One of candle's own models cannot be made of the folder.
    #[error("the stock model for `{architecture}` could not be made: {reason}")]
    Stock {
        /// `model_type`.
        architecture: String,
        /// The library's words.
        reason: String,
    },
    /// An option that stock models do not have.
    #[error(
        "the option `{option}` cannot be set for `{architecture}`, which runs through candle's stock model in F32"
    )]
    StockOption {
        /// Its name.
        option: &'static str,
        /// `model_type`.
        architecture: &'static str,
    },
    /// What a GGUF file has no way to say.
    #[error("`{file}` cannot be written into a GGUF file: {reason}")]
    Unwritable {
        /// The file.
        file: &'static str,
        /// What of it.
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

/// Characters of a library's words that a message repeats.
const MAX_WORDS: usize = 300;

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
    pub(crate) fn tensor(name: impl Into<String>, error: &candle_core::Error) -> Self {
        Self::Tensor { name: name.into(), reason: words(error) }
    }

    /// A tensor that cannot be what the config says.
    pub(crate) fn unfit(name: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Tensor { name: name.into(), reason: reason.into() }
    }
}

/// A library's words for people: one line without the trace that may follow it.
pub(crate) fn words(error: &candle_core::Error) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().chars().take(MAX_WORDS).collect()
}
