//! A completion as it grows, and the bounds that llama.cpp's clients set to it: lines that are indented less than the
//! first, and time.

use std::time::Duration;

use impetus_proto::worker::FinishReason;
use tokio::time::Instant;

use super::{
    answer::{Answer, StopType},
    params::Params,
};
use crate::{
    dialect::{cost::Cost, openai::usage::Timings},
    upstream::{Delta, Event, Finished, Part},
};

/// What ends a completion before its time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Bounds {
    /// Spaces and tabs that each line after the first has to begin with.
    pub(super) n_indent: usize,
    /// From the first token on; it counts once there is a whole line.
    pub(super) time: Option<Duration>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Watch {
    bounds: Bounds,
    model: String,
    text: String,
    /// Spaces and tabs of the line that has just begun; absent within a line, and in the first.
    indent: Option<usize>,
    has_new_line: bool,
    first_token: Option<Instant>,
    cost: Cost,
    end: Option<End>,
}

#[derive(Debug)]
struct End {
    kind: StopType,
    stopping_word: String,
}

/// What an event added.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Added {
    pub(super) text: String,
    pub(super) is_over: bool,
}

impl Watch {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            model: String::new(),
            text: String::new(),
            indent: None,
            has_new_line: false,
            first_token: None,
            cost: Cost::default(),
            end: None,
        }
    }

    /// Whether the completion has ended.
    pub(super) fn is_over(&self) -> bool {
        self.end.is_some()
    }

    /// Takes an event in.
    pub(super) fn take(&mut self, event: Event) -> Added {
        let text = match event {
            Event::Accepted { model, prompt_tokens } => {
                model.as_ref().clone_into(&mut self.model);
                self.cost.accepted(0, 0, prompt_tokens);
                String::new()
            }
            Event::Prompt(_) => String::new(),
            Event::Delta(delta) => self.add(delta),
            Event::Finished(finished) => self.finish(finished),
        };
        Added { text, is_over: self.is_over() }
    }

    fn add(&mut self, delta: Delta) -> String {
        if delta.n_tokens > 0 {
            self.first_token.get_or_insert_with(Instant::now);
        }
        self.cost.went_on(0, delta.n_tokens);
        let added = self.within_bounds(&text_of(delta));
        let is_late = || self.bounds.time.zip(self.first_token).is_some_and(|(time, at)| at.elapsed() > time);
        if self.end.is_none() && self.has_new_line && is_late() {
            self.end = Some(End { kind: StopType::Limit, stopping_word: String::new() });
        }
        added
    }

    fn finish(&mut self, mut finished: Finished) -> String {
        let rest = text_of(std::mem::take(&mut finished.rest));
        let added = self.within_bounds(&rest);
        self.cost.add(0, 0, &finished);
        let stopping_word = std::mem::take(&mut finished.stop);
        let kind = match finished.reason {
            FinishReason::Length => StopType::Limit,
            _ if !stopping_word.is_empty() => StopType::Word,
            _ => StopType::Eos,
        };
        self.end.get_or_insert(End { kind, stopping_word });
        added
    }

    /// As much of `text` as comes before a line that is not indented enough, with which the completion ends.
    fn within_bounds(&mut self, text: &str) -> String {
        let mut added = String::new();
        for char in text.chars() {
            if self.is_over() {
                break;
            }
            match (char, self.indent) {
                (' ' | '\t', Some(indent)) => self.indent = Some(indent + 1),
                (_, Some(indent)) if indent < self.bounds.n_indent => {
                    self.end = Some(End { kind: StopType::Limit, stopping_word: String::new() });
                    break;
                }
                _ => self.indent = None,
            }
            if char == '\n' {
                (self.indent, self.has_new_line) = (Some(0), true);
            }
            added.push(char);
        }
        self.text.push_str(&added);
        added
    }

    /// A piece of the answer.
    pub(super) fn piece(&self, text: String) -> Answer {
        let usage = self.cost.total();
        Answer::piece(text, usage.completion_tokens, usage.prompt_tokens)
    }

    /// The answer as it ended, with all of its text.
    pub(super) fn answer(&self, params: &Params) -> Answer {
        let usage = self.cost.total();
        let (kind, stopping_word) = match &self.end {
            Some(end) => (end.kind, end.stopping_word.clone()),
            None => (StopType::None, String::new()),
        };
        Answer::whole(
            self.text.clone(),
            super::answer::Whole {
                model: self.model.clone(),
                generation_settings: params.settings.clone(),
                prompt: params.prompt.clone(),
                has_new_line: self.has_new_line,
                truncated: false,
                stop_type: kind,
                stopping_word,
                tokens_cached: usage.prompt_tokens.saturating_add(usage.completion_tokens),
                timings: Timings::of(&self.cost),
            },
            usage.completion_tokens,
            usage.prompt_tokens,
        )
    }
}

fn text_of(delta: Delta) -> String {
    let text = |part| match part {
        Part::Text(text) | Part::Reasoning(text) => text,
        Part::ToolCall(call) => call.arguments,
    };
    delta.parts.into_iter().map(text).collect()
}
