//! What a model's files say of it, checked for what no model has.
//!
//! Numbers that pass are still the files' claims: a context length is not a promise that memory suffices for it.

mod config;
mod gguf;
mod task;

pub(crate) use config::{Config, Weights};

/// A model as its files describe it. A number that they do not tell is 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Metadata {
    /// What it is for.
    pub task: Task,
    /// The architecture, `llama` for example.
    pub architecture: String,
    /// The name that its makers gave it.
    pub name: Option<String>,
    /// What its makers say of it.
    pub description: Option<String>,
    /// How the weights are stored, `Q4_K_M`, `BF16` or `MLX 4-bit` for example.
    pub quantization: String,
    /// Elements of all tensors; 0 for PyTorch's and NumPy's archives, which are not opened.
    pub parameters: u64,
    /// Bytes of all tensors, or of the archives that they are in.
    pub tensor_bytes: u64,
    /// Bytes of tensors that llama.cpp keeps twice, in the file's layout and in one of its own.
    pub repacked_bytes: u64,
    /// Tokens of context that it was trained for, as the file claims.
    pub context_tokens: u32,
    /// Transformer blocks.
    pub layers: u32,
    /// Attention heads of the layer with the most; 0 when no layer has attention.
    pub heads: u32,
    /// Heads that keys and values are kept for, of the layer with the most.
    pub kv_heads: u32,
    /// Heads that keys and values are kept for, of all layers together.
    pub all_kv_heads: u64,
    /// Elements of a key of one head.
    pub key_length: u32,
    /// Elements of a value of one head.
    pub value_length: u32,
    /// Elements of an embedding.
    pub embedding_length: u32,
    /// Elements inside a feed-forward network, of all experts together that a token goes through.
    pub feed_forward_length: u32,
    /// Tokens of the vocabulary, when the file says.
    pub vocabulary: Option<u32>,
    /// The chat template in Jinja.
    pub chat_template: Option<String>,
}

/// What a model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Task {
    /// It continues text.
    Generate,
    /// It turns text into vectors.
    Embed,
    /// It says how well documents answer a query.
    Rerank,
}

/// Bounds that real models stay far below.
mod bounds {
    pub(super) const LAYERS: u64 = 10_000;
    pub(super) const HEADS: u64 = 65_536;
    pub(super) const LENGTH: u64 = 1 << 24;
    pub(super) const VOCABULARY: u64 = 1 << 26;
    pub(super) const EXPERTS: u64 = 65_536;
}
