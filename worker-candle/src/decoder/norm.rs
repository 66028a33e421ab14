//! Root mean square normalisation (arXiv:1910.07467).

use crate::{error::ModelError, kernel::dots, weights::Weights};

/// Divides vectors by their root mean square and multiplies them by weights.
pub(crate) struct RmsNorm {
    weights: Vec<f32>,
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
            let mut square = [0.0];
            dots(row, row, &mut square);
            let factor = 1.0 / (square[0] / self.weights.len() as f32 + self.epsilon).sqrt();
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
