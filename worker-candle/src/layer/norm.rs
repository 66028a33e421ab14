//! Normalisation of rows: by the root mean square (arXiv:1910.07467), or by mean and variance (arXiv:1607.06450).

use crate::{
    error::ModelError,
    kernel::{Strided, products},
    weights::Weights,
};

/// Divides vectors by their root mean square and multiplies them by weights.
pub(crate) struct RmsNorm {
    weights: Vec<f32>,
    epsilon: f32,
}

/// Makes vectors' mean zero and their variance one, multiplies them by weights and adds a bias.
pub(crate) struct LayerNorm {
    weights: Vec<f32>,
    /// Zeros where the model has none.
    bias: Vec<f32>,
    ones: Vec<f32>,
    epsilon: f32,
}

impl RmsNorm {
    /// Loads the weights `name` for vectors of `width`; with `unit_offset` the file has them less one.
    pub(crate) fn load(
        weights: &Weights,
        name: &str,
        width: usize,
        epsilon: f64,
        unit_offset: bool,
    ) -> Result<Self, ModelError> {
        let mut weights = weights.vector(&format!("{name}.weight"), width)?;
        if unit_offset {
            for weight in &mut weights {
                *weight += 1.0;
            }
        }
        Ok(Self { weights, epsilon: epsilon as f32 })
    }

    /// Normalises each row of `rows` in place.
    pub(crate) fn apply(&self, rows: &mut [f32]) {
        for row in rows.chunks_exact_mut(self.weights.len()) {
            let factor = 1.0 / (dot(row, row) / self.weights.len() as f32 + self.epsilon).sqrt();
            row.iter_mut().zip(&self.weights).for_each(|(value, weight)| *value *= factor * weight);
        }
    }

    /// The normalised rows.
    pub(crate) fn of(&self, rows: &[f32]) -> Vec<f32> {
        let mut normalised = rows.to_vec();
        self.apply(&mut normalised);
        normalised
    }
}

impl LayerNorm {
    /// Loads the weights `name` for vectors of `width`, and the bias where the model has one.
    pub(crate) fn load(
        weights: &Weights,
        name: &str,
        width: usize,
        epsilon: f64,
        has_bias: bool,
    ) -> Result<Self, ModelError> {
        // The first BERT's names, which conversions of it still have.
        let is_old = weights.has(&format!("{name}.gamma"));
        let (weight, bias) = if is_old { ("gamma", "beta") } else { ("weight", "bias") };
        let bias =
            if has_bias { weights.vector(&format!("{name}.{bias}"), width)? } else { vec![0.0; width] };
        Ok(Self {
            weights: weights.vector(&format!("{name}.{weight}"), width)?,
            bias,
            ones: vec![1.0; width],
            epsilon: epsilon as f32,
        })
    }

    /// Normalises each row of `rows` in place.
    pub(crate) fn apply(&self, rows: &mut [f32]) {
        let width = self.weights.len();
        for row in rows.chunks_exact_mut(width) {
            let mean = dot(&self.ones, row) / width as f32;
            for value in &mut *row {
                *value -= mean;
            }
            let factor = 1.0 / (dot(row, row) / width as f32 + self.epsilon).sqrt();
            for ((value, weight), bias) in row.iter_mut().zip(&self.weights).zip(&self.bias) {
                *value = *value * factor * weight + bias;
            }
        }
    }

    /// The normalised rows.
    pub(crate) fn of(&self, rows: &[f32]) -> Vec<f32> {
        let mut normalised = rows.to_vec();
        self.apply(&mut normalised);
        normalised
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut product = [0.0];
    products(Strided::dense(a, a.len()), b, &mut product);
    product[0]
}
