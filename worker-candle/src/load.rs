//! From a folder to a model: which code computes it, and within which limits.

use std::sync::Arc;

use candle_core::Device;
use impetus_runtime::{
    engine::{Card, EmbeddingLimits, Limits, Model, ModelSpec, Progress, Task, TextEngine, Vocabulary},
    huggingface::{Folder, FolderError, HuggingFaceVocabulary, Pooling, chat_template},
};
use serde_json::Value;
use tracing::{info, warn};

use crate::{
    config::{DecoderConfig, EncoderConfig, ModelConfig},
    decoder::{Decoder, KvCache, Trunk},
    device::{DeviceCache, DeviceDecoder},
    encoder::{Encoder, Head},
    engine::{CandleEngine, Embedder, Network, Ranker},
    error::ModelError,
    option::Options,
    plan::NARROW_ROWS,
    stock,
    weights::Weights,
};

/// Tokens of one step.
pub(crate) const TOKENS_PER_STEP: u32 = 512;

/// Tokens of one call to an embedding model, and inputs; a longer input comes alone.
const TOKENS_PER_CALL: u32 = 8192;
const INPUTS_PER_CALL: u32 = 64;

/// The longest context that a slot gets when nobody asks for one, in tokens. Models say up to millions.
const DEFAULT_CONTEXT_TOKENS: u32 = 8192;

/// What all kinds of models are loaded from.
pub(crate) struct Source<'a> {
    pub(crate) spec: &'a ModelSpec,
    pub(crate) folder: &'a Folder,
    /// `config.json`.
    pub(crate) config: &'a Value,
    pub(crate) options: Options,
    /// What `options` choose, opened.
    pub(crate) device: &'a Device,
    pub(crate) progress: &'a Progress,
}

/// Loads the model that `spec` names.
pub(crate) fn load(
    spec: &ModelSpec,
    options: Options,
    device: &Device,
    progress: &Progress,
) -> Result<Model, ModelError> {
    let folder = Folder::open(&spec.path, &spec.root)?;
    let config = folder.json("config.json")?.ok_or(FolderError::Absent { what: "config.json" })?;
    let source = Source { spec, folder: &folder, config: &config, options, device, progress };
    let pooling = Pooling::read(&folder)?;
    let parsed = ModelConfig::parse(&config)?;
    let is_decoder = matches!((&parsed, &pooling), (ModelConfig::Decoder(_), None));
    if !device.is_cpu() && !is_decoder {
        return Err(ModelError::Device { name: options.device.name() });
    }
    let model = match (parsed, pooling) {
        (ModelConfig::Decoder(decoder), None) => source.decoder(decoder),
        (ModelConfig::Decoder(decoder), Some(pooling)) => source.embedding_decoder(decoder, pooling),
        (ModelConfig::Encoder(encoder), None) if encoder.head.is_some() => source.ranker(&encoder),
        (ModelConfig::Encoder(encoder), pooling) => source.encoder(encoder, pooling.unwrap_or_default()),
        (ModelConfig::Other { architecture }, None) => stock::load(&source, &architecture),
        (ModelConfig::Other { architecture: name }, Some(_)) => {
            let known: Vec<_> = ModelConfig::families().collect();
            Err(ModelError::Architecture { name, known: format!("for embeddings {}", known.join(", ")) })
        }
    }?;
    info!(
        architecture = model.card.architecture,
        weights_bytes = model.card.weights_bytes,
        implementation = model.card.implementation,
        "loaded"
    );
    Ok(model)
}

