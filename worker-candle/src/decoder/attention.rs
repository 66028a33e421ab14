//! Grouped-query attention of each chunk over its own slot, causal, within a window where the layer has one.

use crate::{
    config::{DecoderConfig, LayerConfig},
    decoder::{
        Step,
        cache::{KvCache, Planes},
    },
    error::ModelError,
    kernel::{Matrix, PARALLEL_MULTIPLICATIONS, Strided, mix, multiply_into, products, soften},
    layer::{Linear, Part, RmsNorm},
    plan::PlannedChunk,
    team,
    weights::Weights,
};

/// Queries of a long chunk that are computed together; each needs a row of scores as long as the context.
const QUERIES_PER_BLOCK: usize = 32;

/// A layer's attention.
pub(crate) struct Attention {
    /// Queries, keys and values in one product.
    qkv: Linear,
    output: Linear,
    norms: Option<(RmsNorm, RmsNorm)>,
    heads: usize,
    kv_heads: usize,
    head_size: usize,
    scale: f32,
    soft_cap: Option<f32>,
    window: Option<usize>,
    rope: Option<usize>,
}

/// One head of keys and values for some queries of a chunk: what is computed at a time.
struct Task<'a> {
    chunk: &'a PlannedChunk,
    planes: &'a Planes,
    kv_head: usize,
    /// Of the first query, in the chunk.
    first: usize,
    n_queries: usize,
}

impl Attention {
    pub(crate) fn load(
        weights: &Weights,
        prefix: &str,
        config: &DecoderConfig,
        layer: &LayerConfig,
    ) -> Result<Self, ModelError> {
        let DecoderConfig { heads, kv_heads, head_size, width, .. } = *config;
        let (query_width, kv_width) = (heads * head_size, kv_heads * head_size);
        let part = |name: &str, rows| Part::new(format!("{prefix}.{name}"), rows);
        let parts = if config.fused {
            vec![part("qkv_proj", query_width + 2 * kv_width)]
        } else {
            vec![part("q_proj", query_width), part("k_proj", kv_width), part("v_proj", kv_width)]
        };
        let norm = |name: &str| {
            let name = format!("{prefix}.{name}");
            RmsNorm::load(weights, &name, head_size, config.norm_epsilon, config.unit_offset_norm)
        };
        Ok(Self {
            qkv: weights.linear(&parts, width, config.qkv_bias)?,
            output: weights.linear(&[part("o_proj", width)], query_width, config.output_bias)?,
            norms: if config.query_norm { Some((norm("q_norm")?, norm("k_norm")?)) } else { None },
            heads,
            kv_heads,
            head_size,
            scale: config.attention_scale as f32,
            soft_cap: config.attention_soft_cap.map(|cap| cap as f32),
            window: layer.window,
            rope: layer.rope,
        })
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.qkv.bytes() + self.output.bytes()
    }

    /// Appends the rows' keys and values to the cache and returns what the rows attend to.
    pub(crate) fn forward(
        &self,
        inputs: &[f32],
        step: &Step,
        cache: &mut KvCache,
        layer: usize,
    ) -> candle_core::Result<Vec<f32>> {
        let mut qkv = self.qkv.forward(inputs, &step.plan.segments)?;
        self.place(&mut qkv, step);
        let query_width = self.heads * self.head_size;
        let kv_width = self.kv_heads * self.head_size;
        let row_width = query_width + 2 * kv_width;
        for chunk in &step.plan.chunks {
            let planes = cache.at(chunk.slot, layer, chunk.position);
            for row in qkv[chunk.rows.start * row_width..chunk.rows.end * row_width].chunks_exact(row_width) {
                planes.keys.extend_from_slice(&row[query_width..query_width + kv_width]);
                planes.values.extend_from_slice(&row[query_width + kv_width..]);
            }
        }

        let tasks = self.tasks(step, cache, layer);
        let work: usize = tasks.iter().map(|task| self.multiplications(task)).sum();
        let mut results = vec![Vec::new(); tasks.len()];
        let run = |idx: usize, result: &mut Vec<f32>| *result = self.attend(&tasks[idx], &qkv);
        if work < PARALLEL_MULTIPLICATIONS {
            results.iter_mut().enumerate().for_each(|(idx, result)| run(idx, result));
        } else {
            team::each(&mut results, run);
        }
        let mut attended = vec![0.0; step.plan.tokens.len() * query_width];
        let group_width = query_width / self.kv_heads;
        for (task, result) in tasks.iter().zip(&results) {
            for (idx, values) in result.chunks_exact(group_width).enumerate() {
                let row = task.chunk.rows.start + task.first + idx;
                let start = row * query_width + task.kv_head * group_width;
                attended[start..start + group_width].copy_from_slice(values);
            }
        }
        self.output.forward(&attended, &step.plan.segments)
    }

