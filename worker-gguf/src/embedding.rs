//! `EmbeddingEngine` on a llama.cpp context: an input is a llama.cpp sequence and lives for one call.

use std::num::NonZeroU32;

use impetus_runtime::engine::{
    EmbeddingEngine, EmbeddingLimits, ModelSpec, StepError, TokenId, Vectors, embedding::normalise,
};
use llama_cpp_2::{
    DecodeError,
    context::{LlamaContext, params::LlamaContextParams},
    llama_batch::LlamaBatch,
    model::LlamaModel,
    token::LlamaToken,
};
use tracing::warn;

use crate::pooling::Pooling;

/// Tokens of one call, where no single input needs more: enough to keep a processor busy.
const TOKENS_PER_STEP: u32 = 512;

/// Inputs of one call.
const INPUTS_PER_STEP: u32 = 64;

/// The longest input where nobody says how long one may be, in tokens.
const DEFAULT_CONTEXT_TOKENS: u32 = 8192;

/// Bytes that llama.cpp may set aside for logits, a row for each token, which it does for models without any too.
/// Where nobody says how long an input may be, it is no longer than this allows.
const LOGITS_BYTES: u32 = 1 << 30;

/// How much is computed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) context_tokens: u32,
    tokens_per_step: u32,
    /// Tokens of one call of the library; fewer than `tokens_per_step` where inputs can be cut.
    tokens_per_decode: u32,
}

/// A context and its reusable batch. The model it borrows lives as long as the process.
pub(crate) struct GgufEmbedding {
    context: LlamaContext<'static>,
    batch: LlamaBatch<'static>,
    tokens_per_decode: i32,
    limits: EmbeddingLimits,
    /// Sequences whose last token is in the batch.
    ended: Vec<i32>,
    vector: Vec<f32>,
}

impl Sizes {
    /// For inputs of `asked` tokens, where 0 leaves it open; no input is longer than what the model was trained on,
    /// since many models have no position beyond it.
    pub(crate) fn new(asked: u32, trained: u32, vocabulary: u32, pooling: Pooling) -> Self {
        let open = if pooling.can_cut { u32::MAX } else { LOGITS_BYTES / 4 / vocabulary.max(1) };
        let wanted = if asked == 0 { open.clamp(TOKENS_PER_STEP, DEFAULT_CONTEXT_TOKENS) } else { asked };
        let context_tokens = wanted.min(trained).max(1);
        if context_tokens < asked {
            warn!(asked, trained, "inputs are bounded by what the model was trained on");
        }
        let tokens_per_step = context_tokens.max(TOKENS_PER_STEP);
        let tokens_per_decode = if pooling.can_cut { TOKENS_PER_STEP } else { tokens_per_step };
        Self { context_tokens, tokens_per_step, tokens_per_decode }
    }

    /// One KV cache for all inputs of a call. What cannot be cut is computed in one piece.
    pub(crate) fn context_params(self, spec: &ModelSpec, pooling: Pooling) -> LlamaContextParams {
        LlamaContextParams::default()
            .with_embeddings(true)
            .with_pooling_type(pooling.mode)
            .with_n_ctx(NonZeroU32::new(self.tokens_per_step))
            .with_n_seq_max(INPUTS_PER_STEP)
            .with_kv_unified(true)
            .with_n_batch(self.tokens_per_decode)
            .with_n_ubatch(self.tokens_per_decode)
            .with_n_threads(spec.threads as i32)
            .with_n_threads_batch(spec.threads as i32)
            .with_no_perf(true)
    }
}

impl GgufEmbedding {
    pub(crate) fn new(context: LlamaContext<'static>, model: &LlamaModel, sizes: Sizes) -> Self {
        let limits = EmbeddingLimits {
            context_tokens: sizes.context_tokens,
            tokens_per_step: sizes.tokens_per_step,
            inputs_per_step: INPUTS_PER_STEP,
            padded: false,
            dimensions: model.n_embd_out() as u32,
            vocabulary: model.n_vocab() as u32,
        };
        Self {
            context,
            batch: LlamaBatch::new(sizes.tokens_per_decode as usize, 1),
            tokens_per_decode: sizes.tokens_per_decode as i32,
            limits,
            ended: Vec::new(),
            vector: Vec::new(),
        }
    }

    /// Computes what is in the batch, and takes the vectors of the inputs that end in it.
    fn decode(&mut self, vectors: &mut Vectors) -> Result<(), StepError> {
        let fatal = |reason: String| StepError::Fatal { reason };
        self.context.decode(&mut self.batch).map_err(|error| match error {
            DecodeError::NoKvCacheSlot => StepError::KvFull,
            error => fatal(format!("llama_decode: {error}")),
        })?;
        for &sequence in &self.ended {
            let pooled =
                self.context.embeddings_seq_ith(sequence).map_err(|error| fatal(error.to_string()))?;
            self.vector.clear();
            self.vector.extend_from_slice(pooled);
            normalise(&mut self.vector);
            vectors.push(&self.vector);
        }
        self.batch.clear();
        self.ended.clear();
        Ok(())
    }
}

impl EmbeddingEngine for GgufEmbedding {
    fn limits(&self) -> EmbeddingLimits {
        self.limits
    }

    /// Vectors are normalised: the format has no word for it, and all that is made of these files expects it.
    fn embed(&mut self, inputs: &[&[TokenId]], vectors: &mut Vectors) -> Result<(), StepError> {
        self.context.clear_kv_cache();
        self.batch.clear();
        self.ended.clear();
        for (sequence, tokens) in (0..).zip(inputs) {
            for (position, token) in (0..).zip(*tokens) {
                if self.batch.n_tokens() == self.tokens_per_decode {
                    self.decode(vectors)?;
                }
                self.batch
                    .add(LlamaToken(token.0 as i32), position, &[sequence], true)
                    .map_err(|error| StepError::Fatal { reason: error.to_string() })?;
            }
            self.ended.push(sequence);
        }
        self.decode(vectors)
    }
}

#[cfg(test)]
mod tests {
    use llama_cpp_2::context::params::LlamaPoolingType;

    use super::*;

    #[test]
    fn an_input_fits_a_step_and_one_that_cannot_be_cut_a_decode() {
        let check = |asked: u32, trained: u32, vocabulary: u32, can_cut: bool, expected: [u32; 3]| {
            let sizes =
                Sizes::new(asked, trained, vocabulary, Pooling { mode: LlamaPoolingType::Last, can_cut });
            let found = [sizes.context_tokens, sizes.tokens_per_step, sizes.tokens_per_decode];
            assert_eq!(found, expected, "{asked} {trained} {vocabulary} {can_cut}");
        };
        check(0, 512, 30_522, false, [512, 512, 512]);
        check(0, 128, 30_522, false, [128, 512, 512]);
        check(64, 512, 30_522, false, [64, 512, 512]);
        check(4096, 512, 30_522, false, [512, 512, 512]);
        check(0, 8192, 30_522, false, [8192, 8192, 8192]);
        check(0, 8192, 250_002, false, [1073, 1073, 1073]);
        check(4096, 8192, 250_002, false, [4096, 4096, 4096]);
        check(0, 32_768, 151_936, true, [8192, 8192, 512]);
        check(32_768, 32_768, 151_936, true, [32_768, 32_768, 512]);
        check(0, 0, 0, false, [1, 512, 512]);
    }
}
