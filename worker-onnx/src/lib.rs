//! ONNX exports on ONNX Runtime, whose library is loaded when the worker starts: decoders as optimum and
//! onnxruntime-genai lay them out, embedding models and cross-encoders.

mod decoder;
mod embedder;
mod engine;
mod error;
mod graph;
mod library;
mod option;
mod padded;
mod place;
mod ranker;
mod settings;

use std::{path::Path, sync::Arc};

use impetus_runtime::{
    engine::{Backend, Card, Limits, LoadError, Model, ModelSpec, Progress, Task},
    huggingface::{HuggingFaceVocabulary, Pooling, chat_template},
};
use tracing::{info, warn};

use crate::{
    decoder::Decoder,
    embedder::{Embedder, Setup},
    engine::OnnxEngine,
    error::ModelError,
    graph::{Graph, Opener},
    library::Library,
    option::Options,
    place::Place,
    ranker::Ranker,
    settings::Settings,
};

/// Tokens of one step.
const TOKENS_PER_STEP: u32 = 512;

/// The longest context that a slot gets when nobody asks for one, in tokens. Models say up to millions.
const DEFAULT_CONTEXT_TOKENS: u32 = 8192;

/// What is said of a decoder whose graph cannot compute several sequences at once.
const IN_TURN: &str = "one sequence at a time";

/// ONNX Runtime, initialised.
pub struct Onnx {
    library: Library,
}

impl Onnx {
    /// ONNX Runtime from the shared library at `path`, wherever it would be looked for otherwise.
    pub fn from_library(path: &Path) -> Result<Self, LoadError> {
        Ok(Self { library: Library::open(path)? })
    }
}

impl Backend for Onnx {
    const FORMAT: &'static str = "onnx";

    fn start(_threads: u32) -> Result<Self, LoadError> {
        Ok(Self { library: Library::find()? })
    }

    fn version(&self) -> String {
        format!("ONNX Runtime {}", self.library.version)
    }

    fn load(&mut self, spec: &ModelSpec, progress: &Progress) -> Result<Model, LoadError> {
        let options = Options::parse(&spec.options)?;
        let opener = Opener { library: &self.library, options: &options, threads: spec.threads };
        opener.check_provider()?;
        let model = load(spec, &opener).map_err(|error| error.of(&spec.path))?;
        progress.report(1.0);
        Ok(model)
    }
}

fn load(spec: &ModelSpec, opener: &Opener) -> Result<Model, ModelError> {
    let place = Place::find(&spec.path, &spec.root)?;
    let settings = Settings::read(&place.files, place.genai.as_ref())?;
    let graph = opener.open(&place.graphs, &place.graph)?;
    if Embedder::is_for(&graph) {
        load_embedder(spec, opener, &place, &settings, graph)
    } else if Ranker::is_for(&graph) {
        load_ranker(spec, opener, &place, &settings, graph)
    } else {
        load_decoder(spec, opener, &place, &settings, graph)
    }
}

fn load_decoder(
    spec: &ModelSpec,
    opener: &Opener,
    place: &Place,
    settings: &Settings,
    graph: Graph,
) -> Result<Model, ModelError> {
    let decoder = Decoder::open(place, graph, opener, settings)?;
    let size = decoder.vocabulary();
    if let Some(said) = settings.vocabulary().filter(|&said| said != size) {
        let problem = format!("is {said} where the graph gives {size} logits");
        return Err(settings.contradicts("vocab_size", problem));
    }
    let vocabulary = HuggingFaceVocabulary::load(&place.files, &settings.config(), size)?;
    let trained = settings.context()?;
    let context_tokens = match spec.context_tokens {
        0 => trained.min(DEFAULT_CONTEXT_TOKENS),
        asked => asked,
    };
    if context_tokens > trained {
        warn!(context_tokens, trained, "the context is longer than what the model was trained on");
    }
    let limits = Limits {
        slots: spec.slots,
        context_tokens,
        tokens_per_step: TOKENS_PER_STEP,
        chunk_rows: if decoder.takes_chunks() { TOKENS_PER_STEP } else { 1 },
        chunks_per_step: spec.slots,
        vocabulary: size as u32,
    };
    let card = Card {
        architecture: settings.architecture(),
        trained_context_tokens: trained,
        chat_template: chat_template(&place.files)?,
        devices: vec![opener.options.provider.name().into()],
        weights_bytes: decoder.bytes(),
        implementation: if decoder.takes_rows() { String::new() } else { IN_TURN.into() },
    };
    info!(context_tokens, slots = spec.slots, weights_bytes = card.weights_bytes, "loaded");
    Ok(Model {
        task: Task::Generate(Box::new(OnnxEngine::new(decoder, limits))),
        vocabulary: Arc::new(vocabulary),
        card,
    })
}

fn load_embedder(
    spec: &ModelSpec,
    opener: &Opener,
    place: &Place,
    settings: &Settings,
    graph: Graph,
) -> Result<Model, ModelError> {
    let size =
        settings.vocabulary().ok_or_else(|| settings.contradicts("vocab_size", "is missing".into()))?;
    let vocabulary = HuggingFaceVocabulary::load(&place.files, &settings.config(), size)?;
    let pooling = Pooling::read(&place.files)?;
    let skipped_positions = settings.skipped_positions();
    let trained = settings.context()?.saturating_sub(skipped_positions).max(1);
    let limit = pooling.and_then(|pooling| pooling.max_tokens).map_or(trained, |limit| limit.min(trained));
    let context_tokens = match spec.context_tokens {
        0 => limit,
        asked => asked.min(limit),
    };
    let setup = Setup {
        pooling,
        mode: opener.options.pooling,
        context_tokens,
        skipped_positions,
        vocabulary: size as u32,
    };
    let embedder = Embedder::new(graph, &setup)?;
    let card = Card {
        architecture: settings.architecture(),
        trained_context_tokens: trained,
        devices: vec![opener.options.provider.name().into()],
        weights_bytes: embedder.bytes(),
        ..Card::default()
    };
    info!(context_tokens, weights_bytes = card.weights_bytes, "loaded an embedding model");
    Ok(Model { task: Task::Embed(Box::new(embedder)), vocabulary: Arc::new(vocabulary), card })
}

fn load_ranker(
    spec: &ModelSpec,
    opener: &Opener,
    place: &Place,
    settings: &Settings,
    graph: Graph,
) -> Result<Model, ModelError> {
    let size =
        settings.vocabulary().ok_or_else(|| settings.contradicts("vocab_size", "is missing".into()))?;
    let vocabulary = HuggingFaceVocabulary::load(&place.files, &settings.config(), size)?;
    let skipped_positions = settings.skipped_positions();
    let trained = settings.context()?.saturating_sub(skipped_positions).max(1);
    let context_tokens = match spec.context_tokens {
        0 => trained,
        asked => asked.min(trained),
    };
    let ranker = Ranker::new(graph, context_tokens, skipped_positions, size as u32)?;
    let card = Card {
        architecture: settings.architecture(),
        trained_context_tokens: trained,
        devices: vec![opener.options.provider.name().into()],
        weights_bytes: ranker.bytes(),
        ..Card::default()
    };
    info!(context_tokens, weights_bytes = card.weights_bytes, "loaded a cross-encoder");
    Ok(Model { task: Task::Rerank(Box::new(ranker)), vocabulary: Arc::new(vocabulary), card })
}
