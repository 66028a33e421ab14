//! What is wrong with a model that is a folder.

use std::{io, sync::Arc};

use crate::{onnx::OnnxError, safetensors::SafetensorsError};

/// What is wrong with the files of a folder. They are named by their paths within it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FolderProblem {
    /// A file of a model's folder could not be read.
    #[error("{file} cannot be read: {source}")]
    File {
        /// Its path within the folder.
        file: String,
        /// Why.
        source: Arc<io::Error>,
    },
    /// A link in a model's folder that leads out of the place.
    #[error(
        "{file} is a link that leads out of the models folder; put the file in its place, or set \
         models.follow_links"
    )]
    OutsideLink {
        /// Its path within the folder.
        file: String,
    },
    /// A file of settings beyond its limit.
    #[error("{file} has {bytes} bytes; at most {limit} are read")]
    TooLarge {
        /// Its path within the folder.
        file: String,
        /// Its bytes.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// A file of settings that is no JSON, or not what it should be.
    #[error("{file} is damaged: {source}")]
    Json {
        /// Its path within the folder.
        file: String,
        /// What is wrong and where.
        source: Arc<serde_json::Error>,
    },
    /// What stands for weights that were not fetched.
    #[error("{file} is a pointer that Git LFS left in its place; fetch the file with `git lfs pull`")]
    LfsPointer {
        /// Its path within the folder.
        file: String,
    },
    /// A file that is no archive of PyTorch or NumPy.
    #[error("{file} is no archive as PyTorch or NumPy write them; it is damaged or of another kind")]
    NoArchive {
        /// Its path within the folder.
        file: String,
    },
    /// Files with weights in which there are none.
    #[error("its files with weights hold no tensors; copy or fetch them again")]
    EmptyWeights,
    /// A safetensors file whose header is refused.
    #[error("{file}: {source}")]
    Safetensors {
        /// Its path within the folder.
        file: String,
        /// What is wrong with it.
        source: Arc<SafetensorsError>,
    },
    /// An ONNX file that is refused.
    #[error("{file}: {source}")]
    Onnx {
        /// Its path within the folder.
        file: String,
        /// What is wrong with it.
        source: Arc<OnnxError>,
    },
    /// Weights or a graph without what tells how to use them.
    #[error(
        "no config.json that describes {file} was found; copy the whole folder that it comes from, config.json and \
         tokenizer.json included, and give the path of that folder"
    )]
    MissingConfig {
        /// The file's name.
        file: String,
    },
    /// Files that another one names and that are not there.
    #[error("{count} of the files that {by} names are missing: {}; copy or fetch them too", .names.join(", "))]
    MissingFiles {
        /// The file that names them, by its path within the folder.
        by: String,
        /// How many.
        count: usize,
        /// The first few.
        names: Vec<String>,
    },
    /// A path in a model's file that does not stay in the model's folder.
    #[error("{by} names the file {name:?}; only plain paths within its own folder are allowed")]
    FilePath {
        /// The file that names it, by its path within the folder.
        by: String,
        /// An excerpt of the path.
        name: String,
    },
    /// A file with external data that ends too early.
    #[error("{file} has {found} bytes, but {by} has data in it up to byte {needed}; it is incomplete")]
    ShortFile {
        /// Its path within the folder.
        file: String,
        /// The graph with data in it.
        by: String,
        /// Bytes that it must have at least.
        needed: u64,
        /// Bytes that it has.
        found: u64,
    },
    /// Files with weights none of which is known to be the model, or which are shards without their index.
    #[error(
        "it is not clear which of {} are the model: a {index} that names them is missing", .names.join(", ")
    )]
    ManyWeights {
        /// The first few.
        names: Vec<String>,
        /// The file that would tell.
        index: String,
    },
    /// Graphs none of which is known to be the one to begin with.
    #[error(
        "it is not clear which of the graphs {} is the model; configure the path of one as that of a model",
        .names.join(", ")
    )]
    ManyGraphs {
        /// The first few.
        names: Vec<String>,
    },
}

impl FolderProblem {
    /// Whether a file could not be read, which may pass without the file changing.
    pub(super) fn is_unread(&self) -> bool {
        match self {
            Self::File { .. } => true,
            Self::Safetensors { source, .. } => matches!(**source, SafetensorsError::Io { .. }),
            Self::Onnx { source, .. } => matches!(**source, OnnxError::Io { .. }),
            _ => false,
        }
    }
}
