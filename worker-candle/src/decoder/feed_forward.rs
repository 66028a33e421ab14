//! The gated feed-forward network (arXiv:2002.05202).

use rayon::prelude::*;

use crate::{
    config::{Activation, DecoderConfig},
    decoder::{
        linear::{Linear, Part},
        plan::Segment,
    },
    error::ModelError,
    kernel::PARALLEL_MULTIPLICATIONS,
    weights::Weights,
};

/// Gate and up in one product, the gate's function, and down.
pub(crate) struct GatedFeedForward {
    gate_up: Linear,
    down: Linear,
    width: usize,
    activation: Activation,
}

/// What the file calls the three matrices.
pub(crate) struct GatedNames {
    pub(crate) gate: &'static str,
    pub(crate) up: &'static str,
    pub(crate) down: &'static str,
}

/// The names that most families use.
pub(crate) const PROJECTIONS: GatedNames = GatedNames { gate: "gate_proj", up: "up_proj", down: "down_proj" };

impl GatedFeedForward {
    /// Loads a network of the given inner `width` from below `prefix`.
    pub(crate) fn load(
        weights: &Weights,
        prefix: &str,
        names: &GatedNames,
        config: &DecoderConfig,
        width: usize,
    ) -> Result<Self, ModelError> {
        let part = |name: &str, rows| Part::new(format!("{prefix}.{name}"), rows);
        let parts = if config.fused {
            vec![part("gate_up_proj", 2 * width)]
        } else {
            vec![part(names.gate, width), part(names.up, width)]
        };
        Ok(Self {
            gate_up: weights.linear(&parts, config.width, config.mlp_bias)?,
            down: weights.linear(&[part(names.down, config.width)], width, config.mlp_bias)?,
            width,
            activation: config.activation,
        })
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.gate_up.bytes() + self.down.bytes()
    }

    pub(crate) fn forward(&self, inputs: &[f32], segments: &[Segment]) -> candle_core::Result<Vec<f32>> {
        let gate_up = self.gate_up.forward(inputs, segments)?;
        let mut gated = vec![0.0; gate_up.len() / 2];
        let gate = |(gated, gate_up): (&mut [f32], &[f32])| {
            let (gate, up) = gate_up.split_at(self.width);
            for ((gated, &gate), &up) in gated.iter_mut().zip(gate).zip(up) {
                *gated = activate(self.activation, gate) * up;
            }
        };
        if gated.len() < PARALLEL_MULTIPLICATIONS {
            gated.chunks_exact_mut(self.width).zip(gate_up.chunks_exact(2 * self.width)).for_each(gate);
        } else {
            gated
                .par_chunks_exact_mut(self.width)
                .zip(gate_up.par_chunks_exact(2 * self.width))
                .for_each(gate);
        }
        self.down.forward(&gated, segments)
    }
}

fn activate(activation: Activation, x: f32) -> f32 {
    match activation {
        Activation::Silu => x * sigmoid(x),
        Activation::GeluTanh => {
            let inner = (2.0 / std::f32::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
            0.5 * x * (1.0 + inner.tanh())
        }
        Activation::GeluErf => {
            let erf = candle_core::cpu::erf::erf_f64(f64::from(x) * std::f64::consts::FRAC_1_SQRT_2);
            (0.5 * f64::from(x) * (1.0 + erf)) as f32
        }
        Activation::Relu => x.max(0.0),
    }
}

/// The logistic function.
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_functions_have_their_known_values() {
        // Computed with Python's math module.
        let check = |activation: Activation, x: f32, expected: f32| {
            let found = activate(activation, x);
            assert!((found - expected).abs() < 1e-6, "{activation:?}({x}) = {found}, not {expected}");
        };
        check(Activation::Silu, 1.0, 0.731_058_6);
        check(Activation::Silu, -2.0, -0.238_405_84);
        check(Activation::GeluTanh, 1.0, 0.841_192);
        check(Activation::GeluErf, 1.0, 0.841_344_7);
        check(Activation::GeluErf, -0.5, -0.154_268_77);
        check(Activation::Relu, -3.0, 0.0);
    }
}
