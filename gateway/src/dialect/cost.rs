//! What an answer costs, in tokens and in time, whatever a dialect calls it.

use std::{collections::BTreeMap, time::Duration};

use impetus_proto::worker;
use tokio::time::Instant;

use crate::upstream::Finished;

/// What the choices of one answer cost together. A prompt is one, however many choices it has.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Cost {
    prompts: BTreeMap<u32, Prompt>,
    /// Choices that have not ended.
    running: BTreeMap<u32, Running>,
    n_choices: u32,
    completion_tokens: u32,
    reasoning_tokens: u32,
    /// Of the choice that took longest, since they run side by side.
    timings: worker::Timings,
    /// Of the choice that waited longest for a worker.
    lease: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Running {
    began: Instant,
    first_token: Option<Instant>,
    tokens: u32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Prompt {
    tokens: u32,
    /// Absent while no choice has ended.
    cached_tokens: Option<u32>,
}

impl Cost {
    /// A choice has been begun, of a prompt of so many tokens.
    pub(super) fn accepted(&mut self, prompt: u32, choice: u32, tokens: u32) {
        self.prompts.entry(prompt).or_insert(Prompt { tokens, cached_tokens: None });
        self.running.entry(choice).or_insert_with(Running::new);
    }

    /// A choice that goes on has so many tokens more.
    pub(super) fn went_on(&mut self, choice: u32, n_tokens: usize) {
        let running = self.running.entry(choice).or_insert_with(Running::new);
        running.tokens = running.tokens.saturating_add(n_tokens as u32);
        if n_tokens > 0 {
            running.first_token.get_or_insert_with(Instant::now);
        }
    }

    /// Takes in a choice that has ended, of the prompt of that number.
    pub(super) fn add(&mut self, prompt: u32, choice: u32, finished: &Finished) {
        let (usage, timings) = (&finished.usage, &finished.timings);
        self.accepted(prompt, choice, usage.prompt_tokens);
        if let Some(prompt) = self.prompts.get_mut(&prompt) {
            prompt.tokens = prompt.tokens.max(usage.prompt_tokens);
            // What one choice has prefilled the next may find, so that the least is what was there before them all.
            let cached = prompt.cached_tokens.unwrap_or(u32::MAX).min(usage.cached_tokens);
            prompt.cached_tokens = Some(cached);
        }
        self.running.remove(&choice);
        self.n_choices += 1;
        self.completion_tokens = self.completion_tokens.saturating_add(usage.completion_tokens);
        self.reasoning_tokens = self.reasoning_tokens.saturating_add(usage.reasoning_tokens);
        self.timings = worker::Timings {
            queue_us: self.timings.queue_us.max(timings.queue_us),
            prefill_us: self.timings.prefill_us.max(timings.prefill_us),
            decode_us: self.timings.decode_us.max(timings.decode_us),
            tokenize_us: self.timings.tokenize_us.max(timings.tokenize_us),
        };
        self.lease = self.lease.max(finished.lease);
    }

    /// Choices that have ended.
    pub(super) fn n_choices(&self) -> u32 {
        self.n_choices
    }

    /// What all choices used, in a worker's words.
    pub(super) fn total(&self) -> worker::Usage {
        let of_prompts =
            |count: fn(&Prompt) -> u32| self.prompts.values().map(count).fold(0u32, u32::saturating_add);
        worker::Usage {
            prompt_tokens: of_prompts(|prompt| prompt.tokens),
            cached_tokens: of_prompts(|prompt| prompt.cached_tokens.unwrap_or_default()),
            completion_tokens: self
                .running
                .values()
                .fold(self.completion_tokens, |sum, running| sum.saturating_add(running.tokens)),
            reasoning_tokens: self.reasoning_tokens,
        }
    }

    /// The times of the choice that takes longest, as they were seen here where it has not ended.
    pub(super) fn timings(&self) -> worker::Timings {
        self.running.values().fold(self.timings, |timings, running| worker::Timings {
            prefill_us: timings.prefill_us.max(us(running.began, running.first_token)),
            decode_us: timings.decode_us.max(running.first_token.map_or(0, |first| us(first, None))),
            ..timings
        })
    }

    /// How long the choice that waited longest waited for a worker.
    pub(super) fn lease(&self) -> Duration {
        self.lease
    }

    /// Choices that have had their first token.
    pub(super) fn n_decoded(&self) -> u32 {
        let running = self.running.values().filter(|running| running.first_token.is_some());
        self.n_choices + running.count() as u32
    }
}

impl Running {
    fn new() -> Self {
        Self { began: Instant::now(), first_token: None, tokens: 0 }
    }
}

/// Microseconds from one instant to another, or until now.
fn us(from: Instant, to: Option<Instant>) -> u64 {
    let passed = to.unwrap_or_else(Instant::now).saturating_duration_since(from);
    u64::try_from(passed.as_micros()).unwrap_or(u64::MAX)
}
