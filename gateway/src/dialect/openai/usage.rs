//! What a completion cost, in the words of OpenAI and of llama.cpp.

use schemars::JsonSchema;
use serde::Serialize;

use crate::dialect::cost::Cost;

/// OpenAI's `usage`.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub(super) struct Usage {
    prompt_tokens: u32,
    completion_tokens: u32,
    total_tokens: u32,
    prompt_tokens_details: PromptDetails,
    completion_tokens_details: CompletionDetails,
}

/// The `usage` of a chunk, by whether the client asked for it.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(untagged)]
pub(super) enum ChunkUsage {
    /// It did not: the field is left out.
    Unasked,
    /// It did, and the last chunk will have it: null.
    Later,
    Now(Usage),
}

#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
struct PromptDetails {
    cached_tokens: u32,
    audio_tokens: u32,
}

#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
struct CompletionDetails {
    reasoning_tokens: u32,
    audio_tokens: u32,
    /// Predictions have no use here, so that none of their tokens has either fate.
    accepted_prediction_tokens: u32,
    rejected_prediction_tokens: u32,
}

/// llama.cpp's `timings`, and what came before: waiting for a worker, tokenizing, waiting for a slot. Times are in milliseconds.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub(super) struct Timings {
    lease_ms: f64,
    tokenize_ms: f64,
    queue_ms: f64,
    cache_n: u32,
    prompt_n: u32,
    prompt_ms: f64,
    prompt_per_second: f64,
    predicted_n: u32,
    predicted_ms: f64,
    predicted_per_second: f64,
}

impl Usage {
    pub(super) fn of(cost: &Cost) -> Self {
        let usage = cost.total();
        Self {
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
            total_tokens: usage.prompt_tokens.saturating_add(usage.completion_tokens),
            prompt_tokens_details: PromptDetails { cached_tokens: usage.cached_tokens, audio_tokens: 0 },
            completion_tokens_details: CompletionDetails {
                reasoning_tokens: usage.reasoning_tokens,
                audio_tokens: 0,
                accepted_prediction_tokens: 0,
                rejected_prediction_tokens: 0,
            },
        }
    }
}

impl ChunkUsage {
    /// The `usage` of every chunk but the last.
    pub(super) fn before_the_end(is_asked: bool) -> Self {
        if is_asked { Self::Later } else { Self::Unasked }
    }

    pub(super) fn is_unasked(&self) -> bool {
        matches!(self, Self::Unasked)
    }
}

impl Timings {
    pub(super) fn of(cost: &Cost) -> Self {
        let (usage, timings) = (cost.total(), cost.timings());
        let prompt_n = usage.prompt_tokens.saturating_sub(usage.cached_tokens);
        // The first token of a choice ends its prefill; decoding begins after it.
        let predicted_n = usage.completion_tokens;
        Self {
            lease_ms: cost.lease().as_secs_f64() * 1e3,
            tokenize_ms: ms(timings.tokenize_us),
            queue_ms: ms(timings.queue_us),
            cache_n: usage.cached_tokens,
            prompt_n,
            prompt_ms: ms(timings.prefill_us),
            prompt_per_second: per_second(prompt_n, timings.prefill_us),
            predicted_n,
            predicted_ms: ms(timings.decode_us),
            predicted_per_second: per_second(predicted_n.saturating_sub(cost.n_decoded()), timings.decode_us),
        }
    }
}

fn ms(us: u64) -> f64 {
    us as f64 / 1e3
}

fn per_second(count: u32, us: u64) -> f64 {
    if us == 0 { 0.0 } else { f64::from(count) * 1e6 / us as f64 }
}
