//! The feed-forward network, gated (arXiv:2002.05202) or plain.

use super::{Linear, Part, activate};
use crate::{
    config::Activation, error::ModelError, kernel::PARALLEL_MULTIPLICATIONS, plan::Segment, team,
    weights::Weights,
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
        let inner = if self.up.outputs() == self.width { self.plain(up) } else { self.gated(&up) };
        self.down.forward(&inner, segments)
    }

    fn plain(&self, mut up: Vec<f32>) -> Vec<f32> {
        by_rows(&mut up, self.width, |_, row| activate(self.activation, row));
        up
    }

    fn gated(&self, gate_up: &[f32]) -> Vec<f32> {
        let mut gated = vec![0.0; gate_up.len() / 2];
        by_rows(&mut gated, self.width, |idx, gated| {
            let (gate, up) = gate_up[idx * 2 * self.width..(idx + 1) * 2 * self.width].split_at(self.width);
            gated.copy_from_slice(gate);
            activate(self.activation, gated);
            gated.iter_mut().zip(up).for_each(|(gated, up)| *gated *= up);
        });
        gated
    }
}

/// Gives each of `rows` and its place to `change`, by all threads where there are many.
fn by_rows(rows: &mut [f32], width: usize, change: impl Fn(usize, &mut [f32]) + Sync) {
    if rows.len() < PARALLEL_MULTIPLICATIONS {
        rows.chunks_exact_mut(width).enumerate().for_each(|(idx, row)| change(idx, row));
    } else {
        team::each(rows.chunks_exact_mut(width), change);
    }
}
