//! What became of a request.

use std::{
    fmt,
    time::{Duration, Instant},
};

use serde_json::Value;

/// A whole answer, streamed or not.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Answer {
    /// By the index of the choice.
    pub(super) choices: Vec<Choice>,
    pub(super) completion_tokens: u64,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Choice {
    pub(super) text: String,
    pub(super) reasoning: String,
    /// Names and arguments, by the index of the call.
    pub(super) calls: Vec<(String, String)>,
    /// Tokens with their log probabilities, where they were asked for.
    pub(super) logprobs: Vec<(String, f64)>,
    pub(super) finish_reason: String,
}

/// An error in the API's own form.
#[derive(Debug, Clone, Default)]
pub(super) struct Refusal {
    /// The status; that of the stream when it came within one.
    pub(super) status: u16,
    pub(super) code: String,
    pub(super) message: String,
    pub(super) retry_after: Option<String>,
    /// How long it took.
    pub(super) after: Duration,
}

#[derive(Debug, Clone)]
pub(super) enum Outcome {
    /// With the time at which each piece of text arrived, where it was a stream.
    Answered(Answer, Vec<Instant>),
    Refused(Refusal),
    /// What no client can make sense of: a stream that ends early, a connection that breaks, silence.
    Broken(String),
}

impl Answer {
    /// The answer that a response without a stream is.
    pub(super) fn whole(value: &Value) -> Option<Self> {
        let mut answer = Self::default();
        answer.take(value);
        let is_whole = |choice: &Choice| !choice.finish_reason.is_empty();
        (value["usage"].is_object() && answer.choices.iter().all(is_whole)).then_some(answer)
    }

    /// Takes one event of a stream in, or a whole answer; whether it brought anything.
    pub(super) fn take(&mut self, event: &Value) -> bool {
        if let Some(tokens) = event["usage"]["completion_tokens"].as_u64() {
            self.completion_tokens = tokens;
        }
        let mut has_text = false;
        for choice in event["choices"].as_array().into_iter().flatten() {
            let index = choice["index"].as_u64().unwrap_or_default() as usize;
            if self.choices.len() <= index {
                self.choices.resize(index.min(127) + 1, Choice::default());
            }
            has_text |= self.choices[index].take(choice);
        }
        has_text
    }
}

impl Choice {
    fn take(&mut self, said: &Value) -> bool {
        let message = said.get("delta").or(said.get("message")).unwrap_or(said);
        let text_of = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let (text, reasoning) =
            (text_of(message, "content") + &text_of(said, "text"), text_of(message, "reasoning_content"));
        let mut brings = !text.is_empty() || !reasoning.is_empty();
        self.text.push_str(&text);
        self.reasoning.push_str(&reasoning);
        for (idx, call) in message["tool_calls"].as_array().into_iter().flatten().enumerate() {
            let idx = call["index"].as_u64().map_or(idx, |index| index as usize);
            if self.calls.len() <= idx {
                self.calls.resize(idx.min(127) + 1, Default::default());
            }
            let (name, arguments) = &mut self.calls[idx];
            name.push_str(&text_of(&call["function"], "name"));
            arguments.push_str(&text_of(&call["function"], "arguments"));
            brings = true;
        }
        for token in said.pointer("/logprobs/content").and_then(Value::as_array).into_iter().flatten() {
            self.logprobs.push((text_of(token, "token"), token["logprob"].as_f64().unwrap_or(f64::NAN)));
        }
        self.finish_reason.push_str(said["finish_reason"].as_str().unwrap_or_default());
        brings
    }
}

impl Refusal {
    /// The error that `value` holds.
    pub(super) fn of(value: &Value, status: u16) -> Option<Self> {
        let error = value.get("error")?;
        let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        Some(Self { status, code: text("code"), message: text("message"), ..Self::default() })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered(answer, _) => write!(f, "{:?}", answer.choices),
            Self::Refused(refusal) => write!(f, "{refusal}"),
            Self::Broken(words) => write!(f, "nothing whole: {words}"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, code, message, after, .. } = self;
        write!(f, "{status} {code} after {after:.1?}: {message}")
    }
}
