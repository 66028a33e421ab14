//! What a completion cost, in tokens and in time.

use serde::Serialize;

use crate::upstream::Finished;

/// OpenAI's `usage`.
#[derive(Debug, Clone, Copy, Serialize)]
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

#[derive(Debug, Clone, Copy, Serialize)]
struct PromptDetails {
    cached_tokens: u32,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct CompletionDetails {
    reasoning_tokens: u32,
}

/// llama.cpp's `timings`, with the time spent waiting for a slot besides. Times are in milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Timings {
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
    pub(super) fn of(finished: &Finished) -> Self {
        let usage = &finished.usage;
        Self {
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
            total_tokens: usage.prompt_tokens.saturating_add(usage.completion_tokens),
            prompt_tokens_details: PromptDetails { cached_tokens: usage.cached_tokens },
            completion_tokens_details: CompletionDetails { reasoning_tokens: 0 },
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
    pub(super) fn of(finished: &Finished) -> Self {
        let (usage, timings) = (&finished.usage, &finished.timings);
        let prompt_n = usage.prompt_tokens.saturating_sub(usage.cached_tokens);
        // The first token ends the prefill; decoding begins after it.
        let predicted_n = usage.completion_tokens;
        Self {
            queue_ms: ms(timings.queue_us),
            cache_n: usage.cached_tokens,
            prompt_n,
            prompt_ms: ms(timings.prefill_us),
            prompt_per_second: per_second(prompt_n, timings.prefill_us),
            predicted_n,
            predicted_ms: ms(timings.decode_us),
            predicted_per_second: per_second(predicted_n.saturating_sub(1), timings.decode_us),
        }
    }
}

fn ms(us: u64) -> f64 {
    us as f64 / 1e3
}

fn per_second(count: u32, us: u64) -> f64 {
    if us == 0 { 0.0 } else { f64::from(count) * 1e6 / us as f64 }
}