    /// Normalises queries and keys, turns them by their positions, and scales the queries.
    fn place(&self, qkv: &mut [f32], step: &Step) {
        let row_width = (self.heads + 2 * self.kv_heads) * self.head_size;
        let query_width = self.heads * self.head_size;
        let turned = query_width + self.kv_heads * self.head_size;
        let angles = self.rope.map(|rope| &step.angles[rope]);
        let place = |(row, values): (usize, &mut [f32])| {
            if let Some((query_norm, key_norm)) = &self.norms {
                query_norm.apply(&mut values[..query_width]);
                key_norm.apply(&mut values[query_width..turned]);
            }
            if let Some(angles) = angles {
                for head in values[..turned].chunks_exact_mut(self.head_size) {
                    angles.rotate(row, head);
                }
            }
            values[..query_width].iter_mut().for_each(|value| *value *= self.scale);
        };
        if qkv.len() < PARALLEL_MULTIPLICATIONS {
            qkv.chunks_exact_mut(row_width).enumerate().for_each(place);
        } else {
            team::each(qkv.chunks_exact_mut(row_width), |row, values| place((row, values)));
        }
    }

    fn tasks<'a>(&self, step: &'a Step, cache: &'a KvCache, layer: usize) -> Vec<Task<'a>> {
        let mut tasks = Vec::new();
        for chunk in &step.plan.chunks {
            let planes = cache.planes(chunk.slot, layer);
            for kv_head in 0..self.kv_heads {
                for first in (0..chunk.rows.len()).step_by(QUERIES_PER_BLOCK) {
                    let n_queries = QUERIES_PER_BLOCK.min(chunk.rows.len() - first);
                    tasks.push(Task { chunk, planes, kv_head, first, n_queries });
                }
            }
        }
        tasks
    }

    fn multiplications(&self, task: &Task) -> usize {
        let keys = task.chunk.position + task.first + task.n_queries;
        2 * task.n_queries * keys * self.heads / self.kv_heads * self.head_size
    }

    /// The first position that the token at `position` sees.
    fn horizon(&self, position: usize) -> usize {
        self.window.map_or(0, |window| (position + 1).saturating_sub(window))
    }

    /// The attended values of the task's queries, query by query, head by head of the group.
    fn attend(&self, task: &Task, qkv: &[f32]) -> Vec<f32> {
        let group = self.heads / self.kv_heads;
        let row_width = (self.heads + 2 * self.kv_heads) * self.head_size;
        let group_width = group * self.head_size;
        let mut queries = Vec::with_capacity(task.n_queries * group_width);
        for idx in 0..task.n_queries {
            let row = task.chunk.rows.start + task.first + idx;
            let start = row * row_width + task.kv_head * group_width;
            queries.extend_from_slice(&qkv[start..start + group_width]);
        }
        let mut attended = vec![0.0; queries.len()];
        if task.chunk.is_wide() {
            self.attend_block(task, &queries, &mut attended);
        } else {
            self.attend_rows(task, &queries, &mut attended);
        }
        attended
    }

    fn attend_rows(&self, task: &Task, queries: &[f32], attended: &mut [f32]) {
        let stride = self.kv_heads * self.head_size;
        let offset = task.kv_head * self.head_size;
        let group = self.heads / self.kv_heads;
        let heads = queries.chunks_exact(self.head_size).zip(attended.chunks_exact_mut(self.head_size));
        let mut scores = Vec::new();
        for (idx, (query, attended)) in heads.enumerate() {
            let position = task.chunk.position + task.first + idx / group;
            let first = self.horizon(position);
            let start = first * stride + offset;
            scores.resize(position + 1 - first, 0.0);
            let keys = Strided { values: &task.planes.keys[start..], depth: self.head_size, stride };
            products(keys, query, &mut scores);
            self.soften(&mut scores);
            mix(&scores, &task.planes.values[start..], stride, attended);
        }
    }

    fn attend_block(&self, task: &Task, queries: &[f32], attended: &mut [f32]) {
        let stride = self.kv_heads * self.head_size;
        let group = self.heads / self.kv_heads;
        let rows = task.n_queries * group;
        let begin = task.chunk.position + task.first;
        let first = self.horizon(begin);
        let n_keys = begin + task.n_queries - first;
        let start = first * stride + task.kv_head * self.head_size;

        let left = Matrix { values: queries, row_stride: self.head_size, column_stride: 1 };
        let keys = Matrix { values: &task.planes.keys[start..], row_stride: 1, column_stride: stride };
        let mut scores = vec![0.0; rows * n_keys];
        let shape = [rows, n_keys, self.head_size];
        multiply_into(left, keys, shape, &mut scores, n_keys);
        for (idx, scores) in scores.chunks_exact_mut(n_keys).enumerate() {
            let position = begin + idx / group;
            let (low, high) = (self.horizon(position) - first, position + 1 - first);
            self.soften(&mut scores[low..high]);
            scores[..low].fill(0.0);
            scores[high..].fill(0.0);
        }
        let shares = Matrix { values: &scores, row_stride: n_keys, column_stride: 1 };
        let values = Matrix { values: &task.planes.values[start..], row_stride: stride, column_stride: 1 };
        let shape = [rows, self.head_size, n_keys];
        multiply_into(shares, values, shape, attended, self.head_size);
    }

    /// Scores to shares that add up to one.
    fn soften(&self, scores: &mut [f32]) {
        if let Some(cap) = self.soft_cap {
            for score in &mut *scores {
                *score = cap * (*score / cap).tanh();
            }
        }
        soften(scores);
    }
}
