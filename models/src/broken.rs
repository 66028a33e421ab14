//! Why a model that was found cannot be served.

use std::{io, path::PathBuf, sync::Arc};

use crate::{gguf::GgufError, onnx::OnnxError, safetensors::SafetensorsError};

/// What is wrong with a model's files. Messages are for people: they name the file or key and what was expected.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Broken {
    /// The header cannot be read.
    #[error("{}", with_cause(.0))]
    Header(#[source] Arc<GgufError>),
    /// The header of one part of a split model cannot be read.
    #[error("part {file:?}: {}", with_cause(.source))]
    Part {
        /// The part's file name.
        file: String,
        /// What is wrong with it.
        source: Arc<GgufError>,
    },
    /// Parts of a split model are not there.
    #[error("{count} of its {total} parts are missing or of another format: {}", .names.join(", "))]
    MissingParts {
        /// How many.
        count: u32,
        /// How many parts the model has.
        total: u32,
        /// The file names of the first few.
        names: Vec<String>,
    },
    /// A part whose header contradicts its file name.
    #[error("{file:?} says that it is part {part} of {total}, against its name; it was renamed or mixed up")]
    PartMismatch {
        /// The part's file name.
        file: String,
        /// Its number in the header, from 1.
        part: u64,
        /// The number of parts in the header.
        total: u64,
    },
    /// A part of a split model that is not named as one, so that its other parts cannot be found.
    #[error(
        "the file is one of {total} parts, but its name does not end in -00001-of-{total:05}.gguf; \
         give it its original name"
    )]
    PartName {
        /// The number of parts in the header.
        total: u64,
    },
    /// Parts that hold another number of tensors than the first one announces.
    #[error(
        "its parts hold {found} tensors, but {expected} are announced; parts of different models are mixed"
    )]
    PartTensors {
        /// How many were found.
        found: u64,
        /// How many were announced.
        expected: u64,
    },
    /// A file of vocabulary or settings without weights.
    #[error("the file holds no tensors: it is a vocabulary, not a model")]
    NoTensors,
    /// Something that belongs to another model.
    #[error("the file is {kind:?}, which extends another model and cannot be served by itself")]
    Companion {
        /// `general.type` or the architecture.
        kind: String,
    },
    /// A key without which no model can be loaded.
    #[error("the key {key:?} is missing")]
    MissingKey {
        /// The key.
        key: String,
    },
    /// A value of a type that the key cannot have.
    #[error("the value of {key:?} is not {expected}")]
    WrongType {
        /// The key.
        key: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A number that no model has.
    #[error("{key:?} is {value}; {expected} is expected")]
    Implausible {
        /// The key.
        key: String,
        /// The value found.
        value: f64,
        /// What it should be.
        expected: &'static str,
    },
    /// A number in a folder's settings that no model has.
    #[error("{key:?} in {file} is {value}; {expected} is expected")]
    Setting {
        /// The file's name.
        file: &'static str,
        /// The key.
        key: String,
        /// The value found.
        value: f64,
        /// What it should be.
        expected: &'static str,
    },
    /// More layers than tensors to make them of.
    #[error("{layers} layers are declared, but there are only {tensors} tensors")]
    LayersWithoutTensors {
        /// Declared layers.
        layers: u32,
        /// Tensors found.
        tensors: u64,
    },
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
    /// The configured path cannot be used.
    #[error("{path:?} cannot be read: {source}")]
    Path {
        /// The path.
        path: PathBuf,
        /// Why.
        source: Arc<io::Error>,
    },
    /// A configured file that no worker serves.
    #[error("{path:?} is of no known format; configure a worker with a pattern for it")]
    UnknownFormat {
        /// The path.
        path: PathBuf,
    },
    /// A configured folder that does not hold exactly one model.
    #[error("the folder {path:?} holds {count} models where one is expected; give the path of its file")]
    NotOneModel {
        /// The folder.
        path: PathBuf,
        /// How many models it holds.
        count: usize,
    },
}

impl Broken {
    /// Whether a file could not be read, which may pass without the file changing.
    pub(crate) fn is_unread(&self) -> bool {
        match self {
            Self::File { .. } => true,
            Self::Safetensors { source, .. } => matches!(**source, SafetensorsError::Io { .. }),
            Self::Onnx { source, .. } => matches!(**source, OnnxError::Io { .. }),
            _ => false,
        }
    }
}

fn with_cause(error: &GgufError) -> String {
    match error {
        GgufError::Io { source, .. } => format!("{error}: {source}"),
        _ => error.to_string(),
    }
}
