//! A cross-encoder's head: from the hidden states of a pair of texts to its logit.

use crate::{
    config::{Activation, EncoderConfig, HeadConfig},
    error::ModelError,
    layer::{LayerNorm, Linear, Part, activate},
    plan::{Plan, Segment},
    weights::Weights,
};

/// The head's weights.
pub(crate) struct Head {
    dense: Linear,
    activation: Activation,
    norm: Option<LayerNorm>,
    out: Linear,
    is_of_mean: bool,
    width: usize,
}

impl Head {
    /// Loads the head of an encoder whose tensors' names begin with `prefix`.
    pub(crate) fn load(
        config: &EncoderConfig,
        head: &HeadConfig,
        weights: &Weights,
        prefix: &str,
    ) -> Result<Self, ModelError> {
        let (names, width) = (head.names, config.width);
        let below = if names.is_within { prefix } else { "" };
        let dense = [Part::new(format!("{below}{}", names.dense), width)];
        let norm = names
            .norm
            .map(|name| LayerNorm::load(weights, name, width, config.norm_epsilon, config.norm_bias));
        Ok(Self {
            dense: weights.linear(&dense, width, head.dense_bias)?,
            activation: head.activation,
            norm: norm.transpose()?,
            out: weights.linear(&[Part::new(names.out, 1)], width, true)?,
            is_of_mean: head.is_of_mean,
            width,
        })
    }

    /// Bytes of all weights as they are held.
    pub(crate) fn bytes(&self) -> u64 {
        self.dense.bytes() + self.out.bytes()
    }

    /// The logits of the plan's texts, in their order, from the hidden states of its rows.
    pub(crate) fn forward(&self, hidden: &[f32], plan: &Plan) -> candle_core::Result<Vec<f32>> {
        let pooled: Vec<f32> = plan
            .chunks
            .iter()
            .flat_map(|chunk| self.pool(&hidden[chunk.rows.start * self.width..chunk.rows.end * self.width]))
            .collect();
        // A row is computed as it would be alone.
        let segments = [Segment { rows: 0..plan.chunks.len(), wide: false }];
        let mut inner = self.dense.forward(&pooled, &segments)?;
        activate(self.activation, &mut inner);
        if let Some(norm) = &self.norm {
            norm.apply(&mut inner);
        }
        self.out.forward(&inner, &segments)
    }

    fn pool(&self, rows: &[f32]) -> Vec<f32> {
        if !self.is_of_mean {
            return rows[..self.width].to_vec();
        }
        let n_rows = (rows.len() / self.width) as f64;
        let mean = |column: usize| {
            let sum: f64 = rows[column..].iter().step_by(self.width).map(|&x| f64::from(x)).sum();
            (sum / n_rows) as f32
        };
        (0..self.width).map(mean).collect()
    }
}
