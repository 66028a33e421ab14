//! One layer of a decoder: attention and a feed-forward network, each added to the residual stream.

use super::{Step, attention::Attention, cache::KvCache, experts::MixtureOfExperts};
use crate::{
    config::{DecoderConfig, FeedForwardConfig, LayerConfig},
    error::ModelError,
    layer::{FeedForward, FeedForwardParts, Part, RmsNorm},
    weights::Weights,
};

/// A layer's weights.
pub(crate) struct Layer {
    attention: Attention,
    feed_forward: Network,
    before_attention: RmsNorm,
    after_attention: Option<RmsNorm>,
    before_feed_forward: RmsNorm,
    after_feed_forward: Option<RmsNorm>,
    scale: f32,
}

/// What the file calls the matrices of a gated network.
pub(crate) struct GatedNames {
    pub(crate) gate: &'static str,
    pub(crate) up: &'static str,
    pub(crate) down: &'static str,
}

enum Network {
    Dense(FeedForward),
    Experts(MixtureOfExperts),
}

/// The names that most families use.
pub(crate) const PROJECTIONS: GatedNames = GatedNames { gate: "gate_proj", up: "up_proj", down: "down_proj" };

impl Layer {
    pub(crate) fn load(
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
            FeedForwardConfig::Dense { width } => {
                let name = format!("{prefix}.mlp");
                Network::Dense(gated(weights, &name, &PROJECTIONS, config, *width)?)
            }
            FeedForwardConfig::Experts(experts) => {
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
            scale: config.residual_scale as f32,
        })
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.attention.bytes()
            + match &self.feed_forward {
                Network::Dense(network) => network.bytes(),
                Network::Experts(network) => network.bytes(),
            }
    }

    /// Adds the layer's part to the rows of `stream`; `idx` is its place in the decoder.
    pub(crate) fn forward(
        &self,
        stream: &mut [f32],
        step: &Step,
        cache: &mut KvCache,
        idx: usize,
    ) -> candle_core::Result<()> {
        let normalised = self.before_attention.of(stream);
        let attended = self.attention.forward(&normalised, step, cache, idx)?;
        self.add(stream, attended, self.after_attention.as_ref());
        let normalised = self.before_feed_forward.of(stream);
        let segments = &step.plan.segments;
        let output = match &self.feed_forward {
            Network::Dense(network) => network.forward(&normalised, segments)?,
            Network::Experts(network) => network.forward(&normalised, segments)?,
        };
        self.add(stream, output, self.after_feed_forward.as_ref());
        Ok(())
    }

    /// Adds to the residual stream, normalised where the family does so.
    fn add(&self, stream: &mut [f32], mut output: Vec<f32>, norm: Option<&RmsNorm>) {
        if let Some(norm) = norm {
            norm.apply(&mut output);
        }
        stream.iter_mut().zip(output).for_each(|(value, output)| *value += self.scale * output);
    }
}

/// A gated network of the given inner `width` from below `prefix`.
pub(crate) fn gated(
    weights: &Weights,
    prefix: &str,
    names: &GatedNames,
    config: &DecoderConfig,
    width: usize,
) -> Result<FeedForward, ModelError> {
    let part = |name: &str, rows| Part::new(format!("{prefix}.{name}"), rows);
    let up = if config.fused {
        vec![part("gate_up_proj", 2 * width)]
    } else {
        vec![part(names.gate, width), part(names.up, width)]
    };
    let parts = FeedForwardParts {
        up,
        down: part(names.down, config.width),
        width,
        up_bias: config.mlp_bias,
        down_bias: config.mlp_bias,
        activation: config.activation,
    };
    FeedForward::load(weights, parts)
}
