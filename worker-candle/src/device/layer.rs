//! One layer of a decoder on a device: attention and a feed-forward network, each added to the residual stream.

use candle_core::{Result, Tensor};

use super::{
    Loader,
    attention::{Angles, Attention},
    cache::DeviceCache,
    experts::MixtureOfExperts,
    linear::{Linear, Norm},
};
use crate::{
    config::{Activation, FeedForwardConfig, LayerConfig},
    decoder::{GatedNames, PROJECTIONS},
    error::ModelError,
    plan::Plan,
};

/// A layer's weights.
pub(super) struct Layer {
    attention: Attention,
    feed_forward: Network,
    before_attention: Norm,
    after_attention: Option<Norm>,
    before_feed_forward: Norm,
    after_feed_forward: Option<Norm>,
    scale: f64,
}

/// A gated network (arXiv:2002.05202).
pub(super) struct Gated {
    /// Gate and up in one product.
    up: Linear,
    down: Linear,
    width: usize,
    activation: Activation,
}

enum Network {
    Dense(Gated),
    Experts(MixtureOfExperts),
}

impl Layer {
    pub(super) fn load(
        loader: &Loader,
        prefix: &str,
        layer: &LayerConfig,
    ) -> std::result::Result<Self, ModelError> {
        let config = loader.config;
        let norm = |name: &str| loader.norm(&format!("{prefix}.{name}"), config.width);
        let feed_forward = match &layer.feed_forward {
            FeedForwardConfig::Dense { width } => {
                Network::Dense(Gated::load(loader, &format!("{prefix}.mlp"), &PROJECTIONS, *width)?)
            }
            FeedForwardConfig::Experts(experts) => {
                Network::Experts(MixtureOfExperts::load(loader, prefix, experts)?)
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
            attention: Attention::load(loader, &format!("{prefix}.self_attn"), layer)?,
            feed_forward,
            before_attention: norm("input_layernorm")?,
            after_attention,
            before_feed_forward,
            after_feed_forward,
            scale: config.residual_scale,
        })
    }

    pub(super) fn bytes(&self) -> u64 {
        let network = match &self.feed_forward {
            Network::Dense(network) => network.bytes(),
            Network::Experts(network) => network.bytes(),
        };
        self.attention.bytes() + network
    }

    /// The rows of `stream` with the layer's part added.
    pub(super) fn forward(
        &self,
        stream: &Tensor,
        plan: &Plan,
        angles: &[Angles],
        cache: (&mut DeviceCache, usize),
    ) -> Result<Tensor> {
        let normalised = self.before_attention.forward(stream)?;
        let attended = self.attention.forward(&normalised, plan, angles, cache)?;
        let stream = self.added(stream, attended, self.after_attention.as_ref())?;
        let normalised = self.before_feed_forward.forward(&stream)?;
        let output = match &self.feed_forward {
            Network::Dense(network) => network.forward(&normalised)?,
            Network::Experts(network) => network.forward(&normalised)?,
        };
        self.added(&stream, output, self.after_feed_forward.as_ref())
    }

    fn added(&self, stream: &Tensor, mut output: Tensor, norm: Option<&Norm>) -> Result<Tensor> {
        if let Some(norm) = norm {
            output = norm.forward(&output)?;
        }
        stream + (output * self.scale)?
    }
}

impl Gated {
    /// The network of the given inner `width` from below `prefix`.
    pub(super) fn load(
        loader: &Loader,
        prefix: &str,
        names: &GatedNames,
        width: usize,
    ) -> std::result::Result<Self, ModelError> {
        let config = loader.config;
        let part = |name: &str, rows| (format!("{prefix}.{name}"), rows);
        let up = if config.fused {
            vec![part("gate_up_proj", 2 * width)]
        } else {
            vec![part(names.gate, width), part(names.up, width)]
        };
        Ok(Self {
            up: loader.linear(&up, config.width, config.mlp_bias)?,
            down: loader.linear(&[part(names.down, config.width)], width, config.mlp_bias)?,
            width,
            activation: config.activation,
        })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.up.bytes() + self.down.bytes()
    }

    pub(super) fn forward(&self, rows: &Tensor) -> Result<Tensor> {
        let both = self.up.forward(rows)?;
        let gate = both.narrow(1, 0, self.width)?.contiguous()?;
        let gate = match self.activation {
            Activation::Silu => gate.silu(),
            Activation::GeluTanh => gate.gelu(),
            Activation::GeluErf => gate.gelu_erf(),
            Activation::Relu => gate.relu(),
            Activation::Tanh => gate.tanh(),
        }?;
        self.down.forward(&(gate * both.narrow(1, self.width, self.width)?)?)
    }
}
