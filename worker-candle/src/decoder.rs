//! One decoder for all families: its shape is [`DecoderConfig`], its state lies outside it in a [`KvCache`].
//!
//! A step takes rows of many sequences at once. Linear layers see them as one matrix, cut into the segments of a
//! [`Plan`]; attention sees each chunk against its own slot.

mod attention;
mod cache;
mod experts;
mod feed_forward;
mod linear;
mod norm;
mod plan;
mod rope;
#[cfg(test)]
mod tests;

use candle_core::Tensor;
use impetus_runtime::engine::Progress;

pub(crate) use cache::KvCache;
pub(crate) use linear::{Linear, Part};
pub(crate) use plan::Plan;

use crate::{
    config::{DecoderConfig, FeedForward, LayerConfig},
    decoder::{
        attention::Attention,
        experts::MixtureOfExperts,
        feed_forward::{GatedFeedForward, PROJECTIONS},
        linear::with_rows,
        norm::RmsNorm,
        rope::{Angles, Rope},
    },
    error::ModelError,
    weights::Weights,
};

/// A decoder's weights.
pub(crate) struct Decoder {
    embedding: Tensor,
    embedding_scale: Option<f32>,
    layers: Vec<Layer>,
    norm: RmsNorm,
    output: Linear,
    ropes: Vec<Rope>,
    final_soft_cap: Option<f32>,
    width: usize,
    bytes: u64,
}

/// What all layers need to know of a step.
pub(crate) struct Step<'a> {
    pub(crate) plan: &'a Plan,
    /// For each of the decoder's rotary embeddings.
    pub(crate) angles: Vec<Angles>,
}

struct Layer {
    attention: Attention,
    feed_forward: Network,
    before_attention: RmsNorm,
    after_attention: Option<RmsNorm>,
    before_feed_forward: RmsNorm,
    after_feed_forward: Option<RmsNorm>,
}

enum Network {
    Dense(GatedFeedForward),
    Experts(MixtureOfExperts),
}

impl Decoder {
    /// Loads a decoder for slots of `context_tokens`.
    pub(crate) fn load(
        config: &DecoderConfig,
        weights: &Weights,
        context_tokens: usize,
        progress: &Progress,
    ) -> Result<Self, ModelError> {
        let name = format!("{}embed_tokens", weights.prefix());
        let embedding = weights.tensor(&format!("{name}.weight"), &[config.vocabulary, config.width])?;
        let mut layers = Vec::new();
        for (idx, layer) in config.layers.iter().enumerate() {
            layers.push(Layer::load(weights, &format!("{}layers.{idx}", weights.prefix()), config, layer)?);
            progress.report((idx + 1) as f32 / (config.layers.len() + 1) as f32);
        }
        let norm_name = format!("{}norm", weights.prefix());
        let norm =
            RmsNorm::load(weights, &norm_name, config.width, config.norm_epsilon, config.unit_offset_norm)?;
        let output = if config.tied {
            weights.linear_of(&name, embedding.clone())?
        } else {
            weights.linear(&[Part::new(weights.output_name(), config.vocabulary)], config.width, false)?
        };
        let embedding_bytes = (embedding.elem_count() * embedding.dtype().size_in_bytes()) as u64;
        let shared = config.tied && output.bytes() == embedding_bytes;
        let bytes = layers.iter().map(Layer::bytes).sum::<u64>()
            + output.bytes()
            + if shared { 0 } else { embedding_bytes };
        progress.report(1.0);
        Ok(Self {
            embedding,
            embedding_scale: config.embedding_scale.map(|scale| scale as f32),
            layers,
            norm,
            output,
            ropes: config.ropes.iter().map(|rope| Rope::new(rope, context_tokens)).collect(),
            final_soft_cap: config.final_soft_cap.map(|cap| cap as f32),
            width: config.width,
            bytes,
        })
    }

