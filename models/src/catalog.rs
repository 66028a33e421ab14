//! The models that the configured places hold, each under one name.

mod assemble;
mod file;
mod folder;
mod found;
mod pattern;
mod place;
mod probe;
mod split;
#[cfg(test)]
mod tests;
mod walk;

use std::{collections::BTreeMap, io, path::PathBuf, time::SystemTime};

use crate::{broken::Broken, metadata::Metadata, name::ModelName};
use probe::Known;

/// The format of models that are recognised as GGUF by their content.
pub const GGUF_FORMAT: &str = "gguf";
/// The format of folders with `config.json` and weights as the Hugging Face hub, PyTorch and MLX lay them out.
pub const CANDLE_FORMAT: &str = "candle";
/// The format of folders with ONNX graphs and the configuration that they were exported from.
pub const ONNX_FORMAT: &str = "onnx";

/// Where models are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// A folder, searched with all folders in it, or a single file. A file of a model's folder stands for that model,
    /// an ONNX graph for itself.
    pub path: PathBuf,
    /// The name of the one model that is there; without it every model found is named after its file or its folder.
    pub name: Option<ModelName>,
    /// Whether links that lead out of it are followed.
    pub follow_links: bool,
}

/// How files of a format that is not recognised by content are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatPattern {
    /// The format, by the name of its worker.
    pub format: String,
    /// Patterns for file names, in which `*` stands for any characters; upper and lower case are one.
    pub patterns: Vec<String>,
}

/// One model on disk.
#[derive(Debug, Clone)]
pub struct Model {
    /// The name that clients use, unless it is a duplicate.
    pub name: ModelName,
    /// [`GGUF_FORMAT`], [`CANDLE_FORMAT`], [`ONNX_FORMAT`], the format of the pattern it was found by, or empty when
    /// that is unknown.
    pub format: String,
    /// What its worker is given: its first or only file, its folder when the format is [`CANDLE_FORMAT`], its graph
    /// when it is [`ONNX_FORMAT`].
    pub path: PathBuf,
    /// The canonical folder that its files may resolve into; what leads out of it is not to be opened. It is that of
    /// its place, `/` when the place's links are followed, and empty when there is nothing to open.
    pub root: PathBuf,
    /// All its files that exist, those with weights first, the parts of a split model in their order.
    pub files: Vec<PathBuf>,
    /// Bytes of its files with weights.
    pub size_bytes: u64,
    /// When the newest of its files was changed.
    pub modified: Option<SystemTime>,
    /// What is known of it.
    pub state: State,
    /// The path of the model that has this name already; a duplicate is listed but not served.
    pub duplicate_of: Option<PathBuf>,
    /// Whether the name was given and not derived.
    named: bool,
}

/// What is known of a model's content.
#[derive(Debug, Clone)]
pub enum State {
    /// Its header was read and is plausible.
    Described(Box<Metadata>),
    /// Its format is a third party's, so its content is not looked at.
    Opaque,
    /// It cannot be served.
    Broken(Broken),
}

/// Something about a place that hides models from the catalog, for the log.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// A file or a folder could not be read.
    #[error("{path:?} cannot be read: {source}")]
    Unreadable {
        /// It.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A link that leads out of the place it was found in.
    #[error(
        "the link {path:?} leads out of its models folder and is not followed; add its target as a folder, or set \
         models.follow_links"
    )]
    OutsideLink {
        /// The link.
        path: PathBuf,
    },
    /// Folders within folders beyond the limit.
    #[error("{path:?} is nested too deeply and is not searched; {limit} levels are")]
    TooDeep {
        /// The first folder that is not searched.
        path: PathBuf,
        /// The limit.
        limit: usize,
    },
    /// More files than are looked at.
    #[error("{path:?} holds more than {limit} files and folders; what comes after them is not searched")]
    TooMany {
        /// The place.
        path: PathBuf,
        /// The limit.
        limit: usize,
    },
}

/// All models found by one scan, sorted by path.
#[derive(Debug, Default)]
pub struct Catalog {
    models: Vec<Model>,
    by_name: BTreeMap<ModelName, usize>,
    problems: Vec<Problem>,
    /// What was read, so that the next scan opens only what changed.
    known: Known,
}

impl Model {
    /// What its header says, when it could be read and is plausible.
    pub fn metadata(&self) -> Option<&Metadata> {
        match &self.state {
            State::Described(metadata) => Some(metadata),
            State::Opaque | State::Broken(_) => None,
        }
    }

    /// Why it cannot be served.
    pub fn broken(&self) -> Option<&Broken> {
        match &self.state {
            State::Broken(broken) => Some(broken),
            State::Described(_) | State::Opaque => None,
        }
    }

    /// Whether a worker may be given it.
    pub fn is_servable(&self) -> bool {
        self.broken().is_none() && self.duplicate_of.is_none()
    }
}

impl Catalog {
    /// Looks through all places. Reads files and so blocks: from async code, run it on a blocking thread.
    pub fn scan(places: &[Place], patterns: &[FormatPattern]) -> Self {
        Self::default().rescan(places, patterns)
    }

    /// Scans anew, but opens only files that this catalog does not know or that changed since.
    #[must_use]
    pub fn rescan(&self, places: &[Place], patterns: &[FormatPattern]) -> Self {
        assemble::catalog(&self.known, places, patterns)
    }

    /// All models, broken ones and duplicates too, sorted by path.
    pub fn models(&self) -> &[Model] {
        &self.models
    }

    /// The model of this name. It may be broken; it is never a duplicate.
    pub fn get(&self, name: &ModelName) -> Option<&Model> {
        self.by_name.get(name).map(|&model_idx| &self.models[model_idx])
    }

    /// The model that a client names; none too when `name` is no model name at all.
    pub fn find(&self, name: &str) -> Option<&Model> {
        self.get(&ModelName::new(name).ok()?)
    }

    /// What kept places from being searched.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}
