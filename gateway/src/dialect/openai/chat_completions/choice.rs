//! A choice of a chat completion, in pieces and as a whole.

use impetus_proto::worker::ToolCallDelta;
use schemars::JsonSchema;
use serde::Serialize;

use crate::dialect::{
    call::{Begun, Call},
    openai::logprobs::ChatLogprobs,
};

/// The calls that a stream has begun.
pub(in crate::dialect::openai) type Said = Begun;

/// A step of a choice.
#[derive(Serialize)]
pub(in crate::dialect::openai) struct ChunkChoice {
    pub(super) index: u32,
    pub(super) delta: ChunkDelta,
    pub(super) logprobs: Option<ChatLogprobs>,
    pub(super) finish_reason: Option<&'static str>,
}

#[derive(Default, Serialize)]
pub(super) struct ChunkDelta {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reasoning_content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tool_calls: Option<[CallDelta; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) function_call: Option<FunctionDelta>,
}

/// A piece of a call. The first one has its id, type and name.
#[derive(Serialize)]
pub(super) struct CallDelta {
    index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    function: FunctionDelta,
}

#[derive(Serialize)]
pub(super) struct FunctionDelta {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    arguments: String,
}

/// A choice that is whole.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ChatChoice")]
pub(in crate::dialect::openai) struct Choice {
    pub(super) index: u32,
    pub(super) message: Answer,
    pub(super) logprobs: Option<ChatLogprobs>,
    pub(super) finish_reason: &'static str,
}

/// What the assistant says.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AssistantMessage")]
pub(super) struct Answer {
    role: &'static str,
    /// Null where there are only calls.
    content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<String>,
    refusal: Option<()>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<CallWhole>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_call: Option<Function>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ToolCall")]
struct CallWhole {
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    function: Function,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CalledFunction")]
struct Function {
    name: String,
    arguments: String,
}

impl ChunkChoice {
    pub(super) fn of(index: u32, delta: ChunkDelta) -> Self {
        Self { index, delta, logprobs: None, finish_reason: None }
    }
}

impl CallDelta {
    /// `id` is there for the first piece of a call.
    pub(super) fn of(piece: ToolCallDelta, id: Option<String>) -> Self {
        let kind = id.is_some().then_some("function");
        Self { index: piece.index, kind, function: FunctionDelta::of(piece, id.is_some()), id }
    }
}

impl FunctionDelta {
    pub(super) fn of(piece: ToolCallDelta, is_first: bool) -> Self {
        Self { name: is_first.then_some(piece.name), arguments: piece.arguments }
    }
}

impl Answer {
    /// `calls_functions`: the one call is the deprecated `function_call`.
    pub(super) fn of(
        text: String,
        reasoning_content: Option<String>,
        calls: Vec<Call>,
        calls_functions: bool,
    ) -> Self {
        let content = (!text.is_empty() || calls.is_empty()).then_some(text);
        let mut calls = calls.into_iter().map(|Call { id, name, arguments }| CallWhole {
            id,
            kind: "function",
            function: Function { name, arguments },
        });
        let function_call = if calls_functions { calls.next().map(|call| call.function) } else { None };
        let tool_calls = if calls_functions { Vec::new() } else { calls.collect() };
        Self { role: "assistant", content, reasoning_content, refusal: None, tool_calls, function_call }
    }
}
