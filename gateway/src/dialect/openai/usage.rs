//! What a completion cost, in tokens and in time.

use impetus_proto::worker;
use serde::Serialize;

use crate::upstream::Finished;

/// What the choices of one answer cost together. The prompt is one, however many choices it has.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Cost {
    n_choices: u32,
    usage: worker::Usage,
    /// Of the choice that took longest, since they run side by side.
    timings: worker::Timings,
}

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

impl Cost {
    /// Takes in a choice that has ended.
    pub(super) fn add(&mut self, finished: &Finished) {
        let (usage, timings) = (&finished.usage, &finished.timings);
        // What one choice has prefilled the next may find, so that the least is what was there before them all.
        let cached = if self.n_choices == 0 { u32::MAX } else { self.usage.cached_tokens };
        self.n_choices += 1;
        self.usage = worker::Usage {
            prompt_tokens: self.usage.prompt_tokens.max(usage.prompt_tokens),
            cached_tokens: cached.min(usage.cached_tokens),
            completion_tokens: self.usage.completion_tokens.saturating_add(usage.completion_tokens),
            reasoning_tokens: self.usage.reasoning_tokens.saturating_add(usage.reasoning_tokens),
        };
        self.timings = worker::Timings {
            queue_us: self.timings.queue_us.max(timings.queue_us),
            prefill_us: self.timings.prefill_us.max(timings.prefill_us),
            decode_us: self.timings.decode_us.max(timings.decode_us),
        };
    }

    /// Choices that have ended.
    pub(super) fn n_choices(&self) -> u32 {
        self.n_choices
    }
}

impl Usage {
    pub(super) fn of(cost: &Cost) -> Self {
        let usage = &cost.usage;
        Self {
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
            total_tokens: usage.prompt_tokens.saturating_add(usage.completion_tokens),
            prompt_tokens_details: PromptDetails { cached_tokens: usage.cached_tokens },
            completion_tokens_details: CompletionDetails { reasoning_tokens: usage.reasoning_tokens },
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
        let (usage, timings) = (&cost.usage, &cost.timings);
        let prompt_n = usage.prompt_tokens.saturating_sub(usage.cached_tokens);
        // The first token of a choice ends its prefill; decoding begins after it.
        let predicted_n = usage.completion_tokens;
        Self {
            queue_ms: ms(timings.queue_us),
            cache_n: usage.cached_tokens,
            prompt_n,
            prompt_ms: ms(timings.prefill_us),
            prompt_per_second: per_second(prompt_n, timings.prefill_us),
            predicted_n,
            predicted_ms: ms(timings.decode_us),
            predicted_per_second: per_second(predicted_n.saturating_sub(cost.n_choices), timings.decode_us),
        }
    }
}

fn ms(us: u64) -> f64 {
    us as f64 / 1e3
}

fn per_second(count: u32, us: u64) -> f64 {
    if us == 0 { 0.0 } else { f64::from(count) * 1e6 / us as f64 }
}
