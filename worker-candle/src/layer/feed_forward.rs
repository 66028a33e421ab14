//! The feed-forward network, gated (arXiv:2002.05202) or plain.

use rayon::prelude::*;

use super::{Linear, Part, activate};
use crate::{
    config::Activation, error::ModelError, kernel::PARALLEL_MULTIPLICATIONS, plan::Segment, weights::Weights,
};

/// Up, a function, and down; with a gate, the function's result is multiplied by a second product.
pub(crate) struct FeedForward {
    /// Gate and up in one product where there is a gate.
    up: Linear,
    down: Linear,
    /// Between the two products.
    width: usize,
    activation: Activation,
}

/// What a network is loaded from.
pub(crate) struct FeedForwardParts {
    /// One with `width` rows, or, with a gate, two of them or one with twice as many, the gate's rows first.
    pub(crate) up: Vec<Part>,
    /// As wide as what the network stands in.
    pub(crate) down: Part,
    /// Between the two products.
    pub(crate) width: usize,
    pub(crate) up_bias: bool,
    pub(crate) down_bias: bool,
    pub(crate) activation: Activation,
}

impl FeedForward {
    pub(crate) fn load(weights: &Weights, parts: FeedForwardParts) -> Result<Self, ModelError> {
        let outer = parts.down.rows;
        Ok(Self {
            up: weights.linear(&parts.up, outer, parts.up_bias)?,
            down: weights.linear(&[parts.down], parts.width, parts.down_bias)?,
            width: parts.width,
            activation: parts.activation,
        })
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.up.bytes() + self.down.bytes()
    }

    pub(crate) fn forward(&self, inputs: &[f32], segments: &[Segment]) -> candle_core::Result<Vec<f32>> {
        let up = self.up.forward(inputs, segments)?;
        let inner = if self.up.outputs() == self.width { self.plain(up) } else { self.gated(up) };
        self.down.forward(&inner, segments)
    }

    fn plain(&self, mut up: Vec<f32>) -> Vec<f32> {
        if up.len() < PARALLEL_MULTIPLICATIONS {
            activate(self.activation, &mut up);
        } else {
            up.par_chunks_exact_mut(self.width).for_each(|row| activate(self.activation, row));
        }
        up
    }

    fn gated(&self, mut gate_up: Vec<f32>) -> Vec<f32> {
        let mut gated = vec![0.0; gate_up.len() / 2];
        let gate = |(gated, gate_up): (&mut [f32], &mut [f32])| {
            let (gate, up) = gate_up.split_at_mut(self.width);
            activate(self.activation, gate);
            for ((gated, gate), up) in gated.iter_mut().zip(gate).zip(up) {
                *gated = *gate * *up;
            }
        };
        let row = 2 * self.width;
        if gated.len() < PARALLEL_MULTIPLICATIONS {
            gated.chunks_exact_mut(self.width).zip(gate_up.chunks_exact_mut(row)).for_each(gate);
        } else {
            gated.par_chunks_exact_mut(self.width).zip(gate_up.par_chunks_exact_mut(row)).for_each(gate);
        }
        gated
    }
}
