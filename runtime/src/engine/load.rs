//! How an engine library comes up and loads its one model.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use super::{
    Conversion, ConvertError, EmbeddingEngine, RankingEngine, TextEngine, Vocabulary,
    vocabulary::kinship::Mismatch,
};

/// An engine library. All its calls, and all calls of what it returns, come from the engine's own thread, which
/// nothing of it ever leaves.
pub trait Backend: Sized + 'static {
    /// The format's name, as in `[workers.<format>]`.
    const FORMAT: &'static str;

    /// Initialises the library, before it is known which model will be loaded. `threads` is the number of
    /// compute threads it may use.
    fn start(threads: u32) -> Result<Self, LoadError>;

    /// The library's name and version, for people.
    fn version(&self) -> String;

    /// Loads the model; called once, and once more where a draft model comes with it. What it allocates is freed by the
    /// process's exit.
    fn load(&mut self, spec: &ModelSpec, progress: &Progress) -> Result<Model, LoadError>;

    /// Makes a GGUF file of a model of this format, in a process that does nothing else and in which the library has not
    /// been started.
    fn convert(_conversion: &Conversion) -> Result<(), ConvertError> {
        Err(ConvertError::Format { format: Self::FORMAT })
    }
}

/// What an engine is told of the model that it loads.
#[derive(Debug, Clone)]
pub struct ModelSpec {
    /// The file, the first file of a split, or the folder.
    pub path: PathBuf,
    /// The folder that no file of the model may lie outside of, links resolved.
    pub root: PathBuf,
    /// Sequences to hold at once; at least one.
    pub slots: u32,
    /// Tokens of one slot; 0 leaves it to the model.
    pub context_tokens: u32,
    /// Compute threads; at least one.
    pub threads: u32,
    /// Settings of the format alone.
    pub options: BTreeMap<String, String>,
}

/// A loaded model.
pub struct Model {
    /// What it does, and what computes it.
    pub task: Task,
    /// Text to tokens and back.
    pub vocabulary: Arc<dyn Vocabulary>,
    /// What the model says of itself.
    pub card: Card,
}

/// What a model is for.
pub enum Task {
    /// It continues texts.
    Generate(Box<dyn TextEngine>),
    /// It turns texts into vectors.
    Embed(Box<dyn EmbeddingEngine>),
    /// It says how well documents answer a query.
    Rerank(Box<dyn RankingEngine>),
}

impl Task {
    /// The engine of a model that generates.
    pub fn into_generate(self) -> Option<Box<dyn TextEngine>> {
        match self {
            Self::Generate(engine) => Some(engine),
            Self::Embed(_) | Self::Rerank(_) => None,
        }
    }

    /// The engine of a model that embeds.
    pub fn into_embed(self) -> Option<Box<dyn EmbeddingEngine>> {
        match self {
            Self::Embed(engine) => Some(engine),
            Self::Generate(_) | Self::Rerank(_) => None,
        }
    }

    /// The engine of a cross-encoder.
    pub fn into_rerank(self) -> Option<Box<dyn RankingEngine>> {
        match self {
            Self::Rerank(engine) => Some(engine),
            Self::Generate(_) | Self::Embed(_) => None,
        }
    }
}

/// What a model says of itself.
#[derive(Debug, Clone, Default)]
pub struct Card {
    /// The architecture's name, as the file has it.
    pub architecture: String,
    /// Tokens of context that it was trained on.
    pub trained_context_tokens: u32,
    /// The chat template's source, where it has one.
    pub chat_template: Option<String>,
    /// Where the weights are: `cpu`, `CUDA0` ...
    pub devices: Vec<String>,
    /// Bytes of all weights.
    pub weights_bytes: u64,
    /// Whose code computes the model where that is not the worker's usual one; empty otherwise.
    pub implementation: String,
}

/// Tells the supervisor how far a load is. Cheap to clone and to call often.
#[derive(Clone)]
pub struct Progress(Arc<dyn Fn(f32) + Send + Sync>);

impl Progress {
    /// Progress that goes to `report`, as a fraction from 0 to 1.
    pub fn new(report: impl Fn(f32) + Send + Sync + 'static) -> Self {
        Self(Arc::new(report))
    }

    /// Says that `fraction` of the work is done.
    pub fn report(&self, fraction: f32) {
        (self.0)(fraction.clamp(0.0, 1.0));
    }

    /// Progress of the part of the work between these two fractions of it.
    #[must_use]
    pub fn part(&self, from: f32, to: f32) -> Self {
        let whole = self.clone();
        Self::new(move |fraction| whole.report(from + fraction * (to - from)))
    }
}

/// Why a model could not be loaded, by what can be done about it.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The engine library itself does not come up.
    #[error("{engine} could not be initialised: {reason}")]
    Engine {
        /// The library.
        engine: &'static str,
        /// Its words.
        reason: String,
    },
    /// The file is damaged, or of a kind that the engine does not know: somebody has to replace it.
    #[error("{} could not be loaded: {reason}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// The engine's words.
        reason: String,
    },
    /// A setting of `[workers.<format>.options]` is wrong.
    #[error("the option `{name} = {value}` is not valid: {expected}")]
    Option {
        /// The option.
        name: String,
        /// What it was set to.
        value: String,
        /// What it may be.
        expected: String,
    },
    /// A model was named for a draft model that cannot be one.
    #[error(
        "{} cannot guess for {}: {mismatch}; set `draft` to a smaller model of the same family, or to none",
        draft.display(),
        model.display()
    )]
    Draft {
        /// The draft model.
        draft: PathBuf,
        /// The model that it was to guess for.
        model: PathBuf,
        /// Why it cannot.
        mismatch: Mismatch,
    },
    /// There is not enough memory for the weights or the context.
    #[error("not enough memory for {what}: use fewer slots or a shorter context")]
    Memory {
        /// What did not fit.
        what: String,
    },
}
