//! `POST /v1/completions`

use impetus_proto::{
    Error,
    worker::{self, Echo, FinishReason, Infill, Logprobs, generate_request::Input},
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    logprobs::{CompletionLogprobs, MAX_TOP},
    parameter::{self, Parameter, unsupported},
    prompt,
    shape::{Asked, Shape, finish_reason},
};
use crate::{
    dialect::{
        field::{self, Fields},
        fold,
        ignored::Ignored,
    },
    upstream::{Delta, Part},
};

/// The most completions of a prompt of which the best are chosen, as the API defines it.
const MAX_BEST_OF: i64 = 20;

/// Continues a text.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Completions {
    /// Say how probable tokens were.
    has_logprobs: bool,
}

/// A choice, whole or in pieces.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CompletionChoice")]
pub(super) struct Choice {
    text: String,
    index: u32,
    logprobs: Option<CompletionLogprobs>,
    finish_reason: Option<&'static str>,
}

/// What a stream has said of a choice.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// Where the next token begins in its text, in characters.
    offset: usize,
}

impl Shape for Completions {
    const ID_PREFIX: &'static str = "cmpl-";
    const OBJECT: &'static str = "text_completion";
    const CHUNK_OBJECT: &'static str = "text_completion";
    const INPUT: &'static str = "prompt";
    const DEFAULT_MAX_TOKENS: Option<u32> = Some(16);
    const UNOFFERED: &'static [Parameter] = parameter::COMPLETION;

    type Said = Said;
    type Chunk = Choice;
    type Whole = Choice;

    fn read(fields: &mut Fields<'_>, _: &mut Ignored) -> Result<Asked<Self>, Error> {
        let inputs = prompt::prompts(fields)?;
        let is_echoed = fields.flag("echo")?.unwrap_or(false);
        let inputs = with_suffix(fields, inputs, is_echoed)?;
        let top = top_logprobs(fields)?;
        let best_of = fields.integer("best_of", 1..=MAX_BEST_OF)?.map(|best_of| best_of as u32);
        Ok(Asked {
            shape: Self { has_logprobs: top.is_some() },
            inputs,
            best_of,
            logprobs: top.map(|top| Logprobs { top }),
            echo: is_echoed.then_some(Echo { top_logprobs: top }),
            functions: Vec::new(),
        })
    }

    fn opening(&self, _: u32) -> Option<Choice> {
        None
    }

    fn silence(&self, index: u32) -> Choice {
        Choice { text: String::new(), index, logprobs: None, finish_reason: None }
    }

    fn prompt(&self, index: u32, said: &mut Said, prompt: worker::Prompt) -> Option<Choice> {
        said.offset = prompt.text.chars().count();
        let logprobs = self.has_logprobs.then(|| {
            let mut logprobs = CompletionLogprobs::default();
            logprobs.add_prompt(&prompt);
            logprobs
        });
        Some(Choice { text: prompt.text, logprobs, ..self.silence(index) })
    }

    fn delta(&self, index: u32, said: &mut Said, delta: Delta, mut tell: impl FnMut(Choice)) {
        let text = all_text(delta.parts);
        let has_logprobs = self.has_logprobs && !delta.logprobs.is_empty();
        if text.is_empty() && !has_logprobs {
            return;
        }
        let logprobs = has_logprobs.then(|| {
            let mut logprobs = CompletionLogprobs::default();
            said.offset = logprobs.add(&delta.logprobs, said.offset);
            logprobs
        });
        tell(Choice { text, logprobs, ..self.silence(index) });
    }

    fn end(&self, index: u32, reason: FinishReason) -> Choice {
        Choice { finish_reason: Some(finish_reason(reason)), ..self.silence(index) }
    }

    fn whole(&self, index: u32, choice: fold::Choice) -> Choice {
        let prompt = choice.prompt.unwrap_or_default();
        let logprobs = self.has_logprobs.then(|| {
            let mut logprobs = CompletionLogprobs::default();
            logprobs.add_prompt(&prompt);
            logprobs.add(&choice.logprobs, prompt.text.chars().count());
            logprobs
        });
        let text = prompt.text + &choice.reasoning + &choice.text;
        Choice { text, index, logprobs, finish_reason: Some(finish_reason(choice.reason)) }
    }
}

/// A completion is all that was said: a raw prompt has no place for a thought.
fn all_text(parts: Vec<Part>) -> String {
    let text = |part| match part {
        Part::Text(text) | Part::Reasoning(text) => text,
        Part::ToolCall(call) => call.arguments,
    };
    let mut texts = parts.into_iter().map(text);
    // Most often there is one, which need not be copied.
    let first = texts.next().unwrap_or_default();
    texts.fold(first, |all, text| all + &text)
}

/// Takes `suffix`, with which a prompt is what stands before a hole.
fn with_suffix(fields: &mut Fields<'_>, inputs: Vec<Input>, is_echoed: bool) -> Result<Vec<Input>, Error> {
    let suffix = fields.text("suffix")?.unwrap_or_default();
    if suffix.is_empty() {
        return Ok(inputs);
    }
    if is_echoed {
        return Err(unsupported("echo", "echo is not supported by this server together with suffix"));
    }
    let fill = |input| match input {
        Input::Text(prefix) => {
            Ok(Input::Infill(Infill { prefix, suffix: suffix.clone(), ..Infill::default() }))
        }
        _ => Err(unsupported("suffix", "suffix is not supported by this server with a prompt of token ids")),
    };
    inputs.into_iter().map(fill).collect()
}

/// Takes `logprobs`, the number of alternatives to list; `false` is the same as leaving it out.
fn top_logprobs(fields: &mut Fields<'_>) -> Result<Option<u32>, Error> {
    match fields.raw("logprobs") {
        None => Ok(None),
        Some(value) if value.get() == "false" => Ok(None),
        Some(value) => field::integer(value, "logprobs", 0..=MAX_TOP).map(|top| Some(top as u32)),
    }
}

#[cfg(test)]
mod tests;