    /// Bytes of all weights as they are held.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Computes the rows of `plan`, appends them to the cache, and returns the logits of the wanted rows in the
    /// plan's order. Tokens must be of the vocabulary, and the cache must have room.
    pub(crate) fn forward(&self, plan: &Plan, cache: &mut KvCache) -> candle_core::Result<Vec<f32>> {
        let angles = self.ropes.iter().map(|rope| rope.angles(&plan.positions)).collect();
        let step = Step { plan, angles };
        let mut stream = self.embed(&plan.tokens)?;
        for (idx, layer) in self.layers.iter().enumerate() {
            layer.forward(&mut stream, &step, cache, idx)?;
        }
        let mut wanted = Vec::with_capacity(plan.wanted.len() * self.width);
        for row in &plan.wanted {
            wanted.extend_from_slice(&stream[row * self.width..(row + 1) * self.width]);
        }
        self.norm.apply(&mut wanted);
        let mut logits = self.output.forward(&wanted, &plan.wanted_segments)?;
        if let Some(cap) = self.final_soft_cap {
            for logit in &mut logits {
                *logit = cap * (*logit / cap).tanh();
            }
        }
        Ok(logits)
    }

    /// Width of a row of logits.
    pub(crate) fn vocabulary(&self) -> usize {
        self.output.outputs()
    }

    fn embed(&self, tokens: &[u32]) -> candle_core::Result<Vec<f32>> {
        let mut stream = Vec::with_capacity(tokens.len() * self.width);
        with_rows(&self.embedding, |rows| {
            let mut scratch = Vec::new();
            for token in tokens {
                let start = *token as usize * self.width;
                stream.extend_from_slice(rows.widened(start, start + self.width, &mut scratch));
            }
        })?;
        if let Some(scale) = self.embedding_scale {
            for value in &mut stream {
                *value *= scale;
            }
        }
        Ok(stream)
    }
}

impl Layer {
    fn load(
        weights: &Weights,
        prefix: &str,
        config: &DecoderConfig,
        layer: &LayerConfig,
    ) -> Result<Self, ModelError> {
        let norm = |name: &str| {
            let name = format!("{prefix}.{name}");
            RmsNorm::load(weights, &name, config.width, config.norm_epsilon, config.unit_offset_norm)
        };
        let feed_forward = match &layer.feed_forward {
            FeedForward::Dense { width } => {
                let name = format!("{prefix}.mlp");
                Network::Dense(GatedFeedForward::load(weights, &name, &PROJECTIONS, config, *width)?)
            }
            FeedForward::Experts(experts) => {
                Network::Experts(MixtureOfExperts::load(weights, prefix, config, experts)?)
            }
        };
        // The name of the norm behind the attention stands for the one before the feed-forward in most families.
        let (after_attention, before_feed_forward, after_feed_forward) = if config.post_norms {
            (
                Some(norm("post_attention_layernorm")?),
                norm("pre_feedforward_layernorm")?,
                Some(norm("post_feedforward_layernorm")?),
            )
        } else {
            (None, norm("post_attention_layernorm")?, None)
        };
        Ok(Self {
            attention: Attention::load(weights, &format!("{prefix}.self_attn"), config, layer)?,
            feed_forward,
            before_attention: norm("input_layernorm")?,
            after_attention,
            before_feed_forward,
            after_feed_forward,
        })
    }

    fn bytes(&self) -> u64 {
        self.attention.bytes()
            + match &self.feed_forward {
                Network::Dense(network) => network.bytes(),
                Network::Experts(network) => network.bytes(),
            }
    }

    fn forward(
        &self,
        stream: &mut [f32],
        step: &Step,
        cache: &mut KvCache,
        idx: usize,
    ) -> candle_core::Result<()> {
        let normalised = self.before_attention.of(stream);
        let attended = self.attention.forward(&normalised, step, cache, idx)?;
        add(stream, attended, self.after_attention.as_ref());
        let normalised = self.before_feed_forward.of(stream);
        let segments = &step.plan.segments;
        let output = match &self.feed_forward {
            Network::Dense(network) => network.forward(&normalised, segments)?,
            Network::Experts(network) => network.forward(&normalised, segments)?,
        };
        add(stream, output, self.after_feed_forward.as_ref());
        Ok(())
    }
}

/// Adds to the residual stream, normalised where the family does so.
fn add(stream: &mut [f32], mut output: Vec<f32>, norm: Option<&RmsNorm>) {
    if let Some(norm) = norm {
        norm.apply(&mut output);
    }
    stream.iter_mut().zip(output).for_each(|(value, output)| *value += output);
}
