//! What the first layer sees: a row for each token, and for each position and segment where the model has tables
//! of them.

use candle_core::Tensor;

use crate::{
    config::EncoderConfig,
    error::ModelError,
    layer::{LayerNorm, with_rows},
    plan::Plan,
    weights::Weights,
};

/// The tables and the norm behind them.
pub(super) struct Embedding {
    words: Tensor,
    /// The table, and the row of a text's first token.
    positions: Option<(Tensor, usize)>,
    /// The rows of the first and of the second segment; the same where the model tells none apart.
    segments: [Vec<f32>; 2],
    norm: LayerNorm,
    width: usize,
}

impl Embedding {
    pub(super) fn load(config: &EncoderConfig, weights: &Weights, prefix: &str) -> Result<Self, ModelError> {
        let (names, width) = (config.names, config.width);
        let table = |name: &str, rows| weights.tensor(&format!("{prefix}{name}.weight"), &[rows, width]);
        let words = table(names.words, config.vocabulary)?;
        let positions = match (names.positions, config.positions) {
            (Some(name), Some((rows, first))) => Some((table(name, rows)?, first)),
            _ => None,
        };
        let mut segments = [vec![0.0; width], vec![0.0; width]];
        if let (Some(name), 1..) = (names.token_types, config.token_types) {
            let table = table(name, config.token_types)?;
            for (idx, segment) in segments.iter_mut().enumerate() {
                add_row(&table, idx.min(config.token_types - 1), segment)
                    .map_err(|error| ModelError::tensor(format!("{prefix}{name}.weight"), &error))?;
            }
        }
        let norm = format!("{prefix}{}", names.embedding_norm);
        let norm = LayerNorm::load(weights, &norm, width, config.norm_epsilon, config.norm_bias)?;
        Ok(Self { words, positions, segments, norm, width })
    }

    pub(super) fn bytes(&self) -> u64 {
        let positions = self.positions.iter().map(|(table, _)| table);
        let tables = [&self.words].into_iter().chain(positions);
        tables.map(|table| (table.elem_count() * table.dtype().size_in_bytes()) as u64).sum()
    }

    pub(super) fn forward(&self, plan: &Plan) -> candle_core::Result<Vec<f32>> {
        let [first, second] = &self.segments;
        let mut stream = first.repeat(plan.tokens.len());
        for rows in &plan.second {
            for row in stream[rows.start * self.width..rows.end * self.width].chunks_exact_mut(self.width) {
                row.copy_from_slice(second);
            }
        }
        let rows = stream.chunks_exact_mut(self.width).zip(plan.tokens.iter().zip(&plan.positions));
        for (row, (&token, &position)) in rows {
            add_row(&self.words, token as usize, row)?;
            if let Some((table, first)) = &self.positions {
                add_row(table, first + position, row)?;
            }
        }
        self.norm.apply(&mut stream);
        Ok(stream)
    }
}

/// Adds row `idx` of a table.
fn add_row(table: &Tensor, idx: usize, sum: &mut [f32]) -> candle_core::Result<()> {
    with_rows(table, |rows| {
        let start = idx * sum.len();
        let mut scratch = Vec::new();
        let row = rows.widened(start, start + sum.len(), &mut scratch);
        sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    })
}
