//! The items of a response's output.

use impetus_proto::worker;
use serde::Serialize;

use crate::dialect::openai::logprobs;

/// An item that the model has made.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Output {
    Message {
        id: String,
        status: ItemStatus,
        role: &'static str,
        content: Vec<Part>,
    },
    Reasoning {
        id: String,
        status: ItemStatus,
        summary: Vec<Part>,
        content: Vec<Part>,
        #[serde(skip_serializing_if = "Option::is_none")]
        encrypted_content: Option<String>,
    },
    FunctionCall {
        id: String,
        status: ItemStatus,
        call_id: String,
        name: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        namespace: Option<String>,
        arguments: String,
    },
    CustomToolCall {
        id: String,
        status: ItemStatus,
        call_id: String,
        name: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        namespace: Option<String>,
        input: String,
    },
}

/// How far an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ItemStatus {
    InProgress,
    Completed,
    Incomplete,
}

/// A part of a message or of a thought.
#[expect(clippy::enum_variant_names, reason = "these are the API's names")]
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Part {
    OutputText { text: String, annotations: [(); 0], logprobs: Vec<Logprob> },
    ReasoningText { text: String },
    SummaryText { text: String },
}

/// How probable a token was, and what else might have stood in its place.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Logprob {
    token: String,
    bytes: Vec<u8>,
    logprob: f32,
    top_logprobs: Vec<TopLogprob>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct TopLogprob {
    token: String,
    bytes: Vec<u8>,
    logprob: f32,
}

impl Output {
    /// The item's id.
    pub(super) fn id(&self) -> &str {
        match self {
            Self::Message { id, .. }
            | Self::Reasoning { id, .. }
            | Self::FunctionCall { id, .. }
            | Self::CustomToolCall { id, .. } => id,
        }
    }
}

impl From<worker::TokenLogprobs> for Logprob {
    fn from(said: worker::TokenLogprobs) -> Self {
        let token = logprobs::text(&said.text, "");
        let top_logprobs = said.top.into_iter().map(TopLogprob::from).collect();
        Self { token, bytes: said.text, logprob: logprobs::finite(said.logprob), top_logprobs }
    }
}

impl From<worker::TopLogprob> for TopLogprob {
    fn from(said: worker::TopLogprob) -> Self {
        let token = logprobs::text(&said.text, "");
        Self { token, bytes: said.text, logprob: logprobs::finite(said.logprob) }
    }
}
