//! What a generation says, with the wire's options resolved.

use std::{sync::Arc, time::Duration};

use impetus_proto::worker::{self, FinishReason, Timings, TokenLogprobs, ToolCallDelta, Usage};

/// One event of a generation. The first is `Accepted`, the last `Finished`, whatever happened to the workers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Event {
    /// A worker has the request.
    Accepted {
        /// The canonical name of the model that answers.
        model: Arc<str>,
        prompt_tokens: u32,
    },
    /// The prompt, once, where the request asks for an echo.
    Prompt(worker::Prompt),
    /// More of the output.
    Delta(Delta),
    /// The completion is whole.
    Finished(Finished),
}

/// What some tokens add to the output; they may add nothing yet.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Delta {
    /// In the order in which they were said.
    pub(crate) parts: Vec<Part>,
    /// Of these tokens, where the request asks for them.
    pub(crate) logprobs: Vec<TokenLogprobs>,
    pub(crate) n_tokens: usize,
}

/// A piece of the output.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Part {
    Text(String),
    Reasoning(String),
    ToolCall(ToolCallDelta),
}

/// The end of a completion.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Finished {
    pub(crate) reason: FinishReason,
    /// What was still held back.
    pub(crate) rest: Delta,
    /// The stop string that matched, or empty.
    pub(crate) stop: String,
    pub(crate) usage: Usage,
    pub(crate) timings: Timings,
    /// How long it waited for workers before its first token. What it waited for later ones is in `timings`.
    pub(crate) lease: Duration,
}

impl Delta {
    /// What `delta` says of `n_tokens` tokens.
    pub(super) fn of(delta: worker::Delta, n_tokens: usize) -> Self {
        let worker::Delta { parts, logprobs } = delta;
        let parts = parts.into_iter().filter_map(|part| {
            Some(match part.part? {
                worker::part::Part::Text(text) => Part::Text(text),
                worker::part::Part::Reasoning(text) => Part::Reasoning(text),
                worker::part::Part::ToolCall(call) => Part::ToolCall(call),
            })
        });
        Self { parts: parts.collect(), logprobs, n_tokens }
    }

    /// The text of all parts that are text.
    #[cfg(test)]
    pub(crate) fn text(&self) -> String {
        let text = |part: &Part| match part {
            Part::Text(text) => Some(text.clone()),
            Part::Reasoning(_) | Part::ToolCall(_) => None,
        };
        self.parts.iter().filter_map(text).collect()
    }
}
