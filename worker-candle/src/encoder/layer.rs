//! One layer of an encoder: attention and a feed-forward network, each with a norm before or behind it.

use super::{attention::Attention, distance::Distances};
use crate::{
    config::EncoderConfig,
    error::ModelError,
    layer::{Angles, FeedForward, FeedForwardParts, LayerNorm, Part},
    plan::Plan,
    weights::Weights,
};

/// A layer's weights.
pub(super) struct Layer {
    attention: Attention,
    feed_forward: FeedForward,
    /// None where the row is normalised already.
    attention_norm: Option<LayerNorm>,
    feed_forward_norm: LayerNorm,
    norms_first: bool,
}

impl Layer {
    /// Loads layer `idx` from below `prefix`.
    pub(super) fn load(
        config: &EncoderConfig,
        weights: &Weights,
        prefix: &str,
        idx: usize,
        distances: Option<Distances>,
    ) -> Result<Self, ModelError> {
        let names = config.names;
        let norm = |name: &str| {
            let name = format!("{prefix}.{name}");
            LayerNorm::load(weights, &name, config.width, config.norm_epsilon, config.norm_bias)
        };
        let inner = config.feed_forward_width;
        let rows = if config.gated { 2 * inner } else { inner } / names.up.len();
        let part = |name: &str, rows| Part::new(format!("{prefix}.{name}"), rows);
        let parts = FeedForwardParts {
            up: names.up.iter().map(|name| part(name, rows)).collect(),
            down: part(names.down, config.width),
            width: inner,
            up_bias: config.up_bias,
            down_bias: config.down_bias,
            activation: config.activation,
        };
        // With norms before the layers, the embedding's own is also the first attention's.
        let is_normalised = config.norms_first && idx == 0;
        Ok(Self {
            attention: Attention::load(config, weights, prefix, &config.layers[idx], distances)?,
            feed_forward: FeedForward::load(weights, parts)?,
            attention_norm: if is_normalised { None } else { Some(norm(names.attention_norm)?) },
            feed_forward_norm: norm(names.feed_forward_norm)?,
            norms_first: config.norms_first,
        })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.attention.bytes() + self.feed_forward.bytes()
    }

    /// Replaces the rows of `stream` by what the layer makes of them.
    pub(super) fn forward(
        &self,
        stream: &mut [f32],
        plan: &Plan,
        angles: &[Angles],
    ) -> candle_core::Result<()> {
        if self.norms_first {
            let attended = match &self.attention_norm {
                Some(norm) => self.attention.forward(&norm.of(stream), plan, angles)?,
                None => self.attention.forward(stream, plan, angles)?,
            };
            add(stream, &attended);
            let normalised = self.feed_forward_norm.of(stream);
            add(stream, &self.feed_forward.forward(&normalised, &plan.segments)?);
            return Ok(());
        }
        add(stream, &self.attention.forward(stream, plan, angles)?);
        if let Some(norm) = &self.attention_norm {
            norm.apply(stream);
        }
        add(stream, &self.feed_forward.forward(stream, &plan.segments)?);
        self.feed_forward_norm.apply(stream);
        Ok(())
    }
}

fn add(stream: &mut [f32], output: &[f32]) {
    stream.iter_mut().zip(output).for_each(|(value, output)| *value += output);
}
