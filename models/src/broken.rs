//! Why a model that was found cannot be served.

mod folder;

use std::{io, path::PathBuf, sync::Arc};

pub use folder::FolderProblem;

use crate::gguf::GgufError;

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
    /// A model's folder, or a file that lacks its folder.
    #[error(transparent)]
    Folder(#[from] FolderProblem),
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
        matches!(self, Self::Folder(problem) if problem.is_unread())
    }
}

fn with_cause(error: &GgufError) -> String {
    match error {
        GgufError::Io { source, .. } => format!("{error}: {source}"),
        _ => error.to_string(),
    }
}
