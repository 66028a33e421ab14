//! Grouped-query attention of each chunk over its own slot, on a device.

use candle_core::{D, Device, Result, Tensor};
use candle_nn::ops::softmax_last_dim;

use super::{
    Loader,
    cache::DeviceCache,
    linear::{Linear, Norm},
};
use crate::{
    config::{LayerConfig, RopeConfig},
    error::ModelError,
    plan::{Plan, PlannedChunk},
};

/// A layer's attention.
pub(super) struct Attention {
    /// Queries, keys and values in one product.
    qkv: Linear,
    output: Linear,
    norms: Option<(Norm, Norm)>,
    heads: usize,
    kv_heads: usize,
    head_size: usize,
    scale: f64,
    soft_cap: Option<f64>,
    window: Option<usize>,
    rope: Option<usize>,
}

/// A rotary embedding (arXiv:2104.09864).
pub(super) struct Rotation {
    frequencies: Vec<f32>,
    magnitude: f32,
}

/// Cosines and sines for the rows of a step, `[rows, 1, pairs]`.
pub(super) struct Angles {
    cosines: Tensor,
    sines: Tensor,
}

impl Rotation {
    pub(super) fn new(config: &RopeConfig, context_tokens: usize) -> Self {
        let (frequencies, magnitude) = config.frequencies(context_tokens);
        Self { frequencies, magnitude }
    }

    /// Computed by the processor, so that far positions turn as exactly as they do there.
    pub(super) fn angles(&self, positions: &[usize], device: &Device) -> Result<Angles> {
        let table = |function: fn(f32) -> f32| {
            let turn = |&position: &usize| {
                let angles = self.frequencies.iter().map(move |frequency| position as f32 * frequency);
                angles.map(|angle| function(angle) * self.magnitude)
            };
            let values: Vec<f32> = positions.iter().flat_map(turn).collect();
            Tensor::from_vec(values, (positions.len(), 1, self.frequencies.len()), device)
        };
        Ok(Angles { cosines: table(f32::cos)?, sines: table(f32::sin)? })
    }
}

impl Angles {
    /// Turns `[rows, heads, size]`; dimensions beyond the pairs stay.
    fn rotate(&self, heads: &Tensor) -> Result<Tensor> {
        let (pairs, size) = (self.cosines.dim(D::Minus1)?, heads.dim(D::Minus1)?);
        let (real, imaginary) = (heads.narrow(2, 0, pairs)?, heads.narrow(2, pairs, pairs)?);
        let times = |part: &Tensor, factors: &Tensor| part.broadcast_mul(factors);
        let mut parts = vec![
            (times(&real, &self.cosines)? - times(&imaginary, &self.sines)?)?,
            (times(&imaginary, &self.cosines)? + times(&real, &self.sines)?)?,
        ];
        if 2 * pairs < size {
            parts.push(heads.narrow(2, 2 * pairs, size - 2 * pairs)?);
        }
        Tensor::cat(&parts, 2)
    }
}

impl Attention {
    pub(super) fn load(
        loader: &Loader,
        prefix: &str,
        layer: &LayerConfig,
    ) -> std::result::Result<Self, ModelError> {
        let config = loader.config;
        let (heads, kv_heads, head_size) = (config.heads, config.kv_heads, config.head_size);
        let (query_width, kv_width) = (heads * head_size, kv_heads * head_size);
        let part = |name: &str, rows| (format!("{prefix}.{name}"), rows);
        let parts = if config.fused {
            vec![part("qkv_proj", query_width + 2 * kv_width)]
        } else {
            vec![part("q_proj", query_width), part("k_proj", kv_width), part("v_proj", kv_width)]
        };
        let norm = |name: &str| loader.norm(&format!("{prefix}.{name}"), head_size);
        Ok(Self {
            qkv: loader.linear(&parts, config.width, config.qkv_bias)?,
            output: loader.linear(&[part("o_proj", config.width)], query_width, config.output_bias)?,
            norms: if config.query_norm { Some((norm("q_norm")?, norm("k_norm")?)) } else { None },
            heads,
            kv_heads,
            head_size,
            scale: config.attention_scale,
            soft_cap: config.attention_soft_cap,
            window: layer.window,
            rope: layer.rope,
        })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.qkv.bytes() + self.output.bytes()
    }

