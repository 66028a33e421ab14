//! One encoder for all families that descend from BERT: its shape is [`EncoderConfig`].
//!
//! A call takes the rows of many texts at once, none of them padded. Linear layers see the segments of a [`Plan`],
//! attention sees each text by itself, so that a text's rows never depend on the other texts.

mod attention;
mod distance;
mod embedding;
mod head;
mod layer;
#[cfg(test)]
mod tests;

use impetus_runtime::engine::Progress;

pub(crate) use self::head::Head;

use self::{distance::Distances, embedding::Embedding, layer::Layer};
use crate::{
    config::EncoderConfig,
    error::ModelError,
    layer::{LayerNorm, Rope},
    plan::Plan,
    weights::Weights,
};

/// What all names may begin with: models that were trained on a task have the encoder apart, and some tools keep
/// the step's number.
const PREFIXES: [&str; 8] =
    ["", "bert.", "roberta.", "distilbert.", "mpnet.", "model.", "0.auto_model.", "auto_model."];

/// An encoder's weights.
pub(crate) struct Encoder {
    embedding: Embedding,
    layers: Vec<Layer>,
    norm: Option<LayerNorm>,
    ropes: Vec<Rope>,
    width: usize,
}

impl Encoder {
    pub(crate) fn load(
        config: &EncoderConfig,
        weights: &Weights,
        progress: &Progress,
    ) -> Result<Self, ModelError> {
        let names = config.names;
        let prefix = Self::prefix(config, weights)?;
        let embedding = Embedding::load(config, weights, prefix)?;
        let distances = Distances::load(config, weights, prefix)?;
        let mut layers = Vec::new();
        for idx in 0..config.layers.len() {
            let below = format!("{prefix}{}.{idx}", names.layers);
            layers.push(Layer::load(config, weights, &below, idx, distances.clone())?);
            progress.report((idx + 1) as f32 / (config.layers.len() + 1) as f32);
        }
        let norm = match names.final_norm {
            Some(name) => {
                let name = format!("{prefix}{name}");
                Some(LayerNorm::load(weights, &name, config.width, config.norm_epsilon, config.norm_bias)?)
            }
            None => None,
        };
        progress.report(1.0);
        let ropes = config.ropes.iter().map(|rope| Rope::new(rope, config.context)).collect();
        Ok(Self { embedding, layers, norm, ropes, width: config.width })
    }

    /// What the names of its tensors begin with.
    pub(crate) fn prefix(config: &EncoderConfig, weights: &Weights) -> Result<&'static str, ModelError> {
        weights.prefix_of(&format!("{}.weight", config.names.words), &PREFIXES)
    }

    /// Bytes of all weights as they are held.
    pub(crate) fn bytes(&self) -> u64 {
        self.embedding.bytes() + self.layers.iter().map(Layer::bytes).sum::<u64>()
    }

    /// Width of a row.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// The last hidden state of each of the plan's rows. Tokens must be of the vocabulary, and no text may be longer
    /// than the config's context.
    pub(crate) fn forward(&self, plan: &Plan) -> candle_core::Result<Vec<f32>> {
        let angles: Vec<_> = self.ropes.iter().map(|rope| rope.angles(&plan.positions)).collect();
        let mut stream = self.embedding.forward(plan)?;
        for layer in &self.layers {
            layer.forward(&mut stream, plan, &angles)?;
        }
        if let Some(norm) = &self.norm {
            norm.apply(&mut stream);
        }
        Ok(stream)
    }
}
