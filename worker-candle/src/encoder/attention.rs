//! Attention of each text over itself, to both sides, within a reach where the layer has one.

use super::distance::Distances;
use crate::{
    config::{EncoderConfig, EncoderLayerConfig},
    error::ModelError,
    kernel::{Matrix, PARALLEL_MULTIPLICATIONS, multiply_into, soften},
    layer::{Angles, Linear, Part},
    plan::{Plan, PlannedChunk},
    team,
    weights::Weights,
};

/// Queries that are computed together; each needs a row of scores as long as the text.
const QUERIES_PER_BLOCK: usize = 64;

/// A layer's attention.
pub(super) struct Attention {
    /// Queries, keys and values in one product.
    qkv: Linear,
    output: Linear,
    heads: usize,
    head_size: usize,
    reach: Option<usize>,
    rope: Option<usize>,
    distances: Option<Distances>,
}

/// One head for some queries of a text: what is computed at a time.
struct Task<'a> {
    text: &'a PlannedChunk,
    head: usize,
    /// Of the first query, in the text.
    first: usize,
    n_queries: usize,
}

impl Attention {
    pub(super) fn load(
        config: &EncoderConfig,
        weights: &Weights,
        prefix: &str,
        layer: &EncoderLayerConfig,
        distances: Option<Distances>,
    ) -> Result<Self, ModelError> {
        let (names, width) = (config.names, config.width);
        let part = |name: &str, rows| Part::new(format!("{prefix}.{name}"), rows);
        let rows = 3 * width / names.qkv.len();
        let parts: Vec<Part> = names.qkv.iter().map(|name| part(name, rows)).collect();
        Ok(Self {
            qkv: weights.linear(&parts, width, config.qkv_bias)?,
            output: weights.linear(&[part(names.output, width)], width, config.output_bias)?,
            heads: config.heads,
            head_size: width / config.heads,
            reach: layer.reach,
            rope: layer.rope,
            distances,
        })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.qkv.bytes() + self.output.bytes()
    }

    /// What the rows attend to.
    pub(super) fn forward(
        &self,
        inputs: &[f32],
        plan: &Plan,
        angles: &[Angles],
    ) -> candle_core::Result<Vec<f32>> {
        let mut qkv = self.qkv.forward(inputs, &plan.segments)?;
        self.place(&mut qkv, angles);
        let tasks = self.tasks(plan);
        let work: usize = tasks.iter().map(|task| 2 * task.n_queries * task.text.rows.len()).sum();
        let mut results = vec![Vec::new(); tasks.len()];
        let run = |idx: usize, result: &mut Vec<f32>| *result = self.attend(&tasks[idx], &qkv);
        if work * self.head_size < PARALLEL_MULTIPLICATIONS {
            results.iter_mut().enumerate().for_each(|(idx, result)| run(idx, result));
        } else {
            team::each(&mut results, run);
        }
        let width = self.heads * self.head_size;
        let mut attended = vec![0.0; plan.tokens.len() * width];
        for (task, result) in tasks.iter().zip(&results) {
            for (idx, values) in result.chunks_exact(self.head_size).enumerate() {
                let start = (task.text.rows.start + task.first + idx) * width + task.head * self.head_size;
                attended[start..start + self.head_size].copy_from_slice(values);
            }
        }
        self.output.forward(&attended, &plan.segments)
    }

    /// Turns queries and keys by their positions, and scales the queries.
    fn place(&self, qkv: &mut [f32], angles: &[Angles]) {
        let width = self.heads * self.head_size;
        let angles = self.rope.map(|rope| &angles[rope]);
        let scale = (self.head_size as f32).sqrt().recip();
        let place = |(row, values): (usize, &mut [f32])| {
            if let Some(angles) = angles {
                for head in values[..2 * width].chunks_exact_mut(self.head_size) {
                    angles.rotate(row, head);
                }
            }
            values[..width].iter_mut().for_each(|value| *value *= scale);
        };
        if qkv.len() < PARALLEL_MULTIPLICATIONS {
            qkv.chunks_exact_mut(3 * width).enumerate().for_each(place);
        } else {
            team::each(qkv.chunks_exact_mut(3 * width), |row, values| place((row, values)));
        }
    }

    fn tasks<'a>(&self, plan: &'a Plan) -> Vec<Task<'a>> {
        let mut tasks = Vec::new();
        for text in &plan.chunks {
            for head in 0..self.heads {
                for first in (0..text.rows.len()).step_by(QUERIES_PER_BLOCK) {
                    let n_queries = QUERIES_PER_BLOCK.min(text.rows.len() - first);
                    tasks.push(Task { text, head, first, n_queries });
                }
            }
        }
        tasks
    }

    /// The tokens that the token at `position` of a text of `length` sees.
    fn seen(&self, position: usize, length: usize) -> std::ops::Range<usize> {
        match self.reach {
            None => 0..length,
            Some(reach) => position.saturating_sub(reach)..length.min(position + reach + 1),
        }
    }

    /// The attended values of the task's queries, one behind the other.
    fn attend(&self, task: &Task, qkv: &[f32]) -> Vec<f32> {
        let width = self.heads * self.head_size;
        let stride = 3 * width;
        let length = task.text.rows.len();
        let last = task.first + task.n_queries - 1;
        let (begin, end) = (self.seen(task.first, length).start, self.seen(last, length).end);
        let n_keys = end - begin;
        let column = task.head * self.head_size;
        let at =
            |row: usize, part: usize| &qkv[(task.text.rows.start + row) * stride + part * width + column..];

        let queries = Matrix { values: at(task.first, 0), row_stride: stride, column_stride: 1 };
        let keys = Matrix { values: at(begin, 1), row_stride: 1, column_stride: stride };
        let mut scores = vec![0.0; task.n_queries * n_keys];
        let shape = [task.n_queries, n_keys, self.head_size];
        multiply_into(queries, keys, shape, &mut scores, n_keys);
        for (idx, scores) in scores.chunks_exact_mut(n_keys).enumerate() {
            let position = task.first + idx;
            if let Some(distances) = &self.distances {
                let biases = distances.of(task.head, position, begin);
                scores.iter_mut().zip(biases).for_each(|(score, bias)| *score += bias);
            }
            let seen = self.seen(position, length);
            let (low, high) = (seen.start - begin, seen.end - begin);
            soften(&mut scores[low..high]);
            scores[..low].fill(0.0);
            scores[high..].fill(0.0);
        }
        let shares = Matrix { values: &scores, row_stride: n_keys, column_stride: 1 };
        let values = Matrix { values: at(begin, 2), row_stride: stride, column_stride: 1 };
        let mut attended = vec![0.0; task.n_queries * self.head_size];
        let shape = [task.n_queries, self.head_size, n_keys];
        multiply_into(shares, values, shape, &mut attended, self.head_size);
        attended
    }
}