    /// Appends the rows' keys and values to layer `idx` of the cache and returns what the rows attend to.
    pub(super) fn forward(
        &self,
        rows: &Tensor,
        plan: &Plan,
        angles: &[Angles],
        (cache, idx): (&mut DeviceCache, usize),
    ) -> Result<Tensor> {
        let n_rows = plan.tokens.len();
        let qkv = self.qkv.forward(rows)?;
        let part = |first: usize, heads: usize| {
            let columns = qkv.narrow(1, first * self.head_size, heads * self.head_size)?;
            columns.reshape((n_rows, heads, self.head_size))
        };
        let mut queries = part(0, self.heads)?;
        let mut keys = part(self.heads, self.kv_heads)?;
        let values = part(self.heads + self.kv_heads, self.kv_heads)?;
        if let Some((query_norm, key_norm)) = &self.norms {
            (queries, keys) = (query_norm.forward(&queries)?, key_norm.forward(&keys)?);
        }
        if let Some(rope) = self.rope {
            (queries, keys) = (angles[rope].rotate(&queries)?, angles[rope].rotate(&keys)?);
        }
        queries = (queries * self.scale)?;

        let mut attended = vec![None; plan.chunks.len()];
        for (chunk, attended) in plan.chunks.iter().zip(&mut attended) {
            // By head: [heads, rows, size].
            let of = |tensor: &Tensor| {
                tensor.narrow(0, chunk.rows.start, chunk.rows.len())?.transpose(0, 1)?.contiguous()
            };
            let (keys, values) =
                cache.append((chunk.slot, idx), chunk.position, &of(&keys)?, &of(&values)?)?;
            *attended = Some(self.attend(chunk, &of(&queries)?, &keys, &values)?);
        }
        // The plan's chunks are in the batch's order, their rows are not.
        let mut chunks: Vec<(usize, Tensor)> = plan
            .chunks
            .iter()
            .zip(attended)
            .filter_map(|(chunk, rows)| Some((chunk.rows.start, rows?)))
            .collect();
        chunks.sort_by_key(|(start, _)| *start);
        let chunks: Vec<Tensor> = chunks.into_iter().map(|(_, rows)| rows).collect();
        self.output.forward(&Tensor::cat(&chunks, 0)?)
    }

    /// What a chunk's queries `[heads, rows, size]` attend to, `[rows, heads · size]`.
    fn attend(
        &self,
        chunk: &PlannedChunk,
        queries: &Tensor,
        keys: &Tensor,
        values: &Tensor,
    ) -> Result<Tensor> {
        let (n_rows, n_keys) = (chunk.rows.len(), chunk.position + chunk.rows.len());
        let group = self.heads / self.kv_heads;
        let queries = queries.reshape((self.kv_heads, group * n_rows, self.head_size))?;
        let mut scores = queries.matmul(&keys.t()?)?;
        if let Some(cap) = self.soft_cap {
            scores = ((scores / cap)?.tanh()? * cap)?;
        }
        if let Some(mask) = self.mask(chunk, queries.device())? {
            let apart = scores.reshape((self.heads, n_rows, n_keys))?;
            scores = apart.broadcast_add(&mask)?.reshape((self.kv_heads, group * n_rows, n_keys))?;
        }
        let attended = softmax_last_dim(&scores)?.matmul(values)?;
        let attended = attended.reshape((self.heads, n_rows, self.head_size))?;
        attended.transpose(0, 1)?.reshape((n_rows, self.heads * self.head_size))
    }

    /// Minus infinity where a row does not see a key; none where each sees all.
    fn mask(&self, chunk: &PlannedChunk, device: &Device) -> Result<Option<Tensor>> {
        let (n_rows, n_keys) = (chunk.rows.len(), chunk.position + chunk.rows.len());
        let window = self.window.unwrap_or(usize::MAX);
        if n_rows == 1 && n_keys <= window {
            return Ok(None);
        }
        let sees = |row: usize, key: usize| {
            let position = chunk.position + row;
            key <= position && position - key < window
        };
        let value = |row| (0..n_keys).map(move |key| if sees(row, key) { 0.0 } else { f32::NEG_INFINITY });
        let values: Vec<f32> = (0..n_rows).flat_map(value).collect();
        Tensor::from_vec(values, (1, n_rows, n_keys), device).map(Some)
    }
}
