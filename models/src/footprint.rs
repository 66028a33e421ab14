//! How much memory a worker with a model will hold at most, computed from what the model's files say of it.
//!
//! What is counted is the high-water mark of resident memory, mapped files included: weights, keys and values of all
//! slots, what one step needs besides, and the process itself. Each format has a formula of its own, after what its
//! worker does; figures that no code states were measured, and stand beside what they were measured on. The numbers of
//! a file may be anything, so all arithmetic saturates.

mod candle;
mod gguf;
mod onnx;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use crate::{
    CANDLE_FORMAT, GGUF_FORMAT, ONNX_FORMAT,
    metadata::{Metadata, Task},
};

/// What a worker will be told about a model.
#[derive(Debug, Clone, Copy)]
pub struct FootprintParams<'a> {
    /// The format, and so the worker.
    pub format: &'a str,
    /// Sequences that it generates at once.
    pub slots: u32,
    /// Tokens of context of one slot; 0 is the model's own, as far as workers go by themselves.
    pub context_tokens: u32,
    /// Compute threads; 0 is one for each core.
    pub threads: u32,
    /// The format's own settings.
    pub options: &'a HashMap<String, String>,
    /// GPUs that the worker can use.
    pub gpus: u32,
}

/// Bytes of RAM and of each GPU.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Footprint {
    /// RAM.
    pub ram: Share,
    /// Each of the GPUs, in their order; none where the worker uses none.
    pub gpus: Vec<Share>,
}

/// Bytes of one kind of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Share {
    /// The weights as they are held.
    pub weights: u64,
    /// Keys and values of all slots when they are full.
    pub kv: u64,
    /// What the largest step needs besides.
    pub compute: u64,
    /// The process without a model: programs, libraries, tables.
    pub process: u64,
    /// The most that it has held when the model is loaded and nothing has been computed yet.
    pub loaded: u64,
}

/// What the formulas of all formats begin with.
struct Sizes<'a> {
    metadata: &'a Metadata,
    params: FootprintParams<'a>,
    slots: u64,
    /// Tokens of one slot.
    context: u64,
    /// The vocabulary's tokens.
    vocabulary: u64,
    /// Elements of the keys and values of one token, of all layers.
    kv_elements: u64,
}

/// The longest context that a slot gets when nobody asks for one, in tokens (`DEFAULT_CONTEXT_TOKENS` of each worker).
const DEFAULT_CONTEXT_TOKENS: u32 = 8192;
/// Tokens of one step of a model that generates (`TOKENS_PER_STEP` of each worker).
const TOKENS_PER_STEP: u64 = 512;
/// Bytes of an F32.
const F32: u64 = 4;
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// The footprint of a model in one of the formats whose workers this project has; none for others.
pub fn footprint(metadata: &Metadata, params: &FootprintParams) -> Option<Footprint> {
    let sizes = Sizes::new(metadata, *params);
    match params.format {
        GGUF_FORMAT => Some(gguf::footprint(&sizes)),
        CANDLE_FORMAT => Some(candle::footprint(&sizes)),
        ONNX_FORMAT => Some(onnx::footprint(&sizes)),
        _ => None,
    }
}

impl Share {
    /// The most that it will ever have held, with all slots full.
    pub fn full(&self) -> u64 {
        sum(&[self.weights, self.kv, self.compute, self.process]).max(self.loaded)
    }

    /// How much more that is than when it was loaded.
    pub fn growth(&self) -> u64 {
        self.full() - self.loaded
    }
}

impl<'a> Sizes<'a> {
    fn new(metadata: &'a Metadata, params: FootprintParams<'a>) -> Self {
        let own = match metadata.context_tokens {
            0 => DEFAULT_CONTEXT_TOKENS,
            trained => trained.min(DEFAULT_CONTEXT_TOKENS),
        };
        let context = if params.context_tokens == 0 { own } else { params.context_tokens };
        let lengths = u64::from(metadata.key_length) + u64::from(metadata.value_length);
        Self {
            metadata,
            params,
            slots: u64::from(params.slots.max(1)),
            context: u64::from(context),
            vocabulary: u64::from(metadata.vocabulary.unwrap_or(0)),
            kv_elements: product(&[metadata.all_kv_heads, lengths]),
        }
    }

    fn embeds(&self) -> bool {
        matches!(self.metadata.task, Task::Embed | Task::Rerank)
    }

    /// Tokens of context of an embedding model, which goes no further than it was trained.
    fn input_tokens(&self) -> u64 {
        match u64::from(self.metadata.context_tokens) {
            0 => self.context,
            trained => self.context.min(trained),
        }
    }

    fn width(&self) -> u64 {
        u64::from(self.metadata.embedding_length)
    }

    fn feed_forward(&self) -> u64 {
        u64::from(self.metadata.feed_forward_length)
    }

    /// Elements of all heads' queries.
    fn query_width(&self) -> u64 {
        product(&[u64::from(self.metadata.heads), u64::from(self.metadata.key_length)])
    }

    /// Compute threads.
    fn threads(&self) -> u64 {
        match self.params.threads {
            0 => std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64),
            threads => u64::from(threads),
        }
    }

    fn option(&self, name: &str) -> Option<&str> {
        self.params.options.get(name).map(String::as_str)
    }
}

fn sum(terms: &[u64]) -> u64 {
    terms.iter().copied().fold(0, u64::saturating_add)
}

fn product(factors: &[u64]) -> u64 {
    factors.iter().copied().fold(1, u64::saturating_mul)
}

/// `whole` × `part` / `of`, and `whole` where `of` is 0.
fn part_of(whole: u64, part: u64, of: u64) -> u64 {
    if of == 0 {
        return whole;
    }
    let part = u128::from(whole) * u128::from(part) / u128::from(of);
    u64::try_from(part).unwrap_or(u64::MAX)
}
