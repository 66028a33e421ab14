//! One decoder for all families: its shape is [`DecoderConfig`], its state lies outside it in a [`KvCache`].
//!
//! A step takes rows of many sequences at once. Linear layers see them as one matrix, cut into the segments of a
//! [`Plan`]; attention sees each chunk against its own slot.

mod attention;
mod cache;
mod experts;
mod layer;
#[cfg(test)]
mod tests;
mod trunk;

use std::sync::Arc;

use impetus_runtime::engine::{Progress, StepError};

use self::layer::gated;
pub(crate) use self::{
    cache::KvCache,
    experts::choose,
    layer::{GatedNames, PROJECTIONS},
    trunk::{PREFIXES, Trunk},
};
use crate::{
    config::DecoderConfig,
    engine::Decode,
    error::ModelError,
    layer::{Angles, Linear, Part},
    plan::Plan,
    weights::Weights,
};

/// Names of the output matrix.
pub(crate) const OUTPUTS: [&str; 2] = ["lm_head", "language_model.lm_head"];

/// A decoder's weights.
pub(crate) struct Decoder {
    trunk: Trunk,
    output: Linear,
    /// None where logits stay as they are.
    logits_divisor: Option<f32>,
    final_soft_cap: Option<f32>,
    bytes: u64,
}

/// What all layers need to know of a step.
struct Step<'a> {
    plan: &'a Plan,
    /// For each of the decoder's rotary embeddings.
    angles: Vec<Angles>,
}

impl Decoder {
    /// Loads a decoder for slots of `context_tokens`.
    pub(crate) fn load(
        config: &DecoderConfig,
        weights: &Weights,
        context_tokens: usize,
        progress: &Progress,
    ) -> Result<Self, ModelError> {
        // The largest matrices first: while one is packed it is there twice.
        let apart = if config.tied {
            None
        } else {
            let has_weight = |name: &&str| weights.has(&format!("{name}.weight"));
            let name = OUTPUTS.into_iter().find(has_weight).unwrap_or(OUTPUTS[0]);
            Some(weights.linear(&[Part::new(name, config.vocabulary)], config.width, false)?)
        };
        let trunk = Trunk::load(config, weights, context_tokens, progress)?;
        let output = match apart {
            Some(output) => output,
            None if weights.quantizes() => {
                weights.linear(&[Part::new(trunk.embedding().0, config.vocabulary)], config.width, false)?
            }
            None => Linear::shared(Arc::clone(trunk.embedding().1)),
        };
        let embedding_bytes = trunk.embedding_bytes();
        let is_shared = config.tied && output.bytes() == embedding_bytes;
        let bytes = trunk.layers_bytes() + output.bytes() + if is_shared { 0 } else { embedding_bytes };
        progress.report(1.0);
        let final_soft_cap = config.final_soft_cap.map(|cap| cap as f32);
        let logits_divisor = config.logits_divisor.map(|divisor| divisor as f32);
        Ok(Self { trunk, output, logits_divisor, final_soft_cap, bytes })
    }

    /// Bytes of all weights as they are held.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    fn forward(&self, plan: &Plan, cache: &mut KvCache) -> candle_core::Result<Vec<f32>> {
        let stream = self.trunk.stream(plan, cache)?;
        let width = self.trunk.width();
        let mut wanted = Vec::with_capacity(plan.wanted.len() * width);
        for row in &plan.wanted {
            wanted.extend_from_slice(&stream[row * width..(row + 1) * width]);
        }
        self.trunk.normalise(&mut wanted);
        let mut logits = self.output.forward(&wanted, &plan.wanted_segments)?;
        if let Some(divisor) = self.logits_divisor {
            for logit in &mut logits {
                *logit /= divisor;
            }
        }
        if let Some(cap) = self.final_soft_cap {
            for logit in &mut logits {
                *logit = cap * (*logit / cap).tanh();
            }
        }
        Ok(logits)
    }
}

impl Decode for Decoder {
    type Cache = KvCache;

    fn decode(&self, plan: &Plan, cache: &mut KvCache) -> Result<Vec<f32>, StepError> {
        for chunk in &plan.chunks {
            let tokens = chunk.position + chunk.rows.len();
            cache.reserve(chunk.slot, tokens).map_err(|_| StepError::KvFull)?;
        }
        self.forward(plan, cache).map_err(|error| StepError::Fatal { reason: error.to_string() })
    }
}
