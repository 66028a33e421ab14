//! A decoder up to its last norm: what it makes of tokens, before that becomes logits or a vector.

use std::sync::Arc;

use impetus_runtime::engine::Progress;

use super::{Step, cache::KvCache, layer::Layer};
use crate::{
    config::DecoderConfig,
    error::ModelError,
    kernel::Packed,
    layer::{RmsNorm, Rope, packed},
    plan::Plan,
    weights::Weights,
};

/// Where the tensors may be, the plain form first; the others are in models of text and images, and in models that
/// were saved without their output matrix.
pub(crate) const PREFIXES: [&str; 5] =
    ["model.", "language_model.model.", "model.language_model.", "", "0.auto_model."];

/// Embedding, layers and norm.
pub(crate) struct Trunk {
    /// The embedding's name, without `.weight`.
    name: String,
    embedding: Arc<Packed>,
    embedding_scale: Option<f32>,
    layers: Vec<Layer>,
    norm: RmsNorm,
    ropes: Vec<Rope>,
    width: usize,
}

impl Trunk {
    /// Loads the trunk of a decoder for texts of `context_tokens`.
    pub(crate) fn load(
        config: &DecoderConfig,
        weights: &Weights,
        context_tokens: usize,
        progress: &Progress,
    ) -> Result<Self, ModelError> {
        let prefix = weights.prefix_of("embed_tokens.weight", &PREFIXES)?;
        let name = format!("{prefix}embed_tokens");
        let embedding = weights.tensor(&format!("{name}.weight"), &[config.vocabulary, config.width])?;
        let embedding = Arc::new(packed(&embedding).map_err(|error| ModelError::tensor(&name, &error))?);
        let mut layers = Vec::new();
        for (idx, layer) in config.layers.iter().enumerate() {
            layers.push(Layer::load(weights, &format!("{prefix}layers.{idx}"), config, layer)?);
            progress.report((idx + 1) as f32 / (config.layers.len() + 1) as f32);
        }
        let norm_name = format!("{prefix}norm");
        let norm =
            RmsNorm::load(weights, &norm_name, config.width, config.norm_epsilon, config.unit_offset_norm)?;
        Ok(Self {
            name,
            embedding,
            embedding_scale: config.embedding_scale.map(|scale| scale as f32),
            layers,
            norm,
            ropes: config.ropes.iter().map(|rope| Rope::new(rope, context_tokens)).collect(),
            width: config.width,
        })
    }

    /// Bytes of the layers' weights as they are held.
    pub(crate) fn layers_bytes(&self) -> u64 {
        self.layers.iter().map(Layer::bytes).sum()
    }

    /// Bytes of the embedding as it is held.
    pub(crate) fn embedding_bytes(&self) -> u64 {
        self.embedding.bytes()
    }

    /// The embedding, and its name without `.weight`.
    pub(crate) fn embedding(&self) -> (&str, &Arc<Packed>) {
        (&self.name, &self.embedding)
    }

    /// Width of a row.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Computes the rows of `plan` and appends them to the cache. Returns the residual stream, row by row, not yet
    /// normalised. Tokens must be of the vocabulary, and the cache must have room.
    pub(crate) fn stream(&self, plan: &Plan, cache: &mut KvCache) -> candle_core::Result<Vec<f32>> {
        let angles = self.ropes.iter().map(|rope| rope.angles(&plan.positions)).collect();
        let step = Step { plan, angles };
        let mut stream = self.embed(&plan.tokens);
        for (idx, layer) in self.layers.iter().enumerate() {
            layer.forward(&mut stream, &step, cache, idx)?;
        }
        Ok(stream)
    }

    /// Applies the last norm to `rows` of the residual stream.
    pub(crate) fn normalise(&self, rows: &mut [f32]) {
        self.norm.apply(rows);
    }

    fn embed(&self, tokens: &[u32]) -> Vec<f32> {
        let mut stream = Vec::with_capacity(tokens.len() * self.width);
        for token in tokens {
            self.embedding.append_row(*token as usize, &mut stream);
        }
        if let Some(scale) = self.embedding_scale {
            for value in &mut stream {
                *value *= scale;
            }
        }
        stream
    }
}
