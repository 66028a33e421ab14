//! What can be wrong with a model folder, in words for whoever has to repair it.

use std::path::Path;

use impetus_runtime::engine::LoadError;

/// Why a folder is not a model that this worker can run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ModelError {
    /// A file cannot be read.
    #[error("`{file}` could not be read: {source}")]
    Read {
        /// The file, relative to the folder.
        file: String,
        /// The system's words.
        source: std::io::Error,
    },
    /// A file that must be there is not.
    #[error("the folder has no {what}")]
    Absent {
        /// What was looked for.
        what: &'static str,
    },
    /// A name that leads out of the folder.
    #[error("`{file}` lies outside the model's folder: put a copy of the file into the folder")]
    Outside {
        /// The name.
        file: String,
    },
    /// A file that is larger than anything of its kind.
    #[error("`{file}` has {bytes} bytes, more than the {limit} that such a file can have")]
    TooLarge {
        /// The file.
        file: String,
        /// Its size.
        bytes: u64,
        /// What is allowed.
        limit: u64,
    },
    /// A file that is not what its name says.
    #[error("`{file}` is damaged: {reason}")]
    Damaged {
        /// The file.
        file: String,
        /// The reader's words.
        reason: String,
    },
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
    /// tokenizer.json and config.json contradict each other.
    #[error("tokenizer.json has {tokens} tokens where config.json says `vocab_size` = {vocabulary}")]
    Vocabulary {
        /// Tokens of the tokenizer.
        tokens: usize,
        /// Rows of the embedding.
        vocabulary: usize,
    },
}

impl ModelError {
    /// The error for the runtime: somebody has to replace the model at `path`.
    pub(crate) fn broken(&self, path: &Path) -> LoadError {
        LoadError::Broken { path: path.to_owned(), reason: self.to_string() }
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
