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
        let choices = value["choices"].as_array()?.iter().map(|choice| {
            let text = choice.pointer("/message/content").or(choice.get("text"))?.as_str()?.to_owned();
            Some(Choice { text, finish_reason: choice["finish_reason"].as_str()?.to_owned() })
        });
        let completion_tokens = value["usage"]["completion_tokens"].as_u64()?;
        Some(Self { choices: choices.collect::<Option<_>>()?, completion_tokens })
    }

    /// Takes one event of a stream in; whether it brought text.
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
            let text = choice.pointer("/delta/content").or(choice.get("text")).and_then(Value::as_str);
            let text = text.unwrap_or_default();
            has_text |= !text.is_empty();
            self.choices[index].text.push_str(text);
            if let Some(reason) = choice["finish_reason"].as_str() {
                self.choices[index].finish_reason.push_str(reason);
            }
        }
        has_text
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