impl Source<'_> {
    fn decoder(&self, config: DecoderConfig) -> Result<Model, ModelError> {
        let vocabulary = self.vocabulary(config.vocabulary)?;
        let chat_template = chat_template(self.folder)?;
        let weights = Weights::open(self.folder, self.config, self.options)?;
        let context_tokens = self.context(config.trained_context);
        let slots = self.spec.slots;
        let limits = Limits {
            slots,
            context_tokens,
            tokens_per_step: TOKENS_PER_STEP,
            // Attention of longer chunks sums in another order; guesses are to change nothing.
            chunk_rows: NARROW_ROWS as u32,
            chunks_per_step: slots,
            vocabulary: config.vocabulary as u32,
        };
        let (engine, bytes) = self.engine(&config, &weights, limits)?;
        let mut card = card(config.architecture, config.trained_context, bytes);
        card.chat_template = chat_template;
        card.devices = vec![self.options.device.name().into()];
        Ok(Model { task: Task::Generate(engine), vocabulary, card })
    }

    /// A decoder where the options want it, and the bytes of its weights.
    fn engine(
        &self,
        config: &DecoderConfig,
        weights: &Weights,
        limits: Limits,
    ) -> Result<(Box<dyn TextEngine>, u64), ModelError> {
        let sizes = (limits.slots as usize, limits.context_tokens as usize);
        let (n_layers, heads) = (config.layers.len(), (config.kv_heads, config.head_size));
        if self.device.is_cpu() {
            let decoder = Decoder::load(config, weights, sizes.1, self.progress)?;
            let (cache, bytes) =
                (KvCache::new(sizes.0, n_layers, heads.0 * heads.1, sizes.1), decoder.bytes());
            return Ok((Box::new(CandleEngine::new(decoder, cache, limits)), bytes));
        }
        let decoder = DeviceDecoder::load(config, weights, self.device, sizes.1, self.progress)?;
        let cache = DeviceCache::new(sizes, n_layers, heads, decoder.device().clone());
        let bytes = decoder.bytes();
        Ok((Box::new(CandleEngine::new(decoder, cache, limits)), bytes))
    }

    fn encoder(&self, config: EncoderConfig, pooling: Pooling) -> Result<Model, ModelError> {
        let vocabulary = self.vocabulary(config.vocabulary)?;
        let weights = Weights::open(self.folder, self.config, self.options)?;
        let network = Network::Encoder(Encoder::load(&config, &weights, self.progress)?);
        // Rotary embeddings say of themselves how far they reach, tables end.
        let limits = self.embedding_limits(&network, &pooling, config.context, config.vocabulary);
        let card = card(config.architecture, config.context, network.bytes());
        let task = Task::Embed(Box::new(Embedder::new(network, pooling, limits)));
        Ok(Model { task, vocabulary, card })
    }

    fn ranker(&self, config: &EncoderConfig) -> Result<Model, ModelError> {
        let Some(head) = &config.head else {
            return Err(ModelError::config("architectures", "names no head"));
        };
        let vocabulary = self.vocabulary(config.vocabulary)?;
        let weights = Weights::open(self.folder, self.config, self.options)?;
        let head = Head::load(config, head, &weights, Encoder::prefix(config, &weights)?)?;
        let encoder = Encoder::load(config, &weights, self.progress)?;
        let limits = self.input_limits(1, None, config.context, config.vocabulary);
        let card = card(config.architecture.clone(), config.context, encoder.bytes() + head.bytes());
        let task = Task::Rerank(Box::new(Ranker::new(encoder, head, limits)));
        Ok(Model { task, vocabulary, card })
    }

    fn embedding_decoder(&self, config: DecoderConfig, pooling: Pooling) -> Result<Model, ModelError> {
        let vocabulary = self.vocabulary(config.vocabulary)?;
        let weights = Weights::open(self.folder, self.config, self.options)?;
        let context = self.context(config.trained_context).min(pooling.max_tokens.unwrap_or(u32::MAX));
        let trunk = Trunk::load(&config, &weights, context as usize, self.progress)?;
        let cache = KvCache::passing(INPUTS_PER_CALL as usize, config.kv_heads * config.head_size);
        let network = Network::Decoder { trunk, cache };
        let limits = self.embedding_limits(&network, &pooling, context as usize, config.vocabulary);
        let card = card(config.architecture, config.trained_context, network.bytes());
        let task = Task::Embed(Box::new(Embedder::new(network, pooling, limits)));
        self.progress.report(1.0);
        Ok(Model { task, vocabulary, card })
    }

    /// The tokenizer, for a model with `size` rows of embeddings.
    pub(crate) fn vocabulary(&self, size: usize) -> Result<Arc<dyn Vocabulary>, ModelError> {
        Ok(Arc::new(HuggingFaceVocabulary::load(self.folder, self.config, size)?))
    }

    /// Tokens of one slot, for a model that was trained on `trained`.
    pub(crate) fn context(&self, trained: usize) -> u32 {
        let trained = u32::try_from(trained).unwrap_or(u32::MAX);
        let context_tokens = match self.spec.context_tokens {
            0 => trained.min(DEFAULT_CONTEXT_TOKENS),
            asked => asked,
        };
        if context_tokens > trained {
            warn!(context_tokens, trained, "the context is longer than what the model was trained on");
        }
        context_tokens
    }

    fn embedding_limits(
        &self,
        network: &Network,
        pooling: &Pooling,
        context: usize,
        vocabulary: usize,
    ) -> EmbeddingLimits {
        self.input_limits(network.dimensions(), pooling.max_tokens, context, vocabulary)
    }

    /// The limits of a model that takes whole inputs of at most `context` tokens, and of `max_tokens` where the files
    /// say so.
    fn input_limits(
        &self,
        dimensions: usize,
        max_tokens: Option<u32>,
        context: usize,
        vocabulary: usize,
    ) -> EmbeddingLimits {
        let asked = Some(self.spec.context_tokens).filter(|&tokens| tokens > 0);
        let bounds = [max_tokens, asked].into_iter().flatten();
        let own = u32::try_from(context).unwrap_or(u32::MAX);
        let context_tokens = bounds.fold(own, u32::min);
        EmbeddingLimits {
            context_tokens,
            tokens_per_step: TOKENS_PER_CALL.max(context_tokens),
            inputs_per_step: INPUTS_PER_CALL,
            padded: false,
            dimensions: dimensions as u32,
            vocabulary: vocabulary as u32,
        }
    }
}

/// What the model says of itself, without a chat template.
pub(crate) fn card(architecture: String, trained: usize, weights_bytes: u64) -> Card {
    Card {
        architecture,
        trained_context_tokens: u32::try_from(trained).unwrap_or(u32::MAX),
        chat_template: None,
        devices: vec!["cpu".into()],
        weights_bytes,
        implementation: String::new(),
    }
}
