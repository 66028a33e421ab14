//! Hugging Face folders: safetensors, PyTorch checkpoints and MLX exports, loaded with candle and computed by one
//! decoder for all families.

mod config;
mod decoder;
mod engine;
mod error;
mod kernel;
mod option;
mod weights;

use std::sync::Arc;

use impetus_runtime::{
    engine::{Backend, Card, Limits, LoadError, Model, ModelSpec, Progress, Task},
    huggingface::{Folder, FolderError, HuggingFaceVocabulary, chat_template},
};
use tracing::{info, warn};

use crate::{
    config::DecoderConfig,
    decoder::{Decoder, KvCache},
    engine::CandleEngine,
    error::ModelError,
    option::Options,
    weights::Weights,
};

/// Tokens of one step.
const TOKENS_PER_STEP: u32 = 512;

/// The longest context that a slot gets when nobody asks for one, in tokens. Models say up to millions.
const DEFAULT_CONTEXT_TOKENS: u32 = 8192;

/// candle, with its threads running.
pub struct Candle {
    threads: usize,
}

impl Backend for Candle {
    const FORMAT: &'static str = "candle";

    fn start(threads: u32) -> Result<Self, LoadError> {
        let threads = threads.max(1) as usize;
        // All parallel work is done by rayon's one pool. It cannot be built twice: in a test it is there already.
        if let Err(error) = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global() {
            warn!(%error, "the compute threads stay as they are");
        }
        Ok(Self { threads })
    }

    fn version(&self) -> String {
        format!("candle {CANDLE_VERSION}")
    }

    fn load(&mut self, spec: &ModelSpec, progress: &Progress) -> Result<Model, LoadError> {
        let options = Options::parse(&spec.options)?;
        if spec.threads as usize != self.threads {
            warn!(asked = spec.threads, used = self.threads, "the compute threads were started before");
        }
        load(spec, options, progress).map_err(|error| error.broken(&spec.path))
    }
}

/// The library's version, which it does not tell; the manifest asks for exactly this one.
const CANDLE_VERSION: &str = "0.11.1";

fn load(spec: &ModelSpec, options: Options, progress: &Progress) -> Result<Model, ModelError> {
    let folder = Folder::open(&spec.path, &spec.root)?;
    let source = folder.json("config.json")?.ok_or(FolderError::Absent { what: "config.json" })?;
    let config = DecoderConfig::parse(&source)?;
    let vocabulary = HuggingFaceVocabulary::load(&folder, &source, config.vocabulary)?;
    let chat_template = chat_template(&folder)?;
    let weights = Weights::open(&folder, &source, options)?;

    let trained = u32::try_from(config.trained_context).unwrap_or(u32::MAX);
    let context_tokens = match spec.context_tokens {
        0 => trained.min(DEFAULT_CONTEXT_TOKENS),
        asked => asked,
    };
    if context_tokens > trained {
        warn!(context_tokens, trained, "the context is longer than what the model was trained on");
    }
    let decoder = Decoder::load(&config, &weights, context_tokens as usize, progress)?;
    let limits = Limits {
        slots: spec.slots,
        context_tokens,
        tokens_per_step: TOKENS_PER_STEP,
        chunks_per_step: spec.slots,
        vocabulary: decoder.vocabulary() as u32,
    };
    let row = config.kv_heads * config.head_size;
    let cache = KvCache::new(spec.slots as usize, config.layers.len(), row);
    let card = Card {
        architecture: config.architecture,
        trained_context_tokens: trained,
        chat_template,
        devices: vec!["cpu".into()],
        weights_bytes: decoder.bytes(),
        implementation: String::new(),
    };
    info!(context_tokens, slots = spec.slots, weights_bytes = card.weights_bytes, "loaded");
    Ok(Model {
        task: Task::Generate(Box::new(CandleEngine::new(decoder, cache, limits))),
        vocabulary: Arc::new(vocabulary),
        card,
    })
}
